// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signingtest

import (
	"crypto/ecdsa"
	"crypto/rand"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// Issuer is the issuer of the tokens: GitHub's, signed with a key of our own.
const Issuer = "https://token.actions.githubusercontent.com"

// DefaultWorkflow is the job_workflow_ref of the tokens unless SetWorkflow says otherwise.
const DefaultWorkflow = "example/app/.github/workflows/release.yml@refs/heads/main"

// OIDC is GitHub's endpoint for identity tokens.
type OIDC struct {
	Route

	key          *ecdsa.PrivateKey
	requestToken string
	workflow     atomic.Value // string
	lifetime     atomic.Int64
}

type tokenClaims struct {
	jwt.Claims

	JobWorkflowRef string `json:"job_workflow_ref,omitempty"`
	Email          string `json:"email,omitempty"` // of a person
	EmailVerified  bool   `json:"email_verified,omitempty"`
	Nonce          string `json:"nonce,omitempty"`
}

func newOIDC() (*OIDC, error) {
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	o := &OIDC{key: key, requestToken: "request-" + rand.Text()}
	o.SetWorkflow(DefaultWorkflow)
	o.SetLifetime(5 * time.Minute)
	return o, nil
}

// SetWorkflow changes who the tokens are for.
func (o *OIDC) SetWorkflow(ref string) { o.workflow.Store(ref) }

// SetLifetime changes how long the tokens live.
func (o *OIDC) SetLifetime(d time.Duration) { o.lifetime.Store(int64(d)) }

// Subject is the identity that certificates get for the tokens.
func (o *OIDC) Subject() string { return "https://github.com/" + o.workflow.Load().(string) }

// Token mints a token, as the endpoint does.
func (o *OIDC) Token() (string, error) {
	signer, err := newSigner(o.key)
	if err != nil {
		return "", err
	}
	now, ref := time.Now(), o.workflow.Load().(string)
	return jwt.Signed(signer).Claims(tokenClaims{
		Claims: jwt.Claims{
			Issuer: Issuer, Subject: "repo:example/app:ref:refs/heads/main", Audience: jwt.Audience{"sigstore"},
			IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(time.Duration(o.lifetime.Load()))), ID: rand.Text(),
		},
		JobWorkflowRef: ref,
	}).Serialize()
}

func (o *OIDC) token(w http.ResponseWriter, r *http.Request) {
	switch q := r.URL.Query(); {
	case r.Header.Get("Authorization") != "Bearer "+o.requestToken:
		refuse(w, http.StatusUnauthorized, "bad credentials")
	case q.Get("audience") != "sigstore" || q.Get("api-version") != "2.0":
		refuse(w, http.StatusBadRequest, "bad query %q", r.URL.RawQuery)
	default:
		token, err := o.Token()
		if err != nil {
			refuse(w, http.StatusInternalServerError, "%v", err)
			return
		}
		writeJSON(w, http.StatusOK, map[string]any{"value": token, "count": len(token)})
	}
}

// verify checks a token of one of the issuers as Fulcio does.
func (o *OIDC) verify(raw, people string) (tokenClaims, error) {
	t, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return tokenClaims{}, errors.New("not a signed JWT")
	}
	var c tokenClaims
	if err := t.Claims(o.key.Public(), &c); err != nil {
		return tokenClaims{}, errors.New("the signature of the token is not the issuer's")
	}
	issuer := Issuer
	if c.Email != "" {
		issuer = people
	}
	return c, c.ValidateWithLeeway(jwt.Expected{Issuer: issuer, AnyAudience: jwt.Audience{"sigstore"}, Time: time.Now()}, 0)
}

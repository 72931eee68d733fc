// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"
)

const (
	tokenLife = 5 * time.Minute // GitHub's live five to ten
	keyID     = "e2e"
)

// Commit is the one that jobs run at, unless their grant says otherwise.
const Commit = "8d3bf2a4c1b7f0e6d5a49c3827160f5e4d3c2b1a"

// Issuer is an OpenID Connect issuer with the token endpoint that GitHub gives
// to a job with "id-token: write", and GitHub's claims.
type Issuer struct {
	URL string

	server *httptest.Server
	key    *rsa.PrivateKey

	mu    sync.Mutex
	grant map[string]*Grant // by bearer
}

// Grant is one job's right to ask for identity tokens.
type Grant struct {
	Identity string // that the certificate will name: https://github.com/ORG/REPO/.github/workflows/…@REF
	Commit   string // that the certificate will name

	issuer *Issuer
	bearer string
	tokens int
}

// NewIssuer serves an issuer on loopback until Close.
func NewIssuer() (*Issuer, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("make the issuer's key: %w", err)
	}
	i := &Issuer{key: key, grant: map[string]*Grant{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", i.discovery)
	mux.HandleFunc("GET /keys", i.keys)
	mux.HandleFunc("GET /token", i.token)
	i.server = httptest.NewServer(mux)
	i.URL = i.server.URL
	return i, nil
}

// Close stops serving.
func (i *Issuer) Close() { i.server.Close() }

// Grant registers a job of workflow (ORG/REPO/.github/workflows/FILE@REF) and
// returns the right to its tokens.
func (i *Issuer) Grant(workflow string) *Grant {
	g := &Grant{Identity: "https://github.com/" + workflow, Commit: Commit, issuer: i, bearer: rand.Text()}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.grant[g.bearer] = g
	return g
}

// Env is what the runner puts into the job's environment.
func (g *Grant) Env() []string {
	return []string{
		"ACTIONS_ID_TOKEN_REQUEST_URL=" + g.issuer.URL + "/token?api-version=2.0",
		"ACTIONS_ID_TOKEN_REQUEST_TOKEN=" + g.bearer,
	}
}

// Revoke takes the right away: the endpoint answers 401 from now on.
func (g *Grant) Revoke() {
	g.issuer.mu.Lock()
	defer g.issuer.mu.Unlock()
	delete(g.issuer.grant, g.bearer)
}

// Tokens is how many tokens were given out on this grant.
func (g *Grant) Tokens() int {
	g.issuer.mu.Lock()
	defer g.issuer.mu.Unlock()
	return g.tokens
}

func (i *Issuer) discovery(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, map[string]any{
		"issuer":                                i.URL,
		"jwks_uri":                              i.URL + "/keys",
		"response_types_supported":              []string{"id_token"},
		"subject_types_supported":               []string{"public"},
		"id_token_signing_alg_values_supported": []string{"RS256"},
	})
}

func (i *Issuer) keys(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, map[string]any{"keys": []any{map[string]any{
		"kty": "RSA", "use": "sig", "alg": "RS256", "kid": keyID,
		"n": segment(i.key.N.Bytes()),
		"e": segment(big.NewInt(int64(i.key.E)).Bytes()),
	}}})
}

// token answers as GitHub's endpoint does: {"value": JWT} for the audience asked.
func (i *Issuer) token(w http.ResponseWriter, r *http.Request) {
	scheme, bearer, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	i.mu.Lock()
	g := i.grant[bearer]
	if !strings.EqualFold(scheme, "bearer") {
		g = nil
	}
	if g != nil {
		g.tokens++
	}
	i.mu.Unlock()
	if g == nil {
		http.Error(w, `{"message":"Unauthorized"}`, http.StatusUnauthorized)
		return
	}
	audience := r.FormValue("audience")
	if audience == "" {
		audience = "https://github.com/LerianStudio"
	}
	jwt, err := i.sign(claims(i.URL, g, audience, time.Now()))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	writeJSON(w, map[string]any{"value": jwt})
}

// claims are those of a GitHub workflow token that Fulcio reads, and the ones
// every token has.
func claims(issuer string, g *Grant, audience string, now time.Time) map[string]any {
	workflow := strings.TrimPrefix(g.Identity, "https://github.com/")
	path, ref, _ := strings.Cut(workflow, "@")
	repository, _, _ := strings.Cut(path, "/.github/")
	owner, _, _ := strings.Cut(repository, "/")
	sha := g.Commit
	return map[string]any{
		"iss": issuer, "aud": audience, "sub": "repo:" + repository + ":ref:" + ref,
		"iat": now.Unix(), "nbf": now.Add(-time.Minute).Unix(), "exp": now.Add(tokenLife).Unix(), "jti": rand.Text(),
		"job_workflow_ref": workflow, "job_workflow_sha": sha,
		"workflow_ref": workflow, "workflow_sha": sha, "workflow": "Release",
		"repository": repository, "repository_id": "1001", "repository_visibility": "public",
		"repository_owner": owner, "repository_owner_id": "2002",
		"ref": ref, "sha": sha, "event_name": "push",
		"run_id": "42", "run_attempt": "1", "runner_environment": "github-hosted",
	}
}

func (i *Issuer) sign(claims map[string]any) (string, error) {
	header, err := json.Marshal(map[string]string{"alg": "RS256", "typ": "JWT", "kid": keyID})
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	input := segment(header) + "." + segment(payload)
	digest := sha256.Sum256([]byte(input))
	signature, err := rsa.SignPKCS1v15(rand.Reader, i.key, crypto.SHA256, digest[:])
	if err != nil {
		return "", err
	}
	return input + "." + segment(signature), nil
}

func segment(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	// A write error means the client has gone; it will notice.
	_ = json.NewEncoder(w).Encode(v)
}

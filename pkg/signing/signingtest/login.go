// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signingtest

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// Person is who logs in at the provider.
const Person = "ana@example.com"

// Login is an OpenID provider for people, as Sigstore's Dex is one: the code flow
// with PKCE (RFC 7636) and the device flow (RFC 8628). Whoever comes is Person, and
// says yes.
type Login struct {
	Route // of the token endpoint

	oidc *OIDC
	url  string // the issuer

	mu      sync.Mutex
	codes   map[string]grant // by code, of either flow
	pending int              // answers of "authorization_pending" still to come
	denied  bool
}

// grant is what a code stands for.
type grant struct{ challenge, nonce, redirect, client string }

func newLogin(oidc *OIDC) *Login { return &Login{oidc: oidc, codes: map[string]grant{}, pending: 1} }

// URL is the issuer.
func (l *Login) URL() string { return l.url }

// Deny makes the person say no to the device from now on.
func (l *Login) Deny() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.denied = true
}

func (l *Login) discovery(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]any{
		"issuer": l.url, "authorization_endpoint": l.url + "/auth", "token_endpoint": l.url + "/token",
		"device_authorization_endpoint": l.url + "/device", "jwks_uri": l.url + "/keys",
		"code_challenge_methods_supported": []string{"S256", "plain"}, "id_token_signing_alg_values_supported": []string{"ES256"},
	})
}

func (l *Login) keys(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: l.oidc.key.Public(), Algorithm: "ES256", Use: "sig"}}})
}

// grant takes a request for a code and returns the code.
func (l *Login) grant(q url.Values) (string, error) {
	if q.Get("client_id") != "sigstore" || q.Get("code_challenge_method") != "S256" || q.Get("code_challenge") == "" || q.Get("scope") != "openid email" {
		return "", errors.New("invalid_request")
	}
	code := rand.Text()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.codes[code] = grant{challenge: q.Get("code_challenge"), nonce: q.Get("nonce"), redirect: q.Get("redirect_uri"), client: q.Get("client_id")}
	return code, nil
}

// auth is the page in the browser: the person says yes, and the browser goes back.
func (l *Login) auth(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	back, err := url.Parse(q.Get("redirect_uri"))
	code, gerr := l.grant(q)
	if err = errors.Join(err, gerr); err != nil || back.Hostname() != "localhost" || q.Get("response_type") != "code" {
		refuse(w, http.StatusBadRequest, "bad request: %v", err)
		return
	}
	back.RawQuery = url.Values{"code": {code}, "state": {q.Get("state")}}.Encode()
	http.Redirect(w, r, back.String(), http.StatusFound)
}

func (l *Login) device(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	code, err := l.grant(r.PostForm)
	if err != nil {
		refuse(w, http.StatusBadRequest, "%v", err)
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"device_code": code, "user_code": "ABCD-EFGH", "verification_uri": l.url + "/enter", "expires_in": 300, "interval": 0,
	})
}

func (l *Login) token(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	device := r.PostForm.Get("grant_type") == "urn:ietf:params:oauth:grant-type:device_code"
	code := r.PostForm.Get("code")
	if device {
		code = r.PostForm.Get("device_code")
	}
	token, problem := l.redeem(code, r.PostForm, device)
	if problem != "" {
		writeJSON(w, http.StatusBadRequest, map[string]string{"error": problem})
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"access_token": rand.Text(), "token_type": "Bearer", "expires_in": 60, "id_token": token})
}

func (l *Login) redeem(code string, form url.Values, device bool) (token, problem string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	g, ok := l.codes[code]
	sum := sha256.Sum256([]byte(form.Get("code_verifier")))
	switch {
	case !ok || base64.RawURLEncoding.EncodeToString(sum[:]) != g.challenge || !device && form.Get("redirect_uri") != g.redirect:
		return "", "invalid_grant"
	case device && l.denied:
		return "", "access_denied"
	case device && l.pending > 0:
		l.pending--
		return "", "authorization_pending"
	}
	delete(l.codes, code)
	signer, err := newSigner(l.oidc.key)
	if err != nil {
		return "", "server_error"
	}
	now := time.Now()
	token, err = jwt.Signed(signer).Claims(tokenClaims{
		Claims: jwt.Claims{
			Issuer: l.url, Subject: "0123", Audience: jwt.Audience{g.client},
			IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(time.Minute)),
		},
		Email: Person, EmailVerified: true, Nonce: g.nonce,
	}).Serialize()
	if err != nil {
		return "", "server_error"
	}
	return token, ""
}

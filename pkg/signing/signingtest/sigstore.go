// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

// Package signingtest is a Sigstore in one process, for tests and the demo:
// Fulcio, a timestamp authority, Rekor v1 and v2, and GitHub's endpoint for
// identity tokens, a login for people, over real HTTP, with real keys, proofs and checks. Each
// operation can be made to fail, and counts what it was asked.
//
// It does not depend on package testing. Certificates carry no SCTs and there
// is no certificate log.
package signingtest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	prototrustroot "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/testing/ca"
)

// Sigstore is a set of services that trust each other and nobody else.
type Sigstore struct {
	URL string // base of all services; set by Start and Serve

	OIDC   *OIDC  // of jobs
	Login  *Login // of people
	Fulcio *Fulcio
	TSA    *TSA
	Rekor  *Rekor   // v1
	Rekor2 *RekorV2 // v2
	TUF    *TUF

	// RekorVersion is the log that WriteSigningConfig names: 1 (default) or 2.
	RekorVersion uint32

	start  time.Time
	done   chan struct{}
	close  sync.Once
	server *http.Server
	wg     sync.WaitGroup
}

// New makes keys and certificates, valid from now on for two hours.
func New() (*Sigstore, error) {
	s := &Sigstore{RekorVersion: 1, start: time.Now().Add(-time.Minute).Truncate(time.Second), done: make(chan struct{})}
	rootCert, rootKey, err := ca.GenerateRootCa()
	if err != nil {
		return nil, err
	}
	if s.OIDC, err = newOIDC(); err != nil {
		return nil, err
	}
	s.TUF = &TUF{sigstore: s}
	s.Login = newLogin(s.OIDC)
	if s.Fulcio, err = newFulcio(rootCert, rootKey, s.OIDC, s.Login); err != nil {
		return nil, err
	}
	if s.TSA, err = newTSA(rootCert, rootKey); err != nil {
		return nil, err
	}
	if s.Rekor, err = newRekor(); err != nil {
		return nil, err
	}
	if s.Rekor2, err = newRekorV2(); err != nil {
		return nil, err
	}
	for _, r := range s.routes() {
		r.done = s.done
	}
	return s, nil
}

func (s *Sigstore) routes() []*Route {
	return []*Route{&s.OIDC.Route, &s.Login.Route, &s.Fulcio.Route, &s.TSA.Route, &s.Rekor.Create, &s.Rekor.Get, &s.Rekor2.Route, &s.Rekor2.Read, &s.Rekor2.Tiles, &s.TUF.Route}
}

// Handler serves all services: /token, /fulcio, /tsa, /rekor, /rekor2. Any
// other request, and any request a real service would refuse, is refused.
func (s *Sigstore) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /token", s.OIDC.Route.wrap(s.OIDC.token))
	mux.HandleFunc("GET /login/.well-known/openid-configuration", s.Login.discovery)
	mux.HandleFunc("GET /login/keys", s.Login.keys)
	mux.HandleFunc("GET /login/auth", s.Login.auth)
	mux.HandleFunc("POST /login/device", s.Login.device)
	mux.HandleFunc("POST /login/token", s.Login.Route.wrap(s.Login.token))
	mux.HandleFunc("POST /fulcio/api/v2/signingCert", s.Fulcio.Route.wrap(s.Fulcio.signingCert))
	mux.HandleFunc("POST /tsa/api/v1/timestamp", s.TSA.Route.wrap(s.TSA.timestamp))
	mux.HandleFunc("POST /rekor/api/v1/log/entries", s.Rekor.Create.wrap(s.Rekor.create))
	mux.HandleFunc("GET /rekor/api/v1/log/entries/{uuid}", s.Rekor.Get.wrap(s.Rekor.get))
	mux.HandleFunc("POST /rekor2/api/v2/log/entries", s.Rekor2.Route.wrap(s.Rekor2.create))
	mux.HandleFunc("GET /rekor2/api/v2/checkpoint", s.Rekor2.Read.wrap(s.Rekor2.readCheckpoint))
	mux.HandleFunc("GET /rekor2/api/v2/tile/{level}/{index...}", s.Rekor2.Tiles.wrap(s.Rekor2.readTile))
	mux.HandleFunc("GET /tuf/{path...}", s.TUF.Route.wrap(s.TUF.get))
	return mux
}

// Start serves on a free port of the loopback interface and sets URL.
func (s *Sigstore) Start(ctx context.Context) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.Serve(l, "http://"+l.Addr().String())
	return nil
}

// Serve serves on l in the background; baseURL is how clients reach it.
func (s *Sigstore) Serve(l net.Listener, baseURL string) {
	s.URL = baseURL
	s.Login.url = baseURL + "/login"
	s.Rekor2.origin = hostname(baseURL)
	s.Rekor.origin = hostname(baseURL)
	s.server = &http.Server{Handler: s.Handler(), ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0)}
	s.wg.Go(func() { _ = s.server.Serve(l) })
}

// Close ends all connections and waits for the server to stop.
func (s *Sigstore) Close() error {
	s.close.Do(func() { close(s.done) })
	if s.server == nil {
		return nil
	}
	err := s.server.Close()
	s.wg.Wait()
	return err
}

// FulcioURL, TimestampURL, RekorURL and RekorV2URL are the services' URLs, as flags take them.
func (s *Sigstore) FulcioURL() string { return s.URL + "/fulcio" }

// TimestampURL is the full URL of the timestamp authority.
func (s *Sigstore) TimestampURL() string { return s.URL + "/tsa/api/v1/timestamp" }

// RekorURL is the base URL of the Rekor v1 log.
func (s *Sigstore) RekorURL() string { return s.URL + "/rekor" }

// RekorV2URL is the base URL of the Rekor v2 log.
func (s *Sigstore) RekorV2URL() string { return s.URL + "/rekor2" }

// Env is what a GitHub Actions job with "id-token: write" has: NAME=value.
func (s *Sigstore) Env() []string {
	return []string{"ACTIONS_ID_TOKEN_REQUEST_URL=" + s.TokenURL(), "ACTIONS_ID_TOKEN_REQUEST_TOKEN=" + s.OIDC.requestToken}
}

// TokenURL is the identity tokens' endpoint. Like GitHub's it has a query already.
func (s *Sigstore) TokenURL() string { return s.URL + "/token?api-version=2.0" }

// RequestToken is the credential for TokenURL.
func (s *Sigstore) RequestToken() string { return s.OIDC.requestToken }

// TrustedRoot returns the trusted_root.json that vouches for these services.
func (s *Sigstore) TrustedRoot() ([]byte, error) {
	if s.URL == "" {
		return nil, errors.New("make trusted root: the services have no URL yet: call Start or Serve first")
	}
	logs := map[string]*root.TransparencyLog{}
	for _, l := range []*root.TransparencyLog{s.Rekor.trusted(s.RekorURL(), s.start), s.Rekor2.trusted(s.RekorV2URL(), s.start)} {
		logs[fmt.Sprintf("%x", l.ID)] = l
	}
	tr, err := root.NewTrustedRoot(root.TrustedRootMediaType01,
		[]root.CertificateAuthority{s.Fulcio.trusted(s.FulcioURL(), s.start)}, nil,
		[]root.TimestampingAuthority{s.TSA.trusted(s.TimestampURL(), s.start)}, logs)
	if err != nil {
		return nil, err
	}
	return tr.MarshalJSON()
}

// SigningConfig returns the signing_config.json that names these services.
func (s *Sigstore) SigningConfig() ([]byte, error) { return s.signingConfig(s.RekorVersion) }

func (s *Sigstore) signingConfig(rekor uint32) ([]byte, error) {
	service := func(u string, version uint32) []root.Service {
		return []root.Service{{URL: u, MajorAPIVersion: version, ValidityPeriodStart: s.start, Operator: "signingtest"}}
	}
	logURL := s.RekorURL()
	if rekor == 2 {
		logURL = s.RekorV2URL()
	}
	anyOf := root.ServiceConfiguration{Selector: prototrustroot.ServiceSelector_ANY}
	sc, err := root.NewSigningConfig(root.SigningConfigMediaType02,
		service(s.FulcioURL(), 1), nil, service(logURL, rekor), anyOf, service(s.TimestampURL(), 1), anyOf)
	if err != nil {
		return nil, err
	}
	return sc.MarshalJSON()
}

// WriteTrustedRoot writes trusted_root.json to path.
func (s *Sigstore) WriteTrustedRoot(path string) error { return writeFile(path, s.TrustedRoot) }

// WriteSigningConfig writes signing_config.json to path.
func (s *Sigstore) WriteSigningConfig(path string) error { return writeFile(path, s.SigningConfig) }

func writeFile(path string, content func() ([]byte, error)) error {
	b, err := content()
	if err != nil {
		return err
	}
	return os.WriteFile(path, b, 0o600)
}

func newKey() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

func newSigner(key *ecdsa.PrivateKey) (jose.Signer, error) {
	return jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, (&jose.SignerOptions{}).WithType("JWT"))
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func refuse(w http.ResponseWriter, status int, format string, args ...any) {
	writeJSON(w, status, map[string]any{"code": status, "message": fmt.Sprintf(format, args...)})
}

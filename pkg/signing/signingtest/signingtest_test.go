// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signingtest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/LerianStudio/pushguard/pkg/signing"
	"github.com/LerianStudio/pushguard/pkg/signing/signingtest"
)

// A Sigstore for a demo or a test that runs commands as processes.
func Example() {
	ctx := context.Background()
	s, err := signingtest.New()
	if err != nil {
		panic(err)
	}
	if err := s.Start(ctx); err != nil { // a free port of the loopback interface
		panic(err)
	}
	defer s.Close()
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	if err := s.WriteTrustedRoot(filepath.Join(dir, "trusted_root.json")); err != nil {
		panic(err)
	}
	if err := s.WriteSigningConfig(filepath.Join(dir, "signing_config.json")); err != nil {
		panic(err)
	}
	s.Rekor.LoseAnswer(1) // the next entry is stored, its answer is a 502
	s.Rekor.NotFound(2)   // and the log does not show it twice

	// exec signretry --trusted-root … --signing-config …, with os.Environ() and s.Env()

	fmt.Println(s.Fulcio.Certificates(), s.Rekor.Entries(), len(s.Env()))
	// Output: 0 0 2
}

func start(t *testing.T) *signingtest.Sigstore {
	t.Helper()
	s, err := signingtest.New()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// The services refuse what real ones refuse: a client that is wrong does not pass its tests.
func TestServices_strict(t *testing.T) {
	t.Parallel()
	s, other := start(t), start(t)
	foreign, err := other.OIDC.Token()
	if err != nil {
		t.Fatal(err)
	}
	own, err := s.OIDC.Token()
	if err != nil {
		t.Fatal(err)
	}
	const noProof = `{"publicKeyRequest":{"publicKey":{"algorithm":"ECDSA","content":"x"},"proofOfPossession":""}}`
	uuid := strings.Repeat("0", 80)
	tests := []struct {
		name, method, url, token, contentType, body string
		want                                        int
	}{
		{"token without credential", "GET", s.TokenURL() + "&audience=sigstore", "", "", "", 401},
		{"token for another audience", "GET", s.TokenURL() + "&audience=x", s.RequestToken(), "", "", 400},
		{"token", "GET", s.TokenURL() + "&audience=sigstore", s.RequestToken(), "", "", 200},
		{"certificate without token", "POST", s.FulcioURL() + "/api/v2/signingCert", "", "application/json", noProof, 401},
		{"certificate for a foreign token", "POST", s.FulcioURL() + "/api/v2/signingCert", foreign, "application/json", noProof, 401},
		{"certificate without a key", "POST", s.FulcioURL() + "/api/v2/signingCert", own, "application/json", noProof, 400},
		{"certificate, unknown field", "POST", s.FulcioURL() + "/api/v2/signingCert", own, "application/json", `{"x":1}`, 400},
		{"timestamp of nonsense", "POST", s.TimestampURL(), "", "application/timestamp-query", "x", 400},
		{"timestamp, wrong type", "POST", s.TimestampURL(), "", "application/json", "x", 400},
		{"entry of nonsense", "POST", s.RekorURL() + "/api/v1/log/entries", "", "application/json", `{"kind":"dsse","apiVersion":"0.0.1","spec":{}}`, 400},
		{"entry of another kind", "POST", s.RekorURL() + "/api/v1/log/entries", "", "application/json", `{"kind":"rekord","apiVersion":"0.0.1","spec":{}}`, 400},
		{"entry, wrong type", "POST", s.RekorURL() + "/api/v1/log/entries", "", "text/plain", `{}`, 415},
		{"no such entry", "GET", s.RekorURL() + "/api/v1/log/entries/" + uuid, "", "", "", 404},
		{"v2 entry of nonsense", "POST", s.RekorV2URL() + "/api/v2/log/entries", "", "application/json", `{"hashedRekordRequestV002":{}}`, 400},
		{"no such path", "GET", s.URL + "/", "", "", "", 404},
	}
	for _, tt := range tests {
		req, err := http.NewRequestWithContext(t.Context(), tt.method, tt.url, strings.NewReader(tt.body))
		if err != nil {
			t.Fatal(err)
		}
		if tt.token != "" {
			req.Header.Set("Authorization", "Bearer "+tt.token)
		}
		req.Header.Set("Content-Type", tt.contentType)
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != tt.want {
			t.Errorf("%s: %d, want %d: %s", tt.name, resp.StatusCode, tt.want, body)
		}
	}
	if s.Fulcio.Certificates() != 0 || s.Rekor.Entries() != 0 || s.Rekor2.Entries() != 0 {
		t.Error("a refused request left something behind")
	}
}

// Entries stay provable while the log grows.
func TestRekor_grows(t *testing.T) {
	t.Parallel()
	s := start(t)
	dir := t.TempDir()
	src := signing.Source{TrustedRoot: filepath.Join(dir, "root.json"), SigningConfig: filepath.Join(dir, "config.json")}
	if err := s.WriteTrustedRoot(src.TrustedRoot); err != nil {
		t.Fatal(err)
	}
	if err := s.WriteSigningConfig(src.SigningConfig); err != nil {
		t.Fatal(err)
	}
	c := signing.New(signing.Options{})
	services, trust, err := c.Load(t.Context(), src)
	if err != nil {
		t.Fatal(err)
	}
	token, err := c.Token(t.Context(), signing.ActionsToken(s.TokenURL(), s.RequestToken()))
	if err != nil {
		t.Fatal(err)
	}
	key, err := signing.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := c.Certificate(t.Context(), services.Fulcio, key, token)
	if err != nil {
		t.Fatal(err)
	}
	const n = 9
	var drafts []*signing.Draft
	s.Rekor.LoseAnswer(n)
	for i := range n {
		d, err := c.Draft(t.Context(), cert, trust, signing.FormatBundle, signing.Claim{Digest: fmt.Sprintf("sha256:%064x", i)})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Submit(t.Context(), d, services.Logs[0]); err == nil {
			t.Fatal("the answer was not lost")
		}
		drafts = append(drafts, d)
	}
	for i, d := range drafts {
		if err := c.Submit(t.Context(), d, services.Logs[0]); err != nil {
			t.Fatal(err)
		}
		if err := c.Await(t.Context(), d, services.Logs[0], trust); err != nil {
			t.Fatal(err)
		}
		b, err := c.Finish(d, trust)
		if err != nil {
			t.Fatalf("entry %d in a tree of %d: %v", i, n, err)
		}
		if !json.Valid(b.JSON) || b.LogIndex != int64(1005+i) {
			t.Errorf("entry %d has index %d", i, b.LogIndex)
		}
	}
	if s.Rekor.Entries() != n {
		t.Errorf("%d entries, want %d", s.Rekor.Entries(), n)
	}
}

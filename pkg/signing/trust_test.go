// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signing_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/LerianStudio/pushguard/pkg/signing"
	"github.com/LerianStudio/pushguard/pkg/signing/signingtest"
)

func TestLoad_sources(t *testing.T) {
	t.Parallel()
	s, err := signingtest.New()
	if err != nil {
		t.Fatal(err)
	}
	s.URL = "https://sigstore.example"
	dir := t.TempDir()
	rootFile, config := filepath.Join(dir, "root.json"), filepath.Join(dir, "config.json")
	if err := s.WriteTrustedRoot(rootFile); err != nil {
		t.Fatal(err)
	}
	if err := s.WriteSigningConfig(config); err != nil {
		t.Fatal(err)
	}
	broken := filepath.Join(dir, "broken.json")
	// Services without the selectors that sigstore-go takes for granted.
	noSelector := `{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json","caUrls":[{"url":"https://ca.example","majorApiVersion":1}],"rekorTlogUrls":[{"url":"https://r.example","majorApiVersion":1}]}`
	if err := os.WriteFile(broken, []byte(noSelector), 0o600); err != nil {
		t.Fatal(err)
	}
	full := signing.Services{
		Fulcio: "https://sigstore.example/fulcio", Timestamps: []string{"https://sigstore.example/tsa/api/v1/timestamp"},
		Logs: []signing.Log{{URL: "https://sigstore.example/rekor", Version: 1}},
	}
	v2 := full
	v2.Logs = []signing.Log{{URL: "https://r2.example", Version: 2}}
	tests := []struct {
		name    string
		src     signing.Source
		want    signing.Services
		wantErr string
	}{
		{"files", signing.Source{TrustedRoot: rootFile, SigningConfig: config}, full, ""},
		{"one URL replaces", signing.Source{TrustedRoot: rootFile, SigningConfig: config, RekorURL: "https://r2.example", RekorVersion: 2}, v2, ""},
		{"URLs", signing.Source{TrustedRoot: rootFile, FulcioURL: "https://f.example", RekorURL: "https://r.example"}, signing.Services{Fulcio: "https://f.example", Logs: []signing.Log{{URL: "https://r.example", Version: 1}}}, ""},
		{"URLs without root", signing.Source{FulcioURL: "https://f.example"}, signing.Services{}, "without a trusted root"},
		{"root alone", signing.Source{TrustedRoot: rootFile}, signing.Services{}, "no certificate authority"},
		{"no log, no time", signing.Source{TrustedRoot: rootFile, FulcioURL: "https://f.example"}, signing.Services{}, "neither a transparency log nor a timestamp authority"},
		{"v2 without time", signing.Source{TrustedRoot: rootFile, FulcioURL: "https://f.example", RekorURL: "https://r.example", RekorVersion: 2}, signing.Services{}, "needs a timestamp authority"},
		{"version 3", signing.Source{TrustedRoot: rootFile, FulcioURL: "https://f.example", RekorURL: "https://r.example", RekorVersion: 3}, signing.Services{}, "API version 3 is not known"},
		{"no such version", signing.Source{TrustedRoot: rootFile, SigningConfig: config, RekorVersion: 2}, signing.Services{}, "transparency log: no matching services"},
		{"not yet valid", signing.Source{TrustedRoot: rootFile, SigningConfig: config, Now: func() time.Time { return time.Unix(0, 0) }}, signing.Services{}, "certificate authority: no matching service"},
		{"not a URL", signing.Source{TrustedRoot: rootFile, FulcioURL: "f.example", RekorURL: "https://r.example"}, signing.Services{}, "is not an http or https URL"},
		{"no selectors", signing.Source{TrustedRoot: rootFile, SigningConfig: broken}, signing.Services{}, "neither a transparency log"},
		{"no such file", signing.Source{TrustedRoot: filepath.Join(dir, "none.json")}, signing.Services{}, "read trusted root"},
		{"wrong file", signing.Source{TrustedRoot: config, SigningConfig: config}, signing.Services{}, "read trusted root"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, _, err := signing.New(signing.Options{}).Load(t.Context(), tt.src)
			if tt.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tt.wantErr) || !signing.IsKind(err, signing.KindConfig) {
					t.Fatalf("error %v, want KindConfig with %q", err, tt.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("services (-want +got):\n%s", diff)
			}
		})
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// The public mirror is down and nothing is cached: an outage, and one request.
func TestLoad_publicMirrorDown(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	requests := 0
	c := signing.New(signing.Options{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		requests++
		return &http.Response{StatusCode: http.StatusServiceUnavailable, Header: http.Header{"Retry-After": {"9"}}, Body: io.NopCloser(strings.NewReader("down")), Request: r}, nil
	})})
	_, _, err := c.Load(t.Context(), signing.Source{})
	want := verdict{signing.StageTrust, signing.KindUnavailable, 503, true, 9 * time.Second}
	if diff := cmp.Diff(want, verdictOf(t, err)); diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if requests != 1 {
		t.Errorf("%d requests, want 1", requests)
	}
}

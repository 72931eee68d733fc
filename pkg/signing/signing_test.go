// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signing_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/LerianStudio/pushguard/pkg/signing"
	"github.com/LerianStudio/pushguard/pkg/signing/signingtest"
)

const digest = "sha256:4355a46b19d348dc2f57c046f8ef63d4538ebb936000f3c9ee954a27460dd865"

// lab is a Sigstore in memory and a client that knows it. It lives in a
// synctest bubble: waits cost nothing.
type lab struct {
	*signingtest.Sigstore

	log      *bytes.Buffer
	client   *signing.Client
	services signing.Services
	trust    *signing.Trust
}

func newLab(t *testing.T, rekorVersion uint32) *lab {
	t.Helper()
	s, err := signingtest.New()
	if err != nil {
		t.Fatal(err)
	}
	pipe := signingtest.NewPipe()
	s.Serve(pipe, "http://sigstore.test")
	s.RekorVersion = rekorVersion
	transport := pipe.Transport()
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		_ = s.Close()
		_ = pipe.Close()
	})
	log := &bytes.Buffer{}
	l := &lab{Sigstore: s, log: log, client: signing.New(signing.Options{
		Transport: transport, Timeout: 30 * time.Second, Cache: t.TempDir(), Logger: slog.New(slog.NewTextHandler(log, nil)),
	})}
	dir := t.TempDir()
	src := signing.Source{TrustedRoot: filepath.Join(dir, "root.json"), SigningConfig: filepath.Join(dir, "config.json")}
	if err := errors.Join(s.WriteTrustedRoot(src.TrustedRoot), s.WriteSigningConfig(src.SigningConfig)); err != nil {
		t.Fatal(err)
	}
	if l.services, l.trust, err = l.client.Load(t.Context(), src); err != nil {
		t.Fatal(err)
	}
	return l
}

func (l *lab) source() signing.TokenSource {
	return signing.ActionsToken(l.TokenURL(), l.RequestToken())
}

func (l *lab) certificate(ctx context.Context) (*signing.Certificate, error) {
	token, err := l.client.Token(ctx, l.source())
	if err != nil {
		return nil, err
	}
	key, err := signing.NewKey()
	if err != nil {
		return nil, err
	}
	return l.client.Certificate(ctx, l.services.Fulcio, key, token)
}

func (l *lab) draft(ctx context.Context) (*signing.Draft, error) {
	cert, err := l.certificate(ctx)
	if err != nil {
		return nil, err
	}
	return l.client.Draft(ctx, cert, l.trust, signing.FormatBundle, signing.Claim{Digest: digest})
}

// sign goes through all stages once.
func (l *lab) sign(ctx context.Context) (*signing.Bundle, error) {
	d, err := l.draft(ctx)
	if err != nil {
		return nil, err
	}
	for _, u := range l.services.Timestamps {
		if err := l.client.Stamp(ctx, d, u); err != nil {
			return nil, err
		}
	}
	for _, log := range l.services.Logs {
		if err := l.client.Submit(ctx, d, log); err != nil {
			return nil, err
		}
		if err := l.client.Await(ctx, d, log, l.trust); err != nil {
			return nil, err
		}
	}
	return l.client.Finish(d, l.trust)
}

func TestSign_allStages(t *testing.T) {
	t.Parallel()
	for version, wantLog := range map[uint32]signing.Verified{
		1: {LogURL: "http://sigstore.test/rekor", LogIndex: 1005},
		2: {LogURL: "http://sigstore.test/rekor2", LogIndex: 5},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := newLab(t, version)
			b, err := l.sign(t.Context())
			if err != nil {
				t.Fatalf("rekor v%d: sign: %v", version, err)
			}
			want := wantLog
			want.Type = signing.PredicateType
			want.Annotations = map[string]string{}
			want.Identity = signing.Identity{Subject: l.OIDC.Subject(), Issuer: signingtest.Issuer}
			got, err := l.client.Verify(b.JSON, l.trust, digest, want.Identity.Only())
			if err != nil {
				t.Fatalf("rekor v%d: verify: %v", version, err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("rekor v%d: verified (-want +got):\n%s", version, diff)
			}
			for _, wrong := range []struct {
				name   string
				digest string
				id     signing.Identity
			}{
				{"another digest", "sha256:" + strings.Repeat("0", 64), want.Identity},
				{"another subject", digest, signing.Identity{Subject: "https://github.com/evil/x/.github/workflows/x.yml@refs/heads/main", Issuer: signingtest.Issuer}},
				{"another issuer", digest, signing.Identity{Subject: want.Identity.Subject, Issuer: "https://evil.example"}},
			} {
				if _, err := l.client.Verify(b.JSON, l.trust, wrong.digest, wrong.id.Only()); !signing.IsKind(err, signing.KindInvalid) {
					t.Errorf("rekor v%d: verify for %s: %v, want KindInvalid", version, wrong.name, err)
				}
			}
		})
	}
}

// A private authority with an intermediate: a bundle brings it along only where the
// trust root lacks it, and never the root.
func TestDraft_intermediate(t *testing.T) {
	t.Parallel()
	for _, hidden := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			l := newLab(t, 1)
			if hidden {
				l.Fulcio.HideIntermediate()
				path := filepath.Join(t.TempDir(), "root.json")
				if err := l.WriteTrustedRoot(path); err != nil {
					t.Fatal(err)
				}
				var err error
				if l.trust, err = signing.LoadTrust(path); err != nil {
					t.Fatal(err)
				}
			}
			b, err := l.sign(t.Context())
			if err != nil {
				t.Fatalf("hidden %t: %v", hidden, err)
			}
			var got struct {
				VerificationMaterial struct {
					Certificate *struct{} `json:"certificate"`
					Chain       *struct {
						Certificates []struct{} `json:"certificates"`
					} `json:"x509CertificateChain"`
				} `json:"verificationMaterial"`
			}
			if err := json.Unmarshal(b.JSON, &got); err != nil {
				t.Fatal(err)
			}
			if vm := got.VerificationMaterial; (vm.Certificate == nil) != hidden || hidden && len(vm.Chain.Certificates) != 2 {
				t.Errorf("hidden %t: verification material %+v, want the leaf, and the intermediate where it is hidden", hidden, vm)
			}
			if _, err := l.client.Verify(b.JSON, l.trust, digest, b.Identity.Only()); err != nil {
				t.Errorf("hidden %t: verify: %v", hidden, err)
			}
		})
	}
}

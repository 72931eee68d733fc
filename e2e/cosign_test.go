// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"strings"
	"testing"
)

// registries are the two ways a registry can keep signatures.
func registries() map[string]func(*testing.T) string {
	return map[string]func(*testing.T) string{
		"no referrers API": func(t *testing.T) string {
			t.Helper()
			return start(t, func(ctx context.Context) (string, error) { return e2e.Distribution(ctx, true) })
		},
		"referrers API": func(t *testing.T) string {
			t.Helper()
			return start(t, e2e.Olareg)
		},
	}
}

func start(t *testing.T, registry func(context.Context) (string, error)) string {
	t.Helper()
	host, err := registry(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return host
}

// The proof of the harness itself: cosign signs, cosign verifies, and refuses
// what it should.
func TestCosign(t *testing.T) {
	t.Parallel()
	for name, registry := range registries() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			repository := registry(t) + "/org/app"
			job := newJob(t)
			image := repository + "@" + push(t, newImage(t), repository+":1.0.0")
			other := repository + "@" + push(t, newImage(t), repository+":1.0.1")

			res, err := e2e.Sign(t.Context(), job.Grant, job.config, image)
			if err != nil || res.Code != 0 {
				t.Fatalf("cosign sign = %+v, %v", res, err)
			}
			mustVerify(t, job.Identity, image)
			mustRefuse(t, job.Identity+"x", image, "no matching CertificateIdentity found")
			mustRefuse(t, job.Identity, other, "no signatures found")
		})
	}
}

func mustVerify(t *testing.T, identity, image string) {
	t.Helper()
	res, err := e2e.Verify(t.Context(), identity, image)
	if err != nil {
		t.Fatal(err)
	}
	if res.Code != 0 {
		t.Fatalf("cosign verify %s for %s: exit %d, want 0\n%s", image, identity, res.Code, res.Stderr)
	}
}

// mustRefuse wants cosign to refuse image, and to say reason.
func mustRefuse(t *testing.T, identity, image, reason string) {
	t.Helper()
	res, err := e2e.Verify(t.Context(), identity, image)
	if err != nil {
		t.Fatal(err)
	}
	if res.Code == 0 || !strings.Contains(res.Stderr, reason) {
		t.Fatalf("cosign verify %s for %s: exit %d, want a refusal with %q\n%s", image, identity, res.Code, reason, res.Stderr)
	}
}

// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"strings"
	"testing"

	"github.com/LerianStudio/pushguard/e2e/stack"
)

// registries are the two ways a registry can keep signatures.
func registries() map[string]func(testing.TB) string {
	return map[string]func(testing.TB) string{
		"no referrers API": func(tb testing.TB) string {
			tb.Helper()
			return start(tb, func(ctx context.Context) (string, error) { return e2e.Distribution(ctx, true) })
		},
		"referrers API": func(tb testing.TB) string {
			tb.Helper()
			return start(tb, e2e.Olareg)
		},
	}
}

func start(tb testing.TB, registry func(context.Context) (string, error)) string {
	tb.Helper()
	host, err := registry(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	return host
}

// The proof of the harness itself: the cosigns sign, the judges verify, and refuse
// what they should. cosign 2 makes entries of a kind that this Rekor v2 no longer
// takes, so it signs with Rekor v1 alone.
func TestCosign(t *testing.T) {
	t.Parallel()
	for name, registry := range registries() {
		for signer, with := range map[string]struct {
			cosign stack.Cosign
			log    stack.Log
			judges []stack.Judge
			reason string
		}{
			"cosign 3, Rekor v1": {e2e.Cosign3(), e2e.RekorV1, e2e.BundleJudges(), "no matching CertificateIdentity found"},
			"cosign 3, Rekor v2": {e2e.Cosign3(), e2e.RekorV2, e2e.BundleJudges(), "no matching CertificateIdentity found"},
			"cosign 2, Rekor v1": {e2e.Cosign2(), e2e.RekorV1, e2e.LegacyJudges(), "none of the expected identities matched"},
		} {
			t.Run(name+"/"+signer, func(t *testing.T) {
				t.Parallel()
				repository := registry(t) + "/org/app"
				job := newJobOn(t, with.log)
				image := repository + "@" + push(t, newImage(t), repository+":1.0.0")
				other := repository + "@" + push(t, newImage(t), repository+":1.0.1")

				job.cosign(t, with.cosign, image)
				wantCounts(t, job, 1, 1)
				mustAccept(t, with.judges, job.Identity, image)
				mustDecline(t, with.judges[:1], job.Identity+"x", image, with.reason)
				mustDecline(t, with.judges[:1], job.Identity, other, "no signatures found")
				mustDecline(t, with.judges[1:], job.Identity+"x", image, "")
				mustDecline(t, with.judges[1:], job.Identity, other, "")
			})
		}
	}
}

// cosign signs as the job, which must succeed.
func (j job) cosign(t *testing.T, c stack.Cosign, args ...string) {
	t.Helper()
	res, err := c.Run(t.Context(), j.Env(), c.SignArgs(j.config, j.endpoints, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	if res.Code != 0 {
		t.Fatalf("cosign %s sign %v: exit %d, want 0\n%s", c.Version, args, res.Code, res.Stderr)
	}
}

// mustVerify wants every judge of bundles to accept image.
func mustVerify(t *testing.T, identity, image string, args ...string) {
	t.Helper()
	mustAccept(t, e2e.BundleJudges(), identity, image, args...)
}

func mustAccept(t *testing.T, judges []stack.Judge, identity, image string, args ...string) {
	t.Helper()
	for _, judge := range judges {
		res, err := judge.Verify(t.Context(), identity, image, args...)
		if err != nil {
			t.Fatal(err)
		}
		if res.Code != 0 {
			t.Fatalf("%s: verify %s for %s: exit %d, want 0\n%s", judge.Name, image, identity, res.Code, res.Stderr)
		}
	}
}

// mustRefuse wants the judges of bundles to refuse image, and cosign 3 to say reason.
func mustRefuse(t *testing.T, identity, image, reason string) {
	t.Helper()
	mustDecline(t, e2e.BundleJudges()[:1], identity, image, reason)
}

func mustDecline(t *testing.T, judges []stack.Judge, identity, image, reason string, args ...string) {
	t.Helper()
	for _, judge := range judges {
		res, err := judge.Verify(t.Context(), identity, image, args...)
		if err != nil {
			t.Fatal(err)
		}
		if res.Code == 0 || !strings.Contains(res.Stderr, reason) {
			t.Fatalf("%s: verify %s for %s: exit %d, want a refusal with %q\n%s", judge.Name, image, identity, res.Code, reason, res.Stderr)
		}
	}
}

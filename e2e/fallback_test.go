// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"strings"
	"testing"

	"github.com/LerianStudio/pushguard/e2e/stack"
)

// Rekor v1 is down for good and Rekor v2 is up: signed and attested by the fallback, on
// both kinds of registry, and cosign 3 accepts it. Without the fallback it is exit 3.
func TestFallback(t *testing.T) {
	t.Parallel()
	for kind, registry := range registries() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			j, second := newJobOn(t, e2e.RekorV1), newJob(t)
			down := j.endpoints
			down.Rekor = stack.Log{URL: "http://127.0.0.1:1", Version: 1}
			var err error
			if j.config, err = e2e.SigningConfig(t.Context(), t.TempDir(), down); err != nil {
				t.Fatal(err)
			}
			repository := registry(t) + "/org/app"
			image := repository + "@" + push(t, newImage(t), repository+":1")
			j.sign(t, 3, "--max-elapsed=3s", image)
			res := j.sign(t, 0, "--json", "--fallback-after=2s", "--fallback-signing-config="+second.config, image)
			wantStatus(t, res, "signed")
			if !strings.Contains(res.Stderr, "the log is down for too long, going on with Rekor v2") || !strings.Contains(res.Stdout, `"fell_back":"`) {
				t.Errorf("it does not say that it fell back:\n%s%s", res.Stdout, res.Stderr)
			}
			wantCounts(t, second, 0, 1)
			mustAccept(t, e2e.BundleJudges()[:1], j.Identity, image)
			wantStatus(t, j.sign(t, 0, "--json", image), "already")
		})
	}
}

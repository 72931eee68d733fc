// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"net/http"
	"strings"
	"testing"

	"github.com/LerianStudio/pushguard/e2e/stack"
)

// What has been won is kept: whichever stage fails for a while, the run ends
// signed with one certificate.
func TestSign_outages(t *testing.T) {
	t.Parallel()
	busy, reset := stack.Status(http.StatusServiceUnavailable), stack.Reset()
	tests := map[string]struct {
		fulcio, tsa, rekor []stack.Fault
	}{
		"Fulcio and Rekor busy twice": {
			fulcio: posts(2, busy),
			rekor:  posts(2, busy),
		},
		"every connection cut once": {
			fulcio: posts(1, reset),
			tsa:    posts(1, reset),
			rekor:  posts(1, reset),
		},
		"timestamp authority busy five times": {
			tsa: posts(5, busy),
		},
		"Rekor limits the rate": {
			rekor: posts(3, stack.Status(http.StatusTooManyRequests)),
		},
	}
	host := start(t, e2e.Olareg)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := newJob(t)
			repository := host + "/org/app"
			image := repository + "@" + push(t, newImage(t), repository+":latest")
			j.fulcio.Break(test.fulcio...)
			j.tsa.Break(test.tsa...)
			j.rekor.Break(test.rekor...)

			j.sign(t, 0, image)
			mustVerify(t, j.Identity, image)
			wantCounts(t, j, 1, 1)
		})
	}
}

// Rekor v2 has the entry, and its answer is lost: it is read from the log's tiles,
// one certificate and one entry all the same.
func TestSign_lostAnswer(t *testing.T) {
	t.Parallel()
	j := newJob(t)
	repository := start(t, e2e.Olareg) + "/org/app"
	image := repository + "@" + push(t, newImage(t), repository+":1.0.0")
	j.rekor.Break(posts(1, stack.Lost(http.StatusBadGateway))...)

	j.sign(t, 0, image)
	mustVerify(t, j.Identity, image)
	wantCounts(t, j, 1, 1)
	if got := j.Tokens(); got != 1 {
		t.Errorf("asked for %d identity tokens, want 1", got)
	}
}

// An outage that outlasts the budget: exit 3 says that running again can help,
// and it does.
func TestSign_givesUp(t *testing.T) {
	t.Parallel()
	j := newJob(t)
	repository := start(t, e2e.Olareg) + "/org/app"
	image := repository + "@" + push(t, newImage(t), repository+":1.0.0")
	j.rekor.Break(posts(3, stack.Status(http.StatusServiceUnavailable))...)

	j.sign(t, 3, "--max-attempts=3", image)
	mustRefuse(t, j.Identity, image, "no signatures found")
	j.sign(t, 0, image)
	mustVerify(t, j.Identity, image)
}

// What no retry can mend is reported at once, with exit 1.
func TestSign_noRight(t *testing.T) {
	t.Parallel()
	j := newJob(t)
	repository := start(t, e2e.Olareg) + "/org/app"
	image := repository + "@" + push(t, newImage(t), repository+":1.0.0")
	j.Revoke()

	res := j.sign(t, 1, image)
	if !strings.Contains(res.Stderr, "401") {
		t.Error("stderr does not hold the issuer's answer, 401")
	}
	wantCounts(t, j, 0, 0)
	mustRefuse(t, j.Identity, image, "no signatures found")

	res = j.sign(t, 0, "--on-failure=warn", image)
	if !strings.Contains(res.Stderr, "warning") || !strings.Contains(res.Stderr, "to sign later: signretry ") {
		t.Error("stderr has no warning with the command that signs later")
	}
}

// A signature of another image, hung on this one, is nobody's signature: cosign
// refuses it, and signretry does not take it for its own.
func TestSign_foreignSignature(t *testing.T) {
	t.Parallel()
	j := newJob(t)
	repository := start(t, e2e.Olareg) + "/org/app"
	signed := repository + "@" + push(t, newImage(t), repository+":1.0.0")
	other := repository + "@" + push(t, newImage(t), repository+":1.0.1")
	j.sign(t, 0, signed)
	hang(t, signed, other)

	mustRefuse(t, j.Identity, other, "no matching attestations")
	j.sign(t, 0, other)
	mustVerify(t, j.Identity, other)
}

// posts break the next n POSTs.
func posts(n int, effect stack.Effect) []stack.Fault {
	return []stack.Fault{{Method: "POST", Times: n, Effect: effect}}
}

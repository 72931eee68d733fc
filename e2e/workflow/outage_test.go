// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"net/http"
	"testing"

	"github.com/LerianStudio/pushguard/e2e/stack"
)

// The outage of the need: Rekor takes the entry and its answer is lost, then it is
// down for a while. It ends within the first attempt, signed once.
func TestOutageOfRekor(t *testing.T) {
	t.Parallel()
	r := newTeam(t)
	r.rekor.Break(
		stack.Fault{Method: "POST", Effect: stack.Lost(http.StatusBadGateway)},
		stack.Fault{Method: "POST", Times: 2, Effect: stack.Status(http.StatusServiceUnavailable)},
	)
	got := r.release(t, whole...)
	got.want(t, false, "trying again", "started app-sync.yml", "!Clean up")
	digest := r.published(t)
	got.wantOutputs(t, digest, true)
	r.wantSignedOnce(t, digest)
}

// A registry cannot be asked: nothing is built, and nothing is taken for absent. Run
// again it is a first run.
func TestRerun_afterRegistryOutage(t *testing.T) {
	t.Parallel()
	r := newTeam(t)
	r.env = []string{"TAGCHECK_MAX_ATTEMPTS=2", "SIGNRETRY_MAX_ATTEMPTS=2"}
	r.hub.break503(true)
	r.release(t, with("on_existing_tag: skip", "cleanup_on_failure: true")...).want(t, true,
		"verdict: unknown, should build: no", "outage", "!exporting to image", "nothing to undo")
	r.hub.break503(false)
	r.wantTags(t, tags{})

	got := r.release(t, with("on_existing_tag: skip")...)
	got.want(t, false, "verdict: new, should build: yes")
	digest := r.published(t)
	got.wantOutputs(t, digest, true)
	r.wantSignedOnce(t, digest)
}

// The job has no right to identity tokens: final at once, with the line that is
// missing; the image is there, and the next attempt signs it.
func TestRerun_afterMissingRight(t *testing.T) {
	t.Parallel()
	r := newTeam(t)
	r.unprivileged = true
	first := r.release(t, with("continue_gitops_on_signing_failure: false")...)
	first.want(t, true, `add "permissions: id-token: write" to the job`)
	r.wantTags(t, tags{})

	r.unprivileged = false
	second := r.release(t, whole...)
	second.want(t, false, "verdict: pushed, should build: no")
	digest := r.published(t)
	second.wantOutputs(t, digest, true)
	r.wantSignedOnce(t, digest)
}

// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/LerianStudio/pushguard/e2e/stack"
)

// whole are the inputs of a release that does everything.
var whole = []string{
	"moving_tags: latest", "enable_gitops_artifacts: true",
	"enable_helm_dispatch: true", "helm_repository: org/helm",
}

// outage is more refusals than any run makes requests.
func outage() stack.Fault {
	return stack.Fault{Method: "POST", Times: 500, Effect: stack.Status(http.StatusServiceUnavailable)}
}

func with(inputs ...string) []string { return append(slices.Clone(whole), inputs...) }

func TestFirstRun(t *testing.T) {
	t.Parallel()
	r := newTeam(t)
	r.secrets["GITHUB_TOKEN"], r.secrets["DOCKERHUB_TOKEN"] = "ghs-secret", "hub-secret"
	got := r.release(t, with("dockerhub_username: me")...)
	got.want(t, false, "!ghs-secret", "!hub-secret", "verdict: new, should build: yes", "### Tag check: new", "### signretry", "Verified OK", "started update-chart.yml of org/helm", "!Clean up")
	digest := r.published(t)
	got.wantOutputs(t, digest, true, true)
	r.wantSignedOnce(t, digest)
	for _, tag := range r.record(t) {
		if tag.Before.State != "absent" || tag.Published == nil || tag.Published.Digest != digest || len(tag.Signatures) != 1 {
			t.Errorf("recorded %+v, want it absent before, published and signed", tag)
		}
	}
	logins, err := os.ReadFile(filepath.Join(e2e.docker, "logins"))
	if !strings.Contains(string(logins), "login --username me --password-stdin "+r.hub.host) || !strings.Contains(string(logins), "--password-stdin "+r.ghcr.host) || !strings.Contains(string(logins), "logout "+r.hub.host) {
		t.Errorf("logins: %v\n%s", err, logins)
	}
	tag, err := os.ReadFile(filepath.Join(r.artifacts, "gitops-tags-0", "app.tag"))
	if string(tag) != "1.2.3" {
		t.Errorf("GitOps artifact: %q, %v, want 1.2.3", tag, err)
	}
	if bodies := r.helm.sent(); len(bodies) != 1 || !strings.Contains(bodies[0], `"version":"1.2.3"`) || !strings.Contains(bodies[0], digest) {
		t.Errorf("dispatched %q, want one with the version and %s", bodies, digest)
	}
}

// The failure of the need: pushed, then not signed. Run again it signs what is
// there, and builds nothing.
func TestRerun_afterSigningFailed(t *testing.T) {
	t.Parallel()
	r := newTeam(t)
	r.rekor.Break(outage())
	first := r.release(t, with("on_existing_tag: skip", "sign_max_attempts: 2")...)
	first.want(t, true, "gave up after 2 attempts", "this is the plan, nothing was changed", "!Start the update")
	digest := r.published(t)
	pushes := r.ghcr.pushed()

	r.rekor.Heal()
	second := r.release(t, with("on_existing_tag: skip")...)
	second.want(t, false, "verdict: complete, should build: no", "!exporting to image", "started update-chart.yml")
	second.wantOutputs(t, digest, false, true)
	r.wantTags(t, everywhere(digest))
	if r.ghcr.pushed() != pushes {
		t.Errorf("%d pushes, want no new one after %d", r.ghcr.pushed(), pushes)
	}
	r.wantSigned(t, digest)
	r.wantCounts(t, 2, 1) // the first attempt's certificate ended with its job
}

// Without skip the re-run stops before the build, and says how to go on.
func TestExistingTag(t *testing.T) {
	t.Parallel()
	for mode, test := range map[string]struct {
		failed, built bool
		texts         []string
	}{
		"''":   {true, false, []string{"already exists: building it again", "run with --on-existing=skip", "!exporting to image"}},
		"fail": {true, false, []string{"already exists: building it again", "!exporting to image"}},
		"skip": {false, false, []string{"verdict: complete, should build: no", "!exporting to image", "already signed"}},
		"warn": {false, true, []string{"the tag exists and will be overwritten", "exporting to image"}},
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			r := newTeam(t)
			r.release(t, whole...).want(t, false)
			before := r.published(t)
			r.again(t)
			r.write(t, "app.txt", "changed")
			got := r.release(t, with("on_existing_tag: "+mode, "cleanup_on_failure: true")...)
			got.want(t, test.failed, test.texts...)
			after := r.published(t)
			if (after != before) != test.built {
				t.Errorf("%s, before %s: want a new image: %t", after, before, test.built)
			}
			if !test.failed {
				got.wantOutputs(t, after, test.built, true)
			}
			if !test.built {
				r.wantSignedOnce(t, before)
			}
		})
	}
}

// The failure of the need's second act: with warn, the build's push is refused by an
// immutable tag. Nothing was changed, and nothing is undone.
func TestExistingTag_immutable(t *testing.T) {
	t.Parallel()
	r := newTeam(t)
	r.release(t, whole...).want(t, false)
	before := r.published(t)
	r.again(t)
	r.ghcr.set(false, true)
	r.hub.set(false, true)
	r.write(t, "app.txt", "changed")
	r.release(t, with("on_existing_tag: warn", "cleanup_on_failure: true")...).want(t, true, "overwritten, or the push refused if it is immutable", "failed to push", "### Clean-up")
	r.wantTags(t, everywhere(before))
	r.wantSignedOnce(t, before)
}

// A registry refuses the push half-way. Run again the other's image is copied, by
// digest, also to the moving tag.
func TestRerun_afterPartialPush(t *testing.T) {
	t.Parallel()
	r := newTeam(t)
	r.release(t, with("version: 1.2.2")...).want(t, false)
	earlier := r.tags(t).hubLatest
	r.again(t)
	r.write(t, "app.txt", "changed")
	r.hub.set(true, false)
	first := r.release(t, with("on_existing_tag: skip")...)
	first.want(t, true, ": denied", "!Start the update")
	partial := r.tags(t)
	if partial.ghcr == "" || partial.hub != "" || partial.hubLatest != earlier {
		t.Fatalf("tags are %+v, want the new ones in one registry", partial)
	}

	r.hub.set(false, false)
	second := r.release(t, with("on_existing_tag: skip")...)
	second.want(t, false, "verdict: partial, should build: no", "copied "+r.ghcr.host, "!exporting to image")
	r.wantTags(t, everywhere(partial.ghcr))
	second.wantOutputs(t, partial.ghcr, false, true)
	r.wantSigned(t, partial.ghcr)

	// And once more: nothing is left to do.
	r.release(t, with("on_existing_tag: skip")...).want(t, false, "verdict: complete", "!copied ", "already signed")
	r.wantSigned(t, partial.ghcr)
	r.wantCounts(t, 2, 2) // of the earlier release, and of this one
}

// Rekor is down for good.
func TestRekorDown(t *testing.T) {
	t.Parallel()
	for value, failed := range map[string]bool{"true": false, "false": true, "''": true} {
		t.Run(value, func(t *testing.T) {
			t.Parallel()
			r := newTeam(t)
			r.rekor.Break(outage())
			got := r.release(t, with("sign_max_attempts: 2", "continue_gitops_on_signing_failure: "+value)...)
			got.want(t, failed, "to sign later: signretry ", "### signretry")
			digest := r.published(t)
			if failed {
				if _, err := os.Stat(filepath.Join(r.artifacts, "gitops-tags-0")); err == nil || len(r.helm.sent()) != 0 {
					t.Error("the GitOps artifact or the Helm update is there, want neither")
				}
				return
			}
			got.wantOutputs(t, digest, true, false)
			if _, err := os.Stat(filepath.Join(r.artifacts, "gitops-tags-0")); err != nil || len(r.helm.sent()) != 1 {
				t.Errorf("GitOps artifact: %v, %d dispatches, want both", err, len(r.helm.sent()))
			}
		})
	}
}

// A later step fails: what the run published goes, or stays as the plan says.
func TestCleanup(t *testing.T) {
	t.Parallel()
	for value, cleaned := range map[string]bool{"true": true, "false": false, "''": false} {
		for _, step := range []string{"GitOps upload", "Helm dispatch"} {
			t.Run(step+" "+value, func(t *testing.T) {
				t.Parallel()
				r := newTeam(t)
				// An earlier release has latest: it gets it back.
				r.release(t, with("version: 1.2.2")...).want(t, false)
				earlier := r.tags(t)
				r.again(t)
				r.write(t, "app.txt", "changed")
				r.fail(step, true)
				first := r.release(t, with("on_existing_tag: skip", "cleanup_on_failure: "+value)...)
				if cleaned {
					first.want(t, true, "### Clean-up", "delete   done", "restore  done")
					r.wantTags(t, earlier)
				} else {
					first.want(t, true, "this is the plan, nothing was changed", "delete   planned", "restore  planned")
					r.published(t)
				}

				// Run again it ends as a run that never failed.
				r.fail(step, false)
				before := r.tags(t).ghcr
				second := r.release(t, with("on_existing_tag: skip")...)
				second.want(t, false)
				digest := r.published(t)
				if before != "" && digest != before {
					t.Errorf("%s after the re-run, %s before", digest, before)
				}
				second.wantOutputs(t, digest, cleaned, true)
				r.wantSigned(t, digest)
			})
		}
	}
}

func (r *team) fail(step string, fails bool) {
	r.env = nil
	if step == "Helm dispatch" {
		r.helm.set(fails)
	} else if fails {
		r.env = []string{"E2E_FAIL_UPLOAD=gitops-tags-*"}
	}
}

// An immutable tag is in the way of the clean-up: a warning with the digest, and no
// failure of the clean-up itself.
func TestCleanup_immutable(t *testing.T) {
	t.Parallel()
	r := newTeam(t)
	r.hub.set(false, true)
	r.fail("Helm dispatch", true)
	got := r.release(t, with("cleanup_on_failure: true", "on_existing_tag: skip")...)
	digest := r.hub.digest(t, r.name+"/app", "1.2.3")
	got.want(t, true, "could not be undone: the tag is immutable", digest, "By hand, for ", "Success - Main Undo what this run published")
	if digest == "" || r.ghcr.digest(t, r.name+"/app", "1.2.3") != "" {
		t.Errorf("tags are %+v, want them gone from GHCR alone", r.tags(t))
	}

	// The run is done again: GHCR is completed from what Docker Hub kept.
	r.fail("Helm dispatch", false)
	r.release(t, with("on_existing_tag: skip")...).want(t, false, "copied "+r.hub.host)
	if got := r.published(t); got != digest {
		t.Errorf("%s is published, want %s", got, digest)
	}
}

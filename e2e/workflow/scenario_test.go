// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

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

// bothOrders runs a scenario with names last, which is the default, and with tags first.
// A watcher sees that with names last no tag names an unsigned image at any time.
func bothOrders(t *testing.T, scenario func(t *testing.T, r *team)) {
	t.Helper()
	for name, first := range map[string]bool{"names last": false, "tags first": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTeam(t)
			r.tagsFirst = first
			r.watch(t)
			scenario(t, r)
		})
	}
}

func TestFirstRun(t *testing.T) {
	t.Parallel()
	bothOrders(t, func(t *testing.T, r *team) {
		t.Helper()
		r.secrets["GITHUB_TOKEN"], r.secrets["GHCR_TOKEN"], r.secrets["DOCKERHUB_TOKEN"] = "ghs-secret", "ghcr-secret", "hub-secret"
		got := r.release(t, with("dockerhub_username: me")...)
		got.want(t, false, "!ghs-secret", "!ghcr-secret", "!hub-secret", "verdict: new, should build: yes", "### Tag check: new", "### signretry", "Verified OK", "started app-sync.yml of org/helm", "!Clean up")
		digest := r.published(t)
		got.wantOutputs(t, digest, true)
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
		files, err := filepath.Glob(filepath.Join(r.artifacts, "gitops-tags-app", "*"))
		if err != nil || len(files) != 1 {
			t.Fatalf("GitOps artifact: %q, %v, want one file", files, err)
		}
		if tag, err := os.ReadFile(files[0]); filepath.Base(files[0]) != "app.tag" || string(tag) != "1.2.3" {
			t.Errorf("GitOps artifact: %s holds %q, %v, want app.tag with 1.2.3", files[0], tag, err)
		}
		if bodies := r.helm.sent(); len(bodies) != 1 || !strings.Contains(bodies[0], `{"ref":"main","inputs":{"payload":"{\"version\":\"1.2.3\",`) || !strings.Contains(bodies[0], digest) {
			t.Errorf("dispatched %q, want one with the version and %s", bodies, digest)
		}
	})
}

// The failure of the need: built, and then signing is down for good. Run again it signs
// what is there, and builds nothing. With names last there is no tag until then.
func TestRerun_afterSigningFailed(t *testing.T) {
	t.Parallel()
	bothOrders(t, func(t *testing.T, r *team) {
		t.Helper()
		r.rekor.Break(outage())
		first := r.release(t, with("sign_max_attempts: 2")...)
		first.want(t, true, "gave up after 2 attempts", "!Start the update")
		digest := r.tags(t).ghcr
		if r.tagsFirst {
			digest = r.published(t)
			if len(r.watcher.seen()) == 0 {
				t.Error("the watcher has not seen the unsigned tags: it proves nothing")
			}
		} else {
			r.wantTags(t, tags{})
		}

		r.rekor.Heal()
		second := r.release(t, whole...)
		verdict := map[bool]string{false: "verdict: pushed, should build: no", true: "verdict: complete, should build: no"}[r.tagsFirst]
		second.want(t, false, verdict, "!exporting to image", "started app-sync.yml")
		if again := r.published(t); r.tagsFirst && again != digest {
			t.Errorf("%s is published, want %s", again, digest)
		}
		digest = r.published(t)
		second.wantOutputs(t, digest, true)
		r.wantSigned(t, digest)
		r.wantCounts(t, 2, 1) // the first attempt's certificate ended with its job
	})
}

// In another run an existing tag is somebody's work: it stops before the build, and says
// how to go on.
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
			bothOrders(t, func(t *testing.T, r *team) {
				t.Helper()
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
					got.wantOutputs(t, after, true)
				}
				if !test.built {
					r.wantSignedOnce(t, before)
				}
			})
		})
	}
}

// The failure of the need's second act: with warn, an immutable tag refuses the new
// image. Nothing was changed, and nothing is undone.
func TestExistingTag_immutable(t *testing.T) {
	t.Parallel()
	bothOrders(t, func(t *testing.T, r *team) {
		t.Helper()
		r.release(t, whole...).want(t, false)
		before := r.published(t)
		r.again(t)
		r.ghcr.set(false, true)
		r.hub.set(false, true)
		r.write(t, "app.txt", "changed")
		r.release(t, with("on_existing_tag: warn", "cleanup_on_failure: true")...).want(t, true,
			"overwritten, or the push refused if it is immutable", "due to immutability settings", "### Clean-up")
		r.wantTags(t, everywhere(before))
		r.wantSigned(t, before)
	})
}

// A registry refuses the image. Run again the other's image is copied, by digest, and
// gets its tags there, the moving one as well.
func TestRerun_afterPartialPush(t *testing.T) {
	t.Parallel()
	bothOrders(t, func(t *testing.T, r *team) {
		t.Helper()
		r.release(t, with("version: 1.2.2")...).want(t, false)
		earlier := r.tags(t).hubLatest
		r.again(t)
		r.write(t, "app.txt", "changed")
		r.hub.set(true, false)
		first := r.release(t, with("on_existing_tag: skip")...)
		first.want(t, true, "denied", "!Start the update")
		partial := r.tags(t)
		if (partial.ghcr != "") != r.tagsFirst || partial.hub != "" || partial.hubLatest != earlier {
			t.Fatalf("tags are %+v, want the new ones in one registry, or with names last in none", partial)
		}

		r.hub.set(false, false)
		second := r.release(t, with("on_existing_tag: skip")...)
		second.want(t, false, "should build: no", "copied by its digest", "!exporting to image")
		digest := r.published(t)
		if r.tagsFirst && digest != partial.ghcr {
			t.Errorf("%s is published, want %s", digest, partial.ghcr)
		}
		second.wantOutputs(t, digest, true)
		r.wantSigned(t, digest)

		// And once more: nothing is left to do.
		r.release(t, with("on_existing_tag: skip")...).want(t, false, "verdict: complete", "!copied ", "already signed")
		r.wantTags(t, everywhere(digest))
		r.wantSigned(t, digest)
		r.wantCounts(t, 2, 2) // of the earlier release, and of this one
	})
}

// A stranger takes the tag while the image is signed: his tag stays, and so do the
// moving ones.
func TestStranger(t *testing.T) {
	t.Parallel()
	r := newTeam(t)
	r.watch(t)
	var theirs string
	r.rekor.Break(stack.Fault{Method: "POST", Effect: func(w http.ResponseWriter, req *http.Request, forward func(*http.Request) *httptest.ResponseRecorder) {
		theirs = push(t, e2e.hub+"/"+r.name+"/app:1.2.3")
		r.watcher.ignore(theirs)
		stack.Lost(http.StatusBadGateway)(w, req, forward)
	}})
	got := r.release(t, with("cleanup_on_failure: true")...)
	got.want(t, true, "verdict: new, should build: yes", "somebody else has moved it, and it was left as it is")
	r.wantTags(t, tags{hub: theirs})
	// The next attempt does not take it for its own.
	r.release(t, whole...).want(t, true, "!exporting to image")
	r.wantTags(t, tags{hub: theirs})
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
			if failed {
				r.wantTags(t, tags{})
				if _, err := os.Stat(filepath.Join(r.artifacts, "gitops-tags-app")); err == nil || len(r.helm.sent()) != 0 {
					t.Error("the GitOps artifact or the Helm update is there, want neither")
				}
				return
			}
			got.want(t, failed, "NOT SIGNED")
			got.wantOutputs(t, r.published(t), false)
			if _, err := os.Stat(filepath.Join(r.artifacts, "gitops-tags-app")); err != nil || len(r.helm.sent()) != 1 {
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
				bothOrders(t, func(t *testing.T, r *team) {
					t.Helper()
					// An earlier release has latest: it gets it back.
					r.release(t, with("version: 1.2.2")...).want(t, false)
					earlier := r.tags(t)
					r.again(t)
					r.write(t, "app.txt", "changed")
					r.fail(step, true)
					first := r.release(t, with("cleanup_on_failure: "+value)...)
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
					second := r.release(t, whole...)
					second.want(t, false)
					digest := r.published(t)
					if before != "" && digest != before {
						t.Errorf("%s after the re-run, %s before", digest, before)
					}
					second.wantOutputs(t, digest, true)
					r.wantSigned(t, digest)
				})
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

// "Re-run failed jobs" after a clean-up: the app that had succeeded is not published
// again, and nothing says that it is.
func TestRerun_failedJobsAfterCleanup(t *testing.T) {
	t.Parallel()
	bothOrders(t, func(t *testing.T, r *team) {
		t.Helper()
		apps := []string{`apps: '["app", {"name": "worker", "context": "services/worker"}]'`, "enable_helm_dispatch: true", "helm_repository: org/helm"}
		r.env = []string{"E2E_FAIL_UPLOAD=pushguard-*-worker-record-1-1"}
		r.release(t, append(apps, "cleanup_on_failure: true")...).want(t, true, "regcleanup: deleted ref=")
		r.wantTags(t, tags{})

		r.env, r.rerun = nil, []string{"worker"} // app's job had succeeded
		second := r.release(t, apps...)
		second.want(t, true, `app 1.2.3 is not published: "Re-run all jobs" publishes it again`, "!started app-sync.yml")
		if digest := r.hub.digest(t, r.name+"/worker", "1.2.3"); digest == "" {
			t.Error("worker is not published")
		}

		r.rerun = nil
		third := r.release(t, apps...)
		third.want(t, false, "started app-sync.yml")
		if third.outputs["published"] != "true" || third.outputs["signed"] != "true" {
			t.Errorf("outputs = %q, want both published and signed", third.outputs)
		}
	})
}

// An immutable tag is in the way of the clean-up: a warning with the digest, and no
// failure of the clean-up itself.
func TestCleanup_immutable(t *testing.T) {
	t.Parallel()
	bothOrders(t, func(t *testing.T, r *team) {
		t.Helper()
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
		r.release(t, with("on_existing_tag: skip")...).want(t, false, "should build: no")
		if got := r.published(t); got != digest {
			t.Errorf("%s is published, want %s", got, digest)
		}
		r.wantSigned(t, digest)
	})
}

// Two calls of the workflow in one run: each has its records, and the clean-up of the one
// leaves what the other has published.
func TestTwoCalls(t *testing.T) {
	t.Parallel()
	bothOrders(t, func(t *testing.T, r *team) {
		t.Helper()
		r.release(t, "moving_tags: latest").want(t, false)
		app := r.published(t)
		r.attempt = 0 // of the same run: the artifacts lie side by side
		r.env = []string{"E2E_FAIL_UPLOAD=gitops-tags-worker"}
		worker := []string{"app_name: worker", "context: services/worker", "moving_tags: latest", "enable_gitops_artifacts: true"}
		r.release(t, append(worker, "cleanup_on_failure: true")...).want(t, true, "regcleanup: deleted ref="+r.hub.host+"/"+r.name+"/worker:1.2.3", "!deleted ref="+r.hub.host+"/"+r.name+"/app")
		r.wantTags(t, everywhere(app))
		if digest := r.hub.digest(t, r.name+"/worker", "1.2.3"); digest != "" {
			t.Errorf("worker is left as %s", digest)
		}
		calls, err := filepath.Glob(filepath.Join(r.artifacts, "pushguard-*-record-1-3"))
		if err != nil || len(calls) != 2 {
			t.Errorf("records are %q, %v, want one of each call", calls, err)
		}
		r.env = nil
		r.release(t, worker...).want(t, false)
	})
}

// push pushes somebody else's image under a tag, and returns its digest.
func push(t *testing.T, tag string) string {
	t.Helper()
	ref, err := name.ParseReference(tag, name.Insecure)
	if err != nil {
		t.Error(err)
		return ""
	}
	image, err := random.Image(64, 1)
	if err == nil {
		err = remote.Write(ref, image)
	}
	if err != nil {
		t.Error(err)
		return ""
	}
	digest, err := image.Digest()
	if err != nil {
		t.Error(err)
	}
	return digest.String()
}

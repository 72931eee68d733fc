// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Two apps of one release are published at once; each has its record. When one of
// them fails, what both have published goes.
func TestMatrix(t *testing.T) {
	t.Parallel()
	r := newTeam(t)
	r.watch(t)
	apps := []string{`apps: '["app", {"name": "worker", "context": "services/worker"}]'`, "enable_gitops_artifacts: true", "moving_tags: latest"}
	r.env = []string{"E2E_FAIL_UPLOAD=gitops-tags-worker"}
	first := r.release(t, append(apps, "cleanup_on_failure: true")...)
	first.want(t, true, "Publish app", "Publish worker", "### Clean-up")
	r.wantTags(t, tags{})
	if digest := r.hub.digest(t, r.name+"/worker", "1.2.3"); digest != "" {
		t.Errorf("worker is left as %s", digest)
	}

	r.env = nil
	second := r.release(t, apps...)
	second.want(t, false, "!Clean up")
	app, worker := r.published(t), r.ghcr.digest(t, r.name+"/worker", "latest")
	if worker == "" || worker == app {
		t.Errorf("app is %s, worker %q, want two images", app, worker)
	}
	for _, want := range []string{`"app":"app"`, `"app":"worker"`, app, worker} {
		if !strings.Contains(second.outputs["images"], want) {
			t.Errorf("images = %s, want %s in it", second.outputs["images"], want)
		}
	}
	for _, name := range []string{"app", "worker"} {
		if _, err := os.Stat(filepath.Join(r.artifacts, "gitops-tags-"+name, name+".tag")); err != nil {
			t.Error(err)
		}
	}
}

// Nothing is published in a dry run, whatever else is asked for.
func TestDryRun(t *testing.T) {
	t.Parallel()
	r := newTeam(t)
	got := r.release(t, with("dry_run: true", "cleanup_on_failure: true")...)
	got.want(t, false, "verdict: new, should build: yes", "COPY app.txt", "!pushing", "!### signretry")
	r.wantTags(t, tags{})
	if got.outputs["published"] != "false" || got.outputs["signed"] != "false" || got.outputs["images"] != "[]" {
		t.Errorf("outputs = %q, want nothing published", got.outputs)
	}
	r.wantCounts(t, 0, 0)
}

// An input whose expression is undefined is ”, whatever its type: the default.
func TestEmptyInputs(t *testing.T) {
	t.Parallel()
	r := newTeam(t)
	var empty []string
	for _, name := range inputs(t) {
		if !slices.Contains([]string{"ghcr_registry", "dockerhub_registry", "ghcr_org", "dockerhub_org"}, name) {
			empty = append(empty, name+": ''")
		}
	}
	got := r.release(t, empty...)
	got.want(t, false, "verdict: new, should build: yes")
	digest := r.ghcr.digest(t, r.name+"/app", "1.2.3")
	got.wantOutputs(t, digest, true)
	r.wantSignedOnce(t, digest)
}

var input = regexp.MustCompile(`(?m)^      (\w+): \{type: `)

// inputs are the names of all inputs of workflow_call.
func inputs(t *testing.T) (names []string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(e2e.root, ".github", "workflows", "publish-image.yml"))
	if err != nil {
		t.Fatal(err)
	}
	calls, _, _ := strings.Cut(string(data), "    secrets:\n")
	for _, match := range input.FindAllStringSubmatch(calls, -1) {
		names = append(names, match[1])
	}
	if len(names) < 25 {
		t.Fatalf("%d inputs: the pattern does not fit any more", len(names))
	}
	return names
}

// A value is a value, whatever is in it: nothing of it is run, and what is not a
// name, a tag or a path is refused before anything is published.
func TestHostileInputs(t *testing.T) {
	t.Parallel()
	for _, name := range inputs(t) {
		if slices.Contains([]string{"runner", "enable_gitops_artifacts", "enable_helm_dispatch", "tags_first", "dry_run"}, name) {
			continue // decided in expressions; GitHub lets nothing but a boolean through
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTeam(t)
			mark := filepath.Join(t.TempDir(), "mark")
			value := fmt.Sprintf("a$(touch %[1]s)`touch %[1]s`';touch %[1]s;\"\\n::error::owned\\n -x", mark)
			if name == "build_args" {
				value = "A=" + value // a free text
			}
			given := []string{name + `: "` + strings.ReplaceAll(value, `"`, `\"`) + `"`}
			if strings.HasPrefix(name, "helm_") {
				given = append(given, "enable_helm_dispatch: true")
				if name != "helm_repository" {
					given = append(given, "helm_repository: org/helm")
				}
			}
			got := r.release(t, given...)
			if _, err := os.Stat(mark); err == nil {
				t.Error("a part of the value was run")
			}
			if slices.Contains([]string{"dockerhub_username", "helm_payload", "build_args"}, name) { // any text is one
				got.want(t, false)
				return
			}
			got.want(t, true)
			if !strings.HasPrefix(name, "helm_") && !strings.HasPrefix(name, "sign_") {
				r.wantTags(t, tags{})
			}
		})
	}
	for _, version := range []string{"1.2.3+5", "-x", "a b", "é"} {
		t.Run("version "+version, func(t *testing.T) {
			t.Parallel()
			newTeam(t).release(t, "version: '"+version+"'").want(t, true, "cannot be an image tag")
		})
	}
}

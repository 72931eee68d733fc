// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// steps are those of a page that begin with a line, as act can run them: with the team's
// registries, and with stand-ins for what cannot be fetched.
func (r *team) steps(t *testing.T, page string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(e2e.root, page))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?s)\n```yaml\n(steps:\n.*?)\n```\n").FindSubmatch(data)
	if found == nil {
		t.Fatalf("%s has no steps", page)
	}
	steps := strings.NewReplacer("ghcr.io/org", r.ghcr.host+"/"+r.name, "docker.io/org", r.hub.host+"/"+r.name).Replace(string(found[1]))
	r.write(t, "later-steps.sh", "#!/bin/sh\n[ -z \"$FAIL_LATER\" ]\n")
	if err := os.Chmod(filepath.Join(r.dir, "later-steps.sh"), 0o755); err != nil {
		t.Fatal(err)
	}
	r.write(t, ".github/workflows/release.yml", "on: push\njobs:\n  release:\n    runs-on: ubuntu-latest\n    permissions: {id-token: write}\n    defaults: {run: {shell: bash}}\n    "+
		strings.ReplaceAll(steps, "\n", "\n    ")+"\n")
}

// run runs them once more.
func (r *team) runSteps(t *testing.T) ran {
	t.Helper()
	args := append([]string{"--local-repository", "LerianStudio/pushguard@v1=" + e2e.root}, onPush...)
	for _, action := range []string{"actions/download-artifact@v8", "actions/upload-artifact@v7", "docker/build-push-action@v7"} {
		_, name, _ := strings.Cut(action, "/")
		name, _, _ = strings.Cut(name, "@")
		stand, err := filepath.Abs(filepath.Join("testdata", "actions", name))
		if err != nil {
			t.Fatal(err)
		}
		args = append(args, "--local-repository", action+"="+stand)
	}
	return r.act(t, "", args...)
}

// unsignedSteps is a team that has run the steps of a page while signing was down.
func unsignedSteps(t *testing.T, page string) *team {
	t.Helper()
	r := newTeam(t)
	r.watch(t)
	r.steps(t, page)
	r.env = []string{"SIGNRETRY_MAX_ATTEMPTS=2", "SIGNRETRY_INITIAL_DELAY=50ms"}
	r.rekor.Break(outage())
	r.runSteps(t).want(t, true, "verdict: new", "gave up after 2 attempts")
	r.wantTags(t, tags{})
	r.rekor.Heal()
	return r
}

// The steps of README: signing is down, then a later step fails, then all is well.
func TestSteps_readme(t *testing.T) {
	t.Parallel()
	r := unsignedSteps(t, "README.md")
	r.env = []string{"FAIL_LATER=1", "REGCLEANUP_DELETE=true"}
	r.again(t)
	r.runSteps(t).want(t, true, "regcleanup: this is the plan", "delete  planned")
	digest := r.published(t)
	r.wantSigned(t, digest)
	r.env = nil
	r.again(t)
	r.runSteps(t).want(t, true, "already exists: building it again")
	r.wantTags(t, everywhere(digest))
}

// The steps of docs/workflow.md: the next attempt has the record, and builds nothing.
func TestSteps_withRecord(t *testing.T) {
	t.Parallel()
	r := unsignedSteps(t, "docs/workflow.md")
	r.runSteps(t).want(t, false, "verdict: pushed, should build: no", "!exporting to image")
	r.wantSigned(t, r.published(t))
	r.runSteps(t).want(t, false, "verdict: complete, should build: no", "already signed")
}

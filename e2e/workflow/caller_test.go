// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// One context and a Dockerfile for each app, as most callers have it.
func TestCaller_dockerfilePerApp(t *testing.T) {
	t.Parallel()
	r := newTeam(t)
	r.watch(t)
	r.write(t, "Dockerfile.app", "FROM scratch\nCOPY app.txt /app\n")
	r.write(t, "Dockerfile.worker", "FROM scratch\nCOPY app.txt /worker\n")
	got := r.release(t, `apps: '[{"name": "app", "dockerfile": "Dockerfile.app"}, {"name": "worker", "dockerfile": "Dockerfile.worker"}]'`,
		"platforms: linux/amd64,linux/arm64", "prerelease_platforms: linux/amd64", "provenance: mode=max", "cache_from: type=gha", "signing_format: both")
	got.want(t, false, "COPY app.txt /worker", "Emulate other processors")
	app, worker := r.ghcr.digest(t, r.name+"/app", "1.2.3"), r.hub.digest(t, r.name+"/worker", "1.2.3")
	if app == "" || worker == "" || app == worker {
		t.Errorf("app is %q, worker %q, want two images", app, worker)
	}
	index, err := remote.Index(r.reference(t, r.ghcr.host+"/"+r.name+"/app@"+app))
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil || len(manifest.Manifests) != 4 { // two platforms, and the provenance of each
		t.Errorf("the index has %d manifests, %v, want 4", len(manifest.Manifests), err)
	}
	for _, judge := range e2e.LegacyJudges() {
		if judge.Name != "cosign 3, legacy" { // this suite builds no other
			continue
		}
		res, err := judge.Verify(t.Context(), r.Identity, r.hub.host+"/"+r.name+"/app:1.2.3")
		if err != nil || res.Code != 0 {
			t.Errorf("%s: exit %d, %v\n%s", judge.Name, res.Code, err, res.Stderr)
		}
	}
	if got.outputs["published"] != "true" || got.outputs["signed"] != "true" {
		t.Errorf("outputs = %q, want both published and signed", got.outputs)
	}
}

// Two calls in one workflow, side by side: both publish, and neither sees the other's
// artifacts.
func TestCaller_severalCalls(t *testing.T) {
	t.Parallel()
	r := newTeam(t)
	r.watch(t)
	var jobs strings.Builder
	for job, inputs := range map[string][]string{
		"first":  {"enable_gitops_artifacts: true", "moving_tags: latest"},
		"second": {"enable_gitops_artifacts: true", "app_name: worker", "context: services/worker", "moving_tags: latest"},
	} {
		jobs.WriteString("  " + job + ":\n    uses: ./.github/workflows/publish-image.yml\n" +
			"    permissions: {contents: read, packages: write, id-token: write}\n    secrets: inherit\n    with:\n      " +
			strings.Join(r.with(inputs), "\n      ") + "\n")
	}
	r.write(t, ".github/workflows/release.yml", "on: push\npermissions: {}\njobs:\n"+jobs.String())
	r.act(t, "", onPush...).want(t, false)
	r.published(t)
	if digest := r.hub.digest(t, r.name+"/worker", "latest"); digest == "" {
		t.Error("worker is not published")
	}
	records, err := filepath.Glob(filepath.Join(r.artifacts, "pushguard-*-record-1-3"))
	if err != nil || len(records) != 2 {
		t.Errorf("records: %q, %v, want one of each call", records, err)
	}
}

// A release from a commit that the run itself has made.
func TestCaller_checkoutRef(t *testing.T) {
	t.Parallel()
	r := newTeam(t)
	r.write(t, "app.txt", "of the commit")
	r.git(t, "-c", "user.name=e2e", "-c", "user.email=e2e@example.com", "commit", "-q", "-a", "-m", "made by the run")
	commit := r.git(t, "rev-parse", "HEAD")
	r.write(t, "app.txt", "of the work tree")
	r.release(t, "version: 1.2.2").want(t, false)
	r.again(t)
	r.release(t, "checkout_ref: "+commit).want(t, false)
	for tag, want := range map[string]string{"1.2.2": "of the work tree", "1.2.3": "of the commit"} {
		if got := r.layer(t, tag); !strings.Contains(got, want) {
			t.Errorf("%s holds %q, want %q in it", tag, got, want)
		}
	}
}

// layer is what the image's one layer holds, as a tar.
func (r *team) layer(t *testing.T, tag string) string {
	t.Helper()
	image, err := remote.Image(r.reference(t, r.ghcr.host+"/"+r.name+"/app:"+tag))
	if err != nil {
		t.Fatal(err)
	}
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	content, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	data, err := io.ReadAll(content)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func (r *team) reference(t *testing.T, text string) name.Reference {
	t.Helper()
	ref, err := name.ParseReference(text, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// A build that mounts a secret: it is there while the image is built, and in no log.
func TestCaller_buildSecret(t *testing.T) {
	t.Parallel()
	r := newTeam(t)
	r.watch(t)
	r.write(t, "probe/go.mod", "module probe\n")
	r.write(t, "probe/main.go", `package main

import "os"

func main() {
	data, err := os.ReadFile("/run/secrets/npmrc")
	if err != nil || string(data) != "token=build-secret" {
		os.Exit(1)
	}
	_ = os.WriteFile("/secret-was-there", nil, 0o600)
}
`)
	build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(r.dir, "probe", "probe"), ".")
	build.Dir, build.Env = filepath.Join(r.dir, "probe"), append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	r.write(t, "Dockerfile", "FROM scratch\nCOPY probe/probe /probe\nRUN --mount=type=secret,id=npmrc [\"/probe\"]\n")
	r.secrets["BUILD_SECRETS"] = "npmrc="
	r.release(t, whole...).want(t, true, "the build secret npmrc is empty: is there a secret of that name?", "!exporting to image")
	r.secrets["BUILD_SECRETS"] = "npmrc=token=build-secret"
	r.release(t, whole...).want(t, false, "!build-secret")
	r.published(t)
}

// An empty list of apps is nothing to do.
func TestCaller_noApps(t *testing.T) {
	t.Parallel()
	r := newTeam(t)
	got := r.release(t, "apps: '[]'", "enable_helm_dispatch: true", "helm_repository: org/helm")
	got.want(t, false, "!Publish app", "!Clean up", "!started app-sync.yml")
	if got.outputs["published"] != "false" || got.outputs["signed"] != "false" || got.outputs["images"] != "[]" {
		t.Errorf("outputs = %q, want nothing published", got.outputs)
	}
}

// A Helm setting that cannot work stops the run before the build.
func TestCaller_unusableHelm(t *testing.T) {
	t.Parallel()
	r := newTeam(t)
	delete(r.secrets, "HELM_TOKEN")
	r.release(t, whole...).want(t, true, "HELM_TOKEN is empty", "!exporting to image", "!Publish app")
	r.wantTags(t, tags{})
}

// A run that is cancelled, or whose signing takes more time than it may, while it signs: it
// is cleaned up, and the next attempt goes on. GitHub ends a job that takes too long as it
// ends a cancelled one; act knows the time of steps alone.
func TestCancelled(t *testing.T) {
	t.Parallel()
	bothOrders(t, func(t *testing.T, r *team) {
		t.Helper()
		// On GitHub the steps of a job that begins after the cancellation run; act skips those
		// without a condition.
		for _, step := range []string{"name: Fetch the scripts\n", "name: Install the commands\n", "name: Fetch the records of all apps\n", "name: Undo what this run published\n"} {
			r.edits = append(r.edits, [2]string{step, step + "        if: always()\n"})
		}
		r.broken(t, func(cmd *exec.Cmd) error { return cmd.Process.Signal(syscall.SIGINT) })
	})
}

func TestTimedOut(t *testing.T) {
	t.Parallel()
	bothOrders(t, func(t *testing.T, r *team) {
		t.Helper()
		step := "name: Sign, then tag\n"
		r.edits = append(r.edits, [2]string{step, step + "        timeout-minutes: 1\n"})
		r.broken(t, func(*exec.Cmd) error { return nil })
	})
}

// broken is a run that something ends while it signs, and the attempt after it.
func (r *team) broken(t *testing.T, end func(*exec.Cmd) error) {
	t.Helper()
	r.rekor.Break(outage())
	cmd := r.prepared(t, with("cleanup_on_failure: true", "sign_initial_delay: 30s", "sign_max_delay: 30s")...)
	var log strings.Builder
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(log.String())
		}
	})
	r.awaitRekor(t)
	started := descendants(t, cmd.Process.Pid)
	if err := end(cmd); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("the run succeeded, want it ended")
	}
	// act ends the shell of a step, and leaves the command that runs in it: GitHub's runner
	// ends both. It would sign beside the next attempt.
	for _, pid := range started {
		_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended meanwhile
	}
	if r.tagsFirst && !strings.Contains(log.String(), "regcleanup: deleted ref=") {
		t.Error("the clean-up has not deleted the tags")
	}
	r.wantTags(t, tags{})

	r.edits = nil
	r.rekor.Heal()
	r.release(t, whole...).want(t, false)
	r.wantSigned(t, r.published(t))
}

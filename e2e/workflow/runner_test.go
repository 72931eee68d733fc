// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/LerianStudio/pushguard/e2e/stack"
)

// runs numbers the workflow runs of all tests.
var runs atomic.Int64

// team is who releases: a repository whose workflow calls publish-image.yml, a
// namespace of its own in both registries, and gateways to the Sigstore servers.
type team struct {
	*stack.Grant
	name               string // of its namespace
	dir                string // the repository
	artifacts          string // of the run
	run                int64  // its number; attempts share it
	attempt            int
	ghcr, hub          *gate
	helm               *helm
	fulcio, tsa, rekor *stack.Gateway
	config             string
	env                []string
	secrets            map[string]string
	unprivileged       bool        // the job has no right to identity tokens
	tagsFirst          bool        // the image is pushed under its tags, and signed after that
	edits              [][2]string // of the workflow: what, and what in its place
	rerun              []string    // the apps whose jobs are run again, nil for all
	watcher            watcher
}

func newTeam(t *testing.T) *team {
	t.Helper()
	r := &team{
		run:     runs.Add(1),
		dir:     filepath.Join(t.TempDir(), "app"),
		ghcr:    newGate(t, e2e.ghcr),
		hub:     newGate(t, e2e.hub),
		helm:    newHelm(t),
		fulcio:  gateway(t, e2e.Fulcio),
		tsa:     gateway(t, e2e.TSA),
		rekor:   gateway(t, e2e.RekorV1.URL),
		secrets: map[string]string{"HELM_TOKEN": "helm-secret"},
	}
	r.name = fmt.Sprintf("team%d", r.run)
	r.artifacts = filepath.Join(t.TempDir(), "artifacts")
	r.Grant = e2e.Issuer.Grant(r.name + "/app/.github/workflows/publish-image.yml@refs/tags/v1.2.3")
	var err error
	r.config, err = e2e.SigningConfig(t.Context(), t.TempDir(), stack.Endpoints{
		Fulcio: r.fulcio.URL, TSA: r.tsa.URL, Rekor: stack.Log{URL: r.rekor.URL, Version: e2e.RekorV1.Version},
	})
	if err != nil {
		t.Fatal(err)
	}
	r.clone(t)
	return r
}

func gateway(t *testing.T, target string) *stack.Gateway {
	t.Helper()
	g, err := stack.NewGateway(target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return g
}

// clone makes the repository: an app, and the workflow as it is in ours.
func (r *team) clone(t *testing.T) {
	t.Helper()
	workflow, err := os.ReadFile(filepath.Join(e2e.root, ".github", "workflows", "publish-image.yml"))
	if err != nil {
		t.Fatal(err)
	}
	r.write(t, ".github/workflows/publish-image.yml", string(workflow))
	for _, name := range []string{"Dockerfile", "app.txt"} {
		data, err := os.ReadFile(filepath.Join("testdata", "app", name))
		if err != nil {
			t.Fatal(err)
		}
		r.write(t, name, string(data))
		r.write(t, "services/worker/"+name, "# "+r.name+"\n"+string(data))
	}
	r.write(t, "app.txt", r.name)
	for _, args := range [][]string{
		{"init", "-q", "-b", "main"},
		{"remote", "add", "origin", "https://github.com/" + r.name + "/app.git"},
		{"add", "-A"},
		{"-c", "user.name=e2e", "-c", "user.email=e2e@example.com", "commit", "-q", "-m", "a release"},
		{"tag", "v1.2.3"},
	} {
		r.git(t, args...)
	}
}

// git runs git in the repository and returns what it prints.
func (r *team) git(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Dir, cmd.Env = r.dir, machine()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %q: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// awaitRekor waits until the log is asked for the first time.
func (r *team) awaitRekor(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); len(r.rekor.Calls("POST", "/api/")) == 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("Rekor was not asked within a minute")
		}
	}
}

func (r *team) write(t *testing.T, name, content string) {
	t.Helper()
	path := filepath.Join(r.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// again starts a new run, whose artifacts are its own.
func (r *team) again(t *testing.T) {
	t.Helper()
	r.run, r.attempt = runs.Add(1), 0
	r.artifacts = filepath.Join(t.TempDir(), "artifacts")
}

// ran is what one attempt left.
type ran struct {
	log     string
	failed  bool
	outputs map[string]string // of the reusable workflow; none when it failed
}

// release calls the workflow with inputs ("name: value" lines of YAML) on a pushed
// tag. Each call is one more attempt of the same run.
func (r *team) release(t *testing.T, inputs ...string) ran {
	t.Helper()
	out := r.call(t, inputs)
	return r.act(t, out, onPush...)
}

// onPush is how act is told to run the team's own workflow.
var onPush = []string{"push", "--workflows", ".github/workflows/release.yml"}

// prepared is an attempt that is not started yet.
func (r *team) prepared(t *testing.T, inputs ...string) *exec.Cmd {
	t.Helper()
	r.call(t, inputs)
	return r.command(t.Context(), t, onPush...)
}

// with completes the inputs of a call with those that a test needs.
func (r *team) with(inputs []string) []string {
	for _, line := range []string{
		"ghcr_registry: " + r.ghcr.host, "dockerhub_registry: " + r.hub.host,
		"ghcr_org: " + r.name, "dockerhub_org: " + r.name, "app_name: app",
		"sign_initial_delay: 50ms", "sign_max_delay: 200ms", fmt.Sprintf("tags_first: %t", r.tagsFirst),
	} {
		name, _, _ := strings.Cut(line, " ")
		if !slices.ContainsFunc(inputs, func(given string) bool { return strings.HasPrefix(given, name) }) {
			inputs = append(inputs, line)
		}
	}
	return inputs
}

// call writes the team's own workflow and returns the file for its outputs.
func (r *team) call(t *testing.T, inputs []string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "outputs")
	inputs = r.with(inputs)
	r.publishOnly(t)
	r.write(t, ".github/workflows/release.yml", fmt.Sprintf(`
on: push
permissions: {}
jobs:
  release:
    uses: ./.github/workflows/publish-image.yml
    permissions: {contents: read, packages: write, id-token: write}
    with:
      %s
    secrets: inherit
  deploy:
    needs: release
    runs-on: ubuntu-latest
    steps:
      - run: printenv VERSION IMAGES PUBLISHED SIGNED >%s
        env:
          VERSION: ${{ needs.release.outputs.version }}
          IMAGES: ${{ needs.release.outputs.images }}
          PUBLISHED: ${{ needs.release.outputs.published }}
          SIGNED: ${{ needs.release.outputs.signed }}
`, strings.Join(inputs, "\n      "), out))
	return out
}

// publishOnly has the workflow run the jobs of r.rerun alone, as "Re-run failed jobs" does
// where the others have succeeded: act cannot run a part of a matrix again.
func (r *team) publishOnly(t *testing.T) {
	t.Helper()
	workflow, err := os.ReadFile(filepath.Join(e2e.root, ".github", "workflows", "publish-image.yml"))
	if err != nil {
		t.Fatal(err)
	}
	text := string(workflow)
	if len(r.rerun) > 0 {
		const all = "app: ${{ fromJSON(needs.plan.outputs.apps) }}"
		var apps []string
		for _, name := range r.rerun {
			apps = append(apps, fmt.Sprintf(`{id: %[1]s, name: %[1]s, context: services/%[1]s, dockerfile: ""}`, name))
		}
		if !strings.Contains(text, all) {
			t.Fatal("the matrix is not where it is replaced")
		}
		text = strings.Replace(text, all, "app: ["+strings.Join(apps, ", ")+"]", 1)
	}
	for _, change := range r.edits {
		if !strings.Contains(text, change[0]) {
			t.Fatalf("the workflow has no %q", change[0])
		}
		text = strings.Replace(text, change[0], change[1], 1)
	}
	r.write(t, ".github/workflows/publish-image.yml", text)
}

// act runs one attempt.
func (r *team) act(t *testing.T, outputs string, args ...string) ran {
	t.Helper()
	log, err := r.command(t.Context(), t, args...).CombinedOutput()
	// act 0.2.89 reads a map of its jobs while another job writes it, and dies of that once
	// in some hundred runs. Where no job had looked at a registry yet, nothing has happened.
	if bytes.Contains(log, []byte("fatal error: concurrent map")) && !bytes.Contains(log, []byte("Do the tags exist?")) {
		r.attempt--
		log, err = r.command(t.Context(), t, args...).CombinedOutput()
	}
	result := ran{log: string(log), failed: err != nil, outputs: map[string]string{}}
	attempt, run := r.attempt, r.run
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("attempt %d of run %d:\n%s", attempt, run, result.log)
		}
	})
	if data, err := os.ReadFile(outputs); err == nil {
		lines := strings.Split(string(data), "\n")
		for i, name := range []string{"version", "images", "published", "signed"} {
			result.outputs[name] = lines[i]
		}
	}
	return result
}

func (r *team) command(ctx context.Context, t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	r.attempt++
	if err := os.MkdirAll(r.artifacts, 0o755); err != nil {
		t.Fatal(err)
	}
	args = append(args,
		"--platform", "ubuntu-latest=-self-hosted", "--no-cache-server", "--action-cache-path", t.TempDir(),
		"--env", fmt.Sprintf("GITHUB_RUN_ID=%d", r.run), "--env", fmt.Sprintf("GITHUB_RUN_ATTEMPT=%d", r.attempt),
		"--env", "GITHUB_REPOSITORY="+r.name+"/app", "--env", "GITHUB_REPOSITORY_OWNER="+r.name,
		"--env", "GITHUB_REF=refs/tags/v1.2.3", "--env", "GITHUB_REF_NAME=v1.2.3", "--env", "GITHUB_REF_TYPE=tag",
		"--env", "GITHUB_API_URL="+r.helm.server.URL,
	)
	if !r.unprivileged {
		for _, variable := range r.Env() { // of the grant
			args = append(args, "--env", variable)
		}
	}
	for name, value := range r.secrets {
		args = append(args, "--secret", name+"="+value)
	}
	args = append(args, standIns(t, "publish-image.yml")...)
	cmd := exec.CommandContext(ctx, e2e.act, args...)
	cmd.Dir, cmd.Stdin = r.dir, bytes.NewReader(nil)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Env = slices.Concat(machine(), trust(), []string{
		"BUILDX_BUILDER=" + builderName, "E2E_ROOT=" + e2e.root, "E2E_ARTIFACTS=" + r.artifacts, "E2E_SOURCE=" + r.dir,
		"SIGNRETRY_SIGNING_CONFIG=" + r.config, "SIGNRETRY_TRUSTED_ROOT=" + e2e.TrustedRoot,
		"SIGNRETRY_CERTIFICATE_IDENTITY=" + r.Identity, "SIGNRETRY_CERTIFICATE_OIDC_ISSUER=" + e2e.Issuer.URL,
		"TAGCHECK_INITIAL_DELAY=10ms", "REGCLEANUP_INITIAL_DELAY=10ms", "NO_COLOR=1",
	}, r.env)
	return cmd
}

var used = regexp.MustCompile(`uses: (\S+/\S+@[0-9a-f]{40})`)

// standIns tells act what stands in for the actions that a workflow of ours uses. act
// itself brings the work tree where a job checks its own repository out.
func standIns(t *testing.T, workflow string) (args []string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(e2e.root, ".github", "workflows", workflow))
	if err != nil {
		t.Fatal(err)
	}
	for _, match := range used.FindAllStringSubmatch(string(data), -1) {
		name, _, _ := strings.Cut(match[1], "@")
		stand, err := filepath.Abs(filepath.Join("testdata", "actions", name[strings.Index(name, "/")+1:]))
		if err != nil {
			t.Fatal(err)
		}
		if arg := match[1] + "=" + stand; !slices.Contains(args, arg) {
			args = append(args, "--local-repository", arg)
		}
	}
	return args
}

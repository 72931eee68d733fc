// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/LerianStudio/pushguard/e2e/process"
)

// block is the first code block of a language in docs/other-ci.md.
func block(t *testing.T, language string) string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(e2e.root, "docs", "other-ci.md"))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?s)\n```" + language + "\n(.*?)\n```\n").FindSubmatch(page)
	if found == nil {
		t.Fatalf("the page has no block of %s", language)
	}
	return string(found[1])
}

// shell is the environment of a team's steps outside GitHub.
func (r *team) shell(t *testing.T, more ...string) []string {
	t.Helper()
	env := slices.Concat(machine(), trust(), []string{
		"PATH=" + filepath.Join(filepath.Dir(e2e.docker), "bin") + ":" + e2e.path,
		"BUILDX_BUILDER=" + builderName, "SIGSTORE_ID_TOKEN=" + r.token(t),
		"SIGNRETRY_SIGNING_CONFIG=" + r.config, "SIGNRETRY_TRUSTED_ROOT=" + e2e.TrustedRoot,
		"SIGNRETRY_INITIAL_DELAY=50ms", "SIGNRETRY_MAX_DELAY=200ms",
	})
	return append(env, more...)
}

// token is an identity token of the team's, as a CI puts it into a variable.
func (r *team) token(t *testing.T) string {
	t.Helper()
	variables := map[string]string{}
	for _, v := range r.Env() {
		name, value, _ := strings.Cut(v, "=")
		variables[name] = value
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, variables["ACTIONS_ID_TOKEN_REQUEST_URL"]+"&audience=sigstore", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+variables["ACTIONS_ID_TOKEN_REQUEST_TOKEN"])
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct{ Value string }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.Value == "" {
		t.Fatalf("no token: %s, %v", resp.Status, err)
	}
	return answer.Value
}

func (r *team) bash(t *testing.T, code int, env []string, args ...string) string {
	t.Helper()
	res, err := process.Run(t.Context(), process.Command{Name: "bash", Path: "/bin/bash", Args: args, Env: env, Dir: r.dir}, nil)
	if err != nil {
		t.Fatal(err)
	}
	out := res.Stdout + res.Stderr
	t.Logf("$ bash %q\n%s", args, out)
	if res.Code != code {
		t.Fatalf("bash %q: exit %d, want %d", args, res.Code, code)
	}
	return out
}

// The page's release.sh: a failure of each of its steps, and the same call again.
func TestPlainShell(t *testing.T) {
	t.Parallel()
	r := newTeam(t)
	script := strings.NewReplacer(
		"ghcr.io/my-org", r.ghcr.host+"/"+r.name, "docker.io/my-org", r.hub.host+"/"+r.name,
	).Replace(block(t, "bash"))
	if strings.Contains(script, "my-org") {
		t.Fatal("the page's names are not where they are replaced")
	}
	r.write(t, "release.sh", script)
	r.write(t, "deploy.sh", "[ -z \"$FAIL_DEPLOY\" ]\n")
	if err := os.Chmod(filepath.Join(r.dir, "deploy.sh"), 0o755); err != nil {
		t.Fatal(err)
	}

	r.watch(t)
	r.rekor.Break(outage())
	r.bash(t, 1, r.shell(t, "SIGNRETRY_MAX_ATTEMPTS=2"), "release.sh", "app", "1.2.3")
	r.wantTags(t, tags{})
	r.rekor.Heal()
	out := r.bash(t, 1, r.shell(t, "FAIL_DEPLOY=1"), "release.sh", "app", "1.2.3")
	if strings.Contains(out, "exporting to image") || !strings.Contains(out, "this is the plan") {
		t.Error("want nothing built, and the plan")
	}
	digest := r.published(t)
	r.bash(t, 0, r.shell(t), "release.sh", "app", "1.2.3")
	r.wantTags(t, everywhere(digest))
	r.wantSigned(t, digest)
	r.wantCounts(t, 2, 1)

	r.bash(t, 1, r.shell(t, "FAIL_DEPLOY=1", "CLEANUP_ON_FAILURE=true"), "release.sh", "app", "1.2.3")
	r.wantTags(t, tags{})
}

// gitlab is what the test reads of a .gitlab-ci.yml.
type gitlab struct {
	Variables map[string]string
	Stages    []string
	Jobs      map[string]struct {
		Stage  string
		Script []string
	} `yaml:",inline"`
}

// The page's GitLab jobs, stage by stage: the second registry refuses, the retried
// job goes on; then the deployment fails, and the undo stage acts.
func TestGitLab(t *testing.T) {
	t.Parallel()
	r := newTeam(t)
	var file gitlab
	decoder := yaml.NewDecoder(strings.NewReader(block(t, "yaml")))
	if err := decoder.Decode(&file); err != nil {
		t.Fatal(err)
	}
	if want := []string{"publish", "deploy", "undo"}; !slices.Equal(file.Stages, want) {
		t.Fatalf("stages %q, want %q", file.Stages, want)
	}
	predefined := map[string]string{
		"CI_REGISTRY": r.ghcr.host, "CI_REGISTRY_IMAGE": r.ghcr.host + "/" + r.name + "/project",
		"CI_PROJECT_PATH": r.name + "/project", "CI_PROJECT_DIR": r.dir, "CI_COMMIT_TAG": "v1.2.3",
		"CI_PIPELINE_ID": "4711", "CI_COMMIT_SHA": "8d3bf2a4c1b7f0e6d5a49c3827160f5e4d3c2b1a", "CI_PROJECT_URL": "https://gitlab.com/" + r.name,
	}
	job := func(code int, name string, more ...string) string {
		env := r.shell(t, more...)
		for name, value := range predefined {
			env = append(env, name+"="+value)
		}
		for name, value := range file.Variables {
			if !slices.ContainsFunc(more, func(v string) bool { return strings.HasPrefix(v, name+"=") }) {
				value = strings.ReplaceAll(value, "docker.io/my-org", r.hub.host+"/"+r.name)
				env = append(env, name+"="+os.Expand(value, func(v string) string { return predefined[v] }))
			}
		}
		return r.bash(t, code, env, "-eo", "pipefail", "-c", strings.Join(file.Jobs[name].Script, "\n"))
	}
	digest := func(g *gate, repository string) string { return g.digest(t, r.name+repository, "1.2.3") }

	r.hub.set(true, false)
	job(1, "publish")
	if first := digest(r.ghcr, "/project/app"); first != "" {
		t.Errorf("GitLab's registry has %s before Docker Hub has the image", first)
	}
	r.hub.set(false, false)
	out := job(0, "publish")
	first := digest(r.ghcr, "/project/app")
	if first == "" || digest(r.hub, "/app") != first || strings.Contains(out, "exporting to image") {
		t.Errorf("GitLab's registry has %s, Docker Hub %s, want one image in both, and no second build", first, digest(r.hub, "/app"))
	}
	r.wantCounts(t, 1, 1)

	if out := job(0, "undo"); !strings.Contains(out, "this is the plan") || digest(r.hub, "/app") != first {
		t.Error("want only the plan where CLEANUP_ON_FAILURE is false")
	}
	job(0, "undo", "CLEANUP_ON_FAILURE=true")
	if digest(r.hub, "/app") != "" || digest(r.ghcr, "/project/app") != "" {
		t.Error("want both tags gone")
	}
}

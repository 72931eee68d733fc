// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package scripttest

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// workflow is what the tests read of publish-image.yml.
type workflow struct {
	On struct {
		Call struct {
			Inputs  map[string]struct{ Type string }
			Secrets map[string]any
			Outputs map[string]any
		} `yaml:"workflow_call"`
	}
	Permissions map[string]string
	Jobs        map[string]struct {
		Permissions map[string]string
		Steps       []struct{ Uses, Run string }
	}
}

func readWorkflow(t *testing.T) (w workflow) {
	t.Helper()
	data, err := os.ReadFile("../../.github/workflows/publish-image.yml")
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(data, &w); err != nil {
		t.Fatal(err)
	}
	return w
}

func readPage(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile("../../" + path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// The page names every input, secret and output, and every permission of each job.
func TestPage_complete(t *testing.T) {
	t.Parallel()
	w, page := readWorkflow(t), readPage(t, "docs/workflow.md")
	names := slices.Concat(slices.Collect(maps.Keys(w.On.Call.Inputs)), slices.Collect(maps.Keys(w.On.Call.Secrets)), slices.Collect(maps.Keys(w.On.Call.Outputs)))
	if len(names) < 30 {
		t.Fatalf("%d names: the file is not read as it should be", len(names))
	}
	for _, name := range names {
		if !strings.Contains(page, "`"+name+"`") {
			t.Errorf("docs/workflow.md does not name %s", name)
		}
	}
	for job, settings := range w.Jobs {
		row := regexp.MustCompile(`(?m)^\| ` + job + `\b.*$`).FindString(page)
		for scope, right := range settings.Permissions {
			if !strings.Contains(row, "`"+scope+": "+right+"`") {
				t.Errorf("the row of %s lacks %s: %s: %q", job, scope, right, row)
			}
		}
		if n := strings.Count(row, ": write`") + strings.Count(row, ": read`"); n != len(settings.Permissions) {
			t.Errorf("the row of %s has %d rights, the job %d", job, n, len(settings.Permissions))
		}
	}
}

// Nothing by default, what a push needs in the jobs that push, and no more.
func TestWorkflow_rights(t *testing.T) {
	t.Parallel()
	w := readWorkflow(t)
	if len(w.Permissions) != 0 {
		t.Errorf("permissions = %v, want none by default", w.Permissions)
	}
	allowed := map[string]string{
		"publish contents": "read", "publish packages": "write", "publish id-token": "write",
		"cleanup contents": "read", "cleanup packages": "write",
		"plan contents": "read", "result contents": "read", "result packages": "read", "helm contents": "read",
	}
	for job, settings := range w.Jobs {
		if settings.Permissions == nil {
			t.Errorf("%s has no permissions of its own", job)
		}
		for scope, right := range settings.Permissions {
			if allowed[job+" "+scope] != right {
				t.Errorf("%s has %s: %s", job, scope, right)
			}
		}
		for _, step := range settings.Steps {
			if step.Uses != "" && !regexp.MustCompile(`@[0-9a-f]{40}$`).MatchString(step.Uses) {
				t.Errorf("%s is not pinned by commit", step.Uses)
			}
			if strings.Contains(step.Run, "${{") {
				t.Errorf("an expression in a script: %q", step.Run)
			}
		}
	}
}

var (
	yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)\n```")
	localLink = regexp.MustCompile(`(?:\]\(|src(?:set)?=")([^)#:"]+)(#[^)]*)?[)"]`)
)

// The calls that the pages show pass only what exists.
func TestPages_calls(t *testing.T) {
	t.Parallel()
	w := readWorkflow(t)
	calls := 0
	for _, path := range []string{"README.md", "docs/workflow.md"} {
		for _, block := range yamlBlock.FindAllStringSubmatch(readPage(t, path), -1) {
			var file struct {
				Jobs map[string]struct {
					Uses          string
					With, Secrets map[string]any
				}
			}
			if !strings.Contains(block[1], "publish-image.yml@") {
				continue
			}
			if err := yaml.Unmarshal([]byte(block[1]), &file); err != nil {
				t.Errorf("%s: %v", path, err)
			}
			for _, job := range file.Jobs {
				for name := range job.With {
					if _, ok := w.On.Call.Inputs[name]; !ok {
						t.Errorf("%s: no input %s", path, name)
					}
				}
				for name := range job.Secrets {
					if _, ok := w.On.Call.Secrets[name]; !ok {
						t.Errorf("%s: no secret %s", path, name)
					}
				}
				calls++
			}
		}
	}
	if calls < 2 {
		t.Errorf("%d calls found, want one in each page", calls)
	}
}

func TestPages_links(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"README.md", "CONTRIBUTING.md", "SECURITY.md", "docs/workflow.md", "docs/other-ci.md", "docs/migration.md"} {
		for _, link := range localLink.FindAllStringSubmatch(readPage(t, path), -1) {
			if _, err := os.Stat(filepath.Join("..", "..", filepath.Dir(path), link[1])); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
	}
}

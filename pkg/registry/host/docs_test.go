// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package host

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const page = "../../../docs/registries.md"

// The table in docs/registries.md is what the files of this package say.
// PUSHGUARD_WRITE_DOCS=1 writes it.
func TestDocs(t *testing.T) {
	t.Parallel()
	old, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- generated: begin -->\n", "<!-- generated: end -->\n"
	before, rest, ok := strings.Cut(string(old), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the table", page)
	}
	want := before + begin + table(t) + end + after
	if os.Getenv("PUSHGUARD_WRITE_DOCS") != "" {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, string(old)); diff != "" {
		t.Errorf("%s does not say what this package does; PUSHGUARD_WRITE_DOCS=1 go test -run TestDocs ./pkg/registry/host writes it (-want +got):\n%s", page, diff)
	}
}

// folders are those of the recorded answers, by the kind's name.
var folders = map[string]string{
	"Docker Hub": "dockerhub", "GHCR": "ghcr", "Amazon ECR": "ecr", "Amazon ECR Public": "ecrpublic", "Artifact Registry": "gar",
	"Azure Container Registry": "acr", "Quay": "quay", "Harbor": "harbor", "GitLab": "gitlab", "Artifactory": "artifactory",
	"Nexus": "nexus", "zot": "zot", "Gitea and Forgejo": "gitea", "distribution": "distribution", "other registries": "generic",
}

func table(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("| registry | a tag is deleted | immutable tags | referrers | a push creates the repository | checked by | good to know |\n| --- | --- | --- | --- | --- | --- | --- |\n")
	for _, h := range append(append([]*Host{}, kinds...), generic) {
		var of any = h
		switch h {
		case dockerHub:
			of = &Hub{}
		case ghcr:
			of = &Packages{}
		}
		deleted, rules, referrers, creates := "by tag, else by digest", "told by the refusal", "API, else fallback tag", "yes, or not known"
		if _, ok := of.(TagDeleter); ok {
			deleted = "by an API of its own"
		}
		if _, ok := of.(VersionDeleter); ok {
			deleted = "with its package version"
		}
		if _, ok := of.(TagRules); ok {
			rules = "read before"
		}
		if h.NoReferrers {
			referrers = "fallback tag"
		}
		if h.Create != "" {
			creates = "no: tagcheck warns"
		}
		answers, err := filepath.Glob(filepath.Join("testdata", folders[h.Name], "*.json"))
		if err != nil || len(answers) == 0 {
			t.Errorf("%s has no recorded answers: %v", h.Name, err)
		}
		checked := fmt.Sprintf("%d recorded answers", len(answers))
		if h.Real != "" {
			checked += ", real servers: " + h.Real
		}
		name := h.Name
		if len(h.Hosts) > 0 {
			name += " (`" + strings.Join(h.Hosts, "`, `") + "`)"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s |\n", name, deleted, rules, referrers, creates, checked, h.Notes)
	}
	return b.String()
}

// The README says how many answers are recorded.
func TestDocs_readme(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	answers, err := filepath.Glob("testdata/*/*.json")
	if want := fmt.Sprintf("checked against %d recorded answers", len(answers)); err != nil || !strings.Contains(string(readme), want) {
		t.Errorf("README.md does not say %q (%v)", want, err)
	}
}

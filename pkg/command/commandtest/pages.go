// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package commandtest

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// pages compares the transcripts in a command's page and in the README with what
// the command prints: each run that a script calls documented is in the page, and
// the pages hold no other.
type pages struct {
	script Script
	docs   string // path of the folder

	mu   sync.Mutex
	runs []string // documented so far
}

// documented wants the last run of exits, the command and its whole output, to
// stand in the command's page.
func (p *pages) documented(ts *testscript.TestScript) {
	run := strings.NewReplacer(ts.Getenv("REGISTRY"), p.script.Registry, ts.Getenv("OLD_REGISTRY"), "docker.io").Replace(worldOf(ts).last)
	if p.script.Replace != nil {
		run = p.script.Replace(ts, run)
	}
	run = normal(run)
	p.mu.Lock()
	p.runs = append(p.runs, run)
	p.mu.Unlock()
	page, err := os.ReadFile(p.page())
	ts.Check(err)
	if !slices.Contains(p.transcripts(string(page)), run) {
		ts.Fatalf("%s does not hold:\n%s", p.page(), run)
	}
}

func (p *pages) page() string { return filepath.Join(p.docs, p.script.Name+".md") }

// check wants every transcript of the command in its page and in the README to be
// one that a script has produced.
func (p *pages) check(t *testing.T) {
	t.Helper()
	if only := flag.Lookup("test.run"); t.Failed() || only != nil && only.Value.String() != "" {
		return // some scripts may not have run
	}
	for _, path := range []string{p.page(), filepath.Join(p.docs, "..", "README.md")} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
		}
		for _, transcript := range p.transcripts(string(text)) {
			if !slices.Contains(p.runs, transcript) {
				t.Errorf("%s holds a transcript that no script produces:\n%s", path, transcript)
			}
		}
	}
}

var (
	console = regexp.MustCompile("(?s)```console\n(.*?)\n```")
	prompt  = regexp.MustCompile(`(?m)^\$ `)
	spaces  = regexp.MustCompile(` {2,}`)
	times   = regexp.MustCompile(`(for=|after |in )[0-9.]+(µs|ms|s)\b`)
)

// transcripts are the runs of the command in a page's console blocks.
func (p *pages) transcripts(page string) (runs []string) {
	for _, block := range console.FindAllStringSubmatch(page, -1) {
		for _, run := range prompt.Split(block[1], -1) {
			if strings.HasPrefix(run, p.script.Name+" ") {
				runs = append(runs, normal("$ "+run))
			}
		}
	}
	return runs
}

// normal evens out what differs between runs: times, and columns as wide as the
// names of the test's registries.
func normal(run string) string {
	run = times.ReplaceAllString(run, "${1}1s")
	return strings.TrimRight(spaces.ReplaceAllString(run, "  "), " \n")
}

// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package actions_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/LerianStudio/pushguard/pkg/actions"
)

// step returns a workflow step whose files are in a new folder.
func step(t *testing.T) (w *actions.Workflow, output, summary string) {
	t.Helper()
	dir := t.TempDir()
	output, summary = filepath.Join(dir, "output"), filepath.Join(dir, "summary")
	vars := map[string]string{"GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": output, "GITHUB_STEP_SUMMARY": summary}
	return actions.New(func(name string) string { return vars[name] }), output, summary
}

// parse reads an output file as the runner does (FileCommandManager.cs): the
// first of "=" and "<<" in a line decides.
func parse(t *testing.T, path string) map[string]string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	lines := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		name, delimiter, ok := strings.Cut(lines[i], "<<")
		if !ok || strings.Contains(name, "=") {
			t.Fatalf("line %q of\n%s", lines[i], data)
		}
		var value []string
		for i++; lines[i] != delimiter; i++ {
			value = append(value, lines[i])
		}
		got[name] = strings.Join(value, "\n")
	}
	return got
}

func TestSetOutputs_valuesCannotAddOutputs(t *testing.T) {
	t.Parallel()
	w, output, _ := step(t)
	evil := "a\nEOF\nsigned=true\nsigned<<X\ntrue\nX"
	if err := w.SetOutputs([]actions.Output{{Name: "verdict", Value: evil}, {Name: "missing", Value: ""}}); err != nil {
		t.Fatal(err)
	}
	if err := w.SetOutputs([]actions.Output{{Name: "digest", Value: "sha256:1"}}); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"verdict": evil, "missing": "", "digest": "sha256:1"}
	if diff := cmp.Diff(want, parse(t, output)); diff != "" {
		t.Errorf("outputs (-want +got):\n%s", diff)
	}
}

func TestSummary_staysBelowTheRunnersLimit(t *testing.T) {
	t.Parallel()
	w, _, summary := step(t)
	line := strings.Repeat("x", 99) + "\n"
	if err := w.Summary(strings.Repeat(line, 20_000)); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(summary)
	if err != nil {
		t.Fatal(err)
	}
	if len(data) >= 1<<20 || len(data) < 1<<19 || !strings.HasSuffix(string(data), "x\n\n… cut: more than a step summary can hold; the log has all.\n") {
		t.Errorf("%d bytes, ending in %q", len(data), data[len(data)-80:])
	}
}

func TestOutsideAStep_nothingIsWritten(t *testing.T) {
	t.Parallel()
	w := actions.New(func(string) string { return "" })
	var out bytes.Buffer
	err := w.SetOutputs([]actions.Output{{Name: "a", Value: "b"}})
	if err != nil || w.Summary("x") != nil || w.Annotate(&out, actions.Error, "t", "m") != nil || out.Len() != 0 || w.Enabled() {
		t.Errorf("%v, %q", err, out.String())
	}
}

func TestAnnotate_escapes(t *testing.T) {
	t.Parallel()
	w, _, _ := step(t)
	var out bytes.Buffer
	if err := w.Annotate(&out, actions.Warning, "a:b,c", "50% of\n::error::x"); err != nil {
		t.Fatal(err)
	}
	if want := "::warning title=a%3Ab%2Cc::50%25 of%0A::error::x\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

func TestPlain(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"manifest unknown":               "manifest unknown",
		"a\r\n::error::b":                "a :\u200b:error:\u200b:b",
		" ::set-output name=x::1":        ":\u200b:set-output name=x::1",
		"x ##[error]y":                   "x ##\u200b[error]y",
		"\x1b[31mred\x1b[0m\a":           "[31mred[0m",
		"bad\xffutf8":                    "bad\ufffdutf8",
		"\u202egnp.exe\u2028##\u200b[x]": "gnp.exe ##\u200b[x]",
		":\u200b:x":                      ":\u200b:x",
	} {
		if got := actions.Plain(in); got != want {
			t.Errorf("Plain(%q) = %q, want %q", in, got, want)
		}
	}
}

// runnerCommand is how the runner finds one (ActionCommand.cs).
var runnerCommand = regexp.MustCompile(`^\s*::[A-Za-z]`)

func FuzzPlain(f *testing.F) {
	f.Add("::error::x")
	f.Add("#\x00#[error]")
	f.Add(":\u200b:")
	f.Fuzz(func(t *testing.T, s string) {
		got := actions.Plain(s)
		if strings.ContainsAny(got, "\r\n\x1b\x00") || runnerCommand.MatchString(got) || strings.Contains(got, "##[") {
			t.Errorf("Plain(%q) = %q", s, got)
		}
		if cell := actions.Cell(s); strings.Contains(strings.ReplaceAll(cell, "\\|", ""), "|") {
			t.Errorf("Cell(%q) = %q", s, cell)
		}
	})
}

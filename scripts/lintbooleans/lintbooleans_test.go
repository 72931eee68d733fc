// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The release that failed had the first of these; the second hid the error and made
// the input useless. Both are found.
func TestCheck_theOriginal(t *testing.T) {
	t.Parallel()
	var stdout bytes.Buffer
	if found, err := run([]string{"testdata/original.yml"}, &stdout); !found || err != nil {
		t.Errorf("run = %t, %v, want findings", found, err)
	}
	lines := strings.Split(strings.TrimSpace(stdout.String()), "\n")
	if len(lines) != 2 || !strings.HasPrefix(lines[0], "testdata/original.yml:12:28: ") || !strings.HasPrefix(lines[1], "testdata/original.yml:16:28: ") {
		t.Errorf("found\n%s\nwant lines 12 and 16", &stdout)
	}
	for _, line := range lines {
		if !strings.Contains(line, "after the step has failed") {
			t.Errorf("%s: does not say when it is evaluated", line)
		}
	}
}

// The page shows what the check prints.
func TestPage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/workflow.md")
	if err != nil {
		t.Fatal(err)
	}
	var stdout bytes.Buffer
	if _, err := run([]string{"testdata/original.yml"}, &stdout); err != nil {
		t.Fatal(err)
	}
	want := strings.ReplaceAll(stdout.String(), "testdata/", "scripts/lintbooleans/testdata/")
	if !strings.Contains(string(page), "$ go run ./scripts/lintbooleans scripts/lintbooleans/testdata/original.yml\n"+want+"```") {
		t.Errorf("docs/workflow.md does not hold:\n%s", want)
	}
}

func TestCheck_compositeAction(t *testing.T) {
	t.Parallel()
	findings, err := check("testdata/action.yml")
	if err != nil || len(findings) != 2 || findings[0].line != 8 || findings[1].line != 9 {
		t.Errorf("found %+v, %v, want lines 8 and 9", findings, err)
	}
}

// This repository's own workflows hold none.
func TestCheck_ours(t *testing.T) {
	t.Parallel()
	var stdout bytes.Buffer
	if found, err := run([]string{"../../.github"}, &stdout); found || err != nil {
		t.Errorf("run = %t, %v, want no finding\n%s", found, err, &stdout)
	}
}

const (
	called   = "{workflow_call: {inputs: {soft: {type: boolean}, many: {type: number}, name: {type: string, default: x}}}}"
	dispatch = "{workflow_call: {inputs: {soft: {type: boolean}}}, workflow_dispatch: {inputs: {soft: {type: boolean}}}}"
	push     = "{workflow_call: {inputs: {soft: {type: boolean}}}, push: null}"
)

func TestCheck_continueOnError(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		on, expression string
		want           string // in the message; "" for none
	}{
		{called, "true", ""},
		{called, "inputs.soft", ""},
		{called, "inputs.SOFT", ""},
		{called, "inputs['soft']", ""},
		{called, "!inputs.soft", ""},
		{called, "inputs.soft || false", ""},
		{called, "inputs.soft && true", ""},
		{called, "inputs.other", "may be ''"},
		{called, "inputs.other || false", ""},
		{called, "inputs.other == true", ""},
		{called, "inputs.name", "may be ''"},
		{called, "inputs.name || false", "may be a text"},
		{called, "inputs.name == 'true'", ""},
		{called, "inputs.many", "may be a number"},
		{called, "inputs.soft && 'yes' || 'no'", "may be a text"},
		{dispatch, "inputs.soft", ""},
		{push, "inputs.soft", "may be ''"},
		{push, "inputs.soft || false", ""},
		{push, "(inputs.soft || false) && !cancelled()", ""},
		{push, "inputs.soft == true", ""},
		{"push", "inputs.soft", "may be ''"},
		{"[push, workflow_dispatch]", "inputs.soft", "may be ''"},
		{called, "github.event.inputs.soft", "may be ''"},
		{called, "github.event.client_payload.soft", "may be ''"},
		{called, "github.ref == 'refs/heads/main'", ""},
		{called, "github.actor", "may be ''"},
		{called, "vars.SOFT", "may be ''"},
		{called, "env.SOFT == 'true'", ""},
		{called, "steps.x.outputs.soft", "may be ''"},
		{called, "needs.x.outputs.soft == 'true'", ""},
		{called, "contains(github.ref, 'it''s')", ""},
		{called, "format('{0}', inputs.soft)", "may be ''"},
		{called, "fromJSON(inputs.soft)", ""},
		{called, "fromJSON(inputs.name)", "fromJSON('') is one"},
		{called, "fromJSON(inputs.name || 'false')", ""},
		{called, "fromJSON('false')", ""},
		{called, "0", "may be a number"},
		{called, "-1.5e3 < 0x10", ""},
		{called, "null", "may be ''"},
		{called, "matrix.soft", ""},
		{called, "matrix.some", "may be ''"},
		{called, "matrix.some || false", ""},
		{called, "matrix.name", "may be a text"},
		{called, "matrix.none", "may be ''"},
		{called, "github.event.commits[0].distinct || false", "may be a text"},
		{called, "inputs.soft ||", "unexpected"},
		{called, "(inputs.soft", "missing"},
		{called, "'open", "closing quote"},
		{called, "inputs.soft inputs.soft", "unexpected"},
	} {
		t.Run(test.expression, func(t *testing.T) {
			t.Parallel()
			value := "${{ " + test.expression + " }}"
			wantFinding(t, test.on, fmt.Sprintf("continue-on-error: %q", value), test.want)
			wantFinding(t, test.on, fmt.Sprintf("strategy: {fail-fast: %q, matrix: %s}", value, matrixes), test.want)
		})
	}
}

const matrixes = "{name: [a, b], soft: [true, false], include: [{name: a, soft: false, some: true}]}"

// Other values and other places.
func TestCheck_places(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"continue-on-error: true":                                                            "",
		"continue-on-error: ''":                                                              "wants a boolean",
		"continue-on-error: 'x${{ inputs.soft }}'":                                           "is a text",
		"timeout-minutes: ${{ inputs.many }}":                                                "",
		"timeout-minutes: ${{ inputs.none }}":                                                "may be '' where a number",
		"timeout-minutes: ${{ inputs.none || 10 }}":                                          "",
		"timeout-minutes: ${{ inputs.soft }}":                                                "may be a boolean",
		"concurrency: {group: x, cancel-in-progress: '${{ inputs.none }}'}":                  "may be ''",
		"concurrency: x":                                                                     "",
		"steps: [{uses: a/b@c, continue-on-error: '${{ inputs.soft }}'}]":                    "a composite action",
		"steps: [{uses: a/b@c, continue-on-error: '${{ steps.x.outputs.y == ''true'' }}'}]":  "a composite action",
		"steps: [{uses: a/b@c, continue-on-error: '${{ needs.x.outputs.y == ''true'' }}'}]":  "",
		"steps: [{uses: a/b@c, continue-on-error: true}]":                                    "",
		"steps: [{run: a, continue-on-error: '${{ inputs.soft }}'}]":                         "",
		"steps: [{run: a, timeout-minutes: '${{ inputs.name }}'}]":                           "may be ''",
		"steps: [{run: a, if: '${{ inputs.none }}', env: {A: '${{ inputs.none }}'}}]":        "",
		"{uses: ./.github/workflows/called.yml, with: {dry: '${{ inputs.none }}'}}":          "may be ''",
		"{uses: ./.github/workflows/called.yml, with: {dry: '${{ inputs.soft }}'}}":          "",
		"{uses: ./.github/workflows/called.yml, with: {who: '${{ inputs.none }}'}}":          "",
		"{uses: ./.github/workflows/called.yml, with: {dry: '${{ inputs.soft && ''x'' }}'}}": "may be a text",
		"{uses: ./.github/workflows/none.yml, with: {dry: '${{ inputs.none }}'}}":            "",
	} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			wantFinding(t, called, unwrapped(line), want)
		})
	}
}

// wantFinding checks a workflow whose job holds body.
func wantFinding(t *testing.T, on, body, want string) {
	t.Helper()
	if !strings.Contains(body, "matrix:") {
		body += "\n    strategy: {matrix: " + matrixes + "}"
	}
	if strings.HasPrefix(body, "uses: ") {
		body = strings.Replace(body, ", with:", "\n    with:", 1)
	}
	dir := filepath.Join(t.TempDir(), ".github", "workflows")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "w.yml")
	for name, content := range map[string]string{
		"w.yml":      "on: " + on + "\njobs:\n  j:\n    " + body + "\n",
		"called.yml": "on: {workflow_call: {inputs: {dry: {type: boolean}, who: {type: string}}}}\njobs: {}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	findings, err := check(path)
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case want == "" && len(findings) > 0:
		t.Errorf("%s: %s, want nothing", body, findings[0].message)
	case want != "" && len(findings) != 1:
		t.Errorf("%s: %d findings, want one with %q", body, len(findings), want)
	case want != "" && !strings.Contains(findings[0].message, want):
		t.Errorf("%s: %s, want %q", body, findings[0].message, want)
	}
}

func TestRun_usage(t *testing.T) {
	t.Parallel()
	broken := filepath.Join(t.TempDir(), "w.yml")
	if err := os.WriteFile(broken, []byte("a: [\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"testdata/none.yml"}, {t.TempDir()}, {broken}} {
		var stdout bytes.Buffer
		if found, err := run(args, &stdout); found || err == nil || stdout.Len() > 0 {
			t.Errorf("run(%q) = %t, %v, stdout %q, want an error alone", args, found, err, &stdout)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"inputs.a || false", "!(a.b['c'].*) && 'x''y' != 0x1f", "fromJSON('[]')[0]", "((("} {
		f.Add(seed)
	}
	f.Fuzz(func(_ *testing.T, text string) {
		if tree, err := parse(text); err == nil {
			evaluate(tree, compositeScope)
		}
	})
}

// unwrapped takes the braces off a line that has them around it.
func unwrapped(line string) string {
	if rest, ok := strings.CutPrefix(line, "{"); ok {
		return strings.TrimSuffix(rest, "}")
	}
	return line
}

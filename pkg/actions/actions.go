// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

// Package actions speaks GitHub Actions' files and workflow commands: step
// outputs, the step summary, annotations, masks.
//
// Source: docs.github.com, "Workflow commands for GitHub Actions", and the
// runner's own parser (actions/runner, FileCommandManager.cs, ActionCommand.cs).
package actions

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"strings"
)

// maxSummary is what a step may write; the runner drops more than 1 MiB whole.
const maxSummary = 1<<20 - 4096

// Workflow is the step that the process runs in, or none.
type Workflow struct {
	enabled bool
	output  string // path of $GITHUB_OUTPUT, "" when unset
	summary string // path of $GITHUB_STEP_SUMMARY
}

// New reads the step's environment. Outside GitHub Actions its methods do nothing,
// except that outputs are still written when $GITHUB_OUTPUT names a file.
func New(getenv func(string) string) *Workflow {
	return &Workflow{
		enabled: getenv("GITHUB_ACTIONS") == "true",
		output:  getenv("GITHUB_OUTPUT"),
		summary: getenv("GITHUB_STEP_SUMMARY"),
	}
}

// Enabled reports whether the process runs in a step ($GITHUB_ACTIONS is true).
func (w *Workflow) Enabled() bool { return w.enabled }

// Output is one step output. Name is [A-Za-z_][A-Za-z0-9_]*.
type Output struct {
	Name  string
	Value string // may have several lines
}

// SetOutputs appends all outputs to $GITHUB_OUTPUT in one write, each between
// random delimiters, so that no value can add an output of its own.
func (w *Workflow) SetOutputs(outputs []Output) error {
	if w.output == "" || len(outputs) == 0 {
		return nil
	}
	delimiter := "pushguard_" + rand.Text()
	var b strings.Builder
	for _, o := range outputs {
		fmt.Fprintf(&b, "%s<<%s\n%s\n%[2]s\n", o.Name, delimiter, strings.TrimRight(o.Value, "\n"))
	}
	if err := appendFile(w.output, b.String()); err != nil {
		return fmt.Errorf("write step outputs to $GITHUB_OUTPUT: %w", err)
	}
	return nil
}

// Summary appends Markdown to the step summary. What would pass the runner's
// limit of 1 MiB is cut at a line's end, with a note.
func (w *Workflow) Summary(markdown string) error {
	if w.summary == "" {
		return nil
	}
	if len(markdown) > maxSummary {
		cut := strings.LastIndexByte(markdown[:maxSummary], '\n') + 1
		markdown = markdown[:cut] + "\n… cut: more than a step summary can hold; the log has all.\n"
	}
	if err := appendFile(w.summary, markdown); err != nil {
		return fmt.Errorf("write the step summary to $GITHUB_STEP_SUMMARY: %w", err)
	}
	return nil
}

// appendFile opens the runner's file, which exists, and adds text in one write.
func appendFile(path, text string) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o644) //nolint:gosec // the runner's own file
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, text)
	return cmp.Or(err, f.Close())
}

// Level is an annotation's severity.
type Level string

// The severities that GitHub draws.
const (
	Notice  Level = "notice"
	Warning Level = "warning"
	Error   Level = "error"
)

// Annotate prints one annotation; the runner keeps ten of a level per step and
// the first 4096 characters of each. Outside a step it does nothing.
func (w *Workflow) Annotate(out io.Writer, level Level, title, message string) error {
	if !w.enabled {
		return nil
	}
	_, err := fmt.Fprintf(out, "::%s title=%s::%s\n", level, escapeProperty(title), escapeData(message))
	return err
}

// The runner's escapes (toolkit packages/core/src/command.ts).
func escapeData(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(s)
}

func escapeProperty(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C").Replace(s)
}

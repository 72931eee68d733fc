// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/LerianStudio/pushguard/pkg/actions"
)

// AnswerJSON prints value as one JSON object on one line.
func (e *Env) AnswerJSON(value any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return Internal(fmt.Errorf("write the answer: %w", err))
	}
	// The runner obeys "##[name]" anywhere in a line; the escape is the same string in JSON.
	return e.Answer(strings.ReplaceAll(b.String(), "##[", `#\u0023[`))
}

// AnswerTable prints rows under a header in aligned columns.
func (e *Env) AnswerTable(rows [][]string) error {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	for _, row := range rows {
		for i, cell := range row {
			row[i] = actions.Plain(cell)
		}
		_, _ = io.WriteString(w, strings.Join(row, "\t")+"\n")
	}
	_ = w.Flush()
	var lines strings.Builder
	for line := range strings.Lines(b.String()) {
		lines.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	return e.Answer(lines.String())
}

// MarkdownTable returns rows, the first of which is the header, for a step summary.
func MarkdownTable(rows [][]string) string {
	var b strings.Builder
	for i, row := range rows {
		cells := make([]string, len(row))
		for j, cell := range row {
			cells[j] = actions.Cell(cell)
		}
		b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
		if i == 0 {
			b.WriteString(strings.Repeat("| --- ", len(row)) + "|\n")
		}
	}
	return b.String()
}

// Warn prints a warning, and in a workflow an annotation: a step has room for ten,
// so it is for outcomes, not for details.
func (e *Env) Warn(message string, args ...any) {
	e.Log.Warn(message, args...)
	r := slog.NewRecord(time.Time{}, slog.LevelWarn, message, 0)
	r.Add(args...)
	_ = e.Workflow.Annotate(e.Err, actions.Warning, e.Name, line(r, ""))
}

// helpTemplate is urfave/cli's, with the sections that one command needs.
const helpTemplate = `{{.Name}} - {{.Usage}}

USAGE
   {{wrap .UsageText 3}}
{{if .Description}}
{{wrap .Description 0}}
{{end}}{{range .VisibleFlagCategories}}
{{if .Name}}{{.Name}}{{else}}FLAGS{{end}}{{range .Flags}}
   {{.}}{{end}}
{{end}}
EXIT STATUS
{{.Metadata.exit}}`

// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

const (
	faultsFile  = "../docs/faults-real.md"
	tableFaults = "faults"
	tableNeed   = "need"
	// writeFaults has the outcomes of this run written to the page, the cosigns'
	// too, where otherwise signretry's are compared with it.
	writeFaults = "PUSHGUARD_WRITE_FAULTS"
	maxMessage  = 140 // characters of an error in a table
)

// signers are the columns of the page.
var signers = []string{"signretry", "cosign 3.1.3", "cosign 2.6.5"}

// page is docs/faults-real.md: tables between comments that mark them, with one
// row a fault and one column a signer.
type page struct {
	write bool

	mu    sync.Mutex
	lines []string
}

var faults page

// faultsPage is the page, read once, and written when t ends if so asked.
func faultsPage(t *testing.T) *page {
	t.Helper()
	faults.mu.Lock()
	defer faults.mu.Unlock()
	faults.write = os.Getenv(writeFaults) != ""
	if faults.lines == nil {
		text, err := os.ReadFile(faultsFile)
		if err != nil {
			t.Fatal(err)
		}
		faults.lines = strings.Split(string(text), "\n")
	}
	if faults.write {
		t.Cleanup(func() {
			faults.mu.Lock()
			defer faults.mu.Unlock()
			if err := os.WriteFile(faultsFile, []byte(strings.Join(faults.lines, "\n")), 0o644); err != nil {
				t.Error(err)
			}
		})
	}
	return &faults
}

// signers are those that run: for the page all, to keep it true signretry.
func (p *page) signers() []string {
	if p.write {
		return signers
	}
	return signers[:1]
}

// note writes the outcome of signer to the row of table, or wants it to be there.
func (p *page) note(t *testing.T, table, row, signer, outcome string) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	at, cells := p.find(t, table, row)
	column := len(cells) - len(signers) + slices.Index(signers, signer)
	if p.write {
		cells[column] = outcome
		p.lines[at] = "| " + strings.Join(cells, " | ") + " |"
		return
	}
	if cells[column] != outcome {
		t.Errorf("%s: %s\nwant as %s has it: %s\n(make faults writes that page)", signer, outcome, faultsFile, cells[column])
	}
}

// reserve makes the row, so that rows are in the order of their reservation.
func (p *page) reserve(t *testing.T, table, row string) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.find(t, table, row)
}

// find returns the row of the table, new at its end if it was not there.
func (p *page) find(t *testing.T, table, row string) (at int, cells []string) {
	t.Helper()
	inside := false
	for i, line := range p.lines {
		switch {
		case line == "<!-- "+table+" -->":
			inside = true
		case inside && strings.HasPrefix(line, "| "+row+" | "):
			return i, strings.Split(strings.TrimSuffix(strings.TrimPrefix(line, "| "), " |"), " | ")
		case inside && line == "<!-- end -->":
			cells = append(strings.Split(row, " | "), slices.Repeat([]string{"?"}, len(signers))...)
			p.lines = slices.Insert(p.lines, i, "| "+strings.Join(cells, " | ")+" |")
			return i, cells
		}
	}
	t.Fatalf("%s has no table %q", faultsFile, table)
	return 0, nil
}

// volatile is what differs from run to run in an error, or says nothing.
var volatile = []struct {
	pattern *regexp.Regexp
	by      string
}{
	{regexp.MustCompile(`^(sign |signing \[)\S+: (signing digest: )?`), ""},
	{regexp.MustCompile(`(https?://)?(127\.0\.0\.1|localhost|\[::1\])(:\d+)?`), "SERVER"},
	{regexp.MustCompile(`(sha256(:|-|%3A))?[0-9a-f]{40,}`), "DIGEST"},
	{regexp.MustCompile(`/uploads/[^\s":]*`), "/uploads/…"},
	{regexp.MustCompile(`: read tcp .*`), ": read tcp …"},
}

// lastError is the last line that a program wrote to say what is wrong, without
// what differs from run to run.
func lastError(stderr string) string {
	lines := strings.Split(strings.TrimSpace(stderr), "\n")
	last := lines[len(lines)-1]
	for _, prefix := range []string{"error during command execution: ", "signretry: error: "} {
		for _, line := range lines {
			if reason, ok := strings.CutPrefix(line, prefix); ok {
				last = reason
			}
		}
	}
	for _, v := range volatile {
		last = v.pattern.ReplaceAllString(last, v.by)
	}
	last = strings.ReplaceAll(strings.Join(strings.Fields(last), " "), "|", "/")
	if r := []rune(last); len(r) > maxMessage {
		last = string(r[:maxMessage]) + "…"
	}
	return "`" + strings.ReplaceAll(last, "`", "'") + "`"
}

// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"fmt"
	"slices"
	"strings"
)

// man is the page for man(1), in section 1.
func (p *page) man() string {
	t := p.tool
	var b strings.Builder
	fmt.Fprintf(&b, ".TH %s 1 \"\" pushguard \"pushguard manual\"\n.nh\n.ad l\n", strings.ToUpper(t.Name))
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n.SH SYNOPSIS\n.nf\n", roff(t.Name), roff(t.Usage))
	for line := range strings.Lines(t.Synopsis) {
		b.WriteString(roff(strings.TrimSpace(line)) + "\n")
	}
	b.WriteString(".fi\n.SH DESCRIPTION\n" + roff(t.Description) + "\n.SH OPTIONS\n")
	b.WriteString(roff("Flags stand before or after arguments; -- ends them. An empty flag or variable means \"not set\".") + "\n")
	category := ""
	for _, o := range p.flags {
		if o.category != category && o.category != "" {
			category = o.category
			fmt.Fprintf(&b, ".SS %q\n", strings.TrimSuffix(category, ":"))
		}
		b.WriteString(o.man())
	}
	section(&b, "EXIT STATUS", t.Manual.Exit)
	section(&b, "ENVIRONMENT", append(slices.Clone(t.Manual.Environment), commonEnvironment))
	section(&b, "FILES", append(slices.Clone(t.Manual.Files), commonFile))
	b.WriteString(".SH EXAMPLES\n")
	for _, e := range t.Manual.Examples {
		fmt.Fprintf(&b, "%s:\n.PP\n.RS\n.nf\n%s\n.fi\n.RE\n.PP\n", roff(e.Term), roff(e.Text))
	}
	b.WriteString(".SH SEE ALSO\n")
	for _, other := range []string{"tagcheck", "signretry", "regcleanup"} {
		if other != t.Name {
			fmt.Fprintf(&b, ".BR %s (1)\n", other)
		}
	}
	fmt.Fprintf(&b, ".PP\n%s\n", roff("https://github.com/LerianStudio/pushguard/blob/main/docs/"+t.Name+".md"))
	return b.String()
}

// man is one entry of OPTIONS.
func (o *option) man() string {
	var names []string
	for _, short := range o.names[1:] {
		names = append(names, `\fB\-`+short+`\fR`)
	}
	long := `\fB\-\-` + roff(o.names[0]) + `\fR`
	switch {
	case len(o.words) > 0:
		long += `=\fI` + strings.ReplaceAll(roff(o.value), "|", `\fR|\:\fI`) + `\fR`
	case o.value != "":
		long += `=\fI` + roff(o.value) + `\fR`
	}
	text := ".TP\n" + strings.Join(append(names, long), ", ") + "\n" + roff(o.usage) + "\n"
	var notes []string
	if o.standard != "" {
		notes = append(notes, "Default: "+roff(o.standard)+".")
	}
	if len(o.variables) > 0 {
		notes = append(notes, `Variable: \fB`+strings.Join(o.variables, `\fR, \fB`)+`\fR.`)
	}
	if len(notes) > 0 {
		text += ".br\n" + strings.Join(notes, " ") + "\n"
	}
	return text
}

func section(b *strings.Builder, title string, entries []Entry) {
	b.WriteString(".SH " + title + "\n")
	for _, e := range entries {
		fmt.Fprintf(b, ".TP\n\\fB%s\\fR\n%s\n", roff(e.Term), roff(e.Text))
	}
}

// roff escapes text, so that no line of it is a request and no dash becomes a hyphen.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}

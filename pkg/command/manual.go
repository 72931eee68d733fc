// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// Manual is what the help and the man page of a tool tell beside its flags.
type Manual struct {
	Exit        []Entry // code, and when a run ends with it
	Environment []Entry // variables that are not those of a flag, before those of all tools
	Files       []Entry // before those of all tools
	Examples    []Entry // what somebody wants, and the command that does it
}

// Entry is one line of a list in a [Manual].
type Entry struct {
	Term, Text string
}

// What all tools read.
var (
	commonEnvironment = Entry{"HTTPS_PROXY, NO_PROXY", "The proxy, and the hosts that are reached without it."}
	commonFile        = Entry{"~/.docker/config.json", `The logins that "docker login" keeps, and the names of credential helpers.`}
)

// page is all that a tool's completions and man page are made of.
type page struct {
	tool  *Tool
	flags []option
}

// option is a flag as people read it.
type option struct {
	names     []string // without dashes, the long one first
	value     string   // what stands for its value; "" where it takes none
	words     []string // the values that it takes, where they are known
	usage     string
	standard  string // the value when it is not set
	variables []string
	category  string
	file      bool // its value is the path of a file
	many      bool // it can be given more than once
}

// newPage reads the flags. It must run before they are parsed: their values are the
// defaults only until then.
func newPage(tool *Tool, flags []cli.Flag) *page {
	p := &page{tool: tool}
	for _, f := range flags {
		d, ok := f.(cli.DocGenerationFlag)
		if !ok {
			continue
		}
		o := option{names: f.Names(), variables: d.GetEnvVars()}
		o.value, o.usage = unquote(d.GetUsage())
		if c, ok := f.(cli.CategorizableFlag); ok {
			o.category = c.GetCategory()
		}
		if g, ok := f.(*cli.GenericFlag); ok {
			switch v := g.Value.(type) {
			case *choice:
				o.words, o.value = v.words, strings.Join(v.words, "|")
				o.usage = strings.TrimSuffix(o.usage, ": "+strings.Join(v.words, ", "))
			case *list:
				o.many = true
			}
		}
		if !d.TakesValue() {
			o.value = ""
		} else {
			o.standard = strings.Trim(d.GetDefaultText(), `"`)
		}
		o.file = o.value == "FILE"
		p.flags = append(p.flags, o)
	}
	return p
}

// unquote takes the name of the value out of a usage, where it stands in backticks.
func unquote(usage string) (value, text string) {
	before, rest, found := strings.Cut(usage, "`")
	if !found {
		return "VALUE", usage
	}
	value, after, _ := strings.Cut(rest, "`")
	return value, before + value + after
}

// The texts that --generate prints.
var generators = map[string]func(*page) string{
	"complete-bash":       (*page).bash,
	"complete-zsh":        (*page).zsh,
	"complete-fish":       (*page).fish,
	"complete-powershell": (*page).powershell,
	"man":                 (*page).man,
}

// generateFlag prints the completions and the man page. The help does not show it: it
// is for those who package the commands.
func generateFlag(dst *string) cli.Flag {
	words := make([]string, 0, len(generators))
	for word := range generators {
		words = append(words, word)
	}
	slices.Sort(words)
	return &cli.GenericFlag{
		Name: "generate", Usage: "print a shell's completions or the man page, and exit",
		Value: &choice{dst, words}, Hidden: true,
	}
}

// wrapped lists the entries for the help, the texts in one column.
func wrapped(entries []Entry) string {
	width := 0
	for _, e := range entries {
		width = max(width, len(e.Term))
	}
	var b strings.Builder
	for _, e := range entries {
		fmt.Fprintf(&b, "   %-*s  %s\n", width, e.Term, e.Text)
	}
	return b.String()
}

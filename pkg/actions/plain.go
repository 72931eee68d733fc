// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package actions

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// zeroWidthSpace parts the characters of a workflow command without being seen.
const zeroWidthSpace = "\u200b"

// command is what the runner takes for a workflow command. A name follows the
// colons, which lets an IPv6 address such as [::1]:5000 pass.
var command = regexp.MustCompile(`::(\pL)`)

// Plain makes text of a server safe to print: one line, no control or direction
// characters, and no workflow command: the runner obeys "::name::" at the start
// of a line of stdout and stderr, and "##[name]" anywhere in it.
func Plain(s string) string {
	s = strings.ToValidUTF8(s, string(utf8.RuneError))
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r), unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp):
			return -1
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	s = command.ReplaceAllString(s, ":"+zeroWidthSpace+":$1")
	return strings.ReplaceAll(s, "##[", "##"+zeroWidthSpace+"[")
}

// Cell makes text of a server safe inside a cell of a Markdown table.
func Cell(s string) string {
	return strings.NewReplacer("|", "\\|", "<", "&lt;", "`", "'", "[", "\\[", "]", "\\]", "@", "&#64;").Replace(Plain(s))
}

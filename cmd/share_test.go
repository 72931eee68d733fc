// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package cmd_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// share are the files in share/ that a command prints, by what --generate is given.
func share(command string) map[string]string {
	return map[string]string{
		"complete-bash":       "completions/" + command + ".bash",
		"complete-zsh":        "completions/_" + command,
		"complete-fish":       "completions/" + command + ".fish",
		"complete-powershell": "completions/" + command + ".ps1",
		"man":                 "man/" + command + ".1",
	}
}

// The completions and man pages in share/, which packages hold, are what the commands
// print. "make share" writes them.
func TestShare_isWhatTheCommandsPrint(t *testing.T) {
	t.Parallel()
	for _, command := range commands {
		for what, file := range share(command) {
			t.Run(command+" "+what, func(t *testing.T) {
				t.Parallel()
				path := filepath.Join("..", "share", filepath.FromSlash(file))
				got := output(t, command, "--generate="+what)
				if os.Getenv("PUSHGUARD_WRITE_SHARE") != "" {
					if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(string(want), got); diff != "" {
					t.Errorf("%s is not what %s prints, run \"make share\" (-file +printed):\n%s", path, command, diff)
				}
			})
		}
	}
}

// A variable that changes a default must not change the pages.
func TestGenerate_ignoresTheEnvironment(t *testing.T) {
	for _, command := range commands {
		t.Run(command, func(t *testing.T) {
			want := output(t, command, "--generate=man")
			if got := output(t, command, "--max-elapsed=7s", "--timeout=3s", "--generate=man"); got != want {
				t.Errorf("the man page depends on flags (-want +got):\n%s", cmp.Diff(want, got))
			}
		})
	}
}

var (
	exitRow  = regexp.MustCompile(`(?m)^\| ([0-9][0-9, ]*) \| (.*) \|$`)
	exitHelp = regexp.MustCompile(`(?m)^   ([0-9][0-9, ]*?)  +(.*)$`)
)

// The help, and so the man page, and the page in docs/ have one table of exit codes.
func TestExitStatus_sameInHelpAndPage(t *testing.T) {
	t.Parallel()
	for _, command := range commands {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			page, err := os.ReadFile(filepath.Join("..", "docs", command+".md"))
			if err != nil {
				t.Fatal(err)
			}
			_, section, _ := strings.Cut(string(page), "## Exit status\n")
			section, _, _ = strings.Cut(section, "\n## ")
			_, help, _ := strings.Cut(output(t, command, "--help"), "EXIT STATUS\n")
			want := exitRow.FindAllStringSubmatch(strings.ReplaceAll(section, "`", ""), -1)
			got := exitHelp.FindAllStringSubmatch(help, -1)
			if diff := cmp.Diff(entries(want), entries(got)); diff != "" || len(want) < 6 {
				t.Errorf("exit status (-docs/%s.md +help):\n%s", command, diff)
			}
		})
	}
}

func entries(matches [][]string) (list []string) {
	for _, m := range matches {
		list = append(list, m[1]+": "+m[2])
	}
	return list
}

// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package cmd_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// program skips where a program that only a person's machine may lack is not there.
func program(t *testing.T, name string) string {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("the shells' own programs are tested on Linux")
	}
	path, err := exec.LookPath(name)
	if err != nil && os.Getenv("CI") == "" {
		t.Skipf("%s is not installed; on Debian: apt-get install %s", name, map[string]string{"man": "man-db"}[name]+name)
	}
	if err != nil {
		t.Fatalf("CI lacks %s: %v", name, err)
	}
	return path
}

// shell runs a script and returns what it printed; it must print nothing on stderr.
func shell(t *testing.T, script string, command ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Stdin = strings.NewReader(script)
	cmd.Env = []string{"PATH=" + bin + ":" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "LC_ALL=C.UTF-8", "TERM=dumb", "MANWIDTH=80"}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	stdout, err := cmd.Output()
	if err != nil || stderr.Len() > 0 {
		t.Fatalf("%q: %v\n%s%s", command, err, stdout, stderr.String())
	}
	return string(stdout)
}

func completion(t *testing.T, file string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "share", "completions", file))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestBash(t *testing.T) {
	t.Parallel()
	bash := program(t, "bash")
	for name, test := range map[string]struct {
		words string // as the shell splits them
		want  []string
	}{
		"a flag":                         {"--on-e", []string{"--on-existing"}},
		"a value":                        {"--on-existing s", []string{"skip"}},
		"every value":                    {"--on-existing ''", []string{"fail", "skip", "warn"}},
		"a value behind an equals sign":  {"--on-existing = w", []string{"warn"}},
		"nothing behind an equals sign":  {"--on-existing =", []string{"fail", "skip", "warn"}},
		"where = does not end a word":    {"--on-existing=s", []string{"--on-existing=skip"}},
		"a file":                         {"--record run", []string{"run 1.json"}},
		"a value that nobody knows":      {"--timeout ''", nil},
		"a flag behind an image":         {"ghcr.io/org/app:1 --on-u", []string{"--on-unknown"}},
		"an image, which nobody can say": {"gh", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			script := "cd \"$(mktemp -d)\" && touch 'run 1.json' && source '" + completion(t, "tagcheck.bash") + "'\n" +
				"COMP_WORDS=(tagcheck " + test.words + ") COMP_CWORD=$((${#COMP_WORDS[@]} - 1))\n_tagcheck\nprintf '%s\\n' \"${COMPREPLY[@]}\"\n"
			got := strings.TrimSpace(shell(t, script, bash, "--norc"))
			if want := strings.Join(test.want, "\n"); got != want {
				t.Errorf("completing %q (-want +got):\n%s", test.words, cmp.Diff(want, got))
			}
		})
	}
	for _, command := range commands {
		t.Run(command+" is registered", func(t *testing.T) {
			t.Parallel()
			got := shell(t, "source '"+completion(t, command+".bash")+"'; complete -p "+command+"\n", bash, "--norc")
			if want := "complete -F _" + command + " " + command + "\n"; got != want {
				t.Errorf("complete -p = %q, want %q", got, want)
			}
		})
	}
}

// zsh completes at a terminal only, so one is made for it; the command tells what it
// was given.
func TestZsh(t *testing.T) {
	t.Parallel()
	zsh := program(t, "zsh") // menucomplete: it inserts the first match and lists nothing
	for name, test := range map[string]struct{ load, typed, want string }{
		"a flag, from $fpath":  {"fpath=(%s $fpath); autoload -Uz compinit; compinit -u -D", "tagcheck --metadata-j\\tX", "--metadata-json=X"},
		"a value, from $fpath": {"fpath=(%s $fpath); autoload -Uz compinit; compinit -u -D", "tagcheck --on-existing=sk\\t", "--on-existing=skip"},
		"a value, sourced":     {"autoload -Uz compinit; compinit -u -D; source %s/_signretry", "signretry --format=leg\\t", "--format=legacy"},
		"behind an image":      {"fpath=(%s $fpath); autoload -Uz compinit; compinit -u -D", "regcleanup x --del\\t", "x --delete"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Dir(completion(t, "_tagcheck"))
			script := strings.NewReplacer("LOAD", strings.ReplaceAll(test.load, "%s", dir), "TYPED", test.typed).Replace(`
zmodload zsh/zpty
zpty pad zsh -f -i
zpty -w pad 'PS1=; unsetopt beep; setopt menucomplete; LOAD'
zpty -w pad 'for c in tagcheck signretry regcleanup; do eval "$c() { print -r -- \"<\"\$*\">\" }"; done; print rea""dy'
until [[ $line == *ready* ]]; do zpty -r pad line || exit 1; done
zpty -w pad $'TYPED'
for i in {1..50}; do zpty -r pad line || break; if [[ $line == \<*\>* ]]; then print -r -- ${${line#<}%%>*}; break; fi; done
zpty -d pad
`)
			if got := strings.TrimSpace(shell(t, script, zsh, "-f")); got != test.want {
				t.Errorf("typed %q, got %q, want %q", test.typed, got, test.want)
			}
		})
	}
}

func TestFish(t *testing.T) {
	t.Parallel()
	fish := program(t, "fish")
	for typed, want := range map[string][]string{
		"tagcheck --on-existing ":       {"fail", "skip", "warn"},
		"tagcheck --on-existing=s":      {"--on-existing=skip"},
		"signretry --format l":          {"legacy"},
		"signretry --trusted-root run":  {"run.json"},
		"regcleanup --published-d":      {"--published-digest"},
		"tagcheck ru":                   nil,
		"tagcheck ghcr.io/a:1 --on-unk": {"--on-unknown"},
	} {
		t.Run(typed, func(t *testing.T) {
			t.Parallel()
			name, _, _ := strings.Cut(typed, " ")
			script := "cd (mktemp -d); touch run.json; source '" + completion(t, name+".fish") + "'; complete -C '" + typed + "'\n"
			var got []string
			for line := range strings.Lines(shell(t, script, fish, "--no-config")) {
				word, _, _ := strings.Cut(strings.TrimSpace(line), "\t")
				got = append(got, word)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("completing %q (-want +got):\n%s", typed, diff)
			}
		})
	}
}

// The man pages render, without a warning, and have all their sections in order.
func TestMan(t *testing.T) {
	t.Parallel()
	man := program(t, "man")
	for _, command := range commands {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			path, err := filepath.Abs(filepath.Join("..", "share", "man", command+".1"))
			if err != nil {
				t.Fatal(err)
			}
			text := shell(t, "", man, "--warnings", "-l", path)
			var got []string
			for line := range strings.Lines(text) {
				if line = strings.TrimRight(line, "\n"); line != "" && line == strings.ToUpper(line) && !strings.HasPrefix(line, " ") {
					got = append(got, line)
				}
			}
			want := []string{"NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "ENVIRONMENT", "FILES", "EXAMPLES", "SEE ALSO"}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("sections (-want +got):\n%s", diff)
			}
			variable := strings.ToUpper(command) + "_MAX_ELAPSED"
			if !strings.Contains(text, variable) || !strings.Contains(text, "PUSHGUARD_RECORD") {
				t.Errorf("the page lacks %s or PUSHGUARD_RECORD:\n%s", variable, text)
			}
		})
	}
}

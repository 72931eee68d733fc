// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package releasetest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sh runs a command and returns its stdout without the last newline.
func sh(t *testing.T, env []string, name string, args ...string) string {
	t.Helper()
	// Not the test's context: what was installed goes after the test has ended.
	cmd := exec.CommandContext(context.Background(), name, args...)
	cmd.Env = append(os.Environ(), env...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s%s", name, args, err, out, stderr.String())
	}
	return strings.TrimSuffix(string(out), "\n")
}

// The completions and man pages of an unpacked archive work.
func TestSnapshot_completionsAndManPages(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	sh(t, nil, "tar", "-xzf", filepath.Join(dist(t), archiveName(t, "pushguard", "linux/amd64")), "-C", dir)
	for _, c := range commands {
		t.Run(c, func(t *testing.T) {
			t.Parallel()
			if got, want := sh(t, nil, "bash", "--norc", "-c", ". "+dir+"/completions/"+c+".bash; complete -p "+c), "complete -F _"+c+" "+c; got != want {
				t.Errorf("bash: complete -p = %q, want %q", got, want)
			}
			if got := sh(t, nil, "zsh", "-f", "-c", "fpath=("+dir+"/completions); autoload -Uz +X _"+c+"; fpath=(/usr/share/zsh/functions/**/*(/N)); autoload -Uz compinit; compinit -u -D; source "+dir+"/completions/_"+c+"; print $_comps["+c+"]"); got != "_"+c {
				t.Errorf("zsh completes %s with %q", c, got)
			}
			if got := sh(t, nil, "fish", "--no-config", "-c", "source "+dir+"/completions/"+c+".fish; complete -C '"+c+" --versi'"); !strings.HasPrefix(got, "--version\t") {
				t.Errorf("fish completes --versi with %q", got)
			}
			if got := sh(t, []string{"LC_ALL=C.UTF-8", "MANWIDTH=80"}, "man", "--warnings", "-l", dir+"/man/"+c+".1"); !strings.Contains(got, "\nEXIT STATUS\n") {
				t.Errorf("the man page lacks EXIT STATUS:\n%s", got)
			}
		})
	}
}

// The Debian package can be installed, its commands run, and it leaves nothing behind.
func TestSnapshot_deb(t *testing.T) {
	deb := filepath.Join(dist(t), "pushguard_"+version(t)+"_linux_"+runtime.GOARCH+".deb")
	if _, err := exec.LookPath("dpkg"); err != nil || os.Getuid() != 0 {
		t.Skip("installing a package needs dpkg and root")
	}
	sh(t, nil, "dpkg", "--install", deb)
	t.Cleanup(func() {
		sh(t, nil, "dpkg", "--purge", "pushguard")
		for _, c := range commands {
			if _, err := os.Stat("/usr/bin/" + c); err == nil {
				t.Errorf("/usr/bin/%s is still there", c)
			}
		}
	})
	var got []string
	for line := range strings.SplitSeq(sh(t, nil, "dpkg", "--listfiles", "pushguard"), "\n") {
		if info, err := os.Stat(line); err == nil && !info.IsDir() {
			got = append(got, line)
		}
	}
	// A container's dpkg may leave documentation out.
	want := slices.DeleteFunc(packaged("deb"), func(name string) bool {
		_, err := os.Stat(name)
		return err != nil && (strings.HasPrefix(name, "/usr/share/doc/") || strings.HasPrefix(name, "/usr/share/man/"))
	})
	for _, c := range commands {
		want = append(want, "/usr/bin/"+c)
		if got, want := sh(t, nil, "/usr/bin/"+c, "--version"), c+" v"+version(t)+" "; !strings.HasPrefix(got, want) {
			t.Errorf("%s --version printed %q, want %q", c, got, want)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files of the package (-want +got):\n%s", diff)
	}
}

// The packages for other systems hold their files where those look for them.
func TestSnapshot_otherPackages(t *testing.T) {
	t.Parallel()
	for format, list := range map[string][]string{
		"rpm": {"rpm", "--query", "--list", "--package"},
		"apk": {"tar", "--list", "--gzip", "--warning=no-unknown-keyword", "--file"},
	} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			name := filepath.Join(dist(t), "pushguard_"+version(t)+"_linux_amd64."+format)
			var got []string
			for line := range strings.SplitSeq(sh(t, nil, list[0], append(list[1:], name)...), "\n") {
				line = "/" + strings.TrimPrefix(line, "/")
				if strings.HasPrefix(line, "/usr/") && !strings.HasSuffix(line, "/") {
					got = append(got, line)
				}
			}
			want := packaged(format)
			for _, c := range commands {
				want = append(want, "/usr/bin/"+c)
			}
			slices.Sort(want)
			slices.Sort(got)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
		})
	}
}

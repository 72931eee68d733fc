// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

// Package scripttest runs the shell steps of the chain as processes: with the real
// commands and registries on the loopback address, and stand-ins for what a test
// has not: docker, cosign, gh, and GitHub.
package scripttest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/LerianStudio/pushguard/pkg/command/commandtest"
)

// bin is the folder of the three commands.
var bin string

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "scripttest:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "pushguard-scripts-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	bin = dir
	if out, err := exec.Command("go", "build", "-tags", "urfave_cli_no_docs", "-o", bin+string(filepath.Separator), "../../cmd/...").CombinedOutput(); err != nil {
		return 1, fmt.Errorf("build the commands: %w\n%s", err, out)
	}
	return m.Run(), nil
}

func TestScripts(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("the tests, not the scripts, use Linux's own programs")
	}
	scripts, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	setup := filepath.Join(filepath.Dir(scripts), "setup")
	version, err := os.ReadFile("../../VERSION")
	if err != nil {
		t.Fatal(err)
	}
	released := strings.TrimSpace(string(version))
	commandtest.Run(t, commandtest.Script{
		Name: "workflow",
		Setup: func(env *testscript.Env) error {
			fakes := filepath.Join(env.WorkDir, "bin")
			env.Setenv("PATH", fakes+":"+scripts+":"+setup+":"+bin+":"+env.Getenv("PATH"))
			env.Setenv("RELEASED", released)
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("TAGCHECK_INITIAL_DELAY", "1ms")
			env.Setenv("REGCLEANUP_INITIAL_DELAY", "1ms")
			env.Setenv("FEW", fakes+":"+setup+":"+filepath.Join(env.WorkDir, "few"))
			return errors.Join(writeFakes(fakes), linkFew(filepath.Join(env.WorkDir, "few")))
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"release": release, "serve": serve, "unset": unset, "sameout": sameOutput,
		},
	})
}

// fakes are the programs that stand in: each writes down how it was called.
var fakes = map[string]string{
	"docker": `
printf '%s\n' "$@" | tr '\n' '|' >>"$WORK/docker.log"; echo >>"$WORK/docker.log"
case $1 in login) cat >"$WORK/password" ;; esac
`,
	// It knows what the file says of each reference: digest and status.
	"signretry": `
[ "$*" = "--check --json --max-elapsed=2m -" ] || exit 9
[ "${SIGN_EXIT:-0}" -lt 2 ] || exit "$SIGN_EXIT"
while read -r ref; do grep "^$ref " "$WORK/registry.txt" || echo "$ref  missing"; done |
  jq -cnR '{images: [inputs | split(" ") | {ref: .[0], digest: .[1], status: .[2]}]}'
exit "${SIGN_EXIT:-0}"
`,
	"curl-for-dispatch": `
printf '%s\n' "$@" >"$WORK/curl.log"; cat >"$WORK/curl.in"; exit "${CURL_EXIT:-0}"
`,
	// A signature is the identity, its commit, and the file's checksum.
	"fake-cosign": `
[ "$1" = verify-blob ] || exit 9
for a; do
  case $previous in
  --bundle) bundle=$a ;;
  --certificate-identity) identity=$a ;;
  --certificate-github-workflow-sha) commit=$a ;;
  esac
  previous=$a
done
read -r signer built sum <"$bundle"
[ "$signer" = "$identity" ] && [ "${commit:-$built}" = "$built" ] && [ "$sum" = "$(sha256sum "$a" | cut -d ' ' -f 1)" ]
`,
	"fake-gh": `
[ "$1 $2" = "attestation --help" ] && exit "${GH_OLD:-0}"
printf '%s\n' "$@" >"$WORK/gh.log"; exit "${GH_EXIT:-0}"
`,
}

func writeFakes(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, text := range fakes {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text), 0o755); err != nil {
			return err
		}
	}
	return nil
}

// linkFew fills dir with what install.sh needs, so that no cosign and no gh of this
// machine's is found.
func linkFew(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, name := range []string{
		"bash", "sh", "env", "curl", "tar", "gzip", "uname", "mktemp", "rm", "cp", "mv", "mkdir", "chmod", "cut", "sed",
		"sha256sum", "cat", "grep", "tr", "dirname", "ls", "wc", "timeout",
	} {
		path, err := exec.LookPath(name)
		if err != nil {
			return err
		}
		if err := os.Symlink(path, filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

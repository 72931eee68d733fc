// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/LerianStudio/pushguard/e2e/process"
	"github.com/LerianStudio/pushguard/e2e/stack"
)

// dist is the folder of what "make release-snapshot" has built.
func dist(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("PUSHGUARD_DIST")
	if dir == "" {
		t.Skip(`nothing was built: "make release-test" runs this`)
	}
	return dir
}

// signed is a release made of the snapshot, as it is before somebody changes it.
type signed struct {
	served string // the folder that is served as the releases' page
	dir    string // in it, the files of the release
}

// evil is in the place of a command that must not run.
const evil = "#!/bin/sh\ntouch \"$CANARY\"\n"

func (s signed) path(name string) string { return filepath.Join(s.dir, name) }

func (s signed) write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(s.path(name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (s signed) read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(s.path(name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// replace puts an archive of evil commands in the place of the real one.
func (s signed) replace(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	for _, command := range []string{"tagcheck", "signretry", "regcleanup"} {
		if err := os.WriteFile(filepath.Join(dir, command), []byte(evil), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	archive, err := pack(dir)
	if err != nil {
		t.Fatal(err)
	}
	s.write(t, archiveName(), archive)
}

// sum writes the checksums anew, as who changed an archive would.
func (s signed) sum(t *testing.T) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "sh", "-c", "cd "+s.dir+" && sha256sum "+archiveName()).Output()
	if err != nil {
		t.Fatal(err)
	}
	s.write(t, "checksums.txt", out)
}

// sign signs the checksums as workflow.
func (s signed) sign(t *testing.T, workflow string) {
	t.Helper()
	if err := signBlob(t.Context(), s.path("checksums.txt"), workflow); err != nil {
		t.Fatal(err)
	}
}

// newSigned lays out what the snapshot published would be, without its signature.
func newSigned(t *testing.T) signed {
	t.Helper()
	s := signed{served: t.TempDir()}
	s.dir = filepath.Join(s.served, "download", "v"+release)
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"checksums.txt", archiveName()} {
		data, err := os.ReadFile(filepath.Join(dist(t), name))
		if err != nil {
			t.Fatal(err)
		}
		s.write(t, name, data)
	}
	return s
}

// The snapshot, served as GitHub serves a release and signed by a real Fulcio, is
// installed by install.sh and by the steps of the setup action; whatever was changed is
// refused, and nothing of it has run.
func TestSnapshot_install(t *testing.T) {
	t.Parallel()
	dist(t)
	const fork = "someone/pushguard/.github/workflows/release.yml@refs/tags/v" + release
	const other = "LerianStudio/pushguard/.github/workflows/ci.yml@refs/tags/v" + release
	const branch = "LerianStudio/pushguard/.github/workflows/release.yml@refs/heads/v" + release
	const older = "LerianStudio/pushguard/.github/workflows/release.yml@refs/tags/v0.9.0"
	asReleased := func(t *testing.T, s signed) { t.Helper(); s.sign(t, releaseWorkflow) }
	as := func(workflow string) func(*testing.T, signed) {
		return func(t *testing.T, s signed) { t.Helper(); s.replace(t); s.sum(t); s.sign(t, workflow) }
	}
	for name, test := range map[string]struct {
		change func(*testing.T, signed)
		env    []string
		says   string // "" where it is installed
	}{
		"as it is":              {asReleased, nil, ""},
		"of the pinned commit":  {asReleased, []string{"PUSHGUARD_REF=o/r/setup@" + stack.Commit, "PUSHGUARD_COMMIT=" + stack.Commit}, ""},
		"of another commit":     {asReleased, []string{"PUSHGUARD_REF=" + strings.Repeat("0", 40), "PUSHGUARD_COMMIT=" + strings.Repeat("0", 40)}, "at the commit 0000000000"},
		"of a fork":             {as(fork), nil, "the signature of checksums.txt is not that of"},
		"of another workflow":   {as(other), nil, "the signature of checksums.txt is not that of"},
		"of a branch":           {as(branch), nil, "the signature of checksums.txt is not that of"},
		"of an older tag":       {as(older), nil, "the signature of checksums.txt is not that of"},
		"a version not there":   {asReleased, []string{"PUSHGUARD_VERSION=9.9.9"}, "/download/v9.9.9/checksums.txt failed"},
		"no platform like this": {asReleased, []string{"PUSHGUARD_PLATFORM=linux/riscv64"}, "there is no build for linux/riscv64"},
		"a wrong byte": {func(t *testing.T, s signed) {
			t.Helper()
			s.sign(t, releaseWorkflow)
			data := s.read(t, archiveName())
			data[len(data)/2] ^= 1
			s.write(t, archiveName(), data)
		}, nil, "has the checksum"},
		"another archive": {func(t *testing.T, s signed) {
			t.Helper()
			s.sign(t, releaseWorkflow)
			s.replace(t)
		}, nil, "has the checksum"},
		"another archive and its checksum": {func(t *testing.T, s signed) {
			t.Helper()
			s.sign(t, releaseWorkflow)
			s.replace(t)
			s.sum(t)
		}, nil, "the signature of checksums.txt is not that of"},
		"the signature of another file": {func(t *testing.T, s signed) {
			t.Helper()
			mine := s.read(t, "checksums.txt")
			s.replace(t)
			s.sum(t)
			changed := s.read(t, "checksums.txt")
			s.write(t, "checksums.txt", mine)
			s.sign(t, releaseWorkflow)
			s.write(t, "checksums.txt", changed)
		}, nil, "the signature of checksums.txt is not that of"},
		"a signature cut off": {func(t *testing.T, s signed) {
			t.Helper()
			s.sign(t, releaseWorkflow)
			data := s.read(t, "checksums.txt.sigstore.json")
			s.write(t, "checksums.txt.sigstore.json", data[:len(data)/2])
		}, nil, "the signature of checksums.txt is not that of"},
		"no signature": {func(*testing.T, signed) {}, nil, "checksums.txt.sigstore.json failed"},
		"an archive cut off": {func(t *testing.T, s signed) {
			t.Helper()
			s.sign(t, releaseWorkflow)
			data := s.read(t, archiveName())
			s.write(t, archiveName(), data[:len(data)/2])
		}, nil, "has the checksum"},
	} {
		for _, script := range []string{"setup/install.sh", "setup/setup.sh"} {
			t.Run(name+", "+filepath.Base(script), func(t *testing.T) {
				t.Parallel()
				s := newSigned(t)
				test.change(t, s)
				tryInstall(t, s, script, test.env, test.says)
			})
		}
	}
}

// tryInstall runs one of the scripts on a release and wants it installed, or refused
// with what it says.
func tryInstall(t *testing.T, s signed, script string, env []string, says string) {
	t.Helper()
	server := httptest.NewServer(http.FileServer(http.Dir(s.served)))
	defer server.Close()
	home := t.TempDir()
	bin, canary, path := filepath.Join(home, "pushguard-bin"), filepath.Join(home, "canary"), filepath.Join(home, "path")
	variables := slices.Concat(machine(), trust(), []string{
		"PUSHGUARD_RELEASES=" + server.URL, "PUSHGUARD_INSTALL_DIR=" + bin, "CANARY=" + canary,
		"RUNNER_TEMP=" + home, "GITHUB_PATH=" + path, "GITHUB_ENV=" + filepath.Join(home, "env"), "GITHUB_OUTPUT=" + filepath.Join(home, "output"),
	})
	if script == "setup/install.sh" {
		variables = append(variables, "PUSHGUARD_VERSION="+release)
	}
	res, err := process.Run(t.Context(), process.Command{
		Name: filepath.Base(script), Path: filepath.Join(e2e.root, script), Env: append(variables, env...), Dir: home,
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, notRan := os.Stat(canary)
	_, installed := os.Stat(filepath.Join(bin, "tagcheck"))
	_, onPath := os.Stat(path)
	if !errors.Is(notRan, fs.ErrNotExist) {
		t.Error("a command that was not verified has run")
	}
	if says != "" {
		if res.Code == 0 || installed == nil || onPath == nil || !strings.Contains(string(res.Stderr), says) {
			t.Errorf("exit %d, installed: %t, on PATH: %t, want a refusal that says %q:\n%s", res.Code, installed == nil, onPath == nil, says, res.Stderr)
		}
		return
	}
	if res.Code != 0 || installed != nil {
		t.Fatalf("exit %d, installed: %t:\n%s", res.Code, installed == nil, res.Stderr)
	}
	for _, command := range []string{"tagcheck", "signretry", "regcleanup"} {
		out, err := exec.CommandContext(t.Context(), filepath.Join(bin, command), "--version").Output()
		if want := command + " v" + release + " (commit "; err != nil || !bytes.HasPrefix(out, []byte(want)) {
			t.Errorf("%s --version = %q, %v, want %q", command, out, err, want)
		}
	}
}

// releaseRepository is a clone of ours at the commit that the snapshot was built from,
// with the tag that it would have.
func releaseRepository(t *testing.T) (dir, commit string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "pushguard")
	for _, args := range [][]string{
		{"clone", "--quiet", "--no-hardlinks", e2e.root, dir},
		{"-C", dir, "remote", "set-url", "origin", "https://github.com/LerianStudio/pushguard.git"},
		{"-C", dir, "-c", "tag.gpgSign=false", "tag", "--force", "v" + release},
	} {
		if out, err := exec.CommandContext(t.Context(), "git", args...).CombinedOutput(); err != nil {
			t.Fatalf("git %q: %v\n%s", args, err, out)
		}
	}
	out, err := exec.CommandContext(t.Context(), "git", "-C", dir, "rev-parse", "HEAD").Output()
	if err != nil {
		t.Fatal(err)
	}
	return dir, strings.TrimSpace(string(out))
}

// shims are what a job of release.yml finds on its machine in the place of GitHub:
// gh keeps releases in $E2E_GITHUB, cosign signs at this machine's Sigstore, and the
// tests, which run elsewhere, are not run again.
var shims = map[string]string{
	"sudo": `echo "$*" >>"$E2E_GITHUB/sudo"`,
	"cosign": `
case $1 in
sign-blob) shift; exec "$E2E_COSIGN" sign-blob --signing-config "$E2E_CONFIG" --trusted-root "$PUSHGUARD_TRUSTED_ROOT" "$@" ;;
*) exec "$E2E_COSIGN" "$@" ;;
esac`,
	"gh": `
echo "$*" >>"$E2E_GITHUB/gh"
draft=$E2E_GITHUB/draft/$3 public=$E2E_GITHUB/public/download/$3
case "$1 $2" in
"release view") [ -d "$public" ] && echo false && exit; [ -d "$draft" ] && echo true && exit; exit 1 ;;
"release delete") rm -r "$draft" ;;
"release create")
  mkdir -p "$draft"
  for file; do case $file in dist/*) cp "$file" "$draft/" ;; esac; done ;;
"release download") mkdir -p "$5" && cp "$draft"/* "$5/" ;;
"release edit") mkdir -p "$E2E_GITHUB/public/download" && mv "$draft" "$public" ;;
"api "*) ;;
*) exit 9 ;;
esac`,
}

// release.yml runs: it builds, signs, drafts, installs from the draft, publishes, and
// sends the project's own image through the release's own commands. What GitHub alone
// can do stands in.
func TestSnapshot_releaseWorkflow(t *testing.T) {
	dist(t)
	dir, commit := releaseRepository(t)
	github, bin := t.TempDir(), t.TempDir()
	for name, text := range shims {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	public := filepath.Join(github, "public")
	if err := os.MkdirAll(public, 0o755); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.FileServer(http.Dir(public)))
	defer server.Close()
	grant := e2e.Issuer.Grant(releaseWorkflow)
	grant.Commit = commit
	config, err := e2e.SigningConfig(t.Context(), t.TempDir(), stack.Endpoints{Fulcio: e2e.Fulcio, TSA: e2e.TSA, Rekor: e2e.RekorV1})
	if err != nil {
		t.Fatal(err)
	}
	args := []string{
		"push", "--workflows", ".github/workflows/release.yml", "--platform", "ubuntu-latest=-self-hosted", "--matrix", "os:ubuntu-latest",
		"--no-cache-server", "--action-cache-path", t.TempDir(), "--secret", "GITHUB_TOKEN=job", "--secret", "HOMEBREW_TAP_TOKEN=tap",
	}
	for _, variable := range append(grant.Env(),
		"GITHUB_REPOSITORY=LerianStudio/pushguard", "GITHUB_REPOSITORY_OWNER=LerianStudio", "GITHUB_SHA="+commit,
		"GITHUB_REF=refs/tags/v"+release, "GITHUB_REF_NAME=v"+release, "GITHUB_REF_TYPE=tag",
		"COSIGN="+filepath.Join(bin, "cosign"), "GHCR_REGISTRY="+e2e.ghcr,
		"PUSHGUARD_RELEASE_ISSUER="+e2e.Issuer.URL, "PUSHGUARD_TRUSTED_ROOT="+e2e.TrustedRoot,
		"SIGNRETRY_SIGNING_CONFIG="+config, "SIGNRETRY_TRUSTED_ROOT="+e2e.TrustedRoot,
	) {
		args = append(args, "--env", variable)
	}
	cmd := exec.CommandContext(t.Context(), e2e.act, append(args, standIns(t, "release.yml")...)...)
	cmd.Dir, cmd.Stdin = dir, bytes.NewReader(nil)
	cmd.Env = append(slices.DeleteFunc(machine(), func(v string) bool { return strings.HasPrefix(v, "XDG_CACHE_HOME=") }),
		"PATH="+bin+string(os.PathListSeparator)+e2e.path, "XDG_CACHE_HOME="+goEnv(t, "GOCACHE")+"/..",
		"GOCACHE="+goEnv(t, "GOCACHE"), "GOMODCACHE="+goEnv(t, "GOMODCACHE"), "GOPROXY="+goEnv(t, "GOPROXY"),
		"BUILDX_BUILDER="+builderName, "E2E_ARTIFACTS="+t.TempDir(), "E2E_GITHUB="+github, "E2E_CONFIG="+config,
		"E2E_COSIGN="+e2e.Cosign3().Command(nil).Path, "PUSHGUARD_RELEASES="+server.URL, "NO_COLOR=1", "CI=true",
	)
	log, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("release.yml: %v\n%s", err, log)
	}
	t.Logf("%s", log)
	for _, want := range []string{"installed tagcheck, signretry and regcleanup", "Verified OK"} {
		if !bytes.Contains(log, []byte(want)) {
			t.Errorf("the log lacks %q", want)
		}
	}
	calls, err := os.ReadFile(filepath.Join(github, "gh"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"release create v" + release + " --draft --verify-tag", "release edit v" + release + " --draft=false",
		"api --silent --method PATCH repos/LerianStudio/pushguard/git/refs/tags/v1", "contents/Casks/pushguard.rb",
	} {
		if !strings.Contains(string(calls), want) {
			t.Errorf("gh was not called with %q:\n%s", want, calls)
		}
	}
	// What was published is what "make release-snapshot" has built, byte for byte.
	for _, name := range []string{"checksums.txt", archiveName()} {
		want, err := os.ReadFile(filepath.Join(dist(t), name))
		got, err2 := os.ReadFile(filepath.Join(public, "download", "v"+release, name))
		if err := errors.Join(err, err2); err != nil || !bytes.Equal(want, got) {
			t.Errorf("the published %s differs from the snapshot's: %v", name, err)
		}
	}
	image := fmt.Sprintf("%s/lerianstudio/pushguard:%s", e2e.ghcr, release)
	res, err := e2e.Cosign3().Run(t.Context(), nil, "verify", "--trusted-root", e2e.TrustedRoot,
		"--certificate-identity", grant.Identity, "--certificate-oidc-issuer", e2e.Issuer.URL, image)
	if err != nil || res.Code != 0 {
		t.Errorf("cosign verify %s: exit %d, %v\n%s", image, res.Code, err, res.Stderr)
	}
}

func goEnv(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "env", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

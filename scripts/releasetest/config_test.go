// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

// Package releasetest checks what a release holds: what goreleaser.yaml says on every
// run of the tests, and what was built of it where PUSHGUARD_DIST names the folder.
package releasetest

import (
	"bytes"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

const root = "../.."

// commands are the three of each release.
var commands = []string{"regcleanup", "signretry", "tagcheck"}

// platforms are those that a release is built for.
var platforms = []string{"darwin/amd64", "darwin/arm64", "linux/amd64", "linux/arm64", "windows/amd64", "windows/arm64"}

// config is what the tests read of goreleaser.yaml.
type config struct {
	Builds []struct {
		Main, Binary                       string
		Goos, Goarch                       []string
		Env, Flags, Ldflags, Gcflags, Tags []string
		ModTimestamp                       string `yaml:"mod_timestamp"`
	}
	Archives []struct {
		ID           string
		NameTemplate string `yaml:"name_template"`
		Files        []struct{ Src, Dst string }
	}
	Nfpms []struct {
		Formats  []string
		Contents []struct{ Src, Dst, Packager string }
	}
	Casks []struct {
		IDs         []string
		Binaries    []string
		Manpages    []string
		Completions map[string]string
		CustomBlock string `yaml:"custom_block"`
		SkipUpload  string `yaml:"skip_upload"`
	} `yaml:"homebrew_casks"`
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func readConfig(t *testing.T) (c config) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(readFile(t, "goreleaser.yaml")), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// version is the release that the last commit prepares, or that was published last.
func version(t *testing.T) string {
	t.Helper()
	return strings.TrimSpace(readFile(t, "VERSION"))
}

// A release is built with the flags of "make build", so that what is measured and
// tested is what is published.
func TestBuilds_haveTheFlagsOfMakeBuild(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("make is not there")
	}
	cmd := exec.CommandContext(t.Context(), "make", "--no-print-directory", "-n", "-C", root, "build")
	cmd.Env = append(os.Environ(), "MAKEFLAGS=", "MAKELEVEL=")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	recipe := regexp.MustCompile(`\\\n\s*`).ReplaceAllString(string(out), "")
	recipe = strings.NewReplacer("'", "", "-s -w", "-s_-w").Replace(recipe)
	var want []string
	for word := range strings.FieldsSeq(recipe) {
		if word != "go" && word != "build" && word != "-o" && word != "bin/" && word != "./cmd/..." {
			want = append(want, word)
		}
	}
	slices.Sort(want)
	c := readConfig(t)
	var built []string
	for _, b := range c.Builds {
		built = append(built, b.Binary)
		got := slices.DeleteFunc(slices.Clone(b.Env), func(v string) bool { return v == "GOFLAGS=-buildvcs=true" })
		got = append(got, b.Flags...)
		for _, f := range b.Gcflags {
			got = append(got, "-gcflags="+f)
		}
		got = append(got, "-ldflags="+strings.ReplaceAll(strings.Join(b.Ldflags, " "), " ", "_"), "-tags", strings.Join(b.Tags, ","))
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("flags of %s (-make build +goreleaser.yaml):\n%s", b.Binary, diff)
		}
		if b.ModTimestamp != "{{ .CommitTimestamp }}" || b.Main != "./cmd/"+b.Binary {
			t.Errorf("build %s: main %q, mod_timestamp %q", b.Binary, b.Main, b.ModTimestamp)
		}
		var targets []string
		for _, system := range b.Goos {
			for _, machine := range b.Goarch {
				targets = append(targets, system+"/"+machine)
			}
		}
		slices.Sort(targets)
		if diff := cmp.Diff(platforms, targets); diff != "" {
			t.Errorf("platforms of %s (-want +got):\n%s", b.Binary, diff)
		}
	}
	slices.Sort(built)
	if diff := cmp.Diff(commands, built); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
}

// archive lists what an archive would hold, in order, from goreleaser.yaml and share/.
func (c config) archive(t *testing.T, id string) (files []string) {
	t.Helper()
	for _, a := range c.Archives {
		if a.ID != id {
			continue
		}
		files = slices.Clone(commands)
		for _, f := range a.Files {
			found, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(f.Src)))
			if err != nil || len(found) == 0 {
				t.Fatalf("archive %s: no file matches %s: %v", id, f.Src, err)
			}
			for _, name := range found {
				files = append(files, path.Join(f.Dst, filepath.Base(name)))
			}
		}
	}
	slices.Sort(files)
	return files
}

// wanted are the files of an archive for people.
func wanted() (files []string) {
	files = append(slices.Clone(commands), "LICENSE", "README.md")
	for _, c := range commands {
		files = append(files, "completions/"+c+".bash", "completions/"+c+".fish", "completions/"+c+".ps1", "completions/_"+c, "man/"+c+".1")
	}
	slices.Sort(files)
	return files
}

func TestArchives(t *testing.T) {
	t.Parallel()
	c := readConfig(t)
	if diff := cmp.Diff(wanted(), c.archive(t, "pushguard")); diff != "" {
		t.Errorf("archive for people (-want +got):\n%s", diff)
	}
	bare := append([]string{"LICENSE"}, commands...)
	slices.Sort(bare)
	if diff := cmp.Diff(bare, c.archive(t, "commands")); diff != "" {
		t.Errorf("archive for CI (-want +got):\n%s", diff)
	}
}

var caskLine = regexp.MustCompile(`(?m)^(\w+)_completion "([^"]+)"$`)

// The cask names files that are in its archive, and leaves out none: a name that is
// wrong makes "brew install" fail.
func TestCask_namesWhatTheArchiveHolds(t *testing.T) {
	t.Parallel()
	c := readConfig(t)
	if len(c.Casks) != 1 || c.Casks[0].SkipUpload != "true" || !slices.Equal(c.Casks[0].IDs, []string{"pushguard"}) {
		t.Fatalf("casks = %+v, want one of the archive for people, which release.yml uploads", c.Casks)
	}
	cask := c.Casks[0]
	got := slices.Concat(cask.Binaries, cask.Manpages)
	for _, name := range cask.Completions {
		got = append(got, name)
	}
	for _, m := range caskLine.FindAllStringSubmatch(cask.CustomBlock, -1) {
		got = append(got, m[2])
	}
	slices.Sort(got)
	held := slices.DeleteFunc(c.archive(t, "pushguard"), func(name string) bool {
		return strings.HasSuffix(name, ".ps1") || path.Dir(name) == "." && !slices.Contains(commands, name)
	})
	if diff := cmp.Diff(held, got); diff != "" {
		t.Errorf("files (-in the archive +named by the cask):\n%s", diff)
	}
}

// Each package holds the completions and man pages where its system looks for them.
func TestPackages(t *testing.T) {
	t.Parallel()
	c := readConfig(t)
	for _, format := range c.Nfpms[0].Formats {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, content := range c.Nfpms[0].Contents {
				if content.Packager != "" && content.Packager != format {
					continue
				}
				src := content.Src
				if strings.HasSuffix(src, "/") {
					src += "*"
				}
				found, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(src)))
				if err != nil || len(found) == 0 {
					t.Errorf("no file matches %s: %v", content.Src, err)
				}
				for _, name := range found {
					dst := content.Dst
					if strings.HasSuffix(dst, "/") {
						dst += filepath.Base(name)
					}
					got = append(got, dst)
				}
			}
			slices.Sort(got)
			if diff := cmp.Diff(packaged(format), got); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
		})
	}
}

// packaged are the files of a package beside the commands.
func packaged(format string) (files []string) {
	zsh := "/usr/share/zsh/site-functions/_"
	if format == "deb" {
		zsh = "/usr/share/zsh/vendor-completions/_"
	}
	files = []string{"/usr/share/doc/pushguard/copyright"}
	for _, c := range commands {
		files = append(files, "/usr/share/bash-completion/completions/"+c, "/usr/share/fish/vendor_completions.d/"+c+".fish", zsh+c, "/usr/share/man/man1/"+c+".1")
	}
	slices.Sort(files)
	return files
}

// install.sh asks for an archive that a release has, on the platforms that it has.
func TestInstallScript_namesWhatAReleaseHolds(t *testing.T) {
	t.Parallel()
	script := readFile(t, "setup/install.sh")
	c := readConfig(t)
	for _, a := range c.Archives {
		if a.ID != "commands" {
			continue
		}
		name := strings.NewReplacer(
			"{{ .Version }}", "([0-9][0-9A-Za-z.-]*)", "{{ .Os }}_{{ .Arch }}", `${platform/\//_}`,
		).Replace(a.NameTemplate) + `\.tar\.gz`
		if !strings.Contains(script, "("+name+")") {
			t.Errorf("install.sh does not look for %s", name)
		}
	}
	var got []string
	for _, line := range regexp.MustCompile(`(?m)^((?:\w+/\w+ ?\|? ?)+)\) suffix=`).FindAllStringSubmatch(script, -1) {
		got = append(got, strings.Split(line[1], " | ")...)
	}
	slices.Sort(got)
	if diff := cmp.Diff(platforms, got); diff != "" {
		t.Errorf("platforms (-built +known to install.sh):\n%s", diff)
	}
}

// The version is a release's, and CHANGELOG.md tells what is in it.
func TestVersion_isInTheChangelog(t *testing.T) {
	t.Parallel()
	v := version(t)
	if !regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.]+)?$`).MatchString(v) {
		t.Errorf("VERSION is %q, want one such as 1.2.3", v)
	}
	cmd := exec.CommandContext(t.Context(), "bash", "scripts/notes.sh", v)
	cmd.Dir = root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	notes, err := cmd.Output()
	if err != nil || len(bytes.TrimSpace(notes)) == 0 {
		t.Errorf("notes.sh %s: %v\n%s%s", v, err, notes, stderr.String())
	}
}

// The README tells how to verify with the identity that install.sh demands, and that
// nothing is published for as long as nothing is.
func TestReadme(t *testing.T) {
	t.Parallel()
	readme, v := readFile(t, "README.md"), version(t)
	for _, want := range []string{
		"https://github.com/LerianStudio/pushguard/.github/workflows/release.yml@refs/tags/v$version",
		"--certificate-oidc-issuer https://token.actions.githubusercontent.com",
	} {
		if !strings.Contains(readme, want) {
			t.Errorf("the README lacks %s", want)
		}
	}
	published := strings.Contains(readFile(t, "CHANGELOG.md"), "\n## "+v+" ") || v != "1.0.0"
	if says := strings.Contains(readme, "Until 1.0.0 is published"); says == published {
		t.Errorf("CHANGELOG.md tells of 1.0.0: %t, and the README says that it is not published: %t", published, says)
	}
	if n := strings.Count(readme, "\n"); n > 220 {
		t.Errorf("the README has %d lines, want at most 220", n)
	}
}

// Each action is pinned by a commit, and says of which version it is.
func TestActions_arePinned(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(root, ".github", "workflows", "*.yml"))
	if err != nil || len(files) < 5 {
		t.Fatalf("%d workflows: %v", len(files), err)
	}
	uses := regexp.MustCompile(`(?m)^\s*(?:- )?uses: (.*)$`)
	pinned := regexp.MustCompile(`^\./|^[\w.-]+/[\w./-]+@[0-9a-f]{40} # v[0-9.]+$`)
	versions := map[string]string{}
	for _, file := range append(files, filepath.Join(root, "setup", "action.yml")) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range uses.FindAllStringSubmatch(string(text), -1) {
			if !pinned.MatchString(m[1]) {
				t.Errorf("%s uses %s, want a commit and its version", file, m[1])
			}
			name, commit, _ := strings.Cut(m[1], "@")
			if other := versions[name]; other != "" && other != commit {
				t.Errorf("%s is used at %s and at %s", name, other, commit)
			}
			versions[name] = commit
		}
	}
}

// The action's steps are the script that the tests run, and nothing but text reaches it.
func TestSetupAction(t *testing.T) {
	t.Parallel()
	var action struct {
		Inputs map[string]struct{ Default string }
		Runs   struct {
			Using string
			Steps []struct {
				Shell, Run string
				Env        map[string]string
			}
		}
	}
	if err := yaml.Unmarshal([]byte(readFile(t, "setup/action.yml")), &action); err != nil {
		t.Fatal(err)
	}
	if len(action.Runs.Steps) != 1 || action.Runs.Using != "composite" {
		t.Fatalf("the action is %+v, want one step", action.Runs)
	}
	step := action.Runs.Steps[0]
	if !strings.Contains(step.Run, `"$ACTION/setup.sh"`) || strings.Contains(step.Run, "${{") {
		t.Errorf("the step runs %q, want setup.sh and no expression", step.Run)
	}
	for input := range action.Inputs {
		found := false
		for _, value := range step.Env {
			found = found || value == "${{ inputs."+input+" }}"
		}
		if !found {
			t.Errorf("the input %s reaches no variable", input)
		}
	}
	info, err := os.Stat(filepath.Join(root, "setup", "setup.sh"))
	if err != nil || runtime.GOOS != "windows" && info.Mode()&0o111 == 0 {
		t.Errorf("setup.sh: %v, %v, want a program", info, err)
	}
}

// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package releasetest

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// dist is the folder of what "make release-snapshot" has built. "make release-test"
// names it; the tests of each change do without, for building it takes minutes.
func dist(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("PUSHGUARD_DIST")
	if dir == "" {
		t.Skip(`nothing was built: "make release-test" runs this`)
	}
	return dir
}

// archiveName is the file name of an archive for platform; kind is pushguard or
// pushguard-commands.
func archiveName(t *testing.T, kind, platform string) string {
	t.Helper()
	suffix := ".tar.gz"
	if strings.HasPrefix(platform, "windows/") && kind == "pushguard" {
		suffix = ".zip"
	}
	return kind + "_" + version(t) + "_" + strings.ReplaceAll(platform, "/", "_") + suffix
}

// unpack returns what an archive holds.
func unpack(t *testing.T, name string) map[string][]byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	if strings.HasSuffix(name, ".zip") {
		archive, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range archive.File {
			content, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			if files[f.Name], err = io.ReadAll(content); err != nil {
				t.Fatal(err)
			}
		}
		return files
	}
	plain, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	for archive := tar.NewReader(plain); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if header.Uname != "root" || header.Uid != 0 {
			t.Errorf("%s: %s belongs to %q (%d), want root", name, header.Name, header.Uname, header.Uid)
		}
		if files[header.Name], err = io.ReadAll(archive); err != nil {
			t.Fatal(err)
		}
	}
}

func names(files map[string][]byte) (list []string) {
	for name := range files {
		list = append(list, strings.TrimSuffix(name, ".exe"))
	}
	slices.Sort(list)
	return list
}

func TestSnapshot_archives(t *testing.T) {
	t.Parallel()
	dir := dist(t)
	bare := append([]string{"LICENSE"}, commands...)
	slices.Sort(bare)
	for _, platform := range platforms {
		for kind, want := range map[string][]string{"pushguard": wanted(), "pushguard-commands": bare} {
			t.Run(kind+" "+platform, func(t *testing.T) {
				t.Parallel()
				files := unpack(t, filepath.Join(dir, archiveName(t, kind, platform)))
				if diff := cmp.Diff(want, names(files)); diff != "" {
					t.Errorf("files (-want +got):\n%s", diff)
				}
				for name, content := range files {
					if text, err := os.ReadFile(filepath.Join(root, "share", name)); err == nil && !bytes.Equal(text, content) {
						t.Errorf("%s is not the file in share/", name)
					}
				}
			})
		}
	}
}

// checksums.txt lists every file that is published, once, and is right.
func TestSnapshot_checksums(t *testing.T) {
	t.Parallel()
	dir := dist(t)
	got := checksums(t, dir)
	want := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() || !strings.HasPrefix(e.Name(), "pushguard") || strings.HasSuffix(e.Name(), ".intoto.jsonl") {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		want[e.Name()] = fmt.Sprintf("%x", sha256.Sum256(data))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("checksums (-files +checksums.txt):\n%s", diff)
	}
	// For six platforms: two archives and a list of parts; for Linux, three packages.
	if len(want) != 6*3+2*3 {
		t.Errorf("%d files, want 24", len(want))
	}
}

func checksums(t *testing.T, dir string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "checksums.txt"))
	if err != nil {
		t.Fatal(err)
	}
	sums := map[string]string{}
	for line := range strings.Lines(string(text)) {
		sum, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		if _, twice := sums[name]; !ok || twice {
			t.Fatalf("checksums.txt: %q", line)
		}
		sums[name] = sum
	}
	return sums
}

// What was built from the same commit in another folder is the same, byte for byte.
func TestSnapshot_reproducible(t *testing.T) {
	t.Parallel()
	dir, again := dist(t), os.Getenv("PUSHGUARD_DIST_AGAIN")
	if again == "" {
		t.Skip("PUSHGUARD_DIST_AGAIN names no second build")
	}
	if diff := cmp.Diff(checksums(t, dir), checksums(t, again)); diff != "" {
		t.Errorf("two builds of one commit (-first +second):\n%s", diff)
	}
}

// cask is what testdata/cask.rb prints.
type cask struct {
	Token, URL, SHA256, Version string
	Files                       map[string][]string
}

// The cask is Ruby, and names on each platform an archive of the release, its
// checksum, and files that are in it.
func TestSnapshot_cask(t *testing.T) {
	t.Parallel()
	path := filepath.Join(dist(t), "homebrew", "Casks", "pushguard.rb")
	ruby, err := exec.LookPath("ruby")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), ruby, "-wc", path).CombinedOutput(); err != nil || string(out) != "Syntax OK\n" {
		t.Fatalf("ruby -wc: %v\n%s", err, out)
	}
	for _, platform := range platforms {
		if strings.HasPrefix(platform, "windows/") {
			continue
		}
		t.Run(platform, func(t *testing.T) {
			t.Parallel()
			out, err := exec.CommandContext(t.Context(), ruby, "testdata/cask.rb", path, platform).Output()
			if err != nil {
				t.Fatal(err)
			}
			var got cask
			if err := json.Unmarshal(out, &got); err != nil {
				t.Fatal(err)
			}
			name := archiveName(t, "pushguard", platform)
			want := cask{
				Token: "pushguard", Version: version(t), SHA256: checksums(t, dist(t))[name],
				URL: "https://github.com/LerianStudio/pushguard/releases/download/v" + version(t) + "/" + name,
				Files: map[string][]string{
					"binary":          commands,
					"manpage":         {"man/regcleanup.1", "man/signretry.1", "man/tagcheck.1"},
					"bash_completion": {"completions/regcleanup.bash", "completions/signretry.bash", "completions/tagcheck.bash"},
					"fish_completion": {"completions/regcleanup.fish", "completions/signretry.fish", "completions/tagcheck.fish"},
					"zsh_completion":  {"completions/_regcleanup", "completions/_signretry", "completions/_tagcheck"},
				},
			}
			held := unpack(t, filepath.Join(dist(t), name))
			for _, list := range got.Files {
				slices.Sort(list)
				for _, file := range list {
					if held[file] == nil {
						t.Errorf("%s lacks %s, which the cask names", name, file)
					}
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("cask (-want +got):\n%s", diff)
			}
		})
	}
}

// The commands of this machine's archive know their version, commit and date.
func TestSnapshot_version(t *testing.T) {
	t.Parallel()
	files := unpack(t, filepath.Join(dist(t), archiveName(t, "pushguard", runtime.GOOS+"/"+runtime.GOARCH)))
	head, err := exec.CommandContext(t.Context(), "git", "-C", root, "log", "-1", "--format=%H").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range commands {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), command)
			if err := os.WriteFile(path, files[command], 0o755); err != nil {
				t.Fatal(err)
			}
			out, err := exec.CommandContext(t.Context(), path, "--version").Output()
			if err != nil {
				t.Fatal(err)
			}
			want := regexp.MustCompile("^" + command + " v" + regexp.QuoteMeta(version(t)) + ` \(commit ` + strings.TrimSpace(string(head)) + `, date 20\d\d-[0-9T:-]+Z, go1\.\S+, ` + runtime.GOOS + "/" + runtime.GOARCH + `\)\n$`)
			if !want.Match(out) {
				t.Errorf("--version printed %q, want %s", out, want)
			}
		})
	}
}

// The list of parts names the modules that the commands are built of.
func TestSnapshot_sbom(t *testing.T) {
	t.Parallel()
	for _, platform := range platforms {
		t.Run(platform, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(filepath.Join(dist(t), archiveName(t, "pushguard", platform)+".spdx.json"))
			if err != nil {
				t.Fatal(err)
			}
			var doc struct {
				SPDXVersion string `json:"spdxVersion"`
				Packages    []struct{ Name, VersionInfo string }
			}
			if err := json.Unmarshal(text, &doc); err != nil {
				t.Fatal(err)
			}
			var found []string
			for _, p := range doc.Packages {
				found = append(found, p.Name)
			}
			for _, module := range []string{"github.com/regclient/regclient", "github.com/sigstore/sigstore-go", "github.com/urfave/cli/v2", "stdlib"} {
				if !slices.Contains(found, module) {
					t.Errorf("%s names no %s among %d packages", doc.SPDXVersion, module, len(found))
				}
			}
		})
	}
}

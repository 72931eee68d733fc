// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// toolTags leave out of Trillian the databases and elections that are not used.
const toolTags = "postgresql,etcd"

// BuildTools builds the tools of the module in moduleDir (its tool directives) into
// the user's cache folder and returns that folder; with packages, at least those of
// them, so that who needs a registry does not build a Sigstore. It is built once for
// each content of go.mod and of the module's own files, so a changed pin is a new
// folder and an unchanged one costs nothing. The folder appears whole or not at all.
func BuildTools(ctx context.Context, moduleDir string, packages ...string) (string, error) {
	pinned, err := pins(moduleDir)
	if err != nil {
		return "", fmt.Errorf("read the tools' pins: %w", err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("build tools: %w", err)
	}
	key := sha256.Sum256(fmt.Appendf(pinned, "%s %s/%s %s", runtime.Version(), runtime.GOOS, runtime.GOARCH, toolTags))
	dir := filepath.Join(cache, "pushguard", fmt.Sprintf("e2e-tools-%x", key[:8]))
	if _, err := os.Stat(dir); err == nil {
		return dir, nil // all of them
	}
	what := []string{"tool"}
	if len(packages) > 0 {
		what = packages
		some := sha256.Sum256([]byte(strings.Join(packages, " ")))
		dir += fmt.Sprintf("-%x", some[:4])
		if _, err := os.Stat(dir); err == nil {
			return dir, nil
		}
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", fmt.Errorf("build tools: %w", err)
	}
	fmt.Fprintf(os.Stderr, "building %s of %s into %s: minutes on a cold machine\n", strings.Join(what, " "), moduleDir, dir)
	tmp, err := os.MkdirTemp(filepath.Dir(dir), "building-")
	if err != nil {
		return "", fmt.Errorf("build tools: %w", err)
	}
	defer os.RemoveAll(tmp)
	if err := goBuild(ctx, moduleDir, tmp, append([]string{"-tags", toolTags}, what...)...); err != nil {
		return "", err
	}
	// Losing the race against another run is fine: its folder is the same.
	if err := os.Rename(tmp, dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("build tools: %w", err)
	}
	return dir, nil
}

// pins are the go.mod in moduleDir and the programs of the module's own, which are one
// folder below it.
func pins(moduleDir string) ([]byte, error) {
	sources, err := filepath.Glob(filepath.Join(moduleDir, "*", "*.go"))
	if err != nil {
		return nil, err
	}
	var all []byte
	for _, path := range append([]string{filepath.Join(moduleDir, "go.mod")}, sources...) {
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		all = append(all, content...)
	}
	return all, nil
}

// ModuleDir is the folder of a module that the go.mod in moduleDir requires,
// fetched if need be.
func ModuleDir(ctx context.Context, moduleDir, module string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", module)
	cmd.Dir = moduleDir
	out, err := cmd.Output()
	var answer struct{ Dir, Error string }
	if jsonErr := json.Unmarshal(out, &answer); err != nil || jsonErr != nil || answer.Dir == "" {
		return "", fmt.Errorf("fetch %s: %w %s", module, errors.Join(err, jsonErr), answer.Error)
	}
	return answer.Dir, nil
}

// BuildCommands builds the three commands under test, of the module in moduleDir,
// into dir, with the Makefile's build target: what is measured is what is shipped.
func BuildCommands(ctx context.Context, moduleDir, dir string) error {
	out, err := exec.CommandContext(ctx, "make", "-C", moduleDir, "build", "BIN="+dir).CombinedOutput()
	if err != nil {
		return fmt.Errorf("make build: %w\n%s", err, bytes.TrimSpace(out))
	}
	return nil
}

func goBuild(ctx context.Context, moduleDir, dir string, args ...string) error {
	args = append([]string{"build", "-trimpath", "-ldflags=-s -w", "-o", dir + string(filepath.Separator)}, args...)
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = moduleDir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

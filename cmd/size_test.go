// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package cmd_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"testing"
)

// The commands stay small: under a limit, and within 5 % of what docs/design.md says.
// Whoever adds what makes one grow says so there.
func TestSize(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		t.Skip("the sizes in docs/design.md are those of linux/amd64")
	}
	dir := t.TempDir()
	build := exec.CommandContext(t.Context(), "make", "-C", "..", "build", "BIN="+dir)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("make build: %v\n%s", err, out)
	}
	page, err := os.ReadFile("../docs/design.md")
	if err != nil {
		t.Fatal(err)
	}
	const megabyte = 1e6
	for command, limit := range map[string]float64{"tagcheck": 11, "regcleanup": 11, "signretry": 22.5} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			info, err := os.Stat(filepath.Join(dir, command))
			if err != nil {
				t.Fatal(err)
			}
			row := regexp.MustCompile(`(?m)^\| ` + command + ` \| ([0-9.]+) MB \|`).FindSubmatch(page)
			if row == nil {
				t.Fatalf("docs/design.md says no size of %s", command)
			}
			said, err := strconv.ParseFloat(string(row[1]), 64)
			if err != nil {
				t.Fatal(err)
			}
			got := float64(info.Size()) / megabyte
			if got > limit || got > said*1.05 || got < said*0.95 {
				t.Errorf("%s has %.2f MB; docs/design.md says %.1f MB, and the limit is %.1f MB", command, got, said, limit)
			}
		})
	}
}

// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

// Package cmd_test checks what is true of the three commands together.
package cmd_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// A command links only what it uses: two of them must stay small, and none may
// carry what belongs to tests.
func TestCommandsLinkOnlyWhatTheyUse(t *testing.T) {
	t.Parallel()
	const module = "github.com/LerianStudio/pushguard/"
	tests := []string{
		module + "pkg/registry/registrytest", module + "pkg/command/commandtest", "github.com/getkin/kin-openapi",
		"github.com/rogpeppe/go-internal", "github.com/google/go-containerregistry/pkg/v1",
	}
	for command, banned := range map[string][]string{
		"tagcheck":   {"github.com/sigstore/", module + "pkg/signing", module + "pkg/cleanup", module + "pkg/signretry"},
		"regcleanup": {"github.com/sigstore/", module + "pkg/signing", module + "pkg/tagcheck", module + "pkg/signretry"},
		"signretry":  {module + "pkg/signing/signingtest", module + "pkg/tagcheck", module + "pkg/cleanup", "github.com/sigstore/cosign"},
	} {
		list := exec.CommandContext(t.Context(), "go", "list", "-deps", "-tags", "urfave_cli_no_docs", "./"+command)
		output, err := list.Output()
		if err != nil {
			t.Fatalf("go list -deps ./%s: %v", command, err)
		}
		packages := strings.Fields(string(output))
		if !slices.Contains(packages, module+"pkg/command") || len(packages) < 100 {
			t.Fatalf("%s: an unlikely list of %d packages", command, len(packages))
		}
		for _, p := range packages {
			for _, prefix := range append(banned, tests...) {
				if p == prefix || strings.HasPrefix(p, strings.TrimSuffix(prefix, "/")+"/") {
					t.Errorf("%s links %s", command, p)
				}
			}
		}
	}
}

// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// The real registries agree with the stand-ins of pushguard's own tests: one suite
// runs over both. It is a test of the main module, which this one does not import.
func TestContract(t *testing.T) {
	t.Parallel()
	list := strings.Join([]string{
		start(t, func(ctx context.Context) (string, error) { return e2e.Distribution(ctx, true) }) + "=tags,digests",
		start(t, func(ctx context.Context) (string, error) { return e2e.Distribution(ctx, false) }) + "=",
		start(t, e2e.Olareg) + "=tags,digests",
	}, " ")
	cmd := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-v", "-run", "^TestReal$", "./pkg/registry/registrytest/contract")
	cmd.Dir = ".."
	cmd.Env = append(os.Environ(), "PUSHGUARD_CONTRACT="+list)
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Error(err)
	}
	if n := strings.Count(string(out), "    --- PASS: TestReal/"); n < 3 {
		t.Errorf("the suite passed on %d registries, want 3", n)
	}
}

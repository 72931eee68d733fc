// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package registries

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// The real registries agree with the stand-ins of pushguard's own tests: one suite
// runs over both. It is a test of the main module, which this one does not import.
func TestContract(t *testing.T) {
	t.Parallel()
	var list []string
	for _, kind := range kinds() {
		host, err := kind.start(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s is %s, and offers %q", host, kind.name, kind.offers)
		list = append(list, host+"="+kind.offers)
	}
	cmd := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-v", "-run", "^TestReal$", "./pkg/registry/registrytest/contract")
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "PUSHGUARD_CONTRACT="+strings.Join(list, " "))
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Error(err)
	}
	if n := strings.Count(string(out), "\n    --- PASS: TestReal/"); n != len(list) {
		t.Errorf("the suite passed on %d registries, want %d", n, len(list))
	}
}

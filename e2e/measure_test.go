// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/LerianStudio/pushguard/e2e/process"
)

// measureTo has this test binary do nothing but run a command, and write what it
// took to the file that the variable names. A child's peak of memory begins with
// its parent's, so the parent has to be a small process: not the tests.
const measureTo = "PUSHGUARD_E2E_MEASURE"

// measured is what one run of a command took.
type measured struct {
	Took time.Duration
	CPU  time.Duration
	Peak int64 // bytes
	Code int
}

// measuring runs the command if this process is there for that.
func measuring() (code int, yes bool) {
	file := os.Getenv(measureTo)
	if file == "" {
		return 0, false
	}
	_ = os.Unsetenv(measureTo)
	cmd := exec.Command(os.Args[1], os.Args[2:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	begin := time.Now()
	_ = cmd.Run() // its exit code says it
	m := measured{
		Took: time.Since(begin), CPU: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(),
		Peak: process.Peak(cmd.ProcessState), Code: cmd.ProcessState.ExitCode(),
	}
	data, err := json.Marshal(m)
	if err != nil || os.WriteFile(file, data, 0o600) != nil {
		return 1, true
	}
	return 0, true
}

// measure runs c, which must succeed.
func measure(b *testing.B, c process.Command) measured {
	b.Helper()
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	file := filepath.Join(b.TempDir(), "measured.json")
	c.Args = slices.Concat([]string{c.Path}, c.Args)
	c.Path, c.Env = self, slices.Concat(c.Env, []string{measureTo + "=" + file})
	res, err := process.Run(b.Context(), c, nil)
	if err != nil {
		b.Fatal(err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		b.Fatal(err)
	}
	var m measured
	if err := json.Unmarshal(data, &m); err != nil || m.Code != 0 {
		b.Fatalf("%s: exit %d, %v\n%s%s", c.Name, m.Code, err, res.Stdout, res.Stderr)
	}
	return m
}

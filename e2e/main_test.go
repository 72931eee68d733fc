// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

// Package e2e runs the three commands as processes against real servers; the
// judge is the real cosign. It needs Go, a module proxy and PostgreSQL.
package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/LerianStudio/pushguard/e2e/process"
	"github.com/LerianStudio/pushguard/e2e/stack"
)

const (
	buildLimit = 30 * time.Minute // all tools on a cold machine with two cores
	turnLimit  = 30 * time.Minute // for another run on this machine to end
	startLimit = 2 * time.Minute
)

// suite is what TestMain prepares once for all tests.
type suite struct {
	*stack.Stack
	bin string // folder of tagcheck, signretry and regcleanup
}

// e2e is written before any test runs, and only read by them.
var e2e suite

func TestMain(m *testing.M) {
	if code, yes := measuring(); yes {
		os.Exit(code)
	}
	if runtime.GOOS == "windows" {
		fmt.Fprintln(os.Stderr, "e2e: skipped: Rekor's POSIX storage needs file locks that Windows lacks")
		return
	}
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp("", "pushguard-e2e-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)

	ctx, cancel := context.WithTimeout(context.Background(), buildLimit)
	defer cancel()
	tools, err := buildTools(ctx)
	if err != nil {
		return 1, err
	}
	e2e.bin = dir + "/bin"
	if err := process.BuildCommands(ctx, "..", e2e.bin); err != nil {
		return 1, err
	}

	ctx, cancel = context.WithTimeout(context.Background(), turnLimit)
	defer cancel()
	if err := stack.AwaitTurn(ctx); err != nil {
		return 1, err
	}

	ctx, cancel = context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	e2e.Stack, err = stack.Start(ctx, dir, tools)
	if err != nil {
		return 1, err
	}
	defer func() {
		if code != 0 {
			fmt.Fprintln(os.Stderr, e2e.Logs())
		}
		err = errors.Join(err, e2e.Stop())
	}()
	return m.Run(), nil
}

func buildTools(ctx context.Context) (tools stack.Tools, err error) {
	if tools.Servers, err = process.BuildTools(ctx, "tools"); err != nil {
		return tools, err
	}
	if tools.Cosign2, err = process.BuildTools(ctx, "tools/cosign2"); err != nil {
		return tools, err
	}
	tools.Trillian, err = process.ModuleDir(ctx, "tools", "github.com/google/trillian")
	return tools, err
}

// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

// Package registries runs the registry contract and regcleanup against real registries
// of several kinds. It needs no Sigstore, and builds none.
package registries

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/LerianStudio/pushguard/e2e/process"
	"github.com/LerianStudio/pushguard/e2e/stack"
)

const buildLimit = 15 * time.Minute // on a cold machine with two cores

// suite is what TestMain prepares once for all tests.
type suite struct {
	*stack.Stack
	bin string // folder of the commands
}

// e2e is written before any test runs, and only read by them.
var e2e suite

func TestMain(m *testing.M) {
	if runtime.GOOS == "windows" {
		fmt.Fprintln(os.Stderr, "e2e/registries: skipped: the commands are built with make")
		return
	}
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e/registries:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp("", "pushguard-registries-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(context.Background(), buildLimit)
	defer cancel()
	var tools stack.Tools
	tools.Servers, err = process.BuildTools(ctx, "../tools", "github.com/distribution/distribution/v3/cmd/registry", "github.com/olareg/olareg/cmd/olareg")
	if err != nil {
		return 1, err
	}
	if tools.Registries, err = process.BuildTools(ctx, "../tools/registries"); err != nil {
		return 1, err
	}
	e2e.bin = filepath.Join(dir, "bin")
	if err := process.BuildCommands(ctx, "../..", e2e.bin); err != nil {
		return 1, err
	}
	e2e.Stack = stack.New(dir, tools)
	defer func() {
		if code != 0 {
			fmt.Fprintln(os.Stderr, e2e.Logs())
		}
		err = errors.Join(err, e2e.Stop())
	}()
	return m.Run(), nil
}

// kind is a real registry, and how it was started.
type kind struct {
	name   string
	offers string // in the words of the contract
	start  func(ctx context.Context) (host string, err error)
}

// kinds are all of them.
func kinds() []kind {
	with := func(start func(context.Context, bool) (string, error), on bool) func(context.Context) (string, error) {
		return func(ctx context.Context) (string, error) { return start(ctx, on) }
	}
	return []kind{
		{"distribution 3", "tags,digests", with(e2e.Distribution, true)},
		{"distribution 3, deletion off", "", with(e2e.Distribution, false)},
		{"distribution 2.8", "digests", with(e2e.Distribution2, true)},
		{"distribution 2.8, deletion off", "", with(e2e.Distribution2, false)},
		{"olareg", "tags,digests,puts-tags", e2e.Olareg},
		{"ociregistry", "tags,digests,leaves-tags", with(e2e.Ociregistry, false)},
		{"ociregistry, immutable tags", "immutable,keeps-tagged", with(e2e.Ociregistry, true)},
	}
}

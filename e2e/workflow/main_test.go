// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

// Package workflow runs .github/workflows/publish-image.yml itself, unchanged, with
// the runner act: real buildx and buildkitd, real registries, a real Sigstore, and a
// release of the commands that the workflow's first step downloads and verifies.
package workflow

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/LerianStudio/pushguard/e2e/process"
	"github.com/LerianStudio/pushguard/e2e/stack"
)

const (
	buildLimit = 40 * time.Minute // all tools on a cold machine with two cores
	startLimit = 3 * time.Minute
)

// suite is what TestMain prepares once for all tests.
type suite struct {
	*stack.Stack
	act      string // the runner
	root     string // the repository
	path     string // $PATH of the jobs
	docker   string // $DOCKER_CONFIG of the jobs
	home     string
	releases *httptest.Server
	served   string // folder of what it serves
	// The registries that stand for GHCR and Docker Hub, without the gates that each
	// test puts in front of them.
	ghcr, hub string
}

// e2e is written before any test runs, and only read by them.
var e2e suite

func TestMain(m *testing.M) {
	if runtime.GOOS != "linux" || os.Getuid() != 0 {
		fmt.Fprintln(os.Stderr, "e2e/workflow: skipped: buildkitd needs Linux and root")
		return
	}
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e/workflow:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp("", "pushguard-workflow-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)

	ctx, cancel := context.WithTimeout(context.Background(), buildLimit)
	defer cancel()
	var tools [3]string
	for i, module := range []string{"../tools", "tools/act", "tools/build"} {
		if tools[i], err = process.BuildTools(ctx, module); err != nil {
			return 1, err
		}
	}
	trillian, err := process.ModuleDir(ctx, "../tools", "github.com/google/trillian")
	if err != nil {
		return 1, err
	}
	if err := process.BuildCommands(ctx, "../..", filepath.Join(dir, "bin")); err != nil {
		return 1, err
	}

	ctx, cancel = context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	e2e.Stack, err = stack.Start(ctx, dir, stack.Tools{Servers: tools[0], Trillian: trillian})
	if err != nil {
		return 1, err
	}
	builder, err := prepare(ctx, dir, tools)
	defer func() {
		if code != 0 {
			fmt.Fprintln(os.Stderr, e2e.Logs())
		}
		err = errors.Join(err, e2e.Stop())
		if builder != nil {
			err = errors.Join(err, builder.Stop())
		}
	}()
	if err != nil {
		return 1, err
	}
	return m.Run(), nil
}

// prepare makes what the jobs find on their machine.
func prepare(ctx context.Context, dir string, tools [3]string) (builder *process.Server, err error) {
	e2e.act = filepath.Join(tools[1], "act")
	if e2e.root, err = filepath.Abs("../.."); err != nil {
		return nil, err
	}
	if e2e.ghcr, err = e2e.Olareg(ctx); err != nil {
		return nil, err
	}
	if e2e.hub, err = e2e.Distribution(ctx, true); err != nil {
		return nil, err
	}
	e2e.home, e2e.docker = filepath.Join(dir, "home"), filepath.Join(dir, "docker")
	bin := filepath.Join(dir, "path")
	for _, folder := range []string{e2e.home, e2e.docker, bin} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return nil, err
		}
	}
	if err := os.WriteFile(filepath.Join(bin, "docker"), []byte(dockerShim), 0o755); err != nil {
		return nil, err
	}
	for name, folder := range map[string]string{"buildx": tools[2], "cosign": tools[0]} {
		if err := os.Symlink(filepath.Join(folder, name), filepath.Join(bin, name)); err != nil {
			return nil, err
		}
	}
	e2e.path = bin + string(os.PathListSeparator) + os.Getenv("PATH")
	if err := startReleases(ctx, dir); err != nil {
		return nil, err
	}
	return startBuilder(ctx, dir, filepath.Join(tools[2], "buildkitd"))
}

// dockerShim is docker without a daemon: buildx is the real one; logins are noted.
const dockerShim = `#!/bin/sh
case $1 in
buildx) shift; exec buildx "$@" ;;
login) cat >/dev/null; echo "$*" >>"$DOCKER_CONFIG/logins" ;;
logout) echo "$*" >>"$DOCKER_CONFIG/logins" ;;
*) echo "docker: no $1 here" >&2; exit 125 ;;
esac
`

// startBuilder starts buildkitd and makes it buildx's builder.
func startBuilder(ctx context.Context, dir, buildkitd string) (*process.Server, error) {
	socket := "unix://" + filepath.Join(dir, "buildkitd.sock")
	builder, err := process.Start(process.Command{
		Name: "buildkitd", Path: buildkitd,
		Args: []string{
			"--addr", socket, "--root", filepath.Join(dir, "buildkit"), "--containerd-worker=false",
			"--oci-worker=true", "--oci-worker-snapshotter=native", "--oci-worker-binary=runc",
		},
		Env: machine(), Dir: dir,
	}, dir)
	if err != nil {
		return nil, err
	}
	if err := buildx(ctx, "create", "--name", builderName, "--driver", "remote", socket); err != nil {
		return builder, err
	}
	for {
		err := buildx(ctx, "inspect", "--bootstrap", builderName)
		if err == nil {
			return builder, nil
		}
		select {
		case <-ctx.Done():
			return builder, fmt.Errorf("await buildkitd: %w\n%s", err, builder.Tail())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

const builderName = "e2e"

func buildx(ctx context.Context, args ...string) error {
	res, err := process.Run(ctx, process.Command{
		Name: "buildx", Path: filepath.Join(filepath.Dir(e2e.docker), "path", "buildx"), Args: args, Env: machine(), Dir: e2e.home,
	}, nil)
	if err == nil && res.Code != 0 {
		err = fmt.Errorf("buildx %q: exit %d: %s", args, res.Code, res.Stderr)
	}
	return err
}

// machine is the environment that any program on the jobs' machine has.
func machine() []string {
	return []string{
		"PATH=" + e2e.path, "HOME=" + e2e.home, "XDG_CACHE_HOME=" + filepath.Join(e2e.home, "cache"),
		"DOCKER_CONFIG=" + e2e.docker, "TUF_ROOT=" + filepath.Join(e2e.home, "tuf"), "LANG=C.UTF-8",
	}
}

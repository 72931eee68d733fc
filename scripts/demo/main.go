// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

// Command demo shows the whole chain: a real image is checked, pushed, signed
// through an outage of Rekor, verified, re-run without harm and cleaned up. The three
// commands are built and run as processes; the registries and the Sigstore run in
// this process, on the loopback address. It exits non-zero when a step is not as told.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/LerianStudio/pushguard/pkg/registry/registrytest"
	"github.com/LerianStudio/pushguard/pkg/signing/signingtest"
)

func main() {
	image := flag.String("image", "", "use the image in `FILE`, an OCI layout or a tar of docker save, instead of a small one made for the demo")
	summary := flag.String("summary", "", "sign once more at the end, through another outage of Rekor, and keep the step summary in `FILE`")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Stdout, *image, *summary)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo: error:", err)
		os.Exit(1)
	}
}

// demo is the world that the steps happen in.
type demo struct {
	out      io.Writer
	dir      string // the commands and their files
	sigstore *signingtest.Sigstore
	env      []string
	// Two registries, as a release has: one without the referrers API, one with it.
	hub, ghcr string
	digest    string // of the image that is released
}

func run(ctx context.Context, out io.Writer, image, summary string) (err error) {
	dir, err := os.MkdirTemp("", "pushguard-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	d := &demo{out: out, dir: dir}
	d.say("Building tagcheck, signretry and regcleanup; starting two registries and a Sigstore on this machine.")
	stop, err := d.start(ctx)
	defer stop()
	if err != nil {
		return err
	}
	if err := d.chain(ctx, image); err != nil {
		return err
	}
	d.say("\nAll steps went as told.")
	if summary != "" {
		return d.summary(ctx, summary)
	}
	return nil
}

// start builds the commands and starts the servers; stop ends what has started.
func (d *demo) start(ctx context.Context) (stop func(), err error) {
	var stops []func()
	stop = func() {
		for _, s := range stops {
			s()
		}
	}
	build := exec.CommandContext(ctx, "go", "build", "-tags", "urfave_cli_no_docs", "-o", d.dir+string(filepath.Separator), "./cmd/...")
	if text, err := build.CombinedOutput(); err != nil {
		return stop, fmt.Errorf("build the commands: %w\n%s", err, text)
	}
	for host, referrers := range map[*string]bool{&d.hub: false, &d.ghcr: true} {
		var stopOne func()
		if *host, stopOne, err = registrytest.New(referrers).Start(); err != nil {
			return stop, err
		}
		stops = append(stops, stopOne)
	}
	if d.sigstore, err = signingtest.New(); err != nil {
		return stop, err
	}
	if err := d.sigstore.Start(ctx); err != nil {
		return stop, err
	}
	stops = append(stops, func() { _ = d.sigstore.Close() })
	// A job's environment, and nothing of this one's: a login or a variable of the
	// user must not change what is shown.
	d.env = append(d.sigstore.Env(),
		"PATH="+d.dir, "HOME="+d.dir, "DOCKER_CONFIG="+d.dir, "TMPDIR="+d.dir, "SYSTEMROOT="+os.Getenv("SYSTEMROOT"),
		"PUSHGUARD_RECORD=run.json", "GITHUB_RUN_ID=1234", "GITHUB_RUN_ATTEMPT=1", "GITHUB_REPOSITORY=org/app",
		"SIGNRETRY_SIGNING_CONFIG=signing_config.json", "SIGNRETRY_TRUSTED_ROOT=trusted_root.json", "SIGNRETRY_INITIAL_DELAY=0.3",
	)
	return stop, errors.Join(
		d.sigstore.WriteTrustedRoot(filepath.Join(d.dir, "trusted_root.json")),
		d.sigstore.WriteSigningConfig(filepath.Join(d.dir, "signing_config.json")),
	)
}

func (d *demo) say(text string) { _, _ = fmt.Fprintln(d.out, text) }

// want is what a command must do.
type want struct {
	exit   int
	output []string // regular expressions that its output must match
}

// run runs one of the commands, shows it with its output, and compares.
func (d *demo) run(ctx context.Context, w want, name string, args ...string) error {
	d.say("\n$ " + name + " " + strings.Join(args, " "))
	cmd := exec.CommandContext(ctx, filepath.Join(d.dir, name), args...)
	cmd.Dir, cmd.Env = d.dir, d.env
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	err := cmd.Run()
	if _, isExit := errors.AsType[*exec.ExitError](err); err != nil && !isExit {
		return fmt.Errorf("run %s: %w", name, err)
	}
	_, _ = d.out.Write(output.Bytes())
	if got := cmd.ProcessState.ExitCode(); got != w.exit {
		return fmt.Errorf("%s ended with exit status %d, %d was told", name, got, w.exit)
	}
	for _, pattern := range w.output {
		if !regexp.MustCompile("(?m)" + pattern).Match(output.Bytes()) {
			return fmt.Errorf("the output of %s does not match %q", name, pattern)
		}
	}
	return nil
}

// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/LerianStudio/pushguard/pkg/record"
	"github.com/LerianStudio/pushguard/pkg/registry/registrytest"
	"github.com/LerianStudio/pushguard/pkg/signing/signingtest"
)

// Ctrl-C while a service does not answer: back in under a second, 130; kill -9:
// gone. Either way the record parses and holds what was published.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	binary := build(t)
	certificate := func(s *signingtest.Sigstore) *signingtest.Route { return &s.Fulcio.Route }
	log := func(s *signingtest.Sigstore) *signingtest.Route { return &s.Rekor.Create }
	hang := signingtest.Fault{Hang: true}
	for name, test := range map[string]struct {
		route  func(*signingtest.Sigstore) *signingtest.Route
		fault  signingtest.Fault
		signal os.Signal
		code   int
	}{
		"certificate":         {certificate, hang, os.Interrupt, 128 + int(syscall.SIGINT)},
		"log":                 {log, hang, os.Interrupt, 128 + int(syscall.SIGINT)},
		"waiting":             {log, signingtest.Fault{Status: 503, RetryAfter: "60"}, os.Interrupt, 128 + int(syscall.SIGINT)},
		"waiting, terminated": {certificate, signingtest.Fault{Status: 503, RetryAfter: "60"}, syscall.SIGTERM, 128 + int(syscall.SIGTERM)},
		"certificate, killed": {certificate, hang, os.Kill, -1},
		"log, killed":         {log, hang, os.Kill, -1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := signingtest.New()
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.Close() })
			host, stop, err := registrytest.New(true).Start()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(stop)
			digest, err := registrytest.Push(t.Context(), host, "org/app", "1", name)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			path := func(n string) string { return filepath.Join(dir, n) }
			metadata := `{"containerimage.digest":"` + digest + `","image.name":"` + host + `/org/app:1"}`
			err = errors.Join(s.WriteTrustedRoot(path("root.json")), s.WriteSigningConfig(path("config.json")),
				os.WriteFile(path("metadata.json"), []byte(metadata), 0o600))
			if err != nil {
				t.Fatal(err)
			}
			route := test.route(s)
			route.Fail(-1, test.fault)

			cmd := exec.CommandContext(t.Context(), binary, "--metadata", path("metadata.json"), "--record", path("run.json"),
				"--trusted-root", path("root.json"), "--signing-config", path("config.json"))
			cmd.Env = slices.Concat(os.Environ(), s.Env(), []string{"DOCKER_CONFIG=" + dir})
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			waitFor(t, func() bool { return route.Requests() > 0 })
			start := time.Now()
			if err := cmd.Process.Signal(test.signal); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			if took := time.Since(start); took > time.Second {
				t.Errorf("ended %s after the signal, want less than a second", took)
			}
			if code := cmd.ProcessState.ExitCode(); code != test.code {
				t.Errorf("exit code %d, want %d", code, test.code)
			}
			r, err := record.Open(path("run.json"), record.Run{}, record.Options{AnyRun: true, MustExist: true})
			if err != nil {
				t.Fatal(err)
			}
			if tag := r.Tag(host + "/org/app:1"); tag == nil || tag.Published == nil || tag.Published.Digest != digest || len(tag.Signatures) != 0 {
				t.Errorf("record has %+v, want the published digest and no signature", tag)
			}
		})
	}
}

func build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "signretry")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, ".").CombinedOutput()
	if err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return binary
}

func waitFor(t *testing.T, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for !done() {
		select {
		case <-ctx.Done():
			t.Fatal("waited 20s in vain")
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/LerianStudio/pushguard/e2e/process"
	"github.com/LerianStudio/pushguard/e2e/stack"
)

// job is one run of a workflow: its right to tokens, gateways to the servers
// that only it uses, so that what it does can be counted and broken, and the
// run record that its commands share.
type job struct {
	*stack.Grant
	fulcio, tsa, rekor *stack.Gateway
	endpoints          stack.Endpoints // the gateways
	config             string          // signing config file that names them
	record             string
}

// newJob is a job that signs with Rekor v2.
func newJob(t *testing.T) job {
	t.Helper()
	return newJobOn(t, e2e.RekorV2)
}

func newJobOn(tb testing.TB, log stack.Log) job {
	tb.Helper()
	return newJobOf(tb, log, "release")
}

// newJobOf is a job of the workflow of that name.
func newJobOf(tb testing.TB, log stack.Log, workflow string) job {
	tb.Helper()
	j := job{
		Grant:  e2e.Issuer.Grant("org/app/.github/workflows/" + workflow + ".yml@refs/heads/" + tb.Name()),
		fulcio: gateway(tb, e2e.Fulcio),
		tsa:    gateway(tb, e2e.TSA),
		rekor:  gateway(tb, log.URL),
		record: filepath.Join(tb.TempDir(), "record.json"),
	}
	var err error
	j.endpoints = stack.Endpoints{
		Fulcio: j.fulcio.URL, TSA: j.tsa.URL, Rekor: stack.Log{URL: j.rekor.URL, Version: log.Version},
	}
	j.config, err = e2e.SigningConfig(tb.Context(), tb.TempDir(), j.endpoints)
	if err != nil {
		tb.Fatal(err)
	}
	return j
}

func gateway(tb testing.TB, target string) *stack.Gateway {
	tb.Helper()
	g, err := stack.NewGateway(target)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(g.Close)
	return g
}

// certificates is how many certificates Fulcio issued to the job.
func (j job) certificates() int { return j.fulcio.Succeeded("POST", "/api/") }

// entries is how many new entries the log took from the job.
func (j job) entries() int { return j.rekor.Succeeded("POST", "/api/") }

// command is a run of one of the three commands in the job.
func (j job) command(tb testing.TB, command string, args ...string) process.Command {
	tb.Helper()
	return process.Command{
		Name: command,
		Path: filepath.Join(e2e.bin, command),
		Args: args,
		Env: slices.Concat(e2e.Env(), j.Env(), []string{
			"PUSHGUARD_RECORD=" + j.record,
			"GITHUB_RUN_ID=42", "GITHUB_RUN_ATTEMPT=1", "GITHUB_REPOSITORY=org/app",
			"GITHUB_SHA=8d3bf2a4c1b7f0e6d5a49c3827160f5e4d3c2b1a",
		}),
		Dir: tb.TempDir(),
	}
}

// run runs one of the three commands in the job and wants it to exit with code.
func (j job) run(t *testing.T, code int, command string, args ...string) process.Result {
	t.Helper()
	res, err := process.Run(t.Context(), j.command(t, command, args...), nil)
	if err != nil {
		t.Fatal(err)
	}
	call := command + " " + strings.Join(args, " ")
	t.Logf("$ %s\n%s%s", call, res.Stdout, res.Stderr)
	if res.Code != code {
		t.Fatalf("%s: exit %d, want %d", call, res.Code, code)
	}
	return res
}

// sign runs signretry on the services of the job, with short waits.
func (j job) sign(t *testing.T, code int, args ...string) process.Result {
	t.Helper()
	return j.run(t, code, "signretry", j.signArgs(args...)...)
}

func (j job) signArgs(args ...string) []string {
	return append([]string{
		"--signing-config", j.config, "--trusted-root", e2e.TrustedRoot,
		"--initial-delay=100ms", "--max-delay=1s", "--max-elapsed=60s",
	}, args...)
}

// answer reads the one JSON object on stdout.
func answer[T any](t *testing.T, res process.Result) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(res.Stdout), &v); err != nil {
		t.Fatalf("read answer: %v\n%s", err, res.Stdout)
	}
	return v
}

// runRecord is what the tests read of the record.
type runRecord struct {
	Tags []struct {
		Ref        string
		Before     *struct{ State string }
		Published  *struct{ Digest string }
		Signatures []struct{ Digest string }
	}
}

func (j job) readRecord(t *testing.T) runRecord {
	t.Helper()
	data, err := os.ReadFile(j.record)
	if err != nil {
		t.Fatal(err)
	}
	var r runRecord
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatalf("read record: %v\n%s", err, data)
	}
	return r
}

// wantStatus wants signretry's answer to have these statuses, one an image.
func wantStatus(t *testing.T, res process.Result, want ...string) {
	t.Helper()
	var got []string
	for _, image := range answer[struct{ Images []struct{ Status string } }](t, res).Images {
		got = append(got, image.Status)
	}
	if !slices.Equal(got, want) {
		t.Errorf("statuses %q, want %q", got, want)
	}
}

// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/LerianStudio/pushguard/pkg/record"
	"github.com/LerianStudio/pushguard/pkg/registry/registrytest"
)

// Ctrl-C while a tag is being deleted: the act at hand is finished and recorded, the
// next is not begun, and the exit code is 130. kill -9 leaves a record that parses.
// Either way the same command again does the rest.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	binary := filepath.Join(t.TempDir(), "regcleanup")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	for name, test := range map[string]struct {
		signal syscall.Signal
		code   int
		done   []string // recorded as done
	}{
		"interrupted": {syscall.SIGINT, 130, []string{"1"}},
		"terminated":  {syscall.SIGTERM, 143, []string{"1"}},
		"killed":      {syscall.SIGKILL, -1, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := registrytest.NewStore(registrytest.Rules{Referrers: true})
			arrived, goOn := make(chan struct{}), make(chan struct{})
			front := store.Registry()
			front.Inject(registrytest.Fault{Method: http.MethodDelete, Times: 1, Answer: func(w http.ResponseWriter, req *http.Request) {
				close(arrived)
				<-goOn
				store.ServeHTTP(w, req)
			}})
			host, stop, err := front.Start()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(stop)
			path := writeRecord(t, host, store.PutImage("org/app", "1", "x"), store.PutImage("org/app", "2", "x"))
			run := func() *exec.Cmd {
				cmd := exec.CommandContext(t.Context(), binary, "--delete", "--record", path)
				cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "GITHUB_") })
				cmd.Env = append(cmd.Env, "DOCKER_CONFIG="+t.TempDir())
				return cmd
			}
			cmd := run()
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			<-arrived
			if err := cmd.Process.Signal(test.signal); err != nil {
				t.Fatal(err)
			}
			time.AfterFunc(100*time.Millisecond, func() { close(goOn) })
			_ = cmd.Wait()
			if code := cmd.ProcessState.ExitCode(); code != test.code {
				t.Errorf("exit code %d, want %d", code, test.code)
			}
			if diff := cmp.Diff(test.done, recorded(t, path, host)); diff != "" {
				t.Errorf("recorded as done (-want +got):\n%s", diff)
			}
			if store.Tags("org/app")["2"] == "" {
				t.Error("another act was begun")
			}
			if out, err := run().CombinedOutput(); err != nil || len(store.Tags("org/app")) > 0 {
				t.Errorf("again: %v, tags %v\n%s", err, store.Tags("org/app"), out)
			}
		})
	}
}

func writeRecord(t *testing.T, host string, digests ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "run.json")
	r, err := record.Open(path, record.Run{}, record.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i, digest := range digests {
		r.Tags = append(r.Tags, record.Tag{
			Ref:       fmt.Sprintf("%s/org/app:%d", host, i+1),
			Before:    &record.State{State: record.Absent},
			Published: &record.Published{Digest: digest, Source: "argument"},
		})
	}
	if err := r.Save(); err != nil {
		t.Fatal(err)
	}
	return path
}

func recorded(t *testing.T, path, host string) (done []string) {
	t.Helper()
	r, err := record.Open(path, record.Run{}, record.Options{MustExist: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, tag := range r.Tags {
		if tag.Cleanup != nil && tag.Cleanup.Outcome == "done" {
			done = append(done, strings.TrimPrefix(tag.Ref, host+"/org/app:"))
		}
	}
	return done
}

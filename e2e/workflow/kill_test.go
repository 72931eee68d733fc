// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The job is killed while it waits for Rekor: no step after that runs, and no record
// is kept.
func TestRerun_afterKill(t *testing.T) {
	t.Parallel()
	r := newTeam(t)
	r.rekor.Break(outage())
	cmd := r.prepared(t, with("on_existing_tag: skip", "sign_initial_delay: 30s", "sign_max_delay: 30s")...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); len(r.rekor.Calls("POST", "/api/")) == 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("Rekor was not asked within a minute")
		}
	}
	kill(t, cmd)
	digest := r.published(t)

	r.rekor.Heal()
	second := r.release(t, with("on_existing_tag: skip")...)
	second.want(t, false, "verdict: complete, should build: no", "!exporting to image")
	second.wantOutputs(t, digest, false, true)
	r.wantTags(t, everywhere(digest))
	r.wantSigned(t, digest)
	r.wantCounts(t, 2, 1)
}

// It is killed in the middle of the push: one registry has the version, and latest
// is moved in none. What was there before was kept before the build: the next attempt
// knows that latest is its own to move.
func TestRerun_afterKillInPush(t *testing.T) {
	t.Parallel()
	r := newTeam(t)
	r.release(t, with("version: 1.2.2")...).want(t, false)
	earlier := r.tags(t).hubLatest
	r.again(t)
	r.write(t, "app.txt", "changed")
	reached := make(chan struct{})
	r.hub.stick(reached)
	cmd := r.prepared(t, with("on_existing_tag: skip")...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-reached:
	case <-time.After(time.Minute):
		t.Fatal("nothing was pushed within a minute")
	}
	kill(t, cmd)
	r.hub.stick(nil)
	partial := r.tags(t)
	if want := (tags{partial.ghcr, "", earlier, earlier}); partial.ghcr == "" || partial != want {
		t.Fatalf("tags are %+v, want the version in one registry and latest as it was", partial)
	}

	r.release(t, with("on_existing_tag: skip")...).want(t, false, "verdict: partial", "!exporting to image")
	r.wantTags(t, everywhere(partial.ghcr))
	r.wantSigned(t, partial.ghcr)
	r.wantCounts(t, 2, 2) // of the earlier release, and of this one
}

// kill ends an attempt as a machine that loses its power does: the runner and all
// that it has started, at once.
func kill(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	for _, pid := range append(descendants(t, cmd.Process.Pid), cmd.Process.Pid) {
		_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended meanwhile
	}
	_ = cmd.Wait()
}

func descendants(t *testing.T, pid int) (list []int) {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range stats {
		data, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		var child, parent int
		var state string
		_, rest, _ := strings.Cut(string(data), ") ") // the name in brackets may hold blanks
		if _, err := fmt.Sscan(rest, &state, &parent); err != nil || parent != pid {
			continue
		}
		if child, err = strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil {
			list = append(append(list, child), descendants(t, child)...)
		}
	}
	return list
}

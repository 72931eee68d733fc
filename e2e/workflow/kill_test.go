// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// The machine dies while it waits for Rekor: no step after that runs. Which image was
// pushed was kept before the signing: nothing is built again.
func TestRerun_afterKill(t *testing.T) {
	t.Parallel()
	bothOrders(t, func(t *testing.T, r *team) {
		t.Helper()
		r.rekor.Break(outage())
		cmd := r.prepared(t, with("on_existing_tag: skip", "sign_initial_delay: 30s", "sign_max_delay: 30s")...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		r.awaitRekor(t)
		kill(t, cmd)

		r.rekor.Heal()
		second := r.release(t, with("on_existing_tag: skip")...)
		second.want(t, false, "should build: no", "!exporting to image")
		digest := r.published(t)
		second.wantOutputs(t, digest, true)
		r.wantSigned(t, digest)
		r.wantCounts(t, 2, 1)
	})
}

// The machine dies at each request for a tag that naming makes: before the look, before
// the act, before the second look, of each tag. Run again, with the default for tags that
// exist, it goes on from there. Without the artifacts it ends in the same state, too.
func TestRerun_afterKillInNaming(t *testing.T) {
	t.Parallel()
	for request := range 12 {
		t.Run(strconv.Itoa(request), func(t *testing.T) {
			t.Parallel()
			r := newTeam(t)
			r.watch(t)
			inputs := []string{"moving_tags: latest"}
			r.killAtTag(t, request, inputs...)
			if request%3 == 2 { // "Re-run all jobs" does not see them
				r.artifacts = filepath.Join(t.TempDir(), "none")
				inputs = append(inputs, "on_existing_tag: skip")
			}
			second := r.release(t, inputs...)
			if request%3 != 2 {
				second.want(t, false, "should build: no", "!exporting to image")
			}
			second.want(t, false)
			digest := r.ghcr.digest(t, r.name+"/app", "1.2.3")
			second.wantOutputs(t, digest, true)
			if got := r.tags(t); got != everywhere(digest) {
				t.Errorf("tags are %+v, want %s everywhere", got, digest)
			}
			r.wantSigned(t, digest)
		})
	}
}

// killAtTag starts an attempt and kills it at a request for a tag, counted from 0 since
// the log has the entry.
func (r *team) killAtTag(t *testing.T, request int, inputs ...string) {
	t.Helper()
	var count atomic.Int64
	reached := make(chan struct{}, 1)
	pick := func(*http.Request) bool {
		if r.rekor.Succeeded("POST", "/api/") == 0 || count.Add(1) <= int64(request) {
			return false
		}
		select {
		case reached <- struct{}{}:
		default:
		}
		return true
	}
	r.ghcr.stick(pick)
	r.hub.stick(pick)
	cmd := r.prepared(t, inputs...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-reached:
	case <-time.After(2 * time.Minute):
		t.Fatal("the request was not made within two minutes")
	}
	kill(t, cmd)
	r.ghcr.stick(nil)
	r.hub.stick(nil)
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

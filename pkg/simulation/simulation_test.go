// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package simulation_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/LerianStudio/pushguard/pkg/record"
)

var (
	seeds = flag.Int("seeds", 0, "run so many seeds; 0 means the number of make test")
	first = flag.Uint64("seed", 0, "begin with this seed")
	story = flag.Bool("story", false, "tell the story of every seed")
)

// live is one world from its begin to its end. It returns the story, and what a judge
// found, "" for nothing.
func live(t *testing.T, seed uint64, dir string) (told, failed string) {
	t.Helper()
	dir = filepath.Join(dir, fmt.Sprint(seed))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	// Who waits for what virtual time does not move hangs: no seed takes a minute.
	hangs := time.AfterFunc(time.Minute, func() { panic(fmt.Sprintf("seed %d hangs", seed)) })
	defer hangs.Stop()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, seed, dir)
		defer w.close()
		w.publish()
		failed = w.failed
		if failed != "" || *story {
			told = w.tell()
		}
	})
	return told, failed
}

// publish is what happens in the world.
func (w *world) publish() {
	w.hire("one", record.Run{ID: "1", Repository: "org/app", SHA: "abc"}, version, "latest")
	switch w.rng.IntN(6) {
	case 0: // another call in the same run
		w.hire("two", record.Run{ID: "1", Repository: "org/app", SHA: "abc", Call: "two"}, "1.0-slim", "edge")
	case 1: // another run that publishes the same
		w.hire("two", record.Run{ID: "2", Repository: "org/app", SHA: "abc"}, version, "latest")
	}
	if len(w.jobs) > 1 && w.rng.IntN(4) == 0 { // what both build is the same
		w.jobs[1].content, w.jobs[0].rebuilds, w.jobs[1].rebuilds, w.jobs[1].index = w.jobs[0].content, false, false, w.jobs[0].index
	}
	w.chaos = true
	for range []int{0, 1, 1, 1, 2, 3}[w.rng.IntN(6)] {
		for _, j := range w.jobs {
			w.attempt(j)
		}
	}
	w.chaos = false
	w.last(2)
	if w.failed == "" && w.rng.IntN(3) == 0 {
		w.undo()
		w.last(1)
	}
}

// attempt is one attempt among everything that can go wrong, and the clean-up behind it.
func (w *world) attempt(j *job) {
	if w.failed != "" {
		return
	}
	w.between()
	clear(w.outages)
	if w.rng.IntN(2) == 0 {
		hosts := []string{sigstoreHost, sigstoreHost, w.sites[w.rng.IntN(len(w.sites))].host}
		from := time.Now().Add(time.Duration(w.rng.IntN(20)) * time.Second)
		long := []int{600, 600, 600, 3600}[w.rng.IntN(4)] // seconds; longer than a command is patient
		w.outages[hosts[w.rng.IntN(3)]] = span{from, from.Add(time.Duration(1+w.rng.IntN(long)) * time.Second)}
	}
	code := j.try()
	if code != exitGoOn && (code != exitKilled || w.rng.IntN(2) == 0) && j.cleans && w.failed == "" {
		w.between()
		j.clean()
	}
	w.intact()
}

// between is the time between two steps, in which others work.
func (w *world) between() {
	sleep(w.t.Context(), time.Duration(1+w.rng.IntN(20))*time.Second)
	if w.chaos {
		w.othersWork()
	} else {
		w.pass()
	}
}

// last is one more attempt of each job, when nothing goes wrong any more. If there is
// another one behind it, that has nothing left to do.
func (w *world) last(times int) {
	codes := map[*job]int{}
	for range times {
		for _, j := range w.jobs {
			if w.failed != "" {
				return
			}
			w.between()
			if j.detached() {
				j.clean() // a detach that was killed is finished by regcleanup alone
				w.between()
			}
			before := w.costs()
			again := codes[j] == exitGoOn && j.attempt > 0 && w.done(j)
			codes[j] = j.try()
			w.between()
			w.intact()
			if w.failed == "" {
				j.converged(codes[j])
			}
			if after := w.costs(); again && after != before {
				w.fails("%s: everything was done, and it cost %s more", j.name, cmp.Diff(before, after))
			}
			j.settled = codes[j] == exitGoOn
		}
	}
}

// detached reports whether a tag of the job has the empty image of a detach that was killed.
func (j *job) detached() bool {
	for _, ref := range j.refs {
		now := j.w.siteOf(ref.Registry).store.Look(repository)
		if strings.Contains(now.Raw(now.Tags()[ref.Tag]), "pushguard.detached") {
			return true
		}
	}
	return false
}

// undo is a failure behind the last attempt, and a clean-up in which nothing goes wrong;
// then the same once more, which changes nothing.
func (w *world) undo() {
	for _, j := range w.jobs {
		w.between()
		j.settled = false
		_, reports := j.clean()
		w.between()
		j.undone(reports)
		w.intact()
		if w.failed != "" {
			return
		}
		before := w.tags()
		j.clean()
		w.between()
		if diff := cmp.Diff(before, w.tags()); diff != "" && !w.unsteady() {
			w.fails("%s: cleaning up again changed tags:\n%s", j.name, diff)
		}
	}
}

func (w *world) tags() map[string]map[string]string {
	tags := map[string]map[string]string{}
	for _, s := range w.sites {
		tags[s.host] = s.store.Tags(repository)
	}
	return tags
}

// unsteady reports whether a list is wrong in another way each time: then another run may
// get further.
func (w *world) unsteady() bool {
	for _, s := range w.sites {
		if s.List == "omits" || s.List == "lags" {
			return true
		}
	}
	return false
}

// costs is what the world has been asked to keep.
type costs struct{ Writes, Certificates, Entries int }

func (w *world) costs() costs {
	return costs{w.writes, w.sigstore.Fulcio.Certificates(), w.sigstore.Rekor.Entries() + w.sigstore.Rekor2.Entries()}
}

// done reports whether the job's last attempt has done all, and nobody came between.
func (w *world) done(j *job) bool { return j.settled && !w.contested && !w.shared() }

// scratch is a folder in memory, where there is one: each record is flushed to the disk.
func scratch(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "pushguard-simulation-") //nolint:usetesting // memory, not a disk: records are synced thousands of times
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func login(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	text := `{"auths": {"https://index.docker.io/v1/": {"auth": "b3JnOnNlY3JldA=="}}}`
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("DOCKER_CONFIG", dir)
}

// Whatever goes wrong, whoever else is at work and wherever the process is killed: what
// others have stays, nothing says what is not so, and one more attempt ends as a run does
// in which nothing went wrong.
func TestSimulation(t *testing.T) {
	login(t)
	defer debug.SetGCPercent(debug.SetGCPercent(800))
	n := *seeds
	if n == 0 {
		n = everyRun
	}
	if testing.Short() {
		n = min(n, 100)
	}
	dir := scratch(t)
	var next, done atomic.Int64
	var stop atomic.Bool
	var report sync.Mutex
	begin := time.Now()
	t.Run("seeds", func(t *testing.T) {
		for worker := range runtime.GOMAXPROCS(0) {
			t.Run(fmt.Sprint(worker), func(t *testing.T) {
				t.Parallel()
				for !stop.Load() {
					i := next.Add(1) - 1
					if i >= int64(n) {
						return
					}
					seed := *first + uint64(i)
					told, failed := live(t, seed, dir)
					done.Add(1)
					report.Lock()
					if failed != "" {
						stop.Store(true)
						t.Errorf("seed %d after %s: %s\n%s\nagain: go test ./pkg/simulation -run 'TestSimulation$' -seed=%[1]d -seeds=1", seed, time.Since(begin).Round(time.Millisecond), failed, told)
					} else if *story {
						t.Logf("seed %d:\n%s", seed, told)
					}
					report.Unlock()
				}
			})
		}
	})
	t.Logf("%d seeds in %s", done.Load(), time.Since(begin).Round(time.Second))
}

// Seeds that have found something stay. The same seed is the same story only as long as
// the simulator and the requests of the packages stay as they are.
func TestSimulation_kept(t *testing.T) {
	login(t)
	text, err := os.ReadFile("testdata/seeds")
	if err != nil {
		t.Fatal(err)
	}
	dir := scratch(t)
	for line := range strings.Lines(string(text)) {
		var seed uint64
		if _, err := fmt.Sscan(line, &seed); err != nil || strings.HasPrefix(line, "#") {
			continue
		}
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			if told, failed := live(t, seed, dir); failed != "" {
				t.Errorf("%s\n%s", failed, told)
			}
		})
	}
}

// One seed decides everything: it tells the same story again. On Docker Hub all but one
// wait: its settings are asked for once more after a random second (pkg/registry/host).
func TestSimulation_sameSeed(t *testing.T) {
	login(t)
	*story = true
	defer func() { *story = false }()
	dir := scratch(t)
	for seed := range uint64(30) {
		one, _ := live(t, seed, dir)
		if strings.Contains(one, "hub.docker.com") {
			continue
		}
		two, _ := live(t, seed, dir)
		if diff := cmp.Diff(strings.Split(one, "\n"), strings.Split(two, "\n")); diff != "" {
			t.Errorf("seed %d tells two stories:\n%s", seed, diff)
		}
	}
}

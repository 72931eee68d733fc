// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package retry_test

import (
	"context"
	"flag"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/LerianStudio/pushguard/pkg/retry"
)

var updateHerd = flag.Bool("update", false, "write docs/herd.svg")

const (
	signers  = 1000
	capacity = 20 // requests a second that the service answers; the others get 503
	down     = 10 * time.Minute
	window   = 10 // seconds over which load is averaged
)

// herd is the service with its clients, all of which start at the same moment.
type herd struct {
	mu     sync.Mutex
	start  time.Time
	load   []int // requests by second
	done   []int // of these, the ones that succeeded
	tokens float64
	filled time.Time
	last   time.Duration // when the last client was done
}

// ask is one request: refused while the service is down, and beyond its capacity
// (a bucket that holds one second's worth).
func (h *herd) ask() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	second := int(now.Sub(h.start) / time.Second)
	for len(h.load) <= second {
		h.load, h.done = append(h.load, 0), append(h.done, 0)
	}
	h.load[second]++
	h.tokens = min(h.tokens+now.Sub(h.filled).Seconds()*capacity, capacity)
	h.filled = now
	if now.Sub(h.start) < down || h.tokens < 1 {
		return passing{}
	}
	h.tokens--
	h.done[second]++
	h.last = now.Sub(h.start)
	return nil
}

// peak is the highest load, averaged over the window, from the given second on.
func (h *herd) peak(from int) float64 {
	highest := 0
	for i := from; i+window <= len(h.load); i++ {
		sum := 0
		for _, n := range h.load[i : i+window] {
			sum += n
		}
		highest = max(highest, sum)
	}
	return float64(highest) / window
}

// simulate lets all signers loose; wait is the pause after the n-th failure (from
// 0), or nil for package retry itself.
func simulate(t *testing.T, wait func(n int) time.Duration) *herd {
	t.Helper()
	h := &herd{}
	synctest.Test(t, func(t *testing.T) {
		h.start = time.Now()
		h.filled = h.start
		var wg sync.WaitGroup
		for range signers {
			wg.Go(func() {
				if wait == nil {
					ctx, cancel := retry.WithBudget(t.Context(), 15*time.Minute)
					defer cancel()
					policy := retry.Policy{InitialDelay: time.Second, MaxDelay: time.Minute} // signretry's own
					if _, err := retry.Do(ctx, policy, func(context.Context) (int, error) { return 0, h.ask() }); err != nil {
						t.Errorf("not signed: %v", err)
					}
					return
				}
				for n := 0; time.Since(h.start) < 30*time.Minute && h.ask() != nil; n++ {
					time.Sleep(wait(n))
				}
			})
		}
		wg.Wait()
	})
	return h
}

func ceiling(n int) time.Duration { return min(time.Second<<min(n, 10), time.Minute) }

// A thousand signers, all started at once, behind a service that answers 20
// requests a second and is down for ten minutes: full jitter has them all signed
// within two minutes of its return, at a load that never passes twice what it can do.
func TestHerd(t *testing.T) {
	t.Parallel()
	full := simulate(t, nil)
	after := full.last - down
	peak := full.peak(int(down / time.Second))
	t.Logf("full jitter: the last is done %s after the return, peak %.1f requests a second", after.Round(time.Second), peak)
	if after > 2*time.Minute {
		t.Errorf("the last signer is done %s after the service's return, want at most 120s", after)
	}
	if peak > 2*capacity {
		t.Errorf("peak load after the return: %.1f requests a second, want at most %d", peak, 2*capacity)
	}
	none := simulate(t, ceiling)
	equal := simulate(t, func(n int) time.Duration {
		half := ceiling(n) / 2
		return half + rand.N(half)
	})
	if none.last < down+10*time.Minute {
		t.Errorf("without jitter the last is done after %s: the simulation shows no herd", none.last)
	}
	for name, h := range map[string]*herd{"no jitter": none, "equal jitter": equal, "full jitter": full} {
		t.Logf("%-12s last done %8s after the return, peak %.1f, busiest second %d", name, (h.last - down).Round(time.Second), h.peak(600), busiest(h.load[600:]))
	}
	if *updateHerd {
		plot := herdPlot([]curve{{"no jitter", none}, {"equal jitter", equal}, {"full jitter (pushguard)", full}})
		if err := os.WriteFile("../../docs/herd.svg", []byte(plot), 0o644); err != nil {
			t.Error(err)
		}
	}
}

func busiest(load []int) (n int) {
	for _, l := range load {
		n = max(n, l)
	}
	return n
}

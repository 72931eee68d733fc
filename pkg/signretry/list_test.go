// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signretry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/LerianStudio/pushguard/pkg/registry"
	"github.com/LerianStudio/pushguard/pkg/retry"
)

// oldReads is the fallback tag of a registry whose reads are as old as age says.
type oldReads struct {
	age     func() time.Duration // of the next read
	request func() time.Duration // how long the next request takes
	mu      sync.Mutex
	states  []state
	written int
}

type state struct {
	since time.Time
	keys  []string
}

func (o *oldReads) now() []string { return o.states[len(o.states)-1].keys }

func (o *oldReads) read(context.Context) (listed, error) {
	o.pass()
	o.mu.Lock()
	defer o.mu.Unlock()
	at := time.Now().Add(-o.age())
	shown := o.states[0]
	for _, s := range o.states {
		if !s.since.After(at) {
			shown = s
		}
	}
	o.mu.Unlock()
	o.pass()
	o.mu.Lock()
	l := listed{digest: strings.Join(shown.keys, " ")}
	for _, k := range shown.keys {
		l.entries = append(l.entries, registry.Entry{Key: k, Raw: json.RawMessage(`"` + k + `"`)})
	}
	return l, nil
}

// pass is half a request's way.
func (o *oldReads) pass() {
	if o.request != nil {
		time.Sleep(o.request() / 2)
	}
}

func (o *oldReads) write(_ context.Context, on listed, more []registry.Entry) (string, error) {
	o.pass()
	keys := []string{}
	for _, e := range slices.Concat(on.entries, more) {
		keys = append(keys, e.Key)
	}
	o.mu.Lock()
	o.states = append(o.states, state{time.Now(), keys})
	o.written++
	o.mu.Unlock()
	o.pass()
	return strings.Join(keys, " "), nil
}

func (o *oldReads) list(key string) *list {
	return &list{
		tag:  registry.Reference{Registry: "r.test", Repository: "a", Tag: "sha256-0"},
		own:  []registry.Entry{{Key: key, Raw: json.RawMessage(`"` + key + `"`)}},
		read: o.read, write: o.write,
		exists: func(context.Context, registry.Entry) (bool, error) { return true, nil },
	}
}

func newOldReads(age func() time.Duration, keys ...string) *oldReads {
	return &oldReads{age: age, states: []state{{time.Now().Add(-time.Hour), keys}}}
}

func fixed(d time.Duration) func() time.Duration { return func() time.Duration { return d } }

func runOf(policy retry.Policy) *run { return newRun(Options{Policy: policy}) }

var patience = retry.Policy{InitialDelay: time.Second, MaxDelay: time.Minute}

// cosign has written an entry right before, and reads are five seconds old: both stay.
func TestExtend_rightAfterAnother(t *testing.T) {
	t.Parallel()
	for _, gap := range []time.Duration{300 * time.Millisecond, time.Second, 4 * time.Second, 6 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			o := newOldReads(fixed(5*time.Second), "old")
			o.states = append(o.states, state{time.Now(), []string{"old", "cosign"}})
			time.Sleep(gap)
			if err := runOf(patience).extend(t.Context(), o.list("ours")); err != nil {
				t.Fatalf("%s later: %v", gap, err)
			}
			wantKeys(t, fmt.Sprint(gap), o, "old", "cosign", "ours")
			if o.written > 2 {
				t.Errorf("%s later: %d writes, want at most 2", gap, o.written)
			}
		})
	}
}

// A signer that does not look again read the list before our write, and writes after it.
func TestExtend_overwritten(t *testing.T) {
	t.Parallel()
	for _, age := range []time.Duration{0, 5 * time.Second} {
		for _, after := range []time.Duration{5 * time.Millisecond, age/2 + 10*time.Millisecond, age + 20*time.Millisecond} {
			synctest.Test(t, func(t *testing.T) {
				o := newOldReads(fixed(age), "old")
				o.request = fixed(50 * time.Millisecond)
				time.AfterFunc(75*time.Millisecond+after, func() {
					o.mu.Lock()
					defer o.mu.Unlock()
					o.states = append(o.states, state{time.Now(), []string{"old", "theirs"}})
				})
				if err := runOf(patience).extend(t.Context(), o.list("ours")); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				wantKeys(t, fmt.Sprintf("age %s, %s later", age, after), o, "old", "theirs", "ours")
			})
		}
	}
}

// Several signers at once, begun at any time, with reads as old as zero, two or five
// seconds, or a little less, and requests of any length within a factor of two: in 10,000
// random orders nobody's entry is lost.
func TestExtend_randomOrders(t *testing.T) {
	t.Parallel()
	orders := 10_000
	if testing.Short() {
		orders = 500
	}
	var g sync.WaitGroup
	for worker := range 4 {
		g.Go(func() {
			for i := worker; i < orders; i += 4 {
				seed := uint64(i)
				synctest.Test(t, func(t *testing.T) { randomOrder(t, seed) })
			}
		})
	}
	g.Wait()
}

func randomOrder(t *testing.T, seed uint64) {
	t.Helper()
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(seed, 1))
	draw := func(n time.Duration) time.Duration {
		mu.Lock()
		defer mu.Unlock()
		return time.Duration(random.Int64N(int64(n) + 1))
	}
	oldest := []time.Duration{0, 2 * time.Second, 5 * time.Second}[seed%3]
	age := fixed(oldest)
	if seed%2 == 0 { // behind it are servers of different ages
		age = func() time.Duration { return oldest*3/4 + draw(oldest/4) }
	}
	ctx, cancel := retry.WithBudget(t.Context(), 15*time.Minute)
	defer cancel()
	o := newOldReads(age, "old")
	o.request = func() time.Duration { return 100*time.Millisecond + draw(90*time.Millisecond) }
	want := []string{"old"}
	var g sync.WaitGroup
	for i := range 2 + int(seed%4) {
		key := fmt.Sprintf("writer-%d", i)
		want = append(want, key)
		begin := draw(oldest*2 + 400*time.Millisecond)
		g.Go(func() {
			time.Sleep(begin)
			if err := runOf(patience).extend(ctx, o.list(key)); err != nil {
				t.Errorf("order %d: %s: %v", seed, key, err)
			}
		})
	}
	g.Wait()
	wantKeys(t, fmt.Sprintf("order %d", seed), o, want...)
}

func wantKeys(t *testing.T, what string, o *oldReads, want ...string) {
	t.Helper()
	got := slices.Clone(o.now())
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s: the list has %q, want %q", what, got, want)
	}
}

// Lists that are older with each read never show the write: the time and the attempts of
// the policy end it.
func TestExtend_everOlder(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		policy retry.Policy
		budget time.Duration
		most   time.Duration
	}{
		"time":     {patience, 3 * time.Minute, 3 * time.Minute},
		"attempts": {retry.Policy{MaxAttempts: 3, InitialDelay: time.Second, MaxDelay: time.Second}, time.Hour, 3*showLimit + 5*time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			begin := time.Now()
			o := newOldReads(func() time.Duration { return time.Since(begin) + time.Second }, "old")
			ctx, cancel := retry.WithBudget(t.Context(), tt.budget)
			defer cancel()
			err := runOf(tt.policy).extend(ctx, o.list("ours"))
			if !retry.Passing(err) && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: %v, want a failure that passes", name, err)
			}
			if took := time.Since(begin); took > tt.most {
				t.Errorf("%s: it took %s, want at most %s", name, took, tt.most)
			}
			if !slices.Contains(o.now(), "ours") || !slices.Contains(o.now(), "old") {
				t.Errorf("%s: the list has %q", name, o.now())
			}
		})
	}
}

// Reads that grow older after the write has shown: the list is complete, so it is done.
func TestExtend_olderAfterwards(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		o := newOldReads(func() time.Duration { return min(time.Since(begin), 2*time.Second) + time.Since(begin)/2 }, "old")
		ctx, cancel := retry.WithBudget(t.Context(), 5*time.Minute)
		defer cancel()
		if err := runOf(patience).extend(ctx, o.list("ours")); err != nil && !retry.Passing(err) {
			t.Error(err)
		}
		wantKeys(t, "older", o, "old", "ours")
	})
}

// An entry that somebody removed with its manifest is not brought back.
func TestExtend_removedOnPurpose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOldReads(fixed(0), "kept")
		l := o.list("ours")
		l.known = []registry.Entry{{Key: "removed"}, {Key: "lost", Raw: json.RawMessage(`"lost"`)}}
		l.exists = func(_ context.Context, e registry.Entry) (bool, error) { return e.Key != "removed", nil }
		if err := runOf(patience).extend(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		wantKeys(t, "removed", o, "kept", "lost", "ours")
	})
}

// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package retry_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/LerianStudio/pushguard/pkg/retry"
)

// service is what the operations of a test ask: it is down until heals.
type service struct {
	mu      sync.Mutex
	heals   time.Time
	asked   int
	poison  int // this operation always fails
	takes   time.Duration
	refuses bool // answers "denied" in place of the outage
}

func (s *service) ask(n int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	switch {
	case s.refuses:
		return errForGood
	case time.Now().Before(s.heals), n == s.poison:
		return passing{}
	}
	return nil
}

// operations runs 50 of them, 4 at a time, and returns how each ended.
func operations(ctx context.Context, s *service, p retry.Policy) []error {
	errs := make([]error, 50)
	limit := make(chan struct{}, 4)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			limit <- struct{}{}
			defer func() { <-limit }()
			_, errs[i] = retry.Do(ctx, p, func(context.Context) (int, error) {
				time.Sleep(s.takes)
				return 0, s.ask(i + 1)
			})
		})
	}
	wg.Wait()
	return errs
}

func outage(err error) bool { return retry.Transient(err) }

func failed(errs []error) (n int) {
	for _, err := range errs {
		if err != nil {
			n++
		}
	}
	return n
}

func TestCircuit(t *testing.T) {
	t.Parallel()
	type outcome struct{ Failed, MaxAsked int }
	for name, test := range map[string]struct {
		service *service
		want    outcome
	}{
		"up":                         {&service{takes: time.Second}, outcome{0, 50}},
		"down for a while":           {&service{heals: time.Now().AddDate(-30, 0, 0), takes: time.Second}, outcome{0, 50 + 4 + 9}},
		"down for good":              {&service{heals: time.Now().AddDate(30, 0, 0), takes: time.Second}, outcome{50, 4 + 9}},
		"one of them always fails":   {&service{poison: 7, takes: time.Second}, outcome{1, 49 + 10}},
		"it refuses, so it is there": {&service{refuses: true}, outcome{50, 50}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := test.service
				if name == "down for a while" {
					s.heals = time.Now().Add(20 * time.Second)
				}
				errs := operations(t.Context(), s, retry.Policy{
					MaxAttempts: 10, InitialDelay: time.Second, MaxDelay: time.Minute, Circuit: retry.NewCircuit(outage),
				})
				if got := failed(errs); got != test.want.Failed || s.asked > test.want.MaxAsked {
					t.Errorf("%d failed after %d requests, want %d after at most %d", got, s.asked, test.want.Failed, test.want.MaxAsked)
				}
			})
		})
	}
}

// Who gives up on the service gives up for all, with one reason.
func TestCircuit_gaveUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := service{heals: time.Now().Add(time.Hour), takes: time.Second}
		reasons := map[string]int{}
		for _, err := range operations(t.Context(), &s, retry.Policy{MaxAttempts: 3, Circuit: retry.NewCircuit(outage)}) {
			gaveUp, ok := errors.AsType[*retry.GaveUpError](err)
			if !ok || !errors.Is(err, passing{}) {
				t.Fatalf("%v, want the outage that was given up on", err)
			}
			reasons[gaveUp.Err.Error()]++
		}
		if diff := cmp.Diff(map[string]int{"service unavailable": 50}, reasons); diff != "" {
			t.Errorf("reasons (-want +got):\n%s", diff)
		}
	})
}

// The end of the time reaches those who wait for another's try, at once.
func TestCircuit_interrupted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stop := errors.New("interrupt")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(10*time.Second, func() { cancel(stop) })
		start := time.Now()
		s := service{heals: start.Add(time.Hour)}
		for i, err := range operations(ctx, &s, retry.Policy{InitialDelay: time.Hour, Circuit: retry.NewCircuit(outage)}) {
			if !errors.Is(err, stop) {
				t.Errorf("operation %d: %v, want the interruption", i, err)
			}
		}
		if took := time.Since(start); took != 10*time.Second {
			t.Errorf("back after %s, want 10s", took)
		}
	})
}

// final is an error that a circuit's owner counts as an outage, though no further
// try can succeed.
type final struct{}

func (final) Error() string { return "gone for good" }

// Whatever an operation does with its turn, the next one gets one: no way to end a
// try leaves the others waiting.
func TestCircuit_noTurnIsLost(t *testing.T) {
	t.Parallel()
	everything := func(error) bool { return true }
	for name, test := range map[string]struct {
		isOutage func(error) bool
		spoil    func() error // how the try that has the turn ends
		want     map[string]int
	}{
		"an outage that is final": {everything, func() error { return final{} }, map[string]int{"gone for good": 1, "": 9}},
		"a final answer":          {outage, func() error { return errForGood }, map[string]int{"denied": 1, "": 9}},
		"a panic":                 {outage, func() error { panic("bug") }, map[string]int{"panic: bug": 1, "": 9}},
		"an outage":               {outage, func() error { return passing{} }, map[string]int{"": 10}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				policy := retry.Policy{InitialDelay: time.Second, Circuit: retry.NewCircuit(test.isOutage)}
				var asked atomic.Int32
				got := ends(10, func(int) error {
					_, err := retry.Do(t.Context(), policy, func(context.Context) (int, error) {
						time.Sleep(time.Second)
						switch n := asked.Add(1); {
						case n <= 10: // all at once: these open the circuit
							return 0, passing{}
						case n == 11: // the first that has the turn for itself
							return 0, test.spoil()
						}
						return 0, nil
					})
					return err
				})
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Errorf("how the operations ended (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// ends runs n operations at once and counts how they ended; "" is a success.
func ends(n int, op func(i int) error) map[string]int {
	var mu sync.Mutex
	counts := map[string]int{}
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			text := ""
			defer func() {
				if p := recover(); p != nil {
					text = fmt.Sprintf("panic: %v", p)
				}
				mu.Lock()
				defer mu.Unlock()
				counts[text]++
			}()
			if err := op(i); err != nil {
				text = err.Error()
			}
		})
	}
	wg.Wait()
	return counts
}

// An operation whose own context ends says nothing of the service: the others
// neither give up nor all ask at once.
func TestCircuit_oneIsCancelled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stop := errors.New("not needed any more")
		s := service{heals: time.Now().Add(10 * time.Minute), takes: time.Second}
		policy := retry.Policy{InitialDelay: time.Second, MaxDelay: time.Minute, Circuit: retry.NewCircuit(outage)}
		got := ends(10, func(i int) error {
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			if i < 3 {
				time.AfterFunc(time.Duration(i+1)*time.Minute, func() { cancel(stop) })
			}
			_, err := retry.Do(ctx, policy, func(ctx context.Context) (int, error) {
				select {
				case <-time.After(s.takes):
					return 0, s.ask(i + 1)
				case <-ctx.Done():
					return 0, context.Cause(ctx)
				}
			})
			if errors.Is(err, stop) {
				return stop
			}
			return err
		})
		if diff := cmp.Diff(map[string]int{stop.Error(): 3, "": 7}, got); diff != "" {
			t.Errorf("how the operations ended (-want +got):\n%s", diff)
		}
		if most := 10 + 60; s.asked > most {
			t.Errorf("%d requests during the outage, want at most %d", s.asked, most)
		}
	})
}

// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package retry_test

import (
	"context"
	"errors"
	"sync"
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

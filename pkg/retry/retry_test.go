// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package retry_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/LerianStudio/pushguard/pkg/retry"
)

type passing struct{ after time.Duration }

func (passing) Error() string               { return "service unavailable" }
func (passing) Transient() bool             { return true }
func (p passing) RetryAfter() time.Duration { return p.after }

var errForGood = errors.New("denied")

// failures answers the given errors one after another, then "won".
func failures(errs ...error) func(context.Context) (string, error) {
	return func(context.Context) (string, error) {
		if len(errs) == 0 {
			return "won", nil
		}
		err := errs[0]
		errs = errs[1:]
		return "", err
	}
}

func TestDo(t *testing.T) {
	t.Parallel()
	policy := retry.Policy{MaxAttempts: 3, InitialDelay: time.Second, MaxDelay: time.Minute}
	for name, test := range map[string]struct {
		errs      []error
		want      string
		wantErr   string
		wantWaits int
	}{
		"first try":                {nil, "won", "", 0},
		"third try":                {[]error{passing{}, passing{}}, "won", "", 2},
		"attempts run out":         {[]error{passing{}, passing{}, passing{}}, "", "service unavailable (gave up after 3 attempts in ", 2},
		"permanent at once":        {[]error{errForGood}, "", "denied", 0},
		"permanent after passing":  {[]error{passing{}, errForGood}, "", "denied", 1},
		"wrapped errors are found": {[]error{errors.Join(errors.New("x"), passing{})}, "won", "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				waits := 0
				p := policy
				p.OnWait = func(w retry.Wait) {
					waits++
					if w.Attempt != waits || w.Delay > time.Second<<(waits-1) || w.Until != time.Now().Add(w.Delay) {
						t.Errorf("wait %d: %+v", waits, w)
					}
				}
				got, err := retry.Do(t.Context(), p, failures(test.errs...))
				if got != test.want || !matches(err, test.wantErr) || waits != test.wantWaits {
					t.Errorf("Do = %q, %v after %d waits; want %q, %q after %d", got, err, waits, test.want, test.wantErr, test.wantWaits)
				}
			})
		})
	}
}

func matches(err error, prefix string) bool {
	if err == nil {
		return prefix == ""
	}
	return prefix != "" && strings.HasPrefix(err.Error(), prefix)
}

func TestDo_retryAfter(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		after, budget time.Duration
		wantMin       time.Duration
		wantMax       time.Duration
		wantGaveUp    bool
	}{
		"beyond the ceiling, inside the budget": {90 * time.Second, 5 * time.Minute, 90 * time.Second, 91 * time.Second, false},
		"outside the budget":                    {6 * time.Minute, 5 * time.Minute, 0, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := retry.WithBudget(t.Context(), test.budget)
				defer cancel()
				start := time.Now()
				_, err := retry.Do(ctx, retry.Policy{MaxAttempts: 5, InitialDelay: time.Second, MaxDelay: time.Minute},
					failures(passing{after: test.after}))
				_, gaveUp := errors.AsType[*retry.GaveUpError](err)
				if took := time.Since(start); gaveUp != test.wantGaveUp || took < test.wantMin || took > test.wantMax {
					t.Errorf("took %s, gave up %t (%v)", took, gaveUp, err)
				}
			})
		})
	}
}

// hasty is a failure that wants a try by a certain time.
type hasty struct{ within time.Duration }

func (hasty) Error() string                { return "not there yet" }
func (hasty) Transient() bool              { return true }
func (h hasty) RetryWithin() time.Duration { return h.within }

func TestDo_retryWithin(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for range 20 {
			start := time.Now()
			got, err := retry.Do(t.Context(), retry.Policy{InitialDelay: time.Hour}, failures(hasty{time.Second}, hasty{0}))
			if took := time.Since(start); got != "won" || err != nil || took > time.Second+time.Millisecond {
				t.Errorf("Do = %q, %v after %s; want success within a second", got, err, took)
			}
		}
	})
}

func TestDo_budgetEndsTheTries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := retry.WithBudget(t.Context(), 10*time.Minute)
		defer cancel()
		start := time.Now()
		_, err := retry.Do(ctx, retry.Policy{InitialDelay: time.Second, MaxDelay: time.Minute},
			func(context.Context) (int, error) { return 0, passing{} })
		gaveUp, ok := errors.AsType[*retry.GaveUpError](err)
		if !ok || gaveUp.Attempts < 10 || gaveUp.Cause == nil || !errors.Is(err, passing{}) {
			t.Errorf("Do = %v", err)
		}
		if took := time.Since(start); took > 10*time.Minute {
			t.Errorf("took %s, longer than the budget", took)
		}
	})
}

func TestDo_cancelDuringAWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stop := errors.New("interrupt")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Millisecond, func() { cancel(stop) })
		start := time.Now()
		_, err := retry.Do(ctx, retry.Policy{MaxAttempts: 2}, failures(passing{after: time.Hour}))
		if !errors.Is(err, stop) || !errors.Is(err, passing{time.Hour}) || time.Since(start) != time.Millisecond {
			t.Errorf("Do = %v after %s", err, time.Since(start))
		}
		called := false
		_, err = retry.Do(ctx, retry.Policy{}, func(context.Context) (int, error) { called = true; return 0, nil })
		if called || !errors.Is(err, stop) {
			t.Errorf("with an ended context: called %t, %v", called, err)
		}
	})
}

func TestAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	got := map[string]time.Duration{}
	want := map[string]time.Duration{
		"Retry-After: 30": 30 * time.Second,
		"Retry-After: Tue, 24 Nov 2026 10:02:00 GMT":   2 * time.Minute,
		"Retry-After: Tue, 24 Nov 2026 09:00:00 GMT":   0,
		"Retry-After: soon":                            0,
		"Retry-After: -5":                              0,
		"Retry-After: 4294967295":                      24 * time.Hour,
		"Retry-After: 99999999999999999999":            24 * time.Hour,
		"X-Retry-After: 1795514460":                    time.Minute,
		"X-Retry-After: 1":                             0,
		"Retry-After: 1.5":                             0,
		"Retry-After: Tuesday, 24-Nov-26 10:01:00 GMT": time.Minute, // RFC 850, obsolete and legal
		"Retry-After: Tue, 24 Nov 2099 12:00:00 GMT":   24 * time.Hour,
		"X-Other: 1":                                   0,
	}
	for line := range want {
		name, value, _ := strings.Cut(line, ": ")
		got[line] = retry.After(http.Header{name: {value}}, now)
	}
	// A server whose clock is an hour ahead.
	got["its own clock"] = retry.After(http.Header{
		"Date": {"Tue, 24 Nov 2026 11:00:00 GMT"}, "Retry-After": {"Tue, 24 Nov 2026 11:00:05 GMT"},
	}, now)
	want["its own clock"] = 5 * time.Second
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("After (-want +got):\n%s", diff)
	}
}

func FuzzAfter(f *testing.F) {
	f.Add("30", "")
	f.Add("Tue, 24 Nov 2026 10:02:00 GMT", "1795514460")
	f.Fuzz(func(t *testing.T, after, xAfter string) {
		header := http.Header{"Retry-After": {after}, "X-Retry-After": {xAfter}}
		if got := retry.After(header, time.Unix(1795514400, 0)); got < 0 || got > 24*time.Hour {
			t.Errorf("After(%q, %q) = %s", after, xAfter, got)
		}
	})
}

// With Draw set, no wait is left to chance.
func TestPolicy_Draw(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var ceilings, waits []time.Duration
		_, err := retry.Do(t.Context(), retry.Policy{
			MaxAttempts: 4, InitialDelay: time.Second, MaxDelay: 3 * time.Second,
			Draw:   func(ceiling time.Duration) time.Duration { ceilings = append(ceilings, ceiling); return ceiling - 1 },
			OnWait: func(w retry.Wait) { waits = append(waits, w.Delay) },
		}, failures(passing{}, passing{}, passing{}, passing{}))
		if err == nil {
			t.Error("Do succeeded")
		}
		// The last one is for the others who ask the service.
		want := []time.Duration{time.Second, 2 * time.Second, 3 * time.Second, 3 * time.Second}
		if diff := cmp.Diff(want, ceilings); diff != "" {
			t.Errorf("ceilings (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]time.Duration{want[0] - 1, want[1] - 1, want[2] - 1}, waits); diff != "" {
			t.Errorf("waits (-want +got):\n%s", diff)
		}
	})
}

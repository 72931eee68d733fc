// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package change_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/LerianStudio/pushguard/pkg/change"
	"github.com/LerianStudio/pushguard/pkg/registry"
	"github.com/LerianStudio/pushguard/pkg/retry"
)

const (
	from  = "sha256:from"
	to    = "sha256:to"
	other = "sha256:other"
)

// server is a registry with one tag. What it shows is as old as lag.
type server struct {
	now   string
	lag   time.Duration
	shown string    // before since
	since time.Time // when now was set
	down  error     // of every look
	looks int
}

func (s *server) set(digest string) {
	s.shown, s.now, s.since = s.now, digest, time.Now()
}

func (s *server) Head(_ context.Context, ref registry.Reference) (registry.Descriptor, error) {
	s.looks++
	digest := s.now
	if time.Since(s.since) < s.lag {
		digest = s.shown
	}
	switch {
	case s.down != nil:
		return registry.Descriptor{}, s.down
	case digest == "":
		return registry.Descriptor{}, &registry.Error{Op: "check", Ref: ref, Kind: registry.KindNotFound}
	}
	return registry.Descriptor{Digest: digest}, nil
}

// result is how a change ended, as far as tests compare it.
type result struct {
	Outcome  change.Outcome
	Now      string
	Acts     int
	Err      string // the type of the error, "" for none
	Tag      string // what the tag names at the end
	Duration time.Duration
}

func kind(err error) string {
	switch {
	case err == nil:
		return ""
	case is[*change.UnchangedError](err):
		return "unchanged"
	case is[*change.StillThereError](err):
		return "still there"
	case is[*change.AcceptedError](err):
		return "accepted"
	case is[*retry.GaveUpError](err):
		return "gave up"
	case errors.Is(err, errNo):
		return "no"
	}
	return err.Error()
}

func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

var errNo = errors.New("no")

func TestDo(t *testing.T) {
	t.Parallel()
	outage := &registry.Error{Op: "act", Kind: registry.KindOutage}
	missing := &registry.Error{Op: "act", Kind: registry.KindNotFound}
	for name, test := range map[string]struct {
		server server
		to     string
		prove  func(*server) error
		// acts are what each act does, and its answer; the last one counts for all after it.
		acts []func(*server) error
		want result
	}{
		"made": {
			server{now: from},
			to, nil,
			[]func(*server) error{func(s *server) error { s.set(to); return nil }},
			result{Outcome: change.Made, Now: to, Acts: 1, Tag: to},
		},
		"somebody else made it": {server{now: to}, to, nil, nil, result{Outcome: change.Found, Now: to, Tag: to}},
		"somebody moved it":     {server{now: other}, to, nil, nil, result{Outcome: change.Moved, Now: other, Tag: other}},
		"it is not proved":      {server{now: from}, to, func(*server) error { return errNo }, nil, result{Now: from, Err: "no", Tag: from}},
		"the registry is down":  {server{now: from, down: outage}, to, nil, nil, result{Err: "gave up", Tag: from, Duration: 3 * time.Millisecond}},
		"an answer is lost": {
			server{now: from},
			"", nil,
			[]func(*server) error{func(s *server) error { s.set(""); return outage }},
			result{Outcome: change.Made, Acts: 1, Duration: time.Millisecond},
		},
		"an outage, then made": {
			server{now: from},
			to, nil,
			[]func(*server) error{func(*server) error { return outage }, func(s *server) error { s.set(to); return nil }},
			result{Outcome: change.Made, Now: to, Acts: 2, Tag: to, Duration: time.Millisecond},
		},
		"the old answer is shown for five seconds": {
			server{now: from, lag: 5 * time.Second},
			to, nil,
			[]func(*server) error{func(s *server) error { s.set(to); return nil }},
			result{Outcome: change.Made, Now: to, Acts: 1, Tag: to, Duration: 7750 * time.Millisecond},
		},
		"accepted, and not made": {
			server{now: from},
			to, nil,
			[]func(*server) error{func(*server) error { return nil }},
			result{Now: from, Acts: 1, Err: "unchanged", Tag: from, Duration: 7750 * time.Millisecond},
		},
		"moved by somebody right after": {
			server{now: from},
			to, nil,
			[]func(*server) error{func(s *server) error { s.set(other); return nil }},
			result{Outcome: change.Moved, Now: other, Acts: 1, Tag: other},
		},
		"not found, and there": {
			server{now: from},
			"", nil,
			[]func(*server) error{func(*server) error { return missing }},
			result{Now: from, Acts: 1, Err: "still there", Tag: from},
		},
		"not found, and gone": {
			server{now: from},
			"", nil,
			[]func(*server) error{func(s *server) error { s.set(""); return missing }},
			result{Outcome: change.Made, Acts: 1},
		},
		"an answer is lost, and the old one is shown for five seconds": {
			server{now: from, lag: 5 * time.Second},
			"", nil,
			[]func(*server) error{func(s *server) error { s.set(""); return outage }, func(*server) error { return missing }},
			result{Outcome: change.Made, Acts: 2, Duration: 7751 * time.Millisecond},
		},
		"an answer is lost, and nothing is there to prove while the old one is shown": {
			server{now: from, lag: 5 * time.Second},
			"", func(s *server) error {
				if s.now == "" {
					return missing
				}
				return nil
			},
			[]func(*server) error{func(s *server) error { s.set(""); return outage }},
			result{Outcome: change.Made, Acts: 1, Duration: 7751 * time.Millisecond},
		},
		"refused": {
			server{now: from},
			to, nil,
			[]func(*server) error{func(*server) error { return errNo }},
			result{Now: from, Acts: 1, Err: "no", Tag: from},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				got, s := result{}, &test.server
				start := time.Now()
				c := change.Change{
					From: from, To: test.to,
					Prove: func(context.Context) error {
						if test.prove == nil {
							return nil
						}
						return test.prove(s)
					},
					Act: func(context.Context) error {
						got.Acts++
						return test.acts[min(got.Acts, len(test.acts))-1](s)
					},
				}
				outcome, now, err := c.Do(t.Context(), retry.Policy{MaxAttempts: 4, InitialDelay: time.Millisecond, MaxDelay: time.Millisecond}, s)
				got.Outcome, got.Now, got.Err, got.Tag = outcome, now, kind(err), s.now
				// Waits between attempts are drawn at random, below a millisecond each.
				got.Duration = time.Since(start).Round(time.Millisecond)
				if d := test.want.Duration - got.Duration; d > 0 && d <= 3*time.Millisecond {
					got.Duration = test.want.Duration
				}
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Errorf("Do = %v (-want +got):\n%s", err, diff)
				}
			})
		})
	}
}

// A run that ends after the registry has accepted a change says so: nobody may take the
// change back.
func TestDo_endsAfterAccepted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &server{now: from, lag: time.Hour}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, _, err := change.Change{From: from, Act: func(context.Context) error { s.set(""); return nil }}.Do(ctx, retry.Policy{MaxAttempts: 3}, s)
		if kind(err) != "accepted" || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Do = %v", err)
		}
	})
}

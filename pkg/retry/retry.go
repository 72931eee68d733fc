// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

// Package retry repeats an operation until it succeeds, fails for good, or its
// attempts or time run out. It is the only layer of pushguard that retries:
// every client below it makes one request and reports what happened.
package retry

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	retrygo "github.com/avast/retry-go/v4"
)

// Policy says how one operation is repeated: exponential back-off with full
// jitter (each wait is drawn between zero and a ceiling that doubles) up to
// MaxDelay. A Retry-After of the server replaces the ceiling and is not clipped.
type Policy struct {
	// MaxAttempts counts all tries, the first included; 0 means as many as the
	// context's deadline allows.
	MaxAttempts int
	// InitialDelay is the ceiling of the first wait.
	InitialDelay time.Duration
	// MaxDelay is the ceiling of every wait; 0 means no ceiling.
	MaxDelay time.Duration
	// Circuit, if set, is shared with the other operations that ask the same service.
	Circuit *Circuit
	// OnWait, if set, is told before each wait, never after the last failure.
	OnWait func(Wait)
	// Draw draws a wait below a ceiling, which is above zero; nil draws at random. Tests
	// that have to run the same way again set it.
	Draw func(ceiling time.Duration) time.Duration
}

// Wait describes the pause before the next try.
type Wait struct {
	Attempt int           // number of the try that failed, from 1
	Err     error         // why it failed
	Delay   time.Duration // how long the pause is
	Since   time.Time     // when the first try failed
	Until   time.Time     // when the next try starts
}

// transient is what an error says of itself when the same request can succeed
// later. Errors that say nothing are permanent.
type transient interface {
	error
	Transient() bool
}

// waiter is an error that carries a server's Retry-After.
type waiter interface {
	error
	RetryAfter() time.Duration
}

// hasty is an error that bounds the wait before the next try: what it tells of is
// decided then. The server's Retry-After goes before it.
type hasty interface {
	error
	RetryWithin() time.Duration
}

// Transient reports whether err, or an error that it wraps, says that trying
// again can succeed.
func Transient(err error) bool {
	t, ok := errors.AsType[transient](err)
	return ok && t.Transient()
}

// Passing reports whether doing later what ended with err can succeed: it failed in a way
// that passes, or was given up on while it did.
func Passing(err error) bool {
	_, gaveUp := errors.AsType[*GaveUpError](err)
	return gaveUp || Transient(err)
}

// GaveUpError says that an operation kept failing in ways that pass, until its
// attempts or its time ran out. Trying again later can succeed.
type GaveUpError struct {
	Attempts int           // tries made
	Elapsed  time.Duration // from the first try to giving up
	Err      error         // the last failure
	Cause    error         // why the context ended, or nil when the attempts ran out
}

func (e *GaveUpError) Error() string {
	tries := "attempts"
	if e.Attempts == 1 {
		tries = "attempt"
	}
	text := fmt.Sprintf("%v (gave up after %d %s in %s", e.Err, e.Attempts, tries, e.Elapsed.Round(time.Millisecond))
	if e.Cause != nil {
		text += ": " + e.Cause.Error()
	}
	return text + ")"
}

// Unwrap gives the last failure and the context's cause.
func (e *GaveUpError) Unwrap() []error {
	if e.Cause == nil {
		return []error{e.Err}
	}
	return []error{e.Err, e.Cause}
}

// Do runs op until it succeeds and returns its value. A permanent error is
// returned as it is; a transient one that outlasts the policy or ctx comes back
// in a [GaveUpError]. A server's Retry-After that does not fit before ctx's
// deadline ends the tries at once: waiting for less would only add load.
func Do[T any](ctx context.Context, p Policy, op func(context.Context) (T, error)) (T, error) {
	l := loop{Policy: p, start: time.Now()}
	value, err := retrygo.DoWithData(
		func() (T, error) {
			var v T
			l.again, l.gaveUp = false, nil
			err := p.Circuit.try(ctx, func() (err error) {
				l.attempts++
				v, err = op(ctx)
				return err
			}, func(failures int, err error) verdict { return l.judge(ctx, failures, err) })
			return v, err
		},
		retrygo.Context(ctx),
		retrygo.Attempts(uint(max(p.MaxAttempts, 0))),
		retrygo.LastErrorOnly(true),
		retrygo.RetryIf(func(error) bool { return l.again }),
		retrygo.DelayType(func(uint, error, *retrygo.Config) time.Duration { return l.delay }),
		retrygo.OnRetry(func(_ uint, err error) {
			if p.OnWait != nil {
				p.OnWait(Wait{Attempt: l.attempts, Err: err, Delay: l.delay, Since: l.failing, Until: time.Now().Add(l.delay)})
			}
		}),
	)
	switch {
	case err == nil:
		return value, nil
	case l.attempts == 0 && errors.Is(err, ctx.Err()): // ctx had ended before the first try
		return value, context.Cause(ctx)
	case l.gaveUp == nil:
		return value, err
	case l.gaveUp.Cause == nil && ctx.Err() != nil: // it ended during a wait
		l.gaveUp.Cause = context.Cause(ctx)
	}
	return value, l.gaveUp
}

// loop is the state of one call of Do.
type loop struct {
	Policy

	start    time.Time
	failing  time.Time // when the first failure was seen
	attempts int
	again    bool
	delay    time.Duration
	gaveUp   *GaveUpError // what to return if there is no further try; nil = the error as it is
}

// judge decides after a try whether and when there is another one. failures is how
// many tries in a row have met the service's outage, of whomever. The verdict is for all
// who ask the service.
func (l *loop) judge(ctx context.Context, failures int, err error) verdict {
	if err == nil || !Transient(err) {
		return verdict{}
	}
	if l.failing.IsZero() {
		l.failing = time.Now()
	}
	g := &GaveUpError{Attempts: l.attempts, Elapsed: time.Since(l.start), Err: err}
	l.gaveUp = g
	tries := max(l.attempts, failures)
	switch {
	case ctx.Err() != nil: // the caller's own end is not the others'
		g.Cause = context.Cause(ctx)
		return verdict{}
	case l.MaxAttempts > 0 && tries >= l.MaxAttempts:
		if failures < l.MaxAttempts { // others may have some left
			pause, _ := l.Policy.delay(ctx, tries, err)
			return verdict{pause: pause}
		}
	default:
		l.delay, g.Cause = l.Policy.delay(ctx, tries, err)
		if l.again = g.Cause == nil; l.again {
			return verdict{pause: l.delay}
		}
	}
	return verdict{gaveUp: g}
}

// delay draws the wait after try n (from 1), or says why there is no time for it.
func (p Policy) delay(ctx context.Context, n int, err error) (time.Duration, error) {
	ceiling := p.InitialDelay << min(n-1, 32)
	if p.MaxDelay > 0 && (ceiling > p.MaxDelay || ceiling <= 0) {
		ceiling = p.MaxDelay
	}
	ceiling = max(ceiling, time.Millisecond) // never a busy loop
	draw := p.Draw
	if draw == nil {
		draw = rand.N[time.Duration]
	}
	remaining := time.Duration(1<<63 - 1)
	if deadline, ok := ctx.Deadline(); ok {
		remaining = time.Until(deadline)
	}
	if w, ok := errors.AsType[waiter](err); ok && w.RetryAfter() > 0 {
		after := w.RetryAfter()
		if after >= remaining {
			return 0, fmt.Errorf("the server asks to wait %s, longer than the %s left", after.Round(time.Second), remaining.Round(time.Second))
		}
		// All clients were told the same moment: spread them behind it.
		return after + draw(min(ceiling, remaining-after)), nil
	}
	delay := draw(ceiling)
	if h, ok := errors.AsType[hasty](err); ok {
		delay = min(delay, max(h.RetryWithin(), time.Millisecond))
	}
	if delay >= remaining {
		return 0, fmt.Errorf("the next try would come after the %s left", remaining.Round(time.Second))
	}
	return delay, nil
}

// BudgetError is the cause of a context whose time for the whole run is used up.
// It is a [context.DeadlineExceeded].
type BudgetError struct {
	Budget time.Duration
}

func (e *BudgetError) Error() string {
	return fmt.Sprintf("the time for the whole run, %s, is used up", e.Budget)
}

// Unwrap makes errors.Is(err, context.DeadlineExceeded) hold.
func (e *BudgetError) Unwrap() error { return context.DeadlineExceeded }

// WithBudget bounds all work under the returned context by d; 0 means no bound.
// The context's cause is a [BudgetError].
func WithBudget(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if d <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, d, &BudgetError{Budget: d})
}

// After reads how long a server asks to wait, from its answer's header:
// Retry-After as seconds or as an HTTP date (RFC 9110, section 10.2.3), or Docker
// Hub's X-Retry-After, a Unix time. Times are counted from the answer's Date, the
// server's own clock, or from now if it has none. It is 0 when there is none, when
// it is malformed, and when it is past; never more than a day.
func After(header http.Header, now time.Time) time.Duration {
	const day = 24 * time.Hour
	if date, err := http.ParseTime(header.Get("Date")); err == nil {
		now = date
	}
	wait := time.Duration(0)
	if v := strings.TrimSpace(header.Get("Retry-After")); v != "" {
		seconds, err := strconv.ParseUint(v, 10, 64)
		switch at, terr := http.ParseTime(v); {
		case err == nil, errors.Is(err, strconv.ErrRange):
			wait = time.Duration(min(seconds, uint64(day/time.Second))) * time.Second
		case terr == nil:
			wait = at.Sub(now)
		}
	} else if v := header.Get("X-Retry-After"); v != "" {
		if at, err := strconv.ParseInt(v, 10, 64); err == nil {
			wait = time.Unix(at, 0).Sub(now)
		}
	}
	return min(max(wait, 0), day)
}

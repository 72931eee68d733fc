// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signretry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/LerianStudio/pushguard/pkg/registry"
	"github.com/LerianStudio/pushguard/pkg/retry"
	"github.com/LerianStudio/pushguard/pkg/signing"
)

// The stages that talk to a registry; the others are package signing's.
const (
	stageResolve = "image"
	stageFind    = "earlier signature"
	stageAttach  = "attach"
)

// step is one stage for one subject.
type step struct {
	stage   string
	subject string
	policy  retry.Policy
}

// allImages is the subject of what is done once for all.
const allImages = "all images"

// step is a stage that asks service: a URL of Sigstore or a registry's host. All
// steps that ask the same one share its circuit.
func (r *run) step(stage, subject, service string) step {
	s := step{stage: stage, subject: subject, policy: r.Policy}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.circuits[service] == nil {
		r.circuits[service] = retry.NewCircuit(isOutage)
	}
	s.policy.Circuit = r.circuits[service]
	return s
}

func (r *run) atRegistry(stage string, ref registry.Reference) step {
	return r.step(stage, ref.String(), ref.Registry)
}

// isOutage tells a service that is down from a request that failed.
func isOutage(err error) bool {
	if e, ok := errors.AsType[*signing.Error](err); ok {
		return e.Kind == signing.KindUnavailable || e.Kind == signing.KindMalformed
	}
	e, ok := errors.AsType[*registry.Error](err)
	return ok && e.Transient()
}

// settle is how long a registry may not know what was just pushed to it, lose
// uploads, or let something else answer in its place. After that it is an answer.
const settle = 30 * time.Second

// lateError is such a failure: it passes, until settle is over.
type lateError struct {
	error

	left time.Duration // until then
}

func (e lateError) Unwrap() error { return e.error }
func (lateError) Transient() bool { return true }

// RetryWithin has one try come when the time is over, however long the waits are by then.
func (e lateError) RetryWithin() time.Duration { return e.left }

// late is do for a request to a registry that may be behind itself. The error of
// the last try is the registry's own.
func late[T any](ctx context.Context, r *run, s step, op func(context.Context) (T, error)) (T, error) {
	var over time.Time
	return do(ctx, r, s, func(ctx context.Context) (T, error) {
		v, err := op(ctx)
		if r.checking || !isLate(err) { // who asks wants to know what is there now
			return v, err
		}
		now := time.Now()
		if over.IsZero() {
			over = now.Add(settle)
			// Sooner in a run that has little time left, so that it ends with the answer and
			// not with the time.
			if deadline, ok := ctx.Deadline(); ok && deadline.Sub(now)/4 < settle {
				over = now.Add(deadline.Sub(now) / 4)
			}
		}
		if left := over.Sub(now); left > 0 {
			return v, lateError{err, left}
		}
		return v, err
	})
}

func isLate(err error) bool {
	e, ok := errors.AsType[*registry.Error](err)
	if !ok {
		return false
	}
	switch e.Code { // distribution specification, "Error Codes"
	case "BLOB_UNKNOWN", "BLOB_UPLOAD_UNKNOWN", "BLOB_UPLOAD_INVALID", "MANIFEST_BLOB_UNKNOWN":
		return true
	}
	return e.Kind == registry.KindNotFound || e.Kind == registry.KindNotARegistry
}

// do runs op under the step's policy and notes every attempt.
func do[T any](ctx context.Context, r *run, s step, op func(context.Context) (T, error)) (T, error) {
	number := 0
	s.policy.OnWait = func(w retry.Wait) { r.paused(ctx, s, w) }
	v, err := retry.Do(ctx, s.policy, func(ctx context.Context) (T, error) {
		number++
		start := time.Now()
		v, err := op(ctx)
		r.tried(ctx, Attempt{Stage: s.stage, Subject: s.subject, Number: number, Start: start, Took: time.Since(start), Err: err})
		return v, err
	})
	// The end of the time, or of the patience, says nothing of where it was spent.
	if err != nil && ctx.Err() != nil && errors.Is(context.Cause(ctx), err) {
		err = fmt.Errorf("%s of %s: %w", s.stage, s.subject, err)
	}
	return v, err
}

// call is do for an op without a value.
func (r *run) call(ctx context.Context, s step, op func(context.Context) error) error {
	_, err := do(ctx, r, s, func(ctx context.Context) (struct{}, error) { return struct{}{}, op(ctx) })
	return err
}

func (r *run) tried(ctx context.Context, a Attempt) {
	r.mu.Lock()
	r.attempts = append(r.attempts, a)
	r.mu.Unlock()
	attrs := []slog.Attr{slog.String("stage", a.Stage), slog.String("for", registry.ShortDigest(a.Subject)), slog.Int("attempt", a.Number), slog.Duration("took", a.Took.Round(time.Millisecond))}
	if a.Err != nil {
		attrs = append(attrs, slog.String("reason", a.Err.Error()))
	}
	r.Logger.LogAttrs(ctx, slog.LevelDebug, "tried", attrs...)
}

// paused notes the wait that follows a failed attempt, and tells of it.
func (r *run) paused(ctx context.Context, s step, w retry.Wait) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := len(r.attempts) - 1; i >= 0; i-- {
		if a := &r.attempts[i]; a.Stage == s.stage && a.Subject == s.subject && a.Number == w.Attempt {
			a.Wait = w.Delay
			break
		}
	}
	if r.OnWait != nil {
		deadline, _ := ctx.Deadline()
		r.OnWait(Waiting{Wait: w, Stage: s.stage, Subject: registry.ShortDigest(s.subject), Deadline: deadline})
	}
}

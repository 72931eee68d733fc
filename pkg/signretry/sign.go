// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signretry

import (
	"context"
	"log/slog"
	"time"

	"github.com/LerianStudio/pushguard/pkg/signing"
)

// renewals bounds how often one digest starts again with a new certificate, token
// or statement in a row, should a service hand out what is over at once. What lasted
// a while counts anew: a long outage may need many.
type renewals struct {
	inRow int
	last  time.Time
}

func (r *renewals) allowed(now time.Time) bool {
	const inRow, while = 10, time.Minute
	if now.Sub(r.last) > while {
		r.inRow = 0
	}
	r.inRow, r.last = r.inRow+1, now
	return r.inRow <= inRow
}

// order is a signature that is wanted.
type order struct {
	signing.Claim
	format signing.Format
	// accepted waits until a registry has shown that it accepts the signature, and says
	// why none does. The log is asked after it, for an entry stays.
	accepted func(context.Context) error
}

// sign makes one signature and hands it to finish for verification.
func sign[T any](ctx context.Context, r *run, o order, finish func(*signing.Draft, *signing.Trust) (T, error)) (T, error) {
	var over *signing.Certificate
	var tries renewals
	var none T
	var err error
	for tries.allowed(time.Now()) {
		var cert *signing.Certificate
		if cert, err = r.certificate(ctx, over); err != nil {
			return none, err
		}
		var draft *signing.Draft
		if draft, err = r.draft(ctx, cert, o); err == nil {
			return finish(draft, r.trust)
		}
		switch {
		case signing.IsKind(err, signing.KindExpired):
			over = cert
		case signing.IsKind(err, signing.KindConflict): // the same certificate, a new signature
		default:
			return none, err
		}
		r.Logger.LogAttrs(ctx, slog.LevelInfo, "signing anew", slog.String("for", short(o.Digest)), slog.String("reason", err.Error()))
	}
	return none, err
}

// draft goes through the stages from statement to log entry.
func (r *run) draft(ctx context.Context, cert *signing.Certificate, o order) (*signing.Draft, error) {
	draft, err := r.Signer.Draft(ctx, cert, r.trust, o.format, o.Claim)
	if err != nil {
		return nil, err
	}
	for _, authority := range r.services.Timestamps {
		err := r.call(ctx, r.step(string(signing.StageTimestamp), o.Digest, authority), func(ctx context.Context) error {
			return r.Signer.Stamp(ctx, draft, authority)
		})
		if err != nil {
			return nil, err
		}
	}
	if err := o.accepted(ctx); err != nil {
		return nil, err
	}
	for _, log := range r.services.LogsFor(o.format) {
		if err := r.log(ctx, draft, log); err != nil {
			return nil, err
		}
	}
	return draft, nil
}

// log gets the draft's entry from one log: posted, and when the answer to that is
// lost, fetched.
func (r *run) log(ctx context.Context, draft *signing.Draft, log signing.Log) error {
	submit := r.step(string(signing.StageLog), draft.Digest, log.URL)
	if err := r.call(ctx, submit, func(ctx context.Context) error { return r.Signer.Submit(ctx, draft, log) }); err != nil {
		return err
	}
	if !draft.Waiting(log) {
		return nil
	}
	r.Logger.LogAttrs(ctx, slog.LevelInfo, "the log has the entry and its answer was lost, waiting for the entry", slog.String("for", short(draft.Digest)))
	return r.call(ctx, patient(ctx, submit), func(ctx context.Context) error { return r.Signer.Await(ctx, draft, log, r.trust) })
}

// patient is for an entry that the log has taken: there is no reason to stop
// asking before the run's time is over, nor to ask rarely.
func patient(ctx context.Context, s step) step {
	const rarely = 10 * time.Second
	if _, ok := ctx.Deadline(); ok {
		s.policy.MaxAttempts = 0
	}
	if s.policy.MaxDelay == 0 || s.policy.MaxDelay > rarely {
		s.policy.MaxDelay = rarely
	}
	return s
}

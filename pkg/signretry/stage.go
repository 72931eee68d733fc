// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signretry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

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

func (r *run) step(stage, subject string) step {
	return step{stage: stage, subject: subject, policy: r.Policy}
}

// do runs op under the step's policy and notes every attempt.
func do[T any](ctx context.Context, r *run, s step, op func(context.Context) (T, error)) (T, error) {
	number := 0
	s.policy.OnWait = func(w retry.Wait) {
		r.paused(s, w)
		r.Logger.LogAttrs(ctx, slog.LevelInfo, "trying again", slog.String("stage", s.stage), slog.String("for", short(s.subject)),
			slog.Int("attempt", w.Attempt), slog.Duration("wait", w.Delay.Round(time.Millisecond)), slog.String("reason", w.Err.Error()))
		if r.Policy.OnWait != nil {
			r.Policy.OnWait(w)
		}
	}
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

// short cuts digests to twelve digits: enough to tell them apart in a log.
func short(subject string) string {
	const prefix = "sha256:"
	if i := strings.Index(subject, prefix); i >= 0 && len(subject) > i+len(prefix)+12 {
		return subject[:i+len(prefix)+12]
	}
	return subject
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
	attrs := []slog.Attr{slog.String("stage", a.Stage), slog.String("for", short(a.Subject)), slog.Int("attempt", a.Number), slog.Duration("took", a.Took.Round(time.Millisecond))}
	if a.Err != nil {
		attrs = append(attrs, slog.String("reason", a.Err.Error()))
	}
	r.Logger.LogAttrs(ctx, slog.LevelDebug, "tried", attrs...)
}

// paused notes the wait that follows a failed attempt.
func (r *run) paused(s step, w retry.Wait) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := len(r.attempts) - 1; i >= 0; i-- {
		if a := &r.attempts[i]; a.Stage == s.stage && a.Subject == s.subject && a.Number == w.Attempt {
			a.Wait = w.Delay
			return
		}
	}
}

// session is what one run has won for all its images.
type session struct {
	services signing.Services
	trust    *signing.Trust
	identity signing.Identity // whose signatures count
	key      *signing.Key

	// Changed by renewal, in turn.
	token signing.Token
	cert  *signing.Certificate
}

// maxRenewals bounds how often one digest starts again with a new certificate
// or a new statement, should a service hand out certificates that are over at once.
const maxRenewals = 10

// prepare gets what every image needs: trust root, services, and an identity to compare with.
func (r *run) prepare(ctx context.Context) error {
	type loaded struct {
		services signing.Services
		trust    *signing.Trust
	}
	l, err := do(ctx, r, r.step(string(signing.StageTrust), "all images"), func(ctx context.Context) (l loaded, err error) {
		l.services, l.trust, err = r.Signer.Load(ctx, r.Services)
		return l, err
	})
	if err != nil {
		return err
	}
	r.services, r.trust = l.services, l.trust
	if r.key, err = signing.NewKey(); err != nil {
		return err
	}
	err = r.renewToken(ctx)
	r.identity = r.token.Identity
	return err
}

func (r *run) renewToken(ctx context.Context) (err error) {
	r.token, err = do(ctx, r, r.step(string(signing.StageIdentity), "all images"), func(ctx context.Context) (signing.Token, error) {
		return r.Signer.Token(ctx, r.Token)
	})
	return err
}

// certificate returns the run's certificate and gets one when there is none, or
// when it is the one that the caller found to be over. Callers take turns: one
// certificate serves all.
func (r *run) certificate(ctx context.Context, over *signing.Certificate) (*signing.Certificate, error) {
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return nil, fmt.Errorf("%s of all images: %w", signing.StageCertificate, context.Cause(ctx))
	}
	if r.cert != nil && r.cert != over && !r.cert.Expired(time.Now()) {
		return r.cert, nil
	}
	for renewed := false; ; renewed = true {
		if r.token.Expired(time.Now()) && r.Token.Renewable() {
			if err := r.renewToken(ctx); err != nil {
				return nil, err
			}
			renewed = true
		}
		cert, err := do(ctx, r, r.step(string(signing.StageCertificate), "all images"), func(ctx context.Context) (*signing.Certificate, error) {
			return r.Signer.Certificate(ctx, r.services.Fulcio, r.key, r.token)
		})
		if err == nil {
			r.warnOtherIdentity(ctx, cert)
			r.cert = cert
			return cert, nil
		}
		// The token ran out while Fulcio was asked: a new one, once.
		if !signing.IsKind(err, signing.KindExpired) || renewed || !r.Token.Renewable() {
			return nil, err
		}
	}
}

func (r *run) warnOtherIdentity(ctx context.Context, cert *signing.Certificate) {
	if cert.Identity == r.identity {
		return
	}
	r.Logger.LogAttrs(ctx, slog.LevelWarn, "the certificate names another identity than the token: a second run will not see that the image is signed",
		slog.String("certificate", cert.Identity.Subject), slog.String("token", r.identity.Subject))
}

// sign makes one bundle for digest.
func (r *run) sign(ctx context.Context, digest string) (*signing.Bundle, error) {
	var over *signing.Certificate
	var err error
	for range maxRenewals {
		var cert *signing.Certificate
		if cert, err = r.certificate(ctx, over); err != nil {
			return nil, err
		}
		var b *signing.Bundle
		if b, err = r.signWith(ctx, cert, digest); err == nil {
			return b, nil
		}
		switch {
		case signing.IsKind(err, signing.KindExpired):
			over = cert
		case signing.IsKind(err, signing.KindConflict): // the same certificate, a new statement
		default:
			return nil, err
		}
		r.Logger.LogAttrs(ctx, slog.LevelInfo, "signing anew", slog.String("for", short(digest)), slog.String("reason", err.Error()))
	}
	return nil, err
}

// signWith goes through the stages from statement to verified bundle.
func (r *run) signWith(ctx context.Context, cert *signing.Certificate, digest string) (*signing.Bundle, error) {
	draft, err := r.Signer.Draft(ctx, cert, digest)
	if err != nil {
		return nil, err
	}
	for _, u := range r.services.Timestamps {
		err := r.call(ctx, r.step(string(signing.StageTimestamp), digest), func(ctx context.Context) error {
			return r.Signer.Stamp(ctx, draft, u)
		})
		if err != nil {
			return nil, err
		}
	}
	for _, l := range r.services.Logs {
		err := r.call(ctx, r.step(string(signing.StageLog), digest), func(ctx context.Context) error {
			return r.Signer.Submit(ctx, draft, l)
		})
		if err != nil {
			return nil, err
		}
		if !draft.Waiting(l) {
			continue
		}
		r.Logger.LogAttrs(ctx, slog.LevelInfo, "the log has the entry and its answer was lost, waiting for the entry", slog.String("for", short(digest)))
		if err := r.call(ctx, r.waitStep(ctx, digest), func(ctx context.Context) error { return r.Signer.Await(ctx, draft, l) }); err != nil {
			return nil, err
		}
	}
	return r.Signer.Finish(draft, r.trust)
}

// waitStep is for an entry that the log has taken: there is no reason to stop
// asking before the run's time is over, nor to ask rarely.
func (r *run) waitStep(ctx context.Context, digest string) step {
	const rarely = 10 * time.Second
	s := r.step(string(signing.StageLog), digest)
	if _, ok := ctx.Deadline(); ok {
		s.policy.MaxAttempts = 0
	}
	if s.policy.MaxDelay == 0 || s.policy.MaxDelay > rarely {
		s.policy.MaxDelay = rarely
	}
	return s
}

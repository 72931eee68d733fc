// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signretry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/LerianStudio/pushguard/pkg/bug"
	"github.com/LerianStudio/pushguard/pkg/registry"
	"github.com/LerianStudio/pushguard/pkg/retry"
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
	// patience ends when a log has been down for too long, whatever certificates run out
	// meanwhile; set when the first log is asked.
	patience *time.Time
}

// sign makes one signature and hands it to finish for verification.
func sign[T any](ctx context.Context, r *run, o order, finish func(*signing.Draft, *signing.Trust) (T, error)) (T, error) {
	var over *signing.Certificate
	o.patience = &time.Time{}
	var tries renewals
	var none T
	var err error
	for tries.allowed(time.Now()) {
		if err = r.takeTurn(ctx, o.Digest); err != nil {
			return none, err
		}
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
		r.Logger.LogAttrs(ctx, slog.LevelInfo, "signing anew", slog.String("for", registry.ShortDigest(o.Digest)), slog.String("reason", err.Error()))
	}
	return none, err
}

// takeTurn waits until one more signature may begin: before there is a certificate for it,
// which would age meanwhile.
func (r *run) takeTurn(ctx context.Context, digest string) error {
	if err := sleep(ctx, r.pace.Reserve().Delay()); err != nil {
		return fmt.Errorf("wait to sign %s, for at most %g signatures a second: %w", digest, r.Rate, err)
	}
	return nil
}

// draft goes through the stages from statement to log entry.
func (r *run) draft(ctx context.Context, cert *signing.Certificate, o order) (*signing.Draft, error) {
	draft, err := r.Signer.Draft(ctx, cert, r.trust, o.format, o.Claim)
	if err != nil {
		return nil, err
	}
	for _, authority := range r.services.Timestamps {
		if err := r.stamp(ctx, draft, authority); err != nil {
			return nil, err
		}
	}
	if err := o.accepted(ctx); err != nil {
		return nil, err
	}
	if err := r.logs(ctx, draft, r.services.LogsFor(o.format), o.patience); err != nil {
		return nil, err
	}
	return draft, nil
}

// logs gets the draft's entries. Where a Rekor v1 stays down for longer than is set, a
// bundle goes to the Rekor v2 of the fallback instead, and so do all later ones.
func (r *run) logs(ctx context.Context, draft *signing.Draft, logs []signing.Log, until *time.Time) error {
	first := slices.ContainsFunc(logs, func(l signing.Log) bool { return l.Version == 1 })
	if !first || r.FallbackAfter <= 0 || draft.Format == signing.FormatLegacy {
		return r.logAll(ctx, draft, logs)
	}
	fallback := r.fellBackTo()
	if fallback == nil {
		if until.IsZero() {
			*until = time.Now().Add(r.FallbackAfter)
		}
		patience, cancel := context.WithDeadline(ctx, *until)
		err := r.logAll(patience, draft, logs)
		cancel()
		if err == nil || ctx.Err() != nil || !retry.Passing(err) && !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		services, ferr := r.fallBack(ctx, err)
		if ferr != nil {
			return fmt.Errorf("%w; and there is no fallback: %w", err, ferr)
		}
		fallback = services
	}
	for _, authority := range fallback.Timestamps {
		if draft.Stamped() {
			break
		}
		if err := r.stamp(ctx, draft, authority); err != nil {
			return err
		}
	}
	return r.logAll(ctx, draft, fallback.Logs)
}

func (r *run) logAll(ctx context.Context, draft *signing.Draft, logs []signing.Log) error {
	for _, log := range logs {
		if err := r.log(ctx, draft, log); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) stamp(ctx context.Context, draft *signing.Draft, authority string) error {
	return r.call(ctx, r.step(string(signing.StageTimestamp), draft.Digest, authority), func(ctx context.Context) error {
		return r.Signer.Stamp(ctx, draft, authority)
	})
}

// fellBackTo are the services that the run has changed to, nil for none.
func (r *run) fellBackTo() *signing.Services {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.fallback
}

// fallBack changes to the services of the second signing config.
func (r *run) fallBack(ctx context.Context, why error) (*signing.Services, error) {
	services, err := do(ctx, r, r.step(string(signing.StageTrust), allImages, "fallback"), func(ctx context.Context) (signing.Services, error) {
		return r.Signer.Fallback(ctx, r.Services, r.FallbackConfig)
	})
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fallback == nil {
		r.fallback, r.fellBack = &services, why
		r.Logger.LogAttrs(ctx, slog.LevelWarn, "the log is down for too long, going on with Rekor v2",
			slog.String("log", services.Logs[0].URL), slog.String("reason", why.Error()))
	}
	return r.fallback, nil
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
	r.Logger.LogAttrs(ctx, slog.LevelInfo, "the log has the entry and its answer was lost, waiting for the entry", slog.String("for", registry.ShortDigest(draft.Digest)))
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

// session is what one run has won for all its images.
type session struct {
	services signing.Services
	trust    *signing.Trust
	identity signing.Identity // of the token
	signers  signing.Signers  // whose signatures count
	key      *signing.Key

	// Changed by renewal, in turn.
	token signing.Token
	cert  *signing.Certificate
}

// prepare gets what every image needs: trust root, services, and an identity to
// compare with. They are asked for at once: a mistake with one is told without
// waiting for the other.
func (r *run) prepare(ctx context.Context) (err error) {
	if r.key, err = signing.NewKey(); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer bug.Catch()
		return r.load(ctx)
	})
	g.Go(func() error {
		defer bug.Catch()
		return r.renewToken(ctx)
	})
	err = g.Wait()
	r.identity = r.token.Identity
	r.signers = r.identity.Only()
	return err
}

// load gets trust root and services.
func (r *run) load(ctx context.Context) error {
	type loaded struct {
		services signing.Services
		trust    *signing.Trust
	}
	l, err := do(ctx, r, r.step(string(signing.StageTrust), allImages, ""), func(ctx context.Context) (l loaded, err error) {
		l.services, l.trust, err = r.Signer.Load(ctx, r.Services)
		return l, err
	})
	if err != nil {
		return err
	}
	r.services, r.trust = l.services, l.trust
	return cmp.Or(r.services.Supports(r.Formats), r.services.SupportsAttestations(r.Attestations))
}

// await waits for the session, which ends at the latest with the run. The error says
// why there is none.
func (r *run) await() error {
	<-r.ready
	return r.unprepared
}

// reason is what to report of an image that could not be read: that there is no
// session, if so, for then nothing could have been done with it.
func (r *run) reason(err error) error { return cmp.Or(r.await(), err) }

func (r *run) renewToken(ctx context.Context) (err error) {
	r.token, err = do(ctx, r, r.step(string(signing.StageIdentity), allImages, "identity tokens"), func(ctx context.Context) (signing.Token, error) {
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
	var tries renewals
	var err error
	for tries.allowed(time.Now()) {
		if r.tokenOver() {
			if err := r.renewToken(ctx); err != nil {
				return nil, err
			}
		}
		var cert *signing.Certificate
		cert, err = do(ctx, r, r.step(string(signing.StageCertificate), allImages, r.services.Fulcio), func(ctx context.Context) (*signing.Certificate, error) {
			if r.tokenOver() { // it ran out between two tries
				return nil, &signing.Error{Stage: signing.StageCertificate, Kind: signing.KindExpired, Message: "the identity token has run out"}
			}
			return r.Signer.Certificate(ctx, r.services.Fulcio, r.key, r.token)
		})
		if err == nil {
			if cert.Identity != r.identity {
				r.Logger.LogAttrs(ctx, slog.LevelWarn, "the certificate names another identity than the token: a second run will not see that the image is signed",
					slog.String("certificate", cert.Identity.Subject), slog.String("token", r.identity.Subject))
			}
			r.cert = cert
			return cert, nil
		}
		if !signing.IsKind(err, signing.KindExpired) || !r.Token.Renewable() {
			return nil, err
		}
	}
	return nil, err
}

// tokenOver reports whether a new token is due and can be had.
func (r *run) tokenOver() bool { return r.Token.Renewable() && r.token.Expired(time.Now()) }

// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signretry

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/LerianStudio/pushguard/pkg/bug"
	"github.com/LerianStudio/pushguard/pkg/signing"
)

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
	return r.services.Supports(r.Formats)
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
			r.warnOtherIdentity(ctx, cert)
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

func (r *run) warnOtherIdentity(ctx context.Context, cert *signing.Certificate) {
	if cert.Identity == r.identity {
		return
	}
	r.Logger.LogAttrs(ctx, slog.LevelWarn, "the certificate names another identity than the token: a second run will not see that the image is signed",
		slog.String("certificate", cert.Identity.Subject), slog.String("token", r.identity.Subject))
}

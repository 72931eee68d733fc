// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signretry

import (
	"context"
	"fmt"
	"log/slog"
	"time"

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

// prepare gets what every image needs: trust root, services, and an identity to compare with.
func (r *run) prepare(ctx context.Context) error {
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
	if err := r.services.Supports(r.Formats); err != nil {
		return err
	}
	if r.key, err = signing.NewKey(); err != nil {
		return err
	}
	err = r.renewToken(ctx)
	r.identity = r.token.Identity
	return err
}

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
	for renewed := false; ; renewed = true {
		if r.token.Expired(time.Now()) && r.Token.Renewable() {
			if err := r.renewToken(ctx); err != nil {
				return nil, err
			}
			renewed = true
		}
		cert, err := do(ctx, r, r.step(string(signing.StageCertificate), allImages, r.services.Fulcio), func(ctx context.Context) (*signing.Certificate, error) {
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

// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signretry

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/LerianStudio/pushguard/pkg/registry"
	"github.com/LerianStudio/pushguard/pkg/signing"
)

// Check reads which of the images, each named by tag or digest, have what opts asks for.
// It reads as Run does before it signs, and writes nothing. An outage is outlasted as
// there; what is not there is not waited for.
func Check(ctx context.Context, images []registry.Reference, opts Options) Report {
	r := newRun(opts)
	r.checking = true
	return r.all(ctx, images, r.prepareCheck, r.checkDigest)
}

// prepareCheck gets the trust root and, where the signers are not given, the token's
// identity.
func (r *run) prepareCheck(ctx context.Context) (err error) {
	if r.Signers == (signing.Signers{}) {
		if err := r.renewToken(ctx); err != nil {
			return err
		}
		r.identity = r.token.Identity
		r.Signers = r.identity.Only()
	}
	r.signers = r.Signers
	r.trust, err = do(ctx, r, r.step(string(signing.StageTrust), allImages, ""), func(ctx context.Context) (*signing.Trust, error) {
		return r.Signer.Trust(ctx, r.Services)
	})
	return err
}

// checkDigest checks one digest in each of its repositories.
func (r *run) checkDigest(ctx, reading context.Context, repositories []image) {
	for _, img := range repositories {
		l := &lookup{image: img, written: true} // what is there counts as Signed
		err := r.check(reading, l)
		if err != nil {
			err = r.reason(err)
		}
		r.done(ctx, l, err)
	}
}

// check looks for a signature in each of the layouts asked for, or in any, and for the
// attestations.
func (r *run) check(ctx context.Context, l *lookup) error {
	if err := r.resolve(ctx, l); err != nil {
		return err
	}
	if err := r.await(); err != nil {
		return err
	}
	either := len(r.Formats) == 0
	lacks := &unsignedError{signers: r.signers}
	bundle := either || slices.Contains(r.Formats, signing.FormatBundle)
	l.statements = r.statements(l.ref.Digest, bundle)
	if len(l.statements) > 0 {
		if err := r.lookForBundles(ctx, l); err != nil {
			return err
		}
	}
	for _, s := range l.statements {
		switch {
		case s.found:
			l.addStatement(s)
		case s.claim.Attestation != nil:
			lacks.what = append(lacks.what, "attestation of the type "+s.claim.Attestation.Type)
		case !either:
			lacks.what = append(lacks.what, "signature of the format "+string(signing.FormatBundle))
		}
	}
	lacks.passed = l.passed
	if either && len(l.have) == 0 || slices.Contains(r.Formats, signing.FormatLegacy) {
		l.passed = nil
		found, err := r.lookForLegacy(ctx, l)
		switch {
		case err != nil:
			return err
		case found != nil:
			l.addSignature(signing.FormatLegacy, found.Verified)
		case either:
			lacks.what = append(lacks.what, "signature")
		default:
			lacks.what = append(lacks.what, "signature of the format "+string(signing.FormatLegacy))
		}
		lacks.passed = append(lacks.passed, l.passed...)
	}
	if len(lacks.what) > 0 {
		return lacks
	}
	return nil
}

// unsignedError is an image that lacks something that was asked for.
type unsignedError struct {
	signers signing.Signers
	what    []string
	passed  []error // why what is there does not count
}

// Error says what is missing, how much there is that does not count, and why the first
// does not.
func (e *unsignedError) Error() string {
	text := fmt.Sprintf("no valid %s by %s", strings.Join(e.what, " and "), e.signers)
	if len(e.passed) > 0 {
		text += fmt.Sprintf("; %d do not count, the first: %v", len(e.passed), e.passed[0])
	}
	return text
}

// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signretry

import (
	"context"
	"fmt"
	"slices"

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

// check looks for a signature in each of the layouts asked for, or in any.
func (r *run) check(ctx context.Context, l *lookup) error {
	if err := r.resolve(ctx, l); err != nil {
		return err
	}
	if err := r.await(); err != nil {
		return err
	}
	var reasons []error
	var lacking []signing.Format
	for _, format := range []signing.Format{signing.FormatBundle, signing.FormatLegacy} {
		anyone := len(r.Formats) == 0
		if !anyone && !slices.Contains(r.Formats, format) || anyone && len(l.have) > 0 {
			continue
		}
		found, err := r.holds(ctx, l, format)
		if err != nil {
			return err
		}
		if !found {
			lacking = append(lacking, format)
			reasons = append(reasons, l.passed...)
		}
	}
	if len(lacking) == 0 || len(r.Formats) == 0 && len(l.have) > 0 {
		return nil
	}
	return &unsignedError{signers: r.signers, lacking: lacking, anyone: len(r.Formats) == 0, passed: reasons}
}

// holds looks for a signature in one layout and notes it.
func (r *run) holds(ctx context.Context, l *lookup, format signing.Format) (bool, error) {
	if format == signing.FormatBundle {
		err := r.lookForBundle(ctx, l)
		if err == nil && l.found {
			l.has(format, l.bundle.Verified)
		}
		return l.found, err
	}
	l.passed = nil
	found, err := r.lookForLegacy(ctx, l)
	if err == nil && found != nil {
		l.has(format, found.Verified)
	}
	return found != nil, err
}

// unsignedError is an image that lacks a signature that was asked for.
type unsignedError struct {
	signers signing.Signers
	lacking []signing.Format // layouts
	anyone  bool             // of the layouts would have done
	passed  []error          // why what is there does not count
}

// Error says how many signatures there are that do not count, and why the first does not.
func (e *unsignedError) Error() string {
	what := "signature"
	if !e.anyone && len(e.lacking) == 1 {
		what += " of the format " + string(e.lacking[0])
	}
	text := fmt.Sprintf("no valid %s by %s", what, e.signers)
	if len(e.passed) > 0 {
		text += fmt.Sprintf("; %d do not count, the first: %v", len(e.passed), e.passed[0])
	}
	return text
}

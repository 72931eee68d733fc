// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signretry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/LerianStudio/pushguard/pkg/registry"
	"github.com/LerianStudio/pushguard/pkg/retry"
	"github.com/LerianStudio/pushguard/pkg/signing"
)

const (
	maxBundle = 1 << 20 // bytes of a bundle that is read; a signature's has about 6 KiB
	// maxReferrers bounds how many signatures of others are looked at.
	maxReferrers = 100
	// settleAttempts bounds how long a registry may not know what was just pushed to it.
	settleAttempts = 6
)

// lateError marks the failure of a read that follows a write: registries are
// sometimes behind themselves.
type lateError struct{ error }

func (e lateError) Unwrap() error { return e.error }
func (lateError) Transient() bool { return true }

// lookup is one image of a batch, and the signature that was found on it.
type lookup struct {
	image

	subject registry.Descriptor
	found   *signing.Bundle
}

// digest signs one digest in all its repositories. What is signed already
// anywhere is not signed again: its bundle serves the others.
func (r *run) digest(ctx context.Context, b *batch) {
	var open []lookup
	var bundle *signing.Bundle
	for _, img := range b.images {
		l := lookup{image: img}
		err := r.look(ctx, &l)
		switch {
		case err != nil:
			r.done(ctx, img, Failed, nil, err)
		case l.found != nil:
			bundle = l.found
			r.done(ctx, img, Already, l.found, nil)
		default:
			open = append(open, l)
		}
	}
	if len(open) == 0 {
		return
	}
	if bundle == nil {
		var err error
		if bundle, err = r.sign(ctx, b.digest); err != nil {
			for _, l := range open {
				r.done(ctx, l.image, Failed, nil, err)
			}
			return
		}
	}
	for _, l := range open {
		if err := r.attach(ctx, l, bundle); err != nil {
			r.done(ctx, l.image, Failed, nil, err)
			continue
		}
		r.done(ctx, l.image, Signed, bundle, nil)
	}
}

func (r *run) done(ctx context.Context, img image, status Status, b *signing.Bundle, err error) {
	for j, index := range img.indexes {
		result := Result{Ref: img.refs[j], Status: status, Err: err}
		if b != nil && b.LogURL != "" {
			result.Log = &LogEntry{URL: b.LogURL, Index: b.LogIndex}
		}
		r.finish(ctx, index, result)
	}
}

// look makes sure that the image is there and looks for our signature on it.
func (r *run) look(ctx context.Context, l *lookup) (err error) {
	s := r.step(stageResolve, l.ref.String())
	if s.policy.MaxAttempts == 0 || s.policy.MaxAttempts > settleAttempts {
		s.policy.MaxAttempts = settleAttempts
	}
	missing := false
	l.subject, err = do(ctx, r, s, func(ctx context.Context) (registry.Descriptor, error) {
		d, err := r.describe(ctx, l.ref)
		if missing = isNotFound(err); missing {
			err = lateError{err}
		}
		return d, err
	})
	if err != nil {
		if gaveUp, ok := errors.AsType[*retry.GaveUpError](err); ok && missing && ctx.Err() == nil {
			// It is not there and did not come: that is an answer, not an outage.
			return &missingError{ref: l.ref, err: unwrapLate(gaveUp.Err)}
		}
		return err
	}
	l.found, err = do(ctx, r, r.step(stageFind, l.ref.String()), func(ctx context.Context) (*signing.Bundle, error) {
		return r.find(ctx, l.ref)
	})
	return err
}

// describe returns the descriptor that a signature names as its subject. Where
// the HEAD leaves something out, the manifest tells.
func (r *run) describe(ctx context.Context, ref registry.Reference) (registry.Descriptor, error) {
	d, err := r.Registry.Head(ctx, ref)
	if err != nil || (d.MediaType != "" && d.Size > 0 && d.Digest == ref.Digest) {
		return d, err
	}
	m, err := r.Registry.Manifest(ctx, ref)
	return m.Descriptor, err
}

// find returns the signature of this run's identity on ref, nil when there is none.
// Signatures of others, broken ones and other artifacts do not count.
func (r *run) find(ctx context.Context, ref registry.Reference) (*signing.Bundle, error) {
	// Of any type: some registries list the type of the config in place of the artifact's.
	referrers, err := r.Registry.Referrers(ctx, ref, "")
	if err != nil {
		return nil, err
	}
	referrers = slices.DeleteFunc(referrers, func(d registry.Descriptor) bool { return !mayBeBundle(d) })
	for _, d := range referrers[:min(len(referrers), maxReferrers)] {
		b, err := r.read(ctx, ref, d)
		if ctx.Err() != nil || retry.Transient(err) {
			return nil, err
		}
		if err != nil {
			r.Logger.LogAttrs(ctx, slog.LevelDebug, "a referrer is not this identity's signature",
				slog.String("for", ref.String()), slog.String("referrer", d.Digest), slog.String("reason", err.Error()))
			continue
		}
		return b, nil
	}
	return nil, nil //nolint:nilnil // no signature is an answer
}

func mayBeBundle(d registry.Descriptor) bool {
	predicate, ok := d.Annotations["dev.sigstore.bundle.predicateType"]
	if ok && predicate != signing.PredicateType {
		return false
	}
	return d.ArtifactType == "" || d.ArtifactType == signing.BundleMediaType || d.ArtifactType == "application/vnd.oci.empty.v1+json"
}

// read fetches one referrer and verifies it.
func (r *run) read(ctx context.Context, ref registry.Reference, d registry.Descriptor) (*signing.Bundle, error) {
	m, err := r.Registry.Manifest(ctx, ref.WithDigest(d.Digest))
	if err != nil {
		return nil, err
	}
	mediaType, digest, size, ok := signing.BundleLayer(m.Raw)
	if !ok {
		return nil, errors.New("it holds no bundle")
	}
	raw, err := r.Registry.Blob(ctx, ref, registry.Descriptor{MediaType: mediaType, Digest: digest, Size: size}, maxBundle)
	if err != nil {
		return nil, err
	}
	v, err := r.Signer.Verify(raw, r.trust, ref.Digest, r.identity)
	if err != nil {
		return nil, err
	}
	return &signing.Bundle{JSON: raw, Digest: ref.Digest, Created: time.Now().UTC().Truncate(time.Second), Verified: v}, nil
}

// attach stores the bundle as a referrer of the image.
func (r *run) attach(ctx context.Context, l lookup, b *signing.Bundle) error {
	ref := l.ref
	referrer, err := signing.NewReferrer(b, signing.Subject{MediaType: l.subject.MediaType, Digest: ref.Digest, Size: l.subject.Size})
	if err != nil {
		return err
	}
	for _, blob := range [][]byte{referrer.Config, referrer.Layer} {
		_, err := do(ctx, r, r.step(stageAttach, ref.String()), func(ctx context.Context) (registry.Descriptor, error) {
			return r.Registry.PutBlob(ctx, ref, blob)
		})
		if err != nil {
			return err
		}
	}
	_, err = do(ctx, r, r.step(stageAttach, ref.String()), func(ctx context.Context) (registry.Descriptor, error) {
		return r.Registry.Attach(ctx, ref, signing.ReferrerMediaType, referrer.Manifest)
	})
	return err
}

func isNotFound(err error) bool {
	e, ok := errors.AsType[*registry.Error](err)
	return ok && e.Kind == registry.KindNotFound
}

func unwrapLate(err error) error {
	if n, ok := errors.AsType[lateError](err); ok {
		return n.error
	}
	return err
}

// missingError is an image that is not in its registry.
type missingError struct {
	ref registry.Reference
	err error
}

func (e *missingError) Error() string { return fmt.Sprintf("find image %s: %v", e.ref, e.err) }
func (e *missingError) Unwrap() error { return e.err }

// Hint says what to do next.
func (e *missingError) Hint() string {
	return "push the image first, and sign the digest that the push reported"
}

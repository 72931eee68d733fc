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

	"github.com/LerianStudio/pushguard/pkg/registry"
	"github.com/LerianStudio/pushguard/pkg/retry"
	"github.com/LerianStudio/pushguard/pkg/signing"
)

const (
	maxBundle = 1 << 20 // bytes of a bundle that is read; a signature's has about 6 KiB
	// maxReferrers bounds how many signatures of others are looked at.
	maxReferrers = 100
)

// lookup is one image, and how far it is.
type lookup struct {
	image

	subject registry.Descriptor
	bundle  *signing.Bundle // that it has, or is to have
	config  *upload         // of the bundle, nil before it has begun
	found   bool            // the bundle was there
	written bool            // something was attached
	have    []Signature
	passed  []error // why what is attached is not what was looked for
}

// digest signs one digest in all its repositories. What is signed already
// anywhere is not signed again: its bundle serves the others. reading ends early
// when there can be no session.
func (r *run) digest(ctx, reading context.Context, repositories []image) {
	var images []*lookup
	for _, img := range repositories {
		l := &lookup{image: img}
		if err := r.look(reading, l); err != nil {
			r.done(ctx, l, r.reason(err))
			continue
		}
		images = append(images, l)
	}
	if len(images) == 0 {
		return
	}
	for _, format := range r.Formats {
		if format == signing.FormatLegacy {
			images = r.each(ctx, images, r.legacy)
			continue
		}
		images = r.each(ctx, r.shareBundle(ctx, images), r.attach)
	}
	for _, l := range images {
		r.done(ctx, l, nil)
	}
}

// each does one thing for all images and returns those that it worked for.
func (r *run) each(ctx context.Context, images []*lookup, do func(context.Context, *lookup) error) []*lookup {
	return slices.DeleteFunc(images, func(l *lookup) bool {
		err := do(ctx, l)
		if err != nil {
			r.done(ctx, l, err)
		}
		return err != nil
	})
}

// shareBundle gives every image the bundle of the one that has it, or a new one. It
// returns the images that have one then.
func (r *run) shareBundle(ctx context.Context, images []*lookup) []*lookup {
	var bundle *signing.Bundle
	for _, l := range images {
		if l.found {
			bundle = l.bundle
		}
	}
	if bundle == nil && len(images) > 0 {
		for _, l := range images {
			l.config = r.config(ctx, l.ref) // while the services are asked
		}
		refused := false
		var err error
		if bundle, err = sign(ctx, r, order{
			Claim: signing.Claim{Digest: images[0].ref.Digest, Annotations: r.Annotations}, format: signing.FormatBundle,
			accepted: func(ctx context.Context) error {
				err := r.anyAccepts(ctx, images)
				refused = err != nil && ctx.Err() == nil
				return err
			},
		}, r.Signer.Finish); err != nil {
			return r.each(ctx, images, func(_ context.Context, l *lookup) error {
				if refused {
					return l.config.err
				}
				return err
			})
		}
	}
	for _, l := range images {
		if !l.found {
			l.bundle = bundle
		}
	}
	return images
}

// anyAccepts waits until one of the registries has accepted the config of the bundle:
// then the log entry is of use. It returns the first refusal when all have refused.
func (r *run) anyAccepts(ctx context.Context, images []*lookup) error {
	outcomes := make(chan error, len(images))
	for _, l := range images {
		r.background.Go(func() { outcomes <- l.config.wait(ctx) })
	}
	var first error
	for range images {
		err := <-outcomes
		if err == nil {
			return nil
		}
		first = cmp.Or(first, err)
	}
	return first
}

func (r *run) done(ctx context.Context, l *lookup, err error) {
	result := Result{Status: Already}
	switch {
	case err != nil:
		result = r.failure(err)
	case l.written:
		result.Status = Signed
	}
	result.Signatures = l.have
	for _, index := range l.indexes {
		r.finish(ctx, index, result)
	}
}

// failure is the outcome of an image that has not what was asked for.
func (r *run) failure(err error) Result {
	result := Result{Status: Failed, Err: err}
	_, gone := errors.AsType[*missingError](err)
	_, lacks := errors.AsType[*unsignedError](err)
	switch {
	case !r.checking:
	case lacks:
		result.Status = Unsigned
	case gone:
		result.Status = Missing
	default:
		result.Status = Unknown
	}
	return result
}

func (l *lookup) has(format signing.Format, v signing.Verified) {
	s := Signature{Format: format, Identity: v.Identity}
	if v.LogURL != "" {
		s.Log = &LogEntry{URL: v.LogURL, Index: v.LogIndex}
	}
	l.have = append(l.have, s)
}

// look makes sure that the image is there and, when a bundle is asked for, looks
// for ours on it. There is a session when it returns without an error.
func (r *run) look(ctx context.Context, l *lookup) (err error) {
	if err := r.resolve(ctx, l); err != nil {
		return err
	}
	if !slices.Contains(r.Formats, signing.FormatBundle) {
		return r.await()
	}
	return r.lookForBundle(ctx, l)
}

// resolve makes sure that the image is there.
func (r *run) resolve(ctx context.Context, l *lookup) (err error) {
	l.subject, err = late(ctx, r, r.atRegistry(stageResolve, l.ref), func(ctx context.Context) (registry.Descriptor, error) {
		return r.describe(ctx, l.ref)
	})
	return missing(l.ref, err)
}

// lookForBundle looks for a bundle of the run's signers among the referrers of the image.
func (r *run) lookForBundle(ctx context.Context, l *lookup) error {
	// Of any type: some registries list the type of the config in place of the artifact's.
	referrers, err := late(ctx, r, r.atRegistry(stageFind, l.ref), func(ctx context.Context) ([]registry.Descriptor, error) {
		return r.Registry.Referrers(ctx, l.ref, "")
	})
	if err != nil {
		return err
	}
	if err := r.await(); err != nil {
		return err
	}
	referrers = slices.DeleteFunc(referrers, func(d registry.Descriptor) bool { return !mayBeBundle(d) })
	if len(referrers) == 0 {
		return nil
	}
	l.bundle, err = late(ctx, r, r.atRegistry(stageFind, l.ref), func(ctx context.Context) (*signing.Bundle, error) {
		return r.find(ctx, l, referrers)
	})
	l.found = l.bundle != nil
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

// find returns the signature of the run's signers among the referrers of the image, nil
// when there is none. Signatures of others, broken ones and other artifacts do not count,
// nor does one that lacks an annotation asked for.
func (r *run) find(ctx context.Context, l *lookup, referrers []registry.Descriptor) (*signing.Bundle, error) {
	claim := signing.Claim{Digest: l.ref.Digest, Annotations: r.Annotations}
	l.passed = nil
	for _, d := range referrers[:min(len(referrers), maxReferrers)] {
		b, err := r.read(ctx, l.ref, d)
		if ctx.Err() != nil || retry.Transient(err) {
			return nil, err
		}
		if err == nil {
			err = claim.Met(b.Verified)
		}
		if err == nil {
			return b, nil
		}
		if err := r.passOver(ctx, l, d.Digest, err); err != nil {
			return nil, err
		}
	}
	return nil, r.tooMany(len(referrers))
}

// passOver notes why something attached to an image is not the signature looked for. It
// is an error to a check when the registry does not let it be read: then the image may
// be signed.
func (r *run) passOver(ctx context.Context, l *lookup, what string, why error) error {
	r.Logger.LogAttrs(ctx, slog.LevelDebug, "not the signature looked for",
		slog.String("for", l.ref.String()), slog.String("what", what), slog.String("reason", why.Error()))
	if e, ok := errors.AsType[*registry.Error](why); r.checking && ok && e.Kind != registry.KindNotFound {
		return why
	}
	l.passed = append(l.passed, why)
	return nil
}

// tooMany is why a check cannot tell that there is no signature among n.
func (r *run) tooMany(n int) error {
	if r.checking && n > maxReferrers {
		return fmt.Errorf("the image has %d signatures and none of the %d that were read is the one looked for", n, maxReferrers)
	}
	return nil
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
	layer, ok := signing.BundleLayer(m.Raw)
	if !ok {
		return nil, errors.New("it holds no bundle")
	}
	if layer.Size > maxBundle {
		return nil, fmt.Errorf("its bundle has %d bytes, more than %d", layer.Size, maxBundle)
	}
	raw, err := r.Registry.Blob(ctx, ref, registry.Descriptor(layer), maxBundle)
	if err != nil {
		return nil, err
	}
	v, err := r.Signer.Verify(raw, r.trust, ref.Digest, r.signers)
	if err != nil {
		return nil, err
	}
	return &signing.Bundle{JSON: raw, Digest: ref.Digest, Created: time.Now().UTC().Truncate(time.Second), Verified: v}, nil
}

// missing says of a registry's "not found" that the image is not there.
func missing(ref registry.Reference, err error) error {
	if e, ok := errors.AsType[*registry.Error](err); ok && e.Kind == registry.KindNotFound && !retry.Transient(err) {
		return &missingError{ref: ref, err: err}
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
	return "push the image first, and give the digest that the push reported"
}

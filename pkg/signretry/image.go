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
	maxBundle      = 1 << 20  // bytes of a bundle that is read; a signature's has about 6 KiB
	maxAttestation = 96 << 20 // bytes of one where attestations are asked for
	// maxReferrers bounds how many signatures of others are looked at.
	maxReferrers = 100
)

// lookup is one image, and how far it is.
type lookup struct {
	image

	subject    registry.Descriptor
	statements []*statement     // that it has, or is to have, as bundles
	unsigned   error            // why it does not get one of them
	accepted   *upload          // whether the registry accepts one, nil before it was asked
	written    bool             // something was attached
	referrers  []registry.Entry // that it had at the first look
	shadowed   bool             // the fallback tag names the image itself
	have       []Signature
	attested   []Attestation
	passed     []error // why what is attached is not what was looked for
}

// statement is a signature or an attestation as a bundle.
type statement struct {
	claim  signing.Claim
	bundle *signing.Bundle
	found  bool // it was there
}

// statements are those that an image is to have as bundles.
func (r *run) statements(digest string, signature bool) []*statement {
	var s []*statement
	if signature {
		s = append(s, &statement{claim: signing.Claim{Digest: digest, Annotations: r.Annotations}})
	}
	for _, a := range r.Attestations {
		s = append(s, &statement{claim: signing.Claim{Digest: digest, Attestation: a}})
	}
	return s
}

// digest signs one digest in all its repositories. What is signed already
// anywhere is not signed again: its bundle serves the others. reading ends early
// when there can be no session.
func (r *run) digest(ctx, reading context.Context, repositories []image) {
	var images []*lookup
	for _, img := range repositories {
		l := &lookup{image: img}
		if err := r.findExisting(reading, l); err != nil {
			r.done(ctx, l, r.reason(err))
			continue
		}
		images = append(images, l)
	}
	if len(images) == 0 {
		return
	}
	for n := range images[0].statements {
		r.shareBundle(ctx, images, n)
	}
	images = r.doEach(ctx, images, r.attach)
	if slices.Contains(r.Formats, signing.FormatLegacy) {
		images = r.doEach(ctx, images, r.legacy)
	}
	for _, l := range images {
		r.done(ctx, l, nil)
	}
}

// doEach does one thing for all images and returns those that it worked for.
func (r *run) doEach(ctx context.Context, images []*lookup, do func(context.Context, *lookup) error) []*lookup {
	return slices.DeleteFunc(images, func(l *lookup) bool {
		err := do(ctx, l)
		if err != nil {
			r.done(ctx, l, err)
		}
		return err != nil
	})
}

// shareBundle gives every image the bundle of statement n of the one that has it, or a
// new one. Why an image gets none is noted at it.
func (r *run) shareBundle(ctx context.Context, images []*lookup, n int) {
	var bundle *signing.Bundle
	for _, l := range images {
		if l.statements[n].found {
			bundle = l.statements[n].bundle
		}
	}
	refused := false
	var err error
	if bundle == nil {
		for _, l := range images {
			r.accept(ctx, l) // while the services are asked
		}
		bundle, err = sign(ctx, r, order{
			Claim: images[0].statements[n].claim, format: signing.FormatBundle,
			accepted: func(ctx context.Context) error {
				err := r.anyAccepts(ctx, images)
				refused = err != nil && ctx.Err() == nil
				return err
			},
		}, r.Signer.Finish)
	}
	for _, l := range images {
		switch {
		case l.statements[n].found:
		case refused:
			l.unsigned = cmp.Or(l.unsigned, l.accepted.err)
		case err != nil:
			l.unsigned = cmp.Or(l.unsigned, err)
		default:
			l.statements[n].bundle = bundle
		}
	}
}

// anyAccepts waits until one of the registries has accepted the first of a bundle:
// then the log entry is of use. It returns the first refusal when all have refused.
func (r *run) anyAccepts(ctx context.Context, images []*lookup) error {
	outcomes := make(chan error, len(images))
	for _, l := range images {
		r.background.Go(func() { outcomes <- l.accepted.wait(ctx) })
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
	result.Signatures, result.Attestations = l.have, l.attested
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

func (l *lookup) addSignature(format signing.Format, v signing.Verified) {
	l.have = append(l.have, Signature{Format: format, Identity: v.Identity, Log: logOf(v)})
}

// addStatement notes a statement that the image has.
func (l *lookup) addStatement(s *statement) {
	v := s.bundle.Verified
	if s.claim.Attestation == nil {
		l.addSignature(signing.FormatBundle, v)
		return
	}
	l.attested = append(l.attested, Attestation{Type: v.Type, Identity: v.Identity, Log: logOf(v)})
}

func logOf(v signing.Verified) *LogEntry {
	if v.LogURL == "" {
		return nil
	}
	return &LogEntry{URL: v.LogURL, Index: v.LogIndex}
}

// findExisting makes sure that the image is there and, when bundles are asked for, looks
// for ours on it. There is a session when it returns without an error.
func (r *run) findExisting(ctx context.Context, l *lookup) (err error) {
	if err := r.resolve(ctx, l); err != nil {
		return err
	}
	l.statements = r.statements(l.ref.Digest, slices.Contains(r.Formats, signing.FormatBundle))
	if len(l.statements) == 0 {
		return r.await()
	}
	return r.lookForBundles(ctx, l)
}

// resolve makes sure that the image is there.
func (r *run) resolve(ctx context.Context, l *lookup) (err error) {
	l.subject, err = late(ctx, r, r.atRegistry(stageResolve, l.ref), func(ctx context.Context) (registry.Descriptor, error) {
		return r.describe(ctx, l.ref)
	})
	return missing(l.ref, err)
}

// lookForBundles looks for the statements of the run's signers among the referrers of the
// image.
func (r *run) lookForBundles(ctx context.Context, l *lookup) error {
	// Of any type: some registries list the type of the config in place of the artifact's.
	referrers, err := late(ctx, r, r.atRegistry(stageFind, l.ref), func(ctx context.Context) (list []registry.Descriptor, err error) {
		list, l.shadowed, err = r.Registry.ListReferrers(ctx, l.ref, "")
		return list, err
	})
	if err != nil {
		return err
	}
	for _, d := range referrers {
		l.referrers = append(l.referrers, d.Entry())
	}
	if err := r.await(); err != nil {
		return err
	}
	referrers = slices.DeleteFunc(referrers, func(d registry.Descriptor) bool { return !l.mayHold(d) })
	if len(referrers) == 0 {
		return nil
	}
	_, err = search(ctx, r, l.ref, func(ctx context.Context, ends func(error) bool) (none struct{}, err error) {
		return none, r.find(ctx, l, referrers, ends)
	})
	return err
}

// search looks for signatures of ours. Where something else answers in the registry's
// place, such as a gateway's page, nobody knows whether what it hides is one: passing it
// over would sign twice. So it ends the search, which then begins again. What is still
// hidden after [settle] is passed over, for the registry has no better answer. ends tells
// do which failures to read something end the search.
func search[T any](ctx context.Context, r *run, ref registry.Reference, do func(ctx context.Context, ends func(error) bool) (T, error)) (T, error) {
	masked := func(err error) bool {
		e, ok := errors.AsType[*registry.Error](err)
		return ok && e.Kind == registry.KindNotARegistry
	}
	look := func(ends func(error) bool) (T, error) {
		return late(ctx, r, r.atRegistry(stageFind, ref), func(ctx context.Context) (T, error) {
			return do(ctx, func(err error) bool { return ctx.Err() != nil || retry.Transient(err) || ends(err) })
		})
	}
	found, err := look(masked)
	if masked(err) {
		return look(func(error) bool { return false })
	}
	return found, err
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

// find notes which of the statements looked for are among the referrers of the image.
// Those of others, broken ones and other artifacts do not count, nor does a signature
// that lacks an annotation asked for. ends is that of [search].
func (r *run) find(ctx context.Context, l *lookup, referrers []registry.Descriptor, ends func(error) bool) error {
	l.passed = nil
	for _, d := range referrers[:min(len(referrers), maxReferrers)] {
		b, err := r.read(ctx, l.ref, d)
		if ends(err) {
			return err
		}
		if err == nil {
			err = l.take(b)
		}
		if err != nil {
			if err := r.passOver(ctx, l, d.Digest, err); err != nil {
				return err
			}
		}
		if !slices.ContainsFunc(l.statements, func(s *statement) bool { return !s.found }) {
			return nil
		}
	}
	return r.tooMany(len(referrers))
}

// take gives the bundle to the statements that it is; the error says why it is none.
func (l *lookup) take(b *signing.Bundle) error {
	var why error
	taken := false
	for _, s := range l.statements {
		switch err := s.claim.Met(b.Verified); {
		case err != nil:
			if why == nil || s.claim.Type() == b.Type {
				why = err
			}
		case !s.found:
			s.bundle, s.found, taken = b, true, true
		default:
			taken = true
		}
	}
	if taken {
		return nil
	}
	return why
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

// mayHold reports whether a referrer may be one of the statements looked for.
func (l *lookup) mayHold(d registry.Descriptor) bool {
	predicate, ok := d.Annotations["dev.sigstore.bundle.predicateType"]
	if ok && !slices.ContainsFunc(l.statements, func(s *statement) bool { return predicate == s.claim.Type() }) {
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
	limit := int64(maxBundle)
	if len(r.Attestations) > 0 {
		limit = maxAttestation
	}
	if layer.Size > limit {
		return nil, fmt.Errorf("its bundle has %d bytes, more than %d", layer.Size, limit)
	}
	raw, err := r.Registry.Blob(ctx, ref, registry.Descriptor(layer), limit)
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
	if registry.IsNotFound(err) && !retry.Transient(err) {
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

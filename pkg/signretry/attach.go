// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signretry

import (
	"cmp"
	"context"
	"fmt"

	"github.com/LerianStudio/pushguard/pkg/bug"
	"github.com/LerianStudio/pushguard/pkg/registry"
	"github.com/LerianStudio/pushguard/pkg/signing"
)

// maxConfig is the most that is read of a config or a payload of legacy signatures, in bytes.
const maxConfig = 1 << 20

// attach stores the bundles as referrers of the image that were not there, with one write
// of the list where the registry does not keep it. What could be signed is attached also
// when something else could not.
func (r *run) attach(ctx context.Context, l *lookup) error {
	var entries []registry.Entry
	for _, s := range l.statements {
		if s.found || s.bundle == nil {
			continue
		}
		entry, err := r.attachBundle(ctx, l, s.bundle)
		if err != nil {
			return cmp.Or(l.unsigned, err)
		}
		l.written = true
		if entry != nil {
			entries = append(entries, *entry)
		}
	}
	if len(entries) > 0 {
		if err := r.extend(ctx, r.referrersList(l, entries)); err != nil {
			return cmp.Or(l.unsigned, err)
		}
	}
	for _, s := range l.statements {
		if s.bundle != nil {
			l.addStatement(s)
		}
	}
	return l.unsigned
}

// attachBundle stores a bundle as a referrer of the image. It returns the entry for the
// list of referrers, nil where the registry keeps that itself.
func (r *run) attachBundle(ctx context.Context, l *lookup, b *signing.Bundle) (*registry.Entry, error) {
	manifest, err := signing.NewReferrer(b, signing.Descriptor{MediaType: l.subject.MediaType, Digest: l.ref.Digest, Size: l.subject.Size})
	if err != nil {
		return nil, err
	}
	if err := r.accept(ctx, l).wait(ctx); err != nil {
		return nil, err
	}
	if err := r.putBlob(ctx, l.ref, b.JSON); err != nil {
		return nil, err
	}
	type attached struct {
		entry  registry.Descriptor
		listed bool
	}
	a, err := late(ctx, r, r.atRegistry(stageAttach, l.ref), func(ctx context.Context) (a attached, err error) {
		a.entry, a.listed, err = r.Registry.Attach(ctx, l.ref, signing.ReferrerMediaType, manifest)
		return a, err
	})
	if err != nil || a.listed {
		return nil, err
	}
	entry := a.entry.Entry()
	return &entry, nil
}

// accept begins to find out whether the image's registry accepts a bundle, unless that
// has begun.
func (r *run) accept(ctx context.Context, l *lookup) *upload {
	if l.accepted == nil {
		config := r.config(ctx, l.ref)
		l.accepted = config
		if l.shadowed {
			l.accepted = r.start(func() error {
				if err := config.wait(ctx); err != nil {
					return err
				}
				return r.unshadow(ctx, l)
			})
		}
	}
	return l.accepted
}

// upload is a blob on its way to a repository. It is under way while the services are
// asked for the signature, and shows whether the registry accepts what is to come.
type upload struct {
	done chan struct{}
	err  error // set before done is closed
}

// upload begins to store data in ref's repository.
func (r *run) upload(ctx context.Context, ref registry.Reference, data []byte) *upload {
	return r.start(func() error { return r.putBlob(ctx, ref, data) })
}

// start runs something that ends with an error or nil.
func (r *run) start(f func() error) *upload {
	u := &upload{done: make(chan struct{})}
	r.background.Go(func() {
		defer bug.Catch()
		u.err = f()
		close(u.done)
	})
	return u
}

// config begins to store the config that all bundles in ref's repository share,
// unless that has been done or has begun. An upload that failed is begun again.
func (r *run) config(ctx context.Context, ref registry.Reference) *upload {
	r.mu.Lock()
	defer r.mu.Unlock()
	if u := r.configs[ref.Name()]; u != nil {
		select {
		case <-u.done:
			if u.err == nil {
				return u
			}
		default:
			return u
		}
	}
	u := r.upload(ctx, ref, []byte(signing.EmptyConfig))
	r.configs[ref.Name()] = u
	return u
}

// wait waits for the end of the upload.
func (u *upload) wait(ctx context.Context) error {
	select {
	case <-u.done:
		return u.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (r *run) putBlob(ctx context.Context, ref registry.Reference, data []byte) error {
	_, err := late(ctx, r, r.atRegistry(stageAttach, ref), func(ctx context.Context) (registry.Descriptor, error) {
		return r.Registry.PutBlob(ctx, ref, data)
	})
	return err
}

// legacy makes sure that the image has a legacy signature of ours.
func (r *run) legacy(ctx context.Context, l *lookup) error {
	found, err := r.lookForLegacy(ctx, l)
	if err != nil {
		return err
	}
	if found == nil {
		claim := r.legacyClaim(l)
		payload, err := claim.LegacyPayload()
		if err != nil {
			return err
		}
		accepted := r.upload(ctx, l.ref, payload).wait
		if found, err = sign(ctx, r, order{Claim: claim, format: signing.FormatLegacy, accepted: accepted}, r.Signer.FinishLegacy); err != nil {
			return err
		}
		list, err := r.legacyList(l.ref, found)
		if err != nil {
			return err
		}
		if err := r.extend(ctx, list); err != nil {
			return err
		}
		l.written = true
	}
	l.addSignature(signing.FormatLegacy, found.Verified)
	return nil
}

func (r *run) legacyClaim(l *lookup) signing.Claim {
	return signing.Claim{Digest: l.ref.Digest, Annotations: r.Annotations, Repository: l.ref.CosignName()}
}

func (r *run) lookForLegacy(ctx context.Context, l *lookup) (*signing.Legacy, error) {
	return search(ctx, r, l.ref, func(ctx context.Context, ends func(error) bool) (*signing.Legacy, error) {
		return r.findLegacy(ctx, l, r.legacyClaim(l), ends)
	})
}

// legacyOf reads what is under the image's tag for legacy signatures, the zero
// manifest when there is none.
func (r *run) legacyOf(ctx context.Context, ref registry.Reference) (signing.LegacyManifest, []signing.Descriptor, error) {
	m, err := r.Registry.Manifest(ctx, ref.WithTag(registry.SignatureTag(ref.Digest)))
	if registry.IsNotFound(err) {
		return signing.LegacyManifest{}, nil, nil
	}
	if err != nil {
		return signing.LegacyManifest{}, nil, err
	}
	layers, config, err := signing.LegacyLayers(m.Raw)
	if err != nil {
		return signing.LegacyManifest{}, nil, fmt.Errorf("read the legacy signatures of %s: %w", ref, err)
	}
	raw, err := r.Registry.Blob(ctx, ref, registry.Descriptor(config), maxConfig)
	return signing.LegacyManifest{MediaType: m.MediaType, Manifest: m.Raw, Config: raw}, layers, err
}

// findLegacy returns the legacy signature of the run's signers on the image, nil when
// there is none. ends is that of [search].
func (r *run) findLegacy(ctx context.Context, l *lookup, claim signing.Claim, ends func(error) bool) (*signing.Legacy, error) {
	_, layers, err := r.legacyOf(ctx, l.ref)
	if err != nil {
		return nil, err
	}
	for _, layer := range layers[:min(len(layers), maxReferrers)] {
		payload, err := r.Registry.Blob(ctx, l.ref, registry.Descriptor(layer), maxConfig)
		if ends(err) {
			return nil, err
		}
		found := &signing.Legacy{Payload: payload, Annotations: layer.Annotations}
		if err == nil {
			found.Verified, err = r.Signer.VerifyLegacy(found, r.trust, claim, r.signers)
		}
		if err == nil {
			err = claim.Met(found.Verified)
		}
		if err == nil {
			return found, nil
		}
		if err := r.passOver(ctx, l, layer.Digest, err); err != nil {
			return nil, err
		}
	}
	return nil, r.tooMany(len(layers))
}

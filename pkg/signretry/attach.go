// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signretry

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/LerianStudio/pushguard/pkg/bug"
	"github.com/LerianStudio/pushguard/pkg/registry"
	"github.com/LerianStudio/pushguard/pkg/retry"
	"github.com/LerianStudio/pushguard/pkg/signing"
)

// maxConfig is the most that is read of a config or a payload of legacy signatures, in bytes.
const maxConfig = 1 << 20

// attach stores the bundle as a referrer of the image, unless it was there.
func (r *run) attach(ctx context.Context, l *lookup) error {
	ref := l.ref
	if !l.found {
		manifest, err := signing.NewReferrer(l.bundle, signing.Descriptor{MediaType: l.subject.MediaType, Digest: ref.Digest, Size: l.subject.Size})
		if err != nil {
			return err
		}
		if l.config == nil {
			l.config = r.config(ctx, ref)
		}
		if err := l.config.wait(ctx); err != nil {
			return err
		}
		if err := r.putBlob(ctx, ref, l.bundle.JSON); err != nil {
			return err
		}
		_, err = late(ctx, r, r.atRegistry(stageAttach, ref), func(ctx context.Context) (registry.Descriptor, error) {
			return r.Registry.Attach(ctx, ref, signing.ReferrerMediaType, manifest)
		})
		if err != nil {
			return err
		}
		l.written = true
	}
	l.has(signing.FormatBundle, l.bundle.Verified)
	return nil
}

// upload is a blob on its way to a repository. It is under way while the services are
// asked for the signature, and shows whether the registry accepts what is to come.
type upload struct {
	done chan struct{}
	err  error // set before done is closed
}

// upload begins to store data in ref's repository.
func (r *run) upload(ctx context.Context, ref registry.Reference, data []byte) *upload {
	u := &upload{done: make(chan struct{})}
	r.background.Go(func() {
		defer bug.Catch()
		u.err = r.putBlob(ctx, ref, data)
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
		if err := r.appendLegacy(ctx, l.ref, found); err != nil {
			return err
		}
		l.written = true
	}
	l.has(signing.FormatLegacy, found.Verified)
	return nil
}

func (r *run) legacyClaim(l *lookup) signing.Claim {
	return signing.Claim{Digest: l.ref.Digest, Annotations: r.Annotations, Repository: l.ref.CosignName()}
}

func (r *run) lookForLegacy(ctx context.Context, l *lookup) (*signing.Legacy, error) {
	return late(ctx, r, r.atRegistry(stageFind, l.ref), func(ctx context.Context) (*signing.Legacy, error) {
		return r.findLegacy(ctx, l, r.legacyClaim(l))
	})
}

// legacyOf reads what is under the image's tag for legacy signatures, the zero
// manifest when there is none.
func (r *run) legacyOf(ctx context.Context, ref registry.Reference) (signing.LegacyManifest, []signing.Descriptor, error) {
	m, err := r.Registry.Manifest(ctx, ref.WithTag(registry.SignatureTag(ref.Digest)))
	if e, ok := errors.AsType[*registry.Error](err); ok && e.Kind == registry.KindNotFound {
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
// there is none.
func (r *run) findLegacy(ctx context.Context, l *lookup, claim signing.Claim) (*signing.Legacy, error) {
	_, layers, err := r.legacyOf(ctx, l.ref)
	if err != nil {
		return nil, err
	}
	for _, layer := range layers[:min(len(layers), maxReferrers)] {
		payload, err := r.Registry.Blob(ctx, l.ref, registry.Descriptor(layer), maxConfig)
		if ctx.Err() != nil || retry.Transient(err) {
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

// appendLegacy adds a signature, the payload of which is stored, behind those that are
// there. The tag is read, changed and written without a lock, so it is read back, and
// written again when another signer won.
func (r *run) appendLegacy(ctx context.Context, ref registry.Reference, l *signing.Legacy) error {
	tag := ref.WithTag(registry.SignatureTag(ref.Digest))
	_, err := late(ctx, r, r.atRegistry(stageAttach, tag), func(ctx context.Context) (none struct{}, err error) {
		there, layers, err := r.legacyOf(ctx, ref)
		if err != nil || slices.ContainsFunc(layers, l.Is) {
			return none, err
		}
		grown, err := there.Append(l)
		if err != nil {
			return none, fmt.Errorf("sign %s: %w", tag, err)
		}
		if _, err := r.Registry.PutBlob(ctx, ref, grown.Config); err != nil {
			return none, err
		}
		if err := r.Registry.PutManifest(ctx, tag, grown.MediaType, grown.Manifest); err != nil {
			return none, err
		}
		if _, layers, err = r.legacyOf(ctx, ref); err != nil || slices.ContainsFunc(layers, l.Is) {
			return none, err
		}
		return none, overwrittenError{tag}
	})
	return err
}

// overwrittenError is a signature that another signer's write has taken out of the list.
type overwrittenError struct{ tag registry.Reference }

func (e overwrittenError) Error() string {
	return fmt.Sprintf("attach to %s: the signature just written is not there: another signer wrote at the same time", e.tag)
}

func (overwrittenError) Transient() bool { return true }

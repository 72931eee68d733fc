// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package cleanup

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/LerianStudio/pushguard/pkg/registry"
)

// removeChildren removes an index, where it is still there, and the manifests in it
// that no tag reaches.
func (r *run) removeChildren(ctx context.Context, image registry.Reference, removed *int) error {
	children := r.children[image]
	if children == nil {
		var err error
		if children, err = r.childrenOf(ctx, image); err != nil {
			return ignoreGone(err)
		}
	}
	if len(children) == 0 {
		return nil
	}
	all, err := r.needed(ctx, image)
	if err != nil || all.by(image.Digest) != "" {
		return err
	}
	for _, digest := range append([]string{image.Digest}, children...) {
		if all.by(digest) != "" {
			continue
		}
		if err := count(r.removeManifest(ctx, image.WithDigest(digest)), removed); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) childrenOf(ctx context.Context, image registry.Reference) ([]string, error) {
	m, err := r.Registry.Manifest(ctx, image)
	if err != nil {
		return nil, err
	}
	index, err := manifestsIn(m)
	if err != nil {
		return nil, err
	}
	digests := []string{}
	for _, d := range index {
		digests = append(digests, d.Digest)
	}
	return digests, nil
}

// removeManifest removes a manifest that has no tag, by what the provider offers.
func (r *run) removeManifest(ctx context.Context, ref registry.Reference) error {
	if ref.Registry != registry.GHCR || r.Packages == nil {
		return r.Registry.DeleteManifest(ctx, ref)
	}
	v, err := r.find(ctx, ref, ref.Digest)
	if e, ok := asError(err); ok && e.Status == http.StatusOK {
		return nil // listed no more: gone
	}
	if err != nil {
		return err
	}
	if v, err = r.Packages.Version(ctx, ref, v.ID); err != nil || v.Digest != ref.Digest || len(v.Tags) > 0 {
		return err
	}
	return r.Packages.DeleteVersion(ctx, ref, v.ID)
}

// removeTag removes a tag that hangs on an image; names are all that do.
func (r *run) removeTag(ctx context.Context, ref registry.Reference, names []string) error {
	digest, err := r.look(ctx, ref)
	if err != nil || digest == "" {
		return err
	}
	mine := func(tag string) bool { return slices.Contains(names, tag) }
	if ref.Registry == registry.GHCR && r.Packages != nil {
		v, err := r.find(ctx, ref, digest)
		if err != nil {
			return err
		}
		if v, err = r.Packages.Version(ctx, ref, v.ID); err != nil || v.Digest != digest || slices.ContainsFunc(v.Tags, func(tag string) bool { return !mine(tag) }) {
			return err
		}
		return r.Packages.DeleteVersion(ctx, ref, v.ID)
	}
	err = r.deleteTag(ctx, ref)
	if !isKind(err, registry.KindUnsupported) || r.onHub(ref) {
		return err
	}
	all, reachErr := r.reach(ctx, ref, nobody)
	if reachErr != nil || all.by(digest) != "" {
		return errors.Join(err, reachErr)
	}
	return r.Registry.DeleteManifest(ctx, ref.WithDigest(digest))
}

func ignoreGone(err error) error {
	if isKind(err, registry.KindNotFound) {
		return nil
	}
	return err
}

// count counts a deletion: what is not there needs none.
func count(err error, removed *int) error {
	if isKind(err, registry.KindNotFound) {
		return nil
	}
	if err == nil {
		*removed++
	}
	return err
}

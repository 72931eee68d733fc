// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signretry

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/LerianStudio/pushguard/pkg/bug"
	"github.com/LerianStudio/pushguard/pkg/registry"
)

// maxDepth bounds indexes that list indexes.
const maxDepth = 4

// target is one manifest that is to be signed.
type target struct {
	ref registry.Reference
	err error // why what it lists is not known
}

// expand returns the images asked for and, when the run is recursive, behind each
// index the manifests that it lists, each once.
func (r *run) expand(ctx context.Context, images []registry.Reference) []target {
	lists := make([][]target, len(images))
	var g errgroup.Group
	g.SetLimit(cmp.Or(r.Parallel, defaultParallel))
	for i, ref := range images {
		lists[i] = []target{{ref: ref}}
		if !r.Recursive && ref.Digest != "" {
			continue
		}
		g.Go(func() error {
			defer bug.Catch()
			lists[i] = r.targets(ctx, ref)
			return nil
		})
	}
	_ = g.Wait()
	seen := map[registry.Reference]bool{}
	return slices.DeleteFunc(slices.Concat(lists...), func(t target) bool {
		defer func() { seen[t.ref] = true }()
		return seen[t.ref]
	})
}

// targets are one image asked for, with the digest that its tag names, and when the run is
// recursive the manifests that it lists.
func (r *run) targets(ctx context.Context, ref registry.Reference) []target {
	if ref.Digest == "" {
		d, err := late(ctx, r, r.atRegistry(stageResolve, ref), func(ctx context.Context) (registry.Descriptor, error) {
			return r.Registry.Head(ctx, ref)
		})
		if err != nil {
			return []target{{ref: ref, err: missing(ref, err)}}
		}
		ref.Digest = d.Digest
	}
	if !r.Recursive {
		return []target{{ref: ref}}
	}
	children, err := r.children(ctx, ref, 0)
	return append([]target{{ref: ref, err: err}}, children...)
}

// children are the manifests that ref lists, and those that these list: none when
// it is no index.
func (r *run) children(ctx context.Context, ref registry.Reference, depth int) ([]target, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("read index %s: indexes within indexes, more than %d deep", ref, maxDepth)
	}
	m, err := late(ctx, r, r.atRegistry(stageResolve, ref), func(ctx context.Context) (registry.Manifest, error) {
		return r.Registry.Manifest(ctx, ref.WithDigest(ref.Digest))
	})
	if err != nil {
		return nil, missing(ref, err)
	}
	var index struct {
		Manifests []registry.Descriptor `json:"manifests"`
	}
	if err := json.Unmarshal(m.Raw, &index); err != nil {
		return nil, fmt.Errorf("read index %s: not JSON", ref)
	}
	var found []target
	for _, d := range index.Manifests {
		if !registry.ValidDigest(d.Digest) {
			return nil, fmt.Errorf("read index %s: it lists a manifest without a sha256 digest", ref)
		}
		child := ref.WithDigest(d.Digest)
		found = append(found, target{ref: child})
		if !registry.IsIndex(d.MediaType) {
			continue
		}
		deeper, err := r.children(ctx, child, depth+1)
		if err != nil {
			return nil, err
		}
		found = append(found, deeper...)
	}
	return found, nil
}

// image is one manifest in one repository, and where it was asked for.
type image struct {
	ref     registry.Reference // by digest only
	indexes []int              // of the targets
}

// group puts what needs one signature together, in the order asked: the repositories of
// each digest.
func group(targets []target) [][]image {
	var groups [][]image
	places := map[string]int{} // by digest
	for i, t := range targets {
		if t.err != nil {
			continue
		}
		place, known := places[t.ref.Digest]
		if !known {
			place = len(groups)
			places[t.ref.Digest] = place
			groups = append(groups, nil)
		}
		plain := t.ref.WithDigest(t.ref.Digest)
		at := slices.IndexFunc(groups[place], func(img image) bool { return img.ref == plain })
		if at < 0 {
			at = len(groups[place])
			groups[place] = append(groups[place], image{ref: plain})
		}
		groups[place][at].indexes = append(groups[place][at].indexes, i)
	}
	return groups
}

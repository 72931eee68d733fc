// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package cleanup

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/LerianStudio/pushguard/pkg/registry"
)

// reach is what the tags of a repository need: their manifests, and what is in those
// that are indexes.
type reach struct {
	tags map[string]string // digest → a tag that needs it
	// unread is a tag of which it is not known what it needs, "" for none.
	unread string
}

// by is a tag that needs the digest, "" for none. In doubt one does.
func (r *reach) by(digest string) string {
	if tag := r.tags[digest]; tag != "" {
		return tag
	}
	return r.unread
}

// maxDepth is how far indexes of indexes are followed; deeper ones are taken to
// need everything.
const maxDepth = 3

// reach reads what the tags of ref's repository need. Tags for which skip is true
// with the digest that they have now do not count, nor do those that hang on an image
// by their name (sha256-…).
func (c Cleaner) reach(ctx context.Context, ref registry.Reference, skip func(tag, digest string) bool) (*reach, error) {
	all := &reach{tags: map[string]string{}}
	tags, err := c.Registry.Tags(ctx, ref)
	if isKind(err, registry.KindNotFound) {
		return all, nil
	}
	if err != nil {
		return nil, err
	}
	for _, tag := range tags {
		if hangs(tag) {
			continue
		}
		if err := c.follow(ctx, all, ref.WithTag(tag), tag, skip, 0); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// others is what the tags that stay need, and when it was read.
type others struct {
	*reach

	at time.Time
}

// fresh is how long such a reading is good for.
const fresh = time.Minute

// neededByOthers is the tag whose image on GHCR contains the image of s, "" for none.
// Tags that the plan deletes do not count, unless that has failed or somebody moved
// them. The list of versions says what tags have: one request for a hundred.
func (r *run) neededByOthers(ctx context.Context, s Step) (string, error) {
	ref := s.Claim.Ref
	known, read := r.others[ref.Name()]
	if read && time.Since(known.at) <= fresh {
		return known.by(s.Now), nil
	}
	ours := map[registry.Reference]string{}
	for _, other := range r.plan {
		if other.Action == Delete && other.Refusal == nil && !r.stays[other.Claim.Ref] {
			ours[other.Claim.Ref] = other.Now
		}
	}
	known = others{&reach{tags: map[string]string{}}, time.Now()}
	for v, err := range r.Packages.Versions(ctx, ref) {
		if err != nil {
			return "", err
		}
		for _, tag := range v.Tags {
			if hangs(tag) || ours[ref.WithTag(tag)] == v.Digest {
				continue
			}
			if err := r.follow(ctx, known.reach, ref.WithDigest(v.Digest), tag, nobody, 0); err != nil {
				return "", err
			}
			break
		}
	}
	r.others[ref.Name()] = known
	return known.by(s.Now), nil
}

func nobody(string, string) bool { return false }

// follow notes that tag needs ref, and what is in it, unless it is to be skipped.
func (c Cleaner) follow(ctx context.Context, all *reach, ref registry.Reference, tag string, skip func(tag, digest string) bool, depth int) error {
	d, err := c.Registry.Head(ctx, ref)
	if isKind(err, registry.KindNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if skip(tag, d.Digest) {
		return nil
	}
	known := all.tags[d.Digest] != ""
	all.tags[d.Digest] = tag
	switch {
	case known || !registry.IsIndex(d.MediaType):
		return nil
	case depth == maxDepth:
		all.unread = tag
		return nil
	}
	m, err := c.Registry.Manifest(ctx, ref.WithDigest(d.Digest))
	if isKind(err, registry.KindNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	children, err := manifestsIn(m)
	if err != nil {
		all.unread = tag
		return nil //nolint:nilerr // in doubt it needs everything
	}
	for _, child := range children {
		if !isImage(child.MediaType) {
			if err := c.follow(ctx, all, ref.WithDigest(child.Digest), tag, nobody, depth+1); err != nil {
				return err
			}
		}
		all.tags[child.Digest] = tag
	}
	return nil
}

// manifestsIn lists what an index contains, nothing for an image.
func manifestsIn(m registry.Manifest) ([]registry.Descriptor, error) {
	var index struct {
		Manifests []registry.Descriptor `json:"manifests"`
	}
	if err := json.Unmarshal(m.Raw, &index); err != nil {
		return nil, fmt.Errorf("read manifest %s: %w", m.Digest, err)
	}
	return index.Manifests, nil
}

func isImage(mediaType string) bool {
	return mediaType == "application/vnd.oci.image.manifest.v1+json" || mediaType == "application/vnd.docker.distribution.manifest.v2+json"
}

// hangs reports whether a tag belongs to another image by its name: the fallback
// tag of its referrers, or cosign's .sig, .att and .sbom.
func hangs(tag string) bool {
	hex, ok := strings.CutPrefix(tag, "sha256-")
	return ok && len(hex) >= 64 && strings.Trim(hex[:64], "0123456789abcdef") == ""
}

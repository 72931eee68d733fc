// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package cleanup

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/LerianStudio/pushguard/pkg/registry"
	"github.com/LerianStudio/pushguard/pkg/retry"
)

// users lists what in ref's repository needs the manifest digest: tags that have
// it, and tags of indexes that contain it. Tags in ours do not count, nor do those
// that hang on an image (sha256-…).
func (a Actor) users(ctx context.Context, ref registry.Reference, digest string, ours []string) ([]string, error) {
	tags, err := a.Registry.Tags(ctx, ref)
	if isKind(err, registry.KindNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var users []string
	for _, tag := range tags {
		if slices.Contains(ours, tag) || hangs(tag) {
			continue
		}
		needs, err := a.needs(ctx, ref.WithTag(tag), digest, 0)
		if err != nil {
			return nil, err
		}
		if needs {
			users = append(users, ref.WithTag(tag).String())
		}
	}
	return users, nil
}

// maxDepth is how far indexes of indexes are followed; deeper ones are taken to
// need everything.
const maxDepth = 3

// needs reports whether ref is the manifest digest, or an index that contains it.
func (a Actor) needs(ctx context.Context, ref registry.Reference, digest string, depth int) (bool, error) {
	d, err := a.Registry.Head(ctx, ref)
	switch {
	case isKind(err, registry.KindNotFound):
		return false, nil
	case err != nil:
		return false, err
	case d.Digest == digest:
		return true, nil
	case !isIndex(d.MediaType):
		return false, nil
	case depth == maxDepth:
		return true, nil
	}
	m, err := a.Registry.Manifest(ctx, ref.WithDigest(d.Digest))
	if err != nil {
		return false, err
	}
	var index struct {
		Manifests []registry.Descriptor `json:"manifests"`
	}
	if err := json.Unmarshal(m.Raw, &index); err != nil {
		return true, nil //nolint:nilerr // in doubt it is needed
	}
	for _, child := range index.Manifests {
		if child.Digest == digest {
			return true, nil
		}
		if isIndex(child.MediaType) {
			if needs, err := a.needs(ctx, ref.WithDigest(child.Digest), digest, depth+1); needs || err != nil {
				return needs, err
			}
		}
	}
	return false, nil
}

func isIndex(mediaType string) bool {
	return mediaType == "application/vnd.oci.image.index.v1+json" || mediaType == "application/vnd.docker.distribution.manifest.list.v2+json"
}

// hangs reports whether a tag belongs to another image by its name: the fallback
// tag of its referrers, or cosign's .sig, .att and .sbom.
func hangs(tag string) bool {
	hex, ok := strings.CutPrefix(tag, "sha256-")
	return ok && len(hex) >= 64 && strings.Trim(hex[:64], "0123456789abcdef") == ""
}

// deleted lists the images that lost a tag, each once.
func (a Actor) deleted(reports []Report) []Step {
	var images []Step
	seen := map[registry.Reference]bool{}
	for _, r := range reports {
		image := r.Claim.Ref.WithDigest(r.Now)
		if r.Action == Delete && (r.Outcome == Done || r.Outcome == Gone) && !seen[image] {
			seen[image] = true
			images = append(images, r.Step)
		}
	}
	return images
}

// sweep removes the signatures and attestations of an image that no tag needs any
// more: its referrers, and the tags that hang on it. found is false when there is
// nothing to remove or to report.
func (a Actor) sweep(ctx context.Context, s Step) (r Report, found bool) {
	ctx, cancel := finishing(ctx)
	defer cancel()
	image := s.Claim.Ref.WithDigest(s.Now)
	step := Step{Claim: Claim{Ref: image}, Now: s.Now, Action: Delete, Proof: "no tag has the image that they belong to", Reason: "signatures and attestations of a deleted image"}
	removed, err := retry.Do(ctx, a.Policy, func(ctx context.Context) (int, error) {
		users, err := a.users(ctx, image, s.Now, nil)
		if err != nil || len(users) > 0 {
			return 0, err
		}
		return a.removeHanging(ctx, image)
	})
	switch {
	case err != nil:
		return refused(step, err), true
	case removed == 0:
		return Report{}, false
	}
	return Report{Step: step, Outcome: Done, Detail: fmt.Sprintf("%d removed", removed)}, true
}

// removeHanging removes the image's referrers and the tags that hang on it.
func (a Actor) removeHanging(ctx context.Context, image registry.Reference) (removed int, err error) {
	referrers, err := a.Registry.Referrers(ctx, image, "")
	if err != nil && !isKind(err, registry.KindNotFound) {
		return 0, err
	}
	tags, err := a.Registry.Tags(ctx, image)
	if err != nil && !isKind(err, registry.KindNotFound) {
		return 0, err
	}
	for _, d := range referrers {
		done, err := gone(a.Registry.DeleteManifest(ctx, image.WithDigest(d.Digest)))
		if err != nil {
			return removed, err
		}
		removed += done
	}
	name := strings.Replace(image.Digest, ":", "-", 1)
	for _, tag := range tags {
		if tag != name && tag != name+".sig" && tag != name+".att" && tag != name+".sbom" {
			continue
		}
		done, err := gone(a.Registry.DeleteTag(ctx, image.WithTag(tag)))
		if err != nil {
			return removed, err
		}
		if tag != name { // the fallback tag is a list, not a signature
			removed += done
		}
	}
	return removed, nil
}

// gone counts a deletion: what is not there needs none.
func gone(err error) (int, error) {
	if isKind(err, registry.KindNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return 1, nil
}

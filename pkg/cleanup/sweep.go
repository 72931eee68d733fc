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

// untagged lists the images that this run published and whose tags are undone, now
// or by an earlier run, each once. An image that a tag had before the run is older
// than the run, and left alone.
func (r *run) untagged() []Step {
	older := map[registry.Reference]bool{}
	for _, s := range r.plan {
		older[s.Claim.Ref.WithDigest(s.Claim.Before.Digest)] = true
	}
	var images []Step
	for _, report := range r.reports {
		c := report.Claim
		digest := c.Published
		undone := report.Outcome == Done || report.Outcome == Gone ||
			report.Outcome == Kept && report.Detail == "" && c.Before.Known && report.Now == c.Before.Digest
		if report.Action == Delete && digest == "" && !report.throwAway {
			digest = report.Now
		}
		image := c.Ref.WithDigest(digest)
		if digest == "" || !undone || older[image] {
			continue
		}
		older[image] = true
		s := report.Step
		s.Claim, s.Now, s.Action, s.version = Claim{Ref: image}, digest, Delete, registry.PackageVersion{}
		s.Proof = "no tag has the image that they belong to"
		images = append(images, s)
	}
	return images
}

// sweep removes what belongs to an image that no tag needs any more: its signatures
// and attestations, and if asked for its untagged parts.
func (r *run) sweep(ctx context.Context, s Step) {
	ctx, cancel := finishing(ctx)
	defer cancel()
	s.Part, s.Reason = Signatures, "signatures and attestations of an image without a tag"
	r.part(ctx, s, r.removeHanging)
	image := s.Claim.Ref
	if !r.Prune || image.Registry != registry.GHCR && image.Registry != registry.DockerHub {
		return
	}
	s.Part, s.Reason = Children, "untagged parts of an image without a tag"
	r.part(ctx, s, r.removeChildren)
}

func (r *run) part(ctx context.Context, s Step, remove func(context.Context, registry.Reference, *int) error) {
	removed := 0
	_, err := retry.Do(ctx, r.Policy, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, remove(ctx, s.Claim.Ref, &removed)
	})
	switch {
	case err != nil:
		r.tell(refused(s, err))
	case removed > 0:
		r.tell(Report{Step: s, Outcome: Done, Detail: fmt.Sprintf("%d removed", removed)})
	}
}

// needed is what the tags of an image's repository reach, read once a run: nothing
// of pushguard's adds a tag after the deletions.
func (r *run) needed(ctx context.Context, image registry.Reference) (*reach, error) {
	if all := r.reached[image.Name()]; all != nil {
		return all, nil
	}
	all, err := r.reach(ctx, image, nobody)
	if err == nil {
		r.reached[image.Name()] = all
	}
	return all, err
}

// referrers lists what has the image for its subject. GHCR and Docker Hub have no
// referrers API (docker/roadmap#724): there all are in the list that the fallback tag
// is, and the tags are listed anyway.
func (r *run) referrers(ctx context.Context, image registry.Reference) ([]registry.Descriptor, error) {
	if image.Registry == registry.GHCR || image.Registry == registry.DockerHub {
		return nil, nil
	}
	return r.Registry.Referrers(ctx, image, "")
}

// tagsOf lists the tags of an image's repository, once a run.
func (r *run) tagsOf(ctx context.Context, image registry.Reference) ([]string, error) {
	if tags, listed := r.tags[image.Name()]; listed {
		return tags, nil
	}
	tags, err := r.Registry.Tags(ctx, image)
	if err != nil && !isKind(err, registry.KindNotFound) {
		return nil, err
	}
	r.tags[image.Name()] = tags
	return tags, nil
}

// hanging are the tags that belong to an image by their name: the fallback tag of its
// referrers, and cosign's.
func hanging(digest string) []string {
	name := strings.Replace(digest, ":", "-", 1)
	return []string{name + ".sig", name + ".att", name + ".sbom", name}
}

// removeHanging removes the image's referrers and the tags that hang on it, unless a
// tag needs the image.
func (r *run) removeHanging(ctx context.Context, image registry.Reference, removed *int) error {
	referrers, err := r.referrers(ctx, image)
	if err != nil && !isKind(err, registry.KindNotFound) {
		return err
	}
	all, err := r.tagsOf(ctx, image)
	if err != nil {
		return err
	}
	names := hanging(image.Digest)
	tags := slices.DeleteFunc(slices.Clone(all), func(tag string) bool { return !slices.Contains(names, tag) })
	if len(referrers)+len(tags) == 0 {
		return nil
	}
	needed, err := r.needed(ctx, image)
	if err != nil || needed.by(image.Digest) != "" {
		return err
	}
	fallback := names[len(names)-1]
	if slices.Contains(tags, fallback) {
		if err := r.fallback(ctx, image, fallback, needed, removed); err != nil {
			return err
		}
	}
	for _, d := range referrers {
		if err := r.removeReferrer(ctx, image, d.Digest, needed, removed); err != nil {
			return err
		}
	}
	for _, tag := range tags {
		if tag == fallback {
			continue
		}
		if err := count(r.removeTag(ctx, image.WithTag(tag), names), removed); err != nil {
			return err
		}
	}
	return nil
}

// fallback takes this image's referrers out of the list that the fallback tag is,
// and removes the tag with its last entry. The list goes first where a registry does
// not delete what an index has; an entry that is not this image's stays in it.
func (r *run) fallback(ctx context.Context, image registry.Reference, tag string, all *reach, removed *int) error {
	m, err := r.Registry.Manifest(ctx, image.WithTag(tag))
	if isKind(err, registry.KindNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	var list map[string]json.RawMessage
	var entries []json.RawMessage
	if err := json.Unmarshal(m.Raw, &list); err != nil || json.Unmarshal(list["manifests"], &entries) != nil {
		return nil //nolint:nilerr // it is not a list of referrers: not ours to touch
	}
	var ours []string
	kept := []json.RawMessage{}
	for _, entry := range entries {
		var d registry.Descriptor
		if json.Unmarshal(entry, &d) != nil {
			kept = append(kept, entry)
			continue
		}
		belongs, err := r.belongs(ctx, image, d.Digest, true)
		switch {
		case err != nil:
			return err
		case belongs && all.by(d.Digest) == "":
			ours = append(ours, d.Digest)
		default:
			kept = append(kept, entry)
		}
	}
	switch {
	case len(kept) == 0:
		if err := ignoreGone(r.removeTag(ctx, image.WithTag(tag), hanging(image.Digest))); err != nil {
			return err
		}
	case len(kept) < len(entries):
		list["manifests"], _ = json.Marshal(kept)
		raw, err := json.Marshal(list)
		if err != nil {
			return fmt.Errorf("write the list of referrers %s: %w", image.WithTag(tag), err)
		}
		if err := r.Registry.PutManifest(ctx, image.WithTag(tag), m.MediaType, raw); err != nil {
			return err
		}
	}
	for _, digest := range ours {
		if err := count(r.removeManifest(ctx, image.WithDigest(digest)), removed); err != nil {
			return err
		}
	}
	return nil
}

// belongs reports whether the manifest digest has image for its subject, or is gone.
// listed says that the image's own fallback list has it.
func (r *run) belongs(ctx context.Context, image registry.Reference, digest string, listed bool) (bool, error) {
	m, err := r.Registry.Manifest(ctx, image.WithDigest(digest))
	if isKind(err, registry.KindNotFound) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	var artifact struct {
		Subject registry.Descriptor `json:"subject"`
	}
	if err := json.Unmarshal(m.Raw, &artifact); err != nil {
		return false, nil //nolint:nilerr // not an artifact: not ours to touch
	}
	// What attest and cosign store on GHCR may have no subject: the list says it then.
	return artifact.Subject.Digest == image.Digest || listed && artifact.Subject.Digest == "", nil
}

func (r *run) removeReferrer(ctx context.Context, image registry.Reference, digest string, all *reach, removed *int) error {
	if all.by(digest) != "" {
		return nil // it has a tag of its own
	}
	belongs, err := r.belongs(ctx, image, digest, false)
	if err != nil || !belongs {
		return err
	}
	return count(r.removeManifest(ctx, image.WithDigest(digest)), removed)
}

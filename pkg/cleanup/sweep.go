// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package cleanup

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/LerianStudio/pushguard/pkg/change"
	"github.com/LerianStudio/pushguard/pkg/registry"
	"github.com/LerianStudio/pushguard/pkg/registry/host"
	"github.com/LerianStudio/pushguard/pkg/retry"
)

// untagged lists the images that this run published and whose tags are undone, now
// or by an earlier run, each once. An image that a tag had before the run is older
// than the run, and left alone.
func (r *run) untagged() []Step {
	listed := map[registry.Reference]bool{}
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
		if digest == "" || !undone || listed[image] || r.older(image) {
			continue
		}
		listed[image] = true
		s := report.Step
		s.Claim, s.Now, s.Action, s.version = Claim{Ref: image}, digest, Delete, host.Version{}
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
	r.part(ctx, s, r.removeAttached)
	if !r.Prune || !r.Registry.Of(s.Claim.Ref).About().KeepsUntagged {
		return
	}
	s.Part, s.Reason = Children, "untagged parts of an image without a tag"
	r.part(ctx, s, r.removeChildren)
}

func (r *run) part(ctx context.Context, s Step, remove func(context.Context, registry.Reference, *int) error) {
	removed := 0
	err := remove(ctx, s.Claim.Ref, &removed)
	if _, needed := errors.AsType[*neededError](err); needed {
		err = nil // a tag has the image after all: what belongs to it stays
	}
	switch {
	case err != nil:
		r.tell(r.refused(s, err))
	case removed > 0:
		r.tell(Report{Step: s, Outcome: Done, Detail: fmt.Sprintf("%d removed", removed)})
	}
}

// attached are the tags that belong to an image by their names and exist, each with its
// digest, and the image's referrers.
func (r *run) attached(ctx context.Context, image registry.Reference) (tags map[string]string, referrers []registry.Descriptor, err error) {
	tags = map[string]string{}
	names := registry.AttachedTags(image.Digest)
	listed, unlisted := r.names(ctx, image)
	if retry.Transient(unlisted) {
		return nil, nil, unlisted
	}
	for _, tag := range names {
		if unlisted == nil && !listed[tag] {
			continue
		}
		digest, err := r.now(ctx, image.WithTag(tag))
		if err != nil {
			return nil, nil, err
		}
		if digest != "" {
			tags[tag] = digest
		}
	}
	if r.Registry.Of(image).About().NoReferrers {
		return tags, nil, nil // all are in the list that the fallback tag is
	}
	referrers, err = retry.Do(ctx, r.Policy, func(ctx context.Context) ([]registry.Descriptor, error) {
		return r.Registry.Referrers(ctx, image, "")
	})
	if registry.IsNotFound(err) {
		err = nil
	}
	return tags, referrers, err
}

// names lists the tags of an image's repository, once the tags of the plan are done.
func (r *run) names(ctx context.Context, image registry.Reference) (map[string]bool, error) {
	known := r.repository(image)
	if !known.swept {
		_, err := retry.Do(ctx, r.Policy, func(ctx context.Context) (map[string]string, error) { return r.list(ctx, image) })
		known.swept, known.unlisted = true, err
	}
	return known.listed, known.unlisted
}

// removeAttached removes the image's referrers and the tags that belong to it by their
// names, unless a tag needs the image.
func (r *run) removeAttached(ctx context.Context, image registry.Reference, removed *int) error {
	tags, referrers, err := r.attached(ctx, image)
	if err != nil || len(tags)+len(referrers) == 0 {
		return err
	}
	if err := r.proveFree(ctx, image); err != nil {
		return err
	}
	// What the registry refuses of one must not keep the others: the first refusal is told.
	fallback := registry.FallbackTag(image.Digest)
	if tags[fallback] != "" {
		if err = r.shrinkFallback(ctx, image, fallback, removed); err != nil {
			referrers = nil // the list may have them still: one that names what is gone takes no other
		}
	}
	for _, d := range referrers {
		belongs, one := r.belongs(ctx, image, d.Digest, false)
		if one == nil && belongs {
			one = r.removeFree(ctx, image.WithDigest(d.Digest), removed)
		}
		err = cmp.Or(err, one)
	}
	for _, tag := range slices.Sorted(maps.Keys(tags)) {
		if tag != fallback {
			err = cmp.Or(err, r.removeAttachedTag(ctx, image, tag, tags[tag], removed))
		}
	}
	return err
}

// proveFree proves that no tag needs an image.
func (r *run) proveFree(ctx context.Context, image registry.Reference) error {
	_, err := retry.Do(ctx, r.Policy, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, r.free(ctx, image, nobody, fresh)
	})
	return err
}

// removeFree removes a manifest, unless a tag needs it.
func (r *run) removeFree(ctx context.Context, image registry.Reference, removed *int) error {
	outcome, err := r.removeManifest(ctx, image)
	if _, needed := errors.AsType[*neededError](err); needed {
		return nil
	}
	return count(outcome, err, removed)
}

// removeAttachedTag removes a tag that belongs to an image by its name.
func (r *run) removeAttachedTag(ctx context.Context, image registry.Reference, tag, digest string, removed *int) error {
	goes := func(other, _ string) bool {
		of, ok := registry.AttachedTo(other)
		return ok && of == image.Digest
	}
	outcome, _, err := r.removeTag(ctx, image.WithTag(tag), digest, goes)
	if _, shared := errors.AsType[*sharedError](err); shared {
		return nil
	}
	return count(outcome, err, removed)
}

// shrinkFallback takes this image's referrers out of the list that the fallback tag is,
// and removes the tag with its last entry. The list goes first where a registry does
// not delete what an index has; an entry that is not this image's stays in it.
func (r *run) shrinkFallback(ctx context.Context, image registry.Reference, tag string, removed *int) error {
	m, err := r.manifest(ctx, image.WithTag(tag))
	if registry.IsNotFound(err) {
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
		if err == nil && belongs {
			err = r.proveFree(ctx, image.WithDigest(d.Digest))
		}
		_, needed := errors.AsType[*neededError](err)
		switch {
		case err != nil && !needed:
			return err
		case belongs && !needed:
			ours = append(ours, d.Digest)
		default:
			kept = append(kept, entry)
		}
	}
	switch {
	case len(kept) == 0:
		none := 0 // the list is not counted: what was in it is
		if err := r.removeAttachedTag(ctx, image, tag, m.Digest, &none); err != nil {
			return err
		}
	case len(kept) < len(entries):
		if err := r.rewrite(ctx, image.WithTag(tag), m, list, kept); err != nil {
			return err
		}
	}
	if len(ours) == 0 {
		return nil
	}
	// The list stays as an index without a tag, and some registries delete nothing that an
	// index has. Where it cannot be deleted, the refusal of what was in it says so.
	none := 0
	_ = r.removeFree(ctx, image.WithDigest(m.Digest), &none)
	for _, digest := range ours {
		err = cmp.Or(err, r.removeFree(ctx, image.WithDigest(digest), removed))
	}
	return err
}

// rewrite puts a list of referrers with fewer entries under its tag.
func (r *run) rewrite(ctx context.Context, ref registry.Reference, old registry.Manifest, list map[string]json.RawMessage, kept []json.RawMessage) (err error) {
	list["manifests"], err = json.Marshal(kept)
	raw, listErr := json.Marshal(list)
	if err = cmp.Or(err, listErr); err != nil {
		return fmt.Errorf("write the list of referrers %s: %w", ref, err)
	}
	_, _, err = change.Put(ctx, r.Policy, r.Registry, ref, old.Digest, manifestOf(old.MediaType, raw))
	return err
}

// belongs reports whether the manifest digest has image for its subject, or is gone.
// listed says that the image's own fallback list has it.
func (r *run) belongs(ctx context.Context, image registry.Reference, digest string, listed bool) (bool, error) {
	m, err := r.manifest(ctx, image.WithDigest(digest))
	if registry.IsNotFound(err) {
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
	// What attest and cosign store on GitHub may have no subject: the list says it then.
	return artifact.Subject.Digest == image.Digest || listed && artifact.Subject.Digest == "", nil
}

// removeChildren removes an index, where it is still there, and the manifests in it
// that no tag needs.
func (r *run) removeChildren(ctx context.Context, image registry.Reference, removed *int) error {
	children := r.children[image]
	if children == nil {
		var err error
		children, err = retry.Do(ctx, r.Policy, func(ctx context.Context) ([]string, error) { return r.childrenOf(ctx, image) })
		if registry.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	if len(children) == 0 {
		return nil
	}
	if err := r.proveFree(ctx, image); err != nil {
		return err
	}
	for _, digest := range append([]string{image.Digest}, children...) {
		if err := r.removeFree(ctx, image.WithDigest(digest), removed); err != nil {
			return err
		}
	}
	return nil
}

// count counts a deletion: what is not there needs none.
func count(outcome change.Outcome, err error, removed *int) error {
	if err == nil && outcome == change.Made {
		*removed++
	}
	return err
}

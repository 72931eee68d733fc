// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package cleanup

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/LerianStudio/pushguard/pkg/change"
	"github.com/LerianStudio/pushguard/pkg/registry"
	"github.com/LerianStudio/pushguard/pkg/registry/host"
	"github.com/LerianStudio/pushguard/pkg/retry"
)

// Before a digest is deleted it has to be proved that no tag needs it, for most
// registries take the tags of a digest along. The proof is a list of all tags and what
// each of them names. Lists are wrong in practice: ECR Public answers 404 for
// repositories that have tags, lists lag behind, and pages are cut off. So a list proves
// something only if it can be had and shows every tag that was just seen; an empty one
// only if an earlier list of the run showed what was there. In doubt the digest stays.

// repository is what a run knows of the tags of one repository.
type repository struct {
	seen   map[string]bool // tags that exist, as far as looks have told
	listed map[string]bool // tags that any list has shown; nil before the first one that was complete
	needs  *needs          // what the tags need, as read last
	// swept says that the tags were listed again after the deletions, unlisted why that
	// proves nothing.
	swept    bool
	unlisted error
}

func (r *run) repository(ref registry.Reference) *repository {
	known := r.tags[ref.Name()]
	if known == nil {
		known = &repository{seen: map[string]bool{}}
		r.tags[ref.Name()] = known
	}
	return known
}

// forget drops a tag that is gone.
func (p *repository) forget(tag string) {
	delete(p.seen, tag)
	delete(p.listed, tag)
	if p.needs != nil {
		delete(p.needs.tags, tag)
	}
}

// needs are the images that the tags of a repository need: what they name, and what is
// in those that are indexes. Tags that belong to an image by their name do not count.
type needs struct {
	at     time.Time
	tags   map[string]string   // tag → digest that it names
	users  map[string][]string // digest → tags that need it
	unread []string            // tags of which it is not known what they need
	below  map[string]contents // what is in an index, by its digest
}

// contents are the digests in an index, and in the indexes in it. whole is false when
// not all of them could be read.
type contents struct {
	digests []string
	whole   bool
}

// by is a tag that needs the digest, "" for none. Tags that go do not count. In doubt a
// tag needs everything.
func (n *needs) by(digest string, goes func(tag, digest string) bool) string {
	for _, tag := range slices.Concat(n.users[digest], n.unread) {
		if named, there := n.tags[tag]; there && !goes(tag, named) {
			return tag
		}
	}
	return ""
}

// fresh is how long a reading of all tags is good for, where each act has a closer
// proof beside it.
const fresh = time.Minute

// maxDepth is how far indexes of indexes are followed; deeper ones are taken to
// need everything.
const maxDepth = 3

// free proves that no tag needs an image, except for those that go. A reading of the
// tags may be maxAge old.
func (r *run) free(ctx context.Context, image registry.Reference, goes func(tag, digest string) bool, maxAge time.Duration) error {
	if r.older(image) {
		return &neededError{}
	}
	known := r.repository(image)
	if known.needs == nil || time.Since(known.needs.at) >= maxAge {
		read, err := r.read(ctx, image)
		if err != nil {
			return err
		}
		known.needs = read
	}
	if user := known.needs.by(image.Digest, goes); user != "" {
		tag := image.WithTag(user)
		return &neededError{tag, r.planned(tag)}
	}
	return nil
}

// older reports whether a tag of the plan had the image before the run. Such an image is
// not the run's, and is never deleted, even where no tag has it any more.
func (r *run) older(image registry.Reference) bool {
	return slices.ContainsFunc(r.plan, func(s Step) bool { return s.Claim.Ref.WithDigest(s.Claim.Before.Digest) == image })
}

// neededError says that a tag needs the image, or, without a tag, that the image is older
// than the run; waits, that the plan still deletes that tag.
type neededError struct {
	tag   registry.Reference
	waits bool
}

func (e *neededError) Error() string {
	if e.tag.Tag == "" {
		return "deleting the digest would delete an image that was there before this run"
	}
	return fmt.Sprintf("deleting the digest would take %s with it", e.tag)
}

// planned reports whether the plan deletes a tag and has not come to it yet.
func (r *run) planned(ref registry.Reference) bool {
	return !r.done[ref] && slices.ContainsFunc(r.plan, func(s Step) bool { return s.Action == Delete && s.Refusal == nil && s.Claim.Ref == ref })
}

// unlistedError says that the tags of a repository cannot be listed in a way that proves
// something.
type unlistedError struct {
	ref  registry.Reference
	why  string
	lags bool // a list that is asked for later may show more
}

func (e *unlistedError) Error() string {
	return fmt.Sprintf("no digest is deleted, because other tags may need it: the list of the tags of %s %s", e.ref.Name(), e.why)
}

// Transient reports whether a later list may prove more.
func (e *unlistedError) Transient() bool { return e.lags }

// firstList lists the tags of ref's repository, once a run.
func (r *run) firstList(ctx context.Context, ref registry.Reference) {
	if r.repository(ref).listed == nil {
		_, _ = retry.Do(ctx, r.Policy, func(ctx context.Context) (map[string]string, error) { return r.list(ctx, ref) })
	}
}

// list lists the tags of ref's repository with what they name, "" where the list does
// not tell. It fails when the list proves nothing.
func (r *run) list(ctx context.Context, ref registry.Reference) (map[string]string, error) {
	known := r.repository(ref)
	found := map[string]string{}
	if versions, ok := r.Registry.Of(ref).(host.VersionDeleter); ok {
		for v, err := range versions.Versions(ctx, ref) {
			if err != nil {
				return nil, unlisted(ref, err)
			}
			for _, tag := range v.Tags {
				found[tag] = v.Digest
			}
		}
	} else {
		tags, err := r.Registry.Tags(ctx, ref)
		if err != nil {
			return nil, unlisted(ref, err)
		}
		for _, tag := range tags {
			found[tag] = ""
		}
	}
	for _, tag := range slices.Sorted(maps.Keys(known.seen)) { // the same requests in every run
		if _, listed := found[tag]; listed {
			continue
		}
		now, err := change.Look(ctx, r.Registry, ref.WithTag(tag))
		switch {
		case err != nil:
			return nil, err
		case now != "":
			return nil, &unlistedError{ref, "lacks " + tag + ", which exists", true}
		}
		known.forget(tag)
	}
	if len(found) == 0 && known.listed == nil {
		return nil, &unlistedError{ref, "is empty", false}
	}
	if known.listed == nil {
		known.listed = map[string]bool{}
	}
	for tag := range found {
		known.listed[tag] = true
	}
	for tag := range known.listed { // a later list may omit what an earlier one showed
		if _, listed := found[tag]; !listed {
			found[tag] = ""
		}
	}
	return found, nil
}

// unlisted is why a list could not be had. What passes is tried again; anything else
// proves nothing, a 404 included.
func unlisted(ref registry.Reference, err error) error {
	if retry.Transient(err) {
		return err
	}
	return &unlistedError{ref, "could not be had: " + reasonOf(err), false}
}

// read reads what the tags of ref's repository need.
func (r *run) read(ctx context.Context, ref registry.Reference) (*needs, error) {
	all := &needs{at: time.Now(), tags: map[string]string{}, users: map[string][]string{}, below: map[string]contents{}}
	tags, err := r.list(ctx, ref)
	if err != nil {
		return nil, err
	}
	for _, tag := range slices.Sorted(maps.Keys(tags)) {
		digest := tags[tag]
		if _, attached := registry.AttachedTo(tag); attached || digest != "" && r.deletes(ref.WithTag(tag), digest) {
			continue
		}
		at := ref.WithTag(tag)
		if digest != "" {
			at = ref.WithDigest(digest)
		}
		if err := r.follow(ctx, all, at, tag); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// deletes reports whether the plan deletes a tag that has the image digest, and has not
// failed to. Where the list tells the digests, this saves a request for each of them.
func (r *run) deletes(tag registry.Reference, digest string) bool {
	return !r.stays[tag] && slices.ContainsFunc(r.plan, func(s Step) bool {
		return s.Action == Delete && s.Refusal == nil && s.Claim.Ref == tag && s.Now == digest
	})
}

// follow notes that tag needs ref, and what is in it.
func (r *run) follow(ctx context.Context, all *needs, ref registry.Reference, tag string) error {
	d, err := r.Registry.Head(ctx, ref)
	if registry.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	all.tags[tag] = d.Digest
	all.users[d.Digest] = append(all.users[d.Digest], tag)
	if !registry.IsIndex(d.MediaType) {
		return nil
	}
	in, err := r.contents(ctx, all, ref.WithDigest(d.Digest), 0)
	if err != nil {
		return err
	}
	for _, digest := range in.digests {
		all.users[digest] = append(all.users[digest], tag)
	}
	if !in.whole {
		all.unread = append(all.unread, tag)
	}
	return nil
}

// contents reads what is in an index, each index once.
func (r *run) contents(ctx context.Context, all *needs, index registry.Reference, depth int) (contents, error) {
	if known, ok := all.below[index.Digest]; ok {
		return known, nil
	}
	if depth == maxDepth {
		return contents{}, nil
	}
	m, err := r.Registry.Manifest(ctx, index)
	if registry.IsNotFound(err) {
		return contents{whole: true}, nil
	}
	if err != nil {
		return contents{}, err
	}
	children, err := manifestsIn(m)
	if err != nil {
		return contents{}, nil //nolint:nilerr // in doubt it needs everything
	}
	in := contents{whole: true}
	for _, child := range children {
		in.digests = append(in.digests, child.Digest)
		if isImage(child.MediaType) {
			continue
		}
		deeper, err := r.contents(ctx, all, index.WithDigest(child.Digest), depth+1)
		if err != nil {
			return contents{}, err
		}
		in.digests = append(in.digests, deeper.digests...)
		in.whole = in.whole && deeper.whole
	}
	all.below[index.Digest] = in
	return in, nil
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

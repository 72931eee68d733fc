// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

// Package naming gives images their names. An image is pushed by its digest and signed
// first; only then its tags are put on it, so that a tag never names an image that is
// not signed. A tag is put where the run's record says that it was absent, or where it
// still names the image that it named before the run. Any other is somebody else's.
package naming

import (
	"context"
	"fmt"
	"slices"

	"github.com/LerianStudio/pushguard/pkg/change"
	"github.com/LerianStudio/pushguard/pkg/registry"
	"github.com/LerianStudio/pushguard/pkg/retry"
)

// Registry is what naming needs of registries; none of it retries.
// [host.Registries] is one.
type Registry interface {
	change.Putter
	Manifest(ctx context.Context, ref registry.Reference) (registry.Manifest, error)
	PutTags(ctx context.Context, ref registry.Reference, tags []string, m registry.Manifest) ([]string, error)
}

// Name is one tag that an image is to have.
type Name struct {
	Tag    registry.Reference // registry/repository:tag
	Digest string             // of the image
	// Before is the digest that the tag had before the run, "" for none: the only image
	// that may be replaced.
	Before string
	// Unknown says that nobody knows what the tag had before the run: then it is put only
	// where it names nothing.
	Unknown bool
	// Moving says that the tag moves between releases. It is put after all that do not.
	Moving bool
}

// Outcome is what came of a name.
type Outcome string

// The outcomes.
const (
	Named   Outcome = "named"   // by this call
	Already Outcome = "already" // it named the image before
	Taken   Outcome = "taken"   // it names another image, which is not ours to replace
	Failed  Outcome = "failed"  // see Result.Err
)

// Result is a name with what came of it.
type Result struct {
	Name

	Outcome Outcome
	Err     error // why it is taken or has failed
}

// Namer puts names on images.
type Namer struct {
	Registry Registry
	// Copy copies an image to another repository, under its digest. It does not retry.
	Copy   func(ctx context.Context, from, to registry.Reference) error
	Policy retry.Policy
	// OnPut, if set, is told of each name right before it is put: never of one that was
	// there already, for that is somebody else's work. An error forbids it.
	OnPut func(Name) error
}

// Put puts the names on their images, one after another: first those that stay, then
// those that move. Where one that stays could not be put, the moving ones of the same
// image are left as they are: they would lead to a release that has no name.
func (n Namer) Put(ctx context.Context, names []Name) []Result {
	var results []Result
	unnamed := map[string]bool{} // digests
	stay := slices.DeleteFunc(slices.Clone(names), func(n Name) bool { return n.Moving })
	move := slices.DeleteFunc(slices.Clone(names), func(n Name) bool { return !n.Moving })
	for _, names := range [][]Name{stay, move} {
		names, left := split(names, func(name Name) bool { return !name.Moving || !unnamed[name.Digest] })
		for _, name := range left {
			results = append(results, Result{name, Failed, fmt.Errorf("name %s: the image lacks a tag that stays; moving tags come after those", name.Tag)})
		}
		sent := n.together(ctx, names)
		for _, name := range names {
			r := Result{Name: name}
			r.Outcome, r.Err = n.put(ctx, name)
			if r.Outcome == Already && sent[name.Tag] {
				r.Outcome = Named
			}
			if r.Err != nil && !name.Moving {
				unnamed[name.Digest] = true
			}
			results = append(results, r)
		}
	}
	return results
}

func split(names []Name, keep func(Name) bool) (kept, rest []Name) {
	for _, name := range names {
		if keep(name) {
			kept = append(kept, name)
		} else {
			rest = append(rest, name)
		}
	}
	return kept, rest
}

// together puts names of one image with one request where there are several, and returns
// those that it has sent. It is a short cut: what it leaves, for whatever reason, is put
// one by one, and each name is looked at after it in any case.
func (n Namer) together(ctx context.Context, names []Name) map[registry.Reference]bool {
	images := map[registry.Reference][]Name{}
	for _, name := range names {
		image := name.Tag.WithDigest(name.Digest)
		images[image] = append(images[image], name)
	}
	sent := map[registry.Reference]bool{}
	for image, names := range images {
		if len(names) < 2 {
			continue
		}
		var tags []string
		for _, name := range names {
			if now, err := change.Look(ctx, n.Registry, name.Tag); err == nil && now == name.Before && now != name.Digest {
				tags = append(tags, name.Tag.Tag)
			}
		}
		m, err := n.Registry.Manifest(ctx, image)
		if err != nil || len(tags) < 2 {
			continue
		}
		for _, name := range names {
			if n.OnPut != nil && err == nil && slices.Contains(tags, name.Tag.Tag) {
				err = n.OnPut(name)
			}
		}
		if err != nil {
			continue
		}
		_, _ = n.Registry.PutTags(ctx, image, tags, m)
		for _, tag := range tags {
			sent[image.WithTag(tag)] = true
		}
	}
	return sent
}

// put puts one name: the manifest, byte for byte, under the tag.
func (n Namer) put(ctx context.Context, name Name) (Outcome, error) {
	image := name.Tag.WithDigest(name.Digest)
	m, err := retry.Do(ctx, n.Policy, func(ctx context.Context) (registry.Manifest, error) { return n.Registry.Manifest(ctx, image) })
	if err != nil {
		return Failed, fmt.Errorf("name %s: %w", name.Tag, err)
	}
	put := change.Change{Ref: name.Tag, From: name.Before, To: m.Digest, Act: func(ctx context.Context) error {
		return n.Registry.PutManifest(ctx, name.Tag, m.MediaType, m.Raw)
	}}
	if n.OnPut != nil {
		put.Prove = func(context.Context) error { return n.OnPut(name) }
	}
	outcome, now, err := put.Do(ctx, n.Policy, n.Registry)
	switch {
	case err != nil:
		return Failed, fmt.Errorf("name %s: %w", name.Tag, err)
	case outcome == change.Found:
		return Already, nil
	case outcome == change.Made:
		return Named, nil
	case now == "":
		now = "no image"
	}
	return Taken, &TakenError{Name: name, Now: now}
}

// TakenError says that a tag names an image that is not ours to replace.
type TakenError struct {
	Name Name
	Now  string // what the tag names
}

func (e *TakenError) Error() string {
	if e.Name.Unknown {
		return fmt.Sprintf("name %s: it is %s now, and the record does not say what it was before the run: it was left as it is", e.Name.Tag, e.Now)
	}
	was := "absent before the run"
	if e.Name.Before != "" {
		was = e.Name.Before + " before the run"
	}
	return fmt.Sprintf("name %s: it was %s and is %s now: somebody else has moved it, and it was left as it is", e.Name.Tag, was, e.Now)
}

// Hint says what to do next.
func (e *TakenError) Hint() string {
	if e.Name.Unknown {
		return "run tagcheck again with the same record, which notes what the tag is; then run the same command again"
	}
	return "find out who publishes the same tag; then publish under another tag, or give this one the image by hand: crane tag " +
		e.Name.Tag.Name() + "@" + e.Name.Digest + " " + e.Name.Tag.Tag
}

// Complete copies each image to the repositories of the list that lack it, from one that
// has it: a push may have reached one registry and not another. It returns what was
// copied.
func (n Namer) Complete(ctx context.Context, images []registry.Reference) (copied []registry.Reference, err error) {
	has, lacks := map[string]registry.Reference{}, []registry.Reference{}
	for _, image := range images {
		image = image.WithDigest(image.Digest)
		_, err := retry.Do(ctx, n.Policy, func(ctx context.Context) (registry.Descriptor, error) { return n.Registry.Head(ctx, image) })
		switch {
		case err == nil:
			has[image.Digest] = image
		case registry.IsNotFound(err):
			lacks = append(lacks, image)
		}
		// Any other failure is signing's to report: it asks for the image as well.
	}
	for _, image := range lacks {
		from, ok := has[image.Digest]
		if !ok {
			continue
		}
		_, err := retry.Do(ctx, n.Policy, func(ctx context.Context) (struct{}, error) {
			return struct{}{}, n.Copy(ctx, from, image)
		})
		if err != nil {
			return copied, err
		}
		copied = append(copied, image)
	}
	return copied, nil
}

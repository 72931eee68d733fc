// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package tagcheck

import (
	"path"
	"slices"

	"github.com/LerianStudio/pushguard/pkg/registry"
)

// Verdict is what the states of all tags, moving ones aside, come to.
type Verdict string

// The verdicts.
const (
	VerdictNew      Verdict = "new"      // all absent
	VerdictComplete Verdict = "complete" // all present, each image with one digest
	VerdictPartial  Verdict = "partial"  // some present, some absent
	VerdictConflict Verdict = "conflict" // one image's tag has different digests
	VerdictUnknown  Verdict = "unknown"  // one is unknown, and none of the worse is certain
)

// Mode is what an existing or an unknown tag leads to.
type Mode string

// The modes. Skip is for existing tags only.
const (
	Fail Mode = "fail"
	Skip Mode = "skip"
	Warn Mode = "warn"
)

// Outcome is what a caller may do.
type Outcome int

// The outcomes.
const (
	GoOn     Outcome = iota
	Exists           // the tag exists and the mode is Fail
	NotAsked         // a registry could not be asked
	Stuck            // partial without a source to copy from, or conflict
)

// Result is a verdict with what follows from it.
type Result struct {
	Tags        []Tag // in the order asked
	Verdict     Verdict
	Outcome     Outcome
	ShouldBuild bool
	Existing    []registry.Reference // present, moving ones aside
	// Missing are absent while others are present; with Skip, also the moving tags
	// that this run was to move and has not.
	Missing []registry.Reference
	// CopyFrom says for each of Missing which manifest completes it without a new
	// build; a zero Reference where nothing proves that one belongs there.
	CopyFrom []registry.Reference
	Digest   string // the one digest of all that exist, or ""
}

// Judge weighs the states.
func Judge(tags []Tag, onExisting, onUnknown Mode) Result {
	r := Result{Tags: tags}
	images := images(tags)
	sources := map[image]registry.Reference{} // the first manifest found of each image
	digests := map[string]bool{}
	unknown, unread, conflict := false, false, false
	for i, t := range tags {
		switch {
		case t.Moving:
		case t.State == Present:
			r.Existing = append(r.Existing, t.Ref)
			if t.Digest == "" { // it exists, and it is not known as what
				unread = true
				continue
			}
			r.Digest, digests[t.Digest] = t.Digest, true
			if first, found := sources[images[i]]; !found {
				sources[images[i]] = t.Ref.WithDigest(t.Digest)
			} else if first.Digest != t.Digest {
				conflict = true
			}
		case t.State == Unknown:
			unknown = true
		}
	}
	if len(digests) != 1 || unread {
		r.Digest = ""
	}
	for i, t := range tags {
		if !t.Moving && t.State == Absent && len(r.Existing) > 0 {
			r.Missing = append(r.Missing, t.Ref)
			r.CopyFrom = append(r.CopyFrom, sources[images[i]])
		}
	}
	switch {
	case conflict:
		r.Verdict = VerdictConflict
	case len(r.Missing) > 0:
		r.Verdict = VerdictPartial
	case unknown, unread:
		r.Verdict = VerdictUnknown
	case len(r.Existing) > 0:
		r.Verdict = VerdictComplete
	default:
		r.Verdict = VerdictNew
	}
	r.Outcome = r.outcome(onExisting, onUnknown, unknown || unread && onExisting == Skip)
	r.ShouldBuild = r.Outcome == GoOn && (len(r.Existing) == 0 || onExisting == Warn)
	if onExisting == Skip && r.Outcome == GoOn {
		missing, copyFrom := behind(tags)
		r.Missing, r.CopyFrom = append(r.Missing, missing...), append(r.CopyFrom, copyFrom...)
	}
	return r
}

// outcome applies the modes. What is certain comes before what is not known.
func (r Result) outcome(onExisting, onUnknown Mode, unknown bool) Outcome {
	switch {
	case r.Verdict == VerdictConflict:
		return Stuck
	case len(r.Existing) > 0 && onExisting == Fail:
		return Exists
	case unknown && onUnknown == Fail:
		return NotAsked
	case onExisting == Skip && slices.Contains(r.CopyFrom, registry.Reference{}):
		return Stuck
	}
	return GoOn
}

// image is what one build pushes to several registries: they differ in host and
// often in owner, but not in the last part of the repository and in the tag.
type image struct{ name, tag string }

// images tells which image each tag is of. When one registry has two repositories
// with the same last part, those are two images, told apart by their full paths.
func images(tags []Tag) []image {
	type place struct{ registry, base string }
	repositories := map[place]string{}
	several := map[string]bool{}
	for _, t := range tags {
		base := path.Base(t.Ref.Repository)
		at := place{t.Ref.Registry, base}
		if other, ok := repositories[at]; ok && other != t.Ref.Repository {
			several[base] = true
		}
		repositories[at] = t.Ref.Repository
	}
	images := make([]image, len(tags))
	for i, t := range tags {
		name := path.Base(t.Ref.Repository)
		if several[name] {
			name = t.Ref.Repository
		}
		images[i] = image{name, t.Ref.Tag}
	}
	return images
}

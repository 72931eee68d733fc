// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package tagcheck

import (
	"cmp"
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
	VerdictPushed   Verdict = "pushed"   // this run has pushed each image by its digest, and is still to name it
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
	// Due are the tags that the run is to put on its image, with the digest of the image
	// that belongs there, "" where it is to be built.
	Due []registry.Reference
	// Resumed says that an earlier attempt of this run did the work that is there: nothing
	// is built again.
	Resumed bool
}

// Judge weighs the states.
func Judge(tags []Tag, onExisting, onUnknown Mode) Result {
	r := Result{Tags: tags}
	images := images(tags)
	if r.Resumed = allOwn(tags); r.Resumed {
		onExisting = Skip // an earlier attempt's work is not taken: go on from it
	}
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
	if digest, pushed := allPushed(tags, images); pushed && (r.Verdict == VerdictNew || onExisting == Warn && r.Verdict != VerdictUnknown && allReplaceable(tags)) {
		r.Verdict, r.Digest, r.Resumed = VerdictPushed, digest, true
	}
	r.Outcome = r.outcome(onExisting, onUnknown, unknown || unread && onExisting == Skip)
	r.ShouldBuild = r.Outcome == GoOn && r.Verdict != VerdictPushed && (len(r.Existing) == 0 || onExisting == Warn)
	if onExisting == Skip && r.Outcome == GoOn {
		missing, copyFrom := gaps(tags)
		r.Missing, r.CopyFrom = append(r.Missing, missing...), append(r.CopyFrom, copyFrom...)
	}
	r.Due = r.due()
	return r
}

// due lists the tags of [Result.Due].
func (r Result) due() (due []registry.Reference) {
	if r.Outcome != GoOn {
		return nil
	}
	if !r.ShouldBuild && r.Verdict != VerdictPushed {
		for i, ref := range r.Missing {
			ref.Digest = r.CopyFrom[i].Digest
			due = append(due, ref)
		}
		return due
	}
	pushed := map[string]string{} // by the last part of the repository
	for _, t := range r.Tags {
		if base := path.Base(t.Ref.Repository); r.Verdict == VerdictPushed && t.Pushed != "" {
			pushed[base] = t.Pushed
		}
	}
	for _, t := range r.Tags {
		ref := t.Ref
		ref.Digest = cmp.Or(t.Pushed, pushed[path.Base(ref.Repository)])
		if r.ShouldBuild {
			ref.Digest = ""
		}
		due = append(due, ref)
	}
	return due
}

// allOwn reports whether tags exist, and the run's record proves all of them to be this
// run's work. Moving tags are expected to exist, and are not judged.
func allOwn(tags []Tag) bool {
	exists := func(t Tag) bool { return !t.Moving && t.State == Present }
	return slices.ContainsFunc(tags, exists) && !slices.ContainsFunc(tags, func(t Tag) bool { return exists(t) && !t.Own })
}

// allPushed reports whether this run has pushed each image by its digest, into one of its
// repositories at least, and returns the digest when it is one.
func allPushed(tags []Tag, images []image) (digest string, ok bool) {
	pushed := map[image]string{}
	for i, t := range tags {
		if t.Pushed != "" {
			pushed[images[i]] = t.Pushed
		}
	}
	digests := map[string]bool{}
	for i, t := range tags {
		if t.Moving {
			continue
		}
		d := pushed[images[i]]
		if d == "" {
			return "", false
		}
		digest, ok, digests[d] = d, true, true
	}
	if len(digests) > 1 {
		digest = ""
	}
	return digest, ok
}

// allReplaceable reports whether each tag that exists still names what it named before
// this run, or what the run has published: an earlier attempt was to overwrite it.
func allReplaceable(tags []Tag) bool {
	return !slices.ContainsFunc(tags, func(t Tag) bool {
		return !t.Moving && t.State == Present && !t.Own && (t.Before.State != Present || t.Before.Digest != t.Digest)
	})
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

// gaps finds the moving tags that a failed push was to move and has not, with
// the manifest that belongs there: without them a run that is done again would end
// in another state than one that never failed. Two kinds are certain. One is absent
// where its image is published: nobody's image is under it. The other still names
// what it named before this run, and this run's record proves that the image was
// published by it. Any other is somebody else's, perhaps a newer release's.
func gaps(tags []Tag) (missing, copyFrom []registry.Reference) {
	for _, t := range tags {
		if !t.Moving || t.State == Unknown {
			continue
		}
		source, ours := published(tags, t.Ref)
		if source.Digest == "" || t.Digest == source.Digest {
			continue
		}
		never := t.State == Absent && t.Before.State != Present
		still := t.State == Present && t.Digest != "" && t.Before.State == Present && t.Before.Digest == t.Digest
		if never || still && ours {
			missing = append(missing, t.Ref)
			copyFrom = append(copyFrom, source)
		}
	}
	return missing, copyFrom
}

// published is the one image that the judged tags name in ref's repository, else in
// those with the same last part; zero when they name none, or several. ours reports
// whether one of them was absent before this run.
func published(tags []Tag, ref registry.Reference) (source registry.Reference, ours bool) {
	for _, t := range tags {
		if t.Moving || t.State != Present || t.Digest == "" || path.Base(t.Ref.Repository) != path.Base(ref.Repository) {
			continue
		}
		if source.Digest != "" && source.Digest != t.Digest {
			return registry.Reference{}, false
		}
		if source.Digest == "" || t.Ref.Name() == ref.Name() {
			source = t.Ref.WithDigest(t.Digest)
		}
		ours = ours || t.Before.State == Absent
	}
	return source, ours
}

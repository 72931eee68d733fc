// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package record

import (
	"cmp"
	"path"
	"slices"
	"strings"
	"time"
)

// Image is one manifest in one repository.
type Image struct {
	Name   string // registry/repository
	Tag    string // under which it is known, "" for none
	Digest string
}

// Look is what one check of a tag saw.
type Look struct {
	Ref       string
	Moving    bool
	State     State
	Immutable Immutable
	Due       *Due // what the check decided to put under the tag, nil for nothing
}

// Seen notes a look at a tag. The first certain state of the run stays the one before
// it; later ones are now: they may show what the run itself has published.
func (r *Record) Seen(l Look) {
	t := r.put(l.Ref)
	if t == nil {
		return
	}
	t.Moving, t.Immutable, t.Due = l.Moving, &l.Immutable, l.Due
	if t.Published == nil && (t.Before == nil || t.Before.State == Unknown) {
		t.Before = &l.State
		return
	}
	t.Now = &l.State
}

// Published notes that this run pushed an image under its tag, or by its digest when it
// has no tag; source says how that is known. Another run's record is refused: it would
// prove something that is not so.
func (r *Record) Published(image Image, source string, at time.Time) error {
	if r.foreign {
		return &OtherRunError{Path: r.path, Owner: r.Run, Now: r.opener}
	}
	if image.Tag == "" {
		if !slices.ContainsFunc(r.Images, image.is) {
			r.Images = append(r.Images, Pushed{Name: image.Name, Digest: image.Digest, Source: source, At: at})
		}
		return nil
	}
	t := r.put(image.ref())
	if t.Published == nil || t.Published.Digest != image.Digest {
		t.Published = &Published{Digest: image.Digest, Source: source, At: at}
	}
	for _, p := range r.Images { // it may have been signed before it got the tag
		if image.is(p) {
			t.add(p.Signatures...)
		}
	}
	return nil
}

// Signed notes a signature on an image, at the tag that it was asked for by, or at all
// tags that are known to have its digest.
func (r *Record) Signed(image Image, s Signature) {
	s.Digest = image.Digest
	for _, e := range r.entries(image) {
		if !slices.ContainsFunc(*e.signatures, s.same) {
			*e.signatures = append(*e.signatures, s)
		}
		*e.unsigned = nil
	}
}

// NotSigned notes why an image could not be signed.
func (r *Record) NotSigned(image Image, reason string, at time.Time) {
	for _, e := range r.entries(image) {
		*e.unsigned = &Unsigned{Digest: image.Digest, Reason: reason, At: at}
	}
}

// CleanedUp notes what came of undoing a tag. It reports whether the record knows the
// tag: none is added.
func (r *Record) CleanedUp(ref string, c Cleanup) bool {
	t := r.Tag(ref)
	if t != nil {
		t.Cleanup = &c
	}
	return t != nil
}

// Before is what the tag was before this run, as far as that was seen; the zero State
// when it was not.
func (r *Record) Before(ref string) State {
	if t := r.Tag(ref); t != nil && t.Before != nil {
		return *t.Before
	}
	return State{}
}

// IsOwn reports whether the digest is what this run published, or was to put, under a tag
// that had another image before the run, or none. It lets the run go on; it is no proof
// for a clean-up, since another run of the same commit may have put the same image there.
func (r *Record) IsOwn(ref, digest string) bool {
	t := r.Tag(ref)
	return t != nil && digest != "" && r.Intended(ref) == digest &&
		t.Before != nil && t.Before.State != Unknown && t.Before.Digest != digest
}

// Intended returns the digest that this run has published under a tag, or that it was to
// put there when it ended: then nobody knows whether it has. It is "" where that is not
// known, as while the image is being built.
func (r *Record) Intended(ref string) string {
	t := r.Tag(ref)
	switch name, _, ok := cut(ref); {
	case t == nil || !ok:
		return ""
	case t.Published != nil:
		return t.Published.Digest
	case t.Due == nil:
		return ""
	case t.Due.Digest != "":
		return t.Due.Digest
	default:
		return cmp.Or(r.PushedTo(name), r.pushedAs(path.Base(name)))
	}
}

// pushedAs returns the digest of the image that this run pushed into repositories whose
// last part is base; "" for none, and for several. One build pushes one image to several
// registries.
func (r *Record) pushedAs(base string) (digest string) {
	for _, p := range r.Images {
		if path.Base(p.Name) != base || r.PushedTo(p.Name) != p.Digest {
			continue
		}
		if digest != "" && digest != p.Digest {
			return ""
		}
		digest = p.Digest
	}
	return digest
}

// PushedTo returns the digest of the image that this run pushed last into a repository
// by its digest, "" for none.
func (r *Record) PushedTo(name string) string {
	for _, p := range slices.Backward(r.Images) {
		if p.Name == name {
			return p.Digest
		}
	}
	return ""
}

// ToSign lists the images that this run has to sign: those that it published, under
// their tags or by their digests, those that a run which built nothing has found, and
// those that are still to get a tag. A moving tag that this run did not publish is
// someone else's, and what was seen to be under a tag no more is not there to be signed.
func (r *Record) ToSign() []Image {
	var images []Image
	add := func(image Image) {
		same := func(i Image) bool { return i.Name == image.Name && i.Digest == image.Digest }
		if image.Digest != "" && !slices.ContainsFunc(images, same) {
			images = append(images, image)
		}
	}
	for i := range r.Tags {
		t := &r.Tags[i]
		name, tag, ok := cut(t.Ref)
		if digest := t.digest(); ok && digest != "" && (t.Published != nil && !t.lost() || !t.Moving && t.Due == nil) {
			images = append(images, Image{Name: name, Tag: tag, Digest: digest})
		}
	}
	for i := range r.Tags {
		t := &r.Tags[i]
		if name, _, ok := cut(t.Ref); ok && t.Due != nil {
			add(Image{Name: name, Digest: t.Due.Digest})
		}
	}
	for _, p := range r.Images {
		if p.Digest == r.PushedTo(p.Name) {
			add(Image{Name: p.Name, Digest: p.Digest})
		}
	}
	return images
}

// ToTag lists the tags that this run has to put on its images, as the last check
// decided. The digest is "" for those whose image was still to be built.
func (r *Record) ToTag() []Image {
	var due []Image
	for i := range r.Tags {
		t := &r.Tags[i]
		if name, tag, ok := cut(t.Ref); ok && t.Due != nil {
			due = append(due, Image{Name: name, Tag: tag, Digest: t.Due.Digest})
		}
	}
	return due
}

// Tag returns the record's entry of ref, or nil. The pointer holds until the next tag
// is added.
func (r *Record) Tag(ref string) *Tag {
	if i := slices.IndexFunc(r.Tags, func(t Tag) bool { return t.Ref == ref }); i >= 0 {
		return &r.Tags[i]
	}
	return nil
}

// put returns the record's entry of ref, which it adds if there is none; nil when it is
// another run's record, to which nothing is added.
func (r *Record) put(ref string) *Tag {
	if t := r.Tag(ref); t != nil || r.foreign {
		return t
	}
	r.Tags = append(r.Tags, Tag{Ref: ref})
	return &r.Tags[len(r.Tags)-1]
}

// entry is where the signatures of an image are noted.
type entry struct {
	signatures *[]Signature
	unsigned   **Unsigned
}

// entries are those of an image: its tag's, or those of all tags that are known to have
// its digest, and of the image that was pushed by its digest.
func (r *Record) entries(image Image) []entry {
	if image.Tag != "" {
		if t := r.put(image.ref()); t != nil {
			return []entry{{&t.Signatures, &t.Unsigned}}
		}
		return nil
	}
	var found []entry
	for i := range r.Tags {
		t := &r.Tags[i]
		if name, _, ok := cut(t.Ref); ok && name == image.Name && (t.digest() == image.Digest || t.Due != nil && t.Due.Digest == image.Digest) {
			found = append(found, entry{&t.Signatures, &t.Unsigned})
		}
	}
	for i := range r.Images {
		if p := &r.Images[i]; image.is(*p) {
			found = append(found, entry{&p.Signatures, &p.Unsigned})
		}
	}
	return found
}

func (t *Tag) add(signatures ...Signature) {
	for _, s := range signatures {
		if !slices.ContainsFunc(t.Signatures, s.same) {
			t.Signatures = append(t.Signatures, s)
		}
	}
}

// digest is what the tag names, as far as the record knows.
func (t *Tag) digest() string {
	switch {
	case t.Published != nil && !t.lost():
		return t.Published.Digest
	case t.Now != nil: // a later look than Before
		return t.Now.Digest
	case t.Before != nil:
		return t.Before.Digest
	}
	return ""
}

// lost reports whether the tag had something else than what this run had published, or
// nothing, when it was last seen: it was undone, or somebody has moved it.
func (t *Tag) lost() bool {
	return t.Published != nil && t.Now != nil && t.Now.State != Unknown && t.Now.Digest != t.Published.Digest && !t.Now.CheckedAt.Before(t.Published.At)
}

func (s Signature) same(other Signature) bool {
	return s.Format == other.Format && s.Digest == other.Digest &&
		(s.Log == nil && other.Log == nil || s.Log != nil && other.Log != nil && s.Log.URL == other.Log.URL && s.Log.Index == other.Log.Index)
}

func (i Image) is(p Pushed) bool { return p.Name == i.Name && p.Digest == i.Digest }

func (i Image) ref() string { return i.Name + ":" + i.Tag }

// cut parts registry/repository:tag. A port has a slash behind it.
func cut(ref string) (name, tag string, ok bool) {
	i := strings.LastIndexByte(ref, ':')
	if i < 0 || strings.ContainsAny(ref[i:], "/@") || strings.Contains(ref, "@") {
		return "", "", false
	}
	return ref[:i], ref[i+1:], true
}

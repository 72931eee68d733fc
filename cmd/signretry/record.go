// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"time"

	"github.com/LerianStudio/pushguard/pkg/actions"
	"github.com/LerianStudio/pushguard/pkg/command"
	"github.com/LerianStudio/pushguard/pkg/record"
	"github.com/LerianStudio/pushguard/pkg/registry"
	"github.com/LerianStudio/pushguard/pkg/signretry"
)

// book keeps the run record up to date while images finish.
type book struct {
	path   string // "" = there is none
	record *record.Record
	err    error // the first failure to write while signing
}

func openBook(path string, env *command.Env) (*book, error) {
	run := record.RunFromEnv(env.Getenv)
	if path == "" {
		return &book{record: record.New(run)}, nil
	}
	r, err := record.LoadOrNew(path, run)
	if err != nil {
		return nil, err
	}
	return &book{path: path, record: r}, nil
}

func (b *book) save() error {
	if b.path == "" {
		return nil
	}
	return b.record.Save(b.path)
}

// add notes what came of an image at the tags that it covers: the one it was asked
// for by, or all that the record knows under its digest.
func (b *book) add(r signretry.Result) {
	for _, t := range b.tags(r.Ref) {
		for _, have := range r.Signatures {
			note(t, have, r)
		}
		t.Unsigned = nil
		if r.Status == signretry.Failed {
			t.Unsigned = &record.Unsigned{Digest: r.Ref.Digest, Reason: actions.Plain(r.Err.Error()), At: r.At}
		}
	}
	if err := b.save(); err != nil && b.err == nil {
		b.err = err
	}
}

func note(t *record.Tag, have signretry.Signature, r signretry.Result) {
	s := record.Signature{Format: string(have.Format), Digest: r.Ref.Digest, At: r.At}
	if have.Log != nil {
		s.Log = &record.LogEntry{URL: have.Log.URL, Index: have.Log.Index}
	}
	same := func(known record.Signature) bool {
		return known.Format == s.Format && known.Digest == s.Digest &&
			(known.Log == nil && s.Log == nil || known.Log != nil && s.Log != nil && known.Log.URL == s.Log.URL && known.Log.Index == s.Log.Index)
	}
	if !slices.ContainsFunc(t.Signatures, same) {
		t.Signatures = append(t.Signatures, s)
	}
}

func (b *book) tags(ref registry.Reference) []*record.Tag {
	if ref.Tag != "" {
		return []*record.Tag{b.record.Put(ref.WithTag(ref.Tag).String())}
	}
	var tags []*record.Tag
	for i := range b.record.Tags {
		t := &b.record.Tags[i]
		if known, err := registry.ParseReference(t.Ref); err == nil && known.Name() == ref.Name() && digestOf(t) == ref.Digest {
			tags = append(tags, t)
		}
	}
	return tags
}

// published notes what was pushed under a tag.
func (b *book) published(ref registry.Reference, at time.Time) {
	if ref.Tag == "" {
		return
	}
	t := b.record.Put(ref.WithTag(ref.Tag).String())
	if t.Published == nil || t.Published.Digest != ref.Digest {
		t.Published = &record.Published{Digest: ref.Digest, Source: "buildx-metadata", At: at}
	}
}

// images returns what the record knows: published by this run, or there before
// a run that built nothing. A moving tag that this run did not publish is
// someone else's.
func (b *book) images() []registry.Reference {
	var images []registry.Reference
	for i := range b.record.Tags {
		t := &b.record.Tags[i]
		ref, err := registry.ParseReference(t.Ref)
		digest := digestOf(t)
		if err != nil || !registry.ValidDigest(digest) || (t.Moving && t.Published == nil) {
			continue
		}
		ref.Digest = digest
		images = append(images, ref)
	}
	return images
}

func digestOf(t *record.Tag) string {
	switch {
	case t.Published != nil:
		return t.Published.Digest
	case t.Now != nil: // a later look than Before
		return t.Now.Digest
	case t.Before != nil && t.Before.State == record.Present:
		return t.Before.Digest
	}
	return ""
}

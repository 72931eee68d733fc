// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"time"

	"github.com/LerianStudio/pushguard/pkg/actions"
	"github.com/LerianStudio/pushguard/pkg/command"
	"github.com/LerianStudio/pushguard/pkg/record"
	"github.com/LerianStudio/pushguard/pkg/registry"
	"github.com/LerianStudio/pushguard/pkg/signretry"
)

// book keeps the run record up to date while images finish.
type book struct {
	*record.Record

	err error // the first failure to write while signing
}

// openBook opens the record. That of any run may be read.
func (a *app) openBook(env *command.Env) (*book, error) {
	path := a.tool.Common.Record
	other := a.anyRun || a.check.on
	rec, err := env.OpenRecord(path, record.Options{AnyRun: other, MustExist: other && path != ""},
		"nothing was signed; --any-run notes the signatures in another run's record, or leave out --record")
	return &book{Record: rec}, err
}

// add notes what came of an image.
func (b *book) add(r signretry.Result) {
	image := imageOf(r.Ref)
	for _, have := range r.Signatures {
		s := record.Signature{Format: string(have.Format), At: r.At}
		if have.Log != nil {
			s.Log = &record.LogEntry{URL: have.Log.URL, Index: have.Log.Index}
		}
		b.Signed(image, s)
	}
	if r.Status == signretry.Failed {
		b.NotSigned(image, actions.Plain(r.Err.Error()), r.At)
	}
	b.err = cmp.Or(b.err, b.Save())
}

// pushed notes what the metadata file says was pushed.
func (b *book) pushed(refs []registry.Reference) error {
	now := time.Now().UTC().Truncate(time.Second)
	for _, ref := range refs {
		if err := b.Published(imageOf(ref), "buildx-metadata", now); err != nil {
			return command.RecordError(fmt.Errorf("note what --metadata says was pushed: %w", err),
				"give the images as IMAGE@DIGEST in place of --metadata: another run's record only takes signatures")
		}
	}
	return nil
}

// nothingToBuild reports whether the last check has found the image, published or pushed:
// then a metadata file is none of this run's, and the record knows what to sign.
func (b *book) nothingToBuild() bool { return b.ShouldBuild != nil && !*b.ShouldBuild }

// images returns what the record knows to be published.
func (b *book) images() (refs []registry.Reference) {
	for _, i := range b.ToSign() {
		name := i.Name
		if i.Tag != "" {
			name += ":" + i.Tag
		}
		if ref, err := registry.ParseReference(name + "@" + i.Digest); err == nil {
			refs = append(refs, ref)
		}
	}
	return refs
}

func imageOf(ref registry.Reference) record.Image {
	return record.Image{Name: ref.Name(), Tag: ref.Tag, Digest: ref.Digest}
}

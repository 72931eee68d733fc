// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package cleanup

import (
	"fmt"
	"slices"
	"time"

	"github.com/LerianStudio/pushguard/pkg/record"
	"github.com/LerianStudio/pushguard/pkg/registry"
)

// Claims reads the proof out of the records of one run. A tag that several records
// name, as those of several attempts and of parallel jobs do, is taken as it was at the
// earliest certain look. Where they disagree on what was published, the later attempt
// counts; when they are of one attempt, nothing is taken as known.
func Claims(records []*record.Record) ([]Claim, error) {
	type merged struct {
		Claim

		look     time.Time // of Before
		attempt  int       // that published
		disputed bool      // by records of that attempt
	}
	tags := map[string]*merged{}
	var order []*merged
	records = slices.Clone(records)
	slices.SortStableFunc(records, func(a, b *record.Record) int { return a.Run.Attempt - b.Run.Attempt })
	for _, r := range records {
		for _, t := range r.Tags {
			c, err := claim(t)
			if err != nil {
				return nil, err
			}
			old := tags[t.Ref]
			if old == nil {
				old = &merged{Claim: c, look: checkedAt(t), attempt: r.Run.Attempt}
				tags[t.Ref], order = old, append(order, old)
				continue
			}
			if old.disputed && old.attempt == r.Run.Attempt {
				continue
			}
			if c.Before.Known && (!old.Before.Known || checkedAt(t).Before(old.look)) {
				old.Before, old.look = c.Before, checkedAt(t)
			}
			switch {
			case c.Published == "" || c.Published == old.Published:
			case old.Published == "" || old.attempt < r.Run.Attempt:
				old.Published, old.attempt, old.disputed = c.Published, r.Run.Attempt, false
			default:
				old.Published, old.Before, old.disputed = "", Before{}, true
			}
		}
	}
	claims := make([]Claim, len(order))
	for i, m := range order {
		claims[i] = m.Claim
	}
	return claims, nil
}

// Unnamed are claims to the images that the run pushed by their digests: they go where
// no tag and no index has them.
func Unnamed(records []*record.Record) ([]Claim, error) {
	var claims []Claim
	for _, r := range records {
		for _, p := range r.Images {
			ref, err := registry.ParseReference(p.Name + "@" + p.Digest)
			if err != nil {
				return nil, fmt.Errorf("read record: %w", err)
			}
			claim := Claim{Ref: ref, Before: Before{Known: true}, Published: p.Digest}
			if !slices.Contains(claims, claim) {
				claims = append(claims, claim)
			}
		}
	}
	return claims, nil
}

func checkedAt(t record.Tag) time.Time {
	if t.Before == nil {
		return time.Time{}
	}
	return t.Before.CheckedAt
}

func claim(t record.Tag) (Claim, error) {
	ref, err := registry.ParseReference(t.Ref)
	if err != nil {
		return Claim{}, fmt.Errorf("read record: %w", err)
	}
	if ref.Tag == "" || ref.Digest != "" {
		return Claim{}, fmt.Errorf("read record: %s is not a tag", t.Ref)
	}
	c := Claim{Ref: ref}
	if t.Before != nil {
		switch {
		case t.Before.State == record.Absent:
			c.Before = Before{Known: true}
		case t.Before.State == record.Present && registry.ValidDigest(t.Before.Digest):
			c.Before = Before{Known: true, Digest: t.Before.Digest}
		}
	}
	if t.Published != nil {
		if !registry.ValidDigest(t.Published.Digest) {
			return Claim{}, fmt.Errorf("read record: %s: published digest %q is none", t.Ref, t.Published.Digest)
		}
		c.Published = t.Published.Digest
	}
	return c, nil
}

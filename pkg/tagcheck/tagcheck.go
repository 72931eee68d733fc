// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

// Package tagcheck tells before a build whether the tags that it will publish
// exist: references in, a state for each, and a verdict on all.
package tagcheck

import (
	"context"
	"errors"
	"path"
	"sync"
	"time"

	"github.com/LerianStudio/pushguard/pkg/registry"
	"github.com/LerianStudio/pushguard/pkg/retry"
)

// State is what is known of a tag. It is never a yes or no.
type State string

// The states.
const (
	Absent  State = "absent"  // the registry itself said so
	Present State = "present" // with a digest
	Unknown State = "unknown" // with a reason
)

// Tag is one reference with what its registry said.
type Tag struct {
	Ref       registry.Reference
	Moving    bool // expected to exist: recorded, not judged
	State     State
	Digest    string    // when present
	Reason    string    // when unknown: auth, rate-limit, outage, not-a-registry
	Err       error     // when unknown: what happened, with a hint
	CheckedAt time.Time // UTC
}

// Header asks a registry what a reference names. [registry.Client] is one.
type Header interface {
	Head(ctx context.Context, ref registry.Reference) (registry.Descriptor, error)
}

// Check asks for all refs, each once however often it is named, registries and
// repositories side by side, and returns their states in the order asked.
// moving are patterns of path.Match for tags.
func Check(ctx context.Context, h Header, policy retry.Policy, refs []registry.Reference, moving []string) []Tag {
	var tags []Tag
	repositories := map[string][]int{}
	seen := map[registry.Reference]bool{}
	for _, ref := range refs {
		if seen[ref] {
			continue
		}
		seen[ref] = true
		repositories[ref.Name()] = append(repositories[ref.Name()], len(tags))
		tags = append(tags, Tag{Ref: ref, Moving: matches(moving, ref.Tag)})
	}
	var all sync.WaitGroup
	for _, indexes := range repositories {
		all.Go(func() {
			// The first request of a repository gets its token, the others use it.
			check(ctx, h, policy, &tags[indexes[0]])
			for _, i := range indexes[1:] {
				all.Go(func() { check(ctx, h, policy, &tags[i]) })
			}
		})
	}
	all.Wait()
	return tags
}

func check(ctx context.Context, h Header, policy retry.Policy, tag *Tag) {
	d, err := retry.Do(ctx, policy, func(ctx context.Context) (registry.Descriptor, error) {
		return h.Head(ctx, tag.Ref)
	})
	tag.CheckedAt = time.Now().UTC()
	if err == nil {
		tag.State, tag.Digest = Present, d.Digest
		return
	}
	e, ok := errors.AsType[*registry.Error](err)
	if ok && e.Kind == registry.KindNotFound {
		tag.State = Absent
		return
	}
	tag.State, tag.Err, tag.Reason = Unknown, err, "outage"
	if ok {
		tag.Reason = reason(e.Kind)
	}
}

// reason is why a tag's state is unknown. Only the four of the record exist: an
// answer that makes no sense is not a registry's.
func reason(k registry.Kind) string {
	switch k {
	case registry.KindAuth, registry.KindRateLimit, registry.KindOutage:
		return k.String()
	case registry.KindUnknown, registry.KindNotFound, registry.KindNotARegistry, registry.KindImmutable,
		registry.KindUnsupported, registry.KindReferenced, registry.KindInvalid:
	}
	return registry.KindNotARegistry.String()
}

// matches reports whether tag matches one of the patterns. [ValidPattern] has
// refused malformed ones.
func matches(patterns []string, tag string) bool {
	for _, p := range patterns {
		if ok, _ := path.Match(p, tag); ok {
			return true
		}
	}
	return false
}

// ValidPattern reports whether p is a pattern of path.Match.
func ValidPattern(p string) bool {
	_, err := path.Match(p, "")
	return err == nil
}

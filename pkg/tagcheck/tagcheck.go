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

	"github.com/LerianStudio/pushguard/pkg/bug"
	"github.com/LerianStudio/pushguard/pkg/registry"
	"github.com/LerianStudio/pushguard/pkg/registry/host"
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
	Ref    registry.Reference
	Moving bool // expected to exist: recorded, not judged
	State  State
	// Digest is set when the tag is present. It is "" when the registry does not let
	// the image be read: Err says why.
	Digest    string
	Reason    string    // when unknown: auth, rate-limit, outage, not-a-registry
	Err       error     // when unknown, or present and not readable: what happened, with a hint
	CheckedAt time.Time // UTC
	Immutable host.Immutable
	Warning   string // what a push of an absent tag will meet, "" for nothing
	Before    Before // from the run's record
	// Own says that the run's record proves that this run put the image under the tag: it
	// is an earlier attempt's work, and not taken.
	Own bool
	// Pushed is the image that this run pushed into the tag's repository by its digest,
	// and that is still there; "" for none.
	Pushed string
}

// Before is what a tag was before the run, when this is not the run's first look;
// else it is zero.
type Before struct {
	State  State
	Digest string
}

// Registry is what this package needs of registries; none of it retries.
// [host.Registries] is one.
type Registry interface {
	// Head tells what a reference names.
	Head(ctx context.Context, ref registry.Reference) (registry.Descriptor, error)
	// Challenges reports whether a first request is likely to be met with a challenge.
	Challenges(ref registry.Reference) bool
	// Of tells what is known of ref's registry, and what else it can do.
	Of(ref registry.Reference) interface{ About() *host.Host }
	// WarnCreate tells what a push will meet where the image is absent.
	WarnCreate(absent *registry.Error) string
}

// Checker asks registries for tags. It changes nothing.
type Checker struct {
	Registry Registry
	Policy   retry.Policy
}

// Check asks for all refs, each once however often it is named, registries and
// repositories side by side, and returns their states in the order asked.
// moving are patterns of path.Match for tags.
func (c Checker) Check(ctx context.Context, refs []registry.Reference, moving []string) []Tag {
	tags := make([]Tag, 0, len(refs)) // never grows: pointers into it hold
	repositories := map[string][]*Tag{}
	seen := map[registry.Reference]bool{}
	for _, ref := range refs {
		if seen[ref] {
			continue
		}
		seen[ref] = true
		tags = append(tags, Tag{Ref: ref, Moving: Matches(moving, ref.Tag)})
		repositories[ref.Name()] = append(repositories[ref.Name()], &tags[len(tags)-1])
	}
	var all sync.WaitGroup
	for _, group := range repositories {
		all.Go(func() {
			defer bug.Catch()
			c.repository(ctx, group)
		})
	}
	all.Wait()
	return tags
}

// repository asks for the tags of one repository.
func (c Checker) repository(ctx context.Context, tags []*Tag) {
	var all sync.WaitGroup
	rules, hasRules := c.Registry.Of(tags[0].Ref).(host.TagRules)
	if hasRules { // asked beside the registry: the answer is kept
		all.Go(func() {
			defer bug.Catch()
			_, _ = rules.Immutable(ctx, tags[0].Ref)
		})
	}
	rest := tags
	if first := tags[0]; c.Registry.Challenges(first.Ref) {
		// The first request of a repository gets its token, the others use it.
		c.check(ctx, first)
		rest = tags[1:]
		if first.Reason == "outage" || first.Reason == "rate-limit" {
			for _, t := range rest {
				t.same(first) // it has been asked for as long as the policy allows
			}
			rest = nil
		}
	}
	for _, t := range rest {
		all.Go(func() {
			defer bug.Catch()
			c.check(ctx, t)
		})
	}
	all.Wait()
	for _, t := range tags {
		if hasRules {
			t.Immutable, _ = rules.Immutable(ctx, t.Ref)
		}
		c.explain(ctx, t)
	}
}

// CheckPushed asks for the images that the run has pushed by their digests into the tags'
// repositories, as pushedTo knows them, and notes those that are there.
func (c Checker) CheckPushed(ctx context.Context, tags []Tag, pushedTo func(name string) string) {
	asked := map[string]error{} // by repository: how the request for its image ended
	for i := range tags {
		t := &tags[i]
		name := t.Ref.Name()
		digest := pushedTo(name)
		if digest == "" || t.State == Unknown {
			continue
		}
		if _, again := asked[name]; !again {
			_, asked[name] = retry.Do(ctx, c.Policy, func(ctx context.Context) (registry.Descriptor, error) {
				return c.Registry.Head(ctx, t.Ref.WithDigest(digest))
			})
		}
		err := asked[name]
		e, ok := errors.AsType[*registry.Error](err)
		switch {
		case err == nil:
			t.Pushed = digest
		case !ok || e.Kind != registry.KindNotFound: // then a second build may not be needed
			t.unknown(err)
		}
	}
}

// explain asks the API beside a registry what its refusal means.
func (c Checker) explain(ctx context.Context, t *Tag) {
	refusal, ok := errors.AsType[*registry.Error](t.Err)
	explainer, can := c.Registry.Of(t.Ref).(host.Explainer)
	if !ok || !can || t.State != Unknown || refusal.Kind != registry.KindAuth {
		return
	}
	absent, better := explainer.Explain(ctx, t.Ref, refusal)
	if absent {
		t.State, t.Reason, t.Err = Absent, "", nil
		return
	}
	t.Err = better
}

func (c Checker) check(ctx context.Context, tag *Tag) {
	d, err := retry.Do(ctx, c.Policy, func(ctx context.Context) (registry.Descriptor, error) {
		return c.Registry.Head(ctx, tag.Ref)
	})
	tag.CheckedAt = time.Now().UTC()
	if err == nil {
		tag.State, tag.Digest = Present, d.Digest
		return
	}
	e, ok := errors.AsType[*registry.Error](err)
	switch {
	case ok && e.Kind == registry.KindNotFound:
		tag.State, tag.Warning = Absent, c.Registry.WarnCreate(e)
	case ok && e.Kind == registry.KindUnreadable:
		tag.State, tag.Err = Present, err
	default:
		tag.unknown(err)
	}
}

// unknown notes why the tag could not be asked for.
func (t *Tag) unknown(err error) {
	t.State, t.Digest, t.Reason, t.Err = Unknown, "", "outage", err
	if e, ok := errors.AsType[*registry.Error](err); ok {
		t.Reason = reason(e.Kind)
	}
}

// same takes over what another tag of the repository met.
func (t *Tag) same(other *Tag) {
	t.State, t.Reason, t.Err, t.CheckedAt = other.State, other.Reason, other.Err, other.CheckedAt
	if e, ok := errors.AsType[*registry.Error](other.Err); ok {
		own := *e
		own.Ref = t.Ref
		t.Err = &own
	}
}

// reason is why a tag's state is unknown. Only the four of the record exist: an
// answer that makes no sense is not a registry's.
func reason(k registry.Kind) string {
	switch k {
	case registry.KindAuth, registry.KindRateLimit, registry.KindOutage:
		return k.String()
	case registry.KindForbidden:
		return registry.KindAuth.String()
	default:
		return registry.KindNotARegistry.String()
	}
}

// Matches reports whether tag matches one of the patterns. [ValidPattern] has
// refused malformed ones.
func Matches(patterns []string, tag string) bool {
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

// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package cleanup

import (
	"context"
	"fmt"
	"slices"

	"github.com/LerianStudio/pushguard/pkg/registry"
	"github.com/LerianStudio/pushguard/pkg/retry"
)

// delete removes one tag, on any registry but GHCR: by tag, or by digest where the
// registry does not offer that and nothing that must be kept has the digest.
func (r *run) delete(ctx context.Context, s Step) Report {
	ref := s.Claim.Ref
	tries := 0
	outcome, err := retry.Do(ctx, r.Policy, func(ctx context.Context) (Report, error) {
		tries++
		now, err := r.look(ctx, ref)
		switch {
		case err != nil:
			return Report{}, err
		case now == "" && tries == 1:
			return Report{Step: s, Outcome: Gone, Detail: "it is no longer there"}, nil
		case now == "": // the answer to the last DELETE was lost
			return Report{Step: s, Outcome: Done}, nil
		case now != s.Now:
			return moved(s, now), nil
		}
		err = r.deleteTag(ctx, ref)
		if err == nil && r.onHub(ref) {
			// A third look would be one request a tag too many; the API answers for
			// the same database that the registry reads.
			return Report{Step: s, Outcome: Done}, nil
		}
		if isKind(err, registry.KindUnsupported) && !r.onHub(ref) {
			err = r.deleteDigest(ctx, s, err)
		}
		if err != nil && !isKind(err, registry.KindNotFound) {
			return Report{}, err
		}
		now, lookErr := r.look(ctx, ref)
		if lookErr != nil {
			return Report{}, lookErr
		}
		switch {
		case now != "" && err != nil: // not there for who deletes, there for who reads
			return Report{}, asRight(err)
		case now != "":
			return blocked(s, "the registry accepted the deletion, but the tag is still there", byHand(s)), nil
		}
		return Report{Step: s, Outcome: Done}, nil
	})
	if err != nil {
		return refused(s, err)
	}
	return outcome
}

func (c Cleaner) onHub(ref registry.Reference) bool {
	return ref.Registry == registry.DockerHub && c.Hub != nil
}

// deleteTag sends the one request that removes a tag and nothing else.
func (c Cleaner) deleteTag(ctx context.Context, ref registry.Reference) error {
	if c.onHub(ref) {
		return c.Hub.DeleteTag(ctx, ref)
	}
	return c.Registry.DeleteTag(ctx, ref)
}

// deleteDigest removes the manifest and with it every tag that has it. refusal is
// why the tag alone cannot be deleted; it stays the answer when the digest is in use.
func (r *run) deleteDigest(ctx context.Context, s Step, refusal error) error {
	ours := r.ours(s)
	all, err := r.reach(ctx, s.Claim.Ref, func(tag, digest string) bool { return ours[tag] && digest == s.Now })
	if err != nil {
		if retry.Transient(err) {
			return err
		}
		return fmt.Errorf("%w; it could be deleted by digest, but its other tags could not be listed: %w", refusal, err)
	}
	if user := all.by(s.Now); user != "" {
		return &neededError{fmt.Errorf("%w; deleting the digest would take %s with it", refusal, s.Claim.Ref.WithTag(user)), r.planned(s.Claim.Ref.WithTag(user))}
	}
	return r.Registry.DeleteManifest(ctx, s.Claim.Ref.WithDigest(s.Now))
}

// neededError says that a tag needs the image; waits, that the plan still deletes
// that tag.
type neededError struct {
	error
	waits bool
}

func (e *neededError) Unwrap() error { return e.error }

// planned reports whether the plan deletes a tag and has not come to it yet.
func (r *run) planned(ref registry.Reference) bool {
	return !r.done[ref] && slices.ContainsFunc(r.plan, func(s Step) bool { return s.Action == Delete && s.Refusal == nil && s.Claim.Ref == ref })
}

// ours are the tags of the image of s that the plan deletes.
func (r *run) ours(s Step) map[string]bool {
	tags := map[string]bool{}
	for _, other := range r.plan {
		if other.Action == Delete && other.Refusal == nil && other.Now == s.Now && other.Claim.Ref.Name() == s.Claim.Ref.Name() {
			tags[other.Claim.Ref.Tag] = true
		}
	}
	return tags
}

// immutable tells before trying that Docker Hub does not delete the tag. settings
// are the repositories that were read; one that cannot be read is not asked again:
// the deletion itself will say what is wrong.
func (c Cleaner) immutable(ctx context.Context, s Step, settings map[string]*registry.HubRepository) *Refusal {
	if c.Hub == nil {
		return nil
	}
	name := s.Claim.Ref.Name()
	repository, asked := settings[name]
	if !asked {
		got, err := retry.Do(ctx, c.Policy, func(ctx context.Context) (registry.HubRepository, error) {
			return c.Hub.Repository(ctx, s.Claim.Ref)
		})
		if err == nil {
			repository = &got
		}
		settings[name] = repository
	}
	if repository == nil {
		return nil
	}
	immutable, rule := repository.Immutable(s.Claim.Ref.Tag)
	if !immutable {
		return nil
	}
	why := "all tags of the repository are immutable on Docker Hub"
	if rule != "" {
		why = fmt.Sprintf("the tag is immutable on Docker Hub by the rule %q", rule)
	}
	return &Refusal{why, hubImmutable(s)}
}

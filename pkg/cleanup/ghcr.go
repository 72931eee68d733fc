// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package cleanup

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/LerianStudio/pushguard/pkg/registry"
	"github.com/LerianStudio/pushguard/pkg/retry"
)

// versionsOf finds the versions that have the claimed tags on GHCR, in one listing a
// package that ends when all are found. A package that cannot be listed has none
// here: its tags are asked for at the registry, and the deletion will say why.
func (c Cleaner) versionsOf(ctx context.Context, claims []Claim) map[registry.Reference]registry.PackageVersion {
	found := map[registry.Reference]registry.PackageVersion{}
	wanted := map[string][]registry.Reference{}
	for _, claim := range claims {
		if claim.Ref.Registry == registry.GHCR && c.Packages != nil {
			wanted[claim.Ref.Name()] = append(wanted[claim.Ref.Name()], claim.Ref)
		}
	}
	for _, refs := range wanted {
		tags := map[string]bool{}
		for _, ref := range refs {
			tags[ref.Tag] = true
		}
		_, _ = retry.Do(ctx, c.Policy, func(ctx context.Context) (struct{}, error) {
			for v, err := range c.Packages.Versions(ctx, refs[0]) {
				if err != nil {
					return struct{}{}, err
				}
				for _, tag := range v.Tags {
					if tags[tag] {
						delete(tags, tag)
						found[refs[0].WithTag(tag)] = v
					}
				}
				if len(tags) == 0 {
					break
				}
			}
			return struct{}{}, nil
		})
	}
	return found
}

// find looks for the version that has a digest, in one listing.
func (c Cleaner) find(ctx context.Context, ref registry.Reference, digest string) (registry.PackageVersion, error) {
	for v, err := range c.Packages.Versions(ctx, ref) {
		if err != nil || v.Digest == digest {
			return v, err
		}
	}
	// What was pushed just now may not be listed yet.
	return registry.PackageVersion{}, &registry.Error{
		Op: "find the package version of", Ref: ref.WithDigest(digest), Kind: registry.KindOutage, Service: "api.github.com",
		Status: http.StatusOK, Message: "the list of versions lacks it",
	}
}

// deleteOnGHCR removes a tag with the package version that has it, if every tag of
// that version is ours.
func (r *run) deleteOnGHCR(ctx context.Context, s Step) Report {
	if undo, done := r.versions[s.version.ID]; done && s.version.ID != 0 {
		return Report{Step: s, Outcome: Done, Undo: undo}
	}
	if s.throwAway {
		return r.finishDetach(ctx, s, s.Now, "")
	}
	tries := 0
	index := ""
	var others []string
	outcome, err := retry.Do(ctx, r.Policy, func(ctx context.Context) (report Report, err error) {
		tries++
		others = nil
		if s.version.ID == 0 {
			if s.version, err = r.find(ctx, s.Claim.Ref, s.Now); err != nil {
				return r.unlisted(ctx, s, tries, err)
			}
		}
		v, err := r.Packages.Version(ctx, s.Claim.Ref, s.version.ID)
		switch {
		case isKind(err, registry.KindNotFound):
			return r.unlisted(ctx, s, tries, err)
		case err != nil:
			return Report{}, err
		case v.Digest != s.Now || !slices.Contains(v.Tags, s.Claim.Ref.Tag):
			return r.unlisted(ctx, s, tries, &registry.Error{
				Op: "read a package version of", Ref: s.Claim.Ref, Kind: registry.KindOutage, Service: "api.github.com",
				Status: http.StatusOK, Message: "the version does not have the tag, which the registry has",
			})
		}
		ours := r.ours(s)
		others = slices.DeleteFunc(slices.Clone(v.Tags), func(tag string) bool { return ours[tag] })
		if len(others) > 0 {
			return Report{}, nil
		}
		if index, err = r.neededByOthers(ctx, s); err != nil || index != "" {
			return Report{}, err
		}
		return r.deleteVersion(ctx, s, v)
	})
	switch {
	case err != nil:
		return refused(s, err)
	case index != "":
		return blocked(s, fmt.Sprintf("the image under %s contains it", s.Claim.Ref.WithTag(index)), "move or delete that tag first, then run regcleanup again")
	case len(others) > 0 && r.Detach:
		return r.detach(ctx, s, others)
	case len(others) > 0:
		refusal := shared(s, others)
		return blocked(s, refusal.Reason, refusal.ByHand)
	}
	return outcome
}

func shared(s Step, others []string) *Refusal {
	return &Refusal{
		fmt.Sprintf("its package version %d has other tags as well (%s), and GitHub only deletes whole versions", s.version.ID, list(others)),
		"run regcleanup --delete --detach, which moves only this tag off the version",
	}
}

// unlisted tells what became of a tag whose version is not there: the registry says.
func (r *run) unlisted(ctx context.Context, s Step, tries int, err error) (Report, error) {
	now, lookErr := r.look(ctx, s.Claim.Ref)
	switch {
	case lookErr != nil:
		return Report{}, lookErr
	case now == "" && tries == 1:
		return Report{Step: s, Outcome: Gone, Detail: "it is no longer there"}, nil
	case now == "": // the answer to the last DELETE was lost
		return Report{Step: s, Outcome: Done, Undo: restoreLine(s.version)}, nil
	case now != s.Now:
		return moved(s, now), nil
	}
	return Report{}, asRight(err)
}

// asRight reads a 404 for something that the registry has: the token lacks the right.
func asRight(err error) error {
	if e, ok := asError(err); ok && e.Kind == registry.KindNotFound {
		denied := *e
		denied.Kind = registry.KindAuth
		return &denied
	}
	return err
}

func (r *run) deleteVersion(ctx context.Context, s Step, v registry.PackageVersion) (Report, error) {
	if r.Prune {
		children, err := r.childrenOf(ctx, s.Claim.Ref.WithDigest(v.Digest))
		if err != nil {
			return Report{}, err
		}
		r.children[s.Claim.Ref.WithDigest(v.Digest)] = children
	}
	err := r.Packages.DeleteVersion(ctx, s.Claim.Ref, v.ID)
	if isKind(err, registry.KindNotFound) {
		// Gone meanwhile, or listed and not ours to delete: GitHub answers both alike.
		_, again := r.Packages.Version(ctx, s.Claim.Ref, v.ID)
		switch {
		case again == nil:
			return Report{}, asRight(err)
		case !isKind(again, registry.KindNotFound):
			return Report{}, again
		}
		err = nil
	}
	if err != nil {
		return Report{}, err
	}
	r.versions[v.ID] = restoreLine(v)
	return Report{Step: s, Outcome: Done, Undo: restoreLine(v)}, nil
}

// restoreLine is the command that brings a deleted version back within thirty days.
func restoreLine(v registry.PackageVersion) string {
	if v.Path == "" {
		return ""
	}
	return "gh api -X POST " + v.Path + "/restore"
}

// list names at most five tags.
func list(tags []string) string {
	text := ""
	for i, tag := range tags {
		if i == 5 {
			return fmt.Sprintf("%s and %d more", text, len(tags)-i)
		}
		if i > 0 {
			text += ", "
		}
		text += tag
	}
	return text
}

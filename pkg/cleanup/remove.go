// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package cleanup

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/LerianStudio/pushguard/pkg/change"
	"github.com/LerianStudio/pushguard/pkg/registry"
	"github.com/LerianStudio/pushguard/pkg/registry/host"
	"github.com/LerianStudio/pushguard/pkg/retry"
)

// delete carries out the deletion of a tag.
func (r *run) delete(ctx context.Context, s Step) Report {
	ref := s.Claim.Ref
	// A list of the tags from before the first deletion: later ones are believed only if
	// an earlier one showed what was there.
	r.firstList(ctx, ref)
	outcome, now, err := r.removeTag(ctx, ref, s.Now, r.goes(s))
	shared, ok := errors.AsType[*sharedError](err)
	switch {
	case ok && r.Detach:
		return r.detach(ctx, s, shared.others)
	case ok:
		refusal := r.shared(s, shared)
		return blocked(s, refusal.Reason, refusal.ByHand)
	}
	undo, went := r.deleted[ref]
	if went && err == nil && outcome == change.Found { // with the version of an earlier step
		outcome = change.Made
	}
	report := r.report(s)(outcome, now, err)
	if report.Outcome == Done {
		report.Undo = undo
	}
	return report
}

// deleteImage deletes an image that the run pushed by its digest, unless a tag or an
// index has it.
func (r *run) deleteImage(ctx context.Context, s Step) Report {
	r.firstList(ctx, s.Claim.Ref)
	outcome, err := r.removeManifest(ctx, s.Claim.Ref)
	if needed, ok := errors.AsType[*neededError](err); ok {
		if needed.tag.Tag == "" {
			return Report{Step: s, Outcome: Kept, Detail: "it was there before this run"}
		}
		return Report{Step: s, Outcome: Kept, Detail: needed.tag.String() + " needs it", waits: needed.waits}
	}
	return r.report(s)(outcome, s.Now, err)
}

// goes reports of a tag that the plan deletes it as it is: with the image of s.
func (r *run) goes(s Step) func(tag, digest string) bool {
	tags := map[string]bool{}
	for _, other := range r.plan {
		if other.Action == Delete && other.Refusal == nil && other.Now == s.Now && other.Claim.Ref.Name() == s.Claim.Ref.Name() {
			tags[other.Claim.Ref.Tag] = true
		}
	}
	return func(tag, digest string) bool { return tags[tag] && digest == s.Now }
}

// removeTag takes away a tag that has the image digest, in the way that its registry
// offers: with its package version, by the registry's own API, by tag, or by digest.
// goes reports which other tags may go with the image.
func (r *run) removeTag(ctx context.Context, ref registry.Reference, digest string, goes func(tag, digest string) bool) (change.Outcome, string, error) {
	remove := change.Change{Ref: ref, From: digest, To: ""}
	switch of := r.Registry.Of(ref).(type) {
	case host.VersionDeleter:
		return r.removeVersion(ctx, of, ref, digest, goes)
	case host.TagDeleter:
		remove.Act = func(ctx context.Context) error { return of.DeleteTag(ctx, ref) }
		return r.removed(ref)(remove.Do(ctx, r.Policy, r.Registry))
	}
	remove.Act = func(ctx context.Context) error { return r.Registry.DeleteTag(ctx, ref) }
	outcome, now, refusal := remove.Do(ctx, r.Policy, r.Registry)
	if !isRefusedForm(refusal) {
		return r.removed(ref)(outcome, now, refusal)
	}
	remove.Prove = func(ctx context.Context) error {
		own := func(tag, named string) bool { return tag == ref.Tag && named == digest || goes(tag, named) }
		err := r.free(ctx, ref.WithDigest(digest), own, 0)
		if err != nil && !retry.Transient(err) {
			return fmt.Errorf("%w; %w", asUnsupported(refusal), err)
		}
		return err
	}
	remove.Act = func(ctx context.Context) error { return r.Registry.DeleteManifest(ctx, ref.WithDigest(digest)) }
	return r.removed(ref)(remove.Do(ctx, r.Policy, r.Registry))
}

// removed forgets a tag that is gone.
func (r *run) removed(ref registry.Reference) func(change.Outcome, string, error) (change.Outcome, string, error) {
	return func(outcome change.Outcome, now string, err error) (change.Outcome, string, error) {
		if err == nil && now == "" && ref.Tag != "" {
			r.repository(ref).forget(ref.Tag)
		}
		return outcome, now, err
	}
}

// isRefusedForm reports whether a registry refused to delete by tag, and not to delete.
// They do it in many ways: 405, 400 (registry:2), 404 while the tag is there (Nexus),
// 406 (Artifactory), a text page (ECR before 2024).
func isRefusedForm(err error) bool {
	if _, ok := errors.AsType[*change.StillThereError](err); ok {
		return true
	}
	e, ok := errors.AsType[*registry.Error](err)
	return ok && (e.Kind == registry.KindUnsupported || e.Kind == registry.KindInvalid)
}

// asUnsupported reads a refusal to delete by tag as what it is.
func asUnsupported(err error) error {
	e, ok := errors.AsType[*registry.Error](err)
	if !ok {
		return err
	}
	refusal := *e
	refusal.Kind, refusal.Next = registry.KindUnsupported, ""
	return &refusal
}

// sharedError says that a package version has tags that must stay, or, without others,
// that it was there before the run.
type sharedError struct {
	version host.Version
	others  []string
}

func (e *sharedError) Error() string {
	return fmt.Sprintf("the package version %d %s", e.version.ID, e.why())
}

func (e *sharedError) why() string {
	if len(e.others) == 0 {
		return "was there before this run"
	}
	return fmt.Sprintf("has other tags as well (%s)", list(e.others))
}

// removeVersion deletes the package version that has an image, when every tag on it
// goes and no other tag needs the image. ref has the image: a tag, or the digest of a
// manifest without tags.
func (r *run) removeVersion(ctx context.Context, versions host.VersionDeleter, ref registry.Reference, digest string, goes func(tag, digest string) bool) (change.Outcome, string, error) {
	image := ref.WithDigest(digest)
	own := func(tag, named string) bool { return tag == ref.Tag && named == digest || goes(tag, named) }
	var version host.Version
	remove := change.Change{Ref: ref, From: digest, To: ""}
	remove.Prove = func(ctx context.Context) (err error) {
		if version, err = r.version(ctx, versions, ref, digest, version.ID); err != nil {
			return err
		}
		others := slices.DeleteFunc(slices.Clone(version.Tags), func(tag string) bool { return own(tag, digest) })
		if len(others) > 0 || r.older(image) {
			return &sharedError{version, others}
		}
		if err := r.free(ctx, image, own, fresh); err != nil {
			return err
		}
		if r.Prune && r.children[image] == nil {
			r.children[image], err = r.childrenOf(ctx, image)
		}
		return err
	}
	remove.Act = func(ctx context.Context) error { return versions.DeleteVersion(ctx, ref, version.ID) }
	outcome, now, err := remove.Do(ctx, r.Policy, r.Registry)
	if err == nil && outcome == change.Made {
		for _, tag := range version.Tags {
			r.deleted[ref.WithTag(tag)] = version.Restore
		}
	}
	return r.removed(ref)(outcome, now, err)
}

// version reads the package version that has an image, by its id when it is known.
func (r *run) version(ctx context.Context, versions host.VersionDeleter, ref registry.Reference, digest string, id int64) (host.Version, error) {
	if id == 0 {
		for _, s := range r.plan {
			if s.version.Digest == digest && s.Claim.Ref.Name() == ref.Name() {
				id = s.version.ID
			}
		}
	}
	if id == 0 {
		found, err := find(ctx, versions, ref, digest)
		if registry.IsNotFound(err) { // the registry has it: the token may not see the package
			err = &change.StillThereError{Err: err}
		}
		if err != nil {
			return found, err
		}
		id = found.ID
	}
	v, err := versions.Version(ctx, ref, id)
	switch {
	case registry.IsNotFound(err): // the registry has it: the token may not see it
		return v, &change.StillThereError{Err: err}
	case err != nil:
		return v, err
	case v.Digest != digest, ref.Tag != "" && !slices.Contains(v.Tags, ref.Tag):
		return v, lags("read a package version of", ref, "the version does not have the tag, which the registry has")
	}
	return v, nil
}

// find looks for the version that has a digest, in one listing.
func find(ctx context.Context, versions host.VersionDeleter, ref registry.Reference, digest string) (host.Version, error) {
	for v, err := range versions.Versions(ctx, ref) {
		if err != nil || v.Digest == digest {
			return v, err
		}
	}
	return host.Version{}, lags("find the package version of", ref.WithDigest(digest), "the list of versions lacks it")
}

// lags is the error of an API that does not show yet what its registry has.
func lags(op string, ref registry.Reference, message string) error {
	return &registry.Error{Op: op, Ref: ref, Kind: registry.KindOutage, Status: http.StatusOK, Message: message}
}

// removeManifest removes a manifest that no tag needs.
func (r *run) removeManifest(ctx context.Context, image registry.Reference) (change.Outcome, error) {
	if versions, ok := r.Registry.Of(image).(host.VersionDeleter); ok {
		if _, err := find(ctx, versions, image, image.Digest); isLag(err) {
			return change.Found, nil // listed no more: gone
		}
		outcome, _, err := r.removeVersion(ctx, versions, image, image.Digest, nobody)
		return outcome, err
	}
	outcome, _, err := change.Change{
		Ref: image, From: image.Digest, To: "",
		Prove: func(ctx context.Context) error { return r.free(ctx, image, nobody, fresh) },
		Act:   func(ctx context.Context) error { return r.Registry.DeleteManifest(ctx, image) },
	}.Do(ctx, r.Policy, r.Registry)
	return outcome, err
}

func nobody(string, string) bool { return false }

func isLag(err error) bool {
	e, ok := errors.AsType[*registry.Error](err)
	return ok && e.Kind == registry.KindOutage && e.Status == http.StatusOK
}

// childrenOf lists what an index contains; it is empty and not nil for an image.
func (r *run) childrenOf(ctx context.Context, image registry.Reference) ([]string, error) {
	m, err := r.Registry.Manifest(ctx, image)
	if err != nil {
		return nil, err
	}
	index, err := manifestsIn(m)
	if err != nil {
		return nil, err
	}
	digests := []string{}
	for _, d := range index {
		digests = append(digests, d.Digest)
	}
	return digests, nil
}

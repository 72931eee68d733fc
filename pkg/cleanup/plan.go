// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

// Package cleanup undoes what a failed run published: records in, a plan out, and
// the plan carried out. It acts on a tag only with proof that the run put it there,
// and reads it again right before it acts. In doubt it keeps, and says why.
package cleanup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/LerianStudio/pushguard/pkg/change"
	"github.com/LerianStudio/pushguard/pkg/registry"
	"github.com/LerianStudio/pushguard/pkg/registry/host"
	"github.com/LerianStudio/pushguard/pkg/retry"
)

// Registry is what this package needs of registries; none of it retries.
// [host.Registries] is one.
type Registry interface {
	change.Putter
	Manifest(ctx context.Context, ref registry.Reference) (registry.Manifest, error)
	DeleteTag(ctx context.Context, ref registry.Reference) error
	DeleteManifest(ctx context.Context, ref registry.Reference) error
	Tags(ctx context.Context, ref registry.Reference) ([]string, error)
	Referrers(ctx context.Context, ref registry.Reference, artifactType string) ([]registry.Descriptor, error)
	Blob(ctx context.Context, ref registry.Reference, d registry.Descriptor, limit int64) ([]byte, error)
	// Of tells what is known of ref's registry, and what else it can do.
	Of(ref registry.Reference) interface{ About() *host.Host }
	// ByHand tells how a person does what the registry refused.
	ByHand(c host.Change, refusal *registry.Error) string
}

// Cleaner plans and carries out. It changes a tag only with proof, see decide.
type Cleaner struct {
	Registry Registry
	Policy   retry.Policy
	// Commit is this run's, when the revision label of an image may stand for the
	// proof that is missing after a push that failed half-way; "" otherwise.
	Commit string
	// Detach moves our tag off a package version that has other tags.
	Detach bool
	// Prune deletes the untagged parts of a deleted image where the registry keeps them.
	Prune bool
	// OnReport, if set, is told of each step as it ends, before the next begins.
	OnReport func(Report)
}

// Claim is what a record says of one tag: the proof that an action needs.
type Claim struct {
	Ref       registry.Reference
	Before    Before
	Published string // digest that this run pushed, "" when it is not known
}

// Before is the state of a tag before the run: the zero value is unknown.
type Before struct {
	Known  bool
	Digest string // "" for absent
}

// Action is what is to be done with a tag.
type Action string

// The actions.
const (
	Delete  Action = "delete"
	Restore Action = "restore" // put the manifest from before under the tag again
	Keep    Action = "keep"
)

// Step is one tag of a plan.
type Step struct {
	Claim Claim
	// Now is the digest that the tag has, "" when the registry says that it has none.
	Now    string
	Action Action
	Proof  string // what the action rests on
	Reason string // why
	// Err is set when the registry could not be asked; the action is Keep then.
	Err error
	// Refusal is set when it is known before trying that the registry refuses.
	Refusal *Refusal
	// Part is what of the image this is about, "" for the tag.
	Part Part

	version   host.Version // the package version that has the tag, when it is known
	throwAway bool         // Now is what an interrupted detach left
	waits     int          // how often it was put off
}

// Refusal is why a registry does not do it, and how a person does.
type Refusal struct{ Reason, ByHand string }

// Part is what of an image is deleted besides its tag.
type Part string

// The parts.
const (
	Signatures Part = "signatures" // and attestations
	Children   Part = "children"   // manifests of the platforms
)

// decide is the proof table of docs/design.md. now is "" for an absent tag; revision
// is the tag's org.opencontainers.image.revision, "" when it is not asked for.
func decide(c Claim, now, revision, commit string) (action Action, proof, reason string) {
	before := c.Before
	switch {
	case now == "":
		return Keep, "the tag is not there", "nothing to undo"
	case before.Known && before.Digest == now:
		return Keep, "the tag is as it was before", "nothing to undo"
	case !before.Known:
		return Keep, "what the tag was before is not known", "without it nothing proves that this run created it"
	case c.Published != "" && c.Published != now:
		return Keep, fmt.Sprintf("published %s, now %s", registry.ShortDigest(c.Published), registry.ShortDigest(now)), "someone else moved it"
	case c.Published != "" && before.Digest == "":
		return Delete, "absent before, now what this run published", "this run created it"
	case c.Published != "":
		return Restore, "had another image before, now what this run published", "this run moved it"
	case before.Digest == "" && commit != "" && revision == commit:
		return Delete, "absent before, its revision label is this run's commit", "this run created it"
	}
	return Keep, "what this run published is not known", "the push may be another run's; --accept-revision-label compares the image's commit"
}

// Plan says for each claim what is to be done, in the order given. It changes nothing.
func (c Cleaner) Plan(ctx context.Context, claims []Claim) []Step {
	found := c.versionsOf(ctx, claims)
	steps := make([]Step, len(claims))
	for i, claim := range claims {
		steps[i] = c.step(ctx, claim, found[claim.Ref])
		if steps[i].Action == Delete {
			steps[i].Refusal = c.immutable(ctx, steps[i])
		}
	}
	if !c.Detach {
		refuseShared(steps, c)
	}
	return steps
}

// versionsOf finds the package versions that have the claimed tags, in one listing a
// package that ends when all are found. A package that cannot be listed has none here:
// its tags are asked for at the registry, and the deletion will say why.
func (c Cleaner) versionsOf(ctx context.Context, claims []Claim) map[registry.Reference]host.Version {
	found := map[registry.Reference]host.Version{}
	wanted := map[string][]registry.Reference{}
	for _, claim := range claims {
		if _, ok := c.Registry.Of(claim.Ref).(host.VersionDeleter); ok {
			wanted[claim.Ref.Name()] = append(wanted[claim.Ref.Name()], claim.Ref)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		refs := wanted[name]
		tags := map[string]bool{}
		for _, ref := range refs {
			tags[ref.Tag] = true
		}
		versions, _ := c.Registry.Of(refs[0]).(host.VersionDeleter)
		_, _ = retry.Do(ctx, c.Policy, func(ctx context.Context) (struct{}, error) {
			for v, err := range versions.Versions(ctx, refs[0]) {
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

// immutable tells before trying that the registry does not delete the tag, where it can
// be asked. When it cannot answer, the deletion itself will say what is wrong.
func (c Cleaner) immutable(ctx context.Context, s Step) *Refusal {
	rules, ok := c.Registry.Of(s.Claim.Ref).(host.TagRules)
	if !ok || s.Claim.Ref.Tag == "" {
		return nil
	}
	found, err := rules.Immutable(ctx, s.Claim.Ref)
	if err != nil || !found.Yes {
		return nil
	}
	name := c.Registry.Of(s.Claim.Ref).About().Name
	why := "all tags of the repository are immutable on " + name
	if found.Rule != "" {
		why = fmt.Sprintf("the tag is immutable on %s by the rule %q", name, found.Rule)
	}
	return &Refusal{why, c.Registry.ByHand(s.change(), &registry.Error{Ref: s.Claim.Ref, Kind: registry.KindImmutable})}
}

// change is what a person would have to do for s by hand.
func (s Step) change() host.Change {
	c := host.Change{Ref: s.Claim.Ref, Digest: s.Now}
	if s.Action == Restore {
		c.Before = s.Claim.Before.Digest
	}
	return c
}

// refuseShared tells before trying of package versions that have other tags.
func refuseShared(steps []Step, c Cleaner) {
	undone := map[registry.Reference]bool{}
	for _, s := range steps {
		if s.Action != Keep {
			undone[s.Claim.Ref] = true
		}
	}
	for i, s := range steps {
		others := slices.DeleteFunc(slices.Clone(s.version.Tags), func(tag string) bool { return undone[s.Claim.Ref.WithTag(tag)] })
		if s.Action == Delete && len(others) > 0 {
			steps[i].Refusal = c.shared(s, &sharedError{s.version, others})
		}
	}
}

// shared is why a package version is not deleted.
func (c Cleaner) shared(s Step, e *sharedError) *Refusal {
	return &Refusal{
		fmt.Sprintf("its package version %d %s, and %s only deletes whole versions", e.version.ID, e.why(), c.Registry.Of(s.Claim.Ref).About().Name),
		"run regcleanup --delete --detach, which moves only this tag off the version",
	}
}

// step plans one tag. version has the tag as the registry's API lists it, zero when it
// does not. That list can be old: what the tag names now, the registry says.
func (c Cleaner) step(ctx context.Context, claim Claim, version host.Version) Step {
	s := Step{Claim: claim}
	now, err := c.now(ctx, claim.Ref)
	if err != nil {
		return s.unread("the registry could not be asked", err)
	}
	s.Now = now
	if version.Digest == now {
		s.version = version
	}
	image, err := c.ownImage(ctx, s)
	if err != nil {
		return s.unread("the image could not be read", err)
	}
	revision := ""
	if c.Commit != "" && claim.Published == "" && image != "" {
		if revision, err = c.revision(ctx, claim.Ref.WithDigest(image)); err != nil {
			return s.unread("the image's labels could not be read", err)
		}
	}
	s.Action, s.Proof, s.Reason = decide(claim, image, revision, c.Commit)
	if claim.Ref.Tag == "" && s.Action == Delete {
		s.Proof, s.Reason = "this run pushed it by its digest", "no tag of this run needs it"
	}
	if image != now {
		s.throwAway, s.Proof = true, "an empty image that regcleanup put there, instead of what this run published"
		if s.Action != Delete {
			s.Action, s.Reason = Keep, "nothing proves that it is this run's"
		}
	}
	return s
}

func (s Step) unread(proof string, err error) Step {
	s.Action, s.Err, s.Proof, s.Reason = Keep, err, proof, reasonOf(err)
	return s
}

// now is the digest that the tag has, "" when the registry proves that it has none.
func (c Cleaner) now(ctx context.Context, ref registry.Reference) (string, error) {
	return retry.Do(ctx, c.Policy, func(ctx context.Context) (string, error) { return change.Look(ctx, c.Registry, ref) })
}

// manifest reads what ref names.
func (c Cleaner) manifest(ctx context.Context, ref registry.Reference) (registry.Manifest, error) {
	return retry.Do(ctx, c.Policy, func(ctx context.Context) (registry.Manifest, error) { return c.Registry.Manifest(ctx, ref) })
}

func manifestOf(mediaType string, raw []byte) registry.Manifest {
	return registry.Manifest{Descriptor: registry.Descriptor{MediaType: mediaType, Digest: registry.DigestOf(raw)}, Raw: raw}
}

// Outcome is how a step ended.
type Outcome string

// The outcomes.
const (
	Planned Outcome = "planned" // not carried out, --delete was not given
	Done    Outcome = "done"
	Gone    Outcome = "gone"    // somebody else did it meanwhile
	Kept    Outcome = "kept"    // the action was to keep it
	Blocked Outcome = "blocked" // the registry does not let us; by hand it can be done
	Failed  Outcome = "failed"  // the registry could not be asked; again later
)

// Report is a step with its outcome.
type Report struct {
	Step

	Outcome Outcome
	// Detail says more than the step's reason when it is blocked, failed or moved.
	Detail string
	// ByHand is the command or page with which a person can do what was blocked.
	ByHand string
	// Undo is the command that brings back what was deleted, where there is one.
	Undo string
	At   time.Time // UTC

	waits bool // for another tag of the plan, which needs the image
}

func reasonOf(err error) string {
	if e, ok := errors.AsType[*registry.Error](err); ok {
		return e.Reason()
	}
	return err.Error()
}

// list names at most five tags.
func list(tags []string) string {
	if len(tags) > 5 {
		return fmt.Sprintf("%s and %d more", strings.Join(tags[:5], ", "), len(tags)-5)
	}
	return strings.Join(tags, ", ")
}

// revisionKey is the pre-defined annotation and label for the commit that an image
// was built from (OCI image specification, "Annotations").
const revisionKey = "org.opencontainers.image.revision"

// maxConfig bounds an image configuration, which is a few KiB.
const maxConfig = 4 << 20

// revision reads the commit that the image ref was built from: the annotation of
// the manifest or index, else the label of the (first platform's) image
// configuration. It is "" when the image does not say.
func (c Cleaner) revision(ctx context.Context, ref registry.Reference) (string, error) {
	return retry.Do(ctx, c.Policy, func(ctx context.Context) (string, error) {
		return c.revisionOf(ctx, ref, 0)
	})
}

func (c Cleaner) revisionOf(ctx context.Context, ref registry.Reference, depth int) (string, error) {
	m, err := c.Registry.Manifest(ctx, ref)
	if err != nil {
		return "", err
	}
	var image struct {
		Annotations map[string]string     `json:"annotations"`
		Config      registry.Descriptor   `json:"config"`
		Manifests   []registry.Descriptor `json:"manifests"`
	}
	if err := json.Unmarshal(m.Raw, &image); err != nil {
		return "", fmt.Errorf("read manifest of %s: %w", ref, err)
	}
	switch {
	case image.Annotations[revisionKey] != "":
		return image.Annotations[revisionKey], nil
	case len(image.Manifests) > 0 && depth < maxDepth:
		return c.revisionOf(ctx, ref.WithDigest(image.Manifests[0].Digest), depth+1)
	case !registry.ValidDigest(image.Config.Digest):
		return "", nil
	}
	data, err := c.Registry.Blob(ctx, ref, image.Config, maxConfig)
	if err != nil {
		return "", err
	}
	var config struct {
		Config struct {
			Labels map[string]string `json:"Labels"`
		} `json:"config"`
	}
	if err := json.Unmarshal(data, &config); err != nil {
		return "", nil //nolint:nilerr // not an image configuration: it has no label
	}
	return config.Config.Labels[revisionKey], nil
}

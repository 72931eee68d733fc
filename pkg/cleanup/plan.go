// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

// Package cleanup undoes what a failed run published: records in, a plan out, and
// the plan carried out. It acts on a tag only with proof that the run put it there,
// and reads it again right before it acts. In doubt it keeps, and says why.
package cleanup

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/LerianStudio/pushguard/pkg/registry"
	"github.com/LerianStudio/pushguard/pkg/retry"
)

// Registry is what this package needs of a registry; none of it retries.
// [registry.Client] is one.
type Registry interface {
	Head(ctx context.Context, ref registry.Reference) (registry.Descriptor, error)
	Manifest(ctx context.Context, ref registry.Reference) (registry.Manifest, error)
	PutManifest(ctx context.Context, ref registry.Reference, mediaType string, raw []byte) error
	DeleteTag(ctx context.Context, ref registry.Reference) error
	DeleteManifest(ctx context.Context, ref registry.Reference) error
	Tags(ctx context.Context, ref registry.Reference) ([]string, error)
	Referrers(ctx context.Context, ref registry.Reference, artifactType string) ([]registry.Descriptor, error)
	Blob(ctx context.Context, ref registry.Reference, d registry.Descriptor, limit int64) ([]byte, error)
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
}

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
		return Keep, fmt.Sprintf("published %s, now %s", shortDigest(c.Published), shortDigest(now)), "someone else moved it"
	case c.Published != "" && before.Digest == "":
		return Delete, "absent before, now what this run published", "this run created it"
	case c.Published != "":
		return Restore, "had another image before, now what this run published", "this run moved it"
	case before.Digest == "" && commit != "" && revision == commit:
		return Delete, "absent before, its revision label is this run's commit", "this run created it"
	}
	return Keep, "what this run published is not known", "the push may be another run's; --accept-revision-label compares the image's commit"
}

func shortDigest(d string) string { return d[:min(len(d), len("sha256:")+12)] }

// Planner reads the state of tags.
type Planner struct {
	Registry Registry
	Policy   retry.Policy
	// Commit is this run's, when the revision label of an image may stand for the
	// proof that is missing after a push that failed half-way; "" otherwise.
	Commit string
}

// Plan says for each claim what is to be done, in the order given. It changes nothing.
func (p Planner) Plan(ctx context.Context, claims []Claim) []Step {
	steps := make([]Step, len(claims))
	for i, c := range claims {
		steps[i] = p.step(ctx, c)
	}
	return steps
}

func (p Planner) step(ctx context.Context, c Claim) Step {
	s := Step{Claim: c}
	now, err := p.now(ctx, c.Ref)
	if err != nil {
		s.Action, s.Err = Keep, err
		s.Proof, s.Reason = "the registry could not be asked", reasonOf(err)
		return s
	}
	revision := ""
	if p.Commit != "" && c.Published == "" && now != "" {
		revision, err = p.revision(ctx, c.Ref.WithDigest(now))
		if err != nil {
			s.Action, s.Now, s.Err = Keep, now, err
			s.Proof, s.Reason = "the image's labels could not be read", reasonOf(err)
			return s
		}
	}
	s.Now = now
	s.Action, s.Proof, s.Reason = decide(c, now, revision, p.Commit)
	return s
}

// now is the digest that the tag has, "" when the registry proves that it has none.
func (p Planner) now(ctx context.Context, ref registry.Reference) (string, error) {
	d, err := retry.Do(ctx, p.Policy, func(ctx context.Context) (registry.Descriptor, error) {
		return p.Registry.Head(ctx, ref)
	})
	if isKind(err, registry.KindNotFound) {
		return "", nil
	}
	return d.Digest, err
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
	At     time.Time // UTC
}

func isKind(err error, kind registry.Kind) bool {
	e, ok := errors.AsType[*registry.Error](err)
	return ok && e.Kind == kind
}

func reasonOf(err error) string {
	if e, ok := errors.AsType[*registry.Error](err); ok {
		return e.Reason()
	}
	return err.Error()
}

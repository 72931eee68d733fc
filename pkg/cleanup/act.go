// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package cleanup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/LerianStudio/pushguard/pkg/registry"
	"github.com/LerianStudio/pushguard/pkg/retry"
)

// grace is how long the act at hand may take after the run was interrupted. A tag
// that is half restored is worse than a second of waiting.
const grace = 8 * time.Second

// Actor carries out a plan.
type Actor struct {
	Registry Registry
	Policy   retry.Policy
	// OnReport, if set, is told of each step as it ends, before the next begins.
	OnReport func(Report)
}

// Run carries out steps: first what is restored, so that its image may lose the
// last tag that is not ours, then what is deleted, then the signatures of images
// that have no tag left. It stops before the next act when ctx ends; the act at
// hand is finished. The reports are in the order of the acts.
func (a Actor) Run(ctx context.Context, steps []Step) []Report {
	var reports []Report
	tell := func(r Report) {
		r.At = time.Now().UTC()
		reports = append(reports, r)
		if a.OnReport != nil {
			a.OnReport(r)
		}
	}
	for _, action := range []Action{Keep, Restore, Delete} {
		for _, s := range steps {
			if s.Action != action {
				continue
			}
			if ctx.Err() != nil && action != Keep {
				return reports
			}
			tell(a.act(ctx, s, steps))
		}
	}
	for _, image := range a.deleted(reports) {
		if ctx.Err() != nil {
			return reports
		}
		if r, found := a.sweep(ctx, image); found {
			tell(r)
		}
	}
	return reports
}

// act carries out one step; its context outlives an interrupt by a grace.
func (a Actor) act(ctx context.Context, s Step, plan []Step) Report {
	ctx, cancel := finishing(ctx)
	defer cancel()
	switch {
	case s.Err != nil:
		return Report{Step: s, Outcome: Failed, Detail: s.Reason}
	case s.Action == Restore:
		return a.restore(ctx, s)
	case s.Action == Delete:
		return a.delete(ctx, s, plan)
	}
	return Report{Step: s, Outcome: Kept}
}

// finishing returns a context that ends when ctx runs out of time, and a grace
// after ctx is interrupted.
func finishing(ctx context.Context) (context.Context, context.CancelFunc) {
	act, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		if !errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
			select {
			case <-time.After(grace):
			case <-act.Done():
			}
		}
		cancel(context.Cause(ctx))
	})
	return act, func() {
		stop()
		cancel(nil)
	}
}

// restore puts the manifest from before under the tag again.
func (a Actor) restore(ctx context.Context, s Step) Report {
	ref, before := s.Claim.Ref, s.Claim.Before.Digest
	old, err := retry.Do(ctx, a.Policy, func(ctx context.Context) (registry.Manifest, error) {
		return a.Registry.Manifest(ctx, ref.WithDigest(before))
	})
	if isKind(err, registry.KindNotFound) {
		return blocked(s, "the image from before, "+before+", is gone; nothing was touched", "push it again under the tag, if somebody has it")
	}
	if err != nil {
		return failed(s, err)
	}
	tries := 0
	outcome, err := retry.Do(ctx, a.Policy, func(ctx context.Context) (Report, error) {
		tries++
		now, err := a.look(ctx, ref)
		switch {
		case err != nil:
			return Report{}, err
		case now == before && tries == 1:
			return Report{Step: s, Outcome: Gone, Detail: "it was restored meanwhile"}, nil
		case now == before: // the answer to the last PUT was lost
			return Report{Step: s, Outcome: Done}, nil
		case now != s.Now:
			return moved(s, now), nil
		}
		if err := a.Registry.PutManifest(ctx, ref, old.MediaType, old.Raw); err != nil {
			return Report{}, err
		}
		if now, err = a.look(ctx, ref); err != nil {
			return Report{}, err
		}
		if now != before {
			return blocked(s, "the registry took the image from before, but the tag is "+now, byHand(ref, s)), nil
		}
		return Report{Step: s, Outcome: Done}, nil
	})
	if err != nil {
		return refused(s, err)
	}
	return outcome
}

// delete removes one tag: by tag, or by digest where the registry does not offer
// that and nothing that must be kept has the digest.
func (a Actor) delete(ctx context.Context, s Step, plan []Step) Report {
	ref := s.Claim.Ref
	tries := 0
	outcome, err := retry.Do(ctx, a.Policy, func(ctx context.Context) (Report, error) {
		tries++
		now, err := a.look(ctx, ref)
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
		err = a.Registry.DeleteTag(ctx, ref)
		if isKind(err, registry.KindUnsupported) {
			err = a.deleteDigest(ctx, s, plan, err)
		}
		if err != nil && !isKind(err, registry.KindNotFound) {
			return Report{}, err
		}
		if now, err = a.look(ctx, ref); err != nil {
			return Report{}, err
		}
		if now != "" {
			return blocked(s, "the registry accepted the deletion, but the tag is still there", byHand(ref, s)), nil
		}
		return Report{Step: s, Outcome: Done}, nil
	})
	if err != nil {
		return refused(s, err)
	}
	return outcome
}

// deleteDigest removes the manifest and with it every tag that has it. refusal is
// why the tag alone cannot be deleted; it stays the answer when the digest is in use.
func (a Actor) deleteDigest(ctx context.Context, s Step, plan []Step, refusal error) error {
	var ours []string
	for _, other := range plan {
		if other.Action == Delete && other.Now == s.Now && other.Claim.Ref.Name() == s.Claim.Ref.Name() {
			ours = append(ours, other.Claim.Ref.Tag)
		}
	}
	users, err := a.users(ctx, s.Claim.Ref, s.Now, ours)
	if err != nil {
		if retry.Transient(err) {
			return err
		}
		return fmt.Errorf("%w; it could be deleted by digest, but its other tags could not be listed: %w", refusal, err)
	}
	if len(users) > 0 {
		return fmt.Errorf("%w; deleting the digest would take %s with it", refusal, users[0])
	}
	return a.Registry.DeleteManifest(ctx, s.Claim.Ref.WithDigest(s.Now))
}

// look reads what the tag is now, "" for proven absent. It is part of an attempt
// and does not retry.
func (a Actor) look(ctx context.Context, ref registry.Reference) (string, error) {
	d, err := a.Registry.Head(ctx, ref)
	if isKind(err, registry.KindNotFound) {
		return "", nil
	}
	return d.Digest, err
}

func moved(s Step, now string) Report {
	if now == "" {
		now = "no image"
	}
	return Report{Step: s, Outcome: Kept, Detail: "since the plan was made the tag was moved to " + now}
}

func blocked(s Step, detail, remedy string) Report {
	return Report{Step: s, Outcome: Blocked, Detail: detail, ByHand: remedy}
}

func failed(s Step, err error) Report {
	return Report{Step: s, Outcome: Failed, Detail: reasonOf(err)}
}

// final are the refusals that no repetition changes.
var final = []registry.Kind{registry.KindAuth, registry.KindImmutable, registry.KindUnsupported, registry.KindReferenced, registry.KindInvalid}

// refused tells what a person can do by hand from what to run again later.
func refused(s Step, err error) Report {
	e, ok := errors.AsType[*registry.Error](err)
	if !ok || !slices.Contains(final, e.Kind) {
		return failed(s, err)
	}
	return blocked(s, meaning(e, err), byHand(s.Claim.Ref, s))
}

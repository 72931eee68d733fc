// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package cleanup

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/LerianStudio/pushguard/pkg/registry"
	"github.com/LerianStudio/pushguard/pkg/retry"
)

// grace is how long the act at hand may take after the run was interrupted. A tag
// that is half restored is worse than a second of waiting.
const grace = 8 * time.Second

// run is what one Run remembers.
type run struct {
	Cleaner

	plan     []Step
	reports  []Report
	versions map[int64]string                // GHCR's that were deleted, with the command that restores each
	children map[registry.Reference][]string // of deleted indexes, when they are to be pruned
	done     map[registry.Reference]bool     // tags whose step has ended
	stays    map[registry.Reference]bool     // tags that could not be deleted
	others   map[string]others               // what the tags of others need, by repository
	// By repository, once the tags are done.
	tags    map[string][]string
	reached map[string]*reach
}

// Run carries out steps: first what is restored, so that its image may lose the
// last tag that is not ours, then what is deleted, then what hangs on images that
// have no tag left. It stops before the next act when ctx ends; the act at hand is
// finished. The reports are in the order of the acts.
func (c Cleaner) Run(ctx context.Context, steps []Step) []Report {
	r := &run{
		Cleaner: c, plan: steps, versions: map[int64]string{}, children: map[registry.Reference][]string{},
		done: map[registry.Reference]bool{}, stays: map[registry.Reference]bool{}, others: map[string]others{},
		tags: map[string][]string{}, reached: map[string]*reach{},
	}
	for _, action := range []Action{Keep, Restore, Delete} {
		if !r.all(ctx, r.of(action)) {
			return r.reports
		}
	}
	for _, image := range r.untagged() {
		if ctx.Err() != nil {
			return r.reports
		}
		r.sweep(ctx, image)
	}
	return r.reports
}

// of lists the steps with an action. On GHCR an index comes before what it contains,
// which is older.
func (r *run) of(action Action) []Step {
	var steps []Step
	for _, s := range r.plan {
		if s.Action == action {
			steps = append(steps, s)
		}
	}
	if action == Delete {
		slices.SortStableFunc(steps, func(a, b Step) int { return cmp.Compare(b.version.ID, a.version.ID) })
	}
	return steps
}

// all carries out steps. One that waits for another of them, which needs its image,
// comes again behind it. It reports whether all were done before ctx ended.
func (r *run) all(ctx context.Context, steps []Step) bool {
	for len(steps) > 0 {
		var waiting []Step
		for _, s := range steps {
			if ctx.Err() != nil && s.Action != Keep {
				return false
			}
			report := r.act(ctx, s)
			if report.waits && s.waits < len(steps) {
				s.waits++
				waiting = append(waiting, s)
				continue
			}
			if report.Outcome == Failed || report.Outcome == Blocked {
				r.stays[s.Claim.Ref] = true
				delete(r.others, s.Claim.Ref.Name())
			}
			r.done[s.Claim.Ref] = true
			r.tell(report)
		}
		steps = waiting
	}
	return true
}

func (r *run) tell(report Report) {
	report.At = time.Now().UTC()
	r.reports = append(r.reports, report)
	if r.OnReport != nil {
		r.OnReport(report)
	}
}

// act carries out one step; its context outlives an interrupt by a grace.
func (r *run) act(ctx context.Context, s Step) Report {
	ctx, cancel := finishing(ctx)
	defer cancel()
	switch {
	case s.Err != nil:
		return Report{Step: s, Outcome: Failed, Detail: s.Reason}
	case s.Refusal != nil:
		return blocked(s, s.Refusal.Reason, s.Refusal.ByHand)
	case s.Action == Restore:
		return r.restore(ctx, s)
	case s.Action == Delete && s.Claim.Ref.Registry == registry.GHCR && r.Packages != nil:
		return r.deleteOnGHCR(ctx, s)
	case s.Action == Delete:
		return r.delete(ctx, s)
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
func (r *run) restore(ctx context.Context, s Step) Report {
	ref, before := s.Claim.Ref, s.Claim.Before.Digest
	old, err := retry.Do(ctx, r.Policy, func(ctx context.Context) (registry.Manifest, error) {
		return r.Registry.Manifest(ctx, ref.WithDigest(before))
	})
	if isKind(err, registry.KindNotFound) {
		return blocked(s, "the image from before, "+before+", is gone; nothing was touched", "push it again under the tag, if somebody has it: docker push "+ref.String())
	}
	if err != nil {
		return refused(s, err)
	}
	tries := 0
	outcome, err := retry.Do(ctx, r.Policy, func(ctx context.Context) (Report, error) {
		tries++
		now, err := r.look(ctx, ref)
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
		if err := r.Registry.PutManifest(ctx, ref, old.MediaType, old.Raw); err != nil {
			return Report{}, err
		}
		if now, err = r.look(ctx, ref); err != nil {
			return Report{}, err
		}
		if now != before {
			return blocked(s, "the registry took the image from before, but the tag is "+now, byHand(s)), nil
		}
		return Report{Step: s, Outcome: Done}, nil
	})
	if err != nil {
		return refused(s, err)
	}
	return outcome
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

// final are the refusals that no repetition changes.
var final = []registry.Kind{registry.KindAuth, registry.KindImmutable, registry.KindUnsupported, registry.KindReferenced, registry.KindInvalid}

// refused tells what a person can do by hand from what to run again later.
func refused(s Step, err error) Report {
	e, ok := errors.AsType[*registry.Error](err)
	if !ok || !slices.Contains(final, e.Kind) {
		return Report{Step: s, Outcome: Failed, Detail: reasonOf(err)}
	}
	report := blocked(s, meaning(e, err), remedy(s, e, err))
	needed, ok := errors.AsType[*neededError](err)
	report.waits = ok && needed.waits
	return report
}

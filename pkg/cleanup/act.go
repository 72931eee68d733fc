// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package cleanup

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/LerianStudio/pushguard/pkg/change"
	"github.com/LerianStudio/pushguard/pkg/registry"
)

// grace is how long the act at hand may take after the run was interrupted. A tag
// that is half restored is worse than a second of waiting.
const grace = 8 * time.Second

// run is what one Run remembers.
type run struct {
	Cleaner

	plan     []Step
	reports  []Report
	deleted  map[registry.Reference]string   // tags that went with a package version, with the command that restores it
	children map[registry.Reference][]string // of deleted indexes, when they are to be pruned
	done     map[registry.Reference]bool     // tags whose step has ended
	stays    map[registry.Reference]bool     // tags that could not be deleted
	tags     map[string]*repository          // what is known of the tags of a repository, by its name
}

// Run carries out steps: first what is restored, so that its image may lose the
// last tag that is not ours, then what is deleted, then what belongs to images that
// have no tag left. It stops before the next act when ctx ends; the act at hand is
// finished. The reports are in the order of the acts.
func (c Cleaner) Run(ctx context.Context, steps []Step) []Report {
	r := &run{
		Cleaner: c, plan: steps, deleted: map[registry.Reference]string{}, children: map[registry.Reference][]string{},
		done: map[registry.Reference]bool{}, stays: map[registry.Reference]bool{}, tags: map[string]*repository{},
	}
	for _, s := range steps {
		if s.Now != "" && s.Claim.Ref.Tag != "" {
			r.repository(s.Claim.Ref).seen[s.Claim.Ref.Tag] = true
		}
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

// of lists the steps with an action. Of package versions the newest comes first: an
// index is younger than what it contains.
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
			}
			if report.Outcome != Done && report.Outcome != Gone {
				r.repository(s.Claim.Ref).needs = nil // it may need what was to go
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
	case s.Action == Delete && s.throwAway:
		return r.finishDetach(ctx, s, s.Now, "")
	case s.Action == Delete && s.Claim.Ref.Tag == "":
		return r.deleteImage(ctx, s)
	case s.Action == Delete:
		return r.delete(ctx, s)
	}
	return Report{Step: s, Outcome: Kept}
}

// finishing returns a context that ends when ctx runs out of time, and a grace
// after ctx is interrupted.
func finishing(ctx context.Context) (context.Context, context.CancelFunc) {
	act, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	free := func() {}
	if deadline, ok := ctx.Deadline(); ok {
		// A wait that does not fit is not begun. ctx itself ends act, and says why: hence
		// the second.
		act, free = context.WithDeadline(act, deadline.Add(time.Second))
	}
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
		free()
		cancel(nil)
	}
}

// restore puts the manifest from before under the tag again.
func (r *run) restore(ctx context.Context, s Step) Report {
	ref, before := s.Claim.Ref, s.Claim.Before.Digest
	old, err := r.manifest(ctx, ref.WithDigest(before))
	if registry.IsNotFound(err) {
		return blocked(s, "the image from before, "+before+", is gone; nothing was touched", "push it again under the tag, if somebody has it: docker push "+ref.String())
	}
	if err != nil {
		return r.refused(s, err)
	}
	return r.report(s)(change.Put(ctx, r.Policy, r.Registry, ref, s.Now, old))
}

// report says how the change of a step ended.
func (r *run) report(s Step) func(change.Outcome, string, error) Report {
	return func(outcome change.Outcome, now string, err error) Report {
		switch {
		case err != nil:
			return r.refused(s, err)
		case outcome == change.Moved:
			return Report{Step: s, Outcome: Kept, Detail: "since the plan was made the tag was moved to " + cmp.Or(now, "no image")}
		case outcome == change.Found && s.Action == Restore:
			return Report{Step: s, Outcome: Gone, Detail: "it was restored meanwhile"}
		case outcome == change.Found:
			return Report{Step: s, Outcome: Gone, Detail: "it is no longer there"}
		}
		return Report{Step: s, Outcome: Done}
	}
}

func blocked(s Step, detail, byHand string) Report {
	return Report{Step: s, Outcome: Blocked, Detail: detail, ByHand: byHand}
}

// meanings put the refusals into words that no repetition changes.
var meanings = map[registry.Kind]string{
	registry.KindAuth:        "the login lacks the right to do it",
	registry.KindImmutable:   "the tag is immutable",
	registry.KindUnsupported: "the registry does not offer it",
	registry.KindReferenced:  "something else still needs the image",
	registry.KindInvalid:     "the registry does not accept it",
	registry.KindUnreadable:  "the registry does not let the image be read",
	registry.KindForbidden:   "a rule of the registry forbids it",
}

// refused tells what a person can do by hand from what can be run again later.
func (r *run) refused(s Step, err error) Report {
	if _, ok := errors.AsType[*change.UnchangedError](err); ok {
		return blocked(s, err.Error(), r.Registry.ByHand(s.change(), nil))
	}
	e, ok := errors.AsType[*registry.Error](err)
	if !ok {
		if needed, ok := errors.AsType[*neededError](err); ok {
			if needed.tag.Tag == "" {
				return blocked(s, "the registry deletes whole images only, and this one was there before this run", "delete that tag on the registry's own page, if nobody needs the image")
			}
			report := blocked(s, "the image under "+needed.tag.String()+" contains it", "move or delete that tag first, then run regcleanup again")
			report.waits = needed.waits
			return report
		}
		if unlisted, ok := errors.AsType[*unlistedError](err); ok && !unlisted.lags {
			return blocked(s, err.Error(), r.Registry.ByHand(s.change(), nil))
		}
		return Report{Step: s, Outcome: Failed, Detail: err.Error()}
	}
	if _, ok := errors.AsType[*change.StillThereError](err); ok {
		if e.Service == "" {
			return blocked(s, "the registry says that it does not have the image, which it shows to who reads it: "+e.Reason(), r.Registry.ByHand(s.change(), nil))
		}
		denied := *e // an API says so to a login that lacks the right
		denied.Kind, denied.Next = registry.KindAuth, ""
		e = &denied
	}
	meaning, final := meanings[e.Kind]
	if !final {
		return Report{Step: s, Outcome: Failed, Detail: e.Reason()}
	}
	said := e.Reason()
	// What was added to the refusal (why not by digest) stands behind it.
	if _, more, ok := strings.Cut(err.Error(), e.Error()); ok {
		said += more
	}
	needed, shared := errors.AsType[*neededError](err)
	by := s.change()
	by.Shared = shared
	report := blocked(s, meaning+": "+said, r.Registry.ByHand(by, e))
	report.waits = shared && needed.waits
	return report
}

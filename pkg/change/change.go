// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

// Package change changes one tag of a registry without harm to the work of others.
//
// Registries have no conditional requests: a PUT or a DELETE acts on whatever the tag
// names at that moment. So every change of a tag (a deletion, a restore, a new name)
// goes through the same four steps, and they are written once, here:
//
//  1. look: what does the tag name now?
//  2. decide: only the image that the caller expects may be replaced; anything else
//     means that somebody moved the tag, and nothing is done. What else must hold is
//     proved now, right before the act, and not when a plan was made.
//  3. act: one request.
//  4. look again: the tag must name what it was to name. Some registries show an old
//     answer for seconds after a change, so the look is repeated for a while; the act is
//     not, once it was accepted.
//
// A request that failed in a way that passes is tried again, and begins with a look:
// when the answer was lost, the change may have been made.
package change

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/LerianStudio/pushguard/pkg/registry"
	"github.com/LerianStudio/pushguard/pkg/retry"
)

// Registry tells what a reference names. [registry.Client] is one.
type Registry interface {
	Head(ctx context.Context, ref registry.Reference) (registry.Descriptor, error)
}

// Putter is a [Registry] that takes manifests. [registry.Client] is one.
type Putter interface {
	Registry
	PutManifest(ctx context.Context, ref registry.Reference, mediaType string, raw []byte) error
}

// Change is one change of what a reference names: of a tag, or of a digest that is to
// go.
type Change struct {
	Ref registry.Reference
	// From is the digest that Ref must name for the act to be right, To the one that it
	// names afterwards. "" means that it names nothing.
	From, To string
	// Prove, if set, is called right before each act. An error forbids the act.
	Prove func(ctx context.Context) error
	// Act sends the one request that makes the change. It does not retry.
	Act func(ctx context.Context) error
}

// Outcome is how a change ended.
type Outcome int

// The outcomes.
const (
	Made  Outcome = iota + 1
	Found         // the tag named To before anything was done: somebody else made the change
	Moved         // the tag names neither From nor To: somebody moved it, and nothing was done
)

// UnchangedError says that the registry accepted the change and did not make it.
type UnchangedError struct {
	From, To string // as in [Change]
}

func (e *UnchangedError) Error() string {
	if e.To == "" {
		return "the registry accepted the deletion, but the tag is still there"
	}
	return fmt.Sprintf("the registry accepted %s, but the tag is still %s", e.To, e.From)
}

// StillThereError says that the registry answered an act with "not found" although it
// has what was to be changed: the login may not change it, or the registry does not
// offer this request.
type StillThereError struct {
	Err error // the registry's answer
}

func (e *StillThereError) Error() string { return e.Err.Error() }

// Unwrap gives the registry's answer.
func (e *StillThereError) Unwrap() error { return e.Err }

// AcceptedError says that the registry accepted the change, and that it was not seen
// whether it was made.
type AcceptedError struct {
	Err error // why no look could tell
}

func (e *AcceptedError) Error() string { return e.Err.Error() }

// Unwrap gives the reason.
func (e *AcceptedError) Unwrap() error { return e.Err }

// settle is how long a registry may show an old answer after it accepted a change.
// One was seen to do so for five seconds.
const settle = 15 * time.Second

// Look returns the digest that ref names, "" when the registry proves that it names
// nothing. It does not retry.
func Look(ctx context.Context, r Registry, ref registry.Reference) (string, error) {
	d, err := r.Head(ctx, ref)
	if registry.IsNotFound(err) {
		return "", nil
	}
	return d.Digest, err
}

// Do makes the change and returns what Ref named at the last look.
func (c Change) Do(ctx context.Context, policy retry.Policy, r Registry) (outcome Outcome, now string, err error) {
	accepted := false // the registry said yes: only looks follow
	sent := false     // an act was sent, whatever came of it
	lost := false     // its answer may have been lost
	outcome, err = retry.Do(ctx, policy, func(ctx context.Context) (Outcome, error) {
		if accepted {
			return c.await(ctx, r, &now, settle)
		}
		if now, err = Look(ctx, r, c.Ref); err != nil {
			return 0, err
		}
		switch {
		case now == c.To && sent:
			return Made, nil
		case now == c.To:
			return Found, nil
		case now != c.From:
			return Moved, nil
		}
		var err error
		if c.Prove != nil {
			// After an act whose answer was lost, "not found" may be what the act has done.
			if err = c.Prove(ctx); err != nil && !(lost && registry.IsNotFound(err)) {
				return 0, err
			}
		}
		if err == nil {
			sent = true
			err = c.Act(ctx)
		}
		switch {
		case err == nil:
			accepted = true
			return c.await(ctx, r, &now, settle)
		case !registry.IsNotFound(err):
			lost = retry.Transient(err)
			return 0, err
		}
		// There is nothing to change, or this login or this request may not change it.
		wait := time.Duration(0)
		if lost { // an earlier act may have made the change, and the look may be old
			wait = settle
		}
		outcome, stays := c.await(ctx, r, &now, wait)
		if _, same := errors.AsType[*UnchangedError](stays); same {
			return 0, &StillThereError{err}
		}
		return outcome, stays
	})
	if _, unchanged := errors.AsType[*UnchangedError](err); err != nil && accepted && !unchanged {
		err = &AcceptedError{err}
	}
	return outcome, now, err
}

// Put moves a tag from the digest that it names, "" for none, to a manifest: see
// [Change.Do].
func Put(ctx context.Context, policy retry.Policy, r Putter, tag registry.Reference, from string, to registry.Manifest) (outcome Outcome, now string, err error) {
	return Change{Ref: tag, From: from, To: to.Digest, Act: func(ctx context.Context) error {
		return r.PutManifest(ctx, tag, to.MediaType, to.Raw)
	}}.Do(ctx, policy, r)
}

// await looks until Ref no longer names From, for at most limit.
func (c Change) await(ctx context.Context, r Registry, now *string, limit time.Duration) (Outcome, error) {
	begin, pause := time.Now(), 250*time.Millisecond
	for {
		var err error
		if *now, err = Look(ctx, r, c.Ref); err != nil {
			return 0, err
		}
		switch {
		case *now == c.To:
			return Made, nil
		case *now != c.From:
			return Moved, nil
		case time.Since(begin)+pause > limit:
			return 0, &UnchangedError{c.From, c.To}
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return 0, context.Cause(ctx)
		}
		pause *= 2
	}
}

// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package tagcheck

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/LerianStudio/pushguard/pkg/registry"
	"github.com/LerianStudio/pushguard/pkg/retry"
)

// Immutable says whether a tag, once it exists, can be moved or deleted.
type Immutable struct {
	State State  // Present for yes, Absent for no, Unknown where the registry cannot say
	Rule  string // the rule that makes it so, "" when all tags are
}

// String is yes, no or unknown, as records and JSON have it.
func (i Immutable) String() string {
	switch i.State {
	case Present:
		return "yes"
	case Absent:
		return "no"
	case Unknown:
	}
	return "unknown"
}

// Hub is Docker Hub's API: it knows what the registry does not tell.
type Hub interface {
	Account() string // that docker is logged in as, "" for none
	Repository(ctx context.Context, ref registry.Reference) (registry.HubRepository, error)
}

// Packages is GitHub's packages API.
type Packages interface {
	Visible(ctx context.Context, ref registry.Reference) error
	Own(ctx context.Context, ref registry.Reference) (bool, error)
}

// about is what a host's own API says of a repository.
type about struct {
	ref   registry.Reference
	asked bool
	hub   registry.HubRepository
	err   error
}

// about asks Docker Hub's API for the repository, for the rules of its tags. It is
// asked once a repository, beside the registry, and without insisting: the answer
// helps, and nothing hangs on it.
func (c Checker) about(ctx context.Context, ref registry.Reference) about {
	a := about{ref: ref}
	if ref.Registry != registry.DockerHub || c.Hub == nil {
		return a
	}
	a.asked = true
	policy := retry.Policy{MaxAttempts: 2, InitialDelay: time.Second, MaxDelay: time.Second}
	a.hub, a.err = retry.Do(ctx, policy, func(ctx context.Context) (registry.HubRepository, error) {
		return c.Hub.Repository(ctx, ref)
	})
	return a
}

// explain adds what the host's API knows: immutability, and what a refusal means.
func (c Checker) explain(ctx context.Context, t *Tag, a about) {
	if a.asked && a.err == nil {
		t.Immutable.State = Absent
		if immutable, rule := a.hub.Immutable(t.Ref.Tag); immutable {
			t.Immutable = Immutable{Present, rule}
		}
	}
	if t.State != Unknown || t.Reason != registry.KindAuth.String() {
		return
	}
	switch {
	case a.asked:
		c.explainHub(t, a)
	case t.Ref.Registry == registry.GHCR && c.Packages != nil:
		c.explainGHCR(ctx, t)
	}
}

// explainHub reads Docker Hub's 401, which means a repository that does not exist,
// or is not visible, or a login without the right.
func (c Checker) explainHub(t *Tag, a about) {
	namespace, _, _ := strings.Cut(t.Ref.Repository, "/")
	own := c.Hub.Account() != "" && c.Hub.Account() == namespace
	switch {
	case a.err == nil:
		next := fmt.Sprintf("the repository exists; log in to docker.io (docker login without a host) with an account that can read and write %s", t.Ref.Repository)
		if !a.hub.Anonymous && !a.hub.Permissions.Write {
			next = fmt.Sprintf("the repository exists, and the account %s may not write it: add it as a collaborator or to a team with Read & Write on %s", c.Hub.Account(), t.Ref.Repository)
		}
		t.next(next)
	case isKind(a.err, registry.KindNotFound) && own:
		t.absent() // who owns the namespace sees all of it
	case isKind(a.err, registry.KindAuth):
		t.Err = a.err // a refused login is the better explanation
	}
}

// explainGHCR reads ghcr.io's 401 and 403, which mean a package that does not exist,
// or one that the token may not use.
func (c Checker) explainGHCR(ctx context.Context, t *Tag) {
	err := c.Packages.Visible(ctx, t.Ref)
	switch {
	case err == nil:
		t.next(fmt.Sprintf("the package exists, and this token may not use it in the registry: in its settings, under Manage Actions access, give this repository the role Write on %s", t.Ref.Repository))
	case isKind(err, registry.KindNotFound):
		if own, err := c.Packages.Own(ctx, t.Ref); err == nil && own {
			t.absent() // the owner of a token sees all of its packages
		}
	}
}

// absent corrects a state: the host's API has proven it.
func (t *Tag) absent() { t.State, t.Reason, t.Err = Absent, "", nil }

// next replaces the hint of the tag's error.
func (t *Tag) next(hint string) {
	if e, ok := errors.AsType[*registry.Error](t.Err); ok {
		own := *e
		own.Next = hint
		t.Err = &own
	}
}

func isKind(err error, kind registry.Kind) bool {
	e, ok := errors.AsType[*registry.Error](err)
	return ok && e.Kind == kind
}

// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

// Package host knows the kinds of registries. Each kind is one file: how it is
// recognized, what its answers mean where they differ from the specification, which
// right is missing when it refuses, what a person does by hand, and what else it can do.
//
// To add a kind, write its file with a [Host], add it to kinds, and put answers that it
// really gave into testdata. docs/registries.md explains it step by step, and has the
// table of all kinds, which is generated from these files.
//
// What only some registries can do is a small interface, found by type assertion on
// what [Registries.Of] returns: [TagRules], [Explainer], [TagDeleter], [VersionDeleter].
package host

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/LerianStudio/pushguard/pkg/registry"
)

// Host is what is known of one kind of registry. Texts that tell a person what to do
// may have the places that [fill] lists, such as {repository}.
type Host struct {
	Name string
	// Hosts are the hosts of this kind: "ghcr.io", or ".azurecr.io" for all that end so.
	Hosts []string
	// Recognize tells a registry of this kind by the headers that it sent; nil for kinds
	// that are known by their host alone.
	Recognize func(seen http.Header) bool

	// Meanings are read first to last, before those that hold for every registry.
	Meanings []Meaning

	// Rights says which right is missing when the registry refuses a login or an act, and
	// how to get it; "" for the general advice.
	Rights string
	// DeleteRights is Rights for deletions; "" for the same.
	DeleteRights string
	// Undo is the command or page that deletes a tag, Unlock what makes an immutable tag
	// one that can be changed, Create the command that creates a repository where a push
	// does not; "" for the general way, and for registries that create what is pushed.
	Undo, Unlock, Create string
	// CreateFirst tells from the answer for a missing image that the push will fail; nil
	// means: when the registry says that it does not know the repository.
	CreateFirst func(e *registry.Error) bool

	// Challenges says that the first request is answered with a challenge, with a login
	// and without one.
	Challenges bool
	// NoReferrers says that there is no referrers API: referrers are listed under the
	// fallback tag alone.
	NoReferrers bool
	// KeepsUntagged says that the parts of an index stay, without a tag, when the index is
	// deleted, and that they can be deleted one by one.
	KeepsUntagged bool
	// Notes and Real are for docs/registries.md: what a user of this kind should know, and
	// which real servers the end-to-end tests run.
	Notes, Real string
}

// Meaning is what an answer means. The fields before Kind are what it is known by; a
// zero one matches anything.
type Meaning struct {
	To     registry.Request
	Status int
	Code   string
	Words  string // in lower case, anywhere in the answer
	// Own says that only this kind of registry answers so: it is recognized by it.
	Own bool

	Kind   registry.Kind // KindUnknown leaves it to the specification
	Wait   time.Duration // the least that has to be waited
	Next   string        // what to do next, before Rights
	ByHand string        // how a person does what was refused, before Undo and Unlock
}

func (m Meaning) matches(a registry.Answer) bool {
	return (m.To == 0 || m.To == a.To) && (m.Status == 0 || m.Status == a.Status) && (m.Code == "" || m.Code == a.Code) && strings.Contains(a.Text, m.Words)
}

// kinds are all kinds. The first that recognizes a registry counts.
var kinds = []*Host{
	dockerHub, ghcr, ecr, ecrPublic, artifactRegistry, acr, quay,
	harbor, gitLab, artifactory, nexus, zot, gitea, distribution,
}

// Of returns the kind of a registry by its host and the headers that it has sent, and
// generic when it is none of those that are known.
func Of(name string, seen http.Header) *Host {
	for _, h := range kinds {
		for _, own := range h.Hosts {
			if name == own || own[0] == '.' && strings.HasSuffix(name, own) {
				return h
			}
		}
	}
	for _, h := range kinds {
		if h.Recognize != nil && h.Recognize(seen) {
			return h
		}
	}
	return generic
}

// read finds what an answer means: for its kind of registry, else by words that only
// one kind uses, else for every registry. The zero Meaning leaves it to the
// specification.
func read(name string, a registry.Answer) (*Host, Meaning) {
	h := Of(name, a.Seen)
	if h == generic {
		for _, other := range kinds {
			for _, m := range other.Meanings {
				if m.Own && m.matches(a) {
					return other, m
				}
			}
		}
	}
	for _, m := range h.Meanings {
		if m.matches(a) {
			return h, m
		}
	}
	for _, m := range generic.Meanings {
		if m.matches(a) {
			return h, m
		}
	}
	return h, Meaning{}
}

// Registries is a client of registries that knows their kinds. It is safe for
// concurrent use.
type Registries struct {
	*registry.Client

	hub      *Hub
	packages *Packages
}

// Open returns a client with docker's logins; ctx ends its requests for tokens.
// getenv is asked for what the APIs beside registries need; nil means that nothing is
// set.
func Open(ctx context.Context, o registry.Options, getenv func(string) string) (*Registries, error) {
	r := &Registries{}
	o.Reader = r
	if getenv == nil {
		getenv = func(string) string { return "" }
	}
	client, err := registry.New(ctx, o)
	if err != nil {
		return nil, err
	}
	r.Client = client
	r.hub = newHub(client)
	r.packages, err = newPackages(client, getenv("GITHUB_API_URL"), cmp.Or(getenv("GITHUB_TOKEN"), getenv("GH_TOKEN")))
	return r, err
}

// Of returns what is known of ref's registry: its [Host], or something that has a Host
// and can do more.
func (r *Registries) Of(ref registry.Reference) interface{ About() *Host } {
	switch h := Of(ref.Registry, r.Seen(ref.Registry)); h {
	case dockerHub:
		return r.hub
	case ghcr:
		return r.packages
	default:
		return h
	}
}

// About returns h: a plain registry is nothing but its Host.
func (h *Host) About() *Host { return h }

// Challenges reports whether ref's registry is likely to answer a first request with a
// challenge. Who asks for many tags there sends one request first, and the others with
// its token.
func (r *Registries) Challenges(ref registry.Reference) bool {
	return r.Of(ref).About().Challenges || r.HasLogin(ref.Registry)
}

// Read implements [registry.Reader].
func (r *Registries) Read(ctx context.Context, ref registry.Reference, a registry.Answer) registry.Reading {
	h, m := read(ref.Registry, a)
	reading := registry.Reading{Host: h.Name, Kind: m.Kind, Wait: m.Wait, Next: m.Next, ByHand: m.ByHand}
	refused := m.Kind == registry.KindAuth || m.Kind == registry.KindUnknown && (a.Status == http.StatusUnauthorized || a.Status == http.StatusForbidden)
	if refused && reading.Next == "" && !strings.HasPrefix(strings.TrimSpace(a.Message), "an HTML page") {
		reading.Next = h.Rights
		if a.To == registry.RequestDelete || a.To == registry.RequestAPI {
			reading.Next = cmp.Or(h.DeleteRights, h.Rights)
		}
	}
	if m.Kind == registry.KindImmutable {
		if _, attached := registry.AttachedTo(ref.Tag); attached {
			reading.Next = r.leaveOut(ctx, ref)
		}
	}
	reading.Next = fill(reading.Next, Change{Ref: ref})
	return reading
}

// leaveOut says what to do where the tag that holds an image's signatures cannot be
// changed: signatures are added to it, so it has to be left out of the rule.
func (r *Registries) leaveOut(ctx context.Context, ref registry.Reference) string {
	rule := "the registry's rule for immutable tags"
	if rules, ok := r.Of(ref).(TagRules); ok {
		if i, err := rules.Immutable(ctx, ref); err == nil && i.Rule != "" {
			rule = fmt.Sprintf("the rule %q for immutable tags (repository settings, General)", i.Rule)
		}
	}
	return fmt.Sprintf("the tag %s holds the image's signatures and exists already; to add one, %s must leave out tags that begin with sha256-", ref.Tag, rule)
}

// TagRules is a registry that tells by which rules its tags are immutable.
type TagRules interface {
	// Immutable tells whether ref's tag, once it exists, can be moved or deleted. The
	// rules of a repository are asked for once.
	Immutable(ctx context.Context, ref registry.Reference) (Immutable, error)
}

// Immutable says whether a tag, once it exists, can be moved or deleted.
type Immutable struct {
	Known bool   // false where the registry cannot say
	Yes   bool   // it can be neither moved nor deleted
	Rule  string // the rule that makes it so, "" when all tags are
}

// String is yes, no or unknown, as records and JSON have it.
func (i Immutable) String() string {
	switch {
	case !i.Known:
		return "unknown"
	case i.Yes:
		return "yes"
	}
	return "no"
}

// Explainer is a registry that refuses to say whether an image exists, and has an API
// that knows more.
type Explainer interface {
	// Explain looks into a refusal of ref. absent says that the API proves that there is
	// no such image; else the error is the better explanation, or refusal itself.
	Explain(ctx context.Context, ref registry.Reference, refusal *registry.Error) (absent bool, better error)
}

// TagDeleter is a registry that deletes a tag by an API of its own, and not by the
// specification's request.
type TagDeleter interface {
	// DeleteTag removes ref's tag and leaves the image and its other tags.
	DeleteTag(ctx context.Context, ref registry.Reference) error
}

// VersionDeleter is a registry that deletes no tags, but versions of a package: an
// image with all of its tags.
type VersionDeleter interface {
	// Versions lists the versions of ref's package page by page, the newest first. An
	// error ends it.
	Versions(ctx context.Context, ref registry.Reference) func(yield func(Version, error) bool)
	// Version reads one again. [registry.KindNotFound] means that it is gone, or not visible.
	Version(ctx context.Context, ref registry.Reference, id int64) (Version, error)
	// DeleteVersion removes a version: its manifest and every tag on it.
	DeleteVersion(ctx context.Context, ref registry.Reference, id int64) error
}

// Version is one version of a package: a manifest or an index with all its tags.
type Version struct {
	ID     int64 // newer versions have larger ones
	Digest string
	Tags   []string
	// Restore is the command that brings it back after it was deleted, "" for none.
	Restore string
}

// Change is what could not be done with a tag.
type Change struct {
	Ref    registry.Reference
	Digest string // of the image that the tag has
	Before string // the image that the tag is to have again; "" for a deletion
	Shared bool   // another tag needs the image
}

// ByHand returns the command or the page with which a person does what was refused
// with e, or what did not work for no reason given when e is nil.
func (r *Registries) ByHand(c Change, e *registry.Error) string {
	h := r.Of(c.Ref).About()
	if e != nil {
		for _, k := range kinds {
			if k.Name == e.Host {
				h = k // recognized by its answer
			}
		}
	}
	return fill(h.byHand(c, e), c, r.page(c.Ref))
}

// again and restore end and replace an advice.
const (
	again   = ", then run regcleanup again"
	restore = "crane tag {name}@{before} {tag}"
)

func (h *Host) byHand(c Change, e *registry.Error) string {
	switch {
	case e != nil && e.ByHand != "":
		return e.ByHand
	case e != nil && e.Kind == registry.KindImmutable:
		return cmp.Or(h.Unlock, "at {host} lift the rule that makes {tag} immutable") + again
	case e != nil && e.Kind == registry.KindForbidden:
		return cmp.Or(e.Next, "ask the administrator of {host}") + again
	case e != nil && e.Kind == registry.KindAuth:
		rights := cmp.Or(e.Next, h.DeleteRights, generic.DeleteRights) + again
		switch {
		case c.Before != "":
			rights += ", or with that login: " + restore
		case h.Undo != "" && h != generic:
			rights += "; or " + h.Undo
		}
		return rights
	case c.Before != "":
		return restore
	case e == nil:
		return cmp.Or(h.Undo, generic.Undo)
	case e.Kind == registry.KindReferenced:
		return "crane manifest {name}@{digest} shows the image; delete what still needs it first" + again
	case h.Undo != "" && h != generic:
		return h.Undo
	case c.Shared:
		return "no command deletes only the tag there: move it by hand, or delete {tag} on the registry's own page for {repository}"
	}
	return "allow deletions at {host} and run regcleanup again, or: " + generic.Undo
}

// page is where a person sees the packages of ref's owner.
func (r *Registries) page(ref registry.Reference) string {
	if of, ok := r.Of(ref).(interface {
		page(ref registry.Reference) string
	}); ok {
		return of.page(ref)
	}
	return ""
}

// WarnCreate returns a warning where an image is absent and its push will fail, because
// the registry does not create the repository; "" otherwise. absent is the answer that
// proves the absence.
func (r *Registries) WarnCreate(absent *registry.Error) string {
	h := r.Of(absent.Ref).About()
	for _, k := range kinds {
		if k.Name == absent.Host {
			h = k
		}
	}
	first := h.CreateFirst
	if first == nil {
		first = func(e *registry.Error) bool { return e.Code == "NAME_UNKNOWN" }
	}
	if h.Create == "" || !first(absent) {
		return ""
	}
	return fill("the repository does not exist, and "+h.Name+" does not create it on a push: "+h.Create, Change{Ref: absent.Ref})
}

// fill puts a change into a text. Its places are:
//
//	{ref} {tag} {name}          the reference, its tag (or digest), host and repository
//	{host} {repository} {base}  the parts of {name}; {base} is the repository's last part
//	{owner} {project}           the first part of the repository
//	{place}                     its second part
//	{rest}                      the repository without its first part
//	{account} {region}          the first part of the host, and an AWS region in it
//	{location}                  the location that a host of Artifact Registry begins with
//	{digest} {before}           the image that the tag has, and the one that it had
//	{page}                      the page of an owner's package
func fill(text string, c Change, page ...string) string {
	if !strings.Contains(text, "{") {
		return text
	}
	ref := c.Ref
	parts := strings.Split(ref.Repository, "/")
	place := ""
	if len(parts) > 1 {
		place = parts[1]
	}
	account, _, _ := strings.Cut(ref.Registry, ".")
	region := ""
	if _, rest, ok := strings.Cut(ref.Registry, ".dkr.ecr."); ok {
		region, _, _ = strings.Cut(rest, ".")
	}
	return strings.NewReplacer(
		"{ref}", ref.String(), "{tag}", cmp.Or(ref.Tag, ref.Digest), "{name}", ref.Name(), "{host}", ref.Registry, "{repository}", ref.Repository,
		"{base}", parts[len(parts)-1], "{owner}", parts[0], "{project}", parts[0], "{place}", place, "{rest}", strings.Join(parts[1:], "/"),
		"{account}", account, "{region}", region, "{location}", strings.TrimSuffix(account, "-docker"),
		"{digest}", c.Digest, "{before}", c.Before, "{page}", strings.Join(page, ""),
	).Replace(text)
}

// challenge reads a parameter of the challenge that a registry has sent (RFC 9110,
// section 11.2).
func challenge(seen http.Header, name string) string {
	_, rest, ok := strings.Cut(seen.Get("WWW-Authenticate"), name+`="`)
	if !ok {
		return ""
	}
	value, _, _ := strings.Cut(rest, `"`)
	return value
}

// realmPath is the path of the token service in the challenge.
func realmPath(seen http.Header) string {
	u, err := url.Parse(challenge(seen, "realm"))
	if err != nil {
		return ""
	}
	return u.Path
}

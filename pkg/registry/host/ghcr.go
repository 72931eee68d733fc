// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/LerianStudio/pushguard/pkg/registry"
)

// ghcr is GitHub's container registry, ghcr.io. It deletes nothing itself; GitHub's
// packages API deletes versions, see [Packages].
var ghcr = &Host{
	Name:          "GHCR",
	Hosts:         []string{"ghcr.io"},
	Challenges:    true,
	KeepsUntagged: true,
	NoReferrers:   true,
	Rights: "in a workflow set permissions: packages: write and, in the package's settings under Manage Actions access, give this repository the role Write on {repository}; " +
		"elsewhere docker login ghcr.io with a personal access token (classic) that has write:packages. GitHub answers the same for a package that does not exist",
	DeleteRights: ghcrDelete,
	Undo:         "delete the version {digest} at {page}",
	Meanings: []Meaning{
		// GitHub's secondary limit is a 403 with words, often without Retry-After and with
		// quota left; it asks for a minute at least (REST API, "Rate limits").
		{Words: "secondary rate limit", Own: true, Kind: registry.KindRateLimit, Wait: time.Minute},
		{Words: "secondary-rate-limit", Own: true, Kind: registry.KindRateLimit, Wait: time.Minute},
		{Words: "abuse detection", Own: true, Kind: registry.KindRateLimit, Wait: time.Minute},
		{To: registry.RequestAPI, Words: "api rate limit exceeded", Kind: registry.KindRateLimit},
		{Words: "saml", Kind: registry.KindAuth, Next: "the organization {owner} uses single sign-on: authorize the token for it at https://github.com/settings/tokens (Configure SSO), then run it again"},
		{Words: "ip allow list", Own: true, Kind: registry.KindForbidden, Next: "the organization {owner} has an IP allow list, and this machine's address is not on it: add it there (organization settings, Authentication security), or run this on a runner that is allowed"},
		{Words: "bad credentials", Kind: registry.KindAuth, Next: "the token is wrong or has expired: docker login ghcr.io again, or set GITHUB_TOKEN"},
		{To: registry.RequestAPI, Status: http.StatusBadRequest, Words: "last", Kind: registry.KindReferenced, ByHand: "it is the last tagged version, which GitHub deletes only with the whole package: push another version first and run regcleanup again, or decide to delete the package at {page}"},
		{To: registry.RequestAPI, Status: http.StatusBadRequest, Words: "5000 downloads", Kind: registry.KindReferenced, ByHand: "ask GitHub support to delete it, https://support.github.com/contact, naming the version {digest} of {page}"},
		{To: registry.RequestAPI, Status: http.StatusBadRequest, Kind: registry.KindReferenced, ByHand: "delete the version {digest} at {page}"},
	},
	Notes: "Deletes versions, which are images with all their tags, at api.github.com; a tag alone is moved off first with --detach.",
}

// ghcrDelete names the rights of both kinds of token that GitHub takes.
const ghcrDelete = "log in to ghcr.io (docker login ghcr.io) with a personal access token (classic) that has read:packages and delete:packages, " +
	"or with a workflow's GITHUB_TOKEN (permissions: packages: write) of a repository that has the role Admin in the package's settings (Manage Actions access)"

const (
	githubAPI = "https://api.github.com"
	// changePause lies between two changes: GitHub asks for a second ("Best practices
	// for using the REST API"), and its secondary limit is 180 deletions a minute.
	changePause = time.Second
	pageSize    = 100 // the most that GitHub gives
)

// Packages is GitHub's packages API for container images on ghcr.io. All errors are
// *[registry.Error]; no method retries. It is safe for concurrent use.
//
// It is written over net/http: go-github would bring a breaking release a month for
// four endpoints, and its Users.ListUserPackageVersions cannot page (v88).
type Packages struct {
	c     *registry.Client
	base  string
	once  sync.Once
	token string // see secret

	turn   chan struct{} // holds one value: one change at a time
	change time.Time     // when the last one was sent

	mu    sync.Mutex
	roots map[string]string // by owner: "/orgs/o", "/users/u" or "/user"
}

// newPackages returns the packages API at base ("" means https://api.github.com) with
// docker's login for ghcr.io, or with token when docker has none.
func newPackages(c *registry.Client, base, token string) (*Packages, error) {
	if base == "" {
		base = githubAPI
	}
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "https" && !(registry.Reference{Registry: u.Host}).Loopback() {
		return nil, fmt.Errorf("use $GITHUB_API_URL: %q is not an https URL", base)
	}
	p := &Packages{c: c, base: strings.TrimRight(base, "/"), token: token, turn: make(chan struct{}, 1), roots: map[string]string{}}
	p.turn <- struct{}{}
	return p, nil
}

// About returns what is known of GHCR.
func (p *Packages) About() *Host { return ghcr }

// secret is docker's login for ghcr.io, else the token of the environment.
func (p *Packages) secret() string {
	p.once.Do(func() { // a credential helper is a process
		if _, secret := p.c.Login(ghcr.Hosts[0]); secret != "" {
			p.token = secret
		}
	})
	return p.token
}

// Explain implements [Explainer]: ghcr.io's 401 and 403 mean a package that does not
// exist, or one that the token may not use.
func (p *Packages) Explain(ctx context.Context, ref registry.Reference, refusal *registry.Error) (absent bool, better error) {
	err := p.Visible(ctx, ref)
	own := *refusal
	switch {
	case err == nil:
		own.Next = "the package exists, and this token may not use it in the registry: in its settings, under Manage Actions access, give this repository the role Write on " + ref.Repository
	case isKind(err, registry.KindNotFound):
		if owned, err := p.Own(ctx, ref); err == nil && owned {
			return true, nil // the owner of a token sees all of its packages
		}
	}
	return false, &own
}

// Visible looks the package of ref up. [registry.KindNotFound] means that it does not exist
// or that the token may not see it: GitHub answers both alike. [registry.KindAuth] means that
// there is no token, or one that GitHub does not take.
func (p *Packages) Visible(ctx context.Context, ref registry.Reference) error {
	const op = "look up the package of"
	path, err := p.path(ctx, op, ref)
	if err != nil {
		return err
	}
	failed := p.call(ctx, op, ref, http.MethodGet, path, nil)
	return orNil(failed)
}

// Own reports whether ref's owner is the token's own user, who sees all of its
// packages: there [registry.KindNotFound] of [Packages.Visible] proves absence.
func (p *Packages) Own(ctx context.Context, ref registry.Reference) (bool, error) {
	path, err := p.path(ctx, "look up the owner of", ref)
	return strings.HasPrefix(path, "/user/"), err
}

// Versions lists the versions of ref's package page by page, in GitHub's order: the
// newest first. An error ends it.
func (p *Packages) Versions(ctx context.Context, ref registry.Reference) func(yield func(Version, error) bool) {
	const op = "list the package versions of"
	return func(yield func(Version, error) bool) {
		path, err := p.path(ctx, op, ref)
		if err != nil {
			yield(Version{}, err)
			return
		}
		for page := 1; ; page++ {
			var list []versionJSON
			failed := p.call(ctx, op, ref, http.MethodGet, path+"/versions?per_page="+strconv.Itoa(pageSize)+"&page="+strconv.Itoa(page), &list)
			if failed != nil {
				yield(Version{}, failed)
				return
			}
			for _, v := range list {
				if !yield(v.version(path), nil) {
					return
				}
			}
			if len(list) < pageSize {
				return
			}
		}
	}
}

// Version reads one version again. [registry.KindNotFound] means that it is gone, or not visible.
func (p *Packages) Version(ctx context.Context, ref registry.Reference, id int64) (Version, error) {
	const op = "read a package version of"
	path, err := p.path(ctx, op, ref)
	if err != nil {
		return Version{}, err
	}
	var v versionJSON
	if failed := p.call(ctx, op, ref, http.MethodGet, path+"/versions/"+strconv.FormatInt(id, 10), &v); failed != nil {
		return Version{}, failed
	}
	return v.version(path), nil
}

// DeleteVersion removes a version: its manifest and every tag on it. Changes are a
// second apart.
//
// Its failures: [registry.KindNotFound] it is gone, or the token has no admin right on the
// package; [registry.KindAuth]; [Kindregistry.Referenced] it is the last tagged version, or it has over
// 5,000 downloads; [registry.KindRateLimit] with the wait that GitHub asks for; [registry.KindOutage].
func (p *Packages) DeleteVersion(ctx context.Context, ref registry.Reference, id int64) error {
	return p.alter(ctx, "delete a package version of", ref, http.MethodDelete, id, "")
}

// RestoreVersion brings a deleted version back, within thirty days.
func (p *Packages) RestoreVersion(ctx context.Context, ref registry.Reference, id int64) error {
	return p.alter(ctx, "restore a package version of", ref, http.MethodPost, id, "/restore")
}

func (p *Packages) alter(ctx context.Context, op string, ref registry.Reference, method string, id int64, end string) error {
	path, err := p.path(ctx, op, ref)
	if err != nil {
		return err
	}
	select {
	case <-p.turn:
		defer func() { p.turn <- struct{}{} }()
	case <-ctx.Done():
		return registry.Ended(ctx, op, ref, p.service())
	}
	if wait := time.Until(p.change.Add(changePause)); wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return registry.Ended(ctx, op, ref, p.service())
		}
	}
	p.change = time.Now()
	failed := p.call(ctx, op, ref, method, path+"/versions/"+strconv.FormatInt(id, 10)+end, nil)
	return orNil(failed)
}

// path is ref's package in the API. Its owner is an organization or a user, which
// have different paths, and the token's own user has a third
// (GitHub REST API, "Packages").
func (p *Packages) path(ctx context.Context, op string, ref registry.Reference) (string, error) {
	owner, name, _ := strings.Cut(ref.Repository, "/")
	if p.secret() == "" {
		return "", &registry.Error{Op: op, Ref: ref, Kind: registry.KindAuth, Service: p.service(), Message: "there is no token", Next: ghcrDelete}
	}
	p.mu.Lock()
	root := p.roots[owner]
	p.mu.Unlock()
	if root == "" {
		var err *registry.Error
		if root, err = p.root(ctx, op, ref, owner); err != nil {
			return "", err
		}
		p.mu.Lock()
		p.roots[owner] = root
		p.mu.Unlock()
	}
	return root + "/packages/container/" + url.PathEscape(name), nil
}

func (p *Packages) root(ctx context.Context, op string, ref registry.Reference, owner string) (string, *registry.Error) {
	var account struct {
		Login string `json:"login"`
		Type  string `json:"type"`
	}
	if err := p.call(ctx, op, ref, http.MethodGet, "/users/"+url.PathEscape(owner), &account); err != nil {
		return "", err
	}
	if account.Type == "Organization" {
		return "/orgs/" + url.PathEscape(owner), nil
	}
	users := "/users/" + url.PathEscape(owner)
	if strings.HasPrefix(p.secret(), "ghs_") { // a workflow's token is no user's: GET /user refuses it
		return users, nil
	}
	err := p.call(ctx, op, ref, http.MethodGet, "/user", &account)
	switch {
	case err != nil && (err.Transient() || err.Status == http.StatusUnauthorized):
		return "", err
	case err == nil && strings.EqualFold(account.Login, owner):
		return "/user", nil
	}
	return users, nil
}

// call makes one request.
func (p *Packages) call(ctx context.Context, op string, ref registry.Reference, method, path string, result any) *registry.Error {
	header := http.Header{
		"Accept":               {"application/vnd.github+json"},
		"X-Github-Api-Version": {"2022-11-28"},
		"Authorization":        {"Bearer " + p.secret()},
	}
	answer, e := p.c.API(ctx, registry.Call{Op: op, Ref: ref, Method: method, URL: p.base + path, Header: header}, result)
	if e == nil || e.Status != http.StatusForbidden && e.Status != http.StatusTooManyRequests {
		return e
	}
	// The primary limit is a 403 or a 429 with nothing left (REST API, "Rate limits").
	if answer.Get("Retry-After") != "" || answer.Get("X-Ratelimit-Remaining") == "0" {
		e.Kind, e.Next = registry.KindRateLimit, ""
	}
	if at, err := strconv.ParseInt(answer.Get("X-Ratelimit-Reset"), 10, 64); err == nil && e.Kind == registry.KindRateLimit && answer.Get("X-Ratelimit-Remaining") == "0" && answer.Get("Retry-After") == "" {
		e.Wait = max(e.Wait, min(time.Until(time.Unix(at, 0)), 24*time.Hour))
	}
	return e
}

// page is where a person sees the versions of ref's package. An organization's and a
// user's differ.
func (p *Packages) page(ref registry.Reference) string {
	owner, name, _ := strings.Cut(ref.Repository, "/")
	p.mu.Lock()
	root := p.roots[owner]
	p.mu.Unlock()
	kind := "orgs"
	if root != "" && !strings.HasPrefix(root, "/orgs/") {
		kind = "users"
	}
	return "https://github.com/" + kind + "/" + owner + "/packages/container/" + url.PathEscape(name) + "/versions"
}

func (p *Packages) service() string {
	u, err := url.Parse(p.base)
	if err != nil {
		return p.base
	}
	return u.Host
}

type versionJSON struct {
	ID       int64  `json:"id"`
	Name     string `json:"name"`
	Metadata struct {
		Container struct {
			Tags []string `json:"tags"`
		} `json:"container"`
	} `json:"metadata"`
}

func (v versionJSON) version(path string) Version {
	return Version{ID: v.ID, Digest: v.Name, Tags: v.Metadata.Container.Tags, Restore: "gh api -X POST " + path + "/versions/" + strconv.FormatInt(v.ID, 10) + "/restore"}
}

// orNil keeps a nil *registry.Error from becoming an error that is not nil.
func orNil(e *registry.Error) error {
	if e == nil {
		return nil
	}
	return e
}

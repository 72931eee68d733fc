// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// GHCR is how GitHub's container registry is written in a reference.
const GHCR = "ghcr.io"

const (
	githubAPI = "https://api.github.com"
	// changePause lies between two changes: GitHub asks for a second ("Best practices
	// for using the REST API"), and its secondary limit is 180 deletions a minute.
	changePause = time.Second
	pageSize    = 100 // the most that GitHub gives
)

// Packages is GitHub's packages API for container images on ghcr.io. All errors are
// *[Error]; no method retries. It is safe for concurrent use.
//
// It is written over net/http: go-github would bring a breaking release a month for
// four endpoints, and its Users.ListUserPackageVersions cannot page (v88).
type Packages struct {
	c     *Client
	base  string
	token string

	turn   chan struct{} // holds one value: one change at a time
	change time.Time     // when the last one was sent

	mu    sync.Mutex
	roots map[string]string // by owner: "/orgs/o", "/users/u" or "/user"
}

// PackagesOptions say how to reach the API.
type PackagesOptions struct {
	URL   string // $GITHUB_API_URL; "" means https://api.github.com
	Token string // used when docker has no login for ghcr.io; $GITHUB_TOKEN, $GH_TOKEN
}

// PackageVersion is one version of a container package: a manifest or an index with
// all its tags (GitHub REST API, "Package Version").
type PackageVersion struct {
	ID     int64
	Digest string
	Tags   []string
	// Path is the version's place in the API, for "gh api".
	Path string
}

// NewPackages returns the packages API with docker's login for ghcr.io.
func NewPackages(c *Client, o PackagesOptions) (*Packages, error) {
	if o.URL == "" {
		o.URL = githubAPI
	}
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" || u.Scheme != "https" && !(Reference{Registry: u.Host}).loopback() {
		return nil, fmt.Errorf("use $GITHUB_API_URL: %q is not an https URL", o.URL)
	}
	if cred := c.login(GHCR); cred.Password != "" {
		o.Token = cred.Password
	}
	p := &Packages{c: c, base: strings.TrimRight(o.URL, "/"), token: o.Token, turn: make(chan struct{}, 1), roots: map[string]string{}}
	p.turn <- struct{}{}
	return p, nil
}

// Visible looks the package of ref up. [KindNotFound] means that it does not exist
// or that the token may not see it: GitHub answers both alike. [KindAuth] means that
// there is no token, or one that GitHub does not take.
func (p *Packages) Visible(ctx context.Context, ref Reference) error {
	const op = "look up the package of"
	path, err := p.path(ctx, op, ref)
	if err != nil {
		return err
	}
	failed := p.call(ctx, op, ref, http.MethodGet, path, nil)
	return orNil(failed)
}

// Own reports whether ref's owner is the token's own user, who sees all of its
// packages: there [KindNotFound] of [Packages.Visible] proves absence.
func (p *Packages) Own(ctx context.Context, ref Reference) (bool, error) {
	path, err := p.path(ctx, "look up the owner of", ref)
	return strings.HasPrefix(path, "/user/"), err
}

// Versions lists the versions of ref's package page by page, in GitHub's order: the
// newest first. An error ends it.
func (p *Packages) Versions(ctx context.Context, ref Reference) iter.Seq2[PackageVersion, error] {
	const op = "list the package versions of"
	return func(yield func(PackageVersion, error) bool) {
		path, err := p.path(ctx, op, ref)
		if err != nil {
			yield(PackageVersion{}, err)
			return
		}
		for page := 1; ; page++ {
			var list []versionJSON
			failed := p.call(ctx, op, ref, http.MethodGet, path+"/versions?per_page="+strconv.Itoa(pageSize)+"&page="+strconv.Itoa(page), &list)
			if failed != nil {
				yield(PackageVersion{}, failed)
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

// Version reads one version again. [KindNotFound] means that it is gone, or not visible.
func (p *Packages) Version(ctx context.Context, ref Reference, id int64) (PackageVersion, error) {
	const op = "read a package version of"
	path, err := p.path(ctx, op, ref)
	if err != nil {
		return PackageVersion{}, err
	}
	var v versionJSON
	if failed := p.call(ctx, op, ref, http.MethodGet, path+"/versions/"+strconv.FormatInt(id, 10), &v); failed != nil {
		return PackageVersion{}, failed
	}
	return v.version(path), nil
}

// DeleteVersion removes a version: its manifest and every tag on it. Changes are a
// second apart.
//
// Its failures: [KindNotFound] it is gone, or the token has no admin right on the
// package; [KindAuth]; [KindReferenced] it is the last tagged version, or it has over
// 5,000 downloads; [KindRateLimit] with the wait that GitHub asks for; [KindOutage].
func (p *Packages) DeleteVersion(ctx context.Context, ref Reference, id int64) error {
	return p.alter(ctx, "delete a package version of", ref, http.MethodDelete, id, "")
}

// RestoreVersion brings a deleted version back, within thirty days.
func (p *Packages) RestoreVersion(ctx context.Context, ref Reference, id int64) error {
	return p.alter(ctx, "restore a package version of", ref, http.MethodPost, id, "/restore")
}

func (p *Packages) alter(ctx context.Context, op string, ref Reference, method string, id int64, end string) error {
	path, err := p.path(ctx, op, ref)
	if err != nil {
		return err
	}
	select {
	case <-p.turn:
		defer func() { p.turn <- struct{}{} }()
	case <-ctx.Done():
		return p.ended(ctx, op, ref)
	}
	if wait := time.Until(p.change.Add(changePause)); wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return p.ended(ctx, op, ref)
		}
	}
	p.change = time.Now()
	failed := p.call(ctx, op, ref, method, path+"/versions/"+strconv.FormatInt(id, 10)+end, nil)
	return orNil(failed)
}

// path is ref's package in the API. Its owner is an organization or a user, which
// have different paths, and the token's own user has a third
// (GitHub REST API, "Packages").
func (p *Packages) path(ctx context.Context, op string, ref Reference) (string, error) {
	owner, name, _ := strings.Cut(ref.Repository, "/")
	if p.token == "" {
		return "", &Error{Op: op, Ref: ref, Kind: KindAuth, Service: p.service(), Message: "there is no token", Next: ghcrTokenHint}
	}
	p.mu.Lock()
	root := p.roots[owner]
	p.mu.Unlock()
	if root == "" {
		var err *Error
		if root, err = p.root(ctx, op, ref, owner); err != nil {
			return "", err
		}
		p.mu.Lock()
		p.roots[owner] = root
		p.mu.Unlock()
	}
	return root + "/packages/container/" + url.PathEscape(name), nil
}

func (p *Packages) root(ctx context.Context, op string, ref Reference, owner string) (string, *Error) {
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
	if strings.HasPrefix(p.token, "ghs_") { // a workflow's token is no user's: GET /user refuses it
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

// call makes one request and reads what GitHub means by the answer.
func (p *Packages) call(ctx context.Context, op string, ref Reference, method, path string, result any) *Error {
	header := http.Header{
		"Accept":               {"application/vnd.github+json"},
		"X-Github-Api-Version": {"2022-11-28"},
		"Authorization":        {"Bearer " + p.token},
	}
	a, e := p.c.api(ctx, call{op: op, ref: ref, method: method, url: p.base + path, header: header}, result)
	if e == nil {
		return nil
	}
	limited := a.header.Get("Retry-After") != "" || a.header.Get("X-Ratelimit-Remaining") == "0"
	switch {
	case a.status == http.StatusForbidden && limited, a.status == http.StatusTooManyRequests:
		e.Kind = KindRateLimit
		if at, err := strconv.ParseInt(a.header.Get("X-Ratelimit-Reset"), 10, 64); err == nil && e.Wait == 0 {
			e.Wait = min(max(time.Unix(at, 0).Sub(a.at), 0), 24*time.Hour)
		}
	case e.Kind == KindAuth:
		e.Next = ghcrTokenHint
	case a.status == http.StatusBadRequest && method == http.MethodDelete:
		e.Kind = KindReferenced
	}
	return e
}

// ghcrTokenHint names the rights of both kinds of token that GitHub takes here.
const ghcrTokenHint = "log in to ghcr.io (docker login ghcr.io) with a personal access token (classic) that has read:packages and delete:packages, " +
	"or with a workflow's GITHUB_TOKEN (permissions: packages: write) of a repository that has the role Admin on the package (package settings, Manage Actions access)"

func (p *Packages) service() string {
	u, err := url.Parse(p.base)
	if err != nil {
		return p.base
	}
	return u.Host
}

func (p *Packages) ended(ctx context.Context, op string, ref Reference) error {
	kind, message := network(ctx, ctx.Err(), ctx.Err())
	return &Error{Op: op, Ref: ref, Kind: kind, Service: p.service(), Message: message, Err: ctx.Err()}
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

func (v versionJSON) version(path string) PackageVersion {
	return PackageVersion{ID: v.ID, Digest: v.Name, Tags: v.Metadata.Container.Tags, Path: path + "/versions/" + strconv.FormatInt(v.ID, 10)}
}

// orNil keeps a nil *Error from becoming an error that is not nil.
func orNil(e *Error) error {
	if e == nil {
		return nil
	}
	return e
}

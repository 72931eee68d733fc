// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/LerianStudio/pushguard/pkg/registry"
	"github.com/LerianStudio/pushguard/pkg/retry"
)

// dockerHub is docker.io. Its registry does not delete tags and does not tell why it
// refuses; hub.docker.com does both, see [Hub].
var dockerHub = &Host{
	Name:          "Docker Hub",
	Hosts:         []string{registry.DockerHub},
	Challenges:    true,
	KeepsUntagged: true,
	NoReferrers:   true, // docker/roadmap#724
	Rights: "log in to docker.io (docker login without a host) with an account that can read and write {repository}; " +
		"Docker Hub answers the same for a repository that does not exist: create it first, or push once by hand",
	DeleteRights: hubDelete,
	Undo:         "delete {tag} at https://hub.docker.com/r/{repository}/tags",
	Unlock: "publish the next version instead; or at https://hub.docker.com/repository/docker/{repository}/settings " +
		"change the immutable tags setting so that it does not match {tag}",
	Meanings: []Meaning{
		// The token service, and the API's login.
		{Status: http.StatusTooManyRequests, Words: "failed login", Kind: registry.KindAuth, Next: hubLocked},
		{To: registry.RequestToken, Words: "personal access token is expired", Kind: registry.KindAuth, Next: hubExpired},
		{Status: http.StatusUnauthorized, Words: "incorrect", Kind: registry.KindAuth, Next: hubWrong},
		{Status: http.StatusUnauthorized, Words: "login_2fa_token", Kind: registry.KindAuth, Next: "the account uses two-factor login: docker login with a personal access token in the place of the password"},
		{Status: http.StatusUnauthorized, Words: "organization account", Kind: registry.KindAuth, Next: "docker login with a personal access token of a member: an organization access token is not accepted here"},
		// The registry.
		{To: registry.RequestDelete, Status: http.StatusForbidden, Words: "referenced", Kind: registry.KindReferenced, ByHand: hubInUse},
		{Words: "export control", Kind: registry.KindForbidden, Next: "Docker does not serve this country or network: run it from another one"},
		// The API. It has answered 500 around its registry's 401 (docker/hub-feedback#2398).
		{To: registry.RequestAPI, Status: http.StatusInternalServerError, Words: "unauthorized", Kind: registry.KindAuth, Next: hubDelete},
		{To: registry.RequestAPI, Status: http.StatusInternalServerError, Words: "status=401", Kind: registry.KindAuth, Next: hubDelete},
	},
	Notes: "Tags are deleted, and immutability is read, at hub.docker.com.",
}

const (
	hubDelete = "log in to docker.io (docker login without a host) with a personal access token with Read, Write, Delete " +
		"(https://app.docker.com/settings/personal-access-tokens), of an account that may write the repository; an organization access token cannot delete tags"
	hubLocked = "Docker Hub has locked the login after too many wrong passwords: wait for 15 minutes, then docker login with the right one; " +
		"pushguard sends a refused login once"
	hubWrong   = "docker's login is refused: log in to docker.io (docker login without a host) with the right user name and password, or with a personal access token"
	hubExpired = "the personal access token has expired: make a new one at https://app.docker.com/settings/personal-access-tokens and docker login with it"
	hubInUse   = "docker buildx imagetools inspect {name}@{digest} shows what it is; delete the tags and indexes that have it first, at https://hub.docker.com/r/{repository}/tags"
	// Since July 2026 docker/login-action can log in with a workflow's identity.
	hubShortLived = "docker's login for docker.io is a short-lived token from a workflow's identity (OIDC), which Docker Hub's registry takes and its API does not: " +
		"to read immutability or delete tags, docker login with a personal access token that has Read, Write, Delete"
)

// hubAPI is Docker Hub's API beside its registry.
const (
	hubService = "hub.docker.com"
	hubAPI     = "https://" + hubService
)

// hubTokenLife is how long a token is used. They expire after ten minutes
// (Docker Hub API, POST /v2/auth/token).
const hubTokenLife = 9 * time.Minute

// Hub is Docker Hub with its API, used with docker's login for docker.io, or without
// one. It logs in when first needed, once: a refused login is never repeated, because
// Docker Hub locks the account after some. It is safe for concurrent use. Except for
// [Hub.Immutable], no method retries. All errors of the API are *[registry.Error] with
// Service hubService.
type Hub struct {
	c *registry.Client

	turn    chan struct{} // holds one value; who takes it may use what follows
	token   string
	until   time.Time
	refused *registry.Error

	mu           sync.Mutex
	repositories map[string]*hubAnswer
}

// hubAnswer is what the API said of a repository. It is asked once.
type hubAnswer struct {
	done       chan struct{} // closed when the rest is set
	repository HubRepository
	err        error
}

func newHub(c *registry.Client) *Hub {
	h := &Hub{c: c, turn: make(chan struct{}, 1), repositories: map[string]*hubAnswer{}}
	h.turn <- struct{}{}
	return h
}

// About returns what is known of Docker Hub.
func (h *Hub) About() *Host { return dockerHub }

// repository is what the API says of ref's repository, with one retry: the answer
// helps, and nothing depends on it.
func (h *Hub) repository(ctx context.Context, ref registry.Reference) (HubRepository, error) {
	h.mu.Lock()
	a := h.repositories[ref.Repository]
	first := a == nil
	if first {
		a = &hubAnswer{done: make(chan struct{})}
		h.repositories[ref.Repository] = a
	}
	h.mu.Unlock()
	if first {
		policy := retry.Policy{MaxAttempts: 2, InitialDelay: time.Second, MaxDelay: time.Second}
		a.repository, a.err = retry.Do(ctx, policy, func(ctx context.Context) (HubRepository, error) { return h.Repository(ctx, ref) })
		close(a.done)
	}
	select {
	case <-a.done:
		return a.repository, a.err
	case <-ctx.Done():
		return HubRepository{}, context.Cause(ctx)
	}
}

// Immutable implements [TagRules]. Docker does not say whether a rule has to match the
// whole tag: a match of any part counts here, which at worst warns too often. An
// unreadable rule counts as matching.
func (h *Hub) Immutable(ctx context.Context, ref registry.Reference) (Immutable, error) {
	r, err := h.repository(ctx, ref)
	if err != nil {
		return Immutable{}, err
	}
	yes, rule := r.Immutable(ref.Tag)
	return Immutable{Known: true, Yes: yes, Rule: rule}, nil
}

// Explain implements [Explainer]: the registry's 401 means that the repository does not
// exist, or is not visible, or that the login lacks the right.
func (h *Hub) Explain(ctx context.Context, ref registry.Reference, refusal *registry.Error) (absent bool, better error) {
	if refusal.AtTokens && refusal.LoggedIn {
		return false, refusal // the login itself was refused
	}
	r, err := h.repository(ctx, ref)
	namespace, _, _ := strings.Cut(ref.Repository, "/")
	account := h.Account()
	own := *refusal
	switch {
	case err == nil && !r.Anonymous && !r.Permissions.Write:
		own.Next = fmt.Sprintf("the repository exists, and the account %s may not write it: add it as a collaborator or to a team with Read & Write on %s", account, ref.Repository)
	case err == nil:
		own.Next = "the repository exists; log in to docker.io (docker login without a host) with an account that can read and write " + ref.Repository
	case isKind(err, registry.KindNotFound) && account != "" && account == namespace:
		return true, nil // the owner of a namespace sees all of it
	case isKind(err, registry.KindAuth):
		return false, err // a refused login explains more
	}
	return false, &own
}

// HubRepository is what Docker Hub tells of a repository, as far as it matters here
// (Docker Hub API, GET /v2/namespaces/{namespace}/repositories/{repository}).
type HubRepository struct {
	Private     bool `json:"is_private"`
	Permissions struct {
		Read  bool `json:"read"`
		Write bool `json:"write"`
		Admin bool `json:"admin"`
	} `json:"permissions"` // of the login; all false or read only when Anonymous
	ImmutableTags struct {
		Enabled bool     `json:"enabled"`
		Rules   []string `json:"rules"` // RE2; none means all tags
	} `json:"immutable_tags_settings"`
	// Anonymous says that no login was used: there is none, or it was refused.
	Anonymous bool `json:"-"`
}

// Immutable reports whether tag can neither be moved nor deleted once it exists,
// and by which rule ("" when all tags are). Docker does not say whether a rule has
// to match the whole tag: a match of any part counts here, which at worst warns too
// often. An unreadable rule counts as matching.
func (r HubRepository) Immutable(tag string) (immutable bool, rule string) {
	if !r.ImmutableTags.Enabled {
		return false, ""
	}
	if len(r.ImmutableTags.Rules) == 0 {
		return true, ""
	}
	for _, rule := range r.ImmutableTags.Rules {
		if re, err := regexp.Compile(rule); err != nil || re.MatchString(tag) {
			return true, rule
		}
	}
	return false, ""
}

// Account is the user, or the organization of an organization access token, that
// docker is logged in to Docker Hub as; "" for none.
func (h *Hub) Account() string {
	user, _ := h.c.Login(registry.DockerHub)
	return user
}

// Repository reads ref's repository. [registry.KindNotFound] means that it does not exist or
// is not visible to the login; it proves absence only in the login's own namespace.
func (h *Hub) Repository(ctx context.Context, ref registry.Reference) (HubRepository, error) {
	const op = "look up on Docker Hub"
	token, err := h.login(ctx, op, ref)
	if err != nil && (err.Transient() || ctx.Err() != nil) {
		return HubRepository{}, err
	}
	var r HubRepository
	namespace, name, _ := strings.Cut(ref.Repository, "/")
	_, failed := h.c.API(ctx, registry.Call{
		Op: op, Ref: ref, Method: http.MethodGet, Header: bearer(token),
		URL: hubAPI + "/v2/namespaces/" + url.PathEscape(namespace) + "/repositories/" + url.PathEscape(name),
	}, &r)
	r.Anonymous = token == ""
	switch {
	case failed == nil:
		return r, nil
	case r.Anonymous && err != nil && (failed.Kind == registry.KindAuth || failed.Kind == registry.KindNotFound):
		return HubRepository{}, err // the refused login is the better explanation
	}
	return HubRepository{}, failed
}

// DeleteTag removes one tag and leaves its manifest and the manifest's other tags
// (DELETE /v2/repositories/{namespace}/{repository}/tags/{tag}/, which Docker does
// not document; docker/hub-tool, pkg/hub/tags.go, takes any 2xx for success).
//
// Its failures: [registry.KindNotFound] the tag is gone, or not visible; [registry.KindAuth] the token
// may not delete (403, and 500 around a registry's 401), with a Hint that names the
// right; [registry.KindImmutable]; [registry.KindUnsupported] (405); [registry.KindRateLimit] with the wait of
// X-Retry-After; [registry.KindOutage].
func (h *Hub) DeleteTag(ctx context.Context, ref registry.Reference) error {
	const op = "delete tag on Docker Hub"
	token, err := h.login(ctx, op, ref)
	if err != nil {
		return err
	}
	if token == "" {
		return &registry.Error{Op: op, Ref: ref, Kind: registry.KindAuth, Service: hubService, Message: "there is no login", Next: hubDelete}
	}
	namespace, name, _ := strings.Cut(ref.Repository, "/")
	_, failed := h.c.API(ctx, registry.Call{
		Op: op, Ref: ref, Method: http.MethodDelete, Header: bearer(token),
		URL: hubAPI + "/v2/repositories/" + url.PathEscape(namespace) + "/" + url.PathEscape(name) + "/tags/" + url.PathEscape(ref.Tag) + "/",
	}, nil)
	return orNil(failed)
}

// login returns a token, "" when there is no login to exchange for one (an identity
// token is of no use here). A refusal is returned again without a request.
func (h *Hub) login(ctx context.Context, op string, ref registry.Reference) (string, *registry.Error) {
	select {
	case <-h.turn:
		defer func() { h.turn <- struct{}{} }()
	case <-ctx.Done():
		return "", registry.Ended(ctx, op, ref, hubService)
	}
	if h.refused != nil {
		again := *h.refused
		again.Op, again.Ref = op, ref
		return "", &again
	}
	if h.token != "" && time.Now().Before(h.until) {
		return h.token, nil
	}
	user, secret := h.c.Login(registry.DockerHub)
	if user == "" || secret == "" {
		return "", nil
	}
	var result struct {
		Token string `json:"access_token"`
	}
	start := time.Now()
	_, err := h.c.API(ctx, registry.Call{
		Op: op, Ref: ref, Method: http.MethodPost, URL: hubAPI + "/v2/auth/token", Login: true,
		Body: map[string]string{"identifier": user, "secret": secret},
	}, &result)
	if err == nil && result.Token == "" {
		err = &registry.Error{Op: op, Ref: ref, Kind: registry.KindNotARegistry, Service: hubService, Status: http.StatusOK, Message: "the answer to the login has no token"}
	}
	if err != nil {
		if !err.Transient() {
			err.AtTokens = true
			if isShortLived(secret) {
				err.Next = hubShortLived
			}
			h.refused = err
		}
		return "", err
	}
	h.token, h.until = result.Token, start.Add(hubTokenLife)
	return h.token, nil
}

func bearer(token string) http.Header {
	if token == "" {
		return nil
	}
	return http.Header{"Authorization": {"Bearer " + token}}
}

// isShortLived reports whether a secret is a JSON Web Token (RFC 7519) and not a
// password or an access token: what docker/login-action stores after a login with a
// workflow's identity.
func isShortLived(secret string) bool {
	return strings.HasPrefix(secret, "eyJ") && strings.Count(secret, ".") == 2
}

func isKind(err error, kind registry.Kind) bool {
	e, ok := errors.AsType[*registry.Error](err)
	return ok && e.Kind == kind
}

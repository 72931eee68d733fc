// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// hubAPI is Docker Hub's API beside its registry.
const hubAPI = "https://hub.docker.com"

// hubTokenLife is how long a token is used. They expire after ten minutes
// (Docker Hub API, POST /v2/auth/token).
const hubTokenLife = 9 * time.Minute

// Hub is Docker Hub's API with docker's login for docker.io, or anonymous without
// one. It logs in when first needed, once: a refused login is never repeated,
// because Docker Hub locks the account after some. It is safe for concurrent use,
// and no method retries. All errors are *[Error] with Service "hub.docker.com".
type Hub struct {
	c *Client

	turn    chan struct{} // holds one value; who takes it may use what follows
	token   string
	until   time.Time
	refused *Error
}

// Hub is the client's access to Docker Hub's API; the same one each time.
func (c *Client) Hub() *Hub { return c.hub }

func newHub(c *Client) *Hub {
	h := &Hub{c: c, turn: make(chan struct{}, 1)}
	h.turn <- struct{}{}
	return h
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
func (h *Hub) Account() string { return h.c.login(DockerHub).User }

// Repository reads ref's repository. [KindNotFound] means that it does not exist or
// is not visible to the login; it proves absence only in the login's own namespace.
func (h *Hub) Repository(ctx context.Context, ref Reference) (HubRepository, error) {
	const op = "look up on Docker Hub"
	token, err := h.login(ctx, op, ref)
	if err != nil && (err.Transient() || ctx.Err() != nil) {
		return HubRepository{}, err
	}
	var r HubRepository
	namespace, name, _ := strings.Cut(ref.Repository, "/")
	_, failed := h.c.api(ctx, call{
		op: op, ref: ref, method: http.MethodGet, header: bearer(token),
		url: hubAPI + "/v2/namespaces/" + url.PathEscape(namespace) + "/repositories/" + url.PathEscape(name),
	}, &r)
	r.Anonymous = token == ""
	switch {
	case failed == nil:
		return r, nil
	case r.Anonymous && err != nil && (failed.Kind == KindAuth || failed.Kind == KindNotFound):
		return HubRepository{}, err // the refused login is the better explanation
	}
	return HubRepository{}, failed
}

// DeleteTag removes one tag and leaves its manifest and the manifest's other tags
// (DELETE /v2/repositories/{namespace}/{repository}/tags/{tag}/, which Docker does
// not document; docker/hub-tool, pkg/hub/tags.go, takes any 2xx for success).
//
// Its failures: [KindNotFound] the tag is gone, or not visible; [KindAuth] the token
// may not delete (403, and 500 around a registry's 401), with a Hint that names the
// right; [KindImmutable]; [KindUnsupported] (405); [KindRateLimit] with the wait of
// X-Retry-After; [KindOutage].
func (h *Hub) DeleteTag(ctx context.Context, ref Reference) error {
	const op = "delete tag on Docker Hub"
	token, err := h.login(ctx, op, ref)
	if err != nil {
		return err
	}
	if token == "" {
		return &Error{Op: op, Ref: ref, Kind: KindAuth, Service: "hub.docker.com", Message: "there is no login", Next: hubDeleteHint}
	}
	namespace, name, _ := strings.Cut(ref.Repository, "/")
	a, failed := h.c.api(ctx, call{
		op: op, ref: ref, method: http.MethodDelete, header: bearer(token),
		url: hubAPI + "/v2/repositories/" + url.PathEscape(namespace) + "/" + url.PathEscape(name) + "/tags/" + url.PathEscape(ref.Tag) + "/",
	}, nil)
	if failed == nil {
		return nil
	}
	words := bytes.ToLower(a.body)
	switch {
	case a.status >= 400 && a.status < 500 && bytes.Contains(words, []byte("immutab")):
		failed.Kind = KindImmutable
	case a.status == http.StatusInternalServerError && (bytes.Contains(words, []byte("unauthorized")) || bytes.Contains(words, []byte("401"))):
		failed.Kind = KindAuth // its registry's refusal, wrapped (docker/hub-feedback#2398)
	}
	if failed.Kind == KindAuth {
		failed.Next = hubDeleteHint
	}
	return failed
}

const hubDeleteHint = "log in to docker.io (docker login without a host) with a personal access token that has Read, Write, Delete, " +
	"of an account that may write the repository; an organization access token cannot delete tags"

// login returns a token, "" when there is no login to exchange for one (an identity
// token is of no use here). A refusal is returned again without a request.
func (h *Hub) login(ctx context.Context, op string, ref Reference) (string, *Error) {
	select {
	case <-h.turn:
		defer func() { h.turn <- struct{}{} }()
	case <-ctx.Done():
		kind, message := network(ctx, ctx.Err(), ctx.Err())
		return "", &Error{Op: op, Ref: ref, Kind: kind, Service: "hub.docker.com", Message: message, Err: ctx.Err()}
	}
	if h.refused != nil {
		again := *h.refused
		again.Op, again.Ref = op, ref
		return "", &again
	}
	if h.token != "" && time.Now().Before(h.until) {
		return h.token, nil
	}
	cred := h.c.login(DockerHub)
	if cred.User == "" || cred.Password == "" {
		return "", nil
	}
	var result struct {
		Token string `json:"access_token"`
	}
	start := time.Now()
	_, err := h.c.api(ctx, call{
		op: op, ref: ref, method: http.MethodPost, url: hubAPI + "/v2/auth/token",
		body: map[string]string{"identifier": cred.User, "secret": cred.Password},
	}, &result)
	if err == nil && result.Token == "" {
		err = &Error{Op: op, Ref: ref, Kind: KindNotARegistry, Service: "hub.docker.com", Status: http.StatusOK, Message: "the answer to the login has no token"}
	}
	if err != nil {
		if !err.Transient() {
			err.AtTokens = true
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

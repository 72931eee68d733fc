// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package registrytest

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// GHCR is ghcr.io and the packages part of api.github.com, with what is documented
// of them and what their users report: no deletion at the registry, versions with all
// their tags, the refusals of DELETE, the rate limits.
type GHCR struct {
	Faults // before the API

	Registry *Store // ghcr.io
	// Organizations are the owners that are no users.
	Organizations []string
	// Tokens are the tokens that GitHub takes, and whose they are; "" for a workflow's.
	Tokens map[string]string
	// Readers are tokens that list and read, and have no admin right: their deletions
	// meet a 404. Blind ones see no package at all.
	Readers, Blind []string
	// Downloads are those of public versions, by digest; over 5,000 keep a version.
	Downloads map[string]int
	// Limit bounds points a minute (a GET is one, any other five); 0 is GitHub's 900.
	Limit int

	mu     sync.Mutex
	points []point
}

type point struct {
	at time.Time
	n  int
}

// NewGHCR returns an empty one, for one token that may do everything.
func NewGHCR(token string, organizations ...string) *GHCR {
	unsupported := &Refusal{Status: http.StatusMethodNotAllowed, Code: "UNSUPPORTED", Message: "The operation is unsupported."}
	return &GHCR{
		Registry:      NewStore(Rules{DeleteTag: unsupported, DeleteDigest: unsupported}),
		Organizations: organizations, Tokens: map[string]string{token: ""}, Downloads: map[string]int{},
	}
}

// API is api.github.com, without the faults: [Faults.Front] puts them before it.
func (g *GHCR) API() http.Handler { return http.HandlerFunc(g.serve) }

func (g *GHCR) serve(w http.ResponseWriter, req *http.Request) {
	token := strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer ")
	user, known := g.Tokens[token]
	if !known {
		github(w, http.StatusUnauthorized, "Bad credentials")
		return
	}
	if g.limited(req.Method) {
		w.Header().Set("Retry-After", "60")
		github(w, http.StatusForbidden, "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.")
		return
	}
	parts := strings.Split(strings.TrimPrefix(req.URL.EscapedPath(), "/"), "/")
	for i := range parts {
		parts[i], _ = url.PathUnescape(parts[i])
	}
	switch {
	case len(parts) == 1 && parts[0] == "user" && user == "":
		github(w, http.StatusForbidden, "Resource not accessible by integration")
	case len(parts) == 1 && parts[0] == "user":
		answerJSON(w, http.StatusOK, account(user, "User"))
	case len(parts) == 2 && parts[0] == "users":
		kind := "User"
		if slices.Contains(g.Organizations, parts[1]) {
			kind = "Organization"
		}
		answerJSON(w, http.StatusOK, account(parts[1], kind))
	case parts[0] == "user" && user != "":
		g.packages(w, req, token, user, parts[1:])
	case len(parts) > 2 && (parts[0] == "orgs") == slices.Contains(g.Organizations, parts[1]):
		g.packages(w, req, token, parts[1], parts[2:])
	default:
		github(w, http.StatusNotFound, "Not Found")
	}
}

// limited counts the points of a minute (GitHub, "About secondary rate limits").
func (g *GHCR) limited(method string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := point{time.Now(), 5}
	if method == http.MethodGet || method == http.MethodHead {
		p.n = 1
	}
	sum := p.n
	g.points = slices.DeleteFunc(g.points, func(old point) bool { return p.at.Sub(old.at) > time.Minute })
	for _, old := range g.points {
		sum += old.n
	}
	g.points = append(g.points, p)
	return sum > cmp.Or(g.Limit, 900)
}

// packages serves packages/container/NAME and what is under it.
func (g *GHCR) packages(w http.ResponseWriter, req *http.Request, token, owner string, parts []string) {
	if len(parts) < 3 || parts[0] != "packages" || parts[1] != "container" {
		github(w, http.StatusNotFound, "Not Found")
		return
	}
	s, name := g.Registry, owner+"/"+parts[2]
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.repositories[name]
	if r == nil || len(r.manifests) == 0 || slices.Contains(g.Blind, token) {
		github(w, http.StatusNotFound, "Package not found.")
		return
	}
	var id int64
	if len(parts) > 4 {
		id, _ = strconv.ParseInt(parts[4], 10, 64)
	}
	switch route := req.Method + " " + strings.Join(parts[3:min(len(parts), 4)], ""); {
	case route == "GET " && len(parts) == 3:
		answerJSON(w, http.StatusOK, map[string]any{
			"id": 1, "name": parts[2], "package_type": "container", "visibility": "public", "version_count": len(r.manifests),
			"url": "https://api.github.com/x", "html_url": "https://github.com/x", "created_at": someTime, "updated_at": someTime,
		})
	case route == "GET versions" && len(parts) == 4:
		g.versions(w, req, r)
	case route == "GET versions" && len(parts) == 5:
		if digest := r.byID(id); digest != "" {
			answerJSON(w, http.StatusOK, r.version(digest))
			return
		}
		github(w, http.StatusNotFound, "Package version not found.")
	case route == "DELETE versions" && len(parts) == 5:
		g.delete(w, token, r, r.byID(id))
	case route == "POST versions" && len(parts) == 6 && parts[5] == "restore":
		g.restore(w, token, r, id)
	default:
		github(w, http.StatusNotFound, "Not Found")
	}
}

func (g *GHCR) versions(w http.ResponseWriter, req *http.Request, r *repository) {
	size, page := 30, 1
	if n, err := strconv.Atoi(req.URL.Query().Get("per_page")); err == nil {
		size = min(n, 100)
	}
	if n, err := strconv.Atoi(req.URL.Query().Get("page")); err == nil {
		page = n
	}
	digests := make([]string, 0, len(r.manifests))
	for d := range r.manifests {
		digests = append(digests, d)
	}
	slices.SortFunc(digests, func(a, b string) int { return cmp.Compare(r.manifests[b].id, r.manifests[a].id) })
	list := []any{}
	for _, d := range digests[min(len(digests), (page-1)*size):min(len(digests), page*size)] {
		list = append(list, r.version(d))
	}
	answerJSON(w, http.StatusOK, list)
}

func (g *GHCR) delete(w http.ResponseWriter, token string, r *repository, digest string) {
	tagged := 0
	for d := range r.manifests {
		if len(r.tagsOf(d)) > 0 {
			tagged++
		}
	}
	switch {
	case digest == "" || slices.Contains(g.Readers, token):
		github(w, http.StatusNotFound, "Package version not found.")
	case g.Downloads[digest] > 5000:
		github(w, http.StatusBadRequest, "Publicly visible package versions with more than 5000 downloads cannot be deleted. Contact GitHub support for further assistance.")
	case len(r.tagsOf(digest)) > 0 && tagged == 1:
		github(w, http.StatusBadRequest, "You cannot delete the last tagged version of a package. You must delete the package instead.")
	default:
		m := r.manifests[digest]
		g.Registry.remove(r, digest)
		r.deleted[digest] = m
		w.WriteHeader(http.StatusNoContent)
	}
}

// restore brings a version back, without its tags.
func (g *GHCR) restore(w http.ResponseWriter, token string, r *repository, id int64) {
	for digest, m := range r.deleted {
		if m != nil && m.id == id && !slices.Contains(g.Readers, token) {
			r.manifests[digest] = m
			delete(r.deleted, digest)
			w.WriteHeader(http.StatusNoContent)
			return
		}
	}
	github(w, http.StatusNotFound, "Package version not found.")
}

func (r *repository) byID(id int64) string {
	for digest, m := range r.manifests {
		if m.id == id {
			return digest
		}
	}
	return ""
}

const someTime = "2026-11-24T10:00:00Z"

func (r *repository) version(digest string) map[string]any {
	return map[string]any{
		"id": r.manifests[digest].id, "name": digest, "url": "https://api.github.com/x", "package_html_url": "https://github.com/x",
		"created_at": someTime, "updated_at": someTime,
		"metadata": map[string]any{"package_type": "container", "container": map[string]any{"tags": r.tagsOf(digest)}},
	}
}

// account is a public user with all the fields that the description requires.
func account(login, kind string) map[string]any {
	a := map[string]any{"login": login, "type": kind, "id": 1, "site_admin": false, "public_repos": 1, "public_gists": 0, "followers": 0, "following": 0}
	for _, name := range []string{"name", "company", "blog", "location", "email", "hireable", "bio", "gravatar_id"} {
		a[name] = nil
	}
	a["user_view_type"], a["blog"], a["node_id"], a["created_at"], a["updated_at"] = "public", "", "x", someTime, someTime
	for _, name := range []string{"avatar", "events", "followers", "following", "gists", "html", "organizations", "received_events", "repos", "starred", "subscriptions"} {
		a[name+"_url"] = "https://api.github.com/x"
	}
	a["url"] = "https://api.github.com/x"
	return a
}

func github(w http.ResponseWriter, status int, message string) {
	answerJSON(w, status, map[string]string{
		"message": message, "documentation_url": "https://docs.github.com/rest/packages/packages", "status": strconv.Itoa(status),
	})
}

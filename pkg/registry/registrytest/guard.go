// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package registrytest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// Guard is a token service and the registry that wants its tokens, as hosted
// registries have them (distribution, docs/spec/auth/token.md and oauth.md).
type Guard struct {
	Realm   string // URL of the token service; "" for /token of the registry's own host
	Service string
	// Grant says which of actions ("pull", "push", "delete") a login gets on a
	// repository; user is "" without a login. A handler refuses the token itself.
	Grant func(user, secret, repository string, actions []string) ([]string, http.HandlerFunc)
	// Denied answers requests whose token has too few rights, with the challenge in
	// the header; nil means 401 UNAUTHORIZED.
	Denied http.HandlerFunc

	mu     sync.Mutex
	tokens map[string]map[string][]string // token -> repository -> actions
}

// Tokens is the token service.
func (g *Guard) Tokens() http.Handler { return http.HandlerFunc(g.issue) }

func (g *Guard) issue(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	user, secret, _ := r.BasicAuth()
	if r.Method == http.MethodPost {
		user, secret = r.Form.Get("username"), r.Form.Get("password")
	}
	if r.Form.Get("service") != g.Service {
		http.Error(w, fmt.Sprintf("service is %q, not %q", r.Form.Get("service"), g.Service), http.StatusBadRequest)
		return
	}
	access := map[string][]string{}
	for _, list := range r.Form["scope"] {
		for scope := range strings.FieldsSeq(list) {
			parts := strings.Split(scope, ":")
			if len(parts) != 3 || parts[0] != "repository" {
				http.Error(w, "malformed scope "+scope, http.StatusBadRequest)
				return
			}
			granted, refuse := g.Grant(user, secret, parts[1], strings.Split(parts[2], ","))
			if refuse != nil {
				refuse(w, r)
				return
			}
			access[parts[1]] = granted
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.tokens == nil {
		g.tokens = map[string]map[string][]string{}
	}
	token := fmt.Sprintf("token-%d", len(g.tokens)+1)
	g.tokens[token] = access
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"token": token, "access_token": token, "expires_in": 300})
}

// Protect is next for those who have a token with the right to what they ask.
func (g *Guard) Protect(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.Realm == "" && r.URL.Path == "/token" {
			g.issue(w, r)
			return
		}
		repository, action := Wanted(r)
		token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		g.mu.Lock()
		access, known := g.tokens[token]
		g.mu.Unlock()
		if known && (repository == "" || slices.Contains(access[repository], action)) {
			next.ServeHTTP(w, r)
			return
		}
		realm := g.Realm
		if realm == "" {
			realm = "http://" + r.Host + "/token"
		}
		challenge := fmt.Sprintf(`Bearer realm=%q,service=%q`, realm, g.Service)
		if repository != "" {
			challenge += fmt.Sprintf(`,scope="repository:%s:%s"`, repository, strings.ReplaceAll(action, "push", "pull,push"))
		}
		if known {
			challenge += `,error="insufficient_scope"`
			if g.Denied != nil {
				g.Denied(w, r)
				return
			}
		}
		w.Header().Set("WWW-Authenticate", challenge)
		Error(http.StatusUnauthorized, "UNAUTHORIZED", "authentication required")(w, r)
	})
}

// Wanted is the repository that a request is about, "" for none, and the right that
// it needs there.
func Wanted(r *http.Request) (repository, action string) {
	path := strings.TrimPrefix(r.URL.Path, "/v2/")
	for _, part := range []string{"/manifests/", "/blobs/", "/tags/", "/referrers/"} {
		if i := strings.LastIndex(path, part); i > 0 {
			repository = path[:i]
		}
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		return repository, "pull"
	case http.MethodDelete:
		return repository, "delete"
	}
	return repository, "push"
}

// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// gate is what one team sees of a registry: it refuses, and makes tags
// immutable, as Docker Hub and Quay do and these registries cannot.
type gate struct {
	host string

	mu        sync.Mutex
	closed    bool                     // refuses every write
	immutable bool                     // a tag that exists is neither moved nor deleted
	down      bool                     // answers 503 to everything
	stuck     func(*http.Request) bool // not nil: requests that it picks wait for ever
}

func newGate(t *testing.T, registry string) *gate {
	t.Helper()
	target := &url.URL{Scheme: "http", Host: registry}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host // the registry's Location headers lead back here
	}}
	g, over := &gate{}, make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.sticks(r) {
			select {
			case <-r.Context().Done():
			case <-over: // the builder outlives a job that was killed, and its request does too
			}
			panic(http.ErrAbortHandler)
		}
		if status, code, message := g.refusal(r, registry); status != 0 {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_, _ = fmt.Fprintf(w, `{"errors":[{"code":%q,"message":%q}]}`, code, message)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(over) })
	g.host = strings.TrimPrefix(server.URL, "http://")
	return g
}

func (g *gate) refusal(r *http.Request, registry string) (status int, code, message string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, tag, manifest := strings.Cut(r.URL.Path, "/manifests/")
	tagged := manifest && !strings.HasPrefix(tag, "sha256")
	switch {
	case g.down:
		return http.StatusServiceUnavailable, "UNAVAILABLE", "service unavailable"
	case g.closed && (r.Method == http.MethodPut || r.Method == http.MethodPost):
		return http.StatusForbidden, "DENIED", "requested access to the resource is denied"
	case g.immutable && tagged && r.Method == http.MethodDelete:
		return http.StatusConflict, "TAG_IMMUTABLE", "tag is immutable"
	case g.immutable && tagged && r.Method == http.MethodPut && taken(registry, r.URL.Path):
		return http.StatusForbidden, "DENIED", "tag " + tag + " is already assigned to an image in this repository and cannot be updated due to immutability settings."
	}
	return 0, "", ""
}

func taken(registry, path string) bool {
	req, err := http.NewRequest(http.MethodHead, "http://"+registry+path, nil)
	if err != nil {
		return false
	}
	req.Header.Set("Accept", accept)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

const accept = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, " +
	"application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json"

func (g *gate) set(closed, immutable bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed, g.immutable = closed, immutable
}

// stick makes requests for tags that pick chooses wait for ever, until it is called with
// nil.
func (g *gate) stick(pick func(*http.Request) bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stuck = pick
}

func (g *gate) sticks(r *http.Request) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, tag, manifest := strings.Cut(r.URL.Path, "/manifests/")
	return g.stuck != nil && manifest && !strings.HasPrefix(tag, "sha256") && g.stuck(r)
}

func (g *gate) break503(down bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.down = down
}

// digest is what a tag of the team's names, "" when it does not exist.
func (g *gate) digest(t *testing.T, repository, tag string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodHead, "http://"+g.host+"/v2/"+repository+"/manifests/"+tag, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", accept)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNotFound {
		return ""
	}
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s/%s:%s: %s", g.host, repository, tag, resp.Status)
	}
	return resp.Header.Get("Docker-Content-Digest")
}

// helm is GitHub's API as the dispatch sees it.
type helm struct {
	server *httptest.Server

	mu     sync.Mutex
	down   bool
	bodies []string
}

func newHelm(t *testing.T) *helm {
	t.Helper()
	h := &helm{}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /repos/org/helm/actions/workflows/app-sync.yml/dispatches", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		h.mu.Lock()
		defer h.mu.Unlock()
		switch {
		case h.down:
			http.Error(w, `{"message":"Workflow does not have 'workflow_dispatch' trigger"}`, http.StatusUnprocessableEntity)
		case r.Header.Get("Authorization") != "Bearer helm-secret":
			http.Error(w, `{"message":"Bad credentials"}`, http.StatusUnauthorized)
		default:
			h.bodies = append(h.bodies, string(body))
			w.WriteHeader(http.StatusNoContent)
		}
	})
	h.server = httptest.NewServer(mux)
	t.Cleanup(h.server.Close)
	return h
}

// sent are the bodies of the dispatches that were accepted.
func (h *helm) sent() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.bodies
}

// set makes it refuse dispatches, or accept them again.
func (h *helm) set(down bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.down = down
}

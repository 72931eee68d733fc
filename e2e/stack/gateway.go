// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// Gateway is a reverse proxy in front of one server that counts what passes
// and breaks what it is told to.
type Gateway struct {
	URL string

	server *httptest.Server

	mu     sync.Mutex
	faults []Fault
	calls  []Call
}

// Fault breaks one request.
type Fault struct {
	Method, Path string // of the requests it waits for; Path is a prefix, empty is any
	Status       int    // of the answer instead; 0: the connection is cut
	Lost         bool   // the server does get the request: only its answer is lost
}

// Call is one request that came in.
type Call struct {
	Method, Path string
	Status       int  // of the server if forwarded, else of the fault
	Forwarded    bool // to the server
}

// NewGateway serves a gateway to target (a URL without a path) on loopback until Close.
func NewGateway(target string) (*Gateway, error) {
	to, err := url.Parse(target)
	if err != nil {
		return nil, fmt.Errorf("make a gateway: %w", err)
	}
	g := &Gateway{}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }}
	g.server = httptest.NewServer(g.handler(proxy))
	g.URL = g.server.URL
	return g, nil
}

// Close stops serving.
func (g *Gateway) Close() { g.server.Close() }

// Break queues faults. Each is used up by the first request it waits for.
func (g *Gateway) Break(faults ...Fault) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.faults = append(g.faults, faults...)
}

// Heal drops the faults that are still queued.
func (g *Gateway) Heal() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.faults = nil
}

// Calls are the requests so far whose method and path prefix match.
func (g *Gateway) Calls(method, path string) []Call {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(g.calls), func(c Call) bool {
		return c.Method != method || !strings.HasPrefix(c.Path, path)
	})
}

// Succeeded counts the matching requests that the server answered with 2xx,
// whether or not the client got to see it.
func (g *Gateway) Succeeded(method, path string) int {
	n := 0
	for _, c := range g.Calls(method, path) {
		if c.Forwarded && c.Status/100 == 2 {
			n++
		}
	}
	return n
}

func (g *Gateway) handler(proxy http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		call := Call{Method: r.Method, Path: r.URL.Path}
		fault, broken := g.take(r)
		if !broken || fault.Lost {
			answer := &recorder{ResponseWriter: w, discard: broken}
			proxy.ServeHTTP(answer, r)
			call.Forwarded, call.Status = true, answer.status
		} else {
			call.Status = fault.Status
		}
		g.mu.Lock()
		g.calls = append(g.calls, call)
		g.mu.Unlock()
		switch {
		case broken && fault.Status == 0:
			panic(http.ErrAbortHandler) // net/http's way to cut a connection
		case broken:
			http.Error(w, "the gateway could not reach the server", fault.Status)
		}
	})
}

// take finds the fault that waits for r and uses it up.
func (g *Gateway) take(r *http.Request) (Fault, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, f := range g.faults {
		if f.Method == r.Method && strings.HasPrefix(r.URL.Path, f.Path) {
			g.faults = slices.Delete(g.faults, i, i+1)
			return f, true
		}
	}
	return Fault{}, false
}

// recorder notes the status, and drops the answer if it is to be lost. It has
// no Unwrap: through it the proxy would flush, and so send, what is dropped.
type recorder struct {
	http.ResponseWriter
	status  int
	discard bool
	dropped http.Header
}

func (r *recorder) Header() http.Header {
	if !r.discard {
		return r.ResponseWriter.Header()
	}
	if r.dropped == nil {
		r.dropped = http.Header{}
	}
	return r.dropped
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	if !r.discard {
		r.ResponseWriter.WriteHeader(status)
	}
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	if r.discard {
		return len(b), nil
	}
	return r.ResponseWriter.Write(b)
}

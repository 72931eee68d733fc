// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Gateway is a reverse proxy in front of one server that counts what passes
// and breaks what it is told to.
type Gateway struct {
	URL, Host string

	server *httptest.Server
	proxy  http.Handler

	mu     sync.Mutex
	faults []Fault
	calls  []Call
	delay  time.Duration
}

// Call is one request that came in.
type Call struct {
	Method, Path string
	Status       int           // of the server; 0 if it was not asked or not waited for
	Took         time.Duration // until the server answered
}

// NewGateway serves a gateway to target (a URL without a path) on loopback until Close.
func NewGateway(target string) (*Gateway, error) {
	to, err := url.Parse(target)
	if err != nil {
		return nil, fmt.Errorf("make a gateway: %w", err)
	}
	g := &Gateway{proxy: &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			// A registry says where to upload to by the name it was called by.
			r.Out.Host = r.In.Host
		},
		ErrorLog: log.New(io.Discard, "", 0), // of clients that went away
	}}
	g.server = httptest.NewServer(http.HandlerFunc(g.serve))
	g.URL, g.Host = g.server.URL, strings.TrimPrefix(g.server.URL, "http://")
	return g, nil
}

// Close cuts what is under way and stops serving.
func (g *Gateway) Close() {
	g.server.CloseClientConnections()
	g.server.Close()
}

// Break queues faults. Each is used up by the requests it waits for.
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

// Delay holds every request back for d from now on, as a distance would.
func (g *Gateway) Delay(d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.delay = d
}

// Requests are all the requests so far.
func (g *Gateway) Requests() []Call {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.calls)
}

// Calls are the requests so far whose method and path prefix match.
func (g *Gateway) Calls(method, path string) []Call {
	return slices.DeleteFunc(g.Requests(), func(c Call) bool {
		return c.Method != method || !strings.HasPrefix(c.Path, path)
	})
}

// Succeeded counts the matching requests that the server answered with 2xx,
// whether or not the client got to see it.
func (g *Gateway) Succeeded(method, path string) int {
	n := 0
	for _, c := range g.Calls(method, path) {
		if c.Status/100 == 2 {
			n++
		}
	}
	return n
}

func (g *Gateway) serve(w http.ResponseWriter, r *http.Request) {
	call, begin := Call{Method: r.Method, Path: r.URL.Path}, time.Now()
	note := sync.OnceFunc(func() {
		call.Took = time.Since(begin)
		g.mu.Lock()
		defer g.mu.Unlock()
		g.calls = append(g.calls, call)
	})
	defer note() // also of a request whose effect panics
	fault, broken, delay := g.take(r)
	if delay > 0 {
		pause(r.Context(), delay)
	}
	if !broken {
		answer := &recorder{ResponseWriter: w, note: func(status int) {
			// Before the client sees the answer and the test counts.
			call.Status = status
			note()
		}}
		g.proxy.ServeHTTP(answer, r)
		return
	}
	fault.Effect(w, r, func(r *http.Request) *httptest.ResponseRecorder {
		answer := httptest.NewRecorder()
		g.proxy.ServeHTTP(answer, r)
		if r.Context().Err() == nil {
			call.Status = answer.Code
		}
		note()
		return answer
	})
}

// take finds the fault that waits for r and uses it up.
func (g *Gateway) take(r *http.Request) (f Fault, broken bool, delay time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, f := range g.faults {
		if f.Method != "" && f.Method != r.Method || !strings.HasPrefix(r.URL.Path, f.Path) {
			continue
		}
		if g.faults[i].Times--; g.faults[i].Times <= 0 {
			g.faults = slices.Delete(g.faults, i, i+1)
		}
		return f, true, g.delay
	}
	return Fault{}, false, g.delay
}

// recorder tells the status before it is sent. It has no Unwrap, so the proxy
// cannot flush past it.
type recorder struct {
	http.ResponseWriter

	note func(int)
}

func (r *recorder) WriteHeader(status int) {
	if status >= http.StatusOK {
		r.note(status)
	}
	r.ResponseWriter.WriteHeader(status)
}

// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package simulation_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/LerianStudio/pushguard/pkg/registry/registrytest"
)

// RoundTrip sends a request of the process through the world's network. Each request
// has a chance of its own, which only the seed, what is asked and how often it was asked
// before decide, and a way of its own length: so requests that are sent side by side
// arrive one after another, and in the same order whenever the seed is run.
func (p *process) RoundTrip(req *http.Request) (*http.Response, error) {
	w := p.w
	w.mu.Lock()
	if p.dead {
		w.mu.Unlock()
		return nil, errReset
	}
	what := p.job.name + " " + req.Method + " " + req.URL.Host + w.plainly(req.URL.RequestURI())
	r := w.draws(what, w.count(what))
	req = p.puts(req)
	w.mu.Unlock()

	if !sleep(req.Context(), way(r)) && r.IntN(2) == 0 {
		return nil, req.Context().Err() // it was on its way, and never arrived
	}
	p.interfere(r, req)
	w.mu.Lock()
	resp, rest, err := p.arrive(r, req)
	w.mu.Unlock()
	if rest > 0 && !sleep(req.Context(), rest) {
		err = req.Context().Err()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case p.dead:
		return nil, errReset
	case err != nil:
		return nil, err
	case resp == nil:
		return nil, errReset
	}
	p.sees(req, resp)
	return resp, nil
}

func way(r *rand.Rand) time.Duration {
	return time.Millisecond + time.Duration(r.Int64N(int64(150*time.Millisecond)))
}

// sleep reports whether it was not woken by the end of ctx.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// arrive serves a request, or does not. It returns what is answered, and how long the
// answer takes.
func (p *process) arrive(r *rand.Rand, req *http.Request) (resp *http.Response, rest time.Duration, err error) {
	w := p.w
	p.asked++
	if p.asked%8 == 0 {
		p.reads()
	}
	switch {
	case p.dead && r.IntN(2) == 0:
		return nil, 0, errReset
	case !p.dead && w.chaos && p.asked == p.killAt:
		p.kill()
		if r.IntN(2) == 0 {
			return nil, 0, errReset
		}
	case !p.dead && w.chaos && p.asked == p.stopAt:
		w.note(p.who(), "is interrupted")
		p.stopped = true
		p.cancel(errInterrupted)
	}
	rest = way(r)
	fault := p.fault(r, req.URL.Host)
	if fault != "" {
		p.faults++
	}
	if fault == "page" {
		p.pages++
	}
	early := map[string]http.HandlerFunc{
		"503":  registrytest.Text(http.StatusServiceUnavailable, "text/plain", "down"),
		"429":  registrytest.With("Retry-After", "2", registrytest.Error(http.StatusTooManyRequests, "TOOMANYREQUESTS", "slow down")),
		"page": registrytest.Text(http.StatusOK, "text/html", "<html><title>Please wait</title></html>"),
		"502":  registrytest.Text(http.StatusBadGateway, "text/html", "<html><title>502 Bad Gateway</title></html>"),
	}
	switch {
	case fault == "reset":
		w.note(p.who(), "%s %s%s: reset", req.Method, req.URL.Host, req.URL.RequestURI())
		return nil, rest, errReset
	case fault == "hang":
		w.note(p.who(), "%s %s%s: no answer", req.Method, req.URL.Host, req.URL.RequestURI())
		return nil, time.Hour, errReset
	case early[fault] != nil:
		w.note(p.who(), "%s %s%s: %s", req.Method, req.URL.Host, req.URL.RequestURI(), fault)
		resp, err = registrytest.InProcess{req.URL.Host: early[fault]}.RoundTrip(req.WithContext(context.WithoutCancel(req.Context())))
		return resp, rest, err
	}
	resp, err = p.serve(req)
	status := 0
	if err == nil {
		status = resp.StatusCode
	}
	w.note(p.who(), "%s %s%s: %d %s", req.Method, req.URL.Host, req.URL.RequestURI(), status, fault)
	switch fault {
	case "slow":
		rest = time.Duration(r.Int64N(int64(40 * time.Second)))
	case "lost":
		return nil, rest, errReset
	case "lost 504":
		resp, err = registrytest.InProcess{req.URL.Host: registrytest.Text(http.StatusGatewayTimeout, "text/plain", "too late")}.RoundTrip(req.WithContext(context.WithoutCancel(req.Context())))
	case "cut":
		if err == nil {
			half, _ := io.ReadAll(resp.Body)
			resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(half[:len(half)/2]), broken{}))
		}
	}
	return resp, rest, err
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// serve hands the request to its server, or has the registry give a wrong answer.
func (p *process) serve(req *http.Request) (*http.Response, error) {
	w := p.w
	w.now = p
	defer func() { w.now = nil }()
	if req.Method != http.MethodGet && req.Method != http.MethodHead && req.URL.Host != sigstoreHost && !strings.HasSuffix(req.URL.Path, "/auth/token") {
		w.writes++
	}
	issued := w.sigstore.Fulcio.Certificates()
	next := w.plain[req.URL.Host]
	handler := http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		if s := w.siteOf(req.URL.Host); s == nil || !s.Answer(rw, req) {
			if next == nil {
				panic("simulation: no host " + req.URL.Host)
			}
			next.ServeHTTP(rw, req)
		}
	})
	resp, err := registrytest.InProcess{req.URL.Host: handler}.RoundTrip(req.WithContext(context.WithoutCancel(req.Context())))
	p.certificates += w.sigstore.Fulcio.Certificates() - issued
	return resp, err
}

// siteOf is the registry that a host belongs to, or whose API it is.
func (w *world) siteOf(name string) *site {
	switch name {
	case "api.github.com":
		name = "ghcr.io"
	case "registry-1.docker.io", "hub.docker.com":
		name = "docker.io"
	}
	for _, s := range w.sites {
		if s.host == name {
			return s
		}
	}
	return nil
}

// fault is how a request goes wrong, "" for not at all.
func (p *process) fault(r *rand.Rand, host string) string {
	w := p.w
	if !w.chaos {
		return ""
	}
	if o, ok := w.outages[host]; ok && time.Now().After(o.from) && time.Now().Before(o.to) {
		return []string{"503", "503", "502", "reset", "lost", "lost 504", "page", "429"}[r.IntN(8)]
	}
	if r.IntN(w.rate) != 0 {
		return ""
	}
	return []string{"503", "429", "reset", "lost", "lost 504", "502", "page", "slow", "cut", "hang"}[r.IntN(10)]
}

// kill ends the process like kill -9, or the loss of its machine.
func (p *process) kill() {
	p.w.note(p.who(), "is killed")
	p.dead = true
	text, err := os.ReadFile(p.job.path)
	if err == nil {
		p.disk = text
	} else if !errors.Is(err, os.ErrNotExist) {
		p.w.t.Fatal(err)
	}
	p.cancel(errKilled)
}

// interfere has others move a tag at the last moment before it is read. No registry has
// a condition on a change: what happens between that read and the change cannot be seen.
func (p *process) interfere(r *rand.Rand, req *http.Request) {
	w := p.w
	_, tag, manifest := strings.Cut(req.URL.Path, "/manifests/")
	s := w.siteOf(req.URL.Host)
	if !w.chaos || !w.contested || s == nil || !manifest || req.Method != http.MethodHead || !w.owner(s.ref(tag)) || r.IntN(25) != 0 {
		return
	}
	w.act(func() { s.othersMove(r, tag) })
	if s.Delays() {
		time.Sleep(s.Window)
	}
}

// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signingtest

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
)

// Fault is one way in which a service fails. The zero value answers 500.
type Fault struct {
	Status      int    // default 500
	Body        string // default an error in JSON
	ContentType string // default application/json
	Empty       bool   // the body is empty, not the default
	RetryAfter  string // header as sent; "" = none
	Location    string // header as sent; "" = none

	Reset    bool // close the connection without an answer
	Hang     bool // never answer
	Truncate bool // do the work, answer with half of the body, close the connection
	Slow     bool // do the work, answer with half of the body, and never send the rest
	Echo     bool // answer with the request's headers and body
	Lost     bool // do the work; only its answer is lost, and the fault is sent instead
}

// HTML is what a gateway answers in place of the service, with status 200.
func HTML() Fault {
	return Fault{Status: http.StatusOK, ContentType: "text/html", Body: "<!DOCTYPE html><html><head><title>Please wait</title></head><body>busy</body></html>"}
}

// BadGateway is a gateway's 502: the service may well have done the work.
func BadGateway() Fault {
	return Fault{Status: http.StatusBadGateway, ContentType: "text/html", Body: "<html><head><title>502 Bad Gateway</title></head></html>"}
}

// Route is one operation of a service: what it was asked, and how it is to fail.
type Route struct {
	mu       sync.Mutex
	faults   []planned
	requests int
	done     chan struct{}
}

type planned struct {
	Fault

	times int // < 0: for ever
}

// Fail makes the next n requests fail with f, after the faults planned before.
// n < 0 is for ever.
func (r *Route) Fail(n int, f Fault) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults = append(r.faults, planned{Fault: f, times: n})
}

// Heal forgets all planned faults.
func (r *Route) Heal() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults = nil
}

// Requests is the number of requests so far, failed ones included.
func (r *Route) Requests() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.requests
}

func (r *Route) next() (Fault, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests++
	for len(r.faults) > 0 {
		p := &r.faults[0]
		if p.times == 0 {
			r.faults = r.faults[1:]
			continue
		}
		if p.times > 0 {
			p.times--
		}
		return p.Fault, true
	}
	return Fault{}, false
}

// Front is next behind the route, for servers of others.
func (r *Route) Front(next http.Handler) http.Handler { return r.wrap(next.ServeHTTP) }

// wrap counts requests and plays faults in front of h.
func (r *Route) wrap(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		f, failed := r.next()
		if !failed {
			h(w, req)
			return
		}
		answer := &recorder{header: http.Header{}, status: http.StatusOK}
		if f.Lost || f.Truncate || f.Slow {
			h(answer, req)
		}
		switch {
		case f.Hang:
			r.hang(req)
			panic(http.ErrAbortHandler)
		case f.Reset:
			panic(http.ErrAbortHandler)
		case f.Echo:
			f.ContentType, f.Body = "text/plain", echo(req)
			f.write(w)
		case f.Truncate, f.Slow:
			maps.Copy(w.Header(), answer.header)
			w.Header().Set("Content-Length", fmt.Sprint(answer.body.Len()))
			w.WriteHeader(answer.status)
			_, _ = w.Write(answer.body.Bytes()[:answer.body.Len()/2])
			_ = http.NewResponseController(w).Flush()
			if f.Slow && req.Method != http.MethodHead && answer.body.Len() > 0 { // else there is nothing to wait for
				r.hang(req)
			}
			panic(http.ErrAbortHandler)
		default:
			f.write(w)
		}
	}
}

// hang waits until the client has gone, which the server notices only when it has
// read the request.
func (r *Route) hang(req *http.Request) {
	_, _ = io.Copy(io.Discard, req.Body)
	select {
	case <-req.Context().Done():
	case <-r.done:
	}
}

// echo is what a proxy shows that was set up to debug.
func echo(req *http.Request) string {
	var b strings.Builder
	_ = req.Header.Write(&b)
	body, _ := io.ReadAll(req.Body)
	return req.URL.String() + " " + strings.ReplaceAll(b.String(), "\r\n", " ") + string(body)
}

func (f Fault) write(w http.ResponseWriter) {
	if f.Status == 0 {
		f.Status = http.StatusInternalServerError
	}
	if f.ContentType == "" {
		f.ContentType = "application/json"
	}
	if f.Body == "" && !f.Empty {
		f.Body = fmt.Sprintf(`{"code":%d,"message":%q}`, f.Status, strings.ToLower(http.StatusText(f.Status)))
	}
	w.Header().Set("Content-Type", f.ContentType)
	if f.RetryAfter != "" {
		w.Header().Set("Retry-After", f.RetryAfter)
	}
	if f.Location != "" {
		w.Header().Set("Location", f.Location)
	}
	w.WriteHeader(f.Status)
	_, _ = io.WriteString(w, f.Body)
}

// recorder keeps an answer instead of sending it.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(status int)      { r.status = status }
func (r *recorder) Write(b []byte) (int, error) { return r.body.Write(b) }

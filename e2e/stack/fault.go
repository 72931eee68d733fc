// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"context"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"time"
)

// Fault breaks requests.
type Fault struct {
	Method, Path string // of the requests it waits for; Path is a prefix, empty is any
	Times        int    // how many of them; 0 is one
	Effect       Effect
}

// Effect answers a request in place of the server, which forward asks.
type Effect func(w http.ResponseWriter, r *http.Request, forward forward)

type (
	forward = func(*http.Request) *httptest.ResponseRecorder
	answer  = *httptest.ResponseRecorder
)

// instead is the effect of an answer that the server has no part in.
func instead(do func(http.ResponseWriter, context.Context)) Effect {
	return func(w http.ResponseWriter, r *http.Request, _ forward) { do(w, r.Context()) }
}

// after is the effect of what becomes of the server's answer.
func after(do func(http.ResponseWriter, context.Context, answer)) Effect {
	return func(w http.ResponseWriter, r *http.Request, forward forward) { do(w, r.Context(), forward(r)) }
}

// Status answers with an error of the gateway's own.
func Status(code int) Effect {
	return instead(func(w http.ResponseWriter, _ context.Context) {
		http.Error(w, "the gateway could not reach the server", code)
	})
}

// RetryAfter is Status with the seconds to wait.
func RetryAfter(code, seconds int) Effect {
	return instead(func(w http.ResponseWriter, _ context.Context) {
		w.Header().Set("Retry-After", strconv.Itoa(seconds))
		http.Error(w, "too many requests", code)
	})
}

// Reset cuts the connection.
func Reset() Effect {
	return instead(func(http.ResponseWriter, context.Context) { cut() })
}

// HTML answers 200 with a page for people, as captive portals and misrouted
// load balancers do.
func HTML() Effect {
	return instead(func(w http.ResponseWriter, _ context.Context) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, "<!doctype html><title>Maintenance</title><h1>We will be back</h1>\n")
	})
}

// Silent says nothing for d, then cuts the connection.
func Silent(d time.Duration) Effect {
	return instead(func(_ http.ResponseWriter, ctx context.Context) {
		pause(ctx, d)
		cut()
	})
}

// Lost has the server do its work and answers with an error of the gateway's own.
func Lost(code int) Effect {
	return after(func(w http.ResponseWriter, _ context.Context, _ answer) {
		http.Error(w, "the gateway lost the server's answer", code)
	})
}

// Truncated cuts the connection half-way through the server's answer.
func Truncated() Effect {
	return after(func(w http.ResponseWriter, _ context.Context, a answer) {
		a.Header().Set("Content-Length", strconv.Itoa(max(a.Body.Len(), 1)))
		a.Body.Truncate(a.Body.Len() / 2)
		send(w, a)
		_ = http.NewResponseController(w).Flush()
		cut()
	})
}

// Late has the server do its work and holds its answer back for d.
func Late(d time.Duration) Effect {
	return after(func(w http.ResponseWriter, ctx context.Context, a answer) {
		pause(ctx, d)
		send(w, a)
	})
}

// Slow takes d to hand the server's answer over, a byte at a time.
func Slow(d time.Duration) Effect {
	return after(func(w http.ResponseWriter, ctx context.Context, a answer) {
		body := a.Body.Bytes()
		a.Body = nil
		send(w, a)
		for i := range body {
			_, _ = w.Write(body[i : i+1])
			_ = http.NewResponseController(w).Flush()
			pause(ctx, d/time.Duration(len(body)))
		}
	})
}

// GivesUp answers 504 when the server has not answered within d, and leaves it.
func GivesUp(d time.Duration) Effect {
	return func(w http.ResponseWriter, r *http.Request, forward forward) {
		ctx, cancel := context.WithTimeout(r.Context(), d)
		defer cancel()
		a := forward(r.WithContext(ctx))
		if ctx.Err() != nil {
			http.Error(w, "upstream request timeout", http.StatusGatewayTimeout)
			return
		}
		send(w, a)
	}
}

func send(w http.ResponseWriter, a answer) {
	maps.Copy(w.Header(), a.Header())
	w.WriteHeader(a.Code)
	if a.Body != nil {
		_, _ = w.Write(a.Body.Bytes())
	}
}

// cut is net/http's way to cut a connection.
func cut() { panic(http.ErrAbortHandler) }

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

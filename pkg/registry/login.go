// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"bytes"
	"io"
	"net/http"
	"sync"
)

// login is one name and password at one token service. Until an answer has shown
// that it is good its requests take turns, and a refused one is not sent again:
// Docker Hub locks an account for ten minutes after some wrong passwords, and every
// repository asks for a token of its own.
type login struct {
	turn    sync.Mutex
	good    bool
	refused *answer
}

// login returns the state of the login that req carries, nil when it has none.
func (r *recorder) login(req *http.Request) *login {
	authorization := req.Header.Get("Authorization")
	if authorization == "" {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	key := req.URL.Host + " " + authorization
	if r.logins[key] == nil {
		r.logins[key] = &login{}
	}
	return r.logins[key]
}

// send sends a request for a token through the login's turn: 401 refuses it.
func (l *login) send(req *http.Request, next http.RoundTripper) (*http.Response, error) {
	if l == nil {
		return next.RoundTrip(req)
	}
	l.turn.Lock()
	if l.good {
		l.turn.Unlock()
		return next.RoundTrip(req)
	}
	defer l.turn.Unlock()
	if l.refused != nil {
		return &http.Response{
			StatusCode: l.refused.status, Header: l.refused.header.Clone(), Request: req,
			Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Body: io.NopCloser(bytes.NewReader(l.refused.body)),
		}, nil
	}
	resp, err := next.RoundTrip(req)
	switch {
	case err != nil:
	case resp.StatusCode == http.StatusOK:
		l.good = true
	case resp.StatusCode == http.StatusUnauthorized:
		body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
		_ = resp.Body.Close()
		resp.Body = io.NopCloser(bytes.NewReader(body))
		l.refused = &answer{status: resp.StatusCode, header: resp.Header.Clone(), body: body}
	}
	return resp, err
}

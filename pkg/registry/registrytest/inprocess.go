// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package registrytest

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
)

// InProcess is an http.RoundTripper that calls a handler for each host (with its
// port, if the URL has one), without a socket: it costs little and works in
// testing/synctest's bubbles. A handler that panics with http.ErrAbortHandler cuts
// the connection.
type InProcess map[string]http.Handler

var errReset = errors.New("connection reset by peer")

// RoundTrip answers req.
func (t InProcess) RoundTrip(req *http.Request) (resp *http.Response, err error) {
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	handler := t[req.URL.Host]
	if handler == nil {
		return nil, errors.New("no such host: " + req.URL.Host)
	}
	defer func() {
		if e := recover(); e != nil {
			if e != http.ErrAbortHandler { //nolint:errorlint // the value that handlers panic with
				panic(e)
			}
			resp, err = nil, errReset
			if ctxErr := req.Context().Err(); ctxErr != nil {
				err = ctxErr
			}
		}
	}()
	in := req.WithContext(req.Context())
	in.Host, in.RequestURI = req.URL.Host, req.URL.RequestURI()
	if in.Body == nil {
		in.Body = http.NoBody
	}
	defer in.Body.Close()
	w := &recorded{header: http.Header{}}
	handler.ServeHTTP(w, in)
	body := w.body.Bytes()
	length := int64(len(body))
	if req.Method == http.MethodHead {
		body, length = nil, -1
	}
	if w.status == 0 {
		w.status = http.StatusOK
	}
	if text := w.header.Get("Content-Length"); text != "" && !strings.Contains(text, "-") {
		var n int64
		for _, c := range []byte(text) {
			n = n*10 + int64(c-'0')
		}
		length = n
	}
	return &http.Response{
		Status: http.StatusText(w.status), StatusCode: w.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.header, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: length, Request: req,
	}, nil
}

type recorded struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *recorded) Header() http.Header { return w.header }

func (w *recorded) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

func (w *recorded) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(p)
}

// Unguarded is registry-1.docker.io for clients without a token: regclient looks the
// token service's host up, which needs a network.
func (d *DockerHub) Unguarded() http.Handler { return http.HandlerFunc(d.registry) }

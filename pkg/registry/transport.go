// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"bytes"
	"context"
	"io"
	"maps"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/LerianStudio/pushguard/pkg/wire"
)

const (
	maxBody       = 8 << 20 // of a manifest, a list, a token
	maxHeaderSize = 256 << 10
)

// answer is what one request met.
type answer struct {
	method, path string
	status       int // 0 for none
	header       http.Header
	body         []byte // of an error, at most [wire.MaxErrorBody]
	err          error  // when there was no answer, or it broke off
	at           time.Time
}

// trace collects the answers of one operation: regclient reduces them to an error
// that does not tell 403 from 401, nor a failing token service from a wrong
// password (v0.11.7, internal/reghttp/http.go and internal/auth/auth.go).
type trace struct {
	mu      sync.Mutex
	answers []*answer
}

type traceKey struct{}

func (t *trace) add(a *answer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.answers = append(t.answers, a)
}

// last is the newest answer whose path contains part. That to the end of a failed
// upload is none: it does not say why it failed.
func (t *trace) last(part string) (answer, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, a := range slices.Backward(t.answers) {
		if strings.Contains(a.path, part) && (a.method != http.MethodDelete || !strings.Contains(a.path, "/blobs/uploads/")) {
			return *a, true
		}
	}
	return answer{}, false
}

// recorder is the http.RoundTripper under regclient. It records answers, bounds
// what is read of them, and hides Retry-After from regclient, which would sleep
// without a limit inside the request.
type recorder struct {
	next http.RoundTripper
	// base ends token requests, which regclient makes without the caller's context.
	base context.Context //nolint:containedctx // see above

	gate *gate // of docker's login for the registry

	mu     sync.Mutex
	tokens map[string]token // the last request for a token, by repository
	seen   http.Header      // the newest value of each header that the registry has sent
}

// token is how a request for a token went.
type token struct {
	answer

	failed    bool
	anonymous bool // no login was sent
}

// RoundTrip sends one request.
func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	t, ours := req.Context().Value(traceKey{}).(*trace)
	if !ours {
		return r.requestToken(req)
	}
	a := &answer{method: req.Method, path: req.URL.Path, at: time.Now()}
	resp, err := r.next.RoundTrip(withTags(mountFromItself(req)))
	if err != nil {
		a.err = err
		t.add(a)
		return nil, err
	}
	a.status, a.header = resp.StatusCode, resp.Header.Clone()
	resp.Header.Del("Retry-After")
	limit := int64(maxBody)
	if strings.Contains(req.URL.Path, "/blobs/") {
		limit = math.MaxInt64 // blob readers enforce their own limit
	}
	resp.Body = &boundedBody{ReadCloser: resp.Body, left: limit, broke: func(err error) { t.broke(a, err) }}
	if resp.StatusCode >= http.StatusBadRequest && req.Method != http.MethodHead {
		a.body, _ = wire.ReadError(resp.Body, req)
		_ = resp.Body.Close()
		resp.Body = io.NopCloser(bytes.NewReader(a.body))
	}
	t.add(a)
	r.note(a.header)
	return resp, nil
}

// note keeps the headers of an answer: they tell what kind of registry it is. A later
// answer often lacks the challenge.
func (r *recorder) note(header http.Header) {
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.Copy(r.seen, header)
}

// headers is the newest value of each header that the registry has sent.
func (r *recorder) headers() http.Header {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.seen)
}

// mountFromItself names the repository as the source where regclient begins an
// upload by asking for a mount from anywhere, which few registries offer. What the
// repository has already, such as the empty config of every signature, is then
// there after one request; else the answer is an upload, as without it (distribution
// specification, "Mounting a blob from another repository").
func mountFromItself(req *http.Request) *http.Request {
	repository, uploads := strings.CutSuffix(req.URL.Path, "/blobs/uploads/")
	query := req.URL.Query()
	if req.Method != http.MethodPost || !uploads || !query.Has("mount") || query.Has("from") {
		return req
	}
	query.Set("from", strings.TrimPrefix(repository, "/v2/"))
	req = req.Clone(req.Context())
	req.URL.RawQuery = query.Encode()
	return req
}

// tagsKey is that of the tags which a PUT of a manifest by its digest is to put on it
// (distribution specification, "Pushing Manifests": end-7b, the parameter tag). regclient
// v0.11.7 does so for digests other than SHA-256 alone.
type tagsKey struct{}

func withTags(req *http.Request) *http.Request {
	tags, _ := req.Context().Value(tagsKey{}).([]string)
	if len(tags) == 0 || req.Method != http.MethodPut || !strings.Contains(req.URL.Path, "/manifests/") {
		return req
	}
	query := req.URL.Query()
	query["tag"] = tags
	req = req.Clone(req.Context())
	req.URL.RawQuery = query.Encode()
	return req
}

// requestToken sends a request for a token. Its answer is small and read here, so that
// the request's context can be bound to the client's for as long as it takes.
func (r *recorder) requestToken(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	defer cancel(nil)
	stop := context.AfterFunc(r.base, func() { cancel(context.Cause(r.base)) }) //nolint:contextcheck // it ends what the caller's cannot
	defer stop()
	a := answer{method: req.Method, path: req.URL.Path, at: time.Now()}
	repositories, anonymous := wanted(req)
	req = req.WithContext(ctx)
	send := r.next.RoundTrip
	if !anonymous {
		send = func(req *http.Request) (*http.Response, error) { return r.gate.send(ctx, req, r.next.RoundTrip) }
	}
	resp, err := send(req)
	if err == nil {
		a.status, a.header = resp.StatusCode, resp.Header.Clone()
		resp.Header.Del("Retry-After")
		var body []byte
		body, err = io.ReadAll(io.LimitReader(resp.Body, wire.MaxErrorBody))
		_ = resp.Body.Close()
		resp.Body = io.NopCloser(bytes.NewReader(body))
		a.body = body
		if resp.StatusCode >= http.StatusBadRequest {
			a.body = wire.Redact(body, req)
		}
	}
	a.err = err
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, repository := range repositories {
		good := err == nil && resp.StatusCode == http.StatusOK && bytes.Contains(a.body, []byte("token"))
		r.tokens[repository] = token{a, !good, anonymous}
	}
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// token is how the last request for a repository's token went, if there was one.
func (r *recorder) token(repository string) (token, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t, ok := r.tokens[repository]
	return t, ok
}

// wanted reads repositories off a token request's scopes ("repository:org/app:pull"),
// which are in the query of a GET and in the form of a POST, and whether it comes
// without a login (distribution, docs/spec/auth/token.md and oauth.md).
func wanted(req *http.Request) (repositories []string, anonymous bool) {
	scopes := req.URL.Query()["scope"]
	anonymous = req.Header.Get("Authorization") == ""
	if form, err := wire.Form(req); err == nil {
		scopes = append(scopes, strings.Fields(form.Get("scope"))...)
		anonymous = anonymous && form.Get("password")+form.Get("refresh_token") == ""
	}
	for _, scope := range scopes {
		if parts := strings.Split(scope, ":"); len(parts) == 3 && parts[0] == "repository" {
			repositories = append(repositories, parts[1])
		}
	}
	return repositories, anonymous
}

var errTooLarge = wire.TooLargeError{Limit: maxBody}

func (t *trace) broke(a *answer, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a.err = err
}

// boundedBody reads at most left bytes and tells why reading ended early.
type boundedBody struct {
	io.ReadCloser

	left  int64
	broke func(error)
}

func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		b.broke(errTooLarge)
		return 0, errTooLarge
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	if err != nil && err != io.EOF {
		b.broke(err)
	}
	return n, err
}

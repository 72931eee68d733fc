// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"time"

	"github.com/LerianStudio/pushguard/pkg/retry"
	"github.com/LerianStudio/pushguard/pkg/wire"
)

// Call is one request to an API beside a registry, such as hub.docker.com's.
type Call struct {
	Op     string    // as in Error.Op
	Ref    Reference // what it is about
	Method string
	URL    string
	Header http.Header // authenticates it; never logged
	Body   any         // sent as JSON; nil for none
	// Login says that the request carries docker's login for the registry of Ref: one
	// that was refused is not sent again.
	Login bool
}

// API makes one request and reads a 2xx answer's JSON into result (nil to ignore it).
// Every failure is an *Error with Service set. Its kind is read off the status, and by
// the [Reader]; what a 404 of an API proves, callers know. header is the answer's, nil
// when there was none.
func (c *Client) API(ctx context.Context, q Call, result any) (header http.Header, failed *Error) {
	a, err := c.send(ctx, q)
	service, at := q.URL, "" // the path, without a query
	if u, parseErr := url.Parse(q.URL); parseErr == nil {
		service, at = u.Host, u.EscapedPath()
	}
	c.options.Log.DebugContext(ctx, "request", "method", q.Method, "registry", service, "path", at, "status", a.status)
	e := &Error{Op: q.Op, Ref: q.Ref, Service: service, Status: a.status, LoggedIn: c.HasLogin(q.Ref.Registry), Err: err}
	switch {
	case err != nil:
		e.Kind, e.Message = network(ctx, err, err)
		return a.header, e
	case a.status >= 200 && a.status < 300:
		if result == nil {
			return a.header, nil
		}
		if err := json.Unmarshal(a.body, result); err == nil {
			return a.header, nil
		}
		e.Kind, e.Message = KindNotARegistry, "the answer is not the JSON that was expected"
		return a.header, e
	}
	e.Wait = retry.After(a.header, a.at)
	e.Message = apiMessage(a.body)
	e.Kind = kind(a, RequestAPI, "")
	e.Final = q.Login && e.Kind == KindRateLimit
	c.read(ctx, e, RequestAPI, a, nil)
	return a.header, e
}

// send makes the request and reads the whole answer, at most 8 MiB. Redirects are
// not followed: they would carry the token along.
func (c *Client) send(ctx context.Context, q Call) (answer, error) {
	a := answer{method: q.Method, at: time.Now()}
	var body io.Reader
	if q.Body != nil {
		data, err := json.Marshal(q.Body)
		if err != nil {
			return a, err
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, q.Method, q.URL, body)
	if err != nil {
		return a, err
	}
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("User-Agent", c.options.UserAgent)
	maps.Copy(req.Header, q.Header)
	client := http.Client{
		Transport: c.options.Transport, Timeout: c.options.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	do := client.Do
	if q.Login {
		do = func(req *http.Request) (*http.Response, error) {
			return c.host(q.Ref.Registry).gate.send(ctx, req, client.Do)
		}
	}
	resp, err := do(req)
	if err != nil {
		if ue, ok := err.(*url.Error); ok { //nolint:errorlint // what Do returns; its text would repeat the URL
			err = ue.Err
		}
		return a, err
	}
	defer resp.Body.Close()
	a.status, a.header = resp.StatusCode, resp.Header
	if a.status >= http.StatusMultipleChoices {
		a.body, err = wire.ReadError(resp.Body, req)
		return a, err
	}
	a.body, err = wire.ReadAll(resp.Body, maxBody)
	return a, err
}

// apiMessage reads the words of an error: Docker Hub's are in detail or message,
// GitHub's in message.
func apiMessage(body []byte) string {
	var words struct {
		Message string          `json:"message"`
		Detail  json.RawMessage `json:"detail"` // a string, or an object in some errors
	}
	if err := json.Unmarshal(body, &words); err != nil {
		return plainWords(body)
	}
	var detail string
	_ = json.Unmarshal(words.Detail, &detail)
	return wire.OneLine(join(words.Message, detail))
}

// Ended is the error of an operation at service that ctx has ended before its request.
func Ended(ctx context.Context, op string, ref Reference, service string) *Error {
	kind, message := network(ctx, ctx.Err(), ctx.Err())
	return &Error{Op: op, Ref: ref, Kind: kind, Service: service, Message: message, Err: ctx.Err()}
}

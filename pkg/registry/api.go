// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/regclient/regclient/config"

	"github.com/LerianStudio/pushguard/pkg/retry"
	"github.com/LerianStudio/pushguard/pkg/wire"
)

// call is one request to a registry's own API beside the registry: hub.docker.com,
// api.github.com.
type call struct {
	op     string // as in Error.Op
	ref    Reference
	method string
	url    string
	header http.Header // what authenticates it; never logged
	body   any         // sent as JSON; nil for none
}

// service is the host that answers.
func (q call) service() string {
	u, err := url.Parse(q.url)
	if err != nil {
		return q.url
	}
	return u.Host
}

// api makes one request and reads a 2xx answer's JSON into result (nil to ignore
// it). Every failure is an *Error with Service set, its kind by status alone: what
// a 404 or a 403 of an API proves, callers know.
func (c *Client) api(ctx context.Context, q call, result any) (answer, *Error) {
	a, err := c.send(ctx, q)
	at := "" // the path, without a query
	if u, parseErr := url.Parse(q.url); parseErr == nil {
		at = u.EscapedPath()
	}
	c.log.DebugContext(ctx, "request", "method", q.method, "registry", q.service(), "path", at, "status", a.status)
	e := &Error{Op: q.op, Ref: q.ref, Service: q.service(), Status: a.status, Err: err}
	switch {
	case err != nil:
		e.Kind, e.Message = network(ctx, err, err)
		return a, e
	case a.status >= 200 && a.status < 300:
		if result == nil {
			return a, nil
		}
		if err := json.Unmarshal(a.body, result); err == nil {
			return a, nil
		}
		e.Kind, e.Message = KindNotARegistry, "the answer is not the JSON that was expected"
		return a, e
	}
	e.Wait = retry.After(a.header, a.at)
	e.Message = apiMessage(a.body)
	switch {
	case a.status == http.StatusUnauthorized, a.status == http.StatusForbidden:
		e.Kind = KindAuth
	case a.status == http.StatusTooManyRequests:
		e.Kind = KindRateLimit
	case a.status == http.StatusRequestTimeout, a.status >= 500:
		e.Kind = KindOutage
	case !json.Valid(a.body):
		e.Kind = KindNotARegistry
	case a.status == http.StatusNotFound:
		e.Kind = KindNotFound
	case a.status == http.StatusMethodNotAllowed:
		e.Kind = KindUnsupported
	default:
		e.Kind = KindInvalid
	}
	return a, e
}

// send makes the request and reads the whole answer, at most 8 MiB. Redirects are
// not followed: they would carry the token along.
func (c *Client) send(ctx context.Context, q call) (answer, error) {
	a := answer{method: q.method, at: time.Now()}
	var body io.Reader
	if q.body != nil {
		data, err := json.Marshal(q.body)
		if err != nil {
			return a, err
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, q.method, q.url, body)
	if err != nil {
		return a, err
	}
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("User-Agent", c.agent)
	maps.Copy(req.Header, q.header)
	client := http.Client{
		Transport: c.transport, Timeout: c.timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
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
		if strings.HasPrefix(strings.TrimSpace(string(body)), "<") {
			return "an HTML page"
		}
		return short(string(body))
	}
	var detail string
	_ = json.Unmarshal(words.Detail, &detail)
	switch {
	case words.Message != "" && detail != "" && detail != words.Message:
		return short(fmt.Sprintf("%s: %s", words.Message, detail))
	case detail != "":
		return short(detail)
	}
	return short(words.Message)
}

// login is docker's login for a registry; zero for none.
func (c *Client) login(registry string) config.Cred {
	var cred config.Cred
	for _, host := range c.logins {
		if host.Name == registry {
			cred = host.GetCred() // of a copy: GetCred may run a credential helper and keep what it says
		}
	}
	return cred
}

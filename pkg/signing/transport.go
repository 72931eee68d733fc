// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signing

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/LerianStudio/pushguard/pkg/retry"
	"github.com/LerianStudio/pushguard/pkg/wire"
)

// maxAnswer is how many bytes a good answer may have: a bundle's parts are a few KiB.
const maxAnswer = 1 << 20

// call describes one request: who is asked for what, and which answers count.
type call struct {
	stage   Stage
	service string            // URL, for messages only
	ok      []int             // statuses that are answers; all others become an *Error
	json    bool              // a good answer must be JSON
	saw     func(body []byte) // told of a good answer's body; may be nil
	bearer  func() string     // authenticates the request; may be nil
}

type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// transport returns a RoundTripper for one call that turns everything but a
// good answer into an *Error, and hands the library a body that is already
// read. sigstore-go (up to v1.3.0) builds requests without the caller's
// context and reads closed bodies after a 5xx; with this in between it sees
// neither. Redirects are not followed: they come out as errors too, so that no
// token goes to another host.
func (c *Client) transport(ctx context.Context, k call) http.RoundTripper {
	return roundTripFunc(func(r *http.Request) (*http.Response, error) {
		reqCtx, cancel := ctx, context.CancelFunc(func() {})
		if c.options.Timeout > 0 {
			reqCtx, cancel = context.WithTimeoutCause(ctx, c.options.Timeout, fmt.Errorf("no answer within %s", c.options.Timeout))
		}
		defer cancel()
		resp, err := c.options.Transport.RoundTrip(r.Clone(reqCtx))
		if err != nil {
			return nil, k.networkError(ctx, reqCtx, err)
		}
		defer resp.Body.Close()
		good := slices.Contains(k.ok, resp.StatusCode)
		if !good {
			shown, _ := wire.ReadError(resp.Body, r) // the status says enough, even when the body breaks off
			return nil, k.statusError(resp, shown)
		}
		body, err := wire.ReadAll(resp.Body, maxAnswer)
		_, tooLarge := errors.AsType[wire.TooLargeError](err)
		switch {
		case tooLarge:
			return nil, k.malformed(resp.StatusCode, err.Error())
		case err != nil && ctx.Err() == nil && reqCtx.Err() == nil:
			e := k.malformed(resp.StatusCode, "the answer breaks off: "+err.Error())
			e.Err = err
			return nil, e
		case err != nil:
			return nil, k.networkError(ctx, reqCtx, err)
		case k.json && !json.Valid(body):
			return nil, k.malformed(resp.StatusCode, "not JSON but "+describe(resp.Header.Get("Content-Type"), wire.Redact(body, r)))
		}
		if k.saw != nil {
			k.saw(body)
		}
		resp.Body = io.NopCloser(bytes.NewReader(body))
		resp.ContentLength = int64(len(body))
		resp.TransferEncoding = nil
		return resp, nil
	})
}

// ask sends one request, a POST of body where there is one, and returns a good answer,
// which read takes apart if it is given. The error is an *Error, or the cause of ctx's end.
func (c *Client) ask(ctx context.Context, k call, target string, body []byte, read func([]byte) error) ([]byte, error) {
	method := http.MethodGet
	if body != nil {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(body))
	if err != nil {
		return nil, stageError(ctx, k, err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if k.json {
		req.Header.Set("Accept", "application/json")
	}
	if k.bearer != nil {
		req.Header.Set("Authorization", "Bearer "+k.bearer())
	}
	resp, err := (&http.Client{Transport: c.transport(ctx, k)}).Do(req)
	if err != nil {
		return nil, stageError(ctx, k, err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body) // already in memory, see transport
	if err != nil {
		return nil, stageError(ctx, k, err)
	}
	if read != nil {
		if err := read(data); err != nil {
			return nil, k.malformed(resp.StatusCode, "unexpected JSON: "+err.Error())
		}
	}
	return data, nil
}

func decode(v any) func([]byte) error {
	return func(b []byte) error { return json.Unmarshal(b, v) }
}

// stageError makes an *Error of what a library returned for call k: the one
// that transport made, the cause of ctx's end, or an answer that the library
// could not read.
func stageError(ctx context.Context, k call, err error) error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err // its text would show the URL with its query
	}
	e := k.malformed(0, err.Error())
	e.Err = err
	return e
}

// fail is a failure of the call.
func (k call) fail(kind Kind, status int, message string) *Error {
	return &Error{Stage: k.stage, Service: wire.RedactURL(k.service), Kind: kind, Status: status, Message: wire.OneLine(message)}
}

func (k call) malformed(status int, message string) *Error {
	return k.fail(KindMalformed, status, message)
}

// networkError tells apart who ended the request: the caller (its own error,
// never retried), our time limit, or the network.
func (k call) networkError(ctx, reqCtx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	e := k.fail(KindUnavailable, 0, err.Error())
	e.Err = err
	if cause := context.Cause(reqCtx); cause != nil {
		e.Message, e.Err = cause.Error(), cause
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		e.Kind = KindRefused
		e.Advice = "the server's TLS certificate is not trusted here: check the URL and the system's certificates"
	}
	return e
}

// statusCanceled is what grpc-gateway answers when a service's own work was canceled. Rekor
// v2 answers it to everybody whose entry was in one batch with that of a client that has
// gone.
const statusCanceled = 499

// statusError classifies an answer by its status, as far as that is the same for every stage.
func (k call) statusError(resp *http.Response, body []byte) *Error {
	e := k.fail(KindRefused, resp.StatusCode, message(resp, body))
	e.location, e.logIndex = resp.Header.Get("Location"), resp.Header.Get("X-Log-Index")
	switch s := resp.StatusCode; {
	case s == http.StatusTooManyRequests, s == http.StatusRequestTimeout, s == http.StatusTooEarly, s == statusCanceled, s >= 500:
		e.Kind = KindUnavailable
		e.Wait = retry.After(resp.Header, time.Now())
	case s < 300: // a 2xx that the protocol does not have: a gateway's, not the service's
		e.Kind = KindMalformed
	case s < 400:
		e.Message = "redirected to " + wire.OneLine(wire.RedactURL(resp.Header.Get("Location")))
		e.Advice = "give the final URL of the service: redirects are not followed"
	case s == http.StatusNotFound:
		e.Advice = "check the URL of the service: nothing answers at this path"
	}
	return e
}

var htmlTitle = regexp.MustCompile(`(?i)<title> ?(.*?) ?</title>`)

// message returns what the server says, in one line.
func message(resp *http.Response, body []byte) string {
	var j struct {
		Message string `json:"message"`
		Error   any    `json:"error"`
	}
	if json.Unmarshal(body, &j) == nil {
		if j.Message != "" {
			return wire.OneLine(j.Message)
		}
		if s, ok := j.Error.(string); ok && s != "" {
			return wire.OneLine(s)
		}
	}
	return describe(resp.Header.Get("Content-Type"), body)
}

// describe says what a body looks like that is not what was asked for.
func describe(contentType string, body []byte) string {
	text := wire.OneLine(string(body))
	switch lower := strings.ToLower(text); {
	case text == "":
		return "an empty answer"
	case strings.Contains(contentType, "html"), strings.HasPrefix(lower, "<!doctype html"), strings.HasPrefix(lower, "<html"):
		if title := htmlTitle.FindStringSubmatch(text); len(title) == 2 && title[1] != "" {
			return wire.OneLine(fmt.Sprintf("an HTML page (%q)", title[1]))
		}
		return "an HTML page"
	default:
		return text
	}
}

// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/LerianStudio/pushguard/pkg/retry"
	"github.com/LerianStudio/pushguard/pkg/wire"
)

// Reader tells what an answer means on the registry that gave it. Package host knows
// the kinds of registries; without a Reader the specification alone is applied.
type Reader interface {
	Read(ctx context.Context, ref Reference, a Answer) Reading
}

// Answer is a refusal: what was asked, and what came back.
type Answer struct {
	// To is what was asked for.
	To Request
	// Service is the host that answered instead of the registry, "" for the registry.
	Service string
	Status  int         // of HTTP
	Header  http.Header // of the answer
	// Seen has the newest value of each header that the registry sent in this run: its
	// challenge, for example.
	Seen    http.Header
	Code    string // the registry's error code, "" for none
	Message string // the server's own words, on one line
	Text    string // code, message and the whole body in lower case, to look for words in
	// LoggedIn says that docker has a login for the registry.
	LoggedIn bool
}

// Request is what was asked of a server.
type Request int

// The requests.
const (
	RequestRead   Request = iota + 1 // GET or HEAD at the registry
	RequestWrite                     // POST, PUT or PATCH at the registry
	RequestDelete                    // DELETE at the registry
	RequestToken                     // a token, at the registry's token service
	RequestAPI                       // an API beside the registry, such as hub.docker.com's
)

// Reading is what an answer means. Its zero value adds nothing to the specification.
type Reading struct {
	Host   string // the kind of registry, as people call it; "" when it is not known
	Kind   Kind   // KindUnknown leaves it to the specification
	Wait   time.Duration
	Next   string // what to do next
	ByHand string // how a person does what was refused, see [Error.ByHand]
}

// absenceCodes are the error codes with which a registry itself says that a tag,
// manifest or repository does not exist (distribution specification, "Error Codes").
var absenceCodes = map[string]bool{"MANIFEST_UNKNOWN": true, "NAME_UNKNOWN": true}

// failure makes an Error of what t saw of an operation that ended with err.
func (c *Client) failure(ctx context.Context, op string, ref Reference, t *trace, err error) *Error {
	e := &Error{Op: op, Ref: ref, LoggedIn: c.HasLogin(ref.Registry), Err: err}
	a, ok := t.last("")
	if !ok {
		a.err = err // regclient refused before any request
	}
	at := c.host(ref.Registry)
	token, asked := at.token(ref.Repository)
	to := requestOf(a.method)
	if a.status == http.StatusUnauthorized && asked && token.failed {
		a, to, e.AtTokens = token.answer, RequestToken, true
	}
	e.Status = a.status
	if a.header != nil {
		e.Wait = retry.After(a.header, a.at)
	}
	if a.status == 0 || a.status < 300 && a.err != nil {
		e.Kind, e.Message = network(ctx, a.err, err)
		return e
	}
	e.Code, e.Message = registryError(a)
	e.Kind = kind(a, to, e.Code)
	if _, tag, ok := strings.Cut(a.path, "/manifests/"); ok {
		if _, attached := AttachedTo(tag); attached {
			// A client that attaches something by digest writes the fallback tag behind it:
			// name the tag that was really written.
			e.Ref = e.Ref.WithTag(tag)
		}
	}
	// A refused login is not sent again, see gate: to try again is of no use.
	e.Final = e.AtTokens && !token.anonymous && a.status == http.StatusTooManyRequests
	c.read(ctx, e, to, a, at.headers())
	if e.Kind == KindNotFound && e.Code == "NAME_UNKNOWN" && asked && token.anonymous {
		// Those who may not see a repository are told the same.
		e.Kind = KindAuth
	}
	return e
}

// read lets the Reader say what an answer means.
func (c *Client) read(ctx context.Context, e *Error, to Request, a answer, seen http.Header) {
	if c.options.Reader == nil {
		return
	}
	r := c.options.Reader.Read(ctx, e.Ref, Answer{
		To: to, Service: e.Service, Status: a.status, Header: a.header, Seen: seen, Code: e.Code, Message: e.Message,
		Text: strings.ToLower(e.Code + " " + e.Message + " " + string(a.body)), LoggedIn: e.LoggedIn,
	})
	e.Host, e.Next, e.ByHand = r.Host, r.Next, r.ByHand
	e.Wait = max(e.Wait, r.Wait)
	if r.Kind != KindUnknown {
		e.Kind = r.Kind
	}
}

func requestOf(method string) Request {
	switch method {
	case http.MethodGet, http.MethodHead:
		return RequestRead
	case http.MethodDelete:
		return RequestDelete
	}
	return RequestWrite
}

// kind classifies an answer by the specification alone, or by what APIs have in common.
func kind(a answer, to Request, code string) Kind {
	page := code == "" && isPage(a.body)
	switch {
	case a.status == http.StatusNotFound && absenceCodes[code] && to != RequestToken:
		return KindNotFound
	case a.status == http.StatusForbidden && page:
		return KindNotARegistry // a firewall's or a portal's
	case a.status == http.StatusUnauthorized, a.status == http.StatusForbidden:
		return KindAuth
	case a.status == http.StatusBadRequest && (code == "UNAUTHORIZED" || code == "DENIED"):
		return KindAuth
	case a.status == http.StatusTooManyRequests:
		return KindRateLimit
	case to == RequestDelete && a.status == http.StatusNotFound && code == "" && !page:
		return KindUnsupported // the server does not know the request
	case to == RequestDelete && (a.status == http.StatusMethodNotAllowed || a.status == http.StatusNotImplemented || code == "UNSUPPORTED"):
		return KindUnsupported
	case to == RequestWrite && (a.status == http.StatusMethodNotAllowed || code == "UNSUPPORTED"):
		return KindUnsupported
	case to != RequestRead && to != RequestAPI && a.status == http.StatusConflict:
		return KindReferenced
	case a.status == http.StatusRequestTimeout, a.status >= 500:
		return KindOutage
	case to == RequestAPI && !json.Valid(a.body):
		return KindNotARegistry
	case to == RequestAPI && a.status == http.StatusNotFound:
		return KindNotFound
	case to == RequestAPI && a.status == http.StatusMethodNotAllowed:
		return KindUnsupported
	case to == RequestAPI:
		return KindInvalid
	case a.status >= 400 && (code != "" || isErrorList(a.body)):
		return KindInvalid
	}
	return KindNotARegistry
}

// isErrorList reports whether a body is a list of errors as registries have it, with a
// code or without: Artifactory gives a status instead.
func isErrorList(body []byte) bool {
	var list struct {
		Errors []json.RawMessage `json:"errors"`
	}
	return json.Unmarshal(body, &list) == nil && len(list.Errors) > 0
}

// network says why there was no answer, or no whole one.
func network(ctx context.Context, err, outer error) (Kind, string) {
	if err == nil {
		err = outer
	}
	if cause := context.Cause(ctx); cause != nil {
		return KindOutage, wire.OneLine(cause.Error())
	}
	var (
		authority x509.UnknownAuthorityError
		hostname  x509.HostnameError
		invalid   x509.CertificateInvalidError
	)
	text := err.Error()
	switch {
	case errors.Is(err, errTooLarge):
		return KindNotARegistry, wire.OneLine(text)
	case errors.As(err, &authority), errors.As(err, &hostname), errors.As(err, &invalid):
		return KindNotARegistry, wire.OneLine(text)
	case strings.Contains(text, "server gave HTTP response to HTTPS client"):
		return KindNotARegistry, "it speaks plain HTTP, which pushguard only uses on this machine's own addresses"
	case errors.Is(err, context.DeadlineExceeded), strings.Contains(text, "Client.Timeout"), strings.Contains(text, "request canceled"):
		// The context is alive, so it was the client's own limit.
		return KindOutage, "it took longer than --timeout"
	}
	return KindOutage, wire.OneLine(text)
}

// registryError reads the error code and the words of a body as the distribution
// specification has them ("Error Codes"); other JSON and text give words only.
func registryError(a answer) (code, message string) {
	var body struct {
		Errors []struct {
			Code    string          `json:"code"`
			Message string          `json:"message"`
			Detail  json.RawMessage `json:"detail"`
		} `json:"errors"`
		Message string `json:"message"`
		Details string `json:"details"`
	}
	if err := json.Unmarshal(a.body, &body); err != nil {
		return "", plainWords(a.body)
	}
	if len(body.Errors) == 0 {
		return "", wire.OneLine(body.Message + body.Details)
	}
	e := body.Errors[0]
	if !codePattern(e.Code) {
		e.Code = ""
	}
	return e.Code, wire.OneLine(join(e.Message, words(e.Detail)))
}

// plainWords are those of a body that is no JSON.
func plainWords(body []byte) string {
	if isPage(body) {
		return "an HTML page"
	}
	return wire.OneLine(string(body))
}

func isPage(body []byte) bool { return bytes.HasPrefix(bytes.TrimSpace(body), []byte("<")) }

// words finds what an error's detail says: it is free in form, and some registries put
// the reason there and nowhere else (distribution specification, "Error Codes").
func words(detail json.RawMessage) string {
	var text string
	if json.Unmarshal(detail, &text) == nil {
		return text
	}
	var object struct {
		Description string `json:"description"`
		Message     string `json:"message"`
		Reason      string `json:"reason"`
	}
	_ = json.Unmarshal(detail, &object)
	return join(object.Description, join(object.Message, object.Reason))
}

// join puts two texts of one error together.
func join(a, b string) string {
	switch {
	case a == "":
		return b
	case b == "" || strings.Contains(a, b):
		return a
	}
	return a + ": " + b
}

// codePattern reports whether s looks like an error code: upper-case letters and "_".
func codePattern(s string) bool {
	return len(s) <= 64 && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") == ""
}

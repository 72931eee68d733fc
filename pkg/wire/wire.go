// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

// Package wire is what all clients do with what a server sends: how much of it is
// read, and how it becomes fit to be shown. Servers are hostile, and they echo the
// credentials that they were sent.
package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"unicode"
)

// MaxErrorBody is how many bytes of an error's body are read: its words are short.
const MaxErrorBody = 64 << 10

// MaxMessage is how many characters of a server's words a message has.
const MaxMessage = 300

// TooLargeError is a body of more than Limit bytes.
type TooLargeError struct{ Limit int64 }

func (e TooLargeError) Error() string {
	const mib = 1 << 20
	if e.Limit >= mib && e.Limit%mib == 0 {
		return fmt.Sprintf("the answer is larger than %d MiB", e.Limit/mib)
	}
	return fmt.Sprintf("the answer is larger than %d bytes", e.Limit)
}

// ReadAll reads a whole body. The error is a [TooLargeError] when it has more than
// limit bytes.
func ReadAll(body io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(body, limit+1))
	if int64(len(data)) > limit {
		return data[:limit], TooLargeError{Limit: limit}
	}
	return data, err
}

// ReadError reads the body of the error that answers req: at most [MaxErrorBody]
// bytes, without credentials. What was read before err is returned, too.
func ReadError(body io.Reader, req *http.Request) ([]byte, error) {
	data, err := ReadAll(body, MaxErrorBody)
	if _, ok := errors.AsType[TooLargeError](err); ok {
		err = nil // the rest has nothing to say
	}
	return Redact(data, req), err
}

// redacted stands in the place of a credential.
const redacted = "[redacted]"

// token matches a JSON Web Token, whole or cut off.
var token = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{8,}(\.[A-Za-z0-9_-]*)*`)

// Redact takes out of a body what must not be shown: the credentials that req carries,
// should the server echo them, and whatever looks like a token.
func Redact(body []byte, req *http.Request) []byte {
	_, sent, _ := strings.Cut(req.Header.Get("Authorization"), " ")
	_, password, _ := req.BasicAuth()
	for _, secret := range append(secrets(req), sent, password) {
		if secret != "" {
			body = bytes.ReplaceAll(body, []byte(secret), []byte(redacted))
		}
	}
	return token.ReplaceAll(body, []byte(redacted))
}

// RedactText takes whatever looks like a token out of a text.
func RedactText(s string) string { return token.ReplaceAllString(s, redacted) }

// RedactURL returns raw without user, query and fragment: a query can hold a token
// (that of GitHub's ID tokens does).
func RedactURL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "a malformed URL"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// secretNames are the members of forms and JSON objects in which clients send credentials.
var secretNames = []string{"password", "refresh_token", "secret", "token", "access_token", "id_token"}

// secrets are the credentials in req's body.
func secrets(req *http.Request) (found []string) {
	member := func(string) string { return "" }
	switch kind := req.Header.Get("Content-Type"); {
	case strings.HasPrefix(kind, "application/x-www-form-urlencoded"):
		if form, err := Form(req); err == nil {
			member = form.Get
		}
	case strings.HasPrefix(kind, "application/json"):
		var object map[string]any
		if body, err := copyBody(req); err == nil && json.NewDecoder(body).Decode(&object) == nil {
			member = func(name string) string { s, _ := object[name].(string); return s }
		}
	}
	for _, name := range secretNames {
		found = append(found, member(name))
	}
	return found
}

// Form reads a copy of the form that req sends; it is empty when there is none.
func Form(req *http.Request) (url.Values, error) {
	body, err := copyBody(req)
	if err != nil {
		return nil, err
	}
	form := http.Request{Method: http.MethodPost, Header: req.Header, Body: body}
	err = form.ParseForm()
	return form.PostForm, err
}

func copyBody(req *http.Request) (io.ReadCloser, error) {
	if req.GetBody == nil {
		return http.NoBody, nil
	}
	return req.GetBody()
}

// OneLine makes a server's words fit for a message: one line, no control or direction
// characters, at most [MaxMessage] characters.
func OneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > MaxMessage {
		s = string(r[:MaxMessage-1]) + "…"
	}
	return s
}

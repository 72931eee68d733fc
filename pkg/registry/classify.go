// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/LerianStudio/pushguard/pkg/retry"
	"github.com/LerianStudio/pushguard/pkg/wire"
)

// absenceCodes are the error codes with which a registry itself says that a tag,
// manifest or repository does not exist (distribution specification, "Error
// Codes"; TAG_EXPIRED is Quay's, NOT_FOUND Harbor's and Artifactory's).
var absenceCodes = map[string]bool{"MANIFEST_UNKNOWN": true, "NAME_UNKNOWN": true, "TAG_EXPIRED": true, "NOT_FOUND": true}

// refusals are the words with which registries refuse to move or delete what
// is there, as measured or documented. The first row that matches decides.
var refusals = []struct {
	status int    // 0 for any
	code   string // "" for any
	text   string // part of code, message or detail in lower case, "" for any
	kind   Kind
}{
	{0, "TAG_IMMUTABLE", "", KindImmutable},                        // Quay
	{0, "", "immutability settings", KindImmutable},                // Docker Hub
	{0, "", "tag is immutable", KindImmutable},                     // ECR
	{0, "", "repository is immutable", KindImmutable},              // ECR, MSR
	{0, "", "is an immutable repository", KindImmutable},           // MSR
	{0, "", "enabled tag immutability", KindImmutable},             // Artifact Registry
	{0, "", "configured as immutable", KindImmutable},              // Harbor
	{0, "", "cannot be overwritten", KindImmutable},                // ECR, Alibaba
	{0, "", "does not allow updating assets", KindImmutable},       // Nexus
	{0, "REGISTRY_DISALLOWED_OPERATION", "", KindImmutable},        // ACR lock
	{0, "GOOGLE_MANIFEST_DANGLING_TAG", "", KindReferenced},        // Artifact Registry
	{http.StatusForbidden, "", "still referenced", KindReferenced}, // Docker Hub
	{http.StatusMethodNotAllowed, "DENIED", "", KindReferenced},    // zot: part of an index
	{http.StatusMethodNotAllowed, "", "", KindUnsupported},         // deletes are off
	{0, "UNSUPPORTED", "", KindUnsupported},                        // Harbor, GHCR, distribution
	{http.StatusConflict, "", "", KindReferenced},
	{http.StatusPreconditionFailed, "", "", KindImmutable},
}

// failure makes an Error of what t saw of an operation that ended with err.
func (c *Client) failure(ctx context.Context, op string, ref Reference, t *trace, err error) *Error {
	e := &Error{Op: op, Ref: ref, Err: err}
	a, ok := t.last("")
	if !ok {
		a.err = err // regclient refused before any request
	}
	seen := a.header
	token, asked := c.host(ref).token(ref.Repository)
	if a.status == http.StatusUnauthorized && asked && token.failed {
		a, e.AtTokens = token.answer, true
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
	e.Kind = kind(a, e.Code, e.Message)
	e.atSignatureTag(a)
	if e.Kind == KindNotFound && e.Code == "NAME_UNKNOWN" && asked && token.anonymous {
		// Those who may not see a repository are told the same.
		e.Kind = KindAuth
	}
	if e.Kind == KindAuth {
		e.Next = missingRight(ref, seen, a.header)
	}
	return e
}

// kind classifies an answer by status, code and words.
func kind(a answer, code, message string) Kind {
	if a.method != http.MethodGet && a.method != http.MethodHead && a.status >= 400 && a.status < 500 {
		text := strings.ToLower(code + " " + message + " " + string(a.body))
		for _, r := range refusals {
			if (r.status == 0 || r.status == a.status) && (r.code == "" || r.code == code) && strings.Contains(text, r.text) {
				return r.kind
			}
		}
	}
	switch {
	case a.status == http.StatusNotFound && absenceCodes[code]:
		return KindNotFound
	case a.status == http.StatusUnauthorized, a.status == http.StatusForbidden:
		return KindAuth
	case a.status == http.StatusTooManyRequests:
		return KindRateLimit
	case a.status == http.StatusRequestTimeout, a.status >= 500:
		return KindOutage
	case code != "" && a.status >= 400:
		return KindInvalid
	}
	return KindNotARegistry
}

// network says why there was no answer, or no whole one.
func network(ctx context.Context, err, outer error) (Kind, string) {
	if err == nil {
		err = outer
	}
	if cause := context.Cause(ctx); cause != nil {
		return KindOutage, short(cause.Error())
	}
	var (
		authority x509.UnknownAuthorityError
		hostname  x509.HostnameError
		invalid   x509.CertificateInvalidError
	)
	text := err.Error()
	switch {
	case errors.Is(err, errTooLarge):
		return KindNotARegistry, short(text)
	case errors.As(err, &authority), errors.As(err, &hostname), errors.As(err, &invalid):
		return KindNotARegistry, short(text)
	case strings.Contains(text, "server gave HTTP response to HTTPS client"):
		return KindNotARegistry, "it speaks plain HTTP, which pushguard only uses on this machine's own addresses"
	case errors.Is(err, context.DeadlineExceeded), strings.Contains(text, "Client.Timeout"), strings.Contains(text, "request canceled"):
		// The context is alive, so it was the client's own limit.
		return KindOutage, "it took longer than --timeout"
	}
	return KindOutage, short(text)
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
	text := strings.TrimSpace(string(a.body))
	if err := json.Unmarshal(a.body, &body); err != nil {
		if strings.HasPrefix(text, "<") {
			return "", "an HTML page"
		}
		return "", short(text)
	}
	if len(body.Errors) == 0 {
		return "", short(body.Message + body.Details)
	}
	e := body.Errors[0]
	if !codePattern(e.Code) {
		e.Code = ""
	}
	return e.Code, short(e.Message)
}

// codePattern reports whether s looks like an error code: upper-case letters and "_".
func codePattern(s string) bool {
	return len(s) <= 64 && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") == ""
}

// short bounds text of others inside a message.
func short(s string) string { return wire.OneLine(s) }

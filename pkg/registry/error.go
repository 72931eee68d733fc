// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Kind is what a failed request proves.
type Kind int

// The kinds. Only KindNotFound says that something is not there.
const (
	KindUnknown      Kind = iota
	KindNotFound          // the registry itself says that it does not have it
	KindAuth              // no login, a wrong one, or one without the right
	KindRateLimit         // too many requests
	KindOutage            // no answer, or one that says the server is in trouble
	KindNotARegistry      // an answer, but not a registry's: a portal, a wrong host
	KindImmutable         // refused: the tag can neither be moved nor deleted
	KindUnsupported       // refused: the registry does not offer this
	KindReferenced        // refused: something else still needs it
	KindInvalid           // refused: the request or its content is not accepted
	KindUnreadable        // it exists, and the registry does not let it be read
	KindForbidden         // refused by a rule that no login lifts: a firewall, a quota, a closed service
)

var kinds = [...]string{
	KindUnknown: "unknown", KindNotFound: "not-found", KindAuth: "auth", KindRateLimit: "rate-limit",
	KindOutage: "outage", KindNotARegistry: "not-a-registry", KindImmutable: "immutable", KindUnsupported: "unsupported",
	KindReferenced: "referenced", KindInvalid: "invalid", KindUnreadable: "unreadable", KindForbidden: "forbidden",
}

// String is the kind as records and JSON have it.
func (k Kind) String() string {
	if k < 0 || int(k) >= len(kinds) {
		return kinds[KindUnknown]
	}
	return kinds[k]
}

// Error is a request that failed, with what the registry said of it.
type Error struct {
	Op      string    // "check", "read manifest of", …
	Ref     Reference // what was asked for
	Kind    Kind
	Status  int           // of HTTP, 0 when there was no answer
	Code    string        // the registry's error code, such as MANIFEST_UNKNOWN
	Message string        // the registry's words or the network's, one short line
	Wait    time.Duration // the server's Retry-After, 0 for none
	// AtTokens says that it was the token service that failed, not the registry.
	AtTokens bool
	// Service is the host of the API that answered instead of the registry; "" for the
	// registry.
	Service string
	// Host is the kind of registry, such as Harbor, "" when it is not known.
	Host string
	// LoggedIn says that docker has a login for the registry.
	LoggedIn bool
	// Final says that the same request cannot succeed in this run: the login was
	// answered with 429 and is not sent again.
	Final bool
	// Next is what to do where the kind's general hint would not help.
	Next string
	// ByHand is the command or page with which a person does what was refused, with
	// places for package host to fill in; "" leaves it to the kind of registry.
	ByHand string
	Err    error
}

// Error says what failed, on which reference, and why.
func (e *Error) Error() string {
	return fmt.Sprintf("%s %s: %s", e.Op, e.Ref, e.Reason())
}

// Reason is the why alone, for tables.
func (e *Error) Reason() string {
	who := e.host()
	if e.AtTokens {
		who = "the token service of " + who
	}
	var text string
	switch {
	case e.Status == 0 && e.Kind == KindAuth:
		text = "nothing was asked of " + who
	case e.Status == 0:
		text = "no answer from " + who
	case e.Kind == KindNotARegistry:
		text = fmt.Sprintf("%s answered %s, but not as a registry does", who, status(e.Status))
	default:
		text = who + " answered " + status(e.Status)
	}
	switch {
	case e.Code != "" && e.Message != "":
		text += fmt.Sprintf(" (%s: %s)", e.Code, e.Message)
	case e.Code+e.Message != "":
		text += " (" + e.Code + e.Message + ")"
	}
	return text
}

func (e *Error) host() string { return cmp.Or(e.Service, e.Ref.Registry) }

func status(code int) string {
	if text := http.StatusText(code); text != "" {
		return fmt.Sprintf("%d %s", code, text)
	}
	return fmt.Sprint(code)
}

// Unwrap gives the client library's error.
func (e *Error) Unwrap() error { return e.Err }

// Transient reports whether the same request can succeed later.
func (e *Error) Transient() bool {
	return !e.Final && (e.Kind == KindOutage || e.Kind == KindRateLimit)
}

// RetryAfter is how long the server asks to wait, 0 if it does not say.
func (e *Error) RetryAfter() time.Duration { return e.Wait }

// Hint says what to do next, or nothing.
func (e *Error) Hint() string {
	if e.Next != "" {
		return e.Next
	}
	host := e.Ref.Registry
	switch e.Kind {
	case KindAuth:
		return fmt.Sprintf("log in to %s with an account that can read and write %s (docker login); pushguard uses docker's logins", host, e.Ref.Repository)
	case KindRateLimit:
		if e.LoggedIn {
			return "run it again later"
		}
		return fmt.Sprintf("log in to %s for a higher limit, or run it again later", host)
	case KindOutage:
		return fmt.Sprintf("run it again when %s answers; --max-attempts and --max-elapsed wait longer", e.host())
	case KindNotARegistry:
		return fmt.Sprintf("check the name %s: is it a registry, and is a proxy or login page between it and this machine?", e.host())
	case KindUnreadable:
		return fmt.Sprintf("the image exists; ask the owner of the project at %s to lift the rule, or meet it", host)
	case KindForbidden:
		return fmt.Sprintf("a rule at %s forbids it, and another login does not help: ask its administrator", host)
	default:
		return ""
	}
}

// IsNotFound reports whether a registry proves that something does not exist.
func IsNotFound(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Kind == KindNotFound
}

// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signing

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/LerianStudio/pushguard/pkg/wire"
)

// Stage names one step of a signature, as users see it in messages.
type Stage string

// The stages in the order in which they are gone through.
const (
	StageTrust       Stage = "trust root"
	StageIdentity    Stage = "identity"
	StageCertificate Stage = "certificate"
	StageSignature   Stage = "signature"
	StageTimestamp   Stage = "timestamp"
	StageLog         Stage = "log entry"
	StageVerify      Stage = "verification"
)

// Kind says what an error means for the caller. The list is closed.
type Kind int

const (
	// KindRefused is a final answer: asking again gives the same one.
	KindRefused Kind = iota + 1
	// KindUnavailable is an outage: 408, 425, 429, 5xx, a network failure, a request that took too long.
	KindUnavailable
	// KindMalformed is an answer that cannot be the service's own: HTML from a gateway, cut-off or broken JSON.
	KindMalformed
	// KindPending is a log entry that the log has taken but does not show yet.
	KindPending
	// KindExpired is a token or certificate that ran out: get a new one and go on from there.
	KindExpired
	// KindConflict is an entry that a Rekor v2 already holds and does not hand out: sign anew.
	KindConflict
	// KindConfig is a mistake in what the caller set up: no rights to ask for a token, no trust root.
	KindConfig
	// KindInvalid is a signature that does not verify.
	KindInvalid
)

// String returns the name used in logs and JSON.
func (k Kind) String() string {
	names := [...]string{
		KindRefused: "refused", KindUnavailable: "unavailable", KindMalformed: "malformed", KindPending: "pending",
		KindExpired: "expired", KindConflict: "conflict", KindConfig: "config", KindInvalid: "invalid",
	}
	if k <= 0 || int(k) >= len(names) {
		return "unknown"
	}
	return names[k]
}

// Error is the only error type of this package. It holds no secret and its
// text is one line, whatever a server sent.
type Error struct {
	Stage   Stage
	Service string // URL without user, query and fragment; empty when no service was asked
	Kind    Kind
	Status  int           // HTTP status, 0 when there was no answer
	Message string        // one line, at most 300 characters, often the server's words
	Advice  string        // what to do next; may be empty
	Wait    time.Duration // from Retry-After; 0 when the server did not say
	Err     error         // the cause, not printed; nil when the answer itself is the cause

	location string // Location of a 409
	logIndex string // X-Log-Index of a 409
}

// Error returns "get certificate from https://fulcio…: 503: upstream down".
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(cmp.Or(verbs[e.Stage], string(e.Stage)))
	if e.Service != "" {
		fmt.Fprintf(&b, " from %s", e.Service)
	}
	if e.Status != 0 {
		fmt.Fprintf(&b, ": HTTP %d", e.Status)
	}
	fmt.Fprintf(&b, ": %s", cmp.Or(e.Message, e.Kind.String()))
	if e.Wait > 0 {
		fmt.Fprintf(&b, " (retry after %s)", e.Wait.Round(time.Second))
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Transient reports whether the same request may succeed later.
func (e *Error) Transient() bool {
	return e.Kind == KindUnavailable || e.Kind == KindMalformed || e.Kind == KindPending
}

// RetryAfter returns the wait that the server asked for, 0 when it did not.
func (e *Error) RetryAfter() time.Duration { return e.Wait }

// Hint returns what to do next, or "".
func (e *Error) Hint() string { return e.Advice }

// IsKind reports whether err is, or wraps, an *Error of kind k.
func IsKind(err error, k Kind) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Kind == k
}

// verbs begin the messages of errors.
var verbs = map[Stage]string{
	StageTrust:       "get trust root",
	StageIdentity:    "get identity token",
	StageCertificate: "get certificate",
	StageSignature:   "sign statement",
	StageTimestamp:   "get timestamp",
	StageLog:         "get log entry",
	StageVerify:      "verify signature",
}

// refused is a failure on this machine: doing it again fails again.
func refused(stage Stage, err error) *Error {
	return &Error{Stage: stage, Kind: KindRefused, Message: wire.OneLine(err.Error()), Err: err}
}

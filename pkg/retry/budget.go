// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package retry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// BudgetError is the cause of a context whose time for the whole run is used up.
// It is a [context.DeadlineExceeded].
type BudgetError struct {
	Budget time.Duration
}

func (e *BudgetError) Error() string {
	return fmt.Sprintf("the time for the whole run, %s, is used up", e.Budget)
}

// Unwrap makes errors.Is(err, context.DeadlineExceeded) hold.
func (e *BudgetError) Unwrap() error { return context.DeadlineExceeded }

// WithBudget bounds all work under the returned context by d; 0 means no bound.
// The context's cause is a [BudgetError].
func WithBudget(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if d <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, d, &BudgetError{Budget: d})
}

// After reads how long a server asks to wait, from its answer's header:
// Retry-After as seconds or as an HTTP date (RFC 9110, section 10.2.3), or Docker
// Hub's X-Retry-After, a Unix time. Times are counted from the answer's Date, the
// server's own clock, or from now if it has none. It is 0 when there is none, when
// it is malformed, and when it is past; never more than a day.
func After(header http.Header, now time.Time) time.Duration {
	const day = 24 * time.Hour
	if date, err := http.ParseTime(header.Get("Date")); err == nil {
		now = date
	}
	wait := time.Duration(0)
	if v := strings.TrimSpace(header.Get("Retry-After")); v != "" {
		seconds, err := strconv.ParseUint(v, 10, 64)
		switch at, terr := http.ParseTime(v); {
		case err == nil, errors.Is(err, strconv.ErrRange):
			wait = time.Duration(min(seconds, uint64(day/time.Second))) * time.Second
		case terr == nil:
			wait = at.Sub(now)
		}
	} else if v := header.Get("X-Retry-After"); v != "" {
		if at, err := strconv.ParseInt(v, 10, 64); err == nil {
			wait = time.Unix(at, 0).Sub(now)
		}
	}
	return min(max(wait, 0), day)
}

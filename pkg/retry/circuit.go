// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package retry

import (
	"context"
	"sync"
	"time"
)

// Circuit is shared by all operations that ask one service. When the service is
// down, one operation at a time tries and the others wait for what it finds: an
// outage costs the attempts of one, however many operations there are. When one
// gives up on the service, all do.
//
// The nil Circuit is never open.
type Circuit struct {
	isOutage func(error) bool

	mu       sync.Mutex
	failures int       // tries in a row that met the outage; 0 = closed
	since    time.Time // when the first of them ended
	next     time.Time // no try before
	trying   bool      // one is under way
	last     error
	gaveUp   *GaveUpError
	changed  chan struct{} // closed and replaced at each change
}

// NewCircuit returns a closed Circuit. isOutage tells the failure of the service
// from that of one request: only the former concerns the others.
func NewCircuit(isOutage func(error) bool) *Circuit {
	return &Circuit{isOutage: isOutage, changed: make(chan struct{})}
}

// pass is the right to try once: how many tries in a row had failed when it was
// given, so that tries which were under way at the same time count once.
type pass int

// turn is what a caller waits for that may not try yet.
type turn struct {
	changed <-chan struct{}
	due     <-chan time.Time // nil while another caller tries
}

// enter waits until the caller may try. The error is the circuit's, when another
// caller gave up on the service, or says that ctx ended.
func (c *Circuit) enter(ctx context.Context) (pass, error) {
	if c == nil {
		return 0, nil
	}
	for {
		p, wait, err := c.try(ctx)
		if wait == nil {
			return p, err
		}
		select {
		case <-wait.changed:
		case <-wait.due:
		case <-ctx.Done():
		}
	}
}

// try is enter without the wait: a nil turn means that pass or error is the answer.
func (c *Circuit) try(ctx context.Context) (p pass, wait *turn, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gaveUp != nil {
		return 0, nil, c.gaveUp
	}
	if ctx.Err() != nil {
		return 0, nil, c.ended(ctx)
	}
	pause := time.Until(c.next)
	if c.failures == 0 || !c.trying && pause <= 0 {
		c.trying = c.failures > 0 // then nobody else tries
		return pass(c.failures), nil, nil
	}
	wait = &turn{changed: c.changed}
	if !c.trying {
		wait.due = time.After(pause)
	}
	return 0, wait, nil
}

// ended is why a caller stops waiting when ctx has ended: the outage it waited for, if any.
func (c *Circuit) ended(ctx context.Context) error {
	if c.last == nil {
		return context.Cause(ctx)
	}
	return &GaveUpError{Attempts: c.failures, Elapsed: time.Since(c.since), Err: c.last, Cause: context.Cause(ctx)}
}

// met notes how a try ended and returns how many in a row have met the outage, 0
// when this one did not. Tries that were under way at the same time count once.
func (c *Circuit) met(p pass, err error) int {
	if c == nil {
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil || !c.isOutage(err) {
		c.failures, c.trying, c.last = 0, false, nil
		c.tell()
		return 0
	}
	if c.failures == 0 {
		c.since = time.Now()
	}
	if c.failures == int(p) {
		c.failures++
		// Until the caller has said when to go on, in wait: nobody tries.
		c.trying = true
	}
	c.last = err
	return c.failures
}

// wait ends a try that met the outage: the next one comes after delay, or, with
// gaveUp, never.
func (c *Circuit) wait(p pass, delay time.Duration, gaveUp *GaveUpError) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failures == int(p)+1 {
		c.trying = false
		c.next = time.Now().Add(delay)
	}
	if gaveUp != nil {
		c.gaveUp = gaveUp
	}
	c.tell()
}

func (c *Circuit) tell() {
	close(c.changed)
	c.changed = make(chan struct{})
}

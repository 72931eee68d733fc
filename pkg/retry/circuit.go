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
// from that of one request: only the former concerns the others. An error that is
// not [Transient] is an answer of the service, whatever isOutage says.
func NewCircuit(isOutage func(error) bool) *Circuit {
	return &Circuit{isOutage: isOutage, changed: make(chan struct{})}
}

// judge decides after a try what comes next. failures is how many tries in a row
// have met the outage, 0 when this one did not.
type judge func(failures int, err error) verdict

// verdict is what holds for all who ask the service.
type verdict struct {
	pause  time.Duration // nobody tries again before it is over
	gaveUp *GaveUpError  // not nil: nobody tries again
}

// try waits until the caller may try, runs op and hands its error to judge. However
// op ends, also by a panic, the next one gets its turn. When op did not run, judge is
// not asked, and the error is the circuit's: another caller gave up on the service,
// or ctx ended.
func (c *Circuit) try(ctx context.Context, op func() error, judge judge) error {
	if c == nil {
		err := op()
		judge(0, err)
		return err
	}
	before, err := c.enter(ctx)
	if err != nil {
		return err
	}
	ended := false
	defer func() {
		if !ended { // op panicked: that says nothing of the service
			c.release(before)
		}
	}()
	err = op()
	ended = true
	c.leave(ctx, before, err, judge)
	return err
}

// enter waits until the caller may try. It returns how many tries in a row have
// failed by then, so that tries which are under way at the same time count once.
func (c *Circuit) enter(ctx context.Context) (before int, err error) {
	for {
		before, changed, due, err := c.ask(ctx)
		if changed == nil {
			return before, err
		}
		select {
		case <-changed:
		case <-due:
		case <-ctx.Done():
		}
	}
}

// ask is enter without the wait. A changed that is not nil says that the caller has
// to wait for it or for due, which is nil while another one tries.
func (c *Circuit) ask(ctx context.Context) (before int, changed <-chan struct{}, due <-chan time.Time, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gaveUp != nil {
		return 0, nil, nil, c.gaveUp
	}
	if ctx.Err() != nil {
		return 0, nil, nil, c.ended(ctx)
	}
	pause := time.Until(c.next)
	if c.failures == 0 || !c.trying && pause <= 0 {
		c.trying = c.failures > 0 // then nobody else tries
		return c.failures, nil, nil, nil
	}
	if !c.trying {
		due = time.After(pause)
	}
	return 0, c.changed, due, nil
}

// ended is why a caller stops waiting when ctx has ended: the outage it waited for, if any.
func (c *Circuit) ended(ctx context.Context) error {
	if c.last == nil {
		return context.Cause(ctx)
	}
	return &GaveUpError{Attempts: c.failures, Elapsed: time.Since(c.since), Err: c.last, Cause: context.Cause(ctx)}
}

// leave notes how a try ended and lets the next one in.
func (c *Circuit) leave(ctx context.Context, before int, err error, judge judge) {
	outage := Transient(err) && c.isOutage(err)
	if err != nil && !outage && ctx.Err() != nil {
		// The caller's own end: the service has said nothing.
		c.release(before)
		judge(0, err)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.tell()
	if !outage {
		c.failures, c.trying, c.last = 0, false, nil
		judge(0, err)
		return
	}
	if c.failures == 0 {
		c.since = time.Now()
	}
	c.last = err
	counts := c.failures == before
	if counts {
		c.failures++
	}
	v := judge(c.failures, err)
	if counts {
		c.trying = false
		c.next = time.Now().Add(v.pause)
	}
	if v.gaveUp != nil {
		c.gaveUp = v.gaveUp
	}
}

// release ends a try that says nothing of the service.
func (c *Circuit) release(before int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if before > 0 && c.failures == before {
		c.trying = false
		c.tell()
	}
}

func (c *Circuit) tell() {
	close(c.changed)
	c.changed = make(chan struct{})
}

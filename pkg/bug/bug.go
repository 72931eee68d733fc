// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

// Package bug brings the panic of a goroutine to the command that runs it. Go ends a
// process whose goroutine panics with status 2, which is that of a wrong command line.
package bug

import (
	"runtime/debug"
	"sync/atomic"
)

var handler atomic.Pointer[func(value any, stack []byte)]

// Handle sets what happens when a goroutine with [Catch] panics. It is for the process's
// main alone, and f must end the process: others may wait for that goroutine.
func Handle(f func(value any, stack []byte)) { handler.Store(&f) }

// Catch is deferred first in every goroutine. Where no handler is set, as in tests, the
// panic goes on.
func Catch() {
	value := recover()
	if value == nil {
		return
	}
	f := handler.Load()
	if f == nil {
		panic(value)
	}
	(*f)(value, debug.Stack())
}

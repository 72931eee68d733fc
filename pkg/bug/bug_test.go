// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package bug_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/LerianStudio/pushguard/pkg/bug"
)

func oops() { panic("oops") }

// The handler is told of a goroutine's panic, and where it was; without one it goes on.
func TestCatch(t *testing.T) {
	passed := make(chan any)
	go func() {
		defer func() { passed <- recover() }()
		func() {
			defer bug.Catch()
			oops()
		}()
	}()
	if got := <-passed; got != "oops" {
		t.Errorf("without a handler: recovered %v, want the panic to go on", got)
	}
	told := make(chan string, 1)
	bug.Handle(func(value any, stack []byte) {
		told <- fmt.Sprint(value, " in oops: ", bytes.Contains(stack, []byte("bug_test.oops")))
	})
	go func() {
		defer bug.Catch()
		oops()
	}()
	if got, want := <-told, "oops in oops: true"; got != want {
		t.Errorf("handler was told %q, want %q", got, want)
	}
	func() { defer bug.Catch() }()
	if len(told) > 0 {
		t.Errorf("handler was told of no panic: %s", <-told)
	}
}

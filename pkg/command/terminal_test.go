// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// The line counts down once a second, goes when anything else is printed, and does
// not come back.
func TestLive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		l := &Live{out: &out}
		until := time.Now().Add(3 * time.Second)
		l.Show(func(now time.Time) string { return fmt.Sprintf("wait %.0f", until.Sub(now).Seconds()) })
		time.Sleep(2500 * time.Millisecond)
		synctest.Wait()
		_, _ = io.WriteString(l, "a message\n")
		time.Sleep(5 * time.Second)
		l.Show(func(time.Time) string { return "again" })
		l.Clear()
		l.Clear()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		const erase = "\r\x1b[K"
		want := erase + "wait 3" + erase + "wait 2" + erase + "wait 1" + erase + "a message\n" + erase + "again" + erase
		if got := out.String(); got != want {
			t.Errorf("printed %q, want %q", got, want)
		}
		var none *Live
		none.Clear()
	})
}

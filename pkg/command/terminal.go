// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/LerianStudio/pushguard/pkg/bug"
)

// IsTerminal reports whether a person is at a stream.
func IsTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// Live is the last line of a terminal, which changes while the command waits. All
// other output goes through it too, so that it never stands in the middle of a line.
type Live struct {
	out io.Writer

	mu    sync.Mutex
	shown bool
	stop  chan struct{} // ends the updates of the line
}

// newLive returns nil where no line can be changed: no terminal, a dumb one, or CI.
func newLive(env *Env) *Live {
	if !IsTerminal(env.Err) || env.Getenv("CI") == "true" || env.Getenv("TERM") == "dumb" {
		return nil
	}
	return &Live{out: env.Err}
}

const eraseLine = "\r\x1b[K"

// Show puts a line there and keeps it up to date, once a second, until it is
// replaced or other output comes. The text is one line and free of control characters.
func (l *Live) Show(text func(now time.Time) string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clear()
	stop := make(chan struct{})
	l.stop = stop
	l.draw(text)
	go func() {
		defer bug.Catch()
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			l.mu.Lock()
			if l.stop == stop {
				l.draw(text)
			}
			l.mu.Unlock()
		}
	}()
}

func (l *Live) draw(text func(time.Time) string) {
	_, _ = io.WriteString(l.out, eraseLine+text(time.Now()))
	l.shown = true
}

// Clear takes the line away.
func (l *Live) Clear() {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clear()
}

func (l *Live) clear() {
	if l.stop != nil {
		close(l.stop)
		l.stop = nil
	}
	if l.shown {
		_, _ = io.WriteString(l.out, eraseLine)
		l.shown = false
	}
}

// Write prints other output, in place of the line.
func (l *Live) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clear()
	return l.out.Write(p)
}

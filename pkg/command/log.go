// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"

	"github.com/LerianStudio/pushguard/pkg/actions"
)

// newLogger returns a logger that prints lines as a command does:
//
//	tagcheck: warning: message key=value
func newLogger(env *Env, level slog.Level) *slog.Logger {
	return slog.New(&handler{name: env.Name, out: env.Err, level: level, mu: &sync.Mutex{}})
}

type handler struct {
	name  string
	out   io.Writer
	level slog.Level
	attrs string
	mu    *sync.Mutex
}

func (h *handler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level }

func (h *handler) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	b.WriteString(h.name + ": ")
	switch {
	case r.Level >= slog.LevelError:
		b.WriteString("error: ")
	case r.Level >= slog.LevelWarn:
		b.WriteString("warning: ")
	case r.Level < slog.LevelInfo:
		b.WriteString("debug: ")
	}
	b.WriteString(line(r, h.attrs) + "\n")
	h.mu.Lock()
	defer h.mu.Unlock()
	_, err := io.WriteString(h.out, b.String())
	return err
}

// line is a record's message and attributes.
func line(r slog.Record, attrs string) string {
	text := actions.Plain(r.Message) + attrs
	r.Attrs(func(a slog.Attr) bool {
		text += format(a)
		return true
	})
	return text
}

// format writes " key=value", the value quoted when it has spaces.
func format(a slog.Attr) string {
	value := actions.Plain(a.Value.Resolve().String())
	if value == "" || strings.ContainsAny(value, ` "=`) {
		value = fmt.Sprintf("%q", value)
	}
	return " " + a.Key + "=" + value
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	for _, a := range attrs {
		with.attrs += format(a)
	}
	return &with
}

// WithGroup is not used: the lines are for people.
func (h *handler) WithGroup(string) slog.Handler { return h }

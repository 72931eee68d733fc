// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/LerianStudio/pushguard/pkg/actions"
	"github.com/LerianStudio/pushguard/pkg/command"
	"github.com/LerianStudio/pushguard/pkg/signretry"
)

// showWait says what is waited for, since when and until when: on a terminal in a
// line that counts down, else in a line of the log.
func showWait(ctx context.Context, env *command.Env, w signretry.Waiting) {
	if env.Live == nil || env.Log.Enabled(ctx, slog.LevelDebug) {
		attrs := []slog.Attr{
			slog.String("stage", w.Stage), slog.String("for", w.Subject), slog.Int("attempt", w.Attempt),
			slog.Duration("wait", w.Delay.Round(time.Millisecond)), slog.String("since", clock(w.Since)),
		}
		if !w.Deadline.IsZero() {
			attrs = append(attrs, slog.String("until", clock(w.Deadline)))
		}
		env.Log.LogAttrs(ctx, slog.LevelInfo, "trying again", append(attrs, slog.String("reason", w.Err.Error()))...)
		return
	}
	if env.Log.Enabled(ctx, slog.LevelInfo) {
		env.Live.Show(func(now time.Time) string { return waitLine(w, now) })
	}
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05Z") }

// waitLine fits on a line of 80 columns: what for, since when, until when, and then why.
func waitLine(w signretry.Waiting, now time.Time) string {
	left := max(w.Until.Sub(now), 0).Round(time.Second)
	text := fmt.Sprintf("waiting for %s since %s, try %d in %s", w.Stage, w.Since.Local().Format(time.TimeOnly), w.Attempt+1, left)
	if !w.Deadline.IsZero() {
		text += ", until " + w.Deadline.Local().Format(time.TimeOnly)
	}
	const columns = 79
	line := []rune(actions.Plain(text + ": " + w.Err.Error()))
	if len(line) > columns {
		line = append(line[:columns-1], '…')
	}
	return string(line)
}

// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/LerianStudio/pushguard/pkg/actions"
	"github.com/LerianStudio/pushguard/pkg/command"
	"github.com/LerianStudio/pushguard/pkg/signing"
	"github.com/LerianStudio/pushguard/pkg/signretry"
)

// tell prints the answer, writes the step's outputs and decides the exit code.
func (a *app) tell(ctx context.Context, env *command.Env, report signretry.Report) error {
	failures := slices.DeleteFunc(slices.Clone(report.Results), func(r signretry.Result) bool { return r.Status != signretry.Failed })
	line := ""
	if len(failures) > 0 {
		line = a.commandLine(failures)
	}
	var err error
	if a.tool.Common.JSON {
		err = env.AnswerJSON(newAnswer(report, line))
	} else {
		err = env.AnswerTable(table(report))
	}
	written := command.Internal(errors.Join(err,
		env.Workflow.SetOutputs(outputs(report, a.tool.Common.Record)),
		env.Workflow.Summary("### signretry\n\n"+command.MarkdownTable(table(report))+timeline(report.Attempts))))
	return errors.Join(written, a.conclude(ctx, env, report, failures, line))
}

// conclude turns failures into a warning or an exit code; line is the command that signs
// them later.
func (a *app) conclude(ctx context.Context, env *command.Env, report signretry.Report, failures []signretry.Result, line string) error {
	switch {
	case len(failures) == 0:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	later := "to sign later: " + line
	failure := failuresError(failures, len(report.Results), later)
	if a.onFailure == onFailureWarn {
		env.Log.LogAttrs(ctx, slog.LevelWarn, "not signed, going on (--on-failure=warn)", slog.String("reason", failure.Error()))
		for _, next := range []string{hint(errors.Join(failure.reasons...)), later} {
			if next != "" && !a.tool.Common.Quiet {
				env.Hint(next)
			}
		}
		return command.Internal(env.Workflow.Annotate(env.Err, actions.Warning, "not signed", failure.Error()))
	}
	if isSetting(failures[0].Err) { // then it is the error of all
		return command.FileError(failure, hint(failure))
	}
	return command.Exit(exitCode(failures, len(report.Results)), failure)
}

// isSetting reports whether an error is about whom to trust and to ask, as flags and
// files say: nothing was done then.
func isSetting(err error) bool {
	e, ok := errors.AsType[*signing.Error](err)
	return ok && e.Stage == signing.StageTrust && e.Kind == signing.KindConfig
}

func exitCode(failures []signretry.Result, images int) int {
	switch {
	case len(failures) < images:
		return command.ExitPartial
	case slices.ContainsFunc(failures, func(r signretry.Result) bool { return !r.Passing() }):
		return command.ExitRefused
	}
	return command.ExitOutage
}

// failuresError says each different reason once.
func failuresError(failures []signretry.Result, images int, later string) *unsignedError {
	var reasons []error
	for _, f := range failures {
		if !slices.ContainsFunc(reasons, func(e error) bool { return e.Error() == f.Err.Error() }) {
			reasons = append(reasons, f.Err)
		}
	}
	what := failures[0].Ref.String()
	if len(failures) > 1 {
		what = fmt.Sprintf("%d of %d images", len(failures), images)
	}
	return &unsignedError{what: what, reasons: reasons, later: later}
}

// hint is what to do next about err, "" when it does not say.
func hint(err error) string {
	type hinter interface {
		error
		Hint() string
	}
	if h, ok := errors.AsType[hinter](err); ok {
		return h.Hint()
	}
	return ""
}

type unsignedError struct {
	what    string
	reasons []error
	later   string // a hint, after those of the reasons
}

func (e *unsignedError) Error() string {
	texts := make([]string, len(e.reasons))
	for i, r := range e.reasons {
		texts[i] = r.Error()
	}
	return "sign " + e.what + ": " + strings.Join(texts, "; ")
}

func (e *unsignedError) Unwrap() []error {
	return append(slices.Clone(e.reasons), command.Hinted(errors.New("not signed"), e.later))
}

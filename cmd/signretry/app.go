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
	"time"

	"github.com/urfave/cli/v2"

	"github.com/LerianStudio/pushguard/pkg/actions"
	"github.com/LerianStudio/pushguard/pkg/command"
	"github.com/LerianStudio/pushguard/pkg/registry"
	"github.com/LerianStudio/pushguard/pkg/signing"
	"github.com/LerianStudio/pushguard/pkg/signretry"
)

const (
	onFailureFail = "fail"
	onFailureWarn = "warn"
)

// app holds the values of the flags.
type app struct {
	tool         *command.Tool
	metadata     string
	onFailure    string
	format       string
	services     signing.Source
	rekorVersion int
}

func newTool() *command.Tool {
	a := &app{onFailure: onFailureFail, format: "bundle"}
	const where = "Sigstore services (default: the public instance):"
	file := func(name, usage string, dst *string) cli.Flag {
		return &cli.StringFlag{Name: name, Usage: usage, Destination: dst, Category: where}
	}
	a.tool = &command.Tool{
		Name:  "signretry",
		Usage: "sign container images with Sigstore, and keep at it until the signature holds",
		Synopsis: "signretry [flags] IMAGE@DIGEST...\n" +
			"signretry [flags] --metadata FILE\n" +
			"signretry [flags] --record FILE",
		Description: "Each image is named by its digest. What this identity has signed already is left as it is.\n" +
			"The identity is the GitHub Actions job's (permissions: id-token: write), or the token in SIGSTORE_ID_TOKEN.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "metadata", Usage: "sign what `FILE` says was pushed: the metadata file of docker buildx build or bake", Destination: &a.metadata},
			command.Choice("on-failure", "what to do when an image could not be signed", &a.onFailure, onFailureFail, onFailureWarn),
			command.Choice("format", "layout of the signature", &a.format, "bundle"),
			file("trusted-root", "trust what `FILE` (trusted_root.json) says", &a.services.TrustedRoot),
			file("signing-config", "use the services that `FILE` (signing_config.json) names", &a.services.SigningConfig),
			file("fulcio-url", "get certificates from `URL`", &a.services.FulcioURL),
			file("rekor-url", "log signatures at `URL`", &a.services.RekorURL),
			&cli.IntFlag{Name: "rekor-version", Usage: "the log's API has major version `N` (1 or 2; of --rekor-url: 1)", Destination: &a.rekorVersion, Category: where},
			file("timestamp-url", "get timestamps from `URL`, with its path", &a.services.TimestampURL),
		},
		Common: command.Common{
			Timeout: 30 * time.Second, MaxAttempts: 10, InitialDelay: time.Second, MaxDelay: time.Minute, MaxElapsed: 15 * time.Minute,
		},
		Run: a.run,
	}
	return a.tool
}

func (a *app) run(ctx context.Context, env *command.Env, args []string) error {
	if a.rekorVersion < 0 || a.rekorVersion > 2 {
		return command.Usagef("--rekor-version is %d: 1 and 2 are known", a.rekorVersion)
	}
	a.services.RekorVersion = uint32(a.rekorVersion)
	book, err := openBook(a.tool.Common.Record, env)
	if err != nil {
		return err
	}
	images, err := a.images(args, book)
	if err != nil {
		return err
	}
	if err := book.save(); err != nil {
		return err
	}
	client, err := registry.New(ctx, registry.Options{Timeout: a.tool.Common.Timeout, Log: env.Log})
	if err != nil {
		return err
	}
	report := signretry.Run(ctx, images, signretry.Options{
		Registry: client,
		Signer:   signing.New(signing.Options{Timeout: a.tool.Common.Timeout, Logger: env.Log}),
		Services: a.services,
		Token:    tokenSource(env.Getenv),
		Policy:   a.tool.Common.Policy(),
		Budget:   a.tool.Common.MaxElapsed,
		Logger:   env.Log,
		OnResult: book.add,
	})
	if err := a.tell(ctx, env, report); err != nil {
		return err
	}
	return book.err
}

// tokenSource prefers a token that was handed in to the job's own.
func tokenSource(getenv func(string) string) signing.TokenSource {
	if token := strings.TrimSpace(getenv("SIGSTORE_ID_TOKEN")); token != "" {
		return signing.StaticToken(token)
	}
	return signing.ActionsToken(getenv("ACTIONS_ID_TOKEN_REQUEST_URL"), getenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN"))
}

// tell prints the answer, writes the step's outputs and decides the exit code.
func (a *app) tell(ctx context.Context, env *command.Env, report signretry.Report) error {
	var err error
	if a.tool.Common.JSON {
		err = env.AnswerJSON(newAnswer(report))
	} else {
		err = env.AnswerTable(table(report))
	}
	err = errors.Join(err,
		env.Workflow.SetOutputs(outputs(report, a.tool.Common.Record)),
		env.Workflow.Summary("### signretry\n\n"+command.MarkdownTable(table(report))))
	if err != nil {
		return err
	}
	failures := slices.DeleteFunc(slices.Clone(report.Results), func(r signretry.Result) bool { return r.Status != signretry.Failed })
	switch {
	case len(failures) == 0:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	later := "to sign later: " + a.commandLine(failures)
	failure := failuresError(failures, len(report.Results), later)
	if a.onFailure == onFailureWarn {
		env.Log.LogAttrs(ctx, slog.LevelWarn, "not signed, going on (--on-failure=warn)", slog.String("reason", failure.Error()))
		for _, next := range []string{hint(errors.Join(failure.reasons...)), later} {
			if next != "" && !a.tool.Common.Quiet {
				_, _ = fmt.Fprintf(env.Err, "%s: hint: %s\n", env.Name, actions.Plain(next))
			}
		}
		return env.Workflow.Annotate(env.Err, actions.Warning, "not signed", failure.Error())
	}
	return command.Exit(exitCode(failures, len(report.Results)), failure)
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

// commandLine is the command that signs what is not signed yet, as a person types it.
func (a *app) commandLine(failures []signretry.Result) string {
	words := []string{"signretry"}
	for _, f := range []struct{ name, value string }{
		{"trusted-root", a.services.TrustedRoot},
		{"signing-config", a.services.SigningConfig},
		{"fulcio-url", a.services.FulcioURL},
		{"rekor-url", a.services.RekorURL},
		{"timestamp-url", a.services.TimestampURL},
		{"record", a.tool.Common.Record},
	} {
		if f.value != "" {
			words = append(words, quote("--"+f.name+"="+f.value))
		}
	}
	if a.rekorVersion != 0 {
		words = append(words, fmt.Sprintf("--rekor-version=%d", a.rekorVersion))
	}
	for _, f := range failures {
		if word := quote(f.Ref.String()); !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	return strings.Join(words, " ")
}

// quote quotes for a POSIX shell where that is needed.
func quote(word string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:=@,+%", r)
	}
	if strings.ContainsFunc(word, func(r rune) bool { return !plain(r) }) {
		return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}
	return word
}

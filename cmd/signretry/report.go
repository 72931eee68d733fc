// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/LerianStudio/pushguard/pkg/actions"
	"github.com/LerianStudio/pushguard/pkg/command"
	"github.com/LerianStudio/pushguard/pkg/naming"
	"github.com/LerianStudio/pushguard/pkg/signing"
	"github.com/LerianStudio/pushguard/pkg/signretry"
)

// tell prints the answer, writes the step's outputs and decides the exit code.
func (a *app) tell(ctx context.Context, env *command.Env, report signretry.Report, named []naming.Result) error {
	failures := slices.DeleteFunc(slices.Clone(report.Results), func(r signretry.Result) bool { return r.Status != signretry.Failed })
	line := ""
	if len(failures) > 0 {
		line = a.commandLine(failures, named)
	}
	err := a.answer(env, report, named, line)
	return errors.Join(err, a.conclude(ctx, env, report, failures, line), concludeNames(named))
}

// answer prints the answer and writes the step's outputs and its summary.
func (a *app) answer(env *command.Env, report signretry.Report, named []naming.Result, line string) error {
	var err error
	if a.tool.Common.JSON {
		err = env.AnswerJSON(newAnswer(report, named, line, a.check.on))
	} else {
		err = env.AnswerTable(table(report, named))
	}
	return command.Internal(errors.Join(err,
		env.Workflow.SetOutputs(outputs(report, named, a.tool.Common.Record)),
		env.Workflow.Summary("### signretry\n\n"+command.MarkdownTable(table(report, named))+fellBack(report)+timeline(report.Attempts))))
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
	failure := failuresError("sign", failures, len(report.Results), later)
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
func failuresError(verb string, failures []signretry.Result, images int, later string) *unsignedError {
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
	return &unsignedError{what: verb + " " + what, reasons: reasons, later: later}
}

// hint is what to do next about err, "" when it does not say.
func hint(err error) string {
	if h, ok := errors.AsType[command.Hinter](err); ok {
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
	return e.what + ": " + strings.Join(texts, "; ")
}

func (e *unsignedError) Unwrap() []error {
	return append(slices.Clone(e.reasons), command.Hinted(errors.New("not signed"), e.later))
}

// retryMarker says that an outage is why something is not signed: a later run of the same
// command can succeed.
type retryMarker struct {
	Reason string    `json:"reason"` // of the first image
	Since  time.Time `json:"since"`  // when the run first met a failure
}

// retryLater is nil when nothing failed, or all that failed is final.
func retryLater(r signretry.Report) *retryMarker {
	for _, res := range r.Results {
		if res.Status.OK() || !res.Passing() {
			continue
		}
		m := &retryMarker{Reason: actions.Plain(res.Err.Error()), Since: res.At}
		for _, t := range r.Attempts {
			if at := t.Start.UTC().Truncate(time.Second); t.Err != nil && at.Before(m.Since) {
				m.Since = at
			}
		}
		return m
	}
	return nil
}

func (m *retryMarker) text() string {
	if m == nil {
		return ""
	}
	return m.Reason
}

func (m *retryMarker) since() string {
	if m == nil {
		return ""
	}
	return m.Since.Format(time.RFC3339)
}

// fellBack tells the step's summary that a second log was used.
func fellBack(r signretry.Report) string {
	if r.FellBack == nil {
		return ""
	}
	return "\nThe first log was down for too long, so Rekor v2 was used: " + actions.Cell(r.FellBack.Error()) + "\n"
}

// answerSchema names the layout of --json. Fields may be added to it.
const answerSchema = "pushguard.signretry/v1"

type answer struct {
	Schema   string            `json:"schema"`
	Check    bool              `json:"check,omitempty"` // nothing was to be written
	Signed   bool              `json:"signed"`          // all of them
	Identity *signing.Identity `json:"identity"`
	Images   []answerImage     `json:"images"`
	Tags     []answerTag       `json:"tags"`                // of --then-tag
	FellBack string            `json:"fell_back,omitempty"` // why a second log was used
	Retry    *retryMarker      `json:"retry_later"`         // null unless running it again can succeed
	Later    string            `json:"later,omitempty"`     // the command that signs what is not signed
	Attempts []answerAttempt   `json:"attempts"`
}

type answerImage struct {
	Ref          string                  `json:"ref"`
	Digest       string                  `json:"digest"`
	Status       signretry.Status        `json:"status"`
	Signatures   []signretry.Signature   `json:"signatures"`
	Log          *signretry.LogEntry     `json:"log"` // of the first signature that is in one
	Error        *answerError            `json:"error"`
	Attestations []signretry.Attestation `json:"attestations"`
}

type answerError struct {
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"` // what to do next
	Passing bool   `json:"passing"`        // running it again can succeed
}

type answerAttempt struct {
	Stage  string    `json:"stage"`
	For    string    `json:"for"`
	Number int       `json:"number"`
	Start  time.Time `json:"start"`
	TookMS int64     `json:"took_ms"`
	WaitMS int64     `json:"wait_ms"`
	Error  string    `json:"error,omitempty"`
}

func newAnswer(r signretry.Report, named []naming.Result, later string, check bool) answer {
	a := answer{Schema: answerSchema, Check: check, Signed: allOK(r), Later: later, Images: []answerImage{}, Tags: answerTags(named, r), Attempts: []answerAttempt{}}
	a.Retry = retryLater(r)
	if r.FellBack != nil {
		a.FellBack = r.FellBack.Error()
	}
	if r.Identity.Subject != "" {
		a.Identity = &r.Identity
	}
	for _, res := range r.Results {
		ref := res.Ref
		ref.Digest = ""
		img := answerImage{
			Ref: ref.String(), Digest: res.Ref.Digest, Status: res.Status, Log: res.Log(),
			Signatures:   append([]signretry.Signature{}, res.Signatures...),
			Attestations: append([]signretry.Attestation{}, res.Attestations...),
		}
		if res.Err != nil {
			img.Error = &answerError{Message: res.Err.Error(), Hint: hint(res.Err), Passing: res.Passing()}
		}
		a.Images = append(a.Images, img)
	}
	for _, t := range r.Attempts {
		attempt := answerAttempt{
			Stage: t.Stage, For: t.Subject, Number: t.Number, Start: t.Start.UTC(),
			TookMS: t.Took.Milliseconds(), WaitMS: t.Wait.Milliseconds(),
		}
		if t.Err != nil {
			attempt.Error = t.Err.Error()
		}
		a.Attempts = append(a.Attempts, attempt)
	}
	return a
}

func allOK(r signretry.Report) bool {
	return !slices.ContainsFunc(r.Results, func(res signretry.Result) bool { return !res.Status.OK() })
}

// table is the answer for people and scripts, and the step summary.
func table(r signretry.Report, named []naming.Result) [][]string {
	rows := [][]string{{"IMAGE", "STATUS", "LOG INDEX"}}
	for _, res := range r.Results {
		var indexes []string
		for _, s := range res.Signatures {
			if s.Log != nil {
				indexes = append(indexes, strconv.FormatInt(s.Log.Index, 10))
			}
		}
		for _, t := range res.Attestations {
			if t.Log != nil {
				indexes = append(indexes, strconv.FormatInt(t.Log.Index, 10))
			}
		}
		index := cmp.Or(strings.Join(indexes, ", "), "-")
		status := string(res.Status)
		if text, ok := map[signretry.Status]string{signretry.Already: "already signed", signretry.Unsigned: "not signed"}[res.Status]; ok {
			status = text
		}
		rows = append(rows, []string{res.Ref.String(), status, index})
	}
	return append(rows, tagRows(named, r)...)
}

// outputs are the step's. log_index is that of the first image that has one, the
// certificate's identity the one that "cosign verify" wants.
func outputs(r signretry.Report, names []naming.Result, recordPath string) []actions.Output {
	var signed, unsigned []string
	index := ""
	for _, res := range r.Results {
		if !res.Status.OK() {
			unsigned = append(unsigned, res.Ref.String())
			continue
		}
		signed = append(signed, res.Ref.String())
		if l := res.Log(); l != nil && index == "" {
			index = strconv.FormatInt(l.Index, 10)
		}
	}
	named, unnamed := tagOutputs(names)
	later := retryLater(r)
	return []actions.Output{
		{Name: "named_refs", Value: strings.Join(named, "\n")},
		{Name: "unnamed_refs", Value: strings.Join(unnamed, "\n")},
		{Name: "signed", Value: strconv.FormatBool(len(unsigned) == 0)},
		{Name: "signed_refs", Value: strings.Join(signed, "\n")},
		{Name: "unsigned_refs", Value: strings.Join(unsigned, "\n")},
		{Name: "retry_later", Value: strconv.FormatBool(later != nil)},
		{Name: "retry_reason", Value: later.text()},
		{Name: "retry_since", Value: later.since()},
		{Name: "log_index", Value: index},
		{Name: "certificate_identity", Value: r.Identity.Subject},
		{Name: "certificate_oidc_issuer", Value: r.Identity.Issuer},
		{Name: "record", Value: recordPath},
	}
}

// commandLine is the command that signs what is not signed yet, as a person types it: on
// another machine, where there is no record. It leaves out the tags that named another
// image before the run, since only the record proves that they may be moved.
func (a *app) commandLine(failures []signretry.Result, named []naming.Result) string {
	words := []string{"signretry"}
	for _, f := range []struct {
		name, value string
		isFile      bool
	}{
		{"trusted-root", a.services.TrustedRoot, true},
		{"signing-config", a.services.SigningConfig, true},
		{"tuf-url", a.services.TUFURL, false},
		{"tuf-root", a.services.TUFRoot, true},
		{"fulcio-url", a.services.FulcioURL, false},
		{"rekor-url", a.services.RekorURL, false},
		{"timestamp-url", a.services.TimestampURL, false},
		{"fallback-signing-config", a.fallback.config, true},
		{"identity-token-file", a.identity.tokenFile, a.identity.tokenFile != "-"},
		{"identity-token-command", a.identity.command, false},
		{"oidc-issuer", a.identity.issuer, false},
		{"oidc-client-id", a.identity.clientID, false},
	} {
		if full, err := filepath.Abs(f.value); f.isFile && f.value != "" && err == nil {
			f.value = full // it may be typed in another folder
		}
		if f.value != "" {
			words = append(words, quote("--"+f.name+"="+f.value))
		}
	}
	if a.identity.login != loginAuto {
		words = append(words, "--login="+a.identity.login)
	}
	for _, n := range named {
		if n.Outcome == unsigned && n.Before == "" {
			words = append(words, quote("--then-tag="+n.Tag.String()))
		}
	}
	for _, annotation := range a.annotations {
		words = append(words, quote("--annotation="+annotation))
	}
	for _, attest := range a.attest {
		if !a.check.on || strings.Contains(attest, "=") {
			words = append(words, quote("--attest="+attest))
		}
	}
	if a.format != "" && a.format != string(signing.FormatBundle) {
		words = append(words, "--format="+a.format)
	}
	if a.recursive {
		words = append(words, "--recursive")
	}
	if a.rekorVersion != 0 {
		words = append(words, fmt.Sprintf("--rekor-version=%d", a.rekorVersion))
	}
	if a.fallback.after > 0 {
		words = append(words, "--fallback-after="+a.fallback.after.String())
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

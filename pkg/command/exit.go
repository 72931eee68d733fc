// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"syscall"

	"github.com/LerianStudio/pushguard/pkg/bug"
	"github.com/LerianStudio/pushguard/pkg/record"
)

// The exit codes, the same for all three commands. A script must take any other
// code for a failure.
const (
	ExitOK       = 0 // go on
	ExitRefused  = 1 // no: the tag exists, the signature is refused for good, the clean-up is blocked
	ExitUsage    = 2 // the command line is wrong; nothing was done
	ExitOutage   = 3 // a service could not be asked: running it again can succeed
	ExitPartial  = 4 // some done, some not
	ExitInternal = 5 // a file that cannot be read or written, a bug: it says nothing about the images
)

// ExitError ends a run with Code. With a nil Err nothing is printed: what there
// is to say has been said.
type ExitError struct {
	Code int
	Err  error
}

func (e *ExitError) Error() string {
	if e.Err == nil {
		return ""
	}
	return e.Err.Error()
}

func (e *ExitError) Unwrap() error { return e.Err }

// Exit ends a run with code and prints err, if there is one.
func Exit(code int, err error) error { return &ExitError{code, err} }

// Internal makes err, if there is one, an internal failure.
func Internal(err error) error {
	if err == nil {
		return nil
	}
	return &internalError{err}
}

// internalError is an internal failure, wherever it stands among errors that are joined.
type internalError struct{ error }

func (e *internalError) Unwrap() error { return e.error }

// FileError is an error that reading a file, named by the user, led to. A wrong file is a
// mistake on the command line, and next says what to give; one that cannot be read is an
// internal failure.
func FileError(err error, next string) error {
	if file, ok := errors.AsType[*fs.PathError](err); ok && !errors.Is(file, fs.ErrNotExist) && !errors.Is(file, syscall.EISDIR) {
		return Internal(err)
	}
	return &UsageError{Err: err, Next: next}
}

// OpenRecord opens the record in path for the run that the process belongs to. A record
// that cannot be used is a usage error; otherRun says what to do with another run's.
func (e *Env) OpenRecord(path string, o record.Options, otherRun string) (*record.Record, error) {
	r, err := record.Open(path, record.RunFromEnv(e.Getenv), o)
	if err == nil {
		return r, nil
	}
	return nil, RecordError(err, otherRun)
}

// RecordError says what a failure of a record leads to: the wrong file is a mistake on
// the command line, with otherRun as the hint when it is another run's; a file that
// cannot be read or written is an internal failure.
func RecordError(err error, otherRun string) error {
	if _, ok := errors.AsType[*record.OtherRunError](err); ok {
		return &UsageError{Err: err, Next: otherRun}
	}
	if _, ok := errors.AsType[*record.UnusableError](err); ok {
		next := "give the file that tagcheck --record wrote"
		if errors.Is(err, fs.ErrNotExist) {
			next += "; is the path right, and did an earlier step write it?"
		}
		return &UsageError{Err: err, Next: next}
	}
	return Internal(err)
}

// UsageError is a wrong command line: exit code 2.
type UsageError struct {
	Err  error
	Next string // what to write instead; "" points to --help
}

func (e *UsageError) Error() string { return e.Err.Error() }
func (e *UsageError) Unwrap() error { return e.Err }

// Hint says what to write instead.
func (e *UsageError) Hint() string {
	if e.Next == "" {
		return "run with --help for the flags"
	}
	return e.Next
}

// Usagef returns a [UsageError].
func Usagef(format string, args ...any) error {
	return &UsageError{Err: fmt.Errorf(format, args...)}
}

// exitCode is the code of an error, or of several that are joined: an internal failure
// goes before what else happened, since what was written down of that is not whole. An
// error that no command has classified is one, too.
func exitCode(err error) int {
	if err == nil {
		return ExitOK
	}
	if isInternal(err) {
		return ExitInternal
	}
	if e, ok := errors.AsType[*ExitError](err); ok {
		return e.Code
	}
	if _, ok := errors.AsType[*UsageError](err); ok {
		return ExitUsage
	}
	return ExitInternal
}

func isInternal(err error) bool {
	_, ok := errors.AsType[*internalError](err)
	return ok
}

// signalError is the cause of a context that a signal ended.
type signalError struct {
	signal os.Signal
}

func (e *signalError) Error() string {
	if e.signal == syscall.SIGTERM {
		return "terminated"
	}
	return "interrupted"
}

// notify ends the context at the first SIGINT or SIGTERM, with the signal as its
// cause. A second one ends the process: nobody has to wait for us.
func notify(parent context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		defer bug.Catch()
		select {
		case s := <-signals:
			signal.Stop(signals)
			cancel(&signalError{s})
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		cancel(nil)
	}
}

// Unwrap says that what a signal has ended was cancelled: doing it again can succeed.
func (e *signalError) Unwrap() error { return context.Canceled }

// interrupted tells the exit code of a context that a signal ended: 128 and the
// signal's number.
func interrupted(ctx context.Context) (int, bool) {
	e, ok := errors.AsType[*signalError](context.Cause(ctx))
	if !ok {
		return 0, false
	}
	number, ok := e.signal.(syscall.Signal)
	return 128 + int(number), ok
}

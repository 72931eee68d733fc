// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"errors"
	"io/fs"

	"github.com/urfave/cli/v2"

	"github.com/LerianStudio/pushguard/pkg/record"
)

// AnyRun is the flag that lets a command take the record of another run.
func AnyRun(dst *bool) cli.Flag {
	return Bool("any-run", "accept the record of another run than this one", dst)
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

// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/LerianStudio/pushguard/pkg/retry"
)

// Common are the options that all three commands have. A command sets its
// defaults before [Run]; the flags overwrite them.
type Common struct {
	JSON    bool
	Quiet   bool
	Verbose bool
	Record  string // path of the run record, "" for none
	// ManyRecords gives the command several records instead, in Records.
	ManyRecords bool
	Records     []string
	Timeout     time.Duration // of one request
	// The retry policy of one operation, and the time for the whole run.
	MaxAttempts  int
	InitialDelay time.Duration
	MaxDelay     time.Duration
	MaxElapsed   time.Duration
}

// Policy is the retry policy of one operation.
func (c *Common) Policy() retry.Policy {
	return retry.Policy{MaxAttempts: c.MaxAttempts, InitialDelay: c.InitialDelay, MaxDelay: c.MaxDelay}
}

const commonCategory = "All commands:"

func (c *Common) flags(tool string) []cli.Flag {
	variables := []string{variable(tool, "record"), "PUSHGUARD_RECORD"}
	var recordFlag cli.Flag = &cli.StringFlag{
		Name: "record", Usage: "keep the run record in `FILE`", Destination: &c.Record, Category: commonCategory, EnvVars: variables,
	}
	if c.ManyRecords {
		recordFlag = &cli.GenericFlag{
			Name: "record", Usage: "read the run record in `FILE`: a file, a pattern, or FOLDER/ for all JSON files in it (repeatable)", Value: (*list)(&c.Records), Category: commonCategory, EnvVars: variables,
		}
	}
	return []cli.Flag{
		&cli.BoolFlag{Name: "json", Usage: "print one JSON object on stdout", Destination: &c.JSON, DisableDefaultText: true, Category: commonCategory},
		&cli.BoolFlag{Name: "quiet", Usage: "print errors only", Destination: &c.Quiet, DisableDefaultText: true, Category: commonCategory},
		&cli.BoolFlag{Name: "verbose", Usage: "print every request's outcome on stderr", Destination: &c.Verbose, DisableDefaultText: true, Category: commonCategory},
		recordFlag,
		Duration("timeout", "give up on one request after `TIME`", &c.Timeout, commonCategory),
		&cli.IntFlag{Name: "max-attempts", Usage: "try an operation `N` times; 0: as often as --max-elapsed allows", Destination: &c.MaxAttempts, Value: c.MaxAttempts, Category: commonCategory},
		Duration("initial-delay", "ceiling of the first wait between tries, `TIME`", &c.InitialDelay, commonCategory),
		Duration("max-delay", "ceiling of any wait between tries, `TIME`", &c.MaxDelay, commonCategory),
		Duration("max-elapsed", "give up on the whole run after `TIME`", &c.MaxElapsed, commonCategory),
	}
}

// check refuses values that make no sense together or at all.
func (c *Common) check() error {
	switch {
	case c.MaxAttempts < 0:
		return &UsageError{Err: fmt.Errorf("--max-attempts is %d: use 1 or more, or 0 for as many as --max-elapsed allows", c.MaxAttempts)}
	case c.MaxAttempts == 0 && c.MaxElapsed == 0:
		return &UsageError{Err: errors.New("--max-attempts and --max-elapsed are both 0: that would be for ever")}
	case c.Timeout == 0:
		return &UsageError{Err: errors.New("--timeout is 0: a request needs some time")}
	case c.Quiet && c.Verbose:
		return &UsageError{Err: errors.New("--quiet and --verbose exclude each other")}
	}
	return nil
}

// level is what stderr shows: $RUNNER_DEBUG is GitHub's "enable debug logging".
func (c *Common) level(getenv func(string) string) slog.Level {
	switch {
	case c.Quiet:
		return slog.LevelError
	case c.Verbose, getenv("RUNNER_DEBUG") == "1":
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

// Bool is a flag that is off by default.
func Bool(name, usage string, dst *bool) cli.Flag {
	return &cli.BoolFlag{Name: name, Usage: usage, Destination: dst, DisableDefaultText: true}
}

// AnyRun is the flag that lets a command take the record of another run.
func AnyRun(dst *bool) cli.Flag {
	return Bool("any-run", "accept the record of another run than this one", dst)
}

// Duration is a flag that takes "90s", "5m" and plain seconds ("90").
// The value at dst is the default.
func Duration(name, usage string, dst *time.Duration, category string) cli.Flag {
	return &cli.GenericFlag{Name: name, Usage: usage, Value: (*duration)(dst), DefaultText: duration(*dst).String(), Category: category}
}

type duration time.Duration

func (d *duration) Set(text string) error {
	text = strings.TrimSpace(text)
	value, err := time.ParseDuration(text)
	if err != nil {
		value, err = time.ParseDuration(text + "s")
	}
	if err != nil || value < 0 {
		return errors.New(`use a time such as "90s", "5m" or plain seconds`)
	}
	*d = duration(value)
	return nil
}

// String leaves out the zero units that time.Duration prints: 15m, not 15m0s.
func (d duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// Choice is a flag that takes one of the given words. The value at dst is the default.
func Choice(name, usage string, dst *string, words ...string) cli.Flag {
	return &cli.GenericFlag{Name: name, Usage: usage + ": " + strings.Join(words, ", "), Value: &choice{dst, words}}
}

// InCategory puts a flag of this package under a heading of the help.
func InCategory(category string, f cli.Flag) cli.Flag {
	if g, ok := f.(*cli.GenericFlag); ok {
		g.Category = category
	}
	return f
}

// DefaultText says of a flag of this package what holds where it is not set.
func DefaultText(text string, f cli.Flag) cli.Flag {
	if g, ok := f.(*cli.GenericFlag); ok {
		g.DefaultText = text
	}
	return f
}

type choice struct {
	value *string
	words []string
}

func (c *choice) Set(text string) error {
	text = strings.TrimSpace(text)
	if !slices.Contains(c.words, text) {
		return errors.New("use one of " + strings.Join(c.words, ", "))
	}
	*c.value = text
	return nil
}

func (c *choice) String() string {
	if c == nil || c.value == nil { // the flag package asks a zero value
		return ""
	}
	return *c.value
}

// Strings is a flag that can be repeated; commas do not split it.
func Strings(name, usage string, dst *[]string) cli.Flag {
	return &cli.GenericFlag{Name: name, Usage: usage + " (repeatable)", Value: (*list)(dst)}
}

type list []string

// Set takes one value, or from a variable one per line.
func (l *list) Set(text string) error {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			*l = append(*l, line)
		}
	}
	return nil
}

func (l *list) String() string {
	if l == nil {
		return ""
	}
	return strings.Join(*l, ", ")
}

// nameVariables gives each flag its environment variable: TOOL_NAME.
func nameVariables(tool string, flags []cli.Flag) {
	for _, f := range flags {
		switch f := f.(type) {
		case *cli.BoolFlag:
			f.EnvVars = orDefault(f.EnvVars, variable(tool, f.Name))
		case *cli.StringFlag:
			f.EnvVars = orDefault(f.EnvVars, variable(tool, f.Name))
		case *cli.IntFlag:
			f.EnvVars = orDefault(f.EnvVars, variable(tool, f.Name))
		case *cli.GenericFlag:
			f.EnvVars = orDefault(f.EnvVars, variable(tool, f.Name))
		}
	}
}

func orDefault(names []string, name string) []string {
	if len(names) > 0 {
		return names
	}
	return []string{name}
}

func variable(tool, flag string) string {
	return strings.ToUpper(tool + "_" + strings.ReplaceAll(flag, "-", "_"))
}

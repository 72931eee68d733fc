// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

// Package command is what the mains of tagcheck, signretry and regcleanup share:
// flags and their rules, streams, signals, exit codes, logging.
//
// The rules:
//   - stdout carries the answer and nothing else; all the rest goes to stderr.
//   - An empty flag or variable means "not set", for every type of flag: that is
//     what an undefined input of a workflow sends.
//   - Flags work before and after arguments; "--" ends them.
//   - A usage error is one line on stderr with a hint, and exit code 2.
//   - What no command has classified, and a panic, is an internal failure: exit code 5.
package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/LerianStudio/pushguard/pkg/actions"
	"github.com/LerianStudio/pushguard/pkg/bug"
	"github.com/LerianStudio/pushguard/pkg/retry"
)

// Tool is one command: its page of help, its flags, and what it does.
type Tool struct {
	Name        string // as typed; its upper case is the prefix of its variables
	Usage       string // one line
	Synopsis    string // the lines of the help's USAGE
	Description string // paragraphs of the help
	Flags       []cli.Flag
	Common      Common
	Manual      Manual
	// Run does the work. Its error decides the exit code, see [ExitError].
	Run func(ctx context.Context, env *Env, args []string) error
}

// Env is what a run of a tool has of the world.
type Env struct {
	Name     string
	In       io.Reader
	Out, Err io.Writer
	Getenv   func(string) string
	Log      *slog.Logger
	Workflow *actions.Workflow
	// Live is the terminal's last line; nil where nobody watches.
	Live *Live
}

// Main runs the tool that newTool builds and ends the process.
func Main(newTool func() *Tool) {
	env := &Env{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Getenv: os.Getenv}
	// Who is told of it gets an error from a write into a closed pipe, and not the end
	// of the process in the middle of its work.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	tool := newTool()
	bug.Handle(func(value any, stack []byte) {
		direct := &Env{Name: tool.Name, Err: os.Stderr, Log: env.Log, Workflow: env.Workflow} // past what the goroutine may hold
		direct.report(direct.bug(context.Background(), value, stack))
		os.Exit(ExitInternal)
	})
	os.Exit(Run(context.Background(), tool, os.Args[1:], env))
}

// Run runs tool with args and returns its exit code. Whatever goes wrong has been
// printed to env.Err. The environment variables of the tool's flags that are
// empty are unset in the process.
func Run(ctx context.Context, tool *Tool, args []string, env *Env) int {
	env.Name = tool.Name
	env.Workflow = actions.New(env.Getenv)
	if env.Live = newLive(env); env.Live != nil {
		defer env.Live.Clear()
		env.Err = env.Live
	}
	env.Log = newLogger(env, slog.LevelInfo)
	ctx, stop := notify(ctx)
	defer stop()
	err := recovered(ctx, tool, args, env)
	if code, ok := interrupted(ctx); ok && err != nil && !isInternal(err) {
		env.report(fmt.Errorf("%w", context.Cause(ctx)))
		return code
	}
	env.report(err)
	return exitCode(err)
}

// recovered is run with a panic as an error.
func recovered(ctx context.Context, tool *Tool, args []string, env *Env) (err error) {
	defer func() {
		if value := recover(); value != nil {
			env.Live.Clear()
			err = env.bug(ctx, value, debug.Stack())
		}
	}()
	return run(ctx, tool, args, env)
}

// bug is a panic as an internal failure. Its stack is printed with debug logging only.
func (e *Env) bug(ctx context.Context, value any, stack []byte) error {
	if e.Log.Enabled(ctx, slog.LevelDebug) {
		for line := range strings.Lines(string(stack)) {
			_, _ = fmt.Fprintf(e.Err, "%s: debug: %s\n", e.Name, actions.Plain(line))
		}
	}
	return Internal(Hinted(fmt.Errorf("this is a bug in %s: %v", Version(e.Name), value),
		"report the line above at https://github.com/LerianStudio/pushguard/issues, with the command line; --verbose prints where it was"))
}

func run(ctx context.Context, tool *Tool, args []string, env *Env) error {
	flags := slices.Concat(tool.Flags, tool.Common.flags(tool.Name))
	nameVariables(tool.Name, flags)
	// Not urfave/cli's own help flag: that one is a global which every run writes to.
	help, version, generate := false, false, ""
	var helpText strings.Builder
	flags = append(flags,
		&cli.BoolFlag{Name: "help", Aliases: []string{"h"}, Usage: "print this help and exit", Destination: &help, DisableDefaultText: true},
		&cli.BoolFlag{Name: "version", Usage: "print version, commit and date, and exit", Destination: &version, DisableDefaultText: true},
		generateFlag(&generate))
	page := newPage(tool, flags)
	args, err := arrange(flags, args)
	if err != nil {
		return err
	}
	app := &cli.App{
		Name:                      tool.Name,
		Usage:                     tool.Usage,
		UsageText:                 tool.Synopsis,
		Description:               tool.Description,
		CustomAppHelpTemplate:     helpTemplate,
		Metadata:                  map[string]any{"exit": wrapped(tool.Manual.Exit)},
		Flags:                     flags,
		HideHelp:                  true,
		HideVersion:               true,
		HideHelpCommand:           true,
		DisableSliceFlagSeparator: true,
		Reader:                    env.In,
		Writer:                    &helpText, // which loses the error of a write
		ErrWriter:                 env.Err,
		ExitErrHandler:            func(*cli.Context, error) {},
		OnUsageError: func(_ *cli.Context, err error, _ bool) error {
			return &UsageError{Err: plainFlagError(err)}
		},
		Action: func(c *cli.Context) error {
			if help {
				return cli.ShowAppHelp(c)
			}
			if version {
				return env.version(tool.Common.JSON)
			}
			if generate != "" {
				return env.Answer(generators[generate](page))
			}
			env.Log = newLogger(env, tool.Common.level(env.Getenv))
			if err := tool.Common.check(); err != nil {
				return err
			}
			return tool.Run(c.Context, env, c.Args().Slice())
		},
	}
	if err := app.RunContext(ctx, append([]string{tool.Name}, args...)); err != nil {
		return err
	}
	return env.Answer(helpText.String())
}

// report prints err, its hints, and in a workflow an annotation.
func (e *Env) report(err error) {
	if err == nil || err.Error() == "" {
		return
	}
	text := actions.Plain(err.Error())
	_, _ = fmt.Fprintf(e.Err, "%s: error: %s\n", e.Name, text)
	for _, hint := range hints(err) {
		e.Hint(hint)
	}
	_ = e.Workflow.Annotate(e.Err, actions.Error, e.Name, text)
}

// LogWait logs each wait before another try of an operation; what says what is waited for.
func (e *Env) LogWait(what string) func(retry.Wait) {
	return func(w retry.Wait) { e.Log.Info(what, "for", w.Delay.Round(time.Millisecond), "after", w.Err) }
}

// Hint prints what to do next, under an error or a warning.
func (e *Env) Hint(text string) {
	_, _ = fmt.Fprintf(e.Err, "%s: hint: %s\n", e.Name, actions.Plain(text))
}

// Answer prints text on stdout. The error of a full disk or a closed pipe is an
// internal failure: an answer that did not arrive is no success.
func (e *Env) Answer(text string) error {
	if text == "" {
		return nil
	}
	e.Live.Clear()
	if !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	if _, err := io.WriteString(e.Out, text); err != nil {
		return Internal(fmt.Errorf("write the answer: %w", err))
	}
	return nil
}

// Hinted adds what to do next to an error; it is printed on a line of its own.
func Hinted(err error, hint string) error { return &hintedError{err, hint} }

type hintedError struct {
	error
	hint string
}

func (e *hintedError) Unwrap() error { return e.error }
func (e *hintedError) Hint() string  { return e.hint }

// Hinter is an error that knows what to do next.
type Hinter interface {
	error
	Hint() string
}

// hints collects the different hints of err and of all that it wraps.
func hints(err error) []string {
	var found []string
	var walk func(error)
	walk = func(err error) {
		if err == nil {
			return
		}
		if h, ok := err.(Hinter); ok && h.Hint() != "" && !slices.Contains(found, h.Hint()) { //nolint:errorlint // the tree is walked by hand
			found = append(found, h.Hint())
		}
		if many, ok := err.(interface{ Unwrap() []error }); ok {
			for _, e := range many.Unwrap() {
				walk(e)
			}
			return
		}
		walk(errors.Unwrap(err))
	}
	walk(err)
	return found
}

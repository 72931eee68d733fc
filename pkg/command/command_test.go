// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package command_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/urfave/cli/v2"

	"github.com/LerianStudio/pushguard/pkg/bug"
	"github.com/LerianStudio/pushguard/pkg/command"
)

// parsed is what the toy tool was told by flags, variables and arguments.
type parsed struct {
	On     bool
	Name   string
	Number int
	Wait   time.Duration
	Mode   string
	List   []string
	Record string
	Args   []string
}

// ran is how a run of the toy tool ended.
type ran struct {
	Parsed   parsed
	Code     int
	Out, Err string
}

// toy runs a tool that has a flag of each type.
func toy(t *testing.T, do func(context.Context, *command.Env) error, args ...string) ran {
	t.Helper()
	p := parsed{Number: 7, Wait: time.Minute, Mode: "fail"}
	tool := &command.Tool{
		Name: "toy", Usage: "play", Synopsis: "toy [flags] THING...",
		Common: command.Common{Timeout: time.Second, MaxAttempts: 1},
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "on", Destination: &p.On},
			&cli.StringFlag{Name: "name", Destination: &p.Name},
			&cli.IntFlag{Name: "number", Destination: &p.Number, Value: p.Number},
			command.Duration("wait", "wait `TIME`", &p.Wait, ""),
			command.Choice("mode", "how", &p.Mode, "fail", "skip"),
			command.Strings("list", "some `THING`", &p.List),
		},
	}
	tool.Run = func(ctx context.Context, env *command.Env, args []string) error {
		p.Args, p.Record = args, tool.Common.Record
		if do != nil {
			return do(ctx, env)
		}
		return nil
	}
	var out, errOut bytes.Buffer
	code := command.Run(t.Context(), tool, args, &command.Env{In: strings.NewReader(""), Out: &out, Err: &errOut, Getenv: os.Getenv})
	return ran{p, code, out.String(), errOut.String()}
}

func defaults(change func(*parsed)) parsed {
	p := parsed{Number: 7, Wait: time.Minute, Mode: "fail", Args: []string{}}
	if change != nil {
		change(&p)
	}
	return p
}

// An empty flag or variable means "not set", for each type.
func TestRun_emptyIsNotSet(t *testing.T) {
	for _, empty := range []string{"", " ", "\n"} {
		for _, name := range []string{"ON", "NAME", "NUMBER", "WAIT", "MODE", "LIST", "RECORD", "TIMEOUT", "MAX_ATTEMPTS", "JSON", "QUIET"} {
			t.Setenv("TOY_"+name, empty)
		}
		got := toy(t, nil, "--on="+empty, "--name="+empty, "--name", empty, "--number", empty, "--number="+empty,
			"--wait="+empty, "--mode", empty, "--list="+empty, "--list", empty, "--record="+empty, "--timeout", empty)
		if diff := cmp.Diff(ran{Parsed: defaults(nil)}, got); diff != "" {
			t.Errorf("with %q (-want +got):\n%s", empty, diff)
		}
	}
}

func TestRun_variables(t *testing.T) {
	for name, value := range map[string]string{
		"ON": "true", "NAME": "x", "NUMBER": "3", "WAIT": "5", "MODE": "skip", "LIST": "a\n b,c \n\n", "RECORD": "",
	} {
		t.Setenv("TOY_"+name, value)
	}
	t.Setenv("PUSHGUARD_RECORD", "r.json")
	got := toy(t, nil, "--name=y")
	want := defaults(func(p *parsed) {
		p.On, p.Name, p.Number, p.Wait, p.Mode, p.List, p.Record = true, "y", 3, 5*time.Second, "skip", []string{"a", "b,c"}, "r.json"
	})
	if diff := cmp.Diff(ran{Parsed: want}, got); diff != "" {
		t.Errorf("Run (-want +got):\n%s", diff)
	}
}

// Flags work behind arguments, each type and each form.
func TestRun_flagsAfterArguments(t *testing.T) {
	t.Parallel()
	got := toy(t, nil, "a", "--on", "b", "--name", "x", "-", "-number=3", "--wait", "90s", "c", "--mode=skip", "--list", "1", "--list=2", "--", "--name", "-x")
	want := defaults(func(p *parsed) {
		p.On, p.Name, p.Number, p.Wait, p.Mode, p.List = true, "x", 3, 90*time.Second, "skip", []string{"1", "2"}
		p.Args = []string{"a", "b", "-", "c", "--name", "-x"}
	})
	if diff := cmp.Diff(ran{Parsed: want}, got); diff != "" {
		t.Errorf("Run (-want +got):\n%s", diff)
	}
}

// A wrong command line: two lines on stderr, nothing on stdout, nothing done.
func TestRun_usageErrors(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"--nam x":           "unknown flag --nam\ntoy: hint: did you mean --name?",
		"a -z":              "unknown flag -z",
		"--on false":        "--on takes its value with an equals sign\ntoy: hint: write --on=false",
		"--name":            "--name needs a value\ntoy: hint: write --name=VALUE, or --name= to leave it unset",
		"--name --on":       "--name needs a value\ntoy: hint: write --name=VALUE, or --name= to leave it unset",
		"--number x":        `invalid value "x" for flag --number: parse error`,
		"--wait soon":       `invalid value "soon" for flag --wait: use a time such as "90s", "5m" or plain seconds`,
		"--wait -5s":        "--wait needs a value",
		"--wait=-5s":        `invalid value "-5s" for flag --wait: use a time`,
		"--mode=x":          `invalid value "x" for flag --mode: use one of fail, skip`,
		"--on=maybe":        `invalid boolean value "maybe" for --on: parse error`,
		"--max-attempts=-1": "--max-attempts is -1: use 1 or more, or 0 for as many as --max-elapsed allows",
		"--timeout=0":       "--timeout is 0: a request needs some time",
		"--quiet --verbose": "--quiet and --verbose exclude each other",
		"a  b":              "argument 2 is empty\ntoy: hint: a variable on the command line is not set",
		"--on  a":           "--on takes its value with an equals sign",
	} {
		got := toy(t, func(context.Context, *command.Env) error { t.Errorf("%s: it ran", line); return nil }, strings.Split(line, " ")...)
		if got.Code != command.ExitUsage || got.Out != "" || !strings.HasPrefix(got.Err, "toy: error: "+want) {
			t.Errorf("toy %s: exit code %d, stdout %q, stderr:\n%s", line, got.Code, got.Out, got.Err)
		}
	}
}

func TestRun_exitCodes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err      error
		wantCode int
		wantErr  string
	}{
		"success":         {nil, 0, ""},
		"refused":         {command.Exit(1, errors.New("no")), 1, "toy: error: no\n"},
		"not classified":  {errors.New("odd"), 5, "toy: error: odd\n"},
		"internal":        {fmt.Errorf("x: %w", command.Internal(errors.New("full"))), 5, "toy: error: x: full\n"},
		"nothing":         {command.Internal(nil), 0, ""},
		"internal, too":   {errors.Join(command.Exit(4, errors.New("some")), command.Internal(errors.New("full"))), 5, "toy: error: some full\n"},
		"a file":          {command.FileError(&fs.PathError{Op: "open", Path: "f", Err: fs.ErrPermission}, "x"), 5, "toy: error: open f: permission denied\n"},
		"no file":         {command.FileError(&fs.PathError{Op: "open", Path: "f", Err: fs.ErrNotExist}, "give one"), 2, "toy: error: open f: file does not exist\ntoy: hint: give one\n"},
		"a folder":        {command.FileError(&fs.PathError{Op: "read", Path: "f", Err: syscall.EISDIR}, "give one"), 2, "toy: error: read f: is a directory\ntoy: hint: give one\n"},
		"an outage":       {command.Exit(3, errors.New("down")), 3, "toy: error: down\n"},
		"said already":    {command.Exit(4, nil), 4, ""},
		"wrapped, hinted": {fmt.Errorf("x: %w", command.Exit(3, command.Hinted(errors.New("down"), "wait"))), 3, "toy: error: x: down\ntoy: hint: wait\n"},
		"the same hint twice": {
			errors.Join(command.Hinted(errors.New("a"), "wait"), command.Hinted(errors.New("b"), "wait"), command.Hinted(errors.New("c"), "look")), 5,
			"toy: error: a b c\ntoy: hint: wait\ntoy: hint: look\n",
		},
		"hostile": {command.Exit(1, errors.New("a\r\n::error::b\x1b[31m ##[group]")), 1, "toy: error: a :\u200b:error:\u200b:b[31m ##\u200b[group]\n"},
	} {
		got := toy(t, func(context.Context, *command.Env) error { return test.err })
		if got.Code != test.wantCode || got.Err != test.wantErr || got.Out != "" {
			t.Errorf("%s: exit code %d, stdout %q, stderr %q; want %d, %q", name, got.Code, got.Out, got.Err, test.wantCode, test.wantErr)
		}
	}
}

func TestRun_logLevels(t *testing.T) {
	t.Parallel()
	log := func(_ context.Context, env *command.Env) error {
		env.Log.Debug("d")
		env.Log.With("a", "b c").Info("i", "n", 1, "empty", "")
		env.Log.Warn("w", slog.Any("err", errors.New("x\ny")))
		env.Log.Error("e")
		return nil
	}
	for flag, want := range map[string]string{
		"":          "toy: i a=\"b c\" n=1 empty=\"\"\ntoy: warning: w err=\"x y\"\ntoy: error: e\n",
		"--quiet":   "toy: error: e\n",
		"--verbose": "toy: debug: d\ntoy: i a=\"b c\" n=1 empty=\"\"\ntoy: warning: w err=\"x y\"\ntoy: error: e\n",
	} {
		if got := toy(t, log, strings.Fields(flag)...); got.Err != want {
			t.Errorf("%s: %q, want %q", flag, got.Err, want)
		}
	}
}

func TestRun_answers(t *testing.T) {
	t.Parallel()
	got := toy(t, func(_ context.Context, env *command.Env) error {
		return errors.Join(
			env.AnswerTable([][]string{{"A", "B"}, {"long\nname", ""}}),
			env.AnswerJSON(map[string]string{"text": "<a> ##[error]"}),
			env.Answer("last"),
		)
	})
	if want := "A          B\nlong name\n{\"text\":\"<a> #\\u0023[error]\"}\nlast\n"; got.Out != want || got.Err != "" {
		t.Errorf("stdout %q, want %q", got.Out, want)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

// An answer that did not arrive is no success.
func TestRun_fullDisk(t *testing.T) {
	t.Parallel()
	got := toy(t, func(_ context.Context, env *command.Env) error {
		env.Out = full{}
		return env.AnswerTable([][]string{{"A"}})
	})
	if got.Code != 5 || got.Err != "toy: error: write the answer: short write\n" {
		t.Errorf("exit code %d, %q", got.Code, got.Err)
	}
}

// A panic is one line that says what to report, wherever it was; its stack is for
// debugging.
func TestRun_bug(t *testing.T) {
	t.Parallel()
	oops := func(context.Context, *command.Env) error { panic("oops\nat dawn") }
	want := regexp.MustCompile(`^toy: error: this is a bug in toy [^\n]+: oops at dawn\n` +
		`toy: hint: report the line above at https://github\.com/LerianStudio/pushguard/issues, [^\n]+\n$`)
	if got := toy(t, oops); got.Code != 5 || got.Out != "" || !want.MatchString(got.Err) {
		t.Errorf("exit code %d, stdout %q, stderr %q; want 5, %s", got.Code, got.Out, got.Err, want)
	}
	got := toy(t, oops, "--verbose")
	if got.Code != 5 || !regexp.MustCompile(`(?m)^toy: debug: .*command_test.TestRun_bug`).MatchString(got.Err) {
		t.Errorf("--verbose: exit code %d, stderr %q; want the stack", got.Code, got.Err)
	}
}

// What a whole process does: a bug in another goroutine, and a reader that has gone.
func TestMain_process(t *testing.T) {
	t.Parallel()
	if do := os.Getenv("PUSHGUARD_TEST_MAIN"); do != "" {
		os.Args = []string{"toy"}
		command.Main(func() *command.Tool {
			return &command.Tool{Name: "toy", Common: command.Common{Timeout: time.Second, MaxAttempts: 1}, Run: func(ctx context.Context, env *command.Env, _ []string) error {
				if do == "answer" {
					return env.Answer("x")
				}
				go func() {
					defer bug.Catch()
					panic("oops")
				}()
				<-ctx.Done()
				return nil
			}}
		})
	}
	type end struct {
		Code int
		Err  string
	}
	for do, want := range map[string]end{
		"panic":  {5, "toy: error: this is a bug in VERSION: oops\ntoy: hint: report the line above at https://github.com/LerianStudio/pushguard/issues, with the command line; --verbose prints where it was\n"},
		"answer": {5, "toy: error: write the answer: write |1: broken pipe\n"},
	} {
		t.Run(do, func(t *testing.T) {
			t.Parallel()
			if runtime.GOOS == "windows" && do == "answer" {
				t.Skip("Windows has other words for it")
			}
			reader, writer, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			_ = reader.Close()
			defer writer.Close()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestMain_process$")
			cmd.Env = append(os.Environ(), "PUSHGUARD_TEST_MAIN="+do, "GITHUB_ACTIONS=", "RUNNER_DEBUG=")
			var stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = writer, &stderr
			_ = cmd.Run()
			text := strings.ReplaceAll(stderr.String(), command.Version("toy"), "VERSION")
			text = strings.ReplaceAll(text, "write /dev/stdout", "write |1")
			if diff := cmp.Diff(want, end{cmd.ProcessState.ExitCode(), text}); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestRun_helpAndVersion(t *testing.T) {
	t.Parallel()
	help := toy(t, nil, "--help")
	for _, want := range []string{"toy - play\n\nUSAGE\n   toy [flags] THING...\n", "(default: 1m) [$TOY_WAIT]", "(default: 7) [$TOY_NUMBER]", "[$TOY_RECORD, $PUSHGUARD_RECORD]"} {
		if help.Code != 0 || help.Err != "" || !strings.Contains(help.Out, want) {
			t.Errorf("--help lacks %q:\n%s%s", want, help.Out, help.Err)
		}
	}
	if v := toy(t, nil, "--version"); v.Code != 0 || !strings.HasPrefix(v.Out, "toy ") || strings.Count(v.Out, "\n") != 1 {
		t.Errorf("--version: %+v", v)
	}
}

func FuzzRun_arguments(f *testing.F) {
	f.Add("--name\x00x\x00a")
	f.Add("--on\x00--\x00-x")
	f.Add("-\x00--list=\x00--wait\x005")
	f.Fuzz(func(t *testing.T, line string) {
		args := strings.Split(line, "\x00")
		got := toy(t, nil, args...)
		switch {
		case got.Code != command.ExitOK && got.Code != command.ExitUsage:
			t.Errorf("toy %q: exit code %d, %s", args, got.Code, got.Err)
		case got.Code == command.ExitUsage && (got.Out != "" || !strings.HasPrefix(got.Err, "toy: error: ")):
			t.Errorf("toy %q: stdout %q, stderr %q", args, got.Out, got.Err)
		}
		// Whatever is behind "--" arrives, and no flag arrives as an argument before it.
		before, _, dashes := strings.Cut(line, "\x00--\x00")
		if got.Code == 0 && !dashes && !strings.Contains(before, "--\x00") && line != "--" {
			for _, arg := range got.Parsed.Args {
				if len(arg) > 1 && arg[0] == '-' {
					t.Errorf("toy %q: the flag %q was swallowed as an argument", args, arg)
				}
			}
		}
	})
}

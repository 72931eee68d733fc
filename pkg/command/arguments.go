// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/urfave/cli/v2"
)

// arrange puts flags before arguments, drops the empty ones, and refuses what
// the flag package would swallow: it stops at the first argument, takes any next
// word as a value, and makes "--json false" a flag and an argument.
func arrange(flags []cli.Flag, args []string) ([]string, error) {
	known := map[string]cli.Flag{}
	for _, f := range flags {
		for _, name := range f.Names() {
			known[name] = f
		}
		unsetEmpty(f)
	}
	var before, after []string
	for i := 0; i < len(args); i++ {
		word := args[i]
		switch {
		case word == "--":
			after = append(after, args[i+1:]...)
			i = len(args)
			continue
		case word == "":
			return nil, &UsageError{
				Err:  fmt.Errorf("argument %d is empty", i+1),
				Next: "a variable on the command line is not set",
			}
		case word == "-" || word[0] != '-':
			after = append(after, word)
			continue
		}
		name, value, hasValue := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(word, "-"), "-"), "=")
		f, ok := known[name]
		if !ok {
			return nil, unknownFlag(flags, word)
		}
		switch {
		case hasValue:
			if !blank(value) {
				before = append(before, word)
			}
		case !takesValue(f):
			if i+1 < len(args) && (args[i+1] == "true" || args[i+1] == "false" || blank(args[i+1])) {
				return nil, &UsageError{
					Err:  fmt.Errorf("%s takes its value with an equals sign", word),
					Next: fmt.Sprintf("write %s=%s", word, args[i+1]),
				}
			}
			before = append(before, word)
		default:
			i++
			if i == len(args) || len(args[i]) > 1 && args[i][0] == '-' {
				return nil, &UsageError{
					Err:  fmt.Errorf("%s needs a value", word),
					Next: fmt.Sprintf("write %s=VALUE, or %[1]s= to leave it unset", word),
				}
			}
			if !blank(args[i]) {
				before = append(before, word, args[i])
			}
		}
	}
	return append(append(before, "--"), after...), nil
}

func unknownFlag(flags []cli.Flag, word string) error {
	name, _, _ := strings.Cut(word, "=")
	err := &UsageError{Err: fmt.Errorf("unknown flag %s", name)}
	if near := cli.SuggestFlag(flags, strings.TrimLeft(name, "-"), true); near != "" {
		err.Next = "did you mean " + near + "?"
	}
	return err
}

// blank is what an undefined input becomes, also inside a YAML block.
func blank(value string) bool { return strings.TrimSpace(value) == "" }

func takesValue(f cli.Flag) bool {
	d, ok := f.(cli.DocGenerationFlag)
	return ok && d.TakesValue()
}

// unsetEmpty removes f's variables that are set to nothing. urfave/cli reads the
// process's environment and would take an empty one for a value (a false, an
// empty list), and would not look at the next variable of the flag.
func unsetEmpty(f cli.Flag) {
	d, ok := f.(cli.DocGenerationFlag)
	if !ok {
		return
	}
	for _, name := range d.GetEnvVars() {
		if value, set := os.LookupEnv(name); set && blank(value) {
			_ = os.Unsetenv(name)
		}
	}
}

// plainFlagError writes flags in the flag package's errors as users do.
func plainFlagError(err error) error {
	return errors.New(strings.NewReplacer("\" for flag -", "\" for flag --", "\" for -", "\" for --").Replace(err.Error()))
}

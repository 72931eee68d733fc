// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/LerianStudio/pushguard/pkg/actions"
	"github.com/LerianStudio/pushguard/pkg/bug"
	"github.com/LerianStudio/pushguard/pkg/cleanup"
	"github.com/LerianStudio/pushguard/pkg/command"
	"github.com/LerianStudio/pushguard/pkg/registry"
)

// confirm asks before anything is deleted on an operator's word alone: a record is
// proof, a digest on the command line is a claim.
func confirm(ctx context.Context, env *command.Env, o *options, in *input, steps []cleanup.Step) error {
	if len(in.records) > 0 || o.yes {
		return nil
	}
	var question strings.Builder
	for _, s := range steps {
		if s.Action != cleanup.Keep && s.Refusal == nil {
			fmt.Fprintf(&question, "regcleanup: %s %s, now %s: %s\n", s.Action, actions.Plain(s.Claim.Ref.String()), registry.ShortDigest(s.Now), s.Reason)
		}
	}
	if question.Len() == 0 {
		return nil
	}
	if !command.IsTerminal(env.In) {
		return &command.UsageError{
			Err:  errors.New("without a record --delete asks before it acts, and nobody can answer here: stdin is no terminal"),
			Next: "nothing was changed; add --yes",
		}
	}
	if _, err := io.WriteString(env.Err, question.String()+"regcleanup: go on? [y/N] "); err != nil {
		return command.Internal(fmt.Errorf("ask whether to go on: %w", err))
	}
	answer := make(chan string, 1)
	go func() {
		defer bug.Catch()
		line, _ := bufio.NewReader(env.In).ReadString('\n')
		answer <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case word := <-answer:
		if word == "y" || word == "yes" {
			return nil
		}
		return command.Exit(command.ExitRefused, errors.New("not confirmed, nothing was changed"))
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

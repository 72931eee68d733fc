// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/LerianStudio/pushguard/pkg/cleanup"
	"github.com/LerianStudio/pushguard/pkg/command"
	"github.com/LerianStudio/pushguard/pkg/registry"
	"github.com/LerianStudio/pushguard/pkg/retry"
	"github.com/urfave/cli/v2"
)

// options are the command's own flags.
type options struct {
	delete        bool
	onBlocked     string
	anyRun        bool
	acceptLabel   bool
	publishedOnly string // --published-digest
}

func newTool() *command.Tool {
	o := &options{onBlocked: "warn"}
	tool := &command.Tool{
		Name:  "regcleanup",
		Usage: "undo what a failed run published, and nothing else",
		Synopsis: "regcleanup [flags] --record FILE...\n" +
			"regcleanup [flags] --published-digest DIGEST IMAGE:TAG...",
		Description: "Prints what it would do; --delete does it. A tag is deleted only with proof that this run created it, " +
			"and given back its image from before only with proof that this run moved it. In doubt it is kept. " +
			"Each tag is read again right before it is touched. What cannot be undone is a warning with the way to do it by hand.",
		Common: command.Common{
			ManyRecords: true,
			Timeout:     30 * time.Second,
			MaxAttempts: 5, InitialDelay: time.Second, MaxDelay: 30 * time.Second, MaxElapsed: 10 * time.Minute,
		},
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "delete", Usage: "carry the plan out", Destination: &o.delete, DisableDefaultText: true},
			command.Choice("on-blocked", "what a refusal of a registry leads to", &o.onBlocked, "warn", "fail"),
			&cli.BoolFlag{Name: "any-run", Usage: "accept records of other runs than this one", Destination: &o.anyRun, DisableDefaultText: true},
			&cli.BoolFlag{
				Name:        "accept-revision-label",
				Usage:       "where a push failed half-way, take the image's revision label for proof",
				Destination: &o.acceptLabel, DisableDefaultText: true,
			},
			&cli.StringFlag{
				Name:        "published-digest",
				Usage:       "without a record: the tags in the arguments were absent before and are now `DIGEST`",
				Destination: &o.publishedOnly,
			},
		},
	}
	tool.Run = func(ctx context.Context, env *command.Env, args []string) error {
		return run(ctx, env, &tool.Common, o, args)
	}
	return tool
}

func run(ctx context.Context, env *command.Env, common *command.Common, o *options, args []string) error {
	in, err := readInput(env, common, o, args)
	if err != nil {
		return err
	}
	budget, cancel := retry.WithBudget(ctx, common.MaxElapsed)
	defer cancel()
	client, err := registry.New(budget, registry.Options{Timeout: common.Timeout, Log: env.Log})
	if err != nil {
		return command.Exit(command.ExitUsage, err)
	}
	policy := common.Policy()
	policy.OnWait = func(w retry.Wait) {
		env.Log.Info("waiting to try again", "for", w.Delay.Round(time.Millisecond), "after", w.Err)
	}
	steps := cleanup.Planner{Registry: client, Policy: policy, Commit: in.commit}.Plan(budget, in.claims)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if !o.delete {
		return planned(env, common, in, steps)
	}
	var saving error
	actor := cleanup.Actor{Registry: client, Policy: policy, OnReport: func(r cleanup.Report) {
		if r.Outcome == cleanup.Done {
			env.Log.Info(map[cleanup.Action]string{cleanup.Delete: "deleted", cleanup.Restore: "restored"}[r.Action], "ref", r.Claim.Ref)
		}
		saving = errors.Join(saving, in.note(r))
	}}
	reports := actor.Run(budget, steps)
	err = errors.Join(saving, answer(env, common, in, reports, true))
	if ctx.Err() != nil {
		return errors.Join(context.Cause(ctx), err)
	}
	return errors.Join(err, conclude(env, common, o, reports))
}

// planned answers with the plan alone.
func planned(env *command.Env, common *command.Common, in *input, steps []cleanup.Step) error {
	reports := make([]cleanup.Report, len(steps))
	todo := false
	var failures []error
	for i, s := range steps {
		reports[i] = cleanup.Report{Step: s, Outcome: cleanup.Planned, At: time.Now().UTC()}
		switch {
		case s.Err != nil:
			reports[i].Outcome = cleanup.Failed
			failures = append(failures, s.Err)
		case s.Action == cleanup.Keep:
			reports[i].Outcome = cleanup.Kept
		default:
			todo = true
		}
	}
	if err := answer(env, common, in, reports, false); err != nil {
		return err
	}
	if todo {
		env.Log.Info("this is the plan, nothing was changed; --delete carries it out")
	}
	if len(failures) > 0 {
		return command.Exit(command.ExitOutage, errors.Join(failures...))
	}
	return nil
}

// conclude turns the outcomes into warnings and an exit code.
func conclude(env *command.Env, common *command.Common, o *options, reports []cleanup.Report) error {
	var failures []error
	blocked, done := 0, 0
	for _, r := range reports {
		switch r.Outcome {
		case cleanup.Blocked:
			blocked++
			env.Warn(fmt.Sprintf("%s could not be undone: %s", r.Claim.Ref, r.Detail), "digest", r.Now)
			if !common.Quiet {
				env.Hint("by hand: " + r.ByHand)
			}
		case cleanup.Failed:
			failures = append(failures, fmt.Errorf("%s %s: %s", r.Action, r.Claim.Ref, r.Detail))
		case cleanup.Done, cleanup.Gone:
			done++
		case cleanup.Planned, cleanup.Kept:
		}
	}
	switch {
	case len(failures) > 0 && done > 0:
		return command.Exit(command.ExitPartial, again(failures))
	case len(failures) > 0:
		return command.Exit(command.ExitOutage, again(failures))
	case blocked > 0 && o.onBlocked == "fail":
		return command.Exit(command.ExitRefused, fmt.Errorf("%d of %d could not be undone", blocked, len(reports)))
	}
	return nil
}

func again(failures []error) error {
	return command.Hinted(errors.Join(failures...), "run the same command again: what is done is not done twice")
}

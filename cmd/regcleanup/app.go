// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/LerianStudio/pushguard/pkg/cleanup"
	"github.com/LerianStudio/pushguard/pkg/command"
	"github.com/LerianStudio/pushguard/pkg/registry"
	"github.com/LerianStudio/pushguard/pkg/registry/host"
	"github.com/LerianStudio/pushguard/pkg/retry"
)

// options are the command's own flags.
type options struct {
	delete        bool
	onBlocked     string
	anyRun        bool
	acceptLabel   bool
	publishedOnly string // --published-digest
	yes           bool
	detach        bool
	prune         bool
	unnamed       bool
	images        []string // the only repositories that records may name, empty for any
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
		Manual: manual,
		Common: command.Common{
			ManyRecords: true,
			Timeout:     30 * time.Second,
			MaxAttempts: 5, InitialDelay: time.Second, MaxDelay: 30 * time.Second, MaxElapsed: 10 * time.Minute,
		},
		Flags: []cli.Flag{
			command.Bool("delete", "carry the plan out", &o.delete),
			command.Choice("on-blocked", "what a refusal of a registry leads to", &o.onBlocked, "warn", "fail"),
			command.AnyRun(&o.anyRun),
			command.Strings("image", "refuse a record that names another repository than `NAME`: a file that other jobs can write is no proof; commas, blanks or newlines separate several", &o.images),
			command.Bool("accept-revision-label", "where a push failed half-way, take the image's revision label for proof", &o.acceptLabel),
			&cli.StringFlag{Name: "published-digest", Usage: "without a record: the tags in the arguments were absent before and are now `DIGEST`", Destination: &o.publishedOnly},
			command.Bool("yes", "without a record: do not ask before --delete acts", &o.yes),
			command.Bool("detach", "where a registry deletes only whole package versions, and one has other tags: move our tag off it, through an empty image that is public for seconds", &o.detach),
			command.Bool("unnamed", "delete also the images that this run pushed by their digests, where no tag and no index has them", &o.unnamed),
			command.Bool("prune", "where a registry keeps the untagged parts of a deleted image: delete them as well", &o.prune),
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
	if err := o.refuseOthers(in.claims); err != nil {
		return err
	}
	budget, cancel := retry.WithBudget(ctx, common.MaxElapsed)
	defer cancel()
	registries, err := host.Open(budget, registry.Options{Timeout: common.Timeout, Log: env.Log}, env.Getenv)
	if err != nil {
		return command.FileError(err, "nothing was changed; correct the setting and run it again")
	}
	cleaner := cleanup.Cleaner{Registry: registries, Policy: common.Policy(), Commit: in.commit, Detach: o.detach, Prune: o.prune}
	cleaner.Policy.OnWait = env.LogWait("waiting to try again")
	steps := cleaner.Plan(budget, in.claims)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if !o.delete {
		return planned(env, common, o, steps)
	}
	if err := confirm(ctx, env, o, in, steps); err != nil {
		return err
	}
	var saving error
	cleaner.OnReport = func(r cleanup.Report) {
		logDone(env, r)
		saving = errors.Join(saving, in.note(r))
	}
	reports := cleaner.Run(budget, steps)
	err = errors.Join(saving, answer(env, common, reports, true))
	if ctx.Err() != nil {
		return errors.Join(context.Cause(ctx), err)
	}
	return errors.Join(err, conclude(env, common, o, reports))
}

// logDone says what was changed.
func logDone(env *command.Env, r cleanup.Report) {
	if r.Outcome != cleanup.Done {
		return
	}
	ref := r.Claim.Ref
	switch {
	case r.Part == cleanup.Signatures:
		env.Log.Info("deleted signatures and attestations", "image", ref, "number", strings.TrimSuffix(r.Detail, " removed"))
	case r.Part == cleanup.Children:
		env.Log.Info("deleted untagged parts", "image", ref, "number", strings.TrimSuffix(r.Detail, " removed"))
	case r.Action == cleanup.Restore:
		env.Log.Info("restored", "ref", ref)
	case r.Undo != "":
		env.Log.Info("deleted", "ref", ref, "restore", r.Undo)
	default:
		env.Log.Info("deleted", "ref", ref)
	}
}

// planned answers with the plan alone.
func planned(env *command.Env, common *command.Common, o *options, steps []cleanup.Step) error {
	reports := make([]cleanup.Report, len(steps))
	todo, blocked := false, false
	var failures []error
	for i, s := range steps {
		reports[i] = cleanup.Report{Step: s, Outcome: cleanup.Planned, At: time.Now().UTC()}
		switch {
		case s.Err != nil:
			reports[i].Outcome = cleanup.Failed
			failures = append(failures, s.Err)
		case s.Refusal != nil:
			reports[i].Outcome, reports[i].Detail, reports[i].ByHand = cleanup.Blocked, s.Refusal.Reason, s.Refusal.ByHand
			blocked = true
		case s.Action == cleanup.Keep:
			reports[i].Outcome = cleanup.Kept
		default:
			todo = true
		}
	}
	if err := answer(env, common, reports, false); err != nil {
		return err
	}
	if len(failures) > 0 || !blocked {
		warnUnproven(env, reports) // conclude does it otherwise
	}
	if todo {
		env.Log.Info("this is the plan, nothing was changed; --delete carries it out")
	}
	if len(failures) > 0 {
		return command.Exit(command.ExitOutage, errors.Join(failures...))
	}
	if blocked {
		return conclude(env, common, o, reports)
	}
	return nil
}

// warnUnproven names the tags that may be this run's and cannot be proven to be.
func warnUnproven(env *command.Env, reports []cleanup.Report) {
	for _, r := range reports {
		if r.Action == cleanup.Keep && r.Err == nil && !r.Claim.Before.Known && r.Now != "" {
			env.Warn(fmt.Sprintf("%s is kept: %s, %s", r.Claim.Ref, r.Proof, r.Reason), "digest", r.Now)
		}
	}
}

// conclude turns the outcomes into warnings and an exit code.
func conclude(env *command.Env, common *command.Common, o *options, reports []cleanup.Report) error {
	warnUnproven(env, reports)
	var failures []error
	blocked, done := 0, 0
	for _, r := range reports {
		switch r.Outcome {
		case cleanup.Blocked:
			blocked++
			env.Warn(fmt.Sprintf("%s %s: %s", r.Claim.Ref, notUndone(r), r.Detail), "digest", r.Now)
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

func notUndone(r cleanup.Report) string {
	switch r.Part {
	case cleanup.Signatures:
		return "still has signatures or attestations"
	case cleanup.Children:
		return "still has untagged parts"
	}
	return "could not be undone"
}

func again(failures []error) error {
	return command.Hinted(errors.Join(failures...), "run the same command again: what is done is not done twice")
}

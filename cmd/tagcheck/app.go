// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/LerianStudio/pushguard/pkg/command"
	"github.com/LerianStudio/pushguard/pkg/record"
	"github.com/LerianStudio/pushguard/pkg/registry"
	"github.com/LerianStudio/pushguard/pkg/registry/host"
	"github.com/LerianStudio/pushguard/pkg/retry"
	"github.com/LerianStudio/pushguard/pkg/tagcheck"
)

// options are the command's own flags.
type options struct {
	input      tagcheck.Input
	earlier    []string // as of record.Find
	onExisting string
	onUnknown  string
	moving     []string
}

func newTool() *command.Tool {
	o := &options{onExisting: string(tagcheck.Fail), onUnknown: string(tagcheck.Fail)}
	tool := &command.Tool{
		Name:  "tagcheck",
		Usage: "look before the build whether the tags that it will publish exist",
		Synopsis: "tagcheck [flags] IMAGE:TAG...\n" +
			"tagcheck [flags] --image NAME --tag TAG\n" +
			"some-command | tagcheck [flags] -",
		Description: "Asks each registry once and changes nothing. A tag is absent only when the registry itself says so; " +
			"no answer, no login or a page of a proxy make it unknown. Registries are asked with docker's logins.",
		Manual: manual,
		Common: command.Common{
			Timeout:     30 * time.Second,
			MaxAttempts: 5, InitialDelay: time.Second, MaxDelay: 10 * time.Second, MaxElapsed: 2 * time.Minute,
		},
		Flags: []cli.Flag{
			command.Choice("on-existing", "what an existing tag leads to", &o.onExisting, string(tagcheck.Fail), string(tagcheck.Skip), string(tagcheck.Warn)),
			command.Choice("on-unknown", "what a registry that could not be asked leads to", &o.onUnknown, string(tagcheck.Fail), string(tagcheck.Warn)),
			command.Strings("moving", "tags that are expected to exist, such as latest: a `GLOB`; recorded, not judged; commas or blanks separate several", &o.moving),
			command.Strings("earlier", "where --record is not there yet, begin with the newest record of this run among `FILES`, which an earlier attempt kept: a file, a pattern, or FOLDER/ for all JSON files in it", &o.earlier),
			command.Strings("image", "check the repository `NAME` with each --tag", &o.input.Names),
			command.Strings("tag", "check `TAG` of each --image; commas, blanks or newlines separate several", &o.input.Tags),
			&cli.StringFlag{
				Name: "metadata-json", Destination: &o.input.Metadata,
				Usage: "check the tags in docker/metadata-action's `JSON`; with no image at all, DOCKER_METADATA_OUTPUT_JSON is read",
			},
		},
	}
	tool.Run = func(ctx context.Context, env *command.Env, args []string) error {
		o.input.Images, o.input.Stdin = args, env.In
		// docker/metadata-action sets it for all later steps of a job: it must not add
		// to what a command line names.
		if len(args)+len(o.input.Names)+len(o.input.Tags)+len(o.input.Metadata) == 0 {
			o.input.Metadata = env.Getenv("DOCKER_METADATA_OUTPUT_JSON")
		}
		return run(ctx, env, &tool.Common, o)
	}
	return tool
}

func run(ctx context.Context, env *command.Env, common *command.Common, o *options) error {
	refs, err := references(o)
	if err != nil {
		return err
	}
	earlier, err := record.Find(o.earlier)
	if err != nil {
		return command.Usagef("--earlier: %v", err)
	}
	rec, err := env.OpenRecord(common.Record, record.Options{Earlier: earlier}, "give this run a record of its own with --record")
	if err != nil {
		return err
	}
	budget, cancel := retry.WithBudget(ctx, common.MaxElapsed)
	defer cancel()
	registries, err := host.Open(budget, registry.Options{Timeout: common.Timeout, Log: env.Log}, env.Getenv)
	if err != nil {
		return command.FileError(err, "nothing was asked of a registry; correct the setting and run it again")
	}
	policy := common.Policy()
	policy.OnWait = env.LogWait("waiting to ask again")
	checker := tagcheck.Checker{Registry: registries, Policy: policy}
	tags := checker.Check(budget, refs, o.moving)
	if ctx.Err() != nil {
		return context.Cause(ctx) // nothing is certain of tags that were not asked for
	}
	checker.CheckPushed(budget, tags, rec.PushedTo)
	remember(rec, tags)
	result := tagcheck.Judge(tags, tagcheck.Mode(o.onExisting), tagcheck.Mode(o.onUnknown))
	note(rec, result)
	if err := rec.Save(); err != nil {
		return command.Internal(err)
	}
	if err := report(env, common, result); err != nil {
		return err
	}
	for _, pulls := range registries.Pulls() {
		env.Log.Debug("pulls left", "registry", pulls.Registry, "pulls", pulls)
		if pulls.Few() {
			advice := "log in for a higher limit"
			if registries.HasLogin(pulls.Registry) {
				advice = "pull less, or use an account with a higher limit"
			}
			env.Warn("few pulls are left: a build that pulls its base image may be refused; "+advice, "registry", pulls.Registry, "pulls", pulls)
		}
	}
	return conclude(env, o, result)
}

func references(o *options) ([]registry.Reference, error) {
	o.moving = registry.Split(o.moving)
	for _, pattern := range o.moving {
		if !tagcheck.ValidPattern(pattern) {
			return nil, command.Usagef("--moving %q is not a pattern such as latest or v*", pattern)
		}
	}
	refs, err := o.input.References()
	if err != nil {
		return nil, command.FileError(err, "nothing was asked of a registry; correct the references and run it again")
	}
	if len(refs) == 0 {
		return nil, &command.UsageError{
			Err:  errors.New("no image to check: no argument, no --image with --tag, no --metadata-json"),
			Next: "write tagcheck registry/repository:tag; is a variable on the command line empty?",
		}
	}
	if !slices.ContainsFunc(refs, func(r registry.Reference) bool { return !tagcheck.Matches(o.moving, r.Tag) }) {
		return nil, &command.UsageError{
			Err:  fmt.Errorf("--moving %s takes in every tag: none of them would be protected", strings.Join(o.moving, " ")),
			Next: "declare only the tags that move between releases, and check the version's tag as well",
		}
	}
	return refs, nil
}

// note writes what was seen to the record.
func note(rec *record.Record, r tagcheck.Result) {
	rec.ShouldBuild = nil
	if r.Outcome == tagcheck.GoOn {
		rec.ShouldBuild = &r.ShouldBuild
	}
	due := map[string]*record.Due{}
	for _, ref := range r.Due {
		due[ref.WithTag(ref.Tag).String()] = &record.Due{Digest: ref.Digest}
	}
	for _, t := range r.Tags {
		rec.Seen(record.Look{
			Ref: t.Ref.String(), Moving: t.Moving,
			State:     record.State{State: string(t.State), Digest: t.Digest, Reason: t.Reason, CheckedAt: t.CheckedAt},
			Immutable: record.Immutable{State: t.Immutable.String(), Rule: t.Immutable.Rule},
			Due:       due[t.Ref.String()],
		})
	}
}

// remember tells the tags what the record knows of them: an earlier look of this run,
// perhaps of its first attempt.
func remember(rec *record.Record, tags []tagcheck.Tag) {
	for i := range tags {
		before := rec.Before(tags[i].Ref.String())
		tags[i].Before = tagcheck.Before{State: tagcheck.State(before.State), Digest: before.Digest}
		tags[i].Own = rec.IsOwn(tags[i].Ref.String(), tags[i].Digest)
	}
}

// conclude turns the outcome into an exit code, with the reason and what to do.
func conclude(env *command.Env, o *options, r tagcheck.Result) error {
	switch r.Outcome {
	case tagcheck.Exists:
		for _, t := range r.Tags {
			if t.State == tagcheck.Present && t.Err != nil {
				env.Warn(t.Ref.String()+" exists, and the registry does not let it be read", "reason", t.Err)
			}
		}
		return command.Exit(command.ExitRefused, command.Hinted(
			fmt.Errorf("%s already exists: building it again would publish another image under a name that is taken", joined(r.Existing)),
			"publish under a new tag; or run with --on-existing=skip to go on with what is published, --on-existing=warn to overwrite it"))
	case tagcheck.NotAsked:
		var failures []error
		for _, t := range r.Tags {
			if t.Err != nil && !t.Moving {
				failures = append(failures, t.Err)
			}
		}
		return command.Exit(command.ExitOutage, errors.Join(failures...))
	case tagcheck.Stuck:
		return command.Exit(command.ExitPartial, stuck(r))
	case tagcheck.GoOn:
	}
	for _, t := range r.Tags {
		if t.Warning != "" {
			env.Warn("the push of " + t.Ref.String() + " will fail: " + t.Warning)
		}
		if t.State == tagcheck.Unknown {
			env.Warn("going on without knowing whether "+t.Ref.String()+" exists", "reason", t.Err)
		}
	}
	if len(r.Existing) > 0 && o.onExisting == string(tagcheck.Warn) && !r.Resumed {
		warnOverwrite(env, r)
	}
	if r.Resumed {
		env.Log.Info("an earlier attempt of this run has published the image: go on from there, do not build it again", "digest", r.Digest)
	}
	if len(r.Missing) > 0 && (o.onExisting == string(tagcheck.Skip) || r.Resumed) {
		for i, missing := range r.Missing {
			env.Warn("the image is published and lacks a tag: do not build it again, signretry --then-tag-checked copies and tags it", "missing", missing, "copy_from", r.CopyFrom[i])
		}
	}
	return nil
}

// warnOverwrite says what a push to tags that exist will meet.
func warnOverwrite(env *command.Env, r tagcheck.Result) {
	var free []registry.Reference
	for _, t := range r.Tags {
		switch {
		case t.Moving || t.State != tagcheck.Present:
		case t.Immutable.Yes:
			env.Warn("the push of "+t.Ref.String()+" will be refused: it exists and is immutable", "rule", cmp.Or(t.Immutable.Rule, "all tags"))
		default:
			free = append(free, t.Ref)
		}
	}
	if len(free) > 0 {
		env.Warn("the tag exists and will be overwritten, or the push refused if it is immutable", "tag", joined(free))
	}
}

func stuck(r tagcheck.Result) error {
	if r.Verdict == tagcheck.VerdictConflict {
		var images []string
		for _, t := range r.Tags {
			if t.State == tagcheck.Present && !t.Moving {
				images = append(images, t.Ref.String()+" is "+t.Digest)
			}
		}
		return command.Hinted(errors.New("one tag names different images: "+strings.Join(images, "; ")),
			"decide by hand which one is right; no mode goes on from here")
	}
	return command.Hinted(
		fmt.Errorf("%s is missing while %s exists, and nothing proves which image belongs there", joined(r.Missing), joined(r.Existing)),
		"declare tags that move between releases with --moving; or complete the push by hand and check again")
}

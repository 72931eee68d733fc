// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/LerianStudio/pushguard/pkg/cleanup"
	"github.com/LerianStudio/pushguard/pkg/command"
	"github.com/LerianStudio/pushguard/pkg/record"
	"github.com/LerianStudio/pushguard/pkg/registry"
)

// input is what a user gave: the claims, and the records they come from.
type input struct {
	claims  []cleanup.Claim
	commit  string // of the run, when the revision label may stand for proof
	records []*record.Record
}

func readInput(env *command.Env, common *command.Common, o *options, args []string) (*input, error) {
	patterns := common.Records
	images, err := splitArgs(common, args)
	if err != nil {
		return nil, err
	}
	if o.publishedOnly != "" || len(images) > 0 {
		return inputOfImages(common, o, images)
	}
	if len(common.Records) == 0 {
		if len(patterns) > 0 { // a file that is named is a record, there or not
			env.Warn("no record matches "+strings.Join(patterns, ", ")+": no job of this run has come as far as to publish", "changed", "nothing")
			return &input{}, nil
		}
		return nil, &command.UsageError{
			Err:  errors.New("no record: nothing says what this run published"),
			Next: "give tagcheck's record with --record FILE; is a variable on the command line empty?",
		}
	}
	return inputOfRecords(env, common, o)
}

// splitArgs moves arguments that are files to the records: a shell expands
// "--record jobs/*.json" to one value and more arguments.
func splitArgs(common *command.Common, args []string) (images []string, err error) {
	if common.Records, err = record.Find(common.Records); err != nil {
		return nil, &command.UsageError{Err: err}
	}
	for _, arg := range args {
		if info, err := os.Stat(arg); err == nil && info.Mode().IsRegular() {
			common.Records = append(common.Records, arg)
		} else {
			images = append(images, arg)
		}
	}
	return images, nil
}

// inputOfImages is an operator's word instead of a record.
func inputOfImages(common *command.Common, o *options, images []string) (*input, error) {
	switch {
	case len(common.Records) > 0:
		return nil, command.Usagef("images (%s) and records exclude each other: a record says which tags the run published", images)
	case o.publishedOnly == "":
		return nil, &command.UsageError{
			Err:  fmt.Errorf("nothing proves that this run published %s", images[0]),
			Next: "give the run's record with --record FILE, or the digest that was published with --published-digest",
		}
	case !registry.ValidDigest(o.publishedOnly):
		return nil, command.Usagef("--published-digest %q is not a digest: sha256: and 64 lower-case hex digits", o.publishedOnly)
	case len(images) == 0:
		return nil, command.Usagef("--published-digest needs the tags that it was published under: IMAGE:TAG")
	}
	in := &input{}
	for _, image := range images {
		ref, err := registry.ParseReference(image)
		if err == nil && (ref.Tag == "" || ref.Digest != "") {
			err = fmt.Errorf("parse reference %q: write it as registry/repository:tag", image)
		}
		if err != nil {
			return nil, &command.UsageError{Err: err}
		}
		in.claims = append(in.claims, cleanup.Claim{Ref: ref, Before: cleanup.Before{Known: true}, Published: o.publishedOnly})
	}
	return in, nil
}

func inputOfRecords(env *command.Env, common *command.Common, o *options) (*input, error) {
	in := &input{}
	for _, path := range common.Records {
		r, err := env.OpenRecord(path, record.Options{AnyRun: o.anyRun, MustExist: true}, "nothing was changed; --any-run cleans up after another run")
		if err != nil {
			return nil, err
		}
		in.records = append(in.records, r)
		if o.acceptLabel {
			in.commit = r.Run.SHA
		}
	}
	var err error
	in.claims, err = cleanup.Claims(in.records)
	if err == nil && o.unnamed {
		var images []cleanup.Claim
		images, err = cleanup.Unnamed(in.records)
		in.claims = append(in.claims, images...)
	}
	if err != nil {
		return nil, command.Exit(command.ExitUsage, err)
	}
	return in, nil
}

// refuseOthers refuses claims to other repositories than those of --image.
func (o *options) refuseOthers(claims []cleanup.Claim) error {
	var names []string
	for _, name := range registry.Split(o.images) {
		ref, err := registry.ParseReference(name)
		if err == nil && (ref.Tag != "" || ref.Digest != "") {
			err = fmt.Errorf("parse reference %q: write it without a tag", name)
		}
		if err != nil {
			return &command.UsageError{Err: fmt.Errorf("--image: %w", err)}
		}
		names = append(names, ref.Name())
	}
	for _, c := range claims {
		if len(names) > 0 && !slices.Contains(names, c.Ref.Name()) {
			return &command.UsageError{
				Err:  fmt.Errorf("a record names %s, which is in no repository of --image", c.Ref),
				Next: "nothing was changed; find out who wrote this record: it is not one of this release",
			}
		}
	}
	return nil
}

// note writes a report to the records that name its tag.
func (in *input) note(r cleanup.Report) error {
	reason := r.Reason
	if r.Detail != "" {
		reason += ": " + r.Detail
	}
	var failures []error
	for _, rec := range in.records {
		if rec.CleanedUp(r.Claim.Ref.String(), record.Cleanup{Action: string(r.Action), Outcome: string(r.Outcome), Reason: reason, At: r.At}) {
			failures = append(failures, rec.Save())
		}
	}
	return command.Internal(errors.Join(failures...))
}

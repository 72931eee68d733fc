// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/LerianStudio/pushguard/pkg/command"
	"github.com/LerianStudio/pushguard/pkg/naming"
	"github.com/LerianStudio/pushguard/pkg/record"
	"github.com/LerianStudio/pushguard/pkg/registry"
	"github.com/LerianStudio/pushguard/pkg/registry/host"
	"github.com/LerianStudio/pushguard/pkg/retry"
	"github.com/LerianStudio/pushguard/pkg/signretry"
)

// names returns the tags that the images are to have, and the images with those that
// repositories lack which are to have one: they are copied there.
func (a *app) names(images []registry.Reference, b *book) ([]naming.Name, []registry.Reference, error) {
	due, err := a.due(images, b)
	if err != nil {
		return nil, nil, err
	}
	var names []naming.Name
	all := slices.Clone(images)
	for _, tag := range due {
		digest, err := digestFor(tag, images)
		if err != nil {
			return nil, nil, err
		}
		name := naming.Name{Tag: tag.WithTag(tag.Tag), Digest: digest}
		if t := b.Tag(name.Tag.String()); t != nil {
			before := b.Before(name.Tag.String())
			name.Before, name.Unknown, name.Moving = before.Digest, before.State == record.Unknown, t.Moving
		}
		same := slices.IndexFunc(names, func(n naming.Name) bool { return n.Tag == name.Tag })
		switch {
		case same < 0:
			names = append(names, name)
		case names[same].Digest != digest:
			return nil, nil, twoImages(name.Tag)
		}
		if !slices.ContainsFunc(all, func(r registry.Reference) bool { return r.Name() == tag.Name() && r.Digest == digest }) {
			all = append(all, tag.WithDigest(digest))
		}
	}
	return names, all, nil
}

// due are the tags that are asked for, with a digest where the record says which image
// belongs there. A bare tag counts for each repository of the images, and for those in
// which it was checked.
func (a *app) due(images []registry.Reference, b *book) (due []registry.Reference, err error) {
	for _, word := range a.thenTags {
		full, err := registry.ParseReference(word)
		switch {
		case registry.ValidTag(word):
			for _, image := range images {
				due = append(due, image.WithTag(word))
			}
			for _, t := range b.Tags {
				if ref, err := registry.ParseReference(t.Ref); err == nil && ref.Tag == word && !slices.Contains(due, ref) {
					due = append(due, ref)
				}
			}
		case err != nil || full.Tag == "" || full.Digest != "":
			return nil, &command.UsageError{
				Err:  fmt.Errorf("--then-tag %q is neither a tag nor registry/repository:tag", word),
				Next: "nothing was signed; a tag has letters, digits, \"_\", \".\" and \"-\"",
			}
		default:
			due = append(due, full)
		}
	}
	if !a.thenTagChecked {
		return due, nil
	}
	if b.Path() == "" {
		return nil, command.Usagef("--then-tag-checked needs the record that tagcheck has written: give it with --record")
	}
	for _, image := range b.ToTag() {
		ref, err := registry.ParseReference(image.Name + ":" + image.Tag)
		if err != nil {
			return nil, command.Exit(command.ExitUsage, fmt.Errorf("read record %s: %w", b.Path(), err))
		}
		ref.Digest = image.Digest
		due = append(due, ref)
	}
	return due, nil
}

// digestFor is the digest of the image that belongs under tag: the one of its repository,
// else of those whose last part is the same, as one build pushes one image to several
// registries.
func digestFor(tag registry.Reference, images []registry.Reference) (string, error) {
	if tag.Digest != "" {
		return tag.Digest, nil
	}
	for _, belongs := range []func(image registry.Reference) bool{
		func(image registry.Reference) bool { return image.Name() == tag.Name() },
		func(image registry.Reference) bool { return path.Base(image.Repository) == path.Base(tag.Repository) },
	} {
		digest := ""
		for _, image := range images {
			if !belongs(image) {
				continue
			}
			if digest != "" && digest != image.Digest {
				return "", twoImages(tag)
			}
			digest = image.Digest
		}
		if digest != "" {
			return digest, nil
		}
	}
	return "", &command.UsageError{
		Err:  fmt.Errorf("no image of this run belongs under %s", tag),
		Next: "nothing was signed; the images are " + joinRefs(images),
	}
}

func twoImages(tag registry.Reference) error {
	return &command.UsageError{
		Err:  fmt.Errorf("%s would be the tag of two images", tag),
		Next: "nothing was signed; name the tags of one image at a time",
	}
}

func joinRefs(refs []registry.Reference) string {
	texts := make([]string, len(refs))
	for i, ref := range refs {
		texts[i] = ref.String()
	}
	return strings.Join(texts, ", ")
}

// unsigned is the outcome of a name that was not put, because a signature of its image
// does not hold.
const unsigned naming.Outcome = "not signed"

// name puts the names whose images are signed in all their repositories, and with
// --on-failure=warn the others, too. Each is noted in the record before it is put: a run
// that is killed in between can be undone.
func (a *app) name(ctx context.Context, n naming.Namer, names []naming.Name, report signretry.Report, b *book) []naming.Result {
	var left []naming.Result
	due := slices.DeleteFunc(slices.Clone(names), func(name naming.Name) bool {
		wait := a.onFailure != onFailureWarn && a.format != formatNone && !isSigned(report, name.Digest)
		if wait {
			left = append(left, naming.Result{Name: name, Outcome: unsigned})
		}
		return wait
	})
	if len(due) == 0 || ctx.Err() != nil {
		return left
	}
	ctx, cancel := retry.WithBudget(ctx, a.tool.Common.MaxElapsed) // signing may have used up its own
	defer cancel()
	n.OnPut = b.naming
	return append(n.Put(ctx, due), left...)
}

// naming notes a name that is about to be put. Without that nothing could prove whose
// the tag is, so a failure forbids it.
func (b *book) naming(name naming.Name) error {
	image := imageOf(name.Tag)
	image.Digest = name.Digest
	err := b.Published(image, "tag", time.Now().UTC().Truncate(time.Second))
	if _, other := errors.AsType[*record.OtherRunError](err); other { // nothing is proved by another run's record
		err = nil
	}
	b.err = cmp.Or(b.err, err, b.Save())
	return b.err
}

// namer asks registries with the command's policy.
func (a *app) namer(env *command.Env, client *host.Registries) naming.Namer {
	n := naming.Namer{Registry: client, Policy: a.tool.Common.Policy()}
	n.Copy = func(ctx context.Context, from, to registry.Reference) error {
		return registry.Copy(ctx, client.Client, from, to)
	}
	n.Policy.OnWait = env.LogWait("waiting to try again")
	return n
}

// complete copies the images to the repositories that a push has not reached.
func (a *app) complete(ctx context.Context, env *command.Env, n naming.Namer, images []registry.Reference, b *book) error {
	ctx, cancel := retry.WithBudget(ctx, a.tool.Common.MaxElapsed)
	defer cancel()
	copied, err := n.Complete(ctx, images)
	now := time.Now().UTC().Truncate(time.Second)
	for _, image := range copied {
		env.Log.Info("copied by its digest: this repository did not have it", "image", image.String())
		_ = b.Published(imageOf(image), "copy", now) // another run's record proves nothing of this one
	}
	if saving := b.Save(); saving != nil {
		return command.Internal(saving)
	}
	if err != nil {
		code := command.ExitRefused
		if retry.Passing(err) {
			code = command.ExitOutage
		}
		return command.Exit(code, command.Hinted(err, "nothing was signed and no tag was put; run the same command again"))
	}
	return nil
}

// concludeNames turns names that were not put into an exit code.
func concludeNames(results []naming.Result) error {
	var failures []error
	put, later := 0, false
	for _, r := range results {
		switch {
		case r.Err != nil:
			failures = append(failures, r.Err)
			later = later || r.Outcome == naming.Failed && retry.Passing(r.Err)
		case r.Outcome != unsigned:
			put++
		}
	}
	if len(failures) == 0 {
		return nil
	}
	code := command.ExitRefused
	switch {
	case put > 0:
		code = command.ExitPartial
	case later:
		code = command.ExitOutage
	}
	return command.Exit(code, command.Hinted(errors.Join(failures...), "the images are in the registry by their digests; the same command puts the tags that are missing"))
}

// answerTag is a tag of --then-tag in the answer.
type answerTag struct {
	Ref     string         `json:"ref"`
	Digest  string         `json:"digest"`
	Outcome naming.Outcome `json:"outcome"` // named, already, taken, failed, not signed
	Signed  bool           `json:"signed"`  // the image is signed in all its repositories
	Error   *answerError   `json:"error"`
}

func answerTags(names []naming.Result, report signretry.Report) []answerTag {
	tags := []answerTag{}
	for _, n := range names {
		t := answerTag{Ref: n.Tag.String(), Digest: n.Digest, Outcome: n.Outcome, Signed: isSigned(report, n.Digest)}
		if n.Err != nil {
			t.Error = &answerError{Message: n.Err.Error(), Hint: hint(n.Err), Passing: retry.Passing(n.Err)}
		}
		tags = append(tags, t)
	}
	return tags
}

func isSigned(report signretry.Report, digest string) bool {
	return !slices.ContainsFunc(report.Results, func(r signretry.Result) bool {
		return r.Ref.Digest == digest && !r.Status.OK()
	})
}

// tagRows are the tags in the table.
func tagRows(names []naming.Result, report signretry.Report) [][]string {
	var rows [][]string
	for _, n := range names {
		status := map[naming.Outcome]string{
			naming.Named: "named", naming.Already: "already named", naming.Taken: "not named, taken", naming.Failed: "not named", unsigned: "not named, not signed",
		}[n.Outcome]
		if n.Err == nil && n.Outcome != unsigned && !isSigned(report, n.Digest) {
			status += ", NOT SIGNED"
		}
		tag := n.Tag
		tag.Digest = n.Digest
		rows = append(rows, []string{tag.String(), status, "-"})
	}
	return rows
}

// tagOutputs lists the references that name their image, and those that do not.
func tagOutputs(names []naming.Result) (named, unnamed []string) {
	for _, n := range names {
		if n.Outcome == naming.Named || n.Outcome == naming.Already {
			named = append(named, n.Tag.String())
		} else {
			unnamed = append(unnamed, n.Tag.String())
		}
	}
	return named, unnamed
}

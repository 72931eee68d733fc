// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/LerianStudio/pushguard/pkg/actions"
	"github.com/LerianStudio/pushguard/pkg/command"
	"github.com/LerianStudio/pushguard/pkg/registry"
	"github.com/LerianStudio/pushguard/pkg/tagcheck"
)

// answer is the object that --json prints; docs/tagcheck.schema.json describes it.
type answer struct {
	Schema      string   `json:"schema"`
	Verdict     string   `json:"verdict"`
	ShouldBuild bool     `json:"should_build"`
	Existing    []string `json:"existing"`
	Missing     []string `json:"missing"`
	CopyFrom    []string `json:"copy_from"`
	Digest      string   `json:"digest"`
	// PushByDigest is the --output of docker buildx build that pushes into the first
	// repository, under no tag.
	PushByDigest string      `json:"push_by_digest"`
	Record       string      `json:"record"`
	Tags         []tagAnswer `json:"tags"`
}

type tagAnswer struct {
	Ref    string `json:"ref"`
	Moving bool   `json:"moving"`
	State  string `json:"state"`
	Digest string `json:"digest,omitempty"`
	Reason string `json:"reason,omitempty"`
	Detail string `json:"detail,omitempty"`
	// Immutable is yes, no, or unknown where the registry cannot say.
	Immutable string `json:"immutable"`
	Rule      string `json:"immutable_rule,omitempty"`
}

// report answers on stdout and in the step's outputs and summary.
func report(env *command.Env, common *command.Common, r tagcheck.Result) error {
	a := answer{
		Schema: "pushguard.tagcheck/v1", Verdict: string(r.Verdict), ShouldBuild: r.ShouldBuild,
		Existing: names(r.Existing), Missing: names(r.Missing), CopyFrom: names(r.CopyFrom),
		Digest: r.Digest, PushByDigest: pushByDigest(r.Tags[0].Ref), Record: common.Record, Tags: []tagAnswer{},
	}
	table := [][]string{{"REFERENCE", "STATE", "DIGEST", "IMMUTABLE", "NOTE"}}
	var refs []string
	for _, t := range r.Tags {
		refs = append(refs, t.Ref.String())
		one := tagAnswer{Ref: t.Ref.String(), Moving: t.Moving, State: string(t.State), Digest: t.Digest, Reason: t.Reason, Immutable: t.Immutable.String(), Rule: t.Immutable.Rule}
		if e, ok := errors.AsType[*registry.Error](t.Err); ok {
			one.Detail = e.Reason()
		} else if t.Err != nil {
			one.Detail = t.Err.Error()
		}
		a.Tags = append(a.Tags, one)
		table = append(table, []string{one.Ref, one.State, cmp.Or(registry.ShortDigest(t.Digest), "-"), one.Immutable, tagNote(one)})
	}
	outputs := []actions.Output{
		{Name: "verdict", Value: a.Verdict},
		{Name: "should_build", Value: strconv.FormatBool(a.ShouldBuild)},
		{Name: "existing", Value: strings.Join(a.Existing, "\n")},
		{Name: "missing", Value: strings.Join(a.Missing, "\n")},
		{Name: "copy_from", Value: strings.Join(a.CopyFrom, "\n")},
		{Name: "digest", Value: a.Digest},
		{Name: "refs", Value: strings.Join(refs, "\n")},
		{Name: "push_by_digest", Value: a.PushByDigest},
		{Name: "record", Value: a.Record},
	}
	err := command.Internal(errors.Join(
		env.Workflow.SetOutputs(outputs),
		env.Workflow.Summary(fmt.Sprintf("### Tag check: %s\n\n%s\n", a.Verdict, command.MarkdownTable(table))),
	))
	switch {
	case common.JSON:
		err = errors.Join(err, env.AnswerJSON(a))
	case !common.Quiet:
		err = errors.Join(err, env.AnswerTable(table), env.Answer(fmt.Sprintf("verdict: %s, should build: %s", a.Verdict, yes(a.ShouldBuild))))
	}
	return err
}

// pushByDigest is the --output of docker buildx build that pushes into the repository of
// ref under no tag. One repository is enough, signretry copies the image to the others: a
// build that pushes to several can fail half-way, and then buildx does not say which
// image it has pushed.
func pushByDigest(ref registry.Reference) string {
	return "type=image,name=" + ref.Name() + ",push-by-digest=true,name-canonical=true,push=true"
}

func tagNote(t tagAnswer) string {
	switch {
	case t.Reason != "":
		return t.Reason + ": " + t.Detail
	case t.Moving:
		return "moving"
	}
	return ""
}

func names(refs []registry.Reference) []string {
	list := []string{}
	for _, r := range refs {
		if r == (registry.Reference{}) {
			list = append(list, "")
			continue
		}
		list = append(list, r.String())
	}
	return list
}

func joined(refs []registry.Reference) string { return strings.Join(names(refs), ", ") }

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

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
	"github.com/LerianStudio/pushguard/pkg/cleanup"
	"github.com/LerianStudio/pushguard/pkg/command"
	"github.com/LerianStudio/pushguard/pkg/registry"
)

// result is the object that --json prints; docs/regcleanup.schema.json describes it.
type result struct {
	Schema  string      `json:"schema"`
	Deleted bool        `json:"carried_out"`
	Records []string    `json:"records"`
	Tags    []tagResult `json:"tags"`
}

type tagResult struct {
	Ref     string `json:"ref"`
	Part    string `json:"part,omitempty"`
	Now     string `json:"now"`
	Action  string `json:"action"`
	Outcome string `json:"outcome"`
	Proof   string `json:"proof"`
	Reason  string `json:"reason"`
	Detail  string `json:"detail,omitempty"`
	ByHand  string `json:"by_hand,omitempty"`
	Undo    string `json:"undo,omitempty"`
}

// answer reports on stdout and in the step's outputs and summary.
func answer(env *command.Env, common *command.Common, reports []cleanup.Report, carriedOut bool) error {
	r := result{Schema: "pushguard.regcleanup/v1", Deleted: carriedOut, Records: append([]string{}, common.Records...), Tags: []tagResult{}}
	table := [][]string{{"REFERENCE", "NOW", "PROOF", "ACTION", "OUTCOME", "REASON"}}
	lists := map[cleanup.Outcome][]string{}
	for _, rep := range reports {
		one := tagResult{
			Ref: rep.Claim.Ref.String(), Now: rep.Now, Action: string(rep.Action), Outcome: string(rep.Outcome),
			Part: string(rep.Part), Proof: rep.Proof, Reason: rep.Reason, Detail: rep.Detail, ByHand: rep.ByHand, Undo: rep.Undo,
		}
		r.Tags = append(r.Tags, one)
		if rep.Part == "" {
			lists[rep.Outcome] = append(lists[rep.Outcome], one.Ref)
		}
		reason := one.Reason
		if one.Detail != "" && one.Detail != one.Reason {
			reason += "; " + one.Detail
		}
		now := cmp.Or(registry.ShortDigest(one.Now), "-")
		table = append(table, []string{registry.ShortDigest(one.Ref), now, one.Proof, one.Action, one.Outcome, reason})
	}
	title := "Clean-up plan"
	if carriedOut {
		title = "Clean-up"
	}
	err := command.Internal(errors.Join(
		env.Workflow.SetOutputs([]actions.Output{
			{Name: "carried_out", Value: strconv.FormatBool(carriedOut)},
			{Name: "done", Value: strings.Join(append(lists[cleanup.Done], lists[cleanup.Gone]...), "\n")},
			{Name: "blocked", Value: strings.Join(lists[cleanup.Blocked], "\n")},
			{Name: "failed", Value: strings.Join(lists[cleanup.Failed], "\n")},
			{Name: "kept", Value: strings.Join(lists[cleanup.Kept], "\n")},
		}),
		env.Workflow.Summary(fmt.Sprintf("### %s\n\n%s\n", title, command.MarkdownTable(table)+remedies(r.Tags))),
	))
	switch {
	case common.JSON:
		err = errors.Join(err, env.AnswerJSON(r))
	case !common.Quiet:
		err = errors.Join(err, env.AnswerTable(table))
	}
	return err
}

// remedies lists in Markdown what is left to do by hand, and how to go back.
func remedies(tags []tagResult) string {
	var b strings.Builder
	for _, t := range tags {
		if t.ByHand != "" {
			fmt.Fprintf(&b, "\nBy hand, for %s: %s\n", actions.Cell(t.Ref), actions.Cell(t.ByHand))
		}
		if t.Undo != "" {
			fmt.Fprintf(&b, "\nWithin 30 days %s is brought back by: %s\n", actions.Cell(t.Ref), actions.Cell(t.Undo))
		}
	}
	return b.String()
}

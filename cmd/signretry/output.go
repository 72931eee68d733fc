// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"github.com/LerianStudio/pushguard/pkg/actions"
	"github.com/LerianStudio/pushguard/pkg/signing"
	"github.com/LerianStudio/pushguard/pkg/signretry"
)

// answerSchema names the layout of --json. Fields may be added to it.
const answerSchema = "pushguard.signretry/v1"

type answer struct {
	Schema   string            `json:"schema"`
	Signed   bool              `json:"signed"` // all of them
	Identity *signing.Identity `json:"identity"`
	Images   []answerImage     `json:"images"`
	Later    string            `json:"later,omitempty"` // the command that signs what is not signed
	Attempts []answerAttempt   `json:"attempts"`
}

type answerImage struct {
	Ref        string            `json:"ref"`
	Digest     string            `json:"digest"`
	Status     string            `json:"status"` // signed, already or failed
	Signatures []answerSignature `json:"signatures"`
	Log        *answerLog        `json:"log"` // of the first signature that is in one
	Error      *answerError      `json:"error"`
}

type answerSignature struct {
	Format string     `json:"format"`
	Log    *answerLog `json:"log"`
}

type answerLog struct {
	URL   string `json:"url"`
	Index int64  `json:"index"`
}

type answerError struct {
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"` // what to do next
	Passing bool   `json:"passing"`        // running it again can succeed
}

type answerAttempt struct {
	Stage  string    `json:"stage"`
	For    string    `json:"for"`
	Number int       `json:"number"`
	Start  time.Time `json:"start"`
	TookMS int64     `json:"took_ms"`
	WaitMS int64     `json:"wait_ms"`
	Error  string    `json:"error,omitempty"`
}

func newAnswer(r signretry.Report, later string) answer {
	a := answer{Schema: answerSchema, Signed: allSigned(r), Later: later, Images: []answerImage{}, Attempts: []answerAttempt{}}
	if r.Identity.Subject != "" {
		a.Identity = &r.Identity
	}
	for _, res := range r.Results {
		ref := res.Ref
		ref.Digest = ""
		img := answerImage{Ref: ref.String(), Digest: res.Ref.Digest, Status: string(res.Status), Log: logOf(res.Log()), Signatures: []answerSignature{}}
		for _, s := range res.Signatures {
			img.Signatures = append(img.Signatures, answerSignature{Format: string(s.Format), Log: logOf(s.Log)})
		}
		if res.Err != nil {
			img.Error = &answerError{Message: res.Err.Error(), Hint: hint(res.Err), Passing: res.Passing()}
		}
		a.Images = append(a.Images, img)
	}
	for _, t := range r.Attempts {
		attempt := answerAttempt{
			Stage: t.Stage, For: t.Subject, Number: t.Number, Start: t.Start.UTC(),
			TookMS: t.Took.Milliseconds(), WaitMS: t.Wait.Milliseconds(),
		}
		if t.Err != nil {
			attempt.Error = t.Err.Error()
		}
		a.Attempts = append(a.Attempts, attempt)
	}
	return a
}

func logOf(e *signretry.LogEntry) *answerLog {
	if e == nil {
		return nil
	}
	return &answerLog{URL: e.URL, Index: e.Index}
}

func allSigned(r signretry.Report) bool {
	for _, res := range r.Results {
		if res.Status == signretry.Failed {
			return false
		}
	}
	return true
}

// table is the answer for people and scripts, and the step summary.
func table(r signretry.Report) [][]string {
	rows := [][]string{{"IMAGE", "STATUS", "LOG INDEX"}}
	for _, res := range r.Results {
		var indexes []string
		for _, s := range res.Signatures {
			if s.Log != nil {
				indexes = append(indexes, strconv.FormatInt(s.Log.Index, 10))
			}
		}
		index := cmp.Or(strings.Join(indexes, ", "), "-")
		status := string(res.Status)
		if res.Status == signretry.Already {
			status = "already signed"
		}
		rows = append(rows, []string{res.Ref.String(), status, index})
	}
	return rows
}

// outputs are the step's. log_index is that of the first image that has one.
func outputs(r signretry.Report, recordPath string) []actions.Output {
	var signed, unsigned []string
	index := ""
	for _, res := range r.Results {
		if res.Status == signretry.Failed {
			unsigned = append(unsigned, res.Ref.String())
			continue
		}
		signed = append(signed, res.Ref.String())
		if l := res.Log(); l != nil && index == "" {
			index = strconv.FormatInt(l.Index, 10)
		}
	}
	return []actions.Output{
		{Name: "signed", Value: strconv.FormatBool(allSigned(r))},
		{Name: "signed_refs", Value: strings.Join(signed, "\n")},
		{Name: "unsigned_refs", Value: strings.Join(unsigned, "\n")},
		{Name: "log_index", Value: index},
		{Name: "record", Value: recordPath},
	}
}

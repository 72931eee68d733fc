// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

// Package record reads and writes the run record: the one JSON file that flows
// through tagcheck, signretry and regcleanup, to which each adds what it knows.
// Its shape is docs/record.schema.json. It holds no secret.
package record

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// Schema names the only layout that this package reads and writes.
const Schema = "pushguard.record/v1"

// Record is what one run knows of the tags that it publishes. Its methods say what
// happened ([Record.Seen], [Record.Published], …); [Record.Save] writes it. Fields that
// this version does not know are kept, at every level.
type Record struct {
	Schema string `json:"schema"`
	Run    Run    `json:"run"`
	Tags   []Tag  `json:"tags"`
	// ShouldBuild is what the last check has decided; nil when it has not let the run go on.
	ShouldBuild *bool `json:"should_build,omitempty"`
	// Images are those that the run pushed by their digests, before they had a tag.
	Images []Pushed `json:"images,omitempty"`

	unknown fields
	path    string // where it was opened, "" for one in memory
	foreign bool   // it is another run's: no tag is added to it
	opener  Run    // who opened it
}

// Run says which CI run the record belongs to. All fields are empty outside CI.
type Run struct {
	ID         string `json:"id,omitempty"`
	Attempt    int    `json:"attempt,omitempty"`    // from 1
	Repository string `json:"repository,omitempty"` // owner/name
	SHA        string `json:"sha,omitempty"`        // commit
	URL        string `json:"url,omitempty"`
	// Call tells calls of one workflow inside a run apart; "" when it is not named.
	Call string `json:"call,omitempty"`

	unknown fields
}

// Tag is one reference of the run: before, published, signed, cleaned up.
type Tag struct {
	Ref        string      `json:"ref"` // registry/repository:tag, with the registry spelt out
	Moving     bool        `json:"moving"`
	Before     *State      `json:"before,omitempty"` // the first certain state in this run
	Now        *State      `json:"now,omitempty"`    // a later one
	Immutable  *Immutable  `json:"immutable,omitempty"`
	Due        *Due        `json:"due,omitempty"` // what the last check decided to put under it; nil for nothing
	Published  *Published  `json:"published,omitempty"`
	Signatures []Signature `json:"signatures,omitempty"`
	Unsigned   *Unsigned   `json:"unsigned,omitempty"` // the last attempt to sign it failed
	Cleanup    *Cleanup    `json:"cleanup,omitempty"`

	unknown fields
}

// The states of a tag.
const (
	Absent  = "absent"
	Present = "present"
	Unknown = "unknown"
)

// State is what a registry said of a tag at one time.
type State struct {
	State     string    `json:"state"`            // absent, present or unknown
	Digest    string    `json:"digest,omitempty"` // when present
	Reason    string    `json:"reason,omitempty"` // when unknown: auth, rate-limit, outage, not-a-registry
	CheckedAt time.Time `json:"checked_at"`

	unknown fields
}

// Immutable says whether a registry lets the tag be moved or deleted.
type Immutable struct {
	State string `json:"state"` // yes, no or unknown
	Rule  string `json:"rule,omitempty"`

	unknown fields
}

// Due says that this run is to put an image under the tag.
type Due struct {
	Digest string `json:"digest,omitempty"` // of the image; "" when it is to be built

	unknown fields
}

// Published is what this run pushed under the tag.
type Published struct {
	Digest string    `json:"digest"`
	Source string    `json:"source"` // how it is known: buildx-metadata, argument, or tag (put by signretry)
	At     time.Time `json:"at"`

	unknown fields
}

// Pushed is an image that this run pushed by its digest, into one repository.
type Pushed struct {
	Name       string      `json:"name"` // registry/repository
	Digest     string      `json:"digest"`
	Source     string      `json:"source"` // how it is known: buildx-metadata
	At         time.Time   `json:"at"`
	Signatures []Signature `json:"signatures,omitempty"`
	Unsigned   *Unsigned   `json:"unsigned,omitempty"` // the last attempt to sign it failed

	unknown fields
}

// Signature is one signature that this run attached to Digest, or found valid.
type Signature struct {
	Format string    `json:"format"` // bundle or legacy
	Digest string    `json:"digest"`
	Log    *LogEntry `json:"log,omitempty"`
	At     time.Time `json:"at"`

	unknown fields
}

// Unsigned says why Digest could not be signed; it goes when it has been.
type Unsigned struct {
	Digest string    `json:"digest"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`

	unknown fields
}

// LogEntry is a place in a transparency log.
type LogEntry struct {
	URL   string `json:"url"`
	Index int64  `json:"index"`

	unknown fields
}

// Cleanup is what regcleanup did with the tag, or why it could not.
type Cleanup struct {
	Action  string    `json:"action"`  // delete, restore or keep
	Outcome string    `json:"outcome"` // planned, done, gone, blocked, failed
	Reason  string    `json:"reason,omitempty"`
	At      time.Time `json:"at"`

	unknown fields
}

// Parse reads a record from its JSON.
func Parse(data []byte) (*Record, error) {
	var head struct {
		Schema string `json:"schema"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, fmt.Errorf("not a run record: %w", err)
	}
	if head.Schema != Schema {
		return nil, fmt.Errorf("schema is %q, this version reads %q", head.Schema, Schema)
	}
	r := &Record{}
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("not a run record: %w", err)
	}
	for i, t := range r.Tags {
		if t.Ref == "" {
			return nil, fmt.Errorf("tags[%d] has no ref", i)
		}
	}
	if r.Tags == nil {
		r.Tags = []Tag{}
	}
	return r, nil
}

// RunFromEnv tells the run that the process belongs to from GitHub Actions' or
// GitLab CI's variables; outside both it is empty.
//
// GitHub: GITHUB_RUN_ID, GITHUB_RUN_ATTEMPT, GITHUB_REPOSITORY, GITHUB_SHA,
// GITHUB_SERVER_URL. GitLab: CI_PIPELINE_ID (a re-run job keeps it), CI_PROJECT_PATH,
// CI_COMMIT_SHA, CI_PIPELINE_URL. In both PUSHGUARD_CALL names one of several calls of
// a workflow inside the run.
func RunFromEnv(getenv func(string) string) Run {
	call := getenv("PUSHGUARD_CALL")
	if id := getenv("GITHUB_RUN_ID"); id != "" {
		attempt, _ := strconv.Atoi(getenv("GITHUB_RUN_ATTEMPT"))
		run := Run{ID: id, Attempt: attempt, Repository: getenv("GITHUB_REPOSITORY"), SHA: getenv("GITHUB_SHA"), Call: call}
		if server := getenv("GITHUB_SERVER_URL"); server != "" && run.Repository != "" {
			run.URL = server + "/" + run.Repository + "/actions/runs/" + id
		}
		return run
	}
	return Run{
		ID:         getenv("CI_PIPELINE_ID"),
		Repository: getenv("CI_PROJECT_PATH"),
		SHA:        getenv("CI_COMMIT_SHA"),
		URL:        getenv("CI_PIPELINE_URL"),
		Call:       call,
	}
}

// Same reports whether both are attempts of one run, and of the same call inside it:
// two calls of one workflow must never undo each other. Two runs without an id are the
// same only when nothing tells them apart: an operator's shell has none.
func (r Run) Same(other Run) bool {
	return r.ID == other.ID && r.Repository == other.Repository && r.Call == other.Call
}

// String names the run in messages.
func (r Run) String() string {
	text := fmt.Sprintf("run %q of %q", r.ID, r.Repository)
	if r.ID == "" && r.Repository == "" {
		text = "no CI run"
	}
	if r.Call != "" {
		text = fmt.Sprintf("call %q in %s", r.Call, text)
	}
	return text
}

// update makes r the attempt that now is. What now does not know stays, and so do
// members that this version does not know.
func (r *Run) update(now Run) {
	r.Attempt = cmp.Or(now.Attempt, r.Attempt)
	r.SHA = cmp.Or(now.SHA, r.SHA)
	r.URL = cmp.Or(now.URL, r.URL)
}

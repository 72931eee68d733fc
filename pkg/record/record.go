// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

// Package record reads and writes the run record: the one JSON file that flows
// through tagcheck, signretry and regcleanup, to which each adds what it knows.
// Its shape is docs/record.schema.json. It holds no secret.
package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Schema names the only layout that this package reads and writes.
const Schema = "pushguard.record/v1"

// maxSize bounds what is read: 10,000 tags take about 8 MiB.
const maxSize = 64 << 20

// Record is what one run knows of the tags that it publishes. Fields that this
// version does not know are kept, at every level.
type Record struct {
	Schema string `json:"schema"`
	Run    Run    `json:"run"`
	Tags   []Tag  `json:"tags"`

	unknown fields
}

// Run says which CI run the record belongs to. All fields are empty outside CI.
type Run struct {
	ID         string `json:"id,omitempty"`
	Attempt    int    `json:"attempt,omitempty"`    // from 1
	Repository string `json:"repository,omitempty"` // owner/name
	SHA        string `json:"sha,omitempty"`        // commit
	URL        string `json:"url,omitempty"`

	unknown fields
}

// Tag is one reference of the run: before, published, signed, cleaned up.
type Tag struct {
	Ref        string      `json:"ref"` // registry/repository:tag, with the registry spelt out
	Moving     bool        `json:"moving"`
	Before     *State      `json:"before,omitempty"` // the first certain state in this run
	Now        *State      `json:"now,omitempty"`    // a later one
	Immutable  *Immutable  `json:"immutable,omitempty"`
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

// Published is what this run pushed under the tag.
type Published struct {
	Digest string    `json:"digest"`
	Source string    `json:"source"` // how it is known: buildx-metadata, argument, copy
	At     time.Time `json:"at"`

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

// New returns an empty record of run.
func New(run Run) *Record {
	return &Record{Schema: Schema, Run: run, Tags: []Tag{}}
}

// Load reads the record in path. The error wraps [fs.ErrNotExist] when there is
// none; a record with another schema is refused.
func Load(path string) (*Record, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read record: %w", err)
	}
	if info.Size() > maxSize {
		return nil, fmt.Errorf("read record %s: %d bytes is more than a record can have", path, info.Size())
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read record: %w", err)
	}
	r, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("read record %s: %w", path, err)
	}
	return r, nil
}

// LoadOrNew reads the record in path, or starts one of run when there is none.
func LoadOrNew(path string, run Run) (*Record, error) {
	r, err := Load(path)
	if errors.Is(err, fs.ErrNotExist) {
		return New(run), nil
	}
	return r, err
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

// Save writes the record to path by a temporary file and a rename in the same
// folder: a reader, and a killed process, see the old or the new one, whole.
func (r *Record) Save(path string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("write record %s: %w", path, err)
	}
	if err := replace(path, append(data, '\n')); err != nil {
		return fmt.Errorf("write record %s: %w", path, err)
	}
	return nil
}

func replace(path string, data []byte) (err error) {
	// A link stays a link: what it names is replaced.
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.tmp")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	if _, err := f.Write(data); err != nil {
		return err
	}
	// Later jobs often run as another user; the record holds no secret.
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	// Without it a power cut can leave the new name on an empty file.
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// Tag returns the record's entry of ref, or nil. The pointer holds until the
// next [Record.Put].
func (r *Record) Tag(ref string) *Tag {
	for i := range r.Tags {
		if r.Tags[i].Ref == ref {
			return &r.Tags[i]
		}
	}
	return nil
}

// Put returns the record's entry of ref, which it adds if there is none.
func (r *Record) Put(ref string) *Tag {
	if t := r.Tag(ref); t != nil {
		return t
	}
	r.Tags = append(r.Tags, Tag{Ref: ref})
	return &r.Tags[len(r.Tags)-1]
}

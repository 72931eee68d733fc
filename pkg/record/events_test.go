// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package record_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/LerianStudio/pushguard/pkg/record"
)

const ref = "docker.io/org/app:1.2.3"

var (
	other = "sha256:" + strings.Repeat("0", 64)

	absent  = record.State{State: record.Absent, CheckedAt: at}
	present = record.State{State: record.Present, Digest: digest, CheckedAt: at}
	unknown = record.State{State: record.Unknown, Reason: "outage", CheckedAt: at}
	image   = record.Image{Name: "docker.io/org/app", Tag: "1.2.3", Digest: digest}
	bundle  = record.Signature{Format: "bundle", Digest: digest, Log: &record.LogEntry{URL: "https://log", Index: 1}, At: at}
)

// The first certain state of the run stays the one before it, unless the run has
// published something by then: what is seen then may be its own.
func TestSeen(t *testing.T) {
	t.Parallel()
	type looks struct{ Before, Now *record.State }
	for name, test := range map[string]struct {
		seen      []record.State
		published bool // before the last look
		want      looks
	}{
		"once":                           {[]record.State{absent}, false, looks{&absent, nil}},
		"again":                          {[]record.State{absent, present, unknown}, false, looks{&absent, &unknown}},
		"certain later":                  {[]record.State{unknown, absent}, false, looks{&absent, nil}},
		"certain after the run's push":   {[]record.State{unknown, present}, true, looks{&unknown, &present}},
		"for the first time after it":    {[]record.State{present}, true, looks{nil, &present}},
		"changed by the push of the run": {[]record.State{absent, present}, true, looks{&absent, &present}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := record.New(record.Run{})
			for i, state := range test.seen {
				if test.published && i == len(test.seen)-1 {
					if err := r.Published(image, "argument", at); err != nil {
						t.Fatal(err)
					}
				}
				r.Seen(record.Look{Ref: ref, Moving: true, State: state, Immutable: record.Immutable{State: "no"}})
			}
			tag := r.Tag(ref)
			if !tag.Moving || tag.Immutable.State != "no" {
				t.Errorf("tag %+v, want a moving one that is not immutable", tag)
			}
			if diff := cmp.Diff(test.want, looks{tag.Before, tag.Now}, ignoreUnknown); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if test.want.Before != nil {
				if diff := cmp.Diff(*test.want.Before, r.Before(ref), ignoreUnknown); diff != "" {
					t.Errorf("Before (-want +got):\n%s", diff)
				}
			}
		})
	}
	if diff := cmp.Diff(record.State{}, record.New(record.Run{}).Before(ref), ignoreUnknown); diff != "" {
		t.Errorf("Before of a tag that is not known (-want +got):\n%s", diff)
	}
}

func TestToSign(t *testing.T) {
	t.Parallel()
	published := &record.Published{Digest: digest}
	pushed := &record.Published{Digest: digest, At: at}
	seen := func(s record.State, d string, when time.Duration) *record.State {
		s.Digest, s.CheckedAt = d, at.Add(when)
		return &s
	}
	r := record.New(record.Run{})
	r.Tags = []record.Tag{
		{Ref: "localhost:5000/org/app:published", Before: &absent, Published: published},
		{Ref: "docker.io/org/app:found", Before: &present},
		{Ref: "docker.io/org/app:found-later", Before: &absent, Now: &present},
		{Ref: "docker.io/org/app:moved", Moving: true, Before: &present, Published: published},
		{Ref: "docker.io/org/app:others", Moving: true, Before: &present},
		{Ref: "docker.io/org/app:absent", Before: &absent},
		{Ref: "docker.io/org/app:gone", Before: &present, Now: &absent},
		{Ref: "docker.io/org/app:unknown", Before: &unknown},
		{Ref: "docker.io/org/app:undone", Before: &absent, Published: pushed, Now: seen(absent, "", time.Second)},
		{Ref: "docker.io/org/app:restored", Moving: true, Before: &present, Published: pushed, Now: seen(present, other, time.Second)},
		{Ref: "docker.io/org/app:taken", Before: &absent, Published: pushed, Now: seen(present, other, time.Second)},
		{Ref: "docker.io/org/app:seen-before", Before: &absent, Published: pushed, Now: seen(absent, "", -time.Second)},
		{Ref: "docker.io/org/app:not-asked", Before: &absent, Published: pushed, Now: seen(unknown, "", time.Second)},
		{Ref: "docker.io/org/app:still", Moving: true, Before: &absent, Published: pushed, Now: seen(present, digest, time.Second)},
		{Ref: "localhost:5000/org/app", Published: published},
		{Ref: "docker.io/org/app@" + digest, Published: published},
	}
	want := []record.Image{
		{Name: "localhost:5000/org/app", Tag: "published", Digest: digest},
		{Name: "docker.io/org/app", Tag: "found", Digest: digest},
		{Name: "docker.io/org/app", Tag: "found-later", Digest: digest},
		{Name: "docker.io/org/app", Tag: "moved", Digest: digest},
		{Name: "docker.io/org/app", Tag: "taken", Digest: other},
		{Name: "docker.io/org/app", Tag: "seen-before", Digest: digest},
		{Name: "docker.io/org/app", Tag: "not-asked", Digest: digest},
		{Name: "docker.io/org/app", Tag: "still", Digest: digest},
	}
	if diff := cmp.Diff(want, r.ToSign()); diff != "" {
		t.Errorf("ToSign (-want +got):\n%s", diff)
	}
}

func TestSigned(t *testing.T) {
	t.Parallel()
	r := record.New(record.Run{})
	r.Seen(record.Look{Ref: "docker.io/org/app:same", State: present})
	r.Seen(record.Look{Ref: "docker.io/org/other:same", State: present})
	r.Seen(record.Look{Ref: "docker.io/org/app:differs", State: record.State{State: record.Present, Digest: other}})
	byDigest := record.Image{Name: image.Name, Digest: digest}
	type entry struct {
		Signatures []record.Signature
		Unsigned   *record.Unsigned
	}
	noted := func() map[string]entry {
		got := map[string]entry{}
		for _, tag := range r.Tags {
			if e := (entry{tag.Signatures, tag.Unsigned}); e.Signatures != nil || e.Unsigned != nil {
				got[tag.Ref] = e
			}
		}
		return got
	}
	r.NotSigned(byDigest, "outage", at)
	r.NotSigned(image, "outage", at)
	why := &record.Unsigned{Digest: digest, Reason: "outage", At: at}
	want := map[string]entry{"docker.io/org/app:same": {nil, why}, ref: {nil, why}}
	if diff := cmp.Diff(want, noted(), ignoreUnknown); diff != "" {
		t.Errorf("not signed (-want +got):\n%s", diff)
	}
	again := bundle
	again.At = at.AddDate(0, 0, 1)
	r.Signed(byDigest, bundle)
	r.Signed(image, bundle)
	r.Signed(image, again) // the same signature
	r.Signed(image, record.Signature{Format: "legacy", At: at})
	want = map[string]entry{
		"docker.io/org/app:same": {[]record.Signature{bundle}, nil},
		ref:                      {[]record.Signature{bundle, {Format: "legacy", Digest: digest, At: at}}, nil},
	}
	if diff := cmp.Diff(want, noted(), ignoreUnknown); diff != "" {
		t.Errorf("signed (-want +got):\n%s", diff)
	}
}

// Another run's record takes signatures of the tags that it knows, and what came of
// undoing them. Nothing is added to it, and nothing is published in it.
func TestAnotherRunsRecord(t *testing.T) {
	t.Parallel()
	theirs := record.New(record.Run{ID: "1"})
	theirs.Tags = []record.Tag{{Ref: ref, Before: &absent}}
	path := saved(t, theirs)
	r, err := record.Open(path, record.Run{ID: "2"}, record.Options{AnyRun: true, MustExist: true})
	if err != nil {
		t.Fatal(err)
	}
	unheard := record.Image{Name: image.Name, Tag: "9", Digest: digest}
	r.Signed(image, bundle)
	r.Signed(unheard, bundle)
	r.NotSigned(unheard, "outage", at)
	r.Seen(record.Look{Ref: "docker.io/org/app:9", State: present})
	cleanup := record.Cleanup{Action: "keep", Outcome: "kept", At: at}
	if !r.CleanedUp(ref, cleanup) || r.CleanedUp("docker.io/org/app:9", cleanup) {
		t.Error("CleanedUp does not tell which tag is known")
	}
	const refusal = `belongs to run "1" of "", this is run "2" of ""`
	if err := r.Published(image, "argument", at); err == nil || !strings.Contains(err.Error(), refusal) {
		t.Errorf("Published = %v, want %q", err, refusal)
	}
	if err := r.Save(); err != nil {
		t.Fatal(err)
	}
	got, err := record.Open(path, record.Run{ID: "1"}, record.Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := record.New(record.Run{ID: "1"})
	want.Tags = []record.Tag{{Ref: ref, Before: &absent, Signatures: []record.Signature{bundle}, Cleanup: &cleanup}}
	if diff := cmp.Diff(want, got, ignoreUnknown); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

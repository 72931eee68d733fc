// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package cleanup_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/LerianStudio/pushguard/pkg/cleanup"
	"github.com/LerianStudio/pushguard/pkg/record"
	"github.com/LerianStudio/pushguard/pkg/registry/registrytest"
)

func TestClaims_severalRecords(t *testing.T) {
	t.Parallel()
	var (
		a, b  = registrytest.Digest("a"), registrytest.Digest("b")
		early = time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
		late  = early.Add(time.Minute)
	)
	before := func(state, digest string, at time.Time) *record.State {
		return &record.State{State: state, Digest: digest, CheckedAt: at}
	}
	published := func(digest string) *record.Published { return &record.Published{Digest: digest} }
	for name, test := range map[string]struct {
		first, second record.Tag
		want          cleanup.Claim
	}{
		"the earlier look counts": {
			record.Tag{Before: before(record.Present, b, late), Published: published(b)},
			record.Tag{Before: before(record.Absent, "", early)},
			cleanup.Claim{Before: absent(), Published: b},
		},
		"a certain look counts": {
			record.Tag{Before: before(record.Unknown, "", early)},
			record.Tag{Before: before(record.Present, a, late), Published: published(b)},
			cleanup.Claim{Before: present(a), Published: b},
		},
		"two publishers: nothing is known": {
			record.Tag{Before: before(record.Absent, "", early), Published: published(a)},
			record.Tag{Before: before(record.Absent, "", late), Published: published(b)},
			cleanup.Claim{},
		},
		"present without a digest is not known": {
			record.Tag{Before: before(record.Present, "", early), Published: published(a)},
			record.Tag{},
			cleanup.Claim{Published: a},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var records []*record.Record
			for _, tag := range []record.Tag{test.first, test.second} {
				r := record.New(record.Run{})
				tag.Ref = "docker.io/org/app:1"
				r.Tags = append(r.Tags, tag)
				records = append(records, r)
			}
			got, err := cleanup.Claims(records)
			if err != nil || len(got) != 1 {
				t.Fatalf("Claims = %+v, %v", got, err)
			}
			test.want.Ref = got[0].Ref
			if diff := cmp.Diff(test.want, got[0]); diff != "" {
				t.Errorf("Claims (-want +got):\n%s", diff)
			}
		})
	}
}

// What a later attempt has published counts, in whatever order the records are given;
// parallel jobs that disagree prove nothing, however many they are.
func TestClaims_attempts(t *testing.T) {
	t.Parallel()
	a, b := registrytest.Digest("a"), registrytest.Digest("b")
	at := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	of := func(attempt int, digest string) *record.Record {
		r := record.New(record.Run{Attempt: attempt})
		tag := record.Tag{Ref: "docker.io/org/app:1", Before: &record.State{State: record.Absent, CheckedAt: at.Add(time.Duration(attempt) * time.Minute)}}
		if digest != "" {
			tag.Published = &record.Published{Digest: digest}
		}
		r.Tags = append(r.Tags, tag)
		return r
	}
	for name, test := range map[string]struct {
		records []*record.Record
		want    cleanup.Claim
	}{
		"the second attempt's image":                              {[]*record.Record{of(2, b), of(1, a)}, cleanup.Claim{Before: absent(), Published: b}},
		"the first attempt's, where the second published nothing": {[]*record.Record{of(1, a), of(2, "")}, cleanup.Claim{Before: absent(), Published: a}},
		"a record before the build, and one after it":             {[]*record.Record{of(1, a), of(1, "")}, cleanup.Claim{Before: absent(), Published: a}},
		"three jobs of one attempt disagree":                      {[]*record.Record{of(1, a), of(1, b), of(1, a)}, cleanup.Claim{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := cleanup.Claims(test.records)
			if err != nil || len(got) != 1 {
				t.Fatalf("Claims = %+v, %v", got, err)
			}
			test.want.Ref = got[0].Ref
			if diff := cmp.Diff(test.want, got[0]); diff != "" {
				t.Errorf("Claims (-want +got):\n%s", diff)
			}
		})
	}
}

func TestClaims_refusesWhatIsNoProof(t *testing.T) {
	t.Parallel()
	for want, tag := range map[string]record.Tag{
		"is not a tag":       {Ref: "docker.io/org/app@" + registrytest.Digest("a")},
		"a repository is":    {Ref: "docker.io/org/App:1"},
		`digest "x" is none`: {Ref: "docker.io/org/app:1", Published: &record.Published{Digest: "x"}},
	} {
		r := record.New(record.Run{})
		r.Tags = append(r.Tags, tag)
		if _, err := cleanup.Claims([]*record.Record{r}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Claims of %s = %v, want %q", tag.Ref, err, want)
		}
	}
}

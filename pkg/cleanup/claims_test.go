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

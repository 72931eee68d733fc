// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package tagcheck_test

import (
	"strings"
	"testing"

	"github.com/LerianStudio/pushguard/pkg/tagcheck"
)

// A run that failed half-way through its push has moved some tags and not others.
// Done again with skip it moves the rest, where that is certain to be its own work.
func TestJudge_movingTagsBehind(t *testing.T) {
	t.Parallel()
	const hub, ghcr = "docker.io/org/app:1", "ghcr.io/org/app:1"
	const hubLatest, ghcrLatest = "docker.io/org/app:latest", "ghcr.io/org/app:latest"
	for name, test := range map[string]struct {
		now    []string
		before map[string]string // as in tagsOf; not named: this is the run's first look
		want   string            // "ref<source …"
	}{
		"not moved, by the record ours": {
			[]string{hub + "=new", ghcr + "=new", "~" + hubLatest + "=new", "~" + ghcrLatest + "=old"},
			map[string]string{hub: "", ghcr: "", hubLatest: "old", ghcrLatest: "old"},
			ghcrLatest + "<ghcr.io/org/app@new",
		},
		"nothing reached one registry": {
			[]string{hub + "=new", ghcr + "=", "~" + hubLatest + "=new", "~" + ghcrLatest + "=old"},
			map[string]string{hub: "", ghcr: "", hubLatest: "old", ghcrLatest: "old"},
			ghcr + "<docker.io/org/app@new " + ghcrLatest + "<docker.io/org/app@new",
		},
		"absent, without a record": {
			[]string{hub + "=new", "~" + hubLatest + "="}, nil, hubLatest + "<docker.io/org/app@new",
		},
		"another image, without a record": {
			[]string{hub + "=new", "~" + hubLatest + "=old"}, nil, "",
		},
		"moved by someone else since": {
			[]string{hub + "=new", "~" + hubLatest + "=newer"},
			map[string]string{hub: "", hubLatest: "old"},
			"",
		},
		"not to be read, then and now": {
			[]string{hub + "=new", "~" + hubLatest + "=!"},
			map[string]string{hub: "", hubLatest: "!"},
			"",
		},
		"deleted by someone since": {
			[]string{hub + "=new", "~" + hubLatest + "="},
			map[string]string{hub: "", hubLatest: "old"},
			"",
		},
		"the version was there before the run": {
			[]string{hub + "=new", "~" + hubLatest + "=old"},
			map[string]string{hub: "new", hubLatest: "old"},
			"",
		},
		"unknown": {
			[]string{hub + "=new", "~" + hubLatest + "=?"},
			map[string]string{hub: "", hubLatest: "old"},
			"",
		},
		"two images": {
			[]string{"docker.io/org/app:1=a", "docker.io/org/app:2=b", "~" + hubLatest + "="}, nil, "",
		},
		"of another app": {
			[]string{hub + "=new", "~docker.io/org/other:latest="}, nil, "",
		},
		"nothing published": {
			[]string{hub + "=", "~" + hubLatest + "="}, nil, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tags := tagsOf(t, test.now...)
			for i := range tags {
				if digest, known := test.before[tags[i].Ref.String()]; known {
					tags[i].Before = tagcheck.Before{State: present, Digest: digest}
					if digest == "" {
						tags[i].Before.State = absent
					}
				}
			}
			r := tagcheck.Judge(tags, tagcheck.Skip, tagcheck.Fail)
			var got []string
			for i, m := range r.Missing {
				got = append(got, m.String()+"<"+r.CopyFrom[i].String())
			}
			if got := strings.Join(got, " "); got != test.want {
				t.Errorf("missing %q, want %q", got, test.want)
			}
			if failing := tagcheck.Judge(tags, tagcheck.Fail, tagcheck.Fail); failing.Verdict != r.Verdict {
				t.Errorf("verdict %s with skip, %s with fail: moving tags are not judged", r.Verdict, failing.Verdict)
			}
		})
	}
}

// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// checked is what the test reads of tagcheck's answer.
type checked struct {
	Verdict string
	Tags    []struct{ State, Digest, Reason string }
}

// The real registries answer as the stand-ins of pkg/tagcheck's table and of
// cmd/tagcheck's scripts do: the same states, verdicts and exit statuses.
func TestTagcheck_realRegistries(t *testing.T) {
	t.Parallel()
	const down = "127.0.0.1:1/agree/app:1" // nobody listens there
	for name, registry := range registries() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			host, other := registry(t), registry(t)
			image := newImage(t)
			digest := push(t, image, host+"/agree/app:1", other+"/agree/app:1", host+"/agree/app:2")
			push(t, newImage(t), other+"/agree/app:2")
			for question, test := range map[string]struct {
				refs []string
				want string
			}{
				"an index is there":    {[]string{host + "/agree/app:1"}, "1 complete: present//true"},
				"tag missing":          {[]string{host + "/agree/app:none"}, "0 new: absent//false"},
				"repository missing":   {[]string{host + "/agree/never:1"}, "0 new: absent//false"},
				"in both":              {[]string{host + "/agree/app:1", other + "/agree/app:1"}, "1 complete: present//true present//true"},
				"in one":               {[]string{host + "/agree/app:1", other + "/other/app:1"}, "1 partial: present//true absent//false"},
				"two images":           {[]string{host + "/agree/app:2", other + "/agree/app:2"}, "4 conflict: present//true present//false"},
				"nobody there":         {[]string{down}, "3 unknown: unknown/outage/false"},
				"there, and an outage": {[]string{host + "/agree/app:1", down}, "1 unknown: present//true unknown/outage/false"},
			} {
				var exit int
				_, _ = fmt.Sscan(test.want, &exit)
				args := append([]string{"--json", "--max-attempts=1", "--record", filepath.Join(t.TempDir(), "r.json")}, test.refs...)
				a := answer[checked](t, newJob(t).run(t, exit, "tagcheck", args...))
				states := make([]string, len(a.Tags))
				for i, tag := range a.Tags {
					states[i] = fmt.Sprintf("%s/%s/%t", tag.State, tag.Reason, tag.Digest == digest)
				}
				if got := fmt.Sprintf("%d %s: %s", exit, a.Verdict, strings.Join(states, " ")); got != test.want {
					t.Errorf("%s: %q, want %q", question, got, test.want)
				}
			}
		})
	}
}

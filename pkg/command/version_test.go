// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"runtime"
	"runtime/debug"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNewBuild(t *testing.T) {
	t.Parallel()
	build := func(version, commit, date string, modified bool) Build {
		return Build{
			Schema: "pushguard.version/v1", Name: "toy", Version: version, Commit: commit, Date: date, Modified: modified,
			Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
		}
	}
	clone := []debug.BuildSetting{
		{Key: "vcs", Value: "git"},
		{Key: "vcs.revision", Value: "433bf0f2a7f14b9c0d1e2f3a4b5c6d7e8f901234"},
		{Key: "vcs.time", Value: "2026-11-25T03:00:00Z"},
		{Key: "vcs.modified", Value: "false"},
	}
	dirty := slices.Concat(clone[:3], []debug.BuildSetting{{Key: "vcs.modified", Value: "true"}})
	for name, test := range map[string]struct {
		info *debug.BuildInfo
		want Build
	}{
		"no information":          {nil, build("(devel)", "", "", false)},
		"without a clone":         {&debug.BuildInfo{}, build("(devel)", "", "", false)},
		"go install of a release": {&debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}}, build("v1.2.3", "", "", false)},
		"go install of a commit": {
			&debug.BuildInfo{Main: debug.Module{Version: "v1.2.4-0.20261125030000-433bf0f2a7f1"}},
			build("v1.2.4-0.20261125030000-433bf0f2a7f1", "433bf0f2a7f1", "2026-11-25T03:00:00Z", false),
		},
		"an archive": {
			&debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}, Settings: clone},
			build("v1.2.3", "433bf0f2a7f14b9c0d1e2f3a4b5c6d7e8f901234", "2026-11-25T03:00:00Z", false),
		},
		"a changed clone": {
			&debug.BuildInfo{Main: debug.Module{Version: "v1.2.3+dirty"}, Settings: dirty},
			build("v1.2.3+dirty", "433bf0f2a7f14b9c0d1e2f3a4b5c6d7e8f901234", "2026-11-25T03:00:00Z", true),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, newBuild("toy", test.info)); diff != "" {
				t.Errorf("newBuild (-want +got):\n%s", diff)
			}
		})
	}
}

func TestBuild_String(t *testing.T) {
	t.Parallel()
	for want, b := range map[string]Build{
		"toy v1.2.3 (commit 433bf0f, date 2026-11-25T03:00:00Z, go1.26.8, linux/amd64)": {
			Name: "toy", Version: "v1.2.3", Commit: "433bf0f", Date: "2026-11-25T03:00:00Z", Go: "go1.26.8", Platform: "linux/amd64",
		},
		"toy (devel) (commit unknown, date unknown, go1.26.8, linux/amd64)": {
			Name: "toy", Version: "(devel)", Go: "go1.26.8", Platform: "linux/amd64",
		},
		"toy v1.2.3+dirty (commit 433bf0f+dirty, date unknown, go1.26.8, linux/amd64)": {
			Name: "toy", Version: "v1.2.3+dirty", Commit: "433bf0f", Modified: true, Go: "go1.26.8", Platform: "linux/amd64",
		},
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			if got := b.String(); got != want {
				t.Errorf("String() = %q, want %q", got, want)
			}
		})
	}
}

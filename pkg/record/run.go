// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package record

import (
	"cmp"
	"fmt"
	"strconv"
)

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

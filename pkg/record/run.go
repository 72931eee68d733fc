// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package record

import "strconv"

// RunFromEnv tells the run that the process belongs to from GitHub Actions' or
// GitLab CI's variables; outside both it is empty.
//
// GitHub: GITHUB_RUN_ID, GITHUB_RUN_ATTEMPT, GITHUB_REPOSITORY, GITHUB_SHA,
// GITHUB_SERVER_URL. GitLab: CI_PIPELINE_ID (a re-run job keeps it), CI_PROJECT_PATH,
// CI_COMMIT_SHA, CI_PIPELINE_URL.
func RunFromEnv(getenv func(string) string) Run {
	if id := getenv("GITHUB_RUN_ID"); id != "" {
		attempt, _ := strconv.Atoi(getenv("GITHUB_RUN_ATTEMPT"))
		run := Run{ID: id, Attempt: attempt, Repository: getenv("GITHUB_REPOSITORY"), SHA: getenv("GITHUB_SHA")}
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
	}
}

// Same reports whether both are attempts of one run. Two runs without an id are
// the same only when nothing tells them apart: an operator's shell has none.
func (r Run) Same(other Run) bool {
	return r.ID == other.ID && r.Repository == other.Repository
}

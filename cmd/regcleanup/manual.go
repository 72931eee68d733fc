// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package main

import "github.com/LerianStudio/pushguard/pkg/command"

// manual is what the help and the man page tell beside the flags. The table of exit
// codes stands in docs/regcleanup.md as well; a test compares them.
var manual = command.Manual{
	Exit: []command.Entry{
		{Term: "0", Text: "done, or nothing to do, or blocked and --on-blocked=warn"},
		{Term: "1", Text: "blocked and --on-blocked=fail"},
		{Term: "2", Text: "usage, or a record that cannot be used; nothing was changed"},
		{Term: "3", Text: "a registry could not be asked"},
		{Term: "4", Text: "some done, some not; run it again"},
		{Term: "5", Text: "internal failure: a file that cannot be read or written (record, outputs, summary, stdout), a bug; what was undone is undone, and a second run finds it"},
		{Term: "130, 143", Text: "interrupted; the record holds what was done"},
	},
	Environment: []command.Entry{
		{Term: "DOCKER_CONFIG, DOCKER_AUTH_CONFIG", Text: "The logins of the registries, as docker reads them. They need the right to delete."},
		{Term: "GITHUB_TOKEN, GH_TOKEN, GITHUB_API_URL", Text: "The token and the address of GitHub's API, which deletes versions of packages in its container registry, where docker has no login for that."},
	},
	Examples: []command.Entry{
		{Term: "Show what would be undone", Text: "regcleanup --record=run.json"},
		{Term: "Undo it", Text: "regcleanup --delete --record=run.json"},
		{Term: "Undo a release of several jobs", Text: "regcleanup --delete --record='runs/*.json'"},
		{Term: "Undo a push without a record", Text: "regcleanup --delete --published-digest=sha256:DIGEST registry.example.com/org/app:1.2.3"},
	},
}

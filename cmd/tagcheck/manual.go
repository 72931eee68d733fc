// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package main

import "github.com/LerianStudio/pushguard/pkg/command"

// manual is what the help and the man page tell beside the flags. The table of exit
// codes stands in docs/tagcheck.md as well; a test compares them.
var manual = command.Manual{
	Exit: []command.Entry{
		{Term: "0", Text: "go on; should_build says how"},
		{Term: "1", Text: "a tag exists and --on-existing=fail"},
		{Term: "2", Text: "usage; nothing was asked"},
		{Term: "3", Text: "a registry could not be asked"},
		{Term: "4", Text: "conflict, or partial with nothing to copy from"},
		{Term: "5", Text: "internal failure: a file that cannot be read or written (record, outputs, summary, stdout), a bug; it says nothing about the tags"},
		{Term: "130, 143", Text: "interrupted"},
	},
	Environment: []command.Entry{
		{Term: "DOCKER_CONFIG, DOCKER_AUTH_CONFIG", Text: "The logins of the registries, as docker reads them."},
		{Term: "DOCKER_METADATA_OUTPUT_JSON", Text: "The tags of docker/metadata-action. It is read when neither an argument nor a flag names an image."},
		{Term: "GITHUB_TOKEN, GH_TOKEN, GITHUB_API_URL", Text: "The token and the address of GitHub's API, which is asked about packages in its container registry, where docker has no login for that."},
	},
	Examples: []command.Entry{
		{Term: "Ask before a build whether a tag is free", Text: "tagcheck registry.example.com/org/app:1.2.3 mirror.example.com/org/app:1.2.3"},
		{Term: "Go on with what an earlier attempt has published", Text: "tagcheck --on-existing=skip --moving=latest registry.example.com/org/app:1.2.3 registry.example.com/org/app:latest"},
		{Term: "Keep what was found, so that regcleanup can undo the run", Text: "tagcheck --record=run.json registry.example.com/org/app:1.2.3"},
		{Term: "Use the answer in a script", Text: "tagcheck --json registry.example.com/org/app:1.2.3 | jq -r .verdict"},
	},
}

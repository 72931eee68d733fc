// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package main

import "github.com/LerianStudio/pushguard/pkg/command"

// manual is what the help and the man page tell beside the flags. The table of exit
// codes stands in docs/signretry.md as well; a test compares them.
var manual = command.Manual{
	Exit: []command.Entry{
		{Term: "0", Text: "all signed; or not, and --on-failure=warn"},
		{Term: "1", Text: "refused for good: identity, rights, an image that is not there; with --check: an image is not signed"},
		{Term: "2", Text: "usage, a trust root or services that cannot be used, a record that cannot be used; nothing was done"},
		{Term: "3", Text: "gave up on an outage: running it again can succeed; with --check: it could not be asked"},
		{Term: "4", Text: "some signed, some not"},
		{Term: "5", Text: "internal failure: a file that cannot be read or written (record, outputs, summary, stdout), a bug; what was signed is signed, and a second run finds it"},
		{Term: "130, 143", Text: "interrupted; the record holds what was done"},
	},
	Environment: []command.Entry{
		{Term: "ACTIONS_ID_TOKEN_REQUEST_URL, ACTIONS_ID_TOKEN_REQUEST_TOKEN", Text: "GitHub's endpoint for identity tokens. GitHub sets both in a job with \"permissions: id-token: write\"."},
		{Term: "SIGSTORE_ID_TOKEN", Text: "An identity token with the audience \"sigstore\". It is used before the job's own."},
		{Term: "DOCKER_CONFIG, DOCKER_AUTH_CONFIG", Text: "The logins of the registries, as docker reads them."},
	},
	Files: []command.Entry{
		{Term: "~/.sigstore/root", Text: "The copy of the trust root that TUF keeps. It is used while the mirror cannot be reached."},
	},
	Examples: []command.Entry{
		{Term: "Sign what a build has pushed", Text: "docker buildx build --push --metadata-file=metadata.json -t registry.example.com/org/app:1.2.3 .\nsignretry --metadata=metadata.json"},
		{Term: "Sign one image", Text: "signretry registry.example.com/org/app@sha256:DIGEST"},
		{Term: "Sign for readers of both layouts, and go on when it fails", Text: "signretry --format=both --on-failure=warn --metadata=metadata.json"},
		{Term: "Ask before a deployment whether an image is signed", Text: "signretry --check --certificate-identity-regexp='^https://github.com/org/' --certificate-oidc-issuer=https://token.actions.githubusercontent.com registry.example.com/org/app:1.2.3"},
		{Term: "Sign later what an earlier run could not sign", Text: "signretry --record=run.json"},
	},
}

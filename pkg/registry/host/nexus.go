// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package host

import (
	"net/http"
	"strings"

	"github.com/LerianStudio/pushguard/pkg/registry"
)

// nexus is Sonatype Nexus. It deletes by digest only: a DELETE of a tag is a 404.
var nexus = &Host{
	Name: "Nexus",
	Recognize: func(seen http.Header) bool {
		return strings.Contains(seen.Get("Server"), "Nexus") || strings.Contains(seen.Get("WWW-Authenticate"), "Sonatype Nexus")
	},
	Rights:       "log in with an account that has nx-repository-view-docker-*-read, -add and -edit for {repository}",
	DeleteRights: "log in with an account that has nx-repository-view-docker-*-delete for {repository}",
	Undo:         "delete the component {repository} with the version {tag} on Nexus's page Browse",
	Unlock:       "set the repository's deployment policy to Allow redeploy (Nexus, Repository, Hosted)",
	Meanings: []Meaning{
		{Words: "does not allow updating assets", Own: true, Kind: registry.KindImmutable},
		{To: registry.RequestWrite, Code: "BLOB_UPLOAD_INVALID", Words: "cannot be updated", Own: true, Kind: registry.KindImmutable},
		{To: registry.RequestWrite, Words: "disable_redeploy", Kind: registry.KindImmutable},
		{Words: "end user license agreement", Own: true, Kind: registry.KindForbidden, Next: "Nexus wants its licence accepted first: an administrator does that at https://{host}"},
		{Words: "usage limit", Kind: registry.KindForbidden, Next: "Nexus has reached the limits of its edition: ask the administrator of {host}"},
	},
	Notes: "Deletes by digest only. Since 3.8x a digest's tags stay, so the tag is looked at again.",
}

// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package host

import (
	"net/http"
	"strings"

	"github.com/LerianStudio/pushguard/pkg/registry"
)

// artifactory is JFrog Artifactory. Its errors can have a status in the place of a code.
var artifactory = &Host{
	Name:  "Artifactory",
	Hosts: []string{".jfrog.io"},
	Recognize: func(seen http.Header) bool {
		return seen.Get("X-Jfrog-Version") != "" || seen.Get("X-Artifactory-Id") != "" || seen.Get("X-Artifactory-Node-Id") != "" ||
			strings.Contains(realmPath(seen), "/artifactory/") || strings.Contains(seen.Get("Server"), "Artifactory")
	},
	Rights: "Artifactory answers 403 as well for a tag that a virtual repository does not have: name the local repository behind {repository}, " +
		"or log in with an account that has Read and Deploy there",
	DeleteRights: "log in with an account that has the permission Delete on the local repository behind {repository}",
	Undo:         "delete {tag} in Artifactory's tree of the repository ({repository}), or: jf rt delete REPOSITORY/{rest}/{tag}/",
	Meanings: []Meaning{
		{To: registry.RequestRead, Words: "xray", Kind: registry.KindUnreadable, Next: "the image exists, and a policy of Xray forbids to download it: see the watch that the answer names"},
		{To: registry.RequestRead, Words: "download blocking", Kind: registry.KindUnreadable, Next: "the image exists, and a policy of Xray forbids to download it: see the watch that the answer names"},
		{To: registry.RequestDelete, Words: "not enough permissions to delete/overwrite", Own: true, Kind: registry.KindAuth},
		{Words: "not enough permissions to delete/overwrite", Own: true, Kind: registry.KindAuth, Next: overwrite},
		{To: registry.RequestDelete, Status: http.StatusNotAcceptable, Kind: registry.KindUnsupported},
		{Words: "quota", To: registry.RequestWrite, Kind: registry.KindForbidden, Next: quota},
		{To: registry.RequestRead, Words: "does not have permission for manifest", Own: true, Kind: registry.KindAuth},
		{To: registry.RequestWrite, Code: "MANIFEST_INVALID", Words: "403 forbidden", Own: true, Kind: registry.KindAuth, Next: overwrite},
		{Words: "bad credentials", Kind: registry.KindAuth, Next: "docker's login for {host} is refused: docker login with an API key, an identity token or the right password"},
		{Words: "account locked", Kind: registry.KindAuth, Next: "the account is locked after too many wrong passwords: wait, or ask an administrator to unlock it"},
		{Words: "recurrent login failures", Kind: registry.KindAuth, Next: "the account is blocked for a while after too many wrong passwords: wait, then docker login with the right one"},
	},
	Notes: "A virtual repository answers 403 for what it does not have.",
}

const overwrite = "the tag exists, and to overwrite it Artifactory wants an account with the permission Delete/Overwrite on {repository}"

// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package host

import (
	"net/http"
	"strings"

	"github.com/LerianStudio/pushguard/pkg/registry"
)

// gitea is Gitea and Forgejo, Codeberg's software.
var gitea = &Host{
	Name:  "Gitea and Forgejo",
	Hosts: []string{"codeberg.org"},
	Recognize: func(seen http.Header) bool {
		return challenge(seen, "service") == "container_registry" && strings.HasSuffix(realmPath(seen), "/v2/token")
	},
	Rights:       "log in to Gitea or Forgejo: docker login {host} with an access token that has write:package, of an account that may write packages of {owner}",
	DeleteRights: "log in to Gitea or Forgejo: docker login {host} with an access token that has write:package, of an owner of {owner}",
	Undo:         "delete {tag} at https://{host}/{owner}/-/packages/container/{rest}/{tag}",
	Meanings: []Meaning{
		{Words: "reqpackageaccess", Own: true, Kind: registry.KindAuth},
		{Words: "quota", Kind: registry.KindForbidden, Next: quota},
		{Status: http.StatusRequestEntityTooLarge, To: registry.RequestWrite, Kind: registry.KindForbidden, Next: quota},
	},
	Notes: "A digest takes all its tags along.",
}

// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package host

import (
	"net/http"
	"strings"

	"github.com/LerianStudio/pushguard/pkg/registry"
)

// quay is Quay: quay.io, and Quay in a house of one's own.
var quay = &Host{
	Name:  "Quay",
	Hosts: []string{"quay.io"},
	Recognize: func(seen http.Header) bool {
		return strings.HasSuffix(realmPath(seen), "/v2/auth") // docs.projectquay.io: the token service is /v2/auth
	},
	Rights:       "docker login {host} with a robot account that has the permission Write on {repository}; Quay answers the same for a repository that does not exist",
	DeleteRights: "docker login {host} with a robot account that has the permission Write on {repository}",
	Unlock:       "at https://{host}/repository/{repository}?tab=tags make {tag} mutable (Quay)",
	Undo:         "delete {tag} at https://{host}/repository/{repository}?tab=tags",
	Meanings: []Meaning{
		{Code: "TAG_EXPIRED", Own: true, To: registry.RequestRead, Status: http.StatusNotFound, Kind: registry.KindNotFound},
		{Code: "TAG_IMMUTABLE", Own: true, Kind: registry.KindImmutable},
		{Words: "has been disabled", Kind: registry.KindForbidden, Next: "the organization {owner} is disabled: ask the administrator of {host}"},
		{Words: "namespace is disabled", Kind: registry.KindForbidden, Next: "the organization {owner} is disabled: ask the administrator of {host}"},
		{Words: "not in a normal state", Kind: registry.KindForbidden, Next: "{repository} is a mirror or is read-only: change its state in the repository's settings"},
		{Words: "repository is in", Kind: registry.KindForbidden, Next: "{repository} is a mirror or is read-only: change its state in the repository's settings"},
		{Words: "quota", Kind: registry.KindForbidden, Next: quota},
	},
	Notes: "A digest takes all its tags along, so it is deleted only after the full proof.",
}

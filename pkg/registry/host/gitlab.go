// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package host

import (
	"net/http"
	"strings"

	"github.com/LerianStudio/pushguard/pkg/registry"
)

// gitLab is GitLab's registry. Its service is named container_registry like that of
// Gitea and Forgejo; the path of the token service tells them apart.
var gitLab = &Host{
	Name:         "GitLab",
	Hosts:        []string{"registry.gitlab.com"},
	Recognize:    func(seen http.Header) bool { return strings.HasSuffix(realmPath(seen), "/jwt/auth") },
	Rights:       "log in to GitLab with a token that has read_registry and write_registry, of a role that is at least Developer, for {repository}; GitLab answers the same for a project that does not exist",
	DeleteRights: "log in to GitLab with a token that has write_registry, of a role that is at least Maintainer, for {repository}; a CI job's token deletes in its own project only",
	Undo:         "delete {tag} on the project's page Deploy, Container registry",
	Unlock:       "change the project's rule for protected container tags that matches {tag} (Settings, Packages and registries)",
	Meanings: []Meaning{
		{Words: "2fa enabled", Kind: registry.KindAuth, Next: "the password is wrong, or the account has two-factor login: docker login with a personal access token in the place of the password"},
		{Words: "http basic: access denied", Kind: registry.KindAuth, Next: "GitLab refuses docker's login: docker login {host} with a personal, project or deploy token that has read_registry and write_registry"},
		{Words: "undergoing a rename", Kind: registry.KindOutage, Next: "the project is being renamed: run it again when that is done"},
		{Words: "rename_in_progress", Kind: registry.KindOutage, Next: "the project is being renamed: run it again when that is done"},
		{Words: "protected", To: registry.RequestWrite, Kind: registry.KindImmutable},
		{Words: "protected", To: registry.RequestDelete, Kind: registry.KindImmutable},
	},
	Notes: "A group or project that is not visible is answered like a missing right.",
}

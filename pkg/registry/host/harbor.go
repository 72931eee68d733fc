// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package host

import (
	"net/http"
	"strings"

	"github.com/LerianStudio/pushguard/pkg/registry"
)

// harbor is Harbor.
var harbor = &Host{
	Name:      "Harbor",
	Recognize: func(seen http.Header) bool { return challenge(seen, "service") == "harbor-registry" },
	Rights: "log in with a member or robot account of the Harbor project {project} that may pull and push {repository}; " +
		"Harbor answers the same for a project that does not exist",
	DeleteRights: "log in with a member of the Harbor project {project} that has the role Maintainer, or a robot account that may delete artifacts",
	Undo:         "delete {tag} at https://{host}/harbor/projects ({project}, Repositories, {rest})",
	Unlock:       "at https://{host}/harbor/projects change the project's tag immutability rule that matches {tag} (Harbor)",
	Create:       "create the project {project} at https://{host}/harbor/projects",
	CreateFirst: func(e *registry.Error) bool {
		return strings.Contains(e.Message, "project") && strings.Contains(e.Message, "not found")
	},
	Meanings: []Meaning{
		{To: registry.RequestRead, Status: http.StatusPreconditionFailed, Words: "signed", Own: true, Kind: registry.KindUnreadable, Next: harborSigned},
		{To: registry.RequestRead, Status: http.StatusPreconditionFailed, Words: "vulnerab", Own: true, Kind: registry.KindUnreadable, Next: harborVulnerable},
		{To: registry.RequestRead, Code: "PROJECTPOLICYVIOLATION", Own: true, Kind: registry.KindUnreadable, Next: harborPolicy},
		{Words: "configured as immutable", Own: true, Kind: registry.KindImmutable},
		{Words: "upper limit", Kind: registry.KindForbidden, Next: "the Harbor project {project} has reached its storage quota: delete what is not needed, or have the quota raised"},
		{Words: "read only", Kind: registry.KindOutage, Next: maintenance},
		{To: registry.RequestDelete, Code: "UNSUPPORTED", Kind: registry.KindUnsupported},
	},
	Notes: "Deletes no tag by the specification; a digest takes all its tags along. A project can forbid to pull images that are not signed or not scanned.",
}

const (
	harborSigned     = "the image exists, and the Harbor project {project} only lets signed images be pulled: sign it, or change the project's configuration (Deployment security)"
	harborVulnerable = "the image exists, and the Harbor project {project} forbids to pull images that have vulnerabilities or are not scanned: scan it, or change the project's configuration (Prevent vulnerable images from running)"
	harborPolicy     = "the image exists, and a rule of the Harbor project {project} forbids to pull it: see the project's configuration"
)

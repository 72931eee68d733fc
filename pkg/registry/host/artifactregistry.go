// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package host

import (
	"strings"

	"github.com/LerianStudio/pushguard/pkg/registry"
)

// artifactRegistry is Google's Artifact Registry, and gcr.io, which it serves as well.
var artifactRegistry = &Host{
	Name:       "Artifact Registry",
	Hosts:      []string{".pkg.dev", "gcr.io", ".gcr.io"},
	Challenges: true,
	Rights: "gcloud auth configure-docker {host}, with an account that has the role Artifact Registry Writer (roles/artifactregistry.writer) on {project}/{place}; " +
		"Google answers the same for a repository that does not exist",
	DeleteRights: "gcloud auth configure-docker {host}, with an account that has the role Artifact Registry Repository Administrator (roles/artifactregistry.repoAdmin) on {project}/{place}",
	Undo:         "gcloud artifacts docker tags delete {ref}",
	Unlock:       "gcloud artifacts repositories update {place} --project={project} --location={location} --no-immutable-tags",
	Create:       "gcloud artifacts repositories create {place} --project={project} --location={location} --repository-format=docker",
	CreateFirst: func(e *registry.Error) bool {
		return e.Code == "NAME_UNKNOWN" && strings.Contains(e.Message, "Repository")
	},
	Meanings: []Meaning{
		{Code: "GOOGLE_MANIFEST_DANGLING_TAG", Own: true, Kind: registry.KindReferenced, ByHand: "gcloud artifacts docker tags delete {ref}"},
		{Code: "GOOGLE_MANIFEST_DANGLING_PARENT_IMAGE", Own: true, Kind: registry.KindReferenced},
		{Words: "enabled tag immutability", Own: true, Kind: registry.KindImmutable},
		{Words: "api has not been used", Kind: registry.KindAuth, Next: "gcloud services enable artifactregistry.googleapis.com --project={project}"},
		{Words: "vpc service controls", Kind: registry.KindForbidden, Next: "VPC Service Controls keep this network out: run it inside the perimeter; no role helps"},
		{Words: "container registry is deprecated", Kind: registry.KindForbidden, Next: "Container Registry is shut down: move the images to Artifact Registry (https://cloud.google.com/artifact-registry/docs/transition/transition-from-gcr)"},
		{Words: "container registry is shutting down", Kind: registry.KindForbidden, Next: "Container Registry is shut down: move the images to Artifact Registry (https://cloud.google.com/artifact-registry/docs/transition/transition-from-gcr)"},
		{To: registry.RequestDelete, Words: "compute blob liveness", Kind: registry.KindNotFound},
	},
	Notes: "Deletes tags by the specification, and no digest that has a tag.",
}

// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package cleanup

import (
	"net/url"
	"strings"

	"github.com/LerianStudio/pushguard/pkg/registry"
)

// meaning puts a refusal into words: what it means, and the registry's own.
func meaning(e *registry.Error, err error) string {
	text := map[registry.Kind]string{
		registry.KindAuth:        "the login lacks the right to do it",
		registry.KindImmutable:   "the tag is immutable",
		registry.KindUnsupported: "the registry does not offer it",
		registry.KindReferenced:  "something else still needs the image",
		registry.KindInvalid:     "the registry does not accept it",
	}[e.Kind]
	if e.Ref.Registry == registry.GHCR && e.Kind == registry.KindReferenced {
		text = "GitHub keeps the package version"
	}
	said := e.Reason()
	// What was added to the refusal (why not by digest) stands behind it.
	if _, more, ok := strings.Cut(err.Error(), e.Error()); ok {
		said += more
	}
	return text + ": " + said
}

// remedies are the commands and pages with which a person does what a registry
// refused, by its host and by its words. The first row that matches counts. {ref},
// {tag}, {name} (host/repository), {host}, {repository}, {owner}, {package},
// {digest} and {before} are replaced; {account} is an Azure registry's name.
var remedies = []struct {
	host   string // the registry's host ends so, "" for any
	kind   registry.Kind
	code   string // part of the error code, "" for any
	text   string // part of the message in lower case, "" for any
	remedy string
}{
	{registry.DockerHub, registry.KindImmutable, "", "", hubImmutableText},
	{registry.DockerHub, registry.KindReferenced, "", "", "docker buildx imagetools inspect {name}@{digest} shows what it is; delete the tags and indexes that have it first, at https://hub.docker.com/r/{repository}/tags"},
	{registry.DockerHub, 0, "", "", "delete {tag} at https://hub.docker.com/r/{repository}/tags, or make a personal access token with Read, Write, Delete at https://app.docker.com/settings/personal-access-tokens (an organization access token cannot delete tags), docker login with it, and run regcleanup again"},
	{registry.GHCR, registry.KindReferenced, "", "last", "it is the last tagged version, which GitHub deletes only with the whole package: push another version first and run regcleanup again, or decide to delete the package at {package}"},
	{registry.GHCR, registry.KindReferenced, "", "5000 downloads", "ask GitHub support to delete it, https://support.github.com/contact, naming the version {digest} of {package}"},
	{registry.GHCR, 0, "", "", "give the repository that runs the workflow the role Admin in the package's settings (Manage Actions access) and the job permissions: packages: write, or docker login ghcr.io with a personal access token (classic) that has read:packages and delete:packages; then run regcleanup again, or delete the version {digest} at {package}"},
	{".azurecr.io", registry.KindUnsupported, "", "", "az acr repository untag --name {account} --image {repository}:{tag}"},
	{".azurecr.io", registry.KindImmutable, "", "", "az acr repository update --name {account} --image {repository}:{tag} --delete-enabled true --write-enabled true, then run regcleanup again"},
	{".amazonaws.com", 0, "", "", "aws ecr batch-delete-image --repository-name {repository} --image-ids imageTag={tag}"},
	{".pkg.dev", registry.KindImmutable, "", "", "gcloud artifacts repositories update --no-immutable-tags (for the repository), then gcloud artifacts docker tags delete {ref}"},
	{".pkg.dev", 0, "", "", "gcloud artifacts docker tags delete {ref}"},
	{"gcr.io", 0, "", "", "gcloud container images untag {ref}"},
	{"", registry.KindImmutable, "TAG_IMMUTABLE", "", "at https://{host}/repository/{repository}?tab=tags make {tag} mutable (Quay), then run regcleanup again"},
	{"", registry.KindImmutable, "PRECONDITION", "", "at https://{host}/harbor/projects change the project's tag immutability rule that matches {tag} (Harbor), then run regcleanup again"},
	{"", registry.KindImmutable, "", "configured as immutable", "at https://{host}/harbor/projects change the project's tag immutability rule that matches {tag} (Harbor), then run regcleanup again"},
	{"", registry.KindImmutable, "", "", "at {host} lift the rule that makes {tag} immutable, then run regcleanup again"},
	{"", registry.KindReferenced, "", "", "crane manifest {name}@{digest} shows the image; delete what still needs it first, then run regcleanup again"},
	{"", registry.KindAuth, "", "", "docker login {host} with an account that may delete in {repository}, then run regcleanup again"},
	{"", registry.KindUnsupported, "", "would take", "no command deletes only the tag there: move it by hand, or delete {tag} on the registry's own page for {repository}"},
	{"", 0, "", "", "allow deletions at {host} and run regcleanup again, or: crane delete {ref}"},
}

const hubImmutableText = "at https://hub.docker.com/repository/docker/{repository}/settings change the immutable tags setting so that it does not match {tag}, then run regcleanup again; or publish the next version instead"

// remedy finds the row for a refusal.
func remedy(s Step, e *registry.Error, err error) string {
	if s.Action == Restore && e.Kind != registry.KindImmutable {
		return byHand(s)
	}
	words := strings.ToLower(err.Error())
	for _, r := range remedies {
		if strings.HasSuffix(s.Claim.Ref.Registry, r.host) && (r.kind == 0 || r.kind == e.Kind) &&
			strings.Contains(e.Code, r.code) && strings.Contains(words, r.text) {
			return fill(r.remedy, s)
		}
	}
	return byHand(s)
}

func hubImmutable(s Step) string { return fill(hubImmutableText, s) }

// byHand is the command or page for a step when the registry gave no reason.
func byHand(s Step) string {
	switch {
	case s.Action == Restore:
		return fill("crane tag {name}@{before} {tag}", s)
	case s.Claim.Ref.Registry == registry.GHCR:
		return fill("delete the version {digest} at {package}", s)
	case s.Claim.Ref.Registry == registry.DockerHub:
		return fill("delete {tag} at https://hub.docker.com/r/{repository}/tags", s)
	}
	return fill("crane delete {ref}", s)
}

func fill(text string, s Step) string {
	ref := s.Claim.Ref
	owner, name, _ := strings.Cut(ref.Repository, "/")
	account, _, _ := strings.Cut(ref.Registry, ".")
	tag := ref.Tag
	if tag == "" {
		tag = ref.Digest
	}
	return strings.NewReplacer(
		"{ref}", ref.String(), "{tag}", tag, "{name}", ref.Name(), "{host}", ref.Registry, "{repository}", ref.Repository,
		"{owner}", owner, "{package}", packagePage(owner, name, s.version), "{account}", account, "{digest}", s.Now, "{before}", s.Claim.Before.Digest,
	).Replace(text)
}

// packagePage is the page of a package's versions. An organization's and a user's
// differ; the version's path tells which it is.
func packagePage(owner, name string, v registry.PackageVersion) string {
	kind := "orgs"
	if v.Path != "" && !strings.HasPrefix(v.Path, "/orgs/") {
		kind = "users"
	}
	return "https://github.com/" + kind + "/" + owner + "/packages/container/" + url.PathEscape(name) + "/versions"
}

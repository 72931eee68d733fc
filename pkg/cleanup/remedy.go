// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package cleanup

import (
	"fmt"
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
	said := e.Reason()
	// What was added to the refusal (why not by digest) stands behind it.
	if _, more, ok := strings.Cut(err.Error(), e.Error()); ok {
		said += more
	}
	return text + ": " + said
}

// byHand is the command or page with which a person does what was refused.
func byHand(ref registry.Reference, s Step) string {
	owner, name, _ := strings.Cut(ref.Repository, "/")
	switch ref.Registry {
	case registry.DockerHub:
		return fmt.Sprintf("https://hub.docker.com/r/%s/tags shows the tag; delete %s there with an account that may (an access token needs the scope Delete)", ref.Repository, ref.Tag)
	case "ghcr.io":
		return fmt.Sprintf("https://github.com/orgs/%s/packages/container/%s/versions (or /users/…) shows the version %s; an admin of the package deletes it there", owner, strings.ReplaceAll(name, "/", "%2F"), s.Now)
	}
	if s.Action == Restore {
		return fmt.Sprintf("crane tag %s %s", ref.WithDigest(s.Claim.Before.Digest), ref.Tag)
	}
	return fmt.Sprintf("allow deletions at %s and run regcleanup again, or: crane delete %s", ref.Registry, ref)
}

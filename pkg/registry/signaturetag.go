// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"regexp"
	"strings"
)

// attachedTag is a tag that belongs to a digest by its name: the fallback tag of the
// digest's referrers, which has at most 64 hex digits (distribution specification,
// "Referrers Tag Schema"), or cosign's .sig, .att and .sbom.
var attachedTag = regexp.MustCompile(`^sha256-([0-9a-f]{64})(\.[a-z]+)?$`)

// AttachedTo returns the digest to which a tag belongs by its name. ok is false for a
// tag that names an image of its own.
func AttachedTo(tag string) (digest string, ok bool) {
	m := attachedTag.FindStringSubmatch(tag)
	if m == nil {
		return "", false
	}
	return "sha256:" + m[1], true
}

// FallbackTag is the tag under which the referrers of a digest are listed where the
// registry has no referrers API.
func FallbackTag(digest string) string { return strings.Replace(digest, ":", "-", 1) }

// SignatureTag is the tag under which cosign 2 keeps the signatures of a digest.
func SignatureTag(digest string) string { return FallbackTag(digest) + ".sig" }

// AttachedTags are the tags that can belong to a digest by their names: cosign's, and
// the fallback tag.
func AttachedTags(digest string) []string {
	tag := FallbackTag(digest)
	return []string{SignatureTag(digest), tag + ".att", tag + ".sbom", tag}
}

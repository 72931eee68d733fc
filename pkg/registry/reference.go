// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

// Package registry is pushguard's view of OCI registries: references, the
// requests that the commands make, and errors that say what a registry's answer
// proves. It makes each request once; callers retry.
package registry

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"unicode"

	"github.com/regclient/regclient/types/ref"
)

// DockerHub is how Docker Hub is written in a reference.
const DockerHub = "docker.io"

// Reference names a tag, a manifest, or both, in a repository of a registry.
// It is comparable.
type Reference struct {
	Registry   string // host[:port]; Docker Hub is "docker.io"
	Repository string // "library/alpine"
	Tag        string // "" when named by digest only
	Digest     string // "sha256:…", or ""
}

// ParseReference reads a reference as docker does: "alpine:3" is
// docker.io/library/alpine:3. Unlike docker it does not add ":latest".
func ParseReference(s string) (Reference, error) {
	if s != strings.TrimSpace(s) || s == "" {
		return Reference{}, fmt.Errorf("parse reference %q: empty or with spaces around it", s)
	}
	if scheme, _, ok := strings.Cut(s, "://"); ok {
		return Reference{}, fmt.Errorf("parse reference %q: write it without %s://", s, scheme)
	}
	r, err := ref.New(s)
	if err != nil {
		return Reference{}, fmt.Errorf("parse reference %q: %s", s, why(s))
	}
	if r.Registry != "localhost" && !strings.ContainsAny(r.Registry, ".:") {
		return Reference{}, fmt.Errorf("parse reference %q: a repository is lower-case, and %q is no registry's host", s, r.Registry)
	}
	parsed := Reference{Registry: r.Registry, Repository: r.Repository, Tag: r.Tag, Digest: r.Digest}
	if r.Digest != "" && !ValidDigest(r.Digest) {
		return Reference{}, fmt.Errorf("parse reference %q: a digest is sha256: and 64 lower-case hex digits", s)
	}
	if name, _, _ := strings.Cut(s, "@"); parsed.Tag == "latest" && !strings.HasSuffix(name, ":latest") {
		parsed.Tag = "" // regclient's default, not the user's word
	}
	return parsed, nil
}

// tagPattern is the distribution specification's <reference> as a tag.
var tagPattern = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)

// ValidTag reports whether s is a tag.
func ValidTag(s string) bool { return tagPattern.MatchString(s) }

// why tells in words what keeps s from being a reference.
func why(s string) string {
	name, digest, hasDigest := strings.Cut(s, "@")
	slash := strings.LastIndexByte(name, '/')
	last := name[slash+1:]
	repository, tag, hasTag := strings.Cut(last, ":")
	switch {
	case hasDigest && !ValidDigest(digest):
		return "a digest is sha256: and 64 lower-case hex digits"
	case hasTag && len(tag) > 128:
		return fmt.Sprintf("the tag has %d characters, 128 are allowed", len(tag))
	case hasTag && strings.Contains(tag, "+"):
		return fmt.Sprintf("a tag cannot have a \"+\": write %q", strings.ReplaceAll(tag, "+", "-"))
	case hasTag && !tagPattern.MatchString(tag):
		return fmt.Sprintf("the tag %q has characters other than letters, digits, \"_\", \".\" and \"-\", or starts with \".\" or \"-\"", tag)
	case strings.ToLower(repository) != repository || slash > 0 && strings.ToLower(path(name[:slash])) != path(name[:slash]):
		return "a repository is lower-case"
	}
	return "not of the form registry/repository:tag or registry/repository@sha256:…"
}

// path leaves out what can be a registry's host.
func path(name string) string {
	host, rest, ok := strings.Cut(name, "/")
	if !strings.ContainsAny(host, ".:") {
		return name
	}
	if !ok {
		return ""
	}
	return rest
}

// ValidDigest reports whether s is a digest that pushguard takes: sha256, the
// only algorithm that registries have to know (OCI image specification, "Registered algorithms").
func ValidDigest(s string) bool { return digestPattern.MatchString(s) }

var digestPattern = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// Name is the registry and the repository: "docker.io/library/alpine".
func (r Reference) Name() string { return r.Registry + "/" + r.Repository }

// String is the reference with all parts spelt out.
func (r Reference) String() string {
	s := r.Name()
	if r.Tag != "" {
		s += ":" + r.Tag
	}
	if r.Digest != "" {
		s += "@" + r.Digest
	}
	return s
}

// CosignName is the registry and the repository as cosign writes them into what it
// signs: Docker Hub has its old host there.
func (r Reference) CosignName() string {
	if r.Registry == DockerHub {
		return "index.docker.io/" + r.Repository
	}
	return r.Name()
}

// WithDigest is the manifest digest in the same repository.
func (r Reference) WithDigest(digest string) Reference {
	r.Tag, r.Digest = "", digest
	return r
}

// WithTag is the tag in the same repository.
func (r Reference) WithTag(tag string) Reference {
	r.Tag, r.Digest = tag, ""
	return r
}

// Loopback reports whether the registry runs on this machine, where plain HTTP is
// spoken, as docker and crane do.
func (r Reference) Loopback() bool {
	host := r.Registry
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return ip != nil && ip.IsLoopback()
}

func (r Reference) regclient() ref.Ref {
	return ref.Ref{Scheme: "reg", Reference: r.String(), Registry: r.Registry, Repository: r.Repository, Tag: r.Tag, Digest: r.Digest}
}

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

// maxNames bounds what ReadNames reads, in bytes: 1 MiB is 10,000 references.
const maxNames = 1 << 20

// ReadNames reads references as they stand on the lines of r, without empty lines and
// those that begin with "#".
func ReadNames(r io.Reader) (lines []string, err error) {
	limited := &io.LimitedReader{R: r, N: maxNames + 1}
	scanner := bufio.NewScanner(limited)
	for scanner.Scan() {
		if line := strings.TrimSpace(scanner.Text()); line != "" && !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	if err := scanner.Err(); err != nil {
		return nil, fmt.Errorf("read references from stdin: %w", err)
	}
	if limited.N == 0 {
		return nil, fmt.Errorf("read references from stdin: more than %d bytes", maxNames)
	}
	return lines, nil
}

// Split takes lists of names or tags apart at commas, blanks and newlines.
func Split(lists []string) (items []string) {
	for _, list := range lists {
		items = append(items, strings.FieldsFunc(list, func(r rune) bool { return r == ',' || unicode.IsSpace(r) })...)
	}
	return items
}

var longDigest = regexp.MustCompile(`([a-z0-9]+:[0-9a-f]{12})[0-9a-f]{20,}`)

// ShortDigest cuts the digests in a text to twelve digits, for tables and logs: enough for
// a person to tell them apart.
func ShortDigest(text string) string { return longDigest.ReplaceAllString(text, "$1") }

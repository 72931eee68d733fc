// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package registrytest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// Store is the content of a small and strict registry in memory, which serves it
// (distribution specification 1.1) with the rules of a given provider. It costs
// little: tests that need a hundred thousand registries use it. It is safe for
// concurrent use.
type Store struct {
	rules Rules
	// OnTag, if set, is told of each tag that has just changed, with the store's
	// content at that moment; from or to is "" for no tag. It must not call the store.
	OnTag func(now View, tag, from, to string)
	// OnRemove, if set, is told of each manifest that is about to be deleted, while its
	// tags are there still. It must not call the store.
	OnRemove func(now View, digest string)

	mu           sync.Mutex
	repositories map[string]*repository
	ids          int64
}

// repository is one repository's content.
type repository struct {
	manifests map[string]*manifest // by digest
	deleted   map[string]*manifest // for GHCR's restore
	tags      map[string]string
	blobs     map[string][]byte
}

type manifest struct {
	id        int64 // in the order of the first push
	mediaType string
	raw       []byte
	links     links
}

// links is what a manifest names.
type links struct {
	MediaType    string       `json:"mediaType"`
	ArtifactType string       `json:"artifactType"`
	Config       *descriptor  `json:"config"`
	Layers       []descriptor `json:"layers"`
	Manifests    []descriptor `json:"manifests"`
	Subject      *descriptor  `json:"subject"`
}

type descriptor struct {
	MediaType    string            `json:"mediaType"`
	Digest       string            `json:"digest"`
	Size         int64             `json:"size"`
	ArtifactType string            `json:"artifactType,omitempty"`
	Annotations  map[string]string `json:"annotations,omitempty"`
}

// Rules are where providers differ.
type Rules struct {
	Referrers bool // the referrers API exists
	// DeleteTag and DeleteDigest refuse a deletion, by the way: nil allows it.
	DeleteTag, DeleteDigest *Refusal
	// DigestNeedsNoTag refuses to delete a digest that a tag or an index has, as
	// Docker Hub and Artifact Registry do; nil takes the tags along.
	DigestNeedsNoTag *Refusal
	// Immutable refuses to move or delete the tags for which it is true.
	Immutable func(tag string) bool
	// ImmutableRefusal is how; nil means 409 TAG_IMMUTABLE, Quay's.
	ImmutableRefusal *Refusal
}

// Refusal is an answer with the distribution specification's error body, or with Text
// in its place where that is set.
type Refusal struct {
	Status        int
	Code, Message string
	Text          string
}

// Refusals are the forms in which registries refuse a deletion.
var Refusals = []Refusal{
	{Status: 405, Code: "UNSUPPORTED", Message: "The operation is unsupported."},
	{Status: 400, Code: "DIGEST_INVALID", Message: "provided digest did not match uploaded content"},
	{Status: 400, Code: "UNSUPPORTED", Message: "the operation isn't supported"},
	{Status: 404, Code: "MANIFEST_UNKNOWN", Message: "manifest unknown"},
	{Status: 406, Text: "{\"errors\":[{\"status\":406,\"message\":\"Not Acceptable\"}]}"},
	{Status: 404, Text: "404 page not found"},
	{Status: 405, Text: "Method Not Allowed"},
	{Status: 501, Text: "Not Implemented"},
}

// NewStore returns an empty one.
func NewStore(rules Rules) *Store {
	if rules.ImmutableRefusal == nil {
		rules.ImmutableRefusal = &Refusal{Status: 409, Code: "TAG_IMMUTABLE", Message: "tag is immutable"}
	}
	return &Store{rules: rules, repositories: map[string]*repository{}}
}

// Put writes a manifest under tag ("" for none), as a push that nothing refuses, and
// returns its digest. What it names need not exist.
func (s *Store) Put(name, tag, mediaType, raw string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := &manifest{mediaType: mediaType, raw: []byte(raw)}
	if err := json.Unmarshal(m.raw, &m.links); err != nil {
		panic(err) // a test's own manifest
	}
	digest := Digest(raw)
	s.put(s.repository(name), tag, digest, m)
	return digest
}

// Tag moves a tag to a digest, "" to delete it, as somebody else would.
func (s *Store) Tag(name, tag, digest string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.move(s.repository(name), tag, digest)
}

// Tags is tag → digest of a repository.
func (s *Store) Tags(name string) map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.repository(name).tags)
}

// Has reports whether a manifest is there.
func (s *Store) Has(name, digest string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.repository(name).manifests[digest] != nil
}

// OffersReferrers reports whether it has the referrers API.
func (s *Store) OffersReferrers() bool { return s.rules.Referrers }

// Look is a repository's content, as long as nobody else uses the store.
func (s *Store) Look(name string) View {
	s.mu.Lock()
	defer s.mu.Unlock()
	return View{s.repository(name)}
}

// View is the content of a repository.
type View struct{ r *repository }

// Raw is a manifest's bytes, "" when it is not there.
func (v View) Raw(digest string) string {
	if m := v.r.manifests[digest]; m != nil {
		return string(m.raw)
	}
	return ""
}

// Blob is a blob's bytes, nil when it is not there.
func (v View) Blob(digest string) []byte { return v.r.blobs[digest] }

// Tags is tag → digest.
func (v View) Tags() map[string]string { return maps.Clone(v.r.tags) }

// Referrers are the digests of the manifests that have the subject digest, sorted.
func (v View) Referrers(digest string) []string {
	var found []string
	for d, m := range v.r.manifests {
		if m.links.Subject != nil && m.links.Subject.Digest == digest {
			found = append(found, d)
		}
	}
	slices.Sort(found)
	return found
}

// IDs are the numbers of the manifests in the order of their first push, by digest.
func (v View) IDs() map[string]int64 {
	ids := map[string]int64{}
	for digest, m := range v.r.manifests {
		ids[digest] = m.id
	}
	return ids
}

// Reached reports whether a tag has digest, or an index that contains it. Tags that
// are attached to another image by their name (sha256-…) do not count.
func (v View) Reached(digest string) bool {
	for tag, d := range v.r.tags {
		if !strings.HasPrefix(tag, "sha256-") && v.r.contains(d, digest) {
			return true
		}
	}
	return false
}

func (r *repository) contains(root, digest string) bool {
	if root == digest {
		return true
	}
	m := r.manifests[root]
	if m == nil {
		return false
	}
	return slices.ContainsFunc(m.links.Manifests, func(d descriptor) bool { return r.contains(d.Digest, digest) })
}

func (s *Store) repository(name string) *repository {
	r := s.repositories[name]
	if r == nil {
		r = &repository{manifests: map[string]*manifest{}, deleted: map[string]*manifest{}, tags: map[string]string{}, blobs: map[string][]byte{}}
		s.repositories[name] = r
	}
	return r
}

func (s *Store) put(r *repository, tag, digest string, m *manifest) {
	if r.manifests[digest] == nil {
		s.ids++
		m.id = s.ids
		r.manifests[digest] = m
	}
	if tag != "" {
		s.move(r, tag, digest)
	}
}

func (s *Store) move(r *repository, tag, digest string) {
	from := r.tags[tag]
	if digest == "" {
		delete(r.tags, tag)
	} else {
		r.tags[tag] = digest
	}
	if from != digest && s.OnTag != nil {
		s.OnTag(View{r}, tag, from, digest)
	}
}

// remove deletes a manifest and its tags.
func (s *Store) remove(r *repository, digest string) {
	if s.OnRemove != nil {
		s.OnRemove(View{r}, digest)
	}
	r.deleted[digest] = r.manifests[digest]
	for _, tag := range r.tagsOf(digest) {
		s.move(r, tag, "")
	}
	delete(r.manifests, digest)
}

// tagsOf lists a digest's tags, sorted.
func (r *repository) tagsOf(digest string) []string {
	tags := []string{}
	for tag, d := range r.tags {
		if d == digest {
			tags = append(tags, tag)
		}
	}
	slices.Sort(tags)
	return tags
}

// referenced names what has the digest: a tag, or an index.
func (r *repository) referenced(digest string) string {
	if tags := r.tagsOf(digest); len(tags) > 0 {
		return "tag " + tags[0]
	}
	for d, m := range r.manifests {
		if slices.ContainsFunc(m.links.Manifests, func(c descriptor) bool { return c.Digest == digest }) {
			return "index " + d
		}
	}
	return ""
}

// missing names the first thing that a manifest names and the repository lacks. A
// subject may be missing (distribution specification, "Pushing Manifests with Subject").
func (r *repository) missing(l links) string {
	for _, d := range l.Manifests {
		if r.manifests[d.Digest] == nil {
			return d.Digest
		}
	}
	blobs := l.Layers
	if l.Config != nil {
		blobs = append(slices.Clone(blobs), *l.Config)
	}
	for _, d := range blobs {
		if _, ok := r.blobs[d.Digest]; !ok {
			return d.Digest
		}
	}
	return ""
}

func (m *manifest) descriptor() descriptor {
	d := descriptor{MediaType: m.mediaType, Digest: Digest(string(m.raw)), Size: int64(len(m.raw)), ArtifactType: m.links.ArtifactType}
	if d.ArtifactType == "" && m.links.Config != nil {
		d.ArtifactType = m.links.Config.MediaType
	}
	return d
}

// image is an image without layers; different content, another digest.
func image(content string) (config, manifest string) {
	config = fmt.Sprintf(`{"architecture":"amd64","os":"linux","config":{"Labels":{"content":%q}},"rootfs":{"type":"layers","diff_ids":[]}}`, content)
	return config, fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","size":%d,"digest":%q},"layers":[]}`,
		MediaTypeManifest, len(config), Digest(config))
}

// The media types of images (OCI image specification, "Media Types").
const (
	MediaTypeManifest = "application/vnd.oci.image.manifest.v1+json"
	MediaTypeIndex    = "application/vnd.oci.image.index.v1+json"
)

// PutImage writes an image made of content under tag ("" for none) and returns its
// digest, the one that [Push] gives.
func (s *Store) PutImage(name, tag, content string) string {
	config, raw := image(content)
	s.mu.Lock()
	s.repository(name).blobs[Digest(config)] = []byte(config)
	s.mu.Unlock()
	return s.Put(name, tag, MediaTypeManifest, raw)
}

// Registry puts the store behind faults and a log of what was asked.
func (s *Store) Registry() *Registry { return &Registry{next: s} }

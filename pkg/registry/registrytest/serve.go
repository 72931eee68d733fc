// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package registrytest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// ServeHTTP is the registry (distribution specification, "Endpoints").
func (s *Store) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	path, ok := strings.CutPrefix(req.URL.Path, "/v2/")
	if !ok {
		http.NotFound(w, req)
		return
	}
	if path == "" {
		w.WriteHeader(http.StatusOK)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for part, handler := range map[string]func(http.ResponseWriter, *http.Request, string, string){
		"/manifests/": s.manifest, "/tags/": s.list, "/referrers/": s.referrers, "/blobs/": s.blob,
	} {
		if i := strings.LastIndex(path, part); i > 0 {
			handler(w, req, path[:i], path[i+len(part):])
			return
		}
	}
	Error(http.StatusNotFound, "NAME_INVALID", "no such endpoint")(w, req)
}

func (f *Refusal) answer(w http.ResponseWriter, req *http.Request) {
	if f.Text != "" {
		Text(f.Status, "text/plain", f.Text)(w, req)
		return
	}
	Error(f.Status, f.Code, f.Message)(w, req)
}

func (s *Store) manifest(w http.ResponseWriter, req *http.Request, name, what string) {
	r, known := s.repositories[name]
	if !known && req.Method != http.MethodPut {
		Error(http.StatusNotFound, "NAME_UNKNOWN", "repository name not known to registry")(w, req)
		return
	}
	if req.Method == http.MethodPut {
		s.push(w, req, name, what)
		return
	}
	digest, tag := what, ""
	if !strings.HasPrefix(what, "sha256:") {
		digest, tag = r.tags[what], what
	}
	m := r.manifests[digest]
	switch {
	case req.Method == http.MethodDelete && tag != "" && s.rules.DeleteTag != nil:
		s.rules.DeleteTag.answer(w, req)
	case req.Method == http.MethodDelete && tag == "" && s.rules.DeleteDigest != nil:
		s.rules.DeleteDigest.answer(w, req)
	case m == nil:
		Error(http.StatusNotFound, "MANIFEST_UNKNOWN", "manifest unknown")(w, req)
	case req.Method == http.MethodDelete:
		s.delete(w, req, r, tag, digest)
	case len(req.Header["Accept"]) > 0 && !slices.Contains(accepted(req), m.mediaType):
		Error(http.StatusNotFound, "MANIFEST_UNKNOWN", "OCI index found, but accept header does not support OCI indexes")(w, req)
	default:
		h := w.Header()
		h.Set("Content-Type", m.mediaType)
		h.Set("Docker-Content-Digest", digest)
		h.Set("Content-Length", strconv.Itoa(len(m.raw)))
		if req.Method == http.MethodGet {
			_, _ = w.Write(m.raw)
		}
	}
}

func accepted(req *http.Request) []string {
	var types []string
	for _, line := range req.Header["Accept"] {
		for t := range strings.SplitSeq(line, ",") {
			types = append(types, strings.TrimSpace(t))
		}
	}
	return types
}

func (s *Store) delete(w http.ResponseWriter, req *http.Request, r *repository, tag, digest string) {
	locked := s.rules.Immutable
	switch {
	case tag != "" && locked != nil && locked(tag), tag == "" && locked != nil && slices.ContainsFunc(r.tagsOf(digest), locked):
		s.rules.ImmutableRefusal.answer(w, req)
	case tag != "":
		s.move(r, tag, "")
		w.WriteHeader(http.StatusAccepted)
	case s.rules.DigestNeedsNoTag != nil && r.referenced(digest) != "":
		s.rules.DigestNeedsNoTag.answer(w, req)
	default:
		s.remove(r, digest)
		w.WriteHeader(http.StatusAccepted)
	}
}

func (s *Store) push(w http.ResponseWriter, req *http.Request, name, what string) {
	raw, err := io.ReadAll(req.Body)
	m := &manifest{mediaType: req.Header.Get("Content-Type"), raw: raw}
	if err != nil || json.Unmarshal(raw, &m.links) != nil || m.links.MediaType != m.mediaType {
		Error(http.StatusBadRequest, "MANIFEST_INVALID", "manifest invalid")(w, req)
		return
	}
	digest, tag := Digest(string(raw)), what
	if strings.HasPrefix(what, "sha256:") {
		tag = ""
		if what != digest {
			Error(http.StatusBadRequest, "DIGEST_INVALID", "provided digest did not match uploaded content")(w, req)
			return
		}
	}
	r := s.repository(name)
	if missing := r.missing(m.links); missing != "" {
		Error(http.StatusNotFound, "MANIFEST_BLOB_UNKNOWN", "unknown: "+missing)(w, req)
		return
	}
	if old := r.tags[tag]; tag != "" && old != "" && old != digest && s.rules.Immutable != nil && s.rules.Immutable(tag) {
		s.rules.ImmutableRefusal.answer(w, req)
		return
	}
	s.put(r, tag, digest, m)
	if s.rules.Referrers && m.links.Subject != nil {
		w.Header().Set("OCI-Subject", m.links.Subject.Digest)
	}
	w.Header().Set("Docker-Content-Digest", digest)
	w.WriteHeader(http.StatusCreated)
}

// list is GET /v2/<name>/tags/list with n and last ("Listing Tags").
func (s *Store) list(w http.ResponseWriter, req *http.Request, name, what string) {
	r, known := s.repositories[name]
	if !known || what != "list" || req.Method != http.MethodGet {
		Error(http.StatusNotFound, "NAME_UNKNOWN", "repository name not known to registry")(w, req)
		return
	}
	tags := make([]string, 0, len(r.tags))
	for tag := range r.tags {
		tags = append(tags, tag)
	}
	slices.Sort(tags)
	query := req.URL.Query()
	if last := query.Get("last"); last != "" {
		at, found := slices.BinarySearch(tags, last)
		if found {
			at++
		}
		tags = tags[at:]
	}
	page := 1000
	if n, err := strconv.Atoi(query.Get("n")); err == nil {
		page = n
	}
	if len(tags) > page {
		tags = tags[:page]
		w.Header().Set("Link", fmt.Sprintf(`</v2/%s/tags/list?n=%d&last=%s>; rel="next"`, name, page, tags[page-1]))
	}
	answerJSON(w, http.StatusOK, map[string]any{"name": name, "tags": tags})
}

func (s *Store) referrers(w http.ResponseWriter, req *http.Request, name, digest string) {
	if !s.rules.Referrers || req.Method != http.MethodGet {
		http.NotFound(w, req)
		return
	}
	found := []descriptor{}
	if r := s.repositories[name]; r != nil {
		for _, m := range r.manifests {
			if m.links.Subject != nil && m.links.Subject.Digest == digest {
				found = append(found, m.descriptor())
			}
		}
	}
	slices.SortFunc(found, func(a, b descriptor) int { return strings.Compare(a.Digest, b.Digest) })
	w.Header().Set("Content-Type", MediaTypeIndex)
	_ = json.NewEncoder(w).Encode(map[string]any{"schemaVersion": 2, "mediaType": MediaTypeIndex, "manifests": found})
}

// blob takes a blob in one POST, or in a POST and a PUT, and gives it back.
func (s *Store) blob(w http.ResponseWriter, req *http.Request, name, what string) {
	r := s.repository(name)
	data, have := r.blobs[what]
	digest := req.URL.Query().Get("digest")
	switch {
	case req.Method == http.MethodPost && digest == "":
		w.Header().Set("Location", "/v2/"+name+"/blobs/uploads/1")
		w.WriteHeader(http.StatusAccepted)
	case req.Method == http.MethodPost || req.Method == http.MethodPut:
		data, err := io.ReadAll(req.Body)
		if err != nil || Digest(string(data)) != digest {
			Error(http.StatusBadRequest, "DIGEST_INVALID", "provided digest did not match uploaded content")(w, req)
			return
		}
		r.blobs[digest] = data
		w.Header().Set("Location", "/v2/"+name+"/blobs/"+digest)
		w.WriteHeader(http.StatusCreated)
	case !have:
		Error(http.StatusNotFound, "BLOB_UNKNOWN", "blob unknown to registry")(w, req)
	default:
		w.Header().Set("Content-Length", strconv.Itoa(len(data)))
		w.Header().Set("Docker-Content-Digest", what)
		if req.Method == http.MethodGet {
			_, _ = w.Write(data)
		}
	}
}

func answerJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value)
}

// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package cleanup_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/LerianStudio/pushguard/pkg/registry/registrytest"
)

// distortions are how a registry's reads are wrong in a history. Real ones do all of
// this: ECR Public answers 404 for the tags of a repository that has some, GHCR shows
// old answers for seconds.
type distortions struct {
	list   string        // how the list of tags is wrong: "", fails, omits, lags
	stale  bool          // a tag is read as it was
	window time.Duration // how old a read that lags or is stale may be

	begin map[string]string // the tags at the begin, and each change of them
	moves []move
	raw   map[string]string // what each digest was that a tag has had
}

type move struct {
	at      time.Time
	tag, to string
}

func distort(rng *rand.Rand) distortions {
	d := distortions{begin: map[string]string{}, raw: map[string]string{}, window: time.Duration(1+rng.IntN(5)) * time.Second}
	d.list = []string{"", "", "", "", "fails", "omits", "lags"}[rng.IntN(7)]
	d.stale = rng.IntN(6) == 0
	return d
}

// delays reports whether what somebody does is seen only later.
func (d *distortions) delays() bool { return d.stale || d.list == "lags" }

// note keeps a change of a tag.
func (d *distortions) note(now registrytest.View, tag, from, to string) {
	for _, digest := range []string{from, to} {
		if raw := now.Raw(digest); raw != "" {
			d.raw[digest] = raw
		}
	}
	d.moves = append(d.moves, move{time.Now(), tag, to})
}

// tags are the tags as they were at a time.
func (d *distortions) tags(at time.Time) map[string]string {
	tags := maps.Clone(d.begin)
	for _, m := range d.moves {
		if m.at.After(at) {
			break
		}
		tags[m.tag] = m.to
		if m.to == "" {
			delete(tags, m.tag)
		}
	}
	return tags
}

// answer gives a wrong answer and reports true, or leaves the request to the registry.
func (h *history) answer(w http.ResponseWriter, req *http.Request) bool {
	_, tag, manifest := strings.Cut(req.URL.Path, "/manifests/")
	versions := strings.HasSuffix(req.URL.Path, "/versions")
	old := h.tags(time.Now().Add(-h.window))
	switch {
	case h.stale && manifest && !strings.Contains(tag, ":") && (req.Method == http.MethodHead || req.Method == http.MethodGet):
		return h.answerManifest(w, req, old[tag])
	case req.Method != http.MethodGet || !versions && !strings.HasSuffix(req.URL.Path, "/tags/list"):
		return false
	case h.list == "fails":
		fail := []http.HandlerFunc{
			registrytest.Error(http.StatusNotFound, "NOT_FOUND", "404 page not found"), registrytest.Error(http.StatusNotFound, "NAME_UNKNOWN", "repository name not known to registry"),
			registrytest.Error(http.StatusForbidden, "DENIED", "denied"), registrytest.Text(http.StatusOK, "text/html", "<html>"),
			registrytest.Text(http.StatusOK, "application/json", `{"name":"org/app","tags":[`),
		}
		fail[h.rng.IntN(len(fail))](w, req)
		return true
	case h.list == "lags":
		h.answerList(w, versions, old)
		return true
	case h.list == "omits":
		tags := h.store.Tags(repository)
		for tag := range tags {
			if h.claims[tag] != nil && (h.rng.IntN(2) == 0 || h.present(tags) == 1) {
				delete(tags, tag)
			}
		}
		if len(tags) == len(h.store.Tags(repository)) {
			return false // nothing of what was seen would be missing: nobody could tell
		}
		h.answerList(w, versions, tags)
		return true
	}
	return false
}

// present counts the tags of the run that are among tags.
func (h *history) present(tags map[string]string) (n int) {
	for tag := range tags {
		if h.claims[tag] != nil {
			n++
		}
	}
	return n
}

func (h *history) answerManifest(w http.ResponseWriter, req *http.Request, digest string) bool {
	raw := h.raw[digest]
	if raw == "" {
		registrytest.Error(http.StatusNotFound, "MANIFEST_UNKNOWN", "manifest unknown")(w, req)
		return true
	}
	var m struct {
		MediaType string `json:"mediaType"`
	}
	_ = json.Unmarshal([]byte(raw), &m)
	w.Header().Set("Content-Type", m.MediaType)
	w.Header().Set("Docker-Content-Digest", digest)
	w.Header().Set("Content-Length", strconv.Itoa(len(raw)))
	if req.Method == http.MethodGet {
		_, _ = fmt.Fprint(w, raw)
	}
	return true
}

// answerList lists tags as a registry does, or as versions of a package.
func (h *history) answerList(w http.ResponseWriter, versions bool, tags map[string]string) {
	w.Header().Set("Content-Type", "application/json")
	if !versions {
		_ = json.NewEncoder(w).Encode(map[string]any{"name": repository, "tags": append([]string{}, slices.Sorted(maps.Keys(tags))...)})
		return
	}
	var list []map[string]any
	for digest, id := range h.store.Look(repository).IDs() {
		on := []string{}
		for tag, named := range tags {
			if named == digest {
				on = append(on, tag)
			}
		}
		list = append(list, map[string]any{"id": id, "name": digest, "metadata": map[string]any{"container": map[string]any{"tags": on}}})
	}
	_ = json.NewEncoder(w).Encode(list)
}

// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package registrytest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Distortion is how the reads of one repository of a [Store] are wrong. Real registries
// do all of this: ECR Public answers 404 for the tags of a repository that has some, GHCR
// shows old answers for seconds. Its fields are set before the first request; its methods
// are not safe for concurrent use.
type Distortion struct {
	Store      *Store
	Repository string
	List       string        // how the list of tags is wrong: "", fails, omits, lags
	Stale      bool          // a tag is read as it was
	Window     time.Duration // how old a read that lags or is stale may be
	// Omits says which tags a list that omits may leave out.
	Omits func(tag string) bool
	// IntN draws a number below n.
	IntN func(n int) int

	begin map[string]string // the tags when the first change was noted
	moves []Move
	raw   map[string]string // what each digest was that a tag has had
}

// Move is one change of a tag; From or To is "" for no image.
type Move struct {
	At            time.Time
	Tag, From, To string
}

// Delays reports whether what somebody does is seen only later.
func (d *Distortion) Delays() bool { return d.Stale || d.List == "lags" }

// Note keeps a change of a tag; it has the parameters of [Store.OnTag].
func (d *Distortion) Note(now View, tag, from, to string) {
	if d.raw == nil {
		d.raw, d.begin = map[string]string{}, map[string]string{}
	}
	for _, digest := range []string{from, to} {
		if raw := now.Raw(digest); raw != "" {
			d.raw[digest] = raw
		}
	}
	d.moves = append(d.moves, Move{time.Now(), tag, from, to})
}

// Moves are all changes that were noted, oldest first.
func (d *Distortion) Moves() []Move { return d.moves }

// Tags are the tags as they were at a time.
func (d *Distortion) Tags(at time.Time) map[string]string {
	tags := maps.Clone(d.begin)
	for _, m := range d.moves {
		if m.At.After(at) {
			break
		}
		tags[m.Tag] = m.To
		if m.To == "" {
			delete(tags, m.Tag)
		}
	}
	return tags
}

// Answer gives a wrong answer and reports true, or leaves the request to the registry.
func (d *Distortion) Answer(w http.ResponseWriter, req *http.Request) bool {
	if !d.Stale && d.List == "" {
		return false
	}
	_, tag, manifest := strings.Cut(req.URL.Path, "/manifests/")
	versions := strings.HasSuffix(req.URL.Path, "/versions")
	old := d.Tags(time.Now().Add(-d.Window))
	switch {
	case d.Stale && manifest && !strings.Contains(tag, ":") && (req.Method == http.MethodHead || req.Method == http.MethodGet):
		return d.answerManifest(w, req, old[tag])
	case req.Method != http.MethodGet || !versions && !strings.HasSuffix(req.URL.Path, "/tags/list"):
		return false
	case d.List == "fails":
		fail := []http.HandlerFunc{
			Error(http.StatusNotFound, "NOT_FOUND", "404 page not found"), Error(http.StatusNotFound, "NAME_UNKNOWN", "repository name not known to registry"),
			Error(http.StatusForbidden, "DENIED", "denied"), Text(http.StatusOK, "text/html", "<html>"),
			Text(http.StatusOK, "application/json", `{"name":"org/app","tags":[`),
		}
		fail[d.IntN(len(fail))](w, req)
		return true
	case d.List == "lags":
		d.answerList(w, versions, old)
		return true
	case d.List == "omits":
		tags := d.Store.Tags(d.Repository)
		for _, tag := range slices.Sorted(maps.Keys(tags)) {
			if d.Omits(tag) && (d.IntN(2) == 0 || d.omittable(tags) == 1) {
				delete(tags, tag)
			}
		}
		if len(tags) == len(d.Store.Tags(d.Repository)) {
			return false // nothing of what was seen would be missing: nobody could tell
		}
		d.answerList(w, versions, tags)
		return true
	}
	return false
}

// omittable counts the tags that may be left out.
func (d *Distortion) omittable(tags map[string]string) (n int) {
	for tag := range tags {
		if d.Omits(tag) {
			n++
		}
	}
	return n
}

func (d *Distortion) answerManifest(w http.ResponseWriter, req *http.Request, digest string) bool {
	raw := d.raw[digest]
	if raw == "" {
		Error(http.StatusNotFound, "MANIFEST_UNKNOWN", "manifest unknown")(w, req)
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
func (d *Distortion) answerList(w http.ResponseWriter, versions bool, tags map[string]string) {
	w.Header().Set("Content-Type", "application/json")
	if !versions {
		_ = json.NewEncoder(w).Encode(map[string]any{"name": d.Repository, "tags": append([]string{}, slices.Sorted(maps.Keys(tags))...)})
		return
	}
	ids := d.Store.Look(d.Repository).IDs()
	list := []map[string]any{}
	for _, digest := range slices.SortedFunc(maps.Keys(ids), func(a, b string) int { return int(ids[b] - ids[a]) }) {
		on := []string{}
		for _, tag := range slices.Sorted(maps.Keys(tags)) {
			if tags[tag] == digest {
				on = append(on, tag)
			}
		}
		list = append(list, map[string]any{"id": ids[digest], "name": digest, "metadata": map[string]any{"container": map[string]any{"tags": on}}})
	}
	_ = json.NewEncoder(w).Encode(list)
}

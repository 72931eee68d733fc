// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package registrytest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
)

// conforming mends where go-containerregistry v0.22.1 differs from the distribution
// specification: a manifest deleted by digest keeps its tags ("Deleting
// Manifests"); a PUT with a subject lacks the OCI-Subject header ("Pushing Manifests
// with Subject"); a referrer's artifact type is its configuration's media type
// ("Listing Referrers"); a PUT by digest ignores the tags that it is to put ("Pushing
// Manifests").
type conforming struct {
	next      http.Handler
	referrers bool // the referrers API is offered
}

func (c conforming) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	repository, digest, isReferrers := strings.Cut(req.URL.Path, "/referrers/")
	switch {
	case isReferrers && req.Method == http.MethodGet && c.referrers:
		c.list(w, req, repository, digest)
	case req.Method == http.MethodDelete && strings.Contains(req.URL.Path, "/manifests/sha256:"):
		c.untag(req)
		c.next.ServeHTTP(w, req)
	case c.referrers && strings.Contains(req.URL.Path, "/manifests/") && req.Method == http.MethodPut:
		body, err := io.ReadAll(req.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		req.Body = io.NopCloser(bytes.NewReader(body))
		var m struct {
			Subject *struct {
				Digest string `json:"digest"`
			} `json:"subject"`
		}
		if json.Unmarshal(body, &m) == nil && m.Subject != nil {
			w.Header().Set("OCI-Subject", m.Subject.Digest)
		}
		repository, _, _ := strings.Cut(req.URL.Path, "/manifests/")
		for _, tag := range req.URL.Query()["tag"] {
			put := httptest.NewRequestWithContext(req.Context(), http.MethodPut, repository+"/manifests/"+tag, bytes.NewReader(body))
			put.Header = req.Header
			answer := httptest.NewRecorder()
			if c.next.ServeHTTP(answer, put); answer.Code == http.StatusCreated {
				w.Header().Add("OCI-Tag", tag)
			}
		}
		c.next.ServeHTTP(w, req)
	default:
		c.next.ServeHTTP(w, req)
	}
}

// untag deletes the tags of the digest that req is about to delete.
func (c conforming) untag(req *http.Request) {
	repository, digest, _ := strings.Cut(req.URL.Path, "/manifests/")
	var list struct {
		Tags []string `json:"tags"`
	}
	_ = json.Unmarshal(c.do(req, http.MethodGet, repository+"/tags/list").Body.Bytes(), &list)
	for _, tag := range list.Tags {
		path := repository + "/manifests/" + tag
		if c.do(req, http.MethodHead, path).Header().Get("Docker-Content-Digest") == digest {
			c.do(req, http.MethodDelete, path)
		}
	}
}

func (c conforming) list(w http.ResponseWriter, req *http.Request, repository, digest string) {
	answer := c.do(req, http.MethodGet, repository+"/referrers/"+digest)
	var index map[string]any
	if answer.Code != http.StatusOK || json.Unmarshal(answer.Body.Bytes(), &index) != nil {
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
		return
	}
	wanted := req.URL.Query().Get("artifactType")
	kept := []any{}
	list, _ := index["manifests"].([]any)
	for _, item := range list {
		d, _ := item.(map[string]any)
		name, _ := d["digest"].(string)
		var m struct {
			ArtifactType string `json:"artifactType"`
		}
		if json.Unmarshal(c.do(req, http.MethodGet, repository+"/manifests/"+name).Body.Bytes(), &m) == nil && m.ArtifactType != "" {
			d["artifactType"] = m.ArtifactType
		}
		if wanted == "" || wanted == d["artifactType"] {
			kept = append(kept, d)
		}
	}
	index["manifests"] = kept
	w.Header().Set("Content-Type", "application/vnd.oci.image.index.v1+json")
	if wanted != "" {
		w.Header().Set("OCI-Filters-Applied", "artifactType")
	}
	_ = json.NewEncoder(w).Encode(index)
}

func (c conforming) do(req *http.Request, method, path string) *httptest.ResponseRecorder {
	inner := httptest.NewRequestWithContext(req.Context(), method, path, nil)
	answer := httptest.NewRecorder()
	c.next.ServeHTTP(answer, inner)
	return answer
}

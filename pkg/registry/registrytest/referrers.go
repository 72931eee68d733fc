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

// conforming mends what go-containerregistry v0.22.1 leaves out of the referrers
// API: the OCI-Subject header of a PUT, and the artifact type of a manifest, for
// which it gives the configuration's media type (distribution specification,
// "Pushing Manifests with Subject" and "Listing Referrers").
type conforming struct {
	next http.Handler
}

func (c conforming) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	repository, digest, isReferrers := strings.Cut(req.URL.Path, "/referrers/")
	switch {
	case isReferrers && req.Method == http.MethodGet:
		c.referrers(w, req, repository, digest)
	case strings.Contains(req.URL.Path, "/manifests/") && req.Method == http.MethodPut:
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
		c.next.ServeHTTP(w, req)
	default:
		c.next.ServeHTTP(w, req)
	}
}

func (c conforming) referrers(w http.ResponseWriter, req *http.Request, repository, digest string) {
	answer := c.get(req, repository+"/referrers/"+digest)
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
		if json.Unmarshal(c.get(req, repository+"/manifests/"+name).Body.Bytes(), &m) == nil && m.ArtifactType != "" {
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

func (c conforming) get(req *http.Request, path string) *httptest.ResponseRecorder {
	inner := httptest.NewRequestWithContext(req.Context(), http.MethodGet, path, nil)
	answer := httptest.NewRecorder()
	c.next.ServeHTTP(answer, inner)
	return answer
}

// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package registrytest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"time"
)

// api is hub.docker.com.
func (d *DockerHub) api() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v2/auth/token", d.postToken)
	mux.HandleFunc("GET /v2/namespaces/{namespace}/repositories/{repository}", d.getRepository)
	mux.HandleFunc("GET /v2/namespaces/{namespace}/repositories/{repository}/tags/{tag}", d.getTag)
	mux.HandleFunc("DELETE /v2/repositories/{namespace}/{repository}/tags/{tag}/{$}", d.deleteTag)
	return mux
}

// hubError is how hub.docker.com words a refusal.
func hubError(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"message": message, "detail": message, "errinfo": map[string]string{}})
}

func hubAnswer(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value)
}

func (d *DockerHub) postToken(w http.ResponseWriter, r *http.Request) {
	var login struct {
		Identifier string `json:"identifier"`
		Secret     string `json:"secret"`
	}
	if err := json.NewDecoder(r.Body).Decode(&login); err != nil {
		hubError(w, http.StatusBadRequest, err.Error())
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	account, known := d.accounts[login.Identifier]
	if !known || account.Secret != login.Secret {
		hubError(w, http.StatusUnauthorized, "Incorrect authentication credentials")
		return
	}
	token := fmt.Sprintf("hub-%d", len(d.sessions)+1)
	d.sessions[token] = account
	hubAnswer(w, map[string]string{"access_token": token})
}

// session is who sends r, the zero account without a token; false after a refusal.
func (d *DockerHub) session(w http.ResponseWriter, r *http.Request) (HubAccount, bool) {
	header := r.Header.Get("Authorization")
	if header == "" {
		return HubAccount{}, true
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	account, known := d.sessions[strings.TrimPrefix(header, "Bearer ")]
	if !known {
		hubError(w, http.StatusUnauthorized, "token is invalid or expired")
	}
	return account, known
}

func (d *DockerHub) getRepository(w http.ResponseWriter, r *http.Request) {
	account, ok := d.session(w, r)
	if !ok {
		return
	}
	namespace, name := r.PathValue("namespace"), r.PathValue("repository")
	d.mu.Lock()
	rights, visible := d.rights(account, namespace+"/"+name)
	settings := d.repositories[namespace+"/"+name]
	d.mu.Unlock()
	if !visible {
		hubError(w, http.StatusNotFound, "object not found")
		return
	}
	rules := settings.Rules
	if rules == nil {
		rules = []string{}
	}
	at := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	hubAnswer(w, map[string]any{
		"user": namespace, "name": name, "namespace": namespace, "repository_type": "image", "status": 1, "status_description": "active",
		"description": "", "is_private": settings.Private, "is_automated": false, "star_count": 0, "pull_count": 0,
		"last_updated": at, "date_registered": at, "collaborator_count": 0, "has_starred": false,
		"permissions": map[string]bool{
			"read": true, "write": slices.Contains(rights, "push"), "admin": account.Name != "" && account.Name == namespace,
		},
		"media_types": []string{}, "content_types": []string{"image"}, "categories": []any{},
		"immutable_tags_settings": map[string]any{"enabled": settings.Immutable, "rules": rules},
		"storage_size":            nil,
	})
}

func (d *DockerHub) getTag(w http.ResponseWriter, r *http.Request) {
	account, ok := d.session(w, r)
	if !ok {
		return
	}
	repository, tag := r.PathValue("namespace")+"/"+r.PathValue("repository"), r.PathValue("tag")
	d.mu.Lock()
	_, visible := d.rights(account, repository)
	d.mu.Unlock()
	digest := d.digest(repository, tag)
	if !visible || digest == "" {
		hubError(w, http.StatusNotFound, "object not found")
		return
	}
	// images is an array and v2 a boolean, whatever the description says.
	hubAnswer(w, map[string]any{"name": tag, "digest": digest, "images": []any{}, "v2": true, "tag_status": "active"})
}

// deleteTag removes one tag. What Docker Hub says of an immutable one is not known;
// this is the registry's own wording in the API's form.
func (d *DockerHub) deleteTag(w http.ResponseWriter, r *http.Request) {
	account, ok := d.session(w, r)
	if !ok {
		return
	}
	repository, tag := r.PathValue("namespace")+"/"+r.PathValue("repository"), r.PathValue("tag")
	d.mu.Lock()
	rights, visible := d.rights(account, repository)
	settings := d.repositories[repository]
	d.mu.Unlock()
	switch {
	case account.Name == "":
		hubError(w, http.StatusUnauthorized, "Authentication credentials were not provided.")
	case !visible || !d.has(repository, tag):
		hubError(w, http.StatusNotFound, "object not found")
	case account.Organization:
		hubError(w, http.StatusForbidden, "access is forbidden with a JWT issued from an organization access token")
	case !slices.Contains(rights, "delete"):
		hubError(w, http.StatusForbidden, "access denied: insufficient scope")
	case settings.immutable(tag):
		hubError(w, http.StatusForbidden, "tag "+tag+" cannot be deleted due to immutability settings")
	default:
		answer := httptest.NewRecorder()
		d.Images.next.ServeHTTP(answer, httptest.NewRequest(http.MethodDelete, "/v2/"+repository+"/manifests/"+tag, nil))
		w.WriteHeader(http.StatusNoContent)
	}
}

func (d *DockerHub) tags(repository string) []string {
	answer := httptest.NewRecorder()
	d.Images.next.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/v2/"+repository+"/tags/list", nil))
	var list struct {
		Tags []string `json:"tags"`
	}
	_ = json.Unmarshal(answer.Body.Bytes(), &list)
	return list.Tags
}

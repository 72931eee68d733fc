// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package registrytest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// DockerHub is a strict stand-in for Docker Hub: registry-1.docker.io in front of
// Images, auth.docker.io, and hub.docker.com with faults of its own. It does what
// Docker documents, and where Docker does not, what its users report.
type DockerHub struct {
	Images *Registry // without any of Docker Hub's rules, for tests to fill
	API    Faults    // in front of hub.docker.com
	Auth   Faults    // in front of auth.docker.io

	guard Guard

	mu           sync.Mutex
	accounts     map[string]HubAccount
	repositories map[string]HubRepository
	sessions     map[string]HubAccount // by Hub token
	remaining    int                   // pulls, as the header says
}

// HubAccount is who can log in.
type HubAccount struct {
	Name, Secret string
	ReadOnly     bool // an access token with Read
	Delete       bool // an access token with Read, Write, Delete
	Organization bool // an organization access token: no deletion of tags
}

// HubRepository says who may do what in a repository.
type HubRepository struct {
	Private   bool
	Writers   []string // accounts beside the namespace's own
	Immutable bool
	Rules     []string
}

// NewDockerHub returns an empty one with the accounts given.
func NewDockerHub(accounts ...HubAccount) *DockerHub {
	d := &DockerHub{
		Images: New(true), accounts: map[string]HubAccount{}, repositories: map[string]HubRepository{},
		sessions: map[string]HubAccount{}, remaining: 100,
	}
	for _, a := range accounts {
		d.accounts[a.Name] = a
	}
	d.guard = Guard{Realm: "https://auth.docker.io/token", Service: "registry.docker.io", Grant: d.grant}
	return d
}

// Set makes a repository ("org/app") exist, or changes its settings.
func (d *DockerHub) Set(repository string, settings HubRepository) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.repositories[repository] = settings
}

// SetPulls says how many pulls are left.
func (d *DockerHub) SetPulls(remaining int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.remaining = remaining
}

// Hosts are its three hosts, for [NewInternet].
func (d *DockerHub) Hosts() map[string]http.Handler {
	return map[string]http.Handler{
		"registry-1.docker.io": d.guard.Protect(http.HandlerFunc(d.registry)),
		"auth.docker.io":       d.Auth.Front(d.guard.Tokens()),
		"hub.docker.com":       d.API.Front(d.api()),
	}
}

// rights are what an account (the zero one is anonymous) may do in a repository;
// exists is false for one that does not exist or is not visible.
func (d *DockerHub) rights(a HubAccount, repository string) (rights []string, exists bool) {
	settings, exists := d.repositories[repository]
	namespace, _, _ := strings.Cut(repository, "/")
	own := a.Name != "" && a.Name == namespace
	switch {
	case !exists && own && !a.ReadOnly: // a push creates it
		return []string{"pull", "push"}, false
	case !exists:
		return nil, false
	case (own || slices.Contains(settings.Writers, a.Name)) && a.Name != "" && !a.ReadOnly:
		rights = []string{"pull", "push"}
		if a.Delete {
			rights = append(rights, "delete")
		}
		return rights, true
	case !settings.Private, own, slices.Contains(settings.Writers, a.Name) && a.Name != "":
		return []string{"pull"}, true
	}
	return nil, false
}

// grant gives what is asked and allowed, which may be nothing: the token service
// only refuses wrong passwords (registry/spec/auth/token.md).
func (d *DockerHub) grant(user, secret, repository string, actions []string) ([]string, http.HandlerFunc) {
	d.mu.Lock()
	defer d.mu.Unlock()
	account := HubAccount{}
	if user != "" {
		account = d.accounts[user]
		if account.Name == "" || account.Secret != secret {
			return nil, Text(http.StatusUnauthorized, "application/json", `{"details":"incorrect username or password"}`)
		}
	}
	rights, _ := d.rights(account, repository)
	return slices.DeleteFunc(slices.Clone(actions), func(a string) bool { return !slices.Contains(rights, a) }), nil
}

// registry is registry-1.docker.io for those who have a token.
func (d *DockerHub) registry(w http.ResponseWriter, r *http.Request) {
	repository, _ := Wanted(r)
	_, reference, manifest := strings.Cut(r.URL.Path, "/manifests/")
	d.mu.Lock()
	settings, exists := d.repositories[repository]
	remaining := d.remaining
	if manifest && r.Method == http.MethodGet {
		d.remaining--
	}
	d.mu.Unlock()
	if manifest && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		w.Header().Set("Ratelimit-Limit", "100;w=21600")
		w.Header().Set("Ratelimit-Remaining", fmt.Sprintf("%d;w=21600", remaining))
		w.Header().Set("Docker-Ratelimit-Source", "192.0.2.1")
	}
	byDigest := strings.HasPrefix(reference, "sha256:")
	if manifest {
		r.URL.RawQuery = "" // nobody has seen it put several tags at once
	}
	switch {
	case repository != "" && !exists && r.Method != http.MethodPut && r.Method != http.MethodPost:
		Error(http.StatusNotFound, "NAME_UNKNOWN", "repository name not known to registry")(w, r)
	case manifest && r.Method == http.MethodDelete && !byDigest:
		Error(http.StatusMethodNotAllowed, "UNSUPPORTED", "Only digest-based deletion is allowed")(w, r)
	case manifest && r.Method == http.MethodDelete && d.tagged(repository, reference):
		Error(http.StatusForbidden, "DENIED", "manifest is still referenced")(w, r)
	case manifest && r.Method == http.MethodPut && !byDigest && settings.immutable(reference) && d.has(repository, reference):
		Error(http.StatusForbidden, "DENIED", "requested access to the resource is denied - This tag is already assigned to an image in this repository "+
			"and cannot be updated due to immutability settings. To push this image, use a different tag.")(w, r)
	default:
		if repository != "" && !exists { // a push into the own namespace
			d.Set(repository, HubRepository{})
		}
		d.Images.ServeHTTP(w, r)
	}
}

// immutable reports whether a rule matches a part of tag. Whether Docker Hub wants
// the whole tag to match is not known.
func (h HubRepository) immutable(tag string) bool {
	if !h.Immutable {
		return false
	}
	for _, rule := range h.Rules {
		if regexp.MustCompile(rule).MatchString(tag) {
			return true
		}
	}
	return len(h.Rules) == 0
}

// has reports whether reference exists.
func (d *DockerHub) has(repository, reference string) bool {
	return d.digest(repository, reference) != ""
}

func (d *DockerHub) digest(repository, reference string) string {
	answer := httptest.NewRecorder()
	d.Images.next.ServeHTTP(answer, httptest.NewRequest(http.MethodHead, "/v2/"+repository+"/manifests/"+reference, nil))
	if answer.Code != http.StatusOK {
		return ""
	}
	return answer.Header().Get("Docker-Content-Digest")
}

// tagged reports whether a tag has the digest.
func (d *DockerHub) tagged(repository, digest string) bool {
	for _, tag := range d.tags(repository) {
		if d.digest(repository, tag) == digest {
			return true
		}
	}
	return false
}

// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// rights say which right is missing where a registry refuses, in its own words. A
// registry is known by the end of its host, by the service that its challenge
// names, or by a header. The first row that matches counts; %s is the repository.
var rights = []struct {
	host    string // the registry's host ends so
	service string // service="…" of WWW-Authenticate
	header  string // a header of its answers
	next    string
}{
	{
		host: DockerHub,
		next: "log in to docker.io (docker login without a host) with an account that can read and write %s; " +
			"Docker Hub answers the same for a repository that does not exist: create it first, or push once by hand",
	},
	{
		host: GHCR,
		next: "in a workflow set permissions: packages: write and, in the package's settings under Manage Actions access, give this repository the role Write on %s; " +
			"elsewhere docker login ghcr.io with a personal access token (classic) that has write:packages. GitHub answers the same for a package that does not exist",
	},
	{
		host: ".amazonaws.com",
		next: "log in again, a login lasts 12 hours: aws ecr get-login-password | docker login --username AWS --password-stdin HOST; " +
			"the role needs ecr:BatchGetImage and, to push, ecr:PutImage on %s",
	},
	{host: "-docker.pkg.dev", next: "gcloud auth configure-docker, with an account that has the role Artifact Registry Writer (roles/artifactregistry.writer) on %s"},
	{host: "gcr.io", next: "gcloud auth configure-docker, with an account that has the role Artifact Registry Writer (roles/artifactregistry.writer) on %s"},
	{host: ".azurecr.io", next: "az acr login, with an account that has the role AcrPush for %s"},
	{host: "quay.io", next: "docker login quay.io with a robot account that has the permission Write on %s"},
	{
		service: "harbor-registry",
		next: "log in with a member or robot account of the Harbor project that may pull and push %s; " +
			"Harbor answers the same for a project that does not exist",
	},
	{service: "container_registry", next: "log in to GitLab with a token that has read_registry and write_registry, of a role that is at least Developer, for %s"},
	{
		header: "X-Jfrog-Version",
		next: "Artifactory answers 403 as well for a tag that a virtual repository does not have: name the local repository behind %s, " +
			"or log in with an account that has Read and Deploy there",
	},
	{
		header: "X-Artifactory-Id",
		next: "Artifactory answers 403 as well for a tag that a virtual repository does not have: name the local repository behind %s, " +
			"or log in with an account that has Read and Deploy there",
	},
}

// missingRight is the hint for ref's registry, "" where it is not known. headers
// are of its answers and of its token service's.
func missingRight(ref Reference, headers ...http.Header) string {
	for _, r := range rights {
		match := r.host != "" && strings.HasSuffix(ref.Registry, r.host)
		for _, h := range headers {
			match = match || r.header != "" && h.Get(r.header) != "" ||
				r.service != "" && strings.Contains(h.Get("WWW-Authenticate"), `service="`+r.service+`"`)
		}
		if match {
			return fmt.Sprintf(r.next, ref.Repository)
		}
	}
	return ""
}

// Pulls is what a registry tells of its limit on pulls (Docker Hub's headers
// ratelimit-limit and ratelimit-remaining, "100;w=21600").
type Pulls struct {
	Registry  string
	Limit     int // 0 when it is not said
	Remaining int
	Window    time.Duration
}

// String is "12 of 100 in 6h0m0s".
func (p Pulls) String() string { return fmt.Sprintf("%d of %d in %s", p.Remaining, p.Limit, p.Window) }

// Few reports whether a build may run into the limit: less than a tenth is left.
func (p Pulls) Few() bool { return p.Remaining*10 < p.Limit }

// Pulls tells for each registry that has a limit on pulls the last that it said.
func (c *Client) Pulls() []Pulls {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []Pulls
	for _, p := range c.pulls {
		all = append(all, p)
	}
	return all
}

func (c *Client) note(p Pulls) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if last, ok := c.pulls[p.Registry]; !ok || p.Remaining < last.Remaining {
		c.pulls[p.Registry] = p
	}
}

// pullsLeft reads the limit's headers; false without them or when they make no sense.
func pullsLeft(registry string, h http.Header) (Pulls, bool) {
	remaining, window, ok := quota(h.Get("Ratelimit-Remaining"))
	if !ok {
		return Pulls{}, false
	}
	limit, _, _ := quota(h.Get("Ratelimit-Limit"))
	return Pulls{Registry: registry, Limit: limit, Remaining: remaining, Window: window}, true
}

// quota reads "100;w=21600": a number, and seconds.
func quota(s string) (n int, window time.Duration, ok bool) {
	number, rest, _ := strings.Cut(s, ";")
	n64, err := strconv.ParseUint(strings.TrimSpace(number), 10, 31)
	if err != nil {
		return 0, 0, false
	}
	if seconds, found := strings.CutPrefix(strings.TrimSpace(rest), "w="); found {
		if w, err := strconv.ParseUint(seconds, 10, 31); err == nil {
			window = time.Duration(w) * time.Second
		}
	}
	return int(n64), window, true
}

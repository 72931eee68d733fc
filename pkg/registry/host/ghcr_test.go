// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package host_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/LerianStudio/pushguard/pkg/registry"
	"github.com/LerianStudio/pushguard/pkg/registry/host"
	"github.com/LerianStudio/pushguard/pkg/registry/registrytest"
	"github.com/LerianStudio/pushguard/pkg/registry/registrytest/apitest"
)

// github is a client of g's packages; every request and answer is held to GitHub's
// own description.
func github(t *testing.T, g *registrytest.GHCR, token string) *host.Packages {
	t.Helper()
	api, err := apitest.GitHub()
	if err != nil {
		t.Fatal(err)
	}
	r, err := host.Open(t.Context(), registry.Options{Transport: registrytest.InProcess{
		"api.github.com": g.Front(api.Handler(g.API(), func(err error) { t.Error(err) })),
		"ghcr.io":        g.Registry,
	}}, variables("GITHUB_TOKEN", token))
	if err != nil {
		t.Fatal(err)
	}
	p, ok := r.Of(ghcrRef(t, "org/app")).(*host.Packages)
	if !ok {
		t.Fatal("ghcr.io is not GitHub's")
	}
	return p
}

// variables is an environment with one variable.
func variables(name, value string) func(string) string {
	return func(asked string) string {
		if asked == name {
			return value
		}
		return ""
	}
}

func ghcrRef(t *testing.T, name string) registry.Reference {
	t.Helper()
	ref, err := registry.ParseReference("ghcr.io/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func TestPackages_owners(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		repository, token, user, want string
	}{
		"an organization": {"org/app", "ghp_x", "me", "/orgs/org/packages/container/app/versions/1"},
		"nested":          {"org/a/b", "ghp_x", "me", "/orgs/org/packages/container/a%2Fb/versions/1"},
		"one's own":       {"me/app", "ghp_x", "me", "/user/packages/container/app/versions/1"},
		"another user":    {"you/app", "ghp_x", "me", "/users/you/packages/container/app/versions/1"},
		"a workflow":      {"you/app", "ghs_x", "", "/users/you/packages/container/app/versions/1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := registrytest.NewGHCR(test.token, "org")
			g.Tokens[test.token] = test.user
			digest := g.Registry.PutImage(test.repository, "1", "x")
			p, ref := github(t, g, test.token), ghcrRef(t, test.repository+":1")
			if err := p.Visible(t.Context(), ref); err != nil {
				t.Errorf("Visible = %v", err)
			}
			want := host.Version{ID: 1, Digest: digest, Tags: []string{"1"}, Restore: "gh api -X POST " + test.want + "/restore"}
			for got, err := range p.Versions(t.Context(), ref) {
				if diff := cmp.Diff(want, got); err != nil || diff != "" {
					t.Errorf("Versions = %v (-want +got):\n%s", err, diff)
				}
			}
			got, err := p.Version(t.Context(), ref, 1)
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("Version = %v (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestPackages_pages(t *testing.T) {
	t.Parallel()
	g := registrytest.NewGHCR("ghs_x", "org")
	for i := range 250 {
		g.Registry.PutImage("org/app", fmt.Sprint(i), fmt.Sprint(i))
	}
	p, ref := github(t, g, "ghs_x"), ghcrRef(t, "org/app")
	var tags []string
	for v, err := range p.Versions(t.Context(), ref) {
		if err != nil {
			t.Fatal(err)
		}
		tags = append(tags, v.Tags...)
	}
	if len(tags) != 250 || tags[0] != "249" || tags[249] != "0" {
		t.Errorf("%d tags: %v", len(tags), tags)
	}
	g.Requests()
	for _, err := range p.Versions(t.Context(), ref) {
		if err != nil {
			t.Error(err)
		}
		break
	}
	if asked := g.Requests(); len(asked) != 1 {
		t.Errorf("one version took %v", asked)
	}
}

// Each failure with its kind and a part of what the error and its hint say.
func TestPackages_failures(t *testing.T) {
	t.Parallel()
	limited := func(name, value string) http.HandlerFunc {
		return registrytest.With(name, value, registrytest.Text(403, "application/json", `{"message":"API rate limit exceeded"}`))
	}
	reset := registrytest.With("X-RateLimit-Remaining", "0", func(w http.ResponseWriter, r *http.Request) {
		limited("X-RateLimit-Reset", fmt.Sprint(time.Now().Add(time.Minute).Unix()))(w, r)
	})
	for name, test := range map[string]struct {
		token string
		set   func(g *registrytest.GHCR, digest string)
		kind  registry.Kind
		said  string
		hint  string
		wait  bool
	}{
		"no token":                              {"", func(*registrytest.GHCR, string) {}, registry.KindAuth, "nothing was asked of api.github.com (there is no token)", "delete:packages", false},
		"a wrong token":                         {"ghp_y", func(*registrytest.GHCR, string) {}, registry.KindAuth, "401 Unauthorized (Bad credentials)", "the token is wrong or has expired", false},
		"no admin":                              {"ghs_x", func(g *registrytest.GHCR, _ string) { g.Readers = []string{"ghs_x"} }, registry.KindNotFound, "404 Not Found (Package version not found.)", "", false},
		"not visible":                           {"ghs_x", func(g *registrytest.GHCR, _ string) { g.Blind = []string{"ghs_x"} }, registry.KindNotFound, "404 Not Found (Package not found.)", "", false},
		"the last tagged":                       {"ghs_x", func(g *registrytest.GHCR, _ string) { g.Registry.Tag("org/app", "old", "") }, registry.KindReferenced, "You cannot delete the last tagged version of a package.", "", false},
		"over 5,000 downloads":                  {"ghs_x", func(g *registrytest.GHCR, d string) { g.Downloads[d] = 5001 }, registry.KindReferenced, "more than 5000 downloads", "", false},
		"forbidden":                             {"ghs_x", fault(registrytest.Text(403, "application/json", `{"message":"Resource not accessible by integration"}`)), registry.KindAuth, "Resource not accessible by integration", "Manage Actions access", false},
		"a secondary limit":                     {"ghs_x", fault(limited("Retry-After", "30")), registry.KindRateLimit, "rate limit", "", true},
		"a secondary limit without Retry-After": {"ghs_x", fault(registrytest.Text(403, "application/json", `{"message":"You have exceeded a secondary rate limit. Please wait a few minutes before you try again."}`)), registry.KindRateLimit, "secondary rate limit", "", true},
		"the old words of it":                   {"ghs_x", fault(registrytest.Text(403, "application/json", `{"message":"You have triggered an abuse detection mechanism. Please wait a few minutes before you try again."}`)), registry.KindRateLimit, "abuse detection", "", true},
		"single sign-on":                        {"ghs_x", fault(registrytest.Text(403, "application/json", `{"message":"Resource protected by organization SAML enforcement. You must grant your Personal Access token access to this organization."}`)), registry.KindAuth, "SAML", "Configure SSO", false},
		"the hour's limit":                      {"ghs_x", fault(reset), registry.KindRateLimit, "rate limit", "", true},
		"too many requests":                     {"ghs_x", fault(registrytest.Text(429, "application/json", `{}`)), registry.KindRateLimit, "429", "", false},
		"an outage":                             {"ghs_x", fault(registrytest.Text(502, "text/html", `<html>`)), registry.KindOutage, "502 Bad Gateway (an HTML page)", "", false},
		"a proxy":                               {"ghs_x", fault(registrytest.Text(404, "text/html", `<html>`)), registry.KindNotARegistry, "but not as a registry does", "", false},
		"a connection that ends":                {"ghs_x", fault(registrytest.Reset), registry.KindOutage, "no answer from api.github.com", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := registrytest.NewGHCR("ghs_x", "org")
			g.Registry.PutImage("org/app", "old", "old")
			test.set(g, g.Registry.PutImage("org/app", "1", "x"))
			err := github(t, g, test.token).DeleteVersion(t.Context(), ghcrRef(t, "org/app:1"), 2)
			e, ok := errors.AsType[*registry.Error](err)
			if !ok || e.Kind != test.kind || !strings.Contains(e.Reason(), test.said) || !strings.Contains(e.Hint(), test.hint) || (e.RetryAfter() > 0) != test.wait {
				t.Errorf("DeleteVersion = %v (%v, %v, hint %q), want %s with %q", err, e.Kind, e.RetryAfter(), e.Hint(), test.kind, test.said)
			}
			if !g.Registry.Has("org/app", registrytest.Digest(g.Registry.Look("org/app").Raw(g.Registry.Tags("org/app")["1"]))) {
				t.Error("the version is gone")
			}
		})
	}
}

func fault(answer http.HandlerFunc) func(*registrytest.GHCR, string) {
	return func(g *registrytest.GHCR, _ string) {
		g.Inject(registrytest.Fault{Method: http.MethodDelete, Answer: answer})
	}
}

// Deletions are a second apart, and what was deleted can be brought back.
func TestPackages_deleteAndRestore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := registrytest.NewGHCR("ghs_x", "org")
		g.Registry.PutImage("org/app", "old", "old")
		digest := g.Registry.PutImage("org/app", "1", "x")
		p, ref := github(t, g, "ghs_x"), ghcrRef(t, "org/app:1")
		start := time.Now()
		if err := p.DeleteVersion(t.Context(), ref, 2); err != nil || g.Registry.Has("org/app", digest) {
			t.Fatalf("DeleteVersion = %v", err)
		}
		if err := p.RestoreVersion(t.Context(), ref, 2); err != nil || !g.Registry.Has("org/app", digest) {
			t.Fatalf("RestoreVersion = %v", err)
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("two changes took %s", took)
		}
	})
}

// A token is not sent where anybody can read it.
func TestOpen_plainHTTP(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]bool{"": true, "https://github.example.com/api/v3": true, "http://127.0.0.1:1": true, "http://github.example.com": false, "x": false} {
		if _, err := host.Open(t.Context(), registry.Options{}, variables("GITHUB_API_URL", url)); (err == nil) != want {
			t.Errorf("Open with GITHUB_API_URL=%q: %v", url, err)
		}
	}
}

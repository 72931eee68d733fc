// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package tagcheck_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/LerianStudio/pushguard/pkg/registry"
	"github.com/LerianStudio/pushguard/pkg/registry/host"
	"github.com/LerianStudio/pushguard/pkg/registry/registrytest"
	"github.com/LerianStudio/pushguard/pkg/registry/registrytest/apitest"
	"github.com/LerianStudio/pushguard/pkg/retry"
	"github.com/LerianStudio/pushguard/pkg/tagcheck"
)

// No test asks a name server: regclient looks up the hosts of token services.
func TestMain(m *testing.M) {
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("no name server in tests")
	}}
	m.Run()
}

// row is how one registry behaves and what tagcheck makes of it.
type row struct {
	name  string
	ref   string
	login map[string]string // host -> "user:secret"
	hosts map[string]http.Handler
	want  seen
}

// seen is a tag's state with what a user is told.
type seen struct {
	State     tagcheck.State
	Reason    string
	Immutable string
	Exit      int
	Says      string // part of the reason in words
	Hint      string // part of the hint
}

const (
	absent  = tagcheck.Absent
	present = tagcheck.Present
	unknown = tagcheck.Unknown
	hubAuth = "https://index.docker.io/v1/"
)

// always is a registry that gives every request one answer.
func always(host string, answer http.HandlerFunc) map[string]http.Handler {
	return map[string]http.Handler{host: answer}
}

// code answers as a registry does, with any headers.
func code(status int, code, message string, headers ...string) http.HandlerFunc {
	answer := registrytest.Error(status, code, message)
	for i := 0; i+1 < len(headers); i += 2 {
		answer = registrytest.With(headers[i], headers[i+1], answer)
	}
	return answer
}

// guarded is a registry whose token service gives answer, and which takes the token "good".
func guarded(host string, tokens http.HandlerFunc, next http.Handler) map[string]http.Handler {
	return map[string]http.Handler{host: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/token":
			tokens(w, r)
		case r.Header.Get("Authorization") == "Bearer good":
			next.ServeHTTP(w, r)
		default:
			code(http.StatusUnauthorized, "UNAUTHORIZED", "authentication required",
				"WWW-Authenticate", `Bearer realm="https://`+host+`/token",service="`+host+`",scope="repository:org/app:pull"`)(w, r)
		}
	})}
}

var good = registrytest.Text(http.StatusOK, "application/json", `{"token":"good"}`)

// store holds org/app:1.
func store(t *testing.T) *registrytest.Store {
	t.Helper()
	s := registrytest.NewStore(registrytest.Rules{})
	s.PutImage("org/app", "1", "one")
	return s
}

// hub is Docker Hub with the accounts org (whose namespace org is) and reader, and
// org/app:1 and other/app:1. Its requests and answers are held to Docker's description.
func hub(t *testing.T, change func(*registrytest.DockerHub)) map[string]http.Handler {
	t.Helper()
	d := registrytest.NewDockerHub(
		registrytest.HubAccount{Name: "org", Secret: "secret"}, registrytest.HubAccount{Name: "reader", Secret: "secret", ReadOnly: true})
	s := store(t)
	s.PutImage("other/app", "1", "one")
	d.Images = s.Registry()
	d.Set("org/app", registrytest.HubRepository{})
	d.Set("other/app", registrytest.HubRepository{Private: true})
	if change != nil {
		change(d)
	}
	hosts := d.Hosts()
	api, err := apitest.DockerHub()
	if err != nil {
		t.Fatal(err)
	}
	hosts["hub.docker.com"] = api.Handler(hosts["hub.docker.com"], func(err error) { t.Error(err) })
	return hosts
}

// ghcr is ghcr.io, which refuses with refusal, and GitHub's API, which knows the
// package org/app of an organization and me/app of the user me, held to its description.
func ghcr(t *testing.T, refusal http.HandlerFunc) map[string]http.Handler {
	t.Helper()
	g := registrytest.NewGHCR("ghp_me", "org")
	g.Tokens["ghp_me"] = "me"
	g.Registry.PutImage("org/app", "1", "one")
	api, err := apitest.GitHub()
	if err != nil {
		t.Fatal(err)
	}
	hosts := map[string]http.Handler{
		"ghcr.io": g.Registry, "api.github.com": g.Front(api.Handler(g.API(), func(err error) { t.Error(err) })),
	}
	if refusal != nil {
		hosts["ghcr.io"] = refusal
	}
	return hosts
}

func rows(t *testing.T) []row {
	t.Helper()
	const host = "registry.example.com"
	html := registrytest.Text
	one := "registry.example.com/org/app:1"
	me := map[string]string{"ghcr.io": "me:ghp_me"}
	owner, reader := map[string]string{hubAuth: "org:secret"}, map[string]string{hubAuth: "reader:secret"}
	auth := func(says, hint string) seen { return seen{unknown, "auth", "unknown", 3, says, hint} }
	outage := func(says string) seen { return seen{unknown, "outage", "unknown", 3, says, "run it again when"} }
	stranger := func(says string) seen { return seen{unknown, "not-a-registry", "unknown", 3, says, "check the name"} }
	no := seen{absent, "", "unknown", 0, "", ""}
	yes := seen{present, "", "unknown", 1, "", ""}
	return []row{
		// What every registry has.
		{"there", one, nil, map[string]http.Handler{host: store(t)}, yes},
		{"tag missing", "registry.example.com/org/app:2", nil, map[string]http.Handler{host: store(t)}, no},
		{"repository missing", "registry.example.com/org/none:1", nil, map[string]http.Handler{host: store(t)}, no},
		{"behind a token service", one, nil, guarded(host, good, store(t)), yes},
		{"missing behind a token service", "registry.example.com/org/app:2", nil, guarded(host, good, store(t)), no},
		{"MANIFEST_UNKNOWN", one, nil, always(host, code(404, "MANIFEST_UNKNOWN", "manifest unknown")), no},
		{"NAME_UNKNOWN", one, nil, always(host, code(404, "NAME_UNKNOWN", "repository name not known")), no},
		{"NAME_UNKNOWN to an anonymous token", one, nil, guarded(host, good, code(404, "NAME_UNKNOWN", "not known")), auth("404 Not Found (NAME_UNKNOWN", "docker login")},
		{"Quay, deleted tag", "quay.io/org/app:1", nil, always("quay.io", code(404, "TAG_EXPIRED", "Tag 1 was deleted or has expired")), no},
		{"Harbor, artifact missing", one, nil, always(host, code(404, "NOT_FOUND", "artifact org/app:1 not found")), no},
		{"404 with an unknown code", one, nil, always(host, code(404, "BLOB_UNKNOWN", "x")), stranger("404").with("not-a-registry", "")},
		// No answer, or not a registry's.
		{"404 page", one, nil, always(host, html(404, "text/html", "<html>not here</html>")), stranger("an HTML page")},
		{"404 text", one, nil, always(host, html(404, "text/plain", "404 page not found")), stranger("404 page not found")},
		{"captive portal", one, nil, always(host, html(200, "text/html", "<html>log in</html>")), stranger("200 OK, but not as a registry does")},
		{"proxy's redirect loop", one, nil, always(host, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.Path, http.StatusFound)
		}), stranger("302")},
		{"wrong host", "wrong.example.com/org/app:1", nil, map[string]http.Handler{}, outage("no answer from wrong.example.com")},
		{"reset", one, nil, always(host, registrytest.Reset), outage("no answer from registry.example.com")},
		{"hangs", one, nil, always(host, registrytest.Hang), outage("took longer than --timeout")},
		{"500", one, nil, always(host, code(500, "UNKNOWN", "unknown error")), outage("500 Internal Server Error")},
		{"502 page", one, nil, always(host, html(502, "text/html", "<html>bad gateway</html>")), outage("502 Bad Gateway")},
		{"503", one, nil, always(host, html(503, "text/plain", "down")), outage("503 Service Unavailable")},
		{"429", one, nil, always(host, code(429, "TOOMANYREQUESTS", "slow down")), seen{unknown, "rate-limit", "unknown", 3, "429", "for a higher limit"}},
		{"408", one, nil, always(host, html(408, "text/plain", "")), outage("408 Request Timeout")},
		// Token services.
		{"token service: wrong password", one, map[string]string{host: "me:wrong"}, guarded(host, code(401, "UNAUTHORIZED", "incorrect username or password"), store(t)), auth("the token service of registry.example.com answered 401", "docker login")},
		{"token service: 403", one, nil, guarded(host, code(403, "DENIED", "denied"), store(t)), auth("403", "docker login")},
		{"token service: 429", one, nil, guarded(host, code(429, "TOOMANYREQUESTS", "slow"), store(t)), seen{unknown, "rate-limit", "unknown", 3, "the token service of registry.example.com answered 429", "for a higher limit"}},
		{"token service: 503", one, nil, guarded(host, html(503, "text/plain", "down"), store(t)), outage("the token service of registry.example.com answered 503")},
		{"token service: a page", one, nil, guarded(host, html(200, "text/html", "<html>"), store(t)), stranger("an HTML page")},
		{"token service: a token of no use", one, nil, guarded(host, html(200, "application/json", `{"token":"bad"}`), store(t)), auth("401", "docker login")},
		// Other registries' ways of saying no.
		{"Harbor, private project", one, nil, always(host, code(401, "UNAUTHORIZED", "unauthorized to access repository: org/app", "WWW-Authenticate", `Bearer realm="https://registry.example.com/none",service="harbor-registry"`)), auth("401", "Harbor project")},
		{"Artifactory, absent tag of a virtual repository", one, nil, always(host, code(403, "DENIED", "denied", "X-Artifactory-Id", "x")), auth("403", "virtual repository")},
		{"ECR, login over", "1.dkr.ecr.eu-west-1.amazonaws.com/org/app:1", nil, always("1.dkr.ecr.eu-west-1.amazonaws.com", code(403, "DENIED", "Your authorization token has expired. Reauthenticate and try again.")), auth("expired", "aws ecr get-login-password")},
		{"ECR, repository missing", "1.dkr.ecr.eu-west-1.amazonaws.com/org/app:1", nil, always("1.dkr.ecr.eu-west-1.amazonaws.com", code(404, "NAME_UNKNOWN", "The repository with name 'org/app' does not exist")), no},
		{"Artifact Registry, no right", "eu-docker.pkg.dev/p/r/app:1", nil, always("eu-docker.pkg.dev", code(403, "DENIED", "Permission denied")), auth("Permission denied", "artifactregistry.writer")},
		{"Azure", "x.azurecr.io/org/app:1", nil, always("x.azurecr.io", code(401, "UNAUTHORIZED", "authentication required")), auth("401", "az acr login")},
		{"Quay, no right", "quay.io/org/app:1", nil, always("quay.io", code(401, "UNAUTHORIZED", "access to the requested resource is not authorized")), auth("not authorized", "robot account")},
		{"HEAD broken, GET tells", one, nil, always(host, func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodHead {
				code(405, "UNSUPPORTED", "")(w, r)
				return
			}
			store(t).ServeHTTP(w, r)
		}), yes},
		// Docker Hub.
		{"Docker Hub: there", "org/app:1", nil, hub(t, nil), seen{present, "", "no", 1, "", ""}},
		{"Docker Hub: tag missing", "org/app:2", nil, hub(t, nil), seen{absent, "", "no", 0, "", ""}},
		{"Docker Hub: immutable by rule", "org/app:1", owner, hub(t, func(d *registrytest.DockerHub) {
			d.Set("org/app", registrytest.HubRepository{Immutable: true, Rules: []string{"^v", "^[0-9]+"}})
		}), seen{present, "", "yes", 1, "", ""}},
		{"Docker Hub: no rule matches", "org/app:x", nil, hub(t, func(d *registrytest.DockerHub) {
			d.Set("org/app", registrytest.HubRepository{Immutable: true, Rules: []string{"^v"}})
		}), seen{absent, "", "no", 0, "", ""}},
		{"Docker Hub: all tags immutable", "org/app:2", nil, hub(t, func(d *registrytest.DockerHub) {
			d.Set("org/app", registrytest.HubRepository{Immutable: true})
		}), seen{absent, "", "yes", 0, "", ""}},
		{"Docker Hub: new repository in the own namespace", "org/new:1", owner, hub(t, nil), no},
		{"Docker Hub: new or invisible, anonymous", "org/new:1", nil, hub(t, nil), auth("401", "a repository that does not exist")},
		{"Docker Hub: somebody's private one", "other/app:1", reader, hub(t, nil), auth("401", "a repository that does not exist")},
		{"Docker Hub: wrong password", "org/app:1", map[string]string{hubAuth: "org:wrong"}, hub(t, nil), seen{unknown, "auth", "no", 3, "401", "log in to docker.io"}},
		{"Docker Hub: API down", "org/app:1", owner, hub(t, func(d *registrytest.DockerHub) {
			d.API.Inject(registrytest.Fault{Answer: html(503, "text/plain", "down")})
		}), yes},
		{"Docker Hub: pull limit", "org/app:1", nil, func() map[string]http.Handler {
			hosts := hub(t, nil)
			hosts["registry-1.docker.io"] = html(429, "text/plain", "You have reached your unauthenticated pull rate limit. https://www.docker.com/increase-rate-limit")
			return hosts
		}(), seen{unknown, "rate-limit", "no", 3, "429 Too Many Requests", "log in to docker.io"}},
		// GHCR.
		{"GHCR: there", "ghcr.io/org/app:1", me, ghcr(t, nil), yes},
		{"GHCR: package missing, logged in", "ghcr.io/org/new:1", me, ghcr(t, nil), no},
		{"GHCR: own package missing, token service refuses", "ghcr.io/me/new:1", me, ghcr(t, code(403, "DENIED", "denied")), no},
		{"GHCR: an organization's, missing or invisible", "ghcr.io/org/new:1", me, ghcr(t, code(403, "DENIED", "denied")), auth("403", "GitHub answers the same for a package that does not exist")},
		{"GHCR: exists, not linked to the repository", "ghcr.io/org/app:1", me, ghcr(t, code(403, "DENIED", "permission_denied: read_package")), auth("permission_denied", "the package exists")},
		{"GHCR: anonymous", "ghcr.io/org/new:1", nil, ghcr(t, code(401, "UNAUTHORIZED", "authentication required")), auth("401", "packages: write")},
	}
}

// with replaces reason and hint.
func (s seen) with(reason, hint string) seen {
	s.Reason, s.Hint = reason, hint
	return s
}

// Each row of the table is one behaviour of a registry, as measured or documented,
// against strict stand-ins.
func TestRegistries(t *testing.T) {
	all := rows(t)
	if len(all) < 40 {
		t.Errorf("%d rows, want at least 40", len(all))
	}
	for _, r := range all {
		t.Run(r.name, func(t *testing.T) {
			logIn(t, r.login)
			ref, err := registry.ParseReference(r.ref)
			if err != nil {
				t.Fatal(err)
			}
			tag, exit := check(t, ref, r.hosts)
			got := seen{State: tag.State, Reason: tag.Reason, Immutable: tag.Immutable.String(), Exit: exit, Says: r.want.Says, Hint: r.want.Hint}
			if says, hint := words(tag.Err); !strings.Contains(says, r.want.Says) || !strings.Contains(hint, r.want.Hint) || (tag.Err != nil && hint == "" && tag.Reason != "not-a-registry") {
				t.Errorf("it says %q, hint %q;\nwant parts %q and %q", says, hint, r.want.Says, r.want.Hint)
			}
			if diff := cmp.Diff(r.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s\n%v", r.ref, diff, tag.Err)
			}
		})
	}
}

func check(t *testing.T, ref registry.Reference, hosts map[string]http.Handler) (tag tagcheck.Tag, exit int) {
	t.Helper()
	client, err := host.Open(t.Context(), registry.Options{Timeout: 200 * time.Millisecond, Transport: registrytest.InProcess(hosts)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	checker := tagcheck.Checker{
		Registry: client,
		Policy:   retry.Policy{MaxAttempts: 2, InitialDelay: time.Millisecond},
	}
	result := tagcheck.Judge(checker.Check(t.Context(), []registry.Reference{ref}, nil), tagcheck.Fail, tagcheck.Fail)
	return result.Tags[0], map[tagcheck.Outcome]int{tagcheck.GoOn: 0, tagcheck.Exists: 1, tagcheck.NotAsked: 3, tagcheck.Stuck: 4}[result.Outcome]
}

func words(err error) (says, hint string) {
	e, ok := errors.AsType[*registry.Error](err)
	if !ok {
		return fmt.Sprint(err), ""
	}
	return e.Error(), e.Hint()
}

// logIn makes docker's logins for one test.
func logIn(t *testing.T, logins map[string]string) {
	t.Helper()
	auths := map[string]map[string]string{}
	for host, login := range maps.All(logins) {
		auths[host] = map[string]string{"auth": base64.StdEncoding.EncodeToString([]byte(login))}
	}
	text, err := json.Marshal(map[string]any{"auths": auths})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.json"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("DOCKER_CONFIG", dir)
}

// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package cleanup_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/LerianStudio/pushguard/pkg/cleanup"
	"github.com/LerianStudio/pushguard/pkg/record"
	"github.com/LerianStudio/pushguard/pkg/registry"
	"github.com/LerianStudio/pushguard/pkg/registry/host"
	"github.com/LerianStudio/pushguard/pkg/registry/registrytest"
	"github.com/LerianStudio/pushguard/pkg/registry/registrytest/apitest"
	"github.com/LerianStudio/pushguard/pkg/retry"
)

// site is one kind of registry behind a cleaner.
type site struct {
	cleaner  cleanup.Cleaner
	requests *atomic.Int64
	name     string // host/org/app
}

// logIn makes docker's login for all tests of a package: the client reads it when it
// is made, from the environment.
func logIn(t *testing.T, user, secret string) {
	t.Helper()
	dir := t.TempDir()
	auth := base64.StdEncoding.EncodeToString([]byte(user + ":" + secret))
	text := fmt.Sprintf(`{"auths": {"https://index.docker.io/v1/": {"auth": %q}}}`, auth)
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("DOCKER_CONFIG", dir)
}

// newSite talks to servers in process; what goes to the APIs of Docker Hub and
// GitHub, and comes back, is held to their own descriptions.
func newSite(t *testing.T, name string, servers registrytest.InProcess) *site {
	t.Helper()
	s := &site{requests: &atomic.Int64{}, name: name + "/org/app"}
	client, err := host.Open(t.Context(), registry.Options{Transport: roundTrip(func(req *http.Request) (*http.Response, error) {
		s.requests.Add(1)
		return servers.RoundTrip(req)
	})}, gitHubToken)
	if err != nil {
		t.Fatal(err)
	}
	s.cleaner = cleanup.Cleaner{
		Registry: client,
		Policy:   retry.Policy{MaxAttempts: 2, InitialDelay: time.Millisecond},
	}
	return s
}

func (s *site) ref(t *testing.T, tag string) registry.Reference {
	t.Helper()
	ref, err := registry.ParseReference(s.name + ":" + tag)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// undo cleans up tags that were absent and are published.
func (s *site) undo(ctx context.Context, t *testing.T, published string, tags ...string) []cleanup.Report {
	t.Helper()
	var claims []cleanup.Claim
	for _, tag := range tags {
		claims = append(claims, cleanup.Claim{Ref: s.ref(t, tag), Before: absent(), Published: published})
	}
	return s.cleaner.Run(ctx, s.cleaner.Plan(ctx, claims))
}

func strict(t *testing.T, api func() (*apitest.API, error), next http.Handler) http.Handler {
	t.Helper()
	a, err := api()
	if err != nil {
		t.Fatal(err)
	}
	return a.Handler(next, func(err error) { t.Error(err) })
}

func ghcrSite(t *testing.T) (*site, *registrytest.GHCR) {
	t.Helper()
	g := registrytest.NewGHCR("ghs_x", "org")
	return newSite(t, "ghcr.io", registrytest.InProcess{
		"ghcr.io": g.Registry, "api.github.com": g.Front(strict(t, apitest.GitHub, g.API())),
	}), g
}

func hubSite(t *testing.T, account registrytest.HubAccount) (*site, *registrytest.DockerHub, *registrytest.Store) {
	t.Helper()
	hub, store := registrytest.NewDockerHub(account), registrytest.NewStore(registrytest.Rules{})
	hub.Images = store.Registry()
	hub.Set(repository, registrytest.HubRepository{})
	return newSite(t, registry.DockerHub, registrytest.InProcess{
		"registry-1.docker.io": hub.Unguarded(), "hub.docker.com": strict(t, apitest.DockerHub, hub.Hosts()["hub.docker.com"]),
	}), hub, store
}

// Every refusal that is known of GitHub's packages API, with what to do about it.
func TestRun_refusalsOfGHCR(t *testing.T) {
	t.Parallel()
	forbidden := registrytest.Text(http.StatusForbidden, "application/json", `{"message":"Resource not accessible by integration"}`)
	for name, test := range map[string]struct {
		set            func(g *registrytest.GHCR, digest string)
		detail, byHand string
	}{
		"another tag has it": {func(g *registrytest.GHCR, d string) { g.Registry.Tag(repository, "stable", d) }, "has other tags as well (stable)", "run regcleanup --delete --detach"},
		"an index has it": {func(g *registrytest.GHCR, d string) {
			g.Registry.Put(repository, "multi", registrytest.MediaTypeIndex, indexOf(d))
		}, "the image under ghcr.io/org/app:multi contains it", "move or delete that tag first"},
		"the last tagged":       {func(g *registrytest.GHCR, _ string) { g.Registry.Tag(repository, "old", "") }, "You cannot delete the last tagged version of a package.", "push another version first and run regcleanup again, or decide to delete the package at https://github.com/orgs/org/packages/container/app/versions"},
		"over 5,000 downloads":  {func(g *registrytest.GHCR, d string) { g.Downloads[d] = 5001 }, "more than 5000 downloads", "ask GitHub support to delete it, https://support.github.com/contact"},
		"no admin":              {func(g *registrytest.GHCR, _ string) { g.Readers = []string{"ghs_x"} }, "the login lacks the right to do it: api.github.com answered 404 Not Found (Package version not found.)", "the role Admin in the package's settings (Manage Actions access)"},
		"a package not visible": {func(g *registrytest.GHCR, _ string) { g.Blind = []string{"ghs_x"} }, "the login lacks the right to do it: api.github.com answered 404 Not Found (Package not found.)", "the role Admin"},
		"a token without role": {func(g *registrytest.GHCR, _ string) {
			g.Inject(registrytest.Fault{Method: http.MethodDelete, Answer: forbidden})
		}, "Resource not accessible by integration", "the role Admin"},
		"a wrong token": {func(g *registrytest.GHCR, _ string) { clear(g.Tokens) }, "401 Unauthorized (Bad credentials)", "docker login ghcr.io"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, g := ghcrSite(t)
			g.Registry.PutImage(repository, "old", "old")
			digest := g.Registry.PutImage(repository, "1", "x")
			test.set(g, digest)
			before := g.Registry.Tags(repository)
			wantBlocked(t, s.undo(t.Context(), t, digest, "1"), test.detail, test.byHand)
			if diff := cmp.Diff(before, g.Registry.Tags(repository)); diff != "" {
				t.Errorf("tags (-before +after):\n%s", diff)
			}
		})
	}
}

// wantBlocked wants the one report to be a refusal, with its words and its remedy.
func wantBlocked(t *testing.T, reports []cleanup.Report, detail, byHand string) {
	t.Helper()
	if len(reports) != 1 || reports[0].Outcome != cleanup.Blocked || !strings.Contains(reports[0].Detail, detail) || !strings.Contains(reports[0].ByHand, byHand) {
		for _, r := range reports {
			t.Errorf("%s %s: %q, by hand %q", r.Claim.Ref, r.Outcome, r.Detail, r.ByHand)
		}
		t.Errorf("want it blocked with %q, by hand %q", detail, byHand)
	}
}

// A list of tags that cannot be had, or that lacks what was just seen, is never "no
// tags": where deleting the digest is the only way, nothing is deleted then.
func TestRun_listProvesNothing(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		want   cleanup.Outcome
		detail string
	}{
		"404 NOT_FOUND":     {registrytest.Error(404, "NOT_FOUND", "404 page not found"), cleanup.Blocked, "could not be had: r.example.com answered 404"},
		"404 NAME_UNKNOWN":  {registrytest.Error(404, "NAME_UNKNOWN", "unknown"), cleanup.Blocked, "could not be had: r.example.com answered 404"},
		"401":               {registrytest.Error(401, "UNAUTHORIZED", "authentication required"), cleanup.Blocked, "could not be had: r.example.com answered 401"},
		"a page in between": {registrytest.Text(200, "text/html", "<html>log in</html>"), cleanup.Blocked, "could not be had"},
		"cut off":           {registrytest.Text(200, "application/json", `{"name":"org/app","tags":["1",`), cleanup.Blocked, "could not be had"},
		"empty":             {registrytest.Text(200, "application/json", `{"name":"org/app","tags":[]}`), cleanup.Failed, "lacks 1, which exists"},
		"no list at all":    {registrytest.Text(200, "application/json", `{"name":"org/app","tags":null}`), cleanup.Failed, "lacks 1, which exists"},
		"lacks the tag":     {registrytest.Text(200, "application/json", `{"name":"org/app","tags":["stable"]}`), cleanup.Failed, "lacks 1, which exists"},
		"an outage":         {registrytest.Text(503, "text/plain", "down"), cleanup.Failed, "503 Service Unavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := registrytest.NewStore(registrytest.Rules{DeleteTag: &registrytest.Refusal{Status: 405, Code: "UNSUPPORTED", Message: "unsupported"}})
			digest := store.PutImage(repository, "1", "x")
			store.Tag(repository, "stable", digest)
			before := store.Tags(repository)
			s := newSite(t, "r.example.com", registrytest.InProcess{"r.example.com": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "/tags/list") {
					test.answer(w, r)
					return
				}
				store.ServeHTTP(w, r)
			})})
			reports := s.undo(t.Context(), t, digest, "1")
			if len(reports) != 1 || reports[0].Outcome != test.want || !strings.Contains(reports[0].Detail, test.detail) {
				t.Errorf("reports are %+v, want %s with %q", reports, test.want, test.detail)
			}
			if diff := cmp.Diff(before, store.Tags(repository)); diff != "" {
				t.Errorf("tags (-before +after):\n%s", diff)
			}
		})
	}
}

// An image that the run pushed by its digest goes only if a list of tags shows that none
// needs it.
func TestRun_unnamedImages(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		set  func(store *registrytest.Store, digest string)
		want string // the outcomes
		left bool
	}{
		"nobody has it": {func(store *registrytest.Store, _ string) { store.PutImage(repository, "old", "old") }, "done", false},
		"with a signature": {func(store *registrytest.Store, digest string) {
			store.PutImage(repository, "old", "old")
			store.PutImage(repository, registry.SignatureTag(digest), "signature")
		}, "done signatures:done", false},
		"a tag names it": {func(store *registrytest.Store, digest string) { store.Tag(repository, "stable", digest) }, "kept", true},
		"an index has it": {func(store *registrytest.Store, digest string) {
			store.Put(repository, "multi", registrytest.MediaTypeIndex, indexOf(digest))
		}, "kept", true},
		"there is no tag that could prove it": {func(*registrytest.Store, string) {}, "blocked", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := registrytest.NewStore(registrytest.Rules{})
			digest := store.PutImage(repository, "", "pushed")
			test.set(store, digest)
			s := newSite(t, "r.example.com", registrytest.InProcess{"r.example.com": store})
			rec := record.New(record.Run{})
			if err := rec.Published(record.Image{Name: s.name, Digest: digest}, "buildx-metadata", time.Now()); err != nil {
				t.Fatal(err)
			}
			claims, err := cleanup.Unnamed([]*record.Record{rec, rec})
			if err != nil || len(claims) != 1 {
				t.Fatalf("Unnamed = %v, %v", claims, err)
			}
			var got []string
			for _, r := range s.cleaner.Run(t.Context(), s.cleaner.Plan(t.Context(), claims)) {
				part := ""
				if r.Part != "" {
					part = string(r.Part) + ":"
				}
				got = append(got, part+string(r.Outcome))
			}
			if diff := cmp.Diff(test.want, strings.Join(got, " ")); diff != "" || store.Has(repository, digest) != test.left {
				t.Errorf("outcomes (-want +got):\n%s\nthe image is there: %t", diff, store.Has(repository, digest))
			}
			if test.want == "done" && store.Tags(repository)["old"] == "" {
				t.Error("another tag is gone")
			}
		})
	}
}

// Every form in which a registry refuses to delete by tag leads to the digest.
func TestRun_formsOfRefusal(t *testing.T) {
	t.Parallel()
	for _, refusal := range registrytest.Refusals {
		t.Run(fmt.Sprint(refusal.Status, " ", refusal.Code, refusal.Text), func(t *testing.T) {
			t.Parallel()
			store := registrytest.NewStore(registrytest.Rules{DeleteTag: &refusal})
			digest := store.PutImage(repository, "1", "x")
			store.PutImage(repository, "stable", "y")
			s := newSite(t, "r.example.com", registrytest.InProcess{"r.example.com": store})
			reports := s.undo(t.Context(), t, digest, "1")
			if len(reports) != 1 || reports[0].Outcome != cleanup.Done {
				t.Errorf("reports are %+v, want it done", reports)
			}
			if got := store.Tags(repository); got["1"] != "" || got["stable"] == "" {
				t.Errorf("tags are %v", got)
			}
		})
	}
}

// Every refusal that is known of Docker Hub's API, with what to do about it.
func TestRun_refusalsOfDockerHub(t *testing.T) {
	logIn(t, "org", "secret")
	may := registrytest.HubAccount{Name: "org", Secret: "secret", Delete: true}
	answer := func(status int, body string) func(*registrytest.DockerHub) {
		return func(d *registrytest.DockerHub) {
			d.API.Inject(registrytest.Fault{Method: http.MethodDelete, Answer: registrytest.Text(status, "application/json", body)})
		}
	}
	const newToken = "a personal access token with Read, Write, Delete (https://app.docker.com/settings/personal-access-tokens)"
	for name, test := range map[string]struct {
		account        registrytest.HubAccount
		set            func(d *registrytest.DockerHub)
		detail, byHand string
	}{
		"immutable by a rule": {may, func(d *registrytest.DockerHub) {
			d.Set(repository, registrytest.HubRepository{Immutable: true, Rules: []string{"^[0-9]"}})
			d.API.Inject(registrytest.Fault{Method: http.MethodDelete, Answer: func(http.ResponseWriter, *http.Request) { t.Error("it was tried") }})
		}, `the tag is immutable on Docker Hub by the rule "^[0-9]"`, "https://hub.docker.com/repository/docker/org/app/settings"},
		"all immutable": {may, func(d *registrytest.DockerHub) {
			d.Set(repository, registrytest.HubRepository{Immutable: true})
		}, "all tags of the repository are immutable on Docker Hub", "immutable tags setting"},
		"immutable, found out late": {may, answer(403, `{"message":"tag 1 cannot be deleted due to immutability settings"}`), "the tag is immutable: hub.docker.com answered 403", "immutable tags setting"},
		"no scope Delete":           {registrytest.HubAccount{Name: "org", Secret: "secret"}, func(*registrytest.DockerHub) {}, "access denied: insufficient scope", newToken},
		"an organization's token":   {registrytest.HubAccount{Name: "org", Secret: "secret", Organization: true, Delete: true}, func(*registrytest.DockerHub) {}, "organization access token", "an organization access token cannot delete tags"},
		"the old words":             {may, answer(403, `{"detail":"access to the resource is forbidden with personal access token"}`), "the login lacks the right", newToken},
		"a 401 in a 500":            {may, answer(500, `{"message":"unexpected status 401: {\"errors\":[{\"code\":\"UNAUTHORIZED\",\"detail\":[{\"Action\":\"delete\"}]}]}"}`), "the login lacks the right", newToken},
		"not visible":               {may, answer(404, `{"message":"object not found"}`), "the login lacks the right to do it: hub.docker.com answered 404", newToken},
		"not allowed":               {may, answer(405, `{"message":"method not allowed"}`), "the registry does not offer it: hub.docker.com answered 405", "https://hub.docker.com/r/org/app/tags"},
		"a wrong password":          {registrytest.HubAccount{Name: "org", Secret: "another", Delete: true}, func(*registrytest.DockerHub) {}, "401 Unauthorized (Incorrect authentication credentials)", "docker login"},
	} {
		t.Run(name, func(t *testing.T) {
			s, hub, store := hubSite(t, test.account)
			digest := store.PutImage(repository, "1", "x")
			test.set(hub)
			wantBlocked(t, s.undo(t.Context(), t, digest, "1"), test.detail, test.byHand)
			if got := store.Tags(repository)["1"]; got != digest {
				t.Errorf("the tag is %q now", got)
			}
		})
	}
}

// One refused login is not sent again, however many tags there are.
func TestRun_oneLoginToDockerHub(t *testing.T) {
	logIn(t, "org", "wrong")
	s, hub, store := hubSite(t, registrytest.HubAccount{Name: "org", Secret: "secret", Delete: true})
	digest := store.PutImage(repository, "1", "x")
	store.PutImage(repository, "2", "x")
	s.undo(t.Context(), t, digest, "1", "2")
	logins := 0
	for _, request := range hub.API.Requests() {
		if strings.HasPrefix(request, "POST ") {
			logins++
		}
	}
	if logins != 1 {
		t.Errorf("%d logins", logins)
	}
}

// Docker Hub says with X-Retry-After when to come again, as a Unix time.
func TestRun_rateLimitOfDockerHub(t *testing.T) {
	logIn(t, "org", "secret")
	synctest.Test(t, func(t *testing.T) {
		s, hub, store := hubSite(t, registrytest.HubAccount{Name: "org", Secret: "secret", Delete: true})
		digest := store.PutImage(repository, "1", "x")
		limited := registrytest.With("X-Retry-After", fmt.Sprint(time.Now().Add(40*time.Second).Unix()),
			registrytest.Text(429, "application/json", `{"detail":"Rate limit exceeded","error":false}`))
		hub.API.Inject(registrytest.Fault{Method: http.MethodDelete, Times: 1, Answer: limited})
		start := time.Now()
		reports := s.undo(t.Context(), t, digest, "1")
		if took := time.Since(start); took < 40*time.Second || reports[0].Outcome != cleanup.Done {
			t.Errorf("after %s: %+v", took, reports)
		}
	})
}

// What registries say, in one table: docs/regcleanup.md has the same rows in words.
func TestRun_refusalsInWords(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		host           string
		status         int
		code, message  string
		detail, byHand string
	}{
		"Quay":              {"quay.io", 409, "TAG_IMMUTABLE", "tag is immutable", "the tag is immutable", "https://quay.io/repository/org/app?tab=tags make 1 mutable"},
		"Harbor, immutable": {"harbor.example.com", 412, "PRECONDITION", "the tag 1 configured as immutable, cannot be deleted", "the tag is immutable", "the project's tag immutability rule"},
		"Artifact Registry": {"europe-docker.pkg.dev", 400, "MANIFEST_INVALID", "cannot update tag 1. The repository has enabled tag immutability", "the tag is immutable", "--no-immutable-tags"},
		"ECR":               {"1.dkr.ecr.eu-west-1.amazonaws.com", 400, "TAG_INVALID", "The image tag '1' already exists in the 'r' repository and cannot be overwritten because the repository is immutable.", "the tag is immutable", "aws ecr put-image-tag-mutability --region eu-west-1 --repository-name org/app --image-tag-mutability MUTABLE"},
		"ACR, locked":       {"reg.azurecr.io", 405, "REGISTRY_DISALLOWED_OPERATION", "The operation is disallowed on this registry, repository or image", "the tag is immutable", "az acr repository update --name reg --image org/app:1 --delete-enabled true"},
		"zot":               {"zot.example.com", 405, "DENIED", "denied", "something else still needs the image", "crane manifest zot.example.com/org/app@"},
		"Dangling":          {"europe-docker.pkg.dev", 400, "GOOGLE_MANIFEST_DANGLING_TAG", "Manifest is still referenced by tag", "something else still needs the image", "gcloud artifacts docker tags delete"},
		"Artifactory":       {"art.example.com", 403, "UNAUTHORIZED", "Not enough permissions to delete/overwrite artifact", "the login lacks the right", "log in with an account that has the permission Delete on the local repository behind org/app"},
		"GitLab":            {"registry.gitlab.com", 403, "DENIED", "requested access to the resource is denied", "the login lacks the right", "log in to GitLab with a token that has write_registry"},
		"Nexus":             {"nexus.example.com", 400, "BLOB_UPLOAD_INVALID", "Repository does not allow updating assets: r", "the tag is immutable", "set the repository's deployment policy to Allow redeploy"},
		"Alibaba":           {"registry.aliyuncs.com", 400, "DENIED", "The requested tag already exists and cannot be overwritten.", "the tag is immutable", "lift the rule"},
		"Mirantis":          {"msr.example.com", 400, "DENIED", "tag=1 cannot be overwritten because org/app is an immutable repository", "the tag is immutable", "lift the rule"},
		"precondition":      {"r.example.com", 412, "", "no", "the tag is immutable", "lift the rule"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := registrytest.NewStore(registrytest.Rules{DeleteTag: &registrytest.Refusal{Status: test.status, Code: test.code, Message: test.message}})
			digest := store.PutImage(repository, "1", "x")
			s := newSite(t, test.host, registrytest.InProcess{test.host: store})
			wantBlocked(t, s.undo(t.Context(), t, digest, "1"), test.detail, test.byHand)
			if got := store.Tags(repository)["1"]; got != digest {
				t.Errorf("the tag is %q now", got)
			}
		})
	}
}

// Registries that do not delete by tag: by digest, or not at all where another tag
// has it, with the command that does.
func TestRun_tagDeletionUnsupported(t *testing.T) {
	t.Parallel()
	for host, row := range map[string]struct {
		status       int
		code, byHand string
	}{
		"harbor.example.com": {400, "UNSUPPORTED", "delete 1 on the registry's own page for org/app"},
		"reg.azurecr.io":     {405, "UNSUPPORTED", "az acr repository untag --name reg --image org/app:1"},
		"r.example.com":      {405, "UNSUPPORTED", "delete 1 on the registry's own page"},
	} {
		t.Run(host, func(t *testing.T) {
			t.Parallel()
			store := registrytest.NewStore(registrytest.Rules{DeleteTag: &registrytest.Refusal{Status: row.status, Code: row.code, Message: "unsupported"}})
			digest := store.PutImage(repository, "1", "x")
			store.Tag(repository, "stable", digest)
			s := newSite(t, host, registrytest.InProcess{host: store})
			wantBlocked(t, s.undo(t.Context(), t, digest, "1"), "deleting the digest would take "+host+"/org/app:stable with it", row.byHand)
			store.Tag(repository, "stable", "")
			if reports := s.undo(t.Context(), t, digest, "1"); reports[0].Outcome != cleanup.Done || store.Has(repository, digest) {
				t.Errorf("reports = %+v", reports)
			}
		})
	}
}

// A tag of the plan that somebody moved to an index around the image still needs it.
func TestRun_movedToAnIndexAroundIt(t *testing.T) {
	t.Parallel()
	store := registrytest.NewStore(registrytest.Rules{DeleteTag: &registrytest.Refusal{Status: 405, Code: "UNSUPPORTED", Message: "unsupported"}})
	published := store.PutImage(repository, "1", "x")
	store.Tag(repository, "2", published)
	s := newSite(t, "r.example.com", registrytest.InProcess{"r.example.com": store})
	claims := []cleanup.Claim{
		{Ref: s.ref(t, "1"), Before: absent(), Published: published},
		{Ref: s.ref(t, "2"), Before: absent(), Published: published},
	}
	steps := s.cleaner.Plan(t.Context(), claims)
	store.Put(repository, "1", registrytest.MediaTypeIndex, indexOf(published))
	reports := s.cleaner.Run(t.Context(), steps)
	if len(reports) != 2 || reports[0].Outcome != cleanup.Kept || reports[1].Outcome != cleanup.Blocked || !store.Has(repository, published) {
		t.Errorf("reports = %+v", reports)
	}
}

// An index of this run and the images in it, each with a tag, all go, in whatever
// order the record has them.
func TestRun_indexAndItsImages(t *testing.T) {
	t.Parallel()
	g := registrytest.NewGHCR("ghs_x", "org")
	g.Registry.PutImage(repository, "old", "old")
	byDigest := registrytest.NewStore(registrytest.Rules{DeleteTag: &registrytest.Refusal{Status: 405, Code: "UNSUPPORTED", Message: "unsupported"}})
	for host, one := range map[string]struct {
		store   *registrytest.Store
		servers registrytest.InProcess
	}{
		"ghcr.io":       {g.Registry, registrytest.InProcess{"ghcr.io": g.Registry, "api.github.com": g.API()}},
		"r.example.com": {byDigest, registrytest.InProcess{"r.example.com": byDigest}},
	} {
		t.Run(host, func(t *testing.T) {
			t.Parallel()
			amd, arm := one.store.PutImage(repository, "1-amd64", "amd64"), one.store.PutImage(repository, "1-arm64", "arm64")
			index := one.store.Put(repository, "1", registrytest.MediaTypeIndex, indexOf(amd, arm))
			s := newSite(t, host, one.servers)
			var claims []cleanup.Claim
			for tag, digest := range map[string]string{"1-amd64": amd, "1-arm64": arm, "1": index} {
				claims = append(claims, cleanup.Claim{Ref: s.ref(t, tag), Before: absent(), Published: digest})
			}
			reports := s.cleaner.Run(t.Context(), s.cleaner.Plan(t.Context(), claims))
			for tag := range one.store.Tags(repository) {
				if tag != "old" {
					t.Errorf("%s is left: %+v", tag, reports)
				}
			}
		})
	}
}

// 200 tags of 200 images: what is asked, and GitHub's limits.
func TestRun_requests(t *testing.T) {
	logIn(t, "org", "secret")
	const n = 200
	t.Run("Docker Hub", func(t *testing.T) {
		s, hub, store := hubSite(t, registrytest.HubAccount{Name: "org", Secret: "secret", Delete: true})
		images := s.push(t, store, n)
		s.cleaner.Run(t.Context(), s.cleaner.Plan(t.Context(), images))
		// Five a tag: what it is, what it still is, its deletion, and two that prove that it
		// is gone. Besides two for the login and the repository's settings, and two lists of
		// its tags.
		if got := s.requests.Load(); got > 5*n+4 || len(store.Tags(repository)) > 0 {
			t.Errorf("%d requests, %d tags left", got, len(store.Tags(repository)))
		}
		if got := len(hub.API.Requests()); got != n+2 {
			t.Errorf("%d requests to hub.docker.com", got)
		}
	})
	t.Run("GHCR", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, g := ghcrSite(t)
			g.Registry.PutImage(repository, "old", "old")
			images := s.push(t, g.Registry, n)
			reports := s.cleaner.Run(t.Context(), s.cleaner.Plan(t.Context(), images))
			for _, r := range reports {
				if r.Outcome != cleanup.Done || r.Undo == "" {
					t.Errorf("%s %s %s", r.Claim.Ref, r.Outcome, r.Detail) // a limit would be one
				}
			}
			// Six a tag: what it is, what it still is, the version once more, its deletion, and
			// two that prove that it is gone. Besides the owner, the list, and the list again
			// each minute.
			if got := s.requests.Load(); got > 6*n+40 || len(g.Registry.Tags(repository)) != 1 {
				t.Errorf("%d requests, tags left: %v", got, g.Registry.Tags(repository))
			}
		})
	})
}

// push makes n images with a tag each, which this run published.
func (s *site) push(t *testing.T, store *registrytest.Store, n int) []cleanup.Claim {
	t.Helper()
	var claims []cleanup.Claim
	for i := range n {
		digest := store.PutImage(repository, fmt.Sprint(i), fmt.Sprint(i))
		claims = append(claims, cleanup.Claim{Ref: s.ref(t, fmt.Sprint(i)), Before: absent(), Published: digest})
	}
	return claims
}

// A multi-platform image with attestations and two tags, one of them ours: only ours
// goes, and the other still pulls, byte for byte.
func TestRun_sharedImageStaysWhole(t *testing.T) {
	logIn(t, "org", "secret")
	unsupported := &registrytest.Refusal{Status: 405, Code: "UNSUPPORTED", Message: "unsupported"}
	for name, newOne := range map[string]func(t *testing.T) (*site, *registrytest.Store){
		"any registry": func(t *testing.T) (*site, *registrytest.Store) {
			t.Helper()
			store := registrytest.NewStore(registrytest.Rules{Referrers: true})
			return newSite(t, "r.example.com", registrytest.InProcess{"r.example.com": store}), store
		},
		"by digest only": func(t *testing.T) (*site, *registrytest.Store) {
			t.Helper()
			store := registrytest.NewStore(registrytest.Rules{DeleteTag: unsupported})
			return newSite(t, "r.example.com", registrytest.InProcess{"r.example.com": store}), store
		},
		"Docker Hub": func(t *testing.T) (*site, *registrytest.Store) {
			t.Helper()
			s, _, store := hubSite(t, registrytest.HubAccount{Name: "org", Secret: "secret", Delete: true})
			return s, store
		},
		"GHCR": func(t *testing.T) (*site, *registrytest.Store) {
			t.Helper()
			s, g := ghcrSite(t)
			s.cleaner.Detach = true
			g.Registry.PutImage(repository, "old", "old")
			return s, g.Registry
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, store := newOne(t)
			s.cleaner.Prune = true
			published := multiPlatform(store)
			store.Put(repository, "1", registrytest.MediaTypeIndex, store.Look(repository).Raw(published))
			store.Tag(repository, "stable", published)
			before := s.pull(t, "stable")
			reports := s.undo(t.Context(), t, published, "1")
			want := cleanup.Done
			if name == "by digest only" {
				want = cleanup.Blocked
			}
			if len(reports) != 1 || reports[0].Outcome != want {
				t.Errorf("reports = %+v", reports)
			}
			tags := store.Tags(repository)
			if tags["stable"] != published || (tags["1"] == "") != (want == cleanup.Done) {
				t.Errorf("tags = %v", tags)
			}
			if diff := cmp.Diff(before, s.pull(t, "stable")); diff != "" {
				t.Errorf("the other tag (-before +after):\n%s", diff)
			}
		})
	}
}

// multiPlatform writes an index as buildx pushes it: an image for each platform, and
// an attestation manifest for each image; and cosign's signature beside it.
func multiPlatform(store *registrytest.Store) string {
	var parts []string
	for _, platform := range []string{"amd64", "arm64"} {
		parts = append(parts, store.PutImage(repository, "", platform), store.PutImage(repository, "", "attestation of "+platform))
	}
	published := store.Put(repository, "", registrytest.MediaTypeIndex, indexOf(parts...))
	store.PutImage(repository, "sha256-"+strings.TrimPrefix(published, "sha256:")+".sig", "signature")
	store.Put(repository, "", registrytest.MediaTypeManifest, referrerOf(published))
	return published
}

// pull reads a tag, all manifests in it, their configurations, and its signature.
func (s *site) pull(t *testing.T, tag string) map[string]string {
	t.Helper()
	got := map[string]string{}
	m, err := s.cleaner.Registry.Manifest(t.Context(), s.ref(t, tag))
	if err != nil {
		t.Fatal(err)
	}
	got[tag] = string(m.Raw)
	for _, part := range strings.Split(got[tag], `"digest":"`)[1:] {
		child, err := s.cleaner.Registry.Manifest(t.Context(), s.ref(t, tag).WithDigest(part[:71]))
		if err != nil {
			t.Fatal(err)
		}
		got[part[:71]] = string(child.Raw)
		var image struct{ Config registry.Descriptor }
		if err := json.Unmarshal(child.Raw, &image); err != nil {
			t.Fatal(err)
		}
		blob, err := s.cleaner.Registry.Blob(t.Context(), s.ref(t, tag), image.Config, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		got[image.Config.Digest] = string(blob)
	}
	signature, err := s.cleaner.Registry.Manifest(t.Context(), s.ref(t, "sha256-"+strings.TrimPrefix(m.Digest, "sha256:")+".sig"))
	if err != nil {
		t.Fatal(err)
	}
	got["signature"] = string(signature.Raw)
	return got
}

// An index that goes with --prune takes its untagged parts along, but none that
// another tag reaches.
func TestRun_prune(t *testing.T) {
	logIn(t, "org", "secret")
	s, g := ghcrSite(t)
	hub, _, hubStore := hubSite(t, registrytest.HubAccount{Name: "org", Secret: "secret", Delete: true})
	for name, one := range map[string]struct {
		s     *site
		store *registrytest.Store
	}{"GHCR": {s, g.Registry}, "Docker Hub": {hub, hubStore}} {
		for _, prune := range []bool{false, true} {
			t.Run(fmt.Sprint(name, prune), func(t *testing.T) {
				store := one.store
				alone, shared := store.PutImage(repository, "", "alone"), store.PutImage(repository, "", "shared")
				published := store.Put(repository, "1", registrytest.MediaTypeIndex, indexOf(alone, shared))
				store.Put(repository, "stable", registrytest.MediaTypeIndex, indexOf(shared))
				one.s.cleaner.Prune = prune
				reports := one.s.undo(t.Context(), t, published, "1")
				got := map[string]bool{"alone": store.Has(repository, alone), "shared": store.Has(repository, shared)}
				if diff := cmp.Diff(map[string]bool{"alone": !prune, "shared": true}, got); diff != "" {
					t.Errorf("%+v; left (-want +got):\n%s", reports, diff)
				}
			})
		}
	}
}

// Where the deletion of the throw-away image fails the tag gets its image back.
// An image that a tag had before the run is not the run's, even when others have taken it
// from that tag meanwhile: where a tag goes only with its image, the tag is blocked or
// detached. Found by the simulator.
func TestRun_imageOlderThanTheRun(t *testing.T) {
	t.Parallel()
	unsupported := &registrytest.Refusal{Status: 405, Code: "UNSUPPORTED", Message: "unsupported"}
	for name, test := range map[string]struct {
		ghcr, detach bool
		outcome      cleanup.Outcome
		detail       string
	}{
		"by digest only":  {false, false, cleanup.Blocked, "deleting the digest would delete an image that was there before this run"},
		"GHCR":            {true, false, cleanup.Blocked, "was there before this run, and GHCR only deletes whole versions"},
		"GHCR, detaching": {true, true, cleanup.Done, "detached from an image that was there before this run"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := registrytest.NewStore(registrytest.Rules{DeleteTag: unsupported})
			s := newSite(t, "r.example.com", registrytest.InProcess{"r.example.com": store})
			if test.ghcr {
				var g *registrytest.GHCR
				s, g = ghcrSite(t)
				store = g.Registry
			}
			s.cleaner.Detach = test.detach
			older := store.PutImage(repository, "1", "older")
			store.PutImage(repository, "stable", "moved on")
			reports := s.cleaner.Run(t.Context(), s.cleaner.Plan(t.Context(), []cleanup.Claim{
				{Ref: s.ref(t, "1"), Before: absent(), Published: older},
				{Ref: s.ref(t, "stable"), Before: cleanup.Before{Known: true, Digest: older}, Published: older},
			}))
			if len(reports) != 2 || reports[1].Outcome != test.outcome || !strings.Contains(reports[1].Detail, test.detail) {
				t.Errorf("reports = %+v, want %s, %q", reports, test.outcome, test.detail)
			}
			if !store.Has(repository, older) {
				t.Error("the image is gone")
			}
		})
	}
}

func TestRun_detachGivesBack(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]http.HandlerFunc{
		"refused": registrytest.Text(400, "application/json", `{"message":"no"}`),
		"down":    registrytest.Text(503, "text/html", "<html>"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, g := ghcrSite(t)
			s.cleaner.Detach = true
			published := g.Registry.PutImage(repository, "1", "x")
			g.Registry.Tag(repository, "stable", published)
			g.Inject(registrytest.Fault{Method: http.MethodDelete, Answer: answer})
			before := g.Registry.Tags(repository)
			reports := s.undo(t.Context(), t, published, "1")
			if len(reports) != 1 || reports[0].Outcome == cleanup.Done || !strings.HasSuffix(reports[0].Detail, "; the tag has its image again") {
				t.Errorf("reports = %+v", reports)
			}
			if diff := cmp.Diff(before, g.Registry.Tags(repository)); diff != "" {
				t.Errorf("tags (-before +after):\n%s", diff)
			}
			g.Heal()
			if reports := s.undo(t.Context(), t, published, "1"); reports[0].Outcome != cleanup.Done || reports[0].Detail != "detached from stable" {
				t.Errorf("again: %+v", reports)
			}
		})
	}
}

// The fallback list of referrers loses this image's entries and keeps the others.
func TestRun_fallbackListEntryByEntry(t *testing.T) {
	t.Parallel()
	store := registrytest.NewStore(registrytest.Rules{})
	published, other := store.PutImage(repository, "1", "x"), store.PutImage(repository, "other", "y")
	ours := store.Put(repository, "", registrytest.MediaTypeManifest, referrerOf(published))
	theirs := store.Put(repository, "", registrytest.MediaTypeManifest, referrerOf(other))
	list := "sha256-" + strings.TrimPrefix(published, "sha256:")
	store.Put(repository, list, registrytest.MediaTypeIndex, indexOf(ours, theirs))
	s := newSite(t, "r.example.com", registrytest.InProcess{"r.example.com": store})
	s.undo(t.Context(), t, published, "1")
	left := store.Look(repository).Raw(store.Tags(repository)[list])
	if store.Has(repository, ours) || !store.Has(repository, theirs) || strings.Contains(left, ours) || !strings.Contains(left, theirs) {
		t.Errorf("left: %s", left)
	}
}

// regclient's TagDelete overwrites a tag with an empty image where a registry refuses
// to delete it. Nothing here may call it, or take it as a value.
func TestNoTagDelete(t *testing.T) {
	t.Parallel()
	files := 0
	err := filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		files++
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok && s.Sel.Name == "TagDelete" {
				t.Errorf("%s uses TagDelete", path)
			}
			return true
		})
		return nil
	})
	if err != nil || files < 100 {
		t.Errorf("%d files read: %v", files, err)
	}
}

// A list of referrers that cannot be written keeps what it lists: distribution and others
// take no list that names what is gone, and nobody could attach anything any more. Found
// by the simulator.
func TestRun_listOfReferrersRefused(t *testing.T) {
	t.Parallel()
	store := registrytest.NewStore(registrytest.Rules{})
	other, published := store.PutImage(repository, "other", "y"), store.PutImage(repository, "1", "x")
	ours := store.Put(repository, "", registrytest.MediaTypeManifest, referrerOf(published))
	theirs := store.Put(repository, "", registrytest.MediaTypeManifest, referrerOf(other))
	list := registry.FallbackTag(published)
	store.Put(repository, list, registrytest.MediaTypeIndex, indexOf(ours, theirs))
	faults := &registrytest.Faults{}
	faults.Inject(registrytest.Fault{Method: http.MethodPut, Path: list, Answer: registrytest.Error(http.StatusForbidden, "DENIED", "denied")})
	s := newSite(t, "r.example.com", registrytest.InProcess{"r.example.com": faults.Front(store)})
	reports := s.undo(t.Context(), t, published, "1")
	if last := reports[len(reports)-1]; last.Part != cleanup.Signatures || last.Outcome != cleanup.Blocked {
		t.Errorf("the list is refused, and the report is %+v", last)
	}
	if !store.Has(repository, ours) || !store.Has(repository, theirs) {
		t.Error("the list names a manifest that is gone")
	}
}

// A registry that deletes nothing which an index has: the list of the referrers goes
// before what is in it, the list's own manifest included. What it refuses all the same
// does not keep the rest. Found by the simulator.
func TestRun_attachedWhereIndexesCount(t *testing.T) {
	t.Parallel()
	needed := &registrytest.Refusal{Status: http.StatusForbidden, Code: "DENIED", Message: "manifest is still referenced"}
	for name, test := range map[string]struct {
		inOther bool // another index has the referrer as well
		want    []string
	}{
		"all goes":                 {false, []string{"1 delete done", "signatures delete done: 2 removed"}},
		"one is needed, and stays": {true, []string{"1 delete done", "signatures delete blocked: something else still needs the image"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := registrytest.NewStore(registrytest.Rules{DigestNeedsNoTag: needed})
			store.PutImage(repository, "other", "y")
			published := store.PutImage(repository, "1", "x")
			referrer := store.Put(repository, "", registrytest.MediaTypeManifest, referrerOf(published))
			list := store.Put(repository, registry.FallbackTag(published), registrytest.MediaTypeIndex, indexOf(referrer))
			store.PutImage(repository, registry.SignatureTag(published), "signature")
			if test.inOther {
				store.Put(repository, "", registrytest.MediaTypeIndex, indexOf(referrer, published))
			}
			s := newSite(t, "r.example.com", registrytest.InProcess{"r.example.com": store})
			var got []string
			for _, r := range s.undo(t.Context(), t, published, "1") {
				detail, _, more := strings.Cut(r.Detail, ": ")
				line := fmt.Sprintf("%s%s %s %s", r.Claim.Ref.Tag, r.Part, r.Action, r.Outcome)
				if detail != "" || more {
					line += ": " + detail
				}
				got = append(got, line)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("reports (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff([]string{"other"}, slices.Collect(maps.Keys(store.Tags(repository)))); diff != "" {
				t.Errorf("tags (-want +got):\n%s", diff)
			}
			if store.Has(repository, list) || store.Has(repository, referrer) != test.inOther {
				t.Errorf("the list is there: %t, the referrer: %t", store.Has(repository, list), store.Has(repository, referrer))
			}
		})
	}
}

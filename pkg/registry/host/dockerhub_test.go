// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package host_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/LerianStudio/pushguard/pkg/registry"
	"github.com/LerianStudio/pushguard/pkg/registry/host"
	"github.com/LerianStudio/pushguard/pkg/registry/registrytest"
	"github.com/LerianStudio/pushguard/pkg/registry/registrytest/apitest"
)

// login writes docker's configuration with one login ("user:secret", "" for none)
// for Docker Hub, where registry.New finds it.
func login(t *testing.T, credentials string) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("DOCKER_CONFIG", dir)
	t.Setenv("DOCKER_AUTH_CONFIG", "")
	config := `{"auths":{}}`
	if credentials != "" {
		config = fmt.Sprintf(`{"auths":{"https://index.docker.io/v1/":{"auth":%q}}}`, base64.StdEncoding.EncodeToString([]byte(credentials)))
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
}

// hub connects a client to d; the descriptions of Docker's two APIs judge all that
// goes over the line.
func hub(t *testing.T, d *registrytest.DockerHub, credentials string) (*host.Hub, *registrytest.Internet) {
	t.Helper()
	login(t, credentials)
	hosts := d.Hosts()
	for name, description := range map[string]func() (*apitest.API, error){
		"hub.docker.com": apitest.DockerHub, "registry-1.docker.io": apitest.DockerHubRegistry,
	} {
		api, err := description()
		if err != nil {
			t.Fatal(err)
		}
		hosts[name] = api.Handler(hosts[name], func(err error) { t.Errorf("%s: %v", name, err) })
	}
	net, err := registrytest.NewInternet(hosts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(net.Close)
	return hubOf(t, open(t, net.Transport())), net
}

// open returns a client without variables.
func open(t *testing.T, transport http.RoundTripper) *host.Registries {
	t.Helper()
	r, err := host.Open(t.Context(), registry.Options{Timeout: 2 * time.Second, Transport: transport}, func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func hubOf(t *testing.T, r *host.Registries) *host.Hub {
	t.Helper()
	h, ok := r.Of(parse(t, "docker.io/org/app:1")).(*host.Hub)
	if !ok {
		t.Fatal("docker.io is not Docker Hub")
	}
	return h
}

// verdict is what a test expects of an *registry.Error.
type verdict struct {
	Kind      registry.Kind
	Status    int
	Message   string
	Wait      time.Duration
	Transient bool
}

func verdictOf(err error) verdict {
	e, ok := err.(*registry.Error) //nolint:errorlint // it is never wrapped here
	if !ok {
		return verdict{Message: fmt.Sprint(err)}
	}
	return verdict{e.Kind, e.Status, e.Message, e.Wait, e.Transient()}
}

func image(t *testing.T, r *registrytest.Registry, repository, tag string) string {
	t.Helper()
	address, stop, err := r.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	digest, err := registrytest.Push(t.Context(), address, repository, tag, repository)
	if err != nil {
		t.Fatal(err)
	}
	return digest
}

func parse(t *testing.T, s string) registry.Reference {
	t.Helper()
	ref, err := registry.ParseReference(s)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

var bot = registrytest.HubAccount{Name: "bot", Secret: "pat", Delete: true} //nolint:gochecknoglobals // a constant

func TestHub_repository(t *testing.T) {
	d := registrytest.NewDockerHub(bot)
	d.Set("org/app", registrytest.HubRepository{Private: true, Writers: []string{"bot"}, Immutable: true, Rules: []string{`^v?[0-9]+\.`}})
	d.Set("org/public", registrytest.HubRepository{})
	c, net := hub(t, d, "bot:pat")
	for range 3 {
		got, err := c.Repository(t.Context(), parse(t, "org/app:1"))
		if err != nil {
			t.Fatal(err)
		}
		want := host.HubRepository{Private: true}
		want.Permissions.Read, want.Permissions.Write = true, true
		want.ImmutableTags.Enabled, want.ImmutableTags.Rules = true, []string{`^v?[0-9]+\.`}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Repository (-want +got):\n%s", diff)
		}
	}
	if _, err := c.Repository(t.Context(), parse(t, "org/none:1")); verdictOf(err).Kind != registry.KindNotFound {
		t.Errorf("Repository of none: %v", err)
	}
	const get = "GET hub.docker.com/v2/namespaces/org/repositories/"
	want := []string{"POST hub.docker.com/v2/auth/token", get + "app", get + "app", get + "app", get + "none"}
	if diff := cmp.Diff(want, net.Requests()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}

	c, _ = hub(t, d, "")
	if got, err := c.Repository(t.Context(), parse(t, "org/public:1")); err != nil || !got.Anonymous || got.Permissions.Write {
		t.Errorf("Repository, anonymous = %+v, %v", got, err)
	}
	if _, err := c.Repository(t.Context(), parse(t, "org/app:1")); verdictOf(err).Kind != registry.KindNotFound {
		t.Errorf("Repository of a private one, anonymous: %v", err)
	}
}

// A refused login is not sent again, however many ask at once: Docker Hub locks the
// account. A failure that passes is.
func TestHub_loginOnce(t *testing.T) {
	d := registrytest.NewDockerHub(bot)
	d.Set("org/app", registrytest.HubRepository{})
	c, net := hub(t, d, "bot:wrong")
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			if err := c.DeleteTag(t.Context(), parse(t, "org/app:1")); verdictOf(err).Kind != registry.KindAuth || !strings.Contains(err.Error(), "Incorrect authentication") {
				t.Errorf("DeleteTag = %v", err)
			}
		})
	}
	all.Wait()
	if diff := cmp.Diff([]string{"POST hub.docker.com/v2/auth/token"}, net.Requests()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	// What is public can be read all the same.
	if got, err := c.Repository(t.Context(), parse(t, "org/app:1")); err != nil || !got.Anonymous {
		t.Errorf("Repository = %+v, %v", got, err)
	}

	d.API.Inject(registrytest.Fault{Path: "/v2/auth/token", Times: 1, Answer: registrytest.Text(503, "text/html", "<html>")})
	c, _ = hub(t, d, "bot:pat")
	if _, err := c.Repository(t.Context(), parse(t, "org/app:1")); verdictOf(err).Kind != registry.KindOutage {
		t.Errorf("Repository in an outage: %v", err)
	}
	if got, err := c.Repository(t.Context(), parse(t, "org/app:1")); err != nil || got.Anonymous {
		t.Errorf("Repository after it: %+v, %v", got, err)
	}
}

// One login is docker's, for the registry and for the API beside it: refused by one of
// them, by whichever is asked first, it is sent to none again in the run. The same holds
// for one that is answered with 429, as a locked account's is.
func TestHub_oneLoginForBothServices(t *testing.T) {
	locked := registrytest.Text(http.StatusTooManyRequests, "application/json", `{"details":"too many failed login attempts for username or IP address"}`)
	for name, test := range map[string]struct {
		credentials string
		answer      http.HandlerFunc // of both services to a login; nil for their own
		want        int              // logins
		kind        registry.Kind
		transient   bool
	}{
		"wrong password": {"bot:wrong", nil, 1, registry.KindAuth, false},
		"locked account": {"bot:pat", locked, 1, registry.KindAuth, false},
		"429":            {"bot:pat", registrytest.Text(http.StatusTooManyRequests, "text/plain", "slow down"), 1, registry.KindRateLimit, false},
		"right password": {"bot:pat", nil, 6, registry.KindUnknown, false}, // a token for each of five repositories, and the API's
	} {
		t.Run(name, func(t *testing.T) {
			d := registrytest.NewDockerHub(bot)
			for i := range 5 {
				name := fmt.Sprint("org/app", i)
				d.Set(name, registrytest.HubRepository{})
				image(t, d.Images, name, "1")
			}
			login(t, test.credentials)
			logins := 0
			var mu sync.Mutex
			count := func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					_, _, basic := r.BasicAuth()
					if basic || r.URL.Path == "/v2/auth/token" {
						mu.Lock()
						logins++
						mu.Unlock()
						if test.answer != nil {
							test.answer(w, r)
							return
						}
					}
					next.ServeHTTP(w, r)
				})
			}
			hosts := d.Hosts()
			hosts["auth.docker.io"], hosts["hub.docker.com"] = count(hosts["auth.docker.io"]), count(hosts["hub.docker.com"])
			net, err := registrytest.NewInternet(hosts)
			if err != nil {
				t.Fatal(err)
			}
			defer net.Close()
			r := open(t, net.Transport())
			var all sync.WaitGroup
			for i := range 5 {
				for range 3 {
					all.Go(func() {
						if _, err := r.Head(t.Context(), parse(t, fmt.Sprintf("org/app%d:1", i))); verdictOf(err).Kind != test.kind || verdictOf(err).Transient != test.transient {
							t.Errorf("Head = %v, want %s", err, test.kind)
						}
					})
				}
				all.Go(func() { _, _ = hubOf(t, r).Repository(t.Context(), parse(t, fmt.Sprintf("org/app%d:1", i))) })
			}
			all.Wait()
			if logins != test.want {
				t.Errorf("%d logins were sent, want %d", logins, test.want)
			}
		})
	}
}

func TestHub_deleteTag(t *testing.T) {
	accounts := []registrytest.HubAccount{
		bot,
		{Name: "push", Secret: "pat"},
		{Name: "org", Secret: "oat", Organization: true, Delete: true},
	}
	inAMinute := fmt.Sprint(time.Now().Add(time.Minute).Unix())
	for name, test := range map[string]struct {
		login, tag string
		fault      http.HandlerFunc
		want       verdict
		hint       string
	}{
		"deleted":         {login: "bot:pat", tag: "1", want: verdict{Message: "<nil>"}},
		"gone":            {login: "bot:pat", tag: "9", want: verdict{Kind: registry.KindNotFound, Status: 404, Message: "object not found"}},
		"immutable":       {login: "bot:pat", tag: "v1", want: verdict{Kind: registry.KindImmutable, Status: 403, Message: "tag v1 cannot be deleted due to immutability settings"}},
		"no delete scope": {login: "push:pat", tag: "1", want: verdict{Kind: registry.KindAuth, Status: 403, Message: "access denied: insufficient scope"}, hint: "Read, Write, Delete"},
		"organization access token": {
			login: "org:oat", tag: "1", want: verdict{Kind: registry.KindAuth, Status: 403, Message: "access is forbidden with a JWT issued from an organization access token"},
			hint: "an organization access token cannot delete tags",
		},
		"no login": {login: "", tag: "1", want: verdict{Kind: registry.KindAuth, Message: "there is no login"}, hint: "docker login without a host"},
		"500 around a registry's 401": {
			login: "bot:pat", tag: "1", fault: registrytest.Text(500, "application/json", `{"message":"unexpected status: 401 UNAUTHORIZED, Action:delete"}`),
			want: verdict{Kind: registry.KindAuth, Status: 500, Message: "unexpected status: 401 UNAUTHORIZED, Action:delete"}, hint: "Read, Write, Delete",
		},
		"500":        {login: "bot:pat", tag: "1", fault: registrytest.Text(500, "application/json", `{"message":"internal error"}`), want: verdict{Kind: registry.KindOutage, Status: 500, Message: "internal error", Transient: true}},
		"405":        {login: "bot:pat", tag: "1", fault: registrytest.Text(405, "application/json", `{"detail":"Method \"DELETE\" not allowed."}`), want: verdict{Kind: registry.KindUnsupported, Status: 405, Message: `Method "DELETE" not allowed.`}},
		"rate limit": {login: "bot:pat", tag: "1", fault: registrytest.With("X-Retry-After", inAMinute, registrytest.Text(429, "application/json", `{"detail":"Rate limit exceeded","error":false}`)), want: verdict{Kind: registry.KindRateLimit, Status: 429, Message: "Rate limit exceeded", Wait: time.Minute, Transient: true}},
		"portal":     {login: "bot:pat", tag: "1", fault: registrytest.Text(404, "text/html", "<html>"), want: verdict{Kind: registry.KindNotARegistry, Status: 404, Message: "an HTML page"}},
		"reset":      {login: "bot:pat", tag: "1", fault: registrytest.Reset, want: verdict{Kind: registry.KindOutage, Message: "EOF", Transient: true}},
		"redirect": {login: "bot:pat", tag: "1", fault: func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://elsewhere.example/", http.StatusFound)
		}, want: verdict{Kind: registry.KindNotARegistry, Status: 302}},
		"endless body": {login: "bot:pat", tag: "1", fault: registrytest.Text(403, "text/plain", strings.Repeat("x", 1<<20)), want: verdict{Kind: registry.KindAuth, Status: 403, Message: strings.Repeat("x", 299) + "…"}},
	} {
		t.Run(name, func(t *testing.T) {
			d := registrytest.NewDockerHub(accounts...)
			d.Set("org/app", registrytest.HubRepository{Writers: []string{"bot", "push"}, Immutable: true, Rules: []string{"^v"}})
			digest := image(t, d.Images, "org/app", "1")
			image(t, d.Images, "org/app", "other")
			image(t, d.Images, "org/app", "v1")
			if test.fault != nil {
				d.API.Inject(registrytest.Fault{Method: http.MethodDelete, Answer: test.fault})
			}
			c, net := deletes(t, d, test.login)
			err := hubOf(t, c).DeleteTag(t.Context(), parse(t, "org/app:"+test.tag))
			got := verdictOf(err)
			if got.Wait > 30*time.Second {
				got.Wait = time.Minute
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("DeleteTag = %v (-want +got):\n%s", err, diff)
			}
			if e, ok := err.(*registry.Error); test.hint != "" && (!ok || !strings.Contains(e.Hint(), test.hint)) { //nolint:errorlint // never wrapped
				t.Errorf("hint of %v", err)
			}
			if n := len(net.Requests()); n > 2 {
				t.Errorf("%d requests", n)
			}
			// The other tag of the same image stays, whatever happened.
			if d, err := c.Head(t.Context(), parse(t, "org/app:other")); err != nil || d.Digest != digest {
				t.Errorf("the other tag: %+v, %v", d, err)
			}
		})
	}
}

// deletes is hub without a judge where a test's fault leaves the description, with the
// client that reads the registry.
func deletes(t *testing.T, d *registrytest.DockerHub, credentials string) (*host.Registries, *registrytest.Internet) {
	t.Helper()
	login(t, credentials)
	net, err := registrytest.NewInternet(d.Hosts())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(net.Close)
	return open(t, net.Transport()), net
}

func TestHub_cancelled(t *testing.T) {
	d := registrytest.NewDockerHub(bot)
	d.API.Inject(registrytest.Fault{Answer: registrytest.Hang})
	c, _ := hub(t, d, "bot:pat")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := c.DeleteTag(ctx, parse(t, "org/app:1")); verdictOf(err).Kind != registry.KindOutage {
		t.Errorf("DeleteTag = %v", err)
	}
}

func TestHubRepository_immutable(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		rules []string
		tag   string
		want  string // "rule", "" for not immutable, "all"
	}{
		{nil, "1", "all"},
		{[]string{"^v"}, "v1.0.0", "^v"},
		{[]string{"^v"}, "1.0.0", ""},
		{[]string{"latest", `[0-9]+\.[0-9]+`}, "1.0-rc", `[0-9]+\.[0-9]+`},
		{[]string{".*-RELEASE"}, "1-RELEASE-2", ".*-RELEASE"},
		{[]string{"(?<=x)"}, "1", "(?<=x)"}, // not RE2
	} {
		var r host.HubRepository
		r.ImmutableTags.Enabled, r.ImmutableTags.Rules = true, test.rules
		immutable, rule := r.Immutable(test.tag)
		if immutable && rule == "" {
			rule = "all"
		}
		if rule != test.want || immutable != (test.want != "") {
			t.Errorf("Immutable(%q) under %q = %t, %q; want %q", test.tag, test.rules, immutable, rule, test.want)
		}
		r.ImmutableTags.Enabled = false
		if immutable, _ := r.Immutable(test.tag); immutable {
			t.Errorf("Immutable(%q) where it is off", test.tag)
		}
	}
}

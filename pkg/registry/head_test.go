// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/LerianStudio/pushguard/pkg/registry"
	"github.com/LerianStudio/pushguard/pkg/registry/host"
	"github.com/LerianStudio/pushguard/pkg/registry/registrytest"
)

// start serves a new registry and returns a client and a reference on it.
func start(t *testing.T, h http.Handler) (*registry.Client, registry.Reference) {
	t.Helper()
	address, stop, err := registrytest.Serve(h)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	c, err := host.Open(t.Context(), registry.Options{Timeout: 3 * time.Second}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ref, err := registry.ParseReference(address + "/org/app:1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	return c.Client, ref
}

// verdict is what a test expects of an *registry.Error.
type verdict struct {
	Kind      registry.Kind
	Status    int
	Code      string
	Message   string
	Wait      time.Duration
	AtTokens  bool
	Transient bool
}

func verdictOf(err error) (v verdict) {
	e, ok := err.(*registry.Error) //nolint:errorlint // it is never wrapped here
	if !ok {
		return verdict{Message: fmt.Sprint(err)}
	}
	return verdict{e.Kind, e.Status, e.Code, e.Message, e.Wait, e.AtTokens, e.Transient()}
}

func TestHead_failures(t *testing.T) {
	t.Parallel()
	html := registrytest.Text(http.StatusNotFound, "text/html", "<html>no such page</html>")
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		want   verdict
	}{
		"missing tag":        {registrytest.Error(404, "MANIFEST_UNKNOWN", "manifest unknown"), verdict{Kind: registry.KindNotFound, Status: 404, Code: "MANIFEST_UNKNOWN", Message: "manifest unknown"}},
		"missing repository": {registrytest.Error(404, "NAME_UNKNOWN", "repository unknown"), verdict{Kind: registry.KindNotFound, Status: 404, Code: "NAME_UNKNOWN", Message: "repository unknown"}},
		"Quay, deleted tag":  {registrytest.Error(404, "TAG_EXPIRED", "revive via time machine"), verdict{Kind: registry.KindNotFound, Status: 404, Code: "TAG_EXPIRED", Message: "revive via time machine"}},
		"404 without a code": {registrytest.Text(404, "text/plain", "404 page not found"), verdict{Kind: registry.KindNotARegistry, Status: 404, Message: "404 page not found"}},
		"404 with HTML":      {html, verdict{Kind: registry.KindNotARegistry, Status: 404, Message: "an HTML page"}},
		"404, other code":    {registrytest.Error(404, "BLOB_UNKNOWN", "x"), verdict{Kind: registry.KindInvalid, Status: 404, Code: "BLOB_UNKNOWN", Message: "x"}},
		"200 with HTML":      {registrytest.Text(200, "text/html", "<html>log in</html>"), verdict{Kind: registry.KindNotARegistry, Status: 200}},
		"401":                {registrytest.Error(401, "UNAUTHORIZED", "authentication required"), verdict{Kind: registry.KindAuth, Status: 401, Code: "UNAUTHORIZED", Message: "authentication required"}},
		"403":                {registrytest.Error(403, "DENIED", "requested access to the resource is denied"), verdict{Kind: registry.KindAuth, Status: 403, Code: "DENIED", Message: "requested access to the resource is denied"}},
		"429":                {registrytest.With("Retry-After", "7", registrytest.Error(429, "TOOMANYREQUESTS", "slow down")), verdict{Kind: registry.KindRateLimit, Status: 429, Wait: 7 * time.Second, Transient: true}},
		"500":                {registrytest.Text(500, "text/plain", "oops"), verdict{Kind: registry.KindOutage, Status: 500, Transient: true}},
		"503":                {registrytest.With("Retry-After", "1", registrytest.Text(503, "text/html", "<html>")), verdict{Kind: registry.KindOutage, Status: 503, Wait: time.Second, Transient: true}},
		"reset":              {registrytest.Reset, verdict{Kind: registry.KindOutage, Message: "EOF", Transient: true}},
		"hang":               {registrytest.Hang, verdict{Kind: registry.KindOutage, Message: "it took longer than --timeout", Transient: true}},
		"redirect loop": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.Path, http.StatusTemporaryRedirect)
		}, verdict{Kind: registry.KindNotARegistry, Status: 307}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := registrytest.New(true)
			r.Inject(registrytest.Fault{Answer: test.answer})
			c, ref := start(t, r)
			d, err := c.Head(t.Context(), ref)
			got := verdictOf(err)
			if strings.HasSuffix(got.Message, ": EOF") {
				got.Message = "EOF"
			}
			if diff := cmp.Diff(test.want, got); diff != "" || d.Digest != "" {
				t.Errorf("Head = %+v, %v (-want +got):\n%s", d, err, diff)
			}
			if n := len(r.Requests()); name != "redirect loop" && n > 2 {
				t.Errorf("%d requests: somebody retries", n)
			}
		})
	}
}

func TestHead_present(t *testing.T) {
	t.Parallel()
	r := registrytest.New(true)
	c, ref := start(t, r)
	digest, err := registrytest.Push(t.Context(), ref.Registry, ref.Repository, ref.Tag, "one")
	if err != nil {
		t.Fatal(err)
	}
	r.Requests()
	got, err := c.Head(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	want := registry.Descriptor{MediaType: "application/vnd.oci.image.manifest.v1+json", Digest: digest, Size: 250}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(registry.Descriptor{}, "Size")); diff != "" || got.Size < 200 {
		t.Errorf("Head (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"HEAD /v2/org/app/manifests/1.2.3"}, r.Requests()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

// Some registries leave the digest out of a HEAD's answer (older ECR).
func TestHead_withoutDigest(t *testing.T) {
	t.Parallel()
	r := registrytest.New(true)
	c, ref := start(t, r)
	digest, err := registrytest.Push(t.Context(), ref.Registry, ref.Repository, ref.Tag, "one")
	if err != nil {
		t.Fatal(err)
	}
	r.Inject(registrytest.Fault{Method: http.MethodHead, Answer: registrytest.Text(200, "application/vnd.oci.image.manifest.v1+json", "")})
	if d, err := c.Head(t.Context(), ref); err != nil || d.Digest != digest {
		t.Errorf("Head = %+v, %v, want %s", d, err, digest)
	}
}

// tokenService puts a token service in front of every request: repositories get a
// token from answer, which also serves the realm.
func tokenService(answer http.HandlerFunc, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/token":
			answer(w, r)
		case r.Header.Get("Authorization") == "Bearer good":
			next.ServeHTTP(w, r)
		default:
			w.Header().Set("WWW-Authenticate", `Bearer realm="http://`+r.Host+`/token",service="registry",scope="repository:org/app:pull"`)
			registrytest.Error(401, "UNAUTHORIZED", "authentication required")(w, r)
		}
	})
}

func TestHead_tokenService(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		want   verdict
	}{
		"good, tag missing": {registrytest.Text(200, "application/json", `{"token":"good"}`), verdict{Kind: registry.KindNotFound, Status: 404, Code: "MANIFEST_UNKNOWN", Message: "Unknown manifest"}},
		"token of no use":   {registrytest.Text(200, "application/json", `{"token":"bad"}`), verdict{Kind: registry.KindAuth, Status: 401, Code: "UNAUTHORIZED", Message: "authentication required"}},
		"wrong password":    {registrytest.Error(401, "UNAUTHORIZED", "incorrect username or password"), verdict{Kind: registry.KindAuth, Status: 401, Code: "UNAUTHORIZED", Message: "incorrect username or password", AtTokens: true}},
		"403":               {registrytest.Error(403, "DENIED", "denied"), verdict{Kind: registry.KindAuth, Status: 403, Code: "DENIED", Message: "denied", AtTokens: true}},
		"429":               {registrytest.With("Retry-After", "3", registrytest.Text(429, "text/plain", "slow down")), verdict{Kind: registry.KindRateLimit, Status: 429, Message: "slow down", Wait: 3 * time.Second, AtTokens: true, Transient: true}},
		"503":               {registrytest.Text(503, "text/plain", "down"), verdict{Kind: registry.KindOutage, Status: 503, Message: "down", AtTokens: true, Transient: true}},
		"HTML":              {registrytest.Text(200, "text/html", "<html>log in</html>"), verdict{Kind: registry.KindNotARegistry, Status: 200, Message: "an HTML page", AtTokens: true}},
		"reset":             {registrytest.Reset, verdict{Kind: registry.KindOutage, Message: "EOF", AtTokens: true, Transient: true}},
		"hang":              {registrytest.Hang, verdict{Kind: registry.KindOutage, Message: "it took longer than --timeout", AtTokens: true, Transient: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := registrytest.New(true)
			c, ref := start(t, tokenService(test.answer, r))
			seed(t, r)
			_, err := c.Head(t.Context(), ref.WithTag("missing"))
			got := verdictOf(err)
			if strings.HasSuffix(got.Message, ": EOF") {
				got.Message = "EOF"
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("Head = %v (-want +got):\n%s", err, diff)
			}
		})
	}
}

// seed makes org/app exist.
func seed(t *testing.T, h http.Handler) {
	t.Helper()
	address, stop, err := registrytest.Serve(h)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	if _, err := registrytest.Push(t.Context(), address, "org/app", "seed", "seed"); err != nil {
		t.Fatal(err)
	}
}

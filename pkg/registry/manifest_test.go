// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/LerianStudio/pushguard/pkg/registry"
	"github.com/LerianStudio/pushguard/pkg/registry/registrytest"
	"github.com/LerianStudio/pushguard/pkg/registry/registrytest/contract"
)

func TestManifest_hostileAnswers(t *testing.T) {
	t.Parallel()
	const body = `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{},"layers":[]}`
	answer := func(digest, length string, write func(io.Writer)) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
			if digest != "" {
				w.Header().Set("Docker-Content-Digest", digest)
			}
			if length != "" {
				w.Header().Set("Content-Length", length)
			}
			write(w)
		}
	}
	plain := func(w io.Writer) { _, _ = io.WriteString(w, body) }
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		want   registry.Kind // 0: it is read
	}{
		"honest":            {answer(registrytest.Digest(body), "", plain), 0},
		"no digest":         {answer("", "", plain), 0},
		"digest that lies":  {answer(digest, "", plain), registry.KindNotARegistry},
		"digest of nothing": {answer("sha256:x", "", plain), registry.KindNotARegistry},
		"endless": {answer("", "", func(w io.Writer) {
			chunk := []byte(strings.Repeat(" ", 1<<20))
			for range 1 << 10 {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		}), registry.KindNotARegistry},
		"broken off": {answer("", strconv.Itoa(len(body)+10), plain), registry.KindOutage},
		"40 MB error": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = io.WriteString(w, strings.Repeat("x", 40<<20))
		}, registry.KindOutage},
		"endless headers": {func(w http.ResponseWriter, _ *http.Request) {
			for i := range 100_000 {
				w.Header().Set(fmt.Sprint("X-", i), "y")
			}
		}, registry.KindOutage},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := registrytest.New(true)
			r.Inject(registrytest.Fault{Answer: test.answer})
			c, ref := start(t, r)
			m, err := c.Manifest(t.Context(), ref)
			if got := verdictOf(err); test.want != got.Kind || len(got.Message) > 400 {
				t.Errorf("Manifest = %v, want %s", err, test.want)
			}
			if test.want == 0 && (m.Digest != registrytest.Digest(body) || string(m.Raw) != body) {
				t.Errorf("Manifest = %+v", m)
			}
		})
	}
}

func TestPutDeleteTags(t *testing.T) {
	t.Parallel()
	r := registrytest.New(true)
	c, ref := start(t, r)
	ctx := t.Context()
	pushed, err := registrytest.Push(ctx, ref.Registry, ref.Repository, ref.Tag, "one")
	if err != nil {
		t.Fatal(err)
	}
	m, err := c.Manifest(ctx, ref)
	if err != nil || m.Digest != pushed {
		t.Fatalf("Manifest = %+v, %v", m, err)
	}
	if err := c.PutManifest(ctx, ref.WithTag("other"), m.MediaType, m.Raw); err != nil {
		t.Fatal(err)
	}
	r.Requests()
	if err := c.DeleteTag(ctx, ref); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"DELETE /v2/org/app/manifests/1.2.3"}, r.Requests()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	tags, err := c.Tags(ctx, ref)
	if err != nil || !slices.Equal(tags, []string{"other"}) {
		t.Errorf("Tags = %v, %v", tags, err)
	}
	again, err := c.Manifest(ctx, ref.WithTag("other"))
	if err != nil || string(again.Raw) != string(m.Raw) {
		t.Errorf("Manifest of the other tag = %+v, %v", again, err)
	}
}

// regclient's TagDelete overwrites a tag that it cannot delete. Whatever a
// registry answers to DELETE, nothing but that one request may be sent.
func TestDeleteTag_refused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		want   registry.Kind
	}{
		"distribution, off": {registrytest.Error(405, "UNSUPPORTED", "The operation is unsupported."), registry.KindUnsupported},
		"Docker Hub":        {registrytest.Error(405, "UNSUPPORTED", "Only digest-based deletion is allowed"), registry.KindUnsupported},
		"Harbor":            {registrytest.Error(400, "UNSUPPORTED", "the operation isn't supported"), registry.KindUnsupported},
		"Harbor, immutable": {registrytest.Error(412, "PRECONDITION", "Failed to process request due to 'r:t' configured as immutable."), registry.KindImmutable},
		"Quay, immutable":   {registrytest.Error(409, "TAG_IMMUTABLE", "tag is immutable"), registry.KindImmutable},
		"zot, in an index":  {registrytest.Error(405, "DENIED", "denied"), registry.KindReferenced},
		"GAR, by digest":    {registrytest.Error(400, "GOOGLE_MANIFEST_DANGLING_TAG", "Manifest is still referenced by tag"), registry.KindReferenced},
		"no right":          {registrytest.Error(403, "DENIED", "requested access to the resource is denied"), registry.KindAuth},
		"429":               {registrytest.Error(429, "TOOMANYREQUESTS", "slow down"), registry.KindRateLimit},
		"503":               {registrytest.Text(503, "text/plain", "down"), registry.KindOutage},
		"gone":              {registrytest.Error(404, "MANIFEST_UNKNOWN", "manifest unknown"), registry.KindNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := registrytest.New(true)
			c, ref := start(t, r)
			before, err := registrytest.Push(t.Context(), ref.Registry, ref.Repository, ref.Tag, "one")
			if err != nil {
				t.Fatal(err)
			}
			r.Requests()
			r.Inject(registrytest.Fault{Method: http.MethodDelete, Answer: test.answer})
			err = c.DeleteTag(t.Context(), ref)
			if got := verdictOf(err); got.Kind != test.want {
				t.Errorf("DeleteTag = %v, want %s", err, test.want)
			}
			if diff := cmp.Diff([]string{"DELETE /v2/org/app/manifests/1.2.3"}, r.Requests()); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
			if d, err := c.Head(t.Context(), ref); err != nil || d.Digest != before {
				t.Errorf("the tag is now %+v, %v; it was %s", d, err, before)
			}
		})
	}
}

// signature is a referrer of subject.
func signature(t *testing.T, c *registry.Client, ref registry.Reference, subject registry.Descriptor) []byte {
	t.Helper()
	blob, err := c.PutBlob(t.Context(), ref, []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"application/x.test",
		"config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":%q,"size":2},
		"layers":[{"mediaType":"application/x.test","digest":%[1]q,"size":2}],
		"subject":{"mediaType":%q,"digest":%q,"size":%d}}`, blob.Digest, subject.MediaType, subject.Digest, subject.Size)
}

func TestAttach(t *testing.T) {
	t.Parallel()
	for name, referrers := range map[string]bool{"referrers API": true, "fallback tag": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := registrytest.New(referrers)
			c, ref := start(t, r)
			ctx := t.Context()
			if _, err := registrytest.Push(ctx, ref.Registry, ref.Repository, ref.Tag, "one"); err != nil {
				t.Fatal(err)
			}
			subject, err := c.Head(ctx, ref)
			if err != nil {
				t.Fatal(err)
			}
			d, err := contract.Attach(ctx, c, ref, "application/vnd.oci.image.manifest.v1+json", signature(t, c, ref, subject))
			if err != nil {
				t.Fatal(err)
			}
			list, err := c.Referrers(ctx, ref.WithDigest(subject.Digest), "application/x.test")
			if err != nil || len(list) != 1 || list[0].Digest != d.Digest {
				t.Fatalf("Referrers = %+v, %v", list, err)
			}
			if list, err := c.Referrers(ctx, ref.WithDigest(subject.Digest), "application/x.other"); err != nil || len(list) != 0 {
				t.Errorf("Referrers of another type = %+v, %v", list, err)
			}
			m, err := c.Manifest(ctx, ref.WithDigest(d.Digest))
			if err != nil {
				t.Fatal(err)
			}
			blob, err := c.Blob(ctx, ref, registry.Descriptor{Digest: registrytest.Digest("{}"), Size: 2}, 10)
			if err != nil || string(blob) != "{}" || m.Digest != d.Digest {
				t.Errorf("Blob = %q, %v", blob, err)
			}
			if _, err := c.Blob(ctx, ref, registry.Descriptor{Digest: registrytest.Digest("{}"), Size: 2}, 1); err == nil {
				t.Error("a blob over the limit was read")
			}
		})
	}
}

// An outage of the referrers API must not read as "no referrers": the image would
// be signed twice.
func TestReferrers_outage(t *testing.T) {
	t.Parallel()
	r := registrytest.New(true)
	c, ref := start(t, r)
	ctx := t.Context()
	if _, err := registrytest.Push(ctx, ref.Registry, ref.Repository, ref.Tag, "one"); err != nil {
		t.Fatal(err)
	}
	subject, err := c.Head(ctx, ref)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := contract.Attach(ctx, c, ref, "application/vnd.oci.image.manifest.v1+json", signature(t, c, ref, subject)); err != nil {
		t.Fatal(err)
	}
	fresh, err := registry.New(ctx, registry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name, answer := range map[string]http.HandlerFunc{
		"503":       registrytest.Text(503, "text/plain", "down"),
		"HTML":      registrytest.Text(200, "text/html", "<h1>We will be back</h1>"),
		"truncated": registrytest.Text(200, "application/vnd.oci.image.index.v1+json", `{"schemaVersion":2,"manife`),
		"cut": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "4000")
			_, _ = io.WriteString(w, `{"schemaVersion":2,"manife`)
		},
	} {
		r.Inject(registrytest.Fault{Path: "/referrers/", Times: 1, Answer: answer})
		if list, err := fresh.Referrers(ctx, ref.WithDigest(subject.Digest), ""); err == nil {
			t.Errorf("%s: Referrers = %+v, want an error", name, list)
		}
		if list, err := fresh.Referrers(ctx, ref.WithDigest(subject.Digest), ""); err != nil || len(list) != 1 {
			t.Errorf("Referrers after %s = %+v, %v", name, list, err)
		}
	}
}

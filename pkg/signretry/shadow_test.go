// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signretry_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/LerianStudio/pushguard/pkg/registry"
	"github.com/LerianStudio/pushguard/pkg/signing"
	"github.com/LerianStudio/pushguard/pkg/signretry"
)

// "cosign copy" leaves a fallback tag that names the image itself, be it an image or an
// index: it means "no referrers yet", and a list takes its place.
func TestRun_afterCosignCopy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		image := l.pushSingle(withoutReferrers + "/org/a")
		index := l.pushIndex(withoutReferrers+"/org/a", image)
		for _, ref := range []registry.Reference{image, index} {
			m, err := l.client.Manifest(t.Context(), ref)
			if err != nil {
				t.Fatal(err)
			}
			if err := l.client.PutManifest(t.Context(), ref.WithTag(registry.FallbackTag(ref.Digest)), m.MediaType, m.Raw); err != nil {
				t.Fatal(err)
			}
		}
		l.opts.Recursive = true
		if diff := cmp.Diff([]signretry.Status{signed, signed}, statuses(l.run(t.Context(), index))); diff != "" {
			t.Fatalf("statuses (-want +got):\n%s", diff)
		}
		for _, ref := range []registry.Reference{image, index} {
			list, err := l.client.FallbackList(t.Context(), ref)
			if err != nil || len(list.Entries) != 1 {
				t.Errorf("%s: list %+v, %v, want one entry", ref, list.Entries, err)
			}
		}
		if diff := cmp.Diff([]signretry.Status{already, already}, statuses(l.run(t.Context(), index))); diff != "" {
			t.Errorf("again (-want +got):\n%s", diff)
		}
	})
}

// A registry that takes the tag sha256-… for the digest can keep no list: refused soon,
// before the log is asked, with the way out. A legacy signature works.
func TestRun_tagIsTakenForTheDigest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		images := []registry.Reference{l.pushSingle(withoutReferrers + "/org/a")}
		images = append(images, l.pushIndex(withoutReferrers+"/org/a", images[0]))
		next := l.registry.handlers[withoutReferrers]
		l.registry.handlers[withoutReferrers] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			path, tag, _ := strings.Cut(r.URL.Path, "/manifests/")
			if digest, ok := registry.AttachedTo(tag); ok && !strings.HasSuffix(tag, ".sig") && r.Method != http.MethodPut {
				r.URL.Path = path + "/manifests/" + digest
			}
			next.ServeHTTP(w, r)
		})
		start := time.Now()
		for _, res := range l.run(t.Context(), images...).Results {
			if res.Status != failed || res.Passing() || !strings.Contains(res.Err.Error(), "the registry takes this tag for the digest") {
				t.Errorf("%s: %s, %v", res.Ref, res.Status, res.Err)
			}
		}
		if took := time.Since(start); took > 30*time.Second || l.counts().Entries != 0 {
			t.Errorf("took %s and %d log entries, want a refusal before the log is asked", took, l.counts().Entries)
		}
		l.opts.Formats = []signing.Format{signing.FormatLegacy}
		if diff := cmp.Diff([]signretry.Status{signed, signed}, statuses(l.run(t.Context(), images...))); diff != "" {
			t.Errorf("legacy (-want +got):\n%s", diff)
		}
	})
}

// pushSingle puts an image that is no index into a registry.
func (l *lab) pushSingle(name string) registry.Reference {
	l.t.Helper()
	host, repository, _ := strings.Cut(name, "/")
	ref := registry.Reference{Registry: host, Repository: repository}
	config, err := l.client.PutBlob(l.t.Context(), ref, []byte("{}"))
	if err != nil {
		l.t.Fatal(err)
	}
	raw := `{"schemaVersion":2,"mediaType":"` + signing.ReferrerMediaType + `","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"` + config.Digest + `","size":2},"layers":[]}`
	ref.Digest = registry.DigestOf([]byte(raw))
	if err := l.client.PutManifest(l.t.Context(), ref, signing.ReferrerMediaType, []byte(raw)); err != nil {
		l.t.Fatal(err)
	}
	return ref
}

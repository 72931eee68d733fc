// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signretry_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/LerianStudio/pushguard/pkg/registry"
	"github.com/LerianStudio/pushguard/pkg/signing"
	"github.com/LerianStudio/pushguard/pkg/signing/signingtest"
	"github.com/LerianStudio/pushguard/pkg/signretry"
)

var bothFormats = []signing.Format{signing.FormatBundle, signing.FormatLegacy}

// formatsOf lists the formats of a result's signatures.
func formatsOf(r signretry.Result) (formats []signing.Format) {
	for _, s := range r.Signatures {
		formats = append(formats, s.Format)
	}
	return formats
}

// Both layouts in two repositories: one bundle serves both, each has a legacy
// signature of its own, all with one certificate. A second run writes nothing.
func TestRun_bothFormats(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		l.opts.Formats = bothFormats
		images := []registry.Reference{l.push(withReferrers+"/org/a", "a"), l.push(withoutReferrers+"/mirror/a", "a")}
		rep := l.run(t.Context(), images...)
		if diff := cmp.Diff([]signretry.Status{signed, signed}, statuses(rep)); diff != "" {
			t.Fatalf("statuses (-want +got):\n%s", diff)
		}
		for _, res := range rep.Results {
			if diff := cmp.Diff(bothFormats, formatsOf(res)); diff != "" {
				t.Errorf("%s: formats (-want +got):\n%s", res.Ref, diff)
			}
		}
		if diff := cmp.Diff(counts{Tokens: 1, Certificates: 1, Entries: 3, Posts: 3}, l.counts()); diff != "" {
			t.Errorf("cost (-want +got):\n%s", diff)
		}
		writes := l.registry.writes()
		if diff := cmp.Diff([]signretry.Status{already, already}, statuses(l.run(t.Context(), images...))); diff != "" {
			t.Errorf("second run (-want +got):\n%s", diff)
		}
		if l.registry.writes() != writes || l.Rekor.Entries() != 3 {
			t.Errorf("the second run wrote to the registry or to the log")
		}
	})
}

// A legacy signature stands behind those that are there; theirs stay byte for byte.
func TestRun_legacyAppends(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		l.opts.Formats = []signing.Format{signing.FormatLegacy}
		image := l.push(withoutReferrers+"/org/a", "a")
		tag := image.WithTag(registry.SignatureTag(image.Digest))
		var before []signing.Descriptor
		for i, workflow := range []string{"other/app/.github/workflows/a.yml@refs/heads/main", "third/app/.github/workflows/a.yml@refs/heads/main", signingtest.DefaultWorkflow} {
			l.OIDC.SetWorkflow(workflow)
			if got := statuses(l.run(t.Context(), image)); got[0] != signed {
				t.Fatalf("signer %d: %v", i, got)
			}
			m, err := l.opts.Registry.Manifest(t.Context(), tag)
			if err != nil {
				t.Fatal(err)
			}
			layers, config, err := signing.LegacyLayers(m.Raw)
			if err != nil || len(layers) != i+1 {
				t.Fatalf("signer %d: %d layers, %v", i, len(layers), err)
			}
			if diff := cmp.Diff(before, layers[:i:i], cmp.Transformer("", func(l []signing.Descriptor) string { return fmt.Sprint(l) })); diff != "" {
				t.Errorf("signer %d changed what was there (-before +after):\n%s", i, diff)
			}
			before = layers
			raw, err := l.opts.Registry.Blob(t.Context(), image, registry.Descriptor{Digest: config.Digest, Size: config.Size}, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			var c struct {
				RootFS struct {
					DiffIDs []string `json:"diff_ids"`
				} `json:"rootfs"`
			}
			if err := json.Unmarshal(raw, &c); err != nil || len(c.RootFS.DiffIDs) != i+1 || c.RootFS.DiffIDs[i] != layers[i].Digest {
				t.Errorf("signer %d: config %s, %v", i, raw, err)
			}
		}
		if got := statuses(l.run(t.Context(), image)); got[0] != already {
			t.Errorf("again: %v", got)
		}
	})
}

// Another signer writes the tag between our read and our write: both stay.
func TestRun_legacyRace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		l.opts.Formats = []signing.Format{signing.FormatLegacy}
		image := l.push(withoutReferrers+"/org/a", "a")
		tag := registry.SignatureTag(image.Digest)
		puts := 0
		l.registry.intercept = func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPut || !strings.HasSuffix(r.URL.Path, tag) {
				return false
			}
			if puts++; puts > 1 {
				return false
			}
			w.WriteHeader(http.StatusCreated) // ours is overwritten at once: by a manifest that lacks it
			return true
		}
		if got := statuses(l.run(t.Context(), image)); got[0] != signed || puts != 2 {
			t.Errorf("%v after %d writes, want signed after 2", got, puts)
		}
		if got := l.counts(); got.Entries != 1 {
			t.Errorf("cost %+v, want one entry", got)
		}
	})
}

func TestRun_legacyNeedsRekorV1(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 2)
		l.opts.Formats = bothFormats
		res := l.run(t.Context(), l.push(withReferrers+"/org/a", "a")).Results[0]
		if res.Status != failed || res.Passing() || !strings.Contains(res.Err.Error(), "needs a Rekor v1 log") || l.Fulcio.Certificates() != 0 {
			t.Errorf("%+v, want a refusal before anything is asked for", res)
		}
	})
}

// What lacks an annotation that is asked for is not the signature that is asked for.
func TestRun_annotations(t *testing.T) {
	t.Parallel()
	for _, format := range bothFormats {
		synctest.Test(t, func(t *testing.T) {
			l := newLab(t, 1)
			l.opts.Formats = []signing.Format{format}
			image := l.push(withReferrers+"/org/a", "a")
			for _, step := range []struct {
				annotations map[string]string
				want        signretry.Status
			}{
				{nil, signed},
				{map[string]string{"build": "7 <&>\n\"x\"", "env": ""}, signed},
				{map[string]string{"env": ""}, already},
				{map[string]string{"env": "prod"}, signed},
				{nil, already},
			} {
				l.opts.Annotations = step.annotations
				if got := statuses(l.run(t.Context(), image)); got[0] != step.want {
					t.Errorf("%s, annotations %v: %v, want %s", format, step.annotations, got, step.want)
				}
			}
		})
	}
}

// An index and what it lists, nested indexes too, each signed once, in order.
func TestRun_recursive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		l.opts.Recursive = true
		host := withReferrers + "/org/a"
		amd, arm := l.push(host, "amd64"), l.push(host, "arm64")
		inner := l.pushIndex(host, arm)
		outer := l.pushIndex(host, amd, inner)
		rep := l.run(t.Context(), outer, amd)
		var got []registry.Reference
		for _, r := range rep.Results {
			got = append(got, r.Ref)
		}
		if diff := cmp.Diff([]registry.Reference{outer, amd, inner, arm}, got); diff != "" {
			t.Errorf("signed (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]signretry.Status{signed, signed, signed, signed}, statuses(rep)); diff != "" {
			t.Errorf("statuses (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(counts{Tokens: 1, Certificates: 1, Entries: 4, Posts: 4}, l.counts()); diff != "" {
			t.Errorf("cost (-want +got):\n%s", diff)
		}
	})
}

// fifty pushes so many images.
func (l *lab) fifty() (images []registry.Reference) {
	for i := range 50 {
		images = append(images, l.push(withReferrers+"/org/a", fmt.Sprint(i)))
	}
	return images
}

// Fifty images, and a log that is down for good: one of them asks, the others wait
// for the outcome, and nobody hangs.
func TestRun_manyImagesLogDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		images := l.fifty()
		l.Rekor.Create.Fail(-1, signingtest.Fault{Status: 503})
		start := time.Now()
		rep := l.run(t.Context(), images...)
		reasons := map[string]int{}
		for _, r := range rep.Results {
			if r.Status != failed || !r.Passing() {
				t.Fatalf("%+v, want given up on an outage", r)
			}
			reasons[r.Err.Error()]++
		}
		if posts := l.Rekor.Create.Requests(); posts > 13 {
			t.Errorf("the log was asked %d times, want at most 13: four at once, then one at a time", posts)
		}
		if len(reasons) > 4 || time.Since(start) > 10*time.Minute {
			t.Errorf("%d different reasons after %s", len(reasons), time.Since(start))
		}
		// The log is back: the next run signs all, with the images asked for four at a time.
		l.Rekor.Create.Heal()
		for _, s := range statuses(l.run(t.Context(), images...)) {
			if s != signed {
				t.Fatalf("second run: %s", s)
			}
		}
	})
}

// A log that is down for twenty seconds costs fifty images little more than that.
func TestRun_manyImagesLogReturns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		images := l.fifty()
		l.Rekor.Create.Fail(-1, signingtest.Fault{Status: 503})
		time.AfterFunc(20*time.Second, l.Rekor.Create.Heal)
		start := time.Now()
		for _, s := range statuses(l.run(t.Context(), images...)) {
			if s != signed {
				t.Fatalf("%s, want all signed", s)
			}
		}
		if took := time.Since(start); took > 90*time.Second {
			t.Errorf("took %s", took)
		}
	})
}

// Rekor v2's lost answer is read from its tiles: one entry, also in a tree of
// several tiles. A log that does not hand them out costs a second entry.
func TestRun_rekorV2LostAnswer(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		grow        int
		read        *signingtest.Fault
		wantEntries int
	}{
		"small tree":                 {0, nil, 1},
		"several tiles":              {1000, nil, 1},
		"tiles busy for a while":     {300, &signingtest.Fault{Status: 503}, 1},
		"tiles are HTML for a while": {0, func() *signingtest.Fault { f := signingtest.HTML(); return &f }(), 1},
		"no tiles":                   {0, &signingtest.Fault{Status: 501}, 2},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := newLab(t, 2)
			l.Rekor2.Grow(tt.grow)
			image := l.push(withReferrers+"/org/a", "a")
			l.Rekor2.LoseAnswer(2)
			if tt.read != nil {
				times := 3
				if tt.read.Status == 501 {
					times = -1
				}
				l.Rekor2.Read.Fail(times, *tt.read)
			}
			if got := statuses(l.run(t.Context(), image)); got[0] != signed {
				t.Fatalf("%s: %v", name, got)
			}
			if got := l.counts(); got.Certificates != 1 || got.Entries != tt.wantEntries {
				t.Errorf("%s: cost %+v, want 1 certificate and %d entries", name, got, tt.wantEntries)
			}
			if got := statuses(l.run(t.Context(), image)); got[0] != already {
				t.Errorf("%s: second run: %v", name, got)
			}
		})
	}
}

// The tag that holds signatures cannot be moved: the error names it.
func TestRun_immutableSignatureTag(t *testing.T) {
	t.Parallel()
	for _, format := range bothFormats {
		synctest.Test(t, func(t *testing.T) {
			l := newLab(t, 1)
			l.opts.Formats = []signing.Format{format}
			image := l.push(withoutReferrers+"/org/a", "a")
			tag := strings.Replace(image.Digest, ":", "-", 1)
			l.registry.intercept = func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodPut || !strings.Contains(r.URL.Path, "/manifests/"+tag) {
					return false
				}
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusForbidden)
				_, _ = w.Write([]byte(`{"errors":[{"code":"DENIED","message":"requested access to the resource is denied - tag is already assigned to an image in this repository and cannot be updated due to immutability settings"}]}`))
				return true
			}
			res := l.run(t.Context(), image).Results[0]
			e, ok := errors.AsType[*registry.Error](res.Err)
			if !ok || res.Passing() || !strings.HasPrefix(e.Ref.Tag, tag) || !strings.Contains(e.Hint(), "must leave out tags that begin with sha256-") {
				t.Errorf("%s: %v (hint %q), want a refusal that names the tag %s and what to do", format, res.Err, e.Hint(), tag)
			}
		})
	}
}

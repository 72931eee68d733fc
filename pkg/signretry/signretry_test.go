// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signretry_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/LerianStudio/pushguard/pkg/registry"
	"github.com/LerianStudio/pushguard/pkg/retry"
	"github.com/LerianStudio/pushguard/pkg/signing"
	"github.com/LerianStudio/pushguard/pkg/signing/signingtest"
	"github.com/LerianStudio/pushguard/pkg/signretry"
)

const (
	signed  = signretry.Signed
	already = signretry.Already
	failed  = signretry.Failed
)

func TestRun_lostAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		image := l.push(withReferrers+"/org/app", "a")
		l.Rekor.LoseAnswer(1)
		l.Rekor.NotFound(2)
		rep := l.run(t.Context(), image)
		if diff := cmp.Diff([]signretry.Status{signed}, statuses(rep)); diff != "" {
			t.Fatalf("status (-want +got):\n%s", diff)
		}
		want := counts{Tokens: 1, Certificates: 1, Entries: 1, Posts: 2, Gets: 3}
		if diff := cmp.Diff(want, l.counts()); diff != "" {
			t.Errorf("cost (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(&signretry.LogEntry{URL: "http://sigstore.test/rekor", Index: 1005}, rep.Results[0].Log()); diff != "" {
			t.Errorf("log (-want +got):\n%s", diff)
		}
		// A second run finds the signature: no certificate, no entry, no write.
		writes := l.registry.writes()
		if diff := cmp.Diff([]signretry.Status{already}, statuses(l.run(t.Context(), image))); diff != "" {
			t.Errorf("second run (-want +got):\n%s", diff)
		}
		want.Tokens++
		if diff := cmp.Diff(want, l.counts()); diff != "" {
			t.Errorf("cost after second run (-want +got):\n%s", diff)
		}
		if l.Fulcio.Requests() != 1 || l.registry.writes() != writes {
			t.Errorf("second run asked Fulcio or wrote to the registry")
		}
	})
}

// Every service failing for a while, in every way: signed, with one certificate and one entry.
func TestRun_outages(t *testing.T) {
	t.Parallel()
	faults := map[string]signingtest.Fault{
		"503": {Status: 503}, "canceled": {Status: 499}, "429": {Status: 429, RetryAfter: "3"}, "reset": {Reset: true}, "hang": {Hang: true},
		"HTML": signingtest.HTML(), "truncated": {Truncate: true}, "lost": {Lost: true, Status: 504},
	}
	for name, fault := range faults {
		for _, version := range []uint32{1, 2} {
			synctest.Test(t, func(t *testing.T) {
				l := newLab(t, version)
				image := l.push(withoutReferrers+"/org/app", "a")
				for _, r := range []*signingtest.Route{&l.OIDC.Route, &l.Fulcio.Route, &l.TSA.Route, &l.Rekor.Create, &l.Rekor2.Route} {
					r.Fail(2, fault)
				}
				rep := l.run(t.Context(), image)
				if diff := cmp.Diff([]signretry.Status{signed}, statuses(rep)); diff != "" {
					t.Fatalf("%s, v%d: status (-want +got):\n%s", name, version, diff)
				}
				stores := fault.Lost || fault.Truncate
				wantCertificates, wantEntries := 1, 1
				if stores { // Fulcio cannot know that its answer was lost
					wantCertificates = 3
				}
				if got := l.counts(); got.Certificates != wantCertificates || got.Entries != wantEntries {
					t.Errorf("%s, v%d: cost %+v, want %d certificates and %d entries", name, version, got, wantCertificates, wantEntries)
				}
				if got := statuses(l.run(t.Context(), image)); got[0] != already {
					t.Errorf("%s, v%d: second run: %v", name, version, got)
				}
			})
		}
	}
}

// Several images: one identity, one certificate; one bundle per digest; results
// in the order asked; the failure of one does not stop the others.
func TestRun_severalImages(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		a1 := l.push(withReferrers+"/org/a", "a")
		a2 := l.push(withoutReferrers+"/org/a", "a")
		b := l.push(withReferrers+"/org/b", "b")
		missing := b.WithDigest("sha256:" + strings.Repeat("0", 64))
		tagged := a1
		tagged.Tag = "1.2.3"
		var told []string
		l.opts.OnResult = func(r signretry.Result) { told = append(told, r.Ref.String()) }
		rep := l.run(t.Context(), a1, missing, b, a2, tagged)
		if diff := cmp.Diff([]signretry.Status{signed, failed, signed, signed, signed}, statuses(rep)); diff != "" {
			t.Fatalf("statuses (-want +got):\n%s", diff)
		}
		for i, want := range []registry.Reference{a1, missing, b, a2, tagged} {
			if rep.Results[i].Ref != want {
				t.Errorf("result %d is for %s, want %s", i, rep.Results[i].Ref, want)
			}
		}
		if diff := cmp.Diff(counts{Tokens: 1, Certificates: 1, Entries: 2, Posts: 2}, l.counts()); diff != "" {
			t.Errorf("cost (-want +got):\n%s", diff)
		}
		if len(told) != 5 {
			t.Errorf("OnResult was told of %v", told)
		}
		if rep.Results[1].Passing() || !strings.Contains(rep.Results[1].Err.Error(), missing.String()) {
			t.Errorf("missing image: %v, passing %v", rep.Results[1].Err, rep.Results[1].Passing())
		}
	})
}

// A digest that is signed in one repository is not signed again for another: the bundle is copied.
func TestRun_copiesBundle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		first := l.push(withReferrers+"/org/a", "a")
		l.run(t.Context(), first)
		second := l.push(withoutReferrers+"/mirror/a", "a")
		rep := l.run(t.Context(), first, second)
		if diff := cmp.Diff([]signretry.Status{already, signed}, statuses(rep)); diff != "" {
			t.Fatalf("statuses (-want +got):\n%s", diff)
		}
		if l.Fulcio.Requests() != 1 || l.Rekor.Entries() != 1 {
			t.Errorf("cost %+v, want one certificate and one entry in all", l.counts())
		}
		if got := statuses(l.run(t.Context(), second)); got[0] != already {
			t.Errorf("the copy is not found: %v", got)
		}
	})
}

func TestRun_otherIdentityDoesNotCount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		image := l.push(withReferrers+"/org/a", "a")
		l.OIDC.SetWorkflow("evil/app/.github/workflows/release.yml@refs/heads/main")
		l.run(t.Context(), image)
		l.OIDC.SetWorkflow(signingtest.DefaultWorkflow)
		if diff := cmp.Diff([]signretry.Status{signed}, statuses(l.run(t.Context(), image))); diff != "" {
			t.Errorf("status (-want +got):\n%s", diff)
		}
		if got := l.counts(); got.Certificates != 2 || got.Entries != 2 {
			t.Errorf("cost %+v, want a signature of each identity", got)
		}
	})
}

// At most two signatures begin in a second, and one certificate serves all. What ends the
// run ends the wait for a turn.
func TestRun_rate(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		budget time.Duration
		want   []signretry.Status
		took   time.Duration
	}{
		"in time":     {15 * time.Minute, []signretry.Status{signed, signed, signed, signed, signed}, 2 * time.Second},
		"out of time": {1200 * time.Millisecond, []signretry.Status{signed, signed, signed, failed, failed}, 1200 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := newLab(t, 1)
				var images []registry.Reference
				for _, content := range []string{"a", "b", "c", "d", "e"} {
					images = append(images, l.push(withReferrers+"/org/a", content))
				}
				l.opts.Rate, l.opts.Parallel, l.opts.Budget = 2, 1, test.budget
				start := time.Now()
				rep := l.run(t.Context(), images...)
				if diff := cmp.Diff(test.want, statuses(rep)); diff != "" {
					t.Errorf("statuses (-want +got):\n%s", diff)
				}
				if took := time.Since(start); took != test.took {
					t.Errorf("took %s, want %s", took, test.took)
				}
				if l.Fulcio.Certificates() != 1 {
					t.Errorf("%d certificates, want 1", l.Fulcio.Certificates())
				}
				if res := rep.Results[3]; res.Status == failed && (!res.Passing() || !strings.Contains(res.Err.Error(), "wait to sign sha256:")) {
					t.Errorf("%s failed with %v, passing %t", res.Ref, res.Err, res.Passing())
				}
			})
		})
	}
}

// The log says 409 and never shows the entry: given up when the time is over, as an outage.
func TestRun_neverShown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		image := l.push(withReferrers+"/org/a", "a")
		l.Rekor.LoseAnswer(1)
		l.Rekor.NotFound(-1)
		l.opts.Budget = 5 * time.Minute
		start := time.Now()
		rep := l.run(t.Context(), image)
		if took := time.Since(start); took > 5*time.Minute || took < 4*time.Minute {
			t.Errorf("took %s of the budget of 5m", took)
		}
		res := rep.Results[0]
		gaveUp, ok := errors.AsType[*retry.GaveUpError](res.Err)
		if !ok || !res.Passing() || !signing.IsKind(gaveUp.Err, signing.KindPending) {
			t.Fatalf("result %+v, want given up while the entry was pending", res)
		}
		if l.Rekor.Entries() != 1 || l.Fulcio.Certificates() != 1 {
			t.Errorf("cost %+v, want one certificate and one entry", l.counts())
		}
	})
}

// An outage longer than the certificate's life: a new certificate, then, and only then.
func TestRun_certificateRunsOut(t *testing.T) {
	t.Parallel()
	for _, version := range []uint32{1, 2} {
		synctest.Test(t, func(t *testing.T) {
			l := newLab(t, version)
			image := l.push(withReferrers+"/org/a", "a")
			l.Fulcio.SetLifetime(10 * time.Second)
			l.OIDC.SetLifetime(10 * time.Second)
			route := &l.Rekor.Create
			if version == 2 {
				route = &l.Rekor2.Route
			}
			route.Fail(2, signingtest.Fault{Status: 503, RetryAfter: "11"})
			rep := l.run(t.Context(), image)
			if diff := cmp.Diff([]signretry.Status{signed}, statuses(rep)); diff != "" {
				t.Fatalf("rekor v%d: status (-want +got):\n%s", version, diff)
			}
			// Rekor v2's entries carry no time: the timestamp was won while the certificate lived.
			want := map[uint32]int{1: 3, 2: 1}[version]
			if got := l.counts(); got.Certificates != want || got.Tokens != want || got.Entries != 1 {
				t.Errorf("rekor v%d: cost %+v, want %d tokens and certificates, one entry", version, got, want)
			}
		})
	}
}

// A page in a registry's place says nothing of a signature: one that is there is not made
// again. Found by the simulator.
func TestRun_pageInPlaceOfSignature(t *testing.T) {
	t.Parallel()
	for name, what := range map[string]string{"manifest": "/manifests/", "blob": "/blobs/"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := newLab(t, 1)
				image := l.push(withReferrers+"/org/app", "a")
				l.run(t.Context(), image)
				pages := 1
				l.registry.intercept = func(w http.ResponseWriter, r *http.Request) bool {
					if r.Method != http.MethodGet || !strings.Contains(r.URL.Path, what) || strings.HasSuffix(r.URL.Path, image.Digest) || pages == 0 {
						return false
					}
					pages--
					w.Header().Set("Content-Type", "text/html")
					_, _ = w.Write([]byte("<html><title>Please wait</title></html>"))
					return true
				}
				if diff := cmp.Diff([]signretry.Status{already}, statuses(l.run(t.Context(), image))); diff != "" {
					t.Errorf("second run (-want +got):\n%s", diff)
				}
				if got := l.counts(); pages != 0 || got.Entries != 1 || got.Certificates != 1 {
					t.Errorf("cost %+v, %d pages left", got, pages)
				}
			})
		})
	}
}

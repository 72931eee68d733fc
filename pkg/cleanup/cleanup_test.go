// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package cleanup_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/LerianStudio/pushguard/pkg/cleanup"
	"github.com/LerianStudio/pushguard/pkg/registry"
	"github.com/LerianStudio/pushguard/pkg/registry/host"
	"github.com/LerianStudio/pushguard/pkg/registry/registrytest"
	"github.com/LerianStudio/pushguard/pkg/registry/registrytest/contract"
	"github.com/LerianStudio/pushguard/pkg/retry"
)

// world is a registry with a repository org/app.
type world struct {
	*registrytest.Registry

	client *host.Registries
	name   string // host/org/app
	host   string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	r := registrytest.New(true)
	address, stop, err := r.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	c, err := host.Open(t.Context(), registry.Options{Timeout: time.Second}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return &world{Registry: r, client: c, name: address + "/org/app", host: address}
}

// push writes an image made of content under tag.
func (w *world) push(t *testing.T, tag, content string) (digest string) {
	t.Helper()
	digest, err := registrytest.Push(t.Context(), w.host, "org/app", tag, content)
	if err != nil {
		t.Fatal(err)
	}
	return digest
}

// tags lists the repository as tag → digest.
func (w *world) tags(t *testing.T) map[string]string {
	t.Helper()
	ref := w.ref(t, "x")
	tags, err := w.client.Tags(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, tag := range tags {
		d, err := w.client.Head(t.Context(), ref.WithTag(tag))
		if err != nil {
			t.Fatal(err)
		}
		all[tag] = d.Digest
	}
	return all
}

func (w *world) ref(t *testing.T, tag string) registry.Reference {
	t.Helper()
	ref, err := registry.ParseReference(w.name + ":" + tag)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func absent() cleanup.Before { return cleanup.Before{Known: true} }

func present(digest string) cleanup.Before { return cleanup.Before{Known: true, Digest: digest} }

// undo plans and carries out, and returns "tag: action outcome" of each report.
func (w *world) undo(t *testing.T, ctx context.Context, claims ...cleanup.Claim) []string { //nolint:revive // t first reads better
	t.Helper()
	policy := retry.Policy{MaxAttempts: 3}
	steps := cleanup.Cleaner{Registry: w.client, Policy: policy}.Plan(ctx, claims)
	var got []string
	cleanup.Cleaner{Registry: w.client, Policy: policy, OnReport: func(r cleanup.Report) {
		line := fmt.Sprintf("%s: %s %s", r.Claim.Ref.Tag, r.Action, r.Outcome)
		if r.Detail != "" {
			line += ": " + strings.ReplaceAll(r.Detail, w.host, "HOST")
		}
		got = append(got, line)
	}}.Run(ctx, steps)
	return got
}

// The proof table of docs/design.md, whole.
func TestPlan_proofTable(t *testing.T) {
	t.Parallel()
	const published, other = "one", "two"
	for name, test := range map[string]struct {
		now    string // content under the tag, "" for none
		before func(digests map[string]string) cleanup.Before
		publ   string // content published, "" for not known
		want   cleanup.Action
		reason string
	}{
		"absent, now = published":         {published, func(map[string]string) cleanup.Before { return absent() }, published, cleanup.Delete, "this run created it"},
		"present A, now = published":      {published, func(d map[string]string) cleanup.Before { return present(d[other]) }, published, cleanup.Restore, "this run moved it"},
		"present A, now A":                {other, func(d map[string]string) cleanup.Before { return present(d[other]) }, published, cleanup.Keep, "nothing to undo"},
		"present A, now A, published A":   {other, func(d map[string]string) cleanup.Before { return present(d[other]) }, other, cleanup.Keep, "nothing to undo"},
		"absent, now ≠ published":         {other, func(map[string]string) cleanup.Before { return absent() }, published, cleanup.Keep, "someone else moved it"},
		"present A, now ≠ published":      {"three", func(d map[string]string) cleanup.Before { return present(d[other]) }, published, cleanup.Keep, "someone else moved it"},
		"absent, now present, not known":  {published, func(map[string]string) cleanup.Before { return absent() }, "", cleanup.Keep, "the push may be another run's; --accept-revision-label compares the image's commit"},
		"present A, now other, not known": {published, func(d map[string]string) cleanup.Before { return present(d[other]) }, "", cleanup.Keep, "the push may be another run's; --accept-revision-label compares the image's commit"},
		"unknown, now = published":        {published, func(map[string]string) cleanup.Before { return cleanup.Before{} }, published, cleanup.Keep, "without it nothing proves that this run created it"},
		"unknown, now ≠ published":        {other, func(map[string]string) cleanup.Before { return cleanup.Before{} }, published, cleanup.Keep, "without it nothing proves that this run created it"},
		"absent, now absent":              {"", func(map[string]string) cleanup.Before { return absent() }, published, cleanup.Keep, "nothing to undo"},
		"present A, now absent":           {"", func(d map[string]string) cleanup.Before { return present(d[other]) }, published, cleanup.Keep, "nothing to undo"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			digests := map[string]string{}
			for _, content := range []string{published, other, "three"} {
				digests[content] = w.push(t, "has-"+content, content)
			}
			if test.now != "" {
				w.push(t, "1.2.3", test.now)
			}
			claim := cleanup.Claim{Ref: w.ref(t, "1.2.3"), Before: test.before(digests), Published: digests[test.publ]}
			steps := cleanup.Cleaner{Registry: w.client}.Plan(t.Context(), []cleanup.Claim{claim})
			if len(steps) != 1 || steps[0].Action != test.want || steps[0].Reason != test.reason || steps[0].Now != digests[test.now] {
				t.Errorf("Plan = %+v, want %s because %q", steps, test.want, test.reason)
			}
		})
	}
}

func TestPlan_revisionLabel(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.push(t, "1.2.3", "one")
	claim := cleanup.Claim{Ref: w.ref(t, "1.2.3"), Before: absent()}
	for commit, want := range map[string]cleanup.Action{"": cleanup.Keep, "abc": cleanup.Keep} {
		if got := (cleanup.Cleaner{Registry: w.client, Commit: commit}).Plan(t.Context(), []cleanup.Claim{claim}); got[0].Action != want || got[0].Err != nil {
			t.Errorf("with commit %q: %+v, want %s", commit, got[0], want)
		}
	}
	raw := []byte(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[],"annotations":{"org.opencontainers.image.revision":"abc"}}`)
	if err := w.client.PutManifest(t.Context(), w.ref(t, "1.2.3"), "application/vnd.oci.image.index.v1+json", raw); err != nil {
		t.Fatal(err)
	}
	for commit, want := range map[string]cleanup.Action{"": cleanup.Keep, "abd": cleanup.Keep, "abc": cleanup.Delete} {
		if got := (cleanup.Cleaner{Registry: w.client, Commit: commit}).Plan(t.Context(), []cleanup.Claim{claim}); got[0].Action != want || got[0].Err != nil {
			t.Errorf("with commit %q: %+v, want %s", commit, got[0], want)
		}
	}
}

func TestPlan_registryDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	digest := w.push(t, "1.2.3", "one")
	w.Inject(registrytest.Fault{Answer: registrytest.Text(503, "text/plain", "down")})
	got := w.undo(t, t.Context(), cleanup.Claim{Ref: w.ref(t, "1.2.3"), Before: absent(), Published: digest})
	want := []string{"1.2.3: keep failed: HOST answered 503 Service Unavailable"}
	for i := range got {
		got[i], _, _ = strings.Cut(got[i], " (gave up")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("reports (-want +got):\n%s", diff)
	}
}

func TestRun_deletesRestoresAndKeeps(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old := w.push(t, "latest", "old")
	w.push(t, "1.2.2", "old")
	foreign := w.push(t, "nightly", "foreign")
	published := w.push(t, "1.2.3", "new")
	w.push(t, "latest", "new")
	got := w.undo(t, t.Context(),
		cleanup.Claim{Ref: w.ref(t, "1.2.3"), Before: absent(), Published: published},
		cleanup.Claim{Ref: w.ref(t, "latest"), Before: present(old), Published: published},
		cleanup.Claim{Ref: w.ref(t, "nightly"), Before: absent(), Published: published},
	)
	want := []string{"nightly: keep kept", "latest: restore done", "1.2.3: delete done"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("reports (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"latest": old, "1.2.2": old, "nightly": foreign}, w.tags(t)); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
	// Running it again changes nothing.
	w.Requests()
	w.undo(t, t.Context(),
		cleanup.Claim{Ref: w.ref(t, "1.2.3"), Before: absent(), Published: published},
		cleanup.Claim{Ref: w.ref(t, "latest"), Before: present(old), Published: published})
	for _, request := range w.Requests() {
		if !strings.HasPrefix(request, "HEAD ") && !strings.HasPrefix(request, "GET ") {
			t.Errorf("the second run sent %s", request)
		}
	}
}

// A registry that refuses to delete a tag: by digest, if nobody else needs it.
func TestRun_tagDeletionRefused(t *testing.T) {
	t.Parallel()
	refuse := registrytest.Error(http.StatusMethodNotAllowed, "UNSUPPORTED", "The operation is unsupported.")
	for name, test := range map[string]struct {
		others map[string]string // tag → content
		index  bool              // an index holds the image
		ours   []string
		want   []string
	}{
		"the only tag": {nil, false, []string{"1.2.3"}, []string{"1.2.3: delete done"}},
		"all tags ours": {
			map[string]string{"1.2": "new"},
			false,
			[]string{"1.2.3", "1.2"},
			[]string{"1.2.3: delete done", "1.2: delete gone: it is no longer there"},
		},
		"a tag of somebody else": {
			map[string]string{"stable": "new"},
			false,
			[]string{"1.2.3"},
			[]string{"1.2.3: delete blocked: the registry does not offer it: HOST answered 405 Method Not Allowed (UNSUPPORTED: The operation is unsupported.); deleting the digest would take HOST/org/app:stable with it"},
		},
		"part of an index": {
			nil, true,
			[]string{"1.2.3"},
			[]string{"1.2.3: delete blocked: the registry does not offer it: HOST answered 405 Method Not Allowed (UNSUPPORTED: The operation is unsupported.); deleting the digest would take HOST/org/app:multi with it"},
		},
		"other images": {map[string]string{"stable": "old"}, false, []string{"1.2.3"}, []string{"1.2.3: delete done"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			published := w.push(t, "1.2.3", "new")
			for tag, content := range test.others {
				w.push(t, tag, content)
			}
			if test.index {
				raw := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":%q,"size":1}]}`, published)
				if err := w.client.PutManifest(t.Context(), w.ref(t, "multi"), "application/vnd.oci.image.index.v1+json", raw); err != nil {
					t.Fatal(err)
				}
			}
			before := w.tags(t)
			w.Inject(registrytest.Fault{Method: http.MethodDelete, Path: "/manifests/1.2", Answer: refuse})
			var claims []cleanup.Claim
			for _, tag := range test.ours {
				claims = append(claims, cleanup.Claim{Ref: w.ref(t, tag), Before: absent(), Published: published})
			}
			if diff := cmp.Diff(test.want, w.undo(t, t.Context(), claims...)); diff != "" {
				t.Errorf("reports (-want +got):\n%s", diff)
			}
			w.Heal()
			for tag, digest := range w.tags(t) {
				if before[tag] != digest {
					t.Errorf("%s changed from %s to %s", tag, before[tag], digest)
				}
				delete(before, tag)
			}
			for tag := range before {
				if !slices.Contains(test.ours, tag) {
					t.Errorf("%s is gone", tag)
				}
			}
		})
	}
}

// attach adds a signature-like referrer to the image.
func (w *world) attach(t *testing.T, tag string) {
	t.Helper()
	ref := w.ref(t, tag)
	subject, err := w.client.Head(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	empty, err := w.client.PutBlob(t.Context(), ref, []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	empty.MediaType = "application/vnd.oci.empty.v1+json"
	raw, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "artifactType": "application/x.test",
		"config": empty, "layers": []registry.Descriptor{empty}, "subject": subject,
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := contract.Attach(t.Context(), w.client.Client, ref, "application/vnd.oci.image.manifest.v1+json", raw); err != nil {
		t.Fatal(err)
	}
}

func (w *world) referrers(t *testing.T, digest string) int {
	t.Helper()
	list, err := w.client.Referrers(t.Context(), w.ref(t, "x").WithDigest(digest), "")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

func TestRun_signaturesGoWithTheLastTag(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		other bool
		want  []string
		left  int
	}{
		"the last tag": {false, []string{"1.2.3: delete done", ": delete done: 1 removed"}, 0},
		"not the last": {true, []string{"1.2.3: delete done"}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			published := w.push(t, "1.2.3", "new")
			w.attach(t, "1.2.3")
			w.push(t, "signed-too", "else")
			w.attach(t, "signed-too")
			if test.other {
				w.push(t, "stable", "new")
			}
			got := w.undo(t, t.Context(), cleanup.Claim{Ref: w.ref(t, "1.2.3"), Before: absent(), Published: published})
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("reports (-want +got):\n%s", diff)
			}
			if n := w.referrers(t, published); n != test.left {
				t.Errorf("%d signatures left, want %d", n, test.left)
			}
			if n := w.referrers(t, registrytest.Digest(imageOf(t, w, "signed-too"))); n != 1 {
				t.Errorf("the other image has %d signatures, had 1", n)
			}
		})
	}
}

func imageOf(t *testing.T, w *world, tag string) string {
	t.Helper()
	m, err := w.client.Manifest(t.Context(), w.ref(t, tag))
	if err != nil {
		t.Fatal(err)
	}
	return string(m.Raw)
}

func TestRun_refusals(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"immutable":  {registrytest.Error(409, "TAG_IMMUTABLE", "tag is immutable"), "1.2.3: delete blocked: the tag is immutable: HOST answered 409 Conflict (TAG_IMMUTABLE: tag is immutable)"},
		"no right":   {registrytest.Error(403, "DENIED", "requested access to the resource is denied"), "1.2.3: delete blocked: the login lacks the right to do it: HOST answered 403 Forbidden (DENIED: requested access to the resource is denied)"},
		"an outage":  {registrytest.Text(500, "text/plain", "oops"), "1.2.3: delete failed: HOST answered 500 Internal Server Error (oops)"},
		"no effect":  {registrytest.Text(202, "text/plain", ""), "1.2.3: delete blocked: the registry accepted the deletion, but the tag is still there"},
		"referenced": {registrytest.Error(405, "DENIED", "denied"), "1.2.3: delete blocked: something else still needs the image: HOST answered 405 Method Not Allowed (DENIED: denied)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			published := w.push(t, "1.2.3", "new")
			w.Inject(registrytest.Fault{Method: http.MethodDelete, Answer: test.answer})
			got := w.undo(t, t.Context(), cleanup.Claim{Ref: w.ref(t, "1.2.3"), Before: absent(), Published: published})
			if diff := cmp.Diff([]string{test.want}, got); diff != "" {
				t.Errorf("reports (-want +got):\n%s", diff)
			}
		})
	}
}

// The answer to a DELETE that was carried out is lost: the tag is gone, by us.
func TestRun_lostAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	published := w.push(t, "1.2.3", "new")
	claim := cleanup.Claim{Ref: w.ref(t, "1.2.3"), Before: absent(), Published: published}
	w.Inject(registrytest.Fault{Method: http.MethodDelete, Times: 1, Answer: func(_ http.ResponseWriter, req *http.Request) {
		w.Registry.ServeHTTP(discard{}, req)
		panic(http.ErrAbortHandler)
	}})
	if diff := cmp.Diff([]string{"1.2.3: delete done"}, w.undo(t, t.Context(), claim)); diff != "" {
		t.Errorf("reports (-want +got):\n%s", diff)
	}
}

type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) WriteHeader(int)             {}

// Somebody moves the tag between plan and act.
func TestRun_movedSinceThePlan(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	published := w.push(t, "1.2.3", "new")
	claim := cleanup.Claim{Ref: w.ref(t, "1.2.3"), Before: absent(), Published: published}
	steps := cleanup.Cleaner{Registry: w.client}.Plan(t.Context(), []cleanup.Claim{claim})
	theirs := w.push(t, "1.2.3", "theirs")
	reports := cleanup.Cleaner{Registry: w.client}.Run(t.Context(), steps)
	if len(reports) != 1 || reports[0].Outcome != cleanup.Kept || !strings.Contains(reports[0].Detail, theirs) {
		t.Errorf("reports = %+v", reports)
	}
	if diff := cmp.Diff(map[string]string{"1.2.3": theirs}, w.tags(t)); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
}

func TestRun_restoreWithoutTheOldImage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	published := w.push(t, "latest", "new")
	lost := registrytest.Digest("never pushed")
	got := w.undo(t, t.Context(), cleanup.Claim{Ref: w.ref(t, "latest"), Before: present(lost), Published: published})
	want := []string{"latest: restore blocked: the image from before, " + lost + ", is gone; nothing was touched"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("reports (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"latest": published}, w.tags(t)); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
}

// An interrupt lets the act at hand finish and begins no other.
func TestRun_interrupted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	published := w.push(t, "1.2.3", "new")
	w.push(t, "1.2", "new")
	ctx, cancel := context.WithCancel(t.Context())
	w.Inject(registrytest.Fault{Method: http.MethodDelete, Times: 1, Answer: func(rw http.ResponseWriter, req *http.Request) {
		cancel()
		time.Sleep(10 * time.Millisecond)
		w.Registry.ServeHTTP(rw, req)
	}})
	got := w.undo(t, ctx,
		cleanup.Claim{Ref: w.ref(t, "1.2.3"), Before: absent(), Published: published},
		cleanup.Claim{Ref: w.ref(t, "1.2"), Before: absent(), Published: published})
	if diff := cmp.Diff([]string{"1.2.3: delete done"}, got); diff != "" {
		t.Errorf("reports (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"1.2": published}, w.tags(t)); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
}

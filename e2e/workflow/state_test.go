// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/LerianStudio/pushguard/e2e/stack"
)

// tags is what both registries name: GHCR's, then Docker Hub's, of the version and
// of latest; "" for a tag that does not exist.
type tags struct{ ghcr, hub, ghcrLatest, hubLatest string }

func (r *team) tags(t *testing.T) tags {
	t.Helper()
	repository := r.name + "/app"
	return tags{
		r.ghcr.digest(t, repository, "1.2.3"), r.hub.digest(t, repository, "1.2.3"),
		r.ghcr.digest(t, repository, "latest"), r.hub.digest(t, repository, "latest"),
	}
}

func (r *team) wantTags(t *testing.T, want tags) {
	t.Helper()
	if got := r.tags(t); got != want {
		t.Errorf("tags are\n%+v, want\n%+v", got, want)
	}
}

// everywhere is digest under all four tags: what a run without a failure leaves.
func everywhere(digest string) tags { return tags{digest, digest, digest, digest} }

// published is the one digest that all four tags have.
func (r *team) published(t *testing.T) string {
	t.Helper()
	got := r.tags(t)
	if got.ghcr == "" || got != everywhere(got.ghcr) {
		t.Fatalf("tags are %+v, want one image under all", got)
	}
	return got.ghcr
}

// wantSignedOnce wants what wantSigned does, from one certificate and one log entry
// of all attempts.
func (r *team) wantSignedOnce(t *testing.T, digest string) {
	t.Helper()
	r.wantSigned(t, digest)
	r.wantCounts(t, 1, 1)
}

// wantSigned wants exactly one signature, of the release's identity, on digest in
// both registries.
func (r *team) wantSigned(t *testing.T, digest string) {
	t.Helper()
	for _, host := range []string{r.ghcr.host, r.hub.host} {
		image := host + "/" + r.name + "/app@" + digest
		res, err := e2e.BundleJudges()[0].Verify(t.Context(), r.Identity, image)
		if err != nil {
			t.Fatal(err)
		}
		if res.Code != 0 {
			t.Errorf("cosign verify %s: exit %d, want 0\n%s", image, res.Code, res.Stderr)
		}
		if n := signatures(t, image); n != 1 {
			t.Errorf("%s has %d signatures, want 1", image, n)
		}
	}
}

// wantCounts wants so many certificates and log entries of all attempts together.
func (r *team) wantCounts(t *testing.T, certificates, entries int) {
	t.Helper()
	if c, e := r.fulcio.Succeeded("POST", "/api/"), r.rekor.Succeeded("POST", "/api/"); c != certificates || e != entries {
		t.Errorf("%d certificates and %d log entries, want %d and %d", c, e, certificates, entries)
	}
}

// signatures counts what is attached to image, by API or by tag.
func signatures(t *testing.T, image string) int {
	t.Helper()
	n, err := stack.Referrers(t.Context(), image)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// want checks how the attempt ended and what its log holds; a text that begins
// with "!" must not be there.
func (got ran) want(t *testing.T, failed bool, texts ...string) {
	t.Helper()
	if got.failed != failed {
		t.Fatalf("the run failed: %t, want %t", got.failed, failed)
	}
	for _, text := range texts {
		absent, not := strings.CutPrefix(text, "!")
		if strings.Contains(got.log, absent) == not {
			t.Errorf("the log holds %q: %t, want %t", absent, not, !not)
		}
	}
	if strings.Contains(got.log, "Unexpected value") || strings.Contains(got.log, "helm-secret") {
		t.Error("the log holds an empty boolean or a secret")
	}
}

// wantOutputs checks what the jobs after the workflow get.
func (got ran) wantOutputs(t *testing.T, digest string, signed bool) {
	t.Helper()
	var images []struct {
		App, Version, Digest string
		Signed               bool
	}
	if err := json.Unmarshal([]byte(got.outputs["images"]), &images); err != nil {
		t.Fatalf("images: %v: %q", err, got.outputs["images"])
	}
	if len(images) != 1 || images[0].Digest != digest || images[0].Signed != signed {
		t.Errorf("images = %+v, want one: %s, signed %t", images, digest, signed)
	}
	if got.outputs["version"] != "1.2.3" || got.outputs["published"] != "true" || got.outputs["signed"] != fmt.Sprint(signed) {
		t.Errorf("outputs = %q, want version 1.2.3, published true, signed %t", got.outputs, signed)
	}
}

// tagRecord is what the tests read of a tag in a run record.
type tagRecord struct {
	Ref        string
	Before     struct{ State, Digest string }
	Published  *struct{ Digest string }
	Signatures []struct{ Digest string }
	Cleanup    *struct{ Outcome string }
}

// record is what the last attempt's record says of the first app.
func (r *team) record(t *testing.T) []tagRecord {
	t.Helper()
	pattern := filepath.Join(r.artifacts, fmt.Sprintf("pushguard-*-app-record-%d-3", r.attempt), "record.json")
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) != 1 {
		t.Fatalf("records %s = %q, want one (%v)", pattern, files, err)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	var record struct{ Tags []tagRecord }
	if err := json.Unmarshal(data, &record); err != nil {
		t.Fatal(err)
	}
	return record.Tags
}

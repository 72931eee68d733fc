// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"strings"
	"testing"

	"github.com/LerianStudio/pushguard/e2e/stack"
)

// The chain of a release: may I build, push, sign, check, sign again, undo.
func TestChain(t *testing.T) {
	t.Parallel()
	for name, registry := range registries() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := newJob(t)
			repository := registry(t) + "/org/app"
			tag := repository + ":1.2.3"

			wantVerdict(t, j, "new", tag)
			digest := push(t, newImage(t), tag)
			image := repository + "@" + digest
			mustRefuse(t, j.Identity, image, "no signatures found")

			j.sign(t, 0, "--metadata", buildxMetadata(t, digest, tag))
			mustVerify(t, j.Identity, image)
			mustRefuse(t, j.Identity+"x", image, "no matching CertificateIdentity found")
			wantCounts(t, j, 1, 1)
			wantRecorded(t, j, tag, digest)

			wantVerdict(t, j, "complete", tag)
			j.sign(t, 0, image)
			wantCounts(t, j, 1, 1)

			j.run(t, 0, "regcleanup")
			if !exists(t, tag) {
				t.Fatalf("%s is gone after a plan", tag)
			}
			j.run(t, 0, "regcleanup", "--delete")
			if exists(t, tag) {
				t.Errorf("%s is still there after --delete", tag)
			}
			if n := referrers(t, image); n != 0 {
				t.Errorf("%d signatures are left of a deleted image, want none", n)
			}
			wantVerdict(t, j, "new", tag)
		})
	}
}

// Another tag has the image too: it stays as it is, and signed.
func TestCleanup_sharedImage(t *testing.T) {
	t.Parallel()
	for name, registry := range registries() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := newJob(t)
			repository := registry(t) + "/org/app"
			tag, other := repository+":1.2.3", repository+":stable"
			wantVerdict(t, j, "new", tag)
			digest := push(t, newImage(t), tag, other)
			j.sign(t, 0, "--metadata", buildxMetadata(t, digest, tag))

			j.run(t, 0, "regcleanup", "--delete")
			if exists(t, tag) || !exists(t, other) {
				t.Errorf("after --delete: %s exists: %t, %s exists: %t, want only the latter", tag, exists(t, tag), other, exists(t, other))
			}
			mustVerify(t, j.Identity, other)
		})
	}
}

// Where deletion is switched off the tag stays, the job goes on, and the
// warning names what is left to do.
func TestCleanup_deletionDisabled(t *testing.T) {
	t.Parallel()
	j := newJob(t)
	host := start(t, func(ctx context.Context) (string, error) { return e2e.Distribution(ctx, false) })
	tag := host + "/org/app:1.2.3"
	wantVerdict(t, j, "new", tag)
	digest := push(t, newImage(t), tag)
	j.sign(t, 0, "--metadata", buildxMetadata(t, digest, tag))

	res := j.run(t, 0, "regcleanup", "--delete")
	for _, want := range []string{"warning", tag, digest} {
		if !strings.Contains(res.Stderr, want) {
			t.Errorf("stderr does not hold %q", want)
		}
	}
	if !exists(t, tag) {
		t.Errorf("%s is gone", tag)
	}
	j.run(t, 1, "regcleanup", "--delete", "--on-blocked=fail")
}

// The services may be named by their URLs instead of a signing config.
func TestSign_serviceURLs(t *testing.T) {
	t.Parallel()
	j := newJob(t)
	repository := start(t, e2e.Olareg) + "/org/app"
	image := repository + "@" + push(t, newImage(t), repository+":1.0.0")
	j.run(t, 0, "signretry", "--trusted-root", e2e.TrustedRoot,
		"--fulcio-url", j.fulcio.URL, "--rekor-url", j.rekor.URL, "--rekor-version=2",
		"--timestamp-url", j.tsa.URL+stack.TSAPath, image)
	mustVerify(t, j.Identity, image)
}

// One image under several names: one certificate, one log entry, a signature
// in each repository.
func TestSign_severalRegistries(t *testing.T) {
	t.Parallel()
	j := newJob(t)
	var tags []string
	for _, registry := range registries() {
		tags = append(tags, registry(t)+"/org/app:1.2.3")
	}
	digest := push(t, newImage(t), tags...)

	j.sign(t, 0, "--metadata", buildxMetadata(t, digest, strings.Join(tags, ",")))
	for _, tag := range tags {
		mustVerify(t, j.Identity, strings.TrimSuffix(tag, ":1.2.3")+"@"+digest)
	}
	wantCounts(t, j, 1, 1)
}

func wantCounts(t *testing.T, j job, certificates, entries int) {
	t.Helper()
	if c, e := j.certificates(), j.entries(); c != certificates || e != entries {
		t.Errorf("%d certificates and %d log entries so far, want %d and %d", c, e, certificates, entries)
	}
}

// wantRecorded wants the record to know that tag was absent, was published as
// digest, and is signed.
func wantRecorded(t *testing.T, j job, tag, digest string) {
	t.Helper()
	for _, got := range j.readRecord(t).Tags {
		if got.Ref != tag {
			continue
		}
		if got.Before == nil || got.Before.State != "absent" ||
			got.Published == nil || got.Published.Digest != digest ||
			len(got.Signatures) != 1 || got.Signatures[0].Digest != digest {
			t.Errorf("recorded of %s: %+v, want it absent before, published and signed as %s", tag, got, digest)
		}
		return
	}
	t.Errorf("%s is not in the record", tag)
}

// wantVerdict runs tagcheck on ref, as a re-run of the job would.
func wantVerdict(t *testing.T, j job, verdict, ref string) {
	t.Helper()
	res := j.run(t, 0, "tagcheck", "--json", "--on-existing=skip", ref)
	got := answer[struct{ Verdict string }](t, res).Verdict
	if got != verdict {
		t.Fatalf("tagcheck %s: verdict %q, want %q", ref, got, verdict)
	}
}

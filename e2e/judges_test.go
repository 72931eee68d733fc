// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/LerianStudio/pushguard/e2e/stack"
)

// layouts are the formats of signretry, with those who verify them and how many
// signatures of each kind an image then has.
var layouts = map[string]struct {
	judges          func(*stack.Stack) []stack.Judge
	bundles, legacy int
}{
	"bundle": {(*stack.Stack).BundleJudges, 1, 0},
	"legacy": {(*stack.Stack).LegacyJudges, 0, 1},
	"both":   {everyJudge, 1, 1},
}

func everyJudge(s *stack.Stack) []stack.Judge { return append(s.BundleJudges(), s.LegacyJudges()[0]) }

// Both cosigns accept what signretry writes in every format, on both kinds of
// registry, for indexes and images.
func TestJudges(t *testing.T) {
	t.Parallel()
	for kind, registry := range registries() {
		for format, layout := range layouts {
			t.Run(kind+"/"+format, func(t *testing.T) {
				t.Parallel()
				j := newJobOn(t, e2e.RekorV1)
				repository := registry(t) + "/org/app"
				index := repository + "@" + push(t, newImage(t), repository+":index")
				image := repository + "@" + pushImage(t, repository+":image")

				j.sign(t, 0, "--format", format, index, image)
				for _, ref := range []string{index, image} {
					mustAccept(t, layout.judges(e2e.Stack), j.Identity, ref)
					mustDecline(t, layout.judges(e2e.Stack), j.Identity+"x", ref, "")
					wantSignatures(t, ref, layout.bundles, layout.legacy)
				}
				wantStatus(t, j.sign(t, 0, "--json", "--format", format, index, image), "already", "already")
				wantCounts(t, j, 1, 2*(layout.bundles+layout.legacy))
			})
		}
	}
}

// Signatures of several identities and of three programs on one image: none
// replaces another.
func TestJudges_severalSigners(t *testing.T) {
	t.Parallel()
	for kind, registry := range registries() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			repository := registry(t) + "/org/app"
			image := repository + "@" + push(t, newImage(t), repository+":1.0.0")
			jobs := map[string]job{}
			for _, who := range []string{"first", "second", "cosign2", "cosign3", "last"} {
				jobs[who] = newJobOf(t, e2e.RekorV1, who)
			}
			jobs["first"].sign(t, 0, "--format=both", image)
			jobs["cosign2"].cosign(t, e2e.Cosign2(), image)
			jobs["second"].sign(t, 0, "--format=both", image)
			jobs["cosign3"].cosign(t, e2e.Cosign3(), image)
			jobs["last"].sign(t, 0, "--format=both", image)

			for _, who := range []string{"first", "second", "cosign3", "last"} {
				mustAccept(t, e2e.BundleJudges(), jobs[who].Identity, image)
			}
			for _, who := range []string{"first", "second", "cosign2", "last"} {
				mustAccept(t, e2e.LegacyJudges()[:1], jobs[who].Identity, image)
			}
			wantSignatures(t, image, 4, 4)
		})
	}
}

// With --recursive the images of an index are signed too, and not without.
func TestJudges_recursive(t *testing.T) {
	t.Parallel()
	for kind, registry := range registries() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			j := newJobOn(t, e2e.RekorV1)
			repository := registry(t) + "/org/app"
			index := newImage(t)
			digest := push(t, index, repository+":1.0.0")
			manifest, err := index.IndexManifest()
			if err != nil {
				t.Fatal(err)
			}
			j.sign(t, 0, "--format=both", repository+"@"+digest)
			for _, platform := range manifest.Manifests {
				mustDecline(t, everyJudge(e2e.Stack), j.Identity, repository+"@"+platform.Digest.String(), "")
			}
			j.sign(t, 0, "--format=both", "--recursive", repository+"@"+digest)
			mustAccept(t, everyJudge(e2e.Stack), j.Identity, repository+"@"+digest)
			for _, platform := range manifest.Manifests {
				mustAccept(t, everyJudge(e2e.Stack), j.Identity, repository+"@"+platform.Digest.String())
			}
		})
	}
}

// Annotations are signed, and cosign compares them: 3 in both layouts. (2.6 says so
// of a bundle's too, but accepts any.)
func TestJudges_annotations(t *testing.T) {
	t.Parallel()
	j := newJobOn(t, e2e.RekorV1)
	repository := start(t, e2e.Olareg) + "/org/app"
	image := repository + "@" + push(t, newImage(t), repository+":1.0.0")
	j.sign(t, 0, "--format=both", "--annotation=build=1234", "--annotation=team=a b", image)
	mustAccept(t, everyJudge(e2e.Stack), j.Identity, image, "-a", "build=1234", "-a", "team=a b")
	for _, judge := range []stack.Judge{e2e.BundleJudges()[0], e2e.LegacyJudges()[0]} {
		mustDecline(t, []stack.Judge{judge}, j.Identity, image, "", "-a", "build=1235")
	}
}

// What cosign has signed for the same identity is signed already.
func TestAlready_cosign(t *testing.T) {
	t.Parallel()
	for kind, registry := range registries() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			host := registry(t)
			for format, cosign := range map[string]stack.Cosign{"bundle": e2e.Cosign3(), "legacy": e2e.Cosign2()} {
				t.Run(format, func(t *testing.T) {
					t.Parallel()
					j := newJobOn(t, e2e.RekorV1)
					repository := host + "/org/app"
					image := repository + "@" + push(t, newImage(t), repository+":"+format)
					j.cosign(t, cosign, image)
					wantCounts(t, j, 1, 1)
					wantStatus(t, j.sign(t, 0, "--json", "--format", format, image), "already")
					wantCounts(t, j, 1, 1)

					// Another identity's is not ours.
					other := newJobOf(t, e2e.RekorV1, "other")
					wantStatus(t, other.sign(t, 0, "--json", "--format", format, image), "signed")
				})
			}
		})
	}
}

// pushImage writes an image without an index and returns its digest.
func pushImage(t *testing.T, ref string) string {
	t.Helper()
	image, err := random.Image(512, 2)
	if err != nil {
		t.Fatal(err)
	}
	tag, err := name.NewTag(ref)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(tag, image, remote.WithContext(t.Context())); err != nil {
		t.Fatal(err)
	}
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return digest.String()
}

// wantSignatures wants that many signatures of each layout on image.
func wantSignatures(t *testing.T, image string, bundles, legacy int) {
	t.Helper()
	if b, l := referrers(t, image), legacySignatures(t, image); b != bundles || l != legacy {
		t.Errorf("%s has %d bundles and %d legacy signatures, want %d and %d", image, b, l, bundles, legacy)
	}
}

// legacySignatures counts the layers under the tag sha256-….sig of image.
func legacySignatures(t *testing.T, image string) int {
	t.Helper()
	digest, err := name.NewDigest(image)
	if err != nil {
		t.Fatal(err)
	}
	hash, err := v1.NewHash(digest.DigestStr())
	if err != nil {
		t.Fatal(err)
	}
	tag := digest.Tag(hash.Algorithm + "-" + hash.Hex + ".sig")
	if !exists(t, tag.String()) {
		return 0
	}
	signatures, err := remote.Image(tag, remote.WithContext(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	layers, err := signatures.Layers()
	if err != nil {
		t.Fatal(err)
	}
	return len(layers)
}

// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/LerianStudio/pushguard/e2e/stack"
)

// newImage makes a small image for two platforms, different from any other.
func newImage(tb testing.TB) v1.ImageIndex {
	tb.Helper()
	index := v1.ImageIndex(empty.Index)
	for _, arch := range []string{"amd64", "arm64"} {
		image, err := random.Image(512, 2)
		if err != nil {
			tb.Fatal(err)
		}
		config, err := image.ConfigFile()
		if err != nil {
			tb.Fatal(err)
		}
		config = config.DeepCopy()
		config.OS, config.Architecture = "linux", arch
		if image, err = mutate.ConfigFile(image, config); err != nil {
			tb.Fatal(err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add:        image,
			Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}},
		})
	}
	return index
}

// push writes image under every ref and returns its digest.
func push(tb testing.TB, image v1.ImageIndex, refs ...string) string {
	tb.Helper()
	for _, ref := range refs {
		tag, err := name.NewTag(ref)
		if err != nil {
			tb.Fatal(err)
		}
		if err := remote.WriteIndex(tag, image, remote.WithContext(tb.Context())); err != nil {
			tb.Fatal(err)
		}
	}
	digest, err := image.Digest()
	if err != nil {
		tb.Fatal(err)
	}
	return digest.String()
}

// exists tells whether ref can be read from its registry.
func exists(t *testing.T, ref string) bool {
	t.Helper()
	r, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	_, err = remote.Head(r, remote.WithContext(t.Context()))
	return err == nil
}

// referrers counts what is attached to image (REPOSITORY@DIGEST), by API or by tag.
func referrers(t *testing.T, image string) int {
	t.Helper()
	n, err := stack.Referrers(t.Context(), image)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// hang attaches a copy of from's signature to the image to.
func hang(t *testing.T, from, to string) {
	t.Helper()
	source, err := name.NewDigest(from)
	if err != nil {
		t.Fatal(err)
	}
	target, err := name.NewDigest(to)
	if err != nil {
		t.Fatal(err)
	}
	index, err := remote.Referrers(source, remote.WithContext(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil || len(manifest.Manifests) != 1 {
		t.Fatalf("referrers of %s = %+v, %v, want one", from, manifest, err)
	}
	signature, err := remote.Image(source.Digest(manifest.Manifests[0].Digest.String()), remote.WithContext(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	subject, err := remote.Head(target, remote.WithContext(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	copied, ok := mutate.Subject(signature, *subject).(v1.Image)
	if !ok {
		t.Fatal("a signature with another subject is no image")
	}
	digest, err := copied.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(target.Digest(digest.String()), copied, remote.WithContext(t.Context())); err != nil {
		t.Fatal(err)
	}
}

// buildxMetadata writes what "docker buildx build --metadata-file" leaves for a
// push of digest under names (comma-separated, as buildx has it).
func buildxMetadata(t *testing.T, digest, names string) string {
	t.Helper()
	data, err := json.Marshal(map[string]any{
		"buildx.build.ref":          "e2e/e2e0/x1",
		"containerimage.digest":     digest,
		"image.name":                names,
		"containerimage.descriptor": map[string]any{"mediaType": "application/vnd.oci.image.index.v1+json", "digest": digest, "size": 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "metadata.json")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

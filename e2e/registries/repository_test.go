// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package registries

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/LerianStudio/pushguard/e2e/stack"
)

// repository is one that the tests fill, with a client that is not pushguard's.
type repository struct {
	name    string            // host and repository
	digests map[string]string // of the images that the tests made, by a name for each
}

// image writes an image, the same one for the same name, under tags.
func (r repository) image(t *testing.T, image string, tags ...string) {
	t.Helper()
	made, err := mutate.Config(empty.Image, v1.Config{Labels: map[string]string{"name": image}})
	if err != nil {
		t.Fatal(err)
	}
	r.write(t, image, mutate.MediaType(made, types.OCIManifestSchema1), tags...)
}

// sign hangs two signatures on an image, as far as a registry can tell: a referrer, and
// a tag of cosign's.
func (r repository) sign(t *testing.T, image string) {
	t.Helper()
	subject, err := remote.Head(r.ref(t, "@"+r.digests[image]), remote.WithContext(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	bundle := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), "application/vnd.dev.sigstore.bundle.v0.3+json")
	attached, ok := mutate.Subject(bundle, *subject).(v1.Image)
	if !ok {
		t.Fatal("an image with a subject is none")
	}
	r.write(t, "bundle-"+image, attached)
	r.image(t, "signature-"+image, strings.Replace(r.digests[image], ":", "-", 1)+".sig")
}

// write writes an image under tags, or by its digest alone.
func (r repository) write(t *testing.T, name string, image v1.Image, tags ...string) {
	t.Helper()
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	r.digests[name] = digest.String()
	refs := []string{"@" + digest.String()}
	if len(tags) > 0 {
		refs = nil
	}
	for _, tag := range tags {
		refs = append(refs, ":"+tag)
	}
	for _, ref := range refs {
		if err := remote.Write(r.ref(t, ref), image, remote.WithContext(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
}

// ref is :TAG or @DIGEST in the repository.
func (r repository) ref(t *testing.T, suffix string) name.Reference {
	t.Helper()
	ref, err := name.ParseReference(r.name + suffix)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// get is the digest of what :TAG or @DIGEST names and can be read, "" for nothing.
func (r repository) get(t *testing.T, suffix string) string {
	t.Helper()
	d, err := remote.Get(r.ref(t, suffix), remote.WithContext(t.Context()))
	if answer, ok := errors.AsType[*transport.Error](err); ok && answer.StatusCode == http.StatusNotFound {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	return d.Digest.String()
}

// named is the name of the image that has a digest; another one is its own name.
func (r repository) named(digest string) string {
	for name, known := range r.digests {
		if known == digest {
			return name
		}
	}
	return digest
}

func (r repository) tags(t *testing.T) []string {
	t.Helper()
	repo, err := name.NewRepository(r.name)
	if err != nil {
		t.Fatal(err)
	}
	tags, err := remote.List(repo, remote.WithContext(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	return tags
}

func (r repository) referrers(t *testing.T, image string) int {
	t.Helper()
	n, err := stack.Referrers(t.Context(), r.name+"@"+r.digests[image])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

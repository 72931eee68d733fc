// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

// Package contract holds registries to what pushguard relies on when it cleans up:
// stand-ins and real ones run the same suite.
package contract

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/LerianStudio/pushguard/pkg/registry"
	"github.com/LerianStudio/pushguard/pkg/registry/registrytest"
)

// Registry is one to be tested.
type Registry struct {
	Client *registry.Client
	Name   string // host/repository; a suffix is added for each test
	// DeletesTags and DeletesDigests say what it offers.
	DeletesTags, DeletesDigests bool
	// KeepsTagged says that it refuses to delete a digest that has a tag; without it
	// the tags go with the digest.
	KeepsTagged bool
	// LeavesTags says that the tags of a deleted digest stay, and that HEAD of such a tag
	// shows the digest, though nothing can be read under it.
	LeavesTags bool
	// Immutable says that a tag that exists is neither moved nor deleted.
	Immutable bool
	// PutsTags says that one request puts several tags on a manifest.
	PutsTags bool
}

// Attach writes a manifest that has a subject, and where the registry has no referrers
// API its entry in the list under the fallback tag, as the only writer.
func Attach(ctx context.Context, c *registry.Client, ref registry.Reference, mediaType string, raw []byte) (registry.Descriptor, error) {
	entry, listed, err := c.Attach(ctx, ref, mediaType, raw)
	if err != nil || listed {
		return entry, err
	}
	var m struct {
		Subject registry.Descriptor `json:"subject"`
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return entry, err
	}
	list, err := c.FallbackList(ctx, ref.WithDigest(m.Subject.Digest))
	if err != nil {
		return entry, err
	}
	grown, err := list.With([]registry.Entry{entry.Entry()})
	if err != nil {
		return entry, err
	}
	return entry, c.PutManifest(ctx, ref.WithTag(registry.FallbackTag(m.Subject.Digest)), registry.IndexMediaType, grown)
}

// Parse reads what a registry offers from words, separated by commas: tags, digests,
// keeps-tagged, leaves-tags, immutable and puts-tags.
func Parse(words string) (Registry, error) {
	var r Registry
	fields := map[string]*bool{
		"tags": &r.DeletesTags, "digests": &r.DeletesDigests, "keeps-tagged": &r.KeepsTagged, "leaves-tags": &r.LeavesTags,
		"immutable": &r.Immutable, "puts-tags": &r.PutsTags,
	}
	for word := range strings.SplitSeq(words, ",") {
		switch field := fields[word]; {
		case field != nil:
			*field = true
		case word != "":
			return r, fmt.Errorf("%q is not an offer of a registry", word)
		}
	}
	return r, nil
}

// Run runs the suite.
func Run(t *testing.T, r Registry) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, lab){
		"absence is proven":          absence,
		"a digest names its bytes":   digests,
		"a tag is moved and back":    restore,
		"several tags at once":       severalTags,
		"an immutable tag stays":     immutable,
		"one tag goes alone":         oneTag,
		"a tag goes with its digest": byDigest,
		"a digest takes its tags":    digest,
		"an index keeps its images":  index,
		"referrers are found":        referrers,
	} {
		t.Run(name, func(t *testing.T) {
			suffix := strings.TrimPrefix(registrytest.Digest(name), "sha256:")[:12]
			ref, err := registry.ParseReference(r.Name + "-" + suffix + ":1")
			if err != nil {
				t.Fatal(err)
			}
			test(t, lab{r, ref})
		})
	}
}

type lab struct {
	Registry

	ref registry.Reference // tag 1 of a repository of the test's own
}

// push writes an image made of content under a tag.
func (l lab) push(t *testing.T, tag, content string) registry.Manifest {
	t.Helper()
	ctx := t.Context()
	config := fmt.Sprintf(`{"architecture":"amd64","os":"linux","config":{"Labels":{"content":%q}},"rootfs":{"type":"layers","diff_ids":[]}}`, content)
	d, err := l.Client.PutBlob(ctx, l.ref, []byte(config))
	if err != nil {
		t.Fatal(err)
	}
	raw := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","size":%d,"digest":%q},"layers":[]}`,
		registrytest.MediaTypeManifest, d.Size, d.Digest)
	return l.put(t, l.ref.WithTag(tag), registrytest.MediaTypeManifest, raw)
}

func (l lab) put(t *testing.T, ref registry.Reference, mediaType string, raw []byte) registry.Manifest {
	t.Helper()
	if err := l.Client.PutManifest(t.Context(), ref, mediaType, raw); err != nil {
		t.Fatal(err)
	}
	m, err := l.Client.Manifest(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// now is what a tag has, "" for proven absent.
func (l lab) now(t *testing.T, tag string) string {
	t.Helper()
	d, err := l.Client.Head(t.Context(), l.ref.WithTag(tag))
	if err != nil && kindOf(err) != registry.KindNotFound {
		t.Fatal(err)
	}
	return d.Digest
}

func kindOf(err error) registry.Kind {
	if e, ok := errors.AsType[*registry.Error](err); ok {
		return e.Kind
	}
	return registry.KindUnknown
}

// What a registry says that it has put is there, and what it does not say is not.
func severalTags(t *testing.T, l lab) {
	t.Helper()
	m := l.push(t, "1", "x")
	confirmed, err := l.Client.PutTags(t.Context(), l.ref, []string{"1.2", "1.2.3"}, m)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(confirmed)
	if want := map[bool][]string{true: {"1.2", "1.2.3"}, false: nil}[l.PutsTags]; !slices.Equal(confirmed, want) {
		t.Errorf("PutTags = %q, want %q", confirmed, want)
	}
	for _, tag := range []string{"1.2", "1.2.3"} {
		if want := map[bool]string{true: m.Digest, false: ""}[l.PutsTags]; l.now(t, tag) != want {
			t.Errorf("%s names %q, want %q", tag, l.now(t, tag), want)
		}
	}
}

func absence(t *testing.T, l lab) {
	t.Helper()
	ctx := t.Context()
	_, err := l.Client.Head(ctx, l.ref)
	if kindOf(err) != registry.KindNotFound {
		t.Errorf("Head of a repository that is not there = %v", err)
	}
	l.push(t, "1", "x")
	for what, ref := range map[string]registry.Reference{"tag": l.ref.WithTag("2"), "digest": l.ref.WithDigest(registrytest.Digest("x"))} {
		if _, err := l.Client.Head(ctx, ref); kindOf(err) != registry.KindNotFound {
			t.Errorf("Head of a %s that is not there = %v", what, err)
		}
		if _, err := l.Client.Manifest(ctx, ref); kindOf(err) != registry.KindNotFound {
			t.Errorf("Manifest of a %s that is not there = %v", what, err)
		}
	}
	if l.DeletesTags {
		if err := l.Client.DeleteTag(ctx, l.ref.WithTag("2")); kindOf(err) != registry.KindNotFound {
			t.Errorf("DeleteTag of a tag that is not there = %v", err)
		}
	}
}

func digests(t *testing.T, l lab) {
	t.Helper()
	m := l.push(t, "1", "x")
	if got := l.now(t, "1"); got != m.Digest || got != registrytest.Digest(string(m.Raw)) {
		t.Errorf("the tag is %s, its bytes are %s", got, m.Digest)
	}
	byDigest, err := l.Client.Manifest(t.Context(), l.ref.WithDigest(m.Digest))
	if diff := cmp.Diff(m, byDigest); err != nil || diff != "" {
		t.Errorf("by digest: %v (-tag +digest):\n%s", err, diff)
	}
}

// restore is how a moved tag gets its image back: the old bytes, under the tag.
func restore(t *testing.T, l lab) {
	t.Helper()
	if l.Immutable {
		t.Skip("its tags are immutable")
	}
	old, moved := l.push(t, "1", "old"), l.push(t, "1", "new")
	if got := l.now(t, "1"); got != moved.Digest {
		t.Fatalf("the tag is %s after a push of %s", got, moved.Digest)
	}
	kept, err := l.Client.Manifest(t.Context(), l.ref.WithDigest(old.Digest))
	if err != nil {
		t.Fatalf("the old image cannot be read by digest: %v", err)
	}
	l.put(t, l.ref, kept.MediaType, kept.Raw)
	if got := l.now(t, "1"); got != old.Digest {
		t.Errorf("the tag is %s, not %s again", got, old.Digest)
	}
}

// immutable: a tag that exists is neither moved nor deleted, by its name or by its
// digest, and the refusals are read as what they are.
func immutable(t *testing.T, l lab) {
	t.Helper()
	if !l.Immutable {
		t.Skip("its tags can be changed")
	}
	ctx := t.Context()
	old, other := l.push(t, "1", "old"), l.push(t, "2", "new")
	byDigest := registry.KindImmutable
	if l.KeepsTagged {
		byDigest = registry.KindReferenced
	}
	for _, act := range []struct {
		name string
		err  error
		want registry.Kind
	}{
		{"move", l.Client.PutManifest(ctx, l.ref, other.MediaType, other.Raw), registry.KindImmutable},
		{"delete", l.Client.DeleteTag(ctx, l.ref), registry.KindImmutable},
		{"delete the digest of", l.Client.DeleteManifest(ctx, l.ref.WithDigest(old.Digest)), byDigest},
	} {
		if kindOf(act.err) != act.want {
			t.Errorf("%s an immutable tag: %v, read as %s, want %s", act.name, act.err, kindOf(act.err), act.want)
		}
	}
	want := map[string]string{"1": old.Digest, "2": other.Digest}
	if diff := cmp.Diff(want, map[string]string{"1": l.now(t, "1"), "2": l.now(t, "2")}); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
}

func oneTag(t *testing.T, l lab) {
	t.Helper()
	m := l.push(t, "1", "x")
	l.push(t, "2", "x")
	err := l.Client.DeleteTag(t.Context(), l.ref)
	want := map[string]string{"1": m.Digest, "2": m.Digest}
	kind := registry.KindUnsupported
	switch {
	case l.DeletesTags:
		want["1"], kind = "", registry.KindUnknown
	case l.Immutable:
		kind = registry.KindImmutable
	}
	if got := map[string]string{"1": l.now(t, "1"), "2": l.now(t, "2")}; !cmp.Equal(want, got) {
		t.Errorf("DeleteTag = %v, tags (-want +got):\n%s", err, cmp.Diff(want, got))
	}
	if kindOf(err) != kind {
		t.Errorf("DeleteTag = %v, read as %s, want %s", err, kindOf(err), kind)
	}
	if _, err := l.Client.Manifest(t.Context(), l.ref.WithDigest(m.Digest)); err != nil {
		t.Errorf("the image is gone: %v", err)
	}
	tags, err := l.Client.Tags(t.Context(), l.ref)
	if slices.Contains(tags, "1") == l.DeletesTags || !slices.Contains(tags, "2") || err != nil {
		t.Errorf("Tags = %v, %v", tags, err)
	}
}

// byDigest is how a tag goes where it cannot be deleted as such: with its digest. The
// refusal changes nothing, and says that only the form is not offered.
func byDigest(t *testing.T, l lab) {
	t.Helper()
	if l.DeletesTags || !l.DeletesDigests || l.KeepsTagged || l.Immutable {
		t.Skip("it deletes tags, or no digest that has one")
	}
	ctx := t.Context()
	m := l.push(t, "1", "x")
	other := l.push(t, "2", "y")
	if err := l.Client.DeleteTag(ctx, l.ref); kindOf(err) != registry.KindUnsupported {
		t.Errorf("DeleteTag = %v, read as %s, want %s", err, kindOf(err), registry.KindUnsupported)
	}
	if got := l.now(t, "1"); got != m.Digest {
		t.Errorf("after a refusal the tag is %q, want %s", got, m.Digest)
	}
	if err := l.Client.DeleteManifest(ctx, l.ref.WithDigest(m.Digest)); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(map[string]string{"1": "", "2": other.Digest}, map[string]string{"1": l.now(t, "1"), "2": l.now(t, "2")}); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
	if _, err := l.Client.Manifest(ctx, l.ref.WithDigest(m.Digest)); kindOf(err) != registry.KindNotFound {
		t.Errorf("Manifest of the deleted digest = %v", err)
	}
	tags, err := l.Client.Tags(ctx, l.ref)
	if slices.Contains(tags, "1") || !slices.Contains(tags, "2") || err != nil {
		t.Errorf("Tags = %v, %v", tags, err)
	}
}

func digest(t *testing.T, l lab) {
	t.Helper()
	m := l.push(t, "1", "x")
	l.push(t, "2", "x")
	other := l.push(t, "3", "y")
	err := l.Client.DeleteManifest(t.Context(), l.ref.WithDigest(m.Digest))
	got := map[string]string{"1": l.now(t, "1"), "2": l.now(t, "2"), "3": l.now(t, "3")}
	want := map[string]string{"1": "", "2": "", "3": other.Digest}
	kind := registry.KindUnknown
	switch {
	case l.KeepsTagged:
		kind = registry.KindReferenced
	case l.Immutable:
		kind = registry.KindImmutable
	case !l.DeletesDigests:
		kind = registry.KindUnsupported
	}
	if kind != registry.KindUnknown || l.LeavesTags {
		want["1"], want["2"] = m.Digest, m.Digest
	}
	if diff := cmp.Diff(want, got); diff != "" || kindOf(err) != kind {
		t.Errorf("DeleteManifest = %v, want %s; tags (-want +got):\n%s", err, kind, diff)
	}
	for _, ref := range []registry.Reference{l.ref, l.ref.WithDigest(m.Digest)} {
		_, err := l.Client.Manifest(t.Context(), ref)
		if gone := kindOf(err) == registry.KindNotFound; gone != (kind == registry.KindUnknown) || err != nil && !gone {
			t.Errorf("Manifest of %s = %v after a deletion of the digest that was answered with %s", ref, err, kind)
		}
	}
}

// index: a tag that goes from an index leaves its images, and the index under
// another tag is whole.
func index(t *testing.T, l lab) {
	t.Helper()
	image := l.push(t, "part", "x")
	raw := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"manifests":[{"mediaType":%q,"digest":%q,"size":%d}]}`,
		registrytest.MediaTypeIndex, image.MediaType, image.Digest, image.Size)
	before := l.put(t, l.ref, registrytest.MediaTypeIndex, raw)
	l.put(t, l.ref.WithTag("stable"), registrytest.MediaTypeIndex, raw)
	if l.DeletesTags {
		if err := l.Client.DeleteTag(t.Context(), l.ref); err != nil {
			t.Fatal(err)
		}
	}
	after, err := l.Client.Manifest(t.Context(), l.ref.WithTag("stable"))
	if diff := cmp.Diff(before, after); err != nil || diff != "" {
		t.Errorf("the other tag: %v (-before +after):\n%s", err, diff)
	}
	if _, err := l.Client.Manifest(t.Context(), l.ref.WithDigest(image.Digest)); err != nil {
		t.Errorf("the image in it: %v", err)
	}
}

func referrers(t *testing.T, l lab) {
	t.Helper()
	image := l.push(t, "1", "x")
	empty, err := l.Client.PutBlob(context.WithoutCancel(t.Context()), l.ref, []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	raw := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"artifactType":"application/x.test","config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":%q,"size":2},`+
		`"layers":[{"mediaType":"application/vnd.oci.empty.v1+json","digest":%[2]q,"size":2}],"subject":{"mediaType":%[1]q,"digest":%[3]q,"size":%d}}`,
		registrytest.MediaTypeManifest, empty.Digest, image.Digest, image.Size)
	d, err := Attach(t.Context(), l.Client, l.ref, registrytest.MediaTypeManifest, raw)
	if err != nil {
		t.Fatal(err)
	}
	list, err := l.Client.Referrers(t.Context(), l.ref.WithDigest(image.Digest), "")
	if err != nil || len(list) != 1 || list[0].Digest != d.Digest || list[0].ArtifactType != "application/x.test" {
		t.Errorf("Referrers = %+v, %v, want %s", list, err, d.Digest)
	}
}

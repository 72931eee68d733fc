// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	godigest "github.com/opencontainers/go-digest"
	"github.com/regclient/regclient"
	"github.com/regclient/regclient/scheme"
	"github.com/regclient/regclient/types/descriptor"
	"github.com/regclient/regclient/types/referrer"
)

func digest(data []byte) godigest.Digest { return godigest.FromBytes(data) }

// DigestOf is the sha256 digest of data.
func DigestOf(data []byte) string { return digest(data).String() }

// PutBlob writes data to ref's repository.
func (c *Client) PutBlob(ctx context.Context, ref Reference, data []byte) (Descriptor, error) {
	d := descriptor.Descriptor{MediaType: "application/octet-stream", Digest: digest(data), Size: int64(len(data))}
	err := c.do(ctx, "write blob to", ref, func(ctx context.Context, rc *regclient.RegClient) error {
		seen, _ := ctx.Value(traceKey{}).(*trace)
		_, err := rc.BlobPut(ctx, ref.regclient(), d, &upload{Reader: bytes.NewReader(data), seen: seen})
		return err
	})
	return describe(d), err
}

// upload can be rewound where a new token is called for, and not otherwise:
// regclient would follow a failed upload with one in chunks, whose own failure
// hides why the first one failed.
type upload struct {
	*bytes.Reader

	seen *trace
}

// Seek rewinds.
func (u *upload) Seek(offset int64, whence int) (int64, error) {
	if a, ok := u.seen.last(""); ok && a.status != http.StatusUnauthorized {
		return 0, errors.New("the upload failed")
	}
	return u.Reader.Seek(offset, whence)
}

// Blob reads the whole blob d of ref's repository, which must not be larger than
// limit bytes. Its bytes have been checked against d.Digest.
func (c *Client) Blob(ctx context.Context, ref Reference, d Descriptor, limit int64) ([]byte, error) {
	const op = "read blob of"
	var data []byte
	err := c.do(ctx, op, ref, func(ctx context.Context, rc *regclient.RegClient) error {
		blob, err := rc.BlobGet(ctx, ref.regclient(), descriptor.Descriptor{MediaType: d.MediaType, Digest: godigest.Digest(d.Digest), Size: d.Size})
		if err != nil {
			return err
		}
		defer blob.Close()
		data, err = io.ReadAll(io.LimitReader(blob, limit+1))
		return err
	})
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit || DigestOf(data) != d.Digest {
		return nil, &Error{
			Op: op, Ref: ref, Kind: KindNotARegistry, Status: http.StatusOK,
			Message: fmt.Sprintf("the blob %s is larger than %d bytes, or its bytes have another digest", d.Digest, limit),
		}
	}
	return data, nil
}

// Referrers lists the manifests whose subject is ref.Digest and whose artifact type
// is artifactType ("" for any): from the referrers API, or from the fallback tag
// where the registry has none (distribution specification, "Listing Referrers").
func (c *Client) Referrers(ctx context.Context, ref Reference, artifactType string) ([]Descriptor, error) {
	list, _, err := c.ListReferrers(ctx, ref, artifactType)
	return list, err
}

// ListReferrers is Referrers, and reports whether the fallback tag had to be asked and
// names the subject itself: as after "cosign copy", or because the registry takes such a
// tag for the digest.
func (c *Client) ListReferrers(ctx context.Context, ref Reference, artifactType string) (found []Descriptor, shadowed bool, err error) {
	const op = "list referrers of"
	var list referrer.ReferrerList
	seen := &trace{}
	err = c.do(ctx, op, ref, func(ctx context.Context, rc *regclient.RegClient) (err error) {
		seen, _ = ctx.Value(traceKey{}).(*trace)
		list, err = rc.ReferrerList(ctx, ref.WithDigest(ref.Digest).regclient(), scheme.WithReferrerMatchOpt(descriptor.MatchOpt{ArtifactType: artifactType}))
		return err
	})
	// regclient takes any failure of the API for a registry that has none, also an
	// answer that broke off or is no list, and an empty fallback tag for "no referrers".
	newest, _ := seen.last("")
	if a, asked := seen.last("/referrers/"); asked {
		rejected := a.status == http.StatusOK && newest.path != a.path
		e := c.failure(ctx, op, ref, &trace{answers: []*answer{&a}}, err)
		if rejected || a.status != http.StatusOK && (e.Transient() || e.Kind == KindAuth) {
			c.forget(ref.Registry)
			return nil, false, e
		}
	}
	byTag := newest.status == http.StatusOK && strings.HasSuffix(newest.path, "/manifests/"+FallbackTag(ref.Digest))
	if byTag && (err != nil || list.Manifest.GetDescriptor().Digest.String() == ref.Digest) {
		// What is under the tag is no list, or the subject itself.
		fallback, ferr := c.FallbackList(ctx, ref)
		if ferr != nil || fallback.index != nil {
			return nil, false, cmp.Or(ferr, err)
		}
		return nil, fallback.Digest == ref.Digest, nil
	}
	if err != nil {
		return nil, false, err
	}
	for _, d := range list.Descriptors {
		found = append(found, describe(d))
	}
	return found, false, nil
}

// Attach writes a manifest that has a subject, by its digest, to ref's repository, and
// returns its entry for the list of the subject's referrers. listed is true when the
// registry says that it keeps that list itself (distribution specification, "Pushing
// Manifests with Subject"); else the entry belongs into the list under the fallback tag.
func (c *Client) Attach(ctx context.Context, ref Reference, mediaType string, raw []byte) (entry Descriptor, listed bool, err error) {
	var m struct {
		ArtifactType string `json:"artifactType"`
		Config       struct {
			MediaType string `json:"mediaType"`
		} `json:"config"`
		Subject     Descriptor        `json:"subject"`
		Annotations map[string]string `json:"annotations"`
	}
	if err := json.Unmarshal(raw, &m); err != nil || !ValidDigest(m.Subject.Digest) {
		return Descriptor{}, false, fmt.Errorf("attach to %s: the manifest has no subject", ref)
	}
	entry = Descriptor{
		MediaType: mediaType, Digest: DigestOf(raw), Size: int64(len(raw)),
		ArtifactType: cmp.Or(m.ArtifactType, m.Config.MediaType), Annotations: m.Annotations,
	}
	header, err := c.putManifest(ctx, ref.WithDigest(entry.Digest), mediaType, raw)
	return entry, err == nil && header.Get("OCI-Subject") == m.Subject.Digest, err
}

// FallbackList is what is under the fallback tag of ref's referrers.
type FallbackList struct {
	Digest  string // of whatever the tag names, "" when it names nothing
	Entries []Entry
	index   []byte // the list, nil when there is none
}

// Entry is one manifest in a list, byte for byte.
type Entry struct {
	Key string // tells entries apart: the manifest's digest
	Raw json.RawMessage
}

// Entry is the descriptor as an entry of a list.
func (d Descriptor) Entry() Entry {
	raw, _ := json.Marshal(d) // strings and numbers: it cannot fail
	return Entry{Key: d.Digest, Raw: raw}
}

// FallbackList reads the list of ref's referrers under the fallback tag. A manifest there
// that is no list, or is the subject itself, as after "cosign copy", means no referrers.
func (c *Client) FallbackList(ctx context.Context, ref Reference) (FallbackList, error) {
	m, err := c.get(ctx, "list referrers of", ref.WithTag(FallbackTag(ref.Digest)))
	if IsNotFound(err) {
		return FallbackList{}, nil
	}
	if err != nil {
		return FallbackList{}, err
	}
	l := FallbackList{Digest: m.Digest}
	var index struct {
		Manifests []json.RawMessage `json:"manifests"`
	}
	isList := m.Digest != ref.Digest && IsIndex(m.MediaType) && json.Unmarshal(m.Raw, &index) == nil
	if !isList {
		return l, nil
	}
	l.index = m.Raw
	for _, raw := range index.Manifests {
		var d Descriptor
		if json.Unmarshal(raw, &d) == nil && ValidDigest(d.Digest) {
			l.Entries = append(l.Entries, Entry{Key: d.Digest, Raw: raw})
		}
	}
	return l, nil
}

// IndexMediaType is the media type of the list under a fallback tag.
const IndexMediaType = "application/vnd.oci.image.index.v1+json"

// With returns the list with more entries behind those that it has, which stay byte for
// byte, as do members of the index that are not known here.
func (l FallbackList) With(more []Entry) ([]byte, error) {
	object := map[string]json.RawMessage{"schemaVersion": json.RawMessage("2"), "mediaType": json.RawMessage(`"` + IndexMediaType + `"`)}
	if l.index != nil {
		if err := json.Unmarshal(l.index, &object); err != nil {
			return nil, fmt.Errorf("read the list of referrers: %w", err)
		}
		object["mediaType"] = json.RawMessage(`"` + IndexMediaType + `"`)
	}
	manifests := []json.RawMessage{}
	if raw, ok := object["manifests"]; ok {
		if err := json.Unmarshal(raw, &manifests); err != nil {
			return nil, fmt.Errorf("read the list of referrers: %w", err)
		}
	}
	for _, e := range more {
		manifests = append(manifests, e.Raw)
	}
	var err error
	if object["manifests"], err = json.Marshal(manifests); err != nil {
		return nil, fmt.Errorf("write the list of referrers: %w", err)
	}
	return json.Marshal(object)
}

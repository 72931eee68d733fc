// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"

	godigest "github.com/opencontainers/go-digest"
	"github.com/regclient/regclient"
	"github.com/regclient/regclient/scheme"
	"github.com/regclient/regclient/types/descriptor"
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
	const op = "list referrers of"
	var found []Descriptor
	seen := &trace{}
	err := c.do(ctx, op, ref, func(ctx context.Context, rc *regclient.RegClient) error {
		seen, _ = ctx.Value(traceKey{}).(*trace)
		list, err := rc.ReferrerList(ctx, ref.WithDigest(ref.Digest).regclient(), scheme.WithReferrerMatchOpt(descriptor.MatchOpt{ArtifactType: artifactType}))
		for _, d := range list.Descriptors {
			found = append(found, describe(d))
		}
		return err
	})
	// regclient takes any failure of the API for a registry that has none, also an
	// answer that broke off or is no list, and an empty fallback tag for "no referrers".
	if a, asked := seen.last("/referrers/"); asked {
		newest, _ := seen.last("")
		rejected := a.status == http.StatusOK && newest.path != a.path
		e := c.failure(ctx, op, ref, &trace{answers: []*answer{&a}}, err)
		if rejected || a.status != http.StatusOK && (e.Transient() || e.Kind == KindAuth) {
			c.forget(ref.Registry)
			return nil, e
		}
	}
	if err != nil {
		return nil, err
	}
	return found, nil
}

// Attach writes a manifest that has a subject, by its digest, to ref's repository,
// keeps the fallback tag where the registry has no referrers API, and reads back
// that the subject's referrers have it. The fallback tag is read, changed and
// written without a lock: when another writer won, the error is transient.
func (c *Client) Attach(ctx context.Context, ref Reference, mediaType string, raw []byte) (Descriptor, error) {
	const op = "attach to"
	var m struct {
		ArtifactType string     `json:"artifactType"`
		Subject      Descriptor `json:"subject"`
	}
	if err := json.Unmarshal(raw, &m); err != nil || !ValidDigest(m.Subject.Digest) {
		return Descriptor{}, fmt.Errorf("attach to %s: the manifest has no subject", ref)
	}
	d := Descriptor{MediaType: mediaType, Digest: DigestOf(raw), Size: int64(len(raw)), ArtifactType: m.ArtifactType}
	if err := c.PutManifest(ctx, ref.WithDigest(d.Digest), mediaType, raw); err != nil {
		return Descriptor{}, err
	}
	list, err := c.Referrers(ctx, ref.WithDigest(m.Subject.Digest), "")
	if err != nil {
		return Descriptor{}, err
	}
	if slices.ContainsFunc(list, func(have Descriptor) bool { return have.Digest == d.Digest }) {
		return d, nil
	}
	return Descriptor{}, &Error{
		Op: op, Ref: ref.WithDigest(m.Subject.Digest), Kind: KindOutage, Status: http.StatusOK,
		Message: fmt.Sprintf("the list of referrers lacks %s, which was just written", d.Digest),
	}
}

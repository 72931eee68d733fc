// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/regclient/regclient"
	"github.com/regclient/regclient/types/descriptor"
	"github.com/regclient/regclient/types/manifest"
	"github.com/regclient/regclient/types/ref"
)

// Descriptor is the OCI content descriptor (image specification, "Descriptor"), cut
// to what is used here.
type Descriptor struct {
	MediaType    string            `json:"mediaType"`
	Digest       string            `json:"digest"`
	Size         int64             `json:"size"` // bytes
	ArtifactType string            `json:"artifactType,omitempty"`
	Annotations  map[string]string `json:"annotations,omitempty"`
}

// Manifest is a manifest or an index as the registry has it, byte for byte.
type Manifest struct {
	Descriptor

	Raw []byte
}

// IsIndex reports whether mediaType is that of an image index or a manifest list.
func IsIndex(mediaType string) bool {
	return mediaType == "application/vnd.oci.image.index.v1+json" || mediaType == "application/vnd.docker.distribution.manifest.list.v2+json"
}

func describe(d descriptor.Descriptor) Descriptor {
	return Descriptor{MediaType: d.MediaType, Digest: d.Digest.String(), Size: d.Size, ArtifactType: d.ArtifactType, Annotations: d.Annotations}
}

// needBody are the refusals of a HEAD that say why only in the body of a GET.
var needBody = []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusPreconditionFailed}

// Head tells what ref names. One HEAD, which Docker Hub does not count as a pull;
// a GET follows only where HEAD cannot tell: a refusal has no body to say why, and
// some registries leave the digest out.
//
// An error of [KindNotFound] proves absence; every other one leaves it open.
func (c *Client) Head(ctx context.Context, ref Reference) (Descriptor, error) {
	const op = "check"
	var d Descriptor
	err := c.do(ctx, op, ref, func(ctx context.Context, rc *regclient.RegClient) error {
		m, err := rc.ManifestHead(ctx, ref.regclient())
		if err == nil {
			d = describe(m.GetDescriptor())
		}
		return err
	})
	if err == nil && ValidDigest(d.Digest) {
		return d, nil
	}
	if e, failed := errors.AsType[*Error](err); failed {
		// A refused login is not sent twice: Docker Hub locks the account.
		if e.AtTokens || !slices.Contains(needBody, e.Status) {
			return Descriptor{}, err
		}
	}
	m, err := c.get(ctx, op, ref)
	return m.Descriptor, err
}

// Manifest reads what ref names. Its bytes have been checked against its digest,
// and against ref's when it has one.
func (c *Client) Manifest(ctx context.Context, ref Reference) (Manifest, error) {
	return c.get(ctx, "read manifest of", ref)
}

func (c *Client) get(ctx context.Context, op string, ref Reference) (Manifest, error) {
	var m Manifest
	err := c.do(ctx, op, ref, func(ctx context.Context, rc *regclient.RegClient) error {
		got, err := rc.ManifestGet(ctx, ref.regclient())
		if err != nil {
			return err
		}
		m.Descriptor = describe(got.GetDescriptor())
		m.Raw, err = got.RawBody()
		return err
	})
	if err != nil {
		return Manifest{}, err
	}
	computed := DigestOf(m.Raw)
	if m.Digest != computed || ref.Digest != "" && ref.Digest != computed {
		return Manifest{}, &Error{
			Op: op, Ref: ref, Kind: KindNotARegistry, Status: http.StatusOK,
			Message: fmt.Sprintf("the digest of its bytes is %s, announced was %s", computed, m.Digest),
		}
	}
	m.Size = int64(len(m.Raw))
	return m, nil
}

// PutManifest writes raw under ref's tag, or under its own digest when ref has none, and
// nothing else.
func (c *Client) PutManifest(ctx context.Context, ref Reference, mediaType string, raw []byte) error {
	_, err := c.putManifest(ctx, ref, mediaType, raw)
	return err
}

// putManifest is PutManifest; it returns the header of the registry's answer.
func (c *Client) putManifest(ctx context.Context, ref Reference, mediaType string, raw []byte) (header http.Header, err error) {
	m, err := manifest.New(manifest.WithRaw(raw), manifest.WithDesc(descriptor.Descriptor{
		MediaType: mediaType, Digest: digest(raw), Size: int64(len(raw)),
	}))
	if err != nil {
		return nil, fmt.Errorf("write manifest %s: %w", ref, err)
	}
	target := ref.regclient()
	if ref.Tag != "" {
		target.Digest = ""
	}
	err = c.do(ctx, "write manifest", ref, func(ctx context.Context, rc *regclient.RegClient) error {
		err := rc.ManifestPut(ctx, target, plainManifest{m})
		if seen, ok := ctx.Value(traceKey{}).(*trace); ok {
			a, _ := seen.last("/manifests/")
			header = a.header
		}
		return err
	})
	return header, err
}

// PutTags puts several tags on the manifest ref.Digest, which the registry has, with one
// request. It returns those that the registry says it has put: none where it does not
// know how.
func (c *Client) PutTags(ctx context.Context, ref Reference, tags []string, m Manifest) ([]string, error) {
	header, err := c.putManifest(context.WithValue(ctx, tagsKey{}, tags), ref.WithDigest(m.Digest), m.MediaType, m.Raw)
	if err != nil {
		return nil, err
	}
	return Split(header.Values("OCI-Tag")), nil
}

// plainManifest hides from regclient that a manifest has a subject: it would keep the list
// under the fallback tag itself, from a read that may be old.
type plainManifest struct{ manifest.Manifest }

// DeleteTag removes one tag and leaves the manifest and its other tags
// (distribution specification, "Deleting tags").
//
// It is regclient's ManifestDelete with the tag in the place of the digest, which
// sends DELETE …/manifests/TAG and nothing else. TagDelete must never be called:
// where DELETE is refused it overwrites the tag with an empty image (v0.11.7,
// scheme/reg/tag.go).
func (c *Client) DeleteTag(ctx context.Context, r Reference) error {
	return c.delete(ctx, "delete tag", r.WithDigest(r.Tag).regclient(), r)
}

// DeleteManifest removes the manifest ref.Digest, and with it every tag that has
// it: callers prove first that there is none they must keep.
func (c *Client) DeleteManifest(ctx context.Context, r Reference) error {
	return c.delete(ctx, "delete manifest", r.WithDigest(r.Digest).regclient(), r)
}

func (c *Client) delete(ctx context.Context, op string, target ref.Ref, r Reference) error {
	return c.do(ctx, op, r, func(ctx context.Context, rc *regclient.RegClient) error {
		return rc.ManifestDelete(ctx, target)
	})
}

// Tags lists all tags of ref's repository.
func (c *Client) Tags(ctx context.Context, ref Reference) ([]string, error) {
	var tags []string
	repository := Reference{Registry: ref.Registry, Repository: ref.Repository}
	err := c.do(ctx, "list tags of", repository, func(ctx context.Context, rc *regclient.RegClient) error {
		list, err := rc.TagList(ctx, repository.regclient())
		if err != nil {
			return err
		}
		tags, err = list.GetTags()
		return err
	})
	return tags, err
}

// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signing

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
)

// ReferrerMediaType is the media type of a referrer's manifest.
const ReferrerMediaType = "application/vnd.oci.image.manifest.v1+json"

// EmptyConfig is the blob that every referrer has as its config (OCI image
// specification, "Guidance for an Empty Descriptor").
const EmptyConfig = "{}"

const emptyMediaType = "application/vnd.oci.empty.v1+json"

// Subject is the descriptor of the image that is signed.
type Subject struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      int64  `json:"size"`
}

// Referrer is a bundle as OCI 1.1 referrer of an image, ready to be pushed:
// EmptyConfig and the layer first, then the manifest.
type Referrer struct {
	Manifest []byte
	Layer    []byte // the bundle
}

type descriptor struct {
	MediaType    string            `json:"mediaType"`
	Digest       string            `json:"digest"`
	Size         int64             `json:"size"`
	ArtifactType string            `json:"artifactType,omitempty"`
	Annotations  map[string]string `json:"annotations,omitempty"`
}

type manifest struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType"`
	ArtifactType  string            `json:"artifactType"`
	Config        descriptor        `json:"config"`
	Layers        []descriptor      `json:"layers"`
	Subject       Subject           `json:"subject"`
	Annotations   map[string]string `json:"annotations"`
}

// NewReferrer lays b out as cosign 3 does. The same bundle and subject give the
// same bytes, so that a repeated push is the same manifest.
func NewReferrer(b *Bundle, s Subject) (Referrer, error) {
	if s.Digest != b.Digest {
		return Referrer{}, fmt.Errorf("lay out signature: it is for %s, not for %s", b.Digest, s.Digest)
	}
	m := manifest{
		SchemaVersion: 2, MediaType: ReferrerMediaType, ArtifactType: BundleMediaType,
		Config:  describeBlob(emptyMediaType, []byte(EmptyConfig)),
		Layers:  []descriptor{describeBlob(BundleMediaType, b.JSON)},
		Subject: s,
		Annotations: map[string]string{
			"dev.sigstore.bundle.content":       "dsse-envelope",
			"dev.sigstore.bundle.predicateType": PredicateType,
			"org.opencontainers.image.created":  b.Created.Format(time.RFC3339),
		},
	}
	m.Config.ArtifactType = BundleMediaType
	raw, err := json.Marshal(m)
	if err != nil {
		return Referrer{}, fmt.Errorf("lay out signature: %w", err)
	}
	return Referrer{Manifest: raw, Layer: b.JSON}, nil
}

// BundleLayer finds the bundle in a referrer's manifest. ok is false when the
// manifest is not one of a bundle.
func BundleLayer(raw []byte) (mediaType, digest string, size int64, ok bool) {
	var m manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return "", "", 0, false
	}
	for _, l := range m.Layers {
		if l.MediaType == BundleMediaType {
			return l.MediaType, l.Digest, l.Size, true
		}
	}
	return "", "", 0, false
}

func describeBlob(mediaType string, data []byte) descriptor {
	sum := sha256.Sum256(data)
	return descriptor{MediaType: mediaType, Digest: "sha256:" + hex.EncodeToString(sum[:]), Size: int64(len(data))}
}

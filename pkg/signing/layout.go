// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signing

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// ReferrerMediaType is the media type of a referrer's manifest.
const ReferrerMediaType = "application/vnd.oci.image.manifest.v1+json"

// EmptyConfig is the blob that every referrer has as its config (OCI image
// specification, "Guidance for an Empty Descriptor").
const EmptyConfig = "{}"

const emptyMediaType = "application/vnd.oci.empty.v1+json"

// Descriptor says where a blob or a manifest is (OCI image specification, "Descriptor").
type Descriptor struct {
	MediaType    string            `json:"mediaType"`
	Digest       string            `json:"digest"`
	Size         int64             `json:"size"` // bytes
	ArtifactType string            `json:"artifactType,omitempty"`
	Annotations  map[string]string `json:"annotations,omitempty"`
}

type manifest struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType"`
	ArtifactType  string            `json:"artifactType"`
	Config        Descriptor        `json:"config"`
	Layers        []Descriptor      `json:"layers"`
	Subject       Descriptor        `json:"subject"`
	Annotations   map[string]string `json:"annotations"`
}

// NewReferrer returns the manifest with which b becomes a referrer of the image s, as
// cosign 3 lays it out. EmptyConfig and b's JSON are to be pushed before it. The same
// bundle and subject give the same bytes, so that a repeated push is the same manifest.
func NewReferrer(b *Bundle, s Descriptor) ([]byte, error) {
	if s.Digest != b.Digest {
		return nil, fmt.Errorf("lay out signature: it is for %s, not for %s", b.Digest, s.Digest)
	}
	m := manifest{
		SchemaVersion: 2, MediaType: ReferrerMediaType, ArtifactType: BundleMediaType,
		Config:  describeBlob(emptyMediaType, []byte(EmptyConfig)),
		Layers:  []Descriptor{describeBlob(BundleMediaType, b.JSON)},
		Subject: s,
		Annotations: map[string]string{
			"dev.sigstore.bundle.content":       "dsse-envelope",
			"dev.sigstore.bundle.predicateType": cmp.Or(b.Type, PredicateType),
			"org.opencontainers.image.created":  b.Created.Format(time.RFC3339),
		},
	}
	m.Config.ArtifactType = BundleMediaType
	raw, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("lay out signature: %w", err)
	}
	return raw, nil
}

// BundleLayer finds the bundle in a referrer's manifest. ok is false when the
// manifest is not one of a bundle.
func BundleLayer(raw []byte) (layer Descriptor, ok bool) {
	var m manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return Descriptor{}, false
	}
	i := slices.IndexFunc(m.Layers, func(l Descriptor) bool { return l.MediaType == BundleMediaType })
	if i < 0 {
		return Descriptor{}, false
	}
	return m.Layers[i], true
}

func describeBlob(mediaType string, data []byte) Descriptor {
	sum := sha256.Sum256(data)
	return Descriptor{MediaType: mediaType, Digest: "sha256:" + hex.EncodeToString(sum[:]), Size: int64(len(data))}
}

// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signing

import (
	"encoding/json"
	"errors"
	"fmt"
)

const configMediaType = "application/vnd.oci.image.config.v1+json"

// LegacyManifest is what a registry has, or is to have, under an image's signature tag: an
// image whose layers are signatures.
type LegacyManifest struct {
	MediaType string // of Manifest
	Manifest  []byte
	Config    []byte
}

// LegacyLayer is where one signature of a legacy manifest is.
type LegacyLayer struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Annotations map[string]string `json:"annotations"`
}

// LegacyLayers lists the signatures of a manifest, and where its config is.
func LegacyLayers(manifest []byte) (layers []LegacyLayer, config LegacyLayer, err error) {
	var m struct {
		Config LegacyLayer   `json:"config"`
		Layers []LegacyLayer `json:"layers"`
	}
	if err := json.Unmarshal(manifest, &m); err != nil {
		return nil, LegacyLayer{}, errors.New("it is not an image manifest")
	}
	return m.Layers, m.Config, nil
}

// Append adds a signature behind those that m has; the zero LegacyManifest has
// none. What m has otherwise stays as it is, members that are not known here included.
func (m LegacyManifest) Append(l *Legacy) (LegacyManifest, error) {
	fail := func(err error) (LegacyManifest, error) {
		return LegacyManifest{}, fmt.Errorf("append to the legacy signatures: %w", err)
	}
	if m.Manifest == nil {
		m = LegacyManifest{
			MediaType: ReferrerMediaType,
			Manifest:  []byte(`{"schemaVersion":2,"mediaType":"` + ReferrerMediaType + `","config":{},"layers":[]}`),
			Config:    []byte(`{"architecture":"","created":"0001-01-01T00:00:00Z","history":[],"os":"","rootfs":{"type":"layers","diff_ids":[]},"config":{}}`),
		}
	}
	layer := describeBlob(legacyMediaType, l.Payload)
	layer.Annotations = l.Annotations
	config, err := extend(m.Config, "history", map[string]string{"created": "0001-01-01T00:00:00Z"})
	if err != nil {
		return fail(err)
	}
	var rootfs struct {
		RootFS json.RawMessage `json:"rootfs"`
	}
	if err := json.Unmarshal(config, &rootfs); err != nil {
		return fail(err)
	}
	grown, err := extend(rootfs.RootFS, "diff_ids", layer.Digest)
	if err != nil {
		return fail(err)
	}
	if config, err = set(config, "rootfs", grown); err != nil {
		return fail(err)
	}
	manifest, err := extend(m.Manifest, "layers", layer)
	if err != nil {
		return fail(err)
	}
	described, err := json.Marshal(describeBlob(configMediaType, config))
	if err != nil {
		return fail(err)
	}
	if manifest, err = set(manifest, "config", described); err != nil {
		return fail(err)
	}
	return LegacyManifest{MediaType: m.MediaType, Manifest: manifest, Config: config}, nil
}

// extend adds value to the end of a list that is a member of a JSON object.
func extend(object []byte, member string, value any) ([]byte, error) {
	o, err := members(object)
	if err != nil {
		return nil, err
	}
	var list []json.RawMessage
	if len(o[member]) > 0 {
		if err := json.Unmarshal(o[member], &list); err != nil {
			return nil, fmt.Errorf("its %s is not a list", member)
		}
	}
	raw, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	joined, err := json.Marshal(append(list, raw))
	if err != nil {
		return nil, err
	}
	return set(object, member, joined)
}

func set(object []byte, member string, value json.RawMessage) ([]byte, error) {
	o, err := members(object)
	if err != nil {
		return nil, err
	}
	o[member] = value
	return json.Marshal(o)
}

func members(object []byte) (map[string]json.RawMessage, error) {
	var o map[string]json.RawMessage
	if err := json.Unmarshal(object, &o); err != nil || o == nil { // null is none either
		return nil, errors.New("what is there is not a JSON object")
	}
	return o, nil
}

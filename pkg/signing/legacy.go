// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signing

import (
	"bytes"
	"cmp"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/signature/payload"
)

// The layout of cosign 2 (sigstore/cosign, specs/SIGNATURE_SPEC.md).
const (
	legacyMediaType = "application/vnd.dev.cosign.simplesigning.v1+json"
	configMediaType = "application/vnd.oci.image.config.v1+json"

	keySignature   = "dev.cosignproject.cosign/signature"
	keyCertificate = "dev.sigstore.cosign/certificate"
	keyChain       = "dev.sigstore.cosign/chain"
	keyLogBundle   = "dev.sigstore.cosign/bundle"
	keyTimestamp   = "dev.sigstore.cosign/rfc3161timestamp"
)

// Legacy is a finished legacy signature: one layer of the manifest under the
// image's signature tag.
type Legacy struct {
	Payload     []byte            // the layer's blob
	Annotations map[string]string // the layer's

	Verified
}

// LegacyPayload is what a legacy signature of the claim signs, and stores beside itself.
func (c Claim) LegacyPayload() ([]byte, error) {
	if c.Repository == "" {
		return nil, errors.New("a legacy signature needs the image's repository")
	}
	var p payload.SimpleContainerImage
	p.Critical.Identity.DockerReference = c.Repository
	p.Critical.Image.DockerManifestDigest = c.Digest
	p.Critical.Type = payload.CosignSignatureType
	for k, v := range c.Annotations {
		if p.Optional == nil {
			p.Optional = map[string]any{}
		}
		p.Optional[k] = v
	}
	return json.Marshal(p)
}

// logBundle is the Rekor v1 entry as an annotation has it.
type logBundle struct {
	SignedEntryTimestamp []byte
	Payload              struct {
		Body           string `json:"body"` // base64
		IntegratedTime int64  `json:"integratedTime"`
		LogIndex       int64  `json:"logIndex"`
		LogID          string `json:"logID"` // hex
	}
}

// FinishLegacy verifies a draft of [FormatLegacy] as any verifier would and returns
// the signature. The error is KindInvalid.
func (c *Client) FinishLegacy(d *Draft, trust *Trust) (*Legacy, error) {
	vm := d.pb.GetVerificationMaterial()
	l := &Legacy{Payload: d.payload, Annotations: map[string]string{
		keySignature:   base64.StdEncoding.EncodeToString(d.signature()),
		keyCertificate: string(d.cert.pem()),
	}}
	if chain := d.cert.chainPEM(); len(chain) > 0 {
		l.Annotations[keyChain] = string(chain)
	}
	for _, t := range vm.GetTlogEntries() {
		var b logBundle
		b.SignedEntryTimestamp = t.GetInclusionPromise().GetSignedEntryTimestamp()
		b.Payload.Body = base64.StdEncoding.EncodeToString(t.GetCanonicalizedBody())
		b.Payload.IntegratedTime, b.Payload.LogIndex = t.GetIntegratedTime(), t.GetLogIndex()
		b.Payload.LogID = hex.EncodeToString(t.GetLogId().GetKeyId())
		text, err := json.Marshal(b)
		if err != nil {
			return nil, invalid("encode log entry: " + err.Error())
		}
		l.Annotations[keyLogBundle] = string(text)
	}
	for _, stamp := range vm.GetTimestampVerificationData().GetRfc3161Timestamps() {
		text, err := json.Marshal(map[string][]byte{"SignedRFC3161Timestamp": stamp.GetSignedTimestamp()})
		if err != nil {
			return nil, invalid("encode timestamp: " + err.Error())
		}
		l.Annotations[keyTimestamp] = string(text)
	}
	v, err := c.VerifyLegacy(l, trust, d.Claim, d.cert.Identity.Only())
	if e, ok := errors.AsType[*Error](err); ok {
		e.Advice = adviceTrust
	}
	l.Verified = v
	return l, err
}

// VerifyLegacy checks that a layer is a signature of one of who on the claim's digest,
// made for the claim's repository. Its log entry is checked by the log's promise. Its
// annotations are for [Claim.Met].
func (c *Client) VerifyLegacy(l *Legacy, trust *Trust, claim Claim, who Signers) (Verified, error) {
	var p payload.SimpleContainerImage
	if err := json.Unmarshal(l.Payload, &p); err != nil {
		return Verified{}, invalid("the payload is not JSON")
	}
	switch {
	case p.Critical.Type != payload.CosignSignatureType:
		return Verified{}, invalid("the payload is not that of an image's signature")
	case p.Critical.Image.DockerManifestDigest != claim.Digest:
		return Verified{}, invalid("it is the signature of another image")
	case p.Critical.Identity.DockerReference != claim.Repository:
		return Verified{}, invalid("it was made for another repository: " + p.Critical.Identity.DockerReference)
	}
	pb, err := l.bundle()
	if err != nil {
		return Verified{}, invalid(err.Error())
	}
	b, err := bundle.NewBundle(pb)
	if err != nil {
		return Verified{}, invalid("the signature is not well-formed: " + err.Error())
	}
	v, _, err := trust.check(b, who, verify.WithArtifact(bytes.NewReader(l.Payload)))
	if err != nil {
		return Verified{}, err
	}
	v.Type = PredicateType
	for k, value := range p.Optional {
		v.Annotations[k] = fmt.Sprint(value)
	}
	return v, nil
}

// bundle is the same signature as a bundle v0.1, whose log entries need no proof.
func (l *Legacy) bundle() (*protobundle.Bundle, error) {
	sig, err := base64.StdEncoding.DecodeString(l.Annotations[keySignature])
	if err != nil || len(sig) == 0 {
		return nil, errors.New("it has no signature")
	}
	block, _ := pem.Decode([]byte(l.Annotations[keyCertificate]))
	if block == nil {
		return nil, errors.New("it has no certificate")
	}
	if _, err := x509.ParseCertificate(block.Bytes); err != nil {
		return nil, errors.New("its certificate cannot be read")
	}
	digest := describeBlob(legacyMediaType, l.Payload).Digest
	sum, err := rawDigest(digest)
	if err != nil {
		return nil, err
	}
	vm := &protobundle.VerificationMaterial{Content: &protobundle.VerificationMaterial_X509CertificateChain{
		X509CertificateChain: &protocommon.X509CertificateChain{Certificates: []*protocommon.X509Certificate{{RawBytes: block.Bytes}}},
	}}
	if vm.TlogEntries, err = l.logEntries(); err != nil {
		return nil, err
	}
	if text, ok := l.Annotations[keyTimestamp]; ok {
		var stamp struct{ SignedRFC3161Timestamp []byte }
		if err := json.Unmarshal([]byte(text), &stamp); err != nil {
			return nil, errors.New("its timestamp cannot be read")
		}
		vm.TimestampVerificationData = &protobundle.TimestampVerificationData{
			Rfc3161Timestamps: []*protocommon.RFC3161SignedTimestamp{{SignedTimestamp: stamp.SignedRFC3161Timestamp}},
		}
	}
	return &protobundle.Bundle{
		MediaType:            "application/vnd.dev.sigstore.bundle+json;version=0.1",
		VerificationMaterial: vm,
		Content: &protobundle.Bundle_MessageSignature{MessageSignature: &protocommon.MessageSignature{
			MessageDigest: &protocommon.HashOutput{Algorithm: protocommon.HashAlgorithm_SHA2_256, Digest: sum},
			Signature:     sig,
		}},
	}, nil
}

func (l *Legacy) logEntries() ([]*protorekor.TransparencyLogEntry, error) {
	text, ok := l.Annotations[keyLogBundle]
	if !ok {
		return nil, nil
	}
	var b logBundle
	if err := json.Unmarshal([]byte(text), &b); err != nil {
		return nil, errors.New("its log entry cannot be read")
	}
	body, err := base64.StdEncoding.DecodeString(b.Payload.Body)
	id, herr := hex.DecodeString(b.Payload.LogID)
	if err = errors.Join(err, herr); err != nil {
		return nil, errors.New("its log entry cannot be read")
	}
	return []*protorekor.TransparencyLogEntry{{
		LogIndex: b.Payload.LogIndex, LogId: &protocommon.LogId{KeyId: id}, IntegratedTime: b.Payload.IntegratedTime,
		KindVersion:       &protorekor.KindVersion{Kind: "hashedrekord", Version: "0.0.1"},
		InclusionPromise:  &protorekor.InclusionPromise{SignedEntryTimestamp: b.SignedEntryTimestamp},
		CanonicalizedBody: body,
	}}, nil
}

// Layer is the signature as an entry of the manifest's layers.
func (l *Legacy) Layer() ([]byte, error) {
	layer := describeBlob(legacyMediaType, l.Payload)
	layer.Annotations = l.Annotations
	return json.Marshal(layer)
}

// LayerKey tells the layers of a manifest apart: two signatures may have one payload.
func LayerKey(layer []byte) string {
	var d Descriptor
	if json.Unmarshal(layer, &d) != nil {
		return ""
	}
	return d.Digest + " " + d.Annotations[keySignature]
}

// LegacyManifest is what a registry has, or is to have, under an image's signature tag: an
// image whose layers are signatures.
type LegacyManifest struct {
	MediaType string // of Manifest
	Manifest  []byte
	Config    []byte
}

// LegacyLayers lists the signatures of a manifest, and where its config is.
func LegacyLayers(raw []byte) (layers []Descriptor, config Descriptor, err error) {
	var m struct {
		Config Descriptor   `json:"config"`
		Layers []Descriptor `json:"layers"`
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, Descriptor{}, errors.New("it is not an image manifest")
	}
	return m.Layers, m.Config, nil
}

// Layers are the entries of the manifest's layers, byte for byte.
func (m LegacyManifest) Layers() []json.RawMessage {
	var layers struct {
		Layers []json.RawMessage `json:"layers"`
	}
	_ = json.Unmarshal(m.Manifest, &layers) // what is no manifest has none
	return layers.Layers
}

// Append adds a layer behind those that m has; the zero LegacyManifest has none. What m
// has otherwise stays as it is, members that are not known here included.
func (m LegacyManifest) Append(layer json.RawMessage) (LegacyManifest, error) {
	if m.Manifest == nil {
		m = LegacyManifest{
			MediaType: ReferrerMediaType,
			Manifest:  []byte(`{"schemaVersion":2,"mediaType":"` + ReferrerMediaType + `","config":{},"layers":[]}`),
			Config:    []byte(`{"architecture":"","created":"0001-01-01T00:00:00Z","history":[],"os":"","rootfs":{"type":"layers","diff_ids":[]},"config":{}}`),
		}
	}
	var d Descriptor
	if err := json.Unmarshal(layer, &d); err != nil {
		return LegacyManifest{}, fmt.Errorf("append to the legacy signatures: %w", err)
	}
	manifest, err := members(m.Manifest)
	config, cerr := members(m.Config)
	rootfs, rerr := members(config["rootfs"])
	if err = cmp.Or(err, cerr, rerr); err == nil {
		err = cmp.Or(
			config.extend("history", map[string]string{"created": "0001-01-01T00:00:00Z"}),
			rootfs.extend("diff_ids", d.Digest),
			config.set("rootfs", rootfs),
			manifest.extend("layers", layer),
		)
	}
	if err == nil {
		m.Config, err = json.Marshal(config)
	}
	if err == nil {
		err = manifest.set("config", describeBlob(configMediaType, m.Config))
	}
	if err == nil {
		m.Manifest, err = json.Marshal(manifest)
	}
	if err != nil {
		return LegacyManifest{}, fmt.Errorf("append to the legacy signatures: %w", err)
	}
	return m, nil
}

// object is a JSON object with members that are not all known.
type object map[string]json.RawMessage

func members(raw []byte) (o object, err error) {
	if err := json.Unmarshal(raw, &o); err != nil || o == nil { // null is none either
		return nil, errors.New("what is there is not a JSON object")
	}
	return o, nil
}

// extend adds value to the end of a list.
func (o object) extend(member string, value any) error {
	var list []json.RawMessage
	if raw := o[member]; len(raw) > 0 && json.Unmarshal(raw, &list) != nil {
		return fmt.Errorf("its %s is not a list", member)
	}
	raw, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return o.set(member, append(list, raw))
}

func (o object) set(member string, value any) (err error) {
	o[member], err = json.Marshal(value)
	return err
}

// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signing

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"github.com/sigstore/sigstore-go/pkg/sign"

	"github.com/LerianStudio/pushguard/pkg/wire"
)

// Format is a layout in which verifiers of images look for signatures.
type Format string

// The formats.
const (
	// FormatBundle is a Sigstore bundle v0.3, attached as a referrer: what cosign 3 writes.
	FormatBundle Format = "bundle"
	// FormatLegacy is a layer under the tag sha256-….sig: what cosign 2 writes. It
	// needs an inclusion promise, so it exists with Rekor v1 only.
	FormatLegacy Format = "legacy"
)

// Claim is what is signed: "this is the image", with the signer's annotations.
type Claim struct {
	Digest      string            // sha256 digest of a manifest or index
	Annotations map[string]string // shown and compared by verifiers
	// Repository is the image's, with its registry. Only a legacy signature names it.
	Repository string
	// Attestation is what is stated in place of a signature, nil for a signature.
	Attestation *Attestation
}

// Type is the predicate type of the claim's statement.
func (c Claim) Type() string {
	if c.Attestation != nil {
		return c.Attestation.Type
	}
	return PredicateType
}

// Met says what a verified statement lacks of the claim, nil when nothing: it is of
// another type, or has not the annotations, which may be more.
func (c Claim) Met(v Verified) error {
	if a := c.Attestation; a != nil {
		if v.Type != a.Type {
			return invalid("the statement is not of the type " + a.Type)
		}
		if a.digest != "" && a.digest != v.Predicate {
			return invalid("the statement says something else than the file")
		}
		return nil
	}
	if v.Type != PredicateType {
		return invalid("the statement is not a signature of an image")
	}
	for key, want := range c.Annotations {
		if got, ok := v.Annotations[key]; !ok || got != want {
			return invalid(fmt.Sprintf("it lacks the annotation %s=%s", key, want))
		}
	}
	return nil
}

// Draft is a signature in the making. What was won stays in it, so each call can
// be repeated on its own. Not for concurrent use.
type Draft struct {
	Claim
	Format Format

	cert    *Certificate
	payload []byte // what a legacy signature signs
	pb      *protobundle.Bundle
	stamped map[string]bool   // by URL
	entries map[string]*entry // by log URL
}

type statement struct {
	Type          string    `json:"_type"`
	Subject       []subject `json:"subject"`
	PredicateType string    `json:"predicateType"`
	Predicate     any       `json:"predicate"`
}

type subject struct {
	Digest      map[string]string `json:"digest"`
	Annotations map[string]string `json:"annotations,omitzero"`
}

// Draft signs claim and returns a signature without timestamp and log entry. It
// asks no service.
func (c *Client) Draft(ctx context.Context, cert *Certificate, trust *Trust, format Format, claim Claim) (*Draft, error) {
	payload, err := claim.payload(format)
	if err != nil {
		return nil, refused(StageSignature, err)
	}
	var content sign.Content = &sign.DSSEData{Data: payload, PayloadType: payloadType}
	if format == FormatLegacy {
		content = &sign.PlainData{Data: payload}
	}
	sig, hash, err := cert.key.pair.SignData(ctx, content.PreAuthEncoding())
	if err != nil {
		return nil, refused(StageSignature, err)
	}
	pb := &protobundle.Bundle{MediaType: BundleMediaType, VerificationMaterial: cert.material(trust)}
	content.Bundle(pb, sig, hash, cert.key.pair.GetHashAlgorithm())
	return &Draft{
		Claim: claim, Format: format, cert: cert, payload: payload,
		pb: pb, stamped: map[string]bool{}, entries: map[string]*entry{},
	}, nil
}

// material is the leaf alone where verifiers have the rest of the chain in their
// trust root, else the leaf and the intermediates.
func (c *Certificate) material(trust *Trust) *protobundle.VerificationMaterial {
	leaf := &protocommon.X509Certificate{RawBytes: c.der}
	intermediates := c.intermediates(trust)
	if len(intermediates) == 0 {
		return &protobundle.VerificationMaterial{Content: &protobundle.VerificationMaterial_Certificate{Certificate: leaf}}
	}
	chain := []*protocommon.X509Certificate{leaf}
	for _, i := range intermediates {
		chain = append(chain, &protocommon.X509Certificate{RawBytes: i.Raw})
	}
	return &protobundle.VerificationMaterial{Content: &protobundle.VerificationMaterial_X509CertificateChain{
		X509CertificateChain: &protocommon.X509CertificateChain{Certificates: chain},
	}}
}

// payload is the bytes that are signed.
func (c Claim) payload(format Format) ([]byte, error) {
	raw, err := rawDigest(c.Digest)
	if err != nil {
		return nil, err
	}
	if format == FormatLegacy {
		return c.LegacyPayload()
	}
	subjects := []subject{{Digest: map[string]string{"sha256": hex.EncodeToString(raw)}}}
	if c.Attestation != nil {
		return json.Marshal(statement{Type: statementType, PredicateType: c.Attestation.Type, Subject: subjects, Predicate: c.Attestation.predicate})
	}
	subjects[0].Annotations = c.Annotations
	if c.Annotations == nil {
		subjects[0].Annotations = map[string]string{}
	}
	return json.Marshal(statement{Type: statementType, PredicateType: PredicateType, Subject: subjects, Predicate: struct{}{}})
}

// Stamp adds an RFC 3161 timestamp of the signature: one request, none when
// that authority's timestamp is already there. A certificate that ran out
// before makes it KindExpired: the timestamp would prove that it was late.
func (c *Client) Stamp(ctx context.Context, d *Draft, authority string) error {
	if d.stamped[authority] {
		return nil
	}
	k := call{stage: StageTimestamp, service: authority, ok: []int{http.StatusOK, http.StatusCreated}}
	if d.cert.Expired(time.Now()) {
		return k.expired()
	}
	tsa := sign.NewTimestampAuthority(&sign.TimestampAuthorityOptions{URL: authority, Timeout: -1, Transport: c.transport(ctx, k)})
	stamp, err := tsa.GetTimestamp(ctx, d.signature())
	if err != nil {
		return stageError(ctx, k, err)
	}
	vm := d.pb.GetVerificationMaterial()
	if vm.TimestampVerificationData == nil {
		vm.TimestampVerificationData = &protobundle.TimestampVerificationData{}
	}
	vm.TimestampVerificationData.Rfc3161Timestamps = append(vm.TimestampVerificationData.Rfc3161Timestamps,
		&protocommon.RFC3161SignedTimestamp{SignedTimestamp: stamp})
	d.stamped[authority] = true
	return nil
}

// Stamped reports whether the draft has a timestamp.
func (d *Draft) Stamped() bool { return len(d.stamped) > 0 }

func (d *Draft) signature() []byte {
	if d.Format == FormatLegacy {
		return d.pb.GetMessageSignature().GetSignature()
	}
	return d.pb.GetDsseEnvelope().GetSignatures()[0].GetSig()
}

func (k call) expired() *Error {
	e := k.fail(KindExpired, 0, "the certificate ran out before this was done")
	e.Advice = "sign again with a new certificate"
	return e
}

func rawDigest(digest string) ([]byte, error) {
	h, ok := strings.CutPrefix(digest, "sha256:")
	raw, err := hex.DecodeString(h)
	if !ok || err != nil || len(raw) != 32 || h != strings.ToLower(h) {
		return nil, fmt.Errorf("%q is not a sha256 digest", wire.OneLine(digest))
	}
	return raw, nil
}

// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

// Package signing makes and verifies keyless Sigstore signatures of container
// images, one stage at a time, so that a caller can repeat the stage that
// failed and keep what the others have won:
//
//	Load → Token → Certificate → Draft → Stamp → Submit, Await → Finish → Referrer
//
// No function retries. Errors of services are *Error, which says whether the
// same call may succeed later.
package signing

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"
	"github.com/sigstore/sigstore-go/pkg/sign"
)

// What cosign 3 writes and verifiers of images look for.
const (
	PredicateType   = "https://sigstore.dev/cosign/sign/v1"
	BundleMediaType = "application/vnd.dev.sigstore.bundle.v0.3+json"

	payloadType   = "application/vnd.in-toto+json"
	statementType = "https://in-toto.io/Statement/v1"
)

// Options configure a Client. The zero value works.
type Options struct {
	Transport http.RoundTripper // nil = a clone of http.DefaultTransport
	Timeout   time.Duration     // of one request with its answer; 0 = none
	Logger    *slog.Logger      // nil = silent
}

// Client talks to Sigstore's services. It is safe for concurrent use.
type Client struct {
	base    http.RoundTripper
	timeout time.Duration
	log     *slog.Logger
}

// New returns a Client.
func New(opts Options) *Client {
	c := &Client{base: opts.Transport, timeout: opts.Timeout, log: opts.Logger}
	if c.base == nil {
		c.base = http.DefaultTransport.(*http.Transport).Clone()
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Key is an ECDSA P-256 key that lives as long as the process and is never written.
type Key struct {
	pair *sign.EphemeralKeypair
}

// NewKey makes a key.
func NewKey() (*Key, error) {
	pair, err := sign.NewEphemeralKeypair(nil)
	if err != nil {
		return nil, &Error{Stage: StageSignature, Kind: KindRefused, Message: oneLine(err.Error()), Err: err}
	}
	return &Key{pair: pair}, nil
}

// String keeps the key out of every log.
func (*Key) String() string { return "signing key" }

// Certificate is a signing certificate from Fulcio with the key it is for.
type Certificate struct {
	Identity Identity // as written in it

	key    *Key
	der    []byte
	leaf   *x509.Certificate
	issued time.Time // when it was asked for, by this machine's clock
}

// Expired reports whether the certificate has run out, counted from when it
// was asked for: a wrong clock on this machine does not matter.
func (c *Certificate) Expired(now time.Time) bool {
	return now.Sub(c.issued) >= c.leaf.NotAfter.Sub(c.leaf.NotBefore)
}

// Certificate asks Fulcio for a certificate: one request. A token that ran out
// makes the answer KindExpired.
func (c *Client) Certificate(ctx context.Context, fulcioURL string, key *Key, token Token) (*Certificate, error) {
	k := call{stage: StageCertificate, service: fulcioURL, ok: []int{http.StatusOK}, json: true}
	asked := time.Now()
	fulcio := sign.NewFulcio(&sign.FulcioOptions{
		BaseURL: strings.TrimRight(fulcioURL, "/"), Timeout: -1, Transport: c.transport(ctx, k),
	})
	der, err := fulcio.GetCertificate(ctx, key.pair, &sign.CertificateProviderOptions{IDToken: token.raw()})
	if err != nil {
		err = stageError(ctx, k, err)
		if e, ok := errors.AsType[*Error](err); ok && e.Kind == KindRefused {
			refusedCertificate(e, token)
		}
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, k.malformed(http.StatusOK, "not a certificate: "+err.Error())
	}
	if pub, ok := key.pair.GetPublicKey().(interface{ Equal(crypto.PublicKey) bool }); !ok || !pub.Equal(leaf.PublicKey) {
		return nil, k.malformed(http.StatusOK, "the certificate is for another key")
	}
	summary, err := certificate.SummarizeCertificate(leaf)
	if err != nil {
		return nil, k.malformed(http.StatusOK, "the certificate has no identity: "+err.Error())
	}
	return &Certificate{
		Identity: Identity{Subject: summary.SubjectAlternativeName, Issuer: summary.Issuer},
		key:      key, der: der, leaf: leaf, issued: asked,
	}, nil
}

// refusedCertificate tells a token that ran out, which a new one cures, from one that is not accepted.
func refusedCertificate(e *Error, token Token) {
	if e.Status == http.StatusBadRequest || e.Status == http.StatusUnauthorized {
		if token.Expired(time.Now()) {
			e.Kind, e.Advice = KindExpired, "the identity token has run out: get a new one"
			return
		}
	}
	if e.Advice == "" {
		e.Advice = fmt.Sprintf("check that this certificate authority accepts tokens of %s with audience %q", token.Identity.Issuer, Audience)
	}
}

// Draft is a signature in the making over one digest. What was won stays in
// it, so each call can be repeated on its own. Not for concurrent use.
type Draft struct {
	Digest string // sha256:…

	cert    *Certificate
	pb      *protobundle.Bundle
	stamped map[string]bool   // by URL
	entries map[string]*entry // by log URL
}

type statement struct {
	Type          string    `json:"_type"`
	Subject       []subject `json:"subject"`
	PredicateType string    `json:"predicateType"`
	Predicate     struct{}  `json:"predicate"`
}

type subject struct {
	Digest      map[string]string `json:"digest"`
	Annotations struct{}          `json:"annotations"`
}

// Draft signs the statement "this identity signed digest" and returns a bundle
// without timestamp and log entry. digest is the sha256 digest of a manifest or
// index. It asks no service.
func (c *Client) Draft(ctx context.Context, cert *Certificate, digest string) (*Draft, error) {
	fail := func(message string) error {
		return &Error{Stage: StageSignature, Kind: KindRefused, Message: oneLine(message)}
	}
	raw, err := rawDigest(digest)
	if err != nil {
		return nil, fail(err.Error())
	}
	payload, err := json.Marshal(statement{
		Type: statementType, PredicateType: PredicateType,
		Subject: []subject{{Digest: map[string]string{"sha256": hex.EncodeToString(raw)}}},
	})
	if err != nil {
		return nil, fail(err.Error())
	}
	content := &sign.DSSEData{Data: payload, PayloadType: payloadType}
	sig, hash, err := cert.key.pair.SignData(ctx, content.PreAuthEncoding())
	if err != nil {
		return nil, fail(err.Error())
	}
	pb := &protobundle.Bundle{
		MediaType: BundleMediaType,
		// The leaf only: verifiers have the rest of the chain in their trust root.
		VerificationMaterial: &protobundle.VerificationMaterial{
			Content: &protobundle.VerificationMaterial_Certificate{Certificate: &protocommon.X509Certificate{RawBytes: cert.der}},
		},
	}
	content.Bundle(pb, sig, hash, cert.key.pair.GetHashAlgorithm())
	return &Draft{Digest: digest, cert: cert, pb: pb, stamped: map[string]bool{}, entries: map[string]*entry{}}, nil
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

func (d *Draft) signature() []byte { return d.pb.GetDsseEnvelope().GetSignatures()[0].GetSig() }

func (d *Draft) certificatePEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: d.cert.der})
}

func (k call) expired() *Error {
	return &Error{
		Stage: k.stage, Service: redactURL(k.service), Kind: KindExpired,
		Message: "the certificate ran out before this was done", Advice: "sign again with a new certificate",
	}
}

func rawDigest(digest string) ([]byte, error) {
	h, ok := strings.CutPrefix(digest, "sha256:")
	raw, err := hex.DecodeString(h)
	if !ok || err != nil || len(raw) != 32 || h != strings.ToLower(h) {
		return nil, fmt.Errorf("%q is not a sha256 digest", oneLine(digest))
	}
	return raw, nil
}

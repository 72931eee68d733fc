// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signingtest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/digitorus/timestamp"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/testing/ca"
)

// Fulcio issues certificates over its v2 API.
type Fulcio struct {
	Route

	oidc     *OIDC
	login    *Login
	root     *x509.Certificate
	issuer   *x509.Certificate
	key      *ecdsa.PrivateKey
	lifetime atomic.Int64
	issued   atomic.Int64
	hidden   atomic.Bool
}

func newFulcio(rootCert *x509.Certificate, rootKey *ecdsa.PrivateKey, oidc *OIDC, login *Login) (*Fulcio, error) {
	issuer, key, err := ca.GenerateFulcioIntermediate(rootCert, rootKey)
	if err != nil {
		return nil, err
	}
	f := &Fulcio{oidc: oidc, login: login, root: rootCert, issuer: issuer, key: key}
	f.SetLifetime(10 * time.Minute)
	return f, nil
}

// SetLifetime changes how long certificates live; 10 minutes unless set.
func (f *Fulcio) SetLifetime(d time.Duration) { f.lifetime.Store(int64(d)) }

// HideIntermediate leaves the intermediate out of trust roots made from now on: a
// signature has to bring it along.
func (f *Fulcio) HideIntermediate() { f.hidden.Store(true) }

// Certificates is the number of certificates issued.
func (f *Fulcio) Certificates() int { return int(f.issued.Load()) }

type certRequest struct {
	PublicKeyRequest struct {
		PublicKey struct {
			Algorithm string `json:"algorithm"`
			Content   string `json:"content"`
		} `json:"publicKey"`
		ProofOfPossession []byte `json:"proofOfPossession"`
	} `json:"publicKeyRequest"`
}

func (f *Fulcio) signingCert(w http.ResponseWriter, r *http.Request) {
	var req certRequest
	d := json.NewDecoder(io.LimitReader(r.Body, 1<<20))
	d.DisallowUnknownFields()
	if err := d.Decode(&req); err != nil || r.Header.Get("Content-Type") != "application/json" {
		refuse(w, http.StatusBadRequest, "bad request: %v", err)
		return
	}
	bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		refuse(w, http.StatusUnauthorized, "no token")
		return
	}
	claims, err := f.oidc.verify(bearer, f.login.url)
	if err != nil {
		refuse(w, http.StatusUnauthorized, "There was an error processing the identity token: %v", err)
		return
	}
	block, _ := pem.Decode([]byte(req.PublicKeyRequest.PublicKey.Content))
	if block == nil || req.PublicKeyRequest.PublicKey.Algorithm != "ECDSA" {
		refuse(w, http.StatusBadRequest, "The public key supplied in the request could not be parsed")
		return
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	pub, ok := parsed.(*ecdsa.PublicKey)
	if err != nil || !ok {
		refuse(w, http.StatusBadRequest, "The public key supplied in the request could not be parsed")
		return
	}
	proved := claims.Subject
	if claims.Email != "" {
		proved = claims.Email
	}
	if sum := sha256.Sum256([]byte(proved)); !ecdsa.VerifyASN1(pub, sum[:], req.PublicKeyRequest.ProofOfPossession) {
		refuse(w, http.StatusBadRequest, "The signature supplied in the request could not be verified")
		return
	}
	leaf, err := f.issue(pub, claims)
	if err != nil {
		refuse(w, http.StatusInternalServerError, "%v", err)
		return
	}
	var chain []string
	for _, der := range [][]byte{leaf, f.issuer.Raw, f.root.Raw} {
		chain = append(chain, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	}
	writeJSON(w, http.StatusOK, map[string]any{"signedCertificateDetachedSct": map[string]any{
		"chain": map[string]any{"certificates": chain}, "signedCertificateTimestamp": nil,
	}})
}

func (f *Fulcio) issue(pub *ecdsa.PublicKey, c tokenClaims) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	var uris []*url.URL
	var emails []string
	if c.Email != "" {
		emails = []string{c.Email}
	} else {
		san, err := url.Parse("https://github.com/" + c.JobWorkflowRef)
		if err != nil {
			return nil, err
		}
		uris = []*url.URL{san}
	}
	issuer, err := asn1.MarshalWithParams(c.Issuer, "utf8")
	if err != nil {
		return nil, err
	}
	now := time.Now()
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: serial, URIs: uris, EmailAddresses: emails,
		NotBefore: now, NotAfter: now.Add(time.Duration(f.lifetime.Load())),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
		ExtraExtensions: []pkix.Extension{ // Fulcio's OIDs for the issuer: the old raw one and the DER one
			{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 1}, Value: []byte(c.Issuer)},
			{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 8}, Value: issuer},
		},
	}, f.issuer, pub, f.key)
	if err == nil {
		f.issued.Add(1)
	}
	return der, err
}

func (f *Fulcio) trusted(baseURL string, start time.Time) *root.FulcioCertificateAuthority {
	a := &root.FulcioCertificateAuthority{URI: baseURL, Root: f.root, ValidityPeriodStart: start}
	if !f.hidden.Load() {
		a.Intermediates = []*x509.Certificate{f.issuer}
	}
	return a
}

// TSA is an RFC 3161 timestamp authority.
type TSA struct {
	Route

	root, issuer, leaf *x509.Certificate
	key                *ecdsa.PrivateKey
}

func newTSA(rootCert *x509.Certificate, rootKey *ecdsa.PrivateKey) (*TSA, error) {
	issuer, issuerKey, err := ca.GenerateTSAIntermediate(rootCert, rootKey)
	if err != nil {
		return nil, err
	}
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	// sigstore-go's own leaf lives ten minutes, less than a run with an outage in it.
	usage, err := asn1.Marshal([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8}})
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "sigstore-tsa"},
		NotBefore: issuer.NotBefore, NotAfter: issuer.NotAfter, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: true, Value: usage}},
	}, issuer, key.Public(), issuerKey)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	return &TSA{root: rootCert, issuer: issuer, leaf: leaf, key: key}, err
}

func (t *TSA) timestamp(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Content-Type") != "application/timestamp-query" {
		refuse(w, http.StatusBadRequest, "bad content type %q", r.Header.Get("Content-Type"))
		return
	}
	var body bytes.Buffer
	_, err := io.Copy(&body, io.LimitReader(r.Body, 1<<20))
	req, parseErr := timestamp.ParseRequest(body.Bytes())
	if err = errors.Join(err, parseErr); err != nil || req.HashAlgorithm != crypto.SHA256 {
		refuse(w, http.StatusBadRequest, "bad request: %v", err)
		return
	}
	stamp := timestamp.Timestamp{
		HashAlgorithm: req.HashAlgorithm, HashedMessage: req.HashedMessage, Nonce: req.Nonce, Time: time.Now(),
		Policy: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 2}, ExtraExtensions: req.Extensions, AddTSACertificate: req.Certificates,
	}
	der, err := stamp.CreateResponseWithOpts(t.leaf, t.key, crypto.SHA256)
	if err != nil {
		refuse(w, http.StatusInternalServerError, "%v", err)
		return
	}
	w.Header().Set("Content-Type", "application/timestamp-reply")
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write(der)
}

func (t *TSA) trusted(fullURL string, start time.Time) *root.SigstoreTimestampingAuthority {
	return &root.SigstoreTimestampingAuthority{
		URI: fullURL, Root: t.root, Intermediates: []*x509.Certificate{t.issuer}, Leaf: t.leaf, ValidityPeriodStart: start,
	}
}

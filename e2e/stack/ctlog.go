// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	ct "github.com/google/certificate-transparency-go"
	"github.com/google/certificate-transparency-go/tls"
)

// newCTLog serves the one method of a certificate transparency log that Fulcio
// calls (RFC 6962, section 4.2). It signs the promise and keeps no tree: enough
// for certificates whose embedded SCT every verifier checks in full, without a
// Trillian beside it.
func newCTLog(key *ecdsa.PrivateKey) *httptest.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+ct.AddPreChainPath, func(w http.ResponseWriter, r *http.Request) {
		var req ct.AddChainRequest
		if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		resp, err := promise(key, req.Chain, time.Now())
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		writeJSON(w, resp)
	})
	return httptest.NewServer(mux)
}

func promise(key *ecdsa.PrivateKey, chain [][]byte, now time.Time) (*ct.AddChainResponse, error) {
	raw := make([]ct.ASN1Cert, len(chain))
	for i, der := range chain {
		raw[i] = ct.ASN1Cert{Data: der}
	}
	leaf, err := ct.MerkleTreeLeafFromRawChain(raw, ct.PrecertLogEntryType, uint64(now.UnixMilli()))
	if err != nil {
		return nil, fmt.Errorf("read precertificate: %w", err)
	}
	sct := ct.SignedCertificateTimestamp{SCTVersion: ct.V1, Timestamp: leaf.TimestampedEntry.Timestamp}
	input, err := ct.SerializeSCTSignatureInput(sct, ct.LogEntry{Leaf: *leaf})
	if err != nil {
		return nil, fmt.Errorf("serialize SCT: %w", err)
	}
	digest := sha256.Sum256(input)
	signature, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	if err != nil {
		return nil, fmt.Errorf("sign SCT: %w", err)
	}
	signed, err := tls.Marshal(ct.DigitallySigned{
		Algorithm: tls.SignatureAndHashAlgorithm{Hash: tls.SHA256, Signature: tls.ECDSA},
		Signature: signature,
	})
	if err != nil {
		return nil, fmt.Errorf("encode SCT: %w", err)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, fmt.Errorf("encode the log's key: %w", err)
	}
	id := sha256.Sum256(public)
	return &ct.AddChainResponse{SCTVersion: ct.V1, ID: id[:], Timestamp: sct.Timestamp, Signature: signed}, nil
}

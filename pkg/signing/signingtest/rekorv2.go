// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signingtest

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/cyberphone/json-canonicalization/go/src/webpki.org/jsoncanonicalizer"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	rekortiles "github.com/sigstore/rekor-tiles/v2/pkg/generated/protobuf"
	rekornote "github.com/sigstore/rekor-tiles/v2/pkg/note"
	"github.com/sigstore/sigstore/pkg/signature"
	formats "github.com/transparency-dev/formats/log"
	"golang.org/x/mod/sumdb/note"
	"google.golang.org/protobuf/encoding/protojson"
)

// RekorV2 is a transparency log with the API of Rekor v2: hashedrekord entries, no
// promise and no time; what it has is read from its tiles.
type RekorV2 struct {
	Route       // POST of an entry
	Read  Route // GET of the checkpoint
	Tiles Route // GET of a tile

	*tree
}

func newRekorV2() (*RekorV2, error) {
	t, err := newTree()
	return &RekorV2{tree: t}, err
}

// LoseAnswer makes the next n POSTs store their entry and answer 502.
func (r *RekorV2) LoseAnswer(n int) {
	f := BadGateway()
	f.Lost = true
	r.Fail(n, f)
}

func (r *RekorV2) create(w http.ResponseWriter, req *http.Request) {
	raw, err := io.ReadAll(io.LimitReader(req.Body, 1<<20))
	var in rekortiles.CreateEntryRequest
	if err = errors.Join(err, protojson.Unmarshal(raw, &in)); err != nil {
		refuse(w, http.StatusBadRequest, "bad request: %v", err)
		return
	}
	body, err := hashedRekord(in.GetHashedRekordRequestV002())
	if err != nil {
		refuse(w, http.StatusBadRequest, "bad entry: %v", err)
		return
	}
	hash, added := r.add(body)
	found, size, rootHash, proof, err := r.prove(hash)
	if err != nil {
		refuse(w, http.StatusInternalServerError, "%v", err)
		return
	}
	if !added {
		w.Header().Set("X-Log-Index", fmt.Sprint(found.index))
		refuse(w, http.StatusConflict, "an equivalent entry already exists in the transparency log with index %d", found.index)
		return
	}
	checkpoint, err := r.checkpoint(size, rootHash)
	if err != nil {
		refuse(w, http.StatusInternalServerError, "%v", err)
		return
	}
	out, err := protojson.Marshal(&protorekor.TransparencyLogEntry{
		LogIndex: int64(found.index), LogId: &protocommon.LogId{KeyId: r.id},
		KindVersion: &protorekor.KindVersion{Kind: "hashedrekord", Version: "0.0.2"},
		InclusionProof: &protorekor.InclusionProof{
			LogIndex: int64(found.index), TreeSize: int64(size), RootHash: rootHash, Hashes: proof,
			Checkpoint: &protorekor.Checkpoint{Envelope: checkpoint},
		},
		CanonicalizedBody: body,
	})
	if err != nil {
		refuse(w, http.StatusInternalServerError, "%v", err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write(out)
}

// hashedRekord checks the signature and returns what goes into the log.
func hashedRekord(in *rekortiles.HashedRekordRequestV002) ([]byte, error) {
	verifier := in.GetSignature().GetVerifier()
	cert, err := x509.ParseCertificate(verifier.GetX509Certificate().GetRawBytes())
	if err != nil {
		return nil, err
	}
	pub, ok := cert.PublicKey.(*ecdsa.PublicKey)
	if !ok || verifier.GetKeyDetails() != protocommon.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256 {
		return nil, errors.New("only ECDSA P-256 keys are taken here")
	}
	if !ecdsa.VerifyASN1(pub, in.GetDigest(), in.GetSignature().GetContent()) {
		return nil, errors.New("the signature does not verify")
	}
	raw, err := protojson.Marshal(&rekortiles.Entry{
		Kind: "hashedrekord", ApiVersion: "0.0.2",
		Spec: &rekortiles.Spec{Spec: &rekortiles.Spec_HashedRekordV002{HashedRekordV002: &rekortiles.HashedRekordLogEntryV002{
			Data:      &protocommon.HashOutput{Algorithm: protocommon.HashAlgorithm_SHA2_256, Digest: in.GetDigest()},
			Signature: in.GetSignature(),
		}}},
	})
	if err != nil {
		return nil, err
	}
	return jsoncanonicalizer.Transform(raw)
}

func (r *RekorV2) checkpoint(size uint64, rootHash []byte) (string, error) {
	sv, err := signature.LoadECDSASignerVerifier(r.key, crypto.SHA256)
	if err != nil {
		return "", err
	}
	signer, err := rekornote.NewNoteSigner(context.Background(), r.origin, sv)
	if err != nil {
		return "", err
	}
	text := formats.Checkpoint{Origin: r.origin, Size: size, Hash: rootHash}.Marshal()
	signed, err := note.Sign(&note.Note{Text: string(text)}, signer)
	return string(signed), err
}

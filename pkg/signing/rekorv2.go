// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signing

import (
	"context"
	"crypto"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"

	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	rekortiles "github.com/sigstore/rekor-tiles/v2/pkg/generated/protobuf"
	rekornote "github.com/sigstore/rekor-tiles/v2/pkg/note"
	"github.com/sigstore/sigstore-go/pkg/sign"
	"github.com/sigstore/sigstore/pkg/signature"
	checkpoints "github.com/transparency-dev/formats/log"
	"github.com/transparency-dev/tessera/api/layout"
	tiles "github.com/transparency-dev/tessera/client"
	"golang.org/x/mod/sumdb/note"
	"google.golang.org/protobuf/encoding/protojson"
)

// submitV2 adds a hashedrekord entry over the envelope's pre-authentication
// encoding: the only kind that Rekor v2 knows.
func (c *Client) submitV2(ctx context.Context, d *Draft, log Log, e *entry) error {
	k := call{stage: StageLog, service: log.URL, ok: []int{http.StatusCreated}, json: true}
	if e.body == nil {
		digest := sha256.Sum256((&sign.DSSEData{Data: d.payload, PayloadType: payloadType}).PreAuthEncoding())
		body, err := protojson.Marshal(&rekortiles.CreateEntryRequest{
			Spec: &rekortiles.CreateEntryRequest_HashedRekordRequestV002{HashedRekordRequestV002: &rekortiles.HashedRekordRequestV002{
				Digest: digest[:],
				Signature: &rekortiles.Signature{Content: d.signature(), Verifier: &rekortiles.Verifier{
					KeyDetails: d.cert.key.pair.GetSigningAlgorithm(),
					Verifier: &rekortiles.Verifier_X509Certificate{
						X509Certificate: &protocommon.X509Certificate{RawBytes: d.cert.der},
					},
				}},
			}},
		})
		if err != nil {
			return refused(StageLog, fmt.Errorf("make log entry: %w", err))
		}
		e.body = body
	}
	t := &protorekor.TransparencyLogEntry{}
	_, err := c.ask(ctx, k, endpoint(log.URL, pathV2), e.body, func(b []byte) error { return protojson.Unmarshal(b, t) })
	if se, ok := errors.AsType[*Error](err); ok && se.Status == http.StatusConflict {
		if index, perr := strconv.ParseUint(se.logIndex, 10, 64); perr == nil {
			e.index = &index
			return nil
		}
		se.Kind, se.Advice = KindConflict, ""
	}
	if err != nil {
		return err
	}
	if t.GetLogId() == nil || t.GetKindVersion() == nil || t.GetInclusionProof() == nil || len(t.GetCanonicalizedBody()) == 0 {
		return k.malformed(http.StatusCreated, "log entry: not all of it is there")
	}
	d.addEntry(t)
	e.done = true
	return nil
}

// awaitV2 makes the answer of the log that was lost: the entry and the proof of
// its inclusion, out of the log's tiles (C2SP, tlog-tiles; Rekor v2 serves them
// under /api/v2).
func (c *Client) awaitV2(ctx context.Context, d *Draft, log Log, e *entry, trust *Trust) error {
	r := &tileReader{Client: c, log: log, call: call{stage: StageLog, service: log.URL, ok: []int{http.StatusOK}}}
	raw, err := r.file(ctx, layout.CheckpointPath)
	if se, ok := errors.AsType[*Error](err); ok && (se.Status == http.StatusNotFound || se.Status == http.StatusNotImplemented) {
		se.Kind, se.Advice = KindConflict, ""
		se.Message = "the log has the entry and does not hand it out"
	}
	if err != nil {
		return err
	}
	keyID, checkpoint, err := trust.checkpoint(raw)
	if err != nil {
		return r.call.malformed(http.StatusOK, err.Error())
	}
	index := *e.index
	if checkpoint.Size > math.MaxInt64 {
		return r.call.malformed(http.StatusOK, "the log's checkpoint has an absurd size")
	}
	if checkpoint.Size <= index {
		return r.call.pending(0)
	}
	body, proof, err := r.entry(ctx, index, checkpoint.Size)
	if err != nil {
		return err
	}
	at, size := int64(index), int64(checkpoint.Size) //nolint:gosec // checked above
	d.addEntry(&protorekor.TransparencyLogEntry{
		LogIndex: at, LogId: &protocommon.LogId{KeyId: keyID},
		KindVersion: &protorekor.KindVersion{Kind: "hashedrekord", Version: "0.0.2"},
		InclusionProof: &protorekor.InclusionProof{
			LogIndex: at, TreeSize: size, RootHash: checkpoint.Hash, Hashes: proof,
			Checkpoint: &protorekor.Checkpoint{Envelope: string(raw)},
		},
		CanonicalizedBody: body,
	})
	e.done = true
	return nil
}

// checkpoint reads a signed checkpoint and says by which of the trusted logs it is.
func (t *Trust) checkpoint(raw []byte) (keyID []byte, c *checkpoints.Checkpoint, err error) {
	var plain checkpoints.Checkpoint
	if _, err := plain.Unmarshal(raw); err != nil {
		return nil, nil, fmt.Errorf("the log's checkpoint: %w", err)
	}
	for _, l := range t.material.RekorLogs() {
		v, err := signature.LoadVerifier(l.PublicKey, crypto.SHA256)
		if err != nil {
			continue
		}
		verifier, err := rekornote.NewNoteVerifier(plain.Origin, v)
		if err != nil {
			continue
		}
		if _, err := note.Open(raw, note.VerifierList(verifier)); err == nil {
			return l.ID, &plain, nil
		}
	}
	return nil, nil, errors.New("the log's checkpoint is signed by no log that the trust root knows")
}

// tileReader reads a log's files for tessera's client, which reduces errors to text.
type tileReader struct {
	*Client
	call
	log    Log
	failed error // the last failure to read a file
}

// entry returns the entry at index and the proof that a tree of that size holds it.
func (r *tileReader) entry(ctx context.Context, index, size uint64) (body []byte, proof [][]byte, err error) {
	entries, err := tiles.GetEntryBundle(ctx, func(ctx context.Context, index uint64, width uint8) ([]byte, error) {
		return r.tile(ctx, func(w uint8) string { return layout.EntriesPath(index, w) }, width)
	}, index/layout.EntryBundleWidth, size)
	if err != nil {
		return nil, nil, r.why(ctx, err)
	}
	at := index % layout.EntryBundleWidth
	if uint64(len(entries.Entries)) <= at {
		return nil, nil, r.malformed(http.StatusOK, "the log's tile lacks the entry")
	}
	prover, err := tiles.NewProofBuilder(ctx, size, func(ctx context.Context, level, index uint64, width uint8) ([]byte, error) {
		return r.tile(ctx, func(w uint8) string { return layout.TilePath(level, index, w) }, width)
	})
	if err == nil {
		proof, err = prover.InclusionProof(ctx, index)
	}
	if err != nil {
		return nil, nil, r.why(ctx, err)
	}
	return entries.Entries[at], proof, nil
}

func (r *tileReader) why(ctx context.Context, err error) error {
	if r.failed != nil {
		return r.failed
	}
	return stageError(ctx, r.call, err)
}

// tile reads one tile; where a part of one is gone, the whole has taken its place.
func (r *tileReader) tile(ctx context.Context, path func(width uint8) string, width uint8) ([]byte, error) {
	b, err := r.file(ctx, path(width))
	if width > 0 && isMissing(err) {
		b, err = r.file(ctx, path(0))
	}
	if isMissing(err) { // the checkpoint says that it is there: the log is behind itself
		err = r.pending(0)
	}
	r.failed = err
	return b, err
}

func isMissing(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Status == http.StatusNotFound
}

// file reads one file of the log: one request.
func (r *tileReader) file(ctx context.Context, path string) ([]byte, error) {
	return r.ask(ctx, r.call, endpoint(r.log.URL, "/api/v2/"+path), nil, nil)
}

func (k call) pending(status int) *Error {
	return k.fail(KindPending, status, "the log has taken the entry and does not show it yet")
}

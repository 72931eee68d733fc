// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signingtest

import (
	"cmp"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/cyberphone/json-canonicalization/go/src/webpki.org/jsoncanonicalizer"
	"github.com/go-openapi/runtime"
	"github.com/sigstore/rekor/pkg/generated/models"
	"github.com/sigstore/rekor/pkg/types"
	dssetype "github.com/sigstore/rekor/pkg/types/dsse"
	_ "github.com/sigstore/rekor/pkg/types/dsse/v0.0.1" // registers the entry type
	"github.com/sigstore/rekor/pkg/types/hashedrekord"
	_ "github.com/sigstore/rekor/pkg/types/hashedrekord/v0.0.1" // registers the entry type
	"github.com/sigstore/rekor/pkg/util"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/transparency-dev/merkle/rfc6962"
	merkle "github.com/transparency-dev/merkle/testonly"
)

const (
	treeID = 0x1122334455667788
	// shardOffset is what a sharded log adds to the tree's own index in all that users see.
	shardOffset = 1000
)

// Rekor is a transparency log with the API of Rekor v1: entries of kind dsse and
// hashedrekord.
type Rekor struct {
	Create Route // POST of an entry
	Get    Route // GET of an entry by its UUID

	*tree
}

// tree is a growing Merkle tree with a key.
type tree struct {
	key    *ecdsa.PrivateKey
	id     []byte
	origin string

	mu     sync.Mutex
	merkle *merkle.Tree
	bodies [][]byte        // of all entries
	leaves map[string]leaf // clients' entries by leaf hash, hex
}

type leaf struct {
	body       []byte
	index      uint64
	integrated time.Time
}

func newTree() (*tree, error) {
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	id := sha256.Sum256(der)
	l := &tree{key: key, id: id[:], merkle: merkle.New(rfc6962.DefaultHasher), leaves: map[string]leaf{}}
	l.Grow(5) // so that proofs have something to prove
	return l, nil
}

// Grow adds n entries of other people to the log.
func (l *tree) Grow(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for range n {
		body := []byte(rand.Text())
		l.bodies = append(l.bodies, body)
		l.merkle.AppendData(body)
	}
}

func newRekor() (*Rekor, error) {
	t, err := newTree()
	return &Rekor{tree: t}, err
}

// LoseAnswer makes the next n POSTs store their entry and answer 502, as a
// gateway does that gives up while the log works.
func (r *Rekor) LoseAnswer(n int) {
	f := BadGateway()
	f.Lost = true
	r.Create.Fail(n, f)
}

// NotFound makes the next n GETs of an entry answer 404, as a log does that has
// queued the entry and not yet merged it.
func (r *Rekor) NotFound(n int) {
	r.Get.Fail(n, Fault{Status: http.StatusNotFound, Body: `{"code":404,"message":"entry not found"}`})
}

// Entries is the number of entries that clients put into the log.
func (l *tree) Entries() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.leaves)
}

// add puts body into the tree unless it is there. It returns the leaf hash in hex.
func (l *tree) add(body []byte) (hash string, added bool) {
	sum := rfc6962.DefaultHasher.HashLeaf(body)
	hash = hex.EncodeToString(sum)
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.leaves[hash]; ok {
		return hash, false
	}
	l.leaves[hash] = leaf{body: body, index: l.merkle.Size(), integrated: time.Now()}
	l.bodies = append(l.bodies, body)
	l.merkle.Append(sum)
	return hash, true
}

// prove returns a leaf with its proof in the tree as it is now.
func (l *tree) prove(hash string) (found leaf, size uint64, rootHash []byte, proof [][]byte, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	found, ok := l.leaves[hash]
	if !ok {
		return leaf{}, 0, nil, nil, errNoEntry
	}
	size = l.merkle.Size()
	proof, err = l.merkle.InclusionProof(found.index, size)
	return found, size, l.merkle.Hash(), proof, err
}

var errNoEntry = errors.New("no such entry")

func (l *tree) trusted(baseURL string, start time.Time) *root.TransparencyLog {
	return &root.TransparencyLog{
		BaseURL: baseURL, ID: l.id, ValidityPeriodStart: start,
		HashFunc: crypto.SHA256, PublicKey: l.key.Public(), SignatureHashFunc: crypto.SHA256,
	}
}

func (r *Rekor) create(w http.ResponseWriter, req *http.Request) {
	if req.Header.Get("Content-Type") != "application/json" {
		refuse(w, http.StatusUnsupportedMediaType, "unsupported media type %q", req.Header.Get("Content-Type"))
		return
	}
	body, err := canonicalEntry(req.Context(), io.LimitReader(req.Body, 1<<20))
	if err != nil {
		refuse(w, http.StatusBadRequest, "error processing entry: %v", err)
		return
	}
	hash, added := r.add(body)
	uuid := fmt.Sprintf("%016x%s", treeID, hash)
	location := "/api/v1/log/entries/" + uuid
	w.Header().Set("Location", location)
	if !added {
		refuse(w, http.StatusConflict, "an equivalent entry already exists in the transparency log with UUID %s", uuid)
		return
	}
	w.Header().Set("ETag", uuid)
	r.answer(w, http.StatusCreated, uuid, hash)
}

// canonicalEntry checks a proposed entry, signature included, and returns what goes into the log.
func canonicalEntry(ctx context.Context, body io.Reader) ([]byte, error) {
	proposed, err := models.UnmarshalProposedEntry(body, runtime.JSONConsumer())
	if err != nil {
		return nil, err
	}
	if proposed.Kind() != dssetype.KIND && proposed.Kind() != hashedrekord.KIND {
		return nil, fmt.Errorf("kind %q is not taken here", proposed.Kind())
	}
	entry, err := types.UnmarshalEntry(proposed)
	if err != nil {
		return nil, err
	}
	return types.CanonicalizeEntry(ctx, entry)
}

func (r *Rekor) get(w http.ResponseWriter, req *http.Request) {
	uuid := req.PathValue("uuid")
	hash := uuid
	if len(uuid) == 80 {
		hash = uuid[16:]
	}
	r.answer(w, http.StatusOK, uuid, hash)
}

func (r *Rekor) answer(w http.ResponseWriter, status int, uuid, hash string) {
	found, size, rootHash, proof, err := r.prove(hash)
	if err != nil {
		refuse(w, http.StatusNotFound, "%v", err)
		return
	}
	signer, err := signature.LoadECDSASignerVerifier(r.key, crypto.SHA256)
	if err != nil {
		refuse(w, http.StatusInternalServerError, "%v", err)
		return
	}
	checkpoint, err := util.CreateAndSignCheckpoint(context.Background(), r.origin, treeID, size, rootHash, signer)
	if err != nil {
		refuse(w, http.StatusInternalServerError, "%v", err)
		return
	}
	payload := map[string]any{
		"body":           base64.StdEncoding.EncodeToString(found.body),
		"integratedTime": found.integrated.Unix(),
		"logIndex":       found.index + shardOffset,
		"logID":          hex.EncodeToString(r.id),
	}
	set, err := r.promise(payload)
	if err != nil {
		refuse(w, http.StatusInternalServerError, "%v", err)
		return
	}
	hashes := []string{}
	for _, h := range proof {
		hashes = append(hashes, hex.EncodeToString(h))
	}
	payload["verification"] = map[string]any{
		"signedEntryTimestamp": set,
		"inclusionProof": map[string]any{
			"checkpoint": string(checkpoint), "hashes": hashes, "logIndex": found.index,
			"rootHash": hex.EncodeToString(rootHash), "treeSize": size,
		},
	}
	writeJSON(w, status, map[string]any{uuid: payload})
}

// promise is the signed entry timestamp: a signature over the canonical JSON of the four fields.
func (r *Rekor) promise(payload map[string]any) ([]byte, error) {
	raw, err := json.Marshal(payload)
	if err != nil {
		return nil, err
	}
	canonical, err := jsoncanonicalizer.Transform(raw)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(canonical)
	return ecdsa.SignASN1(rand.Reader, r.key, sum[:])
}

func hostname(baseURL string) string {
	u, err := url.Parse(baseURL)
	if err != nil {
		return baseURL
	}
	return u.Hostname()
}

// UUIDs names the entries that clients put into the log, in the order of their index.
func (r *Rekor) UUIDs() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	hashes := slices.SortedFunc(maps.Keys(r.leaves), func(a, b string) int {
		return cmp.Compare(r.leaves[a].index, r.leaves[b].index)
	})
	for i, h := range hashes {
		hashes[i] = fmt.Sprintf("%016x%s", treeID, h)
	}
	return hashes
}

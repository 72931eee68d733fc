// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signing

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strings"
	"time"

	"github.com/go-openapi/strfmt"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/rekor/pkg/generated/models"
	"github.com/sigstore/rekor/pkg/tle"
	"github.com/sigstore/rekor/pkg/types"
	dssetype "github.com/sigstore/rekor/pkg/types/dsse"
	_ "github.com/sigstore/rekor/pkg/types/dsse/v0.0.1" // registers the entry type
	"github.com/sigstore/rekor/pkg/types/hashedrekord"
	_ "github.com/sigstore/rekor/pkg/types/hashedrekord/v0.0.1" // registers the entry type
	"github.com/transparency-dev/merkle/rfc6962"
)

const (
	pathV1 = "/api/v1/log/entries"
	pathV2 = "/api/v2/log/entries"
)

// entry is the state of one draft at one log.
type entry struct {
	body []byte // the request, made once: a repeated POST is byte for byte the same entry
	done bool

	// Rekor v1
	leaf   string // hash of the entry as the log will have it: names it, whatever the log has said so far
	posted bool   // a POST was sent, and its answer did not tell what became of it
	uuid   string // the log has the entry under this name, or may have it, and is to be asked for it
	sure   bool   // the log said that it has it

	// Rekor v2
	index *uint64 // the log has the entry there
}

// Submit hands the draft's entry to a log: one request. Repeating it after a
// lost answer is safe: it posts the very same entry, and a log that already has
// it says so with 409. Such an entry is then fetched with Await.
//
// A certificate that ran out makes it KindExpired for Rekor v1, whose entries
// carry the time of their integration; but first the log is asked, with Await,
// for an entry whose answer was lost while the certificate lived.
func (c *Client) Submit(ctx context.Context, d *Draft, log Log) error {
	e := d.entries[log.URL]
	if e == nil {
		e = &entry{}
		d.entries[log.URL] = e
	}
	if e.done || e.waiting() {
		return nil
	}
	if log.Version == 2 {
		return c.submitV2(ctx, d, log, e)
	}
	return c.submitV1(ctx, d, log, e)
}

func (e *entry) waiting() bool { return !e.done && (e.uuid != "" || e.index != nil) }

// Waiting reports whether Await has something to fetch.
func (d *Draft) Waiting(log Log) bool {
	e := d.entries[log.URL]
	return e != nil && e.waiting()
}

// Await fetches the entry that a log has taken, when its answer was lost: from
// Rekor v1 by its name, one request; from Rekor v2 out of its tiles, a handful.
// None when the entry is already in the draft. KindPending as long as the log does
// not show it; KindConflict where a Rekor v2 does not hand out its tiles.
func (c *Client) Await(ctx context.Context, d *Draft, log Log, trust *Trust) error {
	e := d.entries[log.URL]
	switch {
	case e == nil || !e.waiting():
		return nil
	case e.index != nil:
		return c.awaitV2(ctx, d, log, e, trust)
	}
	return c.awaitV1(ctx, d, log, e)
}

func (d *Draft) addEntry(t *protorekor.TransparencyLogEntry) {
	vm := d.pb.GetVerificationMaterial()
	vm.TlogEntries = append(vm.TlogEntries, t)
}

func endpoint(base, api string) string { return strings.TrimRight(base, "/") + api }

func (c *Client) submitV1(ctx context.Context, d *Draft, log Log, e *entry) error {
	k := call{stage: StageLog, service: log.URL, ok: []int{http.StatusCreated}, json: true}
	if e.body == nil {
		var err error
		if e.body, e.leaf, err = proposeV1(ctx, d); err != nil {
			return refused(StageLog, fmt.Errorf("make log entry: %w", err))
		}
	}
	if d.cert.Expired(time.Now()) {
		if !e.posted {
			return k.expired()
		}
		// Posting now would only log it too late; but it may be there already, in time.
		e.uuid = e.leaf
		return nil
	}
	var answer models.LogEntry
	_, err := c.ask(ctx, k, endpoint(log.URL, pathV1), e.body, decode(&answer))
	if se, ok := errors.AsType[*Error](err); ok && se.Status == http.StatusConflict {
		e.uuid, e.sure = entryUUID(se.location), true
		if e.uuid == "" { // a gateway's location: the log finds it by its hash as well
			e.uuid = e.leaf
		}
		return nil
	}
	if err != nil {
		e.posted = true
		return err
	}
	return d.accept(k, http.StatusCreated, answer, e)
}

func (c *Client) awaitV1(ctx context.Context, d *Draft, log Log, e *entry) error {
	k := call{stage: StageLog, service: log.URL, ok: []int{http.StatusOK}, json: true}
	var answer models.LogEntry
	_, err := c.ask(ctx, k, endpoint(log.URL, pathV1)+"/"+e.uuid, nil, decode(&answer))
	if se, ok := errors.AsType[*Error](err); ok && se.Status == http.StatusNotFound {
		if !e.sure {
			return k.expired()
		}
		// Also when the certificate has run out meanwhile: what was integrated in
		// time holds, however late the log shows it.
		return k.pending(se.Status)
	}
	if err != nil {
		return err
	}
	return d.accept(k, http.StatusOK, answer, e)
}

// proposeV1 makes the request for an entry, of kind dsse 0.0.1 for a bundle and
// hashedrekord 0.0.1 for a legacy signature, and the hash of the leaf that the log
// makes of it (RFC 6962, section 2.1).
func proposeV1(ctx context.Context, d *Draft) (body []byte, leaf string, err error) {
	var proposed models.ProposedEntry
	if d.Format == FormatLegacy {
		digest := d.pb.GetMessageSignature().GetMessageDigest().GetDigest()
		proposed, err = hashedrekord.New().CreateProposedEntry(ctx, "", types.ArtifactProperties{
			ArtifactHash: "sha256:" + hex.EncodeToString(digest), SignatureBytes: d.signature(),
			PublicKeyBytes: [][]byte{d.cert.pem()}, PKIFormat: "x509",
		})
	} else {
		envelope, merr := json.Marshal(d.pb.GetDsseEnvelope())
		if merr != nil {
			return nil, "", merr
		}
		proposed, err = dssetype.New().CreateProposedEntry(ctx, "", types.ArtifactProperties{
			ArtifactBytes: envelope, PublicKeyBytes: [][]byte{d.cert.pem()},
		})
	}
	if err != nil {
		return nil, "", err
	}
	if body, err = json.Marshal(proposed); err != nil {
		return nil, "", err
	}
	entry, err := types.UnmarshalEntry(proposed)
	if err != nil {
		return nil, "", err
	}
	canonical, err := types.CanonicalizeEntry(ctx, entry)
	if err != nil {
		return nil, "", err
	}
	return body, hex.EncodeToString(rfc6962.DefaultHasher.HashLeaf(canonical)), nil
}

// accept takes an answer of Rekor v1 into the draft. Whether it is the right
// entry and truly in the log is checked with the whole bundle, by Finish; here
// only that nothing in it is missing.
func (d *Draft) accept(k call, status int, answer models.LogEntry, e *entry) error {
	if len(answer) != 1 {
		return k.malformed(status, fmt.Sprintf("%d log entries in the answer, not 1", len(answer)))
	}
	var anon models.LogEntryAnon
	for _, v := range answer {
		anon = v
	}
	if err := anon.Validate(strfmt.Default); err != nil {
		return k.malformed(status, "log entry: "+err.Error())
	}
	if anon.Verification == nil || anon.Verification.InclusionProof == nil {
		return k.malformed(status, "log entry: no inclusion proof")
	}
	if time.Unix(*anon.IntegratedTime, 0).After(d.cert.leaf.NotAfter) {
		return k.expired()
	}
	t, err := tle.GenerateTransparencyLogEntry(anon)
	if err != nil {
		return k.malformed(status, "log entry: "+err.Error())
	}
	d.addEntry(t)
	e.done = true
	return nil
}

// uuidPattern is a Rekor v1 entry's name: the leaf hash, with the tree's ID before it in a sharded log.
var uuidPattern = regexp.MustCompile(`^([0-9a-f]{16})?[0-9a-f]{64}$`)

// entryUUID reads the Location of a 409, "" when it names no entry. The log
// chooses that text, so only the name at its end is used, never the rest.
func entryUUID(location string) string {
	l, err := url.Parse(location)
	if err != nil || !strings.HasSuffix(path.Dir(l.Path), pathV1) || !uuidPattern.MatchString(path.Base(l.Path)) {
		return ""
	}
	return path.Base(l.Path)
}

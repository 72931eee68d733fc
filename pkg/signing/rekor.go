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
	"github.com/sigstore/rekor/pkg/generated/models"
	"github.com/sigstore/rekor/pkg/tle"
	"github.com/sigstore/rekor/pkg/types"
	dssetype "github.com/sigstore/rekor/pkg/types/dsse"
	_ "github.com/sigstore/rekor/pkg/types/dsse/v0.0.1" // registers the entry type
	"github.com/sigstore/rekor/pkg/types/hashedrekord"
	_ "github.com/sigstore/rekor/pkg/types/hashedrekord/v0.0.1" // registers the entry type
	"github.com/transparency-dev/merkle/rfc6962"
)

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

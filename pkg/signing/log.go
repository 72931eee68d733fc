// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signing

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strings"
	"time"

	"github.com/go-openapi/strfmt"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	rekortiles "github.com/sigstore/rekor-tiles/v2/pkg/generated/protobuf"
	"github.com/sigstore/rekor/pkg/generated/models"
	"github.com/sigstore/rekor/pkg/tle"
	"github.com/sigstore/rekor/pkg/types"
	dssetype "github.com/sigstore/rekor/pkg/types/dsse"
	_ "github.com/sigstore/rekor/pkg/types/dsse/v0.0.1" // registers the entry type
	"google.golang.org/protobuf/encoding/protojson"
)

const (
	pathV1 = "/api/v1/log/entries"
	pathV2 = "/api/v2/log/entries"
)

// entry is the state of one draft at one log.
type entry struct {
	body []byte // the request, made once: a repeated POST is byte for byte the same entry
	uuid string // Rekor v1 has the entry under this name and may not show it yet
	done bool
}

// Submit hands the draft's entry to a log: one request. Repeating it after a
// lost answer is safe: it posts the very same entry, and a log that already has
// it says so. With Rekor v1 (409 with a Location) the entry is then waited for
// with Await. Rekor v2's 409 does not give the entry: KindConflict, sign anew.
// A certificate that ran out makes it KindExpired for Rekor v1, whose entries
// carry the time of their integration.
func (c *Client) Submit(ctx context.Context, d *Draft, log Log) error {
	e := d.entries[log.URL]
	if e == nil {
		e = &entry{}
		d.entries[log.URL] = e
	}
	if e.done || e.uuid != "" {
		return nil
	}
	if log.Version == 2 {
		return c.submitV2(ctx, d, log, e)
	}
	return c.submitV1(ctx, d, log, e)
}

// Await fetches the entry that a 409 of Rekor v1 pointed at: one request, none
// when the entry is already in the draft. KindPending as long as the log does
// not show it.
func (c *Client) Await(ctx context.Context, d *Draft, log Log) error {
	e := d.entries[log.URL]
	if e == nil || e.done || e.uuid == "" {
		return nil
	}
	k := call{stage: StageLog, service: log.URL, ok: []int{http.StatusOK}, json: true}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint(log.URL, pathV1)+"/"+e.uuid, nil)
	if err != nil {
		return stageError(ctx, k, err)
	}
	req.Header.Set("Accept", "application/json")
	var answer models.LogEntry
	if err := c.doJSON(ctx, k, req, &answer); err != nil {
		if se, ok := errors.AsType[*Error](err); ok && se.Status == http.StatusNotFound {
			se.Kind, se.Advice = KindPending, ""
			se.Message = "the log has taken the entry and does not show it yet"
		}
		// An answer that is late and a certificate that is over: the entry can only turn out to be late.
		if d.cert.Expired(time.Now()) && IsKind(err, KindPending) {
			return k.expired()
		}
		return err
	}
	return d.accept(k, http.StatusOK, answer, e)
}

// Waiting reports whether Await has something to fetch.
func (d *Draft) Waiting(log Log) bool {
	e := d.entries[log.URL]
	return e != nil && !e.done && e.uuid != ""
}

func (c *Client) submitV1(ctx context.Context, d *Draft, log Log, e *entry) error {
	k := call{stage: StageLog, service: log.URL, ok: []int{http.StatusCreated}, json: true}
	if d.cert.Expired(time.Now()) {
		return k.expired()
	}
	if e.body == nil {
		body, err := proposeV1(ctx, d)
		if err != nil {
			return &Error{Stage: StageLog, Kind: KindRefused, Message: oneLine("make log entry: " + err.Error()), Err: err}
		}
		e.body = body
	}
	var answer models.LogEntry
	err := c.post(ctx, k, endpoint(log.URL, pathV1), e.body, func(b []byte) error { return json.Unmarshal(b, &answer) })
	if se, ok := errors.AsType[*Error](err); ok && se.Status == http.StatusConflict {
		uuid, err := entryUUID(log.URL, se.location)
		if err != nil {
			return k.malformed(http.StatusConflict, err.Error())
		}
		e.uuid = uuid
		return nil
	}
	if err != nil {
		return err
	}
	return d.accept(k, http.StatusCreated, answer, e)
}

// proposeV1 makes the request for an entry of kind dsse 0.0.1.
func proposeV1(ctx context.Context, d *Draft) ([]byte, error) {
	envelope, err := json.Marshal(d.pb.GetDsseEnvelope())
	if err != nil {
		return nil, err
	}
	proposed, err := dssetype.New().CreateProposedEntry(ctx, "", types.ArtifactProperties{
		ArtifactBytes: envelope, PublicKeyBytes: [][]byte{d.certificatePEM()},
	})
	if err != nil {
		return nil, err
	}
	return json.Marshal(proposed)
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

func (d *Draft) addEntry(t *protorekor.TransparencyLogEntry) {
	vm := d.pb.GetVerificationMaterial()
	vm.TlogEntries = append(vm.TlogEntries, t)
}

// submitV2 adds a hashedrekord entry over the envelope's pre-authentication
// encoding: the only kind that Rekor v2 knows.
func (c *Client) submitV2(ctx context.Context, d *Draft, log Log, e *entry) error {
	k := call{stage: StageLog, service: log.URL, ok: []int{http.StatusCreated}, json: true}
	if e.body == nil {
		env := d.pb.GetDsseEnvelope()
		digest := sha256.Sum256(dsse.PAE(env.GetPayloadType(), env.GetPayload()))
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
			return &Error{Stage: StageLog, Kind: KindRefused, Message: oneLine("make log entry: " + err.Error()), Err: err}
		}
		e.body = body
	}
	t := &protorekor.TransparencyLogEntry{}
	err := c.post(ctx, k, endpoint(log.URL, pathV2), e.body, func(b []byte) error { return protojson.Unmarshal(b, t) })
	if se, ok := errors.AsType[*Error](err); ok && se.Status == http.StatusConflict {
		se.Kind, se.Advice = KindConflict, "sign anew: Rekor v2 does not hand out the entry it already has"
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

// post sends body as JSON and gives the answer's body to decode.
func (c *Client) post(ctx context.Context, k call, target string, body []byte, decode func([]byte) error) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return stageError(ctx, k, err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	resp, err := c.client(ctx, k).Do(req)
	if err != nil {
		return stageError(ctx, k, err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body) // already in memory, see transport
	if err != nil {
		return stageError(ctx, k, err)
	}
	if err := decode(data); err != nil {
		return k.malformed(resp.StatusCode, "unexpected JSON: "+err.Error())
	}
	return nil
}

func endpoint(base, api string) string { return strings.TrimRight(base, "/") + api }

// uuidPattern is a Rekor v1 entry's name: the leaf hash, with the tree's ID before it in a sharded log.
var uuidPattern = regexp.MustCompile(`^([0-9a-f]{16})?[0-9a-f]{64}$`)

// entryUUID reads the Location of a 409. The log chooses that text, so only an
// entry of the very same log is accepted, and only its name is used.
func entryUUID(base, location string) (string, error) {
	if location == "" {
		return "", errors.New("a conflict without the location of the entry")
	}
	b, err := url.Parse(base)
	if err != nil {
		return "", err
	}
	l, err := url.Parse(location)
	if err != nil {
		return "", errors.New("a conflict with a location that is not a URL")
	}
	if l.IsAbs() || l.Host != "" {
		if l.Host != b.Host || (l.Scheme != "" && l.Scheme != b.Scheme) {
			return "", errors.New("a conflict that points to another host: " + redactURL(location))
		}
	}
	uuid := path.Base(l.Path)
	dir := path.Dir(l.Path)
	// A log behind a path prefix may or may not know of it.
	if (dir != pathV1 && dir != path.Join("/", b.Path, pathV1)) || !uuidPattern.MatchString(uuid) {
		return "", errors.New("a conflict with a location that is not a log entry: " + redactURL(location))
	}
	return uuid, nil
}

// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signing

import (
	"context"
	"strings"

	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
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

// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signing_test

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/LerianStudio/pushguard/pkg/signing"
	"github.com/LerianStudio/pushguard/pkg/signing/signingtest"
)

// Tiles and checkpoints that are wrong in every way are an answer to be had again,
// or a signature that does not verify; never a crash, never accepted.
func TestAwait_hostileTiles(t *testing.T) {
	t.Parallel()
	hash := strings.Repeat("h", 32)
	for name, body := range map[string]string{
		"empty": "", "short": hash[:31], "one hash": hash, "many hashes": strings.Repeat(hash, 256),
		"too many hashes": strings.Repeat(hash, 300), "no entry": "\x00\x00", "entry cut off": "\xff\xffabc",
		"entries of others": strings.Repeat("\x00\x02{}", 256), "text": "tile not ready",
	} {
		synctest.Test(t, func(t *testing.T) {
			l := newLab(t, 2)
			l.Rekor2.Grow(300)
			log := l.services.Logs[0]
			d, err := l.draft(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if err := l.client.Stamp(t.Context(), d, l.services.Timestamps[0]); err != nil {
				t.Fatal(err)
			}
			l.Rekor2.LoseAnswer(1)
			_ = l.client.Submit(t.Context(), d, log)
			if err := l.client.Submit(t.Context(), d, log); err != nil || !d.Waiting(log) {
				t.Fatalf("%v, waiting %t", err, d.Waiting(log))
			}
			l.Rekor2.Tiles.Fail(-1, signingtest.Fault{Status: 200, Body: body, ContentType: "application/octet-stream", Empty: body == ""})
			if err := l.client.Await(t.Context(), d, log, l.trust); err == nil {
				_, err = l.client.Finish(d, l.trust)
				if !signing.IsKind(err, signing.KindInvalid) {
					t.Errorf("%s: %v, want a signature that does not verify", name, err)
				}
			} else if e := verdictOf(t, err); !e.Transient {
				t.Errorf("%s: %v, want an answer to ask for again", name, err)
			}
		})
	}
}

func TestAwait_hostileCheckpoint(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"text": "not a checkpoint", "unsigned": "rekor\n10\nAAAA\n", "huge": "rekor\n18446744073709551615\n" + strings.Repeat("A", 43) + "=\n\n— rekor AAAAAAAA\n",
	} {
		synctest.Test(t, func(t *testing.T) {
			l := newLab(t, 2)
			log := l.services.Logs[0]
			d, err := l.draft(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			l.Rekor2.LoseAnswer(1)
			_ = l.client.Submit(t.Context(), d, log)
			_ = l.client.Submit(t.Context(), d, log)
			l.Rekor2.Read.Fail(-1, signingtest.Fault{Status: 200, Body: body})
			if err := l.client.Await(t.Context(), d, log, l.trust); !signing.IsKind(err, signing.KindMalformed) {
				t.Errorf("%s: %v, want KindMalformed", name, err)
			}
		})
	}
}

// Whatever is under the tag of legacy signatures: what can be appended to keeps what
// it has, the rest is refused.
func FuzzLegacyAppend(f *testing.F) {
	f.Add(`{"layers":[{"digest":"a"}],"x":1}`, `{"rootfs":{"diff_ids":["a"]},"y":[2]}`)
	f.Add(`[]`, `{}`)
	f.Add(`{"layers":null}`, `{"rootfs":null}`)
	l := &signing.Legacy{Payload: []byte("p"), Annotations: map[string]string{"k": "v"}}
	layer, err := l.Layer()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, manifest, config string) {
		grown, err := signing.LegacyManifest{MediaType: "m", Manifest: []byte(manifest), Config: []byte(config)}.Append(layer)
		if err != nil {
			return
		}
		var before, after map[string]any
		if json.Unmarshal([]byte(manifest), &before) != nil || json.Unmarshal(grown.Manifest, &after) != nil {
			t.Fatalf("appended to %q: %q", manifest, grown.Manifest)
		}
		old, _ := before["layers"].([]any)
		layers, _ := after["layers"].([]any)
		if len(layers) != len(old)+1 {
			t.Fatalf("%d layers after %d", len(layers), len(old))
		}
		for _, m := range []map[string]any{before, after} {
			delete(m, "layers")
			delete(m, "config")
		}
		if diff := cmp.Diff(before, after); diff != "" || len(old) > 0 && !cmp.Equal(old, layers[:len(old)]) {
			t.Errorf("what was there has changed: %s", diff)
		}
	})
}

// A layer that somebody else wrote is refused or not ours, and breaks nothing.
func FuzzVerifyLegacy(f *testing.F) {
	f.Add(`{"critical":{"type":"cosign container image signature"}}`, "c2ln", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", `{"Payload":{"body":"e30=","logID":"00"}}`, `{"SignedRFC3161Timestamp":"AAAA"}`)
	s, err := signingtest.New()
	if err != nil {
		f.Fatal(err)
	}
	s.URL = "http://sigstore.test"
	path := f.TempDir() + "/root.json"
	if err := s.WriteTrustedRoot(path); err != nil {
		f.Fatal(err)
	}
	trust, err := signing.LoadTrust(path)
	if err != nil {
		f.Fatal(err)
	}
	c := signing.New(signing.Options{})
	f.Fuzz(func(t *testing.T, payload, sig, cert, log, stamp string) {
		l := &signing.Legacy{Payload: []byte(payload), Annotations: map[string]string{
			"dev.cosignproject.cosign/signature": sig, "dev.sigstore.cosign/certificate": cert,
			"dev.sigstore.cosign/bundle": log, "dev.sigstore.cosign/rfc3161timestamp": stamp,
		}}
		if _, err := c.VerifyLegacy(l, trust, signing.Claim{Digest: digest, Repository: "r/x"}, signing.Signers{Subject: "s", Issuer: "i"}); !signing.IsKind(err, signing.KindInvalid) {
			t.Errorf("%v, want KindInvalid", err)
		}
	})
}

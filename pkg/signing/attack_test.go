// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signing_test

import (
	"encoding/json"
	"testing"
	"testing/synctest"

	"github.com/LerianStudio/pushguard/pkg/signing"
)

// What is put together of good parts, or lacks one, is refused: a public key in place of
// the certificate (GHSA-fx35-mq7g-6g98), somebody else's certificate, entry or timestamp,
// another time, no log entry.
func TestVerify_attacks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, version := range []uint32{1, 2} {
			l := newLab(t, version)
			good, err := l.sign(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			l.OIDC.SetWorkflow("evil/app/.github/workflows/x.yml@refs/heads/main")
			evil, err := l.sign(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := l.client.Verify(good.JSON, l.trust, digest, good.Identity.Only()); err != nil {
				t.Fatalf("v%d: the good one: %v", version, err)
			}
			take := func(from map[string]any, names ...string) func(map[string]any) {
				return func(into map[string]any) {
					for _, name := range names {
						material(into)[name] = material(from)[name]
					}
				}
			}
			other, own := parse(t, evil.JSON), parse(t, good.JSON)
			attacks := map[string]func(b map[string]any){
				"a public key in place of the certificate": func(b map[string]any) {
					delete(material(b), "certificate")
					material(b)["publicKey"] = map[string]any{"hint": "x"}
				},
				"no certificate":        func(b map[string]any) { delete(material(b), "certificate") },
				"another's certificate": take(other, "certificate"),
				"another's log entry":   take(other, "tlogEntries"),
				"no log entry":          func(b map[string]any) { delete(material(b), "tlogEntries") },
				"no timestamp and entry": func(b map[string]any) {
					delete(material(b), "tlogEntries")
					delete(material(b), "timestampVerificationData")
				},
				"another's entry beside": func(b map[string]any) {
					a, _ := material(own)["tlogEntries"].([]any)
					e, _ := material(other)["tlogEntries"].([]any)
					material(b)["tlogEntries"] = append(append([]any{}, a...), e...)
				},
				"another log": func(b map[string]any) {
					entry(b)["logId"] = map[string]any{"keyId": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}
				},
				"another's statement": func(b map[string]any) { b["dsseEnvelope"] = other["dsseEnvelope"] },
				"a second signature": func(b map[string]any) {
					envelope, _ := b["dsseEnvelope"].(map[string]any)
					theirs, _ := other["dsseEnvelope"].(map[string]any)
					a, _ := envelope["signatures"].([]any)
					e, _ := theirs["signatures"].([]any)
					envelope["signatures"] = append(append([]any{}, e...), a...)
				},
				"no statement": func(b map[string]any) { delete(b, "dsseEnvelope") },
			}
			if version == 1 {
				attacks["another time"] = func(b map[string]any) { entry(b)["integratedTime"] = "1700000000" }
				attacks["no proof and promise"] = func(b map[string]any) { delete(entry(b), "inclusionProof"); delete(entry(b), "inclusionPromise") }
			} else {
				attacks["another's timestamp"] = take(other, "timestampVerificationData")
				attacks["no timestamp"] = func(b map[string]any) { delete(material(b), "timestampVerificationData") }
			}
			for name, spoil := range attacks {
				b := parse(t, good.JSON)
				spoil(b)
				raw, err := json.Marshal(b)
				if err != nil {
					t.Fatal(err)
				}
				if v, err := l.client.Verify(raw, l.trust, digest, good.Identity.Only()); !signing.IsKind(err, signing.KindInvalid) {
					t.Errorf("v%d: %s: %+v, %v, want KindInvalid", version, name, v, err)
				}
			}
		}
	})
}

func parse(t *testing.T, raw []byte) (b map[string]any) {
	t.Helper()
	if err := json.Unmarshal(raw, &b); err != nil {
		t.Fatal(err)
	}
	return b
}

func material(b map[string]any) map[string]any {
	m, _ := b["verificationMaterial"].(map[string]any)
	return m
}

func entry(b map[string]any) map[string]any {
	list, _ := material(b)["tlogEntries"].([]any)
	e, _ := list[0].(map[string]any)
	return e
}

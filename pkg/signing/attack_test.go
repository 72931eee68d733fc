// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signing_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
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

// The same for the legacy layout. Its log entry is an annotation of its own, and whoever
// can write the tag can put there what the log has really promised to somebody else.
func TestVerifyLegacy_attacks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		claim := signing.Claim{Digest: digest, Repository: "r.example.com/org/app"}
		good := l.signLegacy(t, claim)
		who := good.Verified.Identity.Only()
		otherImage := l.signLegacy(t, signing.Claim{Digest: "sha256:" + strings.Repeat("1", 64), Repository: claim.Repository})
		l.OIDC.SetWorkflow("evil/app/.github/workflows/x.yml@refs/heads/main")
		evil := l.signLegacy(t, claim)
		publicKey, signature, promised := l.logWithKey(t, good.Payload)

		const (
			ofSignature = "dev.cosignproject.cosign/signature"
			certificate = "dev.sigstore.cosign/certificate"
			logged      = "dev.sigstore.cosign/bundle"
		)
		take := func(from *signing.Legacy, names ...string) func(*signing.Legacy) {
			return func(into *signing.Legacy) {
				for _, name := range names {
					into.Annotations[name] = from.Annotations[name]
				}
			}
		}
		for name, spoil := range map[string]func(*signing.Legacy){
			"a public key in place of the certificate": func(s *signing.Legacy) {
				s.Annotations = map[string]string{ofSignature: signature, certificate: publicKey, logged: promised}
			},
			"a public key in the log, the certificate beside it": func(s *signing.Legacy) {
				s.Annotations = map[string]string{ofSignature: signature, certificate: good.Annotations[certificate], logged: promised}
			},
			"a public key's log entry":  func(s *signing.Legacy) { s.Annotations[logged] = promised },
			"no certificate":            func(s *signing.Legacy) { delete(s.Annotations, certificate) },
			"another's certificate":     take(evil, certificate),
			"another's signature":       take(evil, ofSignature),
			"another's log entry":       take(evil, logged),
			"another's":                 take(evil, ofSignature, certificate, logged),
			"no signature":              func(s *signing.Legacy) { delete(s.Annotations, ofSignature) },
			"no log entry":              func(s *signing.Legacy) { delete(s.Annotations, logged) },
			"another image's":           func(s *signing.Legacy) { *s = *otherImage },
			"another image's payload":   func(s *signing.Legacy) { s.Payload = otherImage.Payload },
			"another image's log entry": take(otherImage, logged),
			"another time": func(s *signing.Legacy) {
				s.Annotations[logged] = regexp.MustCompile(`"integratedTime":\d+`).ReplaceAllString(s.Annotations[logged], `"integratedTime":1700000000`)
			},
			"no promise": func(s *signing.Legacy) {
				s.Annotations[logged] = regexp.MustCompile(`"SignedEntryTimestamp":"[^"]*"`).ReplaceAllString(s.Annotations[logged], `"SignedEntryTimestamp":""`)
			},
		} {
			spoilt := &signing.Legacy{Payload: good.Payload, Annotations: maps.Clone(good.Annotations)}
			spoil(spoilt)
			if v, err := l.client.VerifyLegacy(spoilt, l.trust, claim, who); !signing.IsKind(err, signing.KindInvalid) {
				t.Errorf("%s: %+v, %v, want KindInvalid", name, v, err)
			}
		}
		if _, err := l.client.VerifyLegacy(good, l.trust, claim, who); err != nil {
			t.Errorf("the good one: %v", err)
		}
	})
}

// signLegacy makes a signature in the legacy layout.
func (l *lab) signLegacy(t *testing.T, claim signing.Claim) *signing.Legacy {
	t.Helper()
	cert, err := l.certificate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	draft, err := l.client.Draft(t.Context(), cert, l.trust, signing.FormatLegacy, claim)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(l.client.Stamp(t.Context(), draft, l.services.Timestamps[0]), l.client.Submit(t.Context(), draft, l.services.Logs[0])); err != nil {
		t.Fatal(err)
	}
	s, err := l.client.FinishLegacy(draft, l.trust)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// logWithKey signs a payload with a key that no certificate has, and logs that. It returns
// the key, the signature and the log's promise as the legacy layout has them.
func (l *lab) logWithKey(t *testing.T, payload []byte) (publicKey, signature, promised string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(payload)
	sig, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
	der, err2 := x509.MarshalPKIXPublicKey(key.Public())
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	entry, err := json.Marshal(map[string]any{"kind": "hashedrekord", "apiVersion": "0.0.1", "spec": map[string]any{
		"signature": map[string]any{"content": sig, "publicKey": map[string]any{"content": text}},
		"data":      map[string]any{"hash": map[string]any{"algorithm": "sha256", "value": hex.EncodeToString(sum[:])}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	req := httptest.NewRequest(http.MethodPost, "/rekor/api/v1/log/entries", bytes.NewReader(entry))
	req.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	l.Handler().ServeHTTP(w, req)
	var logged map[string]struct {
		Body           string `json:"body"`
		IntegratedTime int64  `json:"integratedTime"`
		LogIndex       int64  `json:"logIndex"`
		LogID          string `json:"logID"`
		Verification   struct {
			SignedEntryTimestamp []byte `json:"signedEntryTimestamp"`
		} `json:"verification"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &logged); err != nil || w.Code != http.StatusCreated {
		t.Fatalf("the log answers %d: %s", w.Code, w.Body)
	}
	for _, e := range logged {
		raw, err := json.Marshal(map[string]any{
			"SignedEntryTimestamp": e.Verification.SignedEntryTimestamp,
			"Payload":              map[string]any{"body": e.Body, "integratedTime": e.IntegratedTime, "logIndex": e.LogIndex, "logID": e.LogID},
		})
		if err != nil {
			t.Fatal(err)
		}
		promised = string(raw)
	}
	return string(text), base64.StdEncoding.EncodeToString(sig), promised
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

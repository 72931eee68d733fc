// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signing

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/LerianStudio/pushguard/pkg/wire"
)

// Bundle is a finished signature.
type Bundle struct {
	JSON    []byte    // as attached to the image
	Digest  string    // of the image
	Created time.Time // UTC, for the referrer's annotation

	Verified
}

// Verified is what a signature or an attestation proved.
type Verified struct {
	Identity    Identity          // as its certificate has it
	Type        string            // of the statement: its predicate type; [PredicateType] is a signature
	Predicate   string            // sha256 digest of the predicate in its canonical form, "" for a signature
	Annotations map[string]string // the signer's
	LogURL      string            // "" when there is no log entry
	LogIndex    int64
}

// Finish verifies the draft as any verifier would (trust root, identity of its
// certificate, digest, log entries, timestamps) and returns the bundle. The
// error is KindInvalid: a server answered with something that proves nothing.
func (c *Client) Finish(d *Draft, trust *Trust) (*Bundle, error) {
	b, err := bundle.NewBundle(d.pb, allowed(d.pb)...)
	if err != nil {
		return nil, invalid("the bundle is not well-formed: " + err.Error())
	}
	v, err := trust.verify(b, d.Digest, d.cert.Identity.Only())
	if err == nil {
		err = d.Met(v)
	}
	if e, ok := errors.AsType[*Error](err); ok {
		e.Advice = adviceTrust
	}
	if err != nil {
		return nil, err
	}
	raw, err := b.MarshalJSON()
	if err != nil {
		return nil, invalid("encode bundle: " + err.Error())
	}
	return &Bundle{JSON: raw, Digest: d.Digest, Created: time.Now().UTC().Truncate(time.Second), Verified: v}, nil
}

// Verify checks that bundleJSON is a statement of one of who about digest (sha256:…):
// not about another image, and not someone else's. What it says is for [Claim.Met].
func (c *Client) Verify(bundleJSON []byte, trust *Trust, digest string, who Signers) (Verified, error) {
	pb := &protobundle.Bundle{}
	if err := protojson.Unmarshal(bundleJSON, pb); err != nil {
		return Verified{}, invalid("not a bundle: " + err.Error())
	}
	b, err := bundle.NewBundle(pb, allowed(pb)...)
	if err != nil {
		return Verified{}, invalid("not a bundle: " + err.Error())
	}
	return trust.verify(b, digest, who)
}

const adviceTrust = "check that the trust root (--trusted-root) belongs to the services that were asked"

// allowed lets a bundle bring the intermediates that it needs, as a private
// authority's may.
func allowed(pb *protobundle.Bundle) []bundle.Option {
	if pb.GetVerificationMaterial().GetX509CertificateChain() == nil {
		return nil
	}
	return []bundle.Option{bundle.AllowCertificateChain()}
}

func (t *Trust) verify(b *bundle.Bundle, digest string, who Signers) (Verified, error) {
	raw, err := rawDigest(digest)
	if err != nil {
		return Verified{}, invalid(err.Error())
	}
	v, result, err := t.check(b, who, verify.WithArtifactDigest("sha256", raw))
	if err != nil {
		return Verified{}, err
	}
	if result.Statement == nil {
		return Verified{}, invalid("it signs no in-toto statement")
	}
	v.Type = result.Statement.GetPredicateType()
	if v.Type != PredicateType {
		var s struct {
			Predicate json.RawMessage `json:"predicate"`
		}
		err := json.Unmarshal(b.GetDsseEnvelope().GetPayload(), &s)
		if err == nil {
			v.Predicate, err = predicateDigest(v.Type, s.Predicate)
		}
		if err != nil {
			return Verified{}, invalid("the statement's predicate cannot be read: " + err.Error())
		}
	}
	for _, s := range result.Statement.GetSubject() {
		if s.GetDigest()["sha256"] != hex.EncodeToString(raw) {
			continue
		}
		for k, value := range s.GetAnnotations().AsMap() {
			v.Annotations[k] = fmt.Sprint(value)
		}
	}
	return v, nil
}

// check verifies a signature by one of who on what artifact says.
func (t *Trust) check(b *bundle.Bundle, who Signers, artifact verify.ArtifactPolicyOption) (Verified, *verify.VerificationResult, error) {
	identity, err := who.policy()
	if err != nil {
		return Verified{}, nil, invalid("identity: " + err.Error())
	}
	verifier, err := verify.NewVerifier(t.material, t.options(b)...)
	if err != nil {
		return Verified{}, nil, invalid(err.Error())
	}
	result, err := verifier.Verify(b, verify.NewPolicy(artifact, verify.WithCertificateIdentity(identity)))
	if err != nil {
		return Verified{}, nil, invalid(err.Error())
	}
	v := Verified{Annotations: map[string]string{}}
	if s := result.Signature; s != nil && s.Certificate != nil {
		v.Identity = Identity{Subject: s.Certificate.SubjectAlternativeName, Issuer: s.Certificate.Issuer}
	}
	v.LogURL, v.LogIndex = t.logOf(b)
	return v, result, nil
}

// options is what is asked of a bundle: a time that someone else vouches for,
// an entry in each log it names, and a certificate that was logged where the
// trust root knows certificate logs.
func (t *Trust) options(b *bundle.Bundle) []verify.VerifierOption {
	opts := []verify.VerifierOption{verify.WithObserverTimestamps(1)}
	if len(t.material.RekorLogs()) > 0 {
		opts = append(opts, verify.WithTransparencyLog(max(1, len(b.GetVerificationMaterial().GetTlogEntries()))))
	}
	if len(t.material.CTLogs()) > 0 {
		opts = append(opts, verify.WithSignedCertificateTimestamps(1))
	}
	return opts
}

// logOf names the first entry's log, as the trust root knows it.
func (t *Trust) logOf(b *bundle.Bundle) (logURL string, index int64) {
	entries := b.GetVerificationMaterial().GetTlogEntries()
	if len(entries) == 0 {
		return "", 0
	}
	var known *root.TransparencyLog
	if known = t.material.RekorLogs()[hex.EncodeToString(entries[0].GetLogId().GetKeyId())]; known == nil {
		return "", entries[0].GetLogIndex()
	}
	u := known.BaseURL
	if p, err := url.Parse(u); err == nil && p.Host == "" {
		u = ""
	}
	return strings.TrimRight(u, "/"), entries[0].GetLogIndex()
}

func invalid(message string) *Error {
	return &Error{Stage: StageVerify, Kind: KindInvalid, Message: wire.OneLine(message)}
}

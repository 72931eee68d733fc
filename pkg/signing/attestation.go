// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signing

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"
	"unicode/utf8"
)

// Attestation is a statement about an image other than its signature: a predicate of a
// type, such as a list of its parts.
type Attestation struct {
	Type string // URI of the predicate type

	predicate json.RawMessage // nil where only the type matters
	digest    string          // of predicate, see predicateDigest
}

// customType is the type of cosign's "custom" predicates, which hold any text.
const customType = "https://cosign.sigstore.dev/attestation/v1"

// attestationTypes are the names that cosign has for types, and the member by which a
// file of the type is known, with the beginning of its text ("" for any value).
var attestationTypes = map[string]struct{ uri, member, begin string }{
	"spdxjson":        {"https://spdx.dev/Document", "spdxVersion", "SPDX-"},
	"cyclonedx":       {"https://cyclonedx.org/bom", "bomFormat", "CycloneDX"},
	"slsaprovenance1": {"https://slsa.dev/provenance/v1", "buildDefinition", ""},
	"vuln":            {"https://cosign.sigstore.dev/attestation/vuln/v1", "scanner", ""},
	"openvex":         {"https://openvex.dev/ns", "@context", "https://openvex.dev/ns"},
	"custom":          {customType, "", ""},
}

// AttestationOf is any attestation of a type: a name that cosign has for it, or its URI.
func AttestationOf(kind string) (*Attestation, error) {
	if t, ok := attestationTypes[kind]; ok {
		return &Attestation{Type: t.uri}, nil
	}
	if u, err := url.Parse(kind); err != nil || u.Scheme == "" || u.Host == "" {
		return nil, fmt.Errorf("%q is no type of attestation: use spdxjson, cyclonedx, slsaprovenance1, vuln, openvex, custom or the URI of a predicate type", kind)
	}
	return &Attestation{Type: kind}, nil
}

// NewAttestation is the attestation of that type with a file's content, which must be
// what the type says.
func NewAttestation(kind string, content []byte, now time.Time) (*Attestation, error) {
	a, err := AttestationOf(kind)
	if err != nil {
		return nil, err
	}
	if a.Type == customType {
		if !utf8.Valid(content) {
			return nil, errors.New("it is not text in UTF-8")
		}
		if a.predicate, err = json.Marshal(map[string]string{"Data": string(content), "Timestamp": now.UTC().Format(time.RFC3339)}); err != nil {
			return nil, err
		}
	} else {
		var object map[string]json.RawMessage
		if json.Unmarshal(content, &object) != nil || object == nil {
			return nil, errors.New("it is not a JSON object")
		}
		want := attestationTypes[kind]
		if value, ok := object[want.member]; want.member != "" && (!ok || want.begin != "" && !bytes.HasPrefix(value, []byte(`"`+want.begin))) {
			return nil, fmt.Errorf("it is not of the type %s: %q is missing, or says otherwise", kind, want.member)
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, content); err != nil {
			return nil, err
		}
		a.predicate = compact.Bytes()
	}
	a.digest, err = predicateDigest(a.Type, a.predicate)
	return a, err
}

// maxRekorV1 is how many bytes an attestation may have that goes to a Rekor v1: it is sent
// the whole of it, and the public one answers a larger one as if it were down. It was seen
// to refuse 3.5 MB (Sage-Bionetworks/sage-monorepo#3982; sigstore/rekor#2808, #2915).
const maxRekorV1 = 3 << 20

// SupportsAttestations says which of them these services cannot log.
func (s Services) SupportsAttestations(attestations []*Attestation) error {
	for _, a := range attestations {
		for _, l := range s.LogsFor(FormatBundle) {
			if l.Version == 1 && len(a.predicate) > maxRekorV1 {
				return configError(fmt.Sprintf("the attestation of type %s has %d MB, more than the %d MB that a Rekor v1 log takes", a.Type, len(a.predicate)>>20, maxRekorV1>>20),
					"sign with --rekor-version=2, whose log takes a hash only, or attest a smaller file")
			}
		}
	}
	return nil
}

// predicateDigest is the sha256 digest of a predicate, whatever its spaces and the order
// of its members. When a custom one was made does not count.
func predicateDigest(predicateType string, raw []byte) (string, error) {
	var value any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&value); err != nil {
		return "", err
	}
	if object, ok := value.(map[string]any); ok && predicateType == customType {
		delete(object, "Timestamp")
	}
	canonical, err := json.Marshal(value)
	if err != nil {
		return "", err
	}
	return describeBlob("", canonical).Digest, nil
}

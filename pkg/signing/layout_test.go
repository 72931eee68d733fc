// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signing_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/LerianStudio/pushguard/pkg/signing"
)

// The bytes are what cosign 3 reads and writes: a change here is a change of format.
func TestNewReferrer_golden(t *testing.T) {
	t.Parallel()
	b := &signing.Bundle{JSON: []byte(`{"x":1}`), Digest: digest, Created: time.Date(2026, 11, 24, 1, 2, 3, 0, time.UTC)}
	s := signing.Descriptor{MediaType: "application/vnd.oci.image.index.v1+json", Digest: digest, Size: 1234}
	got, err := signing.NewReferrer(b, s)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",` +
		`"artifactType":"application/vnd.dev.sigstore.bundle.v0.3+json",` +
		`"config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2,"artifactType":"application/vnd.dev.sigstore.bundle.v0.3+json"},` +
		`"layers":[{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","digest":"sha256:5041bf1f713df204784353e82f6a4a535931cb64f1f4b4a5aeaffcb720918b22","size":7}],` +
		`"subject":{"mediaType":"application/vnd.oci.image.index.v1+json","digest":"` + digest + `","size":1234},` +
		`"annotations":{"dev.sigstore.bundle.content":"dsse-envelope","dev.sigstore.bundle.predicateType":"https://sigstore.dev/cosign/sign/v1","org.opencontainers.image.created":"2026-11-24T01:02:03Z"}}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("manifest (-want +got):\n%s", diff)
	}
	if !json.Valid(got) {
		t.Errorf("manifest %q", got)
	}
	if l, ok := signing.BundleLayer(got); !ok || l.Size != 7 || l.Digest != "sha256:5041bf1f713df204784353e82f6a4a535931cb64f1f4b4a5aeaffcb720918b22" {
		t.Errorf("BundleLayer = %+v, %v", l, ok)
	}
	if _, err := signing.NewReferrer(b, signing.Descriptor{Digest: "sha256:other"}); err == nil {
		t.Error("a bundle for one image was laid out for another")
	}
}

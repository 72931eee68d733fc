// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// predicates are files as the types want them.
var predicates = map[string]string{
	"spdxjson":                    `{"spdxVersion":"SPDX-2.3","SPDXID":"SPDXRef-DOCUMENT","name":"app","dataLicense":"CC0-1.0","documentNamespace":"https://example.com/app","creationInfo":{"creators":["Tool: e2e"],"created":"2026-11-24T00:00:00Z"},"packages":[]}`,
	"cyclonedx":                   `{"bomFormat":"CycloneDX","specVersion":"1.6","version":1,"components":[]}`,
	"slsaprovenance1":             `{"buildDefinition":{"buildType":"https://example.com/build/v1","externalParameters":{"ref":"main"}},"runDetails":{"builder":{"id":"https://example.com/builder"}}}`,
	"vuln":                        `{"invocation":{"parameters":null,"uri":"","event_id":"","builder.id":""},"scanner":{"uri":"https://example.com","version":"1","db":{"uri":"","version":""},"result":{}},"metadata":{"scanStartedOn":"2026-11-24T00:00:00Z","scanFinishedOn":"2026-11-24T00:00:00Z"}}`,
	"openvex":                     `{"@context":"https://openvex.dev/ns/v0.2.0","@id":"https://example.com/vex","author":"e2e","timestamp":"2026-11-24T00:00:00Z","version":1,"statements":[]}`,
	"custom":                      "tested by hand\n",
	"https://example.com/test/v1": `{"passed":true}`,
}

// cosign's verify-attestation accepts every type that --attest wrote, on both kinds of
// registry and with both logs, and for no other identity. A second run adds nothing.
func TestAttest(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	args := []string{"--json"}
	for kind, content := range predicates {
		path := filepath.Join(dir, fmt.Sprintf("%x", kind))
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--attest", kind+"="+path)
	}
	for kind, registry := range registries() {
		for _, log := range []int{1, 2} {
			t.Run(fmt.Sprintf("%s/Rekor v%d", kind, log), func(t *testing.T) {
				t.Parallel()
				j := newJobOn(t, e2e.RekorV1)
				if log == 2 {
					j = newJob(t)
				}
				repository := registry(t) + "/org/app"
				image := repository + "@" + push(t, newImage(t), repository+":1")
				wantStatus(t, j.sign(t, 0, append(args, image)...), "signed")
				wantCounts(t, j, 1, 1+len(predicates))
				mustAccept(t, e2e.BundleJudges()[:1], j.Identity, image)
				for predicate := range predicates {
					j.verifyAttestation(t, true, j.Identity, predicate, image)
				}
				j.verifyAttestation(t, false, j.Identity+"x", "spdxjson", image)
				j.verifyAttestation(t, false, j.Identity, "link", image)
				wantStatus(t, j.sign(t, 0, append(args, image)...), "already")
				wantCounts(t, j, 1, 1+len(predicates))
			})
		}
	}
}

// A list of parts of 30 MB: Rekor v1 cannot take it, which is said before anything is
// asked; Rekor v2 gets a hash.
func TestAttest_large(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "sbom.json")
	var b strings.Builder
	b.WriteString(`{"spdxVersion":"SPDX-2.3","packages":[`)
	for b.Len() < 30<<20 {
		fmt.Fprintf(&b, `{"name":"package-%d","versionInfo":"1.0.0","licenseConcluded":"Apache-2.0"},`, b.Len())
	}
	b.WriteString(`{"name":"last"}]}`)
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	repository := start(t, e2e.Olareg) + "/org/app"
	image := repository + "@" + push(t, newImage(t), repository+":1")
	one := newJobOn(t, e2e.RekorV1)
	res := one.sign(t, 2, "--attest", "spdxjson="+path, image)
	if !strings.Contains(res.Stderr, "has 30 MB, more than the 3 MB that a Rekor v1 log takes") {
		t.Errorf("said %s", res.Stderr)
	}
	wantCounts(t, one, 0, 0)
	two := newJob(t)
	wantStatus(t, two.sign(t, 0, "--json", "--attest", "spdxjson="+path, image), "signed")
	wantStatus(t, two.sign(t, 0, "--json", "--attest", "spdxjson="+path, image), "already")
	two.verifyAttestation(t, true, two.Identity, "spdxjson", image)
}

// verifyAttestation is the verdict of cosign 3.
func (j job) verifyAttestation(t *testing.T, want bool, identity, predicate, image string) {
	t.Helper()
	res, err := e2e.Cosign3().Run(t.Context(), []string{"COSIGN_MAX_ATTACHMENT_SIZE=100MiB"}, "verify-attestation", "--trusted-root", e2e.TrustedRoot, "--use-signed-timestamps",
		"--certificate-identity", identity, "--certificate-oidc-issuer", e2e.Issuer.URL, "--type", predicate, image)
	if err != nil {
		t.Fatal(err)
	}
	if (res.Code == 0) != want {
		t.Errorf("cosign verify-attestation --type %s for %s: exit %d, want accepted: %t\n%s", predicate, identity, res.Code, want, res.Stderr)
	}
}

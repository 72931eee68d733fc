// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/LerianStudio/pushguard/e2e/process"
	"github.com/LerianStudio/pushguard/e2e/stack"
)

// check runs "signretry --check" with no right to a token.
func (j job) check(t *testing.T, args ...string) process.Result {
	t.Helper()
	c := j.command(t, "signretry", slices.Concat([]string{"--check", "--trusted-root", e2e.TrustedRoot, "--certificate-oidc-issuer", e2e.Issuer.URL}, args)...)
	c.Env = append(c.Env, "ACTIONS_ID_TOKEN_REQUEST_URL=", "ACTIONS_ID_TOKEN_REQUEST_TOKEN=", "PUSHGUARD_RECORD=")
	res, err := process.Run(t.Context(), c, nil)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// attest is cosign's attestation of image, which is no signature.
func (j job) attest(t *testing.T, image string) {
	t.Helper()
	predicate := filepath.Join(t.TempDir(), "predicate.json")
	if err := os.WriteFile(predicate, []byte(`{"tested": true}`), 0o600); err != nil {
		t.Fatal(err)
	}
	res, err := e2e.Cosign3().Run(t.Context(), j.Env(), "attest", "--yes", "--signing-config", j.config, "--trusted-root", e2e.TrustedRoot,
		"--predicate", predicate, "--type", "custom", image)
	if err != nil || res.Code != 0 {
		t.Fatalf("cosign attest: %v, exit %d\n%s", err, res.Code, res.Stderr)
	}
}

// --check and "cosign verify" say the same of every image, on both kinds of registry,
// but for one: cosign 3.1 takes any statement of the identity for a signature, also an
// attestation.
func TestCheck_agreesWithCosign(t *testing.T) {
	t.Parallel()
	expired := expiredTrustRoot(t)
	for kind, registry := range registries() {
		host := registry(t)
		for name, tt := range map[string]struct {
			sign     func(t *testing.T, j job, image string)
			identity string // appended to the job's
			args     []string
			want     bool
			lenient  bool // cosign accepts all the same
		}{
			"unsigned":         {want: false},
			"bundle":           {sign: func(t *testing.T, j job, image string) { t.Helper(); j.sign(t, 0, image) }, want: true},
			"legacy":           {sign: func(t *testing.T, j job, image string) { t.Helper(); j.sign(t, 0, "--format=legacy", image) }, want: true},
			"both":             {sign: func(t *testing.T, j job, image string) { t.Helper(); j.sign(t, 0, "--format=both", image) }, want: true},
			"by cosign 3":      {sign: func(t *testing.T, j job, image string) { t.Helper(); j.cosign(t, e2e.Cosign3(), image) }, want: true},
			"by cosign 2":      {sign: func(t *testing.T, j job, image string) { t.Helper(); j.cosign(t, e2e.Cosign2(), image) }, want: true},
			"attested only":    {sign: func(t *testing.T, j job, image string) { t.Helper(); j.attest(t, image) }, want: false, lenient: true},
			"another identity": {sign: func(t *testing.T, j job, image string) { t.Helper(); j.sign(t, 0, "--format=both", image) }, identity: "x", want: false},
			"expired trust root": {
				sign: func(t *testing.T, j job, image string) { t.Helper(); j.sign(t, 0, "--format=both", image) },
				args: []string{"--trusted-root", expired}, want: false,
			},
			"another digest": {sign: func(t *testing.T, j job, image string) {
				t.Helper()
				repository, _, _ := splitDigest(image)
				j.sign(t, 0, "--format=both", repository+"@"+push(t, newImage(t), repository+":other"))
			}, want: false},
		} {
			t.Run(kind+"/"+name, func(t *testing.T) {
				t.Parallel()
				j := newJobOn(t, e2e.RekorV1)
				repository := host + "/org/" + repositoryName(name)
				image := repository + "@" + push(t, newImage(t), repository+":1")
				if tt.sign != nil {
					tt.sign(t, j, image)
				}
				identity := j.Identity + tt.identity
				accepted := false
				var said strings.Builder
				for _, judge := range []stack.Judge{e2e.BundleJudges()[0], e2e.LegacyJudges()[0]} {
					res, err := judge.Verify(t.Context(), identity, image, tt.args...)
					if err != nil {
						t.Fatal(err)
					}
					accepted = accepted || res.Code == 0
					said.WriteString(res.Stderr)
				}
				want := 1
				if tt.want {
					want = 0
				}
				for _, ref := range []string{image, repository + ":1"} {
					res := j.check(t, append([]string{"--certificate-identity", identity, ref}, tt.args...)...)
					if res.Code != want || accepted != (tt.want || tt.lenient) {
						t.Errorf("check %s: exit %d, want %d; cosign accepts: %t\n%s%s%s", ref, res.Code, want, accepted, res.Stdout, res.Stderr, said.String())
					}
				}
			})
		}
	}
}

// expiredTrustRoot is a copy of the trust root in which every service ended before
// anything was signed.
func expiredTrustRoot(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(e2e.TrustedRoot)
	if err != nil {
		t.Fatal(err)
	}
	var root map[string]any
	if err := json.Unmarshal(data, &root); err != nil {
		t.Fatal(err)
	}
	end := map[string]any{"start": "2020-01-01T00:00:00Z", "end": "2020-01-02T00:00:00Z"}
	for _, list := range root {
		services, _ := list.([]any)
		for _, s := range services {
			service, _ := s.(map[string]any)
			service["validFor"] = end
			if key, ok := service["publicKey"].(map[string]any); ok {
				key["validFor"] = end
				delete(service, "validFor")
			}
		}
	}
	if data, err = json.Marshal(root); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "expired.json")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// splitDigest takes REPOSITORY@DIGEST apart.
func splitDigest(image string) (repository, digest string, ok bool) { return strings.Cut(image, "@") }

// repositoryName makes a case's name a repository's.
func repositoryName(name string) string { return strings.ReplaceAll(name, " ", "-") }

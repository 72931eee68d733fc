// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"strings"
	"testing"
)

// "cosign copy" leaves a fallback tag that names the image itself: images and indexes that
// it has copied are signed, each once, and cosign accepts the signatures.
func TestCosignCopy(t *testing.T) {
	t.Parallel()
	for kind, registry := range registries() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			j := newJobOn(t, e2e.RekorV1)
			host := registry(t)
			for name, digest := range map[string]string{
				"index": push(t, newImage(t), host+"/org/source:index"),
				"image": pushImage(t, host+"/org/source:image"),
			} {
				res, err := e2e.Cosign3().Run(t.Context(), nil, "copy", "--allow-http-registry", host+"/org/source@"+digest, host+"/org/"+name+":1")
				if err != nil || res.Code != 0 {
					t.Fatalf("cosign copy: %v, exit %d\n%s", err, res.Code, res.Stderr)
				}
				if tag := host + "/org/" + name + ":" + strings.Replace(digest, ":", "-", 1); !exists(t, tag) {
					t.Fatalf("cosign copy left no tag %s: the test shows nothing", tag)
				}
				copied := host + "/org/" + name + "@" + digest
				wantStatus(t, j.sign(t, 0, "--json", copied), "signed")
				mustAccept(t, e2e.BundleJudges()[:1], j.Identity, copied)
				wantStatus(t, j.sign(t, 0, "--json", copied), "already")
				j.sign(t, 0, "--json", "--recursive", copied)
			}
		})
	}
}

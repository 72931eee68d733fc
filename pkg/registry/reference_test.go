// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"strings"
	"testing"

	"github.com/LerianStudio/pushguard/pkg/registry"
)

const digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func TestParseReference(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"alpine:3":                            "docker.io/library/alpine:3",
		"org/app:1.2.3":                       "docker.io/org/app:1.2.3",
		"index.docker.io/org/app:1":           "docker.io/org/app:1",
		"registry-1.docker.io/org/app:1":      "docker.io/org/app:1",
		"org/app":                             "docker.io/org/app",
		"org/app:latest":                      "docker.io/org/app:latest",
		"ghcr.io/org/a/b:v1.0.0-beta.6":       "ghcr.io/org/a/b:v1.0.0-beta.6",
		"localhost:5000/app:1":                "localhost:5000/app:1",
		"127.0.0.1:5000/app@" + digest:        "127.0.0.1:5000/app@" + digest,
		"ghcr.io/org/app:1@" + digest:         "ghcr.io/org/app:1@" + digest,
		"[::1]:5000/app:1":                    "[::1]:5000/app:1",
		"ghcr.io/org/latest":                  "ghcr.io/org/latest",
		"registry.example/a__b/c-d.e:_1":      "registry.example/a__b/c-d.e:_1",
		"org/app:" + strings.Repeat("x", 128): "docker.io/org/app:" + strings.Repeat("x", 128),
	} {
		if got, err := registry.ParseReference(in); err != nil || got.String() != want {
			t.Errorf("ParseReference(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
}

func TestParseReference_refuses(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                                    "empty or with spaces around it",
		" alpine:3":                           "empty or with spaces around it",
		"alpine:3\n":                          "empty or with spaces around it",
		"https://ghcr.io/o/a:1":               "write it without https://",
		"Org/app:1":                           `a repository is lower-case, and "Org" is no registry's host`,
		"ghcr.io/Org/app:1":                   "a repository is lower-case",
		"ghcr.io/org/App:1":                   "a repository is lower-case",
		"org/app:1.0.0+build":                 `a tag cannot have a "+": write "1.0.0-build"`,
		"org/app:" + strings.Repeat("x", 129): "the tag has 129 characters, 128 are allowed",
		"org/app:.1":                          `the tag ".1" has characters other than letters, digits, "_", "." and "-", or starts with "." or "-"`,
		"org/app:":                            `the tag "" has characters other than letters, digits, "_", "." and "-", or starts with "." or "-"`,
		"org/app@sha256:abc":                  "a digest is sha256: and 64 lower-case hex digits",
		"org/app@" + strings.ToUpper(digest):  "a digest is sha256: and 64 lower-case hex digits",
		"org//app:1":                          "not of the form registry/repository:tag or registry/repository@sha256:…",
		"app:1 app:2":                         `the tag "1 app:2" has characters other than letters, digits, "_", "." and "-", or starts with "." or "-"`,
		"../../etc/passwd:1":                  "not of the form registry/repository:tag or registry/repository@sha256:…",
		"$IMAGE:1":                            "a repository is lower-case",
	} {
		_, err := registry.ParseReference(in)
		if err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("ParseReference(%q) = %v; want %q", in, err, want)
		}
	}
}

func FuzzParseReference(f *testing.F) {
	f.Add("ghcr.io/org/app:1@" + digest)
	f.Add("a:b:c@@//")
	f.Fuzz(func(t *testing.T, s string) {
		r, err := registry.ParseReference(s)
		if err != nil {
			return
		}
		again, err := registry.ParseReference(r.String())
		if err != nil || again != r {
			t.Errorf("%q -> %q -> %q, %v", s, r, again, err)
		}
	})
}

func TestShortDigest(t *testing.T) {
	t.Parallel()
	long := "sha256:206ca9c963ed47f880e87af3d4d7d9894745b5de2e87a733ab118b1dad0eaa56"
	for text, want := range map[string]string{
		"":   "",
		long: "sha256:206ca9c963ed",
		"r.example.com:5000/org/app:1@" + long + " and " + long: "r.example.com:5000/org/app:1@sha256:206ca9c963ed and sha256:206ca9c963ed",
		"r.example.com/org/app:206ca9c963ed47":                  "r.example.com/org/app:206ca9c963ed47",
		"sha256:206ca9c963ed":                                   "sha256:206ca9c963ed",
	} {
		if got := registry.ShortDigest(text); got != want {
			t.Errorf("ShortDigest(%q) = %q, want %q", text, got, want)
		}
	}
}

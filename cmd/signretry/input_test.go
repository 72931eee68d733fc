// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/LerianStudio/pushguard/pkg/registry"
)

var someDigest = "sha256:" + strings.Repeat("ab", 32)

func TestParseMetadata(t *testing.T) {
	t.Parallel()
	app := registry.Reference{Registry: "docker.io", Repository: "org/app", Tag: "1", Digest: someDigest}
	tests := []struct {
		name, json string
		want       []registry.Reference
		wantErr    string
	}{
		{"build", `{"containerimage.digest":"D","image.name":"org/app:1"}`, []registry.Reference{app}, ""},
		{"several names", `{"containerimage.digest":"D","image.name":"org/app:1, ghcr.io/org/app:1,"}`, []registry.Reference{app, {Registry: "ghcr.io", Repository: "org/app", Tag: "1", Digest: someDigest}}, ""},
		{"push by digest", `{"containerimage.digest":"D","image.name":"org/app"}`, []registry.Reference{app.WithDigest(someDigest)}, ""},
		{"imagetools", `{"containerimage.descriptor":{"digest":"D","mediaType":"x","size":1},"image.name":"docker.io/org/app"}`, []registry.Reference{app.WithDigest(someDigest)}, ""},
		{"bake", `{"b":{"containerimage.digest":"D","image.name":"org/app:1"},"buildx.build.warnings":{"x":1}}`, []registry.Reference{app}, ""},
		{"not pushed", `{"containerimage.config.digest":"D","image.name":"org/app:1"}`, nil, "no sha256 digest: was the image pushed?"},
		{"merged", `{"containerimage.digest":"D"}`, nil, "no name: give IMAGE@" + someDigest},
		{"bake, merged", `{"b":{"containerimage.digest":"D"}}`, nil, "target b: it holds the digest"},
		{"empty", `{}`, nil, "was the image pushed?"},
		{"array", `[]`, nil, "not a JSON object"},
		{"number", `{"containerimage.digest":1}`, nil, "is not a text"},
		{"bad name", `{"containerimage.digest":"D","image.name":"UPPER:1"}`, nil, "lower-case"},
	}
	for _, tt := range tests {
		got, err := parseMetadata([]byte(strings.ReplaceAll(tt.json, `"D"`, `"`+someDigest+`"`)))
		if tt.wantErr != "" {
			if err == nil || !strings.Contains(err.Error(), tt.wantErr) {
				t.Errorf("%s: error %v, want %q", tt.name, err, tt.wantErr)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

func FuzzParseMetadata(f *testing.F) {
	f.Add([]byte(`{"containerimage.digest":"` + someDigest + `","image.name":"a,b:1"}`))
	f.Add([]byte(`{"t":{"image.name":"x"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		refs, err := parseMetadata(data)
		if err == nil && len(refs) == 0 {
			t.Error("neither images nor an error")
		}
		for _, r := range refs {
			if !registry.ValidDigest(r.Digest) {
				t.Errorf("%+v has no digest", r)
			}
		}
	})
}

func TestQuote(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"ghcr.io/o/a:1@sha256:00": "ghcr.io/o/a:1@sha256:00",
		"--record=my file":        "'--record=my file'",
		"it's":                    `'it'\''s'`,
		"$(x)":                    "'$(x)'",
	} {
		if got := quote(in); got != want {
			t.Errorf("quote(%q) = %s, want %s", in, got, want)
		}
	}
}

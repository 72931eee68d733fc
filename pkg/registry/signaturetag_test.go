// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/LerianStudio/pushguard/pkg/registry"
)

func TestAttachedTo(t *testing.T) {
	t.Parallel()
	hex := strings.Repeat("0123456789abcdef", 4)
	for tag, want := range map[string]string{
		"sha256-" + hex:                  "sha256:" + hex, // the fallback tag
		"sha256-" + hex + ".sig":         "sha256:" + hex,
		"sha256-" + hex + ".att":         "sha256:" + hex,
		"sha256-" + hex + ".sbom":        "sha256:" + hex,
		"sha256-" + hex[:63]:             "",
		"sha256-" + hex + "0":            "",
		"sha256-" + strings.ToUpper(hex): "",
		"sha256-" + hex + ".":            "",
		"v-sha256-" + hex:                "",
		"1.2.3":                          "",
		"":                               "",
	} {
		t.Run(tag, func(t *testing.T) {
			t.Parallel()
			got, ok := registry.AttachedTo(tag)
			if got != want || ok != (want != "") {
				t.Errorf("AttachedTo = %q, %t, want %q", got, ok, want)
			}
		})
	}
	want := []string{"sha256-" + hex + ".sig", "sha256-" + hex + ".att", "sha256-" + hex + ".sbom", "sha256-" + hex}
	if diff := cmp.Diff(want, registry.AttachedTags("sha256:"+hex)); diff != "" {
		t.Errorf("AttachedTags (-want +got):\n%s", diff)
	}
}

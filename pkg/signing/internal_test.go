// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signing

import (
	"strings"
	"testing"
	"unicode"
)

func FuzzDescribe(f *testing.F) {
	f.Add("text/html", "<html><title>a\nb</title>")
	f.Add("", "<HTML><TITLE>İİİ</TITLE>")
	f.Add("application/json", "::error::x\x1b[0m")
	f.Fuzz(func(t *testing.T, contentType, body string) {
		got := describe(contentType, []byte(body))
		if len([]rune(got)) > maxMessage || strings.ContainsFunc(got, unicode.IsControl) {
			t.Errorf("describe(%q, %q) = %q", contentType, body, got)
		}
	})
}

func FuzzEntryUUID(f *testing.F) {
	f.Add("https://rekor.example/p", "/api/v1/log/entries/"+strings.Repeat("a", 64))
	f.Add("https://rekor.example", "https://rekor.example/api/v1/log/entries/"+strings.Repeat("0", 80))
	f.Fuzz(func(t *testing.T, base, location string) {
		if uuid, err := entryUUID(base, location); err == nil && !uuidPattern.MatchString(uuid) {
			t.Errorf("entryUUID(%q, %q) = %q", base, location, uuid)
		}
	})
}

func TestEntryUUID_prefix(t *testing.T) {
	t.Parallel()
	uuid := strings.Repeat("0a", 32)
	for _, tt := range []struct{ base, location string }{
		{"https://log.example", "/api/v1/log/entries/" + uuid},
		{"https://log.example", "https://log.example/api/v1/log/entries/" + uuid},
		{"https://log.example/rekor/", "/rekor/api/v1/log/entries/" + uuid},
		{"https://log.example/rekor", "/api/v1/log/entries/" + uuid},
	} {
		if got, err := entryUUID(tt.base, tt.location); err != nil || got != uuid {
			t.Errorf("entryUUID(%q, %q) = %q, %v", tt.base, tt.location, got, err)
		}
	}
}

// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signing

import (
	"strings"
	"testing"
	"time"
	"unicode"
)

func TestParseRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	tests := map[string]time.Duration{
		"":                                0,
		"0":                               0,
		"120":                             2 * time.Minute,
		" 5 ":                             5 * time.Second,
		"-5":                              0,
		"1.5":                             0,
		"soon":                            0,
		"99999999999999999999999":         24 * time.Hour,
		"100000000":                       24 * time.Hour,
		"Tue, 24 Nov 2026 12:01:00 GMT":   time.Minute,
		"Tuesday, 24-Nov-26 12:01:00 GMT": time.Minute, // RFC 850, obsolete and legal
		"Tue, 24 Nov 2026 11:59:00 GMT":   0,
		"Tue, 24 Nov 2099 12:00:00 GMT":   24 * time.Hour,
	}
	for in, want := range tests {
		if got := parseRetryAfter(in, now); got != want {
			t.Errorf("parseRetryAfter(%q) = %s, want %s", in, got, want)
		}
	}
}

func FuzzParseRetryAfter(f *testing.F) {
	for _, s := range []string{"1", "-1", "Tue, 24 Nov 2026 12:01:00 GMT", "9223372036854775808"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if d := parseRetryAfter(s, time.Unix(1e9, 0)); d < 0 || d > maxRetryAfter {
			t.Errorf("parseRetryAfter(%q) = %s", s, d)
		}
	})
}

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

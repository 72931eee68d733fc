// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signing

import (
	"strings"
	"testing"
	"unicode"

	"github.com/LerianStudio/pushguard/pkg/wire"
)

func FuzzDescribe(f *testing.F) {
	f.Add("text/html", "<html><title>a\nb</title>")
	f.Add("", "<HTML><TITLE>İİİ</TITLE>")
	f.Add("application/json", "::error::x\x1b[0m")
	f.Fuzz(func(t *testing.T, contentType, body string) {
		got := describe(contentType, []byte(body))
		if len([]rune(got)) > wire.MaxMessage || strings.ContainsFunc(got, unicode.IsControl) {
			t.Errorf("describe(%q, %q) = %q", contentType, body, got)
		}
	})
}

func FuzzEntryUUID(f *testing.F) {
	f.Add("/api/v1/log/entries/" + strings.Repeat("a", 64))
	f.Add("https://rekor.example/api/v1/log/entries/" + strings.Repeat("0", 80))
	f.Fuzz(func(t *testing.T, location string) {
		if uuid := entryUUID(location); uuid != "" && !uuidPattern.MatchString(uuid) {
			t.Errorf("entryUUID(%q) = %q", location, uuid)
		}
	})
}

func TestEntryUUID(t *testing.T) {
	t.Parallel()
	uuid := strings.Repeat("0a", 32)
	for location, want := range map[string]string{
		"/api/v1/log/entries/" + uuid:                      uuid,
		"https://log.example/api/v1/log/entries/" + uuid:   uuid,
		"/rekor/api/v1/log/entries/" + uuid:                uuid,
		"https://gateway.other/api/v1/log/entries/" + uuid: uuid, // only the name is used
		"":                                   "",
		"/api/v1/log/entries/../../../admin": "",
		"/api/v1/log/entries/" + uuid + "/x": "",
		"/api/v1/log/entries/zz":             "",
		"/other/" + uuid:                     "",
		"%zz":                                "",
	} {
		if got := entryUUID(location); got != want {
			t.Errorf("entryUUID(%q) = %q, want %q", location, got, want)
		}
	}
}

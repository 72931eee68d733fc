// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package wire_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/LerianStudio/pushguard/pkg/wire"
)

func TestReadAll(t *testing.T) {
	t.Parallel()
	type result struct{ Body, Err string }
	read := func(data []byte, err error) result {
		if err != nil {
			return result{string(data), err.Error()}
		}
		return result{Body: string(data)}
	}
	broken := errors.New("connection reset")
	huge := strings.Repeat("x", wire.MaxErrorBody)
	request := post(t, "", "")
	got := map[string]result{
		"within the limit": read(wire.ReadAll(strings.NewReader("12345"), 5)),
		"beyond it":        read(wire.ReadAll(strings.NewReader("123456"), 5)),
		"breaks off":       read(wire.ReadAll(iotest.ErrReader(broken), 5)),
		"large error":      read(wire.ReadError(strings.NewReader(huge+"y"), request)),
		"broken error":     read(wire.ReadError(iotest.ErrReader(broken), request)),
	}
	want := map[string]result{
		"within the limit": {"12345", ""},
		"beyond it":        {"12345", "the answer is larger than 5 bytes"},
		"breaks off":       {"", "connection reset"},
		"large error":      {huge, ""},
		"broken error":     {"", "connection reset"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got, want := (wire.TooLargeError{Limit: 8 << 20}).Error(), "the answer is larger than 8 MiB"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func post(t *testing.T, contentType, body string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://registry.example.com/token", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	return req
}

func TestRedact(t *testing.T) {
	t.Parallel()
	basic, bearer := post(t, "", ""), post(t, "", "")
	basic.SetBasicAuth("user", "pass word")
	bearer.Header.Set("Authorization", "Bearer s3cret")
	const jwt = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.c2ln"
	for name, test := range map[string]struct {
		req        *http.Request
		body, want string
	}{
		"bearer":       {bearer, "you sent Bearer s3cret", "you sent Bearer [redacted]"},
		"basic":        {basic, "user has no pass word, dXNlcjpwYXNzIHdvcmQ=", "user has no [redacted], [redacted]"},
		"form":         {post(t, "application/x-www-form-urlencoded", "username=user&password=p%40ss&refresh_token=r3fresh"), "user: p@ss, r3fresh", "user: [redacted], [redacted]"},
		"JSON":         {post(t, "application/json", `{"identifier":"user","secret":"p@ss"}`), "user: p@ss", "user: [redacted]"},
		"broken JSON":  {post(t, "application/json", `{"secret":`), "p@ss", "p@ss"},
		"token":        {post(t, "", ""), "got " + jwt + " and " + jwt[:20] + ".", "got [redacted] and [redacted]"},
		"nothing sent": {post(t, "", ""), "denied", "denied"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := string(wire.Redact([]byte(test.body), test.req)); got != test.want {
				t.Errorf("Redact(%q) = %q, want %q", test.body, got, test.want)
			}
		})
	}
}

func TestRedactURL(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"https://user:secret@host/path?token=x#y": "https://host/path",
		"https://host": "https://host",
		"%zz":          "a malformed URL",
	} {
		if got := wire.RedactURL(raw); got != want {
			t.Errorf("RedactURL(%q) = %q, want %q", raw, got, want)
		}
	}
}

func FuzzOneLine(f *testing.F) {
	f.Add("a\r\nb\x1b[0m\u202e")
	f.Add(strings.Repeat("ä", 400))
	f.Add("bad\xffutf8")
	f.Fuzz(func(t *testing.T, s string) {
		got := wire.OneLine(s)
		if len([]rune(got)) > wire.MaxMessage || strings.ContainsFunc(got, unicode.IsControl) || got != wire.OneLine(got) {
			t.Errorf("OneLine(%q) = %q", s, got)
		}
	})
}

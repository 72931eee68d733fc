// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signing_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/LerianStudio/pushguard/pkg/signing"
	"github.com/LerianStudio/pushguard/pkg/signing/signingtest"
)

// verdict is what a caller can see of an error.
type verdict struct {
	Stage     signing.Stage
	Kind      signing.Kind
	Status    int
	Transient bool
	Wait      time.Duration
}

func verdictOf(t *testing.T, err error) verdict {
	t.Helper()
	e, ok := errors.AsType[*signing.Error](err)
	if !ok {
		t.Fatalf("error is %T (%v), want *signing.Error", err, err)
	}
	if strings.ContainsAny(e.Error(), "\n\r\x1b") || len([]rune(e.Message)) > 300 {
		t.Errorf("message is not one short line: %q", e.Error())
	}
	return verdict{e.Stage, e.Kind, e.Status, e.Transient(), e.RetryAfter()}
}

// stages are the calls that ask a service, each with the route to make fail.
func stages(l *lab) map[signing.Stage]struct {
	route *signingtest.Route
	call  func(context.Context) error
} {
	type stage = struct {
		route *signingtest.Route
		call  func(context.Context) error
	}
	onDraft := func(call func(context.Context, *signing.Draft) error) func(context.Context) error {
		return func(ctx context.Context) error {
			d, err := l.draft(ctx)
			if err != nil {
				return err
			}
			return call(ctx, d)
		}
	}
	log := &l.Rekor.Create
	if l.RekorVersion == 2 {
		log = &l.Rekor2.Route
	}
	return map[signing.Stage]stage{
		signing.StageIdentity: {&l.OIDC.Route, func(ctx context.Context) error {
			_, err := l.client.Token(ctx, l.source())
			return err
		}},
		signing.StageCertificate: {&l.Fulcio.Route, func(ctx context.Context) error {
			_, err := l.certificate(ctx)
			return err
		}},
		signing.StageTimestamp: {&l.TSA.Route, onDraft(func(ctx context.Context, d *signing.Draft) error {
			return l.client.Stamp(ctx, d, l.services.Timestamps[0])
		})},
		signing.StageLog: {log, onDraft(func(ctx context.Context, d *signing.Draft) error {
			return l.client.Submit(ctx, d, l.services.Logs[0])
		})},
	}
}

func TestStages_faults(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("busy\x1b[31m\r\n::error::", 100)
	tests := []struct {
		name  string
		fault signingtest.Fault
		want  verdict // Stage is filled in
	}{
		{"500", signingtest.Fault{Status: 500}, verdict{"", signing.KindUnavailable, 500, true, 0}},
		{"503 with seconds", signingtest.Fault{Status: 503, RetryAfter: "7"}, verdict{"", signing.KindUnavailable, 503, true, 7 * time.Second}},
		{"429 with a date", signingtest.Fault{Status: 429, RetryAfter: "Sat, 01 Jan 2000 00:02:00 GMT"}, verdict{"", signing.KindUnavailable, 429, true, 2 * time.Minute}},
		{"429 with nonsense", signingtest.Fault{Status: 429, RetryAfter: "soon"}, verdict{"", signing.KindUnavailable, 429, true, 0}},
		{"408", signingtest.Fault{Status: 408}, verdict{"", signing.KindUnavailable, 408, true, 0}},
		{"gateway's 502", signingtest.BadGateway(), verdict{"", signing.KindUnavailable, 502, true, 0}},
		{"gateway's page with 200", signingtest.HTML(), verdict{"", signing.KindMalformed, 200, true, 0}},
		{"page with 201", signingtest.Fault{Status: 201, ContentType: "text/html", Body: "<html>"}, verdict{"", signing.KindMalformed, 201, true, 0}},
		{"empty 200", signingtest.Fault{Status: 200, Body: " "}, verdict{"", signing.KindMalformed, 200, true, 0}},
		{"connection reset", signingtest.Fault{Reset: true}, verdict{"", signing.KindUnavailable, 0, true, 0}},
		{"no answer", signingtest.Fault{Hang: true}, verdict{"", signing.KindUnavailable, 0, true, 0}},
		{"403", signingtest.Fault{Status: 403}, verdict{"", signing.KindRefused, 403, false, 0}},
		{"400", signingtest.Fault{Status: 400}, verdict{"", signing.KindRefused, 400, false, 0}},
		{"404", signingtest.Fault{Status: 404, ContentType: "text/plain", Body: long}, verdict{"", signing.KindRefused, 404, false, 0}},
		{"redirect", signingtest.Fault{Status: 302, Location: "https://elsewhere.example/login?token=s3cret"}, verdict{"", signing.KindRefused, 302, false, 0}},
	}
	for _, version := range []uint32{1, 2} {
		for _, tt := range tests {
			synctest.Test(t, func(t *testing.T) {
				l := newLab(t, version)
				for stage, s := range stages(l) {
					// Twice: net/http itself repeats a GET once when a kept-alive connection turns out dead.
					s.route.Fail(2, tt.fault)
					err := s.call(t.Context())
					s.route.Heal()
					if err == nil {
						t.Errorf("rekor v%d: %s: %s: no error", version, stage, tt.name)
						continue
					}
					want := tt.want
					want.Stage = stage
					got := verdictOf(t, err)
					if want.Status == 200 || want.Status == 201 { // which 2xx is a good one differs by stage
						want.Status, got.Status = 0, 0
					}
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("rekor v%d: %s: %s: %v (-want +got):\n%s", version, stage, tt.name, err, diff)
					}
					if strings.Contains(err.Error(), "s3cret") {
						t.Errorf("%s: %s: error shows a query: %v", stage, tt.name, err)
					}
					if err := s.call(t.Context()); err != nil {
						t.Errorf("rekor v%d: %s: %s: once healed: %v", version, stage, tt.name, err)
					}
				}
			})
		}
	}
}

// A body that breaks off is an outage at every stage, and never shows what came before.
func TestStages_truncatedBody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		for stage, s := range stages(l) {
			s.route.Fail(1, signingtest.Fault{Truncate: true})
			err := s.call(t.Context())
			if got := verdictOf(t, err); !got.Transient || got.Stage != stage {
				t.Errorf("%s: %v is not a passing error of that stage", stage, err)
			}
			if strings.Contains(err.Error(), "eyJ") {
				t.Errorf("%s: error shows a token: %v", stage, err)
			}
		}
	})
}

// The caller's context ends the request in flight, which sigstore-go's own
// client would wait for, and the error is the context's cause.
func TestStages_cancelled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		interrupted := errors.New("interrupted")
		for stage, s := range stages(l) {
			s.route.Fail(1, signingtest.Fault{Hang: true})
			ctx, cancel := context.WithTimeoutCause(t.Context(), 200*time.Millisecond, interrupted)
			start := time.Now()
			err := s.call(ctx)
			cancel()
			if took := time.Since(start); took != 200*time.Millisecond {
				t.Errorf("%s: returned after %s, want 200ms", stage, took)
			}
			if !errors.Is(err, interrupted) {
				t.Errorf("%s: error %v, want the context's cause", stage, err)
			}
		}
	})
}

// The failure this project exists for: the entry is stored, the answer lost,
// and the log does not show the entry for a while.
func TestSubmit_lostAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		log := l.services.Logs[0]
		d, err := l.draft(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		l.Rekor.LoseAnswer(1)
		l.Rekor.NotFound(2)
		if got := verdictOf(t, l.client.Submit(t.Context(), d, log)); got.Status != 502 || !got.Transient {
			t.Fatalf("first POST: %+v, want a passing 502", got)
		}
		if err := l.client.Submit(t.Context(), d, log); err != nil || !d.Waiting(log) {
			t.Fatalf("second POST: %v, waiting %v; want the 409 to be taken as an entry to wait for", err, d.Waiting(log))
		}
		for range 2 {
			want := verdict{signing.StageLog, signing.KindPending, 404, true, 0}
			if diff := cmp.Diff(want, verdictOf(t, l.client.Await(t.Context(), d, log, l.trust))); diff != "" {
				t.Fatalf("GET (-want +got):\n%s", diff)
			}
		}
		if err := l.client.Await(t.Context(), d, log, l.trust); err != nil {
			t.Fatalf("third GET: %v", err)
		}
		b, err := l.client.Finish(d, l.trust)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.client.Verify(b.JSON, l.trust, digest, b.Identity.Only()); err != nil {
			t.Error(err)
		}
		if n := l.Rekor.Entries(); n != 1 {
			t.Errorf("%d entries in the log, want 1", n)
		}
	})
}

// A log that is taken over must not lead us elsewhere: of what it says only the
// name of the entry is used, and else the entry's own hash.
func TestSubmit_hostileLocation(t *testing.T) {
	t.Parallel()
	for _, location := range []string{
		"", "/api/v1/log/entries/../../../admin", "/api/v1/log/entries/zz", "%zz",
		"https://evil.example/api/v1/log/entries/" + strings.Repeat("ab", 40),
	} {
		synctest.Test(t, func(t *testing.T) {
			l := newLab(t, 1)
			log := l.services.Logs[0]
			d, err := l.draft(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			l.Rekor.Create.Fail(1, signingtest.Fault{Status: 409, Location: location})
			if err := l.client.Submit(t.Context(), d, log); err != nil || !d.Waiting(log) {
				t.Fatalf("location %q: %v, waiting %v", location, err, d.Waiting(log))
			}
			if err := l.client.Await(t.Context(), d, log, l.trust); !signing.IsKind(err, signing.KindPending) {
				t.Errorf("location %q: %v, want KindPending", location, err)
			}
			if n := l.Rekor.Get.Requests(); n != 1 {
				t.Errorf("location %q: the log was asked %d times, want 1", location, n)
			}
		})
	}
}

// What a log answers is believed only after the whole bundle has been verified.
func TestFinish_otherEntry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		log := l.services.Logs[0]
		first, err := l.draft(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := l.client.Submit(t.Context(), first, log); err != nil {
			t.Fatal(err)
		}
		second, err := l.draft(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		// The second signer is pointed at the first one's entry.
		l.Rekor.Create.Fail(1, signingtest.Fault{Status: 409, Location: "/api/v1/log/entries/" + l.Rekor.UUIDs()[0]})
		if err := errors.Join(l.client.Submit(t.Context(), second, log), l.client.Await(t.Context(), second, log, l.trust)); err != nil {
			t.Fatal(err)
		}
		if _, err := l.client.Finish(second, l.trust); !signing.IsKind(err, signing.KindInvalid) {
			t.Errorf("bundle with another's entry: %v, want KindInvalid", err)
		}
	})
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		l.Fulcio.SetLifetime(time.Minute)
		d, err := l.draft(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		waiting, err := l.draft(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		l.Rekor.LoseAnswer(1)
		l.Rekor.NotFound(1)
		log := l.services.Logs[0]
		_ = l.client.Submit(t.Context(), waiting, log)
		_ = l.client.Submit(t.Context(), waiting, log)
		time.Sleep(time.Minute)
		for name, call := range map[string]struct {
			do   func() error
			want signing.Kind
		}{
			"timestamp":             {func() error { return l.client.Stamp(t.Context(), d, l.services.Timestamps[0]) }, signing.KindExpired},
			"log":                   {func() error { return l.client.Submit(t.Context(), d, log) }, signing.KindExpired},
			"log, not yet readable": {func() error { return l.client.Await(t.Context(), waiting, log, l.trust) }, signing.KindPending},
		} {
			if err := call.do(); !signing.IsKind(err, call.want) {
				t.Errorf("%s after the certificate's end: %v, want %s", name, err, call.want)
			}
		}
		// The entry was made in time: it is good, however late it is read.
		if err := l.client.Await(t.Context(), waiting, log, l.trust); err != nil {
			t.Errorf("entry made in time and read late: %v", err)
		}
	})
}

// The certificate ran out while no answer to the POST came through. Was the entry
// made in time it serves; was it never made, a new signature is due, and no late
// entry is made.
func TestExpiry_unknownOutcome(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		fault signingtest.Fault
		want  signing.Kind // of Await; 0 = none
	}{
		"stored, answer lost": {signingtest.Fault{Lost: true, Status: 502}, 0},
		"never stored":        {signingtest.Fault{Reset: true}, signing.KindExpired},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := newLab(t, 1)
			log := l.services.Logs[0]
			d, err := l.draft(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			l.Rekor.Create.Fail(1, tt.fault)
			before := l.Rekor.Entries()
			if err := l.client.Submit(t.Context(), d, log); err == nil {
				t.Fatalf("%s: the answer was not lost", name)
			}
			made := l.Rekor.Entries() - before
			time.Sleep(11 * time.Minute)
			if err := l.client.Submit(t.Context(), d, log); err != nil || !d.Waiting(log) {
				t.Fatalf("%s: %v, waiting %v; want the log to be asked", name, err, d.Waiting(log))
			}
			err = l.client.Await(t.Context(), d, log, l.trust)
			if tt.want == 0 && err != nil || tt.want != 0 && !signing.IsKind(err, tt.want) {
				t.Errorf("%s: %v, want %v", name, err, tt.want)
			}
			if n := l.Rekor.Entries() - before; n != made {
				t.Errorf("%s: %d entries, want %d", name, n, made)
			}
		})
	}
}

func TestCertificate_tokenRunsOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		token, err := l.client.Token(t.Context(), l.source())
		if err != nil {
			t.Fatal(err)
		}
		key, err := signing.NewKey()
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(6 * time.Minute)
		_, err = l.client.Certificate(t.Context(), l.services.Fulcio, key, token)
		if want := (verdict{signing.StageCertificate, signing.KindExpired, http.StatusUnauthorized, false, 0}); verdictOf(t, err) != want {
			t.Errorf("certificate for an old token: %v, want %+v", err, want)
		}
	})
}

// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signretry_test

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
	"github.com/LerianStudio/pushguard/pkg/signretry"
)

func TestRun_permanent(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		spoil func(*lab)
		want  string
		hint  string
	}{
		"no permission": {func(l *lab) { l.opts.Token = signing.ActionsToken("", "") }, "may not ask for an identity token", `add "permissions: id-token: write" to the job`},
		"bad token":     {func(l *lab) { l.opts.Token = signing.StaticToken("x") }, "not a JWT", "whole token"},
		"bad token, and no trust root to be had": {
			func(l *lab) {
				l.useTUF()
				l.TUF.Fail(-1, signingtest.Fault{Status: 503})
				l.opts.Token = signing.StaticToken("x")
			}, "not a JWT", "whole token",
		},
		"Fulcio refuses": {
			func(l *lab) {
				l.Fulcio.Fail(-1, signingtest.Fault{Status: 400, Body: `{"code":3,"message":"issuer\nunknown"}`})
			}, "HTTP 400: issuer unknown", "accepts tokens of https://token.actions.githubusercontent.com",
		},
		"log refuses":   {func(l *lab) { l.Rekor.Create.Fail(-1, signingtest.Fault{Status: 400}) }, "get log entry", ""},
		"no trust root": {func(l *lab) { l.opts.Services.TrustedRoot = "/nonexistent" }, "read trusted root", ""},
		"registry refuses": {func(l *lab) {
			l.registry.intercept = func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method == http.MethodGet || r.Method == http.MethodHead {
					return false
				}
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusForbidden)
				_, _ = w.Write([]byte(`{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}`))
				return true
			}
		}, "denied", "log in to"},
	}
	for name, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			l := newLab(t, 1)
			image := l.push(withReferrers+"/org/a", "a")
			tt.spoil(l)
			start := time.Now()
			res := l.run(t.Context(), image).Results[0]
			if res.Status != failed || res.Passing() || !strings.Contains(res.Err.Error(), tt.want) {
				t.Errorf("%s: %+v, want a permanent error with %q", name, res, tt.want)
			}
			var hint string
			if h, ok := errors.AsType[interface {
				error
				Hint() string
			}](res.Err); ok {
				hint = h.Hint()
			}
			if !strings.Contains(hint, tt.hint) {
				t.Errorf("%s: hint %q, want %q", name, hint, tt.hint)
			}
			if took := time.Since(start); took > time.Second {
				t.Errorf("%s: took %s: it was retried", name, took)
			}
		})
	}
}

// The registry is behind itself: the image just pushed is not known yet.
func TestRun_manifestNotYetKnown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		image := l.push(withReferrers+"/org/a", "a")
		left := 4 // a HEAD and the GET that asks why, twice
		l.registry.intercept = func(w http.ResponseWriter, r *http.Request) bool {
			if left == 0 || !strings.HasSuffix(r.URL.Path, image.Digest) || strings.Contains(r.URL.Path, "referrers") {
				return false
			}
			left--
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write([]byte(`{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}`))
			return true
		}
		if got := statuses(l.run(t.Context(), image)); got[0] != signed {
			t.Errorf("status %v", got)
		}
	})
}

// Ctrl-C in the middle of any stage: back at once, with what was done told.
func TestRun_interrupted(t *testing.T) {
	t.Parallel()
	cause := errors.New("interrupted")
	for name, hang := range map[string]func(*lab){
		"token":       func(l *lab) { l.OIDC.Fail(-1, signingtest.Fault{Hang: true}) },
		"certificate": func(l *lab) { l.Fulcio.Fail(-1, signingtest.Fault{Hang: true}) },
		"log":         func(l *lab) { l.Rekor.Create.Fail(-1, signingtest.Fault{Hang: true}) },
		"waiting":     func(l *lab) { l.Rekor.Create.Fail(-1, signingtest.Fault{Status: 503, RetryAfter: "600"}) },
	} {
		synctest.Test(t, func(t *testing.T) {
			l := newLab(t, 1)
			image := l.push(withReferrers+"/org/a", "a")
			hang(l)
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			time.AfterFunc(5*time.Second, func() { cancel(cause) })
			start := time.Now()
			res := l.run(ctx, image).Results[0]
			if took := time.Since(start); took != 5*time.Second {
				t.Errorf("%s: back after %s, want 5s", name, took)
			}
			if res.Status != failed || !errors.Is(res.Err, cause) {
				t.Errorf("%s: %+v, want the interruption", name, res)
			}
		})
	}
}

// At any verbosity, whatever fails: neither token nor request token is in the log or in errors.
func TestRun_secretsStayOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		image := l.push(withReferrers+"/org/a", "a")
		raw, err := l.OIDC.Token()
		if err != nil {
			t.Fatal(err)
		}
		l.opts.Token = signing.StaticToken(raw)
		l.Fulcio.Fail(2, signingtest.Fault{Status: 503, ContentType: "text/plain", Body: "you sent Bearer " + raw})
		l.Fulcio.Fail(-1, signingtest.Fault{Status: 403, ContentType: "text/plain", Body: "you sent Bearer " + raw})
		rep := l.run(t.Context(), image)
		text := l.log.String() + rep.Results[0].Err.Error()
		for part := range strings.SplitSeq(raw, ".") {
			if strings.Contains(text, part) {
				t.Errorf("a part of the token is in the output:\n%s", text)
			}
		}
		if !strings.Contains(text, "you sent Bearer [redacted]") {
			t.Errorf("the server's words are missing:\n%s", text)
		}
	})
}

func TestRun_attemptsAreTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		image := l.push(withReferrers+"/org/a", "a")
		l.Rekor.LoseAnswer(1)
		l.Rekor.NotFound(1)
		got := map[string][]string{}
		for _, a := range l.run(t.Context(), image).Attempts {
			outcome := "ok"
			if a.Err != nil {
				outcome = "failed"
				if a.Wait <= 0 {
					t.Errorf("%s %d: no wait after it", a.Stage, a.Number)
				}
			}
			got[a.Stage] = append(got[a.Stage], outcome)
		}
		want := map[string][]string{
			"trust root": {"ok"}, "identity": {"ok"}, "image": {"ok"}, "earlier signature": {"ok"}, "certificate": {"ok"}, "timestamp": {"ok"},
			"log entry": {"failed", "ok", "failed", "ok"}, "attach": {"ok", "ok", "ok"},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("attempts by stage (-want +got):\n%s", diff)
		}
	})
}

// The time for the run ends while a service does not answer: an outage, told at once.
func TestRun_budgetEndsRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		image := l.push(withReferrers+"/org/a", "a")
		l.Fulcio.Fail(-1, signingtest.Fault{Hang: true})
		l.opts.Budget = 20 * time.Second
		start := time.Now()
		res := l.run(t.Context(), image).Results[0]
		if took := time.Since(start); took != 20*time.Second {
			t.Errorf("took %s, want 20s", took)
		}
		if !res.Passing() || !strings.Contains(res.Err.Error(), "certificate") || !strings.Contains(res.Err.Error(), "20s") {
			t.Errorf("result %+v, want the stage and the budget", res)
		}
	})
}

// A login that may read and not write is found out before the log has an entry.
func TestRun_refusedBeforeTheLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		image := l.push(withReferrers+"/org/a", "a")
		l.registry.changes.Fail(-1, signingtest.Fault{Status: 403, Body: `{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}`})
		l.TSA.Fail(1, signingtest.Fault{Status: 503}) // time enough for the registry's answer
		if got := statuses(l.run(t.Context(), image)); got[0] != failed || l.Rekor.Entries() != 0 {
			t.Errorf("%v, cost %+v; want a refusal and no log entry", got, l.counts())
		}
	})
}

// A registry may be behind itself for half a minute, whatever the waits between the
// tries: what it shows by then counts, and what it does not show is an answer then.
func TestRun_late(t *testing.T) {
	t.Parallel()
	type end struct {
		Status  signretry.Status
		Passing bool
		Took    time.Duration // in whole seconds; of a success only whether it was in time
	}
	for name, test := range map[string]struct {
		shown time.Duration // when the registry begins to know the image
		slow  bool          // waits are long
		want  end
	}{
		"in time":                  {29 * time.Second, false, end{Status: signed}},
		"in time, long waits":      {29 * time.Second, true, end{Status: signed}},
		"never":                    {time.Hour, false, end{failed, false, 30 * time.Second}},
		"never, long waits":        {time.Hour, true, end{failed, false, 30 * time.Second}},
		"just too late":            {31 * time.Second, false, end{failed, false, 30 * time.Second}},
		"just too late, long ones": {31 * time.Second, true, end{failed, false, 30 * time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for range 5 { // waits are drawn
				synctest.Test(t, func(t *testing.T) {
					l := newLab(t, 1)
					image := l.push(withReferrers+"/org/a", "a")
					if test.slow {
						l.opts.Policy.InitialDelay = time.Minute
					}
					l.opts.Policy.MaxAttempts = 0
					start := time.Now()
					l.registry.intercept = func(w http.ResponseWriter, r *http.Request) bool {
						if time.Since(start) >= test.shown {
							return false
						}
						w.Header().Set("Content-Type", "application/json")
						w.WriteHeader(http.StatusNotFound)
						_, _ = w.Write([]byte(`{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}`))
						return true
					}
					res := l.run(t.Context(), image).Results[0]
					got := end{res.Status, res.Passing(), time.Since(start).Round(time.Second)}
					if got.Status == signed && got.Took <= 31*time.Second {
						got.Took = 0
					}
					if diff := cmp.Diff(test.want, got); diff != "" {
						t.Errorf("(-want +got):\n%s", diff)
					}
				})
			}
		})
	}
}

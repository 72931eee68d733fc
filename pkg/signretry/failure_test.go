// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signretry_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/LerianStudio/pushguard/pkg/registry"
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

// refuseWrites makes the given hosts refuse writes, after a while.
func (l *lab) refuseWrites(after time.Duration, hosts ...string) {
	l.registry.intercept = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet || r.Method == http.MethodHead || !slices.Contains(hosts, r.Host) {
			return false
		}
		select {
		case <-time.After(after):
		case <-r.Context().Done():
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte(`{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}`))
		return true
	}
}

// A login that may read and not write is found out before the log has an entry,
// however long the registry takes to say so: an entry stays for ever.
func TestRun_refusedBeforeTheLog(t *testing.T) {
	t.Parallel()
	type end struct {
		Statuses []signretry.Status
		Reasons  []string // hosts that the errors name
		Entries  int
	}
	both := []string{withReferrers, withoutReferrers}
	for name, test := range map[string]struct {
		formats []signing.Format
		refuse  []string
		want    end
	}{
		"bundle, all refuse":        {bothFormats[:1], both, end{[]signretry.Status{failed, failed}, both, 0}},
		"bundle, one refuses":       {bothFormats[:1], both[:1], end{[]signretry.Status{failed, signed}, []string{withReferrers, ""}, 1}},
		"bundle, the other refuses": {bothFormats[:1], both[1:], end{[]signretry.Status{signed, failed}, []string{"", withoutReferrers}, 1}},
		"legacy, all refuse":        {bothFormats[1:], both, end{[]signretry.Status{failed, failed}, both, 0}},
		"legacy, one refuses":       {bothFormats[1:], both[:1], end{[]signretry.Status{failed, signed}, []string{withReferrers, ""}, 1}},
		"both formats, all refuse":  {bothFormats, both, end{[]signretry.Status{failed, failed}, both, 0}},
	} {
		for _, after := range []time.Duration{0, 20 * time.Second} {
			t.Run(fmt.Sprintf("%s after %s", name, after), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					l := newLab(t, 1)
					l.opts.Formats = test.formats
					images := []registry.Reference{l.push(withReferrers+"/org/a", "a"), l.push(withoutReferrers+"/org/a", "a")}
					l.refuseWrites(after, test.refuse...)
					rep := l.run(t.Context(), images...)
					got := end{Statuses: statuses(rep), Entries: l.Rekor.Entries()}
					for _, res := range rep.Results {
						host := ""
						if e, ok := errors.AsType[*registry.Error](res.Err); ok && e.Code == "DENIED" {
							host = e.Ref.Registry
						}
						got.Reasons = append(got.Reasons, host)
					}
					if diff := cmp.Diff(test.want, got); diff != "" {
						t.Errorf("(-want +got):\n%s", diff)
					}
				})
			})
		}
	}
}

// While a registry is down nobody knows whether it accepts the signature: the log is
// asked when it is back, and gets one entry.
func TestRun_registryDownBeforeTheLog(t *testing.T) {
	t.Parallel()
	for _, format := range bothFormats {
		t.Run(string(format), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := newLab(t, 1)
				l.opts.Formats = []signing.Format{format}
				l.opts.Policy.MaxAttempts, l.opts.Budget = 0, 15*time.Minute // waits are drawn at random: ten can be over in less
				image := l.push(withReferrers+"/org/a", "a")
				l.registry.changes.Fail(-1, signingtest.Fault{Status: 503})
				time.AfterFunc(time.Minute, func() {
					if n := l.Rekor.Create.Requests(); n > 0 {
						t.Errorf("the log was asked %d times while the registry was down", n)
					}
					l.registry.changes.Heal()
				})
				if got := statuses(l.run(t.Context(), image)); got[0] != signed || l.Rekor.Entries() != 1 {
					t.Errorf("%v, cost %+v; want it signed, with one entry", got, l.counts())
				}
			})
		})
	}
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
		left  time.Duration // of the run's time
		want  end
	}{
		"in time":                  {29 * time.Second, false, time.Hour, end{Status: signed}},
		"in time, long waits":      {29 * time.Second, true, time.Hour, end{Status: signed}},
		"never":                    {time.Hour, false, time.Hour, end{failed, false, 30 * time.Second}},
		"never, long waits":        {time.Hour, true, time.Hour, end{failed, false, 30 * time.Second}},
		"just too late":            {31 * time.Second, false, time.Hour, end{failed, false, 30 * time.Second}},
		"just too late, long ones": {31 * time.Second, true, time.Hour, end{failed, false, 30 * time.Second}},
		"little time":              {time.Hour, false, 20 * time.Second, end{failed, false, 5 * time.Second}},
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
					l.opts.Policy.MaxAttempts, l.opts.Budget = 0, test.left
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

// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signretry_test

import (
	"path/filepath"
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

// newFallbackLab has Rekor v1, and a second signing config with Rekor v2.
func newFallbackLab(t *testing.T, after time.Duration) *lab {
	t.Helper()
	l := newLab(t, 1)
	l.opts.FallbackAfter, l.opts.FallbackConfig = after, filepath.Join(t.TempDir(), "v2.json")
	l.Sigstore.RekorVersion = 2
	if err := l.WriteSigningConfig(l.opts.FallbackConfig); err != nil {
		t.Fatal(err)
	}
	l.Sigstore.RekorVersion = 1
	l.opts.Policy.MaxAttempts = 0
	return l
}

// Rekor v1 is down for good: after the time that is set bundles go to Rekor v2, all of
// them, and the report says so. Without the option the run ends with the outage.
func TestRun_fallback(t *testing.T) {
	t.Parallel()
	for _, after := range []time.Duration{0, 2 * time.Minute, 12 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			l := newFallbackLab(t, after)
			images := []registry.Reference{l.push(withReferrers+"/org/a", "a"), l.push(withoutReferrers+"/org/b", "b")}
			l.Rekor.Create.Fail(-1, signingtest.Fault{Status: 502})
			start := time.Now()
			rep := l.run(t.Context(), images...)
			if after == 0 {
				if diff := cmp.Diff([]signretry.Status{failed, failed}, statuses(rep)); diff != "" || rep.FellBack != nil || !rep.Results[0].Passing() {
					t.Errorf("without a fallback: %v (-want +got):\n%s", rep.FellBack, diff)
				}
				return
			}
			if diff := cmp.Diff([]signretry.Status{signed, signed}, statuses(rep)); diff != "" {
				t.Fatalf("after %s: statuses (-want +got):\n%s", after, diff)
			}
			for _, res := range rep.Results {
				if log := res.Log(); log == nil || log.URL != "http://sigstore.test/rekor2" {
					t.Errorf("after %s: %s is logged at %+v", after, res.Ref, log)
				}
			}
			if took := time.Since(start); took < after/2 || took > after+time.Minute {
				t.Errorf("after %s: it took %s", after, took)
			}
			if rep.FellBack == nil || !strings.Contains(rep.FellBack.Error(), "HTTP 502") || !strings.Contains(l.log.String(), "going on with Rekor v2") {
				t.Errorf("after %s: it says %v", after, rep.FellBack)
			}
			if diff := cmp.Diff([]signretry.Status{already, already}, statuses(l.run(t.Context(), images...))); diff != "" {
				t.Errorf("after %s: again (-want +got):\n%s", after, diff)
			}
		})
	}
}

// A short outage of Rekor v1 leads nowhere else; nor does a refusal; a legacy signature
// cannot; and when both logs are down it ends as without a fallback.
func TestRun_noFallback(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		spoil   func(l *lab)
		want    signretry.Status
		passing bool
	}{
		"short":   {func(l *lab) { l.Rekor.Create.Fail(3, signingtest.Fault{Status: 502}) }, signed, false},
		"refusal": {func(l *lab) { l.Rekor.Create.Fail(-1, signingtest.Fault{Status: 400}) }, failed, false},
		"both down": {func(l *lab) {
			l.Rekor.Create.Fail(-1, signingtest.Fault{Status: 502})
			l.Rekor2.Fail(-1, signingtest.Fault{Status: 503})
		}, failed, true},
		"legacy": {func(l *lab) {
			l.opts.Formats = []signing.Format{signing.FormatLegacy}
			l.Rekor.Create.Fail(-1, signingtest.Fault{Status: 502})
		}, failed, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := newFallbackLab(t, 2*time.Minute)
			tt.spoil(l)
			start := time.Now()
			res := l.run(t.Context(), l.push(withReferrers+"/org/a", "a")).Results[0]
			if res.Status != tt.want || res.Passing() != tt.passing || l.Rekor2.Entries() != 0 {
				t.Errorf("%s: %s, passing %t, %d entries in Rekor v2: %v", name, res.Status, res.Passing(), l.Rekor2.Entries(), res.Err)
			}
			if took := time.Since(start); took > 16*time.Minute {
				t.Errorf("%s: it took %s", name, took)
			}
		})
	}
}

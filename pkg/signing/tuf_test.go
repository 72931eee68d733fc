// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signing_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/LerianStudio/pushguard/pkg/signing"
	"github.com/LerianStudio/pushguard/pkg/signing/signingtest"
)

// Trust root and services come from a TUF repository; when it is down, those of the
// last run serve, with a warning of their age, until they are out of date themselves.
func TestLoad_tuf(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 2)
		src := l.tuf(t)
		services, trust, err := l.client.Load(t.Context(), src)
		if err != nil {
			t.Fatal(err)
		}
		if services.Fulcio != l.FulcioURL() || len(services.Logs) != 1 || services.Logs[0].Version != 2 {
			t.Errorf("services %+v", services)
		}
		l.services, l.trust = services, trust
		if _, err := l.sign(t.Context()); err != nil {
			t.Errorf("sign with what TUF says: %v", err)
		}

		asked := l.TUF.Requests()
		if _, _, err := l.client.Load(t.Context(), src); err != nil || l.TUF.Requests() != asked {
			t.Errorf("within a day: %v, %d more requests; want none", err, l.TUF.Requests()-asked)
		}

		l.TUF.Fail(-1, signingtest.Fault{Status: 503})
		time.Sleep(5 * 24 * time.Hour)
		if _, _, err := l.client.Load(t.Context(), src); err != nil {
			t.Errorf("the mirror is down and the copy five days old: %v", err)
		}
		if log := l.log.String(); !strings.Contains(log, "level=WARN") || !strings.Contains(log, "age=") || !strings.Contains(log, "503") {
			t.Errorf("no warning with the age and the reason:\n%s", log)
		}
		// TUF's own promise is over: an attacker could hold back a newer one.
		time.Sleep(5 * 24 * time.Hour)
		if _, _, err := l.client.Load(t.Context(), src); !signing.IsKind(err, signing.KindUnavailable) {
			t.Errorf("the copy is out of date: %v, want KindUnavailable", err)
		}
	})
}

// Without a copy an outage is an outage; another's keys are no passing failure.
func TestLoad_tufFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		src := l.tuf(t)
		l.TUF.Fail(1, signingtest.Fault{Reset: true})
		if _, _, err := l.client.Load(t.Context(), src); !signing.IsKind(err, signing.KindUnavailable) {
			t.Errorf("cut connection: %v, want KindUnavailable", err)
		}
		l.TUF.Fail(1, signingtest.HTML())
		if _, _, err := l.client.Load(t.Context(), src); err == nil {
			t.Error("an HTML page was taken for the repository")
		}
		if _, _, err := l.client.Load(t.Context(), signing.Source{TUFRoot: src.TUFRoot}); !signing.IsKind(err, signing.KindConfig) {
			t.Errorf("a root without its repository: %v, want KindConfig", err)
		}
		if _, _, err := l.client.Load(t.Context(), src); err != nil {
			t.Errorf("healed: %v", err)
		}
	})
}

// A root that has expired, such as one that a binary was built with years ago, still leads
// to its successors.
func TestLoad_tufRootExpired(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		l.TUF.OldRoot = true
		var err error
		if l.services, l.trust, err = l.client.Load(t.Context(), l.tuf(t)); err != nil {
			t.Fatal(err)
		}
		if _, err := l.sign(t.Context()); err != nil {
			t.Errorf("sign with what TUF says: %v", err)
		}
	})
}

// The second log's signing config comes from the same TUF repository.
func TestFallback_tuf(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		services, err := l.client.Fallback(t.Context(), l.tuf(t), "")
		if err != nil || len(services.Logs) != 1 || services.Logs[0] != (signing.Log{URL: l.RekorV2URL(), Version: 2}) {
			t.Errorf("services = %+v, %v, want the Rekor v2", services, err)
		}
	})
}

// tuf writes the repository's root and returns where to load from.
func (l *lab) tuf(t *testing.T) signing.Source {
	t.Helper()
	path := filepath.Join(t.TempDir(), "root.json")
	if err := l.TUF.WriteRoot(path); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
	return signing.Source{TUFURL: l.TUF.URL(), TUFRoot: path}
}

// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signretry_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
)

// A gateway answers 200 with a page of its own in place of the registry, which was
// there a moment before: that passes.
func TestRun_portal(t *testing.T) {
	t.Parallel()
	for name, registry := range map[string]string{"referrers API": withReferrers, "fallback tag": withoutReferrers} {
		for _, struck := range []struct{ method, part string }{
			{http.MethodGet, ""},
			{http.MethodPost, "/blobs/uploads/"},
			{http.MethodPut, "/blobs/uploads/"},
			{http.MethodPut, "/manifests/"},
		} {
			t.Run(name+" "+struck.method+struck.part, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					l := newLab(t, 1)
					image := l.push(registry+"/org/a", "a")
					left := 3
					l.registry.intercept = func(w http.ResponseWriter, r *http.Request) bool {
						if left == 0 || r.Method != struck.method || !strings.Contains(r.URL.Path, struck.part) {
							return false
						}
						left--
						w.Header().Set("Content-Type", "text/html")
						_, _ = io.WriteString(w, "<h1>We will be back</h1>")
						return true
					}
					if got := statuses(l.run(t.Context(), image)); got[0] != signed {
						t.Errorf("status %v", got)
					}
					if got := l.counts(); got.Certificates != 1 || got.Entries != 1 {
						t.Errorf("%+v, want one certificate and one entry", got)
					}
				})
			})
		}
	}
}

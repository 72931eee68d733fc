// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signretry_test

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/LerianStudio/pushguard/pkg/registry"
	"github.com/LerianStudio/pushguard/pkg/signing"
	"github.com/LerianStudio/pushguard/pkg/signing/signingtest"
	"github.com/LerianStudio/pushguard/pkg/signretry"
)

var updateMatrix = flag.Bool("update", false, "write the table in docs/faults.md")

const faultsPage = "../../docs/faults.md"

// target is a service of the matrix: which requests fail, and which make up the
// work that "404 after create" is about.
type target struct {
	name    string
	version uint32
	host    string
	routes  func(*lab) []*signingtest.Route
	// created loses one answer and makes the log, or the registry, not know what it
	// was just given; nil where nothing is created.
	created func(*lab) (*signingtest.Route, signingtest.Fault)
}

var notFound = signingtest.Fault{Status: http.StatusNotFound, Body: `{"code":404,"message":"entry not found"}`}

func unknown(code string) signingtest.Fault {
	return signingtest.Fault{Status: http.StatusNotFound, Body: `{"errors":[{"code":"` + code + `","message":"unknown"}]}`}
}

var targets = []target{
	{name: "identity", routes: func(l *lab) []*signingtest.Route { return []*signingtest.Route{&l.OIDC.Route} }},
	{name: "trust root", routes: func(l *lab) []*signingtest.Route { return []*signingtest.Route{&l.TUF.Route} }},
	{name: "Fulcio", routes: func(l *lab) []*signingtest.Route { return []*signingtest.Route{&l.Fulcio.Route} }},
	{name: "TSA", routes: func(l *lab) []*signingtest.Route { return []*signingtest.Route{&l.TSA.Route} }},
	{
		name: "Rekor v1",
		routes: func(l *lab) []*signingtest.Route {
			return []*signingtest.Route{&l.Rekor.Create, &l.Rekor.Get}
		},
		created: func(l *lab) (*signingtest.Route, signingtest.Fault) {
			l.Rekor.LoseAnswer(1)
			return &l.Rekor.Get, notFound
		},
	},
	{
		name: "Rekor v2", version: 2,
		routes: func(l *lab) []*signingtest.Route {
			return []*signingtest.Route{&l.Rekor2.Route, &l.Rekor2.Read, &l.Rekor2.Tiles}
		},
		created: func(l *lab) (*signingtest.Route, signingtest.Fault) {
			l.Rekor2.LoseAnswer(1)
			return &l.Rekor2.Tiles, notFound
		},
	},
	{
		name: "registry, reads", routes: func(l *lab) []*signingtest.Route { return []*signingtest.Route{&l.registry.reads} },
		created: func(l *lab) (*signingtest.Route, signingtest.Fault) {
			return &l.registry.reads, unknown("MANIFEST_UNKNOWN")
		},
	},
	{
		name: "registry, writes", routes: func(l *lab) []*signingtest.Route { return []*signingtest.Route{&l.registry.changes} },
		created: func(l *lab) (*signingtest.Route, signingtest.Fault) {
			return &l.registry.changes, unknown("BLOB_UPLOAD_UNKNOWN")
		},
	},
	{
		name: "registry, fallback tag", host: withoutReferrers,
		routes: func(l *lab) []*signingtest.Route { return []*signingtest.Route{&l.registry.changes} },
		created: func(l *lab) (*signingtest.Route, signingtest.Fault) {
			return &l.registry.changes, unknown("BLOB_UPLOAD_UNKNOWN")
		},
	},
}

const afterCreate = "404 after create"

var faults = []struct {
	name string
	signingtest.Fault
}{
	{"500", signingtest.Fault{Status: 500}},
	{"502", signingtest.Fault{Status: 502, ContentType: "text/html", Body: "<html><head><title>502 Bad Gateway</title></head></html>"}},
	{"503", signingtest.Fault{Status: 503}},
	{"504", signingtest.Fault{Status: 504, ContentType: "text/html", Body: "<html><head><title>504 Gateway Time-out</title></head></html>"}},
	{"429", signingtest.Fault{Status: 429}},
	{"429, Retry-After: 20", signingtest.Fault{Status: 429, RetryAfter: "20"}},
	{"connection reset", signingtest.Fault{Reset: true}},
	{"no answer", signingtest.Fault{Hang: true}},
	{"slow body", signingtest.Fault{Slow: true}},
	{"truncated body", signingtest.Fault{Truncate: true}},
	{"HTML with 200", signingtest.HTML()},
	{"answer lost (504)", signingtest.Fault{Lost: true, Status: 504}},
	{afterCreate, signingtest.Fault{}},
}

// How often a fault strikes in a row; outage is for ten minutes.
const outage = -1

var strikes = []int{1, 3, 6, outage}

// outcome is what came of one image.
type outcome struct {
	signretry.Result
	counts

	fulcio int // requests
}

// strike signs one image while a service fails.
func strike(t *testing.T, s target, name string, fault signingtest.Fault, times int) outcome {
	t.Helper()
	var got outcome
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, max(s.version, 1))
		if s.name == "trust root" {
			l.useTUF()
		}
		host := s.host
		if host == "" {
			host = withReferrers
		}
		image := l.push(host+"/org/app", "a")
		routes := s.routes(l)
		if name == afterCreate {
			var route *signingtest.Route
			route, fault = s.created(l)
			routes = []*signingtest.Route{route}
		}
		for _, r := range routes {
			r.Fail(times, fault)
			if times == outage {
				time.AfterFunc(10*time.Minute, r.Heal)
			}
		}
		l.opts.Policy.MaxAttempts = 0 // signretry's default: what the time allows
		got.Result = signretry.Run(t.Context(), []registry.Reference{image}, l.opts).Results[0]
		got.counts, got.fulcio = l.counts(), l.Fulcio.Requests()
	})
	return got
}

// judge says what a cell of the table shows, and what is wrong with it.
func judge(s target, name string, fault signingtest.Fault, times int, got outcome) (symbol, problem string) {
	worked := fault.Lost || fault.Truncate || fault.Slow // the service did what it was asked
	switch {
	case got.Status == failed && refusedRightly(s, name, times):
		if got.Certificates > 0 && !strings.Contains(s.name, "writes") && !strings.Contains(s.name, "fallback") {
			return "R", "refused after a certificate was used up"
		}
		return "R", ""
	case got.Status != signed:
		return "✗", fmt.Sprintf("%s: %v", got.Status, got.Err)
	case got.Entries != 1:
		return "✗", fmt.Sprintf("%d log entries", got.Entries)
	case s.name == "Fulcio" && worked:
		// It cannot know that its answer was lost: each is a certificate.
		if got.Certificates > got.fulcio {
			return "✗", fmt.Sprintf("%d certificates after %d requests", got.Certificates, got.fulcio)
		}
		return "✓c", ""
	case times == outage && got.Certificates == 2 && renewalDue(s, name, worked):
		return "✓r", ""
	case got.Certificates != 1:
		return "✗", fmt.Sprintf("%d certificates", got.Certificates)
	}
	return "✓", ""
}

// renewalDue: ten minutes without a service that is asked while a certificate,
// which lives as long, is running out. The log is not asked before the registry has
// accepted a first blob.
func renewalDue(s target, name string, worked bool) bool {
	return s.name == "TSA" || s.name == "registry, writes" || s.name == "registry, fallback tag" || s.name == "Rekor v1" && name != afterCreate && !worked
}

// refusedRightly: for ten minutes the registry, or something in its place, says that
// the image is not there, or is not a registry.
func refusedRightly(s target, name string, times int) bool {
	return times == outage && strings.HasPrefix(s.name, "registry") && (name == "HTML with 200" || name == afterCreate)
}

// The fault matrix: every service, every fault, once to six times in a row and for
// ten minutes. Each cell is signed with one certificate (and the renewals that are
// due) and one log entry, or rightly refused. The table stands in docs/faults.md.
func TestRun_faultMatrix(t *testing.T) {
	t.Parallel()
	cells := make([][]string, len(faults))
	var wg sync.WaitGroup
	limit := make(chan struct{}, 4)
	for i, f := range faults {
		cells[i] = make([]string, len(targets))
		for j, s := range targets {
			if f.name == afterCreate && s.created == nil {
				cells[i][j] = "–"
				continue
			}
			limit <- struct{}{}
			wg.Go(func() {
				defer func() { <-limit }()
				var symbols []string
				for _, times := range strikes {
					got := strike(t, s, f.name, f.Fault, times)
					symbol, problem := judge(s, f.name, f.Fault, times, got)
					if problem != "" {
						t.Errorf("%s, %s, %d times: %s", s.name, f.name, times, problem)
					}
					symbols = append(symbols, symbol)
				}
				cells[i][j] = row(symbols)
			})
		}
	}
	wg.Wait()
	compareTable(t, cells)
}

// row shortens a cell whose symbols are all the same.
func row(symbols []string) string {
	for _, s := range symbols {
		if s != symbols[0] {
			return strings.Join(symbols, " ")
		}
	}
	return symbols[0]
}

// compareTable wants the table in the page to be this one, or with -update makes it so.
func compareTable(t *testing.T, cells [][]string) {
	t.Helper()
	var b strings.Builder
	b.WriteString("| |")
	for _, s := range targets {
		b.WriteString(" " + s.name + " |")
	}
	b.WriteString("\n|" + strings.Repeat(" --- |", len(targets)+1) + "\n")
	for i, f := range faults {
		b.WriteString("| " + f.name + " | " + strings.Join(cells[i], " | ") + " |\n")
	}
	page, err := os.ReadFile(faultsPage)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- matrix: written by a test -->\n", "<!-- end of matrix -->"
	before, rest, ok := strings.Cut(string(page), begin)
	have, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no marks for the table", faultsPage)
	}
	if *updateMatrix {
		if err := os.WriteFile(faultsPage, []byte(before+begin+b.String()+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if have != b.String() {
		t.Errorf("%s has another table (go test ./pkg/signretry -run TestRun_faultMatrix -update):\n%s", faultsPage, b.String())
	}
}

// useTUF makes the lab's run get trust root and services from the TUF repository.
func (l *lab) useTUF() {
	l.t.Helper()
	path := l.t.TempDir() + "/root.json"
	if err := l.TUF.WriteRoot(path); err != nil {
		l.t.Fatal(err)
	}
	l.opts.Services = signing.Source{TUFURL: l.TUF.URL(), TUFRoot: path}
}

// An hour without a service: tokens (5 minutes) and certificates (10 minutes) are
// renewed when they have run out, and not before; one log entry all the same.
func TestRun_hourOfOutage(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		version          uint32
		route            func(*lab) *signingtest.Route
		minCert, maxCert int
		maxTokens        int
	}{
		"identity": {1, func(l *lab) *signingtest.Route { return &l.OIDC.Route }, 1, 1, 200},
		"Fulcio":   {1, func(l *lab) *signingtest.Route { return &l.Fulcio.Route }, 1, 1, 13},
		"TSA":      {1, func(l *lab) *signingtest.Route { return &l.TSA.Route }, 6, 7, 8},
		"Rekor v1": {1, func(l *lab) *signingtest.Route { return &l.Rekor.Create }, 6, 7, 8},
		"Rekor v2": {2, func(l *lab) *signingtest.Route { return &l.Rekor2.Route }, 1, 1, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := newLab(t, tt.version)
			l.opts.Policy.MaxAttempts, l.opts.Budget = 0, 90*time.Minute
			image := l.push(withReferrers+"/org/app", "a")
			route := tt.route(l)
			route.Fail(-1, signingtest.Fault{Status: 503})
			time.AfterFunc(time.Hour, route.Heal)
			start := time.Now()
			if got := statuses(l.run(t.Context(), image)); got[0] != signed {
				t.Fatalf("%s: %v", name, got)
			}
			if late := time.Since(start) - time.Hour; late > 2*time.Minute {
				t.Errorf("%s: signed %s after its return", name, late)
			}
			got := l.counts()
			if got.Certificates < tt.minCert || got.Certificates > tt.maxCert || got.Tokens > tt.maxTokens || got.Entries != 1 {
				t.Errorf("%s: cost %+v, want %d to %d certificates, at most %d tokens, one entry", name, got, tt.minCert, tt.maxCert, tt.maxTokens)
			}
		})
	}
}

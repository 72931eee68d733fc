// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package registrytest

import (
	"net/http"
	"slices"
	"strings"
	"sync"
)

// Fault answers requests instead of the server.
type Fault struct {
	Method string // "" for any
	Path   string // a part of the path, "" for any
	Times  int    // how often it strikes; 0 means always
	Answer http.HandlerFunc
}

// Faults go wrong in front of a server, and keep a log of what was asked. The zero
// value does nothing. It is safe for concurrent use.
type Faults struct {
	mu       sync.Mutex
	faults   []*Fault
	requests []string
}

// Inject adds a fault. The first one that matches a request answers it.
func (f *Faults) Inject(fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = append(f.faults, &fault)
}

// Heal removes all faults.
func (f *Faults) Heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = nil
}

// Requests lists what was asked since the last call, as "METHOD path".
func (f *Faults) Requests() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	asked := f.requests
	f.requests = nil
	return asked
}

// Front is next with the faults before it.
func (f *Faults) Front(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if answer := f.strike(req); answer != nil {
			answer(w, req)
			return
		}
		next.ServeHTTP(w, req)
	})
}

func (f *Faults) strike(req *http.Request) http.HandlerFunc {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests = append(f.requests, req.Method+" "+req.URL.Path)
	for i, fault := range f.faults {
		if fault.Method != "" && fault.Method != req.Method || !strings.Contains(req.URL.Path, fault.Path) {
			continue
		}
		if fault.Times == 1 {
			f.faults = slices.Delete(f.faults, i, i+1)
		}
		fault.Times--
		return fault.Answer
	}
	return nil
}

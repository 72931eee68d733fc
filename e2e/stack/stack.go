// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

// Package stack is a whole Sigstore and its registries on one machine: the real
// servers as processes on loopback, and the material to sign and verify with.
package stack

import (
	"context"
	"errors"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/LerianStudio/pushguard/e2e/process"
)

// Stack is running servers. Its methods may be called at the same time.
type Stack struct {
	Issuer           *Issuer
	Fulcio, TSA      string // base URLs
	RekorV1, RekorV2 Log
	TrustedRoot      string // file that trusts all of them, the CT log and the slow Rekor

	dir      string
	tools    Tools
	since    time.Time // of every service's validity
	material material
	postgres *postgres
	trillian *trillian        // under Rekor v1 and the CT log
	ct       string           // base URL
	tiles    *httptest.Server // in front of Rekor v2
	versions [2]string        // of cosign 3 and 2

	mu      sync.Mutex
	servers []*process.Server
	folders []string
}

// Log is a transparency log that signers can use.
type Log struct {
	URL     string
	Version int // of its API
}

// Tools are the folders of the pinned programs, and of a module whose files are
// used beside them.
type Tools struct {
	Servers    string // the servers and cosign 3; who starts no Sigstore needs its registries alone
	Registries string // the registries that have a module of their own; "" where they are not used
	Cosign2    string // cosign 2; "" where it is not used
	Trillian   string // Trillian's source
}

// New is a stack without a Sigstore, for tests of registries, with its files in dir.
func New(dir string, tools Tools) *Stack { return &Stack{dir: dir, tools: tools} }

// Start brings up the issuer, PostgreSQL, Trillian, the CT log, Fulcio, the
// timestamp authority and both versions of Rekor, with their files in dir. On an
// error nothing is left running.
func Start(ctx context.Context, dir string, tools Tools) (_ *Stack, err error) {
	s := New(dir, tools)
	s.since = time.Now().Add(-time.Minute)
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Stop())
		}
	}()
	if s.material, err = newMaterial(dir, time.Now()); err != nil {
		return nil, err
	}
	if s.Issuer, err = NewIssuer(); err != nil {
		return nil, err
	}
	// The timestamp authority comes before Rekor v1: both want the same port for
	// their metrics, and only Rekor does without.
	for _, start := range []func(context.Context) error{
		s.readVersions, s.startTSA, s.startDatabase, s.startCTLog, s.startFulcio, s.startRekorV1, s.startRekorV2, s.writeTrustedRoot,
	} {
		if err = start(ctx); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Stop ends every server, last started first.
func (s *Stack) Stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, server := range slices.Backward(s.servers) {
		errs = append(errs, server.Stop())
	}
	for _, folder := range s.folders {
		errs = append(errs, os.RemoveAll(folder))
	}
	s.servers, s.folders = nil, nil
	if s.tiles != nil {
		s.tiles.Close()
	}
	if s.Issuer != nil {
		s.Issuer.Close()
	}
	return errors.Join(errs...)
}

// Logs is the end of every server's log.
func (s *Stack) Logs() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	tails := make([]string, len(s.servers))
	for i, server := range s.servers {
		tails[i] = server.Tail()
	}
	return strings.Join(tails, "\n")
}

// Env is the environment that every program of a test gets: a home of its own,
// so that no login, cache or trust root of the user's is found.
func (s *Stack) Env() []string {
	home := filepath.Join(s.dir, "home")
	return []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + home,
		"XDG_CACHE_HOME=" + filepath.Join(home, "cache"),
		"DOCKER_CONFIG=" + filepath.Join(home, "docker"),
		"TUF_ROOT=" + filepath.Join(home, "tuf"),
	}
}

// serve starts a tool, whose path is below the folder of the servers or absolute, and
// waits until url answers. On an error it is stopped.
func (s *Stack) serve(ctx context.Context, c process.Command, url string) error {
	c.Dir = s.dir
	if !filepath.IsAbs(c.Path) {
		c.Path = filepath.Join(s.tools.Servers, c.Path)
	}
	server, err := s.start(c)
	if err != nil {
		return err
	}
	return server.AwaitHTTP(ctx, url)
}

// start starts a server that Stop ends.
func (s *Stack) start(c process.Command) (*process.Server, error) {
	c.Env = s.Env()
	server, err := process.Start(c, s.dir)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.servers = append(s.servers, server)
	return server, nil
}

// addresses are n free ports and, of the first, the base URL.
func addresses(ctx context.Context, n int) (url string, ports []string, err error) {
	for len(ports) < n {
		port, err := process.FreePort(ctx)
		if err != nil {
			return "", nil, err
		}
		if text := strconv.Itoa(port); !slices.Contains(ports, text) {
			ports = append(ports, text)
		}
	}
	return "http://127.0.0.1:" + ports[0], ports, nil
}

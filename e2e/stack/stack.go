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
	Issuer             *Issuer
	Fulcio, TSA, Rekor string // base URLs
	TrustedRoot        string // file that trusts all three and the CT log

	dir   string
	tools string
	start time.Time // of every service's validity
	ct    *httptest.Server

	mu      sync.Mutex
	servers []*process.Server
}

// Start brings up the CT log, the issuer, Fulcio, the timestamp authority and
// Rekor v2, with their files in dir and their programs from the folder tools.
// On an error nothing is left running.
func Start(ctx context.Context, dir, tools string) (_ *Stack, err error) {
	s := &Stack{dir: dir, tools: tools, start: time.Now().Add(-time.Minute)}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Stop())
		}
	}()
	m, err := newMaterial(dir, time.Now())
	if err != nil {
		return nil, err
	}
	if s.Issuer, err = NewIssuer(); err != nil {
		return nil, err
	}
	s.ct = newCTLog(m.ctKey)
	if s.Fulcio, err = s.startFulcio(ctx, m); err != nil {
		return nil, err
	}
	if s.TSA, err = s.startTSA(ctx, m); err != nil {
		return nil, err
	}
	if s.Rekor, err = s.startRekor(ctx, m); err != nil {
		return nil, err
	}
	s.TrustedRoot = filepath.Join(dir, "trusted_root.json")
	if err = s.writeTrustedRoot(ctx, m); err != nil {
		return nil, err
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
	s.servers = nil
	if s.ct != nil {
		s.ct.Close()
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

// serve starts a tool and waits until url answers. On an error it is stopped.
func (s *Stack) serve(ctx context.Context, c process.Command, url string) error {
	c.Env, c.Dir = s.Env(), s.dir
	c.Path = filepath.Join(s.tools, c.Path)
	server, err := process.Start(c, s.dir)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.servers = append(s.servers, server)
	s.mu.Unlock()
	return server.AwaitHTTP(ctx, url)
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

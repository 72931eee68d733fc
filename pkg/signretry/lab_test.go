// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signretry_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/LerianStudio/pushguard/pkg/registry"
	"github.com/LerianStudio/pushguard/pkg/registry/host"
	"github.com/LerianStudio/pushguard/pkg/registry/registrytest"
	"github.com/LerianStudio/pushguard/pkg/retry"
	"github.com/LerianStudio/pushguard/pkg/signing"
	"github.com/LerianStudio/pushguard/pkg/signing/signingtest"
	"github.com/LerianStudio/pushguard/pkg/signretry"
)

// lab is a Sigstore and registries in memory, in a synctest bubble.
type lab struct {
	*signingtest.Sigstore

	t        *testing.T
	opts     signretry.Options
	registry *hosts
	client   *registry.Client
	log      *syncBuffer
}

// hosts is any number of registries, told apart by the request's Host.
type hosts struct {
	mu       sync.Mutex
	handlers map[string]http.Handler
	requests []string
	// Faults of requests that read, and of those that write.
	reads, changes signingtest.Route
	intercept      func(w http.ResponseWriter, r *http.Request) bool // true: it has answered
}

func (h *hosts) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	h.requests = append(h.requests, r.Method+" "+r.Host+r.URL.Path)
	handler, intercept := h.handlers[r.Host], h.intercept
	h.mu.Unlock()
	if intercept != nil && intercept(w, r) {
		return
	}
	if handler == nil {
		http.Error(w, "no such host", http.StatusBadGateway)
		return
	}
	route := &h.reads
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		route = &h.changes
	}
	route.Front(handler).ServeHTTP(w, r)
}

// writes counts requests that changed something.
func (h *hosts) writes() (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range h.requests {
		if !strings.HasPrefix(r, "GET ") && !strings.HasPrefix(r, "HEAD ") {
			n++
		}
	}
	return n
}

type syncBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

const (
	withReferrers    = "with.localhost:5000"
	withoutReferrers = "without.localhost:5000"
)

func newLab(t *testing.T, rekorVersion uint32) *lab {
	t.Helper()
	s, err := signingtest.New()
	if err != nil {
		t.Fatal(err)
	}
	s.RekorVersion = rekorVersion
	pipe := signingtest.NewPipe()
	s.Serve(pipe, "http://sigstore.test")

	h := &hosts{handlers: map[string]http.Handler{
		withReferrers: registrytest.New(true), withoutReferrers: registrytest.New(false),
	}}
	registryPipe := signingtest.NewPipe()
	server := &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0)}
	var wg sync.WaitGroup
	wg.Go(func() { _ = server.Serve(registryPipe) })

	transport, registryTransport := pipe.Transport(), registryPipe.Transport()
	client, err := host.Open(t.Context(), registry.Options{Transport: registryTransport}, nil)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	src := signing.Source{TrustedRoot: filepath.Join(dir, "root.json"), SigningConfig: filepath.Join(dir, "config.json")}
	if err := errors.Join(s.WriteTrustedRoot(src.TrustedRoot), s.WriteSigningConfig(src.SigningConfig)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		registryTransport.CloseIdleConnections()
		_ = s.Close()
		_ = server.Close()
		_ = pipe.Close()
		_ = registryPipe.Close()
		wg.Wait()
	})
	out := &syncBuffer{}
	logger := slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	return &lab{Sigstore: s, t: t, registry: h, client: client.Client, log: out, opts: signretry.Options{
		Registry: client,
		Signer:   signing.New(signing.Options{Transport: transport, Timeout: 30 * time.Second, Logger: logger, Cache: t.TempDir()}),
		Services: src,
		Token:    signing.ActionsToken(s.TokenURL(), s.RequestToken()),
		Policy:   retry.Policy{MaxAttempts: 10, InitialDelay: time.Second, MaxDelay: time.Minute},
		Budget:   15 * time.Minute,
		Logger:   logger,
	}}
}

// push puts an image into a registry and returns it by digest.
func (l *lab) push(name, content string) registry.Reference {
	l.t.Helper()
	return l.put(name, fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"manifests":[],"annotations":{"content":%q}}`, mediaTypeIndex, content))
}

// pushIndex puts an index of others into a registry.
func (l *lab) pushIndex(name string, children ...registry.Reference) registry.Reference {
	l.t.Helper()
	var manifests []string
	for _, c := range children {
		d, err := l.opts.Registry.Head(l.t.Context(), c)
		if err != nil {
			l.t.Fatal(err)
		}
		manifests = append(manifests, fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":%d}`, d.MediaType, d.Digest, d.Size))
	}
	return l.put(name, fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"manifests":[%s]}`, mediaTypeIndex, strings.Join(manifests, ",")))
}

const mediaTypeIndex = "application/vnd.oci.image.index.v1+json"

func (l *lab) put(name, manifest string) registry.Reference {
	l.t.Helper()
	sum := sha256.Sum256([]byte(manifest))
	host, repository, _ := strings.Cut(name, "/")
	digest := "sha256:" + hex.EncodeToString(sum[:])
	l.registry.mu.Lock()
	handler := l.registry.handlers[host]
	l.registry.mu.Unlock()
	req, err := http.NewRequestWithContext(l.t.Context(), http.MethodPut, "http://"+host+"/v2/"+repository+"/manifests/"+digest, strings.NewReader(manifest))
	if err != nil {
		l.t.Fatal(err)
	}
	req.Header.Set("Content-Type", mediaTypeIndex)
	w := &answer{header: http.Header{}}
	handler.ServeHTTP(w, req)
	if w.status != http.StatusCreated {
		l.t.Fatalf("push %s: %d %s", name, w.status, w.body.String())
	}
	return registry.Reference{Registry: host, Repository: repository, Digest: digest}
}

type answer struct {
	header http.Header
	status int
	body   strings.Builder
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(status int)      { a.status = status }
func (a *answer) Write(b []byte) (int, error) { return a.body.Write(b) }

func (l *lab) run(ctx context.Context, images ...registry.Reference) signretry.Report {
	l.t.Helper()
	rep := signretry.Run(ctx, images, l.opts)
	for _, r := range rep.Results {
		if r.Err != nil {
			l.t.Logf("%s: %v", r.Ref, r.Err)
		}
	}
	return rep
}

// counts is what a run cost.
type counts struct {
	Tokens, Certificates, Entries, Posts, Gets int
}

func (l *lab) counts() counts {
	return counts{
		Tokens: l.OIDC.Requests(), Certificates: l.Fulcio.Certificates(), Entries: l.Rekor.Entries() + l.Rekor2.Entries(),
		Posts: l.Rekor.Create.Requests() + l.Rekor2.Requests(), Gets: l.Rekor.Get.Requests(),
	}
}

func statuses(rep signretry.Report) []signretry.Status {
	var out []signretry.Status
	for _, r := range rep.Results {
		out = append(out, r.Status)
	}
	return out
}

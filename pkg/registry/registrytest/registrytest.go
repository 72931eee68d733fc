// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

// Package registrytest is a registry for tests and the demo: go-containerregistry's
// own, in memory, with faults in front of it and a log of what was asked.
package registrytest

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
)

// Registry is an in-memory registry. It is an http.Handler and safe for
// concurrent use.
type Registry struct {
	Faults

	next http.Handler
}

// New returns an empty registry, with the referrers API or without.
func New(referrers bool) *Registry {
	quiet := registry.Logger(log.New(io.Discard, "", 0))
	return &Registry{next: conforming{registry.New(quiet, registry.WithReferrersSupport(referrers)), referrers}}
}

func (r *Registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.Front(r.next).ServeHTTP(w, req)
}

// Start serves the registry on a free port of the loopback address and returns its
// host:port and what stops it.
func (r *Registry) Start() (host string, stop func(), err error) {
	return Serve(r)
}

// Serve serves any handler on a free port of the loopback address.
func Serve(h http.Handler) (host string, stop func(), err error) {
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, fmt.Errorf("start registry: %w", err)
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0)}
	go server.Serve(listener) //nolint:errcheck // ends with Close
	return listener.Addr().String(), func() { _ = server.Close() }, nil
}

// Error answers as a registry does: a status and one error code (distribution
// specification, "Error Codes").
func Error(status int, code, message string) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
		w.WriteHeader(status)
		if req.Method == http.MethodHead {
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"errors": []map[string]string{{"code": code, "message": message}}})
	}
}

// Text answers a status with a body of the given type, as gateways and portals do.
func Text(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// With adds a header to another answer.
func With(name, value string, answer http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set(name, value)
		answer(w, req)
	}
}

// Hang never answers.
func Hang(_ http.ResponseWriter, req *http.Request) {
	<-req.Context().Done()
	panic(http.ErrAbortHandler)
}

// Reset cuts the connection.
func Reset(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// Push writes an image without layers under host/repository:tag, or under no tag when
// that is "", and returns its digest. Images with different content have different digests.
func Push(ctx context.Context, host, repository, tag, content string) (digest string, err error) {
	config := fmt.Sprintf(`{"architecture":"amd64","os":"linux","config":{"Labels":{"content":%q}},"rootfs":{"type":"layers","diff_ids":[]}}`, content)
	manifest := fmt.Sprintf(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","size":%d,"digest":%q},"layers":[]}`,
		len(config), Digest(config))
	if tag == "" {
		tag = Digest(manifest)
	}
	base := "http://" + host + "/v2/" + repository
	if err := send(ctx, http.MethodPost, base+"/blobs/uploads/?digest="+Digest(config), "application/octet-stream", config); err != nil {
		return "", err
	}
	return Digest(manifest), send(ctx, http.MethodPut, base+"/manifests/"+tag, "application/vnd.oci.image.manifest.v1+json", manifest)
}

// Digest is the sha256 digest of content.
func Digest(content string) string {
	return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(content)))
}

func send(ctx context.Context, method, url, contentType, body string) error {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", contentType)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		text, _ := io.ReadAll(resp.Body)
		return fmt.Errorf("%s %s: %s %s", method, url, resp.Status, text)
	}
	return nil
}

// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
)

// withTiles is what stands in front of a Rekor v2: it hands out the log's files,
// checkpoint and tiles, from the folder that the log writes them to, and passes on
// the rest. The POSIX server has no way to read them; the public instance's load
// balancer does the same from a bucket.
func withTiles(server, dir string) (*httptest.Server, error) {
	to, err := url.Parse(server)
	if err != nil {
		return nil, fmt.Errorf("serve the log's tiles: %w", err)
	}
	mux := http.NewServeMux()
	files := http.StripPrefix("/api/v2", http.FileServer(http.Dir(dir)))
	mux.Handle("GET /api/v2/checkpoint", files)
	mux.Handle("GET /api/v2/tile/", files)
	mux.Handle("/", httputil.NewSingleHostReverseProxy(to))
	return httptest.NewServer(mux), nil
}

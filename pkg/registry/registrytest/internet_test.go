// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package registrytest_test

import (
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/LerianStudio/pushguard/pkg/registry/registrytest"
)

func TestInternet(t *testing.T) {
	t.Parallel()
	n, err := registrytest.NewInternet(map[string]http.Handler{
		"hub.docker.com": registrytest.Text(200, "text/plain", "hub"),
		"ghcr.io":        registrytest.Text(200, "text/plain", "ghcr"),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	client := http.Client{Transport: n.Transport()}
	get := func(url string) (string, error) {
		resp, err := client.Get(url)
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		return string(body), err
	}
	for url, want := range map[string]string{"https://hub.docker.com/v2/": "hub", "https://ghcr.io/v2/": "ghcr"} {
		for range 2 {
			if got, err := get(url); err != nil || got != want {
				t.Errorf("GET %s = %q, %v", url, got, err)
			}
		}
	}
	if got, err := get("https://elsewhere.example/"); err == nil {
		t.Errorf("GET elsewhere = %q", got)
	}
	if diff := cmp.Diff([]string{"elsewhere.example"}, n.Lost()); diff != "" {
		t.Errorf("lost (-want +got):\n%s", diff)
	}
	if len(n.Requests()) != 4 {
		t.Error("not four requests")
	}
	dir := t.TempDir()
	env, err := n.Environ(dir)
	if err != nil || !strings.Contains(strings.Join(env, " "), "SSL_CERT_FILE="+dir) {
		t.Errorf("Environ = %q, %v", env, err)
	}
	if _, err := os.Stat(dir + "/authority.pem"); err != nil {
		t.Error(err)
	}
}

// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/LerianStudio/pushguard/e2e/process"
)

// Distribution starts the reference registry, which has no referrers API, with
// deletion switched on or off. It returns its host and port.
func (s *Stack) Distribution(ctx context.Context, deletes bool) (string, error) {
	url, ports, err := addresses(ctx, 1)
	if err != nil {
		return "", err
	}
	config := fmt.Sprintf(`version: 0.1
log: {level: warn, accesslog: {disabled: true}}
storage: {inmemory: {}, delete: {enabled: %t}}
http: {addr: "127.0.0.1:%s"}
`, deletes, ports[0])
	path := filepath.Join(s.dir, "distribution-"+ports[0]+".yml")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		return "", fmt.Errorf("write distribution's configuration: %w", err)
	}
	return s.registry(ctx, url, process.Command{
		Name: "distribution-" + ports[0], Path: "registry", Args: []string{"serve", path},
	})
}

// Olareg starts a registry with the referrers API and deletion.
func (s *Stack) Olareg(ctx context.Context) (string, error) {
	url, ports, err := addresses(ctx, 1)
	if err != nil {
		return "", err
	}
	return s.registry(ctx, url, process.Command{Name: "olareg-" + ports[0], Path: "olareg", Args: []string{
		"serve", "--addr=127.0.0.1", "--port", ports[0], "--store-type=mem", "--api-delete", "--api-blob-delete",
	}})
}

func (s *Stack) registry(ctx context.Context, url string, c process.Command) (string, error) {
	return strings.TrimPrefix(url, "http://"), s.serve(ctx, c, url+"/v2/")
}

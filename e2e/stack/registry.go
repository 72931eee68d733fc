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

// Distribution starts the reference registry, version 3, which has no referrers API,
// with deletion switched on or off. It returns its host and port.
func (s *Stack) Distribution(ctx context.Context, deletes bool) (string, error) {
	return s.distribution(ctx, "distribution", "registry", []string{"serve"}, deletes)
}

// Distribution2 starts version 2.8, which is what registry:2 is.
func (s *Stack) Distribution2(ctx context.Context, deletes bool) (string, error) {
	return s.distribution(ctx, "distribution2", filepath.Join(s.tools.Registries, "distribution2"), nil, deletes)
}

func (s *Stack) distribution(ctx context.Context, name, path string, args []string, deletes bool) (string, error) {
	url, ports, err := addresses(ctx, 1)
	if err != nil {
		return "", err
	}
	// The header is in the configuration of both versions' images.
	config := fmt.Sprintf(`version: 0.1
log: {level: warn, accesslog: {disabled: true}}
storage: {inmemory: {}, delete: {enabled: %t}}
http: {addr: "127.0.0.1:%s", headers: {X-Content-Type-Options: [nosniff]}}
`, deletes, ports[0])
	name += "-" + ports[0]
	file := filepath.Join(s.dir, name+".yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return "", fmt.Errorf("write distribution's configuration: %w", err)
	}
	return s.registry(ctx, url, process.Command{Name: name, Path: path, Args: append(args, file)})
}

// Ociregistry starts CUE's registry, which has the referrers API and deletion, unless
// its tags are immutable.
func (s *Stack) Ociregistry(ctx context.Context, immutable bool) (string, error) {
	url, ports, err := addresses(ctx, 1)
	if err != nil {
		return "", err
	}
	return s.registry(ctx, url, process.Command{
		Name: "ociregistry-" + ports[0], Path: filepath.Join(s.tools.Registries, "ociregistry"),
		Args: []string{"-addr", "127.0.0.1:" + ports[0], fmt.Sprintf("-immutable=%t", immutable)},
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

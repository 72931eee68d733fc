// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/LerianStudio/pushguard/e2e/process"
)

const (
	// rekorOrigin names the log in checkpoints; it is never resolved.
	rekorOrigin = "rekor.e2e.local"
	// tsaMetrics is where the timestamp authority serves its metrics; no flag
	// changes it, so only one can run on a machine.
	tsaMetrics = ":2112"
	// TSAPath is that of the timestamp authority's one method.
	TSAPath = "/api/v1/timestamp"
)

func (s *Stack) startFulcio(ctx context.Context, m material) (string, error) {
	url, ports, err := addresses(ctx, 3)
	if err != nil {
		return "", err
	}
	config, err := json.Marshal(map[string]any{"OIDCIssuers": map[string]any{
		s.Issuer.URL: map[string]string{"IssuerURL": s.Issuer.URL, "ClientID": "sigstore", "Type": "github-workflow"},
	}})
	if err != nil {
		return "", fmt.Errorf("write Fulcio's configuration: %w", err)
	}
	configPath := filepath.Join(s.dir, "fulcio.json")
	if err := os.WriteFile(configPath, config, 0o600); err != nil {
		return "", fmt.Errorf("write Fulcio's configuration: %w", err)
	}
	return url, s.serve(ctx, process.Command{Name: "fulcio", Path: "fulcio", Args: []string{
		"serve", "--log_type=prod", "--config-path", configPath,
		"--ca=fileca", "--fileca-cert", m.fulcioChain, "--fileca-key", m.fulcioKey,
		"--fileca-key-passwd=unused", "--fileca-watch=false",
		"--ct-log-url", s.ct.URL, "--ct-log-public-key-path", m.ctPub,
		"--host=127.0.0.1", "--port", ports[0], "--grpc-host=127.0.0.1", "--grpc-port", ports[1],
		"--metrics-port", ports[2], "--legacy-unix-domain-socket", filepath.Join(s.dir, "fulcio.sock"),
	}}, url+"/api/v2/configuration")
}

func (s *Stack) startTSA(ctx context.Context, m material) (string, error) {
	if err := process.AwaitPortFree(ctx, tsaMetrics); err != nil {
		return "", fmt.Errorf("start the timestamp authority: %w", err)
	}
	url, ports, err := addresses(ctx, 1)
	if err != nil {
		return "", err
	}
	return url, s.serve(ctx, process.Command{Name: "tsa", Path: "timestamp-server", Args: []string{
		"serve", "--log-type=prod", "--host=127.0.0.1", "--port", ports[0],
		"--timestamp-signer=file", "--file-signer-key-path", m.tsaKey, "--file-signer-passwd=unused",
		"--certificate-chain-path", m.tsaChain, "--disable-ntp-monitoring",
	}}, url+"/ping")
}

func (s *Stack) startRekor(ctx context.Context, m material) (string, error) {
	url, ports, err := addresses(ctx, 3)
	if err != nil {
		return "", err
	}
	return url, s.serve(ctx, process.Command{Name: "rekor", Path: "posix", Args: []string{
		"serve", "--storage-dir", filepath.Join(s.dir, "rekor"), "--signer-filepath", m.rekorKey,
		"--hostname", rekorOrigin, "--checkpoint-interval=500ms", "--batch-max-age=100ms", "--persistent-antispam=true",
		"--http-address=127.0.0.1", "--http-port", ports[0], "--grpc-address=127.0.0.1", "--grpc-port", ports[1],
		"--http-metrics-port", ports[2],
	}}, url+"/healthz")
}

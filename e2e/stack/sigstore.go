// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/LerianStudio/pushguard/e2e/process"
)

const (
	// rekorOrigin names Rekor v2 in checkpoints; it is never resolved.
	rekorOrigin = "rekor.e2e.local"
	// metricsPort is where the timestamp authority and Rekor v1 serve their
	// metrics; no flag changes it. Rekor goes on without it, the authority ends.
	metricsPort = ":2112"
	// TSAPath is that of the timestamp authority's one method.
	TSAPath = "/api/v1/timestamp"

	quickInterval = 200 * time.Millisecond // of Trillian's signer, for all but one log
	// slowInterval is that of the log that takes entries long before it shows them.
	slowInterval = 20 * time.Second
)

func (s *Stack) startFulcio(ctx context.Context) error {
	url, ports, err := addresses(ctx, 3)
	if err != nil {
		return err
	}
	config, err := json.Marshal(map[string]any{"OIDCIssuers": map[string]any{
		s.Issuer.URL: map[string]string{"IssuerURL": s.Issuer.URL, "ClientID": "sigstore", "Type": "github-workflow"},
	}})
	if err != nil {
		return fmt.Errorf("write Fulcio's configuration: %w", err)
	}
	configPath := filepath.Join(s.dir, "fulcio.json")
	if err := os.WriteFile(configPath, config, 0o600); err != nil {
		return fmt.Errorf("write Fulcio's configuration: %w", err)
	}
	s.Fulcio = url
	return s.serve(ctx, process.Command{Name: "fulcio", Path: "fulcio", Args: []string{
		"serve", "--log_type=prod", "--config-path", configPath,
		"--ca=fileca", "--fileca-cert", s.material.fulcioChain, "--fileca-key", s.material.fulcioKey,
		"--fileca-key-passwd=unused", "--fileca-watch=false",
		"--ct-log-url", s.ct, "--ct-log-public-key-path", s.material.ctPub,
		"--host=127.0.0.1", "--port", ports[0], "--grpc-host=127.0.0.1", "--grpc-port", ports[1],
		"--metrics-port", ports[2], "--legacy-unix-domain-socket", filepath.Join(s.dir, "fulcio.sock"),
	}}, url+"/api/v2/configuration")
}

// AwaitTurn waits until no other stack runs on this machine.
func AwaitTurn(ctx context.Context) error { return process.AwaitPortFree(ctx, metricsPort) }

func (s *Stack) startTSA(ctx context.Context) error {
	if err := AwaitTurn(ctx); err != nil {
		return fmt.Errorf("start the timestamp authority: %w", err)
	}
	url, ports, err := addresses(ctx, 1)
	if err != nil {
		return err
	}
	s.TSA = url
	return s.serve(ctx, process.Command{Name: "tsa", Path: "timestamp-server", Args: []string{
		"serve", "--log-type=prod", "--host=127.0.0.1", "--port", ports[0],
		"--timestamp-signer=file", "--file-signer-key-path", s.material.tsaKey, "--file-signer-passwd=unused",
		"--certificate-chain-path", s.material.tsaChain, "--disable-ntp-monitoring",
	}}, url+"/ping")
}

// startDatabase starts what Rekor v1 and the CT log keep their trees in.
func (s *Stack) startDatabase(ctx context.Context) (err error) {
	if s.postgres, err = s.startPostgres(ctx); err != nil {
		return err
	}
	s.trillian, err = s.startTrillian(ctx, "trillian", quickInterval, 2)
	return err
}

func (s *Stack) startRekorV1(ctx context.Context) (err error) {
	s.RekorV1, err = s.rekorV1(ctx, s.trillian, s.material.rekorV1Key)
	return err
}

// StartSlowRekor starts a Rekor v1 that has taken an entry for up to 20 seconds
// before it shows it. It can be called once.
func (s *Stack) StartSlowRekor(ctx context.Context) (Log, error) {
	t, err := s.startTrillian(ctx, "slow", slowInterval, 1)
	if err != nil {
		return Log{}, err
	}
	return s.rekorV1(ctx, t, s.material.rekorSlowKey)
}

func (s *Stack) rekorV1(ctx context.Context, t *trillian, key string) (Log, error) {
	url, ports, err := addresses(ctx, 1)
	if err != nil {
		return Log{}, err
	}
	return Log{URL: url, Version: 1}, s.serve(ctx, process.Command{Name: "rekor-on-" + t.name, Path: "rekor-server", Args: []string{
		"serve", "--log_type=prod", "--rekor_server.address=127.0.0.1", "--port", ports[0],
		"--rekor_server.hostname=127.0.0.1", "--rekor_server.signer", key, "--enable_retrieve_api=false",
		"--trillian_log_server.address=127.0.0.1", "--trillian_log_server.port", t.port,
		"--trillian_log_server.tlog_id", t.trees[0],
	}}, url+"/api/v1/log")
}

func (s *Stack) startRekorV2(ctx context.Context) error {
	url, ports, err := addresses(ctx, 3)
	if err != nil {
		return err
	}
	storage := filepath.Join(s.dir, "rekor")
	if s.tiles, err = withTiles(url, storage); err != nil {
		return err
	}
	s.RekorV2 = Log{URL: s.tiles.URL, Version: 2}
	return s.serve(ctx, process.Command{Name: "rekor-v2", Path: "posix", Args: []string{
		"serve", "--storage-dir", storage, "--signer-filepath", s.material.rekorV2Key,
		"--hostname", rekorOrigin, "--checkpoint-interval=500ms", "--batch-max-age=100ms", "--persistent-antispam=true",
		"--http-address=127.0.0.1", "--http-port", ports[0], "--grpc-address=127.0.0.1", "--grpc-port", ports[1],
		"--http-metrics-port", ports[2],
	}}, url+"/healthz")
}

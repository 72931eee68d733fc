// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/LerianStudio/pushguard/e2e/process"
)

// startCTLog starts a certificate transparency log that takes Fulcio's
// certificates, and so gives them their SCTs.
func (s *Stack) startCTLog(ctx context.Context) error {
	config, err := ctConfig(s.trillian.trees[1], s.material.fulcioChain, s.material.ctKey)
	if err != nil {
		return fmt.Errorf("write the CT log's configuration: %w", err)
	}
	path := filepath.Join(s.dir, "ct.cfg")
	if err := os.WriteFile(path, config, 0o600); err != nil {
		return fmt.Errorf("write the CT log's configuration: %w", err)
	}
	url, ports, err := addresses(ctx, 1)
	if err != nil {
		return err
	}
	s.ct = url + "/ct"
	return s.serve(ctx, process.Command{Name: "ct", Path: "ct_server", Args: []string{
		"--http_endpoint=127.0.0.1:" + ports[0], "--log_rpc_server=127.0.0.1:" + s.trillian.port,
		"--log_config=" + path, "--logtostderr",
	}}, s.ct+"/ct/v1/get-roots")
}

// ctConfig is a LogConfigSet in protobuf's text format. A key file would have to
// be encrypted; the key itself need not.
func ctConfig(tree, roots string, key *ecdsa.PrivateKey) ([]byte, error) {
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, `config {
  log_id: %s
  prefix: "ct"
  roots_pem_file: %q
  private_key { [type.googleapis.com/keyspb.PrivateKey] { der: "%s" } }
  public_key { der: "%s" }
  max_merge_delay_sec: 86400
}
`, tree, roots, escape(private), escape(public)), nil
}

// escape writes bytes as the text format has them.
func escape(b []byte) string {
	var s strings.Builder
	for _, c := range b {
		fmt.Fprintf(&s, `\x%02x`, c)
	}
	return s.String()
}

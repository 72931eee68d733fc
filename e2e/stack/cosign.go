// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/LerianStudio/pushguard/e2e/process"
)

// Endpoints are the base URLs that a signing config names: the servers' own, or
// those of gateways in front of them.
type Endpoints struct{ Fulcio, TSA, Rekor string }

// Endpoints are the servers' own.
func (s *Stack) Endpoints() Endpoints {
	return Endpoints{Fulcio: s.Fulcio, TSA: s.TSA, Rekor: s.Rekor}
}

// Cosign runs the real cosign. A non-zero exit code is a Result, not an error.
func (s *Stack) Cosign(ctx context.Context, env []string, args ...string) (process.Result, error) {
	return process.Run(ctx, process.Command{
		Name: "cosign", Path: filepath.Join(s.tools, "cosign"), Args: args,
		Env: append(s.Env(), env...), Dir: s.dir,
	}, nil)
}

// Sign signs image (REPOSITORY@DIGEST) with cosign, as the job of g.
func (s *Stack) Sign(ctx context.Context, g *Grant, signingConfig, image string) (process.Result, error) {
	return s.Cosign(ctx, g.Env(), "sign", "--yes",
		"--signing-config", signingConfig, "--trusted-root", s.TrustedRoot, image)
}

// Verify is the judge: cosign's verdict on image, for exactly this identity,
// with SCT, log entry and signed timestamp all checked.
func (s *Stack) Verify(ctx context.Context, identity, image string) (process.Result, error) {
	return s.Cosign(ctx, nil, "verify", "--trusted-root", s.TrustedRoot, "--use-signed-timestamps",
		"--certificate-identity", identity, "--certificate-oidc-issuer", s.Issuer.URL, image)
}

// SigningConfig writes dir/signing_config.json, which names e.
func (s *Stack) SigningConfig(ctx context.Context, dir string, e Endpoints) (string, error) {
	path := filepath.Join(dir, "signing_config.json")
	service := func(url string, version int) string {
		return fmt.Sprintf("url=%s,api-version=%d,start-time=%s,operator=e2e", url, version, s.since())
	}
	return path, s.create(ctx, "signing-config", "create", "--out", path,
		"--fulcio", service(e.Fulcio, 1), "--oidc-provider", service(s.Issuer.URL, 1),
		"--tsa", service(e.TSA+TSAPath, 1), "--tsa-config", "ANY",
		"--rekor", service(e.Rekor, 2), "--rekor-config", "ANY")
}

func (s *Stack) writeTrustedRoot(ctx context.Context, m material) error {
	return s.create(ctx, "trusted-root", "create", "--out", s.TrustedRoot,
		"--fulcio", fmt.Sprintf("url=%s,certificate-chain=%s", s.Fulcio, m.fulcioChain),
		"--tsa", fmt.Sprintf("url=%s,certificate-chain=%s", s.TSA+TSAPath, m.tsaChain),
		"--ctfe", fmt.Sprintf("url=%s,public-key=%s,start-time=%s", s.ct.URL, m.ctPub, s.since()),
		"--rekor", fmt.Sprintf("url=http://%[1]s,public-key=%s,start-time=%s,origin=%[1]s", rekorOrigin, m.rekorPub, s.since()))
}

func (s *Stack) create(ctx context.Context, args ...string) error {
	res, err := s.Cosign(ctx, nil, args...)
	if err == nil && res.Code != 0 {
		err = fmt.Errorf("exit %d: %s", res.Code, res.Stderr)
	}
	if err != nil {
		return fmt.Errorf("cosign %s: %w", args[0], err)
	}
	return nil
}

func (s *Stack) since() string { return s.start.UTC().Format(time.RFC3339) }

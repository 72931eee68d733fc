// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"context"
	"debug/buildinfo"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/LerianStudio/pushguard/e2e/process"
)

// Endpoints are what a signer uses: the servers' own URLs, or those of gateways
// in front of them.
type Endpoints struct {
	Fulcio, TSA string
	Rekor       Log
}

// Cosign is one of the real cosigns: the peer, and the judge.
type Cosign struct {
	Version string

	stack *Stack
	path  string
	env   []string
}

// Cosign3 is the latest cosign. It signs with bundles.
func (s *Stack) Cosign3() Cosign {
	return Cosign{Version: s.versions[0], stack: s, path: s.cosignPath(3)}
}

// Cosign2 is the last of cosign's second version. It signs in the legacy layout,
// and trusts what its environment names.
func (s *Stack) Cosign2() Cosign {
	return Cosign{Version: s.versions[1], stack: s, path: s.cosignPath(2), env: []string{
		"SIGSTORE_ROOT_FILE=" + s.material.fulcioChain,
		"SIGSTORE_REKOR_PUBLIC_KEY=" + s.material.rekorV1Pub,
		"SIGSTORE_CT_LOG_PUBLIC_KEY_FILE=" + s.material.ctPub,
	}}
}

func (s *Stack) cosignPath(major int) string {
	if major == 2 {
		return filepath.Join(s.tools.Cosign2, "cosign")
	}
	return filepath.Join(s.tools.Servers, "cosign")
}

// readVersions has the binaries say which cosigns they are. Not every user of the
// stack needs the second.
func (s *Stack) readVersions(context.Context) error {
	for i, major := range []int{3, 2} {
		if major == 2 && s.tools.Cosign2 == "" {
			continue
		}
		info, err := buildinfo.ReadFile(s.cosignPath(major))
		if err != nil {
			return fmt.Errorf("read the version of cosign %d: %w", major, err)
		}
		s.versions[i] = strings.TrimPrefix(info.Main.Version, "v")
	}
	return nil
}

// Command is a run of cosign.
func (c Cosign) Command(env []string, args ...string) process.Command {
	return process.Command{
		Name: "cosign-" + c.Version, Path: c.path, Args: args,
		Env: slices.Concat(c.stack.Env(), c.env, env), Dir: c.stack.dir,
	}
}

// Run runs cosign. A non-zero exit code is a Result, not an error.
func (c Cosign) Run(ctx context.Context, env []string, args ...string) (process.Result, error) {
	return process.Run(ctx, c.Command(env, args...), nil)
}

// SignArgs are the arguments that sign on e, which the file config names.
func (c Cosign) SignArgs(config string, e Endpoints, args ...string) []string {
	services := []string{"sign", "--yes", "--signing-config", config, "--trusted-root", c.stack.TrustedRoot}
	if len(c.env) > 0 {
		services = []string{
			"sign", "--yes", "--fulcio-url", e.Fulcio, "--rekor-url", e.Rekor.URL,
			"--oidc-issuer", c.stack.Issuer.URL, "--timestamp-server-url", e.TSA + TSAPath,
		}
	}
	return append(services, args...)
}

// Judge is a way to verify a signature.
type Judge struct {
	Name   string
	cosign Cosign
	args   []string
}

// BundleJudges verify bundles: certificate with SCT, log entry, signed timestamp.
func (s *Stack) BundleJudges() []Judge {
	trust := []string{"--trusted-root", s.TrustedRoot, "--use-signed-timestamps"}
	return []Judge{
		{"cosign 3, bundle", s.Cosign3(), trust},
		{"cosign 2, bundle", s.Cosign2(), append(slices.Clone(trust), "--new-bundle-format")},
		{"cosign 2 by itself", s.Cosign2(), trust},
	}
}

// LegacyJudges verify legacy signatures: certificate with SCT, log entry. Where the
// image has a bundle too, whoever signed it, only the first does: cosign 2.6 then
// reads bundles alone.
func (s *Stack) LegacyJudges() []Judge {
	return []Judge{
		{"cosign 3, legacy", s.Cosign3(), []string{"--trusted-root", s.TrustedRoot, "--new-bundle-format=false"}},
		{"cosign 2, legacy", s.Cosign2(), nil},
	}
}

// Verify is the judge's verdict on image (REPOSITORY@DIGEST), for exactly this identity.
func (j Judge) Verify(ctx context.Context, identity, image string, args ...string) (process.Result, error) {
	return j.cosign.Run(ctx, nil, slices.Concat([]string{"verify"}, j.args, []string{
		"--certificate-identity", identity, "--certificate-oidc-issuer", j.cosign.stack.Issuer.URL,
	}, args, []string{image})...)
}

// SigningConfig writes dir/signing_config.json, which names e.
func (s *Stack) SigningConfig(ctx context.Context, dir string, e Endpoints) (string, error) {
	path := filepath.Join(dir, "signing_config.json")
	service := func(url string, version int) string {
		return fmt.Sprintf("url=%s,api-version=%d,start-time=%s,operator=e2e", url, version, s.validFrom())
	}
	return path, s.create(ctx, "signing-config", "create", "--out", path,
		"--fulcio", service(e.Fulcio, 1), "--oidc-provider", service(s.Issuer.URL, 1),
		"--tsa", service(e.TSA+TSAPath, 1), "--tsa-config", "ANY",
		"--rekor", service(e.Rekor.URL, e.Rekor.Version), "--rekor-config", "ANY")
}

func (s *Stack) writeTrustedRoot(ctx context.Context) error {
	m, from := s.material, s.validFrom()
	s.TrustedRoot = filepath.Join(s.dir, "trusted_root.json")
	return s.create(ctx, "trusted-root", "create", "--out", s.TrustedRoot,
		"--fulcio", fmt.Sprintf("url=%s,certificate-chain=%s", s.Fulcio, m.fulcioChain),
		"--tsa", fmt.Sprintf("url=%s,certificate-chain=%s", s.TSA+TSAPath, m.tsaChain),
		"--ctfe", fmt.Sprintf("url=%s,public-key=%s,start-time=%s", s.ct, m.ctPub, from),
		"--rekor", fmt.Sprintf("url=%s,public-key=%s,start-time=%s", s.RekorV1.URL, m.rekorV1Pub, from),
		"--rekor", fmt.Sprintf("url=http://rekor-slow,public-key=%s,start-time=%s", m.rekorSlowPub, from),
		"--rekor", fmt.Sprintf("url=http://%[1]s,public-key=%s,start-time=%s,origin=%[1]s", rekorOrigin, m.rekorV2Pub, from))
}

func (s *Stack) create(ctx context.Context, args ...string) error {
	res, err := s.Cosign3().Run(ctx, nil, args...)
	if err == nil && res.Code != 0 {
		err = fmt.Errorf("exit %d: %s", res.Code, res.Stderr)
	}
	if err != nil {
		return fmt.Errorf("cosign %s: %w", args[0], err)
	}
	return nil
}

func (s *Stack) validFrom() string { return s.since.UTC().Format(time.RFC3339) }

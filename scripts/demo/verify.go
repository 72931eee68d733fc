// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/LerianStudio/pushguard/pkg/signing"
	"github.com/LerianStudio/pushguard/pkg/signing/signingtest"
)

// verify reads what signretry has attached with go-containerregistry's client and
// has sigstore-go's verifier judge it.
func (d *demo) verify(ctx context.Context) error {
	trust, err := signing.LoadTrust(filepath.Join(d.dir, "trusted_root.json"))
	if err != nil {
		return err
	}
	identity := signing.Identity{Issuer: signingtest.Issuer, Subject: d.sigstore.OIDC.Subject()}
	for _, host := range []string{d.hub, d.ghcr} {
		image := host + "/org/app@" + d.digest
		bundle, err := attached(ctx, image)
		if err != nil {
			return err
		}
		verified, err := signing.New(signing.Options{}).Verify(bundle, trust, d.digest, identity.Only())
		if err != nil {
			return err
		}
		d.say(fmt.Sprintf("verified %s\n  signed by %s, log index %d", image, identity.Subject, verified.LogIndex))
	}
	return nil
}

// attached reads the one signature that image has.
func attached(ctx context.Context, image string) ([]byte, error) {
	digest, err := name.NewDigest(image)
	if err != nil {
		return nil, err
	}
	index, err := remote.Referrers(digest, remote.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	if len(manifest.Manifests) != 1 {
		return nil, fmt.Errorf("%s has %d signatures, one was told", image, len(manifest.Manifests))
	}
	signature, err := remote.Image(digest.Context().Digest(manifest.Manifests[0].Digest.String()), remote.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	layers, err := signature.Layers()
	if err != nil {
		return nil, err
	}
	if len(layers) != 1 {
		return nil, fmt.Errorf("the signature of %s has %d layers, one was told", image, len(layers))
	}
	content, err := layers[0].Uncompressed()
	if err != nil {
		return nil, err
	}
	defer content.Close()
	return io.ReadAll(content)
}

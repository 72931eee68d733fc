// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"context"
	"fmt"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Referrers counts what is attached to image (REPOSITORY@DIGEST), by API or by tag.
func Referrers(ctx context.Context, image string) (int, error) {
	digest, err := name.NewDigest(image)
	if err != nil {
		return 0, fmt.Errorf("count referrers: %w", err)
	}
	index, err := remote.Referrers(digest, remote.WithContext(ctx))
	if err != nil {
		return 0, fmt.Errorf("count referrers of %s: %w", image, err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return 0, fmt.Errorf("count referrers of %s: %w", image, err)
	}
	return len(manifest.Manifests), nil
}

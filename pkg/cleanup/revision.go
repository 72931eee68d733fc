// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package cleanup

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/LerianStudio/pushguard/pkg/registry"
	"github.com/LerianStudio/pushguard/pkg/retry"
)

// revisionKey is the pre-defined annotation and label for the commit that an image
// was built from (OCI image specification, "Annotations").
const revisionKey = "org.opencontainers.image.revision"

// maxConfig bounds an image configuration, which is a few KiB.
const maxConfig = 4 << 20

// revision reads the commit that the image ref was built from: the annotation of
// the manifest or index, else the label of the (first platform's) image
// configuration. It is "" when the image does not say.
func (c Cleaner) revision(ctx context.Context, ref registry.Reference) (string, error) {
	return retry.Do(ctx, c.Policy, func(ctx context.Context) (string, error) {
		return c.revisionOf(ctx, ref, 0)
	})
}

func (c Cleaner) revisionOf(ctx context.Context, ref registry.Reference, depth int) (string, error) {
	m, err := c.Registry.Manifest(ctx, ref)
	if err != nil {
		return "", err
	}
	var image struct {
		Annotations map[string]string     `json:"annotations"`
		Config      registry.Descriptor   `json:"config"`
		Manifests   []registry.Descriptor `json:"manifests"`
	}
	if err := json.Unmarshal(m.Raw, &image); err != nil {
		return "", fmt.Errorf("read manifest of %s: %w", ref, err)
	}
	switch {
	case image.Annotations[revisionKey] != "":
		return image.Annotations[revisionKey], nil
	case len(image.Manifests) > 0 && depth < maxDepth:
		return c.revisionOf(ctx, ref.WithDigest(image.Manifests[0].Digest), depth+1)
	case !registry.ValidDigest(image.Config.Digest):
		return "", nil
	}
	data, err := c.Registry.Blob(ctx, ref, image.Config, maxConfig)
	if err != nil {
		return "", err
	}
	var config struct {
		Config struct {
			Labels map[string]string `json:"Labels"`
		} `json:"config"`
	}
	if err := json.Unmarshal(data, &config); err != nil {
		return "", nil //nolint:nilerr // not an image configuration: it has no label
	}
	return config.Config.Labels[revisionKey], nil
}

// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// theImage is the user's image, or the demo's own.
func theImage(file string) (v1.ImageIndex, error) {
	if file == "" {
		return makeImage("1.2.3")
	}
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		index, err := layout.ImageIndexFromPath(file)
		if err != nil {
			return nil, fmt.Errorf("read OCI layout %s: %w", file, err)
		}
		return only(index)
	}
	image, err := tarball.ImageFromPath(file, nil)
	if err != nil {
		return nil, fmt.Errorf("read %s as a tar of docker save: %w", file, err)
	}
	return mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: image}), nil
}

// only takes an index out of a layout's index that holds nothing else.
func only(index v1.ImageIndex) (v1.ImageIndex, error) {
	manifest, err := index.IndexManifest()
	if err != nil || len(manifest.Manifests) != 1 || !manifest.Manifests[0].MediaType.IsIndex() {
		return index, err
	}
	return index.ImageIndex(manifest.Manifests[0].Digest)
}

// makeImage makes an image for two platforms from files, the same one each time.
func makeImage(version string) (v1.ImageIndex, error) {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, architecture := range []string{"amd64", "arm64"} {
		layer, err := makeLayer(map[string]string{
			"app/version":      version + "\n",
			"app/architecture": architecture + "\n",
		})
		if err != nil {
			return nil, err
		}
		image, err := mutate.AppendLayers(mutate.MediaType(empty.Image, types.OCIManifestSchema1), layer)
		if err != nil {
			return nil, err
		}
		platform := v1.Platform{OS: "linux", Architecture: architecture}
		config, err := image.ConfigFile()
		if err != nil {
			return nil, err
		}
		config = config.DeepCopy()
		config.OS, config.Architecture = platform.OS, platform.Architecture
		config.Config.Labels = map[string]string{"org.opencontainers.image.version": version}
		if image, err = mutate.ConfigFile(image, config); err != nil {
			return nil, err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: &platform}})
	}
	return index, nil
}

func makeLayer(files map[string]string) (v1.Layer, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, path := range []string{"app/version", "app/architecture"} {
		content := files[path]
		if err := w.WriteHeader(&tar.Header{Name: path, Mode: 0o644, Size: int64(len(content))}); err != nil {
			return nil, err
		}
		if _, err := io.WriteString(w, content); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil },
		tarball.WithMediaType(types.OCILayer))
}

func push(ctx context.Context, ref string, index v1.ImageIndex) error {
	tag, err := name.NewTag(ref)
	if err != nil {
		return err
	}
	return remote.WriteIndex(tag, index, remote.WithContext(ctx))
}

func head(ctx context.Context, ref string) (string, error) {
	tag, err := name.NewTag(ref)
	if err != nil {
		return "", err
	}
	d, err := remote.Head(tag, remote.WithContext(ctx))
	if err != nil {
		return "", err
	}
	return d.Digest.String(), nil
}

// describe says what an index holds.
func describe(index v1.ImageIndex) string {
	digest, err := index.Digest()
	manifest, merr := index.IndexManifest()
	if err := errors.Join(err, merr); err != nil {
		return err.Error()
	}
	var platforms []string
	for _, m := range manifest.Manifests {
		if m.Platform != nil {
			platforms = append(platforms, m.Platform.String())
		}
	}
	return fmt.Sprintf("%s, %d manifests %s", digest, len(manifest.Manifests), strings.Join(platforms, " "))
}

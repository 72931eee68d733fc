// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/LerianStudio/pushguard/pkg/command"
	"github.com/LerianStudio/pushguard/pkg/registry"
)

// images returns what is to be signed, each once, in the order given: the
// arguments, then the metadata file's, else what the record knows. What the
// metadata file says was pushed is noted in the record.
func (a *app) images(args []string, b *book) ([]registry.Reference, error) {
	var images []registry.Reference
	for _, arg := range args {
		ref, err := registry.ParseReference(arg)
		if err != nil {
			return nil, &command.UsageError{Err: err}
		}
		if ref.Digest == "" {
			return nil, &command.UsageError{
				Err:  fmt.Errorf("%s has no digest", arg),
				Next: "write IMAGE@sha256:…, as the push reported it: signing what a tag names now could sign someone else's image",
			}
		}
		images = append(images, ref)
	}
	built := a.metadata != ""
	if built {
		pushed, err := readMetadata(a.metadata)
		if errors.Is(err, fs.ErrNotExist) && b.nothingToBuild() {
			built, err = false, nil // the check before said so: the record knows the image
		}
		if err != nil {
			return nil, err
		}
		if err := b.pushed(pushed); err != nil {
			return nil, err
		}
		images = append(images, pushed...)
	}
	if len(args) == 0 && !built {
		if b.Path() == "" {
			return nil, &command.UsageError{Err: errors.New("no image is given"), Next: "give IMAGE@DIGEST, --metadata FILE or --record FILE"}
		}
		images = b.images()
	}
	if len(images) == 0 {
		return nil, &command.UsageError{
			Err:  fmt.Errorf("the record %s knows of no image that was published or found present", b.Path()),
			Next: "give IMAGE@DIGEST or --metadata FILE",
		}
	}
	return dedupe(images), nil
}

func dedupe(images []registry.Reference) []registry.Reference {
	seen := map[registry.Reference]bool{}
	return slices.DeleteFunc(images, func(r registry.Reference) bool {
		defer func() { seen[r] = true }()
		return seen[r]
	})
}

// maxMetadata bounds the metadata file: provenance makes it large, not that large.
const maxMetadata = 64 << 20

// readMetadata reads the metadata file of docker buildx build (one object) or
// bake (an object per target). Each name is returned with the digest, with its
// tag where it has one.
func readMetadata(path string) ([]registry.Reference, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, metadataError(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxMetadata))
	if err != nil {
		return nil, metadataError(err)
	}
	images, err := parseMetadata(data)
	if err != nil {
		return nil, &command.UsageError{
			Err:  fmt.Errorf("read metadata %s: %w", path, err),
			Next: "give the file of docker buildx build --push --metadata-file, or IMAGE@DIGEST",
		}
	}
	return images, nil
}

func metadataError(err error) error {
	return command.FileError(fmt.Errorf("read metadata: %w", err), "give the file of docker buildx build --metadata-file")
}

// built is what a buildx build reports.
type built struct {
	Names      string `json:"image.name"` // separated by commas
	Digest     string `json:"containerimage.digest"`
	Descriptor struct {
		Digest string `json:"digest"`
	} `json:"containerimage.descriptor"`
}

func parseMetadata(data []byte) ([]registry.Reference, error) {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(data, &object); err != nil {
		return nil, errors.New("not a JSON object")
	}
	if isBuilt(object) {
		return references("", data)
	}
	var images []registry.Reference
	for _, target := range slices.Sorted(maps.Keys(object)) {
		var fields map[string]json.RawMessage
		// "buildx.build.warnings" stands beside the targets and is none.
		if json.Unmarshal(object[target], &fields) != nil || !isBuilt(fields) {
			continue
		}
		refs, err := references("target "+target+": ", object[target])
		if err != nil {
			return nil, err
		}
		images = append(images, refs...)
	}
	if len(images) == 0 {
		return nil, errors.New("it names no image and no digest: was the image pushed?")
	}
	return images, nil
}

func isBuilt(object map[string]json.RawMessage) bool {
	for _, key := range []string{"containerimage.digest", "containerimage.descriptor", "image.name"} {
		if _, ok := object[key]; ok {
			return true
		}
	}
	return false
}

func references(where string, data []byte) ([]registry.Reference, error) {
	var b built
	if err := json.Unmarshal(data, &b); err != nil {
		return nil, fmt.Errorf("%simage.name or containerimage.digest is not a text", where)
	}
	digest := cmp.Or(b.Digest, b.Descriptor.Digest)
	if !registry.ValidDigest(digest) {
		return nil, fmt.Errorf("%sit holds no sha256 digest: was the image pushed?", where)
	}
	var refs []registry.Reference
	for name := range strings.SplitSeq(b.Names, ",") {
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		ref, err := registry.ParseReference(name)
		if err != nil {
			return nil, fmt.Errorf("%s%w", where, err)
		}
		ref.Digest = digest
		refs = append(refs, ref)
	}
	if len(refs) == 0 {
		return nil, fmt.Errorf("%sit holds the digest %s and no name: give IMAGE@%[2]s", where, digest)
	}
	return refs, nil
}

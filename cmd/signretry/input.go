// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/LerianStudio/pushguard/pkg/command"
	"github.com/LerianStudio/pushguard/pkg/registry"
)

// images returns what is to be signed, each once, in the order given: the
// arguments, then the metadata's, else what the record knows. What the metadata says
// was pushed is noted in the record.
func (a *app) images(env *command.Env, args []string, b *book) ([]registry.Reference, error) {
	images, err := a.given(env, args)
	if err != nil {
		return nil, err
	}
	built := (a.metadata != "" || a.metadataJSON != "") && !b.nothingToBuild()
	if built {
		pushed, err := a.readMetadata()
		if err != nil {
			return nil, err
		}
		if !a.check.on {
			if err := b.pushed(pushed); err != nil {
				return nil, err
			}
		}
		images = append(images, pushed...)
	}
	if len(args) == 0 && !built {
		if b.Path() == "" {
			return nil, &command.UsageError{Err: errors.New("no image is given"), Next: "give " + a.imageForm() + ", --metadata FILE or --record FILE"}
		}
		images = b.images()
	}
	if len(images) == 0 {
		err := fmt.Errorf("the record %s knows of no image that was published or found present", b.Path())
		if len(args) > 0 {
			err = errors.New("stdin names no image")
		}
		return nil, &command.UsageError{Err: err, Next: "give " + a.imageForm() + " or --metadata FILE"}
	}
	return dedupe(images), nil
}

// imageForm is how an image is named.
func (a *app) imageForm() string {
	if a.check.on {
		return "IMAGE:TAG, IMAGE@DIGEST"
	}
	return "IMAGE@DIGEST"
}

// given returns the images of the arguments; "-" stands for the lines of stdin.
func (a *app) given(env *command.Env, args []string) ([]registry.Reference, error) {
	var names []string
	for _, arg := range args {
		if arg != "-" {
			names = append(names, arg)
			continue
		}
		if a.identity.tokenFile == "-" {
			return nil, &command.UsageError{Err: errors.New("stdin cannot be both the images and the identity token"), Next: "give one of the two in another way"}
		}
		lines, err := registry.ReadNames(env.In)
		if err != nil {
			return nil, &command.UsageError{Err: err}
		}
		names = append(names, lines...)
	}
	var images []registry.Reference
	for _, name := range names {
		ref, err := registry.ParseReference(name)
		if err != nil {
			return nil, &command.UsageError{Err: err}
		}
		if ref.Digest == "" && !a.check.on {
			return nil, &command.UsageError{
				Err:  fmt.Errorf("%s has no digest", ref),
				Next: "write IMAGE@sha256:…, as the push reported it: signing what a tag names now could sign someone else's image",
			}
		}
		if ref.Tag == "" && ref.Digest == "" {
			return nil, &command.UsageError{Err: fmt.Errorf("%s has neither a tag nor a digest", ref)}
		}
		images = append(images, ref)
	}
	return images, nil
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

// readMetadata returns the images of --metadata and --metadata-json. Each name is
// returned with the digest, with its tag where it has one.
func (a *app) readMetadata() ([]registry.Reference, error) {
	var images []registry.Reference
	if a.metadata != "" {
		data, err := readFile(a.metadata, maxMetadata)
		if err != nil {
			return nil, command.FileError(fmt.Errorf("read metadata: %w", err), "give the file of docker buildx build --metadata-file")
		}
		found, err := parseMetadata(data)
		if err != nil {
			return nil, &command.UsageError{
				Err:  fmt.Errorf("read metadata %s: %w", a.metadata, err),
				Next: "give the file of docker buildx build --push --metadata-file, or IMAGE@DIGEST",
			}
		}
		images = append(images, found...)
	}
	if a.metadataJSON != "" {
		found, err := parseMetadata([]byte(a.metadataJSON))
		if err != nil {
			return nil, &command.UsageError{
				Err:  fmt.Errorf("read --metadata-json: %w", err),
				Next: "give the output metadata of docker/build-push-action or docker/bake-action, or IMAGE@DIGEST",
			}
		}
		images = append(images, found...)
	}
	return images, nil
}

// readFile reads a file of at most limit bytes.
func readFile(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%s is larger than %d MB", path, limit>>20)
	}
	return data, err
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

// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package tagcheck

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/LerianStudio/pushguard/pkg/registry"
)

// Input is how a user names the tags to check. All that is given is checked.
type Input struct {
	Images   []string  // references; "-" stands for the lines of Stdin
	Stdin    io.Reader // read only for "-"
	Names    []string  // repositories, each combined with each of Tags
	Tags     []string  // commas, blanks and newlines separate several
	Metadata string    // JSON of docker/metadata-action, "" for none
}

// References returns what in names, in order. All wrong ones are reported at once,
// before anything is asked of a registry.
func (in Input) References() ([]registry.Reference, error) {
	var names []string
	for _, arg := range in.Images {
		if arg != "-" {
			names = append(names, arg)
			continue
		}
		lines, err := registry.ReadNames(in.Stdin)
		if err != nil {
			return nil, err
		}
		names = append(names, lines...)
	}
	combined, err := in.combined()
	if err != nil {
		return nil, err
	}
	names = append(names, combined...)
	fromMetadata, err := metadataTags(in.Metadata)
	if err != nil {
		return nil, err
	}
	names = append(names, fromMetadata...)
	var refs []registry.Reference
	var wrong []error
	for _, name := range names {
		ref, err := registry.ParseReference(name)
		switch {
		case err != nil:
			wrong = append(wrong, err)
		case ref.Digest != "":
			wrong = append(wrong, fmt.Errorf("parse reference %q: a digest always names the same image; name the tag to check", name))
		case ref.Tag == "":
			wrong = append(wrong, fmt.Errorf("parse reference %q: it has no tag; write %s:TAG", name, name))
		default:
			refs = append(refs, ref)
		}
	}
	return refs, errors.Join(wrong...)
}

// combined pairs every name with every tag.
func (in Input) combined() ([]string, error) {
	names, tags := registry.Split(in.Names), registry.Split(in.Tags)
	if (len(names) == 0) != (len(tags) == 0) {
		return nil, errors.New("--image and --tag go together: each image is checked with each tag")
	}
	var pairs []string
	for _, name := range names {
		for _, tag := range tags {
			pairs = append(pairs, name+":"+tag)
		}
	}
	return pairs, nil
}

// metadataTags reads the references of docker/metadata-action's "json" output and
// $DOCKER_METADATA_OUTPUT_JSON (docker/metadata-action, src/meta.ts).
func metadataTags(text string) ([]string, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	var metadata struct {
		Tags []string `json:"tags"`
	}
	if err := json.Unmarshal([]byte(text), &metadata); err != nil {
		return nil, fmt.Errorf("read docker/metadata-action's JSON: %w", err)
	}
	return metadata.Tags, nil
}

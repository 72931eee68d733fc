// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// chain is one release, from the check before the build to the clean-up.
func (d *demo) chain(ctx context.Context, image string) error {
	if err := d.earlierRelease(ctx); err != nil {
		return err
	}
	tags := []string{d.hub + "/org/app:1.2.3", d.ghcr + "/org/app:1.2.3"}
	moving := []string{d.hub + "/org/app:latest", d.ghcr + "/org/app:latest"}
	all := append(append([]string{"--moving=latest"}, tags...), moving...)
	for _, step := range []struct {
		title string
		do    func() error
	}{
		{"1. Before the build: do the tags exist? latest is expected to.", func() error {
			return d.run(ctx, want{output: []string{`verdict: new, should build: yes`}}, "tagcheck", all...)
		}},
		{"2. Build and push to both registries.", func() error { return d.release(ctx, image, append(tags, moving...)) }},
		{"3. Sign. Rekor stores the entry but its answer is lost (502); then it says 404 twice.", func() error { return d.sign(ctx) }},
		{"4. Verify, with another client and the root of trust alone.", func() error { return d.verify(ctx) }},
		{"5. The job is run again: nothing to build,", func() error {
			return d.run(ctx, want{output: []string{`verdict: complete, should build: no`}}, "tagcheck", append([]string{"--on-existing=skip"}, all...)...)
		}},
		{"6. and nothing to sign: the signatures there are verified, no certificate is asked for.", func() error { return d.signAgain(ctx) }},
		{"7. A later step of the job fails. What would be undone?", func() error {
			return d.run(ctx, want{output: []string{`org/app:1\.2\.3 .* delete +planned`, `org/app:latest .* restore +planned`, `nothing was changed`}}, "regcleanup")
		}},
		{"8. Undo it.", func() error {
			return d.run(ctx, want{output: []string{`org/app:1\.2\.3 .* delete +done`, `org/app:latest .* restore +done`}}, "regcleanup", "--delete")
		}},
		{"9. As before the run: the tags are free, latest is the earlier release.", func() error { return d.asBefore(ctx, tags, moving) }},
	} {
		d.say("\n" + step.title)
		if err := step.do(); err != nil {
			return fmt.Errorf("step %s: %w", step.title, err)
		}
	}
	return nil
}

// earlier is the image that latest names before the run.
const earlier = "1.2.2"

func (d *demo) earlierRelease(ctx context.Context) error {
	index, err := makeImage(earlier)
	if err != nil {
		return err
	}
	for _, host := range []string{d.hub, d.ghcr} {
		for _, tag := range []string{earlier, "latest"} {
			if err := push(ctx, host+"/org/app:"+tag, index); err != nil {
				return err
			}
		}
	}
	return nil
}

// release pushes the image as buildx would, and writes the same metadata file.
func (d *demo) release(ctx context.Context, file string, tags []string) error {
	index, err := theImage(file)
	if err != nil {
		return err
	}
	digest, err := index.Digest()
	if err != nil {
		return err
	}
	d.digest = digest.String()
	for _, tag := range tags {
		if err := push(ctx, tag, index); err != nil {
			return err
		}
		d.say("pushed " + tag)
	}
	metadata, err := json.Marshal(map[string]string{"containerimage.digest": d.digest, "image.name": strings.Join(tags, ",")})
	if err != nil {
		return err
	}
	d.say(describe(index))
	return os.WriteFile(filepath.Join(d.dir, "metadata.json"), metadata, 0o600)
}

func (d *demo) sign(ctx context.Context) error {
	d.sigstore.Rekor.LoseAnswer(1)
	d.sigstore.Rekor.NotFound(2)
	err := d.run(ctx, want{output: []string{`org/app:1\.2\.3@sha256:\S+ +signed `}}, "signretry", "--metadata=metadata.json")
	if err != nil {
		return err
	}
	certificates, entries := d.sigstore.Fulcio.Certificates(), d.sigstore.Rekor.Entries()
	d.say(fmt.Sprintf("Fulcio has issued %d certificate, Rekor holds %d entry: for all tags in both registries.", certificates, entries))
	if certificates != 1 || entries != 1 {
		return fmt.Errorf("%d certificates and %d log entries, one of each was told", certificates, entries)
	}
	return nil
}

func (d *demo) signAgain(ctx context.Context) error {
	err := d.run(ctx, want{output: []string{`org/app:1\.2\.3@sha256:\S+ +already signed `}}, "signretry", "--metadata=metadata.json")
	if err == nil && d.sigstore.Fulcio.Certificates() != 1 {
		err = errors.New("a second certificate was asked for")
	}
	return err
}

// asBefore checks that the run has left nothing.
func (d *demo) asBefore(ctx context.Context, tags, moving []string) error {
	args := append(append([]string{"--record=after.json", "--on-existing=skip", "--moving=latest"}, tags...), moving...)
	if err := d.run(ctx, want{output: []string{`verdict: new, should build: yes`}}, "tagcheck", args...); err != nil {
		return err
	}
	index, err := makeImage(earlier)
	if err != nil {
		return err
	}
	old, err := index.Digest()
	if err != nil {
		return err
	}
	for _, ref := range moving {
		now, err := head(ctx, ref)
		if err != nil {
			return err
		}
		if now != old.String() {
			return fmt.Errorf("%s is %s, before the run it was %s", ref, now, old)
		}
	}
	return nil
}

// summary signs one image while Rekor answers as it does in its worst minutes, for a
// picture of the step summary.
func (d *demo) summary(ctx context.Context, file string) error {
	d.sigstore.Rekor.LoseAnswer(1)
	d.sigstore.Rekor.NotFound(4)
	path, err := filepath.Abs(file)
	if err != nil {
		return err
	}
	d.env = append(d.env, "GITHUB_STEP_SUMMARY="+path, "SIGNRETRY_RECORD=summary.json")
	return d.run(ctx, want{output: []string{` signed `}}, "signretry", d.ghcr+"/org/app@"+d.digest)
}

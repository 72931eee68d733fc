// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package cleanup

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/LerianStudio/pushguard/pkg/change"
	"github.com/LerianStudio/pushguard/pkg/registry"
	"github.com/LerianStudio/pushguard/pkg/registry/host"
)

// detachKey is the annotation of a throw-away manifest: "DIGEST TAG NONCE", the image
// and the tag that it was made for. A run that was killed is recognized by it.
const detachKey = "com.github.lerianstudio.pushguard.detached"

// putBack is how long giving a tag its image back may take, whatever ended before.
const putBack = 20 * time.Second

// detach moves a tag to a throw-away manifest, which makes it a version of its own,
// deletes that version, and sees that the others have their image still.
func (r *run) detach(ctx context.Context, s Step, others []string) Report {
	ref := s.Claim.Ref
	old, err := r.manifest(ctx, ref.WithDigest(s.Now))
	if err != nil {
		return r.refused(s, err)
	}
	thrown, err := throwAway(old, ref.Tag)
	if err != nil {
		return r.refused(s, err)
	}
	outcome, now, err := change.Put(ctx, r.Policy, r.Registry, ref, s.Now, thrown)
	if err != nil { // the answer may be lost and the manifest there
		return r.giveBack(ctx, s, thrown.Digest, r.refused(s, err))
	}
	if outcome != change.Made {
		return r.report(s)(outcome, now, nil)
	}
	report := r.finishDetach(ctx, s, thrown.Digest, s.Now)
	if report.Outcome != Done {
		return report
	}
	for _, tag := range others {
		now, err := r.now(ctx, ref.WithTag(tag))
		if err == nil && now != s.Now {
			report.Detail += fmt.Sprintf("; %s is no longer this image, somebody moved it meanwhile", ref.WithTag(tag))
		}
	}
	from := list(others)
	if len(others) == 0 {
		from = "an image that was there before this run"
	}
	report.Detail = "detached from " + from + report.Detail
	return report
}

// throwAway makes an image manifest without layers, or an index without images.
func throwAway(old registry.Manifest, tag string) (registry.Manifest, error) {
	var m map[string]any
	if err := json.Unmarshal(old.Raw, &m); err != nil {
		return old, fmt.Errorf("read manifest %s: %w", old.Digest, err)
	}
	for _, name := range []string{"layers", "manifests"} {
		if m[name] != nil {
			m[name] = []any{}
		}
	}
	delete(m, "subject")
	m["mediaType"] = old.MediaType
	m["annotations"] = map[string]string{detachKey: old.Digest + " " + tag + " " + rand.Text()}
	raw, err := json.Marshal(m)
	if err != nil {
		return old, fmt.Errorf("write a throw-away manifest: %w", err)
	}
	return manifestOf(old.MediaType, raw), nil
}

// ownImage is the image that a tag stands for: what it has, or what it had before
// regcleanup was killed while it moved the tag off its version.
func (c Cleaner) ownImage(ctx context.Context, s Step) (string, error) {
	if _, ok := c.Registry.Of(s.Claim.Ref).(host.VersionDeleter); !ok || s.Now == "" || s.Now == s.Claim.Published || s.Now == s.Claim.Before.Digest {
		return s.Now, nil
	}
	m, err := c.manifest(ctx, s.Claim.Ref.WithDigest(s.Now))
	if registry.IsNotFound(err) {
		return s.Now, nil // moved meanwhile; it is looked at again before anything is done
	}
	if err != nil {
		return "", err
	}
	var made struct {
		Annotations map[string]string `json:"annotations"`
		Layers      []any             `json:"layers"`
		Manifests   []any             `json:"manifests"`
	}
	if err := json.Unmarshal(m.Raw, &made); err != nil || len(made.Layers)+len(made.Manifests) > 0 {
		return s.Now, nil //nolint:nilerr // not one of ours
	}
	words := strings.Fields(made.Annotations[detachKey])
	if len(words) != 3 || words[1] != s.Claim.Ref.Tag || !registry.ValidDigest(words[0]) {
		return s.Now, nil
	}
	return words[0], nil
}

// finishDetach deletes the version of the throw-away manifest, which must have our
// tag and no other; where that fails the tag gets its image back. image is what the
// tag had, "" when the throw-away's annotation says it.
func (r *run) finishDetach(ctx context.Context, s Step, thrown, image string) Report {
	outcome, now, err := r.removeTag(ctx, s.Claim.Ref, thrown, nobody)
	if err == nil {
		if outcome == change.Found { // the throw-away manifest was all that was left of it
			outcome = change.Made
		}
		return r.report(s)(outcome, now, nil)
	}
	if _, accepted := errors.AsType[*change.AcceptedError](err); accepted {
		return r.refused(s, err) // it is deleted: a later run sees it, or finishes it
	}
	if image == "" {
		claim := s
		claim.Claim.Published, claim.Claim.Before = "", Before{}
		known, readErr := r.ownImage(context.WithoutCancel(ctx), claim)
		if readErr != nil || known == thrown {
			return r.refused(s, err)
		}
		image = known
	}
	s.Now = image
	return r.giveBack(ctx, s, thrown, r.refused(s, err))
}

// giveBack puts the image of s under the tag again if the tag has the throw-away
// manifest.
func (r *run) giveBack(ctx context.Context, s Step, thrown string, report Report) Report {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), putBack)
	defer cancel()
	ref := s.Claim.Ref
	_, now, err := change.Change{Ref: ref, From: thrown, To: s.Now, Act: func(ctx context.Context) error {
		old, err := r.Registry.Manifest(ctx, ref.WithDigest(s.Now))
		if err != nil {
			return err
		}
		return r.Registry.PutManifest(ctx, ref, old.MediaType, old.Raw)
	}}.Do(ctx, r.Policy, r.Registry)
	switch {
	case err != nil:
		report.Detail += "; the tag has an empty image, and could not be given its own back: " + reasonOf(err)
		report.Outcome, report.ByHand = Blocked, r.Registry.ByHand(host.Change{Ref: ref, Digest: thrown, Before: s.Now}, nil)
	case now == s.Now:
		report.Detail += "; the tag has its image again"
	case now == "":
		return Report{Step: s, Outcome: Done} // it was deleted after all
	}
	return report
}

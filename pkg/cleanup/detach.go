// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package cleanup

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/LerianStudio/pushguard/pkg/registry"
	"github.com/LerianStudio/pushguard/pkg/retry"
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
	old, err := retry.Do(ctx, r.Policy, func(ctx context.Context) (registry.Manifest, error) {
		return r.Registry.Manifest(ctx, ref.WithDigest(s.Now))
	})
	if err != nil {
		return refused(s, err)
	}
	raw, digest, err := throwAway(old, ref.Tag)
	if err != nil {
		return refused(s, err)
	}
	first := true
	outcome, err := retry.Do(ctx, r.Policy, func(ctx context.Context) (Report, error) {
		now, err := r.look(ctx, ref)
		switch {
		case err != nil:
			return Report{}, err
		case now == digest:
			return Report{}, nil
		case now == "" && first:
			return Report{Step: s, Outcome: Gone, Detail: "it is no longer there"}, nil
		case now != s.Now:
			return moved(s, now), nil
		}
		first = false
		return Report{}, r.Registry.PutManifest(ctx, ref, old.MediaType, raw)
	})
	if err != nil {
		// The answer may be lost and the manifest there.
		return r.giveBack(ctx, s, digest, refused(s, err))
	}
	if outcome.Outcome != "" {
		return outcome
	}
	report := r.finishDetach(ctx, s, digest, s.Now)
	if report.Outcome != Done {
		return report
	}
	for _, tag := range others {
		now, err := r.now(ctx, ref.WithTag(tag))
		if err == nil && now != s.Now {
			report.Detail += fmt.Sprintf("; %s is no longer this image, somebody moved it meanwhile", ref.WithTag(tag))
		}
	}
	report.Detail = "detached from " + list(others) + report.Detail
	return report
}

// throwAway makes an image manifest without layers, or an index without images.
func throwAway(old registry.Manifest, tag string) (raw []byte, digest string, err error) {
	var m map[string]any
	if err := json.Unmarshal(old.Raw, &m); err != nil {
		return nil, "", fmt.Errorf("read manifest %s: %w", old.Digest, err)
	}
	for _, name := range []string{"layers", "manifests"} {
		if m[name] != nil {
			m[name] = []any{}
		}
	}
	delete(m, "subject")
	m["mediaType"] = old.MediaType
	m["annotations"] = map[string]string{detachKey: old.Digest + " " + tag + " " + rand.Text()}
	raw, err = json.Marshal(m)
	if err != nil {
		return nil, "", fmt.Errorf("write a throw-away manifest: %w", err)
	}
	return raw, fmt.Sprintf("sha256:%x", sha256.Sum256(raw)), nil
}

// behind is the image that a tag stands for: what it has, or what it had before
// regcleanup was killed while it moved the tag off its version.
func (c Cleaner) behind(ctx context.Context, s Step) (string, error) {
	if s.Claim.Ref.Registry != registry.GHCR || c.Packages == nil || s.Now == "" || s.Now == s.Claim.Published || s.Now == s.Claim.Before.Digest {
		return s.Now, nil
	}
	m, err := retry.Do(ctx, c.Policy, func(ctx context.Context) (registry.Manifest, error) {
		return c.Registry.Manifest(ctx, s.Claim.Ref.WithDigest(s.Now))
	})
	if isKind(err, registry.KindNotFound) {
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
	ref := s.Claim.Ref
	tries := 0
	report, err := retry.Do(ctx, r.Policy, func(ctx context.Context) (Report, error) {
		tries++
		now, err := r.look(ctx, ref)
		switch {
		case err != nil:
			return Report{}, err
		case now == "":
			return Report{Step: s, Outcome: Done}, nil
		case now != thrown:
			return moved(s, now), nil
		}
		v, err := r.find(ctx, ref, thrown)
		if err != nil {
			return Report{}, err
		}
		if v, err = r.Packages.Version(ctx, ref, v.ID); err != nil {
			return Report{}, asRight(err)
		}
		if v.Digest != thrown || !slices.Equal(v.Tags, []string{ref.Tag}) {
			return Report{}, &registry.Error{
				Op: "read a package version of", Ref: ref, Kind: registry.KindOutage, Service: "api.github.com",
				Status: http.StatusOK, Message: fmt.Sprintf("the version has the tags %s, not just this one", list(v.Tags)),
			}
		}
		if err := r.Packages.DeleteVersion(ctx, ref, v.ID); err != nil {
			if isKind(err, registry.KindNotFound) {
				if now, lookErr := r.look(ctx, ref); lookErr == nil && now == "" {
					return Report{Step: s, Outcome: Done}, nil
				}
			}
			return Report{}, asRight(err)
		}
		return Report{Step: s, Outcome: Done}, nil
	})
	if err == nil {
		return report
	}
	if image == "" {
		now := s
		now.Claim.Published, now.Claim.Before = "", Before{}
		known, readErr := r.behind(context.WithoutCancel(ctx), now)
		if readErr != nil || known == thrown {
			return refused(s, err)
		}
		image = known
	}
	s.Now = image
	return r.giveBack(ctx, s, thrown, refused(s, err))
}

// giveBack puts the image under the tag again if the tag has the throw-away manifest.
func (r *run) giveBack(ctx context.Context, s Step, thrown string, report Report) Report {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), putBack)
	defer cancel()
	ref := s.Claim.Ref
	now, err := retry.Do(ctx, r.Policy, func(ctx context.Context) (string, error) {
		now, err := r.look(ctx, ref)
		if err != nil || now != thrown {
			return now, err
		}
		old, err := r.Registry.Manifest(ctx, ref.WithDigest(s.Now))
		if err != nil {
			return "", err
		}
		if err := r.Registry.PutManifest(ctx, ref, old.MediaType, old.Raw); err != nil {
			return "", err
		}
		return r.look(ctx, ref)
	})
	switch {
	case err != nil:
		report.Detail += "; the tag has an empty image, and could not be given its own back: " + reasonOf(err)
		report.Outcome, report.ByHand = Blocked, fmt.Sprintf("crane tag %s %s", ref.WithDigest(s.Now), ref.Tag)
	case now == s.Now:
		report.Detail += "; the tag has its image again"
	}
	return report
}

// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package registries

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/LerianStudio/pushguard/e2e/process"
)

// A run that failed after its push, on each kind of registry:
//
//   - 1.2.3 is new, and its image has no other tag,
//   - 1.3.0 is new, and stable has its image as well,
//   - latest was moved from the image before to that of 1.2.3, where tags can be moved.
//
// Both new images are signed, with a referrer and with a tag of cosign's.
func TestCleanup(t *testing.T) {
	t.Parallel()
	want := afterwards()
	for _, kind := range kinds() {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			host, err := kind.start(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			r := repository{host + "/org/app", map[string]string{}}
			r.image(t, "before", "latest")
			run := newJob(t)
			run.tagcheck(t, r, "1.2.3", "1.3.0", "latest")
			r.image(t, "1.2.3", "1.2.3")
			r.image(t, "1.3.0", "1.3.0", "stable")
			r.sign(t, "1.2.3")
			r.sign(t, "1.3.0")
			if !strings.Contains(kind.offers, "immutable") {
				r.image(t, "1.2.3", "latest")
			}
			run.published(t, r, map[string]string{"1.2.3": "1.2.3", "1.3.0": "1.3.0", "latest": "1.2.3"})

			got := expected{outcomes: run.cleanup(t, r), left: r.content(t)}
			if diff := cmp.Diff(want[kind.name], got, cmp.AllowUnexported(expected{}, content{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// afterwards is what a clean-up comes to on each kind.
func afterwards() map[string]expected {
	whole := content{
		tags: map[string]string{
			"1.2.3": "1.2.3", "1.3.0": "1.3.0", "stable": "1.3.0", "latest": "before",
			"SIGNATURE-1.2.3": "signature-1.2.3", "SIGNATURE-1.3.0": "signature-1.3.0",
		},
		images:    []string{"1.2.3", "1.3.0", "before", "bundle-1.2.3", "bundle-1.3.0"},
		referrers: map[string]int{"1.2.3": 1, "1.3.0": 1},
	}
	byTag := expected{
		[]outcome{
			{"latest", "restore", "done", "", ""},
			{"1.2.3", "delete", "done", "", ""},
			{"1.3.0", "delete", "done", "", ""},
			{"IMAGE-1.2.3", "delete", "done", "2 removed", ""},
		},
		content{
			tags:      map[string]string{"latest": "before", "stable": "1.3.0", "SIGNATURE-1.3.0": "signature-1.3.0"},
			images:    []string{"1.2.3", "1.3.0", "before", "bundle-1.3.0"},
			referrers: map[string]int{"1.2.3": 0, "1.3.0": 1},
		},
	}
	byDigest := expected{
		[]outcome{
			{"latest", "restore", "done", "", ""},
			{"1.2.3", "delete", "done", "", ""},
			{
				"1.3.0", "delete", "blocked",
				"the registry does not offer it: HOST answered 400 Bad Request (DIGEST_INVALID: provided digest did not match uploaded content); " +
					"deleting the digest would take HOST/org/app:stable with it",
				"registry:2 deletes no tag alone, only an image with all its tags: move or delete what else has IMAGE-1.3.0, then run regcleanup again; registry:3 deletes a tag alone",
			},
			{"IMAGE-1.2.3", "delete", "done", "2 removed", ""},
		},
		content{
			tags:      map[string]string{"1.3.0": "1.3.0", "latest": "before", "stable": "1.3.0", "SIGNATURE-1.3.0": "signature-1.3.0", "LIST-1.3.0": "list"},
			images:    []string{"1.3.0", "before", "bundle-1.3.0"},
			referrers: map[string]int{"1.2.3": 0, "1.3.0": 1},
		},
	}
	const refused = "the registry does not offer it: HOST answered 405 Method Not Allowed (UNSUPPORTED: The operation is unsupported.)"
	off := expected{
		[]outcome{
			{"latest", "restore", "done", "", ""},
			{
				"1.2.3", "delete", "blocked", refused,
				"allow deletions at HOST (storage, delete, enabled: true) and run regcleanup again, or: crane delete HOST/org/app:1.2.3",
			},
			{
				"1.3.0", "delete", "blocked", refused + "; deleting the digest would take HOST/org/app:stable with it",
				"allow deletions at HOST (storage, delete, enabled: true) and run regcleanup again, or: crane delete HOST/org/app:1.3.0",
			},
		},
		whole.with("LIST-1.2.3", "LIST-1.3.0"),
	}
	const locked = "the tag is immutable: HOST answered 403 Forbidden (DENIED: requested access to the resource is denied: tag deletion not permitted)"
	immutable := expected{
		[]outcome{
			{"latest", "keep", "kept", "", ""},
			{"1.2.3", "delete", "blocked", locked, "at HOST lift the rule that makes 1.2.3 immutable, then run regcleanup again"},
			{"1.3.0", "delete", "blocked", locked, "at HOST lift the rule that makes 1.3.0 immutable, then run regcleanup again"},
		},
		whole,
	}
	return map[string]expected{
		"distribution 3": {byTag.outcomes, byTag.left.with("LIST-1.3.0")}, "distribution 3, deletion off": off,
		"distribution 2.8": byDigest, "distribution 2.8, deletion off": off,
		"olareg": byTag, "ociregistry": byTag, "ociregistry, immutable tags": immutable,
	}
}

// expected is what a clean-up says, and leaves.
type expected struct {
	outcomes []outcome
	left     content
}

// outcome is a line of regcleanup's answer, as plain has it.
type outcome struct {
	Tag, Action, Outcome, Detail, ByHand string
}

// job is a run of a workflow: its record.
type job struct{ record string }

func newJob(t *testing.T) job {
	t.Helper()
	return job{filepath.Join(t.TempDir(), "record.json")}
}

// command runs one of the commands in the job and wants it to succeed.
func (j job) command(t *testing.T, name string, args ...string) process.Result {
	t.Helper()
	args = append(args, "--record", j.record, "--initial-delay=10ms", "--max-delay=100ms", "--max-elapsed=30s")
	res, err := process.Run(t.Context(), process.Command{
		Name: name, Path: filepath.Join(e2e.bin, name), Args: args, Env: append(e2e.Env(), "GITHUB_RUN_ID=42", "GITHUB_RUN_ATTEMPT=1"), Dir: t.TempDir(),
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("$ %s %s\n%s%s", name, strings.Join(args, " "), res.Stdout, res.Stderr)
	if res.Code != 0 {
		t.Fatalf("%s: exit %d, want 0", name, res.Code)
	}
	return res
}

// tagcheck records what the tags are before the run.
func (j job) tagcheck(t *testing.T, r repository, tags ...string) {
	t.Helper()
	args := []string{"--moving=latest"}
	for _, tag := range tags {
		args = append(args, r.name+":"+tag)
	}
	j.command(t, "tagcheck", args...)
}

// published adds to the record what signretry would: the images that the run pushed,
// by tag.
func (j job) published(t *testing.T, r repository, images map[string]string) {
	t.Helper()
	raw, err := os.ReadFile(j.record)
	if err != nil {
		t.Fatal(err)
	}
	var record map[string]any
	if err := json.Unmarshal(raw, &record); err != nil {
		t.Fatalf("read the record: %v\n%s", err, raw)
	}
	tags, _ := record["tags"].([]any)
	for _, entry := range tags {
		tag, _ := entry.(map[string]any)
		name := strings.TrimPrefix(fmt.Sprint(tag["ref"]), r.name+":")
		tag["published"] = map[string]string{"digest": r.digests[images[name]], "source": "buildx-metadata", "at": "2026-01-01T00:00:00Z"}
	}
	if raw, err = json.Marshal(record); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(j.record, raw, 0o600); err != nil {
		t.Fatal(err)
	}
}

// cleanup runs regcleanup and returns its answer, in the order of its acts.
func (j job) cleanup(t *testing.T, r repository) []outcome {
	t.Helper()
	var answer struct {
		Tags []struct {
			Ref, Action, Outcome, Detail string
			ByHand                       string `json:"by_hand"`
		}
	}
	res := j.command(t, "regcleanup", "--delete", "--json")
	if err := json.Unmarshal([]byte(res.Stdout), &answer); err != nil {
		t.Fatalf("read the answer: %v\n%s", err, res.Stdout)
	}
	var outcomes []outcome
	for _, tag := range answer.Tags {
		name := strings.TrimLeft(strings.TrimPrefix(tag.Ref, r.name), ":@")
		outcomes = append(outcomes, outcome{r.plain(name), tag.Action, tag.Outcome, r.plain(tag.Detail), r.plain(tag.ByHand)})
	}
	return outcomes
}

// plain has names for what is different in each run: HOST, and for an image its digest
// (IMAGE), its tag of cosign's (SIGNATURE) and the fallback tag of its referrers (LIST).
func (r repository) plain(text string) string {
	host, _, _ := strings.Cut(r.name, "/")
	pairs := []string{host, "HOST"}
	for name, digest := range r.digests {
		tag := strings.Replace(digest, ":", "-", 1)
		pairs = append(pairs, digest, "IMAGE-"+name, tag+".sig", "SIGNATURE-"+name, tag, "LIST-"+name)
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// content is what a repository has.
type content struct {
	tags      map[string]string // to the name of an image
	images    []string          // and referrers, that can be read by their digests
	referrers map[string]int    // of an image, by API or by tag
}

// with has lists of referrers as well.
func (c content) with(lists ...string) content {
	c.tags = maps.Clone(c.tags)
	for _, list := range lists {
		c.tags[list] = "list"
	}
	return c
}

func (r repository) content(t *testing.T) content {
	t.Helper()
	c := content{tags: map[string]string{}, referrers: map[string]int{}}
	for _, tag := range r.tags(t) {
		name := r.plain(tag)
		c.tags[name] = r.named(r.get(t, ":"+tag))
		if strings.HasPrefix(name, "LIST-") {
			c.tags[name] = "list"
		}
	}
	for name, digest := range r.digests {
		if r.get(t, "@"+digest) != "" && !strings.HasPrefix(name, "signature-") {
			c.images = append(c.images, name)
		}
		if name == "1.2.3" || name == "1.3.0" {
			c.referrers[name] = r.referrers(t, name)
		}
	}
	slices.Sort(c.images)
	return c
}

// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/LerianStudio/pushguard/e2e/stack"
)

// crashes is how many processes a registry sees die; "make crash" sets it higher.
func crashes(t *testing.T) int {
	t.Helper()
	text := os.Getenv("PUSHGUARD_CRASHES")
	if text == "" {
		return 12
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("PUSHGUARD_CRASHES is %q: %v", text, err)
	}
	return n
}

// The built commands are killed at random moments, on real registries and a real
// Sigstore, and run again: the end is that of a run that nobody killed. Names come last,
// so a tag never names an image that is not signed, whatever the moment.
//
// It runs before the tests that run in parallel: Rekor v2 answers 499 to everybody whose
// entry is in one batch with that of a client that has died. signretry asks again, cosign
// gives up, and neither counts as one entry.
func TestCrash(t *testing.T) {
	for registryName, registry := range registries() {
		for logName, log := range map[string]func() stack.Log{"Rekor v1": rekorV1, "Rekor v2": rekorV2} {
			t.Run(registryName+", "+logName, func(t *testing.T) {
				t.Parallel()
				host, left := registry(t), crashes(t)
				signing, cleaning := 400*time.Millisecond, 200*time.Millisecond // how long they take; measured as they run
				for round := 0; left > 0; round++ {
					c := crash{job: newJobOn(t, log()), repository: fmt.Sprintf("%s/org/app%d", host, round)}
					left -= c.live(t, &signing, &cleaning)
				}
			})
		}
	}
}

// crash is one release, whose commands are killed.
type crash struct {
	job
	repository string
}

// live is the release from its check to its undoing. It returns how many processes were
// killed.
func (c crash) live(t *testing.T, signing, cleaning *time.Duration) (killed int) {
	t.Helper()
	tags := []string{c.repository + ":1.2.3", c.repository + ":latest"}
	c.run(t, 0, "tagcheck", "--moving=latest", tags[0], tags[1])
	index := newImage(t)
	hash, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	digest := hash.String()
	byDigest, err := name.NewDigest(c.repository + "@" + digest)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(byDigest, index, remote.WithContext(t.Context())); err != nil {
		t.Fatal(err)
	}
	args := c.signArgs("--metadata", buildxMetadata(t, digest, c.repository), "--then-tag=1.2.3", "--then-tag=latest")
	for range 1 + rand.IntN(3) {
		if c.kill(t, *signing, "signretry", args...) {
			killed++
		}
		for _, tag := range tags {
			if exists(t, tag) && referrers(t, c.repository+"@"+digest) == 0 {
				t.Errorf("%s names an image that is not signed", tag)
			}
		}
	}
	begin := time.Now()
	c.run(t, 0, "signretry", args...)
	*signing = max(*signing, time.Since(begin))
	mustVerify(t, c.Identity, c.repository+"@"+digest)
	for _, tag := range tags {
		c.wantDigest(t, tag, digest)
	}
	// Each process that died may have cost one of each.
	if got := c.certificates(); got > killed+1 {
		t.Errorf("%d certificates with %d processes killed", got, killed)
	}
	if got := c.entries(); got > killed+1 {
		t.Errorf("%d log entries with %d processes killed", got, killed)
	}
	certificates, entries := c.certificates(), c.entries()
	c.run(t, 0, "signretry", args...)
	wantCounts(t, c.job, certificates, entries)

	for range rand.IntN(3) {
		if c.kill(t, *cleaning, "regcleanup", "--delete") {
			killed++
		}
	}
	begin = time.Now()
	c.run(t, 0, "regcleanup", "--delete")
	*cleaning = max(*cleaning, time.Since(begin))
	for _, tag := range tags {
		if exists(t, tag) {
			t.Errorf("%s is there after regcleanup", tag)
		}
	}
	return killed
}

// kill runs a command and kills it at a random moment within the time that it takes. It
// reports whether the command was still there to be killed. The record parses, whatever
// the moment, and belongs to this run.
func (c crash) kill(t *testing.T, takes time.Duration, command string, args ...string) bool {
	t.Helper()
	p := c.command(t, command, args...)
	after := time.Duration(rand.Int64N(int64(takes)))
	ctx, cancel := context.WithTimeout(t.Context(), after)
	defer cancel()
	cmd := exec.CommandContext(ctx, p.Path, p.Args...)
	cmd.Env, cmd.Dir = p.Env, p.Dir
	out, err := cmd.CombinedOutput()
	killed := ctx.Err() != nil && cmd.ProcessState != nil && !cmd.ProcessState.Exited()
	t.Logf("%s, killed after %s: %t, %v\n%s", command, after, killed, err, out)
	if !killed && err != nil && ctx.Err() == nil {
		t.Errorf("%s failed before it was killed: %v\n%s", command, err, out)
	}
	text, err := os.ReadFile(c.record)
	if errors.Is(err, fs.ErrNotExist) {
		return killed
	}
	var r struct{ Run struct{ ID string } }
	if err != nil || json.Unmarshal(text, &r) != nil || r.Run.ID != "42" {
		t.Errorf("the record after the death of %s: %v\n%s", command, err, text)
	}
	return killed
}

// wantDigest wants a tag to name an image.
func (c crash) wantDigest(t *testing.T, tag, digest string) {
	t.Helper()
	ref, err := name.ParseReference(tag)
	if err != nil {
		t.Fatal(err)
	}
	got, err := remote.Head(ref, remote.WithContext(t.Context()))
	if err != nil || got.Digest.String() != digest {
		t.Errorf("%s is %+v, %v, want %s", strings.TrimPrefix(tag, c.repository), got, err, digest)
	}
}

// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/LerianStudio/pushguard/e2e/stack"
)

// watcher looks all the time at what the registries name. It goes past the team's gates,
// and is in the way of nobody.
type watcher struct {
	mu       sync.Mutex
	looks    int
	unsigned []string        // tags that were seen on an image without a signature
	others   map[string]bool // digests that are not the run's
}

// watch starts the team's watcher, for as long as the test runs. With names last a tag on
// an unsigned image is a failure.
func (r *team) watch(t *testing.T) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		for ctx.Err() == nil {
			for _, host := range []string{e2e.ghcr, e2e.hub} {
				for _, app := range []string{"app", "worker"} {
					for _, tag := range []string{"1.2.2", "1.2.3", "latest"} {
						r.watcher.look(ctx, host+"/"+r.name+"/"+app, tag)
					}
				}
			}
			select {
			case <-ctx.Done():
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
	t.Cleanup(func() {
		stop()
		done.Wait()
		if r.watcher.looks == 0 {
			t.Error("the watcher has not looked once")
		}
		if !r.tagsFirst && len(r.watcher.seen()) > 0 {
			t.Errorf("seen on an unsigned image: %q", r.watcher.seen())
		}
	})
}

// look asks for the tag, and for the signatures of what it names. A clean-up may take both
// away in between: only a tag that still names the image afterwards counts.
func (w *watcher) look(ctx context.Context, name, tag string) {
	digest := named(ctx, name, tag)
	w.mu.Lock()
	w.looks++
	skip := digest == "" || w.others[digest]
	w.mu.Unlock()
	if skip {
		return
	}
	n, err := stack.Referrers(ctx, name+"@"+digest)
	if err != nil || n > 0 || named(ctx, name, tag) != digest {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unsigned = append(w.unsigned, name+":"+tag)
}

func (w *watcher) seen() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.unsigned
}

// ignore tells the watcher that an image is somebody else's.
func (w *watcher) ignore(digest string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.others == nil {
		w.others = map[string]bool{}
	}
	w.others[digest] = true
}

// named is the digest that a tag names, "" when it does not exist or could not be asked for.
func named(ctx context.Context, name, tag string) string {
	host, repository, _ := strings.Cut(name, "/")
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, "http://"+host+"/v2/"+repository+"/manifests/"+tag, nil)
	if err != nil {
		return ""
	}
	req.Header.Set("Accept", accept)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	return resp.Header.Get("Docker-Content-Digest")
}

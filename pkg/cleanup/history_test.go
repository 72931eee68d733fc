// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package cleanup_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/LerianStudio/pushguard/pkg/cleanup"
	"github.com/LerianStudio/pushguard/pkg/registry"
	"github.com/LerianStudio/pushguard/pkg/registry/host"
	"github.com/LerianStudio/pushguard/pkg/registry/registrytest"
	"github.com/LerianStudio/pushguard/pkg/retry"
)

const repository = "org/app"

// The hosts of a history: any registry, GHCR, Docker Hub.
var hosts = []string{"r.example.com", "ghcr.io", registry.DockerHub}

// lab is one worker's client and servers, which many histories use.
type lab struct {
	servers registrytest.InProcess // by host, replaced by each history
	hub     *registrytest.DockerHub
	hubAPI  http.Handler
	now     *history
}

func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{hub: registrytest.NewDockerHub(registrytest.HubAccount{Name: "org", Secret: "secret", Delete: true}), servers: registrytest.InProcess{}}
	l.hubAPI = l.hub.Hosts()["hub.docker.com"]
	return l
}

// cleaner is that of a new process.
func (l *lab) cleaner(t *testing.T) cleanup.Cleaner {
	t.Helper()
	registries, err := host.Open(t.Context(), registry.Options{Transport: roundTrip(func(req *http.Request) (*http.Response, error) {
		return registrytest.InProcess{req.URL.Host: l.now.front(l.servers[req.URL.Host])}.RoundTrip(req)
	})}, gitHubToken)
	if err != nil {
		t.Fatal(err)
	}
	return cleanup.Cleaner{Registry: registries, Policy: retry.Policy{MaxAttempts: 3, InitialDelay: time.Millisecond}}
}

// gitHubToken is an environment with a workflow's token for GitHub.
func gitHubToken(name string) string {
	if name == "GITHUB_TOKEN" {
		return "ghs_x"
	}
	return ""
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// history is one random world: what was there, what this run pushed, what others did
// in between, and everything that went wrong while it was cleaned up.
type history struct {
	registrytest.Distortion

	t         *testing.T
	rng       *rand.Rand
	name      string
	host      string
	store     *registrytest.Store
	digests   []string // of the images that tags can have
	published string
	claims    map[string]*cleanup.Claim // by tag
	detach    bool
	blockable bool // the registry may refuse a proven act

	foreign bool // the change at hand is somebody else's
	chaos   bool
	// sweeping: the tags are done, and it was read that none needs our image.
	sweeping bool
	dead     bool // the process was killed: nothing it sends arrives
	killAt   int
	asked    int
	stop     context.CancelFunc // Ctrl-C, at stopAt
	stopAt   int
	log      []entry
}

func (h *history) fatalf(format string, args ...any) {
	h.t.Helper()
	var b strings.Builder
	for _, e := range h.log {
		text := fmt.Sprintf(e.format, e.args...)
		for i, d := range h.digests {
			text = strings.ReplaceAll(text, d, "image"+strconv.Itoa(i))
		}
		b.WriteString(text + "\n")
	}
	h.t.Fatalf("%s on %s: %s\n%s", h.name, h.host, fmt.Sprintf(format, args...), b.String())
}

// note keeps what happened for a failure; most histories never print it.
func (h *history) note(format string, args ...any) { h.log = append(h.log, entry{format, args}) }

type entry struct {
	format string
	args   []any
}

// front is where requests fail, before or after they had their effect, where the
// process dies, and where others move a tag that is about to be read.
func (h *history) front(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		h.asked++
		if h.chaos && h.asked == h.killAt {
			h.note("killed")
			h.dead = true
		}
		if h.chaos && h.asked == h.stopAt {
			h.note("interrupted")
			h.stop()
		}
		if h.dead {
			panic(http.ErrAbortHandler)
		}
		h.note("%s %s%s", req.Method, req.URL.Host, req.URL.Path)
		if !h.chaos {
			if !h.Answer(w, req) {
				next.ServeHTTP(w, req)
			}
			return
		}
		h.sweeping = h.sweeping || strings.Contains(req.URL.Path, "/referrers/") || strings.Contains(req.URL.Path, "/manifests/sha256-")
		h.interfere(req)
		if h.Answer(w, req) {
			return
		}
		switch h.rng.IntN(40) {
		case 0:
			registrytest.Text(http.StatusServiceUnavailable, "text/plain", "down")(w, req)
		case 1:
			registrytest.With("Retry-After", "1", registrytest.Error(http.StatusTooManyRequests, "TOOMANYREQUESTS", "slow down"))(w, req)
		case 2:
			panic(http.ErrAbortHandler)
		case 3: // it happens, and the answer is lost
			next.ServeHTTP(httptest.NewRecorder(), req)
			panic(http.ErrAbortHandler)
		default:
			next.ServeHTTP(w, req)
			return
		}
		h.note("  failed")
	})
}

// interfere moves tags at the last moment before they are read. No registry has a
// condition on a deletion: what happens between that read and the deletion cannot be seen.
func (h *history) interfere(req *http.Request) {
	_, tag, manifest := strings.Cut(req.URL.Path, "/manifests/")
	switch {
	case h.sweeping || h.rng.IntN(25) != 0:
	case manifest && req.Method == http.MethodHead && h.claims[tag] != nil:
		h.others(tag)
	case req.Method == http.MethodGet && strings.Contains(req.URL.Path, "/versions/"):
		// All but an index around our image: whether there is one was read before.
		all := h.digests
		h.digests = all[:len(all)-1]
		h.others(tags[h.rng.IntN(len(tags))])
		h.digests = all
	}
}

// others is somebody else who pushes or deletes a tag.
func (h *history) others(tag string) {
	to := ""
	if h.rng.IntN(4) != 0 {
		to = h.digests[h.rng.IntN(len(h.digests))]
	}
	if to != "" && !h.whole(to) {
		return
	}
	h.note("others: %s is now %s", tag, to)
	h.foreign = true
	h.store.Tag(repository, tag, to)
	h.foreign = false
	h.pass()
}

// pass lets the time pass after which everybody sees what somebody has done: what
// nobody can see, nobody can respect.
func (h *history) pass() {
	if h.Delays() {
		time.Sleep(h.Window)
	}
}

// changed judges each change of a tag: only what is proven may change, as proven.
func (h *history) changed(now registrytest.View, tag, from, to string) {
	h.Note(now, tag, from, to)
	if h.foreign {
		return
	}
	h.note("  %s: %s → %s", tag, from, to)
	if hex, hangs := strings.CutPrefix(tag, "sha256-"); hangs {
		image := "sha256:" + hex[:64]
		if image != h.published || now.Reached(image) {
			h.fatalf("%s, which is attached to another image or on one with a tag, changed", tag)
		}
		return
	}
	c := h.claims[tag]
	switch {
	case c == nil || !c.Before.Known || c.Published == "":
		h.fatalf("%s changed from %s to %s, and nothing proves that it is this run's", tag, from, to)
	case from == c.Published && c.Before.Digest != from && to == c.Before.Digest: // deleted or restored
	case h.detach && c.Before.Digest == "" && (from == c.Published && h.thrown(now, to, tag) || h.thrown(now, from, tag) && (to == "" || to == c.Published)):
	default:
		h.fatalf("%s changed from %s to %s, which its claim %+v does not prove", tag, from, to, *c)
	}
}

func (h *history) thrown(now registrytest.View, digest, tag string) bool {
	return strings.Contains(now.Raw(digest), h.published+" "+tag+" ")
}

var tags = []string{"1", "1.2", "latest", "stable"}

// begin makes the world before the run, and the run's push.
func (l *lab) begin(t *testing.T, seed uint64) *history {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 1))
	h := &history{t: t, rng: rng, name: fmt.Sprintf("history %d", seed), host: hosts[seed%3], claims: map[string]*cleanup.Claim{}, foreign: true}
	l.now = h
	h.detach = rng.IntN(2) == 0
	l.serve(h)
	h.store.OnTag = h.changed
	h.Distortion = registrytest.Distortion{
		Store: h.store, Repository: repository, IntN: rng.IntN, Omits: func(tag string) bool { return h.claims[tag] != nil },
		List: []string{"", "", "", "", "fails", "omits", "lags"}[rng.IntN(7)], Stale: rng.IntN(6) == 0, Window: time.Duration(1+rng.IntN(5)) * time.Second,
	}
	for i := range 2 {
		h.digests = append(h.digests, h.store.PutImage(repository, "", fmt.Sprint(i)))
	}
	h.digests = append(h.digests, h.store.Put(repository, "", registrytest.MediaTypeIndex, indexOf(h.digests[:2]...)))
	h.published = h.store.PutImage(repository, "", "published")
	if rng.IntN(2) == 0 {
		child := h.store.PutImage(repository, "", "platform")
		h.published = h.store.Put(repository, "", registrytest.MediaTypeIndex, indexOf(child))
	}
	h.digests = append(h.digests, h.published, h.store.Put(repository, "", registrytest.MediaTypeIndex, indexOf(h.published)))
	for _, tag := range tags {
		if rng.IntN(2) == 0 {
			h.store.Tag(repository, tag, h.digests[rng.IntN(len(h.digests))])
		}
	}
	l.run(h)
	h.pass()
	for range rng.IntN(3) {
		h.others(tags[rng.IntN(len(tags))])
	}
	h.foreign = false
	h.note("tags are %v; published %s, detach %t", h.store.Tags(repository), h.published, h.detach)
	return h
}

// serve starts the history's registry with random rules.
func (l *lab) serve(h *history) {
	rng := h.rng
	clear(l.servers)
	switch h.host {
	case "ghcr.io":
		g := registrytest.NewGHCR("ghs_x", "org")
		h.store, h.blockable = g.Registry, true
		l.servers["ghcr.io"], l.servers["api.github.com"] = g.Registry, g.API()
		if rng.IntN(8) == 0 {
			g.Readers = []string{"ghs_x"}
		}
		g.Limit = 1_000_000 // many histories share a second of the clock
	case registry.DockerHub:
		h.store = registrytest.NewStore(registrytest.Rules{})
		settings := registrytest.HubRepository{Immutable: rng.IntN(4) == 0, Rules: []string{"^1"}}
		h.blockable = settings.Immutable
		l.hub.Images = h.store.Registry()
		l.hub.Set(repository, settings)
		l.servers["registry-1.docker.io"], l.servers["hub.docker.com"] = l.hub.Unguarded(), l.hubAPI
	default:
		rules := registrytest.Rules{Referrers: rng.IntN(2) == 0}
		refusal := registrytest.Refusals[rng.IntN(len(registrytest.Refusals))]
		switch rng.IntN(5) {
		case 0:
			rules.DeleteTag = &refusal
		case 1:
			rules.DeleteTag, rules.DeleteDigest = &refusal, &refusal
		case 2:
			rules.Immutable = func(tag string) bool { return tag == "1" }
		}
		h.blockable = rules.DeleteTag != nil || rules.Immutable != nil
		h.store = registrytest.NewStore(rules)
		l.servers[h.host] = h.store
	}
}

// run is tagcheck's look and the push, as the record has them.
func (l *lab) run(h *history) {
	rng := h.rng
	known := rng.IntN(8) != 0 // a push that failed half-way leaves no digest
	left := 3
	if !known {
		left = rng.IntN(3)
	}
	for _, i := range rng.Perm(len(tags))[:1+rng.IntN(3)] {
		tag := tags[i]
		ref, _ := registry.ParseReference(h.host + "/" + repository + ":" + tag)
		c := &cleanup.Claim{Ref: ref, Before: cleanup.Before{Known: rng.IntN(10) != 0}}
		if c.Before.Known {
			c.Before.Digest = h.store.Tags(repository)[tag]
		}
		if known {
			c.Published = h.published
		}
		h.claims[tag] = c
		if left--; left >= 0 {
			h.store.Tag(repository, tag, h.published)
		}
	}
	for _, image := range []string{h.published, h.digests[0]} {
		hex := strings.TrimPrefix(image, "sha256:")
		if rng.IntN(3) == 0 {
			h.store.PutImage(repository, "sha256-"+hex+".sig", "signature of "+image)
		}
		if rng.IntN(3) == 0 {
			referrer := h.store.Put(repository, "", registrytest.MediaTypeManifest, referrerOf(image))
			if !h.store.OffersReferrers() {
				h.store.Put(repository, "sha256-"+hex, registrytest.MediaTypeIndex, indexOf(referrer))
			}
		}
	}
}

func indexOf(digests ...string) string {
	list := []map[string]any{}
	for _, d := range digests {
		list = append(list, map[string]any{"mediaType": registrytest.MediaTypeManifest, "digest": d, "size": 1})
	}
	raw, _ := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": registrytest.MediaTypeIndex, "manifests": list})
	return string(raw)
}

func referrerOf(image string) string {
	return fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"artifactType":"application/x.test","layers":[],"subject":{"mediaType":%[1]q,"digest":%q,"size":1}}`,
		registrytest.MediaTypeManifest, image)
}

// clean is one call of regcleanup --delete.
func (l *lab) clean(ctx context.Context, h *history) []cleanup.Report {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	h.asked, h.dead, h.sweeping, h.stop = 0, false, false, cancel
	var claims []cleanup.Claim
	for _, tag := range slices.Sorted(maps.Keys(h.claims)) {
		claims = append(claims, *h.claims[tag])
	}
	c := l.cleaner(h.t)
	c.Detach, c.Prune = h.detach, h.rng.IntN(2) == 0
	reports := c.Run(ctx, c.Plan(ctx, claims))
	for _, r := range reports {
		h.note("report: %s %s %s %s %s", r.Claim.Ref, r.Part, r.Action, r.Outcome, r.Detail)
		if (r.Outcome == cleanup.Blocked || r.Outcome == cleanup.Failed) && r.Detail == "" || r.Outcome == cleanup.Blocked && r.ByHand == "" {
			h.fatalf("%s %s without a reason or a remedy", r.Claim.Ref, r.Outcome)
		}
	}
	return reports
}

// live is a history from its begin to its end. It returns how many tags were undone.
func (l *lab) live(ctx context.Context, t *testing.T, seed uint64) (undone int) {
	t.Helper()
	h := l.begin(t, seed)
	h.chaos = true
	for range h.rng.IntN(3) {
		h.killAt, h.stopAt = h.rng.IntN(40), h.rng.IntN(60)
		l.clean(ctx, h)
		if h.rng.IntN(3) == 0 {
			h.others(tags[h.rng.IntN(len(tags))])
		}
	}
	h.chaos = false
	h.pass()
	reports := l.clean(ctx, h)
	h.pass()
	h.converged(reports)
	before := h.store.Tags(repository)
	h.note("again")
	l.clean(ctx, h)
	h.pass()
	// Where a list is wrong in another way each time, another run may get further.
	settled := h.List == "" || h.List == "fails"
	if diff := cmp.Diff(before, h.store.Tags(repository)); diff != "" && settled {
		h.fatalf("running it again changed tags:\n%s", diff)
	}
	for tag, digest := range h.store.Tags(repository) {
		if !h.whole(digest) {
			h.fatalf("%s cannot be pulled any more", tag)
		}
	}
	for tag, c := range h.claims {
		if c.Published != "" && c.Before.Known && before[tag] != c.Published {
			undone++
		}
	}
	return undone
}

// converged wants every proven tag undone, or reported as blocked.
func (h *history) converged(reports []cleanup.Report) {
	now := h.store.Tags(repository)
	for tag, c := range h.claims {
		if now[tag] != "" && h.thrown(h.store.Look(repository), now[tag], tag) {
			h.fatalf("%s still has a throw-away image", tag)
		}
		if c.Published == "" || !c.Before.Known || now[tag] != c.Published || c.Before.Digest == c.Published {
			continue
		}
		i := slices.IndexFunc(reports, func(r cleanup.Report) bool { return r.Claim.Ref == c.Ref })
		unlisted := h.List != "" // then nothing proves that a digest is free
		lost := c.Before.Digest != "" && !h.store.Has(repository, c.Before.Digest)
		if i >= 0 && reports[i].Outcome == cleanup.Failed && unlisted && h.blockable {
			continue
		}
		if i < 0 || reports[i].Outcome != cleanup.Blocked || !h.blockable && !lost {
			h.fatalf("%s is still what this run published, and that is not reported as blocked: %+v", tag, reports)
		}
	}
}

// whole reports whether an image can be pulled.
func (h *history) whole(digest string) bool {
	if !h.store.Has(repository, digest) {
		return false
	}
	var index struct {
		Manifests []registry.Descriptor `json:"manifests"`
	}
	if err := json.Unmarshal([]byte(h.store.Look(repository).Raw(digest)), &index); err != nil {
		return false
	}
	return !slices.ContainsFunc(index.Manifests, func(d registry.Descriptor) bool { return !h.whole(d.Digest) })
}

// No tag that is not proven the run's ever changes, every re-run converges, and
// every blocked act is reported: whatever others do in between, whatever fails, and
// wherever the process is killed.
func TestHistories(t *testing.T) {
	dir := t.TempDir()
	login := `{"auths": {"https://index.docker.io/v1/": {"auth": "b3JnOnNlY3JldA=="}}}`
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(login), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("DOCKER_CONFIG", dir)
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // a third faster
	n := histories
	if text := os.Getenv("PUSHGUARD_HISTORIES"); text != "" {
		n, _ = strconv.Atoi(text)
	}
	if testing.Short() {
		n /= 50
	}
	const workers = 4
	var undone atomic.Int64
	t.Run("all", func(t *testing.T) {
		for worker := range workers {
			t.Run(fmt.Sprint(worker), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					l := newLab(t)
					for seed := worker; seed < n; seed += workers {
						undone.Add(int64(l.live(t.Context(), t, uint64(seed))))
					}
				})
			})
		}
	})
	if got := undone.Load(); !t.Failed() && got < int64(n/2) {
		t.Errorf("%d tags undone in %d histories: the histories prove nothing", got, n)
	}
	t.Logf("%d histories, %d tags undone", n, undone.Load())
}

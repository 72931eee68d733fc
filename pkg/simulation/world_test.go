// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package simulation_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/LerianStudio/pushguard/pkg/record"
	"github.com/LerianStudio/pushguard/pkg/registry"
	"github.com/LerianStudio/pushguard/pkg/registry/registrytest"
	"github.com/LerianStudio/pushguard/pkg/retry"
	"github.com/LerianStudio/pushguard/pkg/signing"
	"github.com/LerianStudio/pushguard/pkg/signing/signingtest"
)

// world is everything that one seed decides: registries, a Sigstore, the jobs that
// publish, the others who do as well, and what goes wrong.
type world struct {
	t     *testing.T
	seed  uint64
	rng   *rand.Rand // of what happens between two steps; requests have their own, see draws
	begin time.Time
	dir   string // of the records

	sites    []*site
	plain    registrytest.InProcess // the servers, without anything that goes wrong
	sigstore *signingtest.Sigstore
	source   signing.Source
	signer   *signing.Client
	trust    *signing.Trust
	identity signing.Identity

	chaos     bool
	rate      int             // in chaos, one request in so many fails
	contested bool            // others move the jobs' own tags
	outages   map[string]span // by host

	mu       sync.Mutex     // requests are served one at a time; it guards what follows
	counts   map[string]int // how often each request was sent
	names    map[string]string
	story    []entry
	now      *process        // whose request is being served; nil for others
	failed   string          // what a judge has found
	verified map[string]bool // signatures that need not be verified again
	jobs     []*job
	traffic
}

// traffic is counted for judges.
type traffic struct{ writes int }

type span struct{ from, to time.Time }

// site is one repository in one registry.
type site struct {
	w     *world
	host  string
	store *registrytest.Store
	registrytest.Distortion

	blockable bool              // the registry may refuse to delete
	referrers map[string]bool   // others' referrers, each of which stays
	images    []string          // others' images
	lists     map[string]string // what was under a tag that belongs to an image, with that image
}

const repository = "org/app"

func (s *site) ref(tag string) registry.Reference {
	return registry.Reference{Registry: s.host, Repository: repository, Tag: tag}
}

func (s *site) at(digest string) registry.Reference { return s.ref("").WithDigest(digest) }

// entry is one line of the story; it is put into words only for a failure.
type entry struct {
	at     time.Time
	who    string
	format string
	args   []any
}

func (w *world) note(who, format string, args ...any) {
	w.story = append(w.story, entry{time.Now(), who, format, args})
}

var hex = regexp.MustCompile(`(sha256[:-])?[0-9a-f]{64,80}`)

// plainly gives digests short names, in the order in which they are first seen.
func (w *world) plainly(text string) string {
	return hex.ReplaceAllStringFunc(text, func(found string) string {
		prefix := ""
		if i := strings.IndexAny(found, ":-"); i >= 0 {
			prefix, found = found[:i+1], found[i+1:]
		}
		name := w.names[found]
		if name == "" {
			name = fmt.Sprintf("<%d>", len(w.names)+1)
			w.names[found] = name
		}
		if prefix == "sha256-" {
			return prefix + name
		}
		return name
	})
}

// tell is the story so far.
func (w *world) tell() string {
	var b strings.Builder
	for _, e := range w.story {
		fmt.Fprintf(&b, "%10.3fs %-14s %s\n", e.at.Sub(w.begin).Seconds(), e.who, w.plainly(fmt.Sprintf(e.format, e.args...)))
	}
	return b.String()
}

// fails is a judge's word, some of them while a request is served. The first one counts,
// and the world ends behind the step at hand.
func (w *world) fails(format string, args ...any) {
	if w.failed == "" {
		w.failed = w.plainly(fmt.Sprintf(format, args...))
		w.note("judge", "%s", w.failed)
	}
}

// draws is the chance of one request, or of one thing that happens once: the same in
// every run, whatever else happens at the same time.
func (w *world) draws(what string, n int) *rand.Rand {
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, "%d %s %d", w.seed, what, n)
	return rand.New(rand.NewPCG(w.seed, h.Sum64()))
}

// policy is a command's, with waits that the seed decides.
func (w *world) policy(attempts int, ceiling time.Duration) retry.Policy {
	return retry.Policy{MaxAttempts: attempts, InitialDelay: time.Second, MaxDelay: ceiling, Draw: func(ceiling time.Duration) time.Duration {
		return time.Duration(w.draws("wait", int(time.Since(w.begin))).Int64N(int64(ceiling)))
	}}
}

const sigstoreHost = "sigstore.test"

// newWorld makes what is there before anybody publishes.
func newWorld(t *testing.T, seed uint64, dir string) *world {
	t.Helper()
	w := &world{
		t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 7)), begin: time.Now(), dir: dir, plain: registrytest.InProcess{},
		outages: map[string]span{}, counts: map[string]int{}, names: map[string]string{}, verified: map[string]bool{},
	}
	w.rate = []int{15, 25, 40, 80}[w.rng.IntN(4)]
	w.contested = w.rng.IntN(4) == 0
	for _, i := range w.rng.Perm(4)[:1+w.rng.IntN(2)] {
		w.open([]string{"r.example.com", "ghcr.io", registry.DockerHub, "s.example.com"}[i])
	}
	if err := w.openSigstore(); err != nil {
		t.Fatal(err)
	}
	return w
}

// open starts one registry with random rules, and what others have in it.
func (w *world) open(name string) {
	s := &site{w: w, host: name, referrers: map[string]bool{}, lists: map[string]string{}}
	switch name {
	case "ghcr.io":
		g := registrytest.NewGHCR("ghs_x", "org")
		s.store, s.blockable = g.Registry, true
		w.plain["ghcr.io"], w.plain["api.github.com"] = g.Registry, g.API()
		if w.rng.IntN(8) == 0 {
			g.Readers = []string{"ghs_x"}
		}
	case registry.DockerHub:
		hub := registrytest.NewDockerHub(registrytest.HubAccount{Name: "org", Secret: "secret", Delete: true})
		s.store = registrytest.NewStore(registrytest.Rules{Referrers: true})
		s.blockable = w.rng.IntN(4) == 0
		hub.Images = s.store.Registry()
		hub.Set(repository, registrytest.HubRepository{Immutable: s.blockable, Rules: []string{"^1"}})
		w.plain["registry-1.docker.io"], w.plain["hub.docker.com"] = hub.Unguarded(), hub.Hosts()["hub.docker.com"]
	default:
		rules := registrytest.Rules{Referrers: w.rng.IntN(2) == 0}
		refusal := registrytest.Refusals[w.rng.IntN(len(registrytest.Refusals))]
		switch w.rng.IntN(6) {
		case 0:
			rules.DeleteTag = &refusal
		case 1:
			rules.DeleteTag, rules.DeleteDigest = &refusal, &refusal
		case 2:
			rules.Immutable = func(tag string) bool { return strings.HasPrefix(tag, "1") }
		case 3:
			rules.DigestNeedsNoTag = &registrytest.Refusal{Status: http.StatusForbidden, Code: "DENIED", Message: "manifest is still referenced"}
		}
		s.blockable = rules.DeleteTag != nil || rules.Immutable != nil
		s.store = registrytest.NewStore(rules)
		w.plain[name] = s.store
	}
	// A list lacks tags only of the job that asks: that they are there it can know, and nobody
	// can tell that a list lacks what he has never seen.
	omits := func(tag string) bool { return w.now != nil && slices.Contains(w.now.job.refs, s.ref(tag)) }
	s.Distortion = registrytest.Distortion{
		Store: s.store, Repository: repository, IntN: w.rng.IntN, Omits: omits,
		List: []string{"", "", "", "", "", "fails", "omits", "lags"}[w.rng.IntN(8)], Stale: w.rng.IntN(6) == 0, Window: time.Duration(1+w.rng.IntN(5)) * time.Second,
	}
	s.store.OnTag, s.store.OnRemove = s.changed, s.removed
	w.sites = append(w.sites, s)
	for _, content := range []string{"others a", "others b"} {
		s.images = append(s.images, s.store.PutImage(repository, "", content+" "+s.host))
	}
	s.store.Tag(repository, "0.9", s.images[0])
	if w.rng.IntN(3) != 0 {
		s.store.Tag(repository, "latest", s.images[0])
	}
	if w.rng.IntN(2) == 0 {
		s.referTo(s.images[0])
	}
}

// owner reports whether a reference is one of the jobs'.
func (w *world) owner(ref registry.Reference) bool {
	return slices.ContainsFunc(w.jobs, func(j *job) bool { return slices.Contains(j.refs, ref) })
}

func (w *world) openSigstore() error {
	var err error
	if w.sigstore, err = signingtest.New(); err != nil {
		return err
	}
	pipe := signingtest.NewPipe() // nobody dials it: requests are handed to the handler
	w.sigstore.Serve(pipe, "http://"+sigstoreHost)
	w.plain[sigstoreHost] = w.sigstore.Handler()
	w.sigstore.RekorVersion = uint32(1 + w.rng.IntN(2))
	w.source = signing.Source{TrustedRoot: filepath.Join(w.dir, "root.json"), SigningConfig: filepath.Join(w.dir, "config.json")}
	if err := errors.Join(w.sigstore.WriteTrustedRoot(w.source.TrustedRoot), w.sigstore.WriteSigningConfig(w.source.SigningConfig)); err != nil {
		return err
	}
	w.signer = signing.New(signing.Options{})
	w.identity = signing.Identity{Subject: w.sigstore.OIDC.Subject(), Issuer: signingtest.Issuer}
	w.trust, err = signing.LoadTrust(w.source.TrustedRoot)
	return err
}

// gitHubToken is an environment with a workflow's token for GitHub.
func gitHubToken(name string) string {
	if name == "GITHUB_TOKEN" {
		return "ghs_x"
	}
	return ""
}

// close ends the Sigstore's server.
func (w *world) close() {
	_ = w.sigstore.Close()
	for _, j := range w.jobs {
		if j.held != nil {
			_ = j.held.Close()
		}
	}
}

// act is something that others do, in a moment in which no request is served.
func (w *world) act(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.now
	w.now = nil
	f()
	w.now = now
}

// othersMove is somebody else who pushes, moves or deletes a tag.
func (s *site) othersMove(rng *rand.Rand, tag string) {
	to, images := "", slices.Concat(s.images, slices.Sorted(maps.Keys(s.w.jobs[0].built)))
	if rng.IntN(4) != 0 {
		to = images[rng.IntN(len(images))]
	}
	if to != "" && !s.store.Has(repository, to) {
		return
	}
	s.w.note("others", "%s is now %s", s.ref(tag), to)
	s.store.Tag(repository, tag, to)
}

// referTo is somebody else who attaches something to an image.
func (s *site) referTo(image string) {
	digest := s.store.Put(repository, "", registrytest.MediaTypeManifest, fmt.Sprintf(
		`{"schemaVersion":2,"mediaType":%q,"artifactType":"application/x.test","layers":[],"annotations":{"n":"%d"},"subject":{"mediaType":%[1]q,"digest":%[3]q,"size":1}}`,
		registrytest.MediaTypeManifest, len(s.referrers), image))
	s.w.note("others", "attach %s to %s", digest, s.at(image))
	if !s.store.OffersReferrers() {
		tag := registry.FallbackTag(image)
		now := s.store.Look(repository)
		entries := append(entriesOf(now.Raw(now.Tags()[tag])), registry.Descriptor{MediaType: registrytest.MediaTypeManifest, Digest: digest, Size: 1, ArtifactType: "application/x.test"})
		s.store.Put(repository, tag, registrytest.MediaTypeIndex, indexOf(entries))
	}
	s.referrers[digest] = true
}

func indexOf(entries []registry.Descriptor) string {
	raw, _ := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": registrytest.MediaTypeIndex, "manifests": entries})
	return string(raw)
}

func entriesOf(index string) []registry.Descriptor {
	var list struct {
		Manifests []registry.Descriptor `json:"manifests"`
	}
	_ = json.Unmarshal([]byte(index), &list)
	return list.Manifests
}

// pass lets the time pass after which everybody sees what somebody has done: what
// nobody can see, nobody can respect.
func (w *world) pass() {
	for _, s := range w.sites {
		if s.Delays() {
			time.Sleep(s.Window)
		}
	}
}

// othersWork is what others do between two steps.
func (w *world) othersWork() {
	for _, s := range w.sites {
		switch w.rng.IntN(8) {
		case 7: // an index of theirs has the job's image
			for _, image := range slices.Sorted(maps.Keys(w.jobs[0].built)) {
				w.act(func() {
					if s.store.Has(repository, image) {
						d := registry.Descriptor{MediaType: registrytest.MediaTypeManifest, Digest: image, Size: 1}
						if w.jobs[0].index {
							d.MediaType = registrytest.MediaTypeIndex
						}
						around := s.store.Put(repository, "nightly", registrytest.MediaTypeIndex, indexOf([]registry.Descriptor{d}))
						w.note("others", "%s is now %s, an index of %s", s.ref("nightly"), around, image)
					}
				})
			}
		case 0:
			tags := []string{"0.9", "nightly"}
			if w.contested {
				for _, j := range w.jobs {
					tags = append(tags, j.tags...)
				}
			}
			w.act(func() { s.othersMove(w.rng, tags[w.rng.IntN(len(tags))]) })
		case 1:
			images := slices.Clone(s.images)
			for _, j := range w.jobs {
				images = append(images, slices.Sorted(maps.Keys(j.built))...)
			}
			image := images[w.rng.IntN(len(images))]
			w.act(func() {
				if s.store.Has(repository, image) {
					s.referTo(image)
				}
			})
		}
	}
	w.pass()
}

// process is one command in one step of a job. It ends when it is done, when it is
// interrupted, and when it is killed: then nothing that it sends arrives any more, and
// its files are as they were at that moment.
type process struct {
	w    *world
	job  *job
	step string

	ctx    context.Context //nolint:containedctx // the process's own
	cancel context.CancelCauseFunc
	begin  time.Time

	asked          int
	killAt, stopAt int
	dead, stopped  bool
	certificates   int    // that were issued to it, with those whose answers were lost
	faults         int    // requests that did not go as they should have
	pages          int    // of them, those that a page answered in the server's place
	disk           []byte // the record when it was killed
}

var (
	errKilled      = errors.New("killed")
	errInterrupted = fmt.Errorf("interrupted: %w", context.Canceled) // as pkg/command's
	errReset       = errors.New("connection reset by peer")
)

func (w *world) start(j *job, step string) *process {
	p := &process{w: w, job: j, step: step, begin: time.Now()}
	p.ctx, p.cancel = context.WithCancelCause(w.t.Context())
	r := w.draws("process", w.count("process"))
	if w.chaos && r.IntN(3) == 0 {
		p.killAt = 1 + r.IntN(60)
	}
	if w.chaos && r.IntN(6) == 0 {
		p.stopAt = 1 + r.IntN(60)
	}
	w.note(p.who(), "begins")
	return p
}

func (w *world) count(what string) int {
	w.counts[what]++
	return w.counts[what]
}

func (p *process) who() string { return p.job.name + " " + p.step }

// end is the end of the process. A killed one leaves the record that it had.
func (p *process) end(outcome string) {
	p.cancel(nil)
	w := p.w
	p.reads()
	if p.dead {
		_ = os.Remove(p.job.path) // and not written over: somebody may read it
	}
	if p.dead && p.disk != nil {
		if err := os.WriteFile(p.job.path, p.disk, 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
	if p.dead {
		outcome = "killed"
	}
	p.reads()
	w.note(p.who(), "ends: %s", outcome)
}

// reads is somebody who reads the record at any moment: it is whole, and what he has
// opened stays as it is when it is written anew.
func (p *process) reads() {
	if p.job.held != nil {
		buffer := make([]byte, len(p.job.heldText)+1)
		if n, _ := p.job.held.ReadAt(buffer, 0); string(buffer[:n]) != string(p.job.heldText) {
			p.w.fails("the record changed under the hands of a reader: it is written in place")
		}
	}
	f, err := os.Open(p.job.path)
	if errors.Is(err, os.ErrNotExist) {
		return
	}
	if err != nil {
		p.w.t.Fatal(err)
	}
	text, err := io.ReadAll(f)
	if err == nil && p.job.held != nil && string(text) == string(p.job.heldText) {
		_ = f.Close()
		return
	}
	if err == nil {
		_, err = record.Parse(text)
	}
	if err != nil {
		p.w.fails("the record cannot be read at this moment: %v", err)
	}
	if p.job.held != nil {
		_ = p.job.held.Close()
	}
	p.job.held, p.job.heldText = f, text
}

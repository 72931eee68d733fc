// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package simulation_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/LerianStudio/pushguard/pkg/cleanup"
	"github.com/LerianStudio/pushguard/pkg/naming"
	"github.com/LerianStudio/pushguard/pkg/record"
	"github.com/LerianStudio/pushguard/pkg/registry"
	"github.com/LerianStudio/pushguard/pkg/registry/host"
	"github.com/LerianStudio/pushguard/pkg/registry/registrytest"
	"github.com/LerianStudio/pushguard/pkg/retry"
	"github.com/LerianStudio/pushguard/pkg/signing"
	"github.com/LerianStudio/pushguard/pkg/signretry"
	"github.com/LerianStudio/pushguard/pkg/tagcheck"
)

// The exit codes of the commands, as docs/design.md has them.
const (
	exitGoOn        = 0
	exitNo          = 1
	exitUsage       = 2
	exitOutage      = 3
	exitPartial     = 4
	exitInterrupted = 130
	exitKilled      = 137
)

// job is one call of the chain in one CI run. Its steps do with the real packages what the
// commands in cmd do with them; what differs is that nobody reads flags.
type job struct {
	w    *world
	name string
	run  record.Run
	path string // of the record
	tags []string
	refs []registry.Reference // tags in all sites

	namesLast bool // push by digest, sign, name; else push under the tags, then sign
	formats   []signing.Format
	warn      bool // --on-failure=warn
	cleans    bool // cleanup_on_failure
	detach    bool
	prune     bool
	unnamed   bool
	index     bool   // the image is an index
	rebuilds  bool   // another build has another digest
	content   string // of the image

	held     *os.File // the record, open in somebody's hands, with what he has read
	heldText []byte
	settled  bool   // the last attempt has done everything
	noted    string // what the record has of the last push by digest
	attempt  int
	metadata []registry.Reference                   // what the build of this attempt pushed; nil for none
	existing []registry.Reference                   // what this attempt's check found, by digest
	built    map[string]bool                        // digests of images that it has pushed
	parts    map[string]bool                        // and of what is in them
	looked   map[registry.Reference]map[string]bool // what checks have seen under its tags
	put      map[registry.Reference]map[string]bool // what it has put under them
}

const version = "1.0"

func (w *world) hire(name string, run record.Run, tags ...string) *job {
	j := &job{
		w: w, name: name, run: run, path: filepath.Join(w.dir, name+".json"), tags: tags, content: "app " + name,
		namesLast: w.rng.IntN(2) == 0, warn: w.rng.IntN(8) == 0, cleans: w.rng.IntN(2) == 0,
		detach: w.rng.IntN(2) == 0, prune: w.rng.IntN(2) == 0, unnamed: w.rng.IntN(2) == 0,
		index: w.rng.IntN(2) == 0, rebuilds: w.rng.IntN(2) == 0,
		built: map[string]bool{}, parts: map[string]bool{}, looked: map[registry.Reference]map[string]bool{}, put: map[registry.Reference]map[string]bool{},
	}
	j.formats = [][]signing.Format{{signing.FormatBundle}, {signing.FormatBundle}, {signing.FormatLegacy}, {signing.FormatBundle, signing.FormatLegacy}}[w.rng.IntN(4)]
	if w.sigstore.RekorVersion == 2 {
		j.formats = []signing.Format{signing.FormatBundle}
	}
	for _, tag := range tags {
		for _, s := range w.sites {
			j.refs = append(j.refs, s.ref(tag))
		}
	}
	w.jobs = append(w.jobs, j)
	w.note(name, "publishes %v, names last %t, formats %v, warn %t, cleans %t, detach %t, prune %t, unnamed %t",
		j.refs, j.namesLast, j.formats, j.warn, j.cleans, j.detach, j.prune, j.unnamed)
	return j
}

func isMoving(tag string) bool { return !strings.HasPrefix(tag, "1") }

// open is what each command begins with.
func (p *process) open() (*record.Record, *host.Registries) {
	rec, err := record.Open(p.job.path, p.job.run, record.Options{})
	if err != nil {
		p.w.fails("%s cannot open the record of its own run: %v", p.who(), err)
		return record.New(p.job.run), nil
	}
	registries, err := host.Open(p.ctx, registry.Options{Transport: p, Timeout: 30 * time.Second}, gitHubToken)
	if err != nil {
		p.w.t.Fatal(err)
	}
	return rec, registries
}

// check is tagcheck. It reports whether to build.
func (j *job) check() (code int, build bool) {
	w, p := j.w, j.w.start(j, "check")
	rec, registries := p.open()
	ctx, cancel := retry.WithBudget(p.ctx, 2*time.Minute)
	defer cancel()
	checker := tagcheck.Checker{Registry: registries, Policy: w.policy(5, 10*time.Second)}
	tags := checker.Check(ctx, j.refs, []string{"latest", "edge"})
	if p.ctx.Err() == nil {
		checker.CheckPushed(ctx, tags, rec.PushedTo)
	}
	if p.ctx.Err() != nil && !p.dead {
		p.end("interrupted")
		return exitInterrupted, false
	}
	for i, t := range tags {
		before := rec.Before(t.Ref.String())
		tags[i].Before = tagcheck.Before{State: tagcheck.State(before.State), Digest: before.Digest}
		tags[i].Own = rec.IsOwn(t.Ref.String(), t.Digest)
	}
	result := tagcheck.Judge(tags, tagcheck.Skip, tagcheck.Fail)
	for _, t := range tags {
		rec.Seen(record.Look{
			Ref: t.Ref.String(), Moving: t.Moving,
			State:     record.State{State: string(t.State), Digest: t.Digest, Reason: t.Reason, CheckedAt: t.CheckedAt},
			Immutable: record.Immutable{State: t.Immutable.String(), Rule: t.Immutable.Rule},
		})
	}
	p.save(rec)
	code = map[tagcheck.Outcome]int{tagcheck.GoOn: exitGoOn, tagcheck.Exists: exitNo, tagcheck.NotAsked: exitOutage, tagcheck.Stuck: exitPartial}[result.Outcome]
	p.end(fmt.Sprintf("%d %s, build %t", code, result.Verdict, result.ShouldBuild))
	if p.dead {
		return exitKilled, false
	}
	j.judgeCheck(p, result, code)
	j.existing = nil
	for _, t := range tags {
		if t.State == tagcheck.Present && !t.Moving && t.Digest != "" {
			ref := t.Ref
			ref.Digest = t.Digest
			j.existing = append(j.existing, ref)
		}
	}
	if code != exitGoOn || result.ShouldBuild || j.namesLast || len(result.Missing) == 0 {
		return code, result.ShouldBuild
	}
	return j.copyMissing(result), false
}

func (p *process) save(rec *record.Record) {
	if err := rec.Save(); err != nil {
		p.w.t.Fatal(err)
	}
}

// copyMissing is scripts/copy-missing.sh: docker buildx imagetools create.
func (j *job) copyMissing(result tagcheck.Result) int {
	p := j.w.start(j, "copy")
	var copied []registry.Reference
	for i, to := range result.Missing {
		from := result.CopyFrom[i]
		if err := p.copyImage(from, to); err != nil {
			p.end(err.Error())
			return p.failed()
		}
		to.Digest = from.Digest
		copied = append(copied, to)
	}
	p.end("copied")
	if p.dead {
		return exitKilled
	}
	j.metadata = copied
	return exitGoOn
}

// failed is the exit code of a program that is not ours.
func (p *process) failed() int {
	if p.dead {
		return exitKilled
	}
	return exitNo
}

// copyImage copies an image with what is in it, to a tag.
func (p *process) copyImage(from, to registry.Reference) error {
	return p.copyManifest(from, to, from.Digest, to.Tag)
}

func (p *process) copyManifest(from, to registry.Reference, digest, as string) error {
	mediaType, raw, err := p.get(from, "/manifests/", digest)
	if err != nil {
		return err
	}
	var m struct {
		Config registry.Descriptor `json:"config"`
	}
	_ = json.Unmarshal(raw, &m)
	if m.Config.Digest != "" {
		_, config, err := p.get(from, "/blobs/", m.Config.Digest)
		if err == nil {
			err = p.send(http.MethodPost, to, "/blobs/uploads/?digest="+m.Config.Digest, "application/octet-stream", string(config))
		}
		if err != nil {
			return err
		}
	}
	for _, d := range entriesOf(string(raw)) {
		p.job.parts[d.Digest] = true
		if err := p.copyManifest(from, to, d.Digest, d.Digest); err != nil {
			return err
		}
	}
	if !p.job.parts[digest] {
		p.job.built[digest] = true
	}
	return p.put(to, as, mediaType, raw)
}

// build is docker buildx build --push: by digest, or under all tags in one go. A push
// that failed leaves no metadata.
func (j *job) build() int {
	w, p := j.w, j.w.start(j, "build")
	content := j.content
	if j.rebuilds {
		content = fmt.Sprintf("%s, build %d", j.content, j.attempt)
	}
	image := newImage(content, j.index)
	j.built[image.digest()] = true
	if j.index {
		j.parts[registrytest.Digest(image.manifest)] = true
	}
	j.metadata = nil
	var pushed []registry.Reference
	err := func() error {
		for _, s := range w.sites {
			tags := []string{image.digest()}
			if !j.namesLast {
				tags = j.tags
			}
			if err := p.push(s, image, tags); err != nil {
				return err
			}
			for _, tag := range tags {
				ref := s.at(image.digest())
				if !j.namesLast {
					ref.Tag = tag
				}
				pushed = append(pushed, ref)
			}
		}
		return nil
	}()
	if err != nil {
		p.end(err.Error())
		return p.failed()
	}
	p.end("pushed " + image.digest())
	if p.dead {
		return exitKilled
	}
	j.metadata, j.existing = pushed, nil
	return exitGoOn
}

// image is what a build makes.
type image struct{ config, manifest, index string }

func newImage(content string, index bool) image {
	i := image{config: fmt.Sprintf(`{"architecture":"amd64","os":"linux","config":{"Labels":{"content":%q}},"rootfs":{"type":"layers","diff_ids":[]}}`, content)}
	i.manifest = fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","size":%d,"digest":%q},"layers":[]}`,
		registrytest.MediaTypeManifest, len(i.config), registrytest.Digest(i.config))
	if index {
		i.index = indexOf([]registry.Descriptor{{MediaType: registrytest.MediaTypeManifest, Digest: registrytest.Digest(i.manifest), Size: int64(len(i.manifest))}})
	}
	return i
}

func (i image) digest() string { return registrytest.Digest(cmp.Or(i.index, i.manifest)) }

// push pushes an image to one registry, under tags or digests.
func (p *process) push(s *site, i image, tags []string) error {
	ref := s.ref("")
	if err := p.send(http.MethodPost, ref, "/blobs/uploads/?digest="+registrytest.Digest(i.config), "application/octet-stream", i.config); err != nil {
		return err
	}
	if i.index != "" {
		if err := p.put(ref, registrytest.Digest(i.manifest), registrytest.MediaTypeManifest, []byte(i.manifest)); err != nil {
			return err
		}
	}
	for _, tag := range tags {
		mediaType, raw := registrytest.MediaTypeManifest, i.manifest
		if i.index != "" {
			mediaType, raw = registrytest.MediaTypeIndex, i.index
		}
		if err := p.put(ref, tag, mediaType, []byte(raw)); err != nil {
			return err
		}
	}
	return nil
}

func (p *process) put(ref registry.Reference, what, mediaType string, raw []byte) error {
	return p.send(http.MethodPut, ref, "/manifests/"+what, mediaType, string(raw))
}

func (p *process) get(ref registry.Reference, path, what string) (mediaType string, raw []byte, err error) {
	err = p.ask(http.MethodGet, ref, path+what, "", "", func(resp *http.Response) error {
		mediaType = resp.Header.Get("Content-Type")
		raw, err = io.ReadAll(resp.Body)
		if err == nil && registrytest.Digest(string(raw)) != what {
			err = errReset
		}
		return err
	})
	return mediaType, raw, err
}

func (p *process) send(method string, ref registry.Reference, path, mediaType, body string) error {
	return p.ask(method, ref, path, mediaType, body, func(*http.Response) error { return nil })
}

// ask is a request of docker's: it tries three times.
func (p *process) ask(method string, ref registry.Reference, path, mediaType, body string, read func(*http.Response) error) (err error) {
	name := ref.Registry
	if name == registry.DockerHub {
		name = "registry-1.docker.io"
	}
	for range 3 {
		if p.ctx.Err() != nil {
			return context.Cause(p.ctx)
		}
		ctx, cancel := context.WithTimeout(p.ctx, time.Minute)
		err = func() error {
			req, err := http.NewRequestWithContext(ctx, method, "https://"+name+"/v2/"+ref.Repository+path, bytes.NewReader([]byte(body)))
			if err != nil {
				return err
			}
			if mediaType != "" {
				req.Header.Set("Content-Type", mediaType)
			}
			resp, err := p.RoundTrip(req)
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			if resp.StatusCode >= http.StatusBadRequest || method != http.MethodGet && resp.StatusCode == http.StatusOK {
				return fmt.Errorf("%s %s: %d", method, path, resp.StatusCode)
			}
			return read(resp)
		}()
		cancel()
		if err == nil {
			return nil
		}
		sleep(p.ctx, time.Second)
	}
	return err
}

// sign is signretry, with --then-tag where names come last.
func (j *job) sign() int {
	w, p := j.w, j.w.start(j, "sign")
	rec, registries := p.open()
	images := j.metadata
	for _, ref := range images {
		image := record.Image{Name: ref.Name(), Tag: ref.Tag, Digest: ref.Digest}
		if err := rec.Published(image, "buildx-metadata", time.Now().UTC()); err != nil {
			w.fails("%s cannot note what it pushed: %v", p.who(), err)
		}
	}
	if images != nil {
		images = append(slices.Clone(images), j.existing...)
	} else {
		for _, i := range rec.ToSign() {
			images = append(images, registry.Reference{Registry: strings.TrimSuffix(i.Name, "/"+repository), Repository: repository, Tag: i.Tag, Digest: i.Digest})
		}
	}
	p.save(rec)
	if j.namesLast && j.metadata != nil {
		j.noted = j.metadata[0].Digest
	}
	if len(images) == 0 {
		p.end("2 nothing to sign")
		return exitUsage
	}
	names := j.names(rec, images)
	policy := w.policy(0, time.Minute)
	namer := naming.Namer{Registry: registries, Policy: policy, Copy: func(ctx context.Context, from, to registry.Reference) error {
		return registry.Copy(ctx, registries.Client, from, to)
	}}
	if len(names) > 0 {
		ctx, cancel := retry.WithBudget(p.ctx, 15*time.Minute)
		_, err := namer.Complete(ctx, images)
		cancel()
		if err != nil {
			p.end("cannot complete: " + err.Error())
			if p.dead {
				return exitKilled
			}
			return exitOutage
		}
	}
	want := j.wanted(images)
	report := signretry.Run(p.ctx, images, signretry.Options{
		Registry: registries, Signer: signing.New(signing.Options{Transport: p, Timeout: 30 * time.Second}), Services: w.source,
		Token:  signing.ActionsToken(w.sigstore.TokenURL(), w.sigstore.RequestToken()),
		Policy: policy, Budget: 15 * time.Minute, Formats: j.formats,
		// Two at once would wait for each other in a mutex of regclient's, which holds it while
		// it keeps the list of referrers: that is no wait which moves virtual time.
		Parallel: 1,
		OnResult: func(r signretry.Result) { p.noteResult(rec, r) },
	})
	signed := time.Now()
	named := j.putNames(p, namer, names, report, rec)
	code := signCode(p, report, named, j.warn)
	for _, r := range report.Results {
		w.note(p.who(), "image %s: %s %v", r.Ref, r.Status, r.Err)
	}
	for _, r := range named {
		w.note(p.who(), "name %s: %s %v", r.Tag, r.Outcome, r.Err)
	}
	p.end(fmt.Sprint(code))
	j.judgeSign(p, want, report, named, signed)
	if p.dead {
		return exitKilled
	}
	return code
}

func (p *process) noteResult(rec *record.Record, r signretry.Result) {
	image := record.Image{Name: r.Ref.Name(), Tag: r.Ref.Tag, Digest: r.Ref.Digest}
	for _, have := range r.Signatures {
		s := record.Signature{Format: string(have.Format), At: r.At}
		if have.Log != nil {
			s.Log = &record.LogEntry{URL: have.Log.URL, Index: have.Log.Index}
		}
		rec.Signed(image, s)
	}
	if r.Status == signretry.Failed {
		rec.NotSigned(image, r.Err.Error(), r.At)
	}
	p.save(rec)
}

// names are those of --then-tag.
func (j *job) names(rec *record.Record, images []registry.Reference) (names []naming.Name) {
	if !j.namesLast {
		return nil
	}
	for _, tag := range j.tags {
		for _, image := range images {
			name := naming.Name{Tag: image.WithTag(tag), Digest: image.Digest}
			if t := rec.Tag(name.Tag.String()); t != nil {
				before := rec.Before(name.Tag.String())
				name.Before, name.Unknown, name.Moving = before.Digest, before.State == record.Unknown, t.Moving
			}
			if !slices.ContainsFunc(names, func(n naming.Name) bool { return n.Tag == name.Tag }) {
				names = append(names, name)
			}
		}
	}
	return names
}

const unsigned naming.Outcome = "not signed"

// putNames puts the names whose images are signed, and with --on-failure=warn the others.
func (j *job) putNames(p *process, namer naming.Namer, names []naming.Name, report signretry.Report, rec *record.Record) (results []naming.Result) {
	var due []naming.Name
	for _, name := range names {
		if j.warn || isSigned(report, name.Digest) {
			due = append(due, name)
		} else {
			results = append(results, naming.Result{Name: name, Outcome: unsigned})
		}
	}
	if len(due) == 0 || p.ctx.Err() != nil {
		return results
	}
	ctx, cancel := retry.WithBudget(p.ctx, 15*time.Minute)
	defer cancel()
	namer.OnPut = func(name naming.Name) error {
		err := rec.Published(record.Image{Name: name.Tag.Name(), Tag: name.Tag.Tag, Digest: name.Digest}, "tag", time.Now().UTC())
		p.save(rec)
		return err
	}
	return append(namer.Put(ctx, due), results...)
}

func isSigned(report signretry.Report, digest string) bool {
	return !slices.ContainsFunc(report.Results, func(r signretry.Result) bool { return r.Ref.Digest == digest && r.Status == signretry.Failed })
}

// signCode is signretry's exit code.
func signCode(p *process, report signretry.Report, named []naming.Result, warn bool) int {
	failed, passing := 0, true
	for _, r := range report.Results {
		if r.Status == signretry.Failed {
			failed++
			passing = passing && r.Passing()
		}
	}
	switch {
	case p.ctx.Err() != nil && failed > 0:
		return exitInterrupted
	case failed > 0 && !warn && failed < len(report.Results):
		return exitPartial
	case failed > 0 && !warn && !passing:
		return exitNo
	case failed > 0 && !warn:
		return exitOutage
	}
	bad, put, later := 0, 0, false
	for _, r := range named {
		switch {
		case r.Err != nil:
			bad++
			later = later || retry.Passing(r.Err)
		case r.Outcome != unsigned:
			put++
		}
	}
	switch {
	case bad == 0:
		return exitGoOn
	case put > 0:
		return exitPartial
	case later:
		return exitOutage
	}
	return exitNo
}

// clean is regcleanup --delete.
func (j *job) clean() (int, []cleanup.Report) {
	w, p := j.w, j.w.start(j, "clean")
	rec, registries := p.open()
	claims, err := cleanup.Claims([]*record.Record{rec})
	if err == nil && j.unnamed {
		var images []cleanup.Claim
		images, err = cleanup.Unnamed([]*record.Record{rec})
		claims = append(claims, images...)
	}
	if err != nil {
		w.fails("%s cannot read its claims: %v", p.who(), err)
	}
	ctx, cancel := retry.WithBudget(p.ctx, 10*time.Minute)
	defer cancel()
	cleaner := cleanup.Cleaner{Registry: registries, Policy: w.policy(5, 30*time.Second), Detach: j.detach, Prune: j.prune}
	cleaner.OnReport = func(r cleanup.Report) {
		if rec.CleanedUp(r.Claim.Ref.String(), record.Cleanup{Action: string(r.Action), Outcome: string(r.Outcome), Reason: r.Reason, At: r.At}) {
			p.save(rec)
		}
	}
	steps := cleaner.Plan(ctx, claims)
	var reports []cleanup.Report
	if p.ctx.Err() == nil {
		reports = cleaner.Run(ctx, steps)
	}
	code := exitGoOn
	for _, r := range reports {
		w.note(p.who(), "%s %s %s %s: %s %s", r.Claim.Ref, r.Part, r.Action, r.Outcome, r.Reason, r.Detail)
		if r.Outcome == cleanup.Failed {
			code = exitOutage
		}
	}
	if p.ctx.Err() != nil {
		code = exitInterrupted
	}
	p.end(fmt.Sprint(code))
	if p.dead {
		return exitKilled, nil
	}
	j.judgeClean(reports)
	return code, reports
}

// try is one attempt of the job, up to the step that fails. Behind it, what the job is set
// up to do on a failure.
func (j *job) try() (code int) {
	w := j.w
	j.attempt++
	j.run.Attempt = j.attempt
	j.metadata, j.existing = nil, nil
	code, build := j.check()
	step := func(f func() int) {
		if code == exitGoOn && w.failed == "" {
			w.between()
			code = f()
		}
	}
	if build {
		step(j.build)
	}
	step(j.sign)
	step(j.gitOps)
	return code
}

// gitOps stands for all that comes behind: it fails for reasons of its own.
func (j *job) gitOps() int {
	if j.w.chaos && j.w.rng.IntN(3) == 0 {
		j.w.note(j.name+" gitops", "fails")
		return exitNo
	}
	return exitGoOn
}

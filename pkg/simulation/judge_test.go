// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package simulation_test

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/LerianStudio/pushguard/pkg/cleanup"
	"github.com/LerianStudio/pushguard/pkg/naming"
	"github.com/LerianStudio/pushguard/pkg/record"
	"github.com/LerianStudio/pushguard/pkg/registry"
	"github.com/LerianStudio/pushguard/pkg/registry/registrytest"
	"github.com/LerianStudio/pushguard/pkg/signing"
	"github.com/LerianStudio/pushguard/pkg/signretry"
	"github.com/LerianStudio/pushguard/pkg/tagcheck"
)

// sees notes what a check was told of the job's own tags: only that may be replaced.
func (p *process) sees(req *http.Request, resp *http.Response) {
	_, tag, _ := strings.Cut(req.URL.Path, "/manifests/")
	s, j := p.w.siteOf(req.URL.Host), p.job
	if s == nil || p.step != "check" || !slices.Contains(j.refs, s.ref(tag)) {
		return
	}
	digest := resp.Header.Get("Docker-Content-Digest")
	if (resp.StatusCode != http.StatusOK || digest == "") && resp.StatusCode != http.StatusNotFound {
		return
	}
	if j.looked[s.ref(tag)] == nil {
		j.looked[s.ref(tag)] = map[string]bool{}
	}
	j.looked[s.ref(tag)][digest] = true
}

// puts notes what the process sends to a tag of its job, whether it arrives or not.
func (p *process) puts(req *http.Request) *http.Request {
	_, tag, manifest := strings.Cut(req.URL.Path, "/manifests/")
	s, j := p.w.siteOf(req.URL.Host), p.job
	if s == nil || !manifest || req.Method != http.MethodPut || p.step == "clean" || !slices.Contains(j.refs, s.ref(tag)) {
		return req
	}
	raw, err := io.ReadAll(req.Body)
	if err != nil {
		p.w.t.Fatal(err)
	}
	if j.put[s.ref(tag)] == nil {
		j.put[s.ref(tag)] = map[string]bool{}
	}
	j.put[s.ref(tag)][registrytest.Digest(string(raw))] = true
	req = req.Clone(req.Context())
	req.Body = io.NopCloser(bytes.NewReader(raw))
	return req
}

// found reports whether a check has seen an image under a tag that stays: on_existing=skip
// takes it for the release, whoever has pushed it.
func (j *job) found(digest string) bool {
	return slices.ContainsFunc(j.refs, func(ref registry.Reference) bool { return !isMoving(ref.Tag) && j.looked[ref][digest] })
}

// named reports whether the job has put one of its tags on an image, whoever has built it.
func (j *job) named(digest string) bool {
	return slices.ContainsFunc(j.refs, func(ref registry.Reference) bool { return j.put[ref][digest] })
}

// changed judges each change of a tag, at the moment at which it happens.
func (s *site) changed(now registrytest.View, tag, from, to string) {
	s.Note(now, tag, from, to)
	if image, attached := registry.AttachedTo(tag); attached {
		s.lists[from], s.lists[to] = image, image
	}
	w, p := s.w, s.w.now
	if p == nil {
		return
	}
	j, ref := p.job, s.ref(tag)
	w.note(p.who(), "    %s: %s → %s", ref, from, to)
	if image, attached := registry.AttachedTo(tag); attached {
		s.changedAttached(now, tag, image, from, to)
		return
	}
	if !slices.Contains(j.refs, ref) {
		w.fails("%s changed %s from %s to %s: it is not this job's", p.who(), ref, from, to)
		return
	}
	restored, ours := j.looked[ref][to], j.put[ref][from]
	switch p.step {
	case "build", "copy": // docker asks nobody
	case "sign":
		if !j.namesLast || !j.looked[ref][from] && (from != "" || len(j.looked[ref]) > 0) {
			w.fails("%s took %s from %s, which no check has seen there", p.who(), ref, from)
		}
		if !j.built[to] && !j.found(to) {
			w.fails("%s named %s as %s, which the job has not built", p.who(), to, ref)
		}
		if stays := j.tags[0]; isMoving(tag) && now.Tags()[stays] != to {
			w.fails("%s put %s on %s, which has no tag that stays", p.who(), ref, to)
		}
	case "clean":
		thrown := j.detach && strings.Contains(now.Raw(to), "pushguard.detached")
		wasThrown := j.detach && strings.Contains(now.Raw(from), "pushguard.detached")
		switch {
		case ours && (restored || thrown): // to "", where a check has seen nothing
		case wasThrown && (to == "" || j.put[ref][to]):
		default:
			w.fails("%s changed %s from %s to %s, which nothing proves", p.who(), ref, from, to)
		}
	default:
		w.fails("%s changed a tag", p.who())
	}
	if to != "" && p.step == "sign" && j.namesLast && !j.warn {
		s.namesSigned(now, j, ref, to)
	}
}

// namesSigned wants what a tag names to be signed in all registries that have it.
func (s *site) namesSigned(now registrytest.View, j *job, ref registry.Reference, digest string) {
	for _, other := range s.w.sites {
		view := now
		if other != s {
			view = other.store.Look(repository)
		}
		if view.Raw(digest) == "" || other != s && (s.w.contested || s.w.shared()) {
			continue // it is not there, or others have a part in it
		}
		for _, format := range j.formats {
			if format == signing.FormatLegacy && view.Tags()[registry.SignatureTag(digest)] == "" ||
				format == signing.FormatBundle && !slices.ContainsFunc(view.Referrers(digest), func(d string) bool { return strings.Contains(view.Raw(d), signing.BundleMediaType) }) {
				s.w.fails("%s names %s, which has no signature (%s) in %s", ref, digest, format, other.host)
			}
		}
	}
}

// changedAttached judges a list of what is attached to an image.
func (s *site) changedAttached(now registrytest.View, tag, image, from, to string) {
	w, p := s.w, s.w.now
	switch p.step {
	case "sign":
		have := entriesOf(now.Raw(to))
		for _, entry := range entriesOf(now.Raw(from)) {
			if s.referrers[entry.Digest] && !slices.ContainsFunc(have, func(d registry.Descriptor) bool { return d.Digest == entry.Digest }) {
				w.fails("%s lost %s, which others have attached to %s", p.who(), entry.Digest, image)
			}
		}
	case "clean":
		if !p.job.built[image] && !p.job.parts[image] && !p.job.named(image) || now.Reached(image) {
			w.fails("%s changed %s, which is attached to an image that is not the job's, or has a tag", p.who(), s.ref(tag))
		}
	default:
		w.fails("%s changed %s", p.who(), s.ref(tag))
	}
}

// removed judges each deletion of a manifest. Its tags are judged one by one.
func (s *site) removed(now registrytest.View, digest string) {
	w, p := s.w, s.w.now
	if p == nil {
		return
	}
	w.note(p.who(), "    %s is deleted", s.at(digest))
	j, raw := p.job, now.Raw(digest)
	of := s.lists[digest]
	images := maps.Clone(j.built)
	for _, ref := range j.refs {
		maps.Copy(images, j.put[ref])
	}
	for _, image := range slices.Sorted(maps.Keys(images)) {
		if slices.Contains(now.Referrers(image), digest) {
			of = image
		}
	}
	switch {
	case p.step != "clean":
		w.fails("%s deleted %s", p.who(), digest)
	case j.built[digest], j.parts[digest], strings.Contains(raw, "pushguard.detached"):
	case (j.built[of] || j.named(of)) && !now.Reached(of):
	default:
		w.fails("%s deleted %s, which is not the job's, or is attached to an image with a tag", p.who(), digest)
	}
	for tag, root := range now.Tags() {
		if _, attached := registry.AttachedTo(tag); attached || root == digest {
			continue
		}
		if slices.ContainsFunc(entriesOf(now.Raw(root)), func(d registry.Descriptor) bool { return d.Digest == digest }) {
			w.fails("%s deleted %s, which %s needs", p.who(), digest, s.ref(tag))
		}
	}
}

// wasSo reports whether a tag named a digest at some time since, as far as the registry
// shows it.
func (s *site) wasSo(tag, digest string, since time.Time) bool {
	if s.Delays() {
		since = since.Add(-s.Window)
	}
	if s.Tags(since)[tag] == digest {
		return true
	}
	return slices.ContainsFunc(s.Moves(), func(m registrytest.Move) bool { return m.Tag == tag && !m.At.Before(since) && m.To == digest })
}

// judgeCheck wants the truth of tagcheck.
func (j *job) judgeCheck(p *process, r tagcheck.Result, code int) {
	w := j.w
	for _, t := range r.Tags {
		s := w.siteOf(t.Ref.Registry)
		switch {
		case t.State == tagcheck.Unknown:
			if p.faults == 0 {
				w.fails("check: %s is unknown, and nothing went wrong: %v", t.Ref, t.Err)
			}
		case !s.wasSo(t.Ref.Tag, t.Digest, p.begin):
			w.fails("check: %s is said to be %s %s, and was not", t.Ref, t.State, t.Digest)
		}
		if t.Own && !j.put[t.Ref][t.Digest] {
			w.fails("check: %s is called this run's own, and is not", t.Ref)
		}
	}
	if code == exitGoOn && r.ShouldBuild && len(r.Existing) > 0 {
		w.fails("check: %v exist, and it is to be built again", r.Existing)
	}
	everywhere := j.noted != "" && !slices.ContainsFunc(w.sites, func(s *site) bool { return !s.store.Has(repository, j.noted) })
	if r.ShouldBuild && everywhere && p.faults == 0 {
		w.fails("check: %s is in all registries, and it is to be built again", j.noted)
	}
	if code == exitGoOn && !r.ShouldBuild && len(r.Existing) == 0 && r.Verdict != tagcheck.VerdictPushed {
		w.fails("check: nothing exists, and nothing is to be built")
	}
}

// wanted counts the signatures that a run over images has to make: each is one entry of
// the log.
func (j *job) wanted(images []registry.Reference) (n int) {
	digests := map[string][]*site{}
	for _, image := range images {
		s := j.w.siteOf(image.Registry)
		if !slices.Contains(digests[image.Digest], s) {
			digests[image.Digest] = append(digests[image.Digest], s)
		}
	}
	entries := j.w.sigstore.Rekor.Entries() + j.w.sigstore.Rekor2.Entries()
	for digest, sites := range digests {
		for _, format := range j.formats {
			have := 0
			for _, s := range sites {
				if s.valid(digest, format) > 0 {
					have++
				}
			}
			switch {
			case format == signing.FormatLegacy:
				n += len(sites) - have
			case have == 0:
				n++
			}
		}
	}
	return entries + n
}

// valid counts the signatures that a verifier finds on an image.
func (s *site) valid(digest string, format signing.Format) (n int) {
	w, now := s.w, s.store.Look(repository)
	once := func(known string, verify func() error) {
		if _, ok := w.verified[known]; !ok {
			w.verified[known] = verify() == nil
		}
		if w.verified[known] {
			n++
		}
	}
	if format == signing.FormatLegacy {
		layers, _, _ := signing.LegacyLayers([]byte(now.Raw(now.Tags()[registry.SignatureTag(digest)])))
		for _, layer := range layers {
			payload := now.Blob(layer.Digest)
			once(fmt.Sprint(layer.Annotations, string(payload), s.host), func() error {
				claim := signing.Claim{Digest: digest, Repository: s.at(digest).CosignName()}
				_, err := w.signer.VerifyLegacy(&signing.Legacy{Payload: payload, Annotations: layer.Annotations}, w.trust, claim, w.identity.Only())
				return err
			})
		}
		return n
	}
	for _, d := range s.attached(now, digest) {
		if layer, ok := signing.BundleLayer([]byte(now.Raw(d))); ok {
			once(layer.Digest+" "+digest, func() error {
				_, err := w.signer.Verify(now.Blob(layer.Digest), w.trust, digest, w.identity.Only())
				return err
			})
		}
	}
	return n
}

// attached is what a reader finds attached to an image: in the referrers API, or in the list
// under the fallback tag.
func (s *site) attached(now registrytest.View, image string) (digests []string) {
	if s.store.OffersReferrers() {
		return now.Referrers(image)
	}
	for _, d := range entriesOf(now.Raw(now.Tags()[registry.FallbackTag(image)])) {
		digests = append(digests, d.Digest)
	}
	return digests
}

// judgeSign wants the truth of signretry. want is how many entries the log may have now.
func (j *job) judgeSign(p *process, want int, report signretry.Report, named []naming.Result, signed time.Time) {
	w := j.w
	// A registry that could not be asked may have had what was made for another one.
	unread := map[string]bool{}
	for _, r := range report.Results {
		if r.Status == signretry.Failed || p.pages > 2 { // a page for half a minute is an answer
			unread[r.Ref.Digest] = true
		}
	}
	want += len(unread)
	if got := w.sigstore.Rekor.Entries() + w.sigstore.Rekor2.Entries(); got > want {
		w.fails("sign: %d log entries too many", got-want)
	}
	// One, those whose answers were lost, and one more for each that has run out.
	due := 1 + p.faults + int(signed.Sub(p.begin)/(9*time.Minute))
	if p.certificates > due {
		w.fails("sign: %d certificates, %d were due", p.certificates, due)
	}
	if p.dead {
		return
	}
	for _, r := range report.Results {
		s := w.siteOf(r.Ref.Registry)
		for _, format := range j.formats {
			if r.Status != signretry.Failed && s.valid(r.Ref.Digest, format) == 0 {
				w.fails("sign: %s is called %s, and has no valid signature (%s)", r.Ref, r.Status, format)
			}
		}
		if r.Status == signretry.Failed && p.faults == 0 && !p.stopped && s.store.Has(repository, r.Ref.Digest) {
			w.fails("sign: %s failed, and nothing went wrong: %v", r.Ref, r.Err)
		}
		if r.Status == signretry.Failed && !r.Passing() && p.faults == 0 && s.store.Has(repository, r.Ref.Digest) {
			w.fails("sign: %s is refused, and nobody refuses: %v", r.Ref, r.Err)
		}
	}
	for _, r := range named {
		s := w.siteOf(r.Tag.Registry)
		switch r.Outcome {
		case naming.Named, naming.Already:
			if !s.wasSo(r.Tag.Tag, r.Digest, p.begin) {
				w.fails("sign: %s is called %s, and never was %s", r.Tag, r.Outcome, r.Digest)
			}
		case naming.Failed: // its error is judged below
		case naming.Taken:
			if !w.contested && !w.shared() && !r.Unknown {
				w.fails("sign: %s is called taken, and nobody else touches it: %v", r.Tag, r.Err)
			}
		}
		if (r.Err == nil) != (r.Outcome == naming.Named || r.Outcome == naming.Already || r.Outcome == unsigned) {
			w.fails("sign: %s is %s with the error %v", r.Tag, r.Outcome, r.Err)
		}
	}
}

// shared reports whether two jobs publish the same tags.
func (w *world) shared() bool {
	return len(w.jobs) > 1 && w.jobs[0].refs[0] == w.jobs[1].refs[0]
}

// judgeClean wants the truth of regcleanup.
func (j *job) judgeClean(reports []cleanup.Report) {
	w := j.w
	for _, r := range reports {
		if r.Claim.Ref.Tag == "" || r.Part != "" {
			continue
		}
		s := w.siteOf(r.Claim.Ref.Registry)
		switch {
		case (r.Outcome == cleanup.Blocked || r.Outcome == cleanup.Failed) && r.Detail == "", r.Outcome == cleanup.Blocked && r.ByHand == "":
			w.fails("clean: %s is %s without a reason or a remedy", r.Claim.Ref, r.Outcome)
		case r.Outcome == cleanup.Done && !w.contested && s.store.Tags(repository)[r.Claim.Ref.Tag] == r.Claim.Published && r.Claim.Published != r.Claim.Before.Digest:
			w.fails("clean: %s is called done, and still is what the job published", r.Claim.Ref)
		}
	}
}

// converged wants the end of a run without faults: the same tags, one digest, signed
// everywhere.
func (j *job) converged(code int) {
	w := j.w
	quiet := !w.contested && !w.shared()
	if code != exitGoOn && quiet {
		w.fails("%s: the last attempt, without faults, exits with %d", j.name, code)
		return
	}
	digest := ""
	for _, ref := range j.refs {
		s := w.siteOf(ref.Registry)
		named := s.store.Tags(repository)[ref.Tag]
		switch {
		case !quiet:
			continue // others have a part in it
		case !j.built[named]:
			w.fails("%s: in the end %s is %q, which the job has not built", j.name, ref, named)
		case digest != "" && named != digest:
			w.fails("%s: in the end %s is %s, and another tag is %s", j.name, ref, named, digest)
		}
		digest = cmp.Or(digest, named)
		for _, format := range j.formats {
			if s.valid(named, format) == 0 {
				w.fails("%s: in the end %s is not signed (%s)", j.name, ref, format)
			}
		}
	}
}

// undone wants every tag that the job has moved to be as it was, or reported.
func (j *job) undone(reports []cleanup.Report) {
	w := j.w
	for _, ref := range j.refs {
		s := w.siteOf(ref.Registry)
		named := s.store.Tags(repository)[ref.Tag]
		if !j.put[ref][named] {
			if named != "" && strings.Contains(s.store.Look(repository).Raw(named), "pushguard.detached") {
				w.fails("%s: in the end %s has an empty image", j.name, ref)
			}
			continue
		}
		i := slices.IndexFunc(reports, func(r cleanup.Report) bool { return r.Claim.Ref == ref })
		if i >= 0 && reports[i].Claim.Before.Digest == named {
			continue // a push that broke off: nothing told it from somebody else's
		}
		// With tags first, a push that broke off is known by nothing but its tags: those are kept.
		lost := i >= 0 && reports[i].Claim.Before.Digest != "" && !s.store.Has(repository, reports[i].Claim.Before.Digest)
		excused := i >= 0 && (reports[i].Outcome == cleanup.Blocked && (s.blockable || s.List != "" || lost) || reports[i].Outcome == cleanup.Failed && s.List != "" && s.blockable ||
			reports[i].Outcome == cleanup.Kept && (reports[i].Claim.Published != named && (!j.namesLast || w.shared()) || !reports[i].Claim.Before.Known || w.contested))
		if i < 0 || !excused {
			w.fails("%s: in the end %s is still what the job published, and that is not reported: %s", j.name, ref, describe(reports))
		}
	}
}

func describe(reports []cleanup.Report) string {
	var b strings.Builder
	for _, r := range reports {
		fmt.Fprintf(&b, "%s %s %s; ", r.Claim.Ref, r.Outcome, r.Detail)
	}
	return b.String()
}

// intact wants all that others have to be there.
func (w *world) intact() {
	for _, j := range w.jobs {
		for _, other := range w.jobs {
			_, err := record.Open(other.path, j.run, record.Options{MustExist: true})
			_, theirs := errors.AsType[*record.OtherRunError](err)
			if err == nil && j != other || theirs && j == other {
				w.fails("the record of %s is taken for that of %s: %v", other.name, j.name, err)
			}
		}
	}
	for _, s := range w.sites {
		now := s.store.Look(repository)
		for tag, digest := range now.Tags() {
			if now.Raw(digest) == "" {
				w.fails("%s names %s, which is gone", s.ref(tag), digest)
			}
			for _, d := range entriesOf(now.Raw(digest)) {
				if _, attached := registry.AttachedTo(tag); !attached && now.Raw(d.Digest) == "" {
					w.fails("%s contains %s, which is gone", s.ref(tag), d.Digest)
				}
			}
		}
		for _, image := range s.images {
			if now.Raw(image) == "" {
				w.fails("%s, an image of others, is gone", s.at(image))
			}
		}
		for digest := range s.referrers {
			s.keeps(now, digest)
		}
	}
}

// keeps wants what others have attached to be there, and to be listed, unless its image
// was the job's to delete.
func (s *site) keeps(now registrytest.View, digest string) {
	for _, image := range s.images {
		if !slices.Contains(now.Referrers(image), digest) {
			continue
		}
		if !slices.Contains(s.attached(now, image), digest) {
			s.w.fails("%s, which others have attached to %s, is listed no more", digest, image)
		}
	}
}

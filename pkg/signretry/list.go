// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signretry

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/LerianStudio/pushguard/pkg/registry"
	"github.com/LerianStudio/pushguard/pkg/retry"
	"github.com/LerianStudio/pushguard/pkg/signing"
)

// list is a list in a registry that has no lock: it is read, changed and written as a
// whole, and any other signer may do the same at the same time. A read may also be old:
// one registry was seen to show for five seconds what a list was before a write. So
//
//   - every entry that any read has shown is kept, and written again where it is missing;
//   - a list that is the one read before our own write is old, and not overwritten: it is
//     read again, often, since what others wrote meanwhile may show for a moment only;
//   - after a write was seen late, the list is watched for twice as long again: another
//     signer may have read, and then overwritten, what was old, and that shows late, too.
type list struct {
	tag  registry.Reference
	read func(context.Context) (listed, error)
	// write returns the digest of the list that it wrote.
	write func(ctx context.Context, on listed, more []registry.Entry) (string, error)
	// exists reports whether what an entry names is still there. It is asked before an
	// entry of somebody else is written again: it may have been removed on purpose.
	exists func(context.Context, registry.Entry) (bool, error)

	own   []registry.Entry // to be added
	known []registry.Entry // all that any read has shown, and own
	gone  map[string]bool  // entries that were removed on purpose, by key

	// What the tag was seen to name, by digest, and of these what it was before our last
	// write: old, when it shows again.
	seen, old map[string]bool
	late      time.Duration // how old the oldest list was that was seen after a write
}

// listed is one reading of a list.
type listed struct {
	digest  string // of what the tag names, "" for nothing
	entries []registry.Entry
	// What write needs of it.
	content any
}

const (
	// lookAgain is the pause between two looks at a list that is old.
	lookAgain = 250 * time.Millisecond
	// showLimit is how long a registry may show an old list.
	showLimit = 30 * time.Second
)

// see keeps the entries of a reading.
func (l *list) see(now listed) {
	l.seen[now.digest] = true
	l.know(now.entries)
}

func (l *list) know(entries []registry.Entry) {
	for _, e := range entries {
		if !hasEntry(l.known, e) {
			l.known = append(l.known, e)
		}
	}
}

func hasEntry(entries []registry.Entry, e registry.Entry) bool {
	return slices.ContainsFunc(entries, func(o registry.Entry) bool { return o.Key == e.Key })
}

// missing are the known entries that a reading lacks.
func (l *list) missing(now listed) []registry.Entry {
	return slices.DeleteFunc(slices.Clone(l.known), func(e registry.Entry) bool { return l.gone[e.Key] || hasEntry(now.entries, e) })
}

// extend brings the list's own entries into it, and every other one that was ever seen.
// It tries as often as the policy allows, and each try ends.
func (r *run) extend(ctx context.Context, l *list) error {
	l.know(l.own)
	l.gone, l.seen = map[string]bool{}, map[string]bool{}
	_, err := late(ctx, r, r.atRegistry(stageAttach, l.tag), func(ctx context.Context) (none struct{}, err error) {
		return none, r.tryExtend(ctx, l)
	})
	return err
}

// tryExtend writes the list once, if anything is missing, and looks until the write shows.
func (r *run) tryExtend(ctx context.Context, l *list) error {
	begin := time.Now()
	now, err := l.read(ctx)
	if err != nil {
		return err
	}
	l.see(now)
	if l.old[now.digest] {
		return r.watch(ctx, l, lookAgain) // the write of an earlier try does not show yet
	}
	more, err := l.lacking(ctx, now)
	switch {
	case err != nil:
		return err
	case len(more) > 0:
	case l.late == 0:
		return nil
	default:
		return r.watch(ctx, l, lookAgain)
	}
	written, err := l.write(ctx, now, more)
	if err != nil {
		return err
	}
	l.old = maps.Clone(l.seen)
	delete(l.old, written)
	l.seen[written] = true
	// Whoever has read before this write, and writes after it, does so within about the
	// time that a request takes.
	return r.watch(ctx, l, time.Since(begin)/2)
}

// lacking are the entries to be added to a reading. Those of others that are gone from the
// registry are given up.
func (l *list) lacking(ctx context.Context, now listed) ([]registry.Entry, error) {
	var more []registry.Entry
	for _, e := range l.missing(now) {
		if !hasEntry(l.own, e) {
			there, err := l.exists(ctx, e)
			if err != nil {
				return nil, err
			}
			if !there {
				l.gone[e.Key] = true
				continue
			}
		}
		more = append(more, e)
	}
	return more, nil
}

// watch looks at the list until it shows what was written, at first after a pause. Where
// that is late it looks on for twice as long again. A list that shows something else was
// overwritten: the error leads to the next try.
func (r *run) watch(ctx context.Context, l *list, pause time.Duration) error {
	begin := time.Now()
	settled := time.Duration(0) // since begin: then nobody takes anything away
	if l.late > 0 {
		settled = 3*l.late + 2*lookAgain + 4*pause
	}
	for look := 0; ; look++ {
		wait := lookAgain
		if look == 0 {
			wait = pause
		}
		if err := sleep(ctx, wait); err != nil {
			return err
		}
		asked := time.Since(begin)
		now, err := l.read(ctx)
		if err != nil {
			return err
		}
		l.see(now)
		complete := len(l.missing(now)) == 0
		switch {
		case complete && asked >= min(settled, showLimit):
			return nil
		case complete:
		case !l.old[now.digest]:
			return &overwrittenError{l.tag}
		default:
			l.late = max(l.late, time.Since(begin))
			settled = 3*l.late + 2*lookAgain + 4*pause
		}
		if look == 0 {
			r.Logger.LogAttrs(ctx, slog.LevelInfo, "the registry shows an old list, waiting for the new one", slog.String("for", l.tag.String()))
		}
		if !complete && asked > showLimit {
			l.old = nil // it is no longer taken for old: the next try writes
			return &unsettledError{tag: l.tag, after: asked}
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// overwrittenError is a list that lacks entries after they were written.
type overwrittenError struct{ tag registry.Reference }

func (e *overwrittenError) Error() string {
	return fmt.Sprintf("attach to %s: another signer wrote the list at the same time, and it lacks an entry", e.tag)
}

// Transient says that the next try writes what is missing.
func (*overwrittenError) Transient() bool { return true }

// RetryWithin has the next try come soon: the entry is missing until then.
func (*overwrittenError) RetryWithin() time.Duration { return time.Second }

// unsettledError is a list that a registry shows too late.
type unsettledError struct {
	tag   registry.Reference
	after time.Duration
}

func (e *unsettledError) Error() string {
	return fmt.Sprintf("attach to %s: the registry still shows an old list %s after it was written", e.tag, e.after.Round(time.Second))
}

// Transient says that the registry may show the list later.
func (*unsettledError) Transient() bool { return true }

// referrersList is the list under the fallback tag of the image's referrers.
func (r *run) referrersList(l *lookup, own []registry.Entry) *list {
	return &list{
		tag: l.ref.WithTag(registry.FallbackTag(l.ref.Digest)), own: own, known: slices.Clone(l.referrers),
		read: func(ctx context.Context) (listed, error) {
			f, err := r.Registry.FallbackList(ctx, l.ref)
			return listed{digest: f.Digest, entries: f.Entries, content: f}, err
		},
		write: func(ctx context.Context, on listed, more []registry.Entry) (string, error) {
			f, _ := on.content.(registry.FallbackList)
			raw, err := f.With(more)
			if err != nil {
				return "", err
			}
			return registry.DigestOf(raw), r.Registry.PutManifest(ctx, l.ref.WithTag(registry.FallbackTag(l.ref.Digest)), registry.IndexMediaType, raw)
		},
		exists: func(ctx context.Context, e registry.Entry) (bool, error) {
			_, err := r.Registry.Head(ctx, l.ref.WithDigest(e.Key))
			return isThere(err)
		},
	}
}

// isThere reads the error of a look: only a proof of absence says no.
func isThere(err error) (bool, error) {
	if registry.IsNotFound(err) {
		return false, nil
	}
	if retry.Transient(err) {
		return false, err
	}
	return true, nil
}

// legacyList is the list under the image's tag for legacy signatures.
func (r *run) legacyList(ref registry.Reference, own *signing.Legacy) (*list, error) {
	layer, err := own.Layer()
	if err != nil {
		return nil, err
	}
	tag := ref.WithTag(registry.SignatureTag(ref.Digest))
	return &list{
		tag: tag, own: []registry.Entry{{Key: signing.LayerKey(layer), Raw: layer}},
		read: func(ctx context.Context) (listed, error) {
			m, _, err := r.legacyOf(ctx, ref)
			if err != nil || m.Manifest == nil {
				return listed{content: m}, err
			}
			l := listed{digest: registry.DigestOf(m.Manifest), content: m}
			for _, raw := range m.Layers() {
				l.entries = append(l.entries, registry.Entry{Key: signing.LayerKey(raw), Raw: raw})
			}
			return l, nil
		},
		write: func(ctx context.Context, on listed, more []registry.Entry) (string, error) {
			m, _ := on.content.(signing.LegacyManifest)
			for _, e := range more {
				var err error
				if m, err = m.Append(e.Raw); err != nil {
					return "", fmt.Errorf("sign %s: %w", tag, err)
				}
			}
			if _, err := r.Registry.PutBlob(ctx, ref, m.Config); err != nil {
				return "", err
			}
			return registry.DigestOf(m.Manifest), r.Registry.PutManifest(ctx, tag, m.MediaType, m.Manifest)
		},
		exists: func(ctx context.Context, e registry.Entry) (bool, error) {
			var d registry.Descriptor
			if readable := json.Unmarshal(e.Raw, &d) == nil && d.Digest != ""; !readable {
				return false, nil
			}
			_, err := r.Registry.Blob(ctx, ref, d, maxConfig)
			return isThere(err)
		},
	}, nil
}

// shadowLimit is how long a registry may show the subject under the fallback tag after a
// list was written there.
const shadowLimit = 10 * time.Second

// unshadow makes sure that a list can be kept under the fallback tag of an image, which
// names the image itself: "cosign copy" leaves such a tag, and a list takes its place. A
// registry that takes the tag for the digest can keep no list.
func (r *run) unshadow(ctx context.Context, l *lookup) error {
	tag := l.ref.WithTag(registry.FallbackTag(l.ref.Digest))
	raw, err := registry.FallbackList{}.With(nil)
	if err != nil {
		return err
	}
	_, err = late(ctx, r, r.atRegistry(stageAttach, tag), func(ctx context.Context) (none struct{}, err error) {
		now, err := r.Registry.FallbackList(ctx, l.ref)
		if err != nil || now.Digest != l.ref.Digest {
			return none, err
		}
		if err := r.Registry.PutManifest(ctx, tag, registry.IndexMediaType, raw); err != nil {
			return none, err
		}
		for begin := time.Now(); ; {
			now, err := r.Registry.FallbackList(ctx, l.ref)
			if err != nil || now.Digest != l.ref.Digest {
				return none, err
			}
			if time.Since(begin) > shadowLimit {
				return none, &shadowedError{tag}
			}
			if err := sleep(ctx, lookAgain); err != nil {
				return none, err
			}
		}
	})
	return err
}

// shadowedError is a registry that takes the fallback tag of a digest for the digest.
type shadowedError struct{ tag registry.Reference }

func (e *shadowedError) Error() string {
	return fmt.Sprintf("attach to %s: the registry takes this tag for the digest of the image, and has no referrers API: it cannot keep a list of referrers", e.tag)
}

// Hint says what to do next.
func (*shadowedError) Hint() string { return "sign with --format=legacy for this registry" }

// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package tagcheck

import (
	"path"

	"github.com/LerianStudio/pushguard/pkg/registry"
)

// behind finds the moving tags that a failed push was to move and has not, with
// the manifest that belongs there: without them a run that is done again would end
// in another state than one that never failed. Two kinds are certain. One is absent
// where its image is published: nobody's image is under it. The other still names
// what it named before this run, and this run's record proves that the image was
// published by it. Any other is somebody else's, perhaps a newer release's.
func behind(tags []Tag) (missing, copyFrom []registry.Reference) {
	for _, t := range tags {
		if !t.Moving || t.State == Unknown {
			continue
		}
		source, ours := published(tags, t.Ref)
		if source.Digest == "" || t.Digest == source.Digest {
			continue
		}
		never := t.State == Absent && t.Before.State != Present
		still := t.State == Present && t.Digest != "" && t.Before.State == Present && t.Before.Digest == t.Digest
		if never || still && ours {
			missing = append(missing, t.Ref)
			copyFrom = append(copyFrom, source)
		}
	}
	return missing, copyFrom
}

// published is the one image that the judged tags name in ref's repository, else in
// those with the same last part; zero when they name none, or several. ours reports
// whether one of them was absent before this run.
func published(tags []Tag, ref registry.Reference) (source registry.Reference, ours bool) {
	for _, t := range tags {
		if t.Moving || t.State != Present || t.Digest == "" || path.Base(t.Ref.Repository) != path.Base(ref.Repository) {
			continue
		}
		if source.Digest != "" && source.Digest != t.Digest {
			return registry.Reference{}, false
		}
		if source.Digest == "" || t.Ref.Name() == ref.Name() {
			source = t.Ref.WithDigest(t.Digest)
		}
		ours = ours || t.Before.State == Absent
	}
	return source, ours
}

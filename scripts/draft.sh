#!/usr/bin/env bash
# Makes the draft of a release with all its files. A draft that an earlier attempt left
# is replaced; a release that is published is not touched.
#
#   draft.sh TAG DIR
#
# It needs gh, with a token in GH_TOKEN that may write contents.
set -euo pipefail

die() {
  printf 'draft: error: %s\n' "$1" >&2
  exit 1
}

scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tag=$1 dir=$2
files=("$dir"/pushguard* "$dir/checksums.txt" "$dir/checksums.txt.sigstore.json")
for file in "${files[@]}"; do
  [[ -s $file ]] || die "$file is missing or empty"
done
[[ -s $dir/pushguard.intoto.jsonl ]] || die "the provenance is missing"
(cd "$dir" && sha256sum --check --quiet checksums.txt) || die "checksums.txt is not that of these files"

if state=$(gh release view "$tag" --json isDraft --jq .isDraft 2>/dev/null); then
  [[ $state == true ]] || die "the release $tag is published: its files stay as they are"
  gh release delete "$tag" --yes
fi
notes=$(mktemp)
trap 'rm -f "$notes"' EXIT
"$scripts/notes.sh" "$tag" >"$notes"
prerelease=()
[[ $tag != *-* ]] || prerelease=(--prerelease)
gh release create "$tag" --draft --verify-tag ${prerelease[@]+"${prerelease[@]}"} --title "pushguard $tag" --notes-file "$notes" "${files[@]}"

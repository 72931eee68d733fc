#!/usr/bin/env bash
# Builds the release that VERSION names out of the last commit, as release.yml does:
# in a clone of its own, which has the tag, so that the commands know their version.
# It needs goreleaser and syft on PATH, and no network. Nothing is signed.
#
#   snapshot.sh DIR     writes the files of the release into DIR, which it replaces
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
dir=$1
tag=v$(cat "$root/VERSION")
clone=$(mktemp -d)
trap 'rm -rf "$clone"' EXIT

git clone --quiet --no-hardlinks "$root" "$clone/pushguard"
cd "$clone/pushguard"
# Whatever a person's git is told to do with tags.
git -c tag.gpgSign=false tag --force "$tag" HEAD >/dev/null
GORELEASER_CURRENT_TAG=$tag goreleaser release --clean --skip=publish,announce
cd - >/dev/null
rm -rf "$dir"
mkdir -p "$dir"
# Not what goreleaser notes for itself, nor the commands outside of their archives.
mv "$clone"/pushguard/dist/{pushguard*,checksums.txt,homebrew} "$dir/"

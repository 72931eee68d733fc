#!/usr/bin/env bash
# Prints what CHANGELOG.md says of a version: the notes of its release. What a version
# that is not published yet will hold stands under "Unreleased".
#
#   notes.sh VERSION
set -euo pipefail

version=${1#v}
changelog=$(dirname "${BASH_SOURCE[0]}")/../CHANGELOG.md
for heading in "$version" Unreleased; do
  notes=$(awk -v heading="## $heading" '
    $0 == heading || index($0, heading " ") == 1 { found = 1; next }
    found && /^## / { exit }
    found { print }
  ' "$changelog")
  if [[ -n ${notes//[[:space:]]/} ]]; then
    printf '%s\n' "$notes"
    exit 0
  fi
done
printf 'notes: error: CHANGELOG.md says nothing of %s\n' "$version" >&2
exit 1

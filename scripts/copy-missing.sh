#!/usr/bin/env bash
# Completes a push that reached one registry and not the other: copies the
# published image, by digest, to the tags that lack it. A new build would have
# another digest, and an immutable tag would refuse it.
#
#   MISSING, COPY_FROM   tagcheck's outputs: line n of COPY_FROM is the manifest
#                        (NAME@DIGEST) that belongs under line n of MISSING
#   METADATA             writes what was copied, as buildx writes what it pushed:
#                        signretry --metadata reads it and notes it as published
#
# Each tag is read back: it must name exactly the digest that was copied. Running
# it again copies nothing twice. Nothing missing: nothing is done.
set -euo pipefail

die() {
  local code=$1 message=${2//"##["/"# # ["}
  printf 'copy-missing: error: %s\n' "$message" >&2
  exit "$code"
}

digest_of() { docker buildx imagetools inspect --format '{{.Manifest.Digest}}' "$1"; }

missing=()
while IFS= read -r line; do missing+=("$line"); done <<<"${MISSING:-}"
from=()
while IFS= read -r line; do from+=("$line"); done <<<"${COPY_FROM:-}"
if [[ ${#missing[@]} -eq 1 && -z ${missing[0]} ]]; then
  printf 'copy-missing: nothing is missing\n' >&2
  exit 0
fi

ref_pattern='^[A-Za-z0-9][A-Za-z0-9.:/_-]*$'
source_pattern='^[A-Za-z0-9][A-Za-z0-9.:/_-]*@sha256:[0-9a-f]{64}$'
# All lines are looked at before anything is copied.
for i in "${!missing[@]}"; do
  [[ ${missing[i]} =~ $ref_pattern ]] || die 2 "$(printf 'MISSING: %q is no reference' "${missing[i]}")"
  [[ ${from[i]:-} =~ $source_pattern ]] || die 2 "$(printf 'COPY_FROM has no NAME@sha256:… for %s: nothing proves which image belongs there' "${missing[i]}")"
done

json=
for i in "${!missing[@]}"; do
  tag=${missing[i]} source=${from[i]}
  digest=${source##*@}
  # Without --prefer-index=false a single-platform image would be wrapped in an
  # index, which has another digest.
  docker buildx imagetools create --prefer-index=false --tag "$tag" "$source" >&2
  found=$(digest_of "$tag") || die 3 "$tag was copied and cannot be read back"
  [[ $found == "$digest" ]] || die 1 "$tag is $found after the copy, not $digest: someone else moved it"
  printf 'copied %s to %s\n' "$source" "$tag"
  json+=${json:+,$'\n'}$(printf '  "copy-%d": {"image.name": "%s", "containerimage.digest": "%s"}' "$i" "$tag" "$digest")
done
[[ -z ${METADATA:-} ]] || printf '{\n%s\n}\n' "$json" >"$METADATA"

#!/usr/bin/env bash
# Builds one image and pushes it under all its references in one go, so that they
# share one digest; leaves buildx's metadata file for sign.sh.
#
#   REFS, MOVING_REFS   references, one a line (preflight.sh prints them)
#   METADATA            the metadata file to write
#   CONTEXT             default: .
#   DOCKERFILE          default: Dockerfile in CONTEXT
#   PLATFORMS           default: the builder's own
#   BUILD_ARGS          NAME=VALUE, one a line; no secrets: they stay in the image
#   PUBLISH             false: build, push nothing; default true
#   BUILDX_BUILDER      a builder that exists; else one is made, as pushing to
#                       several registries at once and several platforms need
#
# Output, in $GITHUB_OUTPUT: digest. A failed push leaves no metadata file.
set -euo pipefail

die() {
  local message=${1//"##["/"# # ["}
  printf 'build: error: %s\n' "$message" >&2
  exit 2
}

args=()
count=0
while IFS= read -r ref; do
  [[ -n $ref ]] || continue
  [[ $ref =~ ^[A-Za-z0-9][A-Za-z0-9.:/_-]*$ ]] || die "$(printf '%q is no reference' "$ref")"
  args+=(--tag "$ref")
  count=$((count + 1))
done <<<"${REFS:-}"$'\n'"${MOVING_REFS:-}"
((count > 0)) || die "REFS is empty: the image has no name"
while IFS= read -r arg; do
  [[ -n $arg ]] || continue
  [[ $arg =~ ^[A-Za-z_][A-Za-z0-9_]*= ]] || die "$(printf 'BUILD_ARGS: %q is not NAME=VALUE' "$arg")"
  args+=(--build-arg "$arg")
done <<<"${BUILD_ARGS:-}"
[[ -z ${PLATFORMS:-} ]] || args+=("--platform=$PLATFORMS")
revision=${GITHUB_SHA:-${CI_COMMIT_SHA:-}}
source=${CI_PROJECT_URL:-}
[[ -z ${GITHUB_REPOSITORY:-} ]] || source=${GITHUB_SERVER_URL:-https://github.com}/$GITHUB_REPOSITORY
[[ -z $revision ]] || args+=(--label "org.opencontainers.image.revision=$revision")
[[ -z $source ]] || args+=(--label "org.opencontainers.image.source=$source")

case ${PUBLISH:-true} in
true)
  [[ -n ${METADATA:-} ]] || die "METADATA is empty: the digest of the push would be lost"
  rm -f "$METADATA" # of an earlier attempt: it must not speak for this one
  args+=(--push "--metadata-file=$METADATA")
  ;;
false) args+=(--output=type=cacheonly) ;;
*) die "$(printf 'PUBLISH is %q: write true, false or nothing' "$PUBLISH")" ;;
esac

context=${CONTEXT:-.}
[[ $context != -* ]] || die "$(printf 'CONTEXT %q is no path' "$context")"
if [[ -z ${BUILDX_BUILDER:-} ]]; then
  export BUILDX_BUILDER=pushguard
  docker buildx inspect "$BUILDX_BUILDER" >/dev/null 2>&1 ||
    docker buildx create --name "$BUILDX_BUILDER" --driver docker-container >&2
fi
docker buildx build --progress=plain "${args[@]}" --file "${DOCKERFILE:-$context/Dockerfile}" "$context"
[[ ${PUBLISH:-true} == true ]] || exit 0

digest=$(sed -n 's/.*"containerimage.digest": *"\(sha256:[0-9a-f]*\)".*/\1/p' "$METADATA")
[[ -n $digest ]] || die "$METADATA names no digest: was the image pushed?"
printf 'digest=%s\n' "$digest" | tee -a "${GITHUB_OUTPUT:-/dev/null}"

#!/usr/bin/env bash
# Looks, before any build time is spent, whether the tags of one app exist in the
# enabled registries: names the references and runs tagcheck on them.
#
#   APP, VERSION            the image's name and tag
#   MOVING_TAGS             more tags that move between releases: latest 1 1.2
#   ENABLE_DOCKERHUB, ENABLE_GHCR              true (default) or false
#   DOCKERHUB_ORG, GHCR_ORG                    default: the repository's owner
#   DOCKERHUB_REGISTRY, GHCR_REGISTRY          default: docker.io, ghcr.io
#   ON_EXISTING_TAG         fail (default), skip or warn
#   DRY_RUN                 true: nothing will be pushed; default false
#   CONTINUE_ON_SIGNING_FAILURE, CLEANUP_ON_FAILURE   true or false (default): read
#                           after a failure only, so a wrong one is refused here
#   PUSHGUARD_RECORD        the run record
#
# Outputs beside tagcheck's: refs (one a line), moving_refs and publish
# (true or false, never empty). Its exit status is tagcheck's. An empty variable
# is one that is not set.
set -euo pipefail

die() {
  local message=${1//"##["/"# # ["}
  printf 'preflight: error: %s\n' "$message" >&2
  exit 2
}

# flag NAME DEFAULT prints the boolean in the variable NAME.
flag() {
  local value=${!1:-$2}
  [[ $value == true || $value == false ]] || die "$(printf '%s is %q: write true, false or nothing' "$1" "$value")"
  printf '%s' "$value"
}

lower() { tr '[:upper:]' '[:lower:]' <<<"$1"; }

tag_pattern='^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$'
name_pattern='^[a-z0-9]+((\.|_{1,2}|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_{1,2}|-+)[a-z0-9]+)*)*$'
host_pattern='^([A-Za-z0-9-]+\.)*[A-Za-z0-9-]+(:[0-9]{1,5})?$'

dockerhub=$(flag ENABLE_DOCKERHUB true)
ghcr=$(flag ENABLE_GHCR true)
dry_run=$(flag DRY_RUN false)
flag CONTINUE_ON_SIGNING_FAILURE false >/dev/null
flag CLEANUP_ON_FAILURE false >/dev/null
owner=$(lower "${GITHUB_REPOSITORY_OWNER:-}")

[[ ${VERSION:-} =~ $tag_pattern ]] || die "$(printf 'VERSION %q is no image tag' "${VERSION:-}")"

repositories=()
add() {
  local enabled=$1 registry=$2 org
  org=$(lower "$3")
  [[ $enabled == true ]] || return 0
  [[ $registry =~ $host_pattern ]] || die "$(printf 'registry %q is no host' "$registry")"
  [[ $org/${APP:-} =~ $name_pattern ]] || die "$(printf '%q is no repository: is the organization or the app missing?' "$org/${APP:-}")"
  repositories+=("$registry/$org/$APP")
}
add "$ghcr" "${GHCR_REGISTRY:-ghcr.io}" "${GHCR_ORG:-$owner}"
add "$dockerhub" "${DOCKERHUB_REGISTRY:-docker.io}" "${DOCKERHUB_ORG:-$owner}"
((${#repositories[@]} > 0)) || die "no registry is enabled: there is nothing to publish"

moving=()
read -ra words <<<"$(tr ',\n' '  ' <<<"${MOVING_TAGS:-}")"
for tag in ${words[@]+"${words[@]}"}; do
  [[ $tag =~ $tag_pattern ]] || die "$(printf 'MOVING_TAGS: %q is no image tag' "$tag")"
  [[ $tag != "$VERSION" ]] || die "MOVING_TAGS holds the version $VERSION: it would not be protected"
  moving+=("$tag")
done

refs=()
moving_refs=()
flags=()
for repository in "${repositories[@]}"; do
  refs+=("$repository:$VERSION")
  for tag in ${moving[@]+"${moving[@]}"}; do
    moving_refs+=("$repository:$tag")
  done
done
for tag in ${moving[@]+"${moving[@]}"}; do
  flags+=("--moving=$tag")
done

publish=true
[[ $dry_run == false ]] || publish=false
{
  printf 'publish=%s\n' "$publish"
  printf 'refs<<END_OF_REFS\n%s\nEND_OF_REFS\n' "$(printf '%s\n' "${refs[@]}")"
  printf 'moving_refs<<END_OF_REFS\n%s\nEND_OF_REFS\n' "$(printf '%s\n' ${moving_refs[@]+"${moving_refs[@]}"})"
} >>"${GITHUB_OUTPUT:-/dev/null}"

exec tagcheck --on-existing="${ON_EXISTING_TAG:-}" ${flags[@]+"${flags[@]}"} "${refs[@]}" ${moving_refs[@]+"${moving_refs[@]}"}

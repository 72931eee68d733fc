#!/usr/bin/env bash
# Prints the repositories of apps in the enabled registries, one a line: that which a
# build pushes to comes first.
#
#   repositories.sh APP...
#
#   ENABLE_DOCKERHUB, ENABLE_GHCR              true (default) or false
#   DOCKERHUB_REGISTRY, GHCR_REGISTRY          default: docker.io, ghcr.io
#   DOCKERHUB_ORG, GHCR_ORG                    default: the repository's owner
set -euo pipefail

die() {
  printf 'repositories: error: %s\n' "${1//"##["/"# # ["}" >&2
  exit 2
}

print() {
  local enabled=${!1:-true} registry=$2 org=${3:-${GITHUB_REPOSITORY_OWNER:-}} name
  [[ $enabled == true || $enabled == false ]] || die "$(printf '%s is %q: write true, false or nothing' "$1" "$enabled")"
  [[ $enabled == true ]] || return 0
  for app in "${@:4}"; do
    name=$(tr '[:upper:]' '[:lower:]' <<<"$registry/$org/$app")
    [[ $name =~ ^[a-z0-9.-]+(:[0-9]+)?(/[a-z0-9._-]+)+$ ]] || die "$(printf '%q is no repository: is the organization missing?' "$name")"
    printf '%s\n' "$name"
  done
}

names=$(
  print ENABLE_GHCR "${GHCR_REGISTRY:-ghcr.io}" "${GHCR_ORG:-}" "$@"
  print ENABLE_DOCKERHUB "${DOCKERHUB_REGISTRY:-docker.io}" "${DOCKERHUB_ORG:-}" "$@"
)
[[ -n $names ]] || die "no registry is enabled: there is nothing to publish"
printf '%s\n' "$names"

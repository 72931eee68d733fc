#!/usr/bin/env bash
# Logs docker in to the enabled registries: the one login that the build and the
# commands share.
#
#   ENABLE_DOCKERHUB, ENABLE_GHCR              true (default) or false
#   DOCKERHUB_REGISTRY, GHCR_REGISTRY          default: docker.io, ghcr.io
#   DOCKERHUB_USERNAME, DOCKERHUB_TOKEN        no token: an error on docker.io, unless
#                                              DRY_RUN is true; elsewhere no login
#   GHCR_USERNAME, GHCR_TOKEN                  likewise
#
# Output, in $GITHUB_OUTPUT: logins, the registries that it has logged in to. On a
# machine that stays, docker logout them, and no other.
set -euo pipefail

die() {
  printf 'login: error: %s\n' "${1//"##["/"# # ["}" >&2
  exit 2
}

logins=''
login() {
  local enabled=${!1:-true} registry=$2 username=$3 token=$4
  [[ $enabled == true || $enabled == false ]] || die "$(printf '%s is %q: write true, false or nothing' "$1" "$enabled")"
  [[ $enabled == true ]] || return 0
  [[ $registry =~ ^[A-Za-z0-9][A-Za-z0-9.:-]*$ ]] || die "$(printf 'registry %q is no host' "$registry")"
  if [[ -z $token ]]; then
    [[ ${DRY_RUN:-} == true || ! $registry =~ ^(docker|ghcr)\.io$ ]] || die "there is no token for $registry: is ${1#ENABLE_}_TOKEN set? Without one the push would be refused"
    printf 'login: no token for %s: going on without a login\n' "$registry" >&2
    return 0
  fi
  [[ -n $username && $username != -* ]] || die "$(printf 'the username for %s is %q' "$registry" "$username")"
  printf '%s' "$token" | docker login --username "$username" --password-stdin "$registry"
  logins+=${logins:+ }$registry
  printf 'logins=%s\n' "$logins" >>"${GITHUB_OUTPUT:-/dev/null}"
}

login ENABLE_DOCKERHUB "${DOCKERHUB_REGISTRY:-docker.io}" "${DOCKERHUB_USERNAME:-}" "${DOCKERHUB_TOKEN:-}"
login ENABLE_GHCR "${GHCR_REGISTRY:-ghcr.io}" "${GHCR_USERNAME:-}" "${GHCR_TOKEN:-}"

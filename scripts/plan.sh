#!/usr/bin/env bash
# Turns the inputs of a release into its version and a matrix of apps, and refuses what
# would else fail after the build. docs/workflow.md explains the inputs.
#
#   APPS              JSON: names, or objects of name, context, dockerfile; "" is one app
#   APP_NAME, CONTEXT, DOCKERFILE   of that one app, or of those that do not say
#   VERSION           "" is the git tag that was pushed
#   TAG_PREFIX        is taken off the version; so is a v before a digit
#   PLATFORMS, PRERELEASE_PLATFORMS   the second of a version with a "-", unless empty
#   DESTINATIONS      where the images go, in any form: only call depends on it
#   BUILD_SECRETS     NAME=VALUE, one a line
#   CLEANUP_ON_FAILURE, CONTINUE_ON_SIGNING_FAILURE   read after a failure only, so what is
#                     neither true nor false is refused here
#
# Outputs: version; platforms; has_builds; apps, objects whose id can stand in the name
# of an artifact; and call, the same in every attempt and every job of this call.
set -euo pipefail

if [[ $'\n'${BUILD_SECRETS:-}$'\n' =~ $'\n'\"?([A-Za-z0-9_.-]+)=(\"\")?\"?$'\r'?$'\n' ]]; then
  printf 'plan: error: the build secret %s is empty: is there a secret of that name?\n' "${BASH_REMATCH[1]}" >&2
  exit 2
fi
for name in CLEANUP_ON_FAILURE CONTINUE_ON_SIGNING_FAILURE; do
  [[ ${!name:-false} == true || ${!name:-false} == false ]] || {
    printf 'plan: error: %s is %q: write true, false or nothing\n' "$name" "${!name//"##["/"# # ["}" >&2
    exit 2
  }
done
version=${VERSION:-}
if [[ -z $version && ${GITHUB_REF_TYPE:-} == tag ]]; then version=${GITHUB_REF_NAME:-}; fi
hash=$(printf '%s\n' "$version" "${APPS:-}" "${APP_NAME:-}" "${CONTEXT:-}" "${DOCKERFILE:-}" "${DESTINATIONS:-}" | sha256sum)
outputs=$(jq -nr --arg version "$version" --arg hash "${hash:0:12}" -f "${0%.sh}.jq")
tee -a "${GITHUB_OUTPUT:-/dev/null}" <<<"$outputs"

#!/usr/bin/env bash
# Writes what one app's job has done: a line for the jobs that follow, and the
# files that a GitOps repository picks up.
#
#   APP, VERSION, REFS                as plan.sh and preflight.sh print them
#   BUILD_DIGEST, CHECK_DIGEST        of the build; of what was found published
#   SIGNED                            signretry's output
#   RESULT                            file for the line
#   GITOPS                            folder for APP.tag (the version) and APP.json
set -euo pipefail

die() {
  local message=${1//"##["/"# # ["}
  printf 'result: error: %s\n' "$message" >&2
  exit 2
}

digest=${BUILD_DIGEST:-${CHECK_DIGEST:-}}
[[ $digest =~ ^sha256:[0-9a-f]{64}$ ]] || die "$(printf 'there is no digest of %q: it was neither built nor found' "${APP:-}")"
[[ ${APP:-} =~ ^[a-z0-9._/-]+$ ]] || die "$(printf 'APP %q is no image name' "${APP:-}")"
[[ ${VERSION:-} =~ ^[A-Za-z0-9_.-]+$ ]] || die "$(printf 'VERSION %q is no image tag' "${VERSION:-}")"

built=false
[[ -z ${BUILD_DIGEST:-} ]] || built=true
signed=false
[[ ${SIGNED:-} != true ]] || signed=true

refs=
while IFS= read -r ref; do
  [[ $ref =~ ^[A-Za-z0-9.:/_-]+$ ]] || die "$(printf 'REFS: %q is no reference' "$ref")"
  refs+=${refs:+,}\"$ref\"
done <<<"${REFS:-}"

json=$(printf '{"app":"%s","version":"%s","digest":"%s","refs":[%s],"built":%s,"signed":%s}' \
  "$APP" "$VERSION" "$digest" "$refs" "$built" "$signed")
printf '%s\n' "$json"
if [[ -n ${RESULT:-} ]]; then
  mkdir -p "$(dirname "$RESULT")"
  printf '%s\n' "$json" >"$RESULT"
fi
if [[ -n ${GITOPS:-} ]]; then
  mkdir -p "$GITOPS"
  printf '%s' "$VERSION" >"$GITOPS/${APP//\//-}.tag"
  printf '%s\n' "$json" >"$GITOPS/${APP//\//-}.json"
fi

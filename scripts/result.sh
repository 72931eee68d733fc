#!/usr/bin/env bash
# Writes what one app's job has done: a line for the jobs that follow, and the
# files that a GitOps repository picks up.
#
#   APP, VERSION, REFS                as plan.sh and preflight.sh print them
#   BUILD_DIGEST, CHECK_DIGEST        of the build; of what was found published
#   SIGNED                            signretry's output
#   RESULT                            file for the line; it has no references: GitHub
#                                     drops a job's output that holds a secret, and
#                                     many keep the name of their account as one
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

about=$(printf '{"app":"%s","version":"%s","digest":"%s"' "$APP" "$VERSION" "$digest")
state=$(printf '"built":%s,"signed":%s}' "$built" "$signed")
json="$about,\"refs\":[$refs],$state"
printf '%s\n' "$json"
if [[ -n ${RESULT:-} ]]; then
  mkdir -p "$(dirname "$RESULT")"
  printf '%s,%s\n' "$about" "$state" >"$RESULT"
fi
if [[ -n ${GITOPS:-} ]]; then
  mkdir -p "$GITOPS"
  printf '%s' "$VERSION" >"$GITOPS/${APP//\//-}.tag"
  printf '%s\n' "$json" >"$GITOPS/${APP//\//-}.json"
fi

#!/usr/bin/env bash
# Signs what this run published, or found published, with signretry.
#
#   METADATA           the metadata file of the build or of copy-missing.sh; where
#                      there is none, the run record says what was found
#   SHOULD_BUILD, EXISTING, DIGEST   tagcheck's outputs: when nothing was built and
#                      METADATA is a copy's, what existed is signed as well
#   CONTINUE_ON_SIGNING_FAILURE    true: an image that could not be signed is a
#                      warning and the job goes on; false (default): it fails
#   SIGN_MAX_ATTEMPTS, SIGN_INITIAL_DELAY, SIGN_MAX_DELAY, SIGN_MAX_ELAPSED
#   PUSHGUARD_RECORD   the run record
#
# What is signed already stays as it is. Its outputs and its exit status are
# signretry's. An empty variable is one that is not set.
set -euo pipefail

die() {
  local message=${1//"##["/"# # ["}
  printf 'sign: error: %s\n' "$message" >&2
  exit 2
}

case ${CONTINUE_ON_SIGNING_FAILURE:-false} in
true) on_failure=warn ;;
false) on_failure=fail ;;
*) die "$(printf 'CONTINUE_ON_SIGNING_FAILURE is %q: write true, false or nothing' "$CONTINUE_ON_SIGNING_FAILURE")" ;;
esac

args=(
  "--on-failure=$on_failure"
  "--max-attempts=${SIGN_MAX_ATTEMPTS:-}"
  "--initial-delay=${SIGN_INITIAL_DELAY:-}"
  "--max-delay=${SIGN_MAX_DELAY:-}"
  "--max-elapsed=${SIGN_MAX_ELAPSED:-}"
)
images=()
if [[ -n ${METADATA:-} && -e $METADATA ]]; then
  args+=("--metadata=$METADATA")
  [[ ${SHOULD_BUILD:-} != true ]] || EXISTING='' # it was overwritten by the build
  while IFS= read -r ref; do
    [[ -n $ref ]] || continue
    [[ -n ${DIGEST:-} ]] || die "EXISTING names tags and DIGEST is empty: they are different images"
    images+=("$ref@$DIGEST")
  done <<<"${EXISTING:-}"
fi
exec signretry "${args[@]}" ${images[@]+"${images[@]}"}

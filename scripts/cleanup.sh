#!/usr/bin/env bash
# Undoes what a failed run published, by the records of all its jobs: shows the
# plan, and carries it out only when that is asked for.
#
#   RECORDS              the folder with the jobs' records (*.json)
#   CLEANUP_ON_FAILURE   true: carry the plan out; false (default): show it
#
# No record: nothing was published, and there is nothing to do. Its exit status is
# regcleanup's: 0 also where a registry refuses, with a warning that says what is
# left to do by hand. An empty variable is one that is not set.
set -euo pipefail

die() {
  local message=${1//"##["/"# # ["}
  printf 'cleanup: error: %s\n' "$message" >&2
  exit 2
}

case ${CLEANUP_ON_FAILURE:-false} in
true | false) ;;
*) die "$(printf 'CLEANUP_ON_FAILURE is %q: write true, false or nothing' "$CLEANUP_ON_FAILURE")" ;;
esac
[[ -n ${RECORDS:-} ]] || die "RECORDS is empty: where are the records?"

flags=()
for file in "$RECORDS"/*.json; do
  [[ -e $file ]] || continue
  flags+=("--record=$file")
done
if ((${#flags[@]} == 0)); then
  printf 'cleanup: no record in %s: no job got as far as publishing\n' "$RECORDS" >&2
  exit 0
fi
# The records of this call alone: one in the environment would be added to them.
unset PUSHGUARD_RECORD
exec regcleanup --delete="${CLEANUP_ON_FAILURE:-false}" "${flags[@]}"

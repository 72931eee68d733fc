#!/usr/bin/env bash
# The steps of setup/action.yml: installs the verified commands of the version that
# belongs to this commit, for the rest of the job.
#
#   PUSHGUARD_VERSION   another version
#   PUSHGUARD_REF       how this commit was named, OWNER/REPOSITORY/PATH@REF or REF. A
#                       commit's 40 digits pin the commands as well: the release must be
#                       built from that commit, unless another version is given
#   PUSHGUARD_RECORD    the run record of the job; default: a file in $RUNNER_TEMP
#   and the variables of install.sh: PUSHGUARD_RELEASES for a mirror, and its like
#
# An empty variable is one that is not set. It writes $GITHUB_PATH, $GITHUB_ENV and
# $GITHUB_OUTPUT (version), and nothing before the commands are verified.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
: "${RUNNER_TEMP:?is set in GitHub Actions}" "${GITHUB_PATH:?is set in GitHub Actions}" "${GITHUB_ENV:?is set in GitHub Actions}"

version=${PUSHGUARD_VERSION:-}
commit=''
if [[ -z $version ]]; then
  version=$(<"$here/VERSION")
  ref=${PUSHGUARD_REF:-}
  ref=${ref##*@}
  [[ ! $ref =~ ^[0-9a-f]{40}$ ]] || commit=$ref
fi

# Windows writes its paths in another way than bash reads them.
bin=$RUNNER_TEMP/pushguard-bin
unix=$bin
if command -v cygpath >/dev/null; then unix=$(cygpath -u "$bin"); fi

if ! PUSHGUARD_COMMIT=$commit "$here/setup/install.sh" --version "$version" --dir "$unix"; then
  if [[ -n $commit ]]; then
    printf 'setup: hint: %s must be the commit of the release v%s; pin the commit that this tag names, or give a version\n' "$commit" "$version" >&2
  fi
  exit 1
fi

record=${PUSHGUARD_RECORD:-$RUNNER_TEMP/pushguard/record.json}
[[ $record != *$'\n'* ]] || {
  printf 'setup: error: the path of the record has more than one line\n' >&2
  exit 2
}
mkdir -p "$(dirname "$record")"
printf '%s\n' "$bin" >>"$GITHUB_PATH"
printf 'PUSHGUARD_RECORD=%s\n' "$record" >>"$GITHUB_ENV"
[[ -z ${GITHUB_OUTPUT:-} ]] || printf 'version=%s\n' "${version#v}" >>"$GITHUB_OUTPUT"

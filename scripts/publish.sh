#!/usr/bin/env bash
# The whole chain for one app, in any CI or shell: does the tag exist? build and push,
# or complete what is published; sign. Running it again after any failure goes on
# from what is there.
#
#   The variables of preflight.sh, build.sh and sign.sh, most of all APP, VERSION,
#   ON_EXISTING_TAG=skip and the registries'.
#   PUSHGUARD_RUN   the run's folder; default: .pushguard. Keep it between the
#                   attempts of one run; cleanup.sh reads its records:
#                   RECORDS=.pushguard/record
#
# Its exit status is that of the step that failed.
set -euo pipefail

scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
run=${PUSHGUARD_RUN:-.pushguard}
app=${APP:-}
app=${app//\//-}
mkdir -p "$run/record"
export PUSHGUARD_RECORD=$run/record/$app.json
export METADATA=$run/$app-metadata.json
outputs=$run/$app-outputs
rm -f "$METADATA"

# value NAME prints an output: NAME=VALUE, or lines between NAME<<MARK and MARK.
value() {
  local line name='' mark='' text='' found=''
  while IFS= read -r line; do
    if [[ -n $mark && $line == "$mark" ]]; then
      [[ $name != "$1" ]] || found=${text%$'\n'}
      mark=''
    elif [[ -n $mark ]]; then
      text+=$line$'\n'
    elif [[ $line =~ ^([a-z_]+)\<\<(.+)$ ]]; then
      name=${BASH_REMATCH[1]} mark=${BASH_REMATCH[2]} text=''
    elif [[ ${line%%=*} == "$1" ]]; then
      found=${line#*=}
    fi
  done <"$outputs"
  printf '%s' "$found"
}

: >"$outputs"
GITHUB_OUTPUT=$outputs "$scripts/preflight.sh"

PUBLISH=$(value publish)
export PUBLISH
if [[ $(value should_build) == true ]]; then
  REFS=$(value refs) MOVING_REFS=$(value moving_refs) "$scripts/build.sh"
elif [[ $PUBLISH == true ]]; then
  MISSING=$(value missing) COPY_FROM=$(value copy_from) "$scripts/copy-missing.sh"
  EXISTING=$(value existing)
  DIGEST=$(value digest)
  export EXISTING DIGEST
fi
[[ $PUBLISH == true ]] || exit 0
"$scripts/sign.sh"

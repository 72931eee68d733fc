#!/usr/bin/env bash
# Turns the inputs of a release into its version and a matrix of apps.
#
#   APPS          one app a line, NAME or NAME=CONTEXT; empty: one app
#   APP_NAME      the one app's name; empty: the repository's name
#   CONTEXT       the one app's build context; empty: .
#   VERSION       a leading v is dropped; empty: the git tag that was pushed
#   DESTINATIONS  where the images go, in any form: only call depends on it
#
# Outputs, on stdout and in $GITHUB_OUTPUT: version; apps, a JSON array of
# {"id", "name", "context"}; and call, which tells the calls of one run apart: the same
# in every attempt and every job of a call. Every value is checked: what comes out can
# stand in a file name, a reference and a JSON string as it is.
set -euo pipefail

die() {
  local message=${1//"##["/"# # ["}
  printf 'plan: error: %s\n' "$message" >&2
  exit 2
}

name_pattern='^[a-z0-9]+((\.|_{1,2}|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_{1,2}|-+)[a-z0-9]+)*)*$'
tag_pattern='^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$'
path_pattern='^[A-Za-z0-9_./-]+$'

version=${VERSION:-}
if [[ -z $version && ${GITHUB_REF_TYPE:-} == tag ]]; then
  version=${GITHUB_REF_NAME:-}
fi
[[ -n $version ]] || die "there is no version: give one, or run on a git tag"
[[ $version =~ ^v[0-9] ]] && version=${version#v}
if [[ ! $version =~ $tag_pattern ]]; then
  hint=
  [[ $version == *+* ]] && hint="; an image's tag has no +, write - for it"
  die "$(printf 'version %q cannot be an image tag%s' "$version" "$hint")"
fi

json=
count=0
seen=$'\n'
add() {
  local name=$1 context=${2:-.}
  [[ $name =~ $name_pattern ]] || die "$(printf 'app %q is no image name: lower-case letters, digits, and . _ - / between them' "$name")"
  [[ $context =~ $path_pattern ]] || die "$(printf 'context %q of %s is no plain path' "$context" "$name")"
  [[ $seen != *$'\n'"$name"$'\n'* ]] || die "app $name is named twice"
  seen+=$name$'\n'
  json+=${json:+,}$(printf '{"id":"%d","name":"%s","context":"%s"}' "$count" "$name" "$context")
  count=$((count + 1))
}

while IFS= read -r line || [[ -n $line ]]; do
  line=${line//$'\r'/}
  line=${line#"${line%%[![:space:]]*}"}
  line=${line%"${line##*[![:space:]]}"}
  [[ -z $line ]] && continue
  if [[ $line == *=* ]]; then
    add "${line%%=*}" "${line#*=}"
  else
    add "$line"
  fi
done <<<"${APPS:-}"
if ((count == 0)); then
  repository=${GITHUB_REPOSITORY:-}
  add "${APP_NAME:-$(tr '[:upper:]' '[:lower:]' <<<"${repository##*/}")}" "${CONTEXT:-.}"
fi

hash=$(printf '%s\n' "$version" "$json" "${DESTINATIONS:-}" | sha256sum)
printf 'version=%s\napps=[%s]\ncall=%s\n' "$version" "$json" "$version-${hash:0:12}" | tee -a "${GITHUB_OUTPUT:-/dev/null}"

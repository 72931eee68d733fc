#!/usr/bin/env bash
# Starts a workflow of another repository, which updates its Helm chart, with one input:
# payload. With CHECK=true it only looks whether it could.
#
#   HELM_REPOSITORY   OWNER/NAME
#   HELM_WORKFLOW     file name of its workflow; default: app-sync.yml
#   HELM_REF          branch; default: main
#   HELM_TOKEN        a token that may write that repository's actions
#   PAYLOAD           the payload; default: {"version": VERSION, "images": IMAGES}
#   GITHUB_API_URL    default: https://api.github.com
set -euo pipefail

die() {
  printf 'dispatch: error: %s\n' "${1//"##["/"# # ["}" >&2
  exit "${2:-2}"
}

workflow=${HELM_WORKFLOW:-app-sync.yml} ref=${HELM_REF:-main}
[[ ${HELM_REPOSITORY:-} =~ ^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$ ]] || die "$(printf 'HELM_REPOSITORY %q is not OWNER/NAME' "${HELM_REPOSITORY:-}")"
[[ $workflow =~ ^[A-Za-z0-9._-]+$ ]] || die "$(printf 'HELM_WORKFLOW %q is no file name' "$workflow")"
[[ $ref =~ ^[A-Za-z0-9._/-]+$ ]] || die "$(printf 'HELM_REF %q is no branch' "$ref")"
[[ -n ${HELM_TOKEN:-} ]] || die "HELM_TOKEN is empty: a job's own token cannot start a workflow of another repository"
[[ ${CHECK:-} != true ]] || exit 0
body=$(jq -cn --arg ref "$ref" --arg payload "${PAYLOAD:-}" --arg version "${VERSION:-}" --argjson images "${IMAGES:-[]}" \
  '{$ref, inputs: {payload: (if $payload == "" then {$version, $images} | tojson else $payload end)}}')
# The token goes by standard input: a command line can be read by others.
printf 'Authorization: Bearer %s\n' "$HELM_TOKEN" |
  curl --fail-with-body --silent --show-error --retry 3 --retry-connrefused --connect-timeout 20 --max-time 120 \
    --request POST --header @- --header 'Accept: application/vnd.github+json' --header 'Content-Type: application/json' \
    --data "$body" "${GITHUB_API_URL:-https://api.github.com}/repos/$HELM_REPOSITORY/actions/workflows/$workflow/dispatches" ||
  die "the workflow $workflow of $HELM_REPOSITORY could not be started" 1
printf 'started %s of %s at %s\n' "$workflow" "$HELM_REPOSITORY" "$ref"

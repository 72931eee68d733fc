#!/usr/bin/env bash
# Tells what is published now, as the registries say: not what earlier jobs have done,
# whose work a clean-up may have undone since.
#
#   VERSION, APPS      as plan.sh prints them
#   EXPECTED           true: an app that is not published is an error
#   WORKFLOW_REF       the workflow whose signatures count, unless
#                      SIGNRETRY_CERTIFICATE_IDENTITY names another signer
#   the variables of repositories.sh
#
# Outputs: images, a JSON array of app, version, digest and signed; published and signed,
# true or false, never empty. They have no references: GitHub drops an output that holds
# a secret, and many keep the name of their account as one.
set -euo pipefail

scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export SIGNRETRY_CERTIFICATE_IDENTITY=${SIGNRETRY_CERTIFICATE_IDENTITY:-${GITHUB_SERVER_URL:-https://github.com}/${WORKFLOW_REF:-}}
export SIGNRETRY_CERTIFICATE_OIDC_ISSUER=${SIGNRETRY_CERTIFICATE_OIDC_ISSUER:-https://token.actions.githubusercontent.com}
unset PUSHGUARD_RECORD # it is of one app, and is not asked

names=$(jq -r '.[].name' <<<"$APPS")
places=$(for app in $names; do "$scripts/repositories.sh" "$app" | sed "s|.*|$app &:$VERSION|"; done)
answer='{"images": []}'
[[ -z $places ]] || answer=$(cut -d ' ' -f 2 <<<"$places" | GITHUB_OUTPUT='' signretry --check --json --max-elapsed=2m -) || { code=$? && ((code == 1)) || exit "$code"; }
images=$(jq -c --arg version "$VERSION" --arg places "$places" '
  .images as $found
  | $places | split("\n") | map(select(. != "")) | map(split(" ") | {app: .[0], ref: .[1]}) | group_by(.app)
  | map(.[0].app as $app | [.[].ref as $ref | $found[] | select(.ref == $ref)]
    | select(all(.status | IN("signed", "unsigned")) and (map(.digest) | unique | length == 1))
    | {$app, $version, digest: .[0].digest, signed: all(.status == "signed")})' <<<"$answer")
jq -r '"images=\(tojson)", "published=\(length > 0)", "signed=\(length > 0 and all(.signed))"' <<<"$images" | tee -a "${GITHUB_OUTPUT:-/dev/null}"
missing=$(jq -rn --argjson apps "$APPS" --argjson images "$images" '[$apps[].name] - [$images[].app] | join(" ")')
if [[ ${EXPECTED:-} == true && -n $missing ]]; then
  printf 'result: error: %s %s is not published: "Re-run all jobs" publishes it again\n' "$missing" "$VERSION" >&2
  exit 1
fi

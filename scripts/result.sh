#!/usr/bin/env bash
# Tells what is published now, as the registries say: not what earlier jobs have done,
# whose work a clean-up may have undone since.
#
#   VERSION, APPS      as plan.sh prints them
#   SIGNING_FORMAT     none: no signature is looked for
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
unset PUSHGUARD_RECORD # it would judge what the run has done
export SIGNRETRY_CERTIFICATE_IDENTITY=${SIGNRETRY_CERTIFICATE_IDENTITY:-${GITHUB_SERVER_URL:-https://github.com}/${WORKFLOW_REF:-}}
export SIGNRETRY_CERTIFICATE_OIDC_ISSUER=${SIGNRETRY_CERTIFICATE_OIDC_ISSUER:-https://token.actions.githubusercontent.com}
images='[]' missing=()
while IFS= read -r app; do
  repositories=$("$scripts/repositories.sh" "$app")
  found=$(GITHUB_OUTPUT='' tagcheck --json --on-existing=skip --image "$repositories" --tag "$VERSION") || [[ $? == [14] ]]
  digest=$(jq -r 'if .verdict == "complete" then .digest else "" end' <<<"$found")
  if [[ -z $digest ]]; then
    missing+=("$app")
    continue
  fi
  signed=false
  if [[ ${SIGNING_FORMAT:-} != none ]] && sed "s/$/@$digest/" <<<"$repositories" | GITHUB_OUTPUT='' signretry --check - >&2; then signed=true; fi
  images=$(jq -c --arg app "$app" --arg version "$VERSION" --arg digest "$digest" --argjson signed "$signed" \
    '. + [{$app, $version, $digest, $signed}]' <<<"$images")
done < <(jq -r '.[].name' <<<"$APPS")
jq -r '"images=\(tojson)", "published=\(length > 0)", "signed=\(length > 0 and all(.signed))"' <<<"$images" | tee -a "${GITHUB_OUTPUT:-/dev/null}"
if [[ ${EXPECTED:-} == true ]] && ((${#missing[@]} > 0)); then
  printf 'result: error: %s %s is not published: "Re-run all jobs" publishes it again\n' "${missing[*]}" "$VERSION" >&2
  exit 1
fi

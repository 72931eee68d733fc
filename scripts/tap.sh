#!/usr/bin/env bash
# Puts the cask of a published release into the Homebrew tap.
#
#   tap.sh CASK VERSION
#
#   TAP        default: LerianStudio/homebrew-tap
#   GH_TOKEN   may write contents there: a job's own token is for its own repository
set -euo pipefail

cask=$1 version=$2
path=repos/${TAP:-LerianStudio/homebrew-tap}/contents/Casks/pushguard.rb
args=(--method PUT "$path" --field "message=pushguard $version" --field "content=$(base64 -w 0 "$cask")")
if sha=$(gh api "$path" --jq .sha 2>/dev/null) && [[ -n $sha ]]; then
  args+=(--field "sha=$sha") # of the file that it replaces
fi
gh api "${args[@]}" --silent

#!/usr/bin/env bash
# Takes of each app what its last attempt left: a run that was done again has files
# of several, and not every app was done again.
#
#   FROM   the folder of all: ID/ATTEMPT/record.json, ID/ATTEMPT/result.json
#   TO     record/ID.json and result/ID.json are put there
set -euo pipefail

if [[ -z ${FROM:-} || -z ${TO:-} ]]; then
  printf 'latest: error: FROM or TO is empty\n' >&2
  exit 2
fi
mkdir -p "$TO/record" "$TO/result"
for folder in "$FROM"/*/; do
  [[ -d $folder ]] || continue
  last=0
  for attempt in "$folder"*/; do
    attempt=$(basename "$attempt")
    if [[ $attempt =~ ^[1-9][0-9]{0,8}$ ]] && ((attempt > last)); then
      last=$attempt
    fi
  done
  id=$(basename "$folder")
  for kind in record result; do
    file=$folder$last/$kind.json
    if [[ -f $file ]]; then
      cp "$file" "$TO/$kind/$id.json"
    fi
  done
done

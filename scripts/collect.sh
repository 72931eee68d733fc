#!/usr/bin/env bash
# Makes one answer of what all apps' jobs have done.
#
#   RESULTS   the folder with result.sh's files (*.json)
#
# Outputs, on stdout and in $GITHUB_OUTPUT: images, a JSON array; published (there
# is one) and signed (there is one, and all are), true or false, never empty.
set -euo pipefail

if [[ -z ${RESULTS:-} ]]; then
  printf 'collect: error: RESULTS is empty: where are the results?\n' >&2
  exit 2
fi

images=
published=false
signed=true
for file in "$RESULTS"/*.json; do
  [[ -e $file ]] || continue
  IFS= read -r line <"$file"
  images+=${images:+,}$line
  published=true
  [[ $line == *'"signed":true}' ]] || signed=false
done
[[ $published == true ]] || signed=false
printf 'images=[%s]\npublished=%s\nsigned=%s\n' "$images" "$published" "$signed" | tee -a "${GITHUB_OUTPUT:-/dev/null}"

#!/usr/bin/env bash
# Writes the list of parts (SPDX) of an archive.
#
#   sbom.sh ARCHIVE DOCUMENT DATE
#
# syft notes the moment at which it ran and a random name. Both would give two builds
# of one commit different checksums, so they become the commit's date and the
# archive's checksum.
set -euo pipefail

archive=$1 document=$2 date=$3
export SYFT_CHECK_FOR_APP_UPDATE=false
syft scan "file:$archive" --quiet --source-name pushguard --output "spdx-json=$document.raw"
sum=$(sha256sum "$archive" | cut -d ' ' -f 1)
sed -E \
  -e "s|(\"documentNamespace\": *\")[^\"]*|\1https://github.com/LerianStudio/pushguard/spdx/$sum|" \
  -e "s|(\"created\": *\")[^\"]*|\1$date|" "$document.raw" >"$document"
rm "$document.raw"

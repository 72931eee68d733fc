#!/usr/bin/env bash
# Draws the step summary in a Markdown file as GitHub shows it: with GitHub's style
# sheet, and Mermaid in Chromium. It needs npm, chromium and fonts-liberation.
#
#   summary.sh SUMMARY LIGHT.png DARK.png
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$here/package.json" "$here/package-lock.json" "$work"
(cd "$work" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null)

# The registry of this machine stands for another.
sed -E 's/127\.0\.0\.1:[0-9]+/ghcr.io/g' "$1" >"$work/summary.md"
{
  printf 'const summary = '
  node -e 'process.stdout.write(JSON.stringify(require("fs").readFileSync(process.argv[1], "utf8")))' "$work/summary.md"
} >"$work/summary.js"

draw() { # THEME BACKGROUND MERMAID FILE
  sed -e "s/THEME/$1/; s/BACK/$2/; s/'MERMAID'/'$3'/" "$here/summary.html" >"$work/summary.html"
  chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --force-device-scale-factor=1.5 \
    --window-size=1000,730 --virtual-time-budget=15000 --screenshot="$work/picture.png" "file://$work/summary.html" >/dev/null 2>&1
  mv "$work/picture.png" "$4"
}
draw light '#ffffff' default "$2"
draw dark '#0d1117' dark "$3"

#!/usr/bin/env bash
# Runs GitHub's own parser over the files named, from the npm packages that
# package-lock.json pins. They are installed and bundled once for each content of
# this folder, into the user's cache folder.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/pushguard
key=$(cat "$here/package-lock.json" "$here/check.js" | cksum | tr ' ' '-')
dir=$cache/lintworkflows-$key-$(node --version)

if [[ ! -e $dir/check.js ]]; then
  mkdir -p "$cache"
  work=$(mktemp -d "$cache/building-XXXXXX")
  trap 'rm -rf "$work"' EXIT
  cp "$here/package.json" "$here/package-lock.json" "$here/check.js" "$work"
  (
    cd "$work"
    npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
    # Node 20 does not read the packages' JSON imports; a bundle has none.
    node_modules/.bin/esbuild check.js --bundle --platform=node --format=esm --log-level=error --outfile=bundle.js
    # A bundled CommonJS module asks for "require", which an ES module lacks.
    printf 'import {createRequire} from "node:module"; const require = createRequire(import.meta.url);\n' | cat - bundle.js >ready.js
    rm -rf node_modules
    mv ready.js check.js
  )
  # Losing the race against another run is fine: its folder is the same.
  [[ -e $dir ]] || mv "$work" "$dir"
  rm -rf "$work"
  trap - EXIT
fi
exec node "$dir/check.js" "$@"

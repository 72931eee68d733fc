#!/usr/bin/env bash
# Lays out what image/Dockerfile builds: the verified commands of VERSION for each
# platform, and this machine's certificate authorities.
#
#   image.sh DIR VERSION OS/ARCH...
set -euo pipefail

scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
dir=$1 version=$2
shift 2
mkdir -p "$dir"
cp "$scripts/../image/Dockerfile" "$dir/"
cp "${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}" "$dir/ca-certificates.crt"
for platform; do
  "$scripts/../setup/install.sh" --version "$version" --platform "$platform" --dir "$dir/$platform"
done

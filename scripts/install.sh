#!/usr/bin/env bash
# Installs a release of pushguard: tagcheck, signretry and regcleanup.
#
#   install.sh [--version VERSION] [--dir DIR] [--verify signature|checksum]
#
#   --version   $PUSHGUARD_VERSION      default: the newest release
#   --dir       $PUSHGUARD_INSTALL_DIR  default: ~/.local/bin
#   --verify    $PUSHGUARD_VERIFY       signature (default): the release's signature
#               is checked with cosign, else its provenance with gh, and then the
#               checksum; checksum: only that, which a thief of the release's page
#               would pass
#
# Nothing that was downloaded is run, unpacked or put into DIR before it is
# verified; a run that fails or is killed leaves DIR as it was.
#
# A mirror or a fork: PUSHGUARD_RELEASES (URL of its releases), and whose signature
# counts: PUSHGUARD_REPOSITORY, PUSHGUARD_RELEASE_WORKFLOW, PUSHGUARD_RELEASE_ISSUER,
# PUSHGUARD_TRUSTED_ROOT (file).
set -euo pipefail

die() {
  local message=${1//"##["/"# # ["}
  printf 'install: error: %s\n' "$message" >&2
  exit 1
}

usage() {
  sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//;p;}' "${BASH_SOURCE[0]}"
}

version=${PUSHGUARD_VERSION:-}
dir=${PUSHGUARD_INSTALL_DIR:-}
verify=${PUSHGUARD_VERIFY:-}
while (($# > 0)); do
  case $1 in
  --version) version=${2:-} ;;
  --dir) dir=${2:-} ;;
  --verify) verify=${2:-} ;;
  --help | -h)
    usage
    exit 0
    ;;
  *)
    printf 'install: error: %q is no flag\n' "$1" >&2
    exit 2
    ;;
  esac
  shift $(($# > 1 ? 2 : 1))
done

repository=${PUSHGUARD_REPOSITORY:-LerianStudio/pushguard}
releases=${PUSHGUARD_RELEASES:-https://github.com/$repository/releases}
workflow=https://github.com/$repository/${PUSHGUARD_RELEASE_WORKFLOW:-.github/workflows/release.yml}
issuer=${PUSHGUARD_RELEASE_ISSUER:-https://token.actions.githubusercontent.com}
dir=${dir:-$HOME/.local/bin}
verify=${verify:-signature}
version=${version#v}

[[ -z $version || $version =~ ^[0-9]+\.[0-9]+\.[0-9]+([.-][0-9A-Za-z.-]+)?$ ]] || die "$(printf '%q is no version such as 1.2.3' "$version")"
[[ $verify == signature || $verify == checksum ]] || die "$(printf -- '--verify is %q: write signature or checksum' "$verify")"
case $releases in
https://*) protocols='=https' ;;
http://127.0.0.1:* | http://localhost:*) protocols='=http,https' ;;
*) die "$(printf 'PUSHGUARD_RELEASES is %q: write an https URL' "$releases")" ;;
esac
command -v curl >/dev/null || die "curl is missing"

case $(uname -s) in
Linux) os=linux ;;
Darwin) os=darwin ;;
*) die "there is no release for $(uname -s): go install github.com/LerianStudio/pushguard/cmd/...@latest" ;;
esac
case $(uname -m) in
x86_64 | amd64) arch=amd64 ;;
aarch64 | arm64) arch=arm64 ;;
*) die "there is no release for $(uname -m): go install github.com/LerianStudio/pushguard/cmd/...@latest" ;;
esac

# Who verifies is known before anything is downloaded.
verifier=
if [[ $verify == signature ]]; then
  if command -v cosign >/dev/null; then
    verifier=cosign
  elif command -v gh >/dev/null && gh attestation --help >/dev/null 2>&1; then
    verifier=gh
  else
    die "neither cosign nor gh (2.49 or later, with \"gh attestation\") is installed, so the release's signature cannot be checked: install one of them (https://docs.sigstore.dev/cosign/system_config/installation, https://cli.github.com), or choose --verify checksum"
  fi
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

download() {
  curl --fail --silent --show-error --location --proto "$protocols" \
    --retry 3 --connect-timeout 20 --max-time 600 --output "$work/$1" "$from/$1" ||
    die "download $from/$1 failed"
}

sha256() {
  if command -v sha256sum >/dev/null; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d ' ' -f 1
}

from=$releases/latest/download
[[ -z $version ]] || from=$releases/download/v$version
download checksums.txt

# The identity names the tag that the release was built from.
if [[ $verifier == cosign ]]; then
  download checksums.txt.sigstore.json
  tags='refs/tags/v[0-9][0-9A-Za-z.-]*'
  [[ -z $version ]] || tags="refs/tags/v${version//./\\.}"
  roots=()
  [[ -z ${PUSHGUARD_TRUSTED_ROOT:-} ]] || roots=(--trusted-root "$PUSHGUARD_TRUSTED_ROOT")
  cosign verify-blob --bundle "$work/checksums.txt.sigstore.json" \
    --certificate-identity-regexp "^${workflow//./\\.}@$tags\$" --certificate-oidc-issuer "$issuer" \
    ${roots[@]+"${roots[@]}"} "$work/checksums.txt" >&2 ||
    die "the signature of checksums.txt is not that of $workflow: nothing was installed"
fi

name_pattern="^[0-9a-f]{64}  (pushguard_([0-9][0-9A-Za-z.-]*)_${os}_${arch}\.tar\.gz)\$"
archive='' want='' tag=''
while IFS= read -r line; do
  [[ $line =~ $name_pattern ]] || continue
  [[ -z $version || ${BASH_REMATCH[2]} == "$version" ]] || die "checksums.txt of $version lists ${BASH_REMATCH[1]}"
  [[ -z $archive ]] || die "checksums.txt lists two archives for $os/$arch"
  archive=${BASH_REMATCH[1]} want=${line%% *} tag=refs/tags/v${BASH_REMATCH[2]}
done <"$work/checksums.txt"
[[ -n $archive ]] || die "checksums.txt lists no archive for $os/$arch"

download "$archive"
found=$(sha256 "$work/$archive")
[[ $found == "$want" ]] || die "$archive has the checksum $found, the release says $want: nothing was installed"
if [[ $verifier == gh ]]; then
  gh attestation verify "$work/$archive" --repo "$repository" \
    --signer-workflow "${workflow#https://github.com/}" --source-ref "$tag" >&2 ||
    die "$archive has no provenance of $workflow at $tag: nothing was installed"
fi
[[ $verify == signature ]] || printf 'install: warning: only the checksum was verified, not who made the release\n' >&2

tar -xzf "$work/$archive" -C "$work" tagcheck signretry regcleanup || die "$archive does not hold the three commands"
mkdir -p "$dir"
for command in tagcheck signretry regcleanup; do
  # Beside its place first: a move within a folder is whole or not at all.
  cp "$work/$command" "$dir/.$command.$$"
  chmod 755 "$dir/.$command.$$"
  mv "$dir/.$command.$$" "$dir/$command"
done
printf 'installed tagcheck, signretry and regcleanup of %s in %s\n' "$archive" "$dir"
case :$PATH: in
*:"$dir":*) ;;
*) printf 'install: hint: %s is not in your PATH\n' "$dir" >&2 ;;
esac

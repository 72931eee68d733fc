#!/usr/bin/env bash
# Installs a release of pushguard: tagcheck, signretry and regcleanup.
#
#   install.sh [--version VERSION] [--dir DIR] [--verify signature|checksum]
#              [--commit COMMIT] [--platform OS/ARCH]
#
#   --version   $PUSHGUARD_VERSION      default: the newest release
#   --dir       $PUSHGUARD_INSTALL_DIR  default: ~/.local/bin
#   --verify    $PUSHGUARD_VERIFY       signature (default): cosign checks the signature
#               of the release's checksums, or gh the provenance of the archive, and
#               then the checksum is compared; checksum: only the comparison, which
#               does not protect against a tampered release
#   --commit    $PUSHGUARD_COMMIT       the release must be built from this commit, 40
#               digits; default: any commit that the release's tag has named
#   --platform  $PUSHGUARD_PLATFORM     default: this machine's, such as linux/arm64
#
# An empty flag or variable is one that is not set. Nothing that was downloaded is run,
# unpacked or put into DIR before it is verified; a run that fails or is killed leaves
# DIR as it was.
#
# A mirror or a fork: PUSHGUARD_RELEASES (https or file URL of its releases, which has
# download/vVERSION/FILE), and whose signature counts: PUSHGUARD_REPOSITORY,
# PUSHGUARD_RELEASE_WORKFLOW, PUSHGUARD_RELEASE_ISSUER, PUSHGUARD_TRUSTED_ROOT (file;
# without it the public one is fetched).
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
commit=${PUSHGUARD_COMMIT:-}
platform=${PUSHGUARD_PLATFORM:-}
while (($# > 0)); do
  case $1 in
  --version) version=${2:-} ;;
  --dir) dir=${2:-} ;;
  --verify) verify=${2:-} ;;
  --commit) commit=${2:-} ;;
  --platform) platform=${2:-} ;;
  --help | -h)
    usage
    exit 0
    ;;
  *)
    printf 'install: error: unknown flag %q\n' "$1" >&2
    exit 2
    ;;
  esac
  shift $(($# > 1 ? 2 : 1))
done

repository=${PUSHGUARD_REPOSITORY:-LerianStudio/pushguard}
releases=${PUSHGUARD_RELEASES:-https://github.com/$repository/releases}
releases=${releases%/}
workflow=https://github.com/$repository/${PUSHGUARD_RELEASE_WORKFLOW:-.github/workflows/release.yml}
issuer=${PUSHGUARD_RELEASE_ISSUER:-https://token.actions.githubusercontent.com}
dir=${dir:-$HOME/.local/bin}
verify=${verify:-signature}
version=${version#v}

[[ -z $version || $version =~ ^[0-9]+\.[0-9]+\.[0-9]+([.-][0-9A-Za-z.-]+)?$ ]] || die "$(printf '%q is not a valid version: write one such as 1.2.3' "$version")"
[[ -z $commit || $commit =~ ^[0-9a-f]{40}$ ]] || die "$(printf '%q is not a valid commit: write all 40 digits' "$commit")"
[[ $verify == signature || $verify == checksum ]] || die "$(printf -- '--verify is %q: write signature or checksum' "$verify")"
[[ -z $commit || $verify == signature ]] || die "--commit needs --verify signature: a checksum does not tell the commit"
case $releases in
https://*) protocols='=https' ;;
http://127.0.0.1:* | http://localhost:*) protocols='=http,https' ;;
file:///*) protocols='=file' ;;
*) die "$(printf 'PUSHGUARD_RELEASES is %q: write an https or file URL' "$releases")" ;;
esac
command -v curl >/dev/null || die "curl is missing"

if [[ -z $platform ]]; then
  system=$(uname -s) machine=$(uname -m)
  case $system in
  Linux) os=linux ;;
  Darwin) os=darwin ;;
  MINGW* | MSYS* | CYGWIN*) os=windows ;;
  *) os=$(tr '[:upper:]' '[:lower:]' <<<"$system") ;;
  esac
  case $machine in
  x86_64 | amd64) arch=amd64 ;;
  aarch64 | arm64) arch=arm64 ;;
  *) arch=$machine ;;
  esac
  platform=$os/$arch
fi
case $platform in
linux/amd64 | linux/arm64 | darwin/amd64 | darwin/arm64) suffix='' ;;
windows/amd64 | windows/arm64) suffix=.exe ;;
*) die "$(printf 'there is no build for %q; builds exist for linux, darwin and windows on amd64 and arm64. Build it with Go: go install github.com/LerianStudio/pushguard/cmd/...@latest' "$platform")" ;;
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

# A server that stops sending is given up after 30 seconds.
download() {
  curl --fail --silent --show-error --location --proto "$protocols" \
    --retry 3 --connect-timeout 20 --speed-limit 1 --speed-time 30 --max-time 600 --output "$work/$1" "$from/$1" ||
    die "download $from/$1 failed"
}

sha256() {
  if command -v sha256sum >/dev/null; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d ' ' -f 1
}

from=$releases/latest/download
[[ -z $version ]] || from=$releases/download/v$version
download checksums.txt

# What checksums.txt says counts only once it is verified. Its version is read before,
# so that the identity can be compared as a whole.
name_pattern="^([0-9a-f]{64})  (pushguard-commands_([0-9][0-9A-Za-z.-]*)_${platform/\//_}\.tar\.gz)\$"
archive='' want='' found=''
while IFS= read -r line; do
  [[ $line =~ $name_pattern ]] || continue
  [[ -z $archive ]] || die "checksums.txt lists two archives for $platform"
  want=${BASH_REMATCH[1]} archive=${BASH_REMATCH[2]} found=${BASH_REMATCH[3]}
done <"$work/checksums.txt"
[[ -n $archive ]] || die "checksums.txt lists no archive for $platform"
[[ -z $version || $found == "$version" ]] || die "checksums.txt of $version lists $archive"
identity=$workflow@refs/tags/v$found

if [[ $verifier == cosign ]]; then
  download checksums.txt.sigstore.json
  more=()
  [[ -z ${PUSHGUARD_TRUSTED_ROOT:-} ]] || more+=(--trusted-root "$PUSHGUARD_TRUSTED_ROOT")
  [[ -z $commit ]] || more+=(--certificate-github-workflow-sha "$commit")
  cosign verify-blob --bundle "$work/checksums.txt.sigstore.json" \
    --certificate-identity "$identity" --certificate-oidc-issuer "$issuer" \
    ${more[@]+"${more[@]}"} "$work/checksums.txt" >&2 ||
    die "the signature of checksums.txt is not that of $identity${commit:+ at the commit $commit}: nothing was installed"
fi

download "$archive"
got=$(sha256 "$work/$archive")
[[ $got == "$want" ]] || die "$archive has the checksum $got, the release says $want: nothing was installed"
if [[ $verifier == gh ]]; then
  download pushguard.intoto.jsonl
  more=()
  [[ -z ${PUSHGUARD_TRUSTED_ROOT:-} ]] || more+=(--custom-trusted-root "$PUSHGUARD_TRUSTED_ROOT")
  [[ -z $commit ]] || more+=(--source-digest "$commit")
  gh attestation verify "$work/$archive" --bundle "$work/pushguard.intoto.jsonl" --repo "$repository" \
    --cert-identity "$identity" --cert-oidc-issuer "$issuer" --deny-self-hosted-runners \
    ${more[@]+"${more[@]}"} >&2 ||
    die "$archive has no provenance of $identity${commit:+ at the commit $commit}: nothing was installed"
fi
[[ $verify == signature ]] || printf 'install: warning: only the checksum was verified, not who made the release\n' >&2

commands=("tagcheck$suffix" "signretry$suffix" "regcleanup$suffix")
tar -xzf "$work/$archive" -C "$work" "${commands[@]}" || die "$archive does not hold the three commands"
mkdir -p "$dir"
for command in "${commands[@]}"; do
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

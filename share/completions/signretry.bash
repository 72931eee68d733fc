# bash completion of signretry, printed by "signretry --generate=complete-bash"
# shellcheck shell=bash disable=SC2207
_signretry() {
  local cur=${COMP_WORDS[COMP_CWORD]} flag=${COMP_WORDS[COMP_CWORD - 1]} start='' IFS=$'\n'
  COMPREPLY=()
  case $cur in
  =) cur='' ;;
  --*=*) flag=${cur%%=*} start=${cur%%=*}= cur=${cur#*=} ;;
  *) if [[ $flag == = ]]; then flag=${COMP_WORDS[COMP_CWORD - 2]}; fi ;;
  esac
  case $flag in
  --metadata)
    COMPREPLY=($(compgen -P "$start" -f -- "$cur"))
    compopt -o filenames 2>/dev/null
    ;;
  --on-failure) COMPREPLY=($(compgen -P "$start" -W $'fail\nwarn' -- "$cur")) ;;
  --format) COMPREPLY=($(compgen -P "$start" -W $'bundle\nlegacy\nboth\nnone' -- "$cur")) ;;
  --identity-token-file)
    COMPREPLY=($(compgen -P "$start" -f -- "$cur"))
    compopt -o filenames 2>/dev/null
    ;;
  --login) COMPREPLY=($(compgen -P "$start" -W $'auto\nbrowser\ndevice' -- "$cur")) ;;
  --trusted-root)
    COMPREPLY=($(compgen -P "$start" -f -- "$cur"))
    compopt -o filenames 2>/dev/null
    ;;
  --signing-config)
    COMPREPLY=($(compgen -P "$start" -f -- "$cur"))
    compopt -o filenames 2>/dev/null
    ;;
  --tuf-root)
    COMPREPLY=($(compgen -P "$start" -f -- "$cur"))
    compopt -o filenames 2>/dev/null
    ;;
  --fallback-signing-config)
    COMPREPLY=($(compgen -P "$start" -f -- "$cur"))
    compopt -o filenames 2>/dev/null
    ;;
  --record)
    COMPREPLY=($(compgen -P "$start" -f -- "$cur"))
    compopt -o filenames 2>/dev/null
    ;;
  --generate) COMPREPLY=($(compgen -P "$start" -W $'complete-bash\ncomplete-fish\ncomplete-powershell\ncomplete-zsh\nman' -- "$cur")) ;;
  --metadata-json | --annotation | --attest | --then-tag | --parallel | --rate-limit | --certificate-identity | --certificate-identity-regexp | --certificate-oidc-issuer | --certificate-oidc-issuer-regexp | --identity-token-command | --oidc-issuer | --oidc-client-id | --tuf-url | --fulcio-url | --rekor-url | --rekor-version | --fallback-after | --timestamp-url | --timeout | --max-attempts | --initial-delay | --max-delay | --max-elapsed) ;;
  *)
    if [[ $cur == -* ]]; then
      COMPREPLY=($(compgen -W $'--metadata\n--metadata-json\n--on-failure\n--format\n--annotation\n--attest\n--recursive\n--any-run\n--then-tag\n--then-tag-checked\n--parallel\n--rate-limit\n--check\n--certificate-identity\n--certificate-identity-regexp\n--certificate-oidc-issuer\n--certificate-oidc-issuer-regexp\n--identity-token-file\n--identity-token-command\n--login\n--oidc-issuer\n--oidc-client-id\n--trusted-root\n--signing-config\n--tuf-url\n--tuf-root\n--fulcio-url\n--rekor-url\n--rekor-version\n--fallback-after\n--fallback-signing-config\n--timestamp-url\n--json\n--quiet\n--verbose\n--record\n--timeout\n--max-attempts\n--initial-delay\n--max-delay\n--max-elapsed\n--help\n--version\n--generate' -- "$cur"))
    fi
    ;;
  esac
}
complete -F _signretry signretry

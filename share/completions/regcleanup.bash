# bash completion of regcleanup, printed by "regcleanup --generate=complete-bash"
# shellcheck shell=bash disable=SC2207
_regcleanup() {
  local cur=${COMP_WORDS[COMP_CWORD]} flag=${COMP_WORDS[COMP_CWORD - 1]} start='' IFS=$'\n'
  COMPREPLY=()
  case $cur in
  =) cur='' ;;
  --*=*) flag=${cur%%=*} start=${cur%%=*}= cur=${cur#*=} ;;
  *) if [[ $flag == = ]]; then flag=${COMP_WORDS[COMP_CWORD - 2]}; fi ;;
  esac
  case $flag in
  --on-blocked) COMPREPLY=($(compgen -P "$start" -W $'warn\nfail' -- "$cur")) ;;
  --record)
    COMPREPLY=($(compgen -P "$start" -f -- "$cur"))
    compopt -o filenames 2>/dev/null
    ;;
  --generate) COMPREPLY=($(compgen -P "$start" -W $'complete-bash\ncomplete-fish\ncomplete-powershell\ncomplete-zsh\nman' -- "$cur")) ;;
  --image | --published-digest | --timeout | --max-attempts | --initial-delay | --max-delay | --max-elapsed) ;;
  *)
    if [[ $cur == -* ]]; then
      COMPREPLY=($(compgen -W $'--delete\n--on-blocked\n--any-run\n--image\n--accept-revision-label\n--published-digest\n--yes\n--detach\n--unnamed\n--prune\n--json\n--quiet\n--verbose\n--record\n--timeout\n--max-attempts\n--initial-delay\n--max-delay\n--max-elapsed\n--help\n--version\n--generate' -- "$cur"))
    fi
    ;;
  esac
}
complete -F _regcleanup regcleanup

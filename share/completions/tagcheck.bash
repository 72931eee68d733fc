# bash completion of tagcheck, printed by "tagcheck --generate=complete-bash"
# shellcheck shell=bash disable=SC2207
_tagcheck() {
  local cur=${COMP_WORDS[COMP_CWORD]} flag=${COMP_WORDS[COMP_CWORD - 1]} start='' IFS=$'\n'
  COMPREPLY=()
  case $cur in
  =) cur='' ;;
  --*=*) flag=${cur%%=*} start=${cur%%=*}= cur=${cur#*=} ;;
  *) if [[ $flag == = ]]; then flag=${COMP_WORDS[COMP_CWORD - 2]}; fi ;;
  esac
  case $flag in
  --on-existing) COMPREPLY=($(compgen -P "$start" -W $'fail\nskip\nwarn' -- "$cur")) ;;
  --on-unknown) COMPREPLY=($(compgen -P "$start" -W $'fail\nwarn' -- "$cur")) ;;
  --record)
    COMPREPLY=($(compgen -P "$start" -f -- "$cur"))
    compopt -o filenames 2>/dev/null
    ;;
  --generate) COMPREPLY=($(compgen -P "$start" -W $'complete-bash\ncomplete-fish\ncomplete-powershell\ncomplete-zsh\nman' -- "$cur")) ;;
  --moving | --earlier | --image | --tag | --metadata-json | --timeout | --max-attempts | --initial-delay | --max-delay | --max-elapsed) ;;
  *)
    if [[ $cur == -* ]]; then
      COMPREPLY=($(compgen -W $'--on-existing\n--on-unknown\n--moving\n--earlier\n--image\n--tag\n--metadata-json\n--json\n--quiet\n--verbose\n--record\n--timeout\n--max-attempts\n--initial-delay\n--max-delay\n--max-elapsed\n--help\n--version\n--generate' -- "$cur"))
    fi
    ;;
  esac
}
complete -F _tagcheck tagcheck

// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"fmt"
	"strings"
)

// bash completes "--flag value" and "--flag=value", also where "=" does not end a
// word, and runs in bash 3.2, which macOS has.
func (p *page) bash() string {
	name := p.tool.Name
	var b strings.Builder
	fmt.Fprintf(&b, `# bash completion of %[1]s, printed by "%[1]s --generate=complete-bash"
# shellcheck shell=bash disable=SC2207
_%[1]s() {
  local cur=${COMP_WORDS[COMP_CWORD]} flag=${COMP_WORDS[COMP_CWORD - 1]} start='' IFS=$'\n'
  COMPREPLY=()
  case $cur in
  =) cur='' ;;
  --*=*) flag=${cur%%%%=*} start=${cur%%%%=*}= cur=${cur#*=} ;;
  *) if [[ $flag == = ]]; then flag=${COMP_WORDS[COMP_CWORD - 2]}; fi ;;
  esac
  case $flag in
`, name)
	var none []string
	for _, o := range p.flags {
		switch {
		case len(o.words) > 0:
			fmt.Fprintf(&b, "  --%s) COMPREPLY=($(compgen -P \"$start\" -W $'%s' -- \"$cur\")) ;;\n", o.names[0], strings.Join(o.words, `\n`))
		case o.file:
			fmt.Fprintf(&b, "  --%s)\n    COMPREPLY=($(compgen -P \"$start\" -f -- \"$cur\"))\n    compopt -o filenames 2>/dev/null\n    ;;\n", o.names[0])
		case o.value != "":
			none = append(none, "--"+o.names[0])
		}
	}
	fmt.Fprintf(&b, "  %s) ;;\n", strings.Join(none, " | "))
	b.WriteString("  *)\n    if [[ $cur == -* ]]; then\n      COMPREPLY=($(compgen -W $'" + strings.Join(p.words(), `\n`) + "' -- \"$cur\"))\n    fi\n    ;;\n  esac\n}\n")
	fmt.Fprintf(&b, "complete -F _%[1]s %[1]s\n", name)
	return b.String()
}

// words are the flags as they are typed.
func (p *page) words() (words []string) {
	for _, o := range p.flags {
		words = append(words, "--"+o.names[0])
	}
	return words
}

// zsh works in a folder of $fpath and when it is sourced.
func (p *page) zsh() string {
	name := p.tool.Name
	var b strings.Builder
	fmt.Fprintf(&b, "#compdef %[1]s\n# zsh completion of %[1]s, printed by \"%[1]s --generate=complete-zsh\"\n_%[1]s() {\n  _arguments -S \\\n", name)
	for _, o := range p.flags {
		usage := strings.NewReplacer("[", `\[`, "]", `\]`, "'", `'\''`).Replace(o.usage)
		value := ""
		switch {
		case len(o.words) > 0:
			value = ":value:(" + strings.Join(o.words, " ") + ")"
		case o.file:
			value = ":" + o.value + ":_files"
		case o.value != "":
			value = ":" + o.value + ": "
		}
		spec := "--" + o.names[0]
		if value != "" {
			spec += "="
		}
		if o.many {
			spec = "*" + spec
		}
		for _, short := range o.names[1:] {
			fmt.Fprintf(&b, "    '-%s[%s]' \\\n", short, usage)
		}
		fmt.Fprintf(&b, "    '%s[%s]%s' \\\n", spec, usage, value)
	}
	fmt.Fprintf(&b, "    '*:image: '\n}\nif [[ $funcstack[1] == _%[1]s ]]; then\n  _%[1]s \"$@\"\nelse\n  compdef _%[1]s %[1]s\nfi\n", name)
	return b.String()
}

func (p *page) fish() string {
	name := p.tool.Name
	var b strings.Builder
	fmt.Fprintf(&b, "# fish completion of %[1]s, printed by \"%[1]s --generate=complete-fish\"\ncomplete -c %[1]s -f\n", name)
	for _, o := range p.flags {
		value := ""
		switch {
		case len(o.words) > 0:
			value = " -x -a '" + strings.Join(o.words, " ") + "'"
		case o.file:
			value = " -r -F"
		case o.value != "":
			value = " -x"
		}
		if len(o.names) > 1 {
			value += " -s " + strings.Join(o.names[1:], " -s ")
		}
		usage := strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(o.usage)
		fmt.Fprintf(&b, "complete -c %s -l %s%s -d '%s'\n", name, o.names[0], value, usage)
	}
	return b.String()
}

// powershell completes flags, and the values of those that take one of a few words.
func (p *page) powershell() string {
	name := p.tool.Name
	quoted := func(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }
	var b strings.Builder
	fmt.Fprintf(&b, `# PowerShell completion of %[1]s, printed by "%[1]s --generate=complete-powershell"
Register-ArgumentCompleter -Native -CommandName '%[1]s' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $flags = [ordered]@{
`, name)
	for _, o := range p.flags {
		fmt.Fprintf(&b, "        %s = %s\n", quoted("--"+o.names[0]), quoted(o.usage))
	}
	b.WriteString("    }\n    $values = @{\n")
	for _, o := range p.flags {
		if len(o.words) > 0 {
			fmt.Fprintf(&b, "        %s = %s\n", quoted("--"+o.names[0]), quoted(strings.Join(o.words, " ")))
		}
	}
	b.WriteString(`    }
    $flag, $rest = $wordToComplete -split '=', 2
    if ($null -ne $rest -and $values.ContainsKey($flag)) {
        $values[$flag] -split ' ' | Where-Object { $_ -like "$rest*" } | ForEach-Object {
            [System.Management.Automation.CompletionResult]::new("$flag=$_", $_, 'ParameterValue', $_)
        }
        return
    }
    $flags.GetEnumerator() | Where-Object { $_.Key -like "$wordToComplete*" } | ForEach-Object {
        [System.Management.Automation.CompletionResult]::new($_.Key, $_.Key, 'ParameterName', $_.Value)
    }
}
`)
	return b.String()
}

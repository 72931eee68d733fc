# PowerShell completion of tagcheck, printed by "tagcheck --generate=complete-powershell"
Register-ArgumentCompleter -Native -CommandName 'tagcheck' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $flags = [ordered]@{
        '--on-existing' = 'what an existing tag leads to'
        '--on-unknown' = 'what a registry that could not be asked leads to'
        '--moving' = 'tags that are expected to exist, such as latest: a GLOB; recorded, not judged; commas or blanks separate several (repeatable)'
        '--earlier' = 'where --record is not there yet, begin with the newest record of this run among FILES, which an earlier attempt kept: a file, a pattern, or FOLDER/ for all JSON files in it (repeatable)'
        '--image' = 'check the repository NAME with each --tag (repeatable)'
        '--tag' = 'check TAG of each --image; commas, blanks or newlines separate several (repeatable)'
        '--metadata-json' = 'check the tags in docker/metadata-action''s JSON; with no image at all, DOCKER_METADATA_OUTPUT_JSON is read'
        '--json' = 'print one JSON object on stdout'
        '--quiet' = 'print errors only'
        '--verbose' = 'print every request''s outcome on stderr'
        '--record' = 'keep the run record in FILE'
        '--timeout' = 'give up on one request after TIME'
        '--max-attempts' = 'try an operation N times; 0: as often as --max-elapsed allows'
        '--initial-delay' = 'ceiling of the first wait between tries, TIME'
        '--max-delay' = 'ceiling of any wait between tries, TIME'
        '--max-elapsed' = 'give up on the whole run after TIME'
        '--help' = 'print this help and exit'
        '--version' = 'print version, commit and date, and exit'
        '--generate' = 'print a shell''s completions or the man page, and exit'
    }
    $values = @{
        '--on-existing' = 'fail skip warn'
        '--on-unknown' = 'fail warn'
        '--generate' = 'complete-bash complete-fish complete-powershell complete-zsh man'
    }
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

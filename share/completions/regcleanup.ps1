# PowerShell completion of regcleanup, printed by "regcleanup --generate=complete-powershell"
Register-ArgumentCompleter -Native -CommandName 'regcleanup' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $flags = [ordered]@{
        '--delete' = 'carry the plan out'
        '--on-blocked' = 'what a refusal of a registry leads to'
        '--any-run' = 'accept the record of another run than this one'
        '--image' = 'refuse a record that names another repository than NAME: a file that other jobs can write is no proof; commas, blanks or newlines separate several (repeatable)'
        '--accept-revision-label' = 'where a push failed half-way, take the image''s revision label for proof'
        '--published-digest' = 'without a record: the tags in the arguments were absent before and are now DIGEST'
        '--yes' = 'without a record: do not ask before --delete acts'
        '--detach' = 'where a registry deletes only whole package versions, and one has other tags: move our tag off it, through an empty image that is public for seconds'
        '--unnamed' = 'delete also the images that this run pushed by their digests, where no tag and no index has them'
        '--prune' = 'where a registry keeps the untagged parts of a deleted image: delete them as well'
        '--json' = 'print one JSON object on stdout'
        '--quiet' = 'print errors only'
        '--verbose' = 'print every request''s outcome on stderr'
        '--record' = 'read the run record in FILE: a file, a pattern, or FOLDER/ for all JSON files in it (repeatable)'
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
        '--on-blocked' = 'warn fail'
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

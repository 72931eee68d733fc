# PowerShell completion of signretry, printed by "signretry --generate=complete-powershell"
Register-ArgumentCompleter -Native -CommandName 'signretry' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $flags = [ordered]@{
        '--metadata' = 'sign what FILE says was pushed: the metadata file of docker buildx build or bake'
        '--metadata-json' = 'as --metadata, but the JSON itself: the output metadata of docker/build-push-action or docker/bake-action'
        '--on-failure' = 'what to do when an image could not be signed'
        '--format' = 'layout of the signature; none: sign nothing, put the tags alone'
        '--annotation' = 'sign KEY=VALUE with the image (repeatable)'
        '--attest' = 'attest the images, too: TYPE=FILE, the type spdxjson, cyclonedx, slsaprovenance1, vuln, openvex, custom or a URI; with --check TYPE will do (repeatable)'
        '--recursive' = 'sign the manifests that an index lists, too'
        '--any-run' = 'accept the record of another run than this one'
        '--then-tag' = 'once an image is signed in all its repositories, put TAG on it: a tag for each repository of the run, or registry/repository:tag (repeatable)'
        '--then-tag-checked' = 'likewise, put the tags that tagcheck has checked and that the image lacks, as the record has them'
        '--parallel' = 'sign N digests at once'
        '--rate-limit' = 'begin at most N signatures a second, each of which asks each service of Sigstore once; 0 is no limit'
        '--check' = 'ask whether the images are signed, and exit 0 if all are, 1 if one is not, 3 if that could not be asked'
        '--certificate-identity' = 'only signatures of SUBJECT count, such as the URL of a workflow; with neither: those of this job'
        '--certificate-identity-regexp' = 'only signatures of a subject that matches REGEXP count'
        '--certificate-oidc-issuer' = 'only signatures of an identity from the issuer URL count'
        '--certificate-oidc-issuer-regexp' = 'only signatures of an identity from an issuer that matches REGEXP count'
        '--identity-token-file' = 'use the identity token in FILE; - is stdin'
        '--identity-token-command' = 'use the identity token that COMMAND prints (run by the shell); it is run again when the token has run out'
        '--login' = 'how a person logs in, and for browser and device: that one does'
        '--oidc-issuer' = 'log in at URL'
        '--oidc-client-id' = 'log in as the client ID'
        '--trusted-root' = 'trust what FILE (trusted_root.json) says'
        '--signing-config' = 'use the services that FILE (signing_config.json) names'
        '--tuf-url' = 'get both from the TUF repository at URL'
        '--tuf-root' = 'begin there with the keys in FILE (root.json; without: the public instance''s)'
        '--fulcio-url' = 'get certificates from URL'
        '--rekor-url' = 'log signatures at URL'
        '--rekor-version' = 'the log''s API has major version N (1 or 2; of --rekor-url: 1)'
        '--fallback-after' = 'log bundles in the Rekor v2 of a second signing config when Rekor v1 has been down for TIME; 0 = never'
        '--fallback-signing-config' = 'the second signing config is FILE (default: that of the TUF repository)'
        '--timestamp-url' = 'get timestamps from URL, with its path'
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
        '--on-failure' = 'fail warn'
        '--format' = 'bundle legacy both none'
        '--login' = 'auto browser device'
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

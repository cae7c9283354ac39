# fish completion for cordon(1). tests/tools/completions-match compares it with cordon --help.

function __cordon_cases
    command cordon cases --json 2>/dev/null | string match -rg '"case":"([0-9A-Z]*)"'
end

set -l actions disable enable expire-password reset-password contain revoke mark-compromised dismiss-risk
set -l all $actions show cases case events audit config doctor
set -l asked key submit verify

complete -c cordon -f
complete -c cordon -n __fish_use_subcommand -a disable -d 'take accounts out of play, and prove it'
complete -c cordon -n __fish_use_subcommand -a enable -d undo
complete -c cordon -n __fish_use_subcommand -a expire-password -d 'force a new password'
complete -c cordon -n __fish_use_subcommand -a reset-password -d 'set a random password, twice'
complete -c cordon -n __fish_use_subcommand -a contain -d 'disable and reset-password'
complete -c cordon -n __fish_use_subcommand -a revoke -d 'end the sessions in Entra ID'
complete -c cordon -n __fish_use_subcommand -a mark-compromised -d 'confirm the user as compromised'
complete -c cordon -n __fish_use_subcommand -a dismiss-risk -d 'dismiss the risk'
complete -c cordon -n __fish_use_subcommand -a winrm -d 'WinRM by hand, for a first look'
complete -c cordon -n __fish_use_subcommand -a risky -d 'who is at risk'
complete -c cordon -n __fish_use_subcommand -a query -d 'a ready query for where logs are collected'
complete -c cordon -n __fish_use_subcommand -a show -d 'everything that decides about an account'
complete -c cordon -n __fish_use_subcommand -a cases -d 'list the cases in the ledger'
complete -c cordon -n __fish_use_subcommand -a case -d 'one case with its evidence'
complete -c cordon -n __fish_use_subcommand -a events -d 'security events as the watcher sees them'
complete -c cordon -n __fish_use_subcommand -a audit -d 'check, print or shorten the hash chain'
complete -c cordon -n __fish_use_subcommand -a config -d 'the settings'
complete -c cordon -n __fish_use_subcommand -a key -d 'key pairs for signed requests'
complete -c cordon -n __fish_use_subcommand -a submit -d 'sign a request, put it on the queue'
complete -c cordon -n __fish_use_subcommand -a verify -d 'would a signed request be taken?'
complete -c cordon -n __fish_use_subcommand -a doctor -d 'what works, and what does not'
complete -c cordon -n __fish_use_subcommand -a help -d 'help on a command'
complete -c cordon -n __fish_use_subcommand -a version -d 'which version'
complete -c cordon -n __fish_use_subcommand -l version -d 'which version'

complete -c cordon -l help -d help
complete -c cordon -n "__fish_seen_subcommand_from $all $asked" -l json -d 'one JSON object a line'
complete -c cordon -n "__fish_seen_subcommand_from $all" -l as-agent -d 'act with the keytab'

complete -c cordon -n "__fish_seen_subcommand_from $actions" -l from -rF -d 'accounts from a file'
complete -c cordon -n "__fish_seen_subcommand_from $actions submit" -l reason -x -d why
complete -c cordon -n "__fish_seen_subcommand_from $actions submit" -l ticket -x -d 'number of the incident'
complete -c cordon -n "__fish_seen_subcommand_from $actions" -l dry-run -d 'show the plan only'
complete -c cordon -n "__fish_seen_subcommand_from $actions" -l wait -x -d 'until every DC has it'
complete -c cordon -n "__fish_seen_subcommand_from $actions submit" -l on-prem -d 'only in AD'
complete -c cordon -n "__fish_seen_subcommand_from $actions submit" -l cloud -d 'only in Entra ID'
complete -c cordon -n "__fish_seen_subcommand_from $actions submit" -l audit -d 'wait for the audit log of Entra'
complete -c cordon -n "__fish_seen_subcommand_from $actions submit" -l idp -xa okta -d 'in Okta, too'
complete -c cordon -n '__fish_seen_subcommand_from disable contain' -l deactivate -d 'in Okta: cannot be undone'
complete -c cordon -n "__fish_seen_subcommand_from $actions" -l via -xa mdi -d 'by another hand'
complete -c cordon -n "__fish_seen_subcommand_from $actions" -l evidence -xa 'sentinel hunting' -d 'seen elsewhere?'
complete -c cordon -n "__fish_seen_subcommand_from $actions" -l hold -d 'then watch Entra for so long'
complete -c cordon -n '__fish_seen_subcommand_from expire-password submit' -l mfa -d 'after a multi-factor sign-in'
complete -c cordon -n '__fish_seen_subcommand_from risky' -l level -xa 'low medium high' -d 'at least that'
complete -c cordon -n '__fish_seen_subcommand_from risky' -l state -x -d 'only that'
complete -c cordon -n '__fish_seen_subcommand_from risky' -l limit -x -d 'at most so many'
complete -c cordon -n '__fish_seen_subcommand_from risky' -l detections -x -d 'about one user'
complete -c cordon -n '__fish_seen_subcommand_from risky query' -l since -x -d 'how far back'
complete -c cordon -n '__fish_seen_subcommand_from winrm' -a 'identify pull'
complete -c cordon -n '__fish_seen_subcommand_from winrm' -l https -d 'TLS on 5986'
complete -c cordon -n '__fish_seen_subcommand_from winrm' -l port -x -d 'of the service'
complete -c cordon -n '__fish_seen_subcommand_from winrm' -l ca-file -r -d 'authorities, PEM'
complete -c cordon -n '__fish_seen_subcommand_from winrm' -l auth -xa 'negotiate kerberos certificate' -d 'how to log in'
complete -c cordon -n '__fish_seen_subcommand_from winrm' -l certificate -r -d 'certificate and key, PEM'
complete -c cordon -n '__fish_seen_subcommand_from winrm' -l service -xa 'HTTP WSMAN HOST' -d 'of the service principal'
complete -c cordon -n '__fish_seen_subcommand_from winrm' -l anonymous -d 'without logging in'
complete -c cordon -n '__fish_seen_subcommand_from winrm' -l resource -x -d 'what to subscribe to'
complete -c cordon -n '__fish_seen_subcommand_from winrm' -l dialect -x -d 'of the filter'
complete -c cordon -n '__fish_seen_subcommand_from winrm' -l filter -x -d 'which of them'
complete -c cordon -n '__fish_seen_subcommand_from winrm' -l option -x -d 'NAME=VALUE'
complete -c cordon -n '__fish_seen_subcommand_from winrm' -l earliest -d 'also what is in the log'
complete -c cordon -n '__fish_seen_subcommand_from winrm' -l count -x -d 'then end'
complete -c cordon -n '__fish_seen_subcommand_from winrm' -l for -x -d 'then end'
complete -c cordon -n '__fish_seen_subcommand_from winrm' -l max -x -d 'in one answer'
complete -c cordon -n '__fish_seen_subcommand_from winrm' -l poll -x -d 'long poll'
complete -c cordon -n '__fish_seen_subcommand_from query winrm' -l xml -d 'for Event Viewer'
complete -c cordon -n '__fish_seen_subcommand_from query' -l sentinel -d 'for Log Analytics'
complete -c cordon -n '__fish_seen_subcommand_from query' -l hunting -d 'for advanced hunting'
complete -c cordon -n '__fish_seen_subcommand_from query' -l case -x -d 'of this case'
complete -c cordon -n "__fish_seen_subcommand_from $actions" -l privileged -d 'also a privileged account'
complete -c cordon -n "__fish_seen_subcommand_from $actions show" -l dc -x -d 'this DC only'
complete -c cordon -n "__fish_seen_subcommand_from $actions show doctor winrm submit" -l domain -x -d 'which domain'
complete -c cordon -n '__fish_seen_subcommand_from enable' -l case -xa '(__cordon_cases)' -d 'undo this case'
complete -c cordon -n '__fish_seen_subcommand_from expire-password reset-password submit' \
    -l clear-never-expires -d 'in the same change'
complete -c cordon -n '__fish_seen_subcommand_from reset-password contain submit' -l must-change \
    -d 'the user must choose a new one'

complete -c cordon -n '__fish_seen_subcommand_from cases' -l open -d 'only those without an end'
complete -c cordon -n '__fish_seen_subcommand_from cases' -l limit -x -d 'at most so many'
complete -c cordon -n '__fish_seen_subcommand_from case' -l resume -d 'take it up where it was'
complete -c cordon -n '__fish_seen_subcommand_from case' -a '(__cordon_cases)'
complete -c cordon -n '__fish_seen_subcommand_from events' -l follow -d 'go on as the files grow'
complete -c cordon -n '__fish_seen_subcommand_from events' -F
complete -c cordon -n '__fish_seen_subcommand_from audit' -a 'verify export prune'
complete -c cordon -n '__fish_seen_subcommand_from audit' -l older-than -x -d 'goes with prune'
complete -c cordon -n '__fish_seen_subcommand_from config' -a 'show check sample manual'

complete -c cordon -n '__fish_seen_subcommand_from key' -a 'new show'
complete -c cordon -n '__fish_seen_subcommand_from key' -l type -xa 'ed25519 es256' -d 'kind of key'
complete -c cordon -n '__fish_seen_subcommand_from key submit' -l out -rF -d 'where it is written'
complete -c cordon -n '__fish_seen_subcommand_from submit verify' -l key -rF -d 'the key'
complete -c cordon -n '__fish_seen_subcommand_from submit' -l expires -x -d 'how long it is good'
complete -c cordon -n '__fish_seen_subcommand_from submit' -l requester -x -d 'who asks'
complete -c cordon -n '__fish_seen_subcommand_from submit' -l steps -d 'the answer lists the steps'
complete -c cordon -n '__fish_seen_subcommand_from submit' -l wait -d 'wait for the answers'
complete -c cordon -n '__fish_seen_subcommand_from key verify' -F

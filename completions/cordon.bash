# bash completion for cordon(1). tests/tools/completions-match compares it with cordon --help.
# shellcheck shell=bash

_cordon() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} words=
    local plain='--help --json' common='--help --json --as-agent'
    local action="$common --from --reason --ticket --dry-run --dc --domain --wait --privileged
        --on-prem --cloud --audit --idp --via --evidence --hold"
    COMPREPLY=()

    if [[ $COMP_CWORD -eq 1 ]]; then
        words='disable enable expire-password reset-password contain revoke mark-compromised
            dismiss-risk show risky query cases case events audit
            config defender winrm run status pending approve decline brake metrics log-level key submit verify doctor help version --help --version'
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
        return
    fi
    case $prev in
    --auth)
        mapfile -t COMPREPLY < <(compgen -W 'negotiate kerberos certificate' -- "$cur")
        return
        ;;
    --ca-file | --certificate)
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return
        ;;
    --from | --key | --out)
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return
        ;;
    --case)
        mapfile -t COMPREPLY < <(compgen -W "$(_cordon_cases)" -- "$cur")
        return
        ;;
    --idp)
        mapfile -t COMPREPLY < <(compgen -W okta -- "$cur")
        return
        ;;
    --via)
        mapfile -t COMPREPLY < <(compgen -W 'mdi mde' -- "$cur")
        return
        ;;
    --evidence)
        mapfile -t COMPREPLY < <(compgen -W 'sentinel hunting' -- "$cur")
        return
        ;;
    --type)
        mapfile -t COMPREPLY < <(compgen -W 'ed25519 es256' -- "$cur")
        return
        ;;
    --expires | --requester | --why | --level | --state | --detections | --since | --dc | --domain | --reason | --ticket | --wait | --limit | --older-than | --port | --service | --resource | --dialect | --filter | --option | --count | --for | --max | --poll) return ;;
    esac
    case ${COMP_WORDS[1]} in
    disable) words="$action --deactivate" ;;
    revoke) words=$action ;;
    mark-compromised | dismiss-risk) words=$action ;;
    enable) words="$action --case" ;;
    expire-password) words="$action --clear-never-expires --mfa" ;;
    reset-password) words="$action --must-change --clear-never-expires" ;;
    contain) words="$action --must-change --deactivate" ;;
    risky) words="$common --level --state --limit --detections --since" ;;
    query) words="$common --xml --sentinel --hunting --case --since --domain" ;;
    show) words="$common --dc --domain" ;;
    cases) words="$common --open --limit" ;;
    case)
        words="$common --resume"
        [[ $cur == -* ]] || words=$(_cordon_cases)
        ;;
    events)
        words="$common --follow"
        if [[ $cur != -* ]]; then
            compopt -o filenames
            mapfile -t COMPREPLY < <(compgen -f -- "$cur")
            return
        fi
        ;;
    audit) words="$common --older-than verify export prune" ;;
    config) words="$common show check sample manual" ;;
    defender) words="$common publish check" ;;
    winrm)
        words="$common identify pull --https --port --ca-file --auth --certificate --service --anonymous
            --resource --dialect --filter --option --earliest --count --for --max --poll --xml --domain"
        ;;
    run) words='--help --once --allow-root' ;;
    key) words="$plain --type --out new show" ;;
    submit)
        words="$plain --key --expires --reason --ticket --requester --domain --on-prem --cloud
            --clear-never-expires --must-change --mfa --audit --idp --steps --wait --out --signed
            disable enable expire-password reset-password contain revoke mark-compromised dismiss-risk"
        ;;
    verify)
        words="$plain --key"
        if [[ $cur != -* ]]; then
            compopt -o filenames
            mapfile -t COMPREPLY < <(compgen -f -- "$cur")
            return
        fi
        ;;
    status) words=$common ;;
    pending) words=$common ;;
    metrics) words=$common ;;
    approve) words="$common --why" ;;
    decline) words="$common --why" ;;
    brake) words="$common --why status release" ;;
    log-level) words="$common error warning info debug" ;;
    doctor) words="$common --domain" ;;
    help) words='disable enable expire-password reset-password contain revoke mark-compromised
            dismiss-risk show risky query cases case events audit
        config defender winrm run status pending approve decline brake metrics log-level key submit
        verify doctor' ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}

# The ids of the last cases: read from the ledger, nothing is changed.
_cordon_cases() {
    command cordon cases --json 2>/dev/null | sed -n 's/.*"case":"\([0-9A-Z]*\)".*/\1/p'
}

complete -F _cordon cordon

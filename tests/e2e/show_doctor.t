#!/bin/bash
# tests/e2e/show_doctor.t -- cordon show and cordon doctor against a real directory.
#
# Neither may change anything: the last test compares the accounts with what they were.
set -u
cd "$(dirname "$0")/../.." || exit 1
cordon=$(realpath "${CORDON:-build/dev/cordon}") || exit 1
lab=tests/lab/lab
dir=$(mktemp -d) || exit 1
trap '"$lab" down "$dir/lab" >/dev/null 2>&1; rm -rf "$dir"' EXIT

plan=44
n=0
bad=0
ok() { # STATUS NAME
    n=$((n + 1))
    if [ "$1" = 0 ]; then
        echo "ok $n - $2"
    else
        bad=$((bad + 1))
        echo "not ok $n - $2"
        sed 's/^/# /' "$dir/out" "$dir/err" | head -40
    fi
}
echo "1..$plan"

if ! "$lab" up --dcs 2 "$dir/lab" >"$dir/up" 2>&1; then
    sed 's/^/# /' "$dir/up"
    echo "Bail out! no lab"
    exit 1
fi
eval "$("$lab" env "$dir/lab")"
conf=$dir/cordon.conf

# run [VAR=VALUE...] -- ARGS: its stdout in $dir/out, stderr in $dir/err, the exit code in $code
run() {
    local env=()
    while [ "$1" != -- ]; do
        env+=("$1")
        shift
    done
    shift
    "$lab" exec env CORDON_CONFIG="$conf" "${env[@]}" "$cordon" "$@" >"$dir/out" 2>"$dir/err"
    code=$?
}
settings() { # SED-SCRIPT: the lab's settings, changed
    sed "$1" "$LAB_DIR/cordon.conf" >"$conf"
    chmod 600 "$conf"
}
is() { # CODE NAME: the exit code
    [ "$code" = "$1" ]
    ok $? "$2"
}
# json NAME PYTHON: an expression about `a`: the objects by account (show) or the list of checks
json() {
    python3 - "$dir/out" "$2" <<'PY' 2>>"$dir/err"
import json, sys
lines = [json.loads(l) for l in open(sys.argv[1], encoding='utf-8')]
a = {o['account']: o for o in lines if o['type'] == 'account'}
def state(name, target=None):
    return [o['state'] for o in lines if o['type'] == 'check' and o['name'] == name and target in (None, o['target'])]
sys.exit(0 if eval(sys.argv[2]) else 1)
PY
    ok $? "$1"
}
says() { # NAME PATTERN: stdout has it
    grep -Eq -- "$2" "$dir/out"
    ok $? "$1"
}
all_accounts() {
    for who in alice nested1 locked1 mustchange1 disabled1 pne1; do
        "$lab" attr "$who" userAccountControl pwdLastSet lockoutTime whenChanged uSNChanged
    done
}
settings ''
before=$(all_accounts)

# --- show ---
run -- show --json alice nested1 pgadmin1 krbtgt locked1 nochange1 pne1 smart1 mustchange1 disabled1 \
    expired1 sqlsvc1 adm1 former1
is 0 'show: 14 accounts'
json 'alice may be touched' 'a["alice"]["may"] and a["alice"]["rule"] == "" and a["alice"]["enabled"] and not a["alice"]["locked"]'
json 'names and identifiers' 'a["alice"]["sam"] == "alice" and a["alice"]["upn"] == "alice@corp.example.com" and a["alice"]["mail"] == "alice@example.com" and a["alice"]["sid"].startswith("S-1-5-21-") and len(a["alice"]["guid"]) == 36 and a["alice"]["dn"].startswith("CN=alice,")'
json 'the way into a privileged group' 'not a["nested1"]["may"] and a["nested1"]["why"] == "member of Domain Admins through HelpDesk-Leads, Tier0-Ops"'
json 'by primary group' 'a["pgadmin1"]["rule"] == "privileged" and a["pgadmin1"]["why"] == "primary group Domain Admins"'
json 'krbtgt' 'a["krbtgt"]["rule"] == "krbtgt" and not a["krbtgt"]["may"]'
json 'locked out, and since when' 'a["locked1"]["locked"] and a["locked1"]["locked_since"] is not None'
json 'may not change the password' 'a["nochange1"]["password"]["user_can_change"] is False and a["nochange1"]["actions"]["expire-password"]["rule"] == "cannot-change-password" and a["nochange1"]["may"]'
json 'never expires' 'a["pne1"]["password"]["never_expires"] and "password never expires" in a["pne1"]["flags"] and a["pne1"]["actions"]["expire-password"]["would"] == "refused"'
json 'smart card only' 'a["smart1"]["password"]["smart_card_only"] and any("smart card" in s for s in a["smart1"]["not_ended"])'
json 'must change' 'a["mustchange1"]["password"]["must_change"] and a["mustchange1"]["password"]["last_set"] is None and a["mustchange1"]["actions"]["expire-password"]["would"] == "nothing"'
json 'disabled' 'not a["disabled1"]["enabled"] and a["disabled1"]["uac"] == 514 and a["disabled1"]["actions"]["disable"]["would"] == "nothing" and a["disabled1"]["actions"]["enable"]["would"] == "change"'
json 'expired account' 'a["expired1"]["account_expires"] is not None'
json 'a service is held' 'a["sqlsvc1"]["actions"]["disable"]["would"] == "held" and a["sqlsvc1"]["rule"] == "service-account"'
json 'groups that make it privileged' '[g["name"] for g in a["adm1"]["privileged_groups"]].count("Domain Admins") == 1'
json 'adminCount alone' 'a["former1"]["rule"] == "privileged" and a["former1"]["privileged_groups"] == []'

run -- show --as-agent --json hidden1 svc-cordon
json 'as the agent: what cannot be judged' 'a["hidden1"]["rule"] == "cannot-judge"'
json 'as the agent: itself' 'a["svc-cordon"]["rule"] == "self"'
run -- show --as-agent --json other1 alice
json 'what the directory would let us write' 'a["other1"]["rights"] == {"userAccountControl": False, "pwdLastSet": False} and a["alice"]["rights"] == {"userAccountControl": True, "pwdLastSet": True}'
run -- show nested1
says 'for a person' 'disable +refused: privileged: member of Domain Admins through HelpDesk-Leads, Tier0-Ops'
run -- show --dc dc2.corp.example.com alice
says '--dc' 'as dc2.corp.example.com shows it'
run -- show odd05 odd06 odd07
! LC_ALL=C grep -q $'[\x01-\x09\x0b-\x1f\x7f]\|\xe2\x80[\xaa-\xae]' "$dir/out"
ok $? 'nothing from the directory that acts on a terminal'
run -- show --json nosuch alice twin@example.com
is 14 'one is not found, one is ambiguous'
json 'and the rest is shown all the same' 'a["nosuch"]["error"] == "not-found" and a["alice"]["may"] and a["twin@example.com"]["error"] == "ambiguous"'
run -- show
is 64 'no account'
run KRB5CCNAME=FILE:/nonexistent -- show alice
is 15 'no ticket'
sed 's/$//' "$LAB_DIR/cordon.conf" >"$conf"
printf '[policy]\nnever_disable = group:VIP\nalways_credentials = bob\n' >>"$conf"
run -- show --json vip2 bob alice
json 'the lists, by family' 'a["vip2"]["actions"]["disable"]["rule"] == "never_disable" and a["bob"]["may"] and a["alice"]["actions"]["disable"]["would"] == "change" and a["alice"]["actions"]["reset-password"]["rule"] == "always_credentials"'
printf 'never_credentials = nosuchone\n' >>"$conf"
run -- show alice
is 78 'a list entry that does not resolve'

# --- doctor ---
# Below OU=People, where the rights are: which three users doctor looks at is the DC's choice.
below_people() {
    sed 's/^base.*/base = OU=People,DC=corp,DC=example,DC=com/' "$LAB_DIR/cordon.conf" | sed "$1" >"$conf"
    chmod 600 "$conf"
}
below_people ''
run -- doctor --json
is 0 'doctor: everything is fine'
json 'no check but ok' 'all(o["state"] == "ok" for o in lines) and len(lines) >= 20'
run -- doctor --as-agent
is 0 'doctor as the agent'
below_people 's,^keytab.*,keytab = /nonexistent/svc.keytab,'
run -- doctor --as-agent --json
is 15 'no keytab'
json 'is said, with what mends it; what rests on it is skipped' 'state("keytab") == ["failed"] and state("dc") == ["skipped"] and all(o["mend"] for o in lines if o["state"] == "failed")'
below_people 's,^base.*,base = OU=Other\,DC=corp\,DC=example\,DC=com,'
run -- doctor --as-agent --json
is 15 'no rights below the base'
json 'each right that is missing, with SDDL and SID' 'all(state(r) == ["failed"] for r in ("right-disable", "right-expire", "right-reset")) and state("read-groups") == ["ok"] and all("bf967a" in o["mend"] and "S-1-5-21-" in o["mend"] or "00299570" in o["mend"] for o in lines if o["state"] == "failed")'
below_people '/^events_file/d; s,^events = .*,events = none,'
run -- doctor --json
json 'no events: a warning' 'state("events") == ["warning"]'
is 0 'warnings alone are no failure'
below_people 's,^\[domain,[nonsense,'
run -- doctor
is 78 'a configuration that is wrong'
below_people ''
sed 's/^\[libdefaults\]/[libdefaults]\nrdns = true/' "$LAB_DIR/etc/krb5.conf" >"$dir/krb5.conf"
run KRB5_CONFIG="$dir/krb5.conf" -- doctor --json
json 'rdns = true in krb5.conf' 'state("krb5.conf") == ["warning"]'
run KRB5CCNAME=FILE:/nonexistent -- doctor --json
json 'no ticket' 'state("ticket") == ["failed"] and state("keytab") == ["ok"]'
"$lab" cut dc2
run -- doctor --json
is 15 'a DC that is not to be reached'
json 'is named, the other is fine' 'state("dc", "dc2.corp.example.com") == ["failed"] and state("dc", "dc1.corp.example.com") == ["ok"] and state("right-disable") == ["ok"]'
"$lab" join dc2

all_accounts >"$dir/out"
[ "$before" = "$(cat "$dir/out")" ] && [ -n "$before" ]
ok $? 'nothing was changed'
run -- audit verify
[ "$code" = 0 ] && grep -q '^0 records\|: 0 records\| 0 records' "$dir/out"
ok $? 'and nothing recorded'

[ $n = $plan ] && [ $bad = 0 ]

#!/usr/bin/env bash
# The actions and the guards against one real DC, as the delegated account.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
lab up "$LAB_DIR" || { echo "Bail out! no lab"; exit 1; }

# --- disable, and what proves it --------------------------------------------------------------
run disable alice --reason "phishing" --ticket INC-1
is "$(verdict)" "done everywhere 0" "disable: done and proven"
is "$(steps | tr " " "\n" | sort | tr "\n" " ")" "confirm/done/logged converge/done/everywhere disable/done/read-back guard/done/none " "disable: every step has its evidence"
is "$(uac alice)" 514 "disable: the DC shows it"
alice_case=$(field case)
run disable alice
is "$(verdict)" "done everywhere 0" "disable again: already so"
like "$(steps)" "disable/already/read-back converge" "disable again: says already, and no event is claimed"

# No other bit may be lost.
run disable pnedis1; is "$(uac pnedis1)" 66050 "disabled and never-expires: untouched"
run disable pne1; is "$(uac pne1)" 66050 "disable keeps never-expires"
run disable smart1; is "$(uac smart1)" 262658 "disable keeps smart-card-only"

# --- enable ------------------------------------------------------------------------------------
run enable --case "$alice_case"
is "$(verdict) $(uac alice)" "done everywhere 0 512" "enable --case puts the flag back"
run enable disabled1
is "$(verdict) $(uac disabled1)" "done everywhere 0 512" "enable without a case clears the flag"
run disable alice; c=$(field case); set_uac alice 512; set_uac alice 514
run enable --case "$c"
is "$(field verdict) $(field rule) $rc $(uac alice)" "refused changed-since 12 514" "enable --case: toggled by another since: theirs to decide"
set_uac alice 512; run disable alice; c=$(field case); set_uac alice 1049090
run enable --case "$c"
is "$(field verdict) $(uac alice)" "done 1049088" "enable --case: another bit changed since: only our flag goes back"
run disable disabled1; run disable disabled1; c=$(field case)
run enable --case "$c"
is "$(field verdict) $(field rule)" "refused nothing-to-undo" "enable --case of a case that changed nothing"

# --- expire ------------------------------------------------------------------------------------
run expire-password bob
is "$(verdict) $(attr bob pwdLastSet)" "done everywhere 0 0" "expire-password"
run expire-password bob
like "$(steps)" "expire-password/already" "expire-password again: already"
run expire-password pne1
is "$(field verdict) $(field rule) $rc" "refused never-expires 12" "expire-password: never expires"
run expire-password pne1 --clear-never-expires; c=$(field case)
is "$(verdict) $(uac pne1) $(attr pne1 pwdLastSet)" "done everywhere 0 514 0" "expire-password --clear-never-expires: both in one modify"
run enable --case "$c"
is "$(field verdict) $(uac pne1)" "done 66050" "enable --case: never-expires is back, the disable of another case stays"
[ "$(attr pne1 pwdLastSet)" != 0 ]; is $? 0 "enable --case: pwdLastSet is now"
run expire-password nochange1
is "$(field verdict) $(field rule)" "refused cannot-change-password" "expire-password: the user may not change it"
run expire-password smart1
is "$(field verdict) $(field rule)" "refused smart-card-only" "expire-password: smart card only"

# --- reset, contain -------------------------------------------------------------------------------
before=$(attr carol pwdLastSet)
run reset-password carol
is "$(verdict)" "done everywhere 0" "reset-password: two resets, both in the log"
[ "$(attr carol pwdLastSet)" != "$before" ]; is $? 0 "reset-password: pwdLastSet moved"
lab exec "$LAB_DIR" bash -c 'echo "Init-Pw-carol!" | KRB5CCNAME=MEMORY: kinit carol' >/dev/null 2>&1
[ $? != 0 ]; is $? 0 "reset-password: the old password is dead"
run reset-password dave --must-change
is "$(verdict) $(attr dave pwdLastSet)" "done everywhere 0 0" "reset-password --must-change"
run contain erin
is "$(verdict) $(uac erin)" "done everywhere 0 514" "contain: disable and reset"
grep -aq "$(printf 'unicodePwd')" "$LAB_DIR/state/ledger.db"; is $? 1 "no password near the ledger"

# --- guards ------------------------------------------------------------------------------------
guard() { # NAME RULE WHY
    local was; was=$(uac "$1")
    run disable "$1"
    is "$(field verdict) $(field rule) $rc $(uac "$1")" "refused $2 12 $was" "refused: $1 ($2)"
    [ -z "${3:-}" ] || like "$(field detail)" "$3" "  and says: $3"
}
guard krbtgt krbtgt
guard Administrator built-in
guard Guest built-in
guard 'WS1$' computer
guard 'DC1$' domain-controller
guard krbtgt_12345 krbtgt
guard svc-cordon self
guard MSOL_0a1b2c3d4e5f sync-account
guard repl1 replicates-secrets
guard adm1 privileged 'member of Domain Admins'
guard adm2 privileged
guard nested1 privileged 'member of Domain Admins through HelpDesk-Leads, Tier0-Ops'
guard pgadmin1 privileged 'primary group Domain Admins'
guard former1 privileged 'adminCount'
guard acctop1 privileged 'Account Operators'
guard backup1 privileged 'Backup Operators'
guard dnsadm1 privileged 'DnsAdmins'
guard hidden1 cannot-judge
run disable adm1 --privileged
is "$(field verdict) $rc" "refused 12" "--privileged is off unless the configuration allows it"
like "$(field detail)" "allow_privileged" "  and says which setting"
run disable sqlsvc1
is "$(field verdict) $(field rule) $rc $(uac sqlsvc1)" "held service-account 13 512" "held: a service account"
run disable other1
is "$(field verdict) $rc $(uac other1)" "failed 15 512" "no right: failed, nothing changed"

# --- lists ---------------------------------------------------------------------------------------
with_policy() { cp "$LAB_DIR/cordon.conf" "$work/p.conf"; printf '[policy]\n%s\n' "$1" >>"$work/p.conf"; chmod 600 "$work/p.conf"; conf=$work/p.conf; }
with_policy 'never_disable = group:CN=VIP,OU=Groups,DC=corp,DC=example,DC=com'
run disable vip1; is "$(field verdict) $(field rule) $rc" "held never_disable 13" "never list by group"
run disable vip2; is "$(field verdict) $(field rule)" "held never_disable" "never list by a nested group"
run disable frank; is "$(field verdict)" done "never list: the others pass"
with_policy "never_disable = grace, ou:OU=Sales,OU=People,DC=corp,DC=example,DC=com, h*"
run disable grace; is "$(field verdict)" held "never list by account"
run disable sales1; is "$(field verdict)" held "never list by OU"
run disable heidi; is "$(field verdict)" held "never list by pattern"
run expire-password heidi; is "$(field verdict)" done "another family: not on that list"
with_policy "always_disable = ou:OU=Sales,OU=People,DC=corp,DC=example,DC=com"
run disable grace; is "$(field verdict) $(field rule)" "held always_disable" "outside the always list: held"
run disable sales1; is "$(field verdict)" done "inside the always list: automatic"
with_policy 'never_disable = nobody-of-that-name'
run disable grace; is "$rc" 78 "a list entry that does not exist stops the start"
like "$(cat "$work/err")" "nobody-of-that-name" "  and is named"
with_policy "allow_privileged = yes"
run disable adm1 --privileged; is "$(field verdict) $rc $(uac adm1)" "held 13 512" "--privileged, allowed: still needs a second person"
conf=$LAB_DIR/cordon.conf
sed 's/^base = .*/base = OU=Sales,OU=People,DC=corp,DC=example,DC=com/' "$conf" >"$work/b.conf"; chmod 600 "$work/b.conf"; conf=$work/b.conf
run disable grace; is "$(field verdict) $(field rule)" "refused outside-base" "outside the configured base"
conf=$LAB_DIR/cordon.conf

# --- names ---------------------------------------------------------------------------------------
name() { # WHAT ACCOUNT WANTED-DN-START
    run disable "$2" --dry-run
    like "$(grep -o '"dn":"[^"]*"' "$work/out" | head -n 1)" "$3" "found by $1"
}
name "sAMAccountName, any case" GRACE 'CN=grace,'
name "DOMAIN\\name" 'CORP\grace' 'CN=grace,'
name "DNS domain\\name" 'corp.example.com\grace' 'CN=grace,'
name "UPN" grace@corp.example.com 'CN=grace,'
name "implicit UPN" noupn1@corp.example.com 'CN=noupn1,'
name "mail" grace@example.com 'CN=grace,'
name "proxyAddresses" second.alias@example.net 'CN=proxy1,'
name "DN" 'CN=grace,OU=People,DC=corp,DC=example,DC=com' 'CN=grace,'
run disable grace --dry-run; g=$(grep -o '"sid":"S[^"]*"' "$work/out" | head -n 1 | cut -d'"' -f4)
name "SID" "$g" 'CN=grace,'
name "immutable id" AAECAwQFBgcICQoLDA0ODw== 'CN=anchor1,'
for n in $(seq -w 1 15); do
    run disable "odd$n" --dry-run; is "$rc" 0 "odd name $n by sAMAccountName"
done
run disable "o'brien (ë)" --dry-run; is "$rc" 0 "a name with quote, parentheses and ë"
run disable twin@example.com; is "$(field verdict) $rc" "ambiguous 14" "two accounts with one mail"
like "$(field detail)" "twin[12].*twin[12]" "  both are listed"
run disable nobody-here; is "$(field verdict) $rc" "not-found 14" "nobody of that name"
run disable '*'; is "$(field verdict) $rc" "not-found 14" "a star is a character"
run disable 'gr*'; is "$(field verdict)" "not-found" "no patterns"
run disable 'CORP2\grace'; is "$(field verdict)" "not-found" "another domain's name"

# --- many, from a file -------------------------------------------------------------------------------
printf 'sAMAccountName,why\nu00001,x\n"u00002",y\nCN=u00003,OU=People,DC=corp,DC=example,DC=com\n\nnobody-here\nadm1\n' >"$work/list.csv"
run disable --from "$work/list.csv"
is "$rc" 14 "several accounts: the highest exit code"
is "$(for i in 1 2 3; do uac "u0000$i"; done | tr '\n' ' ')" "546 546 546 " "several accounts: three were disabled"
is "$(grep -c '"type":"verdict"' "$work/out")" 5 "several accounts: one verdict each"

# --- dry run, usage, ledger ------------------------------------------------------------------------------
n=$(lab exec "$LAB_DIR" "$cordon" cases --json --limit 0 | wc -l)
run disable grace --dry-run
is "$rc $(uac grace) $(lab exec "$LAB_DIR" "$cordon" cases --json --limit 0 | wc -l)" "0 512 $n" "--dry-run touches nothing, not even the ledger"
run disable; is "$rc" 64 "no account: usage"
run disable --no-such; is "$rc" 64 "no such option: usage"
run disable grace --wait soon; is "$rc" 64 "a bad duration: usage"
lab exec "$LAB_DIR" "$cordon" audit verify >"$work/out" 2>&1; is $? 0 "audit verify"
lab exec "$LAB_DIR" "$cordon" audit export | /usr/bin/python3 -c 'import json,sys; [json.loads(l) for l in sys.stdin]'; is $? 0 "audit export is JSON lines"
lab exec "$LAB_DIR" "$cordon" case "$alice_case" >"$work/out"; like "$(cat "$work/out")" "512 -> 514" "case shows the change"
done_testing

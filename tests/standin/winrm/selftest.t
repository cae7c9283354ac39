#!/usr/bin/env bash
# tests/standin/winrm/selftest.t -- does the stand-in DC do what README.md says? TAP, in a lab of its
# own; clients that nobody here has written (python3-winrm, curl) and test/client.py talk to it.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
work=$(mktemp -d); chmod 755 "$work"
export LAB_DIR=$work/lab
lab() { "$here/tests/lab/lab" "$@"; }
finish() { lab down "$LAB_DIR" >/dev/null 2>&1; rm -rf "$work"; }
trap finish EXIT
# shellcheck source=tests/standin/winrm/lib.sh
. "$here/tests/standin/winrm/lib.sh"
n=0
ok() { n=$((n + 1)); echo "ok $n - $1"; }
not_ok() { n=$((n + 1)); echo "not ok $n - $1"; shift; printf '#   %.600s\n' "$@"; }
is() { if [ "$1" = "$2" ]; then ok "$3"; else not_ok "$3" "got:    $1" "wanted: $2"; fi; }
like() { if [[ $1 =~ $2 ]]; then ok "$3"; else not_ok "$3" "got:  $1" "like: $2"; fi; }
py() { lab exec "$LAB_DIR" /usr/bin/python3 -B -W ignore "$@"; }

lab up "$LAB_DIR" >"$work/log" 2>&1 && winrm_up dc1 >>"$work/log" 2>&1 || { cat "$work/log"; echo "not ok 1 - the lab, and the stand-in on dc1"; echo 1..1; exit 1; }
ok "the lab, and the stand-in on dc1"
# shellcheck disable=SC1091
. "$work/winrm.dc1/env"
is "$(stat -c %a "$work/winrm.dc1/orders")" 700 "orders are nobody else's to give"

# --- clients of others, over HTTPS ---
is "$(py "$winrm_bin/test/pywinrm.py" "$WINRM_HTTPS" "$WINRM_CA" hostname 2>&1)" "DC1  0" "python3-winrm runs a command"
is "$(py "$winrm_bin/test/pywinrm.py" "$WINRM_HTTPS" "$WINRM_CA" whoami 2>&1)" "helpdesk1  0" "as who it logged in as"
script=$(printf '%s' "Import-Module ADSync; Get-ADSyncScheduler; Start-ADSyncSyncCycle" | iconv -t utf-16le | base64 -w0)
sync() { py "$winrm_bin/test/pywinrm.py" "$WINRM_HTTPS" "$WINRM_CA" powershell "-NoProfile -EncodedCommand $script" 2>&1; }
winrm dc1 '{"adsync": {"cycle_ms": 60000}}' >/dev/null
like "$(sync)" '"cordon":1,"module":true.*"StagingModeEnabled":false.*"result":"Success"' "a sync cycle is started"
like "$(sync)" '"SyncCycleInProgress":true.*"result":null,"errorType":"System.InvalidOperationException".*already running' "a second one is not, while it runs"
winrm dc1 '{"adsync": {"running": false, "staging": true}}' >/dev/null
like "$(sync)" '"StagingModeEnabled":true.*"result":null,"errorType":null' "nor in staging mode"
winrm dc1 '{"adsync": {"staging": false, "busy": 1}}' >/dev/null
like "$(sync)" 'busy' "nor by a busy connector"
like "$(winrm dc1 '{"get": "adsync"}')" '"cycles": 1' "one cycle was started in all"
winrm dc1 '{"script": {"match": {"contains": "ADSync"}, "stdout": "äöü-abcdef", "stderr": "oops", "exit": 7, "chunks": 4, "progress": true, "delay": 2100}}'
like "$(sync)" '^äöü-abcdef #< CLIXML.*oops 7$' "a rule's output in pieces that split characters, after TimedOut, with progress on stderr"
winrm dc1 '{"reset": 1}'
is "$(winrm dc1 '{"get": "shells"}')" "[]" "shells are gone"
identify='<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Header/><s:Body><i:Identify xmlns:i="http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd"/></s:Body></s:Envelope>'
like "$(lab exec "$LAB_DIR" curl -sS --cacert "$WINRM_CA" --negotiate -u : -H 'Content-Type: application/soap+xml;charset=UTF-8' -d "$identify" "$WINRM_HTTPS" 2>&1)" \
    'ProductVersion>OS: 10\.0' "curl --negotiate: Identify"
is "$(winrm dc1 '{"get": "violations"}')" "[]" "none of these clients does what Windows refuses"

# --- the mirror: what is really done in Samba, as Windows would log it ---
modify() { lab exec "$LAB_DIR" -u "$1" ldapmodify -Q -Y GSSAPI -N -H ldap://dc1.corp.example.com >/dev/null 2>&1; }
records() { # what came since: id:target:subject:old:new:codes:password
    winrm dc1 '{"get": "records"}' | /usr/bin/python3 -c '
import json, re, sys
for r in json.load(sys.stdin):
    if r["record"] > int(sys.argv[1]):
        d = dict(re.findall(r"<Data Name=.(\w+).>([^<]*)<", r["xml"]))
        print(r["id"], *(d.get(k, "") for k in ("TargetUserName", "SubjectUserName", "OldUacValue", "NewUacValue")), " ".join(d.get("UserAccountControl", "").split()),
              d.get("PasswordLastSet", ""), sep=":")' "$seen"
}
base=OU=People,DC=corp,DC=example,DC=com
mirrored() { # COUNT WANTED NAME
    is "$(records)" "$2" "$3"
    seen=$((seen + $1))
}
seen=88000
printf 'dn: CN=alice,%s\nchangetype: modify\ndelete: userAccountControl\nuserAccountControl: 512\n-\nadd: userAccountControl\nuserAccountControl: 66050\n' "$base" | modify svc
mirrored 2 "4725:alice:svc-cordon::::
4738:alice:svc-cordon:0x10:0x211:%%2080 %%2089:-" "disable, and never expires"
printf 'dn: CN=alice,%s\nchangetype: modify\nreplace: userAccountControl\nuserAccountControl: 512\n' "$base" | modify admin
mirrored 2 "4722:alice:Administrator::::
4738:alice:Administrator:0x211:0x10:%%2048 %%2057:-" "enable, by another, with replace"
printf 'dn: CN=alice,%s\nchangetype: modify\nreplace: userAccountControl\nuserAccountControl: 512\n' "$base" | modify admin
mirrored 1 "4738:alice:Administrator:-:-:-:-" "the same again: nothing shown"
printf 'dn: CN=bob,%s\nchangetype: modify\nreplace: pwdLastSet\npwdLastSet: 0\n' "$base" | modify svc
mirrored 1 "4738:bob:svc-cordon:-:-:-:%%1794" "password expired"
printf 'dn: CN=carol,%s\nchangetype: modify\nreplace: unicodePwd\nunicodePwd:: %s\n' "$base" "$(printf '"New-Pass-1!"' | iconv -t utf-16le | base64)" | modify svc
like "$(records)" '^4724:carol:svc-cordon:.*4738:carol:svc-cordon:-:-:-:[0-9/]+ [0-9:]+ [AP]M$' "password reset"
seen=$((seen + 2))
printf 'dn: CN=other1,OU=Other,DC=corp,DC=example,DC=com\nchangetype: modify\nreplace: userAccountControl\nuserAccountControl: 514\n' | modify svc
winrm dc1 '{"set": {"swap": true, "subject": {"subject": "mallory", "subject_sid": "S-1-5-21-1-2-3-666"}}}'
printf 'dn: CN=dave,%s\nchangetype: modify\nreplace: userAccountControl\nuserAccountControl: 514\n' "$base" | modify svc
mirrored 2 "4738:dave:mallory:0x10:0x11:%%2080:-
4725:dave:mallory::::" "what Samba refuses logs nothing; on order swapped, and by another subject"
winrm dc1 '{"reset": 1}'
winrm dc1 '{"set": {"dash": true, "without": [4725], "computer": "dc9.corp.example.com"}}'
printf 'dn: CN=erin,%s\nchangetype: modify\nreplace: userAccountControl\nuserAccountControl: 514\n' "$base" | modify svc
mirrored 1 "4738:erin:svc-cordon:-:-:-:-" "on order only a 4738 with nothing in it"
is "$(winrm dc1 '{"get": "records"}' | grep -o 'Computer>dc9[^<]*')" "Computer>dc9.corp.example.com" "from another computer"
winrm dc1 '{"reset": 1}'
winrm dc1 '{"set": {"audit": false}}'
printf 'dn: CN=frank,%s\nchangetype: modify\nreplace: userAccountControl\nuserAccountControl: 514\n' "$base" | modify svc
winrm dc1 '{"set": {"audit": true}}'
printf 'dn: CN=heidi,%s\nchangetype: modify\nreplace: userAccountControl\nuserAccountControl: 514\n' "$base" | modify svc
mirrored 2 "4725:heidi:svc-cordon::::
4738:heidi:svc-cordon:0x10:0x11:%%2080:-" "while nothing is audited, nothing is logged"

# --- all the rest, by an independent client ---
py "$winrm_bin/test/behaviours.py" "$WINRM_DIR" "$n" >"$work/tap" 2>"$work/err"
rc=$?
cat "$work/tap"
n=$(grep -cE '^(not )?ok ' "$work/tap" | awk -v n="$n" '{print n + $1}')
if [ "$rc" = 0 ]; then ok "the behaviours were all tried"; else not_ok "the behaviours were all tried" "$(tail -n 8 "$work/err")"; fi

# --- an RC4 ticket: the stand-in takes it; to refuse it is the client's business ---
sed 's/^\[libdefaults\]/&\n    default_tkt_enctypes = rc4-hmac\n    default_tgs_enctypes = rc4-hmac\n    permitted_enctypes = rc4-hmac aes256-cts/' "$LAB_DIR/etc/krb5.conf" >"$work/rc4.conf"
lab exec "$LAB_DIR" env "KRB5_CONFIG=$work/rc4.conf" kinit -k -t "$LAB_DIR/helpdesk1.keytab" -c "$work/rc4.cc" helpdesk1 >/dev/null 2>&1
rc4=$(lab exec "$LAB_DIR" env "KRB5_CONFIG=$work/rc4.conf" "KRB5CCNAME=FILE:$work/rc4.cc" "PYTHONPATH=$winrm_bin/test" /usr/bin/python3 -B -c '
import sys
from client import Client
print(Client(sys.argv[1], 5985).login())' "$WINRM_HOST" 2>&1; klist -e -c "$work/rc4.cc" 2>&1 | tail -n 1)
like "$rc4" '^200.*skey, tkt\): DEPRECATED:arcfour-hmac' "a client may come with an RC4 key"

pid=$(cat "$WINRM_DIR/pid")
kill "$pid"
for _ in $(seq 100); do kill -0 "$pid" 2>/dev/null || break; sleep 0.05; done
if kill -0 "$pid" 2>/dev/null; then not_ok "it ends on SIGTERM"; else ok "it ends on SIGTERM"; fi
echo "1..$n"

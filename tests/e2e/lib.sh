# tests/e2e/lib.sh -- for the end-to-end tests: TAP, a lab of one's own, cordon's answers taken apart.
# shellcheck shell=bash disable=SC2034
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cordon=${CORDON:-$here/build/dev/cordon}
tap=0
work=$(mktemp -d); chmod 755 "$work"
export LAB_DIR=$work/lab

lab() {
    "$here/tests/lab/lab" "$@" || return
    [ "$1 ${EVENTS:-samba}" != "up winrm" ] || by_winrm
}
# EVENTS=winrm: (WINRM_SET: its settings, JSON) a stand-in plays each DC's WinRM and says of each change what Windows would; the lab's
# settings ask it.
# shellcheck source=tests/standin/winrm/lib.sh
. "$here/tests/standin/winrm/lib.sh"
by_winrm() {
    local dc
    for dc in "$LAB_DIR"/dc[0-9]; do winrm_up "$(basename "$dc")" ${WINRM_SET:+--set "$WINRM_SET"} || return; done
    sed -i 's/^events = .*/events = winrm/; /^events_file/d' "$LAB_DIR/cordon.conf"
}
# The lab's own address in the process table dies with it; nothing stays behind.
finish() { lab down "$LAB_DIR" >/dev/null 2>&1; rm -rf "$work"; }
trap finish EXIT
ok() { tap=$((tap + 1)); echo "ok $tap - $1"; }
not_ok() { tap=$((tap + 1)); echo "not ok $tap - $1"; shift; printf '#   %s\n' "$@"; }
is() { # GOT WANTED NAME
    if [ "$1" = "$2" ]; then ok "$3"; else not_ok "$3" "got:    $1" "wanted: $2"; sed 's/^/#   /' "$work/out" "$work/err" 2>/dev/null | tail -n 20; fi
}
like() { # GOT REGEX NAME
    if [[ $1 =~ $2 ]]; then ok "$3"; else not_ok "$3" "got:   $1" "like:  $2"; sed 's/^/#   /' "$work/out" "$work/err" 2>/dev/null | tail -n 20; fi
}
done_testing() { echo "1..$tap"; }

conf=$LAB_DIR/cordon.conf
# run ARGS...: cordon in the lab, as the agent unless as=...; $rc, $work/out (JSON lines), $work/err
as=agent
# shellcheck disable=SC2086 # extra_env is several words, or none
run() {
    local creds=()
    [ "$as" != agent ] || creds=(--as-agent)
    lab exec "$LAB_DIR" env "CORDON_CONFIG=$conf" ${extra_env:-} "$cordon" "$@" --json "${creds[@]}" >"$work/out" 2>"$work/err"
    rc=$?
}
# field NAME [N-th verdict]: of the verdict line
field() {
    /usr/bin/python3 - "$1" "${2:-1}" "$work/out" <<'P'
import json, sys
v = [json.loads(l) for l in open(sys.argv[3], encoding='utf-8') if l.startswith('{')]
v = [x for x in v if x['type'] == 'verdict']
n = int(sys.argv[2])
print(v[n - 1].get(sys.argv[1], '') if len(v) >= n else 'NO VERDICT')
P
}
# steps: "disable/done/logged confirm/done/logged ..." of all step lines
steps() {
    /usr/bin/python3 - "$work/out" <<'P'
import json, sys
print(' '.join('%(step)s/%(state)s/%(proof)s' % x for x in map(json.loads, open(sys.argv[1], encoding='utf-8')) if x['type'] == 'step'))
P
}
# verdict: "done everywhere 0": verdict, proof, exit code
verdict() { echo "$(field verdict) $(field proof) $rc"; }
attr() { lab attr "$LAB_DIR" "$1" "$2" 2>/dev/null | sed -n "s/^$2: //p" | head -n 1; }
uac() { attr "$1" userAccountControl; }
# put DN-or-LDIF on stdin as Administrator
admin_modify() { lab exec "$LAB_DIR" -u admin ldapmodify -Q -Y GSSAPI -N -H "ldap://${1:-dc1}.corp.example.com" >/dev/null; }
set_uac() { # NAME VALUE [DC]
    printf 'dn: %s\nchangetype: modify\nreplace: userAccountControl\nuserAccountControl: %s\n' "$(dn "$1")" "$2" | admin_modify "${3:-dc1}"
}
dn() { lab exec "$LAB_DIR" -u admin ldapsearch -Q -Y GSSAPI -N -LLL -o ldif-wrap=no -H ldap://dc1.corp.example.com -b DC=corp,DC=example,DC=com "(sAMAccountName=$1)" dn | sed -n 's/^dn: //p' | head -n 1; }

#!/bin/bash
# smoke.sh -- does the lab do what README.md says?  Prints TAP.
# shellcheck disable=SC2317             # functions are called by name, through ok
set -uo pipefail
LAB=$(dirname "$(readlink -f "$0")")/lab
TOP=$(mktemp -d "${TMPDIR:-/tmp}/lab-smoke.XXXXXX")
D=$TOP/d
trap '"$LAB" down "$D" 2>/dev/null; rm -rf "$TOP"' EXIT
BASE=DC=corp,DC=example,DC=com
N=0 FAILED=0

ok() { # NAME CMD...
    local name=$1 out
    shift
    N=$((N + 1))
    if out=$("$@" 2>&1); then
        echo "ok $N - $name"
    else
        echo "not ok $N - $name"
        printf '%s\n' "$out" | tail -20 | sed 's/^/# /'
        FAILED=1
    fi
}
bail() { echo "Bail out! $*"; exit 1; }

x() { "$LAB" exec "$D" "$@"; }
svc() { x -u svc "$@"; }
value() { # WHO DC DN ATTR: its values
    x -u "$1" timeout 10 ldapsearch -Q -Y GSSAPI -N -LLL -o ldif-wrap=no -o nettimeout=1 -H "ldap://$2.corp.example.com" \
        -s base -b "$3" "$4" | sed -n "s/^$4:* //p"
}
uac() { # WHO DC DN OLD NEW: compare and swap
    printf 'dn: %s\nchangetype: modify\ndelete: userAccountControl\nuserAccountControl: %s\n-\nadd: userAccountControl\nuserAccountControl: %s\n' \
        "$3" "$4" "$5" | x -u "$1" timeout 10 ldapmodify -Q -Y GSSAPI -N -o nettimeout=1 -H "ldap://$2.corp.example.com"
}
result() { # N CMD...: it must end with this status (ldapmodify's is the LDAP result)
    local want=$1 got=0
    shift
    "$@" || got=$?
    [ "$got" = "$want" ]
}
is() { # WANT CMD...
    local want=$1 got
    shift
    got=$("$@")
    [ "$got" = "$want" ] || { echo "got '$got', wanted '$want'"; return 1; }
}
positive() { local v; v=$("$@") && [ "${v:-0}" -gt 0 ]; }
within() { # SECONDS CMD...: true at last
    local i
    for ((i = 0; i < $1 * 10; i++)); do
        "${@:2}" >/dev/null 2>&1 && return
        sleep 0.1
    done
    "${@:2}"
}
none() { [ -z "$("$@" 2>/dev/null)" ]; }
user() { echo "CN=$1,OU=People,$BASE"; }
holds_rid() { # RID WHO DN: is there a group with this RID in tokenGroups?
    value "$2" dc1 "$3" tokenGroups | while read -r b; do
        echo -n "$b" | base64 -d | tail -c4 | od -An -tu4 | tr -d ' '
    done | grep -x "$1" >/dev/null       # not -q: it would end the pipe early, and pipefail notice
}
logged() { # DC PATTERN
    grep -q "$2" "$D/$1/log/audit.json"
}
nothing_left() { # PID and namespaces of a lab that was taken down
    local n
    [ ! -e "$D" ] || { echo "directory"; return 1; }
    for n in $1; do
        none find /proc/[0-9]*/ns/net -maxdepth 0 -lname "net:\\[$n\\]" || { echo "process in $n"; return 1; }
    done
    ! grep -q "$D" /proc/self/mounts || { echo "mount"; return 1; }
    ! ip -br link 2>/dev/null | grep -qE '^(br0|v-(dc1|dc2|cli))' || { echo "interface"; return 1; }
}

# ---- one DC
ok "one DC comes up" "$LAB" up "$D"
[ -f "$D/env" ] || bail "no lab"
ok "env is shell" bash -c "eval \"\$('$LAB' env '$D')\" && [ \"\$LAB_DIR\" = '$D' ] && [ -r \"\$CORDON_CONFIG\" ] && [ -d \"\$CORDON_STATE\" ]"
ok "cordon.conf is private" is 600 stat -c %a "$D/cordon.conf"
ok "helpdesk1 has a ticket" x klist -s
ok "a ticket by password" x sh -c "echo 'Init-Pw-alice!' | kinit -c MEMORY: alice"
ok "the lab's krb5.conf is the system's" x cmp /etc/krb5.conf "$D/etc/krb5.conf"
ok "the keytab binds" is "$(user bob)" sh -c "'$LAB' exec '$D' -u svc ldapsearch -Q -Y GSSAPI -N -LLL -H ldap://dc1.corp.example.com -s base -b '$(user bob)' 1.1 | sed -n 's/^dn: //p'"
ok "LDAPS with the lab's CA" x env LDAPTLS_CACERT="$D/ca.pem" ldapsearch -Q -Y GSSAPI -O maxssf=0 -N -LLL -H ldaps://dc1.corp.example.com -s base -b '' dnsHostName
ok "SRV records" x sh -c 'host -t SRV _ldap._tcp.dc._msdcs.corp.example.com | grep -q "389 dc1.corp.example.com"'
ok "the agent disables in People" uac svc dc1 "$(user alice)" 512 514
ok "the audit line is there" logged dc1 '"type": "dsdbChange".*"dn": "CN=alice,OU=People.*"value": "514"'
ok "and the commit line" logged dc1 '"dsdbTransaction": {.*"action": "commit"'
ok "every audit line is JSON" /usr/bin/python3 -c 'import json,sys; [json.loads(l) for l in open(sys.argv[1])]' "$D/dc1/log/audit.json"
ok "a stale compare-and-swap loses" result 16 uac svc dc1 "$(user bob)" 66048 514
ok "the delegated human may too" uac helpdesk dc1 "$(user bob)" 512 514
ok "below a sub-OU as well" uac svc dc1 "CN=sales1,OU=Sales,OU=People,$BASE" 512 514
ok "refused in Other" result 50 uac svc dc1 "CN=other1,OU=Other,$BASE" 512 514
ok "refused on an inetOrgPerson" result 50 uac svc dc1 "$(user inetorg1)" 512 514
ok "refused on a protected admin" result 50 uac svc dc1 "$(user adm2)" 512 514
ok "the reset right" svc sh -c "printf 'dn: $(user carol)\nchangetype: modify\nreplace: unicodePwd\nunicodePwd:: %s\n' \$(printf '\"N3w-Pass-word!\"' | iconv -t UTF-16LE | base64) | ldapmodify -Q -Y GSSAPI -N -H ldap://dc1.corp.example.com"
ok "other attributes refused" result 50 sh -c "printf 'dn: $(user carol)\nchangetype: modify\nreplace: mail\nmail: x@y.example\n' | '$LAB' exec '$D' -u svc ldapmodify -Q -Y GSSAPI -N -H ldap://dc1.corp.example.com"
ok "cannot judge: no tokenGroups" none value svc dc1 "$(user hidden1)" tokenGroups
ok "but it may disable that one" uac svc dc1 "$(user hidden1)" 512 514
ok "tokenGroups of others are readable" holds_rid 513 svc "$(user dave)"
ok "admin by primary group: tokenGroups tells" holds_rid 512 svc "$(user pgadmin1)"
ok "admin by primary group: no member" bash -c "! '$LAB' attr '$D' 'Domain Admins' member | grep -q pgadmin1"
ok "nested admin" holds_rid 512 svc "$(user nested1)"
ok "backup operator" holds_rid 551 svc "$(user backup1)"
ok "account operator" holds_rid 548 svc "$(user acctop1)"
ok "locked1 is locked" positive value svc dc1 "$(user locked1)" lockoutTime
ok "locked1 by the computed bit" is 16 value svc dc1 "$(user locked1)" msDS-User-Account-Control-Computed
ok "nochange1 has two denials" is 2 sh -c "'$LAB' exec '$D' -n dc1 -u admin samba-tool dsacl get -s '$D/dc1/etc/smb.conf' -H ldap://dc1.corp.example.com --use-kerberos=required --objectdn='$(user nochange1)' | grep -o '(OD;;CR;ab721a53-1e2f-11d0-9819-00aa0040529b;;[WP][DS])' | wc -l"
ok "smart card only" is 262656 value svc dc1 "$(user smart1)" userAccountControl
ok "bulk users" is 50 sh -c "'$LAB' exec '$D' -u svc ldapsearch -Q -Y GSSAPI -N -LLL -H ldap://dc1.corp.example.com -b 'OU=People,$BASE' '(sAMAccountName=u000*)' 1.1 | grep -c ^dn:"
ok "odd names" is 16 sh -c "'$LAB' exec '$D' -u svc ldapsearch -Q -Y GSSAPI -N -LLL -H ldap://dc1.corp.example.com -b 'OU=People,$BASE' '(|(sAMAccountName=odd*)(sAMAccountName=o*brien*))' 1.1 | grep -c ^dn:"
ok "before SDProp a fresh admin can be disabled" uac svc dc1 "$(user adm1)" 512 514
ok "sdprop.py runs" x -u admin /usr/bin/python3 "${LAB%/*}/sdprop.py" "$D/dc1/etc/smb.conf" ldap://dc1.corp.example.com "$(user adm1)"
ok "and after it not" result 50 uac svc dc1 "$(user adm1)" 514 512
ok "a hung DC never answers" bash -c "'$LAB' hang dc1 '$D'; ! '$LAB' exec '$D' timeout 1 ldapsearch -x -LLL -H ldap://dc1.corp.example.com -s base -b ''"
ok "wakes" bash -c "'$LAB' wake dc1 '$D' && '$LAB' ready dc1 '$D'"
ok "killed" bash -c "'$LAB' kill dc1 '$D'; ! '$LAB' exec '$D' timeout 3 ldapsearch -x -LLL -H ldap://dc1.corp.example.com -s base -b ''"
ok "starts again" "$LAB" start dc1 "$D"
ok "what was disabled still is" is 514 value svc dc1 "$(user alice)" userAccountControl
ok "a second lab beside it" "$LAB" up "$TOP/e"
ok "which knows nothing of the first" is 512 "$LAB" exec "$TOP/e" -u svc sh -c "ldapsearch -Q -Y GSSAPI -N -LLL -H ldap://dc1.corp.example.com -s base -b '$(user alice)' userAccountControl | sed -n 's/^userA.*: //p'"
ok "and goes alone" "$LAB" down "$TOP/e"
ok "a command is the caller's own process" bash -c "'$LAB' exec '$D' sleep 60 & p=\$!; sleep 0.3; [ \"\$(cat /proc/\$p/comm)\" = sleep ] && kill -TERM \$p; wait \$p; [ \$? = 143 ]"
{ "$LAB" exec "$D" sleep 600 & disown; } 2>/dev/null
NS=$(cat "$D/netns")
ok "down" "$LAB" down "$D"
ok "nothing left" nothing_left "$NS"

# ---- two DCs
ok "two DCs come up" "$LAB" up --dcs 2 "$D"
[ -f "$D/env" ] || bail "no lab"
ok "dc2 is in DNS" x sh -c 'host -t SRV _ldap._tcp.dc._msdcs.corp.example.com | grep -q "389 dc2.corp.example.com"'
ok "disable on dc1" uac svc dc1 "$(user alice)" 512 514
ok "arrives on dc2" within 5 is 514 value svc dc2 "$(user alice)" userAccountControl
ok "disable on dc2" uac svc dc2 "$(user bob)" 512 514
ok "arrives on dc1" within 15 is 514 value svc dc1 "$(user bob)" userAccountControl
ok "the event is dc2's alone" bash -c "grep -q 'CN=bob,OU=People' '$D/dc2/log/audit.json' && ! grep -q 'CN=bob,OU=People' '$D/dc1/log/audit.json'"
ok "cut dc2" "$LAB" cut dc2 "$D"
ok "it cannot be reached" bash -c "! '$LAB' exec '$D' timeout 2 ldapsearch -x -LLL -o nettimeout=1 -H ldap://dc2.corp.example.com -s base -b ''"
ok "disable on dc1 meanwhile" uac svc dc1 "$(user dave)" 512 514
ok "join dc2" "$LAB" join dc2 "$D"
ok "it catches up" within 20 is 514 value svc dc2 "$(user dave)" userAccountControl
ok "kill dc1" "$LAB" kill dc1 "$D"
ok "dc2 answers alone" is 512 value svc dc2 "$(user erin)" userAccountControl
ok "start dc1" "$LAB" start dc1 "$D"
NS=$(cat "$D/netns")
ok "down" "$LAB" down "$D"
ok "nothing left" nothing_left "$NS"

echo "1..$N"
exit $FAILED

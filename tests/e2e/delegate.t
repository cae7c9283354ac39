#!/usr/bin/env bash
# installer/ad-delegate.sh on the real AD: an account that may nothing is given its rights on one OU,
# cordon works with them, and they go no further.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
lab up "$LAB_DIR" || { echo "Bail out! no lab"; exit 1; }
delegate=$here/installer/ad-delegate.sh
ou=OU=People,DC=corp,DC=example,DC=com
url=ldap://dc1.corp.example.com
admin() { lab exec "$LAB_DIR" -u admin "$@"; }
grant() { admin bash "$delegate" -H "$url" "$@" -- --use-kerberos=required >"$work/out" 2>"$work/err"; }
newcomer() { # NAME: an account without any rights, and its keytab
    local password; password=$(openssl rand -hex 16)-A
    printf '%s\n%s\n' "$password" "$password" |
        admin samba-tool user create "$1" -H "$url" --use-kerberos=required >"$work/out" 2>"$work/err" || return
    printf 'addent -password -p %s@CORP.EXAMPLE.COM -k 1 -e aes256-cts-hmac-sha1-96\n%s\nwkt %s\n' \
        "$1" "$password" "$LAB_DIR/$1.keytab" | ktutil >/dev/null && chmod 600 "$LAB_DIR/$1.keytab"
}
works_as() { # NAME: cordon acts with its keytab
    sed "s#^keytab = .*#keytab = $LAB_DIR/$1.keytab#; /^principal/d" "$LAB_DIR/cordon.conf" >"$work/$1.conf"
    chmod 600 "$work/$1.conf"; conf=$work/$1.conf
}
# may DN <LDIF: the newcomer itself, without cordon's guards in between. 0, or the server's code
may() {
    { echo "dn: $1"; cat; } |
        lab exec "$LAB_DIR" env KRB5CCNAME=MEMORY: "KRB5_CLIENT_KTNAME=FILE:$LAB_DIR/$who.keytab" \
            ldapmodify -Q -Y GSSAPI -N -H "$url" >"$work/out" 2>"$work/err"
    echo $?
}
sid() { admin samba-tool user show "$1" --attributes=objectSid -H "$url" --use-kerberos=required | sed -n 's/^objectSid: //p'; }
entries() { admin samba-tool dsacl get --objectdn="$ou" -H "$url" --use-kerberos=required | grep -oE "\([^)]*$1\)" | sort; }

newcomer svc-new || { echo "Bail out! no account"; exit 1; }
who=svc-new; works_as svc-new
run disable carol
like "$rc $(uac carol)" "^1[0-9] 512$" "without rights nothing is done"

grant "$ou" svc-new; is "$?" 0 "rights are granted"
like "$(cat "$work/out")" "^granted: svc-new \(S-1-5-21-" "  and it says to whom"
sid=$(sid svc-new)
is "$(entries "$sid")" "$(bash "$delegate" --print "$ou" "$sid" | sort)" "  what stands on the OU is what --print shows, and nothing else"
before=$(admin samba-tool dsacl get --objectdn="$ou" -H "$url" --use-kerberos=required)
grant "$ou" svc-new; is "$? $(cat "$work/out")" "0 already so: svc-new on $ou" "  a second time changes nothing"
is "$(admin samba-tool dsacl get --objectdn="$ou" -H "$url" --use-kerberos=required)" "$before" "  indeed"

run disable carol;         is "$(verdict) $(uac carol)" "done everywhere 0 514" "disable works"
run enable carol;          is "$(verdict) $(uac carol)" "done everywhere 0 512" "  and enable"
run expire-password dave;  is "$(verdict) $(attr dave pwdLastSet)" "done everywhere 0 0" "  and expire-password"
run reset-password erin;   is "$(field verdict) $rc" "done 0" "  and reset-password"
run disable sales1;        is "$(verdict) $(uac sales1)" "done everywhere 0 514" "  and in an OU below"
run disable inetorg1;      is "$(field verdict) $(($(uac inetorg1) & 2))" "done 2" "  and on an inetOrgPerson"

run disable other1;        like "$rc $(uac other1)" "^1[0-9] 512$" "outside the OU: no"
run disable adm2;          like "$rc $(uac adm2)" "^1[0-9] 512$" "a protected administrator: no"
alice=CN=alice,$ou
is "$(printf 'changetype: modify\nreplace: userAccountControl\nuserAccountControl: 512\n' | may "CN=adm2,$ou")" 50 "  nor past cordon"
is "$(printf 'changetype: modify\nreplace: userAccountControl\nuserAccountControl: 514\n' | may CN=other1,OU=Other,DC=corp,DC=example,DC=com)" 50 "  nor outside the OU"
for a in description mail servicePrincipalName altSecurityIdentities userPrincipalName; do
    is "$(printf 'changetype: modify\nreplace: %s\n%s: x/y\n' $a $a | may "$alice")" 50 "another attribute, $a: no"
done
is "$(printf 'changetype: modify\nreplace: lockoutTime\nlockoutTime: 0\n' | may "CN=locked1,$ou")" 50 "unlocking, not asked for: no"
is "$(printf 'changetype: modify\nadd: member\nmember: %s\n' "$alice" | may "CN=VIP,OU=Groups,DC=corp,DC=example,DC=com")" 50 "a group's members: no"
is "$(printf 'changetype: delete\n' | may "$alice")" 50 "deleting: no"
is "$(printf 'changetype: modrdn\nnewrdn: CN=alicia\ndeleteoldrdn: 1\n' | may "$alice")" 50 "renaming: no"

grant --unlock "$ou" svc-new; is "$?" 0 "--unlock"
is "$(printf 'changetype: modify\nreplace: lockoutTime\nlockoutTime: 0\n' | may "CN=locked1,$ou")" 0 "  then it may"

newcomer svc-half || { echo "Bail out! no account"; exit 1; }
who=svc-half; works_as svc-half
grant --no-disable --no-reset "$ou" svc-half; is "$?" 0 "--no-disable --no-reset"
run expire-password frank; is "$(verdict)" "done everywhere 0" "  expire-password works"
run disable frank;         like "$rc $(uac frank)" "^1[0-9] 512$" "  disable does not"

# --- a denial on the OU itself must stay in front: samba-tool cannot do that
admin samba-tool dsacl set --objectdn="$ou" --trusteedn="CN=heidi,$ou" --sddl="(D;;WP;;;$(sid heidi))" -H "$url" --use-kerberos=required >/dev/null 2>&1
newcomer svc-late; grant "$ou" svc-late
like "$? $(cat "$work/err")" "^1 .*denials of its own" "an OU with denials of its own is left alone, and it says what to use"
is "$(entries "$(sid svc-late)")" "" "  indeed"
bash "$delegate" "$ou" >"$work/out" 2>"$work/err"; is $? 64 "without an account: usage"
done_testing

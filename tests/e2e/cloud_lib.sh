# tests/e2e/cloud_lib.sh -- the stand-in tenant beside the lab, with the lab's people in it.
# shellcheck shell=bash disable=SC2034,SC2154
standin="$here/tests/standin/standin"
cloud=$work/cloud
# cloud_up [OPTION...]: starts it inside the lab's client, mirrors the people, writes $conf
# shellcheck disable=SC2120
cloud_up() {
    mkdir -p "$cloud"; chmod 700 "$cloud"
    "$standin" >/dev/null 2>&1 || true # gets its packages the first time: the lab has no way out
    lab exec "$LAB_DIR" "$standin" serve --dir "$cloud" "$@" >"$work/standin.log" 2>&1 &
    standin_pid=$!
    for _ in $(seq 300); do [ -e "$cloud/ready" ] && break; sleep 0.1; done
    [ -e "$cloud/ready" ] || { cat "$work/standin.log"; return 1; }
    # shellcheck disable=SC1090,SC1091
    . "$cloud/env"
    people >"$work/people.jsonl"
    lab exec "$LAB_DIR" "$standin" mirror "$cloud" "$work/people.jsonl" >"$work/mirror.json" || return 1
    cloud_conf
}
# Everybody below OU=People, as JSON lines, from the directory itself.
people() {
    lab exec "$LAB_DIR" -u admin ldapsearch -Q -Y GSSAPI -N -LLL -o ldif-wrap=no -E pr=500/noprompt -H ldap://dc1.corp.example.com \
        -b OU=People,DC=corp,DC=example,DC=com '(&(objectClass=user)(!(objectClass=computer)))' \
        sAMAccountName objectSid objectGUID userPrincipalName userAccountControl |
        /usr/bin/python3 "$here/tests/e2e/people.py"
}
# shellcheck disable=SC2120
cloud_conf() { # [SED-EXPRESSION...]: the lab's configuration and the stand-in's
    { sed -e "s/^\[cordon\]/[cordon]\nconfirm = 3s\nwait = 6s/" "$LAB_DIR/cordon.conf"; cat "$cloud/cordon.conf.part"; } >"$work/c.conf"
    for e in "$@"; do sed -i "$e" "$work/c.conf"; done
    chmod 600 "$work/c.conf"
    conf=$work/c.conf
}
order() { # METHOD PATH [JSON]
    lab exec "$LAB_DIR" curl -fsS --noproxy '*' -X "$1" -H 'Content-Type: application/json' ${3:+--data "$3"} "$STANDIN_ORDERS/$2"
}
fault() { order POST faults "$1" >/dev/null || not_ok "the stand-in takes this fault: $1"; }
no_faults() { order DELETE faults >/dev/null; order DELETE requests >/dev/null; }
violations() { order GET violations; }
patch() { order PATCH "users/$1@corp.example.com" "$2" >/dev/null; }
entra() { # NAME PROPERTY: as it really is in the stand-in
    order GET "users/$1@corp.example.com" | /usr/bin/python3 -c 'import json,sys; print(json.dumps(json.load(sys.stdin).get(sys.argv[1])))' "$2"
}

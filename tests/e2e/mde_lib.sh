# tests/e2e/mde_lib.sh -- Live Response over the lab: a machine for each DC, the script in place, short waits. What
# the stand-in runs really makes the change on the DC (dc_script.py), also where the DC's own services are down.
# shellcheck shell=bash disable=SC2034,SC2154
# shellcheck source=tests/e2e/cloud_lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/cloud_lib.sh"

# mde_up DC...: the lab is up
mde_up() {
    local dc hosts=
    cloud_up --defender-run "$here/tests/e2e/dc_script.py" || return
    install -m 644 "$here/installer/defender/"*.ps1 "$work" || return
    for dc in "$@"; do
        order POST defender/machines "{\"computerDnsName\":\"$dc.corp.example.com\",\"id\":\"$(machine_id "$dc")\"}" >/dev/null || return
        hosts="$hosts${hosts:+, }$dc.corp.example.com"
    done
    cat >>"$cloud/cordon.conf.part" <<C
[defender]
url = $STANDIN_DEFENDER
scope = $STANDIN_DEFENDER/.default
dcs = $hosts
poll = 300ms
run_within = 10s
result_hosts = $STANDIN_STORE
script = $work/cordon-dc.ps1
C
    cloud_conf
    run defender publish
    [ "$rc" = 0 ]
}
machine_id() { printf '%s' "$1" | sha1sum | cut -c1-40; }
machine() { order PATCH "defender/machines/$(machine_id "$1")" "$2" >/dev/null || not_ok "the stand-in takes this of $1: $2"; }
settings() { order PATCH defender/settings "$1" >/dev/null || not_ok "the stand-in takes this: $1"; }
ldap_off() { local dc; for dc in "$@"; do lab kill "$dc" "$LAB_DIR"; done; }
ldap_on() { local dc; for dc in "$@"; do lab start "$dc" "$LAB_DIR"; done; for dc in "$@"; do lab ready "$dc" "$LAB_DIR"; done; }
# "done/read-back ...": of the steps of that name
half() { steps | tr ' ' '\n' | sed -n "s#^$1/##p" | tr '\n' ' ' | sed 's/ $//'; }
# "dc1/failed dc2/done": where it was tried through Live Response
tried() {
    /usr/bin/python3 - "$work/out" <<'P'
import json, sys
print(' '.join('%s/%s' % (x['target'].split('.')[0], x['state']) for x in map(json.loads, open(sys.argv[1], encoding='utf-8'))
               if x['type'] == 'step' and x['step'] == 'mde'))
P
}
# said STEP [WHAT]: the words of its last line, or another member
said() {
    /usr/bin/python3 - "$1" "${2:-detail}" "$work/out" <<'P'
import json, sys
v = [x for x in map(json.loads, open(sys.argv[3], encoding='utf-8')) if x['type'] == 'step' and x['step'] == sys.argv[1]]
print(v[-1][sys.argv[2]] if v else 'NO STEP')
P
}
# really NAME: how often the DCs' own logs say that LocalSystem changed it. LDAP may be off.
really() { cat "$LAB_DIR"/dc?/log/audit.json | grep '"userSid": "S-1-5-18"' | grep -c "\"dn\": \"CN=$1,"; }
# actions [STATUS]: how many runs the service has (of that status)
actions() {
    order GET defender/actions | /usr/bin/python3 -c 'import json,sys; print(sum(len(sys.argv) < 2 or a["status"] == sys.argv[1] for a in json.load(sys.stdin)))' "$@"
}
# asked REGEX: how many requests were made whose "METHOD path" matches
asked() {
    order GET requests | /usr/bin/python3 -c 'import json,re,sys; print(sum(bool(re.search(sys.argv[1], r["method"] + " " + r["url"])) for r in json.load(sys.stdin)))' "$1"
}
# shellcheck disable=SC2086 # extra_env is several words, or none
in_lab() { lab exec "$LAB_DIR" env "CORDON_CONFIG=$conf" ${extra_env:-} "$cordon" "$@"; }
open_case() { in_lab cases --open --json | sed -n 's/.*"case":"\([^"]*\)".*/\1/p' | head -n 1; }
resume() { in_lab case "$1" --resume --as-agent --json >"$work/out" 2>"$work/err"; rc=$?; }

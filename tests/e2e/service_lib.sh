# tests/e2e/service_lib.sh -- cordon run on the lab: keys, settings, a queue, start and stop. After lib.sh.
# shellcheck shell=bash disable=SC2034,SC2154
spool=$LAB_DIR/spool results=$LAB_DIR/results state=$LAB_DIR/state
requests=cordon-requests answers=cordon-answers azure=$work/azure

# keys: of who asks (soar), and of who answers (agent)
keys() {
    local k
    for k in soar agent; do "$cordon" key new --out "$LAB_DIR/$k.pem" >"$LAB_DIR/$k.pub" || return; done
    chmod 644 "$LAB_DIR"/*.pub
    cp -p "$conf" "$work/plain.conf"
}
# settings [LINE...]: $conf: the configuration kept in $work/plain.conf (the lab's, or with the tenant), the
# queue of $engine, and lines for [policy]; $service_set: lines for [service]; $cordon_set: for [cordon]
engine=spool service_set='' cordon_set=''
settings() {
    {
        sed -e '/^confirm = /d; /^wait = /d' -e "s/^\[cordon\]/[cordon]\nlog_level = info\n${cordon_set:-confirm = 5s}/" "$work/plain.conf"
        printf '\n[policy]\n'
        printf '%s\n' "$@" | grep '^brake = ' >/dev/null || echo "brake = 100000 per 10m"
        printf 'brake_ou = 100000 per 10m\nbrake_signer = 100000 per 10m\nbrake_percent = 0\n'
        printf '%s\n' "$@"
        printf '[signer/soar]\nkey = %s\nactions = disable, enable, reset-password, expire-password, contain, revoke\nrate = 100000 per 10m\n' "$LAB_DIR/soar.pub"
        printf '[queue]\nagent = one\nlease = 10s\npoll_min = 200ms\npoll_max = 1s\nsigning_key = %s\nresult_directory = %s\n' "$LAB_DIR/agent.pem" "$results"
        if [ "$engine" = azure ]; then
            printf 'engine = azure\nurl = %s\naccount = %s\nkey_file = %s\nqueue = %s\nresult_queue = %s\n' \
                "$AZURITE_URL" "$AZURITE_ACCOUNT" "$AZURITE_KEY" "$requests" "$answers"
        else
            printf 'directory = %s\n' "$spool"
        fi
        printf '[service]\nstop_timeout = 6s\n%s\n' "$service_set"
    } >"$work/next.conf"
    chmod 600 "$work/next.conf"
    mv "$work/next.conf" "$work/service.conf"
    conf=$work/service.conf
    env "CORDON_CONFIG=$conf" "$cordon" config check >"$work/out" 2>&1 || { cat "$work/out"; return 1; }
}
# azurite_up [OPTION...]: inside the lab, and its queues; once more: as it was, at the same port
azurite_up() {
    "$here/tests/azurite/azurite" >/dev/null 2>&1 || true # gets its packages the first time: the lab has no way out
    "$here/tests/lab/lab" exec "$LAB_DIR" "$here/tests/azurite/azurite" serve --dir "$azure" --keep ${AZURITE_PORT:+--port "$AZURITE_PORT"} >>"$work/azurite.log" 2>&1 &
    azurite_pid=$!
    for _ in $(seq 600); do [ -e "$azure/ready" ] && break; kill -0 "$azurite_pid" 2>/dev/null || break; sleep 0.1; done
    [ -e "$azure/ready" ] || { cat "$work/azurite.log"; return 1; }
    [ -z "${AZURITE_PORT:-}" ] || return 0
    set -a
    # shellcheck disable=SC1090,SC1091
    . "$azure/env"
    set +a
    printf 'create %s %s\n' "$requests" "$AZURITE_KEY" "$requests-poison" "$AZURITE_KEY" "$answers" "$AZURITE_KEY" |
        lab exec "$LAB_DIR" "${QUEUE_PROBE:-$here/build/dev/queue_probe}" >"$work/probe.out" 2>&1
    [ "$(grep -c '^201' "$work/probe.out")" = 3 ] || { cat "$work/probe.out"; return 1; }
}
depth() { # QUEUE: how many are on it
    printf 'open a key %s %s x\ndepth a\n' "$AZURITE_KEY" "$1" | lab exec "$LAB_DIR" "${QUEUE_PROBE:-$here/build/dev/queue_probe}" 2>/dev/null | sed -n 's/^ok \([0-9]*\) .*/\1/p'
}
azurite_down() { kill "$azurite_pid"; wait "$azurite_pid" 2>/dev/null; rm -f "$azure/ready"; }
# one_ca: [http] ca_file knows the stand-in and Azurite
one_ca() {
    cat "$AZURITE_CA" ${STANDIN_CA:+"$STANDIN_CA"} >"$work/ca.pem"
    sed -i '/^ca_file/d' "$work/plain.conf"
    if grep -q '^\[http\]' "$work/plain.conf"; then sed -i "s#^\[http\]#[http]\nca_file = $work/ca.pem#" "$work/plain.conf"
    else printf '\n[http]\nca_file = %s\n' "$work/ca.pem" >>"$work/plain.conf"; fi
}
cord() { lab exec "$LAB_DIR" env "CORDON_CONFIG=$conf" "CORDON_STATE=$state" "$cordon" "$@"; }
# submit ACTION ACCOUNT... [OPTION...]: JSON lines; id ACTION ACCOUNT: one, its id
submit() { cord submit --key "$LAB_DIR/soar.pem" --requester soc@example.com --json "$@"; }
id() { submit "$@" | sed -n 's/.*"id":"\([^"]*\)".*/\1/p' | head -n 1; }
# start: $pid, with $extra_env in its environment; started: until people can talk to it
start() {
    # shellcheck disable=SC2086 # several words, or none
    "$here/tests/lab/lab" exec "$LAB_DIR" env "CORDON_CONFIG=$conf" "CORDON_STATE=$state" ${extra_env:-} "$cordon" run --allow-root >>"$work/run.log" 2>&1 &
    pid=$!
}
started() { start; until_so talks; }
stop() { kill -TERM "$pid" 2>/dev/null; wait "$pid"; }
ask() { # JSON: to the service's socket
    /usr/bin/python3 - "$state/control.sock" "$1" <<'P'
import socket, sys
s = socket.socket(socket.AF_UNIX); s.settimeout(10); s.connect(sys.argv[1]); s.sendall(sys.argv[2].encode() + b'\n')
out = b''
while True:
    d = s.recv(65536)
    if not d: break
    out += d
print(out.decode())
P
}
talks() { ask '{"do":"status"}' | grep started >/dev/null; }
until_so() { # CMD...: every tenth of a second, $within seconds at most
    for _ in $(seq $((${within:-30} * 10))); do "$@" >/dev/null 2>&1 && return; sleep 0.1; done
    return 1
}
answered() { [ -e "$results/$1.jws" ]; }
held() { ask '{"do":"pending"}' | grep "$1" >/dev/null; }
logged() { grep -q -- "$1" "$work/run.log"; }
decide() { ask "{\"do\":\"$1\",\"id\":\"$2\",\"why\":\"looked at it\"}"; } # approve|decline ID
answer() { # ID MEMBER...: of the signed answer, by its public key; "none": there is none
    local id=$1; shift
    [ -e "$results/$id.jws" ] || { echo none; return; }
    "$cordon" verify --key "$LAB_DIR/agent.pub" "$results/$id.jws" >"$work/verified" 2>&1 || { echo FORGED; return; }
    /usr/bin/python3 - "$results/$id.jws" "$@" <<'P'
import base64, json, sys
body = open(sys.argv[1]).read().split('.')[1]
j = json.loads(base64.urlsafe_b64decode(body + '=' * (-len(body) % 4)))
out = []
for name in sys.argv[2:]:
    v = j
    for part in name.split('/'):
        v = v.get(part, '') if isinstance(v, dict) else ''
    out.append(str(v))
print(' '.join(out))
P
}
# changes ACCOUNT ATTRIBUTE [DC]: how often that DC took a change of it from the agent, by its own log
changes() {
    /usr/bin/python3 - "$LAB_DIR/${3:-dc1}/log/audit.json" "$1" "$2" <<'P'
import json, sys
n = 0
for line in open(sys.argv[1], encoding='utf-8', errors='replace'):
    try:
        c = json.loads(line).get('dsdbChange')
    except ValueError:
        continue
    if c and c['operation'] == 'Modify' and c['statusCode'] == 0 and c['dn'].lower().startswith('cn=%s,' % sys.argv[2].lower()) \
       and sys.argv[3] in c.get('attributes', {}):
        n += 1
print(n)
P
}
# records KIND REQUEST: how many of them
records() {
    cord audit export | /usr/bin/python3 -c '
import json, sys
print(sum(1 for l in sys.stdin for r in [json.loads(l)] if r["kind"] == sys.argv[1] and r["body"].get("request") == sys.argv[2]))' "$1" "$2"
}
calm() { # what the sanitizers said of the service
    grep -E -A 12 'Sanitizer|runtime error|cordon: bug' "$work/run.log" >"$work/out"; : >"$work/err"
    is "$(grep -c . "$work/out")" 0 "the sanitizers have nothing to say"
}

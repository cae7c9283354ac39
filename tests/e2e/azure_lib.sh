# tests/e2e/azure_lib.sh -- the service on Azure Queue Storage's own emulator, inside the lab: its loopback is not ours.
# shellcheck shell=bash disable=SC2034,SC2154,SC2119,SC2120
spool=$LAB_DIR/spool results=$LAB_DIR/results az=$work/az
azurite_up() { # [OPTION...]: until it listens; $azurite is its pid
    "$here/tests/azurite/azurite" >/dev/null 2>&1 || true # gets its packages the first time: the lab has no way out
    mkdir -p "$az"; chmod 700 "$az"
    "$here/tests/lab/lab" exec "$LAB_DIR" "$here/tests/azurite/azurite" serve --dir "$az" "$@" >>"$work/azurite.log" 2>&1 &
    azurite=$!
    for _ in $(seq 600); do [ -e "$az/ready" ] && break; kill -0 "$azurite" 2>/dev/null || break; sleep 0.1; done
    [ -e "$az/ready" ] || { tail -n 5 "$work/azurite.log"; return 1; }
    # shellcheck disable=SC1090,SC1091
    . "$az/env"
}
azurite_down() { kill -TERM "$azurite"; wait "$azurite" 2>/dev/null; }
box() { lab exec "$LAB_DIR" /usr/bin/python3 "$here/tests/azurite/box.py" "$az/env" "$@"; }
raw() { /usr/bin/python3 -c 'import json, sys; print(json.dumps(sys.argv[1]))' "$1" | box put "${2:-cordon-requests}"; }

keys() { # NAME...: pairs
    local k
    for k; do "$cordon" key new --out "$LAB_DIR/$k.pem" >"$LAB_DIR/$k.pub" || return; done
    chmod 644 "$LAB_DIR"/*.pub
}
# settings AGENT FILE [QUEUE LINE...]: the lab's configuration and the queue, brakes out of the way
settings() {
    local agent=$1 file=$2; shift 2
    [ -e "$LAB_DIR/plain.conf" ] || cp -p "$conf" "$LAB_DIR/plain.conf"
    {
        cat "${plain:-$LAB_DIR/plain.conf}"
        cat <<C

[policy]
brake = 10000 per 10m
brake_ou = 10000 per 10m
brake_signer = 10000 per 10m
brake_percent = 0
[signer/soar]
key = $LAB_DIR/soar.pub
actions = disable, enable, reset-password, expire-password
rate = 10000 per 10m
[queue]
engine = azure
url = $AZURITE_URL
account = $AZURITE_ACCOUNT
queue = cordon-requests
result_queue = cordon-results
result_directory = $results
signing_key = $LAB_DIR/agent.pem
agent = $agent
lease = ${lease:-10s}
poll_max = 2s
$(printf '%s\n' "$@")
[service]
stop_timeout = 6s
${in_flight:+max_in_flight = $in_flight}
C
        [ -z "$AZURITE_CA" ] || [ ! -e "$AZURITE_CA" ] || [ -n "${plain:-}" ] || printf '[http]\nca_file = %s\n' "$AZURITE_CA"
    } >"$file"
    chmod 600 "$file"
}
cordon() { lab exec "$LAB_DIR" env "CORDON_CONFIG=$conf" "$cordon" "$@"; }
submit() { cordon submit --key "$LAB_DIR/soar.pem" --requester soc@example.com "$@"; }
start() { # [CONF [STATE [NAME]]]: a service; $pid. It listens when this returns
    local file=${1:-$conf} state=${2:-$LAB_DIR/state} name=${3:-one}
    # shellcheck disable=SC2086 # several words, or none
    "$here/tests/lab/lab" exec "$LAB_DIR" env "CORDON_CONFIG=$file" "CORDON_STATE=$state" ${extra_env:-} "$cordon" run --allow-root >>"$work/run.$name" 2>&1 &
    pid=$!
    for _ in $(seq 100); do [ -S "$state/control.sock" ] && return; sleep 0.1; done
}
stop() { kill -TERM "$1"; wait "$1"; }
ask() { # JSON [STATE]: to the service's socket
    /usr/bin/python3 - "${2:-$LAB_DIR/state}/control.sock" "$1" <<'P'
import socket, sys
s = socket.socket(socket.AF_UNIX); s.settimeout(20); s.connect(sys.argv[1]); s.sendall(sys.argv[2].encode() + b'\n')
out = b''
while True:
    d = s.recv(65536)
    if not d: break
    out += d
print(out.decode())
P
}
until_so() { # [tries=N of 0.2 s] COMMAND...
    for _ in $(seq "${tries:-150}"); do "$@" >/dev/null 2>&1 && return; sleep 0.2; done
    return 1
}
empty() { [ "$(box count "${1:-cordon-requests}")" = 0 ]; }
answers() { find "$results" -name '*.jws' 2>/dev/null | wc -l; }
answered() { local i; for i; do [ -e "$results/$i.jws" ] || return 1; done; }
ids_of() { sed -n 's/.*"id":"\([^"]*\)".*/\1/p' "$1"; }
answer() { # ID|- MEMBER...: of the signed answer (- is on stdin), by the agent's public key
    local id=$1; shift
    if [ "$id" = - ]; then cat >"$work/jws"; else cp "$results/$id.jws" "$work/jws" 2>/dev/null || { echo "NO ANSWER"; return; }; fi
    "$cordon" verify --key "$LAB_DIR/agent.pub" "$work/jws" >"$work/said" 2>&1
    /usr/bin/python3 - "$work/said" "$work/jws" "$@" <<'P'
import base64, json, sys
said, body = open(sys.argv[1]).read(), open(sys.argv[2]).read().split('.')[1]
j = json.loads(base64.urlsafe_b64decode(body + '=' * (-len(body) % 4)))
out = ['genuine' if said.startswith('genuine:') else 'FORGED']
for name in sys.argv[3:]:
    v = j
    for part in name.split('/'):
        v = v.get(part, '') if isinstance(v, dict) else ''
    out.append(str(v))
print(' '.join(out))
P
}
export_ledger() { lab exec "$LAB_DIR" env "CORDON_STATE=${1:-$LAB_DIR/state}" "$cordon" audit export; }
whole() { lab exec "$LAB_DIR" env "CORDON_STATE=${1:-$LAB_DIR/state}" "$cordon" audit verify >/dev/null 2>&1; }
# changes ATTRIBUTE: "ACCOUNT N" lines, how often the DC took a change of it from anybody, by its own log
changes() {
    /usr/bin/python3 - "$LAB_DIR/dc1/log/audit.json" "$1" <<'P'
import collections, json, sys
n = collections.Counter()
for line in open(sys.argv[1], encoding='utf-8', errors='replace'):
    try:
        c = json.loads(line).get('dsdbChange')
    except ValueError:
        continue
    if c and c['operation'] == 'Modify' and c['statusCode'] == 0 and sys.argv[2] in c.get('attributes', {}):
        n[c['dn'].split(',')[0].lower().removeprefix('cn=')] += 1
for name in sorted(n):
    print(name, n[name])
P
}
changed() { changes userAccountControl | sed -n "s/^$1 //p" | grep . || echo 0; }
resident() { sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$1/status"; } # KiB
sanitizers() {
    cat "$work"/run.* 2>/dev/null | grep -E -A 12 'Sanitizer|runtime error|cordon: bug' >"$work/out"; : >"$work/err"
    is "$(grep -c . "$work/out")" 0 "the sanitizers have nothing to say"
}

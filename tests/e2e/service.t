#!/usr/bin/env bash
# shellcheck disable=SC2010 # names are ids
# The service on the real AD, by the spool: what it carries out, what it refuses, what waits for
# people, and what becomes of it all when it dies. Needs a build with failpoints (dev).
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
lab up --bulk 120 "$LAB_DIR" || { echo "Bail out! no lab"; exit 1; }
spool=$LAB_DIR/spool results=$LAB_DIR/results
for k in soar agent stranger narrow; do "$cordon" key new --out "$LAB_DIR/$k.pem" >"$LAB_DIR/$k.pub" || exit 1; done
chmod 644 "$LAB_DIR"/*.pub
cp -p "$conf" "$LAB_DIR/plain.conf"
settings() { # [POLICY LINE...]: the lab's configuration, and the queue
    cp -p "$LAB_DIR/plain.conf" "$conf"
    cat >>"$conf" <<C

[policy]
brake = 1000 per 10m
brake_ou = 1000 per 10m
brake_signer = 1000 per 10m
brake_percent = 0
$(printf '%s\n' "$@")
[signer/soar]
key = $LAB_DIR/soar.pub
actions = disable, enable, reset-password, expire-password, contain
[signer/narrow]
key = $LAB_DIR/narrow.pub
actions = disable
accounts = alice
[queue]
directory = $spool
result_directory = $results
signing_key = $LAB_DIR/agent.pem
agent = one
lease = 10s
[service]
stop_timeout = 6s
C
}
export CORDON_CONFIG=$conf
settings
# shellcheck disable=SC2086 # several words, or none
cordon() { lab exec "$LAB_DIR" env "CORDON_CONFIG=$conf" ${extra_env:-} "$cordon" "$@"; }
submit() { cordon submit --key "$LAB_DIR/soar.pem" --requester soc@example.com "$@"; }
# shellcheck disable=SC2086 # several words, or none
once() { timeout 100 env "LAB_DIR=$LAB_DIR" "CORDON_CONFIG=$conf" ${extra_env:-} "$here/tests/lab/lab" exec "$LAB_DIR" "$cordon" run --once --allow-root 2>>"$work/once.err"; } 2>/dev/null
drop() { # NAME <TEXT: onto the queue as anybody would who is no cordon
    cat >"$spool/tmp/$1"; mv "$spool/tmp/$1" "$spool/new/$1"
}
reason() { head -n 1 "$spool/dead/$1.reason" 2>/dev/null | cut -d: -f1; }
answer() { # ID MEMBER...: from the signed answer, by its public key
    local id=$1; shift
    "$cordon" verify --key "$LAB_DIR/agent.pub" --json - <"$results/$id.jws" >"$work/answer" 2>&1
    /usr/bin/python3 - "$work/answer" "$results/$id.jws" "$@" <<'P'
import base64, json, sys
said = open(sys.argv[1]).read()
body = open(sys.argv[2]).read().split('.')[1]
j = json.loads(base64.urlsafe_b64decode(body + '=' * (-len(body) % 4)))
out = []
for name in sys.argv[3:]:
    v = j
    for part in name.split('/'):
        v = v.get(part, '') if isinstance(v, dict) else ''
    out.append(str(v))
print(('genuine ' if '"genuine":true' in said or 'genuine' in said else 'FORGED ') + ' '.join(out))
P
}
records() { # KIND REQUEST: how many of them
    lab exec "$LAB_DIR" "$cordon" audit export | /usr/bin/python3 -c '
import json, sys
print(sum(1 for l in sys.stdin for r in [json.loads(l)] if r["kind"] == sys.argv[1] and r["body"].get("request") == sys.argv[2]))' "$1" "$2"
}
changes() { # ACCOUNT: how often the DC took a change of userAccountControl from anybody, by its own log
    /usr/bin/python3 - "$LAB_DIR/dc1/log/audit.json" "$1" <<'P'
import json, sys
n = 0
for line in open(sys.argv[1], encoding='utf-8', errors='replace'):
    try:
        c = json.loads(line).get('dsdbChange')
    except ValueError:
        continue
    if c and c['operation'] == 'Modify' and c['statusCode'] == 0 and c['dn'].lower().startswith('cn=%s,' % sys.argv[2].lower()) \
       and 'userAccountControl' in c.get('attributes', {}):
        n += 1
print(n)
P
}
id_of() { sed -n 's/.*"id":"\([^"]*\)".*/\1/p' "$1" | head -n 1; }

# --- there and back
submit disable alice --steps --json >"$work/sub"; id=$(id_of "$work/sub")
once; is "$? $(uac alice)" "0 514" "a signed disable is carried out"
is "$(answer "$id" outcome verdict/verdict verdict/proof signer agent)" "genuine good done everywhere soar one" "  and answered, signed by the agent"
like "$(answer "$id" ledger/count ledger/head)" "^genuine [0-9]+ [0-9a-f]{64}$" "  with count and head of the ledger"
like "$(answer "$id" steps)" "'step': 'disable'" "  and the steps, as asked"
for f in "$results/$id".[0-9]*.jws; do cordon verify --json --key "$LAB_DIR/agent.pub" "$f"; done >"$work/events"
is "$(/usr/bin/python3 - "$work/events" "$results/$id.jws" "$here/docs/step.schema.json" <<'P'
import base64, json, sys
events = [json.loads(l)['step'] for l in open(sys.argv[1])]
answer = json.loads(base64.urlsafe_b64decode(open(sys.argv[2]).read().split('.')[1] + '=='))
need = json.load(open(sys.argv[3]))['required']
key = lambda x: (x['step'], x['target'], x['state'], x['proof'], x['detail'])
print([e['number'] for e in events] == list(range(1, len(events) + 1)), {key(x) for x in answer['steps']} < {key(e['step']) for e in events}, all(k in e for e in events for k in need))
P
)" "True True True" "  each of them as a signed event of its own, too"
is "$(ls "$spool/new" "$spool/claimed" "$spool/dead" | grep -c '^01')" 0 "  and nothing is left on the queue"
like "$(cordon cases --json | head -n 1)" '"requester":"soc@example.com \(signed by soar\)"' "  the case names who asked, and whose signature it was"

# --- refused: recorded, put aside with the reason, nothing changed
n=0
refused() { # WANTED NAME FILE
    n=$((n + 1)); local name; name=$(printf '01J5000000000000000000%04d' "$n")
    drop "$name" <"$3"
    once; is "$(reason "$name") $(uac bob)" "$1 512" "$2"
}
submit disable bob --out "$work/bob.jws" >/dev/null
sign() { "$cordon" submit --requester soc@example.com --out - "$@" >"$work/m.jws"; } # as whoever is no cordon at all
sign disable bob --key "$LAB_DIR/stranger.pem" --domain corp.example.com; refused unknown-key "an unknown key" "$work/m.jws"
sed 's/^\(.\{150\}\)./\1_/' "$work/bob.jws" >"$work/m.jws"; refused bad-signature "altered" "$work/m.jws"
head -c 200 "$work/bob.jws" >"$work/m.jws"; refused malformed "cut off" "$work/m.jws"
echo hello >"$work/m.jws"; refused malformed "no message at all" "$work/m.jws"
sign disable bob --key "$LAB_DIR/soar.pem" --domain other.example.com; refused wrong-audience "another audience" "$work/m.jws"
sign revoke bob --key "$LAB_DIR/soar.pem" --domain corp.example.com; refused not-allowed "an action that its signer may not ask for" "$work/m.jws"
"$cordon" verify --key "$LAB_DIR/agent.pub" "$work/bob.jws" >/dev/null 2>&1; is $? 12 "(a request is no answer)"
/usr/bin/python3 - "$LAB_DIR/soar.pem" >"$work/old.jws" <<'P' 2>"$work/err" || true
import base64, json, subprocess, sys, tempfile, hashlib
b = lambda x: base64.urlsafe_b64encode(x).rstrip(b'=')
head = b(json.dumps({"alg": "EdDSA", "typ": "cordon-request.v1+jwt", "kid": "soar"}).encode())
body = b(json.dumps({"id": "01M7Z3K12CHJZ1NEFTYEJT1J2Z", "action": "disable", "account": "bob", "requester": "soc@example.com",
    "issued": "2020-01-01T00:00:00Z", "expires": "2020-01-01T00:10:00Z", "audience": "corp.example.com"}).encode())
with tempfile.NamedTemporaryFile() as f:
    f.write(head + b'.' + body); f.flush()
    sig = subprocess.run(['openssl', 'pkeyutl', '-sign', '-inkey', sys.argv[1], '-rawin', '-in', f.name], stdout=subprocess.PIPE, check=True).stdout
print((head + b'.' + body + b'.' + b(sig)).decode())
P
refused expired "expired" "$work/old.jws"
is "$(answer 01M7Z3K12CHJZ1NEFTYEJT1J2Z outcome verdict/verdict)" "genuine expired " "  a genuine one is told why"
for i in 1 2 3 4 5 6; do echo "$i" >"$work/m.jws"; drop "01J5000000000000000000070$i" <"$work/m.jws"; once; done # ends before a DC has said all
sign disable bob --key "$LAB_DIR/narrow.pem" --domain corp.example.com --json; drop 01J50000000000000000000800 <"$work/m.jws"; once
is "$(for f in "$results"/*.jws; do answer "$(basename "$f" .jws)" signer verdict/verdict verdict/rule; done | grep narrow)" "genuine narrow refused signer-accounts" "an account that is not on its signer's list: refused by who it is in AD"
is "$(changes bob)" 0 "none of them changed anything"

# --- seen before
drop 01J50000000000000000000900 <"$work/bob.jws"; once
is "$(uac bob)" 514 "the good one is taken"
id=$(sed -n 's/.*"request":"\([^"]*\)".*/\1/p' <(lab exec "$LAB_DIR" "$cordon" audit export) | tail -n 1)
set_uac bob 512
drop 01J50000000000000000000901 <"$work/bob.jws"; rm -f "$results/$id.jws"; once
is "$(reason 01J50000000000000000000901) $(uac bob)" "seen-before 512" "the same once more: put aside, and not done again"
is "$(answer "$id" verdict/verdict)" "genuine done" "  answered from the ledger"
is "$(records request "$id") $(records result "$id") $(records refused "$id")" "1 1 1" "  one request, one answer, one refusal on record"

# --- a running service
start() { # [STATE [NAME]]: in the background; $pid
# shellcheck disable=SC2086 # several words, or none
    "$here/tests/lab/lab" exec "$LAB_DIR" env "CORDON_CONFIG=${run_conf:-$conf}" "CORDON_STATE=${1:-$LAB_DIR/state}" ${extra_env:-} "$cordon" run --allow-root >>"$work/run.${2:-1}" 2>&1 &
    pid=$!
    for _ in $(seq 100); do [ -S "${1:-$LAB_DIR/state}/control.sock" ] && return; sleep 0.1; done
}
stop() { kill -TERM "$1"; wait "$1"; }
ask() { # JSON: to the service's socket
    /usr/bin/python3 - "${state:-$LAB_DIR/state}/control.sock" "$1" <<'P'
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
until_so() { for _ in $(seq 100); do "$@" >/dev/null 2>&1 && return; sleep 0.1; done; return 1; }
held() { ask '{"do":"pending"}' | grep -q "$1"; }

settings "never_disable = group:VIP"
start
submit disable vip1 --json >"$work/sub"; id=$(id_of "$work/sub")
until_so held "$id"; is "$? $(uac vip1)" "0 512" "held by a list: nothing is done"
like "$(ask '{"do":"pending"}')" '"rule":"never_disable"' "  pending says by which rule"
is "$(ls "$results" | grep -c "$id")" 0 "  nobody is told anything yet"
kill -KILL "$pid"; wait "$pid" 2>/dev/null; start
until_so held "$id"; is $? 0 "  a restart forgets nothing"
ask "{\"do\":\"approve\",\"id\":\"$id\",\"why\":\"looked at it\"}" >/dev/null
until_so test -e "$results/$id.jws"
is "$(answer "$id" verdict/verdict verdict/proof) $(uac vip1)" "genuine done everywhere 514" "approved: carried out, and answered"
sign disable dave erin --key "$LAB_DIR/soar.pem" --domain corp.example.com
cordon submit --signed "$work/m.jws" --wait=20s >"$work/out" 2>"$work/err"
is "$? $(grep -c 'done, everywhere' "$work/out") $(uac dave) $(uac erin)" "0 2 514 514" "submit --signed: signed elsewhere, put here"
set_uac dave 512; set_uac erin 512
sign disable dave --key "$LAB_DIR/stranger.pem" --domain corp.example.com; cat "$work/bob.jws" >>"$work/m.jws"
cordon submit --signed "$work/m.jws" >"$work/out" 2>"$work/err"
like "$? $(cat "$work/err" "$work/out") $(ls "$spool/new" | grep -c '^01')" "^12 cordon submit: line 1: unknown-key: .* 0$" "  one that would be refused: told, and none is put"
grep -ohE '"cordon_[a-z_]+' "$here"/agent/service/*.c | tr -d '"' | sed 'p; s/$/_total/' | sort -u >"$work/names"
is "$(grep -E '^ +expr: ' "$here/docs/operations.md" | grep -oE 'cordon_[a-z_]+' | sort -u | comm -23 - "$work/names")" "" "the metrics that docs/operations.md alerts on are there"
submit disable vip2 --json >"$work/sub"; id=$(id_of "$work/sub"); until_so held "$id"
ask "{\"do\":\"decline\",\"id\":\"$id\",\"why\":\"a drill\"}" >/dev/null
until_so test -e "$results/$id.jws"
is "$(answer "$id" verdict/verdict verdict/rule) $(uac vip2)" "genuine refused declined 512" "declined: refused, in words"
like "$(answer "$id" verdict/detail)" "a drill" "  with who and why"
submit disable carol --wait=20s >"$work/out" 2>"$work/err"; is "$? $(tail -n 1 "$work/out" | cut -d' ' -f3-)" "0 done, everywhere" "submit --wait shows the answer"
submit enable carol --steps --wait=20s >"$work/out" 2>"$work/err"; like "$? $(tr '\n' ' ' <"$work/out")" "^0 .*  enable dc1[^ ]* done, .*  confirm dc1[^ ]* done, logged: event 4722.*  done, everywhere $" "  and the steps before it, where they were asked for"
stop "$pid"; is $? 0 "SIGTERM ends it well"
# In a user namespace of its own, as PrivateUsers= makes one: there the kernel does not tell it who others are.
settings "allow_privileged = yes"; extra_env="unshare -U -r" start
submit disable adm1 --json >"$work/sub"; id=$(id_of "$work/sub"); until_so held "$id"
like "$(ask '{"do":"pending"}')" '"rule":"privileged".*"approvals":0,"approvals_needed":2' "a privileged account waits for two"
ask "{\"do\":\"approve\",\"id\":\"$id\",\"why\":\"one\"}" >/dev/null
like "$(ask '{"do":"pending"}') $(uac adm1)" '"approvals":1,.* 512$' "  one of them is not enough"
ask "{\"do\":\"approve\",\"id\":\"$id\",\"why\":\"me again\"}" >"$work/out"
like "$(cat "$work/out") $(uac adm1)" "another person.* 512" "  nor the same one twice"
# By sudo everybody is root: two logins are two people (the kernel's word), root and a login are not.
printf '#!/bin/sh\necho "$1" >/proc/self/loginuid && shift && exec "$@"\n' >"$work/login"
as_login() { # UID WHY: the command passes what the kernel says of its login
    lab exec "$LAB_DIR" env "CORDON_CONFIG=$conf" "CORDON_STATE=$LAB_DIR/state" sh "$work/login" "$1" "$cordon" approve "$id" --why "$2" 2>&1
}
as_login 54321 "who knows" >"$work/out"
like "$(cat "$work/out") $(uac adm1)" "nobody can tell.* 512" "  nor one whose login is not known and one whose is"
ask "{\"do\":\"decline\",\"id\":\"$id\",\"why\":\"once more\"}" >/dev/null; until_so test -e "$results/$id.jws"
submit disable adm1 --json >"$work/sub"; id=$(id_of "$work/sub"); until_so held "$id"
as_login 54321 one >/dev/null
as_login 54321 "one again" >"$work/out"
like "$(cat "$work/out") $(uac adm1)" "another person than #54321 .login uid 54321.* 512" "  nor one login twice"
as_login 54322 two >/dev/null; until_so test -e "$results/$id.jws"
is "$(answer "$id" verdict/verdict) $(uac adm1)" "genuine done 514" "  two logins are two people: carried out"
stop "$pid"

# --- SIGHUP
settings; start
before=$(ask '{"do":"status"}' | sed 's/.*"started":"\([^"]*\)".*/\1/')
printf 'nonsense\n' >>"$conf"; kill -HUP "$pid"
until_so grep -q 'old one is kept' "$work/run.1"; is $? 0 "SIGHUP with a broken configuration: refused"
settings "never_disable = group:NoSuchGroup"; kill -HUP "$pid"
until_so grep -q 'NoSuchGroup' "$work/run.1"; is $? 0 "and so is one with a list that does not resolve"
submit disable dave --wait=20s >"$work/out" 2>"$work/err"; is "$? $(ask '{"do":"status"}' | sed 's/.*"started":"\([^"]*\)".*/\1/')" "0 $before" "  the old one goes on"
settings "never_disable = erin"; kill -HUP "$pid"
changed() { [ "$(ask '{"do":"status"}' | sed 's/.*"started":"\([^"]*\)".*/\1/')" != "$before" ]; }
until_so changed
submit disable erin --json >"$work/sub"; id=$(id_of "$work/sub"); until_so held "$id"
is "$? $(uac erin)" "0 512" "a good one is taken"
"$cordon" run >"$work/out" 2>&1; is $? 64 "not as root, unless told"
lab exec "$LAB_DIR" "$cordon" run --allow-root --once >"$work/out" 2>&1; is $? 78 "nor two in one state directory"
stop "$pid"

# --- killed at every commit and at every sent request
settings
ids=() accounts=() k=0
sweep() { # FAILPOINT: kill at the n-th; then once more without
    local i=0 account
    while [ $i -lt 30 ]; do
        i=$((i + 1)); k=$((k + 1)); account=$(printf 'u%05d' $k)
        submit disable "$account" --json >"$work/sub"; ids+=("$(id_of "$work/sub")"); accounts+=("$account")
        extra_env="CORDON_FAILPOINT=$1:$i:kill" once
        [ $? -ge 128 ] || return
        once
    done
    not_ok "more than 30 points of $1"
}
sweep commit-before; sweep commit; sweep send
ok "killed $((k - 3)) times"
# At any moment, with many in hand.
for d in 0.05 0.1 0.15 0.2 0.3 0.4; do
    for _ in 1 2 3 4; do
        k=$((k + 1)); account=$(printf 'u%05d' $k)
        submit disable "$account" --json >"$work/sub"; ids+=("$(id_of "$work/sub")"); accounts+=("$account")
    done
    lab exec "$LAB_DIR" timeout -s KILL "$d" env "CORDON_CONFIG=$conf" "$cordon" run --allow-root >>"$work/once.err" 2>&1
done
sleep 11; once; sleep 11; once # the leases of the dead end; the second time there is nothing to be done
is "$(ls "$spool/new" "$spool/claimed" | grep -c '^01')" 0 "all of it is off the queue in the end"
lab exec "$LAB_DIR" "$cordon" audit verify >/dev/null 2>&1; is $? 0 "the chain is whole"
lab exec "$LAB_DIR" "$cordon" audit export >"$work/export"
bad=$(/usr/bin/python3 - "$work/export" "$results" "${ids[@]}" <<'P'
import collections, json, os, sys
kinds = collections.Counter(); case = {}; verdicts = collections.Counter()
for line in open(sys.argv[1], encoding='utf-8'):
    r = json.loads(line)
    if 'request' in r['body']:
        kinds[r['kind'], r['body']['request']] += 1
        if r['kind'] == 'request': case[r['body']['request']] = r['case']
    if r['kind'] == 'verdict': verdicts[r['case']] += 1
for i in sys.argv[3:]:
    got = (kinds['request', i], kinds['result', i], verdicts[case.get(i)], os.path.exists('%s/%s.jws' % (sys.argv[2], i)))
    if got != (1, 1, 1, True): print(i, got)
P
)
is "$bad" "" "each of ${#ids[@]} requests: taken once, one verdict, one answer"
bad=
for a in "${accounts[@]}"; do [ "$(uac "$a") $(changes "$a")" = "546 1" ] || bad+="$a $(uac "$a") $(changes "$a"); "; done
is "$bad" "" "each of ${#accounts[@]} accounts: disabled, by one change"
is "$(for i in "${ids[@]}"; do answer "$i" verdict/verdict; done | sort | uniq -c | sed 's/^ *//')" "${#ids[@]} genuine done" "and each answer says so"

# --- two agents on one queue, with two ledgers
sed 's/^agent = one/agent = two/' "$conf" >"$LAB_DIR/two.conf"; chmod 600 "$LAB_DIR/two.conf"
start "$LAB_DIR/state" 1; one=$pid
run_conf=$LAB_DIR/two.conf start "$LAB_DIR/state2" 2; two=$pid
ids=() accounts=()
for _ in $(seq 12); do
    k=$((k + 1)); account=$(printf 'u%05d' $k); accounts+=("$account")
done
submit disable "${accounts[@]}" --json --wait=30s >"$work/out" 2>"$work/err"; is $? 0 "two agents: all are answered"
mapfile -t ids < <(sed -n 's/.*"submitted","id":"\([^"]*\)".*/\1/p' "$work/out")
lab exec "$LAB_DIR" env "CORDON_STATE=$LAB_DIR/state2" "$cordon" audit export >"$work/export2"
lab exec "$LAB_DIR" "$cordon" audit export >"$work/export"
is "$(for i in "${ids[@]}"; do cat "$work/export" "$work/export2" | grep '"kind":"request"' | grep -c "{\"request\":\"$i\""; done | sort -u)" 1 "each is taken by one of them"
bad=; for a in "${accounts[@]}"; do [ "$(changes "$a")" = 1 ] || bad+="$a $(changes "$a"); "; done
is "$bad" "" "and changed once"
# One dies in the middle: the other takes over when the lease is over.
stop "$two"
k=$((k + 1)); account=$(printf 'u%05d' $k)
kill -TERM "$one"; wait "$one"
submit disable "$account" --json >"$work/sub"; id=$(id_of "$work/sub")
extra_env="CORDON_FAILPOINT=send:1:kill" once
run_conf=$LAB_DIR/two.conf start "$LAB_DIR/state2" 2; two=$pid
for _ in $(seq 200); do [ -e "$results/$id.jws" ] && break; sleep 0.1; done
is "$(answer "$id" agent verdict/verdict) $(uac "$account") $(changes "$account")" "genuine two done 546 1" "one dies in mid-case: the other proves its state and answers"
stop "$two"

# --- the share of a domain's people that may be changed in a day: counted in AD, five in any case
sed 's/^agent = one/agent = three/; s/^brake_percent = 0/brake_percent = 1/; s/^\[cordon\]/[cordon]\nlog_level = info/' "$conf" >"$LAB_DIR/three.conf"; chmod 600 "$LAB_DIR/three.conf"
enabled=$(lab exec "$LAB_DIR" -u admin ldapsearch -Q -Y GSSAPI -N -LLL -E pr=50/noprompt -H ldap://dc1.corp.example.com -b DC=corp,DC=example,DC=com \
    '(&(objectCategory=person)(objectClass=user)(sAMAccountType=805306368)(!(userAccountControl:1.2.840.113556.1.4.803:=2)))' dn | grep -c '^dn:')
run_conf=$LAB_DIR/three.conf start "$LAB_DIR/state3" 3; three=$pid
until_so grep -q 'enabled users' "$work/run.3"
is "$(grep -o 'has [0-9]* enabled users' "$work/run.3" | head -n 1)" "has $enabled enabled users" "the enabled users of the domain are counted"
accounts=()
for _ in 1 2 3 4 5 6; do k=$((k + 1)); accounts+=("$(printf 'u%05d' $k)"); done
submit disable "${accounts[@]}" --json >"$work/sub"
brake() { state=$LAB_DIR/state3 ask '{"do":"pending"}' | grep -q 'brake_percent = 1'; }
until_so brake; is $? 0 "the sixth is held, by brake_percent"
sleep 1
is "$(for a in "${accounts[@]}"; do uac "$a"; done | sort | uniq -c | tr -s ' ' | tr '\n' ';')" " 1 544; 5 546;" "  five were disabled"
stop "$three"

# --- all that was said, by the schemas
"$here/tests/standin/standin" help >/dev/null 2>&1 # gets ajv, the first time
"$(command -v node || command -v nodejs)" "$here/tests/schema/real.js" "$work"/*.jws "$results"/*.jws >"$work/out" 2>&1
is "$?" 0 "every request and answer is by its schema"
like "$(tail -n 1 "$work/out")" "^([0-9]+ event, )?[1-9][0-9]* request, [1-9][0-9]* result(, [0-9]+ [a-z]+)*: done expired not-allowed refused( |$)" "  answers of all kinds"
cat "$work"/once.err "$work"/run.* | grep -E -A 12 'Sanitizer|runtime error|cordon: bug' >"$work/out"; : >"$work/err"
is "$(grep -c . "$work/out")" 0 "the sanitizers have nothing to say"
done_testing

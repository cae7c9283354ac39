#!/usr/bin/env bash
# tests/azurite/queue.t -- every verb of cordon's queues against Azure Queue Storage's own emulator,
# by each way to say who we are, with lost answers and an outage. TAP.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
probe=${QUEUE_PROBE:-$here/../../build/dev/queue_probe}
work=$(mktemp -d)
n=0 failed=0 pids=()
finish() {
    [ ${#pids[@]} = 0 ] || kill "${pids[@]}" 2>/dev/null
    wait
    rm -rf "$work"
}
trap finish EXIT
trap '' PIPE # a probe that died is a failure to be told
ok() { n=$((n + 1)); echo "ok $n - $1"; }
not_ok() { n=$((n + 1)); failed=$((failed + 1)); echo "not ok $n - $1"; shift; printf '#   %s\n' "$@"; tail -n 5 "$work"/*.log 2>/dev/null | sed 's/^/#   /'; }
like() { if [[ $1 =~ $2 ]]; then ok "$3"; else not_ok "$3" "got:  $1" "like: $2"; fi; }
unlike() { if [[ ! $1 =~ $2 ]]; then ok "$3"; else not_ok "$3" "got:     $1" "but not: $2"; fi; }

# azurite DIR [OPTION...]: until it listens
azurite() {
    local dir=$work/$1; shift
    "$here/azurite" serve --dir "$dir" "$@" >>"$work/azurite.log" 2>&1 &
    server=$!
    pids+=("$server")
    for _ in $(seq 1200); do [ -e "$dir/ready" ] && break; kill -0 "$server" 2>/dev/null || break; sleep 0.1; done
    [ -e "$dir/ready" ]
}
# client DIR [PORT]: a probe that speaks to it, with all that is asked of it from here on
client() {
    set -a
    # shellcheck disable=SC1090,SC1091
    . "$work/$1/env"
    set +a
    [ -n "${2:-}" ] && AZURITE_URL=${AZURITE_URL/:$AZURITE_PORT/:$2}
    [ -e "$AZURITE_CA" ] || AZURITE_CA=
    key=$AZURITE_KEY
    { coproc P { "$probe" 2>>"$work/probe.log"; }; } 2>/dev/null
    # shellcheck disable=SC2154 # P_PID is coproc's
    probe_pid=$P_PID
    exec {to}>&"${P[1]}" {from}<&"${P[0]}"
    eval "exec ${P[1]}>&- ${P[0]}<&-" # or the probe would never see the end
}
leave() { exec {to}>&- {from}<&-; wait "$probe_pid"; }
# ask COMMAND...: its answer in $r, lines joined by '|'
ask() {
    local line
    r=''
    echo "$*" >&"$to"
    while IFS= read -r -t 120 line <&"$from"; do
        [ "$line" = . ] && return
        r+="${r:+|}$line"
    done
    r+=' (the probe is gone)'
}
sas() { /usr/bin/python3 "$here/secrets.py" sas "$key" "$AZURITE_ACCOUNT" "$@"; }
# last: the number of the message that just came
last() { m=${r##*|}; m=${m%% *}; }

azurite a
[ -e "$work/a/ready" ] && ok "it starts" || { not_ok "it starts"; echo "1..$n"; exit 1; }
client a

# --- every verb, by the account's key -----------------------------------------------------------
ask create cordon-actions "$key";        like "$r" '^201' "the queue is made"
ask create cordon-actions-poison "$key"; like "$r" '^201' "and its dead-letters"
ask open a key "$key" cordon-actions agent-a; like "$r" '^ok azure:https://127' "one client"
ask open b key "$key" cordon-actions agent-b; like "$r" '^ok' "another"
ask open dead key "$key" cordon-actions-poison agent-a; like "$r" '^ok' "and who reads the dead-letters"
ask receive a 1 60000; like "$r" '^ok 0$' "nothing is there"
ask put a eyJh.eyJi.c2ln; like "$r" '^ok$' "put"
ask depth b; like "$r" '^ok 1 dated$' "one is there, and when it was put"
ask receive a 8 60000; like "$r" '^ok 1\|1 deliveries=1 claim= len=14 text=eyJh.eyJi.c2ln$' "received"; last
ask receive b 8 60000; like "$r" '^ok 0$' "it is hidden from the other"
ask ends "$m"; [ "$r" -gt 50000 ] && [ "$r" -le 60000 ] && ok "until our lease is over" || not_ok "until our lease is over" "$r"
ask renew "$m" 300000 agent-a; like "$r" '^ok$' "renewed, with our claim"
ask ends "$m"; [ "$r" -gt 200000 ] && ok "the lease begins anew" || not_ok "the lease begins anew" "$r"
ask renew "$m" 60000; like "$r" '^ok$' "the newest receipt is kept: renewed again"
ask renew "$m" 60000 agent-a; like "$r" '^ok$' "and again"
ask complete "$m"; like "$r" '^ok$' "completed"
ask complete "$m"; like "$r" '^gone$' "twice does no harm"
ask renew "$m" 60000; like "$r" '^gone$' "it is gone for a renewal"
ask release "$m" 0; like "$r" '^gone$' "and for a release"
ask depth a; like "$r" '^ok 0 unknown$' "nothing is left"

# --- a lease runs out ----------------------------------------------------------------------------
ask put a one.two.three
ask receive a 1 1000; like "$r" '^ok 1' "a short lease"; last; mine=$m
ask renew "$mine" 1000 agent-a; like "$r" '^ok$' "with our claim"
ask until b 60000; like "$r" 'deliveries=2 claim=agent-a len=13 text=one.two.three' "it runs out: another one has it, and sees whose it was"; last
ask renew "$mine" 60000; like "$r" '^lost conflict' "the first one learns that from a renewal"
ask complete "$mine"; like "$r" '^lost' "and may not complete"
ask release "$mine" 0; like "$r" '^lost' "nor release"
ask renew "$m" 60000 agent-b; like "$r" '^ok$' "the other one's claim goes over it"
ask release "$m" 0; like "$r" '^ok$' "released at once"
ask receive a 1 60000; like "$r" 'deliveries=3 claim=agent-b' "it is there at once"; last
ask release "$m" 4000; like "$r" '^ok$' "released for later"
ask receive a 1 60000; like "$r" '^ok 0$' "not yet"
ask until a 1000; like "$r" 'deliveries=4' "later"; last
ask wait 1500
ask renew "$m" 60000; like "$r" '^ok$' "over, but nobody took it: it is still ours"
ask dead "$m" nobody; like "$r" '^ok$' "dead-lettered"
ask dead "$m" nobody; like "$r" '^gone$' "once"
ask receive dead 1 60000; like "$r" 'claim=agent-b len=13 text=one.two.three' "there it lies"; last
ask complete "$m"
ask depth a; like "$r" '^ok 0' "and only there"

# --- what others put -----------------------------------------------------------------------------
ask raw cordon-actions "$key" eyJh.eyJi.c2ln; like "$r" '^201' "a JWS without an envelope"
ask receive a 1 60000; like "$r" 'len=14 text=eyJh.eyJi.c2ln' "is read"; last
ask renew "$m" 1000 agent-a; like "$r" '^ok$' "takes a claim"
ask until b 60000; like "$r" 'claim=agent-a len=14 text=eyJh.eyJi.c2ln' "and keeps its text"; last
ask complete "$m"; like "$r" '^ok$' "completed"
ask raw cordon-actions "$key" '{"id":"1"}'; ask receive a 1 60000; like "$r" 'text=\{"id":"1"\}' "JSON in clear"; last; ask complete "$m"
ask raw cordon-actions "$key" eyJpZCI6IjEifQ==; ask receive a 1 60000; like "$r" 'text=\{"id":"1"\}' "JSON as base64"; last; ask complete "$m"
ask raw cordon-actions "$key" 'hello&amp;bye'; ask receive a 1 60000; like "$r" 'len=0 why=message: neither' "what is none of that is no text"; last
ask renew "$m" 60000 agent-a; like "$r" '^ok$' "it can be renewed"
ask dead "$m" junk; like "$r" '^ok$' "and dead-lettered"
ask receive dead 1 60000; like "$r" 'text=hello&bye' "with what it said"; last; ask complete "$m"

# --- sizes and batches ---------------------------------------------------------------------------
ask fill a 49131; like "$r" '^ok$' "the largest that fits: 65,536 bytes as they are stored"
ask receive a 1 1000; like "$r" 'len=49131' "comes back whole"; last
ask renew "$m" 60000 agent-a; like "$r" '^ok$' "has room for a claim"
ask complete "$m"; like "$r" '^ok$' "and is completed"
ask fill a 49132; like "$r" '^fatal too-?big' "one byte more is not sent"
ask rawfill cordon-actions "$key" 65536; like "$r" '^201' "others may fill it to the brim"
ask receive a 1 60000; like "$r" 'len=65536' "that is read"; last
ask renew "$m" 60000 agent-a; like "$r" '^fatal too-?big' "no claim fits"
ask dead "$m" large; like "$r" '^ok$' "it can be dead-lettered"
ask rawfill cordon-actions "$key" 65537; like "$r" '^413 RequestBodyTooLarge' "65,537 the service refuses"
for t in a.b.c d.e.f g.h.i; do ask put a "$t"; done
ask receive a 32 60000; like "$r" '^ok 3\|.*a\.b\.c.*d\.e\.f.*g\.h\.i' "three at once"; last
ask complete $((m - 2)); like "$r" '^ok$' "completed, the first"
ask renew $((m - 1)) 60000 agent-a; like "$r" '^ok$' "renewed, the second"
ask complete "$m"; like "$r" '^ok$' "completed, the third"
ask complete $((m - 1)); like "$r" '^ok$' "completed, the second"

# --- who we are not ------------------------------------------------------------------------------
ask open none key "$key" no-such-queue agent-a
ask receive none 1 60000; like "$r" '^fatal configuration .*no such queue' "a queue that is not there"
ask put none a.b.c; like "$r" '^fatal configuration .*no such queue' "nor can be put to"
ask depth none; like "$r" '^fatal configuration' "nor counted"
ask create cordon-lonely "$key"; ask open lonely key "$key" cordon-lonely agent-a; ask put lonely a.b.c
ask receive lonely 1 60000; last
ask dead "$m" x; like "$r" '^fatal configuration dead-letter queue: .*no such queue' "without a dead-letter queue it stays"
ask complete "$m"; like "$r" '^ok$' "and is still ours"
head -c 64 /dev/urandom | base64 -w0 >"$work/wrong"; chmod 600 "$work/wrong"
ask open wrong key "$work/wrong" cordon-actions agent-a
ask receive wrong 1 60000; like "$r" '^auth auth .*the key' "a wrong key"
ask put a a.b.c; ask receive a 1 60000; last

# --- a SAS ---------------------------------------------------------------------------------------
umask 077
sas cordon-actions rup >"$work/rup"; sas cordon-actions p >"$work/p"; sas cordon-actions a >"$work/a.sas"
sas cordon-actions raup -5 >"$work/over"
ask complete "$m"
ask open adds sas "$work/a.sas" cordon-actions agent-a; like "$r" '^ok azure:[^?]*$' "its name has no secret"
ask put adds a.b.c; like "$r" '^ok$' "SAS: who may add, puts"
ask receive adds 1 60000; like "$r" '^auth denied .*a right is missing' "and may not receive"
ask open works sas "$work/rup" cordon-actions agent-a
ask receive works 1 60000; like "$r" 'text=a.b.c' "SAS: who may process, receives"; last
ask renew "$m" 60000 agent-a; like "$r" '^ok$' "and renews, who may update"
ask renew "$m" 60000; like "$r" '^ok$' "again"
ask depth works; like "$r" '^ok 1' "and counts, who may read"
ask dead "$m" x; like "$r" '^auth auth dead-letter queue: .*another queue' "the dead-letters are another queue's"
ask put works a.b.c; like "$r" '^auth denied' "and may not put"
ask complete "$m"; like "$r" '^ok$' "and completes"
sas cordon-actions-poison a >"$work/dead"
ask put a a.b.c; ask open up sas "$work/rup" cordon-actions agent-a "$work/dead"
ask receive up 1 60000; last
ask dead "$m" x; like "$r" '^ok$' "with a SAS of their own it is dead-lettered"
ask put a a.b.c; ask open p sas "$work/p" cordon-actions agent-a
ask receive p 1 60000; last
ask renew "$m" 60000; like "$r" '^auth denied .*a right is missing' "SAS: who may only process, cannot renew"
ask complete "$m"; like "$r" '^ok$' "but complete"
ask open over sas "$work/over" cordon-actions agent-a
ask receive over 1 60000; like "$r" '^auth auth .*its time is over' "a SAS whose time is over"
unlike "$r" 'sig=|se=' "and nothing of it in the words"

# --- a token -------------------------------------------------------------------------------------
/usr/bin/python3 "$here/secrets.py" jwt https://graph.microsoft.com >"$work/other"
ask open t token "$work/other" cordon-actions agent-a
ask receive t 1 60000; like "$r" '^auth auth .*token' "a token for another service"
unlike "$r" 'eyJ' "and nothing of it in the words"
/usr/bin/python3 "$here/secrets.py" jwt >"$work/jwt"
ask open t2 token "$work/jwt" cordon-actions agent-a
ask put t2 a.b.c; like "$r" '^ok$' "token: put"
ask receive t2 1 60000; like "$r" 'text=a.b.c' "token: received"; last
ask renew "$m" 60000 agent-a; like "$r" '^ok$' "token: renewed"
ask depth t2; like "$r" '^ok 1' "token: counted"
ask release "$m" 0; like "$r" '^ok$' "token: released"
ask receive t2 1 60000; last
ask dead "$m" x; like "$r" '^ok$' "token: dead-lettered"
leave; like $? '^0$' "the probe ends well"
kill "$server"; wait "$server" 2>/dev/null
[ ! -e "$work/a/ready" ] && ok "it leaves no sign of being ready" || not_ok "it leaves no sign of being ready"

# --- lost answers: a line that cuts the next one -------------------------------------------------
azurite k --plain --keep; [ -e "$work/k/ready" ] && ok "another, in clear" || not_ok "another, in clear"
port=$(sed -n 's/^AZURITE_PORT=//p' "$work/k/env")
mkdir "$work/line"
/usr/bin/python3 "$here/cut.py" "$work/line" "127.0.0.1:$port" 2>>"$work/cut.log" &
pids+=($!)
for _ in $(seq 100); do [ -e "$work/line/port" ] && break; sleep 0.1; done
client k "$(cat "$work/line/port")"
cut_next() { : >"$work/line/cut"; }
for q in cordon-actions cordon-actions-poison; do ask create $q "$key"; done
ask open a key "$key" cordon-actions agent-a
ask open b key "$key" cordon-actions agent-b
cut_next; ask put a a.b.c; like "$r" '^retry unproven' "a put whose answer is lost is unproven"
ask depth a; like "$r" '^ok 1' "it was done"
cut_next; ask receive a 1 1000; like "$r" '^(retry|ok 0)' "a receive whose answer is lost"
ask until a 60000; like "$r" 'deliveries=[2-9].*text=a.b.c' "what it took comes again"; last
cut_next; ask renew "$m" 2000; like "$r" '^lost' "a renewal whose answer is lost: the old receipt is over"
ask until b 60000; like "$r" 'text=a.b.c' "it comes again"; last
cut_next; ask complete "$m"; like "$r" '^(gone|retry)' "a completion whose answer is lost"
ask complete "$m"; like "$r" '^gone$' "is done"
ask depth a; like "$r" '^ok 0' "there is nothing left"

# --- an outage -----------------------------------------------------------------------------------
ask put a x.y.z; ask receive a 1 300000; last
ask renew "$m" 300000 agent-a; like "$r" '^ok$' "before the outage"
ask put a second.x.y
kill "$server"; wait "$server" 2>/dev/null
ask receive b 1 60000; like "$r" '^retry' "nobody is there: try again, a receive"
ask renew "$m" 300000; like "$r" '^retry' "a renewal"
ask complete "$m"; like "$r" '^retry' "a completion"
ask put b z.z.z; like "$r" '^retry' "a put"
ask depth b; like "$r" '^retry' "a count"
azurite k --plain --keep --port "$port" && ok "it is there again" || not_ok "it is there again"
ask receive b 9 60000; like "$r" '^ok 1\|.*text=second.x.y' "what waited is received; the lease still holds"; second=${r##*|}; second=${second%% *}
ask renew "$m" 300000; like "$r" '^ok$' "renewed, by the receipt from before"
ask complete "$m"; like "$r" '^ok$' "completed"
ask complete "$second"; like "$r" '^ok$' "and the other"
ask depth a; like "$r" '^ok 0' "nothing is left, and nothing twice"
leave; like $? '^0$' "the probe ends well"

! grep -aqE 'sig=|SharedKey|eyJ0eXAi' "$work"/probe.log && ok "no secret in what was said" || not_ok "no secret in what was said"
echo "1..$n"
[ "$failed" = 0 ]

#!/usr/bin/env bash
# The service under a load of mixed requests, killed with SIGKILL at random moments and started again:
# real AD, the stand-in tenant, Azurite for the queues. At the end service_tally.py goes through the
# ledger, the answers and the directory itself: every request one verdict, no effect doubled, no answer
# lost, and every word of it true.
#
#   LONG=1        500 requests, 100 kills (some ten minutes; docs/testing-long.md)
#   KILL_SEED=N   the moments of an earlier run
#   KILL_KEEP=DIR what it was judged by is left there
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/cloud_lib.sh
. "$(dirname "$0")/cloud_lib.sh"
# shellcheck source=tests/e2e/service_lib.sh
. "$(dirname "$0")/service_lib.sh"
count=40 kills=8
[ -z "${LONG:-}" ] || { count=500; kills=100; }
seed=${KILL_SEED:-$((RANDOM * 32768 + RANDOM))}
RANDOM=$((seed % 32768))
echo "# KILL_SEED=$seed: $count requests, $kills kills"

lab up --bulk 600 "$LAB_DIR" || { echo "Bail out! no lab"; exit 1; }
name() { printf 'u%05d' "$1"; }
# Of each ten requests: five disable, one contain, one expire, one reset, one enable; and one disable is
# held. Every other held one is declined. One account each.
actions=(disable disable contain disable expire-password disable reset-password disable enable held)
never=() enabled=() expired=()
for n in $(seq "$count"); do
    case ${actions[n % 10]} in
    held) never+=("$(name "$n")") ;;
    enable) enabled+=("$(name "$n")") ;;
    expire-password) expired+=("$(name "$n")") ;;
    esac
done
# What is to be enabled is disabled; what is to be expired has a password of today.
was() { # ATTRIBUTE VALUE ACCOUNT...
    local attribute=$1 value=$2 a; shift 2
    for a; do printf 'dn: CN=%s,OU=People,DC=corp,DC=example,DC=com\nchangetype: modify\nreplace: %s\n%s: %s\n\n' "$a" "$attribute" "$attribute" "$value"; done | admin_modify
}
was userAccountControl 546 "${enabled[@]}" && was pwdLastSet -1 "${expired[@]}" || { echo "Bail out! the accounts"; exit 1; }
cloud_up --latency 100 || { echo "Bail out! no stand-in"; exit 1; }
azurite_up || { echo "Bail out! no Azurite"; exit 1; }
keys || exit 1
one_ca
engine=azure cordon_set='confirm = 10s\nwait = 10s'
settings "never_disable = $(IFS=,; echo "${never[*]}")" || { echo "Bail out! the settings"; exit 1; }
skip=$(wc -l <"$LAB_DIR/dc1/log/audit.json") # what comes behind is the agent's

done_n=0
load() { # HOW MANY: the next so many, as who asks puts them on the queue
    local n a last=$((done_n + $1)) kind
    declare -A of=()
    [ "$last" -le "$count" ] || last=$count
    for n in $(seq $((done_n + 1)) "$last"); do
        kind=${actions[n % 10]}; [ "$kind" != held ] || kind=disable
        of[$kind]+="$(name "$n") "
    done
    done_n=$last
    for a in "${!of[@]}"; do
        # shellcheck disable=SC2086 # names
        submit "$a" ${of[$a]} --expires 50m 2>>"$work/submit.err" | sed "s/\"type\":\"submitted\"/&,\"action\":\"$a\"/" >>"$work/manifest.jsonl"
    done
}
people_decide() { # what waits for a person: every other one is approved
    local id account
    while read -r id account; do
        if [ $((10#${account#u} / 10 % 2)) = 0 ]; then decide approve "$id"; else decide decline "$id"; fi
    done < <(ask '{"do":"pending"}' 2>/dev/null | /usr/bin/python3 -c '
import json, sys
for line in sys.stdin:
    try:
        j = json.loads(line)
    except ValueError:
        continue
    for p in j["pending"]:
        print(p["id"], p["account"])' 2>/dev/null) >/dev/null 2>&1
}
each=$(((count + kills - 1) / kills))
: >"$work/manifest.jsonl"
# How long a start takes here: the moments of the kills are spread over that, and a second of work.
from=${EPOCHREALTIME//[.,]/}
started || { tail -n 5 "$work/run.log"; echo "Bail out! it does not start"; exit 1; }
spread=$(((${EPOCHREALTIME//[.,]/} - from) / 1000 + 1000))
stop
nap() { sleep "$(($1 / 1000)).$(printf '%03d' $(($1 % 1000)))"; } # MS
amid() { # until it takes one more
    local n
    n=$(grep -c ' taken' "$work/run.log")
    for _ in $(seq 200); do [ "$(grep -c ' taken' "$work/run.log")" = "$n" ] || return; sleep 0.02; done
}
there() { find "$results" -name '*.jws' 2>/dev/null | wc -l; } # answers
killed=0
for k in $(seq "$kills"); do
    [ $((RANDOM % 2)) = 0 ] || load "$each" # it finds them, or they come while it works
    start
    if [ "$done_n" -lt $((k * each)) ]; then
        { load "$each"; people_decide; } 2>/dev/null &
    else
        people_decide 2>/dev/null &
    fi
    loader=$!
    done_n=$((k * each < count ? k * each : count)) # the loader is a child
    if [ $((RANDOM % 3)) = 0 ]; then nap $((RANDOM % spread)); else amid; nap $((RANDOM % 400)); fi
    kill -KILL "$pid" && killed=$((killed + 1))
    wait "$pid" 2>/dev/null
    wait "$loader"
done
is "$killed" "$kills" "killed $kills times"
is "$(grep -c . "$work/manifest.jsonl")" "$count" "$count requests were put on the queue meanwhile"
echo "# $(there) were answered when the last kill came; cases found unfinished at a start: $(grep -c 'taken up: running' "$work/run.log")"
started || { tail -n 5 "$work/run.log"; echo "Bail out! it does not start"; exit 1; }
ok "it starts once more, and is left alone"
all_answered() { people_decide; [ "$(there)" = "$count" ]; }
within=$((60 + count)); until_so all_answered; is "$(there)" "$count" "every request has an answer"
idle() { [ "$(depth "$requests")" = 0 ] && ask '{"do":"status"}' | grep '"in_flight":0,"waiting":0,"held":0,"outbox":0' >/dev/null; }
until_so idle; is $? 0 "and nothing is left to be done"
stop; is $? 0 "SIGTERM ends it well"

cord audit verify >"$work/out" 2>"$work/err"; is $? 0 "the hash chain is whole"
cord audit export >"$work/export.jsonl"
lab exec "$LAB_DIR" -u admin ldapsearch -Q -Y GSSAPI -N -LLL -o ldif-wrap=no -E pr=500/noprompt -H ldap://dc1.corp.example.com \
    -b OU=People,DC=corp,DC=example,DC=com '(objectClass=user)' sAMAccountName userAccountControl pwdLastSet >"$work/people.ldif"
order GET users >"$work/entra.json"
bad=0; for f in "$results"/*.jws; do "$cordon" verify --key "$LAB_DIR/agent.pub" "$f" >"$work/out" 2>&1 || bad=$((bad + 1)); done
is "$bad" 0 "every answer is signed by the agent"
lab exec "$LAB_DIR" /usr/bin/python3 "$here/tests/e2e/service_tally.py" --manifest "$work/manifest.jsonl" \
    --ledger "$work/export.jsonl" --results "$results" --audit "$LAB_DIR/dc1/log/audit.json" --skip "$skip" \
    --people "$work/people.ldif" --entra "$work/entra.json" --azure "$azure" --queues "$requests" "$answers" >"$work/tally" 2>&1
is "$?" 0 "the tally agrees"
[ -z "${KILL_KEEP:-}" ] || cp -r "$work/." "$KILL_KEEP"
sed 's/^/# /' "$work/tally"
is "$(violations)" "[]" "every request to the cloud was as the description says"
calm
done_testing

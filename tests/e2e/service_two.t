#!/usr/bin/env bash
# Two agents with two ledgers on one queue (Azurite, the real AD): nothing is done twice, both work,
# one that dies is taken over when its leases end, and what is not the same done twice is proven
# before it is done. Needs the dev build (failpoints).
#
#   LONG=1   1,000 requests, not 60 (docs/testing-long.md)
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/azure_lib.sh
. "$here/tests/e2e/azure_lib.sh"
n=60; [ "${LONG:-0}" = 0 ] || n=1000
lab up --bulk $((n + 60)) "$LAB_DIR" && azurite_up --plain --keep && keys soar agent || { echo "Bail out! no lab, or no Azurite"; exit 1; }
box make cordon-requests cordon-requests-poison cordon-results
in_flight=10
lease=2m settings one "$conf" "key_file = $AZURITE_KEY"
export CORDON_CONFIG=$conf
called() { sed "s/^agent = one/agent = $1/" "$conf" >"$LAB_DIR/$1.conf"; chmod 600 "$LAB_DIR/$1.conf"; } # NAME: another agent's settings
called two
leases() { sed -i "s/^lease = .*/lease = $1/" "$conf" "$LAB_DIR/two.conf"; }
account() { printf 'u%05d' "$1"; }
admin_sets() { # ATTRIBUTE VALUE ACCOUNT...
    local a name=$1 value=$2; shift 2
    for a; do printf 'dn: CN=%s,OU=People,DC=corp,DC=example,DC=com\nchangetype: modify\nreplace: %s\n%s: %s\n\n' "$a" "$name" "$name" "$value"; done | admin_modify
}
every() { local i; for i in $(seq "$n"); do [ $((i % 4)) != "$1" ] || { account "$i"; echo; }; done; } # of four
# effects FILE: "ACCOUNT changes-of-uac resets-of-the-password changes-of-pwdLastSet" from the DC's log, from line $from on
from=1
effects() {
    tail -n "+$from" "$LAB_DIR/dc1/log/audit.json" | /usr/bin/python3 -c '
import collections, json, sys
n = collections.defaultdict(lambda: [0, 0, 0])
for line in sys.stdin:
    try:
        j = json.loads(line)
    except ValueError:
        continue
    c, p = j.get("dsdbChange"), j.get("passwordChange")
    if c and c["operation"] == "Modify" and c["statusCode"] == 0:
        for i, a in ((0, "userAccountControl"), (2, "pwdLastSet")):
            n[c["dn"].split(",")[0].lower()[3:]][i] += a in c.get("attributes", {})
    if p and p["statusCode"] == 0:
        n[p["dn"].split(",")[0].lower()[3:]][1] += 1
for a in sorted(n):
    print(a, *n[a])'
}
effect() { effects | sed -n "s/^$1 //p" | grep . || echo 0 0 0; }
now_from() { from=$(($(wc -l <"$LAB_DIR/dc1/log/audit.json") + 1)); }

# --- a load of mixed requests on both
mapfile -t some < <(every 0); admin_sets userAccountControl 546 "${some[@]}"
mapfile -t some < <(every 3); admin_sets pwdLastSet -1 "${some[@]}" # new ones have none to expire
sleep 2; now_from
start "$conf" "$LAB_DIR/state" one; one=$pid
start "$LAB_DIR/two.conf" "$LAB_DIR/state2" two; two=$pid
began=$SECONDS
actions=(enable disable reset-password expire-password) # by the account's number
for k in 0 1 2 3; do
    mapfile -t some < <(every "$k")
    submit "${actions[k]}" "${some[@]}" --expires 50m --json >>"$work/sub" 2>>"$work/err" &
    putters+=($!)
done
for p in "${putters[@]}"; do wait "$p"; done
mapfile -t ids < <(ids_of "$work/sub")
is "${#ids[@]}" "$n" "$n requests on one queue"
all_answered() { [ "$(answers)" -ge "$n" ]; }
tries=6000 until_so all_answered; is $? 0 "two agents: each is answered"
tries=100 until_so empty; is "$(box count cordon-requests) $(box count cordon-requests-poison)" "0 0" "  and nothing is left on the queue"
echo "# in $((SECONDS - began)) s"
# by_both WANT...: of the requests on stdin ("ID" lines), over both ledgers, all that is not as it should be
by_both() {
    export_ledger >"$work/e1"; export_ledger "$LAB_DIR/state2" >"$work/e2"
    /usr/bin/python3 - "$work/e1" "$work/e2" "$results" "${ids[@]}" <<'P'
import base64, collections, json, sys
taken, results, verdicts, case, shares = collections.Counter(), collections.Counter(), collections.Counter(), {}, collections.Counter()
for e in sys.argv[1:3]:
    for line in open(e, encoding='utf-8'):
        r = json.loads(line)
        if r['kind'] == 'request':
            taken[r['body']['request']] += 1
            case[r['case']] = r['body']['request']
        elif r['kind'] == 'result':
            results[r['body']['request']] += 1
        elif r['kind'] == 'verdict' and r['case'] in case:
            verdicts[case[r['case']]] += 1
words = collections.Counter()
for i in sys.argv[4:]:
    body = open('%s/%s.jws' % (sys.argv[3], i)).read().split('.')[1]
    a = json.loads(base64.urlsafe_b64decode(body + '=' * (-len(body) % 4)))
    shares[a['agent']] += 1
    words[a['verdict']['verdict']] += 1
    if (taken[i], results[i], verdicts[i]) != (1, 1, 1):
        print('#', i, taken[i], results[i], verdicts[i])
print('shares', *['%s %d' % x for x in sorted(shares.items())])
print('verdicts', *['%s %d' % x for x in sorted(words.items())])
P
}
by_both >"$work/both"
is "$(grep -c '^#' "$work/both")" 0 "  each was taken by one of them, has one verdict and one answer"
is "$(sed -n 's/^verdicts //p' "$work/both")" "done $n" "  all are done"
sed -n 's/^shares/# shares:/p' "$work/both"
like "$(sed -n 's/^shares //p' "$work/both")" "^one [1-9][0-9]* two [1-9][0-9]*$" "  both did some"
effects >"$work/effects"
bad=$(for i in $(seq "$n"); do
    a=$(account "$i"); got=$(sed -n "s/^$a //p" "$work/effects")
    case $((i % 4)):$got in 0:1\ 0\ *|1:1\ 0\ *|2:0\ 2\ *|3:0\ 0\ 1) ;; *) echo "$a ${actions[i % 4]}: $got;" ;; esac
done)
is "$bad" "" "  by the DC's own log: each enabled, disabled or expired by one change, each password reset once (which is two changes)"
stop "$two"; is $? 0 "SIGTERM ends one well"
stop "$one"; is $? 0 "and the other"
is "$(cat "$work"/run.one "$work"/run.two | grep -c 'lease is not renewed')" 0 "no lease was lost under load"

# --- one is killed under load; the other takes over; it comes back
leases 30s
start "$conf" "$LAB_DIR/state" one; one=$pid
mapfile -t ids < <(for i in $(seq 41 52); do submit disable "$(account $((n + i)))" --expires 50m --json; done | sed -n 's/.*"id":"\([^"]*\)".*/\1/p')
start "$LAB_DIR/two.conf" "$LAB_DIR/state2" two; two=$pid
kill -KILL "$one"; wait "$one" 2>/dev/null
tries=600 until_so answered "${ids[@]}"; is $? 0 "one is killed under load: all are answered by the other, or were"
start "$conf" "$LAB_DIR/state" one; one=$pid
nothing() { ask '{"do":"status"}' | grep '"in_flight":0,"waiting":0' >/dev/null; }
until_so nothing; is $? 0 "  it comes back, and ends what it had"
bad=$(for i in $(seq 41 52); do a=$(account $((n + i))); [ "$(effect "$a" | cut -d' ' -f1) $(uac "$a")" = "1 546" ] || echo "$a $(effect "$a") $(uac "$a");"; done)
is "$bad" "" "  each is disabled, by one change"
stop "$one"; stop "$two"

# --- what is not the same done twice: an agent dies at the n-th thing that it sends
mapfile -t some < <(for i in $(seq 21 40); do account $((n + i)); echo; done)
admin_sets userAccountControl 546 "${some[@]}"; sleep 2; now_from
dies() { # ACTION ACCOUNT N: an agent of its own takes it, and dies; its request in $id
    called "d$2"
    submit "$1" "$2" --expires 50m --json >"$work/sub"; id=$(ids_of "$work/sub")
    timeout 60 env "LAB_DIR=$LAB_DIR" "$here/tests/lab/lab" exec "$LAB_DIR" env "CORDON_CONFIG=$LAB_DIR/d$2.conf" "CORDON_STATE=$LAB_DIR/d$2" \
        "CORDON_FAILPOINT=send:$3:kill" "$cordon" run --once --allow-root >>"$work/run.dead" 2>&1
    [ $? -ge 128 ] || not_ok "it dies at its $3. request ($1)"
}
# sweep ACTION FIRST COLUMN: from the first request on, until a second one has died behind a change
cases=()
sweep() {
    local k=0 behind=0 a
    while [ $behind -lt 2 ] && [ $k -lt 18 ]; do
        k=$((k + 1)); a=$(account $((n + $2 + k)))
        dies "$1" "$a" "$k"; cases+=("$1 $a $id")
        [ "$(effect "$a" | cut -d' ' -f"$3")" = 0 ] || behind=$((behind + 1))
    done
    [ $behind = 2 ] && ok "$1: died at each of its first $k requests, the last two behind a change" || not_ok "$1: died behind a change" "$k tries"
} 2>/dev/null
sweep reset-password 0 2; sweep enable 20 1
# A containment that came after it: enabled by the one that died, disabled again by an admin.
read -r _ a contained <<<"${cases[-1]}"; unset 'cases[-1]'
admin_sets userAccountControl 546 "$a"
done_so_far=(); for c in "${cases[@]}"; do read -r _ b _ <<<"$c"; done_so_far+=("$(effect "$b")"); done
start "$LAB_DIR/two.conf" "$LAB_DIR/state2" two; two=$pid
held() { ask '{"do":"pending"}' "$LAB_DIR/state2" | grep "\"id\":\"$1\"" >/dev/null; }
told() { [ -e "$results/$1.jws" ] || held "$1"; }
wrong='' stopped=0
for k in "${!cases[@]}"; do
    read -r action b id <<<"${cases[k]}"; read -r flags resets _ <<<"${done_so_far[k]}"
    tries=600 until_so told "$id" || wrong+="$action of $b: neither answered nor held; "
    read -r flags2 resets2 _ <<<"$(effect "$b")"
    if [ "$action" = enable ]; then # there already, or once
        [ "$(answer "$id" agent verdict/verdict) $(uac "$b") $flags2" = "genuine two done 544 1" ] || wrong+="$action of $b: $flags, then $flags2; "
    elif [ "$resets" = 0 ]; then # nothing was changed: the other one does it
        [ "$(answer "$id" agent verdict/verdict) $resets2" = "genuine two done 2" ] || wrong+="$action of $b: not done: $resets2; "
    else # a person must look
        stopped=$((stopped + 1))
        ask '{"do":"pending"}' "$LAB_DIR/state2" | grep "\"id\":\"$id\"[^}]*\"rule\":\"taken-over\"" >/dev/null && [ "$resets" = "$resets2" ] || wrong+="$action of $b: $resets resets, then $resets2; "
    fi
done
is "$wrong" "" "taken over: enabled once, reset once; where it may have been reset, it is not reset again"
[ "$stopped" -ge 2 ] && ok "  a person must look at $stopped of them" || not_ok "  a person must look at two or more" "$stopped"
tries=400 until_so told "$contained"
held "$contained"; is "$? $(uac "$a")" "0 546" "enable, and the account was contained meanwhile: held, and not given back"
stop "$two"; is $? 0 "SIGTERM ends it well"
whole && whole "$LAB_DIR/state2"; is $? 0 "both chains are whole"
azurite_down
sanitizers
done_testing

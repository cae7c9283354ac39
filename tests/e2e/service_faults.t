#!/usr/bin/env bash
# What goes wrong around the service: DCs and the KDC away, the queue away, the tenant that says "later",
# a full disk, a clock that is set, a ledger that somebody holds, a broken configuration, a stop in
# mid-case, people who do not decide, a brake. docs/faults.md says what is right; here it is asked for.
# One question each time: did the verdict tell the truth, was anything lost or done twice, was an
# account touched that must not be?
#
#   service_faults.t [PART...]   only these: dcs kdc held brake ledger config stop disk writes clock tenant queue
#   LONG=1                       Azurite is away for two minutes, not for seconds (docs/testing-long.md)
# shellcheck disable=SC2317,SC2030,SC2031 # parts are functions, in shells of their own
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/cloud_lib.sh
. "$(dirname "$0")/cloud_lib.sh"
# shellcheck source=tests/e2e/service_lib.sh
. "$(dirname "$0")/service_lib.sh"
# The lab takes over what is mounted now.
mkdir "$work/small"
mount -t tmpfs -o size=2m,mode=700 cordon-test "$work/small" || { echo "Bail out! no tmpfs"; exit 1; }
small=$work/small
other=$work/lab2 # for what is done to DCs
trap 'umount "$small" 2>/dev/null; lab down "$other" >/dev/null 2>&1; finish' EXIT
lab up --dcs 2 --bulk 120 "$LAB_DIR" && lab up --dcs 2 --bulk 120 "$other" || { echo "Bail out! no lab"; exit 1; }
keys || exit 1
cp -p "$LAB_DIR"/{soar,agent}.p* "$other"
n=0
next() { n=$((n + 1)); account=$(printf 'u%05d' "$n"); } # $account: nobody has been asked for it yet
verdict_of() { answer "$1" verdict/verdict verdict/proof; }
wait_for() { until_so answered "$1"; } # ID
degraded() { ask '{"do":"status"}' | grep "\"degraded\":\[[^]]*$1" >/dev/null; }
is_off() { [ $(($(uac "$1") & 2)) = 2 ]; }
all_ready() { ask '{"do":"status"}' | grep '"dcs_ready":2' >/dev/null; }
fine() { ask '{"do":"status"}' | grep '"degraded":\[\]' >/dev/null; }
both() { changes "$1" "${2:-userAccountControl}" dc1; changes "$1" "${2:-userAccountControl}" dc2; } # as many lines
counts() { both "$@" | tr '\n' ' '; }

part_dcs() { # DCs, one and both
    started; is $? 0 "the service runs"
    lab cut dc2 "$LAB_DIR"
    next; i=$(id disable "$account"); wait_for "$i"
    is "$(verdict_of "$i")" "done logged" "dc2 cut: done at dc1, and no more is claimed"
    like "$(answer "$i" verdict/residual)" "dc2" "  dc2 is named among what is still open"
    lab join dc2 "$LAB_DIR"
    lab cut dc1 "$LAB_DIR"
    next; i=$(id disable "$account"); wait_for "$i"
    is "$(verdict_of "$i")" "done logged" "dc1 cut: done at dc2"
    next; i=$(id expire-password alice); wait_for "$i"
    is "$(verdict_of "$i") $(changes alice pwdLastSet dc2)" "done logged 1" "  what goes to one DC goes to the other"
    lab cut dc2 "$LAB_DIR"
    next; late=$account; over=$(id disable "$late" --expires 10s)
    next; i=$(id disable "$account")
    within=30 until_so degraded DC; is $? 0 "both cut: status says that no DC can be used"
    within=40 wait_for "$over"
    is "$(answer "$over" verdict/verdict verdict/proof verdict/rule)" "failed none expired" "  what expires meanwhile is told so"
    answered "$i"; is $? 1 "  the other waits"
    lab join dc1 "$LAB_DIR"; lab join dc2 "$LAB_DIR"
    within=70 wait_for "$i"
    like "$(verdict_of "$i")" "^done (logged|everywhere)$" "joined: it is carried out"
    until_so is_off "$account"; is $? 0 "  and comes to both DCs"
    is "$(counts "$late")" "0 0 " "  and what had expired was never touched"
    within=70 until_so fine; is $? 0 "  status is content again"
    stop
}
part_kdc() { # the KDC
    kdc() { # add|del: port 88 answers no more | again
        local dc p
        for dc in dc1 dc2; do for p in tcp udp; do lab exec "$LAB_DIR" -n $dc ip rule "$1" ipproto $p sport 88 blackhole; done; done
    }
    started; within=70 until_so all_ready
    kdc add
    next; i=$(id disable "$account"); wait_for "$i"
    is "$(verdict_of "$i")" "done everywhere" "the KDC is away: connections that stand go on"
    stop; start; until_so talks; is $? 0 "  started without it: it runs, and can be asked"
    next; i=$(id disable "$account")
    within=60 until_so degraded 'no DC of [^"]*KDC'; is $? 0 "  and says what is missing"
    kdc del
    within=70 wait_for "$i"; is "$(verdict_of "$i") $(counts "$account")" "done everywhere 1 1 " "the KDC is back: carried out"
    stop
}
part_held() { # held, and nobody decides
    service_set='hold_expires = 10s' settings 'never_disable = vip1, vip2' || exit 1; started
    i=$(id disable vip1); until_so held "$i"
    k=$(id disable vip2); until_so held "$k"
    stop # its time passes while the service is away, too
    within=12 until_so false # the hold's time
    started
    within=30 wait_for "$i"; wait_for "$k"
    is "$(answer "$i" verdict/verdict verdict/rule) $(answer "$k" verdict/rule) $(uac vip1)" "refused hold-expired hold-expired 512" "nobody decided in time: refused, nothing done"
    like "$(decide approve "$i")" '"type":"error"' "  an approval that comes later is an error"
    is "$(records result "$i") $(counts vip1)" "1 0 0 " "  and changes nothing"
    stop
}
part_brake() { # the brake
    settings 'brake = 3 per 10m' || exit 1; started
    ids=() names=()
    for _ in 1 2 3; do next; names+=("$account"); ids+=("$(id disable "$account")"); wait_for "${ids[-1]}"; done
    is "$(for i in "${ids[@]}"; do verdict_of "$i"; done | sort -u)" "done everywhere" "three are let through"
    next; i=$(id disable "$account"); until_so held "$i"
    is "$? $(uac "$account")" "0 544" "the fourth is held by the brake"
    logged 'brake: 3 changes'; is $? 0 "  with an alarm"
    kill -KILL "$pid"; wait "$pid" 2>/dev/null; started
    is "$(ask '{"do":"status"}' | grep -c '"engaged":true')" 1 "killed and started again: it is engaged still"
    last=$account; next; k=$(id disable "$account"); until_so held "$k"
    is "$? $(uac "$account")" "0 544" "  and holds"
    decide approve "$i" >/dev/null; wait_for "$i"
    is "$(verdict_of "$i") $(counts "$last")" "done everywhere 1 1 " "approved by a person: carried out all the same"
    like "$(ask '{"do":"brake","why":"a drill"}')" '"type":"done"' "released by a person"
    next; j=$(id disable "$account"); wait_for "$j"
    is "$(verdict_of "$j")" "done everywhere" "  the next one goes by itself"
    held "$k"; is $? 0 "  what was held waits for its own approval"
    decide decline "$k" >/dev/null; wait_for "$k"
    stop
}
part_ledger() { # somebody holds the ledger
    started
    hold() { # SECONDS
        /usr/bin/python3 - "$state/ledger.db" "$1" "$work/holding" <<'P'
import sqlite3, sys, time
c = sqlite3.connect(sys.argv[1], isolation_level=None)
c.execute('BEGIN IMMEDIATE')
open(sys.argv[3], 'w').close()
time.sleep(float(sys.argv[2]))
c.execute('ROLLBACK')
P
    }
    hold 2 & holder=$!
    until_so test -e "$work/holding"
    next; i=$(id disable "$account"); wait "$holder"; wait_for "$i"
    is "$(verdict_of "$i") $(counts "$account")" "done everywhere 1 1 " "for 2 s: it is waited for"
    rm -f "$work/holding"; hold 12 & holder=$!
    until_so test -e "$work/holding"
    next; i=$(id disable "$account")
    within=14 until_so logged 'nothing new is taken while the ledger cannot be written'; is $? 0 "for longer: nothing is taken"
    is "$(uac "$account")" 544 "  and nothing is done that could not be written down"
    wait "$holder"
    within=70 wait_for "$i"; is "$(verdict_of "$i") $(counts "$account")" "done everywhere 1 1 " "  free again: carried out, once"
    stop
}
part_config() { # a configuration that is broken
    started; within=70 until_so all_ready
    cp -p "$conf" "$work/good.conf"
    for bad in 's/^key = .*/key = \/nonexistent/' 's/^engine.*//; s/^directory = .*/direktory = x/' 's/^never_disable.*//; s/^brake_ou.*/never_disable = group:NoSuch/'; do
        m=$(grep -c 'old one is kept' "$work/run.log")
        sed "$bad" "$work/good.conf" >"$conf"; kill -HUP "$pid"
        kept() { [ "$(grep -c 'old one is kept' "$work/run.log")" -gt "$m" ]; }
        until_so kept; is $? 0 "on SIGHUP: refused, the old one is kept ($bad)"
    done
    chmod 644 "$work/good.conf"; cp -p "$work/good.conf" "$conf"; chmod 666 "$conf"; m=$(grep -c 'old one is kept' "$work/run.log"); kill -HUP "$pid"
    until_so kept; is $? 0 "so is one that anybody may write"
    next; i=$(id disable "$account" --domain corp.example.com 2>/dev/null)
    [ -n "$i" ] || { chmod 600 "$conf"; i=$(id disable "$account"); }
    wait_for "$i"; is "$(verdict_of "$i")" "done everywhere" "  requests are carried out by the old one"
    chmod 600 "$conf"
    stop
}
part_stop() { # told to stop
    started; within=70 until_so all_ready
    lab hang dc2 "$LAB_DIR"
    next; i=$(id disable "$account"); until_so logged "$i.*taken"
    within=10 until_so test "$(changes "$account" userAccountControl dc1)" -ge 1
    stop; is $? 0 "SIGTERM in mid-case, a DC hangs: it ends well"
    lab wake dc2 "$LAB_DIR"; lab ready dc2 "$LAB_DIR" >/dev/null
    started; within=40 wait_for "$i"
    like "$(verdict_of "$i") $(counts "$account")" "^done (logged|everywhere) 1 [01] $" "  the next start goes on with it: done, and once at each DC"
    lab hang dc1 "$LAB_DIR"; lab hang dc2 "$LAB_DIR"
    next; i=$(id disable "$account"); until_so logged "$i.*taken"
    kill -TERM "$pid"; until_so logged 'stopping: '; kill -TERM "$pid"; wait "$pid"; is $? 143 "SIGTERM twice: at once"
    lab wake dc1 "$LAB_DIR"; lab wake dc2 "$LAB_DIR"
    started; within=70 wait_for "$i"
    like "$(verdict_of "$i") $(counts "$account")" "^done (logged|everywhere) 1 [01] $" "  the next start goes on"
    stop
}
part_disk() { # the disk is full
    mkdir -m 700 "$small/state"; state=$small/state; started
    next; i=$(id disable "$account"); wait_for "$i"; is "$(verdict_of "$i")" "done everywhere" "there is room"
    dd if=/dev/zero of="$small/filler" bs=4k >/dev/null 2>&1
    ids=() names=()
    # The log of the database may have room still: as many as it takes.
    for _ in $(seq 12); do
        next; names+=("$account"); ids+=("$(id disable "$account")")
        within=1 until_so logged 'cannot be written: .*full' && break
        dd if=/dev/zero of="$small/filler2" bs=4k >/dev/null 2>&1
    done
    like "$(ask '{"do":"status"}')" '"state":"ledger-failed"' "full: status says that the ledger cannot be written"
    next; k=$(id disable "$account"); within=2 until_so answered "$k"
    # What is small may find room still; then it is on record and answered.
    like "$(answer "$k" verdict/verdict) $(counts "$account")" "^(none 0 0|done 1 1) $" "  nothing is done that is not written down"
    rm -f "$small"/filler*
    ids+=("$k") names+=("$account")
    for i in "${ids[@]}"; do within=90 wait_for "$i"; done
    is "$(for i in "${ids[@]}"; do answer "$i" verdict/verdict; done | sort -u)" "done" "room again: all of it is carried out"
    is "$(for a in "${names[@]}"; do counts "$a"; echo; done | sort -u)" "1 1 " "  each once"
    stop; is $? 0 "  it ends well"
}
part_writes() { # that fail, now and then
    grep -q CORDON_FAILPOINT "$cordon" || return # a release
    extra_env="CORDON_FAILPOINT=$(for k in 4 9 13 22 30; do printf 'commit-before:%d:fail,commit:%d:fail,' $k $((k + 2)); done | sed 's/,$//')" started
    ids=() names=()
    for _ in $(seq 8); do next; names+=("$account"); done
    mapfile -t ids < <(submit disable "${names[@]}" | sed -n 's/.*"id":"\([^"]*\)".*/\1/p')
    for i in "${ids[@]}"; do within=90 wait_for "$i"; done
    is "$(for i in "${ids[@]}"; do answer "$i" verdict/verdict; done | sort -u)" "done" "all are carried out in the end"
    is "$(for a in "${names[@]}"; do counts "$a"; echo; done | sort -u)" "1 1 " "  each once"
    is "$(for i in "${ids[@]}"; do records request "$i"; records result "$i"; done | sort -u)" "1" "  each taken and answered once, on record"
    stop
}
part_clock() { # the clock is set
    cc -shared -fPIC -O1 -o "$work/clock.so" "$here/tests/e2e/clock.c" || { echo "Bail out! clock.so"; exit 1; }
    set_clock() { printf '%-30s\n' "$1" 1<>"$work/clock"; } # MS from the right time
    preload() { # with the sanitizers' library in front, where the program has one
        local asan
        asan=$(ldd "$cordon" | sed -n 's/.*=> \(.*libasan[^ ]*\) .*/\1/p')
        echo "CORDON_CLOCK=$work/clock LD_PRELOAD=${asan:+$asan:}$work/clock.so"
    }
    : >"$work/clock"; set_clock 0
    extra_env=$(preload); started; within=70 until_so all_ready
    next; i=$(id disable "$account"); wait_for "$i"; is "$(verdict_of "$i")" "done everywhere" "the clock is right"
    set_clock -600000
    next; i=$(id disable "$account"); wait_for "$i"
    like "$(answer "$i" outcome detail)" "^from-the-future " "put back by 10 minutes: what is asked for now is from the future, and told so"
    is "$(counts "$account")" "0 0 " "  nothing is done"
    over() { grep -q 'time was over' "$spool"/dead/*.reason; }
    set_clock 600000
    next; id disable "$account" --expires 5m >/dev/null; until_so over
    like "$(cat "$spool"/dead/*.reason) $(counts "$account")" "time was over.* 0 0 $" "put forward by 10 minutes: what is good for 5 is over, and put aside with the reason"
    next; i=$(id disable "$account" --expires 30m); until_so held "$i"
    is "$? $(counts "$account")" "0 0 0 " "  what is good for longer is held: nobody can say what is fresh"
    like "$(ask '{"do":"pending"}')" "the clock of dc[12].corp.example.com is (9|10) min" "  with the cause"
    decide approve "$i" >/dev/null; wait_for "$i"
    like "$(verdict_of "$i") $(counts "$account")" "^done [a-z-]+ 1 1 $" "  approved by a person: carried out"
    set_clock 0
    next; i=$(id disable "$account" --expires 5m); within=20 wait_for "$i"
    is "$(answer "$i" outcome) $(counts "$account")" "expired 0 0 " "right again: judged by the latest time that was ever seen; what could be a replay is not taken"
    next; i=$(id disable "$account" --expires 30m); wait_for "$i"
    is "$(verdict_of "$i") $(counts "$account")" "done everywhere 1 1 " "  what is good for longer is carried out"
    kill -KILL "$pid"; wait "$pid" 2>/dev/null; started
    next; i=$(id disable "$account" --expires 5m); within=20 wait_for "$i"
    is "$(answer "$i" outcome) $(counts "$account")" "expired 0 0 " "  nor does a restart forget that time"
    stop
}
part_tenant() { # the tenant is busy
    cloud_up || { echo "Bail out! no stand-in"; exit 1; }
    cp -p "$work/c.conf" "$work/plain.conf"
    cordon_set='confirm = 5s\nwait = 10s' settings || exit 1
    started; within=70 until_so all_ready
    fault '{"match": {"service": "graph", "times": 2}, "do": {"status": 429, "retryAfter": "1"}}'
    next; i=$(id disable "$account"); within=60 wait_for "$i"
    is "$(answer "$i" verdict/verdict) $(counts "$account")$(entra "$account" accountEnabled)" "done 1 1 false" "429 for a while: waited for as told, and done in both worlds"
    no_faults
    fault '{"match": {"service": "graph", "method": "PATCH", "times": 0}, "do": {"status": 429, "retryAfter": "1"}}'
    next; i=$(id disable "$account"); within=90 wait_for "$i"
    like "$(answer "$i" verdict/verdict) $(counts "$account")$(entra "$account" accountEnabled)" "^(partial|unconfirmed|failed|unknown) 1 1 true$" "429 and no end: AD's part is done, and no more is claimed"
    no_faults
    stop
    is "$(violations)" "[]" "every request to the cloud was as the description says"
    }
part_queue() { # the queue is away
    azurite_up || { echo "Bail out! no Azurite"; exit 1; }
    one_ca
    next; mine=$account
    engine=azure; settings "never_disable = $mine" || exit 1
    started; within=70 until_so all_ready
    long=4; [ -z "${LONG:-}" ] || long=120
    v=$(id disable "$mine"); until_so held "$v"
    next; a=$account; i=$(id disable "$a"); until_so logged "$i.*taken"; azurite_down # in mid-case
    decide approve "$v" >/dev/null
    within=60 wait_for "$v"; within=60 wait_for "$i"
    is "$(answer "$v" verdict/verdict) $(uac "$mine") $(answer "$i" verdict/verdict) $(counts "$a")" "done 546 done 1 1 " "Azurite stopped: what was taken is carried out, and answered where that can be done"
    within=$long until_so false # so long it is away
    degraded 'the queue cannot be read'; is $? 0 "  status says that the queue cannot be read"
    azurite_up || { echo "Bail out! no Azurite"; exit 1; }
    next; k=$(id disable "$account"); within=100 wait_for "$k"
    is "$(answer "$k" verdict/verdict)" done "Azurite is back: the next request is carried out"
    delivered() { [ "$(ask '{"do":"status"}' | grep -c '"outbox":0')" = 1 ] && [ "$(depth "$requests")" = 0 ]; }
    within=80 until_so delivered; is $? 0 "  every answer got there, and the queue is empty"
    is "$(counts "$a")$(records delivered "$v") $(records delivered "$i") $(records result "$i")" "1 1 1 1 1" "  nothing was done twice"
    within=30 until_so fine; is $? 0 "  status is content again"
    stop; is $? 0 "SIGTERM ends it well"
    stop; is $? 0 "SIGTERM ends it well"
}

# Each part has a service, a ledger, a queue and accounts of its own.
declare -A first=([dcs]=0 [kdc]=10 [brake]=20 [ledger]=30 [config]=35 [stop]=40 [disk]=45 [writes]=65 [clock]=75 [tenant]=90 [queue]=95)
run_part() { (
    n=${first[$1]:-0} tap=0
    mkdir "$work/$1"
    case $1 in dcs | kdc | stop) LAB_DIR=$other; cp -p "$other/cordon.conf" "$work/$1/plain.conf" ;; *) cp -p "$work/plain.conf" "$work/$1" ;; esac
    work=$work/$1
    state=$LAB_DIR/state-$1 spool=$LAB_DIR/spool-$1 results=$LAB_DIR/results-$1
    mkdir -m 700 "$state"
    SECONDS=0
    settings && "part_$1"
    stop 2>/dev/null
    [ ! -e "$state/ledger.db" ] || { cord audit verify >/dev/null 2>&1; is $? 0 "  the chain is whole"; }
    calm
    echo "# $1: $SECONDS s"
) >"$work/$1.tap" 2>"$work/$1.err"; }
one_by_one() { local part; for part; do run_part "$part"; done; }
pids=() turns=() cuts=()
[ $# -gt 0 ] || set -- disk ledger held brake config writes clock tenant queue dcs kdc stop
for part; do # beside each other, but for those that share the tenant, or the DCs that things are done to
    case $part in
    tenant | queue) turns+=("$part") ;;
    dcs | kdc | stop) cuts+=("$part") ;;
    *) run_part "$part" & pids+=($!) ;;
    esac
done
one_by_one "${cuts[@]}" & pids+=($!)
one_by_one "${turns[@]}"
wait "${pids[@]}"
for part; do
    echo "# --- $part"
    while IFS= read -r line; do
        case $line in
        ok\ * | not\ ok\ *) tap=$((tap + 1)); echo "${line%%ok*}ok $tap - ${line#* - }" ;;
        *) echo "$line" ;;
        esac
    done <"$work/$part.tap"
done
done_testing

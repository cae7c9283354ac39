#!/usr/bin/env bash
# A hostile queue: messages by whoever means no good, mixed with good ones, on Azurite and the real
# AD. Exactly the good ones are carried out, each bad one is put aside with its reason, and what
# that costs the ledger and the memory is bounded.
#
#   LONG=1   10,000 hostile ones and 100 good ones, not 300 and 10 (docs/testing-long.md); there memory is
#            worth a look, with CORDON=build/release/cordon
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/azure_lib.sh
. "$here/tests/e2e/azure_lib.sh"
bad=300 good=10 patience=300
[ "${LONG:-0}" = 0 ] || { bad=10000 good=100 patience=9000; }
lab up --bulk 120 "$LAB_DIR" && azurite_up --plain --keep && keys soar stranger agent || { echo "Bail out! no lab, or no Azurite"; exit 1; }
box make cordon-requests cordon-requests-poison cordon-results
settings one "$conf" "key_file = $AZURITE_KEY" "max_age = 1h"
export CORDON_CONFIG=$conf
records() { export_ledger | grep -c .; }

# --- one that was taken before, for those that copy it
start
submit disable alice --domain corp.example.com --out - >"$work/done" 2>"$work/err"
raw "$(cat "$work/done")"
taken() { [ "$(box count cordon-results)" = 1 ]; }
until_so taken; is "$? $(uac alice)" "0 514" "a request is carried out"
box drain cordon-results >/dev/null; rm -f "$results"/*.jws
before=$(records) rss=$(resident "$pid")

# --- the flood
for i in $(seq "$good"); do printf 'u%05d\n' "$i"; done >"$work/accounts"
mapfile -t accounts <"$work/accounts"
submit disable "${accounts[@]}" --expires 50m --domain corp.example.com --out - >"$work/good" 2>"$work/err"
/usr/bin/python3 "$here/tests/e2e/hostile.py" "$bad" "$LAB_DIR/soar.pem" "$LAB_DIR/stranger.pem" "$work/done" "$work/good" 20261121 >"$work/flood" 2>"$work/expected"
is "$(wc -l <"$work/flood")" $((bad + good)) "$bad hostile messages and $good good ones"
began=$SECONDS
: >"$work/poison" # looked at from time to time, since the emulator gets slow with thousands
while sleep 3; do box drain cordon-requests-poison >>"$work/poison"; [ ! -e "$work/enough" ] || break; done &
person=$!
box put cordon-requests 300 <"$work/flood" || not_ok "they are put"
echo "# put in $((SECONDS - began)) s"
most=0
look() {
    local now; now=$(resident "$pid")
    [ "${now:-0}" -le "$most" ] || most=$now
    [ "$(box count cordon-requests)" = 0 ] && [ "$(answers)" -ge "$good" ]
}
tries=$((patience * 5)) until_so look; is $? 0 "the queue is empty"
echo "# taken in $((SECONDS - began)) s, from the first put; resident $rss KiB before, $most KiB at most"
stop "$pid"; is $? 0 "SIGTERM ends it well"

# --- exactly the good ones
changes userAccountControl | grep '^u0' >"$work/changes"
is "$(cut -d' ' -f1 "$work/changes")" "$(sort "$work/accounts")" "exactly the good ones were carried out"
is "$(cut -d' ' -f2 "$work/changes" | sort -u)" 1 "  each once"
is "$(uac frank) $(changed frank) $(changed alice)" "512 0 1" "  nothing else was touched"
export_ledger >"$work/export"
/usr/bin/python3 - "$work/export" "$work/expected" "$before" "$bad" "$good" >"$work/seen" <<'P'
import collections, json, re, sys
records = [json.loads(l) for l in open(sys.argv[1], encoding='utf-8')][int(sys.argv[3]):]
expected = json.loads(open(sys.argv[2]).read().splitlines()[-1])
kinds, single, many = collections.Counter(r['kind'] for r in records), collections.Counter(), collections.Counter()
for r in records:
    if r['kind'] != 'refused':
        continue
    if r['body']['outcome'] == 'many':
        for n, word in re.findall(r'(\d+) ([a-z-]+)', r['body']['why'].split(':', 1)[1]):
            many[word] += int(n)
    else:
        single[r['body']['outcome']] += 1
both = single + many
print('differences:', {k: (both[k], expected.get(k, 0)) for k in set(both) | set(expected) if both[k] != expected.get(k, 0)} or 'none')
# What is genuine and new, though refused, takes a key: three records. All else comes out of a bucket.
genuine = sum(expected[k] for k in ('wrong-audience', 'expired', 'from-the-future', 'too-old', 'lifetime-too-long', 'not-allowed') if k in expected)
unkeyed = sum(single.values()) - genuine
print('single:', unkeyed, 'of', int(sys.argv[4]) - genuine)
print('requests:', kinds['request'], 'results:', kinds['result'] - genuine)
print('#', len(records), 'records in all:', dict(kinds), '; refused one by one', dict(single), 'and counted', dict(many))
P
sed -n 's/^# /# /p' "$work/seen"
is "$(sed -n 's/^differences: //p' "$work/seen")" none "each refusal is on record, by itself or counted, for what it was"
is "$(sed -n 's/^requests: //p' "$work/seen")" "$good results: $good" "  and nothing more was taken"
singles=$(sed -n 's/^single: \([0-9]*\) .*/\1/p' "$work/seen")
[ "$singles" -le $((2 * (100 + (SECONDS - began) / 6 + 1))) ] && ok "  without a key, no more than the two buckets': $singles records" || not_ok "  without a key, no more than the two buckets'" "$singles"
whole; is $? 0 "the chain is whole"

# --- put aside with the reason
: >"$work/enough"; wait "$person"; box drain cordon-requests-poison >>"$work/poison"
is "$(wc -l <"$work/poison")" "$bad" "all $bad are put aside"
/usr/bin/python3 - "$work/poison" "$work/expected" >"$work/seen" <<'P'
import collections, json, sys
expected = collections.Counter(json.loads(open(sys.argv[2]).read().splitlines()[-1]))
got = collections.Counter(json.loads(l).get('reason', 'without:').split(':')[0] for l in open(sys.argv[1], encoding='utf-8'))
without = got.pop('without', 0)
print(without, sum((got - expected).values()), sum((expected - got).values()))
P
read -r without more less <"$work/seen"
is "$more $less" "0 $without" "  each with its reason, but those that leave no room for one ($without)"
[ "$without" -le $((bad / 20)) ] && ok "  which are few" || not_ok "  which are few" "$without"

# --- memory: the sanitizer keeps what was freed, so that the dev build says little
bound=32768; ! grep -q __asan_init "$cordon" || bound=400000
[ "$most" -gt 0 ] && [ "$most" -le $((rss + bound)) ] && ok "memory is bounded" || not_ok "memory is bounded" "$rss KiB before, $most KiB at most"
azurite_down
sanitizers
done_testing

#!/usr/bin/env bash
# The service on Azure Queue Storage's own emulator and the real AD: by each way to say who we are,
# answers on a queue, what cannot be read, a lease in a long case, an outage. Needs the dev build.
#
#   LONG=1   the outage lasts 2 minutes, not 15 seconds (docs/testing-long.md)
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/azure_lib.sh
. "$here/tests/e2e/azure_lib.sh"
# shellcheck source=tests/e2e/cloud_lib.sh
. "$here/tests/e2e/cloud_lib.sh"
outage=15; [ "${LONG:-0}" = 0 ] || outage=120
lab up --bulk 120 "$LAB_DIR" && azurite_up --keep && keys soar agent || { echo "Bail out! no lab, or no Azurite"; exit 1; }
box make cordon-requests cordon-requests-poison cordon-results
settings one "$conf" "key_file = $AZURITE_KEY"
export CORDON_CONFIG=$conf

# --- there and back, by the account's key
start
submit disable alice --steps --wait=40s >"$work/out" 2>"$work/err"
is "$? $(tail -n 1 "$work/out" | cut -d' ' -f3-) $(uac alice)" "0 done, everywhere 514" "a signed disable is carried out, and --wait shows the answer"
id=$(cut -c 1-26 "$work/out" | head -n 1)
is "$(answer "$id" agent outcome verdict/verdict)" "genuine one good done" "  the directory has it too, signed by the agent"
like "$(tr '\n' ' ' <"$work/out")" "  disable dc1[^ ]* done, .*  confirm dc1[^ ]* done, logged: event 4725" "  and the steps before it, which were asked for"
is "$(box count cordon-results)" 0 "  whoever waited took it from the queue of answers"
submit disable bob --json >"$work/sub"; id=$(ids_of "$work/sub")
until_so answered "$id"
until_so test "$(box count cordon-results)" = 1
box take cordon-results >"$work/took"
/usr/bin/python3 -c 'import json, sys; print(json.loads(sys.stdin.readline())["request"])' <"$work/took" | answer - request verdict/verdict >"$work/got"
is "$(cat "$work/got")" "genuine $id done" "without it the answer lies on the queue, and cordon verify says whose it is"
until_so empty; is "$(box count cordon-requests) $(box count cordon-requests-poison)" "0 0" "  and nothing is left on the queue"
like "$(ask '{"do":"status"}')" '"queue":"azure:https://127[^"]*/cordon-requests","queue_state":"ok"' "status names the queue"

# --- what cannot be read: put aside with the reason, on record, and nothing else suffers
raw 'hello & goodbye'; raw ''; raw '{"v":1}'; raw '{"v":2,"request":"a.b.c"}'; raw '{"v":1,"request":"a.b.c","claim":"/../"}'
raw 'AAECAwQFBgc='; raw "$(head -c 65500 /dev/zero | tr '\0' x)"; raw "$(printf '{%.0s' $(seq 3000))"; raw '{"v":1,"request":"a.b.c"}'
submit disable carol --json >"$work/sub"; id=$(ids_of "$work/sub")
until_so answered "$id"; is "$(answer "$id" verdict/verdict)" "genuine done" "a good one among bad ones"
until_so empty
is "$(box count cordon-requests)" 0 "  none of them stays"
box drain cordon-requests-poison >"$work/poison"
is "$(wc -l <"$work/poison")" 9 "  all nine are put aside"
is "$(grep -c '"reason": "malformed: ' "$work/poison")" 8 "  with the reason, but for the one that fills a message to the brim"
is "$(grep -c '"request": "hello & goodbye"' "$work/poison") $(grep -c '"stored": "xxxxxxxxxx' "$work/poison")" "1 1" "  and with what they said"
is "$(export_ledger | grep '"kind":"refused"' | grep -c '"outcome":"malformed"')" 9 "  each is on record"
stop "$pid"; is $? 0 "SIGTERM ends it well"

# --- long cases, many at once: each lease is renewed, and nobody else is ever shown one
cp "$LAB_DIR/plain.conf" "$LAB_DIR/deaf.conf"; : >"$LAB_DIR/nothing.json"
sed -i "s|^events_file = .*|events_file = $LAB_DIR/nothing.json|; s/^\[cordon\]/[cordon]\nconfirm = 25s\nwait = 30s/" "$LAB_DIR/deaf.conf"
printf '[http]\nca_file = %s\n' "$AZURITE_CA" >>"$LAB_DIR/deaf.conf"
plain=$LAB_DIR/deaf.conf settings one "$LAB_DIR/long.conf" "key_file = $AZURITE_KEY"
start "$LAB_DIR/long.conf"
some=(dave heidi); for i in $(seq 21 30); do some+=("$(printf 'u%05d' "$i")"); done
submit disable "${some[@]}" --json >"$work/sub"; mapfile -t ids < <(ids_of "$work/sub")
all_changed() { local a; for a in "${some[@]}"; do [ "$(changed "$a")" != 0 ] || return 1; done; }
until_so all_changed
seen=0 looks=0 began=$SECONDS
until answered "${ids[@]}" || [ $looks = 60 ]; do
    sleep 1; looks=$((looks + 1))
    seen=$((seen + $(box take cordon-requests 1 | wc -l)))
done
[ $((SECONDS - began)) -ge 15 ] && ok "${#some[@]} cases at once, longer than their leases" || not_ok "${#some[@]} cases at once, longer than their leases" "$((SECONDS - began)) s"
is "$seen" 0 "  nobody else ever saw their messages"
is "$(for i in "${ids[@]}"; do answer "$i" agent verdict/verdict; done | sort | uniq -c | sed 's/^ *//')" "${#some[@]} genuine one unconfirmed" "  each is answered, and what could not be proven is said"
bad=; for a in "${some[@]}"; do [ "$(changed "$a")" = 1 ] || bad+="$a "; done; is "$bad" "" "  each done once"
until_so empty; is "$(box count cordon-requests)" 0 "  completed with the newest receipts"
is "$(grep -c 'lease is not renewed' "$work/run.one")" 0 "  no renewal failed"
stop "$pid"

# --- an outage: with requests on the queue, in hand, and answers on their way
box drain cordon-results >/dev/null
start
for i in $(seq 8); do submit disable "$(printf 'u%05d' "$i")" --json >>"$work/before"; done
mapfile -t ids < <(ids_of "$work/before")
some() { ask '{"do":"status"}' | grep '"taken":[1-9]' >/dev/null; }
until_so some
azurite_down
# What takes its place notes when somebody calls, and hangs up.
"$here/tests/lab/lab" exec "$LAB_DIR" /usr/bin/python3 - "$AZURITE_PORT" >"$work/calls" 2>"$work/calls.err" <<'P' &
import socket, sys, time
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(('127.0.0.1', int(sys.argv[1]))); s.listen(64)
while True:
    c = s.accept()[0]; print(time.monotonic(), flush=True); c.close()
P
deaf=$! began=$SECONDS
sleep $((outage - 5))
like "$(ask '{"do":"status"}')" '"queue_state":"failed"' "an outage: status says that the queue fails"
like "$(ask '{"do":"status"}')" '"degraded":\[[^]]*queue cannot be read[^]]*[0-9]+ ?s' "  as something degraded, and for how long"
sleep 5
kill "$deaf"; wait "$deaf" 2>/dev/null
[ $((SECONDS - began)) -ge "$outage" ] && ok "  of $outage s and more" || not_ok "  of $outage s and more" "$((SECONDS - began))"
azurite_up --keep --port "$AZURITE_PORT" || not_ok "Azurite is back"
back=$SECONDS
tries=600 until_so answered "${ids[@]}"; is $? 0 "it is back: each request is answered"
echo "# $((SECONDS - back)) s after it was back; $(wc -l <"$work/calls") calls in between"
is "$(/usr/bin/python3 -c 'import sys; t = [float(x) for x in sys.stdin]; print("fine" if len(t) > 2 and max(b - a for a, b in zip(t, t[1:])) < 61 else t)' <"$work/calls")" fine "  no wait between two tries was longer than 60 s"
is "$(for i in "${ids[@]}"; do answer "$i" verdict/verdict; done | sort | uniq -c | sed 's/^ *//')" "8 genuine done" "  all done"
bad=; for i in $(seq 8); do [ "$(changed "$(printf 'u%05d' "$i")")" = 1 ] || bad+="u$i "; done
is "$bad" "" "  none of them twice"
tries=600 until_so empty; is "$(box count cordon-requests)" 0 "  and nothing is left on the queue"
all_there() { [ "$(box count cordon-results)" -ge 8 ]; }
tries=600 until_so all_there
box drain cordon-results >"$work/took"
is "$(/usr/bin/python3 -c 'import base64, json, sys
got = set()
for line in sys.stdin:
    p = json.loads(line)["request"].split(".")[1]
    got.add(json.loads(base64.urlsafe_b64decode(p + "=" * (-len(p) % 4)))["request"])
print(len(got & set(sys.argv[1:])))' "${ids[@]}" <"$work/took")" 8 "  the queue of answers has all eight"
fine() { ask '{"do":"status"}' | grep '"queue_state":"ok"' >/dev/null; }
tries=400 until_so fine; is $? 0 "  status is well again"
stop "$pid"

# --- a SAS
umask 077
/usr/bin/python3 "$here/tests/azurite/secrets.py" all "$AZURITE_KEY" "$AZURITE_ACCOUNT" raup >"$LAB_DIR/queue.sas"
umask 022
settings one "$conf" "sas_file = $LAB_DIR/queue.sas"
start
submit disable erin --wait=40s >"$work/out" 2>"$work/err"
is "$? $(uac erin)" "0 514" "by a SAS: carried out and answered"
raw 'hello'; until_so empty; is "$(box drain cordon-requests-poison | wc -l)" 1 "  and put aside"
stop "$pid"
# One for each queue, with no more rights than it needs: what asks and what answers are two programs.
umask 077
sas() { /usr/bin/python3 "$here/tests/azurite/secrets.py" sas "$AZURITE_KEY" "$AZURITE_ACCOUNT" "$1" "$2" >"$LAB_DIR/$3.sas"; }
sas cordon-requests up requests; sas cordon-requests-poison a poison; sas cordon-results a results
sas cordon-requests a ask; sas cordon-results up wait
umask 022
settings one "$LAB_DIR/asks.conf" "sas_file = $LAB_DIR/ask.sas" "result_sas_file = $LAB_DIR/wait.sas"
settings one "$conf" "sas_file = $LAB_DIR/requests.sas" "poison_sas_file = $LAB_DIR/poison.sas" "result_sas_file = $LAB_DIR/results.sas"
box drain cordon-results >/dev/null
start
conf=$LAB_DIR/asks.conf submit disable grace --wait=40s >"$work/out" 2>"$work/err"
is "$? $(uac grace)" "0 514" "by a SAS for each queue: carried out and answered"
raw 'hello'; until_so empty; is "$(box drain cordon-requests-poison | wc -l) $(box count cordon-results)" "1 0" "  and put aside"
stop "$pid"

# --- a token of Entra's
cp -p "$LAB_DIR/plain.conf" "$conf"
cloud_up >"$work/out" 2>&1 || not_ok "a tenant" "$(tail -n 3 "$work/out")"
conf=$LAB_DIR/cordon.conf
cat "$AZURITE_CA" "$STANDIN_CA" >"$LAB_DIR/both.pem"; chmod 644 "$LAB_DIR/both.pem"
cp "$work/c.conf" "$LAB_DIR/tenant.conf"; sed -i "s|^ca_file = .*|ca_file = $LAB_DIR/both.pem|" "$LAB_DIR/tenant.conf"
plain=$LAB_DIR/tenant.conf settings one "$conf" "entra = yes"
start
submit disable frank --on-prem --wait=40s >"$work/out" 2>"$work/err"
is "$? $(uac frank)" "0 514" "by a token of Entra's: carried out and answered"
raw 'hello'; until_so empty; is "$(box drain cordon-requests-poison | wc -l)" 1 "  and put aside"
stop "$pid"
kill "$standin_pid"; wait "$standin_pid" 2>/dev/null

whole; is $? 0 "the chain is whole"
is "$(cat "$work"/run.* | grep -cE 'sig=|SharedKey|eyJ0eXAi')" 0 "no secret in what was said"
azurite_down
sanitizers
done_testing

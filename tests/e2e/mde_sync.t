#!/usr/bin/env bash
# sync_via = mde: a delta cycle on the Entra Connect server, started through Live Response by a script of its own.
# It proves nothing about a user and holds up no other step.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/mde_lib.sh
. "$(dirname "$0")/mde_lib.sh"
lab up "$LAB_DIR" || { echo "Bail out! no lab"; exit 1; }
mde_up dc1 || { echo "Bail out! no stand-in"; exit 1; }
order POST defender/machines "{\"computerDnsName\":\"sync1.corp.example.com\",\"id\":\"$(machine_id sync1)\"}" >/dev/null
server() { echo "$1" >"$LAB_DIR/adsync.json"; }
cycles() { /usr/bin/python3 -c 'import json,sys; print(json.load(open(sys.argv[1])).get("cycles", 0))' "$LAB_DIR/adsync.json"; }
via='s/^\[entra\]/[entra]\nsync = connect\nsync_via = mde\nsync_server = sync1.corp.example.com/'
server '{}'

cloud_conf "$via"
run disable alice
is "$rc" 78 "sync_via = mde without sync_script is an error of the configuration"
cloud_conf "$via" "s#^script = .*#&\nsync_script = $work/cordon-sync.ps1#"
run disable alice
is "$(field verdict) $rc $(said sync state)" "done 0 failed" "the script is not in the library: nothing else suffers"
run defender publish
is "$rc $(grep -c '"type":"published"' "$work/out") $(order GET defender/library | grep -o '"fileName":"cordon-sync-[^"]*"' | wc -l)" "0 2 1" "defender publish: both scripts"
run disable bob
is "$(field verdict) $rc $(half sync) $(cycles) $(entra bob accountEnabled)" "done 0 done/accepted 1 false" "a cycle is started"
like "$(said sync)" "delta sync cycle was started" "  and says so"
is "$(order GET defender/actions | grep -c bob)" 0 "  nothing of the request is in the order"
server '{"staging":true}'
run disable carol
is "$(field verdict) $rc $(half sync) $(cycles)" "done 0 failed/none 0" "the server is in staging mode: none is started"
like "$(said sync)" "staging" "  and says so"
server '{}'
for outcome in noMarker wrongNonce crash; do
    settings "{\"outcome\":\"$outcome\"}"
    case $outcome in noMarker) who=dave ;; wrongNonce) who=erin ;; *) who=frank ;; esac
    server '{}'
    run disable "$who"
    is "$(field verdict) $rc $(half sync) $(cycles)" "done 0 unknown/none 1" "$outcome: it may have been started: unknown, and not done twice"
done
settings '{"outcome":"unsigned"}'
server '{}'
run disable grace
is "$(field verdict) $rc $(cycles)" "done 0 0" "it does not run: nothing else suffers"
settings '{"outcome":""}'
order PATCH "defender/machines/$(machine_id sync1)" '{"busy":true}' >/dev/null
run disable heidi
is "$(field verdict) $rc $(half sync) $(cycles)" "done 0 failed/none 0" "somebody's session is on that machine: nothing else suffers"
run doctor
like "$(cat "$work/out")" '"name":"sync"[^}]*"state":"skipped"[^}]*nothing is run' "doctor runs nothing there"
is "$(violations)" "[]" "every request was as the description says"
done_testing

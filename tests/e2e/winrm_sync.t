#!/usr/bin/env bash
# sync = connect: a delta cycle is started on the Entra Connect server, over WinRM, by a fixed script. It
# proves nothing about a user and holds up nothing.
export EVENTS=winrm
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/cloud_lib.sh
. "$(dirname "$0")/cloud_lib.sh"
lab up "$LAB_DIR" || { echo "Bail out! no lab"; exit 1; }
# shellcheck disable=SC2119
cloud_up || { echo "Bail out! no stand-in"; exit 1; }
cloud_conf 's/^\[entra\]/[entra]\nsync = connect\nsync_server = dc1.corp.example.com/'
half() { steps | tr ' ' '\n' | sed -n "s#^$1/##p" | tr '\n' ' ' | sed 's/ $//'; }
detail() { sed -n "s/.*\"step\":\"$1\".*\"detail\":\"\([^\"]*\)\".*/\1/p" "$work/out" | head -n 1; }

run disable alice
is "$(field verdict) $rc $(entra alice accountEnabled)" "done 0 false" "disable: done, with a cycle started"
like "$(half sync) $(detail sync)" "cycle" "  and says that it was started"
is "$(winrm dc1 '{"get":"shells"}')" "[]" "  no shell is left"
is "$(winrm dc1 '{"get":"commands"}' | grep -c alice)" 0 "  nothing of the request is in the command"
winrm dc1 '{"set":{"shell_users":[]}}'
run disable bob
is "$(field verdict) $rc $(entra bob accountEnabled)" "done 0 false" "no right to a shell: nothing else suffers"
like "$(detail sync)" "denied" "  and says so"
winrm dc1 '{"reset":1}'; winrm dc1 '{"adsync":{"running":true,"cycle_ms":3000}}'
run disable carol
is "$(field verdict) $rc $(entra carol accountEnabled)" "done 0 false" "a cycle is running: nothing waits for it"
like "$(detail sync)" "running" "  and says so"
for state in staging suspended busy; do
    winrm dc1 '{"reset":1}'; winrm dc1 "{\"adsync\":{\"$state\":true}}"
    case $state in staging) who=dave ;; suspended) who=erin ;; *) who=frank ;; esac
    run disable "$who"
    is "$(field verdict) $rc $(entra $who accountEnabled)" "done 0 false" "the server is $state: nothing else suffers"
done
winrm dc1 '{"reset":1}'; winrm dc1 '{"adsync":{"module":false}}'
run disable grace
is "$(field verdict) $rc" "done 0" "no ADSync module: nothing else suffers"
winrm dc1 '{"reset":1}'; winrm dc1 '{"fault":{"match":{"op":"Command"},"do":{"after":true,"cut":"headers"}}}'
run disable heidi
is "$(field verdict) $rc" "done 0" "the answer to the command is lost"
like "$(half sync)" "unconfirmed|skipped|unknown" "  and it is not said to have run"
is "$(winrm dc1 '{"get":"requests"}' | grep -o '"op": "Command"' | wc -l)" 1 "  nor sent twice"
winrm dc1 '{"reset":1}'
run doctor
like "$(cat "$work/out")" '"name":"sync"[^}]*"state":"ok"' "doctor: the sync server is well"
is "$(winrm dc1 '{"get":"violations"}')" "[]" "the server had nothing to object to"
is "$(violations)" "[]" "nor had the tenant"
done_testing

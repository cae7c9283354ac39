#!/usr/bin/env bash
# The synchronisation: pushed when every DC shows the change, never believed, and looked after.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/cloud_lib.sh
. "$(dirname "$0")/cloud_lib.sh"
lab up "$LAB_DIR" || { echo "Bail out! no lab"; exit 1; }
# shellcheck disable=SC2119
cloud_up || { echo "Bail out! no stand-in"; exit 1; }
cloud_conf 's/^\[entra\]/[entra]\nsync = cloud-sync/'
half() { steps | tr ' ' '\n' | sed -n "s#^$1/##p" | tr '\n' ' ' | sed 's/ $//'; }

order PUT servicePrincipals '[]' >/dev/null
run disable alice
is "$(field verdict) $rc $(half sync | cut -d/ -f2)" "done 0 none" "no job for the domain: the sync is not done, nothing else suffers"
order POST reset >/dev/null; lab exec "$LAB_DIR" "$standin" mirror "$cloud" "$work/people.jsonl" >/dev/null
patch bob '{"ad":{"enabled":false}}'
run disable bob
is "$(field verdict) $rc $(half sync) $(entra bob accountEnabled)" "done 0 done/read-back false" "the push is proven by what it saw"
# The agent's DC does not have the change yet: the push turns the user on again.
run disable carol
is "$(field verdict) $rc $(entra carol accountEnabled)" "done 0 false" "the push read an old DC and enabled the user: seen, and disabled again"
like "$(half sync)" "unconfirmed/none" "  the push is not called good"
like "$(field detail)" "came back to life" "  and the verdict says so"
like "$(half entra)" "done/read-back done/read-back" "  two disables, both on record"
cloud_conf 's/^\[entra\]/[entra]\nsync = cloud-sync\nhold = no/'
run disable dave
is "$(field verdict) $rc $(entra dave accountEnabled)" "unconfirmed 10 true" "hold = no: it is not put back, and not called done"
cloud_conf 's/^\[entra\]/[entra]\nsync = cloud-sync/'
fault '{"match":{"service":"graph","path":"provisionOnDemand"},"do":{"kind":"permission"}}'
run disable erin
is "$(field verdict) $rc $(half entra)" "done 0 done/read-back" "a forbidden push stops nothing"
no_faults; fault '{"match":{"service":"graph","path":"provisionOnDemand"},"do":{"html":true,"status":502}}'
run disable frank
is "$(field verdict) $rc $(entra frank accountEnabled)" "done 0 false" "a push that answers nonsense stops nothing; the user is looked at again"
no_faults
(sleep 4; patch grace '{"accountEnabled":true,"by":"admin@corp.example.com"}') &
run disable grace --hold=14s
wait $!
is "$(field verdict) $rc $(entra grace accountEnabled)" "done 0 false" "--hold: somebody enabled it again; seen, and put back"
like "$(field detail)" "came back to life" "  and the verdict says so"
is "$(violations)" "[]" "every request was as the description says"
done_testing

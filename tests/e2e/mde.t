#!/usr/bin/env bash
# Live Response, where no DC takes a change over LDAP: which DC it goes to, what proves it, and what a process that
# was killed left behind. What goes wrong with it: mde_faults.t. MDE_LONG=1: killed after every commit, not only the
# first two.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/mde_lib.sh
. "$(dirname "$0")/mde_lib.sh"
lab up --dcs 2 --bulk 40 "$LAB_DIR" || { echo "Bail out! no lab"; exit 1; }
mde_up dc1 dc2 && ok "defender publish: the script is in the library, with its hash" || { echo "Bail out! no stand-in"; exit 1; }

# --- LDAP is there --------------------------------------------------------------------------------
run defender check
is "$rc $(grep -c '"state":"ok"' "$work/out")" "0 12" "defender check: all is well, on both"
run doctor
is "$(grep -c '"name":"defender".*"state":"ok"' "$work/out")" 12 "doctor says so, too"
run disable alice --via mde
is "$(field verdict) $rc $(half mde) $(half confirm) $(uac alice)" "done 0 done/read-back done/logged 514" "--via mde: done, read back, and proven by the DC's log"
like "$(said mde)" "the script says: userAccountControl 512 -> 514" "  what the script says is told as what it says"
like "$(field residual)" "DCs other than dc1.*not proven" "  the other DC is named among what may be open"
id=$(field case)
run enable --case "$id"
is "$(field verdict) $(uac alice)" "done 512" "enable --case: what Live Response changed is put back, over LDAP"
run contain carol --via mde
is "$(field verdict) $rc $(half mde) $(half confirm) $(uac carol)" "done 0 done/read-back done/accepted done/logged done/logged 514" "contain: two runs, each proven by itself"
run disable other1
is "$(field verdict) $rc $(said disable state) $(half confirm) $(uac other1)" "done 0 failed done/logged 514" "the DCs refuse the right to it: Live Response is the way"
run disable adm1 --via mde
is "$(field verdict) $rc $(really adm1)" "refused 12 0" "the guards stand before it"
# Whichever DC each run comes to: the other one's copy follows by replication, which is not waited for here.
run disable erin frank --via mde
is "$(field verdict) $(field verdict 2) $rc $(really erin) $(really frank)" "done done 0 1 1" "two at once: one machine each, and nobody is turned away"
settings '{"runMs":1500}'
run disable u00030 u00031 u00032 --via mde
is "$(field verdict) $(field verdict 2) $(field verdict 3) $(really u00032)" "done done done 1" "three at once: the third waits in line"
settings '{"runMs":50}'

# --- killed, and resumed --------------------------------------------------------------------------
n=0
sweep() { # FAILPOINT
    local i=0 id before
    while :; do
        i=$((i + 1)); n=$((n + 1)); target=$(printf 'u%05d' "$n")
        [ "$1" != commit ] || [ "$i" -le 2 ] || [ -n "${MDE_LONG:-}" ] || return
        [ "$i" -le 15 ] || { not_ok "$1: more than 15 points"; return; }
        before=$(actions)
        extra_env="CORDON_FAILPOINT=$1:$i:kill" run disable "$target" --via mde --on-prem
        if [ "$rc" -lt 128 ]; then
            is "$(field verdict) $rc $(($(actions) - before))" "done 0 1" "killed at $1: $((i - 1)) points, and a run that is not hit ends well"
            return
        fi
        id=$(open_case)
        if [ -z "$id" ]; then
            if in_lab cases --json | head -n 1 | grep -q "\"account\":\"$target\".*\"verdict\":\"done\""; then
                is "$(($(uac "$target") & 2)) $(($(actions) - before))" "2 1" "killed at $1 $i: the verdict was on record"
            else is "$(($(uac "$target") & 2)) $(($(actions) - before))" "0 0" "killed at $1 $i: nothing on record, nothing sent"; fi
            continue
        fi
        resume "$id"
        is "$(field verdict) $rc $(half confirm) $(($(uac "$target") & 2)) $(($(actions) - before)) $(really "$target")" "done 0 done/logged 2 1 1" "killed at $1 $i: resumed, done, run once"
    done
}
sweep cloud-send
sweep commit
resume "$(in_lab cases --json | sed -n 's/.*"case":"\([^"]*\)".*/\1/p' | head -n 1)"
like "$rc $(cat "$work/err")" "^0 .*ended already" "what has ended is not taken up"

# --- the log cannot be read at first ----------------------------------------------------------------
cloud_conf 's#:[^,]*audit.json#:/nonexistent/audit.json#g'
run disable u00033 --via mde
is "$(field verdict) $rc $(half mde)" "unconfirmed 10 done/read-back" "the DC's log cannot be read: unconfirmed"
like "$(field detail)" "not there.*--resume" "  with the cause, and what to do"
id=$(field case); before=$(actions)
cloud_conf
resume "$id"
is "$(field verdict) $rc $(half confirm) $(($(actions) - before))" "done 0 done/logged 0" "case ID --resume: now it can, and nothing is run again"

# --- every DC's LDAP is off -------------------------------------------------------------------------
ldap_off dc1 dc2
run disable bob
is "$(field verdict) $rc $(tried) $(half confirm) $(entra bob accountEnabled)" "done 0 dc1/done done/logged false" "no DC answers: contained, through Live Response, proven by the log"
like "$(field sid) $(field proofs)" "^S-1-5-21-.*logged" "  the SID is there, which only Entra told"
is "$(field residual | grep -c 'AD has not disabled')" 0 "  and it is not said that AD did not"
is "$(sed -n 's/.*"step":"\([^"]*\)".*/\1/p' "$work/out" | head -n 2 | tr '\n' ' ')" "entra revoke " "  the cloud did not wait for it"
cloud_conf 's#:[^,]*audit.json#:/nonexistent/audit.json#g'
run disable grace
id=$(field case)
is "$(field verdict) $rc" "unconfirmed 10" "nor is there a log: unconfirmed"
cloud_conf
resume "$id"
is "$(field verdict) $rc $(half confirm)" "done 0 done/logged" "the log is back, LDAP is not: proven by it"
extra_env="CORDON_FAILPOINT=cloud-send:15:kill" run disable heidi
id=$(open_case)
like "$rc $id" "^137 .+" "killed while LDAP is off"
resume "$id"
is "$(field verdict) $rc $(half confirm) $(entra heidi accountEnabled) $(really heidi)" "done 0 done/logged false 1" "  resumed: done in both worlds, run once"

# --- which DC ---------------------------------------------------------------------------------------
machine dc1 '{"busy":true}'
run disable u00034@corp.example.com
is "$(field verdict) $(tried)" "done dc1/failed dc2/done" "somebody's session is on dc1: dc2"
machine dc1 '{"busy":false,"machineTags":["Restricted security operations"]}'
run disable u00035@corp.example.com
is "$(field verdict) $(tried)" "done dc1/failed dc2/done" "dc1 is in restricted mode: dc2"
like "$(grep '"step":"mde","target":"dc1' "$work/out")" "estricted" "  and it says why"
machine dc1 '{"machineTags":[],"noGroup":true}'
run disable u00036@corp.example.com
is "$(field verdict) $(tried)" "done dc1/refused dc2/done" "it is not allowed on dc1: dc2"
machine dc1 '{"noGroup":false,"offline":true}'
cloud_conf 's/^run_within = .*/run_within = 5s/'
run disable u00037@corp.example.com
is "$(field verdict) $(tried) $(actions Cancelled)" "done dc1/failed dc2/done 1" "dc1 is away: cancelled there, then dc2"
machine dc1 '{"offline":false}'
sleep 1
is "$(really u00037)" 1 "  what was cancelled never ran"
cloud_conf "/^\[defender\]/,\$s/^dcs = .*/dcs = dc1.corp.example.com=$(machine_id dc2), dc2.corp.example.com=$(machine_id dc2)/"
run disable u00038@corp.example.com
is "$(field verdict) $(tried) $(asked 'GET .*/api/machines/')" "done dc1/failed dc2/done 2" "by id: another machine's id under dc1's name is not used"
order POST defender/machines "{\"computerDnsName\":\"ws1.corp.example.com\",\"machineTags\":[\"Domain Controller\"]}" >/dev/null
machine dc2 '{"machineTags":["Domain Controller"]}'
cloud_conf '/^\[defender\]/,$s/^dcs = .*/dc_tag = Domain Controller/'
run disable u00039@corp.example.com
is "$(field verdict) $(tried)" "done dc2/done" "by tag: the DC that has it"
like "$(cat "$work/err")" "ws1.*none that DNS shows" "  and no machine that only says it is one"
run defender check
is "$rc $(grep -c '"state":"ok"' "$work/out")" "0 13" "  defender check looks at whoever has it"
for kind in 'GET .*/api/machines\?' 'GET .*/api/machines/[0-9a-f]+$' 'POST .*/runliveresponse$' 'GET .*/api/machineactions\?' \
    'GET .*/api/machineactions/[^/]+$' 'POST .*/cancel$' 'GET .*/GetLiveResponseResultDownloadLink' 'GET .*/api/libraryfiles$' \
    'POST .*/api/libraryfiles$' 'GET .*/investigation-actions-data/'; do
    [ "$(asked "$kind")" -gt 0 ] && ok "asked, and held against the description: $kind" || not_ok "never asked: $kind"
done
cloud_conf 's/^\[defender\]/[defender]\nfallback = no/'
order DELETE requests >/dev/null
run disable u00040@corp.example.com
is "$(field verdict) $rc $(really u00040) $(asked '/api/machines')" "partial 11 0 0" "fallback = no: nothing is asked of Defender"
is "$(violations)" "[]" "every request was as the description says"
done_testing

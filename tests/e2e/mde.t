#!/usr/bin/env bash
# Live Response, where no DC can be reached over LDAP: the stand-in really makes the change on the DC
# (tests/e2e/dc_script.py), and the DC's own log proves it or does not.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/cloud_lib.sh
. "$(dirname "$0")/cloud_lib.sh"
lab up "$LAB_DIR" || { echo "Bail out! no lab"; exit 1; }
cloud_up --defender-run "$here/tests/e2e/dc_script.py" || { echo "Bail out! no stand-in"; exit 1; }
cp "$here/installer/defender/cordon-dc.ps1" "$work/cordon-dc.ps1"; chmod 644 "$work/cordon-dc.ps1"
cat >>"$cloud/cordon.conf.part" <<C
[defender]
url = $STANDIN_DEFENDER
scope = $STANDIN_DEFENDER/.default
dcs = dc1.corp.example.com
result_hosts = $STANDIN_STORE
script = $work/cordon-dc.ps1
C
cloud_conf
machine=$(order POST defender/machines '{"computerDnsName":"dc1.corp.example.com"}' | /usr/bin/python3 -c 'import json,sys; print(json.load(sys.stdin)["id"])')
order PATCH app '{"defenderRoles":["Machine.Read.All","Machine.LiveResponse","Library.Manage"]}' >/dev/null 2>&1
half() { steps | tr ' ' '\n' | sed -n "s#^$1/##p" | tr '\n' ' ' | sed 's/ $//'; }
# What the DC's own database says: LDAP is cut.
really() { grep -o "\"dn\": \"CN=$1,[^\"]*\"" "$LAB_DIR/dc1/log/audit.json" | wc -l; }

run defender publish
is "$rc" 0 "defender publish: the script is in the library, with its hash"
run defender check
is "$rc" 0 "defender check: all is well"
run disable alice --via mde
is "$(field verdict) $rc $(half mde) $(half confirm) $(uac alice)" "done 0 done/read-back done/logged 514" "--via mde: done, read back, and proven by the DC's log"
like "$(grep '"step":"mde"' "$work/out")" "512 -> 514" "  what the script says is told as what it says"

lab cut dc1 "$LAB_DIR"
run disable bob
is "$(field verdict) $rc $(half confirm) $(entra bob accountEnabled)" "done 0 done/logged false" "LDAP and KDC are gone: Entra at once, AD by Live Response, proven by the log"
like "$(field proofs)" "logged" "  the proof is the log's"
order PATCH defender/settings '{"outcome":"noMarker"}' >/dev/null
run disable carol
like "$(field verdict) $(half confirm)" "^done done/logged" "no answer of the script, but the DC's log shows it: the log counts"
order PATCH defender/settings '{"outcome":"unsigned"}' >/dev/null
run disable dave
is "$(field verdict) $rc $(really dave)" "unknown 16 0" "the script does not run, and nothing came back: not called done, nor undone"
like "$(field detail)" "Live Response" "  and says so"
order PATCH defender/settings '{"outcome":""}' >/dev/null
order PATCH "defender/machines/$machine" '{"busy":true}' >/dev/null
run disable erin
is "$(field verdict) $rc $(really erin)" "partial 11 0" "the machine is busy, and there is no other"
order PATCH "defender/machines/$machine" '{"busy":false}' >/dev/null
order PATCH defender/settings '{"liveResponse":false}' >/dev/null
run disable frank
is "$(field verdict) $rc $(really frank)" "partial 11 0" "Live Response is switched off: Entra is done, AD is not"
order PATCH defender/settings '{"liveResponse":true}' >/dev/null
cloud_conf 's/^\[defender\]/[defender]\nfallback = no/'
run disable grace
is "$(field verdict) $rc $(really grace)" "partial 11 0" "fallback = no: nothing is asked of Defender"
lab join dc1 "$LAB_DIR"
is "$(violations)" "[]" "every request was as the description says"
done_testing

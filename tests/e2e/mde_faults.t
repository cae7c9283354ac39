#!/usr/bin/env bash
# What may go wrong with Live Response. One question each time: does the verdict say no more than is known, and was
# nothing run twice? The DC's log is the judge where it can be read; LDAP is off but where it says otherwise.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/mde_lib.sh
. "$(dirname "$0")/mde_lib.sh"
lab up --bulk 120 "$LAB_DIR" || { echo "Bail out! no lab"; exit 1; }
mde_up dc1 || { echo "Bail out! no stand-in"; exit 1; }
n=0
# try: disables somebody new; $who
try() { n=$((n + 1)); who=$(printf 'u%05d' "$n"); run disable "$who@corp.example.com" "$@"; }
blind() { cloud_conf 's#:[^,]*audit.json#:/nonexistent/audit.json#g'; }
# verdict, exit code, what the run came to, how often the account was really changed
sum() { echo "$(field verdict) $rc $(said mde state) $(really "$who")"; }

# --- LDAP is there: the DC itself is asked ----------------------------------------------------------
settings '{"outcome":"unsigned"}'
try --via mde
is "$(sum) $(($(uac "$who") & 2))" "partial 11 failed 0 0" "it never ran, and the DC shows it: failed, not unknown"
like "$(said mde)" "no DC|shows that it was not made" "  and says how that is known"
settings '{"outcome":"noMarker"}'
try --via mde
is "$(sum)" "done 0 done 1" "no line came back, and the DC shows the change: done"
settings '{"outcome":""}'
fault '{"match":{"method":"POST","path":"runliveresponse"},"do":{"after":true,"cut":"headers"}}'
before=$(actions); try --via mde
is "$(sum) $(($(actions) - before))" "done 0 done 1 1" "the answer to the start is lost: the run is found by its mark, and not begun again"
fault '{"match":{"method":"POST","path":"runliveresponse"},"do":{"cut":"headers"}}'
before=$(actions); try --via mde
is "$(field verdict) $rc $(said mde state) $(really "$who") $(($(actions) - before))" "unknown 16 unknown 0 0" "the start itself is lost: nothing is there, and nothing is begun again: unknown"
like "$(said mde)" "may still run, until 20[0-9-]*T" "  with the time until which it may come"
fault '{"match":{"method":"POST","path":"runliveresponse"},"do":{"status":500,"code":"InternalServerError","after":true}}'
before=$(actions); try --via mde
is "$(sum) $(($(actions) - before))" "done 0 done 1 1" "500 to the start, which was taken: found, not repeated"
no_faults
fault '{"match":{"path":"/api/machineactions/[^/]*$","times":1},"do":{"status":503}}'
try --via mde
is "$(sum)" "done 0 done 1" "503 to the questions after it: asked again"
fault '{"match":{"method":"POST","path":"runliveresponse"},"do":{"status":429,"code":"TooManyRequests","retryAfter":"1"}}'
before=$(actions); try --via mde
is "$(sum) $(($(actions) - before)) $(asked 'POST .*runliveresponse')" "done 0 done 1 1 3" "429: again after the time it names"
no_faults
settings '{"pendingMs":1500,"runMs":1500}'
try --via mde
is "$(sum)" "done 0 done 1" "Pending, InProgress, then its end"
settings '{"pendingMs":50,"runMs":50}'

# --- cancelled at the deadline ---------------------------------------------------------------------
cloud_conf 's/^run_within = .*/run_within = 5s/'
machine dc1 '{"offline":true}'
try --via mde
is "$(sum) $(actions Cancelled)" "partial 11 failed 0 1" "the machine is away: cancelled, and surely nothing was done"
fault '{"match":{"method":"POST","path":"/cancel","times":0},"do":{"status":400,"code":"BadRequest"}}'
try --via mde
is "$(field verdict) $rc $(really "$who")" "unknown 16 0" "it cannot be cancelled: it may still come"
like "$(field detail)" "could not be cancelled and may still run, until 20" "  and the case says so, and until when"
id=$(field case)
no_faults
machine dc1 '{"offline":false}'
for _ in $(seq 50); do [ "$(really "$who")" = 0 ] || break; sleep 0.1; done
resume "$id"
is "$(field verdict) $rc $(really "$who")" "done 0 1" "  the machine is back, it ran: case ID --resume finds that run"
machine dc1 '{"offline":true}'
before=$(actions Cancelled)
extra_env="CORDON_FAILPOINT=cloud-send:6:kill" try --via mde --on-prem
id=$(open_case)
resume "$id" & # follows that run to its deadline, cancels it, and begins another
resumed=$!
for _ in $(seq 200); do [ "$(actions Cancelled)" = "$before" ] || break; sleep 0.1; done
machine dc1 '{"offline":false}'
wait "$resumed"
is "$(field verdict) $(really "$who") $(($(actions Cancelled) - before))" "done 1 1" "killed while the machine is away; resumed, cancelled at the deadline: begun anew, and done"
settings '{"runMs":9000,"cancelRunning":false}'
try --via mde
is "$(sum)" "done 0 done 1" "what runs already cannot be cancelled: the change is there, and proven"
settings '{"runMs":50,"cancelRunning":true}'
cloud_conf

# --- LDAP is off -----------------------------------------------------------------------------------
ldap_off dc1
for outcome in noMarker wrongNonce twice cutMarker crash noLink; do
    settings "{\"outcome\":\"$outcome\"}"
    try
    is "$(sum) $(half confirm)" "done 0 done 1 done/logged" "$outcome: no answer that counts, but the DC's log shows it"
done
for outcome in error unsigned hash timeout; do
    settings "{\"outcome\":\"$outcome\"}"
    try
    is "$(sum)" "unknown 16 unknown 0" "$outcome: nothing shows that it ran, or that it did not: unknown"
done
settings '{"outcome":"wrongNonce"}'
blind
try
is "$(sum)" "unknown 16 unknown 1" "an answer with another nonce, and no log: unknown"
settings '{"outcome":""}'
try
is "$(sum) $(said mde proof)" "unconfirmed 10 done 1 accepted" "no log at all: the script's word is a claim, and the verdict unconfirmed"
like "$(field detail)" "by what the script says" "  and says so"

# The link: to another host that is there, and hears everything.
elsewhere=${STANDIN_GRAPH#https://}
settings "{\"linkHost\":\"${elsewhere%%/*}\"}"
order DELETE requests >/dev/null
try
is "$(sum) $(asked 'CustomPlaybookCommandOutput')" "unknown 16 unknown 1 0" "the result is at a foreign host: it is not asked for"
like "$(said mde)" "host" "  and says so"
cloud_conf
try
is "$(sum) $(asked 'CustomPlaybookCommandOutput')" "done 0 done 1 0" "  where the log can be read, that decides"
settings '{"linkHost":""}'

# --- it may not -------------------------------------------------------------------------------------
settings '{"liveResponse":false}'
try
is "$(sum)" "partial 11 refused 0" "switched off in the tenant: refused"
like "$(said mde)" "Live Response for Servers" "  with the switch to look for"
settings '{"liveResponse":true}'
machine dc1 '{"unsupported":"client"}'
try
is "$(sum)" "partial 11 failed 0" "the sensor is too old"
like "$(field detail)" "too old" "  and says so"
machine dc1 '{"unsupported":""}'
order PATCH app '{"defenderRoles":["Machine.Read.All"]}' >/dev/null
before=$(asked 'POST .*runliveresponse'); try
is "$(sum) $(($(asked 'POST .*runliveresponse') - before))" "partial 11 refused 0 0" "no Machine.LiveResponse in the token: not even asked"
like "$(said mde)" "Machine.LiveResponse" "  and names it"
order PATCH app '{"defenderRoles":["Machine.Read.All","Machine.LiveResponse"]}' >/dev/null
try
is "$(sum)" "done 0 done 1" "no Library.Manage: it runs, by its signature alone"
order PATCH app '{"defenderRoles":["Machine.Read.All","Machine.LiveResponse","Library.Manage"]}' >/dev/null
fault '{"match":{"method":"POST","path":"runliveresponse"},"do":{"status":403,"code":"Forbidden"}}'
try
is "$(sum)" "partial 11 refused 0" "403 of the service: refused"
no_faults
name=$(order GET defender/library | sed -n 's/.*"fileName":"\([^"]*\)".*/\1/p')
order POST defender/library "{\"fileName\":\"$name\",\"text\":\"another\"}" >/dev/null
try
is "$(sum)" "partial 11 refused 0" "somebody changed the script in the library: it is not run"
like "$(said mde)" "somebody changed it" "  and says so"
run defender check
is "$rc" 15 "  defender check says so, too"
run defender publish
machine dc1 '{"busy":true}'
cloud_conf 's/^run_within = .*/run_within = 5s/'
try
is "$(sum)" "partial 11 failed 0" "somebody's session is on the only machine: asked again, then given up"
machine dc1 '{"busy":false}'
order DELETE defender/machines/dc1.corp.example.com >/dev/null
try
is "$(sum)" "partial 11 failed 0" "the machine is not there"

is "$(violations)" "[]" "every request was as the description says"
done_testing

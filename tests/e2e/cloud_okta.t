#!/usr/bin/env bash
# Okta beside AD and Entra; risk, and queries for where logs are collected.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/cloud_lib.sh
. "$(dirname "$0")/cloud_lib.sh"
lab up "$LAB_DIR" || { echo "Bail out! no lab"; exit 1; }
# shellcheck disable=SC2119
cloud_up || { echo "Bail out! no stand-in"; exit 1; }
okta() { order GET "okta/users/$1@corp.example.com" | /usr/bin/python3 -c 'import json,sys; print(json.load(sys.stdin).get(sys.argv[1]))' "$2"; }
for n in alice bob carol dave; do order POST okta/users "{\"profile\":{\"login\":\"$n@corp.example.com\",\"email\":\"$n@corp.example.com\"}}" >/dev/null; done

run disable alice --idp okta
is "$(field verdict) $rc $(okta alice status)" "done 0 SUSPENDED" "--idp okta: suspended there as well"
like "$(steps)" "okta/done/read-back okta-sessions/done/accepted okta-log/done/logged" "  read back; the sessions are ended; the System Log has both"
id=$(field case)
like "$(field okta)" "$(okta alice id).*SUSPENDED" "  the verdict says whom, and how that user stands"
lab exec "$LAB_DIR" env "CORDON_CONFIG=$conf" "$cordon" case "$id" >"$work/out" 2>"$work/err"; rc=$?
like "$rc $(cat "$work/out")" "^0 .*intent .*okta: suspend Okta $(okta alice id), ACTIVE.*step .*okta done at okta .*Okta $(okta alice id), SUSPENDED.*System Log: suspend: event .*; sessions: event " "  and cordon case: before, after, and the events"
run enable --case "$id"
is "$(field verdict) $rc $(okta alice status)" "done 0 ACTIVE" "undone in all three"
like "$(steps)" "okta-log/done/logged" "  by the same id, and logged"
run disable bob
is "$(field verdict) $(okta bob status)" "done ACTIVE" "without --idp okta nothing is touched there"
cloud_conf 's/^\[okta\]/[okta]\ncontain = yes/'
run contain carol
is "$(field verdict) $rc $(okta carol status)" "done 0 SUSPENDED" "contain, where [okta] says so"
order PATCH okta/users/dave@corp.example.com '{"status":"LOCKED_OUT"}' >/dev/null
run disable dave --idp okta
is "$(field verdict) $rc $(okta dave status)" "partial 11 LOCKED_OUT" "who is locked out cannot be suspended: partial, never deactivated"
like "$(steps)" "okta-sessions/done" "  and the sessions are ended all the same"
run disable erin --idp okta
is "$(field verdict) $rc" "partial 11" "nobody there of that name: partial"
fault '{"match":{"service":"okta","path":"lifecycle/suspend"},"do":{"status":500,"after":true}}'
run disable bob --idp okta
is "$(field verdict) $rc $(okta bob status)" "done 0 SUSPENDED" "500 after having acted: looked, and found done"
no_faults
cloud_conf "s#^key_file.*#token_file = $cloud/okta.token#" '/^client_id = 0oa/d' '/^key_id/d'
order PATCH okta/users/bob@corp.example.com '{"status":"ACTIVE"}' >/dev/null
run disable bob --idp okta
is "$(field verdict) $rc $(okta bob status)" "done 0 SUSPENDED" "with an API token"
like "$(steps)" "okta-log/done/logged" "  whose admin is the actor"
cloud_conf

# --- the System Log, and its lies: what was read back stays, and no more is said than there is -------
proof_of() { /usr/bin/python3 -c 'import json,sys; print([json.loads(l)["proofs"]["cloud"] for l in open(sys.argv[1]) if "\"verdict\"" in l][-1])' "$work/out"; }
of() { steps | tr ' ' '\n' | sed -n "s#^$1/##p"; }
log_detail() { sed -n 's/.*"step":"okta-log".*"detail":"\([^"]*\)".*/\1/p' "$work/out"; }
L='"service":"okta","method":"GET","path":"/logs.*lifecycle.suspend","times":0'
reactivated() { order PATCH "okta/users/$1@corp.example.com" "{\"status\":\"ACTIVE\",\"statusChanged\":\"$(date -u +%FT%T.%3NZ)\"}" >/dev/null; }
# lied FAULT NAME WORDS
lied() {
    no_faults; reactivated alice; [ "${keep_log:-}" ] || order DELETE okta/logs >/dev/null
    fault "$1"
    run disable alice --on-prem --idp okta
    is "$(field verdict) $rc $(of okta) $(of okta-log) $(proof_of)" "done 0 done/read-back unconfirmed/none read-back" "$2: read back, and not called logged"
    like "$(log_detail)" "$3" "  and it is said why"
}
set_uac alice 514
run disable alice --on-prem --idp okta
is "$(field verdict) $rc $(of okta) $(of okta-log) $(proof_of)" "done 0 done/read-back done/logged logged" "Okta alone beside AD: the proof is logged"
lied "{\"match\":{$L},\"do\":{\"set\":{\"0.actor.id\":\"00uother000000000000\",\"0.actor.alternateId\":\"mallory@example.com\"}}}" "an event by somebody else" "suspend: there is one by mallory@example.com"
lied "{\"match\":{$L},\"do\":{\"remove\":[\"0.actor\"]}}" "an event by nobody" "suspend: there is one by somebody not named"
lied "{\"match\":{$L},\"do\":{\"set\":{\"0.published\":\"$(date -u -d '-10 minutes' +%FT%T.000Z)\"}}}" "an event from before" "suspend: no event of ours in time"
lied "{\"match\":{$L},\"do\":{\"set\":{\"0.outcome.result\":\"FAILURE\"}}}" "an event of a failure" "suspend: no event of ours in time"
lied "{\"match\":{$L},\"do\":{\"set\":{\"0.target\":[{\"type\":\"User\",\"id\":\"$(okta bob id)\"}]}}}" "an event about somebody else" "suspend: no event of ours in time"
keep_log=1 lied '{"match":{"service":"okta","path":"lifecycle/suspend"},"do":{"auditDelay":3600000}}' "no event but those of the cases before" "suspend: no event of ours in time"
lied "{\"match\":{$L},\"do\":{\"status\":403}}" "403" "suspend: Okta: 403"
lied "{\"match\":{$L},\"do\":{\"status\":429,\"resetIn\":3600}}" "a rate limit for an hour" "suspend: "
lied "{\"match\":{$L},\"do\":{\"html\":true}}" "no JSON" "suspend: "
lied "{\"match\":{$L},\"do\":{\"delay\":20000}}" "no answer" "suspend: no answer in time"
lied '{"match":{"service":"okta","path":"/logs.*session.clear","times":0},"do":{"status":403}}' "only one of the two" "suspend: event .*; sessions: Okta: 403"
no_faults; reactivated alice
fault '{"match":{"service":"okta","path":"lifecycle/suspend"},"do":{"auditDelay":1200}}'
run disable alice --on-prem --idp okta
is "$(field verdict) $rc $(of okta-log) $(proof_of)" "done 0 done/logged logged" "a log that lags a little is waited for"
no_faults; reactivated alice
fault '{"match":{"service":"okta","path":"lifecycle/suspend","times":0},"do":{"stick":false,"audit":true}}'
run disable alice --on-prem --idp okta
is "$(field verdict) $rc $(of okta) $(okta alice status)" "unconfirmed 10 unconfirmed/accepted ACTIVE" "an event of what did not come to be: unconfirmed"
no_faults
fault '{"match":{"service":"okta","method":"GET","path":"/users/00u","nth":3,"times":0},"do":{"status":403}}'
run disable alice --on-prem --idp okta
is "$(field verdict) $rc $(of okta) $(of okta-log) $(okta alice status)" "done 0 unknown/none done/logged SUSPENDED" "it cannot be read back, and the log has it: done"
no_faults
fault '{"match":{"service":"okta","path":"/users/me","times":0},"do":{"status":403}}'
cloud_conf "s#^key_file.*#token_file = $cloud/okta.token#" '/^client_id = 0oa/d' '/^key_id/d'
run revoke alice --idp okta
is "$(field verdict) $rc $(of okta-sessions) $(of okta-log)" "done 0 done/accepted unconfirmed/none" "whose token it is cannot be asked: not called logged"
no_faults; cloud_conf

# --- deactivate: only by its name ------------------------------------------------------------------------
residual() { /usr/bin/python3 -c 'import json,sys; print([" | ".join(r["what"] for r in json.loads(l)["residual"]) for l in open(sys.argv[1]) if "\"verdict\"" in l][-1])' "$work/out"; }
for bad in "disable dave --deactivate" "enable dave --idp okta --deactivate" "revoke dave --idp okta --deactivate"; do
    # shellcheck disable=SC2086
    run $bad
    is "$rc $(okta dave status)" "64 LOCKED_OUT" "$bad: refused"
done
run disable dave --idp okta --deactivate --dry-run
is "$rc $(okta dave status)" "0 LOCKED_OUT" "deactivate, dry run: nothing is changed"
like "$(cat "$work/out")" "would deactivate it .which cordon does not undo." "  and it says what it would be"
set_uac dave 512; patch dave '{"accountEnabled":true}'
run disable dave --idp okta --deactivate
is "$(field verdict) $rc $(of okta) $(of okta-log) $(okta dave status)" "done 0 done/read-back done/logged DEPROVISIONED" "deactivate: read back and logged, from a status that cannot be suspended"
like "$(residual)" "Okta: deactivated, its applications are taken away: enable does not undo that" "  what does not come back is told"
gone=$(field case)
run disable dave --idp okta
like "$(field verdict) $rc" "^(partial 11|done 0)$" "suspending who is deactivated"
run enable --case "$gone"
is "$(field verdict) $rc $(of okta) $(okta dave status) $(uac dave)" "partial 11 failed/none DEPROVISIONED 512" "undone in AD and Entra, not in Okta: partial"
like "$(of okta) $(field detail) $(residual)" "cordon does not undo that; activate it in Okta.*Okta: still deactivated" "  and it says what to do"
run contain carol --idp okta --deactivate
is "$(field verdict) $rc $(okta carol status)" "done 0 DEPROVISIONED" "contain, deactivate"
order PATCH okta/users/alice@corp.example.com '{"status":"ACTIVE"}' >/dev/null
fault '{"match":{"service":"okta","path":"lifecycle/deactivate"},"do":{"status":403}}'
run disable alice --idp okta --deactivate
is "$(field verdict) $rc $(okta alice status)" "partial 11 ACTIVE" "deactivate is refused by Okta: partial"
no_faults

# --- killed, and taken up -----------------------------------------------------------------------------------
for i in 1 2 3 4 5 6 7 8; do
    reactivated alice; set_uac alice 512
    extra_env="CORDON_FAILPOINT=cloud-answer:$i:kill" run disable alice --on-prem --idp okta
    open=$(lab exec "$LAB_DIR" env "CORDON_CONFIG=$conf" "$cordon" cases --open --json | sed -n 's/.*"case":"\([^"]*\)".*/\1/p' | head -n 1)
    if [ -z "$open" ]; then # the answer came before the first record was on disk
        is "$(okta alice status) $(uac alice)" "ACTIVE 512" "killed at Okta's answer $i: nothing on record, nothing changed"
        ok "  nothing to undo"
        continue
    fi
    lab exec "$LAB_DIR" env "CORDON_CONFIG=$conf" "$cordon" case "$open" --resume --as-agent --json >"$work/out" 2>"$work/err"; rc=$?
    is "$(field verdict) $rc $(okta alice status)" "done 0 SUSPENDED" "killed at Okta's answer $i: resumed, done"
    run enable --case "$open"
    is "$(field verdict) $rc $(okta alice status)" "done 0 ACTIVE" "  and whoever did it, it is undone"
done

# --- Okta without Entra ---------------------------------------------------------------------------------
no_entra() { cloud_conf '/^\[entra\]/,/^\[okta\]/{/^\[okta\]/!d}' "$@"; }
no_entra 's/^\[okta\]/[okta]\ncontain = yes/'
reactivated alice; set_uac alice 512
run contain alice
is "$(field verdict) $rc $(of okta) $(of okta-log)" "done 0 done/read-back done/logged" "no [entra]: contain acts in Okta where [okta] says so"
reactivated alice; order DELETE okta/logs >/dev/null
run contain nobody-there
is "$(field verdict) $rc" "not-found 14" "no [entra]: an account of nowhere"
order POST okta/users '{"profile":{"login":"okta-only@corp.example.com","email":"okta-only@corp.example.com"}}' >/dev/null
run disable okta-only@corp.example.com --idp okta
is "$(field verdict) $rc $(okta okta-only status)" "partial 11 SUSPENDED" "no [entra]: AD does not know it, Okta does: partial"
cloud_conf

# --- risk --------------------------------------------------------------------------------------------
run mark-compromised frank
is "$(field verdict) $rc" "done 0" "mark-compromised: and Identity Protection shows it"
lab exec "$LAB_DIR" env "CORDON_CONFIG=$conf" "$cordon" risky --json >"$work/out" 2>"$work/err"; rc=$?
like "$rc $(cat "$work/out")" '^0 .*frank@corp.example.com.*confirmedCompromised' "risky lists it"
run dismiss-risk frank
is "$(field verdict) $rc" "done 0" "dismiss-risk"
order PATCH settings '{"licence":"P1"}' >/dev/null
run mark-compromised frank
is "$(field verdict) $rc" "failed 15" "without the licence: failed, nothing changed"
like "$(field detail)" "licence" "  and it is named"
order PATCH settings '{"licence":"P2"}' >/dev/null

# --- seen elsewhere ------------------------------------------------------------------------------------
sid_of() { /usr/bin/python3 -c 'import json,sys; print([json.loads(l)["sid"] for l in open(sys.argv[1]) if json.loads(l)["sam"]==sys.argv[2]][0])' "$work/people.jsonl" "$1"; }
cloud_conf 's/^wait = 6s/wait = 2s/' "s/^\[entra\]/[entra]\nworkspace = 3f8a1c52-7c0e-4f0b-9a57-1d2b6c9e4a10/"
run show svc-cordon; us=$(/usr/bin/python3 -c 'import json,sys; print([json.loads(l)["sid"] for l in open(sys.argv[1])][0])' "$work/out")
like "$us" "^S-1-5-21-" "who we are in AD"
at() { date -u -d "${1:-now}" +%FT%T.%3NZ; }
evidence_detail() { sed -n 's/.*"step":"evidence".*"detail":"\([^"]*\)".*/\1/p' "$work/out"; }
hunting_row() { order POST rows "{\"table\":\"IdentityDirectoryEvents\",\"rows\":[{\"Timestamp\":\"$(at)\",\"ActionType\":\"${3:-Account disabled}\",\"TargetSid\":\"$(sid_of "$1")\",\"AdditionalFields\":{\"TargetAccountSid\":\"$(sid_of "$1")\"},\"DestinationDeviceName\":\"dc1\",\"AccountName\":\"svc-cordon\",\"AccountSid\":\"$2\"}]}" >/dev/null; }
log_row() { order POST rows "{\"table\":\"SecurityEvent\",\"rows\":[{\"TimeGenerated\":\"$(at)\",\"EventID\":${3:-4725},\"TargetSid\":\"$(sid_of "$1")\",\"Computer\":\"dc1.corp.example.com\",\"SubjectUserName\":\"${4:-svc-cordon}\",\"SubjectUserSid\":\"$2\"}]}" >/dev/null; }
# none_of WHERE NAME WORDS: disable grace once more; it is not called evidence, and the verdict stands
none_of() {
    set_uac grace 512; run disable grace --evidence "$1"
    like "$(field verdict) $rc $(of evidence)" "^done 0 (unconfirmed|failed)/none" "--evidence $1, $2: no claim, and the verdict does not change"
    like "$(evidence_detail)" "$3" "  and it is said why"
    order DELETE rows >/dev/null; no_faults
}
none_of hunting "nothing there yet" "silence proves nothing"
hunting_row grace S-1-5-21-1-2-3-500
none_of hunting "by somebody else" "no row of ours"
hunting_row grace "$us" "Account enabled"
none_of hunting "of something else" "no row of ours"
hunting_row grace ""
none_of hunting "a name, and no SID" "no row of ours"
hunting_row heidi "$us"
run disable heidi --evidence hunting
like "$(field verdict) $rc $(steps)" "^done 0 .*evidence/done/logged" "  and where it is, it is told"

none_of sentinel "nothing there yet" "silence proves nothing"
log_row grace S-1-5-21-1-2-3-500 4725 mallory
none_of sentinel "by somebody else" "no row of ours.*mallory"
log_row grace "$us" 4722
none_of sentinel "of something else" "no row of ours; the last that there is: event 4722"
log_row heidi "$us"
none_of sentinel "about somebody else" "silence proves nothing"
log_row grace "$us"
fault "{\"match\":{\"service\":\"loganalytics\",\"times\":0},\"do\":{\"set\":{\"tables.0.rows.0.3\":\"$(sid_of heidi)\"}}}"
none_of sentinel "a row that was not asked for" "silence proves nothing"
log_row grace "$us"
fault "{\"match\":{\"service\":\"loganalytics\",\"times\":0},\"do\":{\"set\":{\"tables.0.rows.0.0\":\"$(at '-30 seconds')\"}}}"
none_of sentinel "from before" "no row of ours"
log_row grace "$us"
fault '{"match":{"service":"loganalytics","times":0},"do":{"status":403}}'
none_of sentinel "403" "Log Analytics Reader"
log_row grace "$us"
order PATCH settings '{"partialError":true}' >/dev/null
none_of sentinel "a part of the answer" "not complete.*PartialError"
order PATCH settings '{"partialError":false}' >/dev/null
log_row grace "$us"
fault '{"match":{"service":"loganalytics","times":0},"do":{"html":true}}'
none_of sentinel "no JSON" "Log Analytics"
set_uac grace 512; log_row grace "$us"
run disable grace --evidence sentinel
like "$(field verdict) $rc $(steps)" "^done 0 .*evidence/done/logged" "--evidence sentinel: the event, by us, about this account"
like "$(evidence_detail)" "^event 4725 account disabled at .* on dc1.corp.example.com by svc-cordon" "  in words"
set_uac grace 512; cloud_conf
run disable grace --evidence sentinel
like "$(field verdict) $rc $(of evidence) $(evidence_detail)" "^done 0 failed/none no workspace" "--evidence sentinel without a workspace: said"

# --- Defender for Identity as the hand ---------------------------------------------------------------
identity() { order POST identities "{\"id\":\"id-$1\",\"displayName\":\"$1\",\"domain\":\"corp.example.com\",\"isEnabled\":true,\"onPremisesSecurityIdentifier\":\"$(sid_of "$1")\",\"cloudSecurityIdentifier\":null,\"emailAddress\":null,\"userPrincipalName\":\"$1@corp.example.com\",\"accounts\":[{\"identityProvider\":\"activeDirectory\",\"identifier\":\"$(sid_of "$1")\",\"actions\":$2}]}" >/dev/null; }
set_uac carol 512; set_uac dave 512; set_uac alice 512
identity alice '["disable","enable"]'; identity carol '["disable","enable"]'; identity dave '["enable"]'
(for _ in $(seq 40); do sleep 0.2; order GET actions | grep -q disable && break; done; set_uac alice 514) & # the sensor
run disable alice --via mdi
wait $!
is "$(field verdict) $rc $(uac alice)" "done 0 514" "--via mdi: taken over, done by the sensor, read back in AD"
run disable carol --via mdi
is "$(field verdict) $rc $(uac carol)" "unconfirmed 10 512" "--via mdi: taken over and not done: not called done"
run disable dave --via mdi
is "$(field verdict) $rc $(uac dave)" "partial 11 512" "--via mdi: an action that is not offered is not asked for"
run disable grace --via mdi --on-prem
is "$(field verdict) $rc $(steps | grep -c mdi/already)" "done 0 1" "--via mdi: already so: nothing is asked for"

# --- queries -------------------------------------------------------------------------------------------
sid=$(/usr/bin/python3 -c 'import json,sys; print([json.loads(l)["sid"] for l in open(sys.argv[1]) if json.loads(l)["sam"]=="alice"][0])' "$work/people.jsonl")
for f in xml sentinel hunting; do
    lab exec "$LAB_DIR" env "CORDON_CONFIG=$conf" "$cordon" query alice --$f --as-agent >"$work/out" 2>"$work/err"; rc=$?
    like "$rc $(cat "$work/out")" "^0 .*$sid" "query --$f"
done
lab exec "$LAB_DIR" env "CORDON_CONFIG=$conf" "$cordon" query --case "$id" --sentinel >"$work/out" 2>"$work/err"; rc=$?
like "$rc $(cat "$work/out")" "^0 SecurityEvent.*$sid" "query --case"
is "$(violations)" "[]" "every request was as the description says"
done_testing

#!/usr/bin/env bash
# AD and Entra together: a real AD, a stand-in tenant that can lie. Did the verdict tell the truth?
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/cloud_lib.sh
. "$(dirname "$0")/cloud_lib.sh"
lab up "$LAB_DIR" || { echo "Bail out! no lab"; exit 1; }
# shellcheck disable=SC2119
cloud_up || { echo "Bail out! no stand-in"; exit 1; }
half() { /usr/bin/python3 - "$1" "$work/out" <<'P'
import json, sys
s = [json.loads(l) for l in open(sys.argv[2], encoding='utf-8') if l.startswith('{')]
print(' '.join('%(state)s/%(proof)s' % x for x in s if x['type'] == 'step' and x['step'] == sys.argv[1]))
P
}

# --- both worlds ----------------------------------------------------------------------------------
run disable alice --reason "phishing, INC-4711"
is "$(verdict)" "done read-back 0" "a hybrid user: disabled in AD and in Entra"
like "$(steps)" "disable/done" "  AD's part"
is "$(half entra) $(half revoke)" "done/read-back done/read-back" "  Entra's part, read back"
is "$(entra alice accountEnabled)" "false" "  and it is so"
is "$(uac alice)" 514 "  in AD, too"
like "$(field residual)" "access tokens" "  what is still open is said"
id=$(field case)
run disable alice
is "$(field verdict) $rc" "done 0" "again: already so"
is "$(half entra)" "already/read-back" "  in Entra"
run enable --case "$id"
is "$(field verdict) $rc $(entra alice accountEnabled) $(uac alice)" "done 0 true 512" "undone in both"
run contain bob
is "$(field verdict) $rc $(half entra) $(half revoke)" "done 0 done/read-back done/read-back" "contain: both worlds"
run reset-password grace
is "$(field verdict) $rc $(half entra-password)" "done 0 skipped/none" "a hybrid user's password is AD's: set there, and said"
run expire-password heidi
is "$(field verdict) $rc" "done 0" "expire-password of a hybrid user: AD's part is all there is"
like "$(steps)" "entra-password/skipped" "  and it is said that Entra takes no notice"
run revoke carol
is "$(field verdict) $rc $(uac carol)" "done 0 512" "revoke: Entra alone; AD is not touched"
run disable dave --on-prem
is "$(field verdict) $(entra dave accountEnabled)" "done true" "--on-prem leaves Entra alone"
run disable erin --cloud
is "$(field verdict) $(entra erin accountEnabled) $(uac erin)" "done false 512" "--cloud leaves AD alone"
like "$(field residual)" "synchronisation may enable it" "  and says what a synchronisation may do"
run disable frank --dry-run
is "$rc $(entra frank accountEnabled) $(uac frank)" "0 true 512" "a dry run touches neither"
run disable heidi --audit
is "$(field verdict) $(half audit)" "done done/logged" "--audit: Entra's own log shows it, by us"
like "$(field proofs)" "'cloud': 'logged'" "  and the proof says so"
is "$(violations)" "[]" "every request was as the description says"

# --- the tenant misbehaves ---------------------------------------------------------------------------
again() { set_uac frank 512; order PATCH users/frank@corp.example.com '{"accountEnabled":true}' >/dev/null; no_faults; }
again; fault '{"match":{"service":"graph","method":"PATCH"},"do":{"kind":"permission"}}'
run disable frank
is "$(field verdict) $rc $(uac frank)" "partial 11 514" "403 for the PATCH: partial"
is "$(half revoke)" "done/read-back" "  the sessions are ended all the same"
again; fault '{"match":{"service":"graph","method":"PATCH","times":0},"do":{"stick":false}}'
run disable frank
is "$(field verdict) $rc $(half entra)" "unconfirmed 10 unconfirmed/accepted" "an accepted PATCH that does not stick: unconfirmed"
again; fault '{"match":{"service":"graph","method":"PATCH","times":1},"do":{"status":429,"retryAfter":"0.3"}}'
run disable frank
is "$(field verdict) $rc $(entra frank accountEnabled)" "done 0 false" "429 with a fraction of a second: waited for"
again; fault '{"match":{"service":"graph","method":"PATCH","times":1},"do":{"status":504,"after":true}}'
run disable frank
is "$(field verdict) $rc $(entra frank accountEnabled)" "done 0 false" "504 after having acted: found done"
again; fault '{"match":{"service":"graph","method":"POST","path":"revokeSignInSessions"},"do":{"cut":"body"}}'
run disable frank
like "$(field verdict) $rc" "^(done 0|unknown 16|unconfirmed 10)$" "revoke cut in the middle: never failed-and-nothing-changed"
again; fault '{"match":{"service":"graph","method":"GET","path":"/users","times":2},"do":{"html":true}}'
run disable frank
like "$(field verdict) $rc $(uac frank)" "^(done 0|partial 11) 514$" "HTML instead of JSON: AD is done, and no lie about Entra"
again; order POST tokens/expire >/dev/null; fault '{"match":{"service":"login","times":0},"do":{"status":401,"aadsts":7000222}}'
run disable grace
is "$(field verdict) $rc $(uac grace)" "partial 11 514" "the secret has expired: AD is done, partial"
like "$(field detail)" "secret" "  with the cause"
done_testing

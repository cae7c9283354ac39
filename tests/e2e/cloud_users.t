#!/usr/bin/env bash
# Who is who in AD and Entra, who may be touched, and what is done for those who live in one of them alone.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/cloud_lib.sh
. "$(dirname "$0")/cloud_lib.sh"
lab up "$LAB_DIR" || { echo "Bail out! no lab"; exit 1; }
# shellcheck disable=SC2119
cloud_up || { echo "Bail out! no stand-in"; exit 1; }
user() { order POST users "$1" | /usr/bin/python3 -c 'import json,sys; print(json.load(sys.stdin)["id"])'; }
id_of() { entra "$1" id | tr -d '"'; }

# --- who is who ----------------------------------------------------------------------------------
patch alice '{"onPremisesSecurityIdentifier":"S-1-5-21-1-2-3-4444"}'
run disable alice
is "$(field verdict) $rc $(uac alice) $(entra alice accountEnabled)" "partial 11 514 true" "the anchor fits, the SID does not: Entra is not touched"
like "$(field detail)" "S-1-5-21-1-2-3-4444" "  both sides are shown"
patch bob '{"onPremisesImmutableId":"AAAAAAAAAAAAAAAAAAAAAA=="}'
run disable bob
is "$(field verdict) $rc $(entra bob accountEnabled)" "done 0 false" "an anchor of the tenant's own choice: the SID is enough"
user '{"userPrincipalName":"other@corp.example.com","onPremisesSecurityIdentifier":"'"$(/usr/bin/python3 -c 'import json,sys; print([json.loads(l)["sid"] for l in open(sys.argv[1]) if json.loads(l)["sam"]=="carol"][0])' "$work/people.jsonl")"'","onPremisesSyncEnabled":true}' >/dev/null
run disable carol
is "$(field verdict) $rc $(entra carol accountEnabled)" "partial 11 true" "two users with one SID: neither is touched"
like "$(field detail)" "more than one" "  and both are named"
patch dave '{"onPremisesSecurityIdentifier":null,"onPremisesImmutableId":null,"onPremisesSyncEnabled":null}'
run disable dave
is "$(field verdict) $rc $(entra dave accountEnabled)" "partial 11 true" "a user of the same name who is not linked: shown, not touched"
like "$(field detail)" "only the name fits" "  in words"
patch erin '{"onPremisesSecurityIdentifier":null,"onPremisesImmutableId":null,"onPremisesSyncEnabled":null,"userPrincipalName":"gone@corp.example.com"}'
run disable erin
is "$(field verdict) $rc $(uac erin)" "done 0 514" "in AD alone: done there, and that is all"
like "$(steps)" "entra/skipped" "  Entra's part is skipped, not claimed"

# --- in the cloud alone -----------------------------------------------------------------------------
user '{"userPrincipalName":"cloudia@corp.example.com"}' >/dev/null
run disable cloudia@corp.example.com
is "$(field verdict) $rc $(entra cloudia accountEnabled)" "done 0 false" "in Entra alone: done there"
like "$(steps)" "entra/done/read-back" "  read back"
order PATCH app "$(order GET app | /usr/bin/python3 -c 'import json,sys; print(json.dumps({"wids": ["fe930be7-5e62-47db-91af-98c3a49a38b1"], "roles": json.load(sys.stdin)["roles"] + ["User-PasswordProfile.ReadWrite.All"]}))')" >/dev/null; order POST tokens/expire >/dev/null
user '{"userPrincipalName":"clive@corp.example.com"}' >/dev/null
run reset-password clive@corp.example.com
is "$(field verdict) $rc" "done 0" "a random password for a user of the cloud alone"
is "$(grep -c '"password"' "$work/out")" 0 "  which nobody is shown"
run expire-password clive@corp.example.com --mfa
is "$(field verdict) $rc" "unconfirmed 10" "must change, after MFA: accepted; nothing shows it, so it is not called proven"
like "$(order GET requests | tail -c 4000)" "forceChangePasswordNextSignInWithMfa" "  and it was asked for"
user '{"kind":"guest","userPrincipalName":"a_partner.example#EXT#@corp.example.com"}' >/dev/null
run disable 'a_partner.example#EXT#@corp.example.com'
is "$(field verdict) $rc" "done 0" "a guest is disabled"
like "$(steps)" "revoke/skipped" "  the sessions are the home tenant's, and it is said"
run revoke 'a_partner.example#EXT#@corp.example.com'
is "$(field verdict) $rc" "refused 12" "revoke of a guest: refused, with the reason"
run disable nobody@corp.example.com
is "$(field verdict) $rc" "not-found 14" "in neither: not found"

# --- who may be touched -----------------------------------------------------------------------------
frank=$(id_of frank)
order POST roleAssignments "{\"principalId\":\"$frank\",\"roleDefinitionId\":\"62e90394-69f5-4237-9190-012177145e10\",\"directoryScopeId\":\"/\"}" >/dev/null
run disable frank
is "$(field verdict) $(field rule) $rc $(uac frank) $(entra frank accountEnabled)" "refused privileged 12 512 true" "an administrator of Entra: refused, in AD as well"
like "$(field detail)" "Global Administrator" "  by name of the role"
order DELETE roleAssignments >/dev/null; order POST groups "{\"displayName\":\"Tier0\",\"isAssignableToRole\":true,\"members\":[\"$frank\"]}" >/dev/null
run disable frank
is "$(field verdict) $(uac frank)" "refused 512" "a role-assignable group: refused"
order DELETE groups >/dev/null; order POST groups "{\"displayName\":\"Tier0\",\"isAssignableToRole\":true,\"members\":[],\"owners\":[\"$frank\"]}" >/dev/null
run disable frank
is "$(field verdict) $(field rule) $rc $(uac frank) $(entra frank accountEnabled)" "refused privileged 12 512 true" "its owner, who can make himself a member: refused"
like "$(field detail)" "owner of the role-assignable group Tier0" "  by name of the group"
order DELETE groups >/dev/null; order POST groups "{\"displayName\":\"Crowd\",\"isAssignableToRole\":true,\"members\":[],\"owners\":[$(for i in $(seq 10 39); do printf '"bbbbbbbb-0000-4000-8000-0000000000%s",' "$i"; done)\"$frank\"]}" >/dev/null
run disable frank
is "$(field verdict) $(field rule) $(uac frank)" "refused privileged 512" "one of more owners than an \$expand shows: refused"
order DELETE groups >/dev/null; order POST groups "{\"displayName\":\"Chess\",\"members\":[],\"owners\":[\"$frank\"]}" >/dev/null
order POST administrativeUnits "{\"displayName\":\"Vault\",\"isMemberManagementRestricted\":true,\"members\":[\"$frank\"]}" >/dev/null
run disable frank
is "$(field verdict) $(field rule) $(uac frank)" "refused restricted-unit 512" "a restricted management unit: refused"
order DELETE administrativeUnits >/dev/null
order POST roleAssignments "{\"principalId\":\"$frank\",\"roleDefinitionId\":\"88d8e3e3-8f55-4a1e-953a-9b9898b8876b\",\"directoryScopeId\":\"/\"}" >/dev/null
run disable frank
is "$(field verdict) $rc" "done 0" "a harmless role does not protect"
order PATCH app '{"roles":["User.Read.All"]}' >/dev/null; order POST tokens/expire >/dev/null
run disable grace
is "$(field verdict) $rc $(uac grace)" "partial 11 514" "permissions are missing: AD is done"
like "$(field detail)" "User.EnableDisableAccount.All" "  and the permission is named"
run doctor; like "$(cat "$work/out")" 'User.RevokeSessions.All' "doctor names it before the incident"
order PATCH app '{"roles":["User.Read.All","User.EnableDisableAccount.All","User.RevokeSessions.All"]}' >/dev/null; order POST tokens/expire >/dev/null
run disable heidi
is "$(field verdict) $rc" "done 0" "the three that are needed are enough"

# --- the cloud is away ------------------------------------------------------------------------------------
cloud_conf 's#^graph_url = .*#graph_url = https://localhost:1#'
for u in u00001 u00002 u00003; do set_uac $u 512; done 2>/dev/null
run disable u00001
is "$(field verdict) $rc $(($(uac u00001) & 2))" "partial 11 2" "no Graph: AD is done all the same"
like "$(field detail)" "(connect|AADSTS)" "  and the verdict says what is missing"
cloud_conf "s#^secret_file = .*#secret_file = $work/none#"
run disable u00002
is "$(field verdict) $rc $(($(uac u00002) & 2))" "partial 11 2" "no secret: AD is done all the same"
cloud_conf

# --- AD is away -----------------------------------------------------------------------------------------
patch heidi '{"accountEnabled":true}'
lab kill dc1 "$LAB_DIR"
run disable heidi@corp.example.com
is "$(field verdict) $rc $(entra heidi accountEnabled)" "partial 11 false" "no DC: Entra is done all the same, and the verdict says what is missing"
like "$(field detail)" "DC" "  in words"
is "$(violations)" "[]" "every request was as the description says"
done_testing

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
# --- a password of the cloud's own, and what it takes ----------------------------------------------
ua=fe930be7-5e62-47db-91af-98c3a49a38b1; nothing='"0997a1d0-0d1d-4acb-b408-d5ca73121e90"'
app() { # ROLE-TO-ADD WIDS
    order PATCH app "$(order GET app | /usr/bin/python3 -c 'import json,sys; print(json.dumps({"wids": json.loads("[" + sys.argv[2] + "]"), "roles": sorted(set(json.load(sys.stdin)["roles"] + sys.argv[1].split()))}))' "$1" "$2")" >/dev/null
    order POST tokens/expire >/dev/null
}
sent() { order GET requests | /usr/bin/python3 -c 'import json,sys; print(sum(r["method"] == "PATCH" and "passwordProfile" in json.dumps(r["body"]) for r in json.load(sys.stdin)))'; }
clive=$(user '{"userPrincipalName":"clive@corp.example.com"}')
user '{"userPrincipalName":"dora@corp.example.com"}' >/dev/null
run reset-password clive@corp.example.com
is "$(field verdict) $rc $(sent)" "failed 15 0" "no permission, no role: nothing is sent"
run reset-password clive@corp.example.com --dry-run
is "$rc $(sent)" "0 0" "  nor by a dry run"
like "$(cat "$work/out")" "would not set a random password: cordon's application lacks" "  which tells it, too"
run reset-password clive@corp.example.com
like "$(field detail)" "User-PasswordProfile.ReadWrite.All.*and an Entra role .*User Administrator" "  both are named, and where to grant them"
app User-PasswordProfile.ReadWrite.All "$nothing"
run expire-password clive@corp.example.com
is "$(field verdict) $rc $(sent)" "failed 15 0" "the permission without a role: nothing is sent"
like "$(field detail)" "lacks an Entra role" "  the role is named"
run doctor; like "$(cat "$work/out")" 'entra-role.*User Administrator' "doctor names the role before the incident"
like "$(run contain clive@corp.example.com; field verdict; steps)" "partial.*entra-password/failed.* entra/done/read-back" "contain: what needs no role is done all the same"
patch clive '{"accountEnabled":true}'
order POST administrativeUnits "{\"id\":\"aaaaaaaa-0000-4000-8000-000000000002\",\"displayName\":\"Branch\",\"members\":[\"$clive\"]}" >/dev/null
order POST roleAssignments "{\"principalId\":\"$(order GET app | /usr/bin/python3 -c 'import json,sys; print(json.load(sys.stdin)["objectId"])')\",\"roleDefinitionId\":\"$ua\",\"directoryScopeId\":\"/administrativeUnits/aaaaaaaa-0000-4000-8000-000000000002\"}" >/dev/null
run reset-password clive@corp.example.com
is "$(field verdict) $rc $(sent)" "done 0 1" "a role at the scope of a unit is found, and reaches its members"
run doctor; like "$(cat "$work/out")" 'User Administrator at /administrativeUnits' "  doctor says which"
run reset-password dora@corp.example.com
is "$(field verdict) $rc $(sent)" "failed 15 2" "  not others: Entra's own no"
order DELETE roleAssignments >/dev/null; order DELETE administrativeUnits >/dev/null
app "" "\"$ua\""
run reset-password clive@corp.example.com
is "$(field verdict) $rc" "done 0" "a random password for a user of the cloud alone"
is "$(grep -c '"password"' "$work/out")" 0 "  which nobody is shown"
run expire-password clive@corp.example.com --mfa
is "$(field verdict) $rc" "unconfirmed 10" "must change, after MFA: accepted; nothing shows it, so it is not called proven"
like "$(order GET requests | tail -c 4000)" "forceChangePasswordNextSignInWithMfa" "  and it was asked for"
like "$(steps)" "mfa-method/skipped/none entra-password" "  whether there is a method is said not to be known"
run doctor; like "$(cat "$work/out")" '"check": ?"entra-role"[^}]*"ok"|entra-role.*can be set' "doctor: the role is there"
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
was=$(sent)
run reset-password heidi@corp.example.com
is "$(field verdict) $(($(sent) - was))" "failed 0" "no DC: the password of a synchronised user is not set in Entra"
like "$(cat "$work/out")" "source of authority.*writeback" "  and why not, in words"
is "$(violations)" "[]" "every request was as the description says"
done_testing

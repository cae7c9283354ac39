#!/usr/bin/env bash
# Who we are in the cloud: each kind of credential, and what is said where one does not work.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/cloud_lib.sh
. "$(dirname "$0")/cloud_lib.sh"
lab up "$LAB_DIR" || { echo "Bail out! no lab"; exit 1; }
# shellcheck disable=SC2119
cloud_up || { echo "Bail out! no stand-in"; exit 1; }
as_who() { cloud_conf "s#^secret_file = .*#$1#" "${@:2}"; order POST tokens/expire >/dev/null; run revoke alice; }
run revoke alice
is "$(field verdict) $rc" "done 0" "a client secret"
as_who "certificate = $cloud/client.pem"
is "$(field verdict) $rc" "done 0" "a certificate (PS256)"
order PATCH settings '{"pssRefused":true}' >/dev/null
as_who "certificate = $cloud/client.pem"
is "$(field verdict) $rc" "done 0" "a certificate where PS256 is refused: RS256"
order PATCH settings '{"pssRefused":false}' >/dev/null
as_who "federated_token_file = $cloud/federated.jwt"
is "$(field verdict) $rc" "done 0" "a federated token"
as_who "managed_identity = yes" '/^client_id = .*c0de/d'
is "$(field verdict) $rc" "done 0" "a managed identity"
order PATCH app '{"secret":"another"}' >/dev/null
as_who "secret_file = $cloud/secret"
is "$(field verdict) $rc" "failed 15" "a wrong secret: failed, nothing changed"
like "$(field detail)" "AADSTS7000215" "  with the number and the words"
is "$(grep -c "standin~secret" "$work/out" "$work/err" | cut -d: -f2 | tr '\n' ' ')" "0 0 " "  and the secret is nowhere"
chmod 644 "$cloud/secret"
run revoke alice
is "$rc" 78 "a secret that others may read is refused"
like "$(cat "$work/err")" "chmod" "  with the command to type"
chmod 600 "$cloud/secret"
is "$(violations)" "[]" "every request was as the description says"
done_testing

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

# Azure Arc: its folder of keys is where the agent has it, which is not for settings to say; so the
# stand-in's is put there, for cordon's eyes only.
cat >"$work/as-on-arc" <<'E'
#!/bin/sh
mount -t tmpfs tmpfs /var/opt && mkdir -p /var/opt/azcmagent/tokens &&
    mount --bind "$ARC_TOKENS" /var/opt/azcmagent/tokens && exec "$@"
E
chmod 755 "$work/as-on-arc"
arc_env="ARC_TOKENS=$STANDIN_ARC_TOKENS IMDS_ENDPOINT=http://localhost:40342"
on_arc="unshare -m $work/as-on-arc"
at_arc=IDENTITY_ENDPOINT=$STANDIN_ARC/metadata/identity/oauth2/token
mkdir -p "$STANDIN_ARC_TOKENS"; chmod 700 "$STANDIN_ARC_TOKENS"
realm() { order PATCH settings "{\"arcRealm\":\"$1\"}" >/dev/null; }
asked() { order GET requests | /usr/bin/python3 -c 'import json,sys; r=json.load(sys.stdin); print(sum(1 for x in r if x["service"]==sys.argv[1]))' "$1"; }
realm '/var/opt/azcmagent/tokens/%f'; order DELETE requests >/dev/null
extra_env="$arc_env $at_arc $on_arc" as_who "managed_identity = yes" '/^client_id = .*c0de/d'
is "$(field verdict) $rc $(asked arc) $(asked imds)" "done 0 2 0" "Azure Arc: asked, and asked with its key; IMDS is not"
is "$(grep -rlFf <(cat "$STANDIN_ARC_TOKENS"/*.key) "$work/out" "$work/err")" "" "  and the key is nowhere"
# not_opened REALM NAME WORDS
not_opened() {
    realm "$1"; order DELETE requests >/dev/null
    extra_env="$arc_env $at_arc $on_arc" run revoke alice
    is "$(field verdict) $rc $(asked arc) $(asked graph)" "failed 15 1 0" "Azure Arc, $2: failed, and nothing is sent with it"
    like "$(field detail)" "$3" "  with the reason"
}
keys=/var/opt/azcmagent/tokens
head -c 5000 /dev/zero | tr '\0' a >"$STANDIN_ARC_TOKENS/big.key"; : >"$STANDIN_ARC_TOKENS/empty.key"
ln -s /etc/hostname "$STANDIN_ARC_TOKENS/link.key"; mkfifo "$STANDIN_ARC_TOKENS/fifo.key"
cp /etc/hostname "$STANDIN_ARC_TOKENS/other"
not_opened /etc/shadow "a file elsewhere" "not in its folder"
not_opened "$keys/../../../../etc/x.key" "a way out" "not in its folder"
not_opened "$keys/other" "another kind of file" "does not end in .key"
not_opened "$keys/big.key" "more than 4096 bytes" "larger than 4096"
not_opened "$keys/empty.key" "an empty one" "empty"
not_opened "$keys/link.key" "a link" "is a link"
not_opened "$keys/fifo.key" "a pipe" "no regular file"
not_opened "$keys/none.key" "no such file" "key file"
realm '/var/opt/azcmagent/tokens/%f'
order PATCH settings '{"arcScheme":"Bearer"}' >/dev/null; order DELETE requests >/dev/null
extra_env="$arc_env $at_arc $on_arc" run revoke alice
is "$(field verdict) $rc $(asked arc)" "failed 15 1" "Azure Arc, another scheme: failed"
order PATCH settings '{"arcScheme":"Basic"}' >/dev/null
for elsewhere in http://192.0.2.1:40342/x http://127.0.0.1.example.com:40342/x http://127.0.0.1:40342@192.0.2.1/x; do
    extra_env="$arc_env IDENTITY_ENDPOINT=$elsewhere $on_arc" run revoke alice
    like "$rc $(cat "$work/err") $(field detail)" "not on this machine" "an endpoint that is not on this machine is not asked: $elsewhere"
done
order DELETE requests >/dev/null
extra_env="$at_arc" run revoke alice
is "$(field verdict) $rc $(asked arc) $(asked imds)" "done 0 0 1" "without IMDS_ENDPOINT it is no Arc: IMDS"
realm ""

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

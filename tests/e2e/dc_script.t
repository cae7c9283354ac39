#!/usr/bin/env bash
# tests/e2e/dc_script.t -- does dc_script.py do on the lab's DC what cordon-dc.ps1 does on a Windows one?
# Alone, and as what the stand-in's Live Response runs. TAP.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/cloud_lib.sh
. "$here/tests/e2e/cloud_lib.sh"

# argument NAME OP [MS-FROM-NOW [NEVER-EXPIRES-TOO]]: the argument that the script is given
argument() {
    people | /usr/bin/python3 -c '
import base64, json, sys, time
name, op, ms, clear = sys.argv[1:]
p = next(x for x in map(json.loads, sys.stdin) if x["sam"] == name)
o = ("{\"v\":1,\"op\":\"%s\",\"sid\":\"%s\",\"guid\":\"%s\",\"domain\":\"corp.example.com\",\"expires\":%d,\"nonce\":\"0123456789abcdef\","
     "\"case\":\"01JD7Q3W8M5X2T6V9Y1Z4A7B0C\",\"clear_never_expires\":%s,\"must_change\":false}"
     % (op, p["sid"], p["guid"], time.time() * 1000 + int(ms), clear))
print("-Payload c1_" + base64.urlsafe_b64encode(o.encode()).decode().rstrip("="))' "$1" "$2" "${3:-60000}" "${4:-false}"
}
# said TEXT: "outcome code uac_before uac_after" of the line with our nonce
said() {
    /usr/bin/python3 -c '
import json, re, sys
m = re.findall(r"(?m)^CORDON1 0123456789abcdef (\{.*\})$", sys.argv[1].replace("\r", ""))
j = json.loads(m[0]) if len(m) == 1 else {}
print(*(j.get(k) for k in ("outcome", "code", "uac_before", "uac_after")) if j else ["no line"])' "$1"
}
script() { # ARGUMENT [ENV...]
    local args=$1
    shift
    printf '{"machine":{"id":"x","name":"dc1.corp.example.com"},"args":"%s"}' "$args" |
        lab exec "$LAB_DIR" env "$@" "$here/tests/e2e/dc_script.py"
}
audit() { # COUNT of audit lines with the text
    grep -c "$1" "$LAB_DIR/dc1/log/audit.json"
}

lab up "$LAB_DIR" || { echo "1..0 # no lab"; exit 1; }

is "$(said "$(script "$(argument alice disable)")")" "done  512 514" "an account is disabled"
is "$(uac alice)" 514 "and it is, in the directory"
is "$(audit '"userSid": "S-1-5-18", "dn": "CN=alice,')" 1 "the DC's audit log says who: its SYSTEM"
is "$(said "$(script "$(argument alice disable)")")" "already  514 None" "again: it was so"
is "$(said "$(script "$(argument alice enable)")") $(uac alice)" "done  514 512 512" "and enabled"
is "$(said "$(script "$(argument bob expire-password)")") $(attr bob pwdLastSet)" "done  512 512 0" "a password is expired"
is "$(said "$(script "$(argument pne1 expire-password)")") $(uac pne1)" "refused never-expires 66048 None 66048" "one that never does is not"
is "$(said "$(script "$(argument pne1 expire-password 60000 true)")") $(uac pne1)" "done  66048 512 512" "but where that may be cleared"
before=$(attr carol pwdLastSet)
is "$(said "$(script "$(argument carol reset-password)")")" "done  512 512" "a password is reset"
[ "$(attr carol pwdLastSet)" != "$before" ] && ok "and it is another" || not_ok "and it is another"

is "$(said "$(script "$(argument adm1 disable)")") $(uac adm1)" "refused privileged None None 512" "not an administrator"
is "$(said "$(script "$(argument dave disable -1)")") $(uac dave)" "refused expired None None 512" "not when it is too late"
is "$(said "$(script "$(argument dave disable 7200000)")")" "refused too-far-ahead None None" "not for hours"
sid=$(people | /usr/bin/python3 -c 'import json,sys; print(next(x["sid"] for x in map(json.loads, sys.stdin) if x["sam"] == "dave"))')
is "$(said "$(script "$(argument dave disable)" "CORDON_DC_NEVER=S-1-5-32-1,$sid")") $(uac dave)" "refused privileged None None 512" "not who is never to be touched"
like "$(script '-Payload c1_x; iex y')" '^CORDON1 0000000000000000 .*"outcome":"refused","code":"payload"' "not without an order"

# The whole way: what Live Response runs is that program.
cloud_up --defender-run "$here/tests/e2e/dc_script.py" || not_ok "the stand-in starts"
curly() { lab exec "$LAB_DIR" curl -sS --noproxy '*' --cacert "$STANDIN_CA" "$@"; }
member() { /usr/bin/python3 -c 'import json,sys; print(json.load(sys.stdin).get(sys.argv[1], ""))' "$1"; }
token=$(curly --data-urlencode "client_secret@$cloud/secret" -d "client_id=$STANDIN_CLIENT_ID" -d grant_type=client_credentials \
    --data-urlencode "scope=$STANDIN_DEFENDER/.default" "$STANDIN_LOGIN/$STANDIN_TENANT/oauth2/v2.0/token" | member access_token)
api() { curly -H "Authorization: Bearer $token" -H 'Content-Type: application/json' "$@"; }
order POST defender/library '{"fileName":"cordon-dc.ps1","text":"x"}' >/dev/null
machine=$(order POST defender/machines '{"computerDnsName":"dc1.corp.example.com"}' | member id)
body='{"Commands":[{"type":"RunScript","params":[{"key":"ScriptName","value":"cordon-dc.ps1"},{"key":"Args","value":"%s"}]}],"Comment":"a test"}'
# shellcheck disable=SC2059
action=$(api -d "$(printf "$body" "$(argument erin disable)")" "$STANDIN_DEFENDER/api/machines/$machine/runliveresponse" | member id)
for _ in $(seq 100); do
    status=$(api "$STANDIN_DEFENDER/api/machineactions/$action" | member status)
    case $status in Pending | InProgress) sleep 0.1 ;; *) break ;; esac
done
is "$status $(uac erin)" "Succeeded 514" "Live Response: the account is really disabled"
link=$(api -g "$STANDIN_DEFENDER/api/machineactions/$action/GetLiveResponseResultDownloadLink(index=0)" | member value)
result=$(curly "$link" | /usr/bin/python3 -c 'import json,sys; print(json.loads(sys.stdin.buffer.read().decode("utf-8-sig"), strict=False)["script_output"].replace("\0", ""))')
is "$(said "$result")" "done  512 514" "and its result says so"
is "$(violations)" "[]" "nothing was asked in a wrong way"
kill "$standin_pid" && wait "$standin_pid" 2>/dev/null
done_testing

#!/usr/bin/env bash
# The way out is a proxy: with a login, with a wrong one, dead, silent, and for some hosts not at all.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/cloud_lib.sh
. "$(dirname "$0")/cloud_lib.sh"
lab up "$LAB_DIR" || { echo "Bail out! no lab"; exit 1; }
# shellcheck disable=SC2119
cloud_up || { echo "Bail out! no stand-in"; exit 1; }
proxy() { # NAME LOGIN: sets $port
    { lab exec "$LAB_DIR" /usr/bin/python3 "$here/tests/e2e/connect_proxy.py" "$work/$1.port" "$work/proxied" "$2"; } 2>/dev/null &
    for _ in $(seq 100); do [ -e "$work/$1.port" ] && break; sleep 0.1; done
    port=$(cat "$work/$1.port")
}
: >"$work/proxied"
login='proxy-user:pr0xy~pass;word' encoded=$(printf %s 'proxy-user:pr0xy~pass;word' | base64)
proxy good "$login"; good=$port
proxy silent silent; silent=$port
printf '%s\n' "$login" >"$work/login"; printf 'proxy-user:another~one\n' >"$work/wrong"
chmod 600 "$work/login" "$work/wrong"
by() { # PORT [LINE...]: of the section [http]
    local lines="proxy = http://127.0.0.1:$1"; shift
    for l in "$@"; do lines+="\\n$l"; done
    cloud_conf 's/^\[cordon\]/[cordon]\nlog_level = debug/' "s#^\\[http\\]#[http]\\n$lines#"
    : >"$work/proxied"
}
proxied() { grep -c "^$1 ${2:-}" "$work/proxied"; }
of_url() { echo "${1##*/}"; }
leaks() { # nowhere: answer, log at debug level, ledger
    { cat "$work/out" "$work/err"; lab exec "$LAB_DIR" env "CORDON_CONFIG=$conf" "$cordon" audit export; } 2>&1 | grep -cF -e "$encoded" -e 'pr0xy~pass' -e 'another~one' -e "$(printf %s proxy-user:another~one | base64)"
}

by "$good" "proxy_login_file = $work/login"
order POST okta/users '{"profile":{"login":"alice@corp.example.com","email":"alice@corp.example.com"}}' >/dev/null
run disable alice --idp okta
is "$(field verdict) $rc $(entra alice accountEnabled)" "done 0 false" "through the proxy, with its login"
for s in "$STANDIN_LOGIN" "$STANDIN_GRAPH" "$STANDIN_OKTA"; do
    like "$(proxied 200 "$(of_url "$s")")" "^[1-9]" "  asked for $(of_url "$s")"
done
is "$(proxied 407)" 0 "  the login goes with the first request"
like "$(grep -c debug "$work/err")" "^[1-9]" "  the log is at debug"
is "$(leaks)" 0 "  and the login is nowhere"
is "$(order GET requests | grep -ci proxy-authorization)" 0 "  nor with whom the proxy leads to"

by "$good" "proxy_login_file = $work/wrong"
run disable bob
is "$(field verdict) $rc $(($(uac bob) & 2)) $(entra bob accountEnabled)" "partial 11 2 true" "a wrong login: AD's part is done, the cloud's is not"
like "$(field detail)" "407: the proxy wants a login, or another one" "  and it is said what the proxy says"
is "$(proxied 200) $(proxied 407)" "0 1" "  nothing went through, and it was asked once: another try would end the same"
is "$(leaks)" 0 "  and the login is nowhere"
by "$good"
run revoke bob
is "$(field verdict) $rc" "failed 15" "no login: failed"
like "$(field detail)" "407" "  and it is said what the proxy says"

by "$good" "proxy_login_file = $work/wrong" "no_proxy = localhost"
run revoke bob
is "$(field verdict) $rc $(wc -l <"$work/proxied")" "done 0 0" "no_proxy: the proxy is not asked"
by "$good" "proxy_login_file = $work/login" "no_proxy = example.com"
run revoke bob
is "$(field verdict) $rc $(($(proxied 200) > 0))" "done 0 1" "no_proxy for others: it is"

by "$good" "proxy_login_file = $work/login"
cloud_managed() { sed -i -e "s#^secret_file = .*#managed_identity = yes#" -e '/^client_id = .*c0de/d' "$conf"; }
cloud_managed
run revoke bob
is "$(field verdict) $rc $(proxied 200 "$(of_url "$STANDIN_IMDS")") $(($(proxied 200 "$(of_url "$STANDIN_GRAPH")") > 0))" "done 0 0 1" "IMDS is never asked through the proxy"

by 1
run disable carol
is "$(field verdict) $rc $(($(uac carol) & 2)) $(entra carol accountEnabled)" "partial 11 2 true" "nobody listens there: AD's part is done"
like "$(field detail)" "proxy|connect" "  and it is said"
by "$silent" "proxy_login_file = $work/login"
run disable dave
is "$(field verdict) $rc $(($(uac dave) & 2)) $(entra dave accountEnabled)" "partial 11 2 true" "it listens, and says nothing: AD's part is done, and it ends"
is "$(leaks)" 0 "  and the login is nowhere"
chmod 644 "$work/login"; by "$good" "proxy_login_file = $work/login"
run disable erin
is "$rc" 78 "a login that others may read is refused"
like "$(cat "$work/err")" "chmod" "  with the command to type"
is "$(violations)" "[]" "every request was as the description says"
done_testing

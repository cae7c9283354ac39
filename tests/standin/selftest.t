#!/usr/bin/env bash
# tests/standin/selftest.t -- does the stand-in do what README.md says? TAP. The behaviours are in
# test/*.js; here it is started, mirrored into and ended.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
dir=$(mktemp -d)
pid='' second=''
finish() {
    [ -z "$pid" ] || kill "$pid" 2>/dev/null
    [ -z "$second" ] || kill "$second" 2>/dev/null
    rm -rf "$dir"
}
trap finish EXIT
n=0
failed=0
ok() { # STATUS NAME
    n=$((n + 1))
    if [ "$1" = 0 ]; then echo "ok $n - $2"; else failed=$((failed + 1)); echo "not ok $n - $2"; sed 's/^/# /' "$dir/err" 2>/dev/null | tail -n 20; fi
}
"$here/standin" serve --dir "$dir/s" --host 127.0.0.1 >"$dir/out" 2>"$dir/err" &
pid=$!
for _ in $(seq 600); do [ -e "$dir/s/ready" ] && break; kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
[ -e "$dir/s/ready" ]
ok $? "it starts, and says so"
[ "$n" = 1 ] && [ "$failed" = 0 ] || { echo "1..1"; exit 1; }
[ "$(cat "$dir/s/pid")" = "$pid" ]
ok $? "the process that was started is the one that serves"
[ "$(stat -c %a "$dir/s/secret") $(stat -c %a "$dir/s/client.pem") $(stat -c %a "$dir/s/okta.token")" = "600 600 600" ]
ok $? "secrets are nobody else's to read"
grep -q '^secret_file = ' "$dir/s/cordon.conf.part"
ok $? "settings for cordon are there"

cat >"$dir/people" <<'P'
{"sam":"alice","sid":"S-1-5-21-1-2-3-1104","guid":"00112233-4455-6677-8899-aabbccddeeff","upn":"alice@corp.example.com","dn":"CN=Novák\\, Anna,OU=People,DC=corp,DC=example,DC=com","enabled":true}
{"sam":"bob","sid":"S-1-5-21-1-2-3-1105","guid":"10112233-4455-6677-8899-aabbccddeeff","upn":null,"dn":"CN=bob,OU=People,DC=corp,DC=example,DC=com","enabled":false}
P
"$here/standin" mirror "$dir/s" "$dir/people" >"$dir/map" 2>"$dir/err"
ok $? "people of a directory are mirrored"

node=$(command -v node || command -v nodejs)
"$node" "$here/test/all.js" "$dir/s" "$dir/map" "$n" >"$dir/tap" 2>"$dir/err"
rc=$?
cat "$dir/tap"
n=$(grep -cE '^(not )?ok ' "$dir/tap" | awk -v n="$n" '{print n + $1}')
failed=$((failed + $(grep -c '^not ok ' "$dir/tap")))
ok "$rc" "the behaviours were all tried"

# A tenant from a file, slow on every request.
cat >"$dir/tenant" <<'P'
{"tenant": "33333333-2222-4333-8444-555555555555", "users": [{"kind": "hybrid", "userPrincipalName": "filed@corp.example.com"}],
 "okta": {"users": [{"login": "filed@example.com"}]}}
P
"$here/standin" serve --dir "$dir/t" --tenant-file "$dir/tenant" --latency 200 >"$dir/out" 2>"$dir/err" &
second=$!
for _ in $(seq 100); do [ -e "$dir/t/ready" ] && break; sleep 0.1; done
"$node" "$here/test/filed.js" "$dir/t" 2>"$dir/err"
ok $? "a tenant from a file, and a latency"
kill -INT "$second" && wait "$second"
rc=$?
second=''
ok $rc "two at once; an interrupt ends it, too"

kill -TERM "$pid"
wait "$pid"
rc=$?
pid=''
[ "$rc" = 0 ] && [ ! -e "$dir/s/ready" ] && [ ! -e "$dir/s/pid" ]
ok $? "it ends when told to, and leaves no sign of being ready"
echo "1..$n"
[ "$failed" = 0 ]

#!/usr/bin/env bash
# tests/e2e/signed.t -- keys, signing and verifying by the program itself. TAP. Needs no lab.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=tests/e2e/lib.sh
. "$here/tests/e2e/lib.sh"
finish() { rm -rf "$work"; }
chmod 700 "$work"; cd "$work" || exit 1
export CORDON_CONFIG=$work/cordon.conf
try() { "$cordon" "$@" >out 2>err; rc=$?; }
outcome() { sed -n 's/.*"outcome":"\([a-z-]*\)".*/\1/p' out | tr '\n' ' '; }

# --- keys
try key new --out soar.pem; cp out soar.pub
is "$rc $(stat -c %a soar.pem)" "0 600" "a new private key is for its owner alone"
like "$(cat soar.pub)" "^key id: [A-Za-z0-9_-]{43} .EdDSA." "what is printed has the key id"
is "$(grep -c PRIVATE out err | tr '\n' ' ')" "out:0 err:0 " "the private half is not printed"
openssl pkey -in soar.pem -pubout >openssl.pub 2>/dev/null
is "$(sed 1d soar.pub)" "$(cat openssl.pub)" "openssl reads the one and makes the other"
before=$(sha256sum soar.pem)
try key new --out soar.pem
is "$rc $(sha256sum soar.pem)" "15 $before" "an old file is never written over"
try key show soar.pem; is "$(cat out)" "$(cat soar.pub)" "show: of a private key"
try key show soar.pub; is "$(cat out)" "$(cat soar.pub)" "show: of a public key"
cp soar.pem open.pem; chmod 644 open.pem
try key show open.pem; is "$rc" 78 "a private key that others may read is not used"
try submit disable alice --key open.pem --domain corp.example.com --out -; is "$rc $(wc -c <out)" "78 0" "nor signed with"
try key new --type es256 --out next.pem; cp out next.pub
like "$(cat next.pub)" "ES256" "a pair for ES256"
try key new --type rsa --out x.pem; is "$rc $(ls x.pem 2>/dev/null)" "64 " "no other kinds"
try key new --out stranger.pem; try key new --out agent.pem --json
like "$(cat out)" '"type":"key","kid":"[A-Za-z0-9_-]{43}","alg":"EdDSA","public":"-----BEGIN' "as JSON"

# --- a request, there and back
cat >cordon.conf <<C
[cordon]
domains = corp.example.com
[domain/corp.example.com]
[signer/soar]
key = $work/soar.pub
next_key = $work/next.pub
actions = disable, revoke
accounts = svc-*, adm-*
C
chmod 600 cordon.conf
chmod 644 ./*.pub
try config check; is "$rc" 0 "the configuration is good"
try submit disable svc-web adm-x --key soar.pem --reason 'phishing, "INC"' --ticket INC-1 --out r.jws
is "$rc $(wc -l <r.jws) $(wc -l <out) $(stat -c %a r.jws)" "0 2 2 600" "two requests, in a file of one's own"
try verify r.jws
is "$rc $(grep -c '^good' out)" "0 2" "both would be taken"
for what in 'signed by  soar' 'account    svc-web' 'reason     phishing, "INC"' 'ticket     INC-1' 'action     disable' 'audience   corp.example.com'; do
    like "$(cat out)" "$what" "verify shows: $what"
done
try submit disable svc-web --key soar.pem --out r.jws; is "$rc" 15 "a file of requests is not written over"
"$cordon" submit disable svc-web --key next.pem --out - 2>err | "$cordon" verify --json - >out 2>>err
is "$(outcome)" "good " "the next key is taken beside the first"

# --- what is refused
refused() { # NAME WANTED ARGS...: submit ARGS, then verify
    local name=$1 want=$2; shift 2
    "$cordon" submit "$@" --out - 2>err | "$cordon" verify --json - >out 2>>err; rc=${PIPESTATUS[1]}
    is "$rc $(outcome)" "12 $want " "$name"
}
refused "an unknown key" unknown-key disable svc-web --key stranger.pem
refused "another domain" wrong-audience disable svc-web --key soar.pem --domain other.example.com
refused "an action that is not its own" not-allowed contain svc-web --key soar.pem
refused "an account that is not its own" not-allowed disable alice --key soar.pem
refused "a life that is too long" lifetime-too-long disable svc-web --key soar.pem --expires 2h
sed '1s/^\(.\{150\}\)./\1_/' r.jws >altered.jws
try verify --json altered.jws
is "$rc $(outcome)" "12 bad-signature good " "altered: told, and the other one judged all the same"
like "$(head -n 1 out)" '"signer":null,"kid":null,"alg":null,"digest":null}$' "and nothing of it is shown"
echo hello | "$cordon" verify - >out 2>err; is "$?" 12 "no message at all"
sed -i 's/^next_key.*/not_after = 2026-01-01/' cordon.conf
try verify --json r.jws; is "$rc $(outcome)" "12 key-no-longer-valid key-no-longer-valid " "a key whose time is over"
sed -i "s|^key = .*|key = $work/gone.pub|" cordon.conf
try config check; is "$rc $(cat out)" "78 " "config check: a key that is not there"
sed -i "s|^key = .*|key = $work/soar.pem|" cordon.conf
try config check; is "$rc" 78 "config check: a private key"
try verify r.jws; is "$rc" 78 "a private key in the configuration"

# --- without a configuration
export CORDON_CONFIG=/nonexistent
try submit enable alice --key soar.pem --domain corp.example.com --out e.jws; is "$rc" 0 "signing needs none"
try verify --key soar.pub e.jws; is "$rc $(head -n 1 out | cut -c 1-8)" "0 genuine:" "nor does --key"
try verify --key next.pub e.jws; is "$rc" 12 "which is of that key, or is not"
try submit enable alice --key soar.pem --out -; is "$rc" 78 "without a domain it has to be asked"
try submit disable --must-change alice --key soar.pem --domain a.b --out -; is "$rc $(wc -c <out)" "64 0" "what does not go together is not signed"
try submit disable $'ali\u200bce' --key soar.pem --domain a.b --out -; is "$rc $(wc -c <out)" "64 0" "nor what cannot be seen"
try submit disable alice $'b\u202eob' --key soar.pem --domain a.b --out both.jws; is "$rc $(ls both.jws 2>/dev/null)" "64 " "all, or none"
done_testing

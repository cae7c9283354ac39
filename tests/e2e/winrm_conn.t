#!/usr/bin/env bash
# tests/e2e/winrm_conn.t -- base/winrm with real Kerberos: the stand-in WinRM in the lab, and
# winrm_probe. What a DC's WinRM may do to a connection, and what we say of it.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/standin/winrm/lib.sh
. "$here/tests/standin/winrm/lib.sh"
probe_bin=${WINRM_PROBE:-$here/build/dev/winrm_probe}
host=dc1.corp.example.com
if ! { lab up "$LAB_DIR" && cp "$LAB_DIR/helpdesk1.cc" "$work/fresh.cc" && winrm_up dc1; } >"$work/log" 2>&1; then
    cat "$work/log"; echo "Bail out! no lab, or no stand-in"; exit 1
fi
ca=$LAB_DIR/ca.pem

# probe ARGS...: $work/out has its lines
extra_env=()
probe() { : >"$work/err"; lab exec "$LAB_DIR" env "${extra_env[@]}" "$probe_bin" "$@" >"$work/out" 2>"$work/err"; }
http() { probe http "$host" 5985 "$@"; }
https() { probe https "$host" 5986 --ca "$ca" "$@"; }
# told: "ok ok", the code of each call
told() { sed -n 's/^{"n":[0-9]*,"code":"\([a-z-]*\)".*/\1/p' "$work/out" | tr '\n' ' ' | sed 's/ $//'; }
said() { sed -n 's/^{"n":[0-9]*,.*"message":"\(.*\)".*/\1/p' "$work/out"; }
fact() { sed -n "/^{\"offered\"/s/.*\"$1\":\(\"[^\"]*\"\|[a-z0-9]*\)[,}].*/\1/p" "$work/out"; }
order() { winrm dc1 "$1" >/dev/null; }
fresh() { order '{"reset": 1}'; }
# of EXPRESSION: of the stand-in's requests, as list r
of() { winrm dc1 '{"get": "requests"}' | /usr/bin/python3 -c 'import json, sys; r = json.load(sys.stdin); print(eval(sys.argv[1]))' "$1"; }
no_violations() { is "$(winrm dc1 '{"get": "violations"}')" "[]" "$1"; }

# --- what is right --------------------------------------------------------------------------------
for mech in negotiate kerberos; do
    fresh
    http --mech $mech --n 3
    is "$(told)" "ok ok ok" "HTTP, $mech: three sealed requests"
    like "$(cat "$work/out")" '"version":"OS: 10\.0' "  whose answers are read"
    is "$(fact logins) $(fact requests) $(fact enctype)" '1 3 "aes256-cts-hmac-sha1-96"' "  by one login, with AES"
    is "$(of '[x["op"] + str(x.get("sealed", "")) for x in r]')" "['Login', 'IdentifyTrue', 'IdentifyTrue', 'IdentifyTrue']" "  as the host sees it"
    is "$(of 'len({x["conn"] for x in r})')" 1 "  on one connection"
    is "$(of 'r[0]["kind"]')" "$([ $mech = kerberos ] && echo krb5 || echo spnego)" "  by that mechanism"
    http --mech $mech --get
    is "$(told)" unsupported "  a fault is read"
    like "$(cat "$work/out")" '"fault":2150858811' "  by its number"
    fresh
    order '{"set": {"cbt": "Strict"}}'
    https --mech $mech --n 2
    is "$(told)" "ok ok" "HTTPS, $mech, CbtHardeningLevel Strict"
    is "$(fact bound) $(fact logins) $(fact tls_subject)" 'true 1 "CN=dc1.corp.example.com"' "  bound to the certificate"
    is "$(of '[x["bound"] for x in r if x["op"] == "Login"]')" "[True]" "  as the host sees it"
    is "$(fact offered)" '"Negotiate, Kerberos"' "  and what it offers is known"
    no_violations "  nothing that Windows would refuse"
done
fresh
http --anonymous
is "$(told) $(fact logins) $(fact authenticated)" "ok 0 false" "Identify without a login"
http --ccache "FILE:$LAB_DIR/admin.cc"
is "$(told) $(of 'r[-1]["user"]')" "ok Administrator@CORP.EXAMPLE.COM" "a ticket cache by its name"
http --ccache "FILE:$LAB_DIR/admin.cc" --renew --n 3
is "$(told) $(fact logins)" "ok ok ok 3" "a new cache: a new context before the next request"
order '{"set": {"certificate_users": {"svc-cordon@corp.example.com": "svc-cordon@CORP.EXAMPLE.COM"}}}'
https --mech certificate --certificate "$work/winrm.dc1/client.pem" --n 2
is "$(told)" "ok ok" "a client certificate"
order '{"set": {"certificate_users": {}}}'
https --mech certificate --certificate "$work/winrm.dc1/client.pem"
is "$(told)" auth "one that is mapped to nobody"
like "$(said)" "certmapping" "  and what to look at"
fresh
order '{"set": {"manner": {"tab": true, "crlf": true, "headerCase": true, "charset": "UTF-16"}}}'
http --n 2
is "$(told)" "ok ok" "TABs, other header case, a line too many, UTF-16"

# --- who we are -----------------------------------------------------------------------------------
fresh
extra_env=("KRB5CCNAME=FILE:$work/none.cc")
http
is "$(told)" auth "no ticket"
like "$(said)" "HTTP/$host.*run kinit" "  the principal, and what to do"
is "$(of 'len(r)')" 0 "  and nothing was sent"
echo junk >"$work/junk.cc"
extra_env=("KRB5CCNAME=FILE:$work/junk.cc")
http
is "$(told)" auth "a ticket cache that is none"
extra_env=()
probe http cli.corp.example.com 5985
is "$(told)" auth "a name without the SPN"
like "$(said)" "HTTP/cli.corp.example.com.*not its FQDN, or the SPN is missing" "  names it"
http --service NONSENSE
like "$(told) $(said)" "auth .*NONSENSE/$host" "a service that there is not"
cp "$work/winrm.dc1/keytab" "$work/keytab.good"; cp "$LAB_DIR/svc.keytab" "$work/winrm.dc1/keytab"
for how in http https; do
    $how
    like "$(told) $(said)" "auth .*(SPN is another account's).*" "$how: the host has another key than the SPN's account"
done
cp "$work/keytab.good" "$work/winrm.dc1/keytab"
fresh
order '{"set": {"schemes": ["Kerberos"]}}'
https --mech negotiate
like "$(told) $(said)" "auth .*does not offer Negotiate \(it offers: Kerberos\)" "HTTPS: a scheme that is not offered"
http --mech negotiate
like "$(told) $(said)" "auth .*it offers: Kerberos" "HTTP: the same"
fresh
for token in garbage none; do
    for how in http https; do
        order '{"fault": {"match": {"op": "Login"}, "do": {"token": "'$token'"}}}'
        $how
        is "$(told)" auth "$how: the host's own proof is $token"
        is "$(of 'len([x for x in r if x["op"] == "Identify"])')" 0 "  so nothing is asked of it"
    done
done
probe https "$host" 5986
is "$(told) $(of 'len([x for x in r if x["op"] == "Login"])')" "unsent 4" "an authority that is not known: no token for it"
probe https 10.77.0.11 5986 --ca "$ca"
is "$(told)" unsent "an address in place of a name"

# --- what happens to a connection --------------------------------------------------------------------
for how in http https; do
    fresh
    order '{"set": {"idle_ms": 100}}'
    $how --n 3 --pause 400 --once
    is "$(told) $(fact logins)" "ok ok ok 3" "$how: closed while idle: a new login, and nothing is lost"
    is "$(of 'len([x for x in r if x["op"] == "Unauthenticated" and x["bytes"]])')" 0 "  nothing went out over a stranger"
    fresh
    order '{"set": {"manner": {"close": true}}}'
    $how --n 3 --once
    is "$(told) $(fact logins)" "ok ok ok 3" "$how: closed after each answer"
    fresh
    order '{"fault": {"match": {"op": "Identify"}, "do": {"cut": "before"}}}'
    $how --n 2
    is "$(told) $(fact logins)" "ok ok 2" "$how: cut after the request: asked once more"
    order '{"fault": {"match": {"op": "Identify"}, "do": {"cut": "before"}}}'
    $how --n 2 --once
    is "$(told)" "unproven ok" "$how: the same, where it may not be asked twice"
    order '{"fault": {"match": {"op": "Identify"}, "do": {"hang": true}}}'
    $how --n 2 --once --all-ms 500
    is "$(told)" "unproven ok" "$how: no answer"
    order '{"fault": {"match": {"op": "Login"}, "do": {"hang": true}}}'
    $how --n 2 --connect-ms 500
    is "$(told)" "unsent ok" "$how: no answer to the login"
    fresh
    order '{"fault": {"match": {"op": "Identify"}, "do": {"logout": true}}}'
    $how --n 2
    is "$(told) $(fact logins)" "ok ok 2" "$how: the host has forgotten who we are"
    order '{"fault": {"match": {"op": "Identify"}, "do": {"status": 503}}}'
    $how --n 2
    is "$(told)" "busy ok" "$how: 503"
    order '{"fault": {"match": {"op": "Identify"}, "do": {"status": 413}}}'
    $how
    like "$(told) $(said)" "too-big .*MaxEnvelopeSizekb" "$how: 413"
    order '{"fault": {"match": {"op": "Identify"}, "do": {"status": 404}}}'
    $how
    like "$(told) $(said)" "unsupported .*another web server" "$how: 404"
done

# --- who answers -------------------------------------------------------------------------------------
fresh
for how in plain corrupt gap; do
    order '{"fault": {"match": {"op": "Identify"}, "do": {"'$how'": true}}}'
    http --n 2
    is "$(told)" "invalid ok" "a sealed request, and the answer is $how: not believed"
    order '{"fault": {"match": {"op": "Identify"}, "do": {"'$how'": true}}}'
    http --n 2 --once
    is "$(told)" "unproven ok" "  and where it may have acted: unproven"
done

# --- the world --------------------------------------------------------------------------------------
cat >"$work/late.c" <<'C'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/time.h>
#include <time.h>
#define LATE 900
int gettimeofday(struct timeval *t, void *z)
{
    int (*real)(struct timeval *, void *) = (int (*)(struct timeval *, void *))dlsym(RTLD_NEXT, "gettimeofday");
    int rc = real(t, z);
    t->tv_sec += LATE;
    return rc;
}
int clock_gettime(clockid_t c, struct timespec *t)
{
    int (*real)(clockid_t, struct timespec *) = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int rc = real(c, t);
    if (c == CLOCK_REALTIME)
        t->tv_sec += LATE;
    return rc;
}
time_t time(time_t *t)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (t)
        *t = now.tv_sec;
    return now.tv_sec;
}
C
${CC:-cc} -shared -fPIC -o "$work/late.so" "$work/late.c"
lab exec "$LAB_DIR" -n dc1 env LD_PRELOAD="$work/late.so" "$winrm_bin/serve" --dir "$work/late" --host "$host" --addr 10.77.0.11 \
    --keytab "$work/winrm.dc1/keytab" --http 5995 --https 5996 --cert "$LAB_DIR/dc1/private/tls/cert.pem" \
    --key "$LAB_DIR/dc1/private/tls/key.pem" >"$work/log" 2>&1 &
for _ in $(seq 100); do [ -e "$work/late/ready" ] && break; sleep 0.05; done
for port in 5995 5996; do
    scheme=$([ $port = 5995 ] && echo http || echo https)
    probe "$scheme" "$host" $port --ca "$ca"
    like "$(told) $(said)" "auth .*clock" "$scheme: a host whose clock is a quarter of an hour off"
done
probe http "$host" 5999
like "$(told) $(said)" "unsent .*no connection to WinRM on $host:5999" "nobody on that port"
lab kill dc1 "$LAB_DIR"
extra_env=("KRB5CCNAME=FILE:$work/fresh.cc")
http --connect-ms 20000
like "$(told) $(said)" "unsent .*HTTP/$host.*port 88" "no KDC"
is "$(fact logins)" 0 "  and nothing was sent"
extra_env=()
lab start dc1 "$LAB_DIR"
done_testing

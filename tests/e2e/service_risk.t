#!/usr/bin/env bash
# The service by itself: what Identity Protection finds is carried out once, whoever was contained
# and comes back to life is told and put back by policy, and status and metrics say how it all is.
# Needs a build with failpoints (dev). LONG=1 kills it at every commit, the short form at some, and hangs
# a DC for minutes.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/cloud_lib.sh
. "$(dirname "$0")/cloud_lib.sh"
lab up --bulk 4 "$LAB_DIR" || { echo "Bail out! no lab"; exit 1; }
# shellcheck disable=SC2119
cloud_up || { echo "Bail out! no stand-in"; exit 1; }
results=$LAB_DIR/results state=$LAB_DIR/state
for k in soar agent; do "$cordon" key new --out "$LAB_DIR/$k.pem" >"$LAB_DIR/$k.pub" || exit 1; done
chmod 644 "$LAB_DIR"/*.pub
# settings ON_HIGH_RISK [BRAKE [HOLD]]
settings() {
    # shellcheck disable=SC2119
    cloud_conf
    sed -i "s/^\[domain.*/&\nhold = ${3:-no}/" "$conf"
    cat >>"$conf" <<C

[policy]
brake = ${2:-1000} per 10m
brake_ou = 1000 per 10m
brake_percent = 0
[risk]
poll = 1m
on_high_risk = $1
[signer/soar]
key = $LAB_DIR/soar.pub
actions = disable, enable, contain
[queue]
directory = $LAB_DIR/spool
result_directory = $results
signing_key = $LAB_DIR/agent.pem
agent = one
lease = 10s
[service]
stop_timeout = 6s
metrics_file = $LAB_DIR/cordon.prom
C
}
# shellcheck disable=SC2086 # several words, or none
cordon() { lab exec "$LAB_DIR" env "CORDON_CONFIG=$conf" "CORDON_STATE=$state" ${extra_env:-} "$cordon" "$@"; }
# shellcheck disable=SC2086 # several words, or none
once() { timeout 100 "$here/tests/lab/lab" exec "$LAB_DIR" env "CORDON_CONFIG=$conf" "CORDON_STATE=$state" ${extra_env:-} "$cordon" run --once --allow-root 2>>"$work/once.err"; } 2>/dev/null
submit() { cordon submit --key "$LAB_DIR/soar.pem" --requester soc@example.com "$@"; }
start() {
    "$here/tests/lab/lab" exec "$LAB_DIR" env "CORDON_CONFIG=$conf" "CORDON_STATE=$state" "$cordon" run --allow-root >>"$work/run" 2>&1 &
    pid=$!
    for _ in $(seq 300); do [ -S "$state/control.sock" ] && return; sleep 0.1; done
}
stop() { kill -TERM "$pid"; wait "$pid"; }
until_so() { for _ in $(seq 300); do "$@" >/dev/null 2>&1 && return; sleep 0.1; done; return 1; }
risky() { # NAME [MEMBERS]: at high risk, and one detection of it
    local id now
    id=$(entra "$1" id | tr -d '"'); now=$(date -u +%FT%TZ)
    order POST riskyUsers '{"id":"'"$id"'","userPrincipalName":"'"$1"'@corp.example.com","riskLevel":"high","riskState":"atRisk","riskLastUpdatedDateTime":"'"$now"'"}' >/dev/null || not_ok "risky $1"
    order POST riskDetections '{"id":"detected-'"$1"'","userId":"'"$id"'","riskEventType":"leakedCredentials","riskLevel":"high","riskState":"atRisk","detectedDateTime":"'"$now"'","lastUpdatedDateTime":"'"$now"'"}' >/dev/null || not_ok "detection $1"
}
# told WHAT...: what the ledger has. "request NAME" "verdict NAME" "back NAME WHERE" ...: how many
count() { # PYTHON-CONDITION over r (a record), req (request id -> its record), name (case -> account)
    cordon audit export >"$work/export" 2>/dev/null
    /usr/bin/python3 - "$work/export" "$work/people.jsonl" "$1" <<'P'
import json, sys
rs = [json.loads(l) for l in open(sys.argv[1])]
sid = {p['sid']: p['sam'] for p in map(json.loads, open(sys.argv[2]))}
case, req = {}, {}
for r in rs:
    if r['kind'] == 'request':
        q = json.loads(r['body']['body'])
        case[r['case']] = sid.get(q['account'], q['account'])
        req[r['body']['request']] = q
who = lambda r: case.get(r['case'], '')
print(sum(1 for r in rs if eval(sys.argv[3], {'r': r, 'k': r['kind'], 'b': r['body'], 'who': who(r), 'req': req})))
P
}
# What was sent out, by its payload alone; that it is genuine is looked at below.
payloads() { # answers|events NAME
    /usr/bin/python3 - "$results" "$1" "$2" <<'P'
import base64, glob, json, sys
out = []
for f in glob.glob(sys.argv[1] + '/*.jws'):
    body = open(f).read().split('.')[1]
    j = json.loads(base64.urlsafe_b64decode(body + '=' * (-len(body) % 4)))
    v = j.get('verdict')
    if sys.argv[2] == 'answers' and v and 'cn=%s,' % sys.argv[3] in v['dn'].lower():
        out.append('%s %s %s' % (j['outcome'], v['verdict'], v['requester']))
    if sys.argv[2] == 'events' and j.get('account') == sys.argv[3]:
        out.append('%s %s %s %s' % (j['event'], j['where'], j['policy'], 'somebody' if 'Administrator' in j['who'] else j['who']))
print('\n'.join(sorted(out)))
P
}
answers() { payloads answers "$1"; } # "outcome verdict requester" of each answer about it
events() { payloads events "$1"; }   # "event where policy who" of each event
status() { cordon status --json || true; }

# --- found, and contained ------------------------------------------------------------------------
settings contain
risky alice
once
is "$? $(uac alice) $(entra alice accountEnabled)" "0 514 false" "a user at high risk is contained"
is "$(answers alice)" "good done Identity Protection" "  answered, in nobody's name"
once
is "$(count 'k=="request" and who=="alice"') $(count 'k=="risk"')" "1 1" "  once for one detection"

# --- once, also when it dies in between --------------------------------------------------------------
risky bob
n=0 most=3; [ -z "${LONG:-}" ] || most=40
for point in commit-before commit; do
    for i in $(seq "$most"); do
        extra_env="CORDON_FAILPOINT=$point:$i:kill"
        once; rc=$?; extra_env=
        [ $rc -ge 128 ] || break
        n=$((n + 1))
    done
done
once
is "$? $(uac bob) $(count 'k=="request" and who=="bob"') $(count 'k=="verdict" and who=="bob"')" "0 514 1 1" "killed $n times: one request, one verdict"
is "$(answers bob)" "good done Identity Protection" "  and one answer"

# --- by policy -----------------------------------------------------------------------------------
settings hold; risky carol; start
held() { cordon pending --json | grep -q "$1"; }
until_so held '"rule":"risk"'
like "$? $(uac carol) $(cordon pending --json)" '^0 512 .*"requester":"Identity Protection".*leakedCredentials.*"rule":"risk"' "on_high_risk = hold: it waits for a person, who is told why"
kill -KILL "$pid"; wait "$pid" 2>/dev/null; start
until_so held '"rule":"risk"'; is "$? $(uac carol)" "0 512" "  also after SIGKILL"
cordon approve "$(cordon pending --json | sed -n 's/.*"pending":\[{"id":"\([^"]*\)".*/\1/p')" --why "looked at it" >/dev/null
answered() { answers "$1" | grep -q .; }
until_so answered carol
is "$(answers carol) $(uac carol)" "good done Identity Protection 514" "  approved: contained"
stop; is $? 0 "SIGTERM ends it well"
settings expire-password; risky dave; once
is "$? $(uac dave) $(attr dave pwdLastSet)" "0 512 0" "on_high_risk = expire-password"

# --- back to life, in AD -------------------------------------------------------------------------
settings contain; start
like "$(status)" '"watched":\{"count":3,' "who was contained is watched"
set_uac alice 512
told() { events "$1" | grep -q "$2"; }
until_so told alice ' ad tell'
is "$? $(events alice)" "0 came-back ad tell somebody" "somebody enables it in AD: told at once, and by whom"
like "$(status)" '"degraded":\[[^]]*alice. was contained, and came back to life in AD' "  status says so"
is "$(cordon status >/dev/null; echo $?)" 10 "  and ends with 10"
is "$(uac alice)" 512 "  hold = no: and that is all"
submit enable bob --wait=30s >"$work/out" 2>"$work/err"
is "$? $(uac bob) $(events bob)" "0 512 " "cordon's own enable: nobody is told, nothing is put back"
submit enable alice --wait=30s >"$work/out" 2>"$work/err"
like "$? $(status)" '^0 .*"watched":\{"count":1,' "  and neither is watched any more"
like "$(status)" '"degraded":\[\]' "  nor complained about"

# --- and put back --------------------------------------------------------------------------------
settings contain 1000 yes; risky erin; risky frank; kill -HUP "$pid"
until_so answered erin; until_so answered frank
is "$(uac erin) $(uac frank) $(entra frank accountEnabled)" "514 514 false" "two more"
times() { [ "$(events erin | grep -c "ad put-back")" = "$1" ] && [ "$(answers erin | grep -c hold_watch)" = "$1" ]; }
for i in 1 2 3; do
    set_uac erin 512; until_so times "$i"
    is "$? $(uac erin)" "0 514" "enabled in AD by somebody, with hold = yes: contained again ($i)"
    [ "$i" != 1 ] || { kill -KILL "$pid"; wait "$pid" 2>/dev/null; start; } # the count is on record
done
is "$(answers erin | sort | uniq -c | sed 's/^ *//')" "1 good done Identity Protection
3 good done hold_watch" "  each by a request of its own, answered"
set_uac erin 512; until_so told erin ' ad tell'
is "$? $(uac erin)" "0 512" "  the fourth time it is left to people"
set_uac frank 512; until_so told frank ' ad put-back'; kill -KILL "$pid"; wait "$pid" 2>/dev/null; start
back() { [ "$(uac "$1")" = 514 ] && [ "$(answers "$1" | grep -c hold_watch)" = "$2" ]; }
until_so back frank 1
is "$? $(count 'k=="came-back" and who=="frank"') $(count 'k=="request" and who=="frank"')" "0 1 2" "killed amid it: once all the same"
stop
patch frank '{"accountEnabled":true}'; start
until_so back frank 2
is "$? $(entra frank accountEnabled) $(events frank | tail -n 1)" "0 false came-back entra put-back " "enabled in Entra while the service was away: seen, told, put back"
watched() { status | grep -q "\"account\":\"$1\""; }
lab exec "$LAB_DIR" env "CORDON_CONFIG=$conf" "$cordon" enable frank --as-agent >"$work/out" 2>&1
for _ in $(seq 300); do watched frank || break; sleep 0.1; done
is "$(watched frank; echo $?) $(uac frank) $(events frank | wc -l)" "1 512 2" "cordon enable at the command line, as the agent: not told, and not watched any more"
stop

# --- the brake -----------------------------------------------------------------------------------
settings contain; start
n=$(status | sed 's/.*"rule":"all","whom":"","count":\([0-9]*\),.*/\1/'); stop # have gone through it
settings contain $((n + 1)); risky grace; risky heidi; start
one_held() { held '"rule":"brake"' && [ -n "$(answers grace)$(answers heidi)" ]; }
until_so one_held
is "$(printf '%s\n' "$(uac grace)" "$(uac heidi)" | sort | tr '\n' ' ')" "512 514 " "the brake holds what is automatic"
like "$(status)" '"degraded":\["the brake is engaged' "  and status says so"

# --- how it all is -------------------------------------------------------------------------------
status >"$work/status"
has() {
    /usr/bin/python3 - "$work/status" "$1" <<'P'
import json, sys
j = json.load(open(sys.argv[1]))
leg = {x['name']: x['proven_ms_ago'] for x in j['legs']}
okta = leg.pop('okta', 'no leg') # configured, and nothing was asked of it
dc = j['domains'][0]['each'][0]
until = {x['name']: x['until'] for x in j['credentials']}
print(eval(sys.argv[2]))
P
}
is "$(has 'sorted(leg)')" "['dc1.corp.example.com', 'entra', 'queue']" "status: a leg for the queue, for Entra, for each DC"
is "$(has 'all(isinstance(a, int) and a < 120000 for a in leg.values())')" True "  with the age of its last answer"
is "$(has okta)" None "  Okta was not asked for anything, and that is told"
is "$(has '(dc["state"], dc["log"], dc["last_event_ms_ago"] < 120000)')" "('ready', True, True)" "  the last event of each DC"
is "$(has 'j["queue_depth"], j["queue_lag_ms"]')" "(0, 0)" "  depth and lag of the queue"
is "$(has 'len(until), all(u > j["started"] for u in until.values())')" "(2, True)" "  until when ticket and token are good"
is "$(has 'j["risk"]["on"], j["risk"]["why"], j["risk"]["at_risk"] >= 2')" "(True, '', True)" "  Identity Protection"
cat >"$work/openmetrics.py" <<'P'
import re, sys
text = open(sys.argv[1]).read()
lines = text.split('\n')
assert lines[-2:] == ['# EOF', ''] and text.count('# EOF') == 1, 'EOF'
seen, samples, family, kind, helped = set(), set(), None, None, False
for l in lines[:-2]:
    if l.startswith('# TYPE '):
        _, _, family, kind = l.split(' ')
        assert family not in seen and kind in ('gauge', 'counter'), l
        seen.add(family); helped = False
    elif l.startswith('# HELP '):
        assert l.split(' ')[2] == family and not helped, l
        helped = True
    elif l.startswith('# UNIT '):
        assert l.split(' ')[2] == family and family.endswith('_' + l.split(' ')[3]), l
    else:
        m = re.fullmatch(r'([a-z_]+)(\{[a-z]+="(?:[^"\\\n]|\\["\\n])*"\})? (-?[0-9]+(?:\.[0-9]+)?)', l)
        assert m and helped and m.group(1) == family + ('_total' if kind == 'counter' else ''), l
        assert m.group(1, 2) not in samples, l
        samples.add(m.group(1, 2))
for want in sys.argv[2:]:
    assert any(want in l for l in lines), want
print('good')
P
cordon metrics >"$work/metrics"
wanted=(cordon_queue_depth 'cordon_leg_proven_age_seconds{leg="entra"}' 'cordon_dc_proven_age_seconds{dc="dc1.corp.example.com"}'
    'cordon_dc_event_age_seconds{dc="dc1' 'cordon_brake_engaged 1' 'cordon_brake_limit{rule="all"} '
    'cordon_credential_left_seconds{credential="kerberos"}' cordon_watched cordon_risk_polls_total 'cordon_held 1')
is "$(/usr/bin/python3 "$work/openmetrics.py" "$work/metrics" "${wanted[@]}" 2>&1 | tail -n 1)" good "cordon metrics: OpenMetrics, with all of it"
is "$(/usr/bin/python3 "$work/openmetrics.py" "$LAB_DIR/cordon.prom" cordon_build_info 2>&1 | tail -n 1)" good "and so is the file for node_exporter"
is "$(stat -c %a "$LAB_DIR/cordon.prom")" 644 "  which others may read"

# --- the tenant stumbles -------------------------------------------------------------------------
settings contain; cordon brake release --why "enough of it" >/dev/null; stop; risky u00001
R='"service":"graph","method":"GET","path":"/identityProtection/riskyUsers"' D='"service":"graph","method":"GET","path":"/identityProtection/riskDetections"'
fault "{\"match\":{$R},\"do\":{\"status\":429,\"retryAfter\":\"1\"}}"
fault "{\"match\":{$D},\"do\":{\"status\":500}}"
once
is "$? $(uac u00001)" "0 546" "429 and 500 delay it, and nothing is lost"
risky u00002; fault "{\"match\":{$R,\"times\":0},\"do\":{\"kind\":\"licence\"}}"; start
failing() { status | grep -q "Identity Protection cannot be asked"; }
until_so failing; is "$? $(uac u00002)" "0 544" "it cannot be asked at all: status says why"
no_faults; until_so answered u00002; is "$? $(uac u00002)" "0 546" "  and when it can, nothing was lost"
# a DC that hangs is noticed although nobody wants anything of it
if [ -n "${LONG:-}" ]; then
    lab hang dc1
    for _ in $(seq 60); do status | grep -q '"dcs_ready":0' && break; sleep 3; done
    like "$(status)" '"degraded":\["no DC of corp.example.com can be used' "a DC hangs: noticed by itself"
    lab wake dc1
    for _ in $(seq 60); do status | grep -q '"dcs_ready":1' && break; sleep 3; done
    like "$(status)" '"dcs_ready":1' "  and so is that it is back"
fi
stop
is "$(violations)" "[]" "every request was as the description says"
cordon audit verify >/dev/null 2>&1; is $? 0 "the chain is whole"
for f in "$results"/*.jws; do cordon verify --key "$LAB_DIR/agent.pub" --json "$f"; done 2>&1 | grep -o '"outcome":"genuine","[a-z]*"' | sort | uniq -c | sed 's/^ *//' >"$work/out"
is "$(wc -l <"$work/out") $(sed 's/^[0-9]* //' "$work/out" | tr '\n' ' ')" '2 "outcome":"genuine","event" "outcome":"genuine","result" ' "all that went out, answers and events, is signed"
cat "$work"/once.err "$work/run" | grep -E -A 12 'Sanitizer|runtime error|cordon: bug' >"$work/out"; : >"$work/err"
is "$(grep -c . "$work/out")" 0 "the sanitizers have nothing to say"
done_testing

#!/usr/bin/env bash
# The Security log over WinRM, where things go wrong: refused, cut, silent, late, somebody else's. One
# question each time: did the verdict tell the truth, in time? The DC's changes are real, the log is
# the stand-in's (tests/standin/winrm), which says what Windows would of each.
export EVENTS=winrm
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
lab up --dcs 2 "$LAB_DIR" || { echo "Bail out! no lab"; exit 1; }
sed -i -e "s/^\[cordon\]/[cordon]\nconfirm = 3s\nwait = 6s/" -e "s/^events = winrm/events = winrm\npoll = 1s/" "$LAB_DIR/cordon.conf"
clean() { # nothing was refused that a Windows would refuse; nothing of ours is left open
    local dc
    for dc in dc1 dc2; do
        is "$(winrm $dc '{"get":"violations"}')" "[]" "$1: $dc had nothing to object to"
        is "$(winrm $dc '{"get":"subscriptions"}')" "[]" "$1: nothing of ours is left open at $dc"
    done
}
reset() { winrm dc1 '{"reset":1}'; winrm dc2 '{"reset":1}'; }
fault() { winrm dc1 "{\"fault\":$1}"; winrm dc2 "{\"fault\":$1}"; }
setting() { winrm dc1 "{\"set\":$1}"; winrm dc2 "{\"set\":$1}"; }
names=(alice bob carol dave erin frank grace heidi)
n=0
fresh() { # an account in order, for the next round
    who=${names[$((n % ${#names[@]}))]}; n=$((n + 1))
    [ "$(uac "$who")" = 512 ] || { set_uac "$who" 512 dc1; for _ in $(seq 50); do [ "$(lab attr "$LAB_DIR" "$who" userAccountControl 2>/dev/null | grep -c 512)" -gt 0 ] && break; sleep 0.1; done; sleep 1; }
}

# --- as it should be --------------------------------------------------------------------------------
fresh; run disable "$who"
is "$(verdict)" "done everywhere 0" "two DCs: written to both, proven by both logs"
is "$(grep -c '"step":"confirm".*"state":"done","proof":"logged"' "$work/out")" 2 "  each its own event"
like "$(grep '"step":"confirm"' "$work/out")" 'event 4725 #[0-9]+' "  by number"
like "$(winrm dc1 '{"get":"requests"}')" 'TargetSid' "  asked for that account alone"
clean "disable"
run disable bob carol --json
is "$(grep -c '"verdict":"done","proof":"everywhere"' "$work/out")" 2 "two accounts in one call: one subscription for both"
clean "two accounts"

# --- misbehaviour: each with the verdict that is true --------------------------------------------------
# case NAME FAULT WANTED [DETAIL]: at both DCs
try() {
    local name=$1 fault=$2 want=$3 detail=${4:-} began=$SECONDS
    reset; fresh
    case $fault in
    set:*) setting "${fault#set:}" ;;
    *) fault "$fault" ;;
    esac
    run disable "$who"
    is "$(field verdict) $(field proof) $rc $(uac "$who")" "$want 514" "$name"
    [ -z "$detail" ] || like "$(field detail)$(grep '"step":"confirm"' "$work/out")" "$detail" "  and says why"
    [ $((SECONDS - began)) -le 25 ] || not_ok "  in time" "took $((SECONDS - began)) s"
}
try "a batch that comes twice" '{"match":{"op":"Pull","times":0},"do":{"events":{"repeat":true}}}' "done everywhere 0"
try "4738 before 4725" 'set:{"swap":true}' "done everywhere 0"
try "UTF-16 answers" 'set:{"manner":{"charset":"UTF-16"}}' "done everywhere 0"
try "other prefixes" 'set:{"manner":{"prefixes":true}}' "done everywhere 0"
try "TABs, and dashes with a blank" 'set:{"manner":{"tab":true,"dashes":true,"crlf":true}}' "done everywhere 0"
try "answers in small pieces" 'set:{"manner":{"segments":7}}' "done everywhere 0"
try "the context is gone" '{"match":{"op":"Pull"},"do":{"forget":true}}' "done everywhere 0"
try "cut in the middle of an answer" '{"match":{"op":"Pull"},"do":{"cut":"body"}}' "done everywhere 0"
try "cut after the events were handed out" '{"match":{"op":"Pull"},"do":{"after":true,"cut":"headers"}}' "done everywhere 0"
try "logged out in between" '{"match":{"op":"Pull"},"do":{"logout":true}}' "done everywhere 0"
try "503 at first" '{"match":{"op":"Subscribe"},"do":{"status":503}}' "done everywhere 0"
try "access denied" 'set:{"readers":[]}' "unconfirmed read-back 10" "denied|Event Log Readers"
try "the channel refuses" 'set:{"channel_readers":{"Security":[]}}' "unconfirmed read-back 10" "denied|channel"
try "401 to every login" '{"match":{"times":0,"op":"Login"},"do":{"status":401}}' "unconfirmed read-back 10" "log is not open"
try "it hangs" '{"match":{"times":0,"op":"Subscribe"},"do":{"hang":true}}' "unconfirmed read-back 10" "not open"
try "pulls hang" '{"match":{"times":0,"op":"Pull"},"do":{"hang":true}}' "unconfirmed read-back 10"
try "auditing is off" 'set:{"audit":false}' "unconfirmed read-back 10" "audit"
try "events come too late" 'set:{"event_delay_ms":20000}' "unconfirmed read-back 10"
try "only 4738 that show nothing" 'set:{"dash":true,"without":[4725]}' "unconfirmed read-back 10" "do not show"
try "by another subject" 'set:{"subject":{"subject":"mallory","subject_sid":"S-1-5-21-1-2-3-4711"}}' "unconfirmed read-back 10" "someone else"
try "from another computer" 'set:{"computer":"dc9.corp.example.com"}' "unconfirmed read-back 10" "another DC"
try "the log rolled over while we were away" '{"match":{"op":"Pull"},"do":{"fault":15011}}' "done everywhere 0"
try "an envelope limit" '{"match":{"op":"Pull"},"do":{"fault":2150858823}}' "done everywhere 0"
try "too many operations" '{"match":{"op":"Subscribe","times":0},"do":{"fault":2150859240}}' "unconfirmed read-back 10" "operations"
try "an event that is no XML" '{"match":{"op":"Pull","times":0},"do":{"events":{"broken":"envelope"}}}' "unconfirmed read-back 10"
try "an element that is no event: the other one proves" '{"match":{"op":"Pull","times":0},"do":{"events":{"broken":"event"}}}' "done everywhere 0"
try "answers in clear, where sealed is due" 'set:{"manner":{"plain":true}}' "unconfirmed read-back 10" "not open"
try "another answer's RelatesTo" 'set:{"manner":{"relatesTo":true}}' "unconfirmed read-back 10" "not open"
try "sealed bytes altered" 'set:{"manner":{"corrupt":true}}' "unconfirmed read-back 10" "not open"

# --- one DC of two -------------------------------------------------------------------------------------
reset; fresh; winrm dc2 '{"set":{"readers":[]}}'
run disable "$who"
is "$(field verdict) $(field proof) $rc" "done everywhere 0" "dc2's log refuses: dc1's proves the change"
like "$(grep '"step":"confirm","target":"dc2' "$work/out")" '"state":"unconfirmed"' "  and dc2's own is not claimed"

# --- 500 events in one answer, and ours among them ---------------------------------------------------
reset; fresh
run disable "$who" bob carol dave erin frank grace heidi
is "$rc" 0 "many accounts, one subscription"

# --- HTTPS ---------------------------------------------------------------------------------------------
https() { sed -e "s/^events = winrm/events = winrm\nwinrm = https\nca_file = ${1//\//\\/}/" "$LAB_DIR/cordon.conf" >"$work/https.conf"; chmod 600 "$work/https.conf"; conf=$work/https.conf; }
https "$LAB_DIR/ca.pem"; reset; fresh; setting '{"cbt":"Strict"}'
run disable "$who"
is "$(verdict)" "done everywhere 0" "https, channel binding demanded"
run doctor
https "$work/winrm.dc1/ca.pem"; reset; fresh
run disable "$who"
is "$(field verdict) $rc" "unconfirmed 10" "https, an authority that is not theirs: changed, not proven"
conf=$LAB_DIR/cordon.conf

# --- a collector -----------------------------------------------------------------------------------------
reset; fresh; winrm dc1 '{"set":{"forward":true}}'
sed -e "s/^events = winrm/events = winrm\nevent_host = dc1.corp.example.com/" "$LAB_DIR/cordon.conf" >"$work/wec.conf"; chmod 600 "$work/wec.conf"; conf=$work/wec.conf
run disable "$who"
is "$(field verdict) $(field proof) $rc" "done everywhere 0" "a collector's ForwardedEvents: proven for the DC that is forwarded"
like "$(grep '"step":"confirm","target":"dc2' "$work/out")" '"state":"unconfirmed"' "  and not for the one that is not"
like "$(winrm dc1 '{"get":"requests"}')" 'ForwardedEvents' "  its log was asked"
clean "collector"
conf=$LAB_DIR/cordon.conf

# --- nobody is there ---------------------------------------------------------------------------------------
reset; fresh; sed -e "s/^events = winrm/events = winrm\nwinrm_port = 5999/" "$LAB_DIR/cordon.conf" >"$work/port.conf"; chmod 600 "$work/port.conf"; conf=$work/port.conf
run disable "$who"
is "$(field verdict) $(field proof) $rc" "unconfirmed read-back 10" "no WinRM: changed, not proven"
like "$(field detail)" "5999|not open" "  and says so"
run doctor
like "$(cat "$work/out")" '"name":"winrm","target":"dc1[^}]*"state":"failed"[^}]*5999' "doctor: nobody answers, and what mends it"
conf=$LAB_DIR/cordon.conf

# --- cordon winrm, doctor --------------------------------------------------------------------------------
reset
run winrm identify dc1.corp.example.com
like "$rc $(cat "$work/out")" '^0 .*"authenticated":true' "winrm identify"
run winrm identify dc1.corp.example.com --anonymous
like "$rc $(cat "$work/out")" '^0 .*"authenticated":false' "winrm identify --anonymous"
run winrm identify dc9.corp.example.com
is "$rc" 15 "winrm identify of nobody: failed"
winrm dc1 '{"add":[{"id":4725,"target_sid":"S-1-5-21-1-2-3-1105","target":"zoe"}]}' >/dev/null
run winrm pull dc1.corp.example.com --earliest --count 1
like "$rc $(cat "$work/out")" '^0 .*"type":"event","id":4' "winrm pull --earliest"
clean "winrm pull"
run doctor
like "$(cat "$work/out")" '"name":"winrm","target":"dc1[^}]*"state":"ok"' "doctor: WinRM of dc1 is well"
like "$(cat "$work/out")" '"name":"audit","target":"dc2[^}]*"state":"(ok|warning)"' "doctor: auditing of dc2"
setting '{"readers":[]}'
run doctor
like "$(cat "$work/out")" '"name":"event log","target":"dc1[^}]*"state":"failed"[^}]*S-1-5-32-573' "doctor: no right to read the log, and what mends it"
clean "doctor"
reset; setting '{"audit":false}'; fault '{"match":{"op":"Login","times":0},"do":{"status":401}}'
run doctor
like "$(cat "$work/out")" '"name":"winrm","target":"dc1[^}]*"state":"failed"[^}]*setspn' "doctor: the login is refused, and what mends it"
reset; https "$work/winrm.dc1/ca.pem"
run doctor
like "$(cat "$work/out")" '"name":"winrm","target":"dc1[^}]*"state":"failed"[^}]*certificate' "doctor: a certificate of another authority"
https "$LAB_DIR/ca.pem"
run doctor
like "$(cat "$work/out")" '"name":"winrm","target":"dc1[^}]*"state":"ok"[^}]*bound' "doctor: https, bound to the certificate"
like "$(cat "$work/out")" '"name":"winrm","target":"dc1[^}]*certificate of' "  and until when it is good"
done_testing

#!/usr/bin/env bash
# Killed after every commit and after every sent request, on the real AD; then resumed. Each case must
# end with the truth, and no effect may be repeated blindly. Needs a build with failpoints (dev).
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
lab up --bulk 120 "$LAB_DIR" || { echo "Bail out! no lab"; exit 1; }

changes() { # how often the DC really took a change of that account's ATTRIBUTE from us, by its own log
    /usr/bin/python3 - "$LAB_DIR/dc1/log/audit.json" "$1" "$2" <<'P'
import json, sys
n = 0
for line in open(sys.argv[1], encoding='utf-8', errors='replace'):
    try:
        j = json.loads(line)
    except ValueError:
        continue
    c = j.get('dsdbChange')
    if c and c['operation'] == 'Modify' and c['statusCode'] == 0 and c['dn'].lower().startswith('cn=%s,' % sys.argv[2].lower()) \
       and sys.argv[3] in c.get('attributes', {}):
        n += 1
print(n)
P
}
open_case() { lab exec "$LAB_DIR" "$cordon" cases --open --json | sed -n 's/.*"case":"\([^"]*\)".*/\1/p' | head -n 1; }

sweep() { # FAILPOINT ACTION ATTRIBUTE MAX: kill at the n-th, resume, look; until a run is not hit any more
    local point=$1 action=$2 attribute=$3 max=$4 i=0 id
    while :; do
        i=$((i + 1)); n=$((n + 1)); target=$(printf 'u%05d' "$n")
        [ "$i" -le 40 ] || { not_ok "$action: more than 40 points of $point"; return; }
        extra_env="CORDON_FAILPOINT=$point:$i:kill" run "$action" "$target"
        if [ "$rc" -lt 128 ]; then
            is "$(field verdict) $rc" "done 0" "$action, $point: $((i - 1)) points, and a run that is not hit ends well"
            return
        fi
        id=$(open_case)
        if [ -z "$id" ]; then
            # Killed before anything was on record, or after the verdict was.
            if [ "$(changes "$target" "$attribute")" = 0 ]; then
                ok "$action, killed at $point $i: nothing on record, nothing changed"
            else
                is "$(lab exec "$LAB_DIR" "$cordon" cases --json | head -n 1 | grep -c '"verdict":"done"')" 1 "$action, killed at $point $i: the verdict was on record"
            fi
            continue
        fi
        lab exec "$LAB_DIR" "$cordon" case "$id" --resume --as-agent --json >"$work/out" 2>"$work/err"; rc=$?
        is "$(verdict)" "done everywhere 0" "$action, killed at $point $i: resumed, proven"
        c=$(changes "$target" "$attribute")
        if [ "$c" -ge 1 ] && [ "$c" -le "$max" ]; then ok "  changed $c time(s), not more than $max"; else not_ok "  changed $c times, wanted 1 to $max"; fi
    done
}
n=0
# A disable is one change, however often the program dies; a random reset may be set again (nobody
# knows either), yet never without looking first.
sweep commit disable userAccountControl 1
sweep send disable userAccountControl 1
sweep commit-before disable userAccountControl 1
sweep send expire-password pwdLastSet 1
sweep send contain userAccountControl 1
sweep commit contain userAccountControl 1
sweep send reset-password unicodePwd 4
lab exec "$LAB_DIR" "$cordon" audit verify >"$work/out" 2>&1; is $? 0 "the chain is whole after all that"

# A finished case is not carried out again.
id=$(lab exec "$LAB_DIR" "$cordon" cases --json | sed -n 's/.*"case":"\([^"]*\)".*/\1/p' | head -n 1)
lab exec "$LAB_DIR" "$cordon" case "$id" --resume --as-agent --json >"$work/out" 2>"$work/err"; rc=$?
is "$rc" 0 "resume of a finished case: says so, exits by its verdict"
like "$(cat "$work/err")" "ended already" "  in words"

# SIGTERM: what is in flight is settled or parked, never lost.
for d in 0.02 0.05 0.1 0.2; do
    n=$((n + 1)); target=$(printf 'u%05d' "$n")
    lab exec "$LAB_DIR" timeout -s TERM "$d" "$cordon" disable "$target" --json --as-agent >"$work/out" 2>"$work/err"
    id=$(open_case)
    [ -z "$id" ] || lab exec "$LAB_DIR" "$cordon" case "$id" --resume --as-agent --json >"$work/out" 2>&1
    u=$(uac "$target"); c=$(changes "$target" userAccountControl)
    if [ "$u $c" = "546 1" ] || [ "$u $c" = "544 0" ]; then ok "SIGTERM after $d s: $u"; else not_ok "SIGTERM after $d s" "uac $u, changed $c times"; fi
    [ -z "$(open_case)" ]; is $? 0 "  no case left open"
done
done_testing

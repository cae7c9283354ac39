#!/usr/bin/env bash
# Killed after every commit, every request to the cloud and every answer of it; then resumed. AD and
# Entra must end as wanted, and the verdict must say so.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/cloud_lib.sh
. "$(dirname "$0")/cloud_lib.sh"
lab up --bulk 120 "$LAB_DIR" || { echo "Bail out! no lab"; exit 1; }
# shellcheck disable=SC2119
cloud_up || { echo "Bail out! no stand-in"; exit 1; }
in_lab() { lab exec "$LAB_DIR" env "CORDON_CONFIG=$conf" "$cordon" "$@"; }
open_case() { in_lab cases --open --json | sed -n 's/.*"case":"\([^"]*\)".*/\1/p' | head -n 1; }
n=0
sweep() { # FAILPOINT ACTION
    local point=$1 action=$2 i=0 id
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
            if [ "$(($(uac "$target") & 2)) $(entra "$target" accountEnabled)" = "0 true" ]; then ok "$action, killed at $point $i: nothing on record, nothing changed"
            else is "$(in_lab cases --json 2>/dev/null | head -n 1 | grep -c '"verdict":"done"')" 1 "$action, killed at $point $i: the verdict was on record"; fi
            continue
        fi
        in_lab case "$id" --resume --as-agent --json >"$work/out" 2>"$work/err"; rc=$?
        is "$(field verdict) $rc $(($(uac "$target") & 2)) $(entra "$target" accountEnabled)" "done 0 2 false" "$action, killed at $point $i: resumed, done in both worlds"
    done
}
sweep commit disable
sweep cloud-send disable
sweep cloud-answer disable
sweep cloud-send contain
is "$(violations)" "[]" "every request was as the description says"
done_testing

#!/usr/bin/env bash
# shellcheck disable=SC2119 # actions has an argument that may be left out
# Every DC's packets vanish, and its log is asked over WinRM: contained through Live Response, unconfirmed with the
# cause; once the log can be read, proven by it.
export EVENTS=winrm
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/mde_lib.sh
. "$(dirname "$0")/mde_lib.sh"
lab up --dcs 2 "$LAB_DIR" || { echo "Bail out! no lab"; exit 1; }
mde_up dc1 dc2 || { echo "Bail out! no stand-in"; exit 1; }

run disable alice --via mde
is "$(field verdict) $rc $(half confirm)" "done 0 done/logged" "the DC's log can be read: proven at once"
lab cut dc1 "$LAB_DIR"; lab cut dc2 "$LAB_DIR"
run disable bob
is "$(field verdict) $rc $(tried) $(entra bob accountEnabled) $(really bob)" "unconfirmed 10 dc1/done false 1" "every DC is cut off: contained by Live Response, unconfirmed"
like "$(field detail)" "log of dc1.*--resume" "  with the cause, and what to do"
id=$(field case); before=$(actions)
lab join dc1 "$LAB_DIR"; lab join dc2 "$LAB_DIR"
resume "$id"
is "$(field verdict) $rc $(half confirm) $(half mde) $(($(actions) - before))" "done 0 done/logged done/read-back 0" "they are back, case ID --resume: read back, and proven by the DC's own log"
like "$(said confirm)" "event 4725" "  by its event"
is "$(winrm dc1 '{"get":"violations"}')" "[]" "WinRM had nothing to object to"
is "$(violations)" "[]" "nor had Defender"
done_testing

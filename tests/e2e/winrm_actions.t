#!/usr/bin/env bash
# The actions and the guards, with the DC's Security log asked over WinRM: the same verdicts.
export EVENTS=winrm
# shellcheck source=tests/e2e/actions.t
. "$(dirname "$0")/actions.t"

#!/usr/bin/env bash
# Killed at each point and resumed, with the DC's Security log asked over WinRM: the same truth.
export EVENTS=winrm
# What was killed can not give its subscription back, and a hundred of them in a few seconds are more
# than the fifteen that Windows grants an account.
# shellcheck disable=SC2089,SC2090
export WINRM_SET='{"operations_per_user":200}'
# shellcheck source=tests/e2e/kill.t
. "$(dirname "$0")/kill.t"

#!/usr/bin/env bash
# Killed at each point and resumed, with the DC's Security log asked over WinRM: the same truth.
export EVENTS=winrm
# shellcheck source=tests/e2e/kill.t
. "$(dirname "$0")/kill.t"

#!/usr/bin/env bash
# ./try --service, as a new user runs it: it sees what it tells, and nothing of it stays behind. TAP.
# It builds the release if that is not there yet.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
n=0
ok() { # STATUS NAME
    n=$((n + 1))
    if [ "$1" = 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; tail -n 40 "$tmp/out" | sed 's/^/# /'; fi
}
mkdir "$tmp/t"
TMPDIR=$tmp/t timeout 800 ./try --service >"$tmp/out" 2>&1 </dev/null
ok $? "./try --service ends with 0"
[ "$(grep -c '^  seen: ' "$tmp/out")" = 19 ] && ! grep -q 'NOT SEEN' "$tmp/out"
ok $? "each of 19 things was seen"
for what in 'verdict    done' 'unknown-key: ' 'bad-signature: ' 'engaged yes' 'approved, by ' 'engaged no' 'intact: '; do
    grep -qF -- "$what" "$tmp/out"; ok $? "it shows: $what"
done
[ -z "$(ls -A "$tmp/t")" ]; ok $? "no file of it stays"
! grep -lazF "TMPDIR=$tmp/t" /proc/[0-9]*/environ 2>/dev/null | grep -q .; ok $? "nor a process"
echo "1..$n"

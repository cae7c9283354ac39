#!/usr/bin/env bash
# tests/schema/schema.t -- docs/*.schema.json and the program mean the same. TAP; needs no root.
# schema_results is in the dev build.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
cordon=${CORDON:-$root/build/dev/cordon}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"$root/tests/standin/standin" help >/dev/null 2>&1 # gets ajv, the first time
node=$(command -v node || command -v nodejs)
if [ -z "$node" ] || [ ! -e "$root/tests/standin/node_modules/.complete" ]; then
    echo "not ok 1 - node and ajv are there"
    echo "1..1"
    exit 1
fi
"$cordon" key new --out "$dir/key.pem" >"$dir/key.pub" || exit 1
chmod 644 "$dir/key.pub"
"$node" "$here/schema.js" "$root/docs" "$cordon" "$root/build/dev/schema_results" "$dir/key.pem" "$dir/key.pub"

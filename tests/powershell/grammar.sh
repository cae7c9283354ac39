# shellcheck shell=bash disable=SC2034
# tests/powershell/grammar.sh -- sourced: $node, and the grammar as package-lock.json names it.
# grammar DIR LOG: 0 where both are there.
grammar() {
    node=$(command -v node || command -v nodejs) || { echo "1..0 # no node: see tests/tools/packages"; exit 1; }
    if [ ! -e "$1/node_modules/.complete" ] || [ "$1/package-lock.json" -nt "$1/node_modules/.complete" ]; then
        (cd "$1" && npm ci --omit=dev --omit=peer --ignore-scripts --no-audit --no-fund) >"$2" 2>&1 &&
            : >"$1/node_modules/.complete"
    fi
    [ -e "$1/node_modules/.complete" ]
}

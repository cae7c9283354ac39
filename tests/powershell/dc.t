#!/usr/bin/env bash
# tests/powershell/dc.t -- the script for domain controllers and the agent mean the same, and nothing hostile
# gets through the script's patterns (dc.js). Then the test itself is tried, on scripts made worse. TAP.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/../.." || exit 1
script=installer/defender/cordon-dc.ps1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
# shellcheck source=tests/powershell/grammar.sh
. "$here/grammar.sh"
: >"$dir/out"
grammar "$here" "$dir/out" || { sed 's/^/# /' "$dir/out"; echo "Bail out! the grammar is not there"; exit 1; }

"$node" "$here/dc.js" "$script" >"$dir/all"
rc=$?
n=$(grep -cE '^(not )?ok ' "$dir/all")
grep -vE '^1\.\.' "$dir/all"
failed=$((rc != 0))
[ "$n" -ge 52 ] || failed=1

js=dc.js
worse() { # NAME SED: this change of the script is found by the test NAME
    sed -E "$2" "$script" >"$dir/worse.ps1"
    n=$((n + 1))
    if ! cmp -s "$script" "$dir/worse.ps1" && ! "$node" "$here/$js" "$dir/worse.ps1" >"$dir/out" && grep -qE "^not ok [0-9]+ - .*$1|^Bail out!.*$1" "$dir/out"; then
        echo "ok $n - found: $2"
    else
        failed=1
        echo "not ok $n - found: $2"
        grep -E '^(not ok|Bail)' "$dir/out" | sed 's/^/# /'
    fi
}
# The wire.
worse 'prefix, alphabet' 's/\{200,1024\}/{200,2048}/'
worse 'not a common dialect' "/^.ArgumentPattern/s/\\\\z'/\$'/"
worse 'not a common dialect' '/^.ArgumentPattern/s/0-9_-\]/0-9_ -]/'
worse 'not a common dialect' 's/\[0-9a-f\]\{16\}/.{16}/'
worse 'not a common dialect' 's/\[1-9\]\[0-9\]\{12\}/\\d{13}/'
worse 'something hostile' 's/<case>\[0-7\]/<case>[0-7]"?/'
worse 'is refused' 's/\(\?<domain>\[a-z0-9_\]/(?<domain>[A-Za-z0-9_]/'
worse 'not a common dialect' "s/\\[a-z0-9_\\]\\[a-z0-9\\._-\\]/[a-z0-9_][a-z0-9 ._-]/"
worse 'the operations' 's/\|probe\)/|probe|delete)/'
worse 'the members of an order' 's/"case":"/"job":"/'
worse 'how an answer begins' "s/'CORDON1 \\{0\\}/'CORDON1:{0}/"
worse 'the members of an answer' 's/"usn":/"uSN":/'
worse 'by the script.s own format' 's/"events":\[\{13\}\]/"events":{13}/'
worse 'how far ahead' 's/1800000/18000000/'
# The directory.
worse 'privileged RIDs' 's/^(.PrivilegedRids = 498, 500, 502, )512, /\1/'
worse 'builtin groups' 's/= 544, 548/= 548/'
worse 'bits that no user has' 's/0x4003900/0x4001900/'
worse 'never sent' 's/0x800050/0x800040/'
worse 'a clear no' 's/51, 52, 53, 65 #/51, 52, 53, 65, 80 #/'
worse 'filter is a constant' "s/'\\(objectClass=\\*\\)'/\"(name=\$Dn)\"/"
worse 'what is bound to' 's/edits\.DistinguishedName = \$dn/edits.DistinguishedName = $order.Domain/'
worse 'the account by its GUID' 's/Get-Entry \$ldap \$head/Get-Entry $ldap $order.Domain/'
worse 'and from where' 's/<GUID=\$\(\$order\.Guid.*>"/CN=$($order.Domain)"/'
worse 'query of the log' "s/^(.EventQuery = .*EventID=4738)/\\1 or EventID=\$sid/"
worse 'talks to this machine' "s/'localhost', 389/\$order.Domain, 389/; s/(Said.computer = )/\\1'localhost' + /"
worse 'four things' "s/'pwdLastSet' 'Replace' '0'/'description' 'Replace' '0'/"
worse 'one that changes' 's/^( *)\$ldap\.Bind\(\)/\1$ldap.Bind(); $null = $ldap.SendRequest($order)/'
# What it says, and does.
worse 'once' 's/^(function Get-UnixMs.*)/Write-Output 1\n\1/'
worse 'nothing else is said' 's/^( *)\$ldap\.Bind\(\)/\1$ldap.Bind(); Write-Host $order.Sid/'
worse 'left over' 's/^(\$words = .*)/\1\n$Payload/'
worse 'by the order itself' 's/\$null = Invoke-Order/Invoke-Order/'
worse 'its alphabet' 's/ -creplace / -replace /'
worse 'argument is used once' "s/^(\\\$words = .*)/\\1\n\$said.detail = \$Payload/"
worse 'and nowhere else' 's/^( *)\$Said\.sent\+\+/\1$Said.sent++; $Said.detail = Get-NewPassword/'
worse 'random source' 's/\$random\.GetBytes\(\$one\)/$one[0] = Get-Random -Maximum 256/'
worse 'commands it uses' 's/^( *)\$ldap\.Bind\(\)/\1$ldap.Bind(); Start-Process calc/'
worse 'objects it makes' 's/^( *)\$ldap\.Bind\(\)/\1$ldap.Bind(); $null = New-Object Net.WebClient/'
worse 'a SID and a GUID' 's/Said\.sid = "\$\(\$order\.Sid\)"/Said.sid = "$($order.Domain)"/'
worse 'has its words' "s/'rodc'/'read-only'/"

# The other one, for the sync server.
script=installer/defender/cordon-sync.ps1
js=sync.js
"$node" "$here/sync.js" "$script" >"$dir/all" || failed=1
[ "$(grep -cE '^(not )?ok ' "$dir/all")" -ge 20 ] || failed=1
while IFS= read -r line; do
    case $line in
    ok* | 'not ok'*) n=$((n + 1)); echo "${line%% [0-9]*} $n - ${line#* - }" ;;
    '#'*) echo "$line" ;;
    esac
done <"$dir/all"
worse 'what is no order' "/^.OrderPattern/s/sync-start/sync-start|sync-full/"
worse 'not a common dialect' 's/\[0-9a-f\]\{16\}/.{16}/'
worse 'something hostile' 's/\[0-9a-f\]\{16\}/[0-9a-f.]{16}/'
worse 'the members of an order' 's/"expires":\(/"until":(/'
worse 'how far ahead' 's/1800000/18000000/'
worse 'a delta cycle' 's/-PolicyType Delta/-PolicyType Initial/'
worse 'commands it uses' 's/^( *)Import-Module ADSync/\1Import-Module ADSync; Set-ADSyncScheduler -SyncCycleEnabled 1/'
worse 'the module it loads' 's/Import-Module ADSync/Import-Module $order.Op/'
worse 'argument is used once' 's/^(.said.outcome = .unknown.*)?(.answer = .AnswerFormat)/$said.code = $Payload; \2/'
worse 'a program of' 's/^( *)Import-Module ADSync/\1\& $order.Op; Import-Module ADSync/'
echo "1..$n"
[ "$failed" = 0 ]

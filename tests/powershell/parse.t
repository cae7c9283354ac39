#!/usr/bin/env bash
# tests/powershell/parse.t -- every PowerShell script of ours, read with a real grammar: it parses, it
# changes nothing before ShouldProcess was asked, and it goes by no name that is translated. TAP.
# None of them is run: there is no Windows here. Then the test itself is tried, on scripts made worse.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/../.." || exit 1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
n=0
failed=0
ok() { # STATUS NAME
    n=$((n + 1))
    if [ "$1" = 0 ]; then echo "ok $n - $2"; else failed=$((failed + 1)); echo "not ok $n - $2"; sed 's/^/# /' "$dir/out" | head -n 20; fi
}
rules() { "$node" "$here/rules.js" "$@" >"$dir/out" 2>&1; } # 0: nothing found, 1: something

: >"$dir/out"
# shellcheck source=tests/powershell/grammar.sh
. "$here/grammar.sh"
grammar "$here" "$dir/out"
ok $? "the grammar is there"

mapfile -t scripts < <(git ls-files '*.ps1' '*.psm1' '*.psd1')
[ ${#scripts[@]} -ge 7 ]
ok $? "the scripts are found"
rules "${scripts[@]}"
cp "$dir/out" "$dir/all"
for s in "${scripts[@]}"; do
    grep "^$s:" "$dir/all" >"$dir/out"
    [ $? = 1 ]
    ok $? "$s"
done
rules "${scripts[@]}"
ok $? "nothing else was found"

# Each script with one of its braces, parentheses or quotes gone.
"$node" "$here/worse.js" "$dir/worse" "${scripts[@]}" >"$dir/out" 2>&1
ok $? "scripts are broken on purpose"
rules "$dir"/worse/*.ps1
missed=0
count=0
for f in "$dir"/worse/*.ps1; do
    count=$((count + 1))
    grep -qE "^$f:[0-9]+: syntax error$" "$dir/out" || { missed=$((missed + 1)); echo "# not seen: $(basename "$f")"; }
done
[ "$count" -ge $((10 * ${#scripts[@]})) ] && [ "$missed" = 0 ]
ok $? "each of the $count is seen"

# Each script that asks, asking something else.
for s in "${scripts[@]}"; do
    grep -qF 'PSCmdlet.ShouldProcess(' "$s" || continue
    sed 's/PSCmdlet\.ShouldProcess(/PSCmdlet.ShouldContinue(/' "$s" >"$dir/unasked.ps1"
    rules "$dir/unasked.ps1" installer/windows/*Common.ps1
    [ "$(grep -c 'not behind ShouldProcess' "$dir/out")" -ge "$(grep -c 'PSCmdlet.ShouldProcess(' "$s")" ]
    ok $? "without its questions $s is found"
done

# The same rights on the OU, whichever of the two grants them.
guids() { grep -oiE '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}' | grep -v '^00000000-' | sort -u; }
guids <installer/windows/Grant-CordonRights.ps1 >"$dir/ours"
sed -n '/^set /,$p' installer/ad-delegate.sh | guids >"$dir/theirs"
diff "$dir/ours" "$dir/theirs" >"$dir/out" && [ "$(wc -l <"$dir/ours")" = 6 ]
ok $? "Grant-CordonRights.ps1 and ad-delegate.sh name the same attributes and rights"

# The same permissions on Graph, in the script that grants them and in the document; but for what the document warns of.
permissions() { grep -oE '[A-Z][A-Za-z-]+(\.[A-Z][A-Za-z]+)*\.(All|Directory)\b' | sort -u; }
sed -n '/^\$table = /,/^)/p' installer/entra/Grant-CordonGraph.ps1 | permissions >"$dir/ours"
grep -v WindowsDefenderATP docs/permissions.md | permissions | grep -vxE 'Directory.ReadWrite.All|User.ReadWrite.All|UserAuthenticationMethod.Read.All' >"$dir/theirs"
diff "$dir/ours" "$dir/theirs" >"$dir/out" && [ "$(wc -l <"$dir/ours")" -ge 17 ]
ok $? "Grant-CordonGraph.ps1 and docs/permissions.md name the same permissions"

# What the documents and the scripts themselves tell people to type.
: >"$dir/out"
mentions=0
while IFS= read -r line; do
    script=$(grep -oE '^[A-Za-z]+-Cordon[A-Za-z]*\.ps1' <<<"$line")
    mentions=$((mentions + 1))
    file=$(printf '%s\n' "${scripts[@]}" | grep "/$script\$") || { echo "no $script" >>"$dir/out"; continue; }
    while read -r p; do
        grep -qE "^ +(\[.*\])*\\\$${p#-}\b" "$file" || echo "$script has no $p" >>"$dir/out"
    done < <(grep -oE ' -[A-Z][A-Za-z]+' <<<"${line//(*)/}" | grep -vxE ' -(WhatIf|Confirm|Verbose|Check)')
done < <(cat docs/windows-setup.md docs/permissions.md docs/operations.md installer/README.md "${scripts[@]}" | grep -oE "[A-Za-z]+-Cordon[A-Za-z]*\.ps1[^\`\"|]*")
[ "$mentions" -ge 30 ] && [ ! -s "$dir/out" ]
ok $? "the scripts and parameters that are named ($mentions times) are there"

# What each rule is for. "good" must pass, every "bad" be found for its reason.
try() { # good|bad NAME [WORDS]: the script on standard input
    { cat <<'HEAD'; cat; } >"$dir/try.ps1"
<#
.SYNOPSIS
    x
.DESCRIPTION
    x
.PARAMETER Check
    x
.EXAMPLE
    x
#>
#Requires -Version 5.1
[CmdletBinding(SupportsShouldProcess)]
param([switch]$Check)
Set-StrictMode -Version 3.0
$ErrorActionPreference = 'Stop'
HEAD
    [ -z "${without:-}" ] || sed -i "/$without/d" "$dir/try.ps1"
    rules "$dir/try.ps1"
    local rc=$?
    if [ "$1" = good ]; then ok "$rc" "passes: $2"; else
        [ $rc = 1 ] && grep -qF -- "$3" "$dir/out"
        ok $? "found: $2"
    fi
}
try good "asked, then done" <<'P'
if ($a -and ($b -and $PSCmdlet.ShouldProcess('x', 'y'))) { Set-Item -Path x -Value 1; & auditpol.exe /set /x }
elseif ($PSCmdlet.ShouldProcess('x')) { foreach ($i in Get-Item x) { $i.CommitChanges() } }
P
try good "looking" <<'P'
Get-Item -Path x | Where-Object { $_ } | Out-Null
Add-Type -AssemblyName System.DirectoryServices.Protocols
Start-Sleep -Milliseconds 500
& auditpol.exe /get /category:*
'Event Log Readers may read it'
P
try bad "not asked" "not behind ShouldProcess: Set-Item" <<<'Set-Item -Path x -Value 1'
try bad "the branch of no" "not behind ShouldProcess" <<<'if ($PSCmdlet.ShouldProcess(1)) { 1 } else { Set-Item x 1 }'
try bad "a no taken for a yes" "not behind ShouldProcess" <<<'if (-not $PSCmdlet.ShouldProcess(1)) { Set-Item x 1 }'
try bad "or something else" "not behind ShouldProcess" <<<'if ($PSCmdlet.ShouldProcess(1) -or $a) { Set-Item x 1 }'
try bad "an answer compared" "not behind ShouldProcess" <<<'if ($PSCmdlet.ShouldProcess(1) -eq $false) { Set-Item x 1 }'
try bad "asked, after it was done" "not behind ShouldProcess" <<<'Set-Item x 1; if ($PSCmdlet.ShouldProcess(1)) { 1 }'
try bad "asked in the condition's own command" "not behind ShouldProcess" <<<'if (Test-X $PSCmdlet.ShouldProcess(1)) { Set-Item x 1 }'
try bad "in a function, called by who asked" "not behind ShouldProcess" <<<'function Set-X { Set-Item x 1 }; if ($PSCmdlet.ShouldProcess(1)) { Set-X }'
try bad "in a block" "not behind ShouldProcess" <<<'Get-X | ForEach-Object { Remove-Item $_ }'
try bad "in a string" "not behind ShouldProcess" <<<'"a $(Remove-Item b)"'
try bad "by a program" "not behind ShouldProcess" <<<'& auditpol.exe /set /x'
try bad "by another program" "not behind ShouldProcess" <<<'& dsacls.exe x'
try bad "by a method" "not behind ShouldProcess" <<<'$entry.psbase.CommitChanges()'
try bad "into a file" "not behind ShouldProcess" <<<"Get-Item x > out.txt"
try bad "-WhatIf overruled" "-WhatIf is the caller's" <<<'if ($PSCmdlet.ShouldProcess(1)) { Set-Item x 1 -WhatIf:$false }'
without='^\[CmdletBinding' try bad "no SupportsShouldProcess" "without [CmdletBinding(SupportsShouldProcess)]" <<<'if ($PSCmdlet.ShouldProcess(1)) { Set-Item x 1 }'
without='^Set-StrictMode' try bad "no strict mode" "no strict mode" <<<'1'
without='^.PARAMETER' try bad "a parameter without help" "says nothing of -Check" <<<'1'
without='^.EXAMPLE' try bad "no example" "no .EXAMPLE" <<<'1'
try bad "a group by its name" "translated" <<<"Get-ADGroup -Identity 'Event Log Readers'"
try bad "... with its domain" "translated" <<<"\$a = 'CORP\\Domain Admins'"
try bad "... in a filter" "translated" <<<"Get-ADGroup -LDAPFilter '(cn=Event Log Readers)'"
try bad "a subcategory by its name" "translated" <<<"& auditpol.exe /get '/subcategory:User Account Management'"
try bad "a firewall rule by its name" "take -Name or -Group" <<<"Get-NetFirewallRule -DisplayName 'x'"
try bad "a colon behind a variable" "a colon behind a variable" <<<'$b = "granted: $a: x"'
try bad "an alias" "an alias" <<<'Get-X | % { $_ }'
try bad "what cannot be seen" "it can't be seen" <<<'. $file'
try bad "text made a program" "text must not be run" <<<'[scriptblock]::Create($a).Invoke()'
try bad "... by the host" "text must not be run" <<<'$ExecutionContext.InvokeCommand.InvokeScript($a)'
try bad "... by the shell's own parser" "text must not be run" <<<'$b = $ExecutionContext.InvokeCommand.ExpandString($a)'
try bad "... by the compiler" "not behind ShouldProcess: Add-Type" <<<'Add-Type -TypeDefinition $a'
try bad "... named as a file" "not behind ShouldProcess: Add-Type" <<<'Add-Type -AssemblyName x -Path $a'
try bad "a later PowerShell" "not in Windows PowerShell 5.1" <<<'Get-X && Get-Y'
try bad "a letter that is not ASCII" "not ASCII" <<<'$a = "ä"'
echo "1..$n"
[ "$failed" = 0 ]

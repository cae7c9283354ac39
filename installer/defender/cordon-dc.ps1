<#
.SYNOPSIS
    cordon's hand on a domain controller, run by Defender's Live Response: one account, one change, one line out.
.DESCRIPTION
    The fallback for when no domain controller takes a change over LDAP. It runs as LocalSystem, who may do
    anything in the domain, and any analyst can run it; so what limits it stands in here:

    - One argument, "c1_" and base64url. What it decodes to must match one pattern, character by character.
      Nothing of it is ever run, and nothing of it becomes part of a filter, a path or a command line.
    - It does nothing once the order's time is over, on anything but a writable DC of the order's domain, or to
      whom Get-Refusal names: built-in accounts, krbtgt, computers, privileged accounts, $Never, ...
    - userAccountControl is swapped (delete the value read, add the new one), so that no other change is lost.
      A new password is made here from the system's random source, and is kept and shown nowhere.
    - It answers with one line, CORDON1 NONCE JSON. That line is a claim; cordon looks for itself afterwards.

    It needs no module. Read it, fill in $Never, sign it, publish it: docs/defender-setup.md.
.PARAMETER Payload
    The order, as cordon makes it.
.EXAMPLE
    .\cordon-dc.ps1 -Payload c1_eyJ2Ijox... -WhatIf
#>
#Requires -Version 5.1
[CmdletBinding(SupportsShouldProcess)]
param([string]$Payload = '')

# SIDs of accounts and groups (nested) that are never touched, whatever the order says: your break-glass accounts,
# and the account that cordon acts as. To be filled in before this is signed.
$Never = @()

# --- The wire. agent/dc_payload.h says the same; a test compares the two.
$Version = '1'
$MaxAheadMs = 1800000
$ArgumentPattern = '\Ac1_[A-Za-z0-9_-]{200,1024}\z'
$OrderPattern = '\A\{"v":1,"op":"(?<op>disable|enable|expire-password|reset-password|probe)",' +
    '"sid":"(?<sid>S-1-5-21(-(0|[1-9][0-9]{0,9})){4}|)",' +
    '"guid":"(?<guid>[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|)",' +
    '"domain":"(?<domain>[a-z0-9_][a-z0-9._-]{0,253})",' +
    '"expires":(?<expires>[1-9][0-9]{12}),"nonce":"(?<nonce>[0-9a-f]{16})",' +
    '"case":"(?<case>[0-7][0-9A-HJKMNP-TV-Z]{25})",' +
    '"clear_never_expires":(?<clear>true|false),"must_change":(?<must>true|false)\}\z'
$MarkerFormat = 'CORDON1 {0} {{"v":1,"version":"{1}","op":"{2}","outcome":"{3}","code":"{4}","detail":"{5}",' +
    '"sid":"{6}","uac_before":{7},"uac_after":{8},"pwd_before":"{9}","pwd_after":"{10}","usn":{11},' +
    '"log":"{12}","events":[{13}],"computer":"{14}","lang":"{15}","time":{16}}}'
$EventFormat = '{{"id":{0},"record":{1}}}'

# --- Who is never touched. ldap/protect.c has the same tables.
$PrivilegedRids = 498, 500, 502, 512, 516, 517, 518, 519, 520, 521, 522, 526, 527
$PrivilegedBuiltin = 544, 548, 549, 550, 551, 552, 556, 557, 569, 578, 579
$ServiceClasses = 'computer', 'msDS-ManagedServiceAccount', 'msDS-GroupManagedServiceAccount',
    'msDS-DelegatedManagedServiceAccount', 'trustedDomain'
$KdcPattern = '\Akrbtgt(_.*)?\z'
$SystemPattern = '\A(MSOL_|AAD_|ADSyncMSA|provAgentgMSA|pGMSA_|HealthMailbox[0-9a-f]+\z|SM_[0-9a-f]{8,}\z|' +
    'SystemMailbox\{|DiscoverySearchMailbox\{|(FederatedEmail|Migration)\.[0-9a-f]{8}-)'

# --- Active Directory
$Protocols = 'System.DirectoryServices.Protocols'
$Disabled = 0x2
$NeverExpires = 0x10000
$SmartCardOnly = 0x40000
$ComputedBits = 0x800050 # lockout, may not change, expired: the DC shows them, they are never to be sent
$TypeBits = 0x4003900    # computers, DCs, RODCs, trusts, temporary duplicates
$ChangePassword = [guid]'ab721a53-1e2f-11d0-9819-00aa0040529b'
$Attributes = 'objectClass', 'objectSid', 'sAMAccountName', 'sAMAccountType', 'userAccountControl', 'pwdLastSet',
    'primaryGroupID', 'adminCount', 'isCriticalSystemObject', 'msDS-SecondaryKrbTgtNumber', 'tokenGroups',
    'sIDHistory', 'nTSecurityDescriptor', 'uSNChanged'
$ClearNo = 2, 8, 10, 11, 12, 13, 16, 17, 18, 19, 20, 21, 32, 34, 49, 50, 51, 52, 53, 65 # nothing was changed
$EventOf = @{ 'disable' = 4725; 'enable' = 4722; 'expire-password' = 4738; 'reset-password' = 4724 }
$EventQuery = '*[System[(EventID=4722 or EventID=4724 or EventID=4725 or EventID=4738)]]'

function Get-UnixMs {
    $ticks = [DateTime]::UtcNow.Ticks - 621355968000000000
    return [long](($ticks - $ticks % 10000) / 10000)
}

# The argument as an order of checked types; nothing where it is none.
function Read-Order {
    param([string]$Text)
    if ($Text -cnotmatch $ArgumentPattern) { return }
    $base64 = $Text.Substring(3).Replace('-', '+').Replace('_', '/')
    $base64 = $base64.PadRight($base64.Length + (4 - $base64.Length % 4) % 4, '=')
    try { $bytes = [Convert]::FromBase64String($base64) } catch { return }
    if ([Convert]::ToBase64String($bytes) -cne $base64) { return }
    $m = [regex]::Match([Text.Encoding]::GetEncoding(28591).GetString($bytes), $OrderPattern)
    if (-not $m.Success) { return }
    $order = @{
        Op = $m.Groups['op'].Value; Sid = $m.Groups['sid'].Value; Guid = $m.Groups['guid'].Value
        Domain = $m.Groups['domain'].Value; Nonce = $m.Groups['nonce'].Value
        Expires = [long]$m.Groups['expires'].Value
        Clear = $m.Groups['clear'].Value -ceq 'true'; Must = $m.Groups['must'].Value -ceq 'true'
    }
    $probes = $order.Op -ceq 'probe'
    if (($order.Sid -ceq '') -ne $probes -or ($order.Guid -ceq '') -ne $probes) { return }
    if ($order.Must -and $order.Op -cne 'reset-password') { return }
    if ($order.Clear -and $order.Op -cne 'expire-password' -and -not $order.Must) { return }
    if ($probes) { return $order }
    try { $order.Sid = [Security.Principal.SecurityIdentifier]::new($order.Sid) } catch { return }
    $order.Guid = [guid]$order.Guid
    return $order
}

# One object of this DC. The DN is '' (rootDSE), one that was read, or made of a GUID.
function Get-Entry {
    param($Ldap, [string]$Dn, [string[]]$Names)
    $search = New-Object "$Protocols.SearchRequest"
    $search.DistinguishedName = $Dn
    $search.Filter = '(objectClass=*)'
    $search.Scope = 'Base'
    $search.Attributes.AddRange($Names)
    if ($Names -contains 'nTSecurityDescriptor') {
        $null = $search.Controls.Add((New-Object "$Protocols.SecurityDescriptorFlagControl" -ArgumentList 'Dacl'))
    }
    $answer = $Ldap.SendRequest($search)
    if ($answer.Entries.Count -ne 1) { throw 'not one entry' }
    return $answer.Entries[0]
}

function Get-Text { # all values
    param($Entry, [string]$Name)
    if ($Entry.Attributes.Contains($Name)) { return $Entry.Attributes[$Name].GetValues([string]) }
}

function Get-Number {
    param($Entry, [string]$Name)
    $values = @(Get-Text $Entry $Name)
    if ($values.Count -eq 1) { return [long]$values[0] }
}

function Get-Sid { # all values, as text
    param($Entry, [string]$Name)
    if (-not $Entry.Attributes.Contains($Name)) { return }
    foreach ($raw in $Entry.Attributes[$Name].GetValues([byte[]])) {
        [Security.Principal.SecurityIdentifier]::new([byte[]]$raw, 0).Value
    }
}

function Test-Privileged {
    param([string]$Sid)
    if ($Never -contains $Sid) { return $true }
    $rid = $Sid.Substring($Sid.LastIndexOf('-') + 1)
    if ($Sid -cmatch '\AS-1-5-32-[0-9]+\z') { return $PrivilegedBuiltin -contains $rid }
    return $Sid -cmatch '\AS-1-5-21(-[0-9]+){4}\z' -and $PrivilegedRids -contains $rid
}

# Why this account is none of ours, as a code; nothing where it may be changed.
function Get-Refusal {
    param($Entry, $Order, [string]$DomainSid)
    $sid = "$(Get-Sid $Entry 'objectSid')"
    $name = "$(Get-Text $Entry 'sAMAccountName')"
    $classes = @(Get-Text $Entry 'objectClass')
    $uac = Get-Number $Entry 'userAccountControl'
    $split = $sid.LastIndexOf('-')
    if ($sid -cne $Order.Sid.Value) { return 'another-account' }
    if ($sid.Substring(0, $split) -cne $DomainSid) { return 'another-domain' }
    if ([long]$sid.Substring($split + 1) -lt 1000) { return 'built-in' }
    if ("$(Get-Text $Entry 'isCriticalSystemObject')" -eq 'TRUE') { return 'built-in' }
    if ($name -match $KdcPattern -or $null -ne (Get-Number $Entry 'msDS-SecondaryKrbTgtNumber')) { return 'krbtgt' }
    if ($classes -notcontains 'user' -or $name -ceq '' -or $name.EndsWith('$')) { return 'no-user' }
    foreach ($class in $ServiceClasses) { if ($classes -contains $class) { return 'no-user' } }
    if ((Get-Number $Entry 'sAMAccountType') -ne 805306368) { return 'no-user' }
    if ($null -eq $uac -or ($uac -band $TypeBits) -ne 0) { return 'no-user' }
    if ($name -match $SystemPattern) { return 'system-account' }
    # No groups shown is no answer: every account has at least its primary one.
    $groups = @(Get-Sid $Entry 'tokenGroups')
    if ($groups -notcontains "$DomainSid-$(Get-Number $Entry 'primaryGroupID')") { return 'cannot-judge' }
    foreach ($one in @($sid) + $groups + @(Get-Sid $Entry 'sIDHistory')) {
        if (Test-Privileged $one) { return 'privileged' }
    }
    if (@(0, $null) -notcontains (Get-Number $Entry 'adminCount')) { return 'privileged' }
}

# "User cannot change password" is a denied right, for everyone or for the account itself.
function Test-CannotChange {
    param($Entry)
    $raw = [byte[]]$Entry.Attributes['nTSecurityDescriptor'].GetValues([byte[]])[0]
    foreach ($ace in [Security.AccessControl.RawSecurityDescriptor]::new($raw, 0).DiscretionaryAcl) {
        if ($ace -is [Security.AccessControl.ObjectAce] -and "$($ace.AceQualifier)" -eq 'AccessDenied' -and
            $ace.ObjectAceType -eq $ChangePassword -and
            'S-1-1-0', 'S-1-5-10' -contains $ace.SecurityIdentifier.Value) { return $true }
    }
    return $false
}

function Add-Edit {
    param($Request, [string]$Name, [string]$How, $Value)
    $edit = New-Object "$Protocols.DirectoryAttributeModification"
    $edit.Name = $Name
    $edit.Operation = $How
    $null = $edit.Add($Value)
    $null = $Request.Modifications.Add($edit)
}

# 40 random characters of all three classes and a sign, in quotes, as UTF-16LE: what unicodePwd takes.
function Get-NewPassword {
    $alphabet = [Text.Encoding]::ASCII.GetBytes('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789')
    $random = [Security.Cryptography.RNGCryptoServiceProvider]::new()
    $one = [byte[]]::new(1)
    $wire = [byte[]]::new(86)
    do {
        $classes = 0
        for ($i = 1; $i -le 40; $i++) {
            do { $random.GetBytes($one) } while ($one[0] -ge 248)
            $at = $one[0] % 62
            $wire[2 * $i] = $alphabet[$at]
            if ($at -lt 26) { $classes = $classes -bor 1 }
            elseif ($at -lt 52) { $classes = $classes -bor 2 }
            else { $classes = $classes -bor 4 }
        }
    } while ($classes -ne 7)
    $wire[0] = 0x22
    $wire[82] = 0x2d
    $wire[84] = 0x22
    return , $wire
}

# The records of this account behind the mark. The log is read onwards from there, not searched from its end.
function Get-Proof {
    param($Mark, [string]$Sid)
    $query = [Diagnostics.Eventing.Reader.EventLogQuery]::new('Security', 'LogName', $EventQuery)
    $reader = [Diagnostics.Eventing.Reader.EventLogReader]::new($query, $Mark)
    while ($null -ne ($record = $reader.ReadEvent([TimeSpan]::FromSeconds(2)))) {
        foreach ($data in ([xml]$record.ToXml()).GetElementsByTagName('Data')) {
            if ($data.GetAttribute('Name') -ceq 'TargetSid' -and $data.InnerText -ceq $Sid) { $record }
        }
    }
}

function Invoke-Order {
    [CmdletBinding(SupportsShouldProcess)]
    param([string]$Text, [hashtable]$Said)
    Set-StrictMode -Version 3.0
    $ErrorActionPreference = 'Stop'

    # The order.
    if ($Said.lang -ne 'FullLanguage') { $Said.code = 'language'; return }
    $order = Read-Order $Text
    if ($null -eq $order) { $Said.code = 'payload'; return }
    $Said.nonce = $order.Nonce; $Said.op = $order.Op; $Said.sid = "$($order.Sid)"
    $left = $order.Expires - (Get-UnixMs)
    if ($left -le 0) { $Said.code = 'expired'; return }
    if ($left -gt $MaxAheadMs) { $Said.code = 'too-far-ahead'; return }

    # This machine.
    $kind = (Get-Item -LiteralPath 'HKLM:\SYSTEM\CurrentControlSet\Control\ProductOptions').GetValue('ProductType')
    if ($kind -ne 'LanmanNT') { $Said.code = 'no-dc'; return }
    Add-Type -AssemblyName System.DirectoryServices.Protocols
    $here = New-Object "$Protocols.LdapDirectoryIdentifier" -ArgumentList 'localhost', 389, $true, $false
    $ldap = New-Object "$Protocols.LdapConnection" -ArgumentList $here
    $ldap.AuthType = 'Negotiate'
    $ldap.Timeout = [TimeSpan]::FromSeconds(30)
    $ldap.SessionOptions.ProtocolVersion = 3
    $ldap.SessionOptions.ReferralChasing = 'None'
    if ($order.Op -ceq 'reset-password') { $ldap.SessionOptions.Sealing = $true }
    $ldap.Bind()
    $root = Get-Entry $ldap '' @('defaultNamingContext', 'dnsHostName', 'isSynchronized', 'supportedCapabilities')
    $Said.computer = "$(Get-Text $root 'dnsHostName')"
    $head = "$(Get-Text $root 'defaultNamingContext')"
    if (@(Get-Text $root 'supportedCapabilities') -contains '1.2.840.113556.1.4.1920') { $Said.code = 'rodc'; return }
    if ("$(Get-Text $root 'isSynchronized')" -ne 'TRUE') { $Said.code = 'not-synchronized'; return }
    if (($head -replace '\ADC=', '' -replace ',DC=', '.') -ne $order.Domain) { $Said.code = 'another-domain'; return }
    if ($order.Op -ceq 'probe') { $Said.outcome = 'done'; $Said.code = 'probe'; return }

    # The account.
    $dn = "<GUID=$($order.Guid.ToString('D'))>"
    $entry = Get-Entry $ldap $dn $Attributes
    $Said.code = Get-Refusal $entry $order "$(Get-Sid (Get-Entry $ldap $head @('objectSid')) 'objectSid')"
    if ($Said.code) { return }
    $uac = [int](Get-Number $entry 'userAccountControl')
    $Said.uac_before = $uac
    $Said.pwd_before = Get-Number $entry 'pwdLastSet'

    # What is to be changed, and whether it would mean anything.
    $resets = $order.Op -ceq 'reset-password'
    $forces = $order.Op -ceq 'expire-password' -or $order.Must
    if ($forces) {
        if ($null -eq $Said.pwd_before) { $Said.code = 'cannot-judge'; return }
        if (($uac -band $SmartCardOnly) -ne 0) { $Said.code = 'smart-card-only'; return }
        if (Test-CannotChange $entry) { $Said.code = 'cannot-change-password'; return }
        if (($uac -band $NeverExpires) -ne 0 -and -not $order.Clear) { $Said.code = 'never-expires'; return }
    }
    $to = $uac -band (-bnot $ComputedBits)
    if ($order.Op -ceq 'disable') { $to = $to -bor $Disabled }
    if ($order.Op -ceq 'enable') { $to = $to -band (-bnot $Disabled) }
    if ($forces) { $to = $to -band (-bnot $NeverExpires) }
    $bits = ($uac -bxor $to) -band (-bnot $ComputedBits)
    $expires = $forces -and ($resets -or $Said.pwd_before -ne 0)
    if ($bits -eq 0 -and -not $expires -and -not $resets) { $Said.outcome = 'already'; return }

    # The change. From here on only a clear no of the DC, or what is read afterwards, may say how it went.
    $mark = $null
    try { $mark = (Get-WinEvent -LogName Security -MaxEvents 1).Bookmark } catch { $mark = $null }
    $Said.code = 'what-if'
    if ($PSCmdlet.ShouldProcess($dn, $order.Op)) {
        for ($turn = 1; $turn -le 1 + [int]$resets; $turn++) {
            $edits = New-Object "$Protocols.ModifyRequest"
            $edits.DistinguishedName = $dn
            if ($resets) { Add-Edit $edits 'unicodePwd' 'Replace' (Get-NewPassword) }
            if ($bits -ne 0 -and $turn -eq 1) {
                Add-Edit $edits 'userAccountControl' 'Delete' "$uac"
                Add-Edit $edits 'userAccountControl' 'Add' "$to"
            }
            if ($expires -and $turn -eq 1 + [int]$resets) { Add-Edit $edits 'pwdLastSet' 'Replace' '0' }
            $Said.sent++
            $null = $ldap.SendRequest($edits)
            $Said.accepted++
        }
    }
    if ($Said.sent -eq 0) { return }

    # Looked at again: our bits, and pwdLastSet.
    $Said.outcome = 'unknown'
    $Said.code = 'not-so'
    $after = Get-Entry $ldap $dn $Attributes
    $Said.uac_after = Get-Number $after 'userAccountControl'
    $Said.pwd_after = Get-Number $after 'pwdLastSet'
    $Said.usn = Get-Number $after 'uSNChanged'
    $so = $null -ne $Said.uac_after -and $null -ne $Said.pwd_after -and (($Said.uac_after -bxor $to) -band $bits) -eq 0
    if ($expires) { $so = $so -and $Said.pwd_after -eq 0 }
    elseif ($resets) { $so = $so -and $Said.pwd_after -ne $Said.pwd_before }
    if ($so) { $Said.outcome = 'done'; $Said.code = '' }

    # The DC's own log, which follows a little later.
    $Said.log = 'unreadable'
    if ($null -eq $mark) { return }
    try {
        $clock = [Diagnostics.Stopwatch]::StartNew()
        while ($Said.log -ne 'seen' -and $clock.ElapsedMilliseconds -lt 10000) {
            Start-Sleep -Milliseconds 500
            $records = @(Get-Proof $mark $order.Sid.Value)
            $Said.events = @($records | Select-Object -First 8 | ForEach-Object { $EventFormat -f $_.Id, $_.RecordId })
            $ours = @($records | Where-Object { $_.Id -eq $EventOf[$order.Op] })
            if ($ours.Count -ge $Said.sent) { $Said.log = 'seen' } else { $Said.log = 'not-seen' }
        }
    }
    catch { $Said.log = 'unreadable' }
}

$said = @{
    nonce = '0' * 16; op = ''; outcome = 'refused'; code = ''; detail = ''; sid = ''; sent = 0; accepted = 0
    uac_before = $null; uac_after = $null; pwd_before = $null; pwd_after = $null; usn = $null
    log = 'not-asked'; events = @(); computer = "$env:COMPUTERNAME"
    lang = "$($ExecutionContext.SessionState.LanguageMode)"
}
try { $null = Invoke-Order $Payload $said }
catch {
    # Failed: nothing was sent, or the DC said a clear no to the first request. Else it may have happened.
    $cause = $_.Exception
    while ($null -ne $cause.InnerException) { $cause = $cause.InnerException }
    $result = -1
    $answered = $cause.PSObject.Properties['Response'] -and $cause.Response
    if ($answered) { $result = [int]$cause.Response.ResultCode }
    elseif ($cause.PSObject.Properties['ErrorCode']) { $result = [int]$cause.ErrorCode }
    $no = $said.sent -eq 0 -or ($said.accepted -eq 0 -and $answered -and $ClearNo -contains $result)
    $said.outcome = $(if ($no) { 'failed' } else { 'unknown' })
    $said.code = $(if ($result -ge 0) { "ldap-$result" } else { 'exception' })
    $line = $_.InvocationInfo.ScriptLineNumber
    $said.detail = '{0} {1:x8} line {2}' -f $cause.GetType().FullName, $cause.HResult, $line
}
# Words of our own, and names whose alphabet is made sure of here; numbers; nothing else.
$words = @{}
foreach ($key in 'op', 'outcome', 'code', 'detail', 'sid', 'pwd_before', 'pwd_after', 'log', 'computer', 'lang') {
    $words[$key] = "$($said[$key])" -creplace '[^A-Za-z0-9 ._-]', '?'
}
foreach ($key in 'uac_before', 'uac_after', 'usn') {
    $words[$key] = $(if ($null -eq $said[$key]) { 'null' } else { "$($said[$key])" })
}
Write-Output ($MarkerFormat -f $said.nonce, $Version, $words.op, $words.outcome, $words.code, $words.detail,
    $words.sid, $words.uac_before, $words.uac_after, $words.pwd_before, $words.pwd_after, $words.usn,
    $words.log, ($said.events -join ','), $words.computer, $words.lang, (Get-UnixMs))

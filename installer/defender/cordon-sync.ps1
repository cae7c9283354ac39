<#
.SYNOPSIS
    cordon's hand on the Entra Connect server, run by Defender's Live Response: looks, or starts one delta cycle.
.DESCRIPTION
    Only for sync_via = mde, where the sync server cannot be reached over WinRM. It runs as LocalSystem, and any
    analyst can run it; so it can do two things and nothing else:

    - sync-look: how the scheduler is set, and whether a cycle runs.
    - sync-start: the same, and a delta cycle where that makes sense. Never a full one, and no setting is changed.

    Its one argument is "c1_" and base64url. What it decodes to must match one pattern, character by character;
    nothing of it is ever run, or becomes part of a command. Past the order's time nothing is done.

    It answers with one line, CORDON1 NONCE JSON. Read it, sign it, publish it: docs/defender-setup.md.
.PARAMETER Payload
    The order, as cordon makes it.
.EXAMPLE
    .\cordon-sync.ps1 -Payload c1_eyJ2Ijox... -WhatIf
#>
#Requires -Version 5.1
[CmdletBinding(SupportsShouldProcess)]
param([string]$Payload = '')

# --- The wire. agent/sync_order.c says the same; a test compares the two.
$Version = '1'
$MaxAheadMs = 1800000
$ArgumentPattern = '\Ac1_[A-Za-z0-9_-]{80,160}\z'
$OrderPattern = '\A\{"v":1,"op":"(?<op>sync-look|sync-start)",' +
    '"expires":(?<expires>[1-9][0-9]{12}),"nonce":"(?<nonce>[0-9a-f]{16})"\}\z'
$MarkerFormat = 'CORDON1 {0} {{"v":1,"version":"{1}","op":"{2}","outcome":"{3}","code":"{4}","answer":{5},' +
    '"computer":"{6}","lang":"{7}","time":{8}}}'
$AnswerFormat = '{{"cordon":1,"module":{0},"scheduler":{1},"running":{2},"result":{3},"errorType":{4},"error":{5}}}'
$SchedulerFormat = '{{"SyncCycleEnabled":{0},"StagingModeEnabled":{1},"SchedulerSuspended":{2},' +
    '"SyncCycleInProgress":{3}}}'

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
    return @{ Op = $m.Groups['op'].Value; Nonce = $m.Groups['nonce'].Value; Expires = [long]$m.Groups['expires'].Value }
}

# JSON of its own making: words in one alphabet, true, false and null.
function Get-Word {
    param($Value)
    if ($null -eq $Value) { return 'null' }
    return '"{0}"' -f ("$Value" -creplace '[^A-Za-z0-9 ._-]', '?')
}

function Get-Flag {
    param($Value)
    if ([bool]$Value) { return 'true' }
    return 'false'
}

function Invoke-Order {
    [CmdletBinding(SupportsShouldProcess)]
    param([string]$Text, [hashtable]$Said)
    Set-StrictMode -Version 3.0
    $ErrorActionPreference = 'Stop'

    if ($Said.lang -ne 'FullLanguage') { $Said.code = 'language'; return }
    $order = Read-Order $Text
    if ($null -eq $order) { $Said.code = 'payload'; return }
    $Said.nonce = $order.Nonce; $Said.op = $order.Op
    $left = $order.Expires - (Get-UnixMs)
    if ($left -le 0) { $Said.code = 'expired'; return }
    if ($left -gt $MaxAheadMs) { $Said.code = 'too-far-ahead'; return }

    $Said.outcome = 'done'
    try {
        Import-Module ADSync
        $Said.module = $true
        $scheduler = Get-ADSyncScheduler
        $Said.scheduler = $SchedulerFormat -f (Get-Flag $scheduler.SyncCycleEnabled),
            (Get-Flag $scheduler.StagingModeEnabled), (Get-Flag $scheduler.SchedulerSuspended),
            (Get-Flag $scheduler.SyncCycleInProgress)
        $Said.running = "$(@(Get-ADSyncConnectorRunStatus).Count)"
        $may = $scheduler.SyncCycleEnabled -and -not $scheduler.StagingModeEnabled -and
            -not $scheduler.SchedulerSuspended
        if ($order.Op -ceq 'sync-start' -and $may -and $PSCmdlet.ShouldProcess('ADSync', 'start a delta cycle')) {
            $Said.result = "$((Start-ADSyncSyncCycle -PolicyType Delta).Result)"
        }
    }
    catch {
        $Said.errorType = $_.Exception.GetType().FullName
        $Said.error = $_.Exception.Message
    }
}

$said = @{
    nonce = '0' * 16; op = ''; outcome = 'refused'; code = ''; module = $false; scheduler = 'null'; running = 'null'
    result = $null; errorType = $null; error = $null; lang = "$($ExecutionContext.SessionState.LanguageMode)"
}
try { $null = Invoke-Order $Payload $said }
catch { $said.outcome = 'unknown'; $said.code = 'exception' }
$answer = $AnswerFormat -f (Get-Flag $said.module), $said.scheduler, $said.running, (Get-Word $said.result),
    (Get-Word $said.errorType), (Get-Word $said.error)
if ($said.outcome -ne 'done') { $answer = 'null' }
$computer = "$env:COMPUTERNAME" -creplace '[^A-Za-z0-9._-]', '?'
$lang = $said.lang -creplace '[^A-Za-z]', '?'
Write-Output ($MarkerFormat -f $said.nonce, $Version, $said.op, $said.outcome, $said.code, $answer, $computer, $lang,
    (Get-UnixMs))

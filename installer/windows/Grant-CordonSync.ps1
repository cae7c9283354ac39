<#
.SYNOPSIS
    On the Entra Connect server: cordon's account may start a synchronisation cycle, and nothing more.
.DESCRIPTION
    Two memberships on this one server: Remote Management Users (S-1-5-32-580), to open a remote shell, and
    ADSyncOperators, to start a cycle. Looks, and only looks, at whether remote shells are allowed and
    whether this server exports at all (staging mode).

    A remote shell is more than one command: whoever is cordon can run programs here, as a user
    without rights. Run it elevated on that server, and Enable-CordonWinRM.ps1 too. It can be run again
    at any time.
.PARAMETER Account
    CORP\svc-cordon
.PARAMETER Operators
    The group of operators, where the setup of Entra Connect was given one of your own.
.PARAMETER Check
    Only look: a line for each item, exit code 0 (all so), 1 (something is missing), 2 (failed).
.EXAMPLE
    .\Grant-CordonSync.ps1 -Account CORP\svc-cordon -WhatIf
#>
#Requires -Version 5.1
[CmdletBinding(SupportsShouldProcess)]
param(
    [Parameter(Mandatory)][string]$Account,
    [string]$Operators = 'ADSyncOperators',
    [switch]$Check
)
. (Join-Path $PSScriptRoot 'Cordon.Common.ps1')
trap { Write-Item 'failed' $_.Exception.Message; exit 2 }

Assert-Elevated
if (Test-DomainController) {
    throw 'on a domain controller these are groups of the domain, and this script does not touch those. ' +
        "Next: Add-ADGroupMember $RemoteManagementUsers ACCOUNT; Add-ADGroupMember $Operators ACCOUNT"
}
$sid = (New-Object Security.Principal.NTAccount $Account).Translate([Security.Principal.SecurityIdentifier])

function Test-Member {
    param($Group)
    $members = @(Get-LocalGroupMember -SID $Group.SID | ForEach-Object { $_.SID.Value })
    return $members -contains $sid.Value
}

$groups = @(Get-LocalGroup -SID $RemoteManagementUsers)
$operatorsGroup = Get-LocalGroup -Name $Operators -ErrorAction SilentlyContinue
if ($null -ne $operatorsGroup) { $groups += $operatorsGroup }
Show-Item ($null -ne $operatorsGroup) "the local group $Operators is there" `
    'is this the Entra Connect server? Or name the group that its setup was given: -Operators'

foreach ($group in $groups) {
    $what = "$Account is in $($group.Name) ($($group.SID))"
    $next = "Add-LocalGroupMember -SID $($group.SID) -Member $Account; then a new ticket"
    if ((Test-Due (Test-Member $group) $what $next) -and
        $PSCmdlet.ShouldProcess("$env:COMPUTERNAME\$($group.Name)", "add $Account")) {
        Add-LocalGroupMember -SID $group.SID -Member $sid.Value
        Write-Done (Test-Member $group) $what $next
    }
}

if ("$((Get-Service -Name WinRM).Status)" -eq 'Running') {
    Show-Item ((Get-Item -Path WSMan:\localhost\Shell\AllowRemoteShellAccess).Value -eq 'true') `
        'remote shells are allowed' 'winrm set winrm/config/winrs @{AllowRemoteShellAccess="true"}'
}
else {
    Show-Item $false 'the service WinRM runs' '.\Enable-CordonWinRM.ps1'
}

if (Get-Module -ListAvailable -Name ADSync) {
    Import-Module -Name ADSync -Verbose:$false
    $scheduler = Get-ADSyncScheduler
    Show-Item (-not $scheduler.StagingModeEnabled) 'this server exports (no staging mode)' `
        'name the other server as sync_server in cordon.conf'
    Show-Item ($scheduler.SyncCycleEnabled -and -not $scheduler.SchedulerSuspended) 'the scheduler is on' `
        'Set-ADSyncScheduler -SyncCycleEnabled $true, when whoever switched it off agrees'
}
else {
    Show-Item $false 'the module ADSync is here' 'run this on the Entra Connect server'
}
exit (Get-ExitCode)

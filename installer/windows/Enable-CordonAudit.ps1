<#
.SYNOPSIS
    On a domain controller: changes of accounts are audited, and the Security log keeps them.
.DESCRIPTION
    Switches on the success audit of "User Account Management" (by its GUID), and makes the Security
    log large enough. Looks, and only looks, at what a person should decide: whether the log may be
    read by Event Log Readers, whether it stops when it is full, and whether a policy stands in the
    way.

    Run it elevated on each DC. Where audit policy comes by GPO, a local setting lasts until the next
    refresh only: use Set-CordonGpo.ps1, or the GUI (docs/windows-setup.md). It can be run again at any
    time.
.PARAMETER LogSizeMB
    The least size of the Security log. It is never made smaller.
.PARAMETER Check
    Only look: a line for each item, exit code 0 (all so), 1 (something is missing), 2 (failed).
.EXAMPLE
    .\Enable-CordonAudit.ps1 -Check
#>
#Requires -Version 5.1
[CmdletBinding(SupportsShouldProcess)]
param(
    [ValidateRange(20, 4096)][int]$LogSizeMB = 1024,
    [switch]$Check
)
. (Join-Path $PSScriptRoot 'Cordon.Common.ps1')
trap { Write-Item 'failed' $_.Exception.Message; exit 2 }

Assert-Elevated
if (-not (Test-DomainController)) { throw 'this is no domain controller. Next: run it on each DC' }

# 4722 to 4726, 4738, 4740, 4767, 4781. Its failures are not needed: what is refused logs nothing.
$what = "changes of accounts are audited (success, $UserAccountManagement)"
$next = "auditpol /set /subcategory:$UserAccountManagement /success:enable"
$so = ((Get-AuditSetting $UserAccountManagement) -band 1) -eq 1
if ((Test-Due $so $what $next) -and $PSCmdlet.ShouldProcess($env:COMPUTERNAME, $next)) {
    & auditpol.exe /set "/subcategory:$UserAccountManagement" /success:enable | Out-Null
    $so = ((Get-AuditSetting $UserAccountManagement) -band 1) -eq 1
    Write-Done $so $what 'a policy may forbid it: Set-CordonGpo.ps1'
}
if ((Get-RegistryValue 'HKLM:\SYSTEM\CurrentControlSet\Control\Lsa' 'SCENoApplyLegacyAuditPolicy') -eq 0) {
    Show-Item $false 'audit policy by subcategory is in force (SCENoApplyLegacyAuditPolicy is 0)' `
        'an audit policy of the old kind may undo the above: see "Auditing by GPO" in docs/windows-setup.md'
}

$wanted = [long]$LogSizeMB * 1mb
$log = New-Object System.Diagnostics.Eventing.Reader.EventLogConfiguration 'Security'
$policy = Get-RegistryValue 'HKLM:\SOFTWARE\Policies\Microsoft\Windows\EventLog\Security' 'MaxSize'
$what = "the Security log may grow to $LogSizeMB MB or more"
if ($null -ne $policy) {
    Show-Item ([long]$policy * 1kb -ge $wanted) "$what (set by policy: $policy KB)" `
        'raise it in that GPO: Event Log Service > Security > Specify the maximum log file size'
}
elseif ((Test-Due ($log.MaximumSizeInBytes -ge $wanted) $what "wevtutil sl Security /ms:$wanted") -and
    $PSCmdlet.ShouldProcess($env:COMPUTERNAME, "Security log: $LogSizeMB MB")) {
    $log.MaximumSizeInBytes = $wanted
    $log.SaveChanges()
    $log = New-Object System.Diagnostics.Eventing.Reader.EventLogConfiguration 'Security'
    Write-Done ($log.MaximumSizeInBytes -ge $wanted) $what "wevtutil sl Security /ms:$wanted"
}

Show-Item ("$($log.LogMode)" -ne 'Retain') 'the Security log goes on when it is full' `
    'wevtutil sl Security /rt:false'
# 1: read. The default is (A;;0x1;;;S-1-5-32-573) for Event Log Readers.
Show-Item (Test-Allowed $log.SecurityDescriptor $EventLogReaders 1) `
    "Event Log Readers may read the Security log ($EventLogReaders)" `
    "add (A;;0x1;;;$EventLogReaders) where a policy narrows it: Event Log Service > Security > Configure log access"

$oldest = @(Get-WinEvent -LogName Security -Oldest -MaxEvents 1 -ErrorAction SilentlyContinue)
if ($oldest.Count -gt 0) {
    $hours = [math]::Round(((Get-Date) - $oldest[0].TimeCreated).TotalHours, 1)
    Write-Item 'note' "the oldest record is $hours hours old"
}
exit (Get-ExitCode)

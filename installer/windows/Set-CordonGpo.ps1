<#
.SYNOPSIS
    A GPO for the domain controllers: auditing, the size of the Security log, WinRM, the firewall.
.DESCRIPTION
    What Enable-CordonAudit.ps1 and Enable-CordonWinRM.ps1 set on one DC, as policy for all of them, and for
    those to come. The GPO is made if it is not there, and is linked only with -Link: look at its report
    first.

    Audit policy by subcategory is all or nothing. As soon as one GPO with such a policy applies, a DC
    clears what it had and takes what GPOs say (Microsoft, "Advanced security auditing FAQ"). So where
    no GPO that applies to the DCs carries one yet, this script also writes down what is in effect on
    this DC; that changes nothing there, and is what all DCs get. Where one does, only our line is added.

    Run it elevated on a DC, with the modules GroupPolicy and ActiveDirectory, as somebody who may make
    GPOs. It can be run again at any time. Settings that the GPO has besides are left alone.
.PARAMETER Name
    Its name. Naming one that is there already adds to it.
.PARAMETER LogSizeMB
    The size of the Security log. A larger one in this GPO is left.
.PARAMETER ManagementHost
    Addresses of cordon's host, for a firewall rule on 5985 and 5986. Without it: no rule.
.PARAMETER Link
    Link the GPO to the domain controllers' container.
.PARAMETER Check
    Only look: a line for each item, exit code 0 (all so), 1 (something is missing), 2 (failed).
.EXAMPLE
    .\Set-CordonGpo.ps1 -ManagementHost 10.0.5.20 -WhatIf
#>
#Requires -Version 5.1
[CmdletBinding(SupportsShouldProcess)]
param(
    [ValidatePattern('^[\w .:-]+$')][string]$Name = 'cordon on domain controllers',
    [ValidateRange(20, 4096)][int]$LogSizeMB = 1024,
    [ipaddress[]]$ManagementHost = @(),
    [switch]$Link,
    [switch]$Check
)
. (Join-Path $PSScriptRoot 'Cordon.Common.ps1')
trap { Write-Item 'failed' $_.Exception.Message; exit 2 }

Assert-Elevated
if (-not (Test-DomainController)) { throw 'this is no domain controller. Next: run it on one of them' }
Import-Tool 'GroupPolicy' 'GPMC'
Import-Tool 'ActiveDirectory' 'RSAT-AD-PowerShell'
$domain = Get-ADDomain
$at = @{ Domain = $domain.DNSRoot; Server = $domain.PDCEmulator } # one DC for all of it

# --- the GPO -----------------------------------------------------------------------------------

function Get-OurGpo {
    return Get-GPO -All @at | Where-Object { $_.DisplayName -eq $Name } | Select-Object -First 1
}

$gpo = Get-OurGpo
$what = "the GPO '$Name'"
$next = '.\Set-CordonGpo.ps1, without -Check'
if ((Test-Due ($null -ne $gpo) $what $next) -and $PSCmdlet.ShouldProcess($domain.DNSRoot, "make $what")) {
    New-GPO -Name $Name -Comment 'Made by Set-CordonGpo.ps1' @at | Out-Null
    $gpo = Get-OurGpo
    Write-Done ($null -ne $gpo) $what $next
}
if ($null -eq $gpo) { exit (Get-ExitCode) }

# --- registry policy ---------------------------------------------------------------------------

function Get-Setting {
    param($Setting)
    try {
        return (Get-GPRegistryValue -Guid $gpo.Id -Key $Setting.Key -ValueName $Setting.Name @at).Value
    }
    catch {
        return $null # there is none: that is how the cmdlet says it
    }
}

# A text ends with a NUL here, as the registry has it.
function Test-Setting {
    param($Setting)
    $value = "$(Get-Setting $Setting)".TrimEnd([char]0)
    if ($value -eq '') { return $false }
    if ($Setting.Name -eq 'MaxSize') { return [long]$value -ge $Setting.Value }
    return $value -eq "$($Setting.Value)"
}

$policies = 'HKLM\SOFTWARE\Policies\Microsoft\Windows'
$lsa = 'HKLM\SYSTEM\CurrentControlSet\Control\Lsa'
$settings = @(
    @{ Key = "$policies\EventLog\Security"; Name = 'MaxSize'; Type = 'DWord'; Value = $LogSizeMB * 1024 }
    @{ Key = "$policies\WinRM\Service"; Name = 'AllowAutoConfig'; Type = 'DWord'; Value = 1 }
    @{ Key = "$policies\WinRM\Service"; Name = 'IPv4Filter'; Type = 'String'; Value = '*' }
    @{ Key = "$policies\WinRM\Service"; Name = 'IPv6Filter'; Type = 'String'; Value = '*' }
    # Else an audit policy of the old kind, by category, can undo ours.
    @{ Key = $lsa; Name = 'SCENoApplyLegacyAuditPolicy'; Type = 'DWord'; Value = 1 }
)
foreach ($setting in $settings) {
    $what = "$($setting.Key)\$($setting.Name) = $($setting.Value)"
    if ((Test-Due (Test-Setting $setting) $what $next) -and $PSCmdlet.ShouldProcess($Name, $what)) {
        Set-GPRegistryValue -Guid $gpo.Id -Key $setting.Key -ValueName $setting.Name -Type $setting.Type `
            -Value $setting.Value @at | Out-Null
        Write-Done (Test-Setting $setting) $what $next
    }
}

# --- audit policy: MS-GPAC ---------------------------------------------------------------------
# A file in SYSVOL, the client side extension in the GPO's object, and a higher version in both.

function Get-GpoFolder {
    param([guid]$Id)
    return "\\$($at.Server)\SYSVOL\$($at.Domain)\Policies\{$Id}"
}

function Get-AuditFile {
    param([guid]$Id)
    return (Get-GpoFolder $Id) + '\Machine\Microsoft\Windows NT\Audit\audit.csv'
}

$words = 'No Auditing', 'Success', 'Failure', 'Success and Failure' # for people; the number counts
$header = 'Machine Name,Policy Target,Subcategory,Subcategory GUID,Inclusion Setting,Exclusion Setting,Setting Value'

function Get-Line {
    param([string]$Subcategory, [string]$Guid, [int]$Value)
    return ",System,$($Subcategory -replace '[^A-Za-z0-9 /-]', ''),$Guid,$($words[$Value]),,$Value"
}

# What stands in the file for our subcategory, 0 to 3.
function Get-FileSetting {
    param([string[]]$Lines)
    $row = @($Lines | ConvertFrom-Csv -Header $AuditColumns |
            Where-Object { $_.Guid -eq $UserAccountManagement })
    if ($row.Count -eq 0) { return 0 }
    return [int]$row[0].Value
}

function Get-Lines {
    param([string]$Path)
    if (Test-Path -LiteralPath $Path) { Get-Content -LiteralPath $Path -Encoding UTF8 | Where-Object { $_ } }
}

$extension = '[{F3CCC681-B74C-4060-9F26-CD84525DCA2A}{0F3F3735-573D-9804-99E4-AB2A69BA5FD4}]'

function Get-Extensions {
    $object = Get-ADObject -Server $at.Server -Identity $gpo.Path -Properties 'gPCMachineExtensionNames'
    return [regex]::Matches("$(Get-Attribute $object 'gPCMachineExtensionNames')", '\[[^\]]*\]') |
        ForEach-Object { $_.Value.ToUpperInvariant() }
}

$file = Get-AuditFile $gpo.Id
$lines = @(Get-Lines $file)
$audited = ((Get-FileSetting $lines) -band 1) -eq 1 -and @(Get-Extensions) -contains $extension
$what = "success audit of $UserAccountManagement in audit.csv"
if (Test-Due $audited $what $next) {
    if ($lines.Count -eq 0) {
        $lines = @($header)
        $inherited = (Get-GPInheritance -Target $domain.DomainControllersContainer @at).InheritedGpoLinks
        $carriers = @($inherited | Where-Object { Test-Path -LiteralPath (Get-AuditFile $_.GpoId) })
        if ($carriers.Count -eq 0) {
            Write-Item 'note' 'no GPO of the DCs has an audit policy yet: what is in effect here goes in, too'
            $lines += @(Get-AuditPolicy | Where-Object { [int]$_.Value -gt 0 } |
                    ForEach-Object { Get-Line $_.Name $_.Guid $_.Value })
        }
    }
    $value = (Get-FileSetting $lines) -bor 1
    $lines = @($lines | Where-Object { $_ -notlike "*$UserAccountManagement*" })
    $lines += Get-Line 'Audit User Account Management' $UserAccountManagement $value
    $extensions = @(@(Get-Extensions) + $extension | Sort-Object -Unique) -join ''
    if ($PSCmdlet.ShouldProcess($file, "write $($lines.Count - 1) subcategories, and register them in the GPO")) {
        New-Item -ItemType Directory -Force -Path (Split-Path -Parent $file) | Out-Null
        [IO.File]::WriteAllLines($file, [string[]]$lines, (New-Object Text.UTF8Encoding $false))
        $object = Get-ADObject -Server $at.Server -Identity $gpo.Path -Properties 'versionNumber'
        $version = [int]$object.versionNumber + 1
        $ini = (Get-GpoFolder $gpo.Id) + '\gpt.ini'
        $text = [IO.File]::ReadAllText($ini) -replace '(?im)^Version=\d+', "Version=$version"
        [IO.File]::WriteAllText($ini, $text, [Text.Encoding]::ASCII)
        Set-ADObject -Server $at.Server -Identity $gpo.Path `
            -Replace @{ gPCMachineExtensionNames = $extensions; versionNumber = $version }
        $so = ((Get-FileSetting @(Get-Lines $file)) -band 1) -eq 1 -and @(Get-Extensions) -contains $extension
        Write-Done $so $what 'use the GUI: docs/windows-setup.md, "Auditing by GPO"'
    }
}

# --- the firewall ------------------------------------------------------------------------------

if ($ManagementHost.Count -gt 0) {
    $store = "$($domain.DNSRoot)\$Name"
    $hosts = @($ManagementHost | ForEach-Object { $_.ToString() } | Sort-Object)
    function Get-RuleAddress {
        $rule = Get-NetFirewallRule -PolicyStore $store -Name 'cordon-winrm' -ErrorAction SilentlyContinue
        if ($null -eq $rule) { return '' }
        return (@(($rule | Get-NetFirewallAddressFilter).RemoteAddress) | Sort-Object) -join ', '
    }
    $what = "a firewall rule that lets $($hosts -join ', ') in on 5985 and 5986"
    if ((Test-Due ((Get-RuleAddress) -eq ($hosts -join ', ')) $what $next) -and
        $PSCmdlet.ShouldProcess($Name, $what)) {
        if ((Get-RuleAddress) -ne '') {
            Set-NetFirewallRule -PolicyStore $store -Name 'cordon-winrm' -RemoteAddress $hosts
        }
        else {
            New-NetFirewallRule -PolicyStore $store -Name 'cordon-winrm' -DisplayName 'cordon: WinRM' `
                -Direction Inbound -Action Allow -Protocol TCP -LocalPort @(5985, 5986) `
                -RemoteAddress $hosts -Profile Any | Out-Null
        }
        Write-Done ((Get-RuleAddress) -eq ($hosts -join ', ')) $what $next
    }
}

# --- the link ----------------------------------------------------------------------------------

function Test-Link {
    $links = (Get-GPInheritance -Target $domain.DomainControllersContainer @at).GpoLinks
    return @($links | Where-Object { $_.GpoId -eq $gpo.Id -and $_.Enabled }).Count -gt 0
}

$container = $domain.DomainControllersContainer
$what = "linked to $container"
if ($Link) {
    if ((Test-Due (Test-Link) $what $next) -and $PSCmdlet.ShouldProcess($container, "link '$Name'")) {
        New-GPLink -Guid $gpo.Id -Target $container -LinkEnabled Yes @at | Out-Null
        Write-Done (Test-Link) $what $next
    }
}
else {
    Show-Item (Test-Link) $what "look at it first (Get-GPOReport -Guid $($gpo.Id) -ReportType Html), then -Link"
}
exit (Get-ExitCode)

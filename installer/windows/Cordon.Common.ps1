# Cordon.Common.ps1 -- what the scripts beside it share. They dot-source it; it changes nothing.
#
# Each script goes through items, and looks before it acts:
#
#   Test-Due     already so: says "ok". With -Check: says "missing". Otherwise it is due: true
#   (the script asks $PSCmdlet.ShouldProcess and acts)
#   Write-Done   looks again: "changed", or "failed"
#   Show-Item    what is looked at only: a person has to decide about it
#
# Exit codes: 0 all is as it should be, 1 something is left to do, 2 it could not be done.

Set-StrictMode -Version 3.0
$ErrorActionPreference = 'Stop'
$Cordon = @{ Left = 0; Failed = 0 }

# Groups and audit subcategories have names in the language of the installation: never by name.
$EventLogReaders = 'S-1-5-32-573'
$RemoteManagementUsers = 'S-1-5-32-580'
$UserAccountManagement = '{0CCE9235-69AE-11D9-BED3-505054503030}'
# The first line of such a file is translated, too; the columns are always these.
$AuditColumns = @('Machine', 'Target', 'Name', 'Guid', 'Inclusion', 'Exclusion', 'Value')

function Write-Item {
    param([string]$State, [string]$What, [string]$Next = '')
    Write-Host ('{0,-8} {1}' -f $State, $What)
    if ($Next) { Write-Host ('{0,-8} next: {1}' -f '', $Next) }
}

function Test-Due {
    param([bool]$So, [string]$What, [string]$Next)
    if ($So) {
        Write-Item 'ok' $What
        return $false
    }
    $Cordon.Left++
    if ($Check) {
        Write-Item 'missing' $What $Next
        return $false
    }
    return $true
}

function Write-Done {
    param([bool]$So, [string]$What, [string]$Next)
    if ($So) {
        $Cordon.Left--
        Write-Item 'changed' $What
    }
    else {
        $Cordon.Failed++
        Write-Item 'failed' ($What + ': it was set, and is not so') $Next
    }
}

function Show-Item {
    param([bool]$So, [string]$What, [string]$Next)
    if ($So) {
        Write-Item 'ok' $What
    }
    else {
        $Cordon.Left++
        Write-Item 'missing' $What $Next
    }
}

function Get-ExitCode {
    if ($Cordon.Failed -gt 0) { return 2 }
    if ($Cordon.Left -gt 0) { return 1 }
    return 0
}

function Assert-Elevated {
    $me = [Security.Principal.WindowsPrincipal][Security.Principal.WindowsIdentity]::GetCurrent()
    if (-not $me.IsInRole([Security.Principal.WindowsBuiltInRole]::Administrator)) {
        throw 'not elevated. Next: open Windows PowerShell by "Run as administrator", and run this again'
    }
}

function Test-DomainController {
    return (Get-CimInstance -ClassName Win32_OperatingSystem).ProductType -eq 2
}

function Import-Tool {
    param([string]$Name, [string]$Feature)
    if (-not (Get-Module -ListAvailable -Name $Name)) {
        throw "the module $Name is not here. Next: Install-WindowsFeature $Feature, or run this on a DC"
    }
    Import-Module -Name $Name -Verbose:$false
}

# A value of the registry, or $null.
function Get-RegistryValue {
    param([string]$Key, [string]$Name)
    if (-not (Test-Path -LiteralPath $Key)) { return $null }
    return (Get-Item -LiteralPath $Key).GetValue($Name, $null)
}

# Does this descriptor (SDDL) allow this SID all bits of the mask, itself named? Only what names it
# counts: whether a member of other groups could get in is not asked.
function Test-Allowed {
    param([string]$Sddl, [string]$Sid, [long[]]$Masks)
    $descriptor = New-Object System.Security.AccessControl.RawSecurityDescriptor $Sddl
    foreach ($ace in $descriptor.DiscretionaryAcl) {
        if ($ace -isnot [System.Security.AccessControl.CommonAce]) { continue }
        if ("$($ace.AceQualifier)" -ne 'AccessAllowed') { continue }
        if ($ace.SecurityIdentifier.Value -ne $Sid) { continue }
        foreach ($mask in $Masks) {
            if (([long]$ace.AccessMask -band $mask) -eq $mask) { return $true }
        }
    }
    return $false
}

# The audit policy in effect, one object for each subcategory; Value: 1 success, 2 failure, 3 both.
# Its backup is the only form with numbers in it; auditpol's other words are translated.
function Get-AuditPolicy {
    $scratch = Join-Path ([IO.Path]::GetTempPath()) ('cordon-' + [guid]::NewGuid() + '.csv')
    try {
        & auditpol.exe /backup "/file:$scratch" | Out-Null
        if ($LASTEXITCODE -ne 0) { throw "auditpol /backup ended with $LASTEXITCODE" }
        return Get-Content -LiteralPath $scratch | Where-Object { $_ } | Select-Object -Skip 1 |
            ConvertFrom-Csv -Header $AuditColumns | Where-Object { $_.Guid -and $_.Target -notlike 'S-1-*' }
    }
    finally {
        [IO.File]::Delete($scratch)
    }
}

# 0 to 3 for one subcategory, by its GUID.
function Get-AuditSetting {
    param([string]$Guid)
    $row = @(Get-AuditPolicy | Where-Object { $_.Guid -eq $Guid })
    if ($row.Count -eq 0) { return 0 }
    return [int]$row[0].Value
}

# The values of an attribute that was asked for; nothing where the object has none.
function Get-Attribute {
    param($Object, [string]$Name)
    if (@($Object.PropertyNames) -contains $Name) { $Object.$Name }
}

# The account, as DOMAIN\name, name, or name$ for a gMSA (or a group), looked up in the directory.
function Get-CordonAccount {
    param([string]$Account, [string]$Server)
    $name = $Account -replace '^.*\\', ''
    if ($name -notmatch '^[\w .$-]+$') { throw "'$Account' is no account name" }
    $filter = "(&(objectSid=*)(sAMAccountName=$name))"
    $found = @(Get-ADObject -Server $Server -LDAPFilter $filter -Properties @('objectSid', 'sAMAccountName'))
    if ($found.Count -ne 1) {
        throw "no account '$name' in this domain. Next: New-CordonAccount.ps1 -Name $name"
    }
    return $found[0]
}

<#
.SYNOPSIS
    Gives cordon's account its rights in the domain: on the users below an OU, and to read event logs.
.DESCRIPTION
    On each OU, for users and inetOrgPersons below it: read them, write userAccountControl and
    pwdLastSet, reset the password. Nothing else; the same entries as installer/ad-delegate.sh makes.
    And one membership, Event Log Readers (S-1-5-32-573), which on domain controllers is a group of the
    domain: with it the account reads the Security log of all DCs of this domain, and is no
    administrator of any.

    Administrators that the directory protects (AdminSDHolder) are out of its reach. Run it anywhere
    with the ActiveDirectory module, as somebody who may change the OU's permissions and that group. It
    can be run again at any time. The account needs a new ticket afterwards.
.PARAMETER Account
    svc-cordon; a gMSA with its $; or a group, such as that of the help desk, whose people run cordon
    with their own tickets.
.PARAMETER OU
    One or more distinguished names.
.PARAMETER Unlock
    Also lockoutTime, to unlock accounts.
.PARAMETER NoEventLog
    Not the membership: where the events come from a collector, or from files.
.PARAMETER Check
    Only look: a line for each item, exit code 0 (all so), 1 (something is missing), 2 (failed).
.EXAMPLE
    .\Grant-CordonRights.ps1 -Account svc-cordon -OU 'OU=People,DC=corp,DC=example,DC=com' -WhatIf
#>
#Requires -Version 5.1
[CmdletBinding(SupportsShouldProcess)]
param(
    [Parameter(Mandatory)][string]$Account,
    [Parameter(Mandatory)][string[]]$OU,
    [switch]$Unlock,
    [switch]$NoEventLog,
    [switch]$Check
)
. (Join-Path $PSScriptRoot 'Cordon.Common.ps1')
trap { Write-Item 'failed' $_.Exception.Message; exit 2 }

Import-Tool 'ActiveDirectory' 'RSAT-AD-PowerShell'
$server = (Get-ADDomain).PDCEmulator
$who = Get-CordonAccount $Account $server
$sid = $who.objectSid

# What, and on which attribute or right (schemaIDGUID, rightsGuid; the same in every forest).
$wanted = @(
    @('ReadProperty,WriteProperty', 'bf967a68-0de6-11d0-a285-00aa003049e2'), # userAccountControl
    @('ReadProperty,WriteProperty', 'bf967a0a-0de6-11d0-a285-00aa003049e2'), # pwdLastSet
    @('ExtendedRight', '00299570-246d-11d0-a768-00aa006e0529'),              # Reset Password
    @('GenericRead', '00000000-0000-0000-0000-000000000000')
)
if ($Unlock) {
    $wanted += , @('ReadProperty,WriteProperty', '28630ebf-41d5-11d1-a9c1-0000f80367c1') # lockoutTime
}
$classes = @(
    'bf967aba-0de6-11d0-a285-00aa003049e2', # user
    '4828cc14-1437-45bc-9b07-ad6f015e5f28'  # inetOrgPerson
)

function Get-MissingRule {
    param([System.DirectoryServices.ActiveDirectorySecurity]$Acl)
    $there = @($Acl.GetAccessRules($true, $false, [Security.Principal.SecurityIdentifier]) |
            Where-Object { $_.IdentityReference.Value -eq $sid.Value })
    foreach ($class in $classes) {
        foreach ($right in $wanted) {
            $rule = New-Object System.DirectoryServices.ActiveDirectoryAccessRule $sid, $right[0],
                'Allow', ([guid]$right[1]), 'Descendents', ([guid]$class)
            $rights = $rule.ActiveDirectoryRights
            $same = @($there | Where-Object {
                    "$($_.AccessControlType)" -eq 'Allow' -and
                    $_.ObjectType -eq $rule.ObjectType -and
                    $_.InheritedObjectType -eq $rule.InheritedObjectType -and
                    $_.InheritanceType -eq $rule.InheritanceType -and
                    ($_.ActiveDirectoryRights -band $rights) -eq $rights
                })
            if ($same.Count -eq 0) { $rule }
        }
    }
}

# The access control list alone is read and written: no right over owner or audit entries is needed.
function Get-Entry {
    param([string]$Name)
    $path = "LDAP://$server/" + $Name.Replace('/', '\/')
    $entry = New-Object System.DirectoryServices.DirectoryEntry $path
    $entry.psbase.Options.SecurityMasks = [System.DirectoryServices.SecurityMasks]::Dacl
    return $entry
}

foreach ($name in $OU) {
    $entry = Get-Entry $name
    $missing = @(Get-MissingRule $entry.psbase.ObjectSecurity)
    $what = "rights of $($who.sAMAccountName) on the users below $name"
    $next = ".\Grant-CordonRights.ps1 -Account $Account -OU '$name'"
    if ((Test-Due ($missing.Count -eq 0) $what $next) -and
        $PSCmdlet.ShouldProcess($name, "add $($missing.Count) access control entries for $Account")) {
        foreach ($rule in $missing) { $entry.psbase.ObjectSecurity.AddAccessRule($rule) }
        $entry.psbase.CommitChanges()
        $left = @(Get-MissingRule (Get-Entry $name).psbase.ObjectSecurity)
        Write-Done ($left.Count -eq 0) $what $next
    }
}

if (-not $NoEventLog) {
    $group = Get-ADGroup -Server $server -Identity $EventLogReaders -Properties member
    $what = "$($who.sAMAccountName) is in $($group.Name) ($EventLogReaders)"
    $next = "Add-ADGroupMember $EventLogReaders $($who.sAMAccountName); then a new ticket"
    if ((Test-Due (@(Get-Attribute $group 'member') -contains $who.DistinguishedName) $what $next) -and
        $PSCmdlet.ShouldProcess($group.DistinguishedName, "add $Account")) {
        Add-ADGroupMember -Server $server -Identity $group -Members $who
        $group = Get-ADGroup -Server $server -Identity $EventLogReaders -Properties member
        Write-Done (@(Get-Attribute $group 'member') -contains $who.DistinguishedName) $what $next
    }
}
exit (Get-ExitCode)

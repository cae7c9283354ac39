<#
.SYNOPSIS
    Makes the account that cordon's agent acts with, or checks the one that is there.
.DESCRIPTION
    An ordinary user, member of nothing: AES only (msDS-SupportedEncryptionTypes 24), "sensitive and
    cannot be delegated", with a random password that nobody is shown, since ktpass or msktutil set
    a new one when they make the keytab. What it may do is granted by Grant-CordonRights.ps1.

    Put it outside the OUs that cordon acts on, where only administrators of the domain can change it:
    who can reset its password is cordon.

    Run it anywhere with the ActiveDirectory module, as somebody who may create users there. It can
    be run again at any time. A gMSA is no user: docs/windows-setup.md says when to take one.
.PARAMETER Name
    Its name (sAMAccountName).
.PARAMETER Path
    The OU or container that it is made in. Default: the domain's container for users.
.PARAMETER Password
    A password that you know, to make the keytab with ktutil: -Password (Read-Host -AsSecureString).
    Only used when the account is made.
.PARAMETER PasswordExpires
    Let the password run out by the domain's policy: only where msktutil changes it in time.
.PARAMETER Check
    Only look: a line for each item, exit code 0 (all so), 1 (something is missing), 2 (failed).
.EXAMPLE
    .\New-CordonAccount.ps1 -Name svc-cordon -Path 'OU=Service Accounts,DC=corp,DC=example,DC=com' -WhatIf
#>
#Requires -Version 5.1
[CmdletBinding(SupportsShouldProcess)]
param(
    [ValidatePattern('^[\w.-]{1,20}$')][string]$Name = 'svc-cordon',
    [string]$Path = '',
    [securestring]$Password,
    [switch]$PasswordExpires,
    [switch]$Check
)
. (Join-Path $PSScriptRoot 'Cordon.Common.ps1')
trap { Write-Item 'failed' $_.Exception.Message; exit 2 }

Import-Tool 'ActiveDirectory' 'RSAT-AD-PowerShell'
$domain = Get-ADDomain
$server = $domain.PDCEmulator
if (-not $Path) { $Path = $domain.UsersContainer }

$encryption = 'msDS-SupportedEncryptionTypes'
$asked = @('adminCount', 'AccountNotDelegated', 'PasswordNeverExpires', 'servicePrincipalName', $encryption)

function Get-Account {
    return Get-ADUser -Server $server -LDAPFilter "(sAMAccountName=$Name)" -Properties $asked
}

function New-RandomPassword {
    $bytes = New-Object byte[] 48
    $random = [Security.Cryptography.RandomNumberGenerator]::Create()
    $random.GetBytes($bytes)
    return ConvertTo-SecureString -AsPlainText -Force ([Convert]::ToBase64String($bytes) + 'aA1!')
}

$user = Get-Account
$what = "the account $Name"
$next = ".\New-CordonAccount.ps1 -Name $Name -Path 'OU=...'"
if ((Test-Due ($null -ne $user) $what $next) -and $PSCmdlet.ShouldProcess($Path, "create the user $Name")) {
    if (-not $Password) { $Password = New-RandomPassword }
    New-ADUser -Server $server -Name $Name -SamAccountName $Name -Path $Path -Enabled $true `
        -UserPrincipalName "$Name@$($domain.DNSRoot)" -AccountPassword $Password `
        -Description 'cordon: takes compromised accounts out of play'
    $user = Get-Account
    Write-Done ($null -ne $user) $what $next
}
if ($null -eq $user) { exit (Get-ExitCode) }

# 8 AES128 + 16 AES256, and nothing else.
$what = "AES only ($encryption 24)"
$next = "Set-ADUser $Name -KerberosEncryptionType AES128,AES256"
if ((Test-Due ((Get-Attribute $user $encryption) -eq 24) $what $next) -and
    $PSCmdlet.ShouldProcess($Name, $what)) {
    Set-ADUser -Server $server -Identity $user -Replace @{ $encryption = 24 }
    Write-Done ((Get-Attribute (Get-Account) $encryption) -eq 24) $what $next
}

$what = 'sensitive, cannot be delegated'
$next = "Set-ADUser $Name -AccountNotDelegated 1"
if ((Test-Due $user.AccountNotDelegated $what $next) -and $PSCmdlet.ShouldProcess($Name, $what)) {
    Set-ADUser -Server $server -Identity $user -AccountNotDelegated $true
    Write-Done (Get-Account).AccountNotDelegated $what $next
}

# A password that runs out takes cordon away, most likely on the day it is needed.
$never = -not $PasswordExpires
$what = "password never expires: $never"
$next = "Set-ADUser $Name -PasswordNeverExpires $([int]$never)"
if ((Test-Due ($user.PasswordNeverExpires -eq $never) $what $next) -and
    $PSCmdlet.ShouldProcess($Name, $what)) {
    Set-ADUser -Server $server -Identity $user -PasswordNeverExpires $never
    Write-Done ((Get-Account).PasswordNeverExpires -eq $never) $what $next
}

Show-Item $user.Enabled 'enabled' "Enable-ADAccount $Name"
Show-Item ((Get-Attribute $user 'adminCount') -ne 1) 'not an administrator (adminCount)' `
    'take it out of all administrative groups: cordon needs none of them'
Show-Item (@(Get-Attribute $user 'servicePrincipalName').Count -eq 0) 'no service principal name' `
    "setspn -L $Name; setspn -D SPN $Name (with one, anybody gets a ticket to guess its password by)"
exit (Get-ExitCode)

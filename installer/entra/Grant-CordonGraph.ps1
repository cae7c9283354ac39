<#
.SYNOPSIS
    Gives cordon's app registration (or managed identity) the permissions on Microsoft Graph that it needs.
.DESCRIPTION
    The permissions of docs/permissions.md, least first: User.Read.All always, and what stands behind each
    word of -For. Application permissions only; all of them need an administrator's consent.

    It looks first. The app registration is made where it is not there yet (this tenant only, no secret, no
    redirect), and so is its service principal; permissions are added to what it asks for already, and
    nothing is ever taken away: what is there and not asked for here is named. With -Consent they are also
    granted. Without it, it says what is asked for and not granted yet, and how an administrator grants it.
    It can be run again at any time. A new grant counts with the next token: within the hour, for a
    managed identity up to a day.

    It makes no credential: docs/operations.md says how to make a certificate. Roles of Entra ID, which the
    passwords of cloud users need, are given by hand: docs/permissions.md.

    Run it anywhere with the modules Microsoft.Graph.Authentication and Microsoft.Graph.Applications (2.x),
    after Connect-MgGraph -Scopes Application.ReadWrite.All; with -Consent also
    AppRoleAssignment.ReadWrite.All, as a Privileged Role Administrator.
.PARAMETER Name
    The display name of the app registration; it is made if there is none.
.PARAMETER AppId
    The application (client) id of one that is there already.
.PARAMETER ManagedIdentity
    The object id of a managed identity. It has no app registration: -Consent is needed to do anything.
.PARAMETER For
    What cordon is to do: Disable (and enable, contain), Revoke (sessions), Judge (who is privileged), Password
    (of cloud users), Risk (risky, and the section [risk]), MarkRisk (mark-compromised, dismiss-risk), Audit
    (--audit), CloudSync (sync = cloud-sync), Mdi (--via mdi), Hunting (--evidence hunting).
.PARAMETER Consent
    Also grant them, for the whole tenant.
.PARAMETER Check
    Only look: a line for each item, exit code 0 (all so), 1 (something is missing), 2 (failed).
.EXAMPLE
    .\Grant-CordonGraph.ps1 -For Disable, Revoke, Judge -WhatIf
.EXAMPLE
    .\Grant-CordonGraph.ps1 -For Disable, Revoke, Judge, Risk -Consent
#>
#Requires -Version 5.1
[CmdletBinding(SupportsShouldProcess)]
param(
    [ValidatePattern('^[\w .-]{1,120}$')][string]$Name = 'cordon',
    [ValidatePattern('^([0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})?$')][string]$AppId = '',
    [ValidatePattern('^([0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})?$')][string]$ManagedIdentity = '',
    [ValidateSet('Disable', 'Revoke', 'Judge', 'Password', 'Risk', 'MarkRisk', 'Audit', 'CloudSync', 'Mdi', 'Hunting')]
    [string[]]$For = @('Disable', 'Revoke', 'Judge'),
    [switch]$Consent,
    [switch]$Check
)
Set-StrictMode -Version 3.0
$ErrorActionPreference = 'Stop'
$left = 0
$failed = 0
trap { Write-Item 'failed' $_.Exception.Message; exit 2 }

function Write-Item {
    param([string]$State, [string]$What, [string]$Next = '')
    Write-Host ('{0,-8} {1}' -f $State, $What)
    if ($Next) { Write-Host ('{0,-8} next: {1}' -f '', $Next) }
}

# Least first. Always: User.Read.All, to find the user and to read back.
$table = @(
    @('Always', 'User.Read.All'),
    @('Disable', 'User.EnableDisableAccount.All'),
    @('Revoke', 'User.RevokeSessions.All'),
    @('Judge', 'RoleManagement.Read.Directory'),
    @('Judge', 'RoleEligibilitySchedule.Read.Directory'),
    @('Judge', 'GroupMember.Read.All'),
    @('Judge', 'AdministrativeUnit.Read.All'),
    @('Risk', 'IdentityRiskyUser.Read.All'),
    @('Risk', 'IdentityRiskEvent.Read.All'),
    @('Audit', 'AuditLog.Read.All'),
    @('Hunting', 'ThreatHunting.Read.All'),
    @('Mdi', 'SecurityIdentitiesAccount.Read.All'),
    @('CloudSync', 'Application.Read.All'),
    @('MarkRisk', 'IdentityRiskyUser.ReadWrite.All'),
    @('Mdi', 'SecurityIdentitiesActions.ReadWrite.All'),
    @('CloudSync', 'Synchronization.ReadWrite.All'),
    @('Password', 'User-PasswordProfile.ReadWrite.All')
)
$wanted = @($table | Where-Object { $_[0] -eq 'Always' -or $For -contains $_[0] } | ForEach-Object { $_[1] })

foreach ($module in @('Microsoft.Graph.Authentication', 'Microsoft.Graph.Applications')) {
    if (-not (Get-Module -ListAvailable -Name $module)) {
        throw "the module $module is not here. Next: Install-Module $module -Scope CurrentUser"
    }
    Import-Module -Name $module -Verbose:$false
}
$context = Get-MgContext
if ($null -eq $context) {
    $scopes = 'Application.ReadWrite.All'
    if ($Consent) { $scopes += ',AppRoleAssignment.ReadWrite.All' }
    throw "not logged in. Next: Connect-MgGraph -Scopes $scopes"
}
Write-Item 'tenant' "$($context.TenantId), as $($context.Account)"

# Microsoft Graph itself: one application id in all tenants, and its roles by their value.
$graphId = '00000003-0000-0000-c000-000000000000'
$graph = @(Get-MgServicePrincipal -Filter "appId eq '$graphId'" -Property @('Id', 'AppId', 'AppRoles'))[0]
$roles = @{}
$names = @{}
foreach ($role in $graph.AppRoles) {
    if (-not $role.IsEnabled -or $role.AllowedMemberTypes -notcontains 'Application') { continue }
    $roles[$role.Value] = "$($role.Id)"
    $names["$($role.Id)"] = $role.Value
}
foreach ($value in $wanted) {
    if (-not $roles.ContainsKey($value)) { throw "Microsoft Graph of this cloud knows no application permission $value" }
}

# --- the app registration --------------------------------------------------------------------
function Get-App {
    if ($AppId) { return @(Get-MgApplication -Filter "appId eq '$AppId'") }
    return @(Get-MgApplication -Filter "displayName eq '$Name'")
}

# What it asks of Graph, as ids of roles.
function Get-Asked {
    param($App)
    foreach ($resource in @($App.RequiredResourceAccess)) {
        if ($null -eq $resource -or $resource.ResourceAppId -ne $graphId) { continue }
        foreach ($access in @($resource.ResourceAccess)) {
            if ($access.Type -eq 'Role') { "$($access.Id)" }
        }
    }
}

# The same list with more in it. The whole list is written: what others put there stays.
function Get-LongerList {
    param($App, [string[]]$Ids)
    $list = @()
    $entries = @()
    foreach ($resource in @($App.RequiredResourceAccess)) {
        if ($null -eq $resource) { continue }
        $old = @($resource.ResourceAccess | ForEach-Object { @{ Id = "$($_.Id)"; Type = $_.Type } })
        if ($resource.ResourceAppId -eq $graphId) { $entries += $old }
        else { $list += , @{ ResourceAppId = $resource.ResourceAppId; ResourceAccess = $old } }
    }
    foreach ($id in $Ids) { $entries += @{ Id = $id; Type = 'Role' } }
    return @($list) + @(@{ ResourceAppId = $graphId; ResourceAccess = @($entries) })
}

$again = "-For $($For -join ', ')"
$principal = $null
if ($ManagedIdentity) {
    $again = "-ManagedIdentity $ManagedIdentity $again"
    $principal = Get-MgServicePrincipal -ServicePrincipalId $ManagedIdentity
    if ("$($principal.ServicePrincipalType)" -ne 'ManagedIdentity') { throw "$ManagedIdentity is no managed identity" }
    Write-Item 'ok' "the managed identity $($principal.DisplayName)"
}
else {
    $found = @(Get-App)
    if ($found.Count -gt 1) { throw "$($found.Count) app registrations are called '$Name'. Next: name one by -AppId" }
    if ($found.Count -eq 0 -and $AppId) { throw "no app registration has the application id $AppId" }
    if ($found.Count -eq 0) {
        $left++
        if ($Check) { Write-Item 'missing' "the app registration '$Name'" ".\Grant-CordonGraph.ps1 $again" }
        elseif ($PSCmdlet.ShouldProcess("tenant $($context.TenantId)", "make the app registration '$Name'")) {
            $made = New-MgApplication -DisplayName $Name -SignInAudience 'AzureADMyOrg'
            $left--
            Write-Item 'changed' "the app registration '$Name', application id $($made.AppId)"
            $found = @($made)
        }
    }
    else {
        Write-Item 'ok' "the app registration '$($found[0].DisplayName)', application id $($found[0].AppId)"
    }
    if ($found.Count -eq 0) {
        foreach ($value in $wanted) { Write-Item 'missing' "asks for $value" }
        exit 1
    }
    $app = $found[0]
    $again = "-AppId $($app.AppId) $again"

    $asked = @(Get-Asked $app)
    $lacking = @()
    foreach ($value in $wanted) {
        if ($asked -contains $roles[$value]) { Write-Item 'ok' "asks for $value"; continue }
        $lacking += $roles[$value]
        $left++
        if ($Check) { Write-Item 'missing' "asks for $value" ".\Grant-CordonGraph.ps1 $again" }
    }
    $what = ($lacking | ForEach-Object { $names[$_] }) -join ', '
    if ($lacking.Count -gt 0 -and -not $Check -and $PSCmdlet.ShouldProcess($app.DisplayName, "ask for $what")) {
        Update-MgApplication -ApplicationId $app.Id -RequiredResourceAccess (Get-LongerList $app $lacking)
        $app = Get-MgApplication -ApplicationId $app.Id
        $asked = @(Get-Asked $app)
        foreach ($id in $lacking) {
            if ($asked -contains $id) { $left--; Write-Item 'changed' "asks for $($names[$id])" }
            else { $failed++; Write-Item 'failed' "asks for $($names[$id]): it was set, and is not so" }
        }
    }

    $principal = @(Get-MgServicePrincipal -Filter "appId eq '$($app.AppId)'")
    if ($principal.Count -gt 0) { $principal = $principal[0] }
    else {
        $principal = $null
        $left++
        if ($Check) { Write-Item 'missing' 'its service principal' ".\Grant-CordonGraph.ps1 $again" }
        elseif ($PSCmdlet.ShouldProcess($app.DisplayName, 'make its service principal')) {
            $principal = New-MgServicePrincipal -AppId $app.AppId
            $left--
            Write-Item 'changed' 'its service principal'
        }
    }
}

# --- what is granted -------------------------------------------------------------------------
function Get-Granted {
    if ($null -eq $principal) { return }
    Get-MgServicePrincipalAppRoleAssignment -ServicePrincipalId $principal.Id -All |
        Where-Object { "$($_.ResourceId)" -eq "$($graph.Id)" } | ForEach-Object { "$($_.AppRoleId)" }
}

$granted = @(Get-Granted)
$waiting = @()
foreach ($value in $wanted) {
    $id = $roles[$value]
    if ($granted -contains $id) { Write-Item 'ok' "granted: $value"; continue }
    $left++
    if (-not $Consent -or $Check) { $waiting += $value; Write-Item 'missing' "granted: $value (needs admin consent)" }
    elseif ($null -ne $principal -and $PSCmdlet.ShouldProcess($principal.DisplayName, "grant $value in the whole tenant")) {
        $null = New-MgServicePrincipalAppRoleAssignment -ServicePrincipalId $principal.Id -PrincipalId $principal.Id `
            -ResourceId $graph.Id -AppRoleId $id
        if (@(Get-Granted) -contains $id) { $left--; Write-Item 'changed' "granted: $value" }
        else { $failed++; Write-Item 'failed' "granted: ${value}: it was set, and is not so (yet? run this again)" }
    }
}
if ($waiting.Count -gt 0) {
    $how = "as a Privileged Role Administrator: .\Grant-CordonGraph.ps1 $again -Consent"
    if (-not $ManagedIdentity) { $how += '; or in the portal: App registrations, API permissions, Grant admin consent' }
    Write-Item 'consent' "$($waiting.Count) of $($wanted.Count) permissions wait for an administrator" $how
}

# More than was asked for here: a person decides.
foreach ($id in $granted) {
    if (-not $names.ContainsKey($id) -or $wanted -contains $names[$id]) { continue }
    Write-Item 'more' "granted, and not needed for $($For -join ', '): $($names[$id])" `
        'if nothing else needs it, remove it: Enterprise applications, Permissions'
}
if ($For -contains 'Password') {
    Write-Item 'note' 'passwords of cloud users need a role of Entra ID, too: docs/permissions.md'
}
if ($failed -gt 0) { exit 2 }
if ($left -gt 0) { exit 1 }
exit 0

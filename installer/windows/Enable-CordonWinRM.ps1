<#
.SYNOPSIS
    On a domain controller (or the Entra Connect server): WinRM answers cordon's host, sealed.
.DESCRIPTION
    The service runs and starts by itself, there is a listener for HTTP (each message is sealed by
    Kerberos; nothing goes in clear), and the firewall lets the management host in. With -Https also a
    listener for HTTPS, from a certificate that is already in the machine's store. Looks, and only
    looks, at whether the event-log plug-in lets Event Log Readers in, and at settings that would
    refuse cordon.

    It never runs Enable-PSRemoting or winrm quickconfig, which open more. Run it elevated on each
    machine, again at any time, and with -Https after each renewal of the certificate.
.PARAMETER ManagementHost
    Addresses of cordon's host. Without it the firewall is not looked at.
.PARAMETER OnlyManagementHost
    Also narrow the built-in rules of WinRM to these addresses. Server Manager, Windows Admin Center and
    PowerShell remoting from anywhere else end then: name those hosts in -ManagementHost, too.
.PARAMETER Https
    Also a listener for HTTPS (cordon.conf: winrm = https).
.PARAMETER CertificateThumbprint
    Which certificate. Default: the one for this host's full name that is valid longest.
.PARAMETER Check
    Only look: a line for each item, exit code 0 (all so), 1 (something is missing), 2 (failed).
.EXAMPLE
    .\Enable-CordonWinRM.ps1 -ManagementHost 10.0.5.20 -WhatIf
#>
#Requires -Version 5.1
[CmdletBinding(SupportsShouldProcess)]
param(
    [ipaddress[]]$ManagementHost = @(),
    [switch]$OnlyManagementHost,
    [switch]$Https,
    [string]$CertificateThumbprint = '',
    [switch]$Check
)
. (Join-Path $PSScriptRoot 'Cordon.Common.ps1')
trap { Write-Item 'failed' $_.Exception.Message; exit 2 }

Assert-Elevated
$computer = Get-CimInstance -ClassName Win32_ComputerSystem
$fqdn = "$($computer.DNSHostName).$($computer.Domain)"

# --- the service -------------------------------------------------------------------------------

function Test-Service {
    $service = Get-Service -Name WinRM
    return "$($service.Status)" -eq 'Running' -and "$($service.StartType)" -eq 'Automatic'
}

$what = 'the service WinRM runs, and starts by itself'
$next = 'Set-Service WinRM -StartupType Automatic; Start-Service WinRM'
if ((Test-Due (Test-Service) $what $next) -and $PSCmdlet.ShouldProcess($fqdn, 'start WinRM')) {
    Set-Service -Name WinRM -StartupType Automatic
    Start-Service -Name WinRM
    Write-Done (Test-Service) $what $next
}
if ("$((Get-Service -Name WinRM).Status)" -ne 'Running') {
    Write-Item 'note' 'the rest cannot be looked at while WinRM does not run'
    exit (Get-ExitCode)
}

# --- listeners ---------------------------------------------------------------------------------

$listener = 'winrm/config/Listener'

function Get-Listener {
    param([string]$Transport)
    return Get-WSManInstance -ResourceURI $listener -Enumerate |
        Where-Object { $_.Transport -eq $Transport -and $_.Enabled -eq 'true' } | Select-Object -First 1
}

# The store writes a thumbprint without blanks; who typed one into a listener may have put some.
function Test-HttpsListener {
    param([string]$Thumbprint)
    $there = Get-Listener HTTPS
    return $null -ne $there -and ($there.CertificateThumbprint -replace ' ', '') -eq $Thumbprint
}

$what = 'a listener for HTTP'
$next = 'winrm create winrm/config/Listener?Address=*+Transport=HTTP'
if ((Test-Due ($null -ne (Get-Listener HTTP)) $what $next) -and $PSCmdlet.ShouldProcess($fqdn, $next)) {
    New-WSManInstance -ResourceURI $listener -SelectorSet @{ Address = '*'; Transport = 'HTTP' } | Out-Null
    Write-Done ($null -ne (Get-Listener HTTP)) $what $next
}
Show-Item ('' -ne (Get-Item -Path WSMan:\localhost\Service\IPv4Filter).Value) 'it listens (IPv4Filter)' `
    'in the GPO "Allow remote server management through WinRM": IPv4 filter *'

if ($Https) {
    $certificate = Get-ChildItem -Path Cert:\LocalMachine\My | Where-Object {
        $_.HasPrivateKey -and $_.NotAfter -gt (Get-Date) -and
        @($_.EnhancedKeyUsageList | ForEach-Object { $_.ObjectId }) -contains '1.3.6.1.5.5.7.3.1' -and
        @($_.DnsNameList | ForEach-Object { $_.Unicode }) -contains $fqdn -and
        ($CertificateThumbprint -eq '' -or $_.Thumbprint -eq $CertificateThumbprint)
    } | Sort-Object -Property NotAfter -Descending | Select-Object -First 1
    if ($null -eq $certificate) {
        throw "no valid certificate of $fqdn for server authentication in Cert:\LocalMachine\My. " +
        'Next: enrol one (certlm.msc; the template Kerberos Authentication, or Web Server)'
    }
    $thumbprint = $certificate.Thumbprint
    $what = "a listener for HTTPS with the certificate $thumbprint, until $($certificate.NotAfter.ToString('s'))"
    $next = ".\Enable-CordonWinRM.ps1 -Https -CertificateThumbprint $thumbprint"
    if ((Test-Due (Test-HttpsListener $thumbprint) $what $next) -and $PSCmdlet.ShouldProcess($fqdn, $what)) {
        $where = @{ Address = '*'; Transport = 'HTTPS' }
        $values = @{ Hostname = $fqdn; CertificateThumbprint = $thumbprint }
        if ($null -eq (Get-Listener HTTPS)) {
            New-WSManInstance -ResourceURI $listener -SelectorSet $where -ValueSet $values | Out-Null
        }
        else {
            Set-WSManInstance -ResourceURI $listener -SelectorSet $where -ValueSet $values | Out-Null
        }
        Write-Done (Test-HttpsListener $thumbprint) $what $next
    }
}

# --- who may log in, and read ------------------------------------------------------------------

Show-Item ((Get-Item -Path WSMan:\localhost\Service\AllowUnencrypted).Value -eq 'false') `
    'nothing is taken in clear (AllowUnencrypted false)' `
    'winrm set winrm/config/service @{AllowUnencrypted="false"}'
Show-Item ((Get-Item -Path WSMan:\localhost\Service\Auth\Negotiate).Value -eq 'true') `
    'Negotiate is offered' 'winrm set winrm/config/service/auth @{Negotiate="true"}'

# By the resource that it serves, not by its name.
$eventLog = 'http://schemas.microsoft.com/wbem/wsman/1/windows/EventLog'
$sddl = ''
foreach ($key in Get-ChildItem -Path HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\WSMAN\Plugin) {
    $config = [xml]$key.GetValue('ConfigXML', '<none/>')
    $security = $config.SelectSingleNode(
        "//*[local-name()='Resource' and @ResourceUri='$eventLog']/*[local-name()='Security']")
    $on = $config.DocumentElement.GetAttribute('Enabled') -ne 'false'
    if ($null -ne $security -and $on) { $sddl = $security.GetAttribute('Sddl') }
}
if (Test-DomainController) {
    # GR or GA: generic read, generic all. As a number, the access mask is signed.
    $masks = [int]::MinValue, 0x10000000
    Show-Item ($sddl -ne '' -and (Test-Allowed $sddl $EventLogReaders $masks)) `
        "the event-log plug-in of WinRM lets Event Log Readers in ($EventLogReaders)" `
        "its access control list is '$sddl'; the default has (A;;GR;;;ER) in it: see docs/windows-setup.md"
}

# --- the firewall ------------------------------------------------------------------------------
# The modules for it do not see -WhatIf of a script: the guards here are all there is.

function Get-RemoteAddress {
    param([string]$Name)
    $rule = Get-NetFirewallRule -Name $Name -ErrorAction SilentlyContinue
    if ($null -eq $rule -or "$($rule.Enabled)" -ne 'True') { return '' }
    return (@(($rule | Get-NetFirewallAddressFilter).RemoteAddress) | Sort-Object) -join ', '
}

if ($ManagementHost.Count -eq 0) {
    Write-Item 'note' 'no -ManagementHost: the firewall was not looked at'
    exit (Get-ExitCode)
}
$hosts = @($ManagementHost | ForEach-Object { $_.ToString() } | Sort-Object)
$ports = @(5985)
if ($Https) { $ports += 5986 }
foreach ($port in $ports) {
    $rule = "cordon-winrm-$port"
    $what = "the firewall lets $($hosts -join ', ') in on $port"
    $next = ".\Enable-CordonWinRM.ps1 -ManagementHost $($hosts -join ',')"
    if ((Test-Due ((Get-RemoteAddress $rule) -eq ($hosts -join ', ')) $what $next) -and
        $PSCmdlet.ShouldProcess($fqdn, "firewall rule $rule")) {
        if (Get-NetFirewallRule -Name $rule -ErrorAction SilentlyContinue) {
            Set-NetFirewallRule -Name $rule -RemoteAddress $hosts -Enabled True -Profile Any
        }
        else {
            New-NetFirewallRule -Name $rule -DisplayName "cordon: WinRM ($port)" -Direction Inbound `
                -Action Allow -Protocol TCP -LocalPort $port -RemoteAddress $hosts -Profile Any | Out-Null
        }
        Write-Done ((Get-RemoteAddress $rule) -eq ($hosts -join ', ')) $what $next
    }
}

# The built-in rules, by their group's id: the names are translated.
$builtIn = @(Get-NetFirewallRule -Group '@FirewallAPI.dll,-30267' -ErrorAction SilentlyContinue |
        Where-Object { "$($_.Enabled)" -eq 'True' -and "$($_.Direction)" -eq 'Inbound' })
foreach ($rule in $builtIn) {
    $open = Get-RemoteAddress $rule.Name
    $what = "the rule $($rule.Name) lets only $($hosts -join ', ') in"
    if (-not $OnlyManagementHost) {
        Write-Item 'note' "the built-in rule $($rule.Name) lets in: $open (narrow it with -OnlyManagementHost)"
    }
    elseif ((Test-Due ($open -eq ($hosts -join ', ')) $what 'run it with -OnlyManagementHost') -and
        $PSCmdlet.ShouldProcess($fqdn, "narrow the firewall rule $($rule.Name), now: $open")) {
        Set-NetFirewallRule -Name $rule.Name -RemoteAddress $hosts
        Write-Done ((Get-RemoteAddress $rule.Name) -eq ($hosts -join ', ')) $what 'wf.msc'
    }
}
exit (Get-ExitCode)

<#
.SYNOPSIS
Checks Underpass on this Windows, item by item, and writes underpass-verification.html and .json. Needs no administrator.

.DESCRIPTION
Imports the package as a distro with a name of its own, tries each item that docs/verification.md
lists as not verified, measures, and removes what it made, also after an error or Ctrl-C. Other
distros and installations stay as they are. A tunnel of another installation must not run meanwhile,
since all distros share one network: disable its task and terminate its distro first.

The reports hold no address and no name of your network. Look at them before you pass them on.

Exit codes: 0 no item failed, 1 an item failed, 2 nothing could be checked.

.PARAMETER Package
The file underpass.wsl; by default the one beside this script.

.PARAMETER Output
The folder of the reports; by default the current one.

.PARAMETER KeepAliveMinutes
How long the distro must stay up without a wsl.exe that uses it. 0 skips the item.

.PARAMETER Mebibytes
The amount of data for measuring throughput, each way.

.PARAMETER Interactive
Asks you to connect a VPN, to change the network and to let the computer sleep, and checks what happens then.

.PARAMETER Distro
A distro of your own, with systemd. The script installs the service there, removes it again, and
checks your tools.

.PARAMETER CompanyProxy
A proxy that requires a login (NTLM or Kerberos), as http://HOST:PORT: Underpass must name the reason for its refusal.

.PARAMETER Clean
Removes what interrupted runs have left: distros, disks, tasks, the service in the distro of
-Distro, and
the relay's copies in %LOCALAPPDATA%\underpass that were not there before (these stay while install.ps1 has a distro).

.EXAMPLE
powershell -ExecutionPolicy Bypass -File verify-windows.ps1
powershell -ExecutionPolicy Bypass -File verify-windows.ps1 -Interactive -KeepAliveMinutes 30
#>
[CmdletBinding()]
param(
    [string]$Package = '',
    [string]$Output = '.',
    [ValidateRange(0, 1440)][double]$KeepAliveMinutes = 10,
    [ValidateRange(1, 65536)][int]$Mebibytes = 256,
    [switch]$Interactive,
    [ValidatePattern('^[A-Za-z0-9._-]*$')][string]$Distro = '',
    [string]$CompanyProxy = '',
    [switch]$Clean
)
Set-StrictMode -Version 2.0
# Not as the parameter's default: Windows PowerShell 5.1 does not know its folder there.
if ($Package -eq '') { $Package = Join-Path $PSScriptRoot 'underpass.wsl' }
$ErrorActionPreference = 'Stop'
# Windows PowerShell 5.1 draws the bar so slowly that it distorts the measurements.
$ProgressPreference = 'SilentlyContinue'

# Each item, and the words by which docs/verification.md lists it as not verified. A test compares
# the two.
$items = @(
    @{ Id = 'import'; Title = 'WSL unpacks the package'; Unverified = @('its own unpacking') }
    @{ Id = 'start'; Title = 'The tunnel comes up with the distro'; Unverified = @('how long a start takes on Windows') }
    @{ Id = 'mode'; Title = 'WSL''s networking mode'; Unverified = @('these modes themselves') }
    @{ Id = 'host'; Title = 'The relay describes Windows'; Unverified = @() }
    @{ Id = 'host-names'; Title = 'The relay knows Windows'' own names'; Unverified = @('which names it has') }
    @{ Id = 'pipe'; Title = 'The pipe of WSL''s interop'; Unverified = @('over WSL''s own pipe', 'the real interop''s speed') }
    @{ Id = 'link'; Title = 'The relay moves to a faster link'; Unverified = @('which VPN clients let Windows and the VM exchange packets', 'the speed with Windows'' own TCP') }
    @{ Id = 'throughput'; Title = 'Throughput to Windows'' 127.0.0.1'; Unverified = @('with Windows'' own sockets', 'on more than two cores') }
    @{ Id = 'links'; Title = 'Each link between gateway and relay'; Unverified = @('the relay for Windows on a Hyper-V socket: its dial and its speed') }
    @{ Id = 'latency'; Title = 'Latency to Windows'' 127.0.0.1'; Unverified = @() }
    @{ Id = 'tcp'; Title = 'TCP to the internet'; Unverified = @('a real WSL kernel') }
    @{ Id = 'udp'; Title = 'UDP to the internet'; Unverified = @('a real WSL kernel') }
    @{ Id = 'dns'; Title = 'Names resolve'; Unverified = @('its resolver') }
    @{ Id = 'dns-query-raw'; Title = 'Windows'' DnsQueryRaw answers'; Unverified = @('(`DnsQueryRaw`)') }
    @{ Id = 'ping'; Title = 'Ping over IPv4'; Unverified = @('a real WSL kernel') }
    @{ Id = 'ping6'; Title = 'Ping over IPv6'; Unverified = @('ping over IPv6') }
    @{ Id = 'path-mtu'; Title = 'What is too big to be sent whole is refused'; Unverified = @('what it reports of a path''s MTU') }
    @{ Id = 'traceroute'; Title = 'Traceroute'; Unverified = @('a real WSL kernel') }
    @{ Id = 'tcp-traceroute'; Title = 'Traceroute by TCP'; Unverified = @('what it reports of a connection that a router ended') }
    @{ Id = 'ipv6'; Title = 'TCP over IPv6'; Unverified = @('a real WSL kernel') }
    @{ Id = 'vpn'; Title = 'With a VPN connected'; Unverified = @('a real VPN client') }
    @{ Id = 'changes'; Title = 'Windows reports changes of its network'; Unverified = @('notifications of changes') }
    @{ Id = 'policy'; Title = 'Antivirus programs, AppLocker and Smart App Control let the relay run'; Unverified = @('antivirus', 'the behaviour of AppLocker and of antivirus programs') }
    @{ Id = 'keep-alive'; Title = 'The distro stays up without a wsl.exe'; Unverified = @('that the `wsl.exe` of its boot command keeps it running') }
    @{ Id = 'sleep'; Title = 'After the computer slept'; Unverified = @('Windows'' own sleep') }
    @{ Id = 'doctor'; Title = 'underpass doctor'; Unverified = @('a real Windows with a real VPN') }
    @{ Id = 'settings'; Title = 'WSL follows its settings files as underpass reads them'; Unverified = @('that a real WSL follows these settings', 'what Windows answers') }
    @{ Id = 'commands'; Title = 'The commands that are printed for PowerShell'; Unverified = @('the commands for PowerShell were never run') }
    @{ Id = 'proxy'; Title = 'Windows'' proxy settings'; Unverified = @('real Windows'' settings') }
    @{ Id = 'wpad'; Title = 'A script that the network provides (WPAD)'; Unverified = @('WPAD') }
    @{ Id = 'proxy-login'; Title = 'A proxy that requires a login'; Unverified = @('proxies that require NTLM or Kerberos (the relay refuses them and says why)') }
    @{ Id = 'arm'; Title = 'Windows on Arm'; Unverified = @('anything more', 'the x86_64 relay under Windows 11''s emulation') }
    @{ Id = 'install-script'; Title = 'install.ps1 installs and uninstalls'; Unverified = @('it was never run: no PowerShell was at hand') }
    @{ Id = 'service'; Title = 'underpass service in a distro with systemd'; Unverified = @('WSL''s own systemd') }
    @{ Id = 'tools'; Title = 'Yarn and Docker''s daemon'; Unverified = @('Yarn', 'a running Docker daemon') }
    @{ Id = 'end'; Title = 'Nothing is left after wsl --terminate'; Unverified = @() }
)

$prefix = 'underpass-verify-'
$base = Join-Path $env:LOCALAPPDATA 'underpass-verify'
$relays = Join-Path $env:LOCALAPPDATA 'underpass'
$name = $prefix + [guid]::NewGuid().ToString('N').Substring(0, 8)
$folder = Join-Path $base $name
$findings = @{}
$machine = [ordered]@{}
$started = [datetime]::UtcNow

# --- Programs -----------------------------------------------------------------------------------------------------

# A word as Windows programs read it from their command line (CommandLineToArgvW).
function ConvertTo-Argument([string]$Text) {
    if ($Text -ne '' -and $Text -notmatch '[\s"]') { return $Text }
    $escaped = [regex]::Replace($Text, '(\\*)"', '$1$1\"')
    '"' + [regex]::Replace($escaped, '(\\+)$', '$1$1') + '"'
}

# wsl.exe itself writes UTF-16 if it does not know or ignores WSL_UTF8; Linux programs write UTF-8.
# Only UTF-16 has a zero byte in each line's end.
function ConvertFrom-Output([System.IO.MemoryStream]$Stream) {
    $bytes = $Stream.ToArray()
    $encoding = [System.Text.Encoding]::UTF8
    if ([array]::IndexOf($bytes, [byte]0) -ge 0) { $encoding = [System.Text.Encoding]::Unicode }
    $encoding.GetString($bytes).TrimStart([char]0xFEFF)
}

# Runs a program to its end. Not with PowerShell's own operators: Windows PowerShell 5.1 turns
# standard error into errors that end the script, and reads all output by the console's code page.
function Invoke-Program([string]$File, [string[]]$Arguments, [int]$Seconds = 60) {
    $info = New-Object System.Diagnostics.ProcessStartInfo
    $info.FileName = $File
    $info.Arguments = (@($Arguments | ForEach-Object { ConvertTo-Argument $_ }) -join ' ')
    $info.WorkingDirectory = $env:SystemRoot
    $info.UseShellExecute = $false
    $info.CreateNoWindow = $true
    $info.RedirectStandardInput = $true
    $info.RedirectStandardOutput = $true
    $info.RedirectStandardError = $true
    $info.EnvironmentVariables['WSL_UTF8'] = '1'
    $out = New-Object System.IO.MemoryStream
    $err = New-Object System.IO.MemoryStream
    $clock = [System.Diagnostics.Stopwatch]::StartNew()
    $process = [System.Diagnostics.Process]::Start($info)
    $isLate = $false
    try {
        $process.StandardInput.Close()
        $copies = [System.Threading.Tasks.Task[]]@(
            $process.StandardOutput.BaseStream.CopyToAsync($out), $process.StandardError.BaseStream.CopyToAsync($err))
        # In short waits, so that Ctrl-C works between them.
        while (-not $process.WaitForExit(200)) {
            if ($clock.Elapsed.TotalSeconds -gt $Seconds) { $isLate = $true; break }
        }
    }
    finally {
        if (-not $process.HasExited) { $process.Kill(); [void]$process.WaitForExit(5000) }
    }
    $milliseconds = $clock.ElapsedMilliseconds
    # A process that the program started may still hold the pipes open.
    [void][System.Threading.Tasks.Task]::WaitAll($copies, 5000)
    $code = -1
    if (-not $isLate) { $code = $process.ExitCode }
    $said = @{ Out = (ConvertFrom-Output $out); Err = (ConvertFrom-Output $err) }
    [pscustomobject]($said + @{ Code = $code; IsLate = $isLate; Milliseconds = $milliseconds })
}

# A program's output as one line.
function Get-Words([object]$Ended) {
    $text = (($Ended.Err + "`n" + $Ended.Out) -split '\r?\n' | Where-Object { $_.Trim() -ne '' } | Select-Object -First 4) -join ' / '
    if ($Ended.IsLate) { return "it did not end in time: $text" }
    "exit code $($Ended.Code): $text"
}

function Invoke-Wsl([string[]]$Arguments, [int]$Seconds = 120) {
    $ended = Invoke-Program 'wsl.exe' $Arguments $Seconds
    if ($ended.Code -ne 0) { throw "wsl.exe $($Arguments -join ' '): $(Get-Words $ended)" }
    $ended.Out
}

# Runs a command in the distro that is checked.
function Invoke-Distro([string[]]$Words, [int]$Seconds = 60) {
    Invoke-Program 'wsl.exe' (@('-d', $name, '--exec') + $Words) $Seconds
}

function Get-Distros([string[]]$Options = @()) {
    $ended = Invoke-Program 'wsl.exe' (@('--list', '--quiet') + $Options) 60
    if ($ended.Code -ne 0) { return @() }
    @($ended.Out -split '\r?\n' | ForEach-Object { $_.Trim() } | Where-Object { $_ -ne '' })
}

# --- Findings -----------------------------------------------------------------------------------------------------

function New-Finding([string]$Outcome, [string]$Detail, [object]$Figures = @{}, [object]$Notes = @{}) {
    [pscustomobject]@{ Outcome = $Outcome; Detail = $Detail; Figures = $Figures; Notes = $Notes }
}

function Add-Finding([string]$Id, [object]$Finding) {
    # Windows paths contain the user's name.
    $Finding.Detail = [regex]::Replace([string]$Finding.Detail, '(?i)([\\/]Users[\\/])[^\\/:*?"<>|\r\n]+', '${1}USER')
    $findings[$Id] = $Finding
    Write-Host ('{0,-16}{1,-9}{2}' -f $Id, $Finding.Outcome, $Finding.Detail)
}

# Checks one item. An error becomes its finding, and the next item follows.
function Test-Item([string]$Id, [scriptblock]$Check) {
    try { $found = @(& $Check)[-1] }
    catch { $found = New-Finding 'no' $_.Exception.Message }
    Add-Finding $Id $found
}

# Parses a program's answer as JSON.
function ConvertFrom-Answer([object]$Ended, [string]$Program) {
    try { $answer = $Ended.Out | ConvertFrom-Json } catch { $answer = $null }
    # PowerShell 7 turns an empty list into nothing.
    if ($null -eq $answer -and $Ended.Out.Trim() -ne '[]') { throw "${Program}: $(Get-Words $Ended)" }
    if ($null -ne $answer) { $answer }
}

# A note of a finding, for either kind of table; empty if it has no note of that name.
function Get-Note([object]$Finding, [string]$Key) {
    if ($null -eq $Finding) { return '' }
    if ($Finding.Notes -is [System.Collections.IDictionary]) { return [string]$Finding.Notes[$Key] }
    $property = $Finding.Notes.PSObject.Properties[$Key]
    if ($null -eq $property) { return '' }
    [string]$property.Value
}

# Items of `underpass selftest`, which the lab runs too.
function Invoke-Selftest([string[]]$Words, [int]$Seconds) {
    $ended = Invoke-Distro (@('/usr/bin/underpass', 'selftest', '--json') + $Words) $Seconds
    $report = ConvertFrom-Answer $ended 'underpass selftest'
    if ($report.version -ne 1) { throw "underpass selftest wrote version $($report.version): use the script of that package" }
    $report
}

function ConvertTo-Finding([object]$Row) {
    New-Finding $Row.outcome $Row.detail $Row.figures $Row.notes
}

# One item of `underpass selftest`.
function Get-SelftestFinding([string]$Item, [string[]]$Options = @(), [int]$Seconds = 120) {
    $answer = @((Invoke-Selftest (@($Item) + $Options) $Seconds).items)
    ConvertTo-Finding $answer[0]
}

# Waits for a key press, and not at all without -Interactive.
function Wait-Person([string]$Text) {
    if (-not $Interactive) { return $false }
    Write-Host ''
    $answer = Read-Host "$Text Press Enter to continue, or type s and Enter to skip"
    $answer -ne 's'
}

# --- Checks of Windows ----------------------------------------------------------------------------

function Get-RegistryValue([string]$Key, [string]$Value) {
    $item = Get-ItemProperty -Path $Key -Name $Value -ErrorAction SilentlyContinue
    if ($null -eq $item) { return $null }
    $item.$Value
}

function Add-Machine {
    $key = 'HKLM:\SOFTWARE\Microsoft\Windows NT\CurrentVersion'
    $machine['windows'] = 'Windows {0}.{1}' -f [System.Environment]::OSVersion.Version, (Get-RegistryValue $key 'UBR')
    $machine['windows_release'] = [string](Get-RegistryValue $key 'DisplayVersion')
    $machine['windows_edition'] = [string](Get-RegistryValue $key 'EditionID')
    $machine['architecture'] = $env:PROCESSOR_ARCHITECTURE
    $machine['processors'] = [System.Environment]::ProcessorCount
    $machine['powershell'] = '{0} {1}' -f $PSVersionTable.PSEdition, $PSVersionTable.PSVersion
    $identity = [System.Security.Principal.WindowsIdentity]::GetCurrent()
    $principal = New-Object System.Security.Principal.WindowsPrincipal $identity
    $machine['is_administrator'] = $principal.IsInRole([System.Security.Principal.WindowsBuiltInRole]::Administrator)
    $machine['culture'] = [cultureinfo]::CurrentUICulture.Name
    # The WSL that comes with Windows does not know --version.
    $machine['wsl'] = 'the one that comes with Windows'
    $version = Invoke-Program 'wsl.exe' @('--version') 60
    if ($version.Code -eq 0) { $machine['wsl'] = (@($version.Out.Trim() -split '\s*\r?\n') -join '; ') }
    $machine['package_sha256'] = (Get-FileHash -Path $Package -Algorithm SHA256).Hash.ToLowerInvariant()
}

function Get-RelayProcesses {
    @(Get-Process -Name 'underpass-relay' -ErrorAction SilentlyContinue | ForEach-Object { $_.Id })
}

function Get-RelayFolders {
    # install.ps1 keeps its distro beside them.
    @(Get-ChildItem -Path $relays -Directory -ErrorAction SilentlyContinue | ForEach-Object { $_.Name } | Where-Object { $_ -match '^[0-9]+\.[0-9]+\.' })
}

# Whether policies and protection let the relay run, and their names.
function Get-Policy {
    $notes = [ordered]@{}
    $state = Get-RegistryValue 'HKLM:\SYSTEM\CurrentControlSet\Control\CI\Policy' 'VerifiedAndReputablePolicyState'
    $notes['smart_app_control'] = 'not there'
    if ($null -ne $state) { $notes['smart_app_control'] = [string]@('off', 'on', 'evaluation')[[int]$state] }
    $service = Get-Service -Name 'AppIDSvc' -ErrorAction SilentlyContinue
    $notes['applocker_service'] = 'not there'
    if ($null -ne $service) { $notes['applocker_service'] = [string]$service.Status }
    try { $notes['antivirus'] = @(Get-CimInstance -Namespace 'root/SecurityCenter2' -ClassName 'AntiVirusProduct' | ForEach-Object { $_.displayName }) -join ', ' }
    catch { $notes['antivirus'] = 'not known: ' + $_.Exception.Message }
    $relay = Get-ChildItem -Path $relays -Recurse -Filter 'underpass-relay.exe' -ErrorAction SilentlyContinue |
        Sort-Object -Property LastWriteTime -Descending | Select-Object -First 1
    if ($null -eq $relay) {
        return New-Finding 'no' 'the relay''s copy is not on Windows'' disk: an antivirus program may have removed it' @{} $notes
    }
    $notes['signature'] = [string](Get-AuthenticodeSignature -FilePath $relay.FullName).Status
    $ended = Invoke-Program $relay.FullName @('--version') 60
    $figures = @{ run_ms = $ended.Milliseconds }
    if ($ended.Code -ne 0) { return New-Finding 'no' "Windows does not run the relay: $(Get-Words $ended)" $figures $notes }
    New-Finding 'yes' 'Windows runs the relay from its disk' $figures $notes
}

# The commands that `underpass settings recommend` prints for PowerShell: each must parse, and each
# command in them must exist.
function Test-Commands {
    $count = 0
    foreach ($goal in @('vpn', 'proxy', 'lan', 'default')) {
        $ended = Invoke-Distro @('/usr/bin/underpass', 'settings', 'recommend', '--goal', $goal, '--json', '--lang', 'en')
        if ($ended.Code -ne 0) { throw "underpass settings recommend --goal ${goal}: $(Get-Words $ended)" }
        # Windows PowerShell 5.1 gives a list as one object, which this takes apart.
        foreach ($advice in @(ConvertFrom-Answer $ended 'underpass settings recommend' | ForEach-Object { $_ })) {
            if ($advice.kind -ne 'run' -or $advice.shell -eq 'linux') { continue }
            $text = @($advice.lines) -join "`n"
            $errors = $null
            $tokens = $null
            $tree = [System.Management.Automation.Language.Parser]::ParseInput($text, [ref]$tokens, [ref]$errors)
            if (@($errors).Count -gt 0) { return New-Finding 'no' "PowerShell cannot read: $text" }
            $calls = $tree.FindAll({ param($node) $node -is [System.Management.Automation.Language.CommandAst] }, $true)
            foreach ($call in @($calls)) {
                $command = $call.GetCommandName()
                if ($null -ne $command -and $null -eq (Get-Command -Name $command -ErrorAction SilentlyContinue)) {
                    return New-Finding 'no' "this Windows has no command ${command}: $text"
                }
                $count++
            }
        }
    }
    if ($count -eq 0) { return New-Finding 'skipped' 'no recommendation here needs PowerShell' }
    New-Finding 'yes' "PowerShell reads the $count commands and has them; none was run" @{ commands = $count }
}

# Whether .NET finds the same proxy for the page that `underpass selftest proxy` uses.
function Test-Proxy([object]$Found) {
    # Without the proxies themselves: their names belong to the company.
    $notes = @{ by = (Get-Note $Found 'by') }
    if ($Found.Outcome -ne 'yes') { return New-Finding $Found.Outcome $Found.Detail @{} $notes }
    $page = [uri]'https://www.msftconnecttest.com/'
    $settings = [System.Net.WebRequest]::GetSystemWebProxy()
    $expected = 'direct'
    if (-not $settings.IsBypassed($page)) { $expected = $settings.GetProxy($page).Authority }
    $given = Get-Note $Found 'proxies'
    if (($expected -eq 'direct') -ne ($given -eq 'direct') -or ($expected -ne 'direct' -and -not $given.Contains($expected))) {
        return New-Finding 'no' 'Windows'' own programs find another proxy than the relay' @{} $notes
    }
    New-Finding 'yes' 'the relay finds the proxy that Windows'' own programs find' @{} $notes
}

# Runs install.ps1 for the distro NAME-i.
function Invoke-Installer([string]$Made, [string[]]$Words) {
    $installer = Join-Path $PSScriptRoot 'install.ps1'
    $shell = (Get-Process -Id $PID).Path
    $start = @('-NoProfile', '-NonInteractive', '-ExecutionPolicy', 'Bypass', '-File', $installer, '-Name', "$Made-i")
    Invoke-Program $shell ($start + $Words) 300
}

# Installs by install.ps1 under its own name, checks whether the tunnel comes up, and uninstalls.
function Test-InstallScript {
    if (-not (Test-Path (Join-Path $PSScriptRoot 'install.ps1'))) { return New-Finding 'skipped' 'install.ps1 is not beside this script' }
    [void](Invoke-Wsl @('--terminate', $name))
    $installed = Invoke-Installer $name @('-Package', $Package)
    if ($installed.Code -ne 0) { return New-Finding 'no' "install.ps1: $(Get-Words $installed)" }
    $up = Invoke-Program 'wsl.exe' @('-d', "$name-i", '--exec', '/usr/bin/underpass', 'selftest', 'start', '--wait', '120') 180
    $removed = Invoke-Installer $name @('-Uninstall')
    if ($removed.Code -ne 0) { return New-Finding 'no' "install.ps1 -Uninstall: $(Get-Words $removed)" }
    if ($up.Code -ne 0) { return New-Finding 'no' "installed, but the tunnel does not come up: $(Get-Words $up)" }
    if ((Get-Distros) -contains "$name-i") { return New-Finding 'no' 'install.ps1 -Uninstall leaves the distro' }
    $figures = @{ install_ms = $installed.Milliseconds; uninstall_ms = $removed.Milliseconds }
    New-Finding 'yes' 'it installs, the tunnel comes up, and it uninstalls' $figures
}

# Installs the service in one of the user's own distros, and removes it.
function Test-Service {
    if ($Distro -eq '') { return New-Finding 'skipped' 'this needs a distro with systemd: name yours with -Distro' }
    # Root runs nothing from /mnt/wsl, where every user may write: the command comes from the helper
    # distro. Files in /run go with $Distro.
    $command = '/run/underpass-verify'
    $take = "umask 077 && wsl.exe -d $name --exec /bin/cat /usr/bin/underpass >$command && chmod 700 $command"
    $taken = Invoke-Program 'wsl.exe' @('-d', $Distro, '-u', 'root', '--exec', '/bin/sh', '-c', $take) 60
    if ($taken.Code -ne 0) { return New-Finding 'no' "the command cannot be copied into ${Distro}: $(Get-Words $taken)" }
    $words = @('-d', $Distro, '-u', 'root', '--exec', $command, 'service')
    $state = Invoke-Program 'wsl.exe' ($words + @('status')) 60
    $report = $state.Out + $state.Err
    if ($report -notmatch 'the service is ') { return New-Finding 'no' "underpass service status in ${Distro}: $(Get-Words $state)" }
    if ($report -notmatch 'not installed') { return New-Finding 'skipped' "the service is installed in $Distro already, and stays unchanged" }
    Write-Note 'service' @($Distro)
    $installed = Invoke-Program 'wsl.exe' ($words + @('install', '--distro', $name)) 120
    if ($installed.Code -ne 0) { return New-Finding 'no' "underpass service install: $(Get-Words $installed)" }
    try {
        $clock = [System.Diagnostics.Stopwatch]::StartNew()
        do {
            Start-Sleep -Seconds 1
            $state = Invoke-Program 'wsl.exe' ($words + @('status')) 60
        } while ($state.Code -ne 0 -and $clock.Elapsed.TotalSeconds -lt 180)
        $milliseconds = $clock.ElapsedMilliseconds
    }
    finally { $removed = Invoke-Program 'wsl.exe' ($words + @('remove')) 120 }
    if ($state.Code -ne 0) { return New-Finding 'no' "the service does not become active: $(Get-Words $state)" }
    if ($removed.Code -ne 0) { return New-Finding 'no' "underpass service remove: $(Get-Words $removed)" }
    New-Finding 'yes' 'systemd starts it, it becomes active, and it is removed' @{ active_ms = $milliseconds }
}

# Whether the user's tools reach the internet as `underpass proxy status` says.
function Test-Tools {
    if ($Distro -eq '') { return New-Finding 'skipped' 'this needs a distro with Yarn or Docker: name yours with -Distro' }
    $words = @('-d', $Distro, '--exec', '/bin/sh', '-c')
    $notes = [ordered]@{}
    foreach ($tool in @('yarn --version', 'docker version --format {{.Server.Version}}')) {
        $ended = Invoke-Program 'wsl.exe' ($words + @($tool)) 60
        $key = $tool.Split(' ')[0]
        $notes[$key] = 'not there'
        if ($ended.Code -eq 0) { $notes[$key] = $ended.Out.Trim() }
    }
    if (@($notes.Values | Where-Object { $_ -ne 'not there' }).Count -eq 0) { return New-Finding 'skipped' "$Distro has neither Yarn nor a Docker daemon" @{} $notes }
    $ended = Invoke-Program 'wsl.exe' ($words + @('/mnt/wsl/underpass/underpass proxy status')) 120
    if ($ended.Code -ne 0) { return New-Finding 'no' "underpass proxy status: $(Get-Words $ended)" @{} $notes }
    New-Finding 'yes' 'underpass proxy status reads the installed tools' @{} $notes
}

# --- The items in their order --------------------------------------------------------------------------------------

function Test-Start {
    $clock = [System.Diagnostics.Stopwatch]::StartNew()
    $first = Get-SelftestFinding 'start' @('--wait', '120') 240
    $milliseconds = $clock.ElapsedMilliseconds
    if ($first.Outcome -ne 'yes') { return $first }
    # Again, with the relay on Windows' disk and the VM running.
    [void](Invoke-Wsl @('--terminate', $name))
    $clock = [System.Diagnostics.Stopwatch]::StartNew()
    $second = Get-SelftestFinding 'start' @('--wait', '120') 240
    if ($second.Outcome -ne 'yes') { return $second }
    $figures = @{ first_ms = $milliseconds; again_ms = $clock.ElapsedMilliseconds }
    New-Finding 'yes' 'the tunnel comes up with the distro' $figures $second.Notes
}

# The throughput of the same run is that of this link.
function Test-Link {
    $status = ConvertFrom-Answer (Invoke-Distro @('/usr/bin/underpass', 'status', '--json')) 'underpass status'
    $link = @($status.relays)[0].link
    if ($null -eq $link) { return New-Finding 'no' 'the relay is not ready' }
    $notes = @{ carries = $link.carries }
    foreach ($failure in @($link.failures)) { $notes["no_$($failure.link)"] = "$($failure.cause) ($($failure.code))" }
    if ($link.carries -eq 'stdio') { return New-Finding 'no' 'the frames go by standard input and output' @{} $notes }
    New-Finding 'yes' "the frames go by $($link.carries)" @{} $notes
}

function Test-DnsQueryRaw([object]$Dns) {
    $path = Get-Note $Dns 'path'
    if ($path.Contains('raw-query')) { return New-Finding 'yes' 'DnsQueryRaw answers' @{} @{ path = $path } }
    if ([System.Environment]::OSVersion.Version.Build -lt 22000) { return New-Finding 'skipped' 'Windows 10 has no DnsQueryRaw' @{} @{ path = $path } }
    New-Finding 'no' 'the answers came another way' @{} @{ path = $path }
}

# Starts the tunnel with each link, measures it, and puts the default back.
function Test-Links {
    $figures = [ordered]@{}
    $notes = [ordered]@{}
    $file = '/etc/underpass.toml'
    $taken = Invoke-Distro @('/bin/sh', '-c', "test ! -e $file")
    if ($taken.Code -ne 0) { return New-Finding 'skipped' "the distro has a $file of its own" }
    try {
        foreach ($link in @('vsock', 'tcp', 'stdio')) {
            $set = Invoke-Distro @('/bin/sh', '-c', "echo 'link = `"$link`"' >$file")
            if ($set.Code -ne 0) { throw "${file}: $(Get-Words $set)" }
            [void](Invoke-Wsl @('--terminate', $name))
            $start = Get-SelftestFinding 'start' @('--wait', '120') 240
            if ($start.Outcome -ne 'yes') { return New-Finding 'no' "the tunnel does not come up with the link ${link}: $($start.Detail)" $figures $notes }
            # The gateway listens for 10 s; it serves over the standard streams meanwhile.
            $clock = [System.Diagnostics.Stopwatch]::StartNew()
            do {
                Start-Sleep -Milliseconds 200
                $status = ConvertFrom-Answer (Invoke-Distro @('/usr/bin/underpass', 'status', '--json')) 'underpass status'
                $state = @($status.relays)[0].link
            } while ($state.carries -ne $link -and $clock.Elapsed.TotalSeconds -lt 12)
            $notes[$link] = [string]$state.carries
            if ($state.carries -ne $link) {
                $why = @(@($state.failures) | ForEach-Object { "$($_.cause) $($_.code): $($_.text)" })
                $notes[$link] = "not up: $($why -join '; ')"
                continue
            }
            $figures["${link}_up_after_ms"] = $clock.ElapsedMilliseconds
            $speed = Get-SelftestFinding 'throughput' @('--mebibytes', [string]$Mebibytes) 600
            foreach ($figure in @('up_mbit', 'down_mbit', 'eight_up_mbit', 'eight_down_mbit')) {
                $property = $speed.Figures.PSObject.Properties[$figure]
                if ($null -ne $property) { $figures["${link}_$figure"] = $property.Value }
            }
        }
    }
    finally {
        [void](Invoke-Distro @('/bin/sh', '-c', "rm -f $file"))
        [void](Invoke-Program 'wsl.exe' @('--terminate', $name) 120)
    }
    [void](Get-SelftestFinding 'start' @('--wait', '120') 240)
    if ($notes['vsock'] -ne 'vsock') { return New-Finding 'no' 'the Hyper-V socket does not come up' $figures $notes }
    New-Finding 'yes' "the Hyper-V socket comes up; tcp: $($notes['tcp'])" $figures $notes
}

function Test-KeepAlive {
    if ($KeepAliveMinutes -eq 0) { return New-Finding 'skipped' 'switched off with -KeepAliveMinutes 0' }
    $before = Get-SelftestFinding 'start' @('--wait', '60') 120
    if ($before.Outcome -ne 'yes') { return $before }
    Write-Host "No wsl.exe uses the distro for $KeepAliveMinutes min ..."
    $clock = [System.Diagnostics.Stopwatch]::StartNew()
    while ($clock.Elapsed.TotalMinutes -lt $KeepAliveMinutes) { Start-Sleep -Seconds 1 }
    # Listing does not use the distro, and starts nothing.
    $isRunning = (Get-Distros @('--running')) -contains $name
    $figures = @{ minutes = $KeepAliveMinutes }
    if (-not $isRunning) { return New-Finding 'no' 'WSL has ended the distro' $figures }
    $after = Get-SelftestFinding 'start' @('--wait', '5') 60
    if ($after.Outcome -ne 'yes') { return $after }
    if ((Get-Note $after 'pid') -ne (Get-Note $before 'pid')) { return New-Finding 'no' 'the distro runs, but with another gateway' $figures }
    New-Finding 'yes' 'the distro and its tunnel stay up' $figures
}

function Test-Changes {
    if (-not (Wait-Person 'Within a minute after this, connect or disconnect a VPN, or switch Wi-Fi off and on.')) {
        return New-Finding 'skipped' 'a person has to change the network: run this with -Interactive'
    }
    Get-SelftestFinding 'changes' @('--wait', '60') 120
}

function Test-Vpn([object]$Found) {
    if ($null -ne $Found -and $Found.Outcome -ne 'skipped') { return $Found }
    if (-not (Wait-Person 'Connect your VPN now.')) { return New-Finding 'skipped' 'no VPN is connected: connect it, or run this with -Interactive' }
    Get-SelftestFinding 'vpn' @() 120
}

function Test-Sleep {
    if (-not $Interactive) { return New-Finding 'skipped' 'a person has to let the computer sleep: run this with -Interactive' }
    $before = Get-SelftestFinding 'start' @('--wait', '60') 120
    $moment = Get-Date
    if (-not (Wait-Person 'Let the computer sleep for a minute, and wake it.')) { return New-Finding 'skipped' 'skipped by the person' }
    $filter = @{ LogName = 'System'; ProviderName = 'Microsoft-Windows-Power-Troubleshooter'; Id = 1; StartTime = $moment }
    $woken = @(Get-WinEvent -FilterHashtable $filter -MaxEvents 1 -ErrorAction SilentlyContinue)
    if ($woken.Count -eq 0) { return New-Finding 'skipped' 'Windows'' log has no sleep since then' }
    $clock = [System.Diagnostics.Stopwatch]::StartNew()
    $after = Get-SelftestFinding 'start' @('--wait', '60') 120
    $tcp = Get-SelftestFinding 'tcp' @() 60
    $figures = @{ serves_after_ms = $clock.ElapsedMilliseconds }
    if ($tcp.Outcome -ne 'yes') { return New-Finding 'no' "after the sleep: $($tcp.Detail)" $figures }
    if ((Get-Note $after 'pid') -ne (Get-Note $before 'pid')) { return New-Finding 'no' 'the gateway did not outlive the sleep' $figures }
    New-Finding 'yes' 'the tunnel serves after the sleep' $figures
}

function Test-Doctor {
    $ended = Invoke-Distro @('/usr/bin/underpass', 'doctor', '--json', '--lang', 'en') 120
    $answer = ConvertFrom-Answer $ended 'underpass doctor'
    $ids = @($answer.findings | ForEach-Object { $_.id })
    New-Finding 'yes' "it judges this machine: $($ids.Count) findings" @{ ms = $ended.Milliseconds } @{ findings = ($ids -join ', ') }
}

function Test-HostNames {
    $answer = ConvertFrom-Answer (Invoke-Distro @('/usr/bin/underpass', 'doctor', '--json', '--lang', 'en') 120) 'underpass doctor'
    $names = @($answer.facts.windows.host.names)
    $windows = [System.Net.NetworkInformation.IPGlobalProperties]::GetIPGlobalProperties()
    $own = @($windows.HostName)
    if ($windows.DomainName -ne '') { $own += "$($windows.HostName).$($windows.DomainName)" }
    $missing = @($own | Where-Object { $names -notcontains $_ })
    if ($missing.Count -gt 0) { return New-Finding 'no' "the relay does not report $($missing -join ', ')" }
    New-Finding 'yes' "it reports all of Windows' own names" @{} @{ names = ($names -join ', ') }
}

function Test-Settings {
    $ended = Invoke-Distro @('/usr/bin/underpass', 'settings', 'verify', '--no-echo', '--json', '--lang', 'en') 180
    if ($ended.Code -ne 0 -and $ended.Code -ne 1) { return New-Finding 'no' "underpass settings verify: $(Get-Words $ended)" }
    [void](ConvertFrom-Answer $ended 'underpass settings verify')
    $check = Invoke-Distro @('/usr/bin/underpass', 'settings', 'check', '--lang', 'en') 60
    $notes = @{ check_exit_code = [string]$check.Code; verify_exit_code = [string]$ended.Code }
    if ($ended.Code -eq 1) { return New-Finding 'no' 'what is in force is not what the files say, or an item does not work: run underpass settings verify' @{} $notes }
    New-Finding 'yes' 'what is in force is what the files say' @{} $notes
}

function Test-Wpad([object]$Proxy) {
    if ($null -eq $Proxy -or $Proxy.Outcome -eq 'skipped') { return New-Finding 'skipped' 'Windows'' proxy settings were not read' }
    if ((Get-Note $Proxy 'by') -ne 'script') { return New-Finding 'skipped' 'neither the network nor the settings name a script' }
    New-Finding $Proxy.Outcome 'a script named the proxy'
}

function Test-ProxyLogin {
    if ($CompanyProxy -eq '') { return New-Finding 'skipped' 'this needs a proxy that requires a login: name it with -CompanyProxy' }
    $ended = Invoke-Distro @('/usr/bin/underpass', 'proxy', 'test', '--proxy', $CompanyProxy, '--json', '--lang', 'en') 120
    if ($ended.Out -match '407|NTLM|Negotiate|Kerberos|authenticat') { return New-Finding 'yes' 'the refusal names the login' }
    New-Finding 'no' "underpass proxy test: $(Get-Words $ended)"
}

function Test-Arm {
    if ($env:PROCESSOR_ARCHITECTURE -ne 'ARM64') { return New-Finding 'skipped' "this Windows is $env:PROCESSOR_ARCHITECTURE" }
    if ($findings.ContainsKey('tcp')) { return New-Finding $findings['tcp'].Outcome 'the x86_64 relay runs under emulation' }
    New-Finding 'no' 'the tunnel did not come up'
}

function Test-End([int[]]$Before) {
    [void](Invoke-Wsl @('--terminate', $name))
    $clock = [System.Diagnostics.Stopwatch]::StartNew()
    do {
        $left = @(Get-RelayProcesses | Where-Object { $Before -notcontains $_ })
        if ($left.Count -eq 0) { return New-Finding 'yes' 'no relay is left' @{ gone_after_ms = $clock.ElapsedMilliseconds } }
        Start-Sleep -Milliseconds 200
    } while ($clock.Elapsed.TotalSeconds -lt 20)
    New-Finding 'no' "$($left.Count) relays are left 20 s after wsl --terminate"
}

# --- The report ----------------------------------------------------------------------------------------------------

function Get-Rows {
    foreach ($item in $items) {
        $found = New-Finding 'skipped' 'the run ended before this item'
        if ($findings.ContainsKey($item.Id)) { $found = $findings[$item.Id] }
        [ordered]@{
            id = $item.Id; title = $item.Title; unverified = @($item.Unverified); outcome = $found.Outcome
            detail = $found.Detail; figures = $found.Figures; notes = $found.Notes
        }
    }
}

# All text in the page that comes from the machine passes through this function.
function Protect-Html([object]$Value) {
    [System.Net.WebUtility]::HtmlEncode([string]$Value)
}

# Names and values of an object or a hash table, as text.
function Get-Pairs([object]$Values) {
    if ($null -eq $Values) { return '' }
    if ($Values -is [System.Collections.IDictionary]) {
        return (@($Values.Keys | Sort-Object | ForEach-Object { "$_ $([string]$Values[$_])" }) -join ', ')
    }
    @($Values.PSObject.Properties | ForEach-Object { "$($_.Name) $([string]$_.Value)" }) -join ', '
}

function New-Page([object]$Report) {
    $page = New-Object System.Text.StringBuilder
    [void]$page.AppendLine('<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Underpass on this Windows</title>')
    [void]$page.AppendLine('<style>body{font:15px/1.4 sans-serif;margin:2em;max-width:70em}td,th{padding:.3em .6em;text-align:left;vertical-align:top;border-bottom:1px solid #ccc}.yes{color:#060}.no{color:#a00;font-weight:bold}.skipped{color:#666}</style>')
    [void]$page.AppendLine('</head><body><h1>Underpass on this Windows</h1><table>')
    foreach ($key in $Report.machine.Keys) {
        [void]$page.AppendLine(('<tr><th>{0}</th><td>{1}</td></tr>' -f (Protect-Html $key), (Protect-Html $Report.machine[$key])))
    }
    [void]$page.AppendLine('</table><h2>Items</h2><table><tr><th>item</th><th>outcome</th><th>what was found</th><th>figures</th></tr>')
    foreach ($row in $Report.items) {
        [void]$page.AppendLine(('<tr><td>{0}</td><td class="{1}">{2}</td><td>{3}</td><td>{4}<br>{5}</td></tr>' -f (Protect-Html $row.title), (Protect-Html $row.outcome), (Protect-Html $row.outcome), (Protect-Html $row.detail), (Protect-Html (Get-Pairs $row.figures)), (Protect-Html (Get-Pairs $row.notes))))
    }
    $page.ToString() + '</table></body></html>'
}

function Write-Report([string]$To) {
    $report = [ordered]@{
        version = 1
        started_utc = $started.ToString('s') + 'Z'
        machine = $machine
        items = @(Get-Rows)
    }
    # Not by Out-File, which writes UTF-16 in Windows PowerShell 5.1.
    $utf8 = New-Object System.Text.UTF8Encoding $false
    $file = Join-Path $To 'underpass-verification'
    [System.IO.File]::WriteAllText("$file.json", ($report | ConvertTo-Json -Depth 8), $utf8)
    [System.IO.File]::WriteAllText("$file.html", (New-Page $report), $utf8)
    Write-Host "Written: $file.html and $file.json"
}

# --- Clean-up -------------------------------------------------------------------------------------

# Records in the run's folder the facts that -Clean needs.
function Write-Note([string]$What, [string[]]$Lines) {
    [System.IO.File]::WriteAllLines((Join-Path $folder "$What.txt"), $Lines)
}

# The lines of a run's note; empty without a note.
function Read-Note([string]$Made, [string]$What) {
    $file = Join-Path (Join-Path $base $Made) "$What.txt"
    if (Test-Path -Path $file -PathType Leaf) { [System.IO.File]::ReadAllLines($file) }
}

# Whether a run has such a note.
function Test-Note([string]$Made, [string]$What) {
    Test-Path -Path (Join-Path (Join-Path $base $Made) "$What.txt") -PathType Leaf
}

# Removes the service that a run has installed in one of the user's own distros, unless that was
# replaced since.
function Remove-Service([string]$Made) {
    foreach ($of in @(Read-Note $Made 'service')) {
        if ((Get-Distros) -notcontains $of) { continue }
        $unit = "grep -q 'distro `"$Made`"' /etc/systemd/system/underpass.service"
        $remove = "! $unit || /usr/local/lib/underpass/underpass service remove"
        [void](Invoke-Program 'wsl.exe' @('-d', $of, '-u', 'root', '--exec', '/bin/sh', '-c', $remove) 120)
    }
}

# Removes the parts of a run with -Clean. Other installations stay, and so do the copies that an
# install.ps1 installation may use.
function Remove-Run([string]$Made) {
    if ($Made -notmatch '^underpass-verify-[0-9a-f]{8}$') { return }
    $hasNote = Test-Note $Made 'relays'
    $before = @(Read-Note $Made 'relays')
    Remove-Service $Made
    Remove-Made $Made
    $installed = @(Get-ChildItem -Path $relays -Directory -Filter 'distro-*' -ErrorAction SilentlyContinue)
    if ($hasNote -and $installed.Count -eq 0) { Remove-Relays $before }
}

# Removes one of this script's distros and its folder. Accepts only names that this script makes.
function Remove-Made([string]$Made) {
    if ($Made -notmatch '^underpass-verify-[0-9a-f]{8}$') { return }
    $task = "Underpass ($Made-i)"
    $hasTask = $null -ne (Get-ScheduledTask -TaskName $task -ErrorAction SilentlyContinue)
    if ($hasTask -or (Get-Distros) -contains "$Made-i") {
        [void](Invoke-Installer $Made @('-Uninstall'))
        if ($hasTask) { Unregister-ScheduledTask -TaskName $task -Confirm:$false -ErrorAction SilentlyContinue }
    }
    foreach ($one in @($Made, "$Made-i")) {
        if ((Get-Distros) -contains $one) {
            [void](Invoke-Program 'wsl.exe' @('--terminate', $one) 120)
            [void](Invoke-Program 'wsl.exe' @('--unregister', $one) 120)
        }
    }
    $path = Join-Path $base $Made
    if (Test-Path $path) { Remove-Item -Recurse -Force $path -ErrorAction SilentlyContinue }
    # Only if no other run has files there.
    if ((Test-Path $base) -and @(Get-ChildItem -Path $base).Count -eq 0) { Remove-Item -Force $base -ErrorAction SilentlyContinue }
}

# The relay's copies that did not exist before. A copy that another installation runs cannot be
# removed, and stays.
function Remove-Relays([string[]]$Before) {
    foreach ($version in Get-RelayFolders) {
        if ($Before -contains $version) { continue }
        $path = Join-Path $relays $version
        for ($attempt = 0; $attempt -lt 10 -and (Test-Path $path); $attempt++) {
            Remove-Item -Recurse -Force $path -ErrorAction SilentlyContinue
            if (Test-Path $path) { Start-Sleep -Milliseconds 500 }
        }
    }
    if ((Test-Path $relays) -and @(Get-ChildItem -Path $relays).Count -eq 0) { Remove-Item -Force $relays -ErrorAction SilentlyContinue }
}

# --- The run -------------------------------------------------------------------------------------------------------

if (-not (Get-Command -Name 'wsl.exe' -ErrorAction SilentlyContinue)) {
    Write-Host 'There is no wsl.exe on this Windows: install WSL with wsl --install, and run this again.'
    exit 2
}
if ($Clean) {
    foreach ($left in @(Get-ChildItem -Path $base -Directory -ErrorAction SilentlyContinue)) { Remove-Run $left.Name }
    Write-Host 'The remains of earlier runs are removed.'
    exit 0
}
if (-not (Test-Path -Path $Package -PathType Leaf)) {
    Write-Host "There is no file $Package. Give the path of underpass.wsl with -Package."
    exit 2
}
$others = @(Get-ScheduledTask -TaskName 'Underpass (*' -ErrorAction SilentlyContinue | Where-Object { "$($_.State)" -ne 'Disabled' })
if ($others.Count -gt 0) {
    Write-Host "The task '$($others[0].TaskName)' starts the tunnel of another installation: disable it, terminate its distro, and run this again."
    exit 2
}
# .NET has a current folder of its own.
$Package = (Resolve-Path -Path $Package).ProviderPath
$to = $ExecutionContext.SessionState.Path.GetUnresolvedProviderPathFromPSPath($Output)
[void](New-Item -ItemType Directory -Force $to)
$relaysBefore = @(Get-RelayFolders)
$processesBefore = @(Get-RelayProcesses)
$isBroken = $false
try {
    Add-Machine
    [void](New-Item -ItemType Directory -Force $folder)
    Write-Note 'relays' $relaysBefore
    Test-Item 'import' {
        $clock = [System.Diagnostics.Stopwatch]::StartNew()
        [void](Invoke-Wsl @('--import', $name, (Join-Path $folder 'disk'), $Package, '--version', '2') 300)
        New-Finding 'yes' 'WSL imports the package' @{ import_ms = $clock.ElapsedMilliseconds }
    }
    if ($findings['import'].Outcome -eq 'yes') { Test-Item 'start' { Test-Start } }
    if ($findings.ContainsKey('start') -and $findings['start'].Outcome -eq 'yes') {
        $answer = $null
        try {
            $answer = Invoke-Selftest @('mode', 'host', 'pipe', 'throughput', 'latency', 'tcp', 'udp', 'dns', 'ping', 'ping6',
                'path-mtu', 'traceroute', 'tcp-traceroute', 'ipv6', 'vpn', 'proxy', '--mebibytes', [string]$Mebibytes) 900
        }
        catch { Write-Host $_.Exception.Message }
        $rows = @{}
        if ($null -ne $answer) {
            $machine['underpass'] = $answer.underpass
            $machine['kernel'] = $answer.kernel
            $machine['processors_of_wsl'] = $answer.processors
            foreach ($row in @($answer.items)) { $rows[$row.item] = ConvertTo-Finding $row }
            foreach ($row in @($answer.items | Where-Object { @('vpn', 'proxy') -notcontains $_.item })) { Add-Finding $row.item $rows[$row.item] }
        }
        Test-Item 'link' { Test-Link }
        Test-Item 'links' { Test-Links }
        Test-Item 'dns-query-raw' { Test-DnsQueryRaw $rows['dns'] }
        Test-Item 'policy' { Get-Policy }
        if ($rows.ContainsKey('proxy')) { Test-Item 'proxy' { Test-Proxy $rows['proxy'] } }
        Test-Item 'wpad' { Test-Wpad $rows['proxy'] }
        Test-Item 'proxy-login' { Test-ProxyLogin }
        Test-Item 'doctor' { Test-Doctor }
        Test-Item 'host-names' { Test-HostNames }
        Test-Item 'settings' { Test-Settings }
        Test-Item 'commands' { Test-Commands }
        Test-Item 'vpn' { Test-Vpn $rows['vpn'] }
        Test-Item 'changes' { Test-Changes }
        Test-Item 'sleep' { Test-Sleep }
        Test-Item 'keep-alive' { Test-KeepAlive }
        Test-Item 'service' { Test-Service }
        Test-Item 'tools' { Test-Tools }
        Test-Item 'end' { Test-End $processesBefore }
        Test-Item 'install-script' { Test-InstallScript }
    }
    Test-Item 'arm' { Test-Arm }
}
catch {
    $isBroken = $true
    Write-Host "The run cannot continue: $($_.Exception.Message)"
}
finally {
    # Also after Ctrl-C, when nothing can be written to the pipeline any more. The report comes
    # first: a failed removal must not prevent it.
    Write-Report $to
    Remove-Made $name
    Remove-Relays $relaysBefore
}
if ($isBroken) { exit 2 }
$failed = @(Get-Rows | Where-Object { $_.outcome -eq 'no' })
if ($failed.Count -gt 0) { exit 1 }
exit 0

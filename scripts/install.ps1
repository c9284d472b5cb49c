<#
.SYNOPSIS
Installs or upgrades Underpass for the current user: imports the helper distro and starts it at
every logon. Needs no administrator.

.DESCRIPTION
An upgrade keeps the configuration (/etc/underpass.toml) and the logs of the helper distro.
Not verified: no Windows was at hand when this was written (see docs/verification.md).

.PARAMETER Package
What to install: the file underpass.wsl, an https URL of it, or a version such as 0.1.0, which is
downloaded. By default the file beside this script; where there is none, this script's version. A
download is installed only if its sha256 is the one in the file SHA256SUMS beside it; a file is
checked where SHA256SUMS lies beside it.

.PARAMETER Name
The distro's name.

.PARAMETER Uninstall
Removes what this script installed under that name: the task or shortcut, the distro, its folder.
Other installations stay.

.EXAMPLE
powershell -ExecutionPolicy Bypass -File install.ps1
powershell -ExecutionPolicy Bypass -File install.ps1 -Package 0.1.0
powershell -ExecutionPolicy Bypass -File install.ps1 -Uninstall
#>
[CmdletBinding()]
param(
    [string]$Package,
    [ValidatePattern('^[A-Za-z0-9._-]+$')][string]$Name = 'underpass',
    [switch]$Uninstall
)
# A release's own script has its version and the address of the releases here (scripts/release).
$version = ''
$releases = ''
$ErrorActionPreference = 'Stop'
# The error message, without the lines of this script that PowerShell prints around it.
trap {
    [Console]::Error.WriteLine("install.ps1: $($_.Exception.Message)")
    exit 1
}
$task = "Underpass ($Name)"
$shortcut = Join-Path ([Environment]::GetFolderPath('Startup')) "$task.lnk"
$root = Join-Path $env:LOCALAPPDATA 'underpass'
$folder = Join-Path $root "distro-$Name"
# WSL itself keeps its list here (src/windows/service/exe/DistributionRegistration.h of
# microsoft/WSL). The output of wsl.exe is not read: it is UTF-16 or UTF-8, depending on its version
# and on WSL_UTF8.
$lxss = 'HKCU:\Software\Microsoft\Windows\CurrentVersion\Lxss'
# The entry under Settings > Apps.
$entry = "HKCU:\Software\Microsoft\Windows\CurrentVersion\Uninstall\$task"

function Invoke-Wsl {
    & wsl.exe @args
    if ($LASTEXITCODE -ne 0) { throw "wsl.exe $args failed with exit code $LASTEXITCODE" }
}

function Get-Distro {
    if (-not (Test-Path $lxss)) { return }
    Get-ChildItem $lxss | Get-ItemProperty |
        Where-Object { $_.DistributionName -eq $Name } | Select-Object -First 1
}

function Test-Distro {
    [bool](Get-Distro)
}

# Whether this script imported the distro: it lies in this script's folder.
function Test-Installed {
    $distro = Get-Distro
    [bool]$distro -and (($distro.BasePath -replace '^\\\\\?\\', '').TrimEnd('\') -eq $folder)
}

# Removes the starter of the distro, so that nothing starts it while it is replaced or removed.
function Remove-Starter {
    if (Get-ScheduledTask -TaskName $task -ErrorAction SilentlyContinue) {
        Stop-ScheduledTask -TaskName $task
        Unregister-ScheduledTask -TaskName $task -Confirm:$false
    }
    if (Test-Path $shortcut) { Remove-Item $shortcut }
}

function Remove-IfEmpty([string]$Path) {
    if ((Test-Path $Path) -and -not (Get-ChildItem $Path -Force)) {
        Remove-Item $Path -ErrorAction SilentlyContinue
    }
}

# The relay's copies, which all installations share: they stay while another installation exists.
function Get-Copies {
    if (Get-ChildItem $root -Directory -Filter 'distro-*' -ErrorAction SilentlyContinue) { return }
    foreach ($version in @(Get-ChildItem $root -Directory -ErrorAction SilentlyContinue)) {
        Get-ChildItem $version.FullName -File -Filter 'underpass-relay.exe*'
    }
}

# Each installation makes them again when it starts.
function Remove-Copies {
    if (Get-ChildItem $root -Directory -Filter 'distro-*' -ErrorAction SilentlyContinue) { return }
    foreach ($version in @(Get-ChildItem $root -Directory -ErrorAction SilentlyContinue)) {
        Get-ChildItem $version.FullName -File -Filter 'underpass-relay.exe*' |
            Remove-Item -Force -ErrorAction SilentlyContinue
        Remove-IfEmpty $version.FullName
    }
    Remove-IfEmpty $root
}

# The package for this machine. A PowerShell for x64 runs on Arm, and its environment says AMD64.
function Get-PackageName {
    $environment = 'HKLM:\SYSTEM\CurrentControlSet\Control\Session Manager\Environment'
    $processor = (Get-ItemProperty $environment).PROCESSOR_ARCHITECTURE
    if ($processor -eq 'ARM64') { 'underpass-arm64.wsl' } else { 'underpass.wsl' }
}

# The sum of a file in a list of sums: the line 'SUM  NAME', as sha256sum writes it.
function Get-Sum([string]$List, [string]$File) {
    $leaf = Split-Path $File -Leaf
    foreach ($line in @(Get-Content $List)) {
        $words = $line -split '  ', 2
        if ($words[1] -eq $leaf) { return $words[0] }
    }
}

function Test-Sum([string]$File, [string]$List) {
    $wanted = Get-Sum $List $File
    if (-not $wanted) {
        throw "$List has no line for $File. Nothing was changed. Download both from one release."
    }
    $found = (Get-FileHash -Algorithm SHA256 $File).Hash
    if ($found -ne $wanted) {
        throw ("$File is damaged or another file: its sha256 is $found, and $List says $wanted. " +
            "Nothing was changed. Download both again.")
    }
}

function Save-Url([string]$Url, [string]$File) {
    try {
        Invoke-WebRequest -Uri $Url -OutFile $File -UseBasicParsing
    } catch {
        throw ("$Url cannot be downloaded: $($_.Exception.Message) Nothing was changed. " +
            "Download it by a browser, SHA256SUMS beside it, and give the file with -Package.")
    }
}

# Downloads a package and its list of sums into a folder, checks it, and gives its path.
function Save-WslPackage([string]$Url, [string]$To) {
    # Windows PowerShell 5.1 offers an old TLS by default, and its progress bar slows a download.
    $protocols = [Net.ServicePointManager]::SecurityProtocol
    $protocols = $protocols -bor [Net.SecurityProtocolType]::Tls12
    [Net.ServicePointManager]::SecurityProtocol = $protocols
    $script:ProgressPreference = 'SilentlyContinue'
    $file = Join-Path $To (Split-Path ([Uri]$Url).AbsolutePath -Leaf)
    $list = Join-Path $To 'SHA256SUMS'
    Write-Host "Downloading $Url"
    Save-Url ($Url -replace '[^/]+$', 'SHA256SUMS') $list
    Save-Url $Url $file
    Test-Sum $file $list
    $file
}

# The path of the package that -Package names, checked. A download goes into a folder.
function Get-WslPackage([string]$To) {
    $wanted = $Package
    if (-not $wanted) {
        $names = @((Get-PackageName), 'underpass.wsl')
        $paths = $names | ForEach-Object { Join-Path $PSScriptRoot $_ }
        $wanted = $paths | Where-Object { Test-Path $_ } | Select-Object -First 1
    }
    if (-not $wanted) { $wanted = $version }
    if (-not $wanted) {
        throw ("There is no underpass.wsl beside this script. Give its path, its https URL or a " +
            "version with -Package.")
    }
    if ($wanted -match '^https://') { return Save-WslPackage $wanted $To }
    if ($wanted -match '^[a-z]+://') {
        throw "What comes by http can be changed on the way: give an https URL, not $wanted."
    }
    if ($wanted -match '^v?(\d+\.\d+\.\d+[0-9A-Za-z.-]*)$') {
        if (-not $releases) {
            throw ("This install.ps1 comes from no release, so it does not know where version " +
                "$wanted is. Give the file underpass.wsl or its URL with -Package.")
        }
        return Save-WslPackage "$releases/download/v$($Matches[1])/$(Get-PackageName)" $To
    }
    $file = $wanted
    if (-not (Test-Path $file -PathType Leaf)) {
        throw ("There is no file $file. Give the path of underpass.wsl, its https URL or a " +
            "version with -Package.")
    }
    $file = (Resolve-Path $file).ProviderPath
    $list = Join-Path (Split-Path $file) 'SHA256SUMS'
    if (Test-Path $list) { Test-Sum $file $list }
    $file
}

# Lists the installation under Settings > Apps. Without that entry it works all the same.
function Register-App {
    try {
        $copy = Join-Path $folder 'install.ps1'
        if ($PSCommandPath -ne $copy) { Copy-Item $PSCommandPath $copy -Force }
        $remove = 'powershell.exe -NoProfile -ExecutionPolicy Bypass -File "{0}"' -f $copy
        $remove += " -Name $Name -Uninstall"
        New-Item $entry -Force | Out-Null
        $values = @{
            DisplayName = $task
            Publisher = 'The Underpass maintainers'
            InstallLocation = $folder
            UninstallString = $remove
            QuietUninstallString = $remove
        }
        # Linux copies it; what wsl.exe prints is in one of two encodings.
        Invoke-Wsl -d $Name --cd $folder --exec cp /etc/os-release os-release
        $release = Join-Path $folder 'os-release'
        if ((Get-Content $release -Raw) -match 'VERSION_ID="([^"]+)"') {
            $values.DisplayVersion = $Matches[1]
        }
        Remove-Item $release
        foreach ($key in $values.Keys) {
            New-ItemProperty $entry -Name $key -Value $values[$key] -Force | Out-Null
        }
        foreach ($key in 'NoModify', 'NoRepair') {
            New-ItemProperty $entry -Name $key -Value 1 -PropertyType DWord -Force | Out-Null
        }
    } catch {
        Write-Warning "Underpass is not listed under Settings > Apps: $($_.Exception.Message)"
    }
}

if ($Uninstall) {
    Remove-Starter
    if (Test-Path $entry) { Remove-Item $entry }
    if (Test-Installed) { Invoke-Wsl --unregister $Name }
    if (Test-Distro) {
        Write-Warning ("The distro '$Name' stays: this script did not install it. " +
            "To remove it with all of its files: wsl --unregister $Name")
    }
    # An existing disk belongs to a distro of another name.
    if ((Test-Path $folder) -and -not (Test-Path (Join-Path $folder 'ext4.vhdx'))) {
        Remove-Item -Recurse -Force $folder
    }
    # A relay that is just ending holds its file for a moment.
    for ($try = 0; $try -lt 10; $try++) {
        Remove-Copies
        if (-not (Get-Copies)) { break }
        Start-Sleep -Milliseconds 300
    }
    Write-Host "Underpass is removed."
    exit 0
}

if (-not (Get-Command wsl.exe -ErrorAction SilentlyContinue)) {
    throw ("There is no wsl.exe: Underpass needs WSL 2. Install it as an administrator with " +
        "wsl --install, restart Windows, and run this script again.")
}
if ((Test-Distro) -and -not (Test-Installed)) {
    & wsl.exe -d $Name --exec test -e /usr/lib/underpass/boot
    if ($LASTEXITCODE -ne 0) {
        throw ("There is a distro '$Name' already, and it is not Underpass. It was not changed. " +
            "Give another name with -Name.")
    }
}
$downloads = Join-Path ([IO.Path]::GetTempPath()) "underpass-$PID"
New-Item -ItemType Directory -Force $downloads | Out-Null
try {
    $source = Get-WslPackage $downloads
    New-Item -ItemType Directory -Force $folder | Out-Null
    # The distro is replaced as a whole, except for its configuration and logs. They lie on Windows'
    # disk meanwhile, so that they outlive whatever fails. Linux copies them: a pipe of Windows
    # PowerShell would change their line ends and what is not ASCII.
    $kept = @('/etc/underpass.toml', '/var/log/underpass.log', '/var/log/underpass.log.old')
    Remove-Starter
    if (Test-Distro) {
        foreach ($path in $kept) {
            $file = Split-Path $path -Leaf
            & wsl.exe -d $Name --exec test -e $path
            if ($LASTEXITCODE -eq 0) { Invoke-Wsl -d $Name --cd $folder --exec cp $path $file }
        }
        Invoke-Wsl --terminate $Name
        Invoke-Wsl --unregister $Name
    }
    # Also what a run left that did not come to its end.
    $restored = @($kept | Where-Object { Test-Path (Join-Path $folder (Split-Path $_ -Leaf)) })
    try {
        Invoke-Wsl --import $Name $folder $source --version 2
    } catch {
        $where = ''
        if ($restored) { $where = " The configuration and the logs are kept in $folder." }
        throw ("WSL did not import ${source}: $($_.Exception.Message).$where Update WSL with " +
            "wsl --update, and run this script again.")
    }
    foreach ($path in $restored) {
        $file = Split-Path $path -Leaf
        Invoke-Wsl -d $Name --cd $folder --exec cp $file $path
    }
    Register-App
    # It starts again, with its configuration.
    Invoke-Wsl --terminate $Name
    foreach ($path in $restored) { Remove-Item (Join-Path $folder (Split-Path $path -Leaf)) }
} finally {
    Remove-Item (Join-Path $downloads '*') -ErrorAction SilentlyContinue
    Remove-IfEmpty $downloads
}

# Once started, the distro keeps itself and the tunnel running. The task starts it at logon, and
# again within a minute after `wsl --shutdown` or `wsl --terminate`: its second trigger does nothing
# while the first one's wsl.exe still runs (IgnoreNew). Task Scheduler's restart on failure does not
# help: it does not revive a program that exited.
$program = 'conhost.exe'
$arguments = "--headless wsl.exe -d $Name --exec /usr/bin/underpass up --attach"
$action = New-ScheduledTaskAction -Execute $program -Argument $arguments
$logon = New-ScheduledTaskTrigger -AtLogOn -User "$env:USERDOMAIN\$env:USERNAME"
$again = New-ScheduledTaskTrigger -Once -At (Get-Date) `
    -RepetitionInterval (New-TimeSpan -Minutes 1)
$settings = New-ScheduledTaskSettingsSet -AllowStartIfOnBatteries -DontStopIfGoingOnBatteries `
    -ExecutionTimeLimit 0 -MultipleInstances IgnoreNew -StartWhenAvailable
$starter = $null
# Some versions of Windows let only an administrator register a trigger at logon; the other trigger
# starts it within a minute of the logon.
foreach ($triggers in @($logon, $again), @($again)) {
    try {
        Register-ScheduledTask -TaskName $task -Action $action -Trigger $triggers `
            -Settings $settings -Force | Out-Null
        $starter = "the scheduled task '$task'"
        break
    } catch {
        Write-Verbose "The task cannot be registered: $_"
        $refused = "$_"
    }
}
if ($starter) {
    Start-ScheduledTask -TaskName $task
} else {
    try {
        $link = (New-Object -ComObject WScript.Shell).CreateShortcut($shortcut)
        $link.TargetPath = Join-Path $env:SystemRoot "System32\$program"
        $link.Arguments = $arguments
        # Minimized.
        $link.WindowStyle = 7
        $link.Save()
        $starter = "the shortcut '$shortcut', at logon only (after wsl --shutdown, run it again)"
        Write-Warning ("Windows lets this user register no scheduled task ($refused). " +
            "A shortcut in the Startup folder takes its place.")
        Start-Process -FilePath $shortcut
    } catch {
        Write-Warning ("Neither a scheduled task ($refused) nor a shortcut in the Startup folder " +
            "($_) can be made. Underpass is installed, but nothing starts it at logon: " +
            "run  wsl -d $Name status")
        exit 1
    }
}
Write-Host "Underpass is installed, and starts now. It is started by $starter."
Write-Host "Show its state:  wsl -d $Name status"

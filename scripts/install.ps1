<#
.SYNOPSIS
Installs Underpass for the current user: imports the helper distro and starts it at every logon. Needs no administrator.

.DESCRIPTION
Not verified: no Windows was at hand when this was written (see docs/verification.md).

.PARAMETER Package
The file underpass.wsl; by default the one beside this script.

.PARAMETER Name
The distro's name.

.PARAMETER Uninstall
Removes what this script installed under that name: the task or shortcut, the distro, its folder.
Other installations stay.

.EXAMPLE
powershell -ExecutionPolicy Bypass -File install.ps1
powershell -ExecutionPolicy Bypass -File install.ps1 -Uninstall
#>
[CmdletBinding()]
param(
    [string]$Package,
    [ValidatePattern('^[A-Za-z0-9._-]+$')][string]$Name = 'underpass',
    [switch]$Uninstall
)
$ErrorActionPreference = 'Stop'
# Not as the parameter's default: Windows PowerShell 5.1 does not know its folder there.
if (-not $Package) { $Package = Join-Path $PSScriptRoot 'underpass.wsl' }
$task = "Underpass ($Name)"
$shortcut = Join-Path ([Environment]::GetFolderPath('Startup')) "$task.lnk"
$root = Join-Path $env:LOCALAPPDATA 'underpass'
$folder = Join-Path $root "distro-$Name"
# WSL itself keeps its list here (src/windows/service/exe/DistributionRegistration.h of
# microsoft/WSL). The output of wsl.exe is not read: it is UTF-16 or UTF-8, depending on its version
# and on WSL_UTF8.
$lxss = 'HKCU:\Software\Microsoft\Windows\CurrentVersion\Lxss'

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

if ($Uninstall) {
    Remove-Starter
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

if (-not (Test-Path $Package)) {
    throw "There is no $Package. Give the path of underpass.wsl with -Package."
}
if ((Test-Distro) -and -not (Test-Installed)) {
    & wsl.exe -d $Name --exec test -e /usr/lib/underpass/boot
    if ($LASTEXITCODE -ne 0) {
        throw ("There is a distro '$Name' already, and it is not Underpass. It was not changed. " +
            "Give another name with -Name.")
    }
}
New-Item -ItemType Directory -Force $folder | Out-Null
# The distro is replaced as a whole, except for its configuration. That lies on Windows' disk
# meanwhile, so that it outlives every failure. Linux copies it: a pipe of Windows PowerShell would
# change its line ends and every character that is not ASCII.
$config = 'underpass.toml'
$kept = Join-Path $folder $config
Remove-Starter
if (Test-Distro) {
    & wsl.exe -d $Name --exec test -e /etc/$config
    if ($LASTEXITCODE -eq 0) { Invoke-Wsl -d $Name --cd $folder --exec cp /etc/$config $config }
    Invoke-Wsl --terminate $Name
    Invoke-Wsl --unregister $Name
}
Invoke-Wsl --import $Name $folder $Package --version 2
if (Test-Path $kept) {
    Invoke-Wsl -d $Name --cd $folder --exec cp $config /etc/$config
    Invoke-Wsl --terminate $Name
    Remove-Item $kept
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

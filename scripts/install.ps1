<#
.SYNOPSIS
Installs Underpass for the current user: imports the helper distro and starts it at every logon. Needs no administrator.

.DESCRIPTION
Not verified: no Windows was at hand when this was written (see README, State).

.PARAMETER Package
The file underpass.wsl; by default the one beside this script.

.PARAMETER Name
The distro's name.

.PARAMETER Uninstall
Takes everything back: ends the task, removes it, and unregisters the distro.

.EXAMPLE
powershell -ExecutionPolicy Bypass -File install.ps1
powershell -ExecutionPolicy Bypass -File install.ps1 -Uninstall
#>
[CmdletBinding()]
param(
    [string]$Package = (Join-Path $PSScriptRoot 'underpass.wsl'),
    [ValidatePattern('^[A-Za-z0-9._-]+$')][string]$Name = 'underpass',
    [switch]$Uninstall
)
$ErrorActionPreference = 'Stop'
$task = "Underpass ($Name)"
$folder = Join-Path $env:LOCALAPPDATA "underpass\distro-$Name"
# wsl.exe writes UTF-16 unless it is told otherwise.
$env:WSL_UTF8 = '1'

function Invoke-Wsl {
    & wsl.exe @args
    if ($LASTEXITCODE -ne 0) { throw "wsl.exe $args failed with exit code $LASTEXITCODE" }
}

function Test-Distro {
    @(& wsl.exe --list --quiet) -contains $Name
}

if ($Uninstall) {
    if (Get-ScheduledTask -TaskName $task -ErrorAction SilentlyContinue) {
        Stop-ScheduledTask -TaskName $task
        Unregister-ScheduledTask -TaskName $task -Confirm:$false
    }
    if (Test-Distro) { Invoke-Wsl --unregister $Name }
    # The relay's copies; one that still ends keeps its file for a moment.
    Remove-Item -Recurse -Force (Join-Path $env:LOCALAPPDATA 'underpass') -ErrorAction SilentlyContinue
    Write-Host "Underpass is removed."
    exit 0
}

if (-not (Test-Path $Package)) { throw "There is no $Package. Give the path of underpass.wsl with -Package." }
New-Item -ItemType Directory -Force $folder | Out-Null
# The distro is replaced as a whole, but for its configuration. That lies on Windows' disk meanwhile, so that it outlives whatever fails.
# Linux copies it: a pipe of Windows PowerShell would change its line ends and what is not ASCII.
$config = 'underpass.toml'
$kept = Join-Path $folder $config
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

# The task is wsl.exe itself: as long as it runs, Windows keeps the distro running.
$action = New-ScheduledTaskAction -Execute 'conhost.exe' -Argument "--headless wsl.exe -d $Name --exec /usr/bin/underpass up --attach"
$trigger = New-ScheduledTaskTrigger -AtLogOn -User "$env:USERDOMAIN\$env:USERNAME"
$settings = New-ScheduledTaskSettingsSet -AllowStartIfOnBatteries -DontStopIfGoingOnBatteries -ExecutionTimeLimit 0 `
    -RestartCount 999 -RestartInterval (New-TimeSpan -Minutes 1)
Register-ScheduledTask -TaskName $task -Action $action -Trigger $trigger -Settings $settings -Force | Out-Null
Start-ScheduledTask -TaskName $task
Write-Host "Underpass is installed, and starts now. See how it is doing:  wsl -d $Name status"

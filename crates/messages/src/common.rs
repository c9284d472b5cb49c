//! Sentences that more than one command says.

sentences! {
    /// What a change of WSL's settings needs. `distros`: those that run.
    SHUTDOWN_NEEDED:
        "It takes effect after `wsl --shutdown` in Windows, which ends everything that runs in: {distros}.",
        "需要在 Windows 中执行 `wsl --shutdown` 后生效；这会结束以下发行版中正在运行的所有程序：{distros}。";
    /// As before, where nobody could be asked what runs.
    SHUTDOWN_NEEDED_FOR_ALL:
        "It takes effect after `wsl --shutdown` in Windows, which ends everything that runs in every distro.",
        "需要在 Windows 中执行 `wsl --shutdown` 后生效；这会结束所有发行版中正在运行的程序。";
    /// Below the commands that give WSL's NAT another subnet (`config::settings::nat`).
    SUBNET_ORDER:
        "Run the lines in this order, and let nothing start WSL in between (quit Docker Desktop \
         first): at each start WSL opens the network that still exists and writes its subnet back. \
         If there is no Get-HnsNetwork, restart Windows in place of the last line. If the \
         administrator is another account, run the first and the fourth line in your own PowerShell.",
        "请按此顺序执行，期间不要让任何程序启动 WSL（先退出 Docker Desktop）：WSL 每次启动都会沿用仍然存在的网络，\
         并把它的网段写回注册表。\
         如果没有 Get-HnsNetwork 命令，可以用重启 Windows 代替最后一行。如果管理员是另一个帐户，第一行和第四行要在自己的 PowerShell 中执行。";
}

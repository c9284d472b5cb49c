//! Sentences that more than one command says.

sentences! {
    /// What a change of WSL's settings needs. `distros`: those that run.
    SHUTDOWN_NEEDED:
        "This takes effect after `wsl --shutdown` in Windows, which ends all programs running in: \
         {distros}.",
        "在 Windows 中执行 `wsl --shutdown` 后生效，以下发行版中正在运行的程序都会结\
         束：{distros}。";
    /// As before, if the running distros are unknown.
    SHUTDOWN_NEEDED_FOR_ALL:
        "This takes effect after `wsl --shutdown` in Windows, which ends all programs running in \
         every distro.",
        "在 Windows 中执行 `wsl --shutdown` 后生效，所有发行版中正在运行的程序都会结束。";
    /// Below the commands that give WSL's NAT another subnet (`config::settings::nat`).
    SUBNET_ORDER:
        "Run the lines in this order, and let nothing start WSL in between (quit Docker Desktop \
         first): when WSL starts, it reuses the network that still exists and writes its subnet \
         back. If Get-HnsNetwork is missing, restart Windows instead of running the last line. If \
         the administrator uses another account, run the first and the fourth line in your own \
         PowerShell.",
        "请按顺序逐行执行，中途不要让任何程序启动 WSL（先退出 Docker Desktop）：只要旧网络还\
         在，WSL 启动时就会沿用它，并把旧网段写回注册表。如果没有 Get-HnsNetwork 命令，用重启 \
         Windows 代替最后一行。如果管理员是另一个帐户，第一行和第四行要在自己的 PowerShell 中执\
         行。";
}

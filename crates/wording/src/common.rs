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
}

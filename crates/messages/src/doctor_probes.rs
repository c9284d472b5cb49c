//! What the doctor could not look at.

sentences! {
    /// The kernel gave no answer.
    NO_NETLINK:
        "The kernel's interfaces and routes could not be looked at: {error}",
        "无法查看内核的网卡和路由：{error}";
    /// The relay gave no answer.
    NO_WINDOWS:
        "Windows could not be asked, so nothing is said of its adapters, VPNs, DNS and settings: {error}",
        "无法查询 Windows，因此不会检查它的网卡、VPN、DNS 和设置：{error}";
    /// Some things are root's.
    NO_ROOT:
        "Packet filters were not looked at, which takes root: run it with sudo to have them checked, too.",
        "未检查包过滤规则，这需要 root 权限：如需检查，请用 sudo 运行。";
}

//! The doctor's progress, and the facts that it could not look at.

sentences! {
    // ---- while it runs
    /// Files, interfaces, routes and the tunnel.
    DOING_LOOK: "this distro's network and settings", "本发行版的网络与设置";
    /// The router.
    DOING_GATEWAY: "WSL's gateway", "WSL 网关";
    /// The internet.
    DOING_OUTSIDE: "the internet, by address", "用 IP 地址访问外网";
    /// The same over IPv6.
    DOING_OUTSIDE_V6: "the internet over IPv6", "用 IPv6 访问外网";
    /// DNS.
    DOING_NAMES: "names (DNS)", "域名解析（DNS）";
    /// Proxies.
    DOING_PROXIES: "configured proxies", "已设置的代理";
    /// Large packets.
    DOING_LARGE: "large packets", "大数据包";
    /// git.
    DOING_GIT: "git over ssh", "git 使用的 ssh";
    /// Windows.
    DOING_WINDOWS: "Windows' side", "Windows 一侧";
    /// What depends on Windows' answers.
    DOING_COMPARE: "the company's names and hosts", "公司内网的域名与主机";

    // ---- what could not be looked at
    /// The kernel gave no answer.
    NO_NETLINK:
        "The kernel's interfaces and routes cannot be read: {error}",
        "无法读取内核的网卡和路由：{error}";
    /// The relay gave no answer.
    NO_WINDOWS:
        "Windows could not be queried, so its adapters, VPNs, DNS and settings were not checked: \
         {error}",
        "无法查询 Windows，因此没有检查它的网卡、VPN、DNS 和设置：{error}";
    /// Some things are root's.
    NO_ROOT:
        "Packet filters were not checked, which requires root: run this with sudo to include them.",
        "没有检查防火墙规则，这需要 root 权限：如需检查，请用 sudo 运行。";
}

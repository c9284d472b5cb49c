//! The doctor's sentences about the VM's kernel: missing features, and how WSL provides them.

sentences! {
    // ---- the TUN driver
    TUN: "The kernel lacks the TUN driver, which tunnels need", "内核缺少隧道所需的 TUN 驱动";
    TUN_SEEN: "/dev/net/tun does not exist.", "/dev/net/tun 不存在。";
    TUN_OFF_SEEN:
        ".wslconfig has loadDefaultKernelModules=false.",
        ".wslconfig 中设置了 loadDefaultKernelModules=false。";
    TUN_KERNEL_SEEN:
        ".wslconfig sets a custom kernel ({kernel}) without kernelModules.",
        ".wslconfig 指定了自定义内核（{kernel}），但没有指定配套的 kernelModules。";
    TUN_CAUSE:
        "WSL's kernels since 6.6 have the TUN driver as a module. WSL loads it when the VM \
         starts, from the module disk that belongs to the kernel; inside a distro `modprobe` \
         finds no modules. Without the driver no tunnel can start: neither Underpass nor a VPN \
         client inside WSL.",
        "从 6.6 起，WSL 内核把 TUN 驱动编译为模块，由 WSL 在虚拟机启动时从与内核配套的模块磁盘加\
         载；发行版内的 `modprobe` 找不到这些模块。缺少该驱动时任何隧道都无法启动，包括 Underpass \
         和 WSL 内的 VPN 客户端。";
    TUN_DEFAULT_FIX: "Let WSL load its default modules:", "让 WSL 加载默认模块：";
    TUN_KERNEL_FIX:
        "Give the custom kernel the disk with its own modules (or build it with CONFIG_TUN=y):",
        "为自定义内核指定与其配套的模块磁盘（或在编译内核时启用 CONFIG_TUN=y）：";

    // ---- policy routing for IPv6
    IPV6_RULES: "The kernel lacks policy routing for IPv6", "内核不支持 IPv6 策略路由";
    IPV6_RULES_SEEN:
        "IPv6 is enabled, but the kernel has no IPv6 routing rules (ip -6 rule).",
        "IPv6 已启用，但内核没有 IPv6 路由规则（ip -6 rule）。";
    IPV6_RULES_CAUSE:
        "The kernel was built without CONFIG_IPV6_MULTIPLE_TABLES, as were WSL's kernels up to \
         5.15.90.1. The tunnel carries only IPv4 and leaves IPv6 unchanged.",
        "该内核编译时未启用 CONFIG_IPV6_MULTIPLE_TABLES（WSL 5.15.90.1 及更早的内核都是如此）：隧道\
         只承载 IPv4，IPv6 保持原样。";
    IPV6_RULES_FIX:
        "Update WSL, which also updates its kernel (a custom kernel needs that option):",
        "更新 WSL（内核会一并更新；自定义内核需要启用该选项）：";

    // ---- what confines the tunnel's processes
    CONFINED: "The tunnel's processes are not fully confined", "隧道进程的隔离限制没有全部生效";
    CONFINED_SEEN: "not in force: {missing}", "未生效：{missing}";
    CONFINED_CAUSE:
        "The tunnel works, but this machine refused some of the restrictions that isolate its \
         processes. WSL's own kernels since 5.15 support all of them (seccomp and Landlock); a \
         custom kernel, or `lsm=` on its command line, may lack some.",
        "隧道可以正常工作，但用来隔离隧道进程的限制有一部分在本机无法生效。WSL 自带的内核从 5.15 起\
         具备全部所需功能（seccomp 和 Landlock）；自定义内核或内核命令行中的 `lsm=` 可能缺少其中一\
         部分。";
    CONFINED_FIX:
        "Use WSL's own kernel, or build yours with CONFIG_SECCOMP_FILTER and \
         CONFIG_SECURITY_LANDLOCK; then update WSL:",
        "使用 WSL 自带的内核，或在编译自定义内核时启用 CONFIG_SECCOMP_FILTER 和 \
         CONFIG_SECURITY_LANDLOCK；然后更新 WSL：";
}

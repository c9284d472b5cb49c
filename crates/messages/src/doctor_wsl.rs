//! The doctor's sentences about WSL itself: interop, modes, the clock, addresses that change, and
//! Windows' firewall.

sentences! {
    // ---- wsl.conf
    ENCODING: "WSL cannot read /etc/wsl.conf", "WSL 无法读取 /etc/wsl.conf";
    ENCODING_SEEN:
        "/etc/wsl.conf contains zero bytes, which are a sign of UTF-16.",
        "/etc/wsl.conf 中有零字节，这是 UTF-16 编码的特征。";
    ENCODING_CAUSE:
        "PowerShell 5's > and Out-File write UTF-16. WSL cannot read it at all, so every setting \
         has its default.",
        "PowerShell 5 的 > 和 Out-File 会写出 UTF-16。WSL 完全读不了这样的文件，因此所有设置都是默\
         认值。";
    ENCODING_FIX: "Rewrite it in UTF-8, then restart WSL:", "改写为 UTF-8，然后重启 WSL：";

    // ---- interop
    INTEROP: "Starting Windows programs is turned off", "已禁止在 WSL 中启动 Windows 程序";
    INTEROP_CAUSE:
        "Interop is turned off in /etc/wsl.conf: this distro cannot start Windows programs, so it \
         cannot start a tunnel either.",
        "/etc/wsl.conf 关闭了互操作（interop）：这个发行版中无法启动任何 Windows 程序，隧道也无法\
         启动。";
    INTEROP_FIX: "Turn it on, or remove the line:", "打开它，或删除这一行：";
    ENTRY:
        "The kernel does not know how to start Windows programs",
        "内核中的 WSLInterop 项丢失或被禁用，无法启动 Windows 程序";
    ENTRY_MISSING_SEEN:
        "/proc/sys/fs/binfmt_misc has no entry WSLInterop.",
        "/proc/sys/fs/binfmt_misc 中没有 WSLInterop 项。";
    ENTRY_DISABLED_SEEN:
        "The entry WSLInterop in /proc/sys/fs/binfmt_misc is disabled.",
        "/proc/sys/fs/binfmt_misc 中的 WSLInterop 项被禁用。";
    ENTRY_CAUSE:
        "systemd-binfmt cleared the kernel's list when the distro started: Windows programs fail \
         with 'Exec format error'.",
        "发行版启动时 systemd-binfmt 清空了内核的列表，运行 Windows 程序会报错 `Exec format \
         error`。";
    ENTRY_FIX: "Write the entry again:", "重新写入该项：";
    ENTRY_KEEP_FIX:
        "To restore it at each start, give systemd the entry as a file:",
        "如需每次启动都生效，把该项写成 systemd 的配置文件：";
    SOCKET:
        "WSL_INTEROP points to a socket that no longer exists",
        "WSL_INTEROP 指向的套接字已失效";
    SOCKET_SEEN:
        "WSL_INTEROP is {socket}, which does not exist.",
        "WSL_INTEROP 的值为 {socket}，而该套接字不存在。";
    SOCKET_CAUSE:
        "The session that this shell belongs to has ended, and its socket with it (tmux, screen \
         and services outlive a session).",
        "这个 shell 所属的会话已经结束（tmux、screen 或服务会比会话存活更久），套接字也随之消失。";
    SOCKET_FIX:
        "Use the lasting socket, or open a new window:",
        "改用长期有效的套接字，或打开新的窗口：";
    RUN: "Windows programs do not run", "无法运行 Windows 程序";
    RUN_SEEN: "A Windows program could not be run: {detail}", "无法运行 Windows 程序：{detail}";
    RUN_CAUSE:
        "Interop is on but does not work: WSL's service on Windows has failed, or a policy, Smart \
         App Control or an antivirus program blocks the program.",
        "互操作（interop）已开启但不起作用：Windows 一侧的 WSL 服务已失效，或者策略、智能应用控制\
         （Smart App Control）、杀毒软件阻止了该程序。";

    // ---- modes
    MODE: "The mode set in .wslconfig is not in force", ".wslconfig 要求的网络模式没有生效";
    MODE_OLD_CAUSE:
        "This Windows (build {build}) is too old: the mode needs Windows 11 22H2 (build 22621).",
        "当前 Windows（内部版本 {build}）过旧，该模式需要 Windows 11 22H2（内部版本 22621）。";
    MODE_CAUSE:
        "WSL was not restarted after the change, or it could not set up the mode and fell back, \
         which it reports when the first distro starts.",
        "修改后没有重启 WSL，或者 WSL 无法建立该模式而回退到其他模式（启动第一个发行版时会有提\
         示）。";
    MODE_VALUE_CAUSE:
        "WSL does not know this mode and uses the default.",
        "WSL 不认识这个模式，使用了默认值。";
    MODE_NO_IPV6_CAUSE:
        "Mirrored mode needs IPv6, but IPv6 is turned off in Windows (DisabledComponents is 0xFF \
         in the registry).",
        "镜像模式需要 IPv6，而 Windows 关闭了它（注册表中的 DisabledComponents 为 0xFF）。";
    /// Cause. `policy`: the name of its value in the registry, and the value.
    MODE_POLICY_CAUSE:
        "A group policy decides the mode ({policy} in HKLM\\SOFTWARE\\Policies\\WSL).",
        "网络模式由组策略决定（HKLM\\SOFTWARE\\Policies\\WSL 中的 {policy}）。";
    /// Cause. `setting`: key and value.
    MODE_SETTING_CAUSE:
        "Another setting prevents it: {setting}.",
        "它与另一项设置不兼容：{setting}。";
    MODE_NO_IPV6_FIX:
        "As administrator, turn IPv6 on with IPv4 preferred, then restart Windows:",
        "以管理员身份执行以下命令，恢复 IPv6 并优先使用 IPv4，然后重启 Windows：";
    MODE_POLICY_FIX:
        "Ask your administrator to change the policy, or use the tunnel, which works in every \
         mode:",
        "请管理员修改该策略，或使用隧道（在任何模式下都可用）：";
    /// Fix. `setting`: key and value.
    MODE_SETTING_FIX: "Change {setting} and restart WSL:", "修改 {setting}，然后重启 WSL：";
    MODE_FIX:
        "Restart WSL, and read what it prints at the start:",
        "重启 WSL，并留意启动时的提示：";
    MODE_OLD_FIX: "Remove the line, and use the tunnel instead:", "删除这一行，改用隧道：";
    MODE_VALUE_FIX: "Set a valid value:", "改为有效的取值：";

    // ---- clock
    CLOCK: "WSL's clock differs from Windows'", "WSL 的时钟与 Windows 不一致";
    CLOCK_AHEAD_SEEN:
        "WSL's clock is {seconds} s ahead of Windows'.",
        "WSL 的时钟比 Windows 快 {seconds} 秒。";
    CLOCK_BEHIND_SEEN:
        "WSL's clock is {seconds} s behind Windows'.",
        "WSL 的时钟比 Windows 慢 {seconds} 秒。";
    CLOCK_CAUSE:
        "The VM's clock stopped while Windows slept. Certificates, apt's package lists, Kerberos \
         and tokens are rejected because of it.",
        "Windows 睡眠期间虚拟机的时钟停住了。证书、apt 的软件包列表、Kerberos 票据和令牌都会因此验\
         证失败。";
    CLOCK_FIX:
        "Set it from the VM's hardware clock, which follows Windows:",
        "按虚拟机的硬件时钟（与 Windows 同步）校准：";

    // ---- addresses that changed
    ADDRESS:
        "A setting uses an address that WSL had before a restart",
        "有设置仍在使用 WSL 重启前的地址";
    ADDRESS_NOW_SEEN:
        "Since the last run, WSL's addresses changed from {before} to {now}.",
        "与上次相比，WSL 的地址从 {before} 变为 {now}。";
    ADDRESS_NAMED_SEEN: "{place} still uses {address}.", "{place} 中仍写着 {address}。";
    ADDRESS_DEAD_SEEN:
        "{place} uses {address}, which is in no network of this VM and does not answer.",
        "{place} 中写着 {address}，它不在本虚拟机的任何网段内，也没有应答。";
    ADDRESS_CAUSE:
        "In NAT mode WSL keeps its addresses only while the subnet stays the same and the address \
         is free. Addresses that were written down by hand do not follow.",
        "NAT 模式下，只有网段不变且原地址未被占用时，WSL 的地址才保持不变；手工写下的地址不会随之\
         更新。";
    ADDRESS_HOSTS_FIX:
        "In /etc/hosts, replace {old} with {new}:",
        "在 /etc/hosts 中把 {old} 改为 {new}：";
    ADDRESS_PORT_FIX:
        "Let Windows forward the port to the new address. As administrator:",
        "让 Windows 把端口转发到新地址。以管理员身份执行：";
    ADDRESS_FILE_FIX:
        "In {file}, line {line}, look the address up when it is needed:",
        "在 {file} 第 {line} 行，改为使用时再查找地址：";
    ADDRESS_MIRRORED_FIX:
        "In mirrored mode (Windows 11 22H2 or newer) WSL uses Windows' own addresses, and \
         127.0.0.1 works in both directions:",
        "镜像模式（Windows 11 22H2 或更高版本）下 WSL 使用 Windows 的地址，双方都可以使用 \
         127.0.0.1：";

    // ---- Windows' firewall for WSL
    FIREWALL: "Windows' firewall does not protect WSL", "Windows 防火墙没有保护 WSL";
    FIREWALL_CAUSE:
        "Windows' firewall rules then do not apply to WSL: in mirrored mode the whole network can \
         reach the ports that are open in WSL.",
        "这样 Windows 防火墙规则不适用于 WSL；在镜像模式下，整个局域网都能访问 WSL 中监听的端口。";
    FIREWALL_FIX:
        "If that is not intended, remove the line or turn the firewall on:",
        "如果不是有意为之，请删除这一行，或打开防火墙：";
}

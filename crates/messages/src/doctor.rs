//! The doctor's sentences for more than one area: evidence, and fixes for many faults.

sentences! {
    // ---- what was seen
    /// A ping without reply.
    PING_SILENT: "{target} does not answer pings.", "ping {target} 没有应答。";
    /// A ping that came back.
    PING_ANSWERED: "{target} answers pings.", "ping {target} 有应答。";
    /// A connection that took too long.
    CONNECT_TIMED_OUT: "Connecting to {target} times out.", "连接 {target} 超时，没有应答。";
    /// A connection that was refused.
    CONNECT_REFUSED: "{target} refuses the connection.", "{target} 拒绝连接。";
    /// A connection to where no route leads.
    CONNECT_UNREACHABLE:
        "{target} is unreachable: the network has no route to it.",
        "无法到达 {target}：网络中没有通往它的路由。";
    /// A connection that failed in another way.
    CONNECT_FAILED: "Connecting to {target} fails: {detail}.", "连接 {target} 失败：{detail}。";
    /// A connection that stands.
    CONNECTED: "Connecting to {target} works.", "可以连接到 {target}。";
    /// What Windows reaches itself.
    WINDOWS_REACHES: "Windows itself can reach {target}.", "Windows 自身可以访问 {target}。";
    /// What Windows does not reach either.
    WINDOWS_REACHES_NOT:
        "Windows itself cannot reach {target} either.",
        "Windows 自身也无法访问 {target}。";
    /// A server that resolves.
    SERVER_ANSWERS: "{server} resolves {name}.", "{server} 能够解析 {name}。";
    /// A server that does not answer.
    SERVER_SILENT:
        "{server} does not answer queries for {name}.",
        "{server} 对 {name} 的查询没有应答。";
    /// A server that says that there is no such name.
    SERVER_KNOWS_NOT:
        "{server} reports that {name} does not exist.",
        "{server} 答复称 {name} 不存在。";
    /// A server that says that it cannot.
    SERVER_ERROR:
        "{server} answers queries for {name} with {code}.",
        "{server} 对 {name} 的查询返回 {code}。";
    /// A VPN that is connected.
    VPN_CONNECTED:
        "A VPN is connected on Windows: {adapter} ({description}).",
        "Windows 上已连接 VPN：{adapter}（{description}）。";
    /// The same where Windows does not describe its adapter.
    VPN_WITHOUT_DESCRIPTION:
        "A VPN is connected on Windows: {adapter}.",
        "Windows 上已连接 VPN：{adapter}。";
    /// The mode.
    MODE_IN_FORCE: "WSL's networking mode is {mode}.", "WSL 当前的网络模式是 {mode}。";
    /// What the user wants by a file.
    FILE_ASKS_FOR: "{file} sets {setting}.", "{file} 中设置了 {setting}。";

    // ---- fixes
    /// Our own remedy.
    FIX_TUNNEL:
        "Start Underpass' tunnel. It carries WSL's traffic through an ordinary Windows program, \
         whose connections the VPN lets through. It needs no settings and no administrator rights.",
        "启动 Underpass 隧道：由一个普通的 Windows 程序代 WSL 建立连接，VPN 会照常放行。不用改任何\
         设置，也不需要管理员权限。";
    /// Microsoft's remedy, for versions of Windows that have it.
    FIX_MIRRORED:
        "Or use mirrored mode (Windows 11 22H2 or newer), in which WSL uses Windows' own adapters \
         and follows its VPN.",
        "或者使用镜像模式（mirrored，需要 Windows 11 22H2 或更高版本）：WSL 直接使用 Windows 的网\
         卡，VPN 对 WSL 同样生效。";
    /// A network elsewhere.
    FIX_SUBNET:
        "Or move WSL's network to a subnet that nothing else uses. As administrator:",
        "或者给 WSL 的网络换一个不冲突的网段。以管理员身份执行：";
    /// A metric that others beat.
    FIX_METRIC:
        "Or raise the metric of the VPN's adapter, so that Windows prefers its other adapters. \
         This changes the path of all of Windows' traffic, and lasts until the VPN reconnects:",
        "或者提高 VPN 网卡的跃点数，让 Windows 优先使用其他网卡。这会影响 Windows 的全部流量，并且\
         在 VPN 重新连接后失效：";
    /// The same for good.
    FIX_METRIC_TASK:
        "To set it again after each connect, create a scheduled task that runs when AnyConnect \
         reports a connection (event 2039). `{undo}` removes it:",
        "要在每次连接后自动设置，可创建计划任务，在 AnyConnect 报告连接成功（事件 2039）时运行\
         （用 `{undo}` 删除）：";
    /// DNS back in WSL's hands.
    FIX_DNS_AUTO:
        "Give resolv.conf back to WSL, which writes the right server into it:",
        "把 resolv.conf 交还给 WSL 管理，由它写入正确的服务器：";
    /// resolv.conf is WSL's already.
    FIX_DNS_RESTART:
        "WSL manages resolv.conf. Restart WSL so that it writes the file again.",
        "resolv.conf 由 WSL 管理。重启 WSL，让它重新生成该文件。";
    /// DNS by Windows.
    FIX_DNS_TUNNELING:
        "Let WSL resolve names through Windows over a hypervisor channel, without DNS packets \
         that a VPN can intercept (Windows 11 22H2 or newer):",
        "让 WSL 通过虚拟化通道由 Windows 解析域名，不再发送会被 VPN 拦截的 DNS 数据包（需要 \
         Windows 11 22H2 或更高版本）：";
    /// A proxy that was tried.
    FIX_PROXY_GOOD: "Set the variables to {proxy}, which works:", "把代理变量设为可用的 {proxy}：";
    /// A proxy for this mode.
    FIX_PROXY_ON:
        "Set the variables for the current networking mode; the proxy's host is detected \
         automatically:",
        "按当前网络模式重新设置代理变量，代理所在主机的地址会自动检测：";
    /// A restart of WSL.
    FIX_RESTART: "Restart WSL:", "重启 WSL：";

    // ---- what is shown
    /// The verdict.
    ALL_WELL:
        "No problems found: every check that could run passed.",
        "一切正常：可以进行的检查全部通过。";
    /// The verdict where only hints were found.
    ONLY_HINTS: "Everything works. Hints: {count}.", "网络工作正常，另有 {count} 条提示。";
    /// The verdict.
    PROBLEMS_FOUND: "Problems found: {count}.", "发现 {count} 个问题。";
    /// The verdict where no check found a fault, and yet a step's answer is not yes.
    STEPS_OPEN:
        "No check found a fault, but {count} of the steps above could not be confirmed.",
        "各项检查没有发现故障，但上面有 {count} 个步骤无法确认正常。";
    /// What was not looked at.
    CHECKS_SKIPPED:
        "Checks skipped because they depend on what is broken: {count}.",
        "有 {count} 项检查依赖上面已经出故障的环节，已跳过。";
    /// Where Windows could not be asked.
    WINDOWS_NOT_ASKED:
        "Windows could not be queried, so its side was not checked.",
        "无法查询 Windows，因此没有检查 Windows 一侧的情况。";
    TITLE: "WSL network report", "WSL 网络诊断报告";
    THE_WAY: "The path to the internet", "通往互联网的路径";
    THE_STEPS: "The four steps", "四个排查步骤";
    /// Step 1.
    STEP_OUTSIDE: "Can an outside address be reached?", "能否访问外网的 IP 地址？";
    /// Step 2.
    STEP_GATEWAY:
        "Are interface, address, default route and gateway in order?",
        "网卡、地址、默认路由和网关是否正常？";
    /// Step 3.
    STEP_NAMES: "Can names be resolved?", "能否解析域名？";
    /// Step 4.
    STEP_PROXIES: "Do the configured proxies work?", "已设置的代理是否可用？";
    STEP_YES: "yes", "是";
    STEP_NO: "no", "否";
    STEP_NOT_NEEDED: "not needed", "无需检查";
    STEP_UNKNOWN: "unknown", "未知";
    FINDINGS: "Findings", "诊断结果";
    /// Above hints that are shown by their titles.
    HINTS:
        "Hints: {count} (`--hints` shows them in full)",
        "{count} 条提示（用 `--hints` 查看全文）：";
    /// The same on a page.
    HINTS_FOLDED: "Hints: {count}", "{count} 条提示";
    THE_FACTS: "Facts gathered", "收集到的信息";
    EVIDENCE: "Seen", "现象";
    CAUSE: "Cause", "原因";
    FIX: "Fix", "解决办法";
    FATAL: "network down", "网络中断";
    PROBLEM: "problem", "问题";
    HINT: "hint", "提示";
    IN_LINUX: "in WSL", "在 WSL 中执行";
    IN_POWERSHELL: "in PowerShell", "在 PowerShell 中执行";
    IN_ADMIN_POWERSHELL: "in PowerShell as administrator", "以管理员身份在 PowerShell 中执行";
    /// Where lines stand.
    IN_FILE: "in {file}", "写入 {file}";
    /// What the report says of itself.
    MASKED: "User names and passwords of proxies are masked.", "代理的用户名和密码已隐去。";
    /// Who made the report.
    MADE_BY: "Generated by underpass doctor {version}.", "由 underpass doctor {version} 生成。";

    // ---- the way
    HOP_PROGRAM: "Program", "程序";
    HOP_RESOLVER: "Names (DNS)", "域名解析（DNS）";
    HOP_INTERFACE: "WSL's interface", "WSL 网卡";
    HOP_GATEWAY: "WSL's gateway", "WSL 网关";
    HOP_TUNNEL: "Underpass' tunnel", "Underpass 隧道";
    HOP_WINDOWS: "Windows", "Windows 主机";
    HOP_VPN: "VPN", "VPN 连接";
    HOP_PROXY: "Proxy", "代理";
    HOP_INTERNET: "Internet", "互联网";
    STATE_WORKS: "works", "正常";
    STATE_BROKEN: "broken here", "此处中断";
    STATE_TROUBLED: "has a problem", "有问题";
    STATE_BEHIND: "after the break", "在中断点之后";
    STATE_UNKNOWN: "unknown", "未知";
}

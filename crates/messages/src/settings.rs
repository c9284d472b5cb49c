//! What `underpass settings` says about WSL's settings files.

sentences! {
    /// A line that does not begin with a name. `text`: the line.
    FAULT_BEGINNING:
        "WSL cannot read '{text}': a line must begin with a letter, with '[', or with '#' for a \
         comment.",
        "WSL 无法读取“{text}”：一行必须以字母、“[”或表示注释的“#”开头。";
    FAULT_BEGINNING_FIX:
        "If it is a comment, put '#' before it (';' does not start a comment); otherwise remove \
         it.",
        "如果是注释，请在行首加“#”（分号不表示注释）；否则请删除该行。";
    /// A byte order mark in wsl.conf. `text`: the rest of the line.
    FAULT_MARK:
        "The file begins with a byte order mark (before '{text}'), which WSL cannot read in a \
         distro.",
        "文件以字节顺序标记（BOM）开头（在“{text}”之前），WSL 在发行版中无法读取它。";
    FAULT_MARK_FIX:
        "Save the file as UTF-8 without BOM, or run: sudo sed -i '1s/^\\xEF\\xBB\\xBF//' \
         /etc/wsl.conf",
        "请将文件另存为不带 BOM 的 UTF-8，或执行：sudo sed -i '1s/^\\xEF\\xBB\\xBF//' \
         /etc/wsl.conf";
    /// UTF-16 in wsl.conf.
    FAULT_UTF_16:
        "The file is UTF-16, which WSL cannot read in a distro.",
        "文件采用 UTF-16 编码，WSL 在发行版中无法读取。";
    FAULT_UTF_16_FIX:
        "Save the file as UTF-8 without BOM, or run: sudo sh -c 'cd /etc && iconv -f UTF-16 -t \
         UTF-8 wsl.conf >wsl.conf.new && mv wsl.conf.new wsl.conf'",
        "请将文件另存为不带 BOM 的 UTF-8，或执行：sudo sh -c 'cd /etc && iconv -f UTF-16 -t UTF-8 \
         wsl.conf >wsl.conf.new && mv wsl.conf.new wsl.conf'";
    /// A header that is not valid. `text`: the line.
    FAULT_HEADER:
        "'{text}' is not a section header: a header is '[name]', with only letters and digits \
         inside the brackets and nothing after them.",
        "“{text}”不是有效的节标题：应写作“[名称]”，名称只能由字母和数字组成，方括号内不能有空格，\
         后面也不能有其他内容。";
    FAULT_HEADER_FIX:
        "Write it as [wsl2], for example. Until then the keys below it belong to the section \
         above.",
        "请改写，例如 [wsl2]。在此之前，其下各项仍归入上一节。";
    /// A key that no `=` follows. `text`: the line.
    FAULT_NO_EQUALS:
        "In '{text}', no '=' follows the key, whose name may have only letters and digits.",
        "“{text}”中的键名（只能由字母和数字组成）后面没有“=”。";
    FAULT_NO_EQUALS_FIX: "Write it as key=value.", "请写成 键=值 的形式。";
    /// A backslash that means nothing. `text`: the line.
    FAULT_ESCAPE:
        "In '{text}', a backslash stands before a character that it cannot escape.",
        "“{text}”中的反斜杠后面跟了不能转义的字符。";
    FAULT_ESCAPE_FIX:
        "Double each backslash of a path: C:\\\\Users\\\\name.",
        "路径中的每个反斜杠都要写两次：C:\\\\Users\\\\name。";
    /// A quote without an end. `text`: the line.
    FAULT_QUOTE:
        "In '{text}', a quote is not closed on its line.",
        "“{text}”中的双引号没有在本行结束。";
    FAULT_QUOTE_FIX:
        "Close the quote, or write \\\" for a literal one.",
        "请补上结尾的双引号；如果双引号本身是内容，请写成 \\\"。";
    /// The effect of a faulty line of .wslconfig.
    FAULT_SKIPPED: "WSL ignores the line.", "WSL 会忽略这一行。";
    /// The effect of a faulty line of wsl.conf. `line`: its number.
    FAULT_ENDS:
        "WSL stops reading there and ignores everything below line {line}.",
        "WSL 读到此处即停止，第 {line} 行以下的内容全部无效。";

    /// A second line for a key. `counts`: the number of the first.
    DUPLICATE:
        "{key} is set again without effect: the first setting, on line {counts}, is used.",
        "{key} 被重复设置，此行无效：以第 {counts} 行的第一次设置为准。";
    /// What to do about it. `line`: the number of the second.
    DUPLICATE_FIX:
        "Keep one of them: remove line {line}, or the first if you mean this one.",
        "请只保留一处：删除第 {line} 行；如果想用这一行，则删除前面那一行。";
    /// A key in the section that it had when it was new.
    OLDER_SECTION:
        "{key} works, but [experimental] is its former section.",
        "{key} 仍然有效，但 [experimental] 是它从前所在的节。";
    OLDER_SECTION_FIX: "Move {key} to [{section}].", "请将 {key} 移到 [{section}]。";
    /// A value that WSL cannot read. `default`: what counts instead.
    BAD_VALUE:
        "{key} cannot be '{value}': WSL uses the default, {default}.",
        "{key} 不能设为“{value}”：WSL 会使用默认值 {default}。";
    /// A hardware address that is not valid.
    BAD_MAC:
        "{key} cannot be '{value}': WSL does not start with this value.",
        "{key} 不能设为“{value}”：这样 WSL 无法启动。";
    /// An address for DNS tunneling that is not valid.
    BAD_TUNNELING_ADDRESS:
        "{key} cannot be '{value}': WSL turns dnsTunneling off because of it.",
        "{key} 不能设为“{value}”：WSL 会因此关闭 dnsTunneling。";
    /// Ports that are not valid.
    BAD_PORTS:
        "{key} cannot be '{value}': WSL ignores the parts that are not ports from 1 to 65535.",
        "{key} 不能设为“{value}”：WSL 会忽略其中不是端口号（1 到 65535）的部分。";
    /// What to do about a bad value. `takes`: examples or a list.
    BAD_VALUE_FIX: "Set it to a value that WSL accepts: {takes}", "请设为 WSL 接受的值：{takes}";
    /// A value in .wslconfig with letters that WSL does not read whole.
    NOT_ASCII:
        "{key} contains non-ASCII characters: WSL keeps one byte of each, which results in \
         another value.",
        "{key} 的值包含非 ASCII 字符（例如中文）：WSL 读取时每个字符只保留一个字节，得到的是另一个\
         值。";
    NOT_ASCII_FIX:
        "Use a path of ASCII characters only, or the short names of its folders (`dir /x` shows \
         them).",
        "请使用只含 ASCII 字符的路径，或改用文件夹的短名称（可用 `dir /x` 查看）。";
    /// A umask that looks octal and is decimal.
    UMASK_DECIMAL:
        "filesystem.umask={value} is read as a decimal number: an octal one must begin with 0.",
        "filesystem.umask={value} 会被当作十进制数：八进制数必须以 0 开头。";
    UMASK_DECIMAL_FIX: "Write umask=0{value}.", "请写成 umask=0{value}。";

    /// A key in a section that does not have it.
    WRONG_SECTION:
        "{key} is in the wrong section, and WSL ignores it there.",
        "{key} 写在了错误的节中，WSL 会忽略它。";
    /// What to do about it. `sections`: where it may be.
    WRONG_SECTION_FIX: "Move {key} to {sections}.", "请将 {key} 移到 {sections}。";
    /// A key of the other file. `file`: this one.
    WRONG_FILE: "{key} is not a key of {file}.", "{key} 不是 {file} 的设置项。";
    /// What to do about it. `file`: the other.
    WRONG_FILE_FIX:
        "Move {key} to {file}: .wslconfig is in %UserProfile% of Windows, wsl.conf in /etc of a \
         distro.",
        "请将 {key} 移到 {file}：.wslconfig 位于 Windows 的 %UserProfile%，wsl.conf 位于发行版的 \
         /etc。";
    /// A key that WSL does not know.
    UNKNOWN: "WSL has no key {key}.", "WSL 没有 {key} 这个设置项。";
    /// What to do about it. `nearest`: the key that was meant.
    UNKNOWN_NEAREST_FIX: "Did you mean {nearest}?", "是否想写 {nearest}？";
    /// What to do where none is near.
    UNKNOWN_FIX:
        "Remove it; `underpass settings show` lists all keys.",
        "请删除它；`underpass settings show` 会列出所有设置项。";

    /// A setting that this Windows does not have. `set`: key and value; `needed`, `is`: Windows.
    WINDOWS_TOO_OLD:
        "{set} needs {needed} or newer; this is {is}, and WSL ignores the setting.",
        "{set} 需要 {needed} 或更高版本；当前是 {is}，WSL 会忽略该设置。";
    WINDOWS_TOO_OLD_FIX:
        "Update Windows, or remove the setting: `underpass settings recommend` shows what this \
         Windows can do instead.",
        "请升级 Windows，或删除该项：`underpass settings recommend` 会给出当前系统可用的替代方案。";
    /// A setting that this WSL does not have. `set`: key and value; `needed`, `is`: WSL.
    WSL_TOO_OLD:
        "{set} needs {needed} or newer; this is {is}, which ignores the setting.",
        "{set} 需要 {needed} 或更高版本；当前是 {is}，会忽略该设置。";
    WSL_TOO_OLD_FIX: "Run `wsl --update` in Windows.", "请在 Windows 中执行 `wsl --update`。";

    /// A line that another setting takes the effect from. `because`: key and value.
    OVERRULED:
        "{key} has no effect: {because} overrides it.",
        "{key} 的设置无效：它由 {because} 决定。";
    OVERRULED_FIX: "Remove {key}, or change {because}.", "请删除 {key}，或修改 {because}。";
    /// A line that a policy of the company overrules. `policy`: the value's name in the registry,
    /// and the value.
    POLICY:
        "{key} has no effect: a group policy overrides it ({policy} in \
         HKLM\\SOFTWARE\\Policies\\WSL).",
        "{key} 的设置无效：它由组策略决定（HKLM\\SOFTWARE\\Policies\\WSL 中的 {policy}）。";
    POLICY_FIX:
        "Remove {key}, or ask the administrator of this computer to change the policy.",
        "请删除 {key}，或请管理员修改该策略。";
    /// DNS tunneling beside Global Secure Access. `service`: its service.
    TUNNELING_AND_SERVICE:
        "{key} has no effect: while the service {service} is running, WSL does not use DNS \
         tunneling.",
        "{key} 的设置无效：只要服务 {service} 在运行，WSL 就不使用 DNS 隧道。";
    TUNNELING_AND_SERVICE_FIX:
        "Remove {key}. If names then fail to resolve, start Underpass' tunnel, which resolves \
         them through Windows: `underpass up`.",
        "请删除 {key}。如果因此无法解析域名，可启动 Underpass 隧道，由 Windows 解析：`underpass \
         up`。";
    /// DNS tunneling on a Windows that cannot do it.
    TUNNELING_NOT_POSSIBLE:
        "{key} has no effect: DnsQueryRaw, which WSL needs to resolve names through Windows, is \
         missing or turned off in this Windows.",
        "{key} 的设置无效：WSL 通过 Windows 解析域名时要用 DnsQueryRaw，而当前系统缺少该函数或已将\
         其关闭。";
    TUNNELING_NOT_POSSIBLE_FIX:
        "Update Windows (Windows 11 22H2 and newer have it), or remove {key}.",
        "请升级 Windows（Windows 11 22H2 或更高版本提供该函数），或删除 {key}。";
    /// Mirrored mode without IPv6.
    MIRRORED_WITHOUT_IPV6:
        "{key}=mirrored has no effect: IPv6 is turned off in Windows (DisabledComponents is \
         0xFF), so WSL falls back to NAT.",
        "{key}=mirrored 无效：Windows 关闭了 IPv6（DisabledComponents 为 0xFF），WSL 会回退到 NAT \
         模式。";
    MIRRORED_WITHOUT_IPV6_FIX:
        "As administrator, set DisabledComponents in \
         HKLM\\SYSTEM\\CurrentControlSet\\Services\\Tcpip6\\Parameters to 0x20 (IPv4 is \
         preferred) and restart Windows, or remove {key}. Turning IPv6 off for single adapters \
         (Disable-NetAdapterBinding) is harmless.",
        "请以管理员身份把 HKLM\\SYSTEM\\CurrentControlSet\\Services\\Tcpip6\\Parameters 中的 \
         DisabledComponents 设为 0x20（优先使用 IPv4）并重启 Windows，或删除 {key}。只在单个网卡上\
         关闭 IPv6（Disable-NetAdapterBinding）没有影响。";
    /// A key that WSL reads and does not follow.
    IGNORED:
        "WSL ignores {key}, and prints a warning at each start.",
        "WSL 会忽略 {key}，并在每次启动时发出警告。";
    IGNORED_FIX: "Remove {key}.", "请删除 {key}。";
    /// A line that nothing looks at. `needs`: key and value.
    NEEDLESS: "{key} only has an effect with {needs}.", "{key} 只有在 {needs} 时才起作用。";
    NEEDLESS_FIX:
        "It is harmless; remove {key} to keep the file short.",
        "不影响使用；如想精简文件，可删除 {key}。";
    /// Mirrored mode and a resolv.conf of the distro's own.
    MIRRORED_RESOLV_CONF:
        "networkingMode=mirrored and generateResolvConf=false contradict each other: WSL shares \
         Windows' network, but resolves names with the servers of a file that does not follow the \
         VPN.",
        "networkingMode=mirrored 与 generateResolvConf=false 相互冲突：WSL 共享 Windows 的网络，但\
         解析域名用的是固定文件中的服务器，不会随 VPN 变化。";
    /// DNS tunneling and a resolv.conf of the distro's own.
    TUNNELING_RESOLV_CONF:
        "This distro does not use dnsTunneling=true: because of generateResolvConf=false it \
         resolves names with the servers of its own resolv.conf.",
        "此发行版没有用到 dnsTunneling=true：由于 generateResolvConf=false，域名由它自己的 \
         resolv.conf 中的服务器解析。";
    /// What to do about either.
    RESOLV_CONF_FIX:
        "Remove generateResolvConf and give resolv.conf back to WSL: `underpass settings dns \
         auto`.",
        "请删除 generateResolvConf，并把 resolv.conf 交还给 WSL 管理：`underpass settings dns \
         auto`。";
    /// No Windows programs.
    INTEROP_OFF:
        "interop.enabled=false: this distro cannot start Windows programs, including the tunnel's \
         relay.",
        "interop.enabled=false：此发行版无法启动任何 Windows 程序，因此也无法启动隧道的中继程序。";
    INTEROP_OFF_FIX:
        "If that is not intended, remove the line.",
        "如果不是有意为之，请删除这一行。";
    /// A mode that is going away.
    BRIDGED:
        "networkingMode=bridged has been deprecated since WSL 2.4.5.",
        "networkingMode=bridged 从 WSL 2.4.5 起已被弃用。";
    BRIDGED_FIX:
        "Set networkingMode=mirrored, which other machines can reach as well.",
        "请改用 networkingMode=mirrored，局域网中的其他机器同样可以访问。";
    /// A bridge to nowhere.
    BRIDGED_WITHOUT_SWITCH:
        "networkingMode=bridged without vmSwitch: WSL does not know which Hyper-V switch to use, \
         and starts without a network.",
        "networkingMode=bridged 但没有设置 vmSwitch：WSL 不知道该使用哪个 Hyper-V 交换机，启动后没\
         有网络。";
    BRIDGED_WITHOUT_SWITCH_FIX:
        "Set wsl2.vmSwitch to the name of an external switch (`Get-VMSwitch` lists them).",
        "请将 wsl2.vmSwitch 设为某个外部交换机的名称（可用 `Get-VMSwitch` 查看）。";
    /// No network at all.
    MODE_NONE:
        "networkingMode=none: WSL has no network except what a tunnel provides.",
        "networkingMode=none：除了隧道提供的网络之外，WSL 没有任何网络。";
    MODE_NONE_FIX: "If that is not intended, remove the line.", "如果不是有意为之，请删除这一行。";
    /// Nothing was found.
    ALL_WELL: "No problems found in the settings.", "设置没有问题。";

    /// Mirrored mode.
    MIRRORED:
        "WSL uses Windows' own adapters and addresses, so a VPN works for WSL as it does for \
         Windows.",
        "WSL 直接使用 Windows 的网卡和地址，VPN 在 Windows 上生效，在 WSL 中也就生效。";
    /// The same for proxies.
    MIRRORED_FOR_PROXY:
        "WSL reaches a proxy on Windows' 127.0.0.1 at 127.0.0.1, without 'Allow LAN'.",
        "Windows 上监听 127.0.0.1 的代理，在 WSL 中同样用 127.0.0.1 访问，不需要打开“允许局域网连\
         接”（Allow LAN）。";
    /// The same for services.
    MIRRORED_FOR_LAN:
        "Other machines reach services in WSL at Windows' own address, which stays the same after \
         a restart.",
        "局域网中的其他机器可以通过 Windows 的地址访问 WSL 中的服务，重启后地址也不会变。";
    /// DNS tunneling.
    TUNNELING:
        "Windows itself resolves names, without packets that a VPN may block, so company names \
         work.",
        "域名由 Windows 自己解析，不经过可能被 VPN 拦截的数据包：公司内网域名也能解析。";
    /// autoProxy.
    AUTO_PROXY:
        "Programs in WSL get Windows' proxy setting through their environment.",
        "WSL 中的程序会通过环境变量得到 Windows 的代理设置。";
    /// The firewall.
    FIREWALL:
        "Windows' firewall rules also apply to WSL, so its open ports are not open to everyone.",
        "Windows 防火墙的规则对 WSL 同样有效，WSL 中打开的端口不会对所有人开放。";
    /// Odd DNS queries.
    BEST_EFFORT:
        "Windows answers DNS queries with unknown record types as well as it can, instead of \
         rejecting them.",
        "遇到未知记录类型的 DNS 查询时，Windows 会尽量应答，而不是拒绝。";
    /// The host's own addresses.
    HOST_LOOPBACK:
        "Windows and WSL reach each other at all addresses of the machine, not only at 127.0.0.1.",
        "Windows 与 WSL 之间可以通过本机的所有地址互相访问，而不仅是 127.0.0.1。";
    /// A rule for a port.
    LAN_FIREWALL:
        "By default the firewall lets no other machine in; this command opens one port (8080 \
         here).",
        "防火墙默认不允许其他机器访问；此命令打开一个端口（此处以 8080 为例）。";
    /// Forwards of an old Windows.
    LAN_PORT_PROXY:
        "With NAT, other machines reach WSL only through a port forward on Windows (8080 here). \
         Set it again when WSL's address changes.",
        "在 NAT 模式下，其他机器只能通过 Windows 的端口转发访问 WSL（此处以 8080 为例）；WSL 的地\
         址变化后需要重新设置。";
    /// When mirrored mode is not enough.
    TUNNEL_IF_MIRRORED_FAILS:
        "If the VPN still cuts WSL off, use the tunnel, which carries all traffic through an \
         ordinary Windows program.",
        "如果这样 VPN 仍会切断 WSL 的网络，可使用隧道：所有流量都经由一个普通的 Windows 程序传送。";
    /// The tunnel, where nothing is known of a VPN.
    TUNNEL:
        "Whatever a VPN does to WSL's NAT, it lets ordinary Windows programs through, and the \
         tunnel uses one.",
        "无论 VPN 如何处理 WSL 的 NAT 流量，它都会放行普通的 Windows 程序，而隧道用的正是这样的程\
         序。";
    /// The tunnel beside a VPN.
    TUNNEL_FOR:
        "'{vpn}' may drop what WSL's NAT forwards; the tunnel gets through as an ordinary Windows \
         program.",
        "“{vpn}”可能会丢弃 WSL 的 NAT 转发的流量；隧道以普通 Windows 程序的身份通过它。";
    /// The metric of AnyConnect's adapter. `now`: what it is.
    METRIC:
        "'{vpn}' has the metric {now} and draws WSL's traffic into the VPN; with a higher metric \
         it does not. This also changes Windows' own routing, and must be set again after each \
         connect.",
        "“{vpn}”的接口跃点数为 {now}，会抢走 WSL 的流量；调高后则不会。这也会改变 Windows 自身的路\
         由，而且每次连接 VPN 后都要重新设置。";
    /// As `METRIC`, where Windows does not tell it.
    METRIC_UNKNOWN:
        "'{vpn}' draws WSL's traffic into the VPN if its metric is low; with a higher metric it \
         does not. This also changes Windows' own routing, and must be set again after each \
         connect.",
        "“{vpn}”的接口跃点数较低时会抢走 WSL 的流量；调高后则不会。这也会改变 Windows 自身的路由，\
         而且每次连接 VPN 后都要重新设置。";
    /// A task that sets it. `undo`: the command that removes the task.
    METRIC_TASK:
        "AnyConnect resets the metric at each connect. This task sets it again whenever \
         AnyConnect reports a connection (event 2039); to remove the task: {undo}",
        "AnyConnect 每次连接都会重置跃点数。此计划任务会在 AnyConnect 报告连接成功（事件 2039）时\
         再次设置；如需删除任务：{undo}";
    /// Mirrored mode is not possible.
    OLD_WINDOWS:
        "{is} has no mirrored mode, which needs Windows 11 22H2 (22621) or newer: WSL uses NAT.",
        "{is} 没有镜像模式，该模式需要 Windows 11 22H2（22621）或更高版本：WSL 使用 NAT 模式。";
    /// Mirrored mode is not possible without IPv6. Above the command.
    NO_MIRRORED_IPV6:
        "Mirrored mode is recommended but needs IPv6, which is turned off in Windows \
         (DisabledComponents is 0xFF). This command turns IPv6 on with IPv4 preferred, after a \
         restart of Windows; until then WSL uses NAT.",
        "推荐的镜像模式需要 IPv6，而 Windows 关闭了它（DisabledComponents 为 0xFF）。执行此命令并\
         重启 Windows 后会恢复 IPv6，并优先使用 IPv4；在此之前 WSL 使用 NAT 模式。";
    /// A policy rules mirrored mode out. `policy`: the value's name in the registry, and the value.
    NO_MIRRORED_POLICY:
        "A group policy ({policy}) forbids mirrored mode, which would be recommended; your \
         administrator can change the policy.",
        "推荐使用镜像模式，但组策略（{policy}）不允许；管理员可以修改该策略。";
    /// Neither by this WSL. `needed`: a version.
    OLD_WSL:
        "Mirrored mode and DNS tunneling need {needed} or newer; run this command again after the \
         update.",
        "镜像模式和 DNS 隧道需要 {needed} 或更高版本；更新后请再次执行本命令。";
    /// Windows could not be asked.
    WINDOWS_UNKNOWN:
        "Windows' version is unknown: set it with --windows-version (`cmd.exe /c ver` shows it).",
        "无法得知 Windows 的版本：请用 --windows-version 指定（可用 `cmd.exe /c ver` 查看）。";
    /// A mode that is set without effect.
    MODE_NOT_POSSIBLE:
        "This mode is not possible here: WSL falls back to another one, with a warning at each \
         start.",
        "这里无法使用该模式，WSL 会回退到其他模式，并在每次启动时发出警告。";
    /// A subnet that a route overlaps. `own`: WSL's; `net`: a free one.
    SUBNET_CLASH:
        "WSL's subnet {own} lies in {route}, which Windows routes elsewhere, possibly to a VPN; \
         {net} overlaps no route.",
        "WSL 的网段 {own} 与 {route} 重叠，而 Windows 会把后者送往别处（可能是 VPN）；{net} 不与任\
         何路由重叠。";
    /// A subnet that is free.
    SUBNET_FREE:
        "WSL keeps the subnet that it once chose, even if a company or a VPN uses it too; {net} \
         overlaps no route of this host.",
        "WSL 会一直沿用最初选定的网段，即使它与公司或 VPN 的网段冲突；{net} 不与本机的任何路由重\
         叠。";
    /// A link-local one.
    SUBNET_LINK_LOCAL:
        "All private ranges are routed elsewhere, possibly to a VPN; {net} belongs to the \
         link-local range, which no VPN routes.",
        "所有私有网段都被路由到别处（可能是 VPN）；{net} 属于链路本地地址段，VPN 不会路由它。";
    /// Windows could not be asked.
    SUBNET_UNKNOWN:
        "Which subnets Windows routes elsewhere is unknown; {net} belongs to the link-local \
         range, which no VPN routes.",
        "无法得知 Windows 把哪些网段路由到别处；{net} 属于链路本地地址段，VPN 不会路由它。";
    /// None is free.
    SUBNET_NONE:
        "This host has no free subnet; the tunnel chooses a small one of its own and needs no \
         room in Windows' routes.",
        "本机没有空闲的网段；隧道会自己选用一个很小的网段，不占用 Windows 的路由。";
    /// Give resolv.conf back.
    RESOLV_CONF:
        "WSL then writes resolv.conf itself, with the server that follows Windows and its VPN; \
         `underpass settings dns auto` also restores the link.",
        "这样 resolv.conf 由 WSL 生成，其中的服务器会跟随 Windows 及其 VPN；`underpass settings \
         dns auto` 还会恢复符号链接。";
    /// A proxy by hand.
    PROXY_BY_HAND:
        "This Windows has no autoProxy: with this line a shell applies Windows' proxy setting by \
         itself.",
        "当前 Windows 没有 autoProxy：加上这一行，shell 会自行采用 Windows 的代理设置。";
    /// A proxy on loopback.
    LOOPBACK_PROXY:
        "Windows' proxy listens on Windows' own 127.0.0.1, which NAT does not reach; the tunnel \
         reaches it, even with 'Allow LAN' off.",
        "Windows 的代理监听在它自己的 127.0.0.1 上，NAT 模式下无法访问；隧道可以访问，而且不需要打\
         开“允许局域网连接”（Allow LAN）。";
    /// The same where nothing takes it by itself.
    NO_SYSTEM_PROXY_TO_TAKE:
        "Windows has no proxy setting that a shell could use: turn on 'System Proxy' in the proxy \
         program (Clash Verge, v2rayN) and run this again, or use its TUN mode.",
        "Windows 没有设置系统代理，shell 没有可沿用的代理：请在代理软件（Clash Verge、v2rayN）中打\
         开“系统代理”后重新执行本命令，或使用 TUN 模式。";
    /// There is no proxy to take.
    NO_SYSTEM_PROXY:
        "Windows has no proxy setting that autoProxy could pass on: turn on 'System Proxy' in the \
         proxy program (Clash Verge, v2rayN), or its TUN mode.",
        "Windows 没有设置系统代理，autoProxy 没有可沿用的代理：请在代理软件（Clash Verge、v2rayN）\
         中打开“系统代理”，或使用 TUN 模式。";

    // ---- NAT and mirrored mode, explained
    EXPLAIN_TITLE: "NAT and mirrored mode", "NAT 模式与镜像模式";
    /// How it is in a mode.
    EXPLAIN_NAT: "NAT", "NAT 模式";
    /// How it is in a mode.
    EXPLAIN_MIRRORED: "mirrored", "镜像模式";
    EXPLAIN_ADDRESS: "Address", "地址";
    EXPLAIN_ADDRESS_NAT:
        "WSL is a separate machine behind Windows' NAT, with a private address such as \
         172.28.48.2 and Windows as its gateway. The address may change when WSL restarts.",
        "WSL 是位于 Windows 后面的一台独立机器：使用 172.28.48.2 这样的私有地址，网关就是 \
         Windows。WSL 重启后地址可能改变。";
    EXPLAIN_ADDRESS_MIRRORED:
        "WSL uses Windows' own adapters and addresses, so it has no address of its own that could \
         change.",
        "WSL 直接使用 Windows 的网卡和地址，没有单独的、会变化的地址。";
    EXPLAIN_LOOPBACK: "The address 127.0.0.1", "环回地址 127.0.0.1";
    EXPLAIN_LOOPBACK_NAT:
        "Windows reaches servers in WSL at its localhost. WSL cannot reach Windows' 127.0.0.1: \
         use the gateway's address (`underpass host`), and let the server on Windows listen there.",
        "Windows 可以用 localhost 访问 WSL 中的服务。WSL 无法访问 Windows 的 127.0.0.1：要使用网关\
         地址（`underpass host`），而且 Windows 上的服务必须在该地址上监听。";
    EXPLAIN_LOOPBACK_MIRRORED:
        "Both reach each other at 127.0.0.1.",
        "双方都可以用 127.0.0.1 互相访问。";
    EXPLAIN_VPN: "With a VPN", "使用 VPN 时";
    EXPLAIN_VPN_NAT:
        "Windows forwards WSL's packets. Many VPN clients drop forwarded packets, or use the same \
         addresses: WSL then has no network while the VPN is connected.",
        "WSL 的数据包由 Windows 转发。许多 VPN 客户端会丢弃被转发的数据包，或使用相同的网段：连接 \
         VPN 后 WSL 就没有网络。";
    EXPLAIN_VPN_MIRRORED:
        "WSL uses the VPN's adapter as Windows does. Some clients block it in this mode too; the \
         tunnel still works then.",
        "WSL 与 Windows 一样使用 VPN 的网卡。有的客户端在此模式下仍会拦截，此时隧道依然可用。";
    EXPLAIN_PROXY: "Proxy on Windows", "Windows 上的代理";
    EXPLAIN_PROXY_NAT:
        "The proxy must have 'Allow LAN' on, and Windows' firewall must let WSL in. autoProxy \
         does not pass on a proxy at 127.0.0.1.",
        "必须打开“允许局域网连接”（Allow LAN），Windows 防火墙也要放行。autoProxy 不会传递位于 \
         127.0.0.1 的代理。";
    EXPLAIN_PROXY_MIRRORED:
        "WSL reaches it at 127.0.0.1 without 'Allow LAN', and autoProxy passes it on.",
        "用 127.0.0.1 即可访问，无需打开“允许局域网连接”（Allow LAN），autoProxy 也会传递它。";
    EXPLAIN_LAN: "Other machines", "局域网中的其他机器";
    EXPLAIN_LAN_NAT:
        "They reach servers in WSL only through a port forward on Windows (`netsh interface \
         portproxy`).",
        "只能通过 Windows 的端口转发（`netsh interface portproxy`）访问 WSL 中的服务。";
    EXPLAIN_LAN_MIRRORED:
        "They reach servers in WSL at Windows' address, once Windows' Hyper-V firewall lets them \
         in.",
        "Windows 的 Hyper-V 防火墙放行后，可直接用 Windows 的地址访问 WSL 中的服务。";
    EXPLAIN_IPV6: "IPv6 and multicast", "IPv6 与组播";
    EXPLAIN_IPV6_NAT: "Not supported.", "均不支持。";
    EXPLAIN_IPV6_MIRRORED:
        "Supported, as far as Windows' network has them.",
        "均支持，以 Windows 的网络为准。";
    EXPLAIN_NEEDS: "Needs", "系统要求";
    EXPLAIN_NEEDS_NAT:
        "Nothing: NAT is the default of every WSL 2.",
        "没有要求：它是所有 WSL 2 的默认模式。";
    EXPLAIN_NEEDS_MIRRORED:
        "Windows 11 22H2 and WSL 2.0 or newer, with IPv6 not turned off in Windows' registry.",
        "Windows 11 22H2 和 WSL 2.0 或更高版本，并且没有在 Windows 注册表中关闭 IPv6。";
    EXPLAIN_HERE: "On this machine", "在这台电脑上";
    /// The mode by the settings. `mode`: its name.
    EXPLAIN_NOW:
        "With the current settings, WSL uses {mode} mode.",
        "按当前设置，WSL 使用 {mode} 模式。";
    /// Nothing is in the way.
    EXPLAIN_BOTH:
        "This Windows supports both. Mirrored mode is recommended, especially with a VPN or a \
         proxy.",
        "当前系统两种模式都支持。推荐使用镜像模式，尤其是在使用 VPN 或代理时。";

    /// Before commands for an administrator.
    AS_ADMINISTRATOR: "in PowerShell as administrator", "以管理员身份在 PowerShell 中执行";
    /// Before commands that need no administrator.
    IN_POWERSHELL: "in PowerShell", "在 PowerShell 中执行";
    /// Before commands for a distro.
    IN_LINUX: "in a distro", "在发行版中执行";
    /// After a line that is set already.
    DONE_ALREADY: "already set", "已设置";
    /// After a key whose line is to be removed.
    TO_TAKE_OUT: "to be removed", "应删除";
    /// What can be written.
    APPLY_HINT:
        "`underpass settings apply --goal {goal}` writes these lines to .wslconfig and wsl.conf \
         after asking.",
        "`underpass settings apply --goal {goal}` 会把这些行写入 .wslconfig 和 wsl.conf，写入前会\
         询问。";

    /// Of a finding that is bad.
    ERROR: "error", "错误";
    /// Of one that is less so.
    WARNING: "warning", "警告";
    /// Of one that is not.
    NOTE: "note", "提示";
    /// Where a value comes from. `line`: a number; `default`: what it would be else.
    FROM_LINE: "line {line} (default: {default})", "第 {line} 行（默认值：{default}）";
    /// No line sets it.
    FROM_DEFAULT: "default", "默认值";
    /// A line sets it to a value that cannot be read.
    FROM_BAD_LINE: "default, because line {line} cannot be read", "默认值（第 {line} 行无法识别）";
    /// Another source sets the value.
    FROM_OTHER: "set by {because}", "由{because}决定";
    /// Another source sets the value, against a line.
    FROM_OTHER_AGAINST_LINE:
        "set by {because}; line {line} has no effect",
        "由{because}决定，第 {line} 行不起作用";
    /// The source of a value: another setting.
    BY_SETTING: "{setting}", "设置“{setting}”";
    /// The source of a value: the version of Windows.
    BY_WINDOWS: "{windows}", "当前系统（{windows}）";
    /// The source of a value: a policy, by the name of its value in the registry.
    BY_POLICY: "the group policy {name}={value}", "组策略（{name}={value}）";
    /// The source of a value: a service of Windows.
    BY_SERVICE: "the running service {name}", "正在运行的 {name} 服务";
    /// The source of a value: IPv6 is switched off in Windows.
    BY_NO_IPV6: "DisabledComponents=0xFF in the registry", "注册表值（DisabledComponents=0xFF）";
    /// The source of a value: the function that DNS tunneling needs.
    BY_NO_DNS_QUERY_RAW:
        "a Windows without a working DnsQueryRaw",
        "当前系统（缺少可用的 DnsQueryRaw）";
    /// The source of a value: WSL, whatever is set.
    BY_WSL: "WSL itself", " WSL 自身";
    /// A file that is not there.
    NO_FILE: "no such file: all settings are defaults", "文件不存在：默认值（全部）";
    /// A link. `to`: where it leads.
    LINK_TO: "link to {to}", "指向 {to} 的符号链接";
    /// Neither link nor file is there.
    NOTHING_THERE: "does not exist", "不存在";
    /// A file of the distro's own.
    OWN_FILE: "a file of the distro's own", "发行版自己的文件";
    /// One that cannot be changed.
    OWN_IMMUTABLE_FILE:
        "a file of the distro's own, immutable (chattr +i)",
        "发行版自己的文件，不可修改（chattr +i）";
    /// Windows cannot be asked, or does not answer. `what`: for what; `why`: what came.
    NOT_ASKED: "cannot determine {what}: {why}", "无法得知{what}：{why}";
    /// The three that are asked for.
    WHAT_WSLCONFIG:
        "the location of .wslconfig (set it with --wslconfig)",
        " .wslconfig 的位置（可用 --wslconfig 指定）";
    /// The second.
    WHAT_HOST:
        "Windows' version and network (set with --windows-version, --host-facts)",
        " Windows 及其网络的情况（可用 --windows-version、--host-facts 指定）";
    /// The third.
    WHAT_WSL: "WSL's version (--wsl-version)", " WSL 的版本（可用 --wsl-version 指定）";
    /// Why, outside of WSL.
    NO_WSL: "this is not WSL", "当前系统不是 WSL";
    /// A change that brings a new finding.
    WOULD_BE_WRONG: "After this change there would be a problem:", "更改之后会有以下问题：";

    /// Nothing is to be written.
    NOTHING_TO_CHANGE: "Nothing to change.", "没有需要更改的内容。";
    /// Before what is not written.
    LEFT_TO_DO:
        "These steps cannot be written to a file; do them yourself:",
        "以下内容无法写入文件，需要手动完成：";
    /// The question.
    ASK_TO_WRITE: "Write this? [y/N]", "是否写入？[y/N]";
    /// The answer was no.
    NOT_WRITTEN: "Nothing was written.", "没有写入任何内容。";
    /// A dry run.
    DRY_RUN: "Nothing was written (--dry-run).", "没有写入任何内容（--dry-run）。";
    /// A file is written.
    WRITTEN:
        "{file} is written; its former content is kept in {backup}.",
        "已写入 {file}；原内容保存在 {backup}。";
    /// One that was not there before.
    WRITTEN_NEW: "{file} is written.", "已写入 {file}。";
    /// A file that cannot be changed, in a diff.
    IMMUTABLE: "immutable", "不可修改";
    /// How to take it back.
    UNDO_HINT: "`underpass settings undo` reverts it.", "`underpass settings undo` 可以撤销。";
    /// A file is as it was.
    RESTORED: "{file} is restored.", "{file} 已恢复原状。";
    /// resolv.conf is new at once.
    RESOLV_CONF_NOW:
        "Names are resolved with the new resolv.conf from now on; until the restart, WSL may \
         write it again.",
        "从现在起按新的 resolv.conf 解析域名；但在重启之前，WSL 可能会重新生成它。";
    /// Servers in an order that leaves the company's names unfound. `private`, `public`: addresses.
    COMPANY_SERVER_BEHIND:
        "{private} comes after {public}, and is queried only if that one does not answer. Put the \
         company's server first: a public one answers that the company's names do not exist.",
        "{private} 排在 {public} 之后，只有后者没有应答时才会查询它：请把公司的服务器放在最前面，\
         因为公共服务器会答复公司域名不存在。";
    /// dns auto found nothing to do.
    DNS_IS_AUTO: "WSL manages resolv.conf already.", "resolv.conf 已经由 WSL 管理。";
}

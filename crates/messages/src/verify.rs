//! Sentences of check lists (`underpass settings verify`, `underpass proxy test`): what is looked
//! at, what was seen, and what to try. Those of `proxy test` alone are in [`crate::proxies`].

sentences! {
    PASSED: "ok", "通过";
    FAILED: "failed", "失败";
    /// A state: there was nothing to look at.
    SKIPPED: "skipped", "跳过";
    /// The end of it.
    ALL_PASSED: "All checks passed.", "检查过的各项均正常。";
    /// The end of it.
    SOME_FAILED: "{failed} of {all} failed.", "共检查 {all} 项，{failed} 项失败。";

    MODE: "networking mode", "网络模式";
    SERVER: "DNS server {server}", "DNS 服务器 {server}";
    /// The item, if there is no server.
    SERVERS: "DNS servers", "DNS 服务器";
    PUBLIC_NAME: "public name {name}", "公网域名 {name}";
    OUTSIDE: "outside, {target}", "外网 {target}";
    EXIT: "exit address", "出口地址";
    /// The item. `variables`: those of the environment that name it.
    PROXY: "proxy of {variables}", "{variables} 指定的代理";
    /// The item, if no proxy is set.
    PROXIES: "proxy", "代理";
    COMPANY_HOST: "company host {target}", "公司内网主机 {target}";
    COMPANY_NAME: "company name {name}", "公司内网域名 {name}";

    /// Of the mode.
    NOT_WSL: "this is not WSL", "当前系统不是 WSL";
    /// Of the mode.
    MODE_NOT_COMPARED:
        "{mode} is in force; what .wslconfig asks for is unknown, because Windows could not be \
         queried: {why}",
        "当前是 {mode} 模式；无法查询 Windows，不知道 .wslconfig 的设置：{why}";
    /// Of the mode.
    MODE_AS_ASKED:
        "{mode} is in force, as set in .wslconfig; addresses of the VM: {own}",
        "{mode} 模式已生效，与 .wslconfig 一致；虚拟机的地址：{own}";
    /// Of the mode.
    MIRRORED_AS_ASKED:
        "mirrored is in force, as set in .wslconfig: VM and Windows share {shared}",
        "镜像模式（mirrored）已生效，与 .wslconfig 一致：虚拟机与 Windows 共用 {shared}";
    /// Of the mode.
    MODE_DIFFERS:
        ".wslconfig sets {asked}, but {mode} is in force",
        ".wslconfig 设置的是 {asked}，实际生效的是 {mode}";
    /// Of the mode.
    NOT_SHARED:
        "WSL reports mirrored, but no address of the VM ({own}) is one of Windows' ({windows})",
        "WSL 报告为镜像模式（mirrored），但虚拟机的地址（{own}）都不属于 Windows（{windows}）";
    RESTART_WSL:
        "If .wslconfig was changed since WSL started, run `wsl --shutdown` in Windows; `underpass \
         settings check` finds lines without effect.",
        "修改 .wslconfig 之后如果没有重启 WSL，请在 Windows 中执行 `wsl --shutdown`；`underpass \
         settings check` 会找出不起作用的行。";
    MIRRORED_NOT_IN_FORCE:
        "Run `wsl --shutdown` in Windows. If that does not help, this Windows is too old \
         (mirrored needs Windows 11 22H2), or WSL falls back and reports why when a distro \
         starts; `underpass settings recommend` then shows another way.",
        "请在 Windows 中执行 `wsl --shutdown`。如果仍不生效，要么 Windows 版本太旧（镜像模式需要 \
         Windows 11 22H2），要么 WSL 回退到了其他模式，启动发行版时会显示原因；`underpass \
         settings recommend` 会给出其他办法。";
    NAT_FELL_BACK:
        "Windows could not create the NAT network, so WSL fell back; often its subnet overlaps a \
         VPN's. `underpass settings recommend --goal vpn` suggests another subnet.",
        "Windows 没能建立 NAT 网络，WSL 因此回退；常见原因是网段与 VPN 重叠。`underpass settings \
         recommend --goal vpn` 会给出不冲突的网段。";

    /// Of a server.
    ANSWERS: "resolves {name} in {time}: {addresses}", "{time} 内解析 {name} 得到 {addresses}";
    /// Of a server.
    SILENT: "does not answer within {time}", "{time} 内没有应答";
    /// Of a server.
    CANNOT_BE_ASKED: "cannot be queried: {why}", "无法查询：{why}";
    /// Of a server. `code`: the error by its name in RFC 1035.
    ANSWERS_ERROR: "answers queries for {name} with {code}", "查询 {name} 时返回错误 {code}";
    /// Of a server.
    SAYS_NO_NAME: "reports that {name} does not exist", "答复称 {name} 不存在";
    /// Of a server.
    SAYS_NO_ADDRESS: "has no address for {name}", "没有 {name} 的地址";
    /// Of a server.
    NOT_USED:
        "is never used: programs only use the first {count} servers of resolv.conf",
        "不会被用到：程序只使用 resolv.conf 中的前 {count} 个服务器";
    /// Of a server.
    NOTHING_ASKED: "was not queried", "没有向它查询";
    /// Of resolv.conf.
    NO_SERVER: "{file} names no server", "{file} 中没有写任何服务器";
    ADVISE_DNS:
        "Let Windows resolve names (`dnsTunneling=true` under `[wsl2]` in .wslconfig, then `wsl \
         --shutdown`), or set a server that answers: `underpass settings dns manual --server \
         ADDRESS`.",
        "让 Windows 负责解析（在 .wslconfig 的 `[wsl2]` 下写 `dnsTunneling=true`，再执行 `wsl \
         --shutdown`），或者指定有应答的服务器：`underpass settings dns manual --server 地址`。";
    ADVISE_DNS_AUTO:
        "Give resolv.conf back to WSL: `underpass settings dns auto`.",
        "把 resolv.conf 交还给 WSL 管理：`underpass settings dns auto`。";

    /// Of a name.
    RESOLVED: "{server} returns {addresses}", "由 {server} 解析得到 {addresses}";
    /// Of a name.
    IN_HOSTS: "/etc/hosts has {addresses}", "/etc/hosts 中写的是 {addresses}";
    /// Of a name.
    DENIED: "{server} reports that it does not exist", "{server} 答复称它不存在";
    /// Of a name.
    WITHOUT_ADDRESS: "{server} has no address for it", "{server} 没有它的地址";
    /// Of a name.
    NO_SERVER_ANSWERS: "no DNS server answers queries for it", "没有 DNS 服务器应答";
    ADVISE_ORDER:
        "{server} knows the name, but is queried only if the servers before it do not answer. Put \
         it first: `underpass settings dns manual --server {server}`, and the others after it.",
        "{server} 能够解析，但只有排在前面的服务器都没有应答时才会查询它。请把它放在最前\
         面：`underpass settings dns manual --server {server}`，其余服务器写在后面。";
    ADVISE_COMPANY_DNS:
        "Only the company's DNS server knows such names. Let Windows resolve them \
         (`dnsTunneling=true`), or put that server first: `underpass settings dns manual --server \
         ADDRESS`; `ipconfig /all` shows it under the VPN's adapter.",
        "这类域名只有公司的 DNS 服务器认识。让 Windows 负责解析（`dnsTunneling=true`），或者把公司\
         的服务器放在最前面：`underpass settings dns manual --server 地址`；在 Windows 中执行 \
         `ipconfig /all`，可在 VPN 网卡下查到。";

    /// Of a connection.
    CONNECTED: "connected in {time}", "{time} 内连接成功";
    /// Of a connection.
    UNRESOLVED: "the name {name} cannot be resolved", "无法解析域名 {name}";
    /// Of a connection.
    REFUSED: "{address} refuses the connection", "{address} 拒绝连接";
    /// Of a connection.
    TIMED_OUT: "no answer from {address} within {time}", "{time} 内没有收到 {address} 的应答";
    /// Of a connection.
    UNREACHABLE: "{address} is unreachable: {why}", "无法到达 {address}：{why}";
    /// Of a connection.
    BY_PROXY_ONLY:
        "reachable through the proxy of {variables}",
        "通过 {variables} 指定的代理可以到达";
    ADVISE_DOCTOR:
        "`underpass doctor` finds the broken hop.",
        "`underpass doctor` 会找出断在哪一环。";
    ADVISE_COMPANY_HOST:
        "Is the VPN connected, and does Windows reach the host (`Test-NetConnection` in \
         PowerShell)? If Windows does and WSL does not, use the tunnel (`underpass up`), which \
         connects from Windows.",
        "VPN 连上了吗？Windows 自己能访问吗（在 PowerShell 中用 `Test-NetConnection` 测试）？如果 \
         Windows 能访问而 WSL 不能，请使用隧道（`underpass up`），由 Windows 建立连接。";

    /// Of the exit.
    EXIT_SEEN: "{url} sees {address}", "{url} 看到的是 {address}";
    /// Of a request.
    STATUS: "{url} answers with HTTP status {status}", "{url} 返回 HTTP 状态码 {status}";
    /// Of a request.
    SENDS_ON: "{url} redirects to {location}", "{url} 重定向到 {location}";
    /// Of a request.
    NO_ADDRESS_RETURNED: "the answer of {url} contains no address", "{url} 的应答中没有 IP 地址";
    /// Of a request.
    NOT_HTTP: "the answer for {url} is not HTTP", "{url} 的应答不是 HTTP";
    /// Of a request.
    NO_TLS: "no TLS connection with {host}: {why}", "无法与 {host} 建立 TLS 连接：{why}";
    ADVISE_ECHO:
        "`--echo URL` tries another service; it must answer with the caller's address.",
        "可以用 `--echo URL` 换一个服务，它需要在应答中写出访问者的 IP 地址。";
    ADVISE_TLS:
        "Usually the clock is wrong, or the company inspects TLS with its own certificate: \
         compare `date` with Windows' clock, or add the company's certificate to this distro \
         (`update-ca-certificates`).",
        "常见原因是时钟不准，或者公司用自己的证书检查 TLS 流量：请比较 `date` 与 Windows 的时间，\
         或把公司的证书装进这个发行版（`update-ca-certificates`）。";

    /// Of the proxy.
    PROXY_NOT_SET: "no proxy is set in this environment", "当前环境没有设置代理";
    /// Of the proxy.
    PROXY_NOT_USABLE: "{value} is not a usable proxy: {why}", "{value} 不是可用的代理：{why}";
    /// Of the proxy.
    PROXY_SAYS: "{proxy} does not forward the connection: {why}", "{proxy} 没有转发连接：{why}";
    /// Of the proxy.
    CLOSED: "{who} closed the connection without an answer", "{who} 没有应答就关闭了连接";
    /// Of the proxy.
    OTHER_EXIT:
        "in force: through {proxy}, {url} sees {address}; without it, {direct}",
        "已生效：经由 {proxy}，{url} 看到的是 {address}；不经代理则是 {direct}";
    /// Of the proxy.
    SAME_EXIT:
        "{proxy} works, but {url} sees {address} both with and without it",
        "{proxy} 可用，但无论是否经由代理，{url} 看到的都是 {address}";
    /// Of the proxy.
    ONLY_EXIT:
        "in force: through {proxy}, {url} sees {address}; without it, {url} is unreachable",
        "已生效：经由 {proxy}，{url} 看到的是 {address}；不经代理则无法访问";
    /// Of the proxy.
    PROXY_REACHES: "{proxy} reaches {target}", "通过 {proxy} 可以访问 {target}";
    ADVISE_ALLOW_LAN:
        "Is the proxy program running on Windows, on that port? WSL counts as another machine: \
         turn on 'Allow LAN' in Clash Verge, v2rayN and the like, and allow the port in Windows' \
         firewall. `underpass up --via` needs neither.",
        "Windows 上的代理软件在运行吗？端口对吗？对它来说 WSL 是另一台机器：请在 Clash \
         Verge、v2rayN 等软件中打开“允许局域网连接”（Allow LAN），并在 Windows 防火墙中放行该端\
         口。用 `underpass up --via` 则两者都不需要。";
    ADVISE_OWN_LOOPBACK:
        "In {mode} mode 127.0.0.1 is WSL itself, not Windows. `eval \"$(underpass proxy on)\"` \
         finds the right address.",
        "在 {mode} 模式下，127.0.0.1 是 WSL 自己，不是 Windows。`eval \"$(underpass proxy on)\"` \
         会找出正确的地址。";
    ADVISE_PROXY_STARTED:
        "Is the proxy program running, on that port? `underpass proxy test` tests it step by step.",
        "代理软件在运行吗？端口对吗？`underpass proxy test` 会逐步测试。";
    ADVISE_SAME_EXIT:
        "The proxy's rules may send this service directly: try a service that goes through the \
         proxy (`--echo URL`), or check the proxy program's mode (rule, global, direct).",
        "代理的规则可能让这个服务直连：用 `--echo URL` 换一个走代理的服务，或检查代理软件的模式\
         （规则、全局、直连）。";
}

//! The doctor's sentences about proxies, and about tools that have one of their own: step 4.

sentences! {
    SET: "{key} is {value} ({place}).", "{key} 的值为 {value}（{place}）。";
    /// How the environment is called as a place.
    SET_IN_ENVIRONMENT: "The variable {key} is {value}.", "环境变量 {key} 的值为 {value}。";

    /// A line of a shell's start file.
    START_LINE_SEEN: "Line {line} of {file} sets it: {text}", "{file} 第 {line} 行设置了它：{text}";
    FORGET_FIX: "Without a proxy, clear the variables:", "如果不用代理，清除这些变量：";
    /// Fix, where a start file sets them.
    FORGET_LINE_FIX:
        "Also remove line {line} of {file}, which sets {variable} again in each new shell.",
        "同时删除 {file} 的第 {line} 行，否则每个新 shell 都会再次设置 {variable}。";

    // ---- what is written
    WRITTEN: "A proxy setting is malformed", "代理设置写法有误";
    WRITTEN_SEEN: "It is not a usable proxy: {detail}", "它不是有效的代理：{detail}";
    WRITTEN_CAUSE:
        "The value is not a proxy address. Some programs ignore it, others fail.",
        "该值不是代理地址。有的程序会忽略它，有的会报错。";
    WRITTEN_FIX:
        "Write it as http://HOST:PORT or socks5://HOST:PORT.",
        "按 http://主机:端口 或 socks5://主机:端口 的形式重新设置。";

    // ---- the nameserver's address
    NAMESERVER:
        "A proxy setting uses the address of a nameserver",
        "代理地址误用了 DNS 服务器的地址";
    NAMESERVER_SEEN:
        "The value contains {servers}, which resolv.conf lists as a nameserver.",
        "该值中的 {servers} 是 resolv.conf 中的 DNS 服务器。";
    NAMESERVER_LINE_SEEN:
        "Line {line} of {file} reads {variable} from resolv.conf: {text}",
        "{file} 第 {line} 行从 resolv.conf 读取 {variable}：{text}";
    NAMESERVER_CAUSE:
        "The address comes from resolv.conf, which holds the Windows host's address only in NAT \
         mode without DNS tunneling. Here it is only a nameserver's address, and no proxy listens \
         there.",
        "该地址取自 resolv.conf，而只有在未启用 DNS 隧道的 NAT 模式下，其中才是 Windows 主机的地\
         址。这里它只是 DNS 服务器的地址，并没有代理在监听。";
    NAMESERVERS_CAUSE:
        "The value contains the addresses of all nameservers in resolv.conf, so it is not a proxy \
         address.",
        "该值包含了 resolv.conf 中所有 DNS 服务器的地址，因此不是有效的代理地址。";
    NAMESERVER_LINE_FIX:
        "Let the start file look up the Windows host, which works in every mode:",
        "让启动文件查询 Windows 主机的地址，在任何模式下都适用：";
    NAMESERVER_HAND_FIX:
        "In {file}, line {line}, take the address from `{command}`.",
        "在 {file} 第 {line} 行，改用 `{command}` 取得地址。";

    // ---- loopback
    LOOPBACK: "WSL cannot reach a proxy at 127.0.0.1", "WSL 无法访问 127.0.0.1 上的代理";
    LOOPBACK_CAUSE:
        "In {mode} mode 127.0.0.1 is the VM itself, but the proxy program listens on Windows.",
        "在 {mode} 模式下，127.0.0.1 是虚拟机自己，而代理软件运行在 Windows 上。";
    LOOPBACK_LAN_FIX:
        "In the proxy program turn on 'Allow LAN' (Clash Verge: Settings, 'Allow LAN'; v2rayN: \
         Settings, 'Allow connections from the LAN'): in this mode WSL counts as another machine.",
        "在代理软件中打开“允许局域网连接”（Clash Verge：设置 → 局域网连接（Allow LAN）；v2rayN：参\
         数设置 → 允许来自局域网的连接）：在此模式下，WSL 对它来说是另一台机器。";

    // ---- Allow LAN
    ALLOW_LAN:
        "The proxy program on Windows rejects connections from WSL",
        "Windows 上的代理软件不接受来自 WSL 的连接";
    ALLOW_LAN_LOOPBACK_SEEN:
        "On Windows itself port {port} is open at 127.0.0.1.",
        "在 Windows 本机上，127.0.0.1 的端口 {port} 是开放的。";
    ALLOW_LAN_SYSTEM_SEEN:
        "Windows' own proxy setting is {proxy}.",
        "Windows 系统代理设置为 {proxy}。";
    ALLOW_LAN_CAUSE:
        "The proxy program listens only for Windows. In {mode} mode WSL counts as another \
         machine, so the variables have no effect.",
        "代理软件只监听 Windows 本机。在 {mode} 模式下，WSL 对它来说是另一台机器，所以代理变量设了\
         也不生效。";
    ALLOW_LAN_MAYBE_CAUSE:
        "The proxy program listens only for Windows, or Windows' firewall blocks connections from \
         WSL, or the program is not running.",
        "代理软件只监听 Windows 本机，或者 Windows 防火墙拦截了来自 WSL 的连接，或者代理软件没有运\
         行。";
    ALLOW_LAN_FIX:
        "In the proxy program turn on 'Allow LAN' (Clash Verge: Settings, 'Allow LAN'; v2rayN: \
         Settings, 'Allow connections from the LAN').",
        "在代理软件中打开“允许局域网连接”（Clash Verge：设置 → 局域网连接（Allow LAN）；v2rayN：参\
         数设置 → 允许来自局域网的连接）。";
    ALLOW_LAN_FIREWALL_FIX:
        "If it is already on, allow WSL in Windows' firewall:",
        "如果已经打开，请让 Windows 防火墙放行来自 WSL 的连接：";
    ALLOW_LAN_TUNNEL_FIX:
        "Or use Underpass' tunnel: {host} reaches Windows' own 127.0.0.1, and 'Allow LAN' is not \
         needed.",
        "或者通过 Underpass 隧道：地址 {host} 直达 Windows 本机的 127.0.0.1，不需要“允许局域网连\
         接”。";

    // ---- not running
    RUNNING: "Nothing listens on the proxy's port", "代理端口没有监听";
    RUNNING_WINDOWS_CAUSE:
        "No program on Windows listens on that port: the proxy program is not running, or uses \
         another port.",
        "Windows 上没有程序监听该端口：代理软件没有运行，或者使用了别的端口。";
    RUNNING_CAUSE:
        "No program accepts connections at that address and port, or a firewall blocks them.",
        "该地址和端口上没有程序接受连接，或者被防火墙拦截。";
    RUNNING_FIX:
        "Start the proxy program and check its port (Clash Verge: Settings, 'Port Config'; \
         v2rayN: at the bottom of its window).",
        "启动代理软件并核对端口（Clash Verge：设置 → 端口设置；v2rayN：窗口底部状态栏）。";

    // ---- name
    NAME: "The proxy's host name cannot be resolved", "代理的主机名无法解析";
    NAME_SEEN: "The host name {host} cannot be resolved.", "无法解析主机名 {host}。";
    NAME_CAUSE:
        "The name is misspelled, or it is an internal name that only the company's DNS servers \
         know.",
        "名称写错了，或者它是只有公司 DNS 服务器才认识的内网域名。";
    NAME_FIX:
        "Correct the name, or use the IP address instead. On Windows, look it up with:",
        "更正名称，或改用 IP 地址。可在 Windows 上查询：";

    // ---- protocol
    PROTOCOL: "The proxy speaks another protocol than the setting says", "代理的协议与设置不一致";
    PROTOCOL_SEEN:
        "The port is open, but does not speak {asked}.",
        "端口是开放的，但不支持 {asked} 协议。";
    PROTOCOL_OTHER_CAUSE:
        "The port speaks {spoken}: the setting has the wrong scheme, or the wrong port of the \
         proxy program.",
        "该端口使用的是 {spoken}：设置中的协议写错了，或者填成了代理软件的另一个端口。";
    PROTOCOL_NEITHER_CAUSE:
        "The port speaks neither HTTP CONNECT nor SOCKS5: another program uses it.",
        "该端口既不支持 HTTP CONNECT 也不支持 SOCKS5：占用它的是别的程序。";
    PROTOCOL_FIX: "Set the protocol that it speaks:", "按实际协议设置：";
    PROTOCOL_PORT_FIX:
        "Look up the right port in the proxy program and set it.",
        "在代理软件中查看正确的端口并重新设置。";

    // ---- authentication
    LOGIN: "The proxy requires authentication", "代理要求身份验证";
    LOGIN_SEEN:
        "The proxy at {host}:{port} requires a user name and password, or rejects the ones given.",
        "代理 {host}:{port} 要求用户名和密码，或者不接受已提供的用户名和密码。";
    LOGIN_CAUSE:
        "The setting has no user name and password, or they have changed.",
        "设置中没有用户名和密码，或者它们已经更改。";
    LOGIN_FIX:
        "Add them to the address, with special characters as %XX:",
        "把它们写进代理地址，特殊字符用 %XX 表示：";

    // ---- the proxy's own way
    REQUEST: "The proxy cannot reach the internet", "代理无法访问外网";
    REQUEST_SEEN:
        "The proxy at {host}:{port} accepts the request, but does not reach {target}: {detail}",
        "代理 {host}:{port} 接受了请求，但无法访问 {target}：{detail}";
    REQUEST_CAUSE:
        "The proxy is reachable but cannot get out itself: the server (node) that it uses is \
         down, or its rules reject this target.",
        "代理可以连接，但它自己无法访问外网：所选节点失效，或者规则拒绝了这个目标。";
    REQUEST_FIX:
        "In the proxy program, test the nodes, choose one that works, and look at the log for \
         this request. Then try again:",
        "在代理软件中测试节点，选择可用的节点，并查看该请求的日志。然后重试：";

    // ---- how it is written
    BLANK: "A proxy setting begins or ends with a space", "代理设置的首尾有空格";
    BLANK_CAUSE:
        "The value begins or ends with a space, which programs read as part of the address: curl, \
         git and others fail.",
        "该值的开头或结尾有空格，程序会把它当作地址的一部分：curl、git 等会直接报错。";
    TLS:
        "A proxy setting says https://, but the proxy does not use TLS",
        "代理设置为 https://，而代理不使用 TLS";
    TLS_CAUSE:
        "https:// before a proxy's address means TLS to the proxy itself, but this proxy speaks \
         plain HTTP. Requests for https:// pages also work through http:// proxies.",
        "代理地址前的 https:// 表示与代理本身建立 TLS 连接，而这个代理使用的是明文 HTTP。通过 \
         http:// 形式的代理，同样可以访问 https:// 网页。";
    PORT: "A proxy setting has no port", "代理设置没有写端口";
    PORT_CAUSE:
        "The value has no port. curl, git and cargo then use 1080; wget, pip, npm and Go use 80 \
         (443 for https://).",
        "该值没有写端口。此时 curl、git 和 cargo 使用 1080，而 wget、pip、npm 和 Go 使用 \
         80（https:// 为 443）。";
    SCHEME: "A proxy setting has no scheme", "代理设置没有写协议";
    SCHEME_CAUSE:
        "The value has no scheme. curl, git and Go assume http://; apt, npm and others fail.",
        "该值没有写协议。curl、git 和 Go 会当作 http://，而 apt、npm 等会报错。";

    // ---- excepted from it
    EXCLUDED: "The exceptions exclude every host", "例外列表排除了所有主机";
    EXCLUDED_CAUSE:
        "A * excludes every host: programs connect directly, as if no proxy were set.",
        "* 会排除所有主机：程序将直接连接，就像没有设置代理一样。";
    EXCLUDED_FIX:
        "Remove the exceptions, or list only single hosts:",
        "清除例外列表，或只列出个别主机：";

    // ---- needed, not set
    NEEDED: "Only a proxy leads out, but none is set", "只能通过代理上网，但没有设置代理";
    NEEDED_SEEN: "Windows uses a proxy: {proxy}.", "Windows 使用了代理：{proxy}。";
    NEEDED_NONE_SEEN: "No proxy variable is set here.", "这里没有设置任何代理变量。";
    NEEDED_CAUSE:
        "Only the proxy reaches the outside, and WSL does not use it.",
        "只有代理能通往外网，而 WSL 没有使用它。";
    NEEDED_AUTO_OFF_CAUSE:
        "Only the proxy reaches the outside, and autoProxy, which passes Windows' setting on to \
         WSL, is off.",
        "只有代理能通往外网，而负责把 Windows 代理设置传给 WSL 的 autoProxy 被关闭了。";
    NEEDED_LOCAL_CAUSE:
        "Only the proxy reaches the outside. It listens on Windows' own 127.0.0.1, and WSL does \
         not pass such a setting on in {mode} mode.",
        "只有代理能通往外网。代理位于 Windows 本机的 127.0.0.1，在 {mode} 模式下 WSL 不会传递这样\
         的设置。";
    NEEDED_FIX: "Use Windows' setting in this shell:", "在当前 shell 中使用 Windows 的代理设置：";
    NEEDED_VIA_FIX:
        "Or let the tunnel use the proxy, so that no program needs a setting:",
        "或者让隧道通过该代理连接，这样任何程序都无需设置：";
    NEEDED_AUTO_FIX:
        "Or let WSL apply Windows' setting automatically:",
        "或者让 WSL 自动沿用 Windows 的代理设置：";

    // ---- the system proxy
    SYSTEM:
        "Windows has no proxy setting for autoProxy to pass on",
        "Windows 没有可供 autoProxy 沿用的代理设置";
    SYSTEM_SEEN: "Windows has no proxy set.", "Windows 没有设置代理。";
    SYSTEM_CAUSE:
        "autoProxy passes Windows' setting on, but Windows has none: the proxy program has not \
         set itself as the system proxy.",
        "autoProxy 只会沿用 Windows 的代理设置，而 Windows 没有设置：代理软件没有把自己设为系统代\
         理。";
    SYSTEM_FIX:
        "In the proxy program turn on 'System Proxy' (Clash Verge: Settings, 'System Proxy'; \
         v2rayN: 'Set system proxy'), then restart WSL:",
        "在代理软件中打开“系统代理”（Clash Verge：设置 → 系统代理；v2rayN：自动配置系统代理），然\
         后重启 WSL：";

    // ---- one spelling only
    SPELLING: "A proxy variable is set in only one spelling", "代理变量只设置了大写或小写中的一种";
    SPELLING_SEEN: "{set} is set, but {missing} is not.", "已设置 {set}，没有设置 {missing}。";
    SPELLING_CAUSE:
        "Some programs read only one spelling: curl reads http_proxy only in lower case, others \
         read only upper case.",
        "有些程序只认其中一种：curl 只认小写的 http_proxy，另一些程序只认大写。";

    // ---- apt
    APT: "apt cannot reach the internet", "apt 无法访问外网";
    APT_NONE_SEEN:
        "apt has no proxy setting of its own, and nothing gets out without a proxy.",
        "apt 没有单独设置代理，而不经过代理就无法访问外网。";
    APT_NONE_CAUSE:
        "The shell's proxy variables work, but sudo does not pass them on to apt, so `apt update` \
         waits until it times out.",
        "当前 shell 的代理变量可用，但 sudo 不会把它们传给 apt，所以 `apt update` 会一直等到超时。";
    APT_DEAD_CAUSE:
        "apt uses the proxy in its own configuration, and that proxy does not answer.",
        "apt 使用自己配置文件中的代理，而该代理没有应答。";

    // ---- git
    GIT: "git's own proxy does not work", "git 自己的代理不可用";
    GIT_CAUSE:
        "git uses its own proxy setting, which takes precedence over the variables, and that \
         proxy does not answer, so `git clone` hangs.",
        "git 使用自己配置的代理（优先于环境变量），而该代理没有应答，所以 `git clone` 会卡住。";
    GIT_DIRECT: "git bypasses the proxy", "git 绕过了代理";
    GIT_DIRECT_CAUSE:
        "git's own http.proxy is empty. It takes precedence over the variables and means no \
         proxy, but nothing gets out without one, so `git clone` hangs.",
        "git 自己的 http.proxy 为空：它优先于环境变量，表示不使用代理，而不经过代理无法访问外网，\
         所以 `git clone` 会卡住。";
    GIT_DIRECT_FIX:
        "Remove the setting; git then uses the variables:",
        "删除该设置，git 就会使用环境变量：";
    GIT_REWRITE: "git uses a mirror that does not answer", "git 使用的镜像没有应答";
    GIT_REWRITE_SEEN:
        "{place} makes git use {base} instead of {of}.",
        "{place} 让 git 用 {base} 代替 {of}。";
    GIT_REWRITE_CAUSE:
        "git replaces the beginning of addresses (url.*.insteadOf), and the host that it then \
         uses does not answer, so `git clone` hangs.",
        "git 会替换地址的开头部分（url.*.insteadOf），而替换后的主机没有应答，所以 `git clone` 会\
         卡住。";
    GIT_REWRITE_FIX: "Remove the replacement:", "删除该替换：";
    SSH: "git cannot reach the internet over ssh", "git 无法通过 ssh 访问外网";
    SSH_CAUSE:
        "Remotes such as git@host use ssh, which ignores proxy variables, and port 22 is blocked \
         on the path, so `git clone` hangs.",
        "git@主机 形式的仓库使用 ssh，而 ssh 不理会代理变量，链路上又封了 22 端口，所以 `git \
         clone` 会卡住。";
    SSH_DEAD_CAUSE:
        "ssh uses the proxy in its ProxyCommand, and that proxy does not answer, so `git clone` \
         hangs.",
        "ssh 使用 ProxyCommand 中的代理，而该代理没有应答，所以 `git clone` 会卡住。";
    SSH_PROXY_FIX:
        "Let ssh use the proxy too (nc is in the package netcat-openbsd):",
        "让 ssh 也通过代理连接（nc 在 netcat-openbsd 软件包中）：";
    SSH_443_FIX:
        "Or let ssh use port 443, which GitHub also supports:",
        "或者让 ssh 使用 443 端口（GitHub 支持）：";
    SSH_TUN_FIX:
        "Or let the proxy program take all connections, including those of programs without proxy \
         support: turn on its TUN mode (Clash Verge: Settings, 'Tun Mode'; v2rayN: 'Enable Tun').",
        "或者让代理软件接管所有连接，包括不支持代理的程序：打开 TUN 模式（Clash Verge：设置 → 虚拟\
         网卡模式（TUN）；v2rayN：启用 Tun 模式）。";

    // ---- other tools
    TOOLS_GOOD_FIX: "Use {proxy}, which works:", "改用可用的 {proxy}：";
    TOOLS_REMOVE_FIX: "Remove the settings that do not work:", "删除不可用的设置：";
    TOOLS_BY_HAND_FIX:
        "Remove {key} from {file} with an editor.",
        "用编辑器删除 {file} 中的 {key}。";
    TOOLS: "Proxies of other tools do not work", "其他工具各自的代理不可用";
    TOOLS_CAUSE:
        "These tools use their own settings, which take precedence over the variables, and that \
         proxy does not answer.",
        "这些工具使用各自的设置（优先于环境变量），而其中的代理没有应答。";
    DOCKER: "Docker cannot reach the internet", "Docker 无法访问外网";
    DOCKER_SEEN:
        "Docker has no proxy setting of its own, and nothing gets out without a proxy.",
        "Docker 没有单独设置代理，而不经过代理就无法访问外网。";
    DOCKER_CAUSE:
        "Docker's daemon is a service and does not see the shell's variables, so `docker pull` \
         times out.",
        "Docker 守护进程是系统服务，看不到 shell 中的变量，所以 `docker pull` 会超时。";

    // ---- Docker's rules
    DOCKER_SUBNET:
        "Docker's networks overlap one that you need",
        "Docker 的网段与需要访问的网络重叠";
    DOCKER_SUBNET_SEEN:
        "Docker's {link} uses {subnet}, which contains {address}.",
        "Docker 的 {link} 使用 {subnet}，而 {address} 位于其中。";
    DOCKER_SUBNET_CAUSE:
        "Traffic for the company goes into Docker's own network instead, where that address does \
         not exist.",
        "本应发往公司内网的流量被送进了 Docker 自己的网络，而那里没有这个地址。";
    DOCKER_SUBNET_HINT:
        "Docker's networks overlap a route of Windows",
        "Docker 的网段与 Windows 的路由重叠";
    DOCKER_SUBNET_HINT_SEEN:
        "Docker's {link} uses {subnet}, and Windows has a route to {other}.",
        "Docker 的 {link} 使用 {subnet}，而 Windows 有一条到 {other} 的路由。";
    DOCKER_SUBNET_HINT_CAUSE:
        "Hosts of that network with addresses in Docker's range cannot be reached from WSL.",
        "该网络中地址落在 Docker 网段内的主机，将无法从 WSL 访问。";
    DOCKER_SUBNET_FIX:
        "Give Docker other addresses, then restart it and recreate its networks:",
        "给 Docker 换一个网段，然后重启并重新创建其网络：";
    DOCKER_FORWARD:
        "Docker's rules drop what other bridges forward",
        "Docker 的规则丢弃了其他网桥的转发流量";
    DOCKER_FORWARD_SEEN:
        "Docker set the default policy for forwarded packets to drop, and {link} is not one of \
         Docker's bridges.",
        "Docker 把转发的默认策略设为丢弃，而 {link} 不是 Docker 的网桥。";
    DOCKER_FORWARD_CAUSE:
        "Docker drops forwarded traffic that is not its own: machines and containers on other \
         bridges have no network.",
        "Docker 会丢弃不属于它的转发流量，接在其他网桥上的虚拟机和容器因此没有网络。";
    DOCKER_FORWARD_FIX:
        "Allow that bridge in the chain that Docker reserves for users:",
        "在 Docker 留给用户的链中放行该网桥：";
}

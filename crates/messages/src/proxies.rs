//! What `underpass proxy` says.

sentences! {
    /// The proxy is on in a shell.
    ON:
        "The proxy {proxy} is on in this shell; evaluate `underpass proxy off` to turn it off.",
        "已在此 shell 中启用代理 {proxy}；用 eval 执行 `underpass proxy off` 即可关闭。";
    /// Standard output is a terminal, so no shell evaluates the lines.
    NOT_EVALUATED:
        "Nothing is set yet: the shell must evaluate these lines. Run: {command}",
        "尚未设置任何变量：以上内容要由 shell 执行。请运行：{command}";
    /// How the host was found.
    HOST_MIRRORED:
        "WSL is in mirrored mode: 127.0.0.1 is Windows' own.",
        "WSL 处于镜像模式（mirrored）：127.0.0.1 就是 Windows 本机。";
    /// How the host was found.
    HOST_TUNNEL:
        "{host} is Windows' own 127.0.0.1, reached through the tunnel: the proxy program needs no \
         'Allow LAN', but the tunnel must stay up.",
        "{host} 是经由隧道到达的 Windows 本机 127.0.0.1：代理软件无需开启“允许局域网连接”（Allow \
         LAN），但隧道必须保持运行。";
    /// How the host was found.
    HOST_GATEWAY:
        "{host} is the Windows host (WSL's mode: {mode}): the proxy program must have 'Allow LAN' \
         on, and Windows' firewall must let WSL in. The address may change when WSL restarts.",
        "{host} 是 Windows 主机（WSL 的网络模式：{mode}）：代理软件必须打开“允许局域网连\
         接”（Allow LAN），Windows 防火墙也要放行。WSL 重启后该地址可能改变。";
    /// A SOCKS proxy in the environment.
    SOCKS_NOT_FOR_ALL:
        "wget, Yarn and apt do not accept socks5:// from the environment; use the proxy's HTTP \
         port for them (--scheme http).",
        "wget、Yarn 和 apt 不接受环境变量中的 socks5://；对这些工具请使用代理的 HTTP 端口\
         （--scheme http）。";
    /// Windows' own setting says that nothing is needed.
    WINDOWS_DIRECT: "Windows reaches {url} without a proxy.", "Windows 访问 {url} 时不使用代理。";
    /// The proxy is off again.
    OFF: "The proxy is off: the variables are restored.", "代理已关闭：各变量已恢复原状。";
    /// Every variable was unset.
    OFF_ALL: "This shell has no proxy variables any more.", "此 shell 中已没有任何代理变量。";
    /// There is nothing to switch off.
    OFF_NOTHING:
        "Nothing to turn off: `underpass proxy on` was not evaluated in this shell. --all unsets \
         every proxy variable, however it was set.",
        "没有可关闭的代理：此 shell 中未执行过 `underpass proxy on`。加上 --all 可清除所有代理变\
         量，无论是谁设置的。";
    /// Variables that were changed since.
    OFF_LEFT:
        "Left unchanged, because they were changed after the proxy was turned on: {names}.",
        "以下变量在启用代理之后又被修改过，保持不变：{names}。";
    /// A tool's setting was made in a file.
    APPLIED: "{tool}: uses {proxy}, set in {path}", "{tool}：已使用 {proxy}，设置位于 {path}";
    /// A tool's setting was made by its command.
    APPLIED_BY_COMMAND:
        "{tool}: uses {proxy}, set by `{command}` in {path}",
        "{tool}：已使用 {proxy}，由 `{command}` 写入 {path}";
    /// Nothing had to be changed.
    UNCHANGED:
        "{tool}: already uses {proxy}, set in {path}",
        "{tool}：已在使用 {proxy}（{path}），无需更改";
    /// A tool's command failed, so that its file was written.
    COMMAND_FAILED:
        "{tool}: `{command}` failed ({problem}), so its file was written directly",
        "{tool}：`{command}` 执行失败（{problem}），已直接写入其配置文件";
    /// See `Note::ContainersLoopback`.
    NOTE_CONTAINERS_LOOPBACK:
        "In a container, 127.0.0.1 is the container itself: containers started from now on cannot \
         reach this proxy. Set an address that they can reach with --host.",
        "容器内的 127.0.0.1 是容器自身：此后启动的容器将无法访问该代理。请用 --host 指定容器可以访\
         问的地址。";
    /// See `Note::RestartDocker`.
    NOTE_RESTART_DOCKER:
        "Docker's daemon reads the setting when it restarts: systemctl daemon-reload && systemctl \
         restart docker (without systemd: service docker restart). This may stop running \
         containers.",
        "Docker 守护进程重启后才会生效：`systemctl daemon-reload && systemctl restart docker`（没\
         有 systemd 时：`service docker restart`）。正在运行的容器可能因此停止。";
    /// See `Note::DaemonNeedsRoot`.
    NOTE_DAEMON_NEEDS_ROOT:
        "Docker's daemon pulls images, and its setting belongs to root: run the same command with \
         sudo to set it.",
        "拉取镜像由 Docker 守护进程完成，其设置属于 root：如需设置，请用 sudo 再次运行同一命令。";
    /// See `Note::PipSocks`.
    NOTE_PIP_SOCKS:
        "pip can use a SOCKS proxy only if the package PySocks is installed; install it some \
         other way first.",
        "只有安装了 PySocks 包，pip 才能使用 SOCKS 代理；请先通过其他途径安装它。";
    /// See `Note::Readable`.
    NOTE_READABLE:
        "The proxy's password is now in a file that every user of this distro can read.",
        "代理密码现在位于本发行版所有用户都可读取的文件中。";
    /// See `Note::GitSsh`.
    NOTE_GIT_SSH:
        "git uses this setting for http and https; addresses such as git@HOST:… use ssh, which \
         needs a ProxyCommand in ~/.ssh/config.",
        "git 的这项设置只对 http 和 https 有效；git@主机:… 这类地址使用 ssh，需要在 ~/.ssh/config \
         中配置 ProxyCommand。";
    /// A tool's setting was given back.
    REMOVED: "{tool}: {path} is restored", "{tool}：{path} 已恢复原状";
    /// Another program or the user has changed some of it since.
    REMOVED_LEFT:
        "{tool}: these settings in {path} were changed later and stay: {keys}",
        "{tool}：{path} 中的以下设置后来又被修改过，予以保留：{keys}";
    /// There is nothing to take back.
    NOTHING_TO_REMOVE:
        "Nothing to revert: `underpass proxy apply` has set nothing here.",
        "没有可撤销的设置：`underpass proxy apply` 没有在这里设置过任何内容。";
    /// Test: the variables.
    TEST_ENVIRONMENT: "proxy variables of this environment", "当前环境的代理变量";
    /// Test: the port.
    TEST_PORT: "the port of {proxy} is open", "{proxy} 的端口可以连接";
    /// Test: HTTP.
    TEST_CONNECT: "{proxy} speaks HTTP CONNECT", "{proxy} 支持 HTTP CONNECT";
    /// Test: SOCKS5.
    TEST_SOCKS: "{proxy} speaks SOCKS5", "{proxy} 支持 SOCKS5";
    /// Test: a request by address.
    TEST_ADDRESS: "a request by address: {url}", "按 IP 地址请求：{url}";
    /// Test: a page.
    TEST_REQUEST: "a request: {url}", "请求：{url}";
    /// Test: the machine's own resolver.
    TEST_DNS: "{host} resolves here", "本机解析 {host}";
    /// Test: what it says.
    RESOLVED: "{host} resolves to {addresses}", "{host} 解析得到 {addresses}";
    /// Test: by its address the page comes.
    PROXY_RESOLVES_NOT:
        "the page loads by its address: the proxy does not resolve the name, or its rules reject \
         it",
        "按地址可以访问：代理无法解析该域名，或其规则拒绝了它";
    /// Test: the other protocol.
    OTHER_SPOKEN: "yes: set it as {proxy}", "支持：请设置为 {proxy}";
    /// Test: the other protocol.
    OTHER_NOT_SPOKEN: "no, not either", "同样不支持";
    /// Test: a tool's setting.
    TEST_TOOL:
        "a request with {tool}'s setting: {proxy} ({place})",
        "用 {tool} 的设置请求：{proxy}（{place}）";
    /// Test: nothing set.
    NONE_SET: "none is set", "均未设置";
    /// Test: upper and lower case differ.
    CASES_DIFFER:
        "{upper} and {lower} have different values, so programs use different proxies",
        "{upper} 与 {lower} 的值不同，各程序会使用不同的代理";
    /// Test: the variables that are set.
    ARE_SET: "set: {names}", "已设置：{names}";
    /// Test: not tried.
    NOT_RESOLVED: "does not resolve, so the proxy has to resolve it", "无法解析，需由代理解析";
    /// Test: no answer.
    NO_ANSWER: "no answer within {seconds} s", "{seconds} 秒内没有应答";
    /// Test: a program accepts connections.
    PORT_OPEN: "connected", "已连接";
    /// Test: what the server answered.
    ANSWERED: "answered {status}", "应答 {status}";
    /// Test: what the server answered.
    LOGIN_REQUIRED:
        "{status}: the proxy requires a user and password, in its URL as USER:PASSWORD@HOST",
        "{status}：代理要求用户名和密码，请写进代理地址，形式为 用户名:密码@主机";
    /// Test: what the server answered.
    NOT_ALLOWED:
        "{status}: the proxy or the server does not allow it",
        "{status}：代理或服务器不允许访问";
    /// Test: what the server answered.
    NOT_A_STATUS: "the answer is not HTTP: {line}", "应答不是 HTTP：{line}";
    /// Test: the tunnel alone was judged.
    TUNNEL_STANDS: "the tunnel to {target} is established", "到 {target} 的连接已由代理建立";
    /// Test: a closed port on the Windows host.
    HINT_PORT:
        "Is the proxy program running, and is this its port? A proxy on the Windows host, reached \
         by its address, must have 'Allow LAN' on; the address may have changed with a restart of \
         WSL.",
        "代理软件是否在运行，端口是否正确？通过地址访问 Windows 主机上的代理时，代理软件必须打开\
         “允许局域网连接”（Allow LAN）；WSL 重启后地址也可能改变。";
}

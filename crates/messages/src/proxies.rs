//! What `underpass proxy` says.

sentences! {
    /// The proxy is on in a shell.
    ON:
        "The proxy {proxy} is on in this shell; `underpass proxy off`, evaluated as well, takes it back.",
        "已在此 shell 中启用代理 {proxy}；同样以 eval 执行 `underpass proxy off` 即可撤销。";
    /// Standard output is a terminal, so nobody evaluates the lines.
    NOT_EVALUATED:
        "Nothing is set yet: these lines are for the shell. Run: {command}",
        "尚未设置任何变量：以上内容需要由 shell 执行。请运行：{command}";
    /// How the host was found.
    HOST_MIRRORED:
        "WSL's mode is mirrored: 127.0.0.1 is Windows' own.",
        "WSL 处于 mirrored（镜像）模式：127.0.0.1 就是 Windows 本机。";
    /// How the host was found.
    HOST_TUNNEL:
        "{host} is Windows' own 127.0.0.1, reached by the tunnel: the proxy program needs no 'Allow LAN', but the tunnel has to be up.",
        "{host} 是经由隧道到达的 Windows 本机 127.0.0.1：代理软件无需开启“允许局域网连接”（Allow LAN），但隧道必须保持运行。";
    /// How the host was found.
    HOST_GATEWAY:
        "{host} is the Windows host (WSL's mode: {mode}): the proxy program must have 'Allow LAN' on, and Windows' firewall must let it be reached. The address may be another after WSL has been restarted.",
        "{host} 是 Windows 主机（WSL 模式：{mode}）：代理软件必须开启“允许局域网连接”（Allow LAN），Windows 防火墙也要放行。WSL 重启后该地址可能改变。";
    /// A SOCKS proxy in the environment.
    SOCKS_NOT_FOR_ALL:
        "wget, Yarn and apt take no socks5:// from the environment; for them give the proxy's HTTP port (--scheme http).",
        "wget、Yarn 和 apt 不接受环境变量中的 socks5://；请为它们使用代理的 HTTP 端口（--scheme http）。";
    /// Windows' own setting says that nothing is needed.
    WINDOWS_DIRECT:
        "Windows goes to {url} without a proxy.",
        "Windows 访问 {url} 时不使用代理。";
    /// The proxy is off again.
    OFF:
        "The proxy is off: the variables are as they were before.",
        "代理已关闭：各变量已恢复原状。";
    /// Every variable was unset.
    OFF_ALL:
        "No proxy variable is set any more in this shell.",
        "此 shell 中已没有任何代理变量。";
    /// There is nothing to switch off.
    OFF_NOTHING:
        "Nothing to switch off: `underpass proxy on` was not evaluated in this shell. With --all every proxy variable is unset, whoever set it.",
        "没有可关闭的代理：此 shell 中未执行过 `underpass proxy on`。加上 --all 可清除所有代理变量，无论由谁设置。";
    /// Variables that were changed since.
    OFF_LEFT:
        "Left as they are, since they were changed after the proxy was switched on: {names}.",
        "以下变量在启用代理之后又被修改过，因此保持不变：{names}。";
    /// A tool's setting was made in a file.
    APPLIED:
        "{tool}: uses {proxy}, set in {path}",
        "{tool}：已使用 {proxy}，设置位于 {path}";
    /// A tool's setting was made by its command.
    APPLIED_BY_COMMAND:
        "{tool}: uses {proxy}, set by `{command}` in {path}",
        "{tool}：已使用 {proxy}，由 `{command}` 写入 {path}";
    /// Nothing had to be changed.
    UNCHANGED:
        "{tool}: uses {proxy} already, by {path}",
        "{tool}：已在使用 {proxy}（{path}），无需更改";
    /// A tool's command failed, so that its file was written.
    COMMAND_FAILED:
        "{tool}: `{command}` failed ({problem}), so its file was written instead",
        "{tool}：`{command}` 执行失败（{problem}），因此改为直接写入其配置文件";
    /// See `Note::ContainersLoopback`.
    NOTE_CONTAINERS_LOOPBACK:
        "In a container 127.0.0.1 is the container itself: containers that are started from now on will not reach this proxy. Give an address that they can reach with --host.",
        "在容器内 127.0.0.1 指容器自身：此后启动的容器将无法访问该代理。请用 --host 指定容器可以访问的地址。";
    /// See `Note::RestartDocker`.
    NOTE_RESTART_DOCKER:
        "Docker's daemon takes it when it is started anew: systemctl daemon-reload && systemctl restart docker (without systemd: service docker restart). Running containers may be stopped by that.",
        "Docker 守护进程需要重启后才会生效：systemctl daemon-reload && systemctl restart docker（没有 systemd 时：service docker restart）。正在运行的容器可能因此停止。";
    /// See `Note::DaemonNeedsRoot`.
    NOTE_DAEMON_NEEDS_ROOT:
        "Pulls are made by Docker's daemon, whose setting is root's: run the same with sudo for that.",
        "拉取镜像由 Docker 守护进程完成，其设置属于 root：如需设置，请用 sudo 再次运行同一命令。";
    /// See `Note::PipSocks`.
    NOTE_PIP_SOCKS:
        "pip uses a SOCKS proxy only where the package PySocks is installed; it has to come by another way first.",
        "只有安装了 PySocks 包，pip 才能使用 SOCKS 代理；需要先通过其他途径安装它。";
    /// See `Note::Readable`.
    NOTE_READABLE:
        "The proxy's password now lies in a file that every user of this distro may read.",
        "代理密码现在位于本发行版所有用户都可读取的文件中。";
    /// See `Note::GitSsh`.
    NOTE_GIT_SSH:
        "git's setting is for http and https; addresses such as git@HOST:… go by ssh, which needs a ProxyCommand in ~/.ssh/config.",
        "git 的这项设置只用于 http 和 https；git@主机:… 这类地址走 ssh，需要在 ~/.ssh/config 中配置 ProxyCommand。";
    /// A tool's setting was given back.
    REMOVED:
        "{tool}: {path} is as it was",
        "{tool}：{path} 已恢复原状";
    /// Some of it was changed by somebody else since.
    REMOVED_LEFT:
        "{tool}: in {path} these were changed since, and stay: {keys}",
        "{tool}：{path} 中以下设置之后又被修改过，因此保留：{keys}";
    /// There is nothing to take back.
    NOTHING_TO_REMOVE:
        "Nothing to take back: `underpass proxy apply` has set nothing here.",
        "没有可撤销的设置：`underpass proxy apply` 未在此设置过任何内容。";
    /// Test: the variables.
    TEST_ENVIRONMENT:
        "proxy variables of this environment",
        "当前环境的代理变量";
    /// Test: the port.
    TEST_PORT:
        "the port of {proxy} is open",
        "{proxy} 的端口可以连接";
    /// Test: HTTP.
    TEST_CONNECT:
        "{proxy} speaks HTTP CONNECT",
        "{proxy} 支持 HTTP CONNECT";
    /// Test: SOCKS5.
    TEST_SOCKS:
        "{proxy} speaks SOCKS5",
        "{proxy} 支持 SOCKS5";
    /// Test: a request by address.
    TEST_ADDRESS:
        "a request by address: {url}",
        "按 IP 地址请求：{url}";
    /// Test: a page.
    TEST_REQUEST:
        "a request: {url}",
        "请求：{url}";
    /// Test: the machine's own resolver.
    TEST_DNS:
        "{host} is resolved here",
        "本机解析 {host}";
    /// Test: what it says.
    RESOLVED:
        "{host} is {addresses}",
        "{host} 的地址是 {addresses}";
    /// Test: by its address the page comes.
    PROXY_RESOLVES_NOT:
        "it comes by its address: the proxy does not resolve the name, or its rules refuse it",
        "按地址可以访问：代理无法解析该域名，或其规则拒绝了它";
    /// Test: the other protocol.
    OTHER_SPOKEN:
        "it does: set it as {proxy}",
        "支持：请设置为 {proxy}";
    /// Test: the other protocol.
    OTHER_NOT_SPOKEN:
        "it does not either",
        "同样不支持";
    /// Test: a tool's setting.
    TEST_TOOL:
        "a request by {tool}'s setting, {proxy} of {place}",
        "使用 {tool} 的设置请求：{proxy}（{place}）";
    /// Test: nothing set.
    NONE_SET:
        "none is set",
        "均未设置";
    /// Test: upper and lower case differ.
    CASES_DIFFER:
        "{upper} and {lower} say different things, so programs take different proxies",
        "{upper} 与 {lower} 的值不同，各程序会使用不同的代理";
    /// Test: the variables that are set.
    ARE_SET:
        "set: {names}",
        "已设置：{names}";
    /// Test: not tried.
    NOT_RESOLVED:
        "it cannot be, so the proxy has to do it",
        "无法解析，需由代理解析";
    /// Test: no answer.
    NO_ANSWER:
        "no answer within {seconds} s",
        "{seconds} 秒内没有应答";
    /// Test: somebody serves it.
    PORT_OPEN:
        "connected",
        "已连接";
    /// Test: what the server answered.
    ANSWERED:
        "answered {status}",
        "应答 {status}";
    /// Test: the tunnel alone was judged.
    TUNNEL_STANDS:
        "the tunnel to {target} stands",
        "到 {target} 的通道已建立";
    /// Test: a port that nobody serves, on the Windows host.
    HINT_PORT:
        "{problem}. Is the proxy program running, and is this its port? On the Windows host by its address it must have 'Allow LAN' on; after a restart of WSL the address may be another",
        "{problem}。代理软件是否在运行，端口是否正确？通过地址访问 Windows 主机上的代理时，代理软件必须开启“允许局域网连接”（Allow LAN）；WSL 重启后地址也可能改变";
}

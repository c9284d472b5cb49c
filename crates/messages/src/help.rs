//! The help of the command line: one text for each command, option and argument, found by its
//! name.

use crate::{Language, Sentence, Text};

/// Makes a table of texts with their names.
macro_rules! texts {
    ($($(#[$doc:meta])* $table:ident = [$($key:literal => $en:literal, $zh:literal;)+];)+) => {
        $(
            $(#[$doc])*
            static $table: &[(&str, Sentence)] = &[$(($key, Sentence { en: $en, zh: $zh })),+];
        )+
    };
}

/// The text of a command, by its words without `underpass` (`settings dns auto`), or of an option
/// or argument of it (`settings dns auto --yes`, `man [folder]`). Options that
/// several commands share stand once, under the command above them.
pub fn of(command: &[&str], argument: Option<&str>) -> Option<Text> {
    let Some(argument) = argument else { return find(&command.join(" ")) };
    (0..=command.len()).rev().find_map(|depth| {
        let words = [&command[..depth], &[argument]].concat();
        find(&words.join(" "))
    })
}

fn find(key: &str) -> Option<Text> {
    entry(TEXTS, key)
}

fn entry(table: &'static [(&str, Sentence)], key: &str) -> Option<Text> {
    table.iter().find(|(known, _)| *known == key).map(|(_, sentence)| sentence.text())
}

/// What stands below the help of a command.
pub fn note(command: &[&str]) -> Option<Text> {
    entry(NOTES, &command.join(" "))
}

/// An example's line, its comment in `language`.
pub fn example(line: &str, language: Language) -> String {
    let Some((call, comment)) = line.split_once("# ") else { return line.to_owned() };
    let comment = format!("# {comment}");
    let said = entry(COMMENTS, &comment).map_or(comment, |text| text.say(language));
    format!("{call}{said}")
}

/// The names of all texts of commands and their options.
pub fn names() -> impl Iterator<Item = &'static str> {
    TEXTS.iter().map(|(name, _)| *name)
}

/// Every text.
pub fn all() -> impl Iterator<Item = &'static Sentence> {
    TEXTS.iter().chain(NOTES).chain(COMMENTS).map(|(_, sentence)| sentence)
}

texts! {
    /// Of commands, options and arguments.
    TEXTS = [
        "" =>
            "The network for WSL 2 that keeps working when a VPN cuts it off",
            "让 WSL 2 在连上 VPN 之后仍能上网";
        "--lang" =>
            "Language: en or zh [default: chosen by LANGUAGE, LC_ALL, LC_MESSAGES and LANG]",
            "输出语言：en 或 zh [默认值：由 LANGUAGE、LC_ALL、LC_MESSAGES、LANG 决定]";
        "--verbose" =>
            "Log more on standard error: -v events, -vv details, -vvv everything. RUST_LOG takes \
             precedence",
            "在标准错误输出更多日志：-v 事件，-vv 细节，-vvv 全部。RUST_LOG 优先";
        "--help" => "Show this help", "显示本帮助";
        "--version" => "Show version, commit and date", "显示版本、提交和日期";
        "--json" => "Write one JSON document", "输出为一个 JSON 文档";
        "doctor" =>
            "Find out what is wrong with the network, and how to fix it",
            "诊断网络故障，并给出解决办法";
        "doctor --report" =>
            "Write an HTML report with a diagram of the network path",
            "把带有网络路径图的 HTML 报告写入文件";
        "doctor --hints" =>
            "Show hints in full even if there are problems",
            "有问题时也显示提示的全文";
        "doctor --only" =>
            "Check one area only: network, dns, proxy, windows, wsl or tools",
            "只检查一类：network、dns、proxy、windows、wsl 或 tools";
        "doctor --color" => "When to use colors", "何时使用颜色";
        "doctor --outside" =>
            "Internet target to reach by TCP; repeat it for more, or for IPv6 [default: \
             well-known resolvers, port 443]",
            "用 TCP 测试的外网目标；可重复，例如再加一个 IPv6 目标 [默认值：知名的公共 DNS 服务器，\
             端口 443]";
        "doctor --company" =>
            "Company host to reach, by name or address; repeat it for more",
            "要访问的公司内网主机，可写域名或地址；可重复";
        "doctor --public-name" =>
            "Public name to resolve [default: a name given with --outside, or \
             www.msftconnecttest.com]",
            "要解析的公网域名 [默认值：--outside 中的域名，或 www.msftconnecttest.com]";
        "doctor --public-dns" =>
            "Public DNS server to compare with; repeat it for more [default: 1.1.1.1, 223.5.5.5 \
             and 8.8.8.8]",
            "用于对比的公共 DNS 服务器；可重复 [默认值：1.1.1.1、223.5.5.5 和 8.8.8.8]";
        "doctor --relay" =>
            "Relay that queries Windows [default: as for `underpass up`]",
            "用来查询 Windows 的中继程序 [默认值：与 `underpass up` 相同]";
        "status" => "Show how the running tunnel is doing", "显示隧道的运行状态";
        "selftest" =>
            "Test on this machine what the tunnel should do, item by item, and measure it",
            "在本机逐项测试隧道的功能并测量性能";
        "selftest [items]" =>
            "Items to test [default: all except changes, which waits for you to change something]",
            "要测试的项目 [默认值：除 changes 以外的全部；changes 需要等待人为更改]";
        "selftest --outside" =>
            "Internet target for TCP and ping; repeat it for more, or for IPv6 [default: \
             well-known resolvers, port 443]",
            "用 TCP 和 ping 测试的外网目标；可重复，例如再加一个 IPv6 目标 [默认值：知名的公共 DNS \
             服务器，端口 443]";
        "selftest --public-name" => "Public name to resolve", "要解析的公网域名";
        "selftest --public-dns" =>
            "Public DNS server to query over UDP; repeat it for more [default: 1.1.1.1, 223.5.5.5 \
             and 8.8.8.8]",
            "用 UDP 查询的公共 DNS 服务器；可重复 [默认值：1.1.1.1、223.5.5.5 和 8.8.8.8]";
        "selftest --wait" =>
            "How many seconds `start` waits for the tunnel, and `changes` for a change",
            "`start` 等待隧道、`changes` 等待更改的秒数";
        "selftest --mebibytes" =>
            "MiB to transfer each way in a throughput test",
            "测量吞吐量时每个方向传输的 MiB 数";
        "selftest --relay" =>
            "Relay to start for measurements and to query the host [default: as for `underpass \
             up`]",
            "用于测量和查询主机的中继程序 [默认值：与 `underpass up` 相同]";
        "up" =>
            "Run the tunnel until SIGTERM or Ctrl-C",
            "运行隧道，直到收到 SIGTERM 或按下 Ctrl-C";
        "up --relay" =>
            "Relay: the program that opens sockets on the host [default: underpass-relay beside \
             this program or in PATH; in WSL the underpass-relay.exe beside it, copied to \
             %LOCALAPPDATA%\\underpass]",
            "中继程序，即在主机上建立连接的程序 [默认值：本程序旁边或 PATH 中的 underpass-relay；\
             在 WSL 中为旁边的 underpass-relay.exe，会复制到 %LOCALAPPDATA%\\underpass]";
        "up --relay-arg" =>
            "Argument for the relay; repeat it for more",
            "传给中继程序的参数；可重复";
        "up --lanes" =>
            "Number of relays to spread connections over [default: 1]",
            "中继程序的数量，连接分摊到各个程序 [默认值：1]";
        "up --link" =>
            "Connection to the relay: `auto`, `vsock` if it works; `stdio`, its standard streams; \
             or these until `tcp` or `vsock` (a Hyper-V socket) is up [default: auto]",
            "与中继程序的连接：`auto` 在可用时选用 `vsock`；`stdio` 只用标准流；`tcp` 或 \
             `vsock`（Hyper-V 套接字）建立之前用标准流，之后改用所选方式 [默认值：auto]";
        "up --tap" =>
            "Name of the TAP device [default: underpass0]",
            "TAP 设备的名称 [默认值：underpass0]";
        "up --mtu" =>
            "MTU of the TAP device in bytes, 1280 to 65520 [default: 65520 for TCP; for all else \
             the MTU of Windows' way out]",
            "TAP 设备的 MTU（字节），1280 到 65520 [默认值：TCP 为 65520，其他为 Windows 出口的 \
             MTU]";
        "up --subnet" =>
            "Subnet of the TAP device, a /28 [default: the first of a short list that overlaps no \
             route of VM and host]",
            "TAP 设备的网段（/28） [默认值：从备选列表中取第一个与虚拟机和主机的路由都不重叠的网\
             段]";
        "up --no-offload" =>
            "Turn off segmentation and checksum offload on the TAP device",
            "关闭 TAP 设备的分段卸载和校验和卸载";
        "up --config" =>
            "Configuration file in TOML; options take precedence over it",
            "TOML 配置文件；命令行选项优先";
        "up --no-host-loopback" =>
            "Reject connections to the host's own services, on 127.0.0.1 and on the addresses of \
             its adapters",
            "拒绝连接主机自身的服务，包括 127.0.0.1 和各网卡地址";
        "up --host-ports" =>
            "Reject such connections except to these TCP and UDP ports",
            "除这些 TCP 和 UDP 端口外，拒绝连接主机自身的服务";
        "up --rebind-domain-ok" =>
            "Domains that may resolve to loopback or to an address of this host; in the DNS \
             answers of all other names such addresses are dropped (DNS rebinding). `.` allows \
             every name",
            "允许解析到环回地址或主机（Windows）地址的域；其他域名的 DNS 应答中会丢弃这类地址（防\
             止 DNS 重绑定）。`.` 表示所有域名";
        "up --udp-filtering" =>
            "Hosts that may send datagrams to an app: `address-dependent`, those that the app has \
             sent one to, or `endpoint-independent`, all that know the host's port (RFC 4787) \
             [default: address-dependent]",
            "允许哪些主机向应用发送数据报：`address-dependent` 只限应用发送过数据报的主\
             机，`endpoint-independent` 为所有知道主机端口的主机（RFC 4787） [默认\
             值：address-dependent]";
        "up --publish" =>
            "Folder in which other distros find this command, its status and env.sh [default: \
             /mnt/wsl/underpass, in WSL]",
            "供其他发行版使用的文件夹，其中有本命令、状态和 env.sh [默认值：在 WSL 中为 \
             /mnt/wsl/underpass]";
        "up --no-publish" => "Publish nothing for other distros", "不向其他发行版发布任何内容";
        "up --if-needed" =>
            "Exit with code 0 if WSL's own network reaches the outside",
            "如果 WSL 自己的网络可以访问外网，则直接退出（退出码 0）";
        "up --outside" =>
            "Target that tells whether it does, by TCP [default: www.msftconnecttest.com:80]",
            "判断能否访问外网时用 TCP 连接的目标 [默认值：www.msftconnecttest.com:80]";
        "up --via" =>
            "Connect through a proxy: `http://HOST:PORT`, `socks5://USER:PASSWORD@HOST:PORT`, or \
             `windows` for the proxy that Windows' settings name for each destination (script, \
             bypass list). Other users can read a command line: put a password into the \
             configuration file or the variable UNDERPASS_VIA",
            "通过代理连接：`http://主机:端口`、`socks5://用户名:密码@主机:端口`，或用 `windows` 表\
             示按 Windows 的设置（脚本、例外列表）为每个目标选择代理。命令行会被其他用户看到：密码\
             请写入配置文件或环境变量 UNDERPASS_VIA";
        "up --via-except" =>
            "Destination that does not use the proxy: a network, a .domain or a name; repeat it \
             for more. This host's own addresses never use it",
            "不经过代理的目标：网段、.域 或主机名；可重复。Windows 主机自身的地址从不经过代理";
        "up --log-file" =>
            "Write the log to a file instead of standard error; it stays below 1 MiB, with one \
             older file beside it",
            "把日志写入文件而不是标准错误；文件不超过 1 MiB，另保留一个旧文件";
        "up --attach" =>
            "Start no tunnel: follow the one that is running and its successors. Exit code 1 \
             after 60 s without one",
            "不启动隧道，只跟随正在运行的隧道，它退出后继续跟随下一个；60 秒内没有隧道则以退出码 1 \
             结束";
        "keep-alive" =>
            "Keep the helper distro running; its boot command does this",
            "保持辅助发行版运行；由其启动命令调用";
        "keep-alive --distro" => "Name of the distro that this runs in", "当前发行版的名称";
        "keep-alive --log-file" =>
            "Write the log to a file instead of standard error, as `up` does",
            "把日志写入文件而不是标准错误，与 `up` 相同";
        "service" =>
            "Let systemd start the tunnel with this distro, and keep it running",
            "由 systemd 随此发行版启动隧道，并保持运行";
        "service install" =>
            "Write the unit, enable it and start it; as root",
            "写入、启用并启动 systemd 单元；需要 root 权限";
        "service install --distro" => "Name of the helper distro", "辅助发行版的名称";
        "service run" =>
            "Start the helper distro and follow its tunnel; the unit does this",
            "启动辅助发行版并跟随其中的隧道；由 systemd 单元调用";
        "service run --distro" => "Name of the helper distro", "辅助发行版的名称";
        "service remove" =>
            "Stop the service and remove its unit; as root",
            "停止服务并删除 systemd 单元；需要 root 权限";
        "service status" =>
            "Show how the service is doing; exit code 1 unless it is active",
            "显示服务的状态；没有运行时退出码为 1";
        "host" =>
            "Print the address at which WSL reaches the Windows host",
            "打印从 WSL 访问 Windows 主机的地址";
        "settings" =>
            "Show, check and change WSL's settings files",
            "查看、检查和修改 WSL 的设置文件";
        "settings --wslconfig" =>
            "The user's .wslconfig [default: the one in %USERPROFILE%, which Windows is queried \
             for]",
            "用户的 .wslconfig [默认值：%USERPROFILE% 中的文件，位置从 Windows 查询]";
        "settings --etc" =>
            "Folder of wsl.conf and resolv.conf",
            "wsl.conf 和 resolv.conf 所在的文件夹";
        "settings --windows-version" =>
            "Windows' version, such as 10.0.22631, instead of a query",
            "Windows 的版本，例如 10.0.22631；指定后不再查询";
        "settings --wsl-version" =>
            "WSL's version, such as 2.5.9, instead of a query",
            "WSL 的版本，例如 2.5.9；指定后不再查询";
        "settings --host-facts" =>
            "Output of `underpass-relay.exe facts`, instead of a query",
            "`underpass-relay.exe facts` 的输出；指定后不再查询";
        "settings --yes" => "Write without asking", "不询问，直接写入";
        "settings --dry-run" => "Show the change and write nothing", "只显示更改，不写入";
        "settings --state" =>
            "Folder for the former files [default: /var/lib/underpass/settings, or \
             ~/.local/state/underpass/settings unless root]",
            "保存原文件的文件夹 [默认值：/var/lib/underpass/settings；非 root 用户为 \
             ~/.local/state/underpass/settings]";
        "settings show" =>
            "Show the settings in force: every key of .wslconfig and wsl.conf with its origin and \
             default, and resolv.conf",
            "显示生效的设置：.wslconfig 和 wsl.conf 的所有设置项及其来源和默认值，以及 resolv.conf";
        "settings show --changed" => "Leave out defaults", "不显示默认值";
        "settings check" =>
            "Look for mistakes in .wslconfig and wsl.conf; exit code 1 if there are any",
            "检查 .wslconfig 和 wsl.conf 中的错误；有错误时退出码为 1";
        "settings check [file]" =>
            "File to check: a .wslconfig, or a wsl.conf if it has that name",
            "要检查的文件：名为 wsl.conf 的按 wsl.conf 检查，其他按 .wslconfig 检查";
        "settings recommend" =>
            "Recommend settings for this machine, each with its reason",
            "给出适合本机的设置，并逐项说明理由";
        "settings recommend --goal" =>
            "Purpose of the network: vpn, proxy, lan (other machines reach services in WSL) or \
             default",
            "网络的用途：vpn、proxy、lan（其他机器访问 WSL 中的服务）或 default";
        "settings recommend --explain" =>
            "Explain NAT and mirrored mode, and which of them this machine can use",
            "说明 NAT 模式与镜像模式，以及本机可以使用哪一种";
        "settings apply" =>
            "Write the recommendation or single keys: shows the change, asks, and keeps the \
             former files",
            "写入推荐的设置或指定的设置项：先显示更改并询问，同时保留原文件";
        "settings apply --goal" =>
            "Write the recommendation for this goal: vpn, proxy, lan or default [default: \
             default, unless --set or --unset is given]",
            "按用途写入推荐的设置：vpn、proxy、lan 或 default [默认值：default，除非指定了 --set \
             或 --unset]";
        "settings apply --set" => "Set a key; repeat it for more", "设置一项；可重复";
        "settings apply --unset" =>
            "Remove a key, so that its default applies; repeat it for more",
            "删除一项，使用默认值；可重复";
        "settings undo" =>
            "Undo the last change of `apply` or `dns`",
            "撤销 `apply` 或 `dns` 的上一次更改";
        "settings undo --force" =>
            "Undo even if the files were changed later; those changes are lost",
            "即使文件之后又被修改过也撤销（会丢失这些修改）";
        "settings dns" =>
            "Choose what resolves names in this distro: WSL, or servers of your own",
            "选择此发行版的域名解析方式：由 WSL 管理，或使用自定义服务器";
        "settings dns manual" =>
            "Use these servers, in this order, whatever WSL and Windows do: \
             generateResolvConf=false, and a resolv.conf of the distro's own",
            "按顺序使用指定的服务器，不受 WSL 和 Windows 影响：设置 generateResolvConf=false，并写\
             入发行版自己的 resolv.conf";
        "settings dns manual --server" =>
            "Address of a server; repeat it for more, at most three",
            "服务器地址；可重复，最多三个";
        "settings dns manual --search" =>
            "Search domain for names without a dot; repeat it for more",
            "不含点的名称使用的搜索域；可重复";
        "settings dns manual --immutable" =>
            "Make resolv.conf immutable (chattr +i), also for programs that ignore \
             generateResolvConf",
            "把 resolv.conf 设为不可修改（chattr +i），防止忽略 generateResolvConf 的程序改写";
        "settings dns auto" =>
            "Give resolv.conf back to WSL, exactly as it was before",
            "把 resolv.conf 交还给 WSL，恢复到原来的状态";
        "settings verify" =>
            "Check item by item whether everything works after a change: mode, DNS, outside, exit \
             address, proxy, company",
            "更改之后逐项检查是否正常：模式、DNS、外网、出口地址、代理、公司内网";
        "settings verify --public-name" =>
            "Public name that must resolve; repeat it for more",
            "必须能解析的公网域名；可重复";
        "settings verify --outside" => "Internet target to reach by TCP", "用 TCP 测试的外网目标";
        "settings verify --echo" =>
            "Service that answers with the caller's address, which shows the way out",
            "返回访问者地址的服务，用来判断出口";
        "settings verify --no-echo" => "Use no such service", "不使用这样的服务";
        "settings verify --company-host" =>
            "Company host that must be reachable by TCP; repeat it for more",
            "必须能用 TCP 访问的公司内网主机；可重复";
        "settings verify --company-name" =>
            "Company name that must resolve; repeat it for more",
            "必须能解析的公司内网域名；可重复";
        "settings verify --resolv-conf" =>
            "File with the DNS servers; another one can be tried before it is put in place",
            "写有 DNS 服务器的文件；可以先测试其他文件再启用";
        "settings verify --relay" =>
            "Relay that queries Windows [default: as for `underpass up`]",
            "用来查询 Windows 的中继程序 [默认值：与 `underpass up` 相同]";
        "settings verify --timeout" =>
            "Seconds to wait for each answer, 1 to 60",
            "每次等待应答的秒数，1 到 60";
        "proxy" =>
            "Set, remove, show and test the proxies of shells and tools",
            "设置、撤销、查看和测试 shell 与各种工具的代理";
        "proxy --port" => "Port of the proxy", "代理的端口";
        "proxy --scheme" =>
            "Protocol of the proxy: http, socks5 or socks5h (the proxy resolves names)",
            "代理的协议：http、socks5 或 socks5h（由代理解析域名）";
        "proxy --host" =>
            "Address or name of the proxy, or auto: the Windows host, by its current address",
            "代理的地址或主机名；auto 表示 Windows 主机（按当前可用的地址）";
        "proxy --proxy" =>
            "The whole proxy in one: http://HOST:PORT or socks5://USER:PASSWORD@HOST:PORT. Use \
             the variable for a password, since other users can read a command line",
            "完整的代理地址：http://主机:端口 或 socks5://用户名:密码@主机:端口。命令行会被其他用\
             户看到，有密码时请用环境变量";
        "proxy --from" =>
            "Source of the proxy: windows, which is Windows' own setting with its script (PAC) \
             evaluated",
            "代理的来源：windows 表示 Windows 的代理设置（会执行 PAC 脚本）";
        "proxy --url" =>
            "With --from windows: the page to get the proxy for; a script may name different \
             proxies for different pages",
            "与 --from windows 一起使用：为哪个网页取代理（脚本对不同网页可能给出不同的代理）";
        "proxy --shell" =>
            "Shell that evaluates the lines: bash, zsh, sh or fish [default: the one that started \
             this command, or SHELL]",
            "执行这些内容的 shell：bash、zsh、sh 或 fish [默认值：启动本命令的 shell，或 SHELL]";
        "proxy on" =>
            "Print lines that set a shell's proxy variables: eval \"$(underpass proxy on)\"",
            "打印用来设置 shell 代理变量的内容：eval \"$(underpass proxy on)\"";
        "proxy on --quiet" =>
            "For a start file: print nothing, and set nothing if no proxy listens",
            "用于启动文件：不输出信息；没有代理在监听时不设置";
        "proxy off" =>
            "Print lines that restore a shell's proxy variables: eval \"$(underpass proxy off)\"",
            "打印用来恢复 shell 代理变量的内容：eval \"$(underpass proxy off)\"";
        "proxy off --all" =>
            "Unset every proxy variable, however it was set",
            "清除所有代理变量，无论是谁设置的";
        "proxy apply" => "Set a proxy in the settings of tools", "在各种工具自己的设置中写入代理";
        "proxy apply --tools" =>
            "Tools: git, apt, npm, yarn, pip, docker, curl, wget, cargo",
            "工具：git、apt、npm、yarn、pip、docker、curl、wget、cargo";
        "proxy remove" =>
            "Restore tools' settings as they were before `apply`",
            "把工具的设置恢复到 `apply` 之前的状态";
        "proxy remove --tools" =>
            "Tools [default: all that `apply` has set]",
            "工具 [默认值：`apply` 设置过的全部工具]";
        "proxy status" =>
            "Show every place where a proxy is set, and which one each tool uses",
            "显示所有设置了代理的位置，以及各工具实际使用的代理";
        "proxy shell-init" =>
            "Print functions for a shell's start file: proxy_on, proxy_off and proxy_test",
            "打印用于 shell 启动文件的函数：proxy_on、proxy_off 和 proxy_test";
        "proxy shell-init [shell]" =>
            "The shell: bash, zsh, sh or fish",
            "shell 的名称：bash、zsh、sh 或 fish";
        "proxy test" =>
            "Test the configured proxies step by step; exit code 1 if one does not work",
            "逐步测试已设置的代理；有代理不可用时退出码为 1";
        "proxy test --url" =>
            "Page to request through the proxies; repeat it for more [default: one each of \
             Google, GitHub, Baidu and Microsoft]",
            "通过代理请求的网页；可重复 [默认值：Google、GitHub、百度和微软各一个]";
        "proxy test --proxy" =>
            "Proxy to test instead of the configured ones",
            "要测试的代理，代替已设置的代理";
        "completions" => "Print the completion script of a shell", "打印 shell 的补全脚本";
        "completions [shell]" => "The shell", "shell 的名称";
        "man" =>
            "Write the manual pages to a folder, such as ~/.local/share/man/man1",
            "把手册页写入文件夹，例如 ~/.local/share/man/man1";
        "man [folder]" =>
            "The folder; it is created if it does not exist",
            "文件夹；不存在时自动创建";
    ];
    /// Below the help of commands.
    NOTES = [
        "doctor" =>
            "Exit code: 0 no problems, 1 there are problems or a step could not be confirmed, 2 \
             the command line is wrong or the doctor itself failed.",
            "退出码：0 正常，1 有问题或有步骤无法确认，2 命令行有误或诊断本身失败。";
        "selftest" =>
            "Exit code: 0 no item failed, 1 an item failed, 2 the command line is wrong.",
            "退出码：0 没有失败的项目，1 有项目失败，2 命令行有误。";
        "settings dns manual" =>
            "Company servers go first: the next server is used only if one does not answer.",
            "公司的服务器写在最前面：只有前一个服务器没有应答时才会使用下一个。";
        "settings verify" =>
            "Exit code: 0 all checks passed, 1 a check failed, 2 the command line is wrong.",
            "退出码：0 全部正常，1 有项目失败，2 命令行有误。";
    ];
    /// Comments in examples.
    COMMENTS = [
        "# bash, zsh: Clash's port 7890 on the Windows host" =>
            "# bash, zsh: Clash's port 7890 on the Windows host",
            "# bash、zsh：Windows 主机上 Clash 的 7890 端口";
        "# in ~/.bashrc: only where a proxy listens" =>
            "# in ~/.bashrc: only if a proxy listens",
            "# 写入 ~/.bashrc：有代理在监听时才设置";
        "# all that `apply` has set for this user" =>
            "# all that `apply` has set for this user",
            "# `apply` 为当前用户设置过的全部";
        "# in ~/.bashrc; then: proxy_on --port 7891" =>
            "# in ~/.bashrc; then: proxy_on --port 7891",
            "# 写入 ~/.bashrc；之后可用 proxy_on --port 7891";
        "# in ~/.zshrc" => "# in ~/.zshrc", "# 写入 ~/.zshrc";
        "# in ~/.config/fish/config.fish" =>
            "# in ~/.config/fish/config.fish",
            "# 写入 ~/.config/fish/config.fish";
        "# with fpath+=~/.zfunc before compinit in ~/.zshrc" =>
            "# with fpath+=~/.zfunc before compinit in ~/.zshrc",
            "# 在 ~/.zshrc 的 compinit 之前加上 fpath+=~/.zfunc";
        "# for this shell only" => "# for this shell only", "# 只对当前 shell 有效";
    ];
}

//! What the doctor says about names: step 3.

sentences! {
    // ---- resolv.conf
    FILE: "resolv.conf names no server", "resolv.conf 中没有 DNS 服务器";
    FILE_MISSING_SEEN: "There is no /etc/resolv.conf.", "/etc/resolv.conf 不存在。";
    FILE_DANGLING_SEEN:
        "/etc/resolv.conf links to {link}, which does not exist.",
        "/etc/resolv.conf 是指向 {link} 的符号链接，而目标文件不存在。";
    FILE_EMPTY_SEEN:
        "/etc/resolv.conf has no nameserver line.",
        "/etc/resolv.conf 中没有 nameserver 行。";
    FILE_CAUSE:
        "Programs have no DNS server to query. The file was removed or emptied, and WSL does not \
         write it (generateResolvConf=false) or cannot.",
        "程序没有可查询的 DNS 服务器：该文件被删除或清空，而 WSL 被设置为不生成它\
         （generateResolvConf=false），或者无法写入。";
    PINNED:
        "/etc/hosts has a wrong address for a company host",
        "/etc/hosts 中公司内网主机的地址有误";
    PINNED_SEEN:
        "Line {line} of /etc/hosts maps {name} to {address}.",
        "/etc/hosts 第 {line} 行把 {name} 指向 {address}。";
    PINNED_ANSWERED_SEEN:
        "DNS resolves {name} to {addresses}.",
        "由 DNS 解析 {name} 得到 {addresses}。";
    PINNED_CAUSE:
        "/etc/hosts takes precedence over DNS, and the host does not answer at the address there: \
         it has moved. At each start WSL copies Windows' hosts file \
         (C:\\Windows\\System32\\drivers\\etc\\hosts) into it, unless generateHosts is off.",
        "/etc/hosts 优先于 DNS，而其中的地址没有应答：主机已经换了地址。除非关闭 \
         generateHosts，WSL 每次启动都会把 Windows 的 hosts 文件\
         （C:\\Windows\\System32\\drivers\\etc\\hosts）复制到其中。";
    PINNED_FIX:
        "Remove the line, and remove it from Windows' hosts file if it is there too:",
        "删除这一行；如果 Windows 的 hosts 文件中也有，一并删除：";
    LIE:
        "The server in resolv.conf returns a false address",
        "resolv.conf 中的服务器返回了虚假地址";
    LIE_SEEN:
        "{server} resolves {name} to {addresses}.",
        "{name} 由 {server} 解析得到 {addresses}。";
    LIE_CAUSE:
        "The server answers for a public name with a non-public address: it filters names, or it \
         belongs to a router's login page.",
        "该服务器对公网域名返回了非公网地址：它会过滤域名，或者当前网络要先在登录页面登录才能上\
         网。";
    LINE_ENDS: "resolv.conf has Windows line endings", "resolv.conf 使用了 Windows 换行符";
    LINE_ENDS_SEEN:
        "nameserver lines of /etc/resolv.conf end with CR LF: {servers}.",
        "/etc/resolv.conf 的 nameserver 行以 CR LF 结尾：{servers}。";
    LINE_ENDS_CAUSE:
        "The C library reads the CR as part of the address, so it has no usable server. An editor \
         or script on Windows wrote the file.",
        "C 库会把 CR 当作地址的一部分，因此没有可用的服务器。该文件是由 Windows 上的编辑器或脚本写\
         入的。";
    LINE_ENDS_FIX: "Remove the CRs:", "去掉 CR：";
    SERVERS: "resolv.conf's servers do not answer", "resolv.conf 中的服务器没有应答";
    SERVERS_CAUSE:
        "Other servers answer from here, so resolv.conf is wrong: its servers do not answer WSL.",
        "从这里查询其他服务器有应答，说明问题出在 resolv.conf：其中的服务器不应答 WSL 的查询。";
    SERVERS_OLD_GATEWAY_CAUSE:
        "resolv.conf names {server}, WSL's former gateway. In NAT mode the gateway's address \
         changes with WSL's subnet.",
        "resolv.conf 中的 {server} 是 WSL 以前的网关。NAT 模式下，网段变化后网关地址也会变化。";
    INTERCEPTED: "DNS packets reach no server", "DNS 数据包无法到达任何服务器";
    INTERCEPTED_PUBLIC_SEEN:
        "The public server {server} does not answer either.",
        "公共 DNS 服务器 {server} 同样没有应答。";
    INTERCEPTED_CAUSE:
        "Connections work, but no DNS server answers, not even a public one: a VPN or firewall \
         intercepts DNS packets and lets only Windows' own through.",
        "连接可以建立，但所有 DNS 服务器（包括公共服务器）都没有应答：VPN 或防火墙拦截了 DNS 数据\
         包，只放行 Windows 自己的查询。";
    INTERCEPTED_MIRROR_FIX:
        "DNS tunneling is already on, so resolv.conf must name its server:",
        "DNS 隧道已经开启，resolv.conf 应当使用它的服务器：";
    WINDOWS: "Windows itself cannot resolve names", "Windows 自身无法解析域名";
    WINDOWS_SEEN:
        "Windows' own resolver cannot resolve {name} either.",
        "Windows 自身的解析器也无法解析 {name}。";
    WINDOWS_CAUSE:
        "The fault is not in WSL: Windows cannot resolve names now, and WSL depends on Windows.",
        "故障不在 WSL：Windows 目前无法解析域名，而 WSL 依赖 Windows。";
    WINDOWS_FIX:
        "Check which servers Windows uses and whether they answer; reconnecting the VPN often \
         helps:",
        "查看 Windows 使用哪些 DNS 服务器、是否有应答；重新连接 VPN 往往有效：";
    FIRST:
        "The first server of resolv.conf does not answer",
        "resolv.conf 中的第一个服务器没有应答";
    FIRST_CAUSE:
        "Every program queries {server} first and waits about 5 seconds before it tries the next \
         one, so every lookup is slow.",
        "每个程序都先查询 {server}，等待约 5 秒后才查询下一个，因此所有域名解析都很慢。";
    FIRST_FIX:
        "Remove that line from /etc/resolv.conf, or move it to the end:",
        "从 /etc/resolv.conf 中删除这一行，或移到末尾：";
    UDP: "DNS does not work over UDP", "UDP 方式的 DNS 查询没有应答";
    UDP_SEEN:
        "{server} answers over TCP, but not over UDP.",
        "{server} 只应答 TCP 查询，不应答 UDP 查询。";
    UDP_CAUSE:
        "Something on the path drops DNS over UDP, which programs use first.",
        "链路上有设备丢弃了 UDP 方式的 DNS 查询，而程序默认使用 UDP。";
    UDP_FIX: "Let the C library query over TCP:", "让 C 库改用 TCP 查询：";
    NSSWITCH: "Programs do not use DNS", "程序不使用 DNS 解析";
    NSSWITCH_SEEN: "/etc/nsswitch.conf has the line: {line}", "/etc/nsswitch.conf 中的配置：{line}";
    NSSWITCH_CAUSE:
        "The servers answer, but programs do not query them: 'dns' is missing from that line.",
        "服务器有应答，但这一行缺少 dns，程序不会查询它们。";
    NSSWITCH_FIX: "Add 'dns' to that line:", "在这一行中加上 dns：";
    SYSTEM: "Programs do not get the servers' answers", "程序得不到服务器的解析结果";
    SYSTEM_SEEN:
        "The servers resolve {name}, but programs that ask the system get no address.",
        "服务器能解析 {name}，但通过系统查询的程序得不到结果。";
    SYSTEM_CAUSE:
        "A system component between programs and servers is broken: usually a resolver service \
         such as systemd-resolved or nscd, or a line of /etc/nsswitch.conf.",
        "程序和服务器之间有系统组件出了故障：通常是 systemd-resolved、nscd 之类的解析服务，或者 \
         /etc/nsswitch.conf 中的某一行。";
    SYSTEM_FIX: "Trace the lookup:", "查看实际的查询过程：";

    // ---- the company's names
    COMPANY:
        "The servers in resolv.conf do not know the company's names",
        "resolv.conf 中的服务器无法解析公司内网域名";
    COMPANY_CAUSE:
        "Only the company's DNS servers know these names. WSL can reach those servers, but does \
         not query them.",
        "只有公司的 DNS 服务器认识这些域名；WSL 能访问这些服务器，却没有向它们查询。";
    COMPANY_FIX: "Put the company's servers first:", "把公司的 DNS 服务器放在最前面：";
    SPLIT: "Only Windows can resolve the company's names", "只有 Windows 能解析公司内网域名";
    SPLIT_SEEN: "Windows resolves {name} to {addresses}.", "Windows 解析 {name} 得到 {addresses}。";
    SPLIT_CAUSE:
        "Only Windows can resolve these names: the VPN sets which server resolves which domain \
         (split DNS), and WSL's packets do not reach that server.",
        "只有 Windows 能解析这些域名：VPN 指定了各个域由哪台服务器解析（分域解析，split DNS），而 \
         WSL 的数据包到不了那台服务器。";
    UNKNOWN: "No server knows the company's name", "所有服务器都无法解析该公司内网域名";
    UNKNOWN_SEEN:
        "Neither WSL's servers nor Windows can resolve {name}.",
        "WSL 使用的服务器和 Windows 都无法解析 {name}。";
    UNKNOWN_CAUSE:
        "The VPN is not connected on Windows, or the name is misspelled.",
        "Windows 上的 VPN 没有连接，或者域名写错了。";
    UNKNOWN_FIX: "Connect the VPN, then query Windows:", "连接 VPN，然后在 Windows 上查询：";

    // ---- whose file it is
    PRIVATE: "Some users cannot read resolv.conf", "部分用户无法读取 resolv.conf";
    PRIVATE_SEEN:
        "The permissions of /etc/resolv.conf let only its owner read it.",
        "/etc/resolv.conf 的权限只允许所有者读取。";
    PRIVATE_CAUSE:
        "Programs of other users find no nameserver and cannot resolve names. A command with a \
         strict umask wrote the file.",
        "其他用户的程序读不到 DNS 服务器，无法解析任何域名。写入该文件的命令使用了过严的 umask。";
    PRIVATE_FIX: "Let all users read it:", "允许所有用户读取：";
    IMMUTABLE: "WSL cannot write resolv.conf", "WSL 无法写入 resolv.conf";
    IMMUTABLE_SEEN:
        "/etc/resolv.conf is immutable (chattr +i), but WSL is configured to write it.",
        "/etc/resolv.conf 设置了不可修改属性（chattr +i），而 WSL 的设置仍要求生成它。";
    IMMUTABLE_CAUSE:
        "The file was edited by hand and locked. WSL tries to write it at each start and fails, \
         so changes of the network or the VPN never reach it.",
        "文件被手动修改并锁定，WSL 每次启动时都写入失败，网络或 VPN 变化后其中的内容不会更新。";
    IMMUTABLE_FIX: "Unlock it and give it back to WSL:", "解除锁定，交还给 WSL：";
    IMMUTABLE_KEEP_FIX:
        "Or keep it, and configure WSL to leave it alone:",
        "或者保留这个文件，并把 WSL 设置为不再生成它：";
    BY_HAND: "resolv.conf does not follow Windows", "resolv.conf 不随 Windows 更新";
    BY_HAND_SEEN:
        "/etc/resolv.conf was not written by WSL: {servers}.",
        "/etc/resolv.conf 不是由 WSL 生成的文件：{servers}。";
    BY_HAND_LOCKED_SEEN: "It is immutable (chattr +i).", "它设置了不可修改属性（chattr +i）。";
    BY_HAND_CAUSE:
        "The file was edited by hand. It works now, but its servers stay the same when the VPN or \
         the network changes.",
        "文件被手动修改过。目前可以使用，但 VPN 或网络变化后，其中的服务器不会跟着变。";
    BY_HAND_FIX:
        "If that is not intended, give it back to WSL:",
        "如果不是有意为之，可以交还给 WSL 管理：";
    AGAINST_MODE: "generateResolvConf does not fit the mode", "generateResolvConf 与网络模式不符";
    AGAINST_MODE_CAUSE:
        "With DNS tunneling Windows answers at {server} and follows every VPN. WSL may not write \
         resolv.conf, so no program queries that server.",
        "开启 DNS 隧道后，由 Windows 在 {server} 上应答，并随 VPN 变化。但 WSL 不能写入 \
         resolv.conf，没有程序会查询它。";
    TUNNELING_OFF: "DNS tunneling is off", "DNS 隧道已关闭";
    TUNNELING_OFF_CAUSE:
        "Programs send DNS packets, which a VPN can drop or redirect to another server. This \
         works now, but may fail with a VPN.",
        "域名查询以普通数据包发送，VPN 可能丢弃它们，或转给别的服务器。目前可以使用，但连上 VPN 后\
         可能失效。";
    REBIND: "DNS answers pointed at this machine", "有 DNS 应答指向本机";
    REBIND_SEEN:
        "The DNS answer for {name} contained a loopback address or one of Windows itself. The \
         tunnel dropped that address.",
        "{name} 的 DNS 应答中有环回地址或 Windows 自身的地址，隧道已丢弃该地址。";
    REBIND_CAUSE:
        "Such an answer leads programs to services that are meant only for Windows (DNS \
         rebinding). Some names do this on purpose, such as lvh.me or a company's name for this \
         computer.",
        "这类应答会把程序引到只供 Windows 自己使用的服务（DNS 重绑定）。也有域名是有意这样设置的，\
         例如 lvh.me，或者公司为这台电脑设置的名称。";
    REBIND_FIX:
        "If you trust the name, allow it or its domain when the tunnel starts:",
        "如果信任该域名，可在启动隧道时放行它或它所属的域：";
}

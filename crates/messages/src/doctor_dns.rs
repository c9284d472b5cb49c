//! What the doctor says of names: step 3.

sentences! {
    // ---- resolv.conf
    /// Title.
    FILE: "resolv.conf names no server", "resolv.conf 中没有 DNS 服务器";
    /// Seen.
    FILE_MISSING_SEEN: "There is no /etc/resolv.conf.", "/etc/resolv.conf 不存在。";
    /// Seen.
    FILE_DANGLING_SEEN: "/etc/resolv.conf is a link to {link}, and there is no such file.", "/etc/resolv.conf 是指向 {link} 的链接，而该文件不存在。";
    /// Seen.
    FILE_EMPTY_SEEN: "/etc/resolv.conf has no nameserver line.", "/etc/resolv.conf 中没有 nameserver 行。";
    /// Cause.
    FILE_CAUSE:
        "Programs don't know whom to ask for names. The file was removed or emptied, and WSL does not write it (generateResolvConf=false), or cannot.",
        "程序不知道向谁查询域名。该文件被删除或清空，而 WSL 不写它（generateResolvConf=false）或无法写入。";
    /// Title.
    PINNED: "/etc/hosts has a wrong address for a company host", "/etc/hosts 中公司主机的地址有误";
    /// Seen.
    PINNED_SEEN: "Line {line} of /etc/hosts says that {name} is {address}.", "/etc/hosts 第 {line} 行把 {name} 指向 {address}。";
    /// Seen.
    PINNED_TOLD_SEEN: "DNS says that {name} is {addresses}.", "DNS 给出的 {name} 的地址是 {addresses}。";
    /// Cause.
    PINNED_CAUSE:
        "/etc/hosts goes before DNS, and has an address at which the host does not answer: it has moved since. WSL copies Windows' hosts file (C:\\Windows\\System32\\drivers\\etc\\hosts) into it at each start, unless generateHosts is off.",
        "/etc/hosts 优先于 DNS，而其中的地址没有应答：主机的地址已经变了。除非关闭 generateHosts，WSL 每次启动都会把 Windows 的 hosts 文件（C:\\Windows\\System32\\drivers\\etc\\hosts）复制到其中。";
    /// Fix.
    PINNED_FIX: "Take the line out, in Windows' hosts file too if it is there:", "删除这一行；如果 Windows 的 hosts 文件中也有，一并删除：";
    /// Title.
    LIE: "resolv.conf's server gives a false address", "resolv.conf 中的服务器给出了虚假地址";
    /// Seen.
    LIE_SEEN: "{server} says that {name} is {addresses}.", "{server} 给出的 {name} 的地址是 {addresses}。";
    /// Cause.
    LIE_CAUSE:
        "The server answers a public name with an address of no public host: it filters names, or it is a router's login page.",
        "该服务器用非公网地址回答公网域名：它在过滤域名，或者是路由器的登录页面。";
    /// Title.
    LINE_ENDS: "resolv.conf has the line ends of Windows", "resolv.conf 使用了 Windows 换行符";
    /// Seen.
    LINE_ENDS_SEEN:
        "Lines of /etc/resolv.conf that name a server end with CR LF: {servers}.",
        "/etc/resolv.conf 中写有服务器的行以 CR LF 结尾：{servers}。";
    /// Cause.
    LINE_ENDS_CAUSE:
        "The C library takes the CR for a part of the address, so it has no server. An editor or a script on Windows wrote the file.",
        "C 库会把 CR 当作地址的一部分，因此没有可用的服务器。该文件是由 Windows 上的编辑器或脚本写入的。";
    /// Fix.
    LINE_ENDS_FIX: "Take the CRs out:", "去掉这些 CR：";
    /// Title.
    SERVERS: "resolv.conf's servers do not answer", "resolv.conf 中的服务器没有应答";
    /// Cause.
    SERVERS_CAUSE:
        "Other servers answer from here, so it is resolv.conf that is wrong: it names servers that do not answer WSL.",
        "从这里查询其他服务器有应答，所以是 resolv.conf 写错了：其中的服务器不回答 WSL 的查询。";
    /// Cause.
    SERVERS_OLD_GATEWAY_CAUSE:
        "resolv.conf names {server}, which was WSL's gateway before. In NAT mode that address \
         changes with WSL's subnet.",
        "resolv.conf 中的 {server} 是 WSL 以前的网关。NAT 模式下，网段变化后网关地址也会变化。";
    /// Title.
    INTERCEPTED: "DNS packets do not reach any server", "DNS 数据包无法到达任何服务器";
    /// Seen.
    INTERCEPTED_PUBLIC_SEEN: "Neither does a public server: {server}.", "公共 DNS 服务器 {server} 同样没有应答。";
    /// Cause.
    INTERCEPTED_CAUSE:
        "Connections get out, but no DNS server answers, a public one neither: a VPN or firewall catches DNS packets and lets only those of Windows itself through.",
        "连接可以建立，但所有 DNS 服务器（包括公共服务器）都没有应答：VPN 或防火墙拦截了 DNS 数据包，只放行 Windows 自己的查询。";
    /// Fix.
    INTERCEPTED_MIRROR_FIX: "DNS tunnelling is on already; then resolv.conf must name its server:", "DNS 隧道已经开启，resolv.conf 应当使用它的服务器：";
    /// Title.
    WINDOWS: "Windows itself cannot resolve names", "Windows 自身无法解析域名";
    /// Seen.
    WINDOWS_SEEN: "Windows' own resolver does not tell the address of {name}.", "Windows 自身的解析器也无法解析 {name}。";
    /// Cause.
    WINDOWS_CAUSE:
        "It is not WSL that is broken: Windows cannot resolve names now, and WSL asks Windows.",
        "故障不在 WSL：Windows 目前无法解析域名，而 WSL 依赖 Windows。";
    /// Fix.
    WINDOWS_FIX: "See which servers Windows asks, and whether they answer; connecting the VPN again often helps:", "查看 Windows 使用哪些 DNS 服务器、是否有应答；重新连接 VPN 往往有效：";
    /// Title.
    FIRST: "The first server of resolv.conf does not answer", "resolv.conf 中的第一个服务器没有应答";
    /// Cause.
    FIRST_CAUSE:
        "Every program asks {server} first and waits about 5 seconds before it asks the next one: all names are slow.",
        "每个程序都先查询 {server}，等待约 5 秒后才查询下一个，因此所有域名解析都很慢。";
    /// Fix.
    FIRST_FIX: "Take that line out of /etc/resolv.conf, or move it to the end:", "从 /etc/resolv.conf 中删除这一行，或移到末尾：";
    /// Title.
    UDP: "DNS does not work over UDP", "UDP 上的 DNS 查询没有应答";
    /// Seen.
    UDP_SEEN: "{server} answers over TCP, and not over UDP.", "{server} 通过 TCP 有应答，通过 UDP 没有。";
    /// Cause.
    UDP_CAUSE:
        "Something on the way drops DNS over UDP, which programs use first.",
        "途中有设备丢弃 UDP 上的 DNS 查询，而程序首先使用 UDP。";
    /// Fix.
    UDP_FIX: "Have the C library ask over TCP:", "让 C 库改用 TCP 查询：";
    /// Title.
    NSSWITCH: "Programs do not ask DNS", "程序不使用 DNS 解析";
    /// Seen.
    NSSWITCH_SEEN: "/etc/nsswitch.conf says: {line}", "/etc/nsswitch.conf 中写着：{line}";
    /// Cause.
    NSSWITCH_CAUSE:
        "The servers answer, but programs don't ask them: the line does not name 'dns'.",
        "服务器有应答，但程序不会查询它们：这一行没有写 dns。";
    /// Fix.
    NSSWITCH_FIX: "Add 'dns' to that line:", "在这一行中加上 dns：";
    /// Title.
    SYSTEM: "Programs do not get what the servers answer", "程序得不到服务器的解析结果";
    /// Seen.
    SYSTEM_SEEN: "The servers tell the address of {name}; programs that ask the system for it get none.", "服务器能解析 {name}，但通过系统查询的程序得不到结果。";
    /// Cause.
    SYSTEM_CAUSE:
        "Something of the system stands between programs and the servers and does not work: mostly a resolver service such as systemd-resolved or nscd, or a line of /etc/nsswitch.conf.",
        "程序和服务器之间有系统组件出了故障：通常是 systemd-resolved、nscd 之类的解析服务，或者 /etc/nsswitch.conf 中的某一行。";
    /// Fix.
    SYSTEM_FIX: "See what is asked, and who answers:", "查看实际的查询过程：";

    // ---- the company's names
    /// Title.
    COMPANY: "resolv.conf's servers do not know the company's names", "resolv.conf 中的服务器无法解析公司内网域名";
    /// Cause.
    COMPANY_CAUSE:
        "The names are known to the company's DNS servers only, which WSL can reach but does not ask.",
        "这些域名只有公司的 DNS 服务器知道；WSL 能访问该服务器，却没有向它查询。";
    /// Fix.
    COMPANY_FIX: "Put the company's servers first:", "把公司的 DNS 服务器放在最前面：";
    /// Title.
    SPLIT: "Only Windows can resolve the company's names", "只有 Windows 能解析公司内网域名";
    /// Seen.
    SPLIT_SEEN: "Windows tells the address of {name}: {addresses}.", "Windows 能解析 {name}：{addresses}。";
    /// Cause.
    SPLIT_CAUSE:
        "Only Windows can resolve these names: the VPN tells it which server to ask for which domain (split DNS), and WSL's packets do not reach that server.",
        "只有 Windows 能解析这些域名：VPN 规定了哪些域名由哪台服务器解析（拆分 DNS），而 WSL 的数据包到不了那台服务器。";
    /// Title.
    UNKNOWN: "No server knows the company's name", "没有服务器能解析该公司内网域名";
    /// Seen.
    UNKNOWN_SEEN: "Neither WSL's servers nor Windows know {name}.", "WSL 使用的服务器和 Windows 都无法解析 {name}。";
    /// Cause.
    UNKNOWN_CAUSE: "The VPN is not connected on Windows, or the name is misspelt.", "Windows 上的 VPN 没有连接，或者域名写错了。";
    /// Fix.
    UNKNOWN_FIX: "Connect the VPN, then ask Windows for it:", "连接 VPN 后，先在 Windows 上查询：";

    // ---- whose file it is
    /// Title.
    PRIVATE: "Some users may not read resolv.conf", "部分用户无法读取 resolv.conf";
    /// Seen.
    PRIVATE_SEEN: "The mode of /etc/resolv.conf lets only its owner read it.", "/etc/resolv.conf 的权限只允许所有者读取。";
    /// Cause.
    PRIVATE_CAUSE:
        "Programs of other users find no nameserver and resolve no name. A command with a strict umask wrote the file.",
        "其他用户的程序读不到 DNS 服务器，无法解析任何域名。写入该文件的命令使用了过严的 umask。";
    /// Fix.
    PRIVATE_FIX: "Let every user read it:", "允许所有用户读取：";
    /// Title.
    IMMUTABLE: "WSL cannot write resolv.conf", "WSL 无法写入 resolv.conf";
    /// Seen.
    IMMUTABLE_SEEN: "/etc/resolv.conf has the immutable bit (chattr +i), and WSL is not told to leave it alone.", "/etc/resolv.conf 设置了不可修改属性（chattr +i），但没有告诉 WSL 不要写它。";
    /// Cause.
    IMMUTABLE_CAUSE:
        "Somebody took the file over by hand and locked it. WSL wants to write it at each start and cannot, so no change of network or VPN reaches it.",
        "有人手动接管并锁定了这个文件。WSL 每次启动都想写它却写不进去，网络或 VPN 的变化也就不会反映进来。";
    /// Fix.
    IMMUTABLE_FIX: "Unlock it and give it back to WSL:", "解除锁定，交还给 WSL：";
    /// Fix.
    IMMUTABLE_KEEP_FIX: "Or keep it, and tell WSL so:", "或者保留手动文件，并告知 WSL：";
    /// Title.
    BY_HAND: "resolv.conf does not follow Windows", "resolv.conf 不随 Windows 更新";
    /// Seen.
    BY_HAND_SEEN: "/etc/resolv.conf is a file of its own, not WSL's: {servers}.", "/etc/resolv.conf 不是由 WSL 生成的文件：{servers}。";
    /// Seen.
    BY_HAND_LOCKED_SEEN: "It has the immutable bit (chattr +i).", "它设置了不可修改属性（chattr +i）。";
    /// Cause.
    BY_HAND_CAUSE:
        "Somebody took it over by hand. It works now, and goes on naming these servers when the VPN or the network changes.",
        "它被手动接管了。目前可以使用，但 VPN 或网络变化后，里面的服务器不会跟着变。";
    /// Fix.
    BY_HAND_FIX: "If that is not what you want, give it back to WSL:", "如果这不是你想要的，可以交还给 WSL：";
    /// Title.
    AGAINST_MODE: "generateResolvConf does not fit the mode", "generateResolvConf 与网络模式不符";
    /// Cause.
    AGAINST_MODE_CAUSE:
        "With DNS tunnelling Windows answers at {server}, which follows every VPN. As WSL may not write resolv.conf, nobody asks there.",
        "开启 DNS 隧道后，由 Windows 在 {server} 上应答，并能跟随所有 VPN 的变化。但 WSL 不能写 resolv.conf，所以没有程序使用它。";
    /// Title.
    TUNNELING_OFF: "DNS tunneling is off", "DNS 隧道已关闭";
    /// Cause.
    TUNNELING_OFF_CAUSE:
        "Names are asked for by packets, which a VPN can drop or lead to another server. It works now; with a VPN it may not.",
        "域名查询以普通数据包发送，VPN 可能丢弃它们或转给别的服务器。现在可以使用，连上 VPN 后未必。";
    /// Title.
    REBIND: "DNS answers named this machine", "有 DNS 应答指向本机";
    /// Seen.
    REBIND_SEEN: "The DNS answer for {name} named loopback or Windows itself. The tunnel dropped that address.", "{name} 的 DNS 应答指向环回地址或 Windows 自身，隧道已丢弃该地址。";
    /// Cause.
    REBIND_CAUSE:
        "Such an answer leads programs to services of Windows that are meant for Windows alone (DNS rebinding). Some names do so on purpose, such as lvh.me or a company's name for this computer.",
        "这类应答会把程序引到只供 Windows 自己使用的服务（DNS 重绑定）。也有域名是有意这样设置的，例如 lvh.me，或者公司为这台电脑设置的名称。";
    /// Fix.
    REBIND_FIX: "If you trust the name, exempt it, or the domain that it is in, when the tunnel starts:", "如果信任该域名，可在启动隧道时放行它或它所属的域：";
}

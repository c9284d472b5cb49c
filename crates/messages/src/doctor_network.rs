//! What the doctor says of the VM's network and of the VPN that cuts it: steps 1 and 2.

sentences! {
    // ---- rules and routes of the VM's own
    /// Title.
    RULE: "A rule or route of the VM drops everything", "虚拟机中的策略规则或路由丢弃了所有流量";
    /// Seen.
    RULE_SEEN: "Rule {priority} is: {rule}.", "规则 {priority}：{rule}。";
    /// Seen.
    RULE_TABLE_SEEN:
        "Rule {priority} is: {rule}; the default route of table {table} drops what comes to it.",
        "规则 {priority}：{rule}；表 {table} 的默认路由会丢弃所有流量。";
    /// Cause.
    RULE_CAUSE:
        "This VM's own kernel refuses packets for the outside, before they leave it: neither WSL nor Windows is to blame. A VPN client or a script in the VM may have left the rule.",
        "虚拟机自己的内核在数据包离开之前就拒绝了它们，与 WSL 和 Windows 无关。可能是虚拟机中的 VPN 客户端或脚本留下的规则。";
    /// Fix.
    RULE_FIX: "Remove it:", "将其删除：";
    /// Title.
    SECOND_ROUTE: "A second default route leads to a router that does not answer", "另一条默认路由指向没有应答的路由器";
    /// Seen.
    SECOND_ROUTE_SEEN:
        "Of two default routes the one by {gateway} is taken (metric {metric}), not the one by {other} (metric {others}).",
        "有两条默认路由：使用的是经 {gateway} 的一条（跃点数 {metric}），而不是经 {other} 的一条（跃点数 {others}）。";
    /// Cause.
    SECOND_ROUTE_CAUSE:
        "A second default route outdoes WSL's own, and nobody answers at its router. A program or script in the VM has added it.",
        "另一条默认路由优先于 WSL 自己的路由，而它的路由器没有应答。它是由虚拟机中的程序或脚本添加的。";
    /// Fix.
    SECOND_ROUTE_FIX: "Remove it; WSL's own is then taken again:", "删除它，WSL 自己的路由即可恢复：";

    // ---- the mode is none
    /// Title.
    MODE_NONE: "WSL has no network", "WSL 没有启用网络";
    /// Cause.
    MODE_NONE_CAUSE:
        "WSL is set to have no network (networkingMode=none), or it could make none: then it falls back to that.",
        "WSL 被设置为不使用网络（networkingMode=none），或者创建网络失败后退回到了无网络状态。";
    /// Fix.
    MODE_NONE_FIX: "Choose a mode that has one:", "选择一个有网络的模式：";

    // ---- interface and address
    /// Title.
    INTERFACE: "No interface is up with an address", "没有已启用并分配了地址的网卡";
    /// Seen.
    INTERFACE_SEEN: "No interface but loopback is up with an address. There are: {links}.", "除回环接口外，没有任何已启用且有地址的网卡。现有接口：{links}。";
    /// Cause.
    INTERFACE_CAUSE:
        "WSL's network was not set up when the VM started, or somebody took the interface down.",
        "虚拟机启动时 WSL 的网络没有建立成功，或者网卡被人为关闭。";
    /// Title.
    ROUTE: "There is no default route", "没有默认路由";
    /// Seen.
    ROUTE_SEEN: "{link} has {address}, but no table has a default route.", "{link} 的地址是 {address}，但没有任何默认路由。";
    /// Cause.
    ROUTE_CAUSE:
        "Somebody removed the default route. A VPN client or a tunnel inside WSL does so, and leaves it so when it is killed.",
        "默认路由被删除了。WSL 内的 VPN 客户端或隧道程序会这样做，被强行结束时也不会恢复。";
    /// Fix.
    ROUTE_FIX: "Put the route back, or restart WSL:", "恢复默认路由，或重启 WSL：";

    // ---- other tunnels
    /// Title.
    OTHER_TUNNEL: "A second tunnel is in the way", "另一个隧道程序造成干扰";
    /// Seen.
    OTHER_TUNNEL_SEEN: "{name} is there ({sign}).", "检测到 {name}（{sign}）。";
    /// Seen.
    OTHER_TUNNEL_TAKES: "The default route leads into its interface {device}.", "默认路由指向它的接口 {device}。";
    /// Cause.
    OTHER_TUNNEL_CAUSE:
        "{name} takes WSL's traffic, and does not carry it. What goes to it reaches nothing else.",
        "{name} 接管了 WSL 的流量，却没有把它送出去，其他途径也因此收不到这些流量。";
    /// Cause.
    OTHER_TUNNEL_BESIDE_CAUSE:
        "{name} and Underpass' tunnel both take WSL's traffic. Which of them a packet meets is chance: one of them must go.",
        "{name} 和 Underpass 隧道都在接管 WSL 的流量，数据包走哪一个并不确定，两者只能保留一个。";
    /// Fix.
    OTHER_TUNNEL_FIX: "Stop {name}, and do not have it started again:", "停止 {name}，并且不要再让它自动启动：";
    /// Fix.
    OTHER_TUNNEL_DEVICE_FIX: "If its interface stays, remove it:", "如果它的接口仍然存在，将其删除：";

    // ---- the VM's own packet filter
    /// Title.
    FILTER: "The VM's packet filter drops what leaves it", "虚拟机自身的防火墙丢弃了出站流量";
    /// Seen.
    FILTER_POLICY_SEEN: "The VM's filter drops by policy what leaves it.", "虚拟机的防火墙默认策略是丢弃出站数据包。";
    /// Seen.
    FILTER_RULE_SEEN: "A rule of the VM's filter: {rule}", "虚拟机防火墙中有规则：{rule}";
    /// Cause.
    FILTER_CAUSE:
        "A firewall in the VM (nftables, iptables, ufw) stops packets before they reach Windows.",
        "虚拟机内的防火墙（nftables、iptables、ufw）在数据包到达 Windows 之前就把它们拦下了。";
    /// Fix.
    FILTER_FIX: "Look at its rules, and take out the one that is in the way:", "查看规则，删除拦截流量的那一条：";

    /// Fix.
    FILTER_UFW_FIX: "If the rules are ufw's, switch ufw off:", "如果是 ufw 的规则，关闭 ufw：";

    // ---- Docker's networks
    /// Title.
    DOCKER: "A network of Docker's covers addresses of the outside", "Docker 的网段占用了外网地址";

    // ---- our own tunnel
    /// Title.
    TUNNEL: "Underpass' tunnel has no relay", "Underpass 隧道没有连接到中继程序";
    /// Seen.
    TUNNEL_SEEN: "The tunnel runs, but its relay on Windows does not. It says: {error}", "隧道正在运行，但 Windows 上的中继程序没有运行。它的报告：{error}";
    /// Cause.
    TUNNEL_CAUSE:
        "The relay, an ordinary Windows program, was ended or could not be started; until it runs, WSL uses its own network.",
        "中继程序是一个普通的 Windows 程序，它被结束了或者无法启动；在它恢复之前，WSL 使用自己原有的网络。";
    /// Fix.
    TUNNEL_FIX: "The tunnel starts it again as soon as it can. To see what keeps it from that:", "条件允许时它会自动重新启动。查看阻碍它启动的原因：";
    /// Title.
    TUNNEL_FULL: "The tunnel is full and refuses new connections", "隧道已满，不再接受新连接";
    /// Seen.
    TUNNEL_FULL_SEEN: "The tunnel has {open} TCP connections open and refuses new ones.", "隧道中已有 {open} 个 TCP 连接，新连接会被拒绝。";
    /// Cause.
    TUNNEL_FULL_CAUSE:
        "Windows has a limited number of ports for outgoing connections, and the tunnel takes at most three quarters of them. Programs in WSL hold that many connections open.",
        "Windows 的出站端口数量有限，隧道最多使用其中的四分之三。WSL 中的程序已打开了这么多连接。";
    /// Fix.
    TUNNEL_FULL_FIX:
        "Find the programs that hold them, in each distro, and end or restart them:",
        "在各个发行版中找出占用这些连接的程序，结束或重启它们：";
    /// Title.
    TUNNEL_CROWDED: "One user holds so many of the tunnel's connections that some were ended", "某个用户占用了过多隧道连接，部分连接已被结束";
    /// Seen.
    TUNNEL_CROWDED_SEEN:
        "{count} TCP connections were ended to make room for other users; the last one was of {owner}.",
        "为给其他用户腾出空间，已结束 {count} 个 TCP 连接；最近一个属于 {owner}。";
    /// Cause.
    TUNNEL_CROWDED_CAUSE:
        "When the tunnel has no more room, connections of the user who holds the most end first: forgotten and half-open ones before others.",
        "隧道没有空间时，会先结束占用最多的用户的连接，其中已被遗忘或半开的连接最先结束。";
    /// Title.
    TUNNEL_OUT: "What the tunnel carries does not get out", "隧道中的流量无法到达外网";
    /// Cause.
    TUNNEL_OUT_CAUSE:
        "The tunnel is up, so its connections are made by a Windows program, and Windows does not get them out: it is offline, or a firewall or the VPN allows only certain programs.",
        "隧道已建立，连接由 Windows 程序发起，但 Windows 没能把它们送出去：Windows 可能已断网，或者防火墙、VPN 只放行指定的程序。";
    /// Fix.
    TUNNEL_OUT_FIX:
        "See whether a browser on Windows reaches it. If one does, allow underpass-relay.exe in the firewall or security software; if the company wants a proxy, let the tunnel use it:",
        "先看 Windows 上的浏览器能否访问。如果可以，请在防火墙或安全软件中放行 underpass-relay.exe；如果公司要求使用代理，让隧道通过代理连接：";

    // ---- Windows is offline
    /// Title.
    OFFLINE: "Windows itself is offline", "Windows 自身无法访问外网";
    /// Seen.
    OFFLINE_NO_ADAPTER_SEEN: "Windows has no adapter that leads to the internet.", "Windows 没有通往互联网的网卡。";
    /// Cause.
    OFFLINE_CAUSE:
        "It is not WSL that is broken: Windows has no way out, so WSL has none either.",
        "故障不在 WSL：Windows 自身没有外网连接，WSL 自然也没有。";
    /// Fix.
    OFFLINE_FIX:
        "Bring Windows online first: cable or Wi-Fi, the network's sign-in page, the VPN client. A VPN that forbids everything until it has connected looks just like this.",
        "请先让 Windows 联网：检查网线或 Wi-Fi、网络登录页面以及 VPN 客户端。有些 VPN 在连接成功之前会禁止一切流量，现象与此相同。";

    // ---- gateway
    /// Title.
    GATEWAY: "The gateway does not answer", "网关没有应答";
    /// Seen.
    GATEWAY_SEEN: "The default route leads to {gateway}, which does not even tell its hardware address.", "默认路由指向 {gateway}，但它连 ARP 请求都没有应答。";
    /// Seen.
    GATEWAY_NO_PING_SEEN: "The default route leads to {gateway}, which answers nothing.", "默认路由指向 {gateway}，但它没有任何应答。";
    /// Cause.
    GATEWAY_CAUSE:
        "WSL's network stack is stuck: the virtual switch on Windows, or its end in the VM, does not work any more. It happens after sleep, and when a VPN or Hyper-V changes adapters.",
        "WSL 的网络栈出现故障：Windows 上的虚拟交换机或它在虚拟机中的一端已不能工作。电脑睡眠唤醒后，或者 VPN、Hyper-V 更改网卡后会出现这种情况。";
    /// Fix.
    GATEWAY_SERVICE_FIX: "If that does not help, have Windows make its network anew. As administrator:", "如果仍然无效，让 Windows 重建网络。以管理员身份执行：";

    // ---- VPN: subnets overlap
    /// Title.
    OVERLAP: "WSL's subnet overlaps another network of Windows", "WSL 的网段与 Windows 的其他网络重叠";
    /// Seen.
    OVERLAP_ROUTE_SEEN: "WSL's network is {subnet}, and Windows has a route to {other}.", "WSL 的网段是 {subnet}，而 Windows 有一条到 {other} 的路由。";
    /// Seen.
    OVERLAP_ADAPTER_SEEN: "WSL's network is {subnet}, and {adapter} on Windows has {other}.", "WSL 的网段是 {subnet}，而 Windows 上的 {adapter} 使用 {other}。";
    /// Cause.
    OVERLAP_CAUSE:
        "Two networks of Windows have the same addresses, so replies to WSL are sent into the other one, mostly the VPN.",
        "Windows 上有两个网络使用了相同的地址，发给 WSL 的回包被送进了另一个网络，通常就是 VPN。";

    // ---- VPN: metric
    /// Title.
    METRIC: "A VPN's metric outdoes all other adapters", "VPN 的跃点数抢占了其他网卡";
    /// Seen.
    METRIC_SEEN: "Windows reaches the internet by {adapter}, whose metric is {metric}; {other} has {others}.", "Windows 通过 {adapter} 访问互联网，其跃点数为 {metric}；{other} 的跃点数为 {others}。";
    /// Cause.
    METRIC_CAUSE:
        "The VPN's adapter costs less than all others, so everything goes into it, also what Windows forwards for WSL; and that the VPN drops.",
        "VPN 网卡的跃点数最低，所有流量都进入 VPN，包括 Windows 为 WSL 转发的流量，而 VPN 会丢弃后者。";

    // ---- VPN: routes
    /// Title.
    CUT: "What Windows forwards for WSL does not get out", "Windows 为 WSL 转发的流量无法到达外网";
    /// Seen.
    CUT_ROUTES_SEEN: "Windows' routes {routes} take everything.", "Windows 的路由 {routes} 接管了全部流量。";
    /// Seen.
    CUT_GATEWAY_SEEN: "The gateway {gateway} answers.", "网关 {gateway} 有应答。";
    /// Cause.
    CUT_VPN_CAUSE:
        "The VPN's routes take all traffic, and it carries only that of Windows' own programs: what Windows forwards for WSL's NAT is dropped.",
        "VPN 的路由接管了全部流量，但它只传送 Windows 自身程序的流量，Windows 为 WSL 的 NAT 转发的数据包被丢弃。";
    /// Cause.
    CUT_CAUSE:
        "Windows drops what it should forward for WSL. Mostly a VPN client or its firewall does that, also one that the doctor does not know by name; else Windows' NAT is stuck.",
        "Windows 没有转发 WSL 的数据包。多数情况是 VPN 客户端或它的防火墙所为（诊断程序不一定认得它），否则就是 Windows 的 NAT 出了故障。";
    /// Fix, where the adapter is a proxy program's.
    TUN_FIX:
        "{adapter} belongs to a proxy program in TUN mode. Switch on there what lets TUN take the traffic of virtual machines, or switch off 'strict route' (Clash Verge: Settings, TUN mode; v2rayN: Settings, TUN), or TUN mode itself.",
        "{adapter} 是代理软件 TUN 模式的网卡。请在代理软件中关闭“严格路由（strict route）”（Clash Verge：设置 → 虚拟网卡模式（TUN）；v2rayN：设置 → Tun 模式设置），或者关闭 TUN 模式。";

    // ---- connections only
    /// Title.
    TCP: "Pings get out, connections do not", "ping 能通，但无法建立 TCP 连接";
    /// Cause.
    TCP_CAUSE:
        "A firewall between here and there lets pings through and connections not, as companies have it that want a proxy to be used.",
        "途中的防火墙放行 ping 但不放行连接，要求使用代理的公司网络通常如此。";
    /// Fix.
    TCP_FIX:
        "Take the proxy that Windows uses, or ask who runs the network for one:",
        "使用 Windows 正在使用的代理，或向网络管理员索取代理地址：";

    // ---- MTU
    /// Title.
    MTU: "Large packets are lost", "大数据包丢失";
    /// Seen.
    MTU_SEEN: "Small packets come through, those of {mtu} bytes, which {device} sends, do not, and no router says why.", "小数据包能通过，而 {device} 发送的 {mtu} 字节数据包不能通过，也没有路由器告知原因。";
    /// Seen.
    MTU_LARGEST_SEEN: "The largest that comes through has {largest} bytes.", "能通过的最大数据包为 {largest} 字节。";
    /// Cause.
    MTU_CAUSE:
        "A part of the way, mostly the VPN, takes only smaller packets, and the message that says so is lost: connections begin and then hang.",
        "途中某一段（通常是 VPN）只接受更小的数据包，而说明这一点的 ICMP 消息丢失了：连接能够建立，随后卡住不动。";
    /// Fix.
    MTU_FIX: "Have WSL send smaller packets; it lasts until WSL restarts:", "让 WSL 发送更小的数据包；重启 WSL 后失效：";
    /// Fix.
    MTU_BOOT_FIX: "To have it at each start:", "如需每次启动时生效：";

    // ---- IPv6
    /// Title.
    IPV6: "IPv6 is configured and does not work", "IPv6 只配置了一半：有地址和路由，但不通";
    /// Seen.
    IPV6_SEEN: "{link} has {address} and a default route for IPv6, but nothing answers.", "{link} 有 IPv6 地址 {address} 和默认路由，但访问没有应答。";
    /// Cause.
    IPV6_CAUSE:
        "IPv6 is half there: programs try it first and wait for it to fail before they take IPv4. Many VPNs carry IPv4 only.",
        "IPv6 只完成了一半：程序会先尝试 IPv6，等到失败后才改用 IPv4。很多 VPN 只传送 IPv4。";
    /// Fix.
    IPV6_FIX: "Have programs take IPv4 first:", "让程序优先使用 IPv4：";
    /// Fix.
    IPV6_OFF_FIX: "Or switch IPv6 off until WSL restarts:", "或者关闭 IPv6（重启 WSL 后失效）：";

    // ---- the company
    /// Title.
    COMPANY: "The company's hosts cannot be reached", "无法访问公司内网主机";
    /// Cause.
    COMPANY_CAUSE:
        "Windows reaches the company by its VPN, and what it forwards for WSL does not get in there.",
        "Windows 通过 VPN 可以访问公司内网，但它为 WSL 转发的流量进不去。";
    /// Cause.
    COMPANY_NOWHERE_CAUSE:
        "Neither WSL nor Windows gets there: the VPN is not connected, or that host is down.",
        "WSL 和 Windows 都无法访问：VPN 没有连接，或者该主机没有运行。";
    /// Fix.
    COMPANY_NOWHERE_FIX: "Connect the VPN on Windows, and see whether Windows gets there:", "在 Windows 上连接 VPN，然后确认 Windows 能否访问：";
}

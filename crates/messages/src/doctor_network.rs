//! What the doctor says about the VM's network and of the VPN that cuts it: steps 1 and 2.

sentences! {
    // ---- rules and routes of the VM's own
    RULE:
        "A rule or route of the VM drops everything",
        "虚拟机中的策略路由规则或路由丢弃了所有流量";
    RULE_SEEN: "Rule {priority}: {rule}.", "规则 {priority}：{rule}。";
    RULE_TABLE_SEEN:
        "Rule {priority}: {rule}. The default route of table {table} drops all traffic.",
        "规则 {priority}：{rule}；表 {table} 的默认路由会丢弃所有流量。";
    RULE_CAUSE:
        "This VM's own kernel rejects outgoing packets before they leave it; WSL and Windows are \
         not involved. A VPN client or script in the VM may have left the rule behind.",
        "虚拟机自己的内核在数据包离开之前就拒绝了它们，与 WSL 和 Windows 无关。可能是虚拟机中的 \
         VPN 客户端或脚本留下的规则。";
    RULE_FIX: "Remove it:", "将其删除：";
    SECOND_ROUTE:
        "A second default route points to a router that does not answer",
        "另一条默认路由指向没有应答的路由器";
    SECOND_ROUTE_SEEN:
        "There are two default routes: the one through {gateway} (metric {metric}) is used, not \
         the one through {other} (metric {others}).",
        "有两条默认路由：使用的是经 {gateway} 的一条（跃点数 {metric}），而不是经 {other} 的一条\
         （跃点数 {others}）。";
    SECOND_ROUTE_CAUSE:
        "A second default route takes precedence over WSL's own, and its router does not answer. \
         A program or script in the VM added it.",
        "另一条默认路由优先于 WSL 自己的路由，而它的路由器没有应答。它是由虚拟机中的程序或脚本添加\
         的。";
    SECOND_ROUTE_FIX:
        "Remove it, so that WSL's own route is used again:",
        "删除它，恢复使用 WSL 自己的路由：";

    // ---- the mode `none`
    MODE_NONE: "WSL has no network", "WSL 没有启用网络";
    MODE_NONE_CAUSE:
        "WSL is configured without a network (networkingMode=none), or it failed to create one \
         and fell back to that.",
        "WSL 被设置为不使用网络（networkingMode=none），或者创建网络失败后回退到了无网络状态。";
    MODE_NONE_FIX: "Choose a mode with a network:", "选择一个有网络的模式：";

    // ---- interface and address
    INTERFACE: "No interface is up with an address", "没有已启用并分配了地址的网卡";
    INTERFACE_SEEN:
        "No interface except loopback is up with an address. Present: {links}.",
        "除环回接口外，没有任何已启用且有地址的网卡。现有接口：{links}。";
    INTERFACE_CAUSE:
        "WSL's network was not set up when the VM started, or the interface was taken down.",
        "虚拟机启动时 WSL 的网络没有建立成功，或者网卡被人为关闭。";
    ROUTE: "There is no default route", "没有默认路由";
    ROUTE_SEEN:
        "{link} has {address}, but no table has a default route.",
        "{link} 的地址是 {address}，但没有任何默认路由。";
    ROUTE_CAUSE:
        "The default route was removed. VPN clients and tunnels inside WSL do this, and do not \
         restore it when they are killed.",
        "默认路由被删除了。WSL 内的 VPN 客户端或隧道程序会这样做，被强行结束时也不会恢复。";
    ROUTE_FIX: "Restore the route, or restart WSL:", "恢复默认路由，或重启 WSL：";

    // ---- other tunnels
    OTHER_TUNNEL: "A second tunnel interferes", "另一个隧道程序造成冲突";
    OTHER_TUNNEL_SEEN: "Detected {name} ({sign}).", "检测到 {name}（{sign}）。";
    OTHER_TUNNEL_TAKES:
        "The default route points to its interface {device}.",
        "默认路由指向它的接口 {device}。";
    OTHER_TUNNEL_CAUSE:
        "{name} takes WSL's traffic but does not deliver it, so the traffic reaches nothing else.",
        "{name} 接管了 WSL 的流量，却没有送出去，这些流量也不会再走别的路径。";
    OTHER_TUNNEL_BESIDE_CAUSE:
        "{name} and Underpass' tunnel both take WSL's traffic. Which one carries a packet is \
         undefined: stop one of them.",
        "{name} 和 Underpass 隧道都在接管 WSL 的流量，数据包走哪一个并不确定，两者只能保留一个。";
    OTHER_TUNNEL_FIX:
        "Stop {name}, and do not let it start again:",
        "停止 {name}，并取消它的自动启动：";
    OTHER_TUNNEL_DEVICE_FIX:
        "If its interface stays, remove it:",
        "如果它的接口仍然存在，将其删除：";

    // ---- the VM's own packet filter
    FILTER: "The VM's packet filter drops outgoing packets", "虚拟机自身的防火墙丢弃了出站流量";
    FILTER_POLICY_SEEN:
        "The VM's packet filter drops outgoing packets by default.",
        "虚拟机的防火墙默认策略是丢弃出站数据包。";
    FILTER_RULE_SEEN: "A rule of the VM's packet filter: {rule}", "虚拟机防火墙中有规则：{rule}";
    FILTER_CAUSE:
        "A firewall in the VM (nftables, iptables, ufw) stops packets before they reach Windows.",
        "虚拟机内的防火墙（nftables、iptables、ufw）在数据包到达 Windows 之前就把它们拦下了。";
    FILTER_FIX:
        "Look at its rules and remove the one that blocks the traffic:",
        "查看规则，删除拦截流量的那一条：";

    FILTER_UFW_FIX: "If the rules belong to ufw, turn ufw off:", "如果是 ufw 的规则，关闭 ufw：";

    // ---- Docker's networks
    DOCKER: "A Docker network covers outside addresses", "Docker 的网段占用了外网地址";

    // ---- our own tunnel
    TUNNEL: "Underpass' tunnel has no relay", "Underpass 隧道没有可用的中继程序";
    TUNNEL_SEEN:
        "The tunnel is running, but its relay on Windows is not: {error}",
        "隧道正在运行，但 Windows 上的中继程序没有运行：{error}";
    TUNNEL_CAUSE:
        "The relay, an ordinary Windows program, was ended or cannot start. Until it runs, WSL \
         uses its own network.",
        "中继程序是一个普通的 Windows 程序，它已被结束或者无法启动；在它恢复之前，WSL 使用自己原有\
         的网络。";
    TUNNEL_FIX:
        "The tunnel restarts it as soon as possible. To see what prevents that:",
        "条件允许时，隧道会自动重新启动它。查看无法启动的原因：";
    TUNNEL_FULL: "The tunnel is full and rejects new connections", "隧道已满，不再接受新连接";
    TUNNEL_FULL_SEEN:
        "The tunnel has {open} open TCP connections and rejects new ones.",
        "隧道中已有 {open} 个 TCP 连接，新连接会被拒绝。";
    TUNNEL_FULL_CAUSE:
        "Windows has a limited number of ports for outgoing connections, and the tunnel uses at \
         most three quarters of them. Programs in WSL have that many connections open.",
        "Windows 的出站端口数量有限，隧道最多使用其中的四分之三。WSL 中的程序已打开了这么多连接。";
    TUNNEL_FULL_FIX:
        "Find these programs in each distro, and end or restart them:",
        "在各个发行版中找出占用这些连接的程序，结束或重启它们：";
    TUNNEL_CROWDED:
        "One user holds too many of the tunnel's connections, and some were closed",
        "某个用户占用了过多隧道连接，部分连接已被结束";
    TUNNEL_CROWDED_SEEN:
        "{count} TCP connections were closed to make room for other users; the last one belonged \
         to {owner}.",
        "为给其他用户腾出空间，已结束 {count} 个 TCP 连接；最近一个属于 {owner}。";
    TUNNEL_CROWDED_CAUSE:
        "When the tunnel is full, it first closes connections of the user who holds the most, \
         beginning with forgotten and half-open ones.",
        "隧道已满时，会先结束占用最多的用户的连接，其中失联或半开的连接最先结束。";
    TUNNEL_OUT: "The tunnel's traffic does not get out", "隧道中的流量无法到达外网";
    TUNNEL_OUT_CAUSE:
        "The tunnel is up, and a Windows program makes its connections, but Windows does not get \
         them out. Windows is offline, or a firewall or the VPN allows only certain programs.",
        "隧道已建立，连接由 Windows 程序发起，但 Windows 没能把它们送出去：Windows 可能已断网，或\
         者防火墙、VPN 只放行指定的程序。";
    TUNNEL_OUT_FIX:
        "Check whether a browser on Windows reaches the target. If it does, allow \
         underpass-relay.exe in the firewall or security software. If the company requires a \
         proxy, let the tunnel use it:",
        "先看 Windows 上的浏览器能否访问。如果可以，请在防火墙或安全软件中放行 \
         underpass-relay.exe；如果公司要求使用代理，让隧道通过代理连接：";

    // ---- Windows is offline
    OFFLINE: "Windows itself is offline", "Windows 自身无法访问外网";
    OFFLINE_NO_ADAPTER_SEEN:
        "Windows has no adapter with a path to the internet.",
        "Windows 没有通往互联网的网卡。";
    OFFLINE_CAUSE:
        "The fault is not in WSL: Windows has no internet connection, so WSL has none either.",
        "故障不在 WSL：Windows 自身没有外网连接，WSL 自然也没有。";
    OFFLINE_FIX:
        "Bring Windows online first: check the cable or Wi-Fi, the network's sign-in page and the \
         VPN client. Some VPNs block all traffic until they are connected, which looks the same.",
        "请先让 Windows 联网：检查网线或 Wi-Fi、网络登录页面以及 VPN 客户端。有些 VPN 在连接成功之\
         前会禁止一切流量，现象与此相同。";

    // ---- gateway
    GATEWAY: "The gateway does not answer", "网关没有应答";
    GATEWAY_SEEN:
        "The default route points to {gateway}, which does not even answer ARP requests.",
        "默认路由指向 {gateway}，但它连 ARP 请求都没有应答。";
    GATEWAY_NO_PING_SEEN:
        "The default route points to {gateway}, which does not answer at all.",
        "默认路由指向 {gateway}，但它没有任何应答。";
    GATEWAY_CAUSE:
        "WSL's network stack is stuck: the virtual switch on Windows, or its end in the VM, no \
         longer works. This happens after sleep, and when a VPN or Hyper-V changes adapters.",
        "WSL 的网络栈卡死：Windows 上的虚拟交换机或它在虚拟机中的一端不再工作。常见于电脑睡眠唤醒\
         之后，或者 VPN、Hyper-V 更改网卡之后。";
    GATEWAY_SERVICE_FIX:
        "If that does not help, let Windows recreate its network. As administrator:",
        "如果仍然无效，让 Windows 重建网络。以管理员身份执行：";

    // ---- VPN: subnets overlap
    OVERLAP:
        "WSL's subnet overlaps another network of Windows",
        "WSL 的网段与 Windows 的其他网络重叠";
    OVERLAP_ROUTE_SEEN:
        "WSL's network is {subnet}, and Windows has a route to {other}.",
        "WSL 的网段是 {subnet}，而 Windows 有一条到 {other} 的路由。";
    OVERLAP_ADAPTER_SEEN:
        "WSL's network is {subnet}, and {adapter} on Windows uses {other}.",
        "WSL 的网段是 {subnet}，而 Windows 上的 {adapter} 使用 {other}。";
    OVERLAP_CAUSE:
        "Two networks of Windows use the same addresses, so replies to WSL go into the other one, \
         usually the VPN.",
        "Windows 上有两个网络使用了相同的地址，发给 WSL 的回包被送进了另一个网络，通常就是 VPN。";

    // ---- VPN: metric
    METRIC:
        "The VPN's adapter has a lower metric than all others",
        "VPN 网卡的跃点数低于其他所有网卡";
    METRIC_SEEN:
        "Windows reaches the internet through {adapter}, whose metric is {metric}; {other} has \
         {others}.",
        "Windows 通过 {adapter} 访问互联网，其跃点数为 {metric}；{other} 的跃点数为 {others}。";
    METRIC_CAUSE:
        "The VPN's adapter has the lowest metric, so all traffic goes into the VPN, including the \
         traffic that Windows forwards for WSL, which the VPN drops.",
        "VPN 网卡的跃点数最低，所有流量都进入 VPN，包括 Windows 为 WSL 转发的流量，而 VPN 会丢弃后\
         者。";

    // ---- VPN: routes
    CUT:
        "Traffic that Windows forwards for WSL does not get out",
        "Windows 为 WSL 转发的流量无法到达外网";
    CUT_ROUTES_SEEN:
        "Windows' routes {routes} take all traffic.",
        "Windows 的路由 {routes} 接管了全部流量。";
    CUT_GATEWAY_SEEN: "The gateway {gateway} answers.", "网关 {gateway} 有应答。";
    CUT_VPN_CAUSE:
        "The VPN's routes take all traffic, but the VPN carries only that of Windows' own \
         programs and drops what Windows forwards for WSL's NAT.",
        "VPN 的路由接管了全部流量，但它只传送 Windows 自身程序的流量，Windows 为 WSL 的 NAT 转发的\
         数据包被丢弃。";
    CUT_CAUSE:
        "Windows does not forward WSL's packets. Usually a VPN client or its firewall blocks \
         them, possibly one that the doctor does not recognize; otherwise Windows' NAT is stuck.",
        "Windows 没有转发 WSL 的数据包。多数情况是 VPN 客户端或其防火墙所为（可能是 doctor 无法识别\
         的产品），否则就是 Windows 的 NAT 卡死。";
    /// Fix, where the adapter is a proxy program's.
    TUN_FIX:
        "{adapter} belongs to a proxy program in TUN mode. In that program turn off 'strict \
         route' (Clash Verge: Settings, TUN mode; v2rayN: Settings, TUN), or turn off TUN mode.",
        "{adapter} 是代理软件 TUN 模式的网卡。请在代理软件中关闭“严格路由（strict route）”（Clash \
         Verge：设置 → 虚拟网卡模式（TUN）；v2rayN：参数设置 → Tun 模式设置），或者关闭 TUN 模式。";

    // ---- connections only
    TCP: "Pings get out, connections do not", "ping 能通，但无法建立 TCP 连接";
    TCP_CAUSE:
        "A firewall on the path lets pings through and blocks connections. Company networks that \
         require a proxy do this.",
        "链路上的防火墙放行 ping 但拦截 TCP 连接，要求使用代理的公司网络通常如此。";
    TCP_FIX:
        "Use the proxy that Windows uses, or ask the network's administrator for one:",
        "使用 Windows 正在使用的代理，或向网络管理员索取代理地址：";

    // ---- MTU
    MTU: "Large packets are lost", "大数据包丢失";
    MTU_SEEN:
        "Small packets get through. Packets of {mtu} bytes, which {device} sends, do not, and no \
         router reports why.",
        "小数据包能通过，而 {device} 发送的 {mtu} 字节数据包不能通过，也没有路由器告知原因。";
    MTU_LARGEST_SEEN:
        "The largest packet that gets through has {largest} bytes.",
        "能通过的最大数据包为 {largest} 字节。";
    MTU_CAUSE:
        "Part of the path, usually the VPN, accepts only smaller packets, and the ICMP message \
         that reports it is lost: connections start and then hang.",
        "链路中某一段（通常是 VPN）只允许更小的数据包，而报告这一点的 ICMP 消息又丢失了：连接能建\
         立，随后就卡住。";
    MTU_FIX:
        "Let WSL send smaller packets; this lasts until WSL restarts:",
        "让 WSL 发送更小的数据包；重启 WSL 后失效：";
    MTU_BOOT_FIX: "To apply it at each start:", "如需每次启动时生效：";

    // ---- IPv6
    IPV6: "IPv6 is configured but does not work", "IPv6 只配置了一半：有地址和路由，但不通";
    IPV6_SEEN:
        "{link} has {address} and a default route for IPv6, but nothing answers.",
        "{link} 有 IPv6 地址 {address} 和默认路由，但访问没有应答。";
    IPV6_CAUSE:
        "IPv6 is only half configured: programs try it first and fall back to IPv4 only after it \
         fails. Many VPNs carry only IPv4.",
        "IPv6 只配置了一半：程序会先尝试 IPv6，等到失败后才改用 IPv4。很多 VPN 只传送 IPv4。";
    IPV6_FIX: "Let programs prefer IPv4:", "让程序优先使用 IPv4：";
    IPV6_OFF_FIX: "Or turn IPv6 off until WSL restarts:", "或者关闭 IPv6（重启 WSL 后失效）：";

    // ---- the company
    COMPANY: "The company's hosts cannot be reached", "无法访问公司内网主机";
    COMPANY_CAUSE:
        "Windows reaches the company through its VPN, but the traffic that it forwards for WSL \
         does not get in.",
        "Windows 通过 VPN 可以访问公司内网，但它为 WSL 转发的流量进不去。";
    COMPANY_NOWHERE_CAUSE:
        "Neither WSL nor Windows can reach it: the VPN is not connected, or the host is down.",
        "WSL 和 Windows 都无法访问：VPN 没有连接，或者该主机没有运行。";
    COMPANY_NOWHERE_FIX:
        "Connect the VPN on Windows, then check whether Windows reaches it:",
        "在 Windows 上连接 VPN，然后确认 Windows 能否访问：";
}

//! What `underpass status` shows.

sentences! {
    // ---- labels
    STATE: "state", "状态";
    MODE: "mode", "网络模式";
    TAP: "tap", "TAP 设备";
    ADDRESSES: "addresses", "地址";
    IPV6: "ipv6", "IPv6 支持";
    VIA: "via", "上级代理";
    CAPTURED: "captured", "接管网段";
    DIRECT: "direct", "直连网段";
    MIRRORED: "mirrored", "镜像路由";
    RELAY: "relay", "中继程序";
    FLOWS: "flows", "当前连接";
    SO_FAR: "so far", "累计连接";
    ANSWERS: "answers", "DNS 应答";
    BYTES: "bytes", "字节";
    PACKETS: "packets", "数据包";
    DROPS: "drops", "丢弃";
    LIMITS: "limits", "上限";
    FULL: "full", "已满";
    SHARES: "shares", "公平分配";
    REBIND: "rebind", "DNS 重绑定";
    KEPT_UP: "kept up", "保持运行";
    PROCESS: "process", "进程";
    TROUBLE: "trouble", "故障";

    // ---- values
    /// Of the gateway. `state`: see below; `uptime`: a duration.
    RUNNING:
        "{state}, for {uptime} (process {pid}, version {version})",
        "{state}，已运行 {uptime}（进程 {pid}，版本 {version}）";
    /// A state of the gateway or of a relay.
    STARTING: "starting", "正在启动";
    /// A state of the gateway.
    UP: "up", "已连通";
    /// A state of the gateway.
    NO_RELAY: "no-relay", "没有中继程序";
    /// A state of a relay.
    READY: "ready", "就绪";
    /// A state of a relay: it is started again soon.
    WAITING: "waiting", "等待重启";
    /// Of the mode.
    MODE_NAME: "{mode}", "{mode} 模式";
    /// Of the mode.
    NOT_KNOWN_YET: "not known yet", "尚未得知";
    /// Of the TAP. `way`: `WAY_MTU`, or nothing.
    DEVICE:
        "{name}, mtu {mtu}{way}, offload {offload}",
        "{name}，MTU {mtu}{way}，分段卸载{offload}";
    /// Of the TAP.
    WAY_MTU: " for TCP, {mtu} for the rest", "（TCP 以外为 {mtu}）";
    /// Of offload.
    ON: "on", "开启";
    /// Of offload.
    OFF: "off", "关闭";
    /// Of the TAP.
    ADDRESS:
        "{vm}/{prefix}, gateway {gateway}, host {host}",
        "{vm}/{prefix}，网关 {gateway}，主机 {host}";
    /// Of IPv6.
    NOT_CARRIED: "not carried: {why}", "不承载：{why}";
    /// Of mirrored routes.
    THROUGH_TUNNEL: "{routes}: through the tunnel", "{routes}：经过隧道";
    /// Of flows.
    FLOW_COUNTS:
        "tcp {tcp} ({pending} pending, {waiting} in time-wait), udp {udp}, dns {dns}, ping {ping}",
        "TCP {tcp}（{pending} 个正在连接，{waiting} 个处于 TIME-WAIT），UDP {udp}，DNS \
         {dns}，ping {ping}";
    /// Of flows since the start.
    TOTALS:
        "tcp {tcp}, udp {udp}, dns {dns}, ping {ping}",
        "TCP {tcp} 个，UDP {udp} 个，DNS {dns} 个，ping {ping} 个";
    /// Of bytes and packets.
    UP_DOWN: "up {up}, down {down}", "上行 {up}，下行 {down}";
    /// Connections without room.
    REFUSED:
        "{count} connections refused because the tunnel was full, the last {seconds} s ago",
        "隧道已满，拒绝了 {count} 个连接，最近一次在 {seconds} 秒前";
    /// Connections that were closed for others.
    DISPLACED:
        "{count} connections closed to make room for other users, the last one, of {owner}, \
         {seconds} s ago",
        "为给其他用户腾出空间，已结束 {count} 个连接；最近一个属于 {owner}，在 {seconds} 秒前";
    /// Answers that named the host. `names`: a list.
    REBOUND:
        "{count} DNS answers pointed at the host and lost these addresses; the last names: {names}",
        "{count} 个 DNS 应答指向主机，相应地址已被丢弃；最近的域名：{names}";
    /// Entries that a line does not show.
    MORE: " and {more} more (see --json)", " 等（另有 {more} 项，见 --json）";
    /// An empty list.
    NONE: "none", "无";
    /// `via windows`.
    WINDOWS_PROXIES: "the proxies in Windows' settings", "Windows 设置中的代理";
    /// A proxy and its exceptions.
    EXCEPT: "{proxy}, except for {names}", "{proxy}，以下目标除外：{names}";
    /// Of a proxy. `proxy`: one of the above.
    NAMES_KNOWN: "{proxy}; {count} names known", "{proxy}；已记录 {count} 个域名";
    /// Of a proxy, on a line of its own.
    NOTHING_THROUGH: "nothing goes through it: {error}", "代理不可用：{error}";
    /// Of the helper distro.
    HELD:
        "by a wsl.exe of its own, until `wsl --terminate`",
        "由专用的 wsl.exe 保持，直到执行 `wsl --terminate`";
    /// Of the helper distro.
    HOLD_STARTING:
        "starting a wsl.exe that keeps this distro running",
        "正在启动用来保持此发行版运行的 wsl.exe";
    /// Of the helper distro.
    HOLD_WAITING:
        "nothing keeps this distro running; a wsl.exe starts again in some seconds",
        "此发行版目前没有程序保持运行；几秒后会重新启动 wsl.exe";
    /// Why a program ended, on a line of its own.
    LAST_ENDED: "last ended: {error}", "上次退出的原因：{error}";
    /// Of a process.
    ROOT: "root", "root 用户";
    /// Of a process.
    USER: "user {id}", "用户 {id}";
    /// Of a process.
    NO_CAPABILITY: "no capability", "没有任何 capability";
    /// Of a process.
    CAPABILITIES: "{count} capabilities", "{count} 项 capability";
    /// Of a process.
    NO_NEW_PRIVILEGES: "no new privileges", "不能获得新权限";
    /// Of a process, on a line of its own.
    NOT_IN_FORCE: "not in force: {missing}", "未生效：{missing}";
    /// Of a process. `words`: what it may do.
    PROCESS_LINE: "{process} ({pid}): {words}", "{process}（进程 {pid}）：{words}";
    /// Of a relay.
    RELAY_AGE: ", process {pid} for {age}", "，进程 {pid}，已运行 {age}";
    /// Of a relay.
    RELAY_RESTARTS: ", {count} restarts", "，重启 {count} 次";
    /// Of a relay. `can`: words of the protocol.
    RELAY_VERSION: ", {version} ({can})", "，版本 {version}（{can}）";
    /// Of a relay. `link`: a word of the protocol.
    BY_LINK: ", by {link}", "，经由 {link}";
    /// Of a relay's links, on a line of its own. `cause`: one of those below.
    NO_LINK: "no {link} link: {cause} ({error})", "没有 {link} 链路：{cause}（{error}）";
    /// After a link's cause. `wait`: a duration.
    NEXT_TRY: "; the next try is in {wait}", "；{wait}后再次尝试";
    /// Why there is no link.
    LINK_REFUSED: "refused", "连接被拒绝";
    /// Why there is no link.
    LINK_TIMED_OUT: "no answer", "没有应答";
    /// Why there is no link.
    LINK_UNREACHABLE: "unreachable", "不可达";
    /// Why there is no link.
    LINK_DENIED: "forbidden", "被禁止";
    /// Why there is no link.
    LINK_UNSUPPORTED: "not available on this system", "本系统不支持";
    /// Why there is no link.
    LINK_MODE: "not in this networking mode", "当前网络模式不适用";
    /// Why there is no link.
    LINK_STRANGER: "another program answered", "应答的是其他程序";
    /// Why there is no link.
    LINK_BROKE: "it was up, and broke", "建立后又断开";
    /// Why there is no link.
    LINK_OTHER: "failed", "失败";

    // ---- durations
    /// Seconds.
    SECONDS: "{s} s", "{s} 秒";
    /// Minutes.
    MINUTES: "{m} min {s} s", "{m} 分 {s} 秒";
    /// Hours.
    HOURS: "{h} h {m} min", "{h} 小时 {m} 分";
    /// Days.
    DAYS: "{d} d {h} h", "{d} 天 {h} 小时";
}

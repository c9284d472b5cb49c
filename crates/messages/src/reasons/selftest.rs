//! Findings of `underpass selftest`.

super::reasons! {
    "the tunnel is up" => "隧道已连通";
    "the tunnel is {1}" => "隧道的状态：{1}";
    "up" => "已连通";
    "starting" => "正在启动";
    "no-relay" => "没有中继程序";
    "not up within {1} s: {2}" => "{1} 秒内没有连通：{2}";
    "{1}; {2} ends with: {3}" => "{1}；{2} 的末尾：{3}";
    "the relay's streams carry bytes both ways, undamaged" =>
        "中继程序的输入输出双向传输正常，数据没有损坏";
    "the host's 127.0.0.1 is reached, and bytes come undamaged" =>
        "可以访问主机的 127.0.0.1，数据没有损坏";
    "bytes and datagrams come back" => "字节和数据报都能返回";
    "bytes come back, datagrams do not" => "字节能返回，数据报没有返回";
    "WSL's networking mode is not known: `wslinfo --networking-mode` gave no answer" =>
        "无法得知 WSL 的网络模式：`wslinfo --networking-mode` 没有应答";
    "WSL's mode is {1}" => "WSL 的网络模式是 {1}";
    "{1}, {2} adapters up" => "{1}，已启用 {2} 个网卡";
    "{1} resolves by UDP and TCP" => "用 UDP 和 TCP 都能解析 {1}";
    "{1} does not resolve: {2}" => "无法解析 {1}：{2}";
    "the host has no route to the IPv6 internet, or this kernel no IPv6 rules" =>
        "主机没有通往 IPv6 互联网的路由，或者内核不支持 IPv6 策略路由";
    "there is no IPv4 address to try: give one with --outside" =>
        "没有可测试的 IPv4 地址：请用 --outside 指定";
    "there is no IPv4 address to trace: give one with --outside" =>
        "没有可跟踪的 IPv4 地址：请用 --outside 指定";
    "only IPv4 is traced" => "只能跟踪 IPv4";
    "only root can trace: run this as root" => "只有 root 才能跟踪路由：请以 root 身份运行";
    "{1} of {2} hops answer; target reached: {3}" =>
        "{1} 跳有应答（共 {2} 跳），是否到达目标：{3}";
    "yes" => "是";
    "no" => "否";
    "the host has no VPN connected: connect it and try again" => "主机没有连接 VPN：请连接后重试";
    "with the VPN connected the tunnel reaches the internet: {1}; WSL's own network does: {2}" =>
        "连接 VPN 时，隧道能否访问外网：{1}；WSL 自己的网络能否访问：{2}";
    "{1} has no proxy settings that all its programs share" => "{1} 没有所有程序共用的代理设置";
    "Windows' proxy settings were read" => "已读取 Windows 的代理设置";
    "Windows' script could not be asked: {1}" => "无法执行 Windows 的代理脚本：{1}";
    "no change was reported within {1} s" => "{1} 秒内没有报告任何变化";
    "a change was reported" => "已报告一次变化";
    "no address of this kind is known: give one with {1}" => "没有这类地址：请用 {1} 指定";
    "{1} of {2} {3} succeed: {4}" => "成功 {1} 次（共 {2} 次）：{3}；失败原因：{4}";
    "{1} of {2} {3} succeed" => "成功 {1} 次（共 {2} 次）：{3}";
    "connections" => "连接";
    "answers of nameservers" => "DNS 服务器的应答";
    "pings" => "ping 测试";
    "--mtu decides what packets may have, not the host's way out" =>
        "数据包大小由 --mtu 决定，与主机的出口无关";
    "a ping of {1} bytes, as the host's way out takes, comes back: {2}; a datagram of one byte \
     more, with DF, is refused: {3}" =>
        "{1} 字节的 ping（主机出口的 MTU）能否返回：{2}；多一个字节且带 DF 标志的数据报是否被拒\
         绝：{3}";
    "with {1}" => "是，报告的 MTU 为 {1}";
}

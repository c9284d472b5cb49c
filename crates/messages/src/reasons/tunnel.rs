//! Reasons that the gateway reports.

super::reasons! {
    "the relay program {1} was not found: give its path with --relay; the helper distro and \
     scripts/static-cargo have one beside `underpass`" =>
        "找不到中继程序 {1}：请用 --relay 指定路径；辅助发行版中，以及 scripts/static-cargo 构建出\
         的 `underpass` 旁边都有这个程序";
    "the relay program {1} is not executable: check the file's permissions (chmod +x); for a \
     Windows program also that neither its access rights nor a Windows policy (AppLocker) forbid \
     it, or give another path with --relay" =>
        "中继程序 {1} 无法执行：请检查文件权限（chmod +x）；如果是 Windows 程序，还要检查其访问权\
         限和 Windows 策略（AppLocker）是否禁止它，或者用 --relay 指定其他路径";
    "the relay program {1} is built for {2}, and this machine is {3}: take the one that was built \
     for it" =>
        "中继程序 {1} 是为 {2} 构建的，而本机是 {3}：请使用对应的版本";
    "the relay program {1} cannot be executed by this system (exec format error): for a Windows \
     program WSL's interop is off or its binfmt_misc entry is missing; see [interop] in \
     /etc/wsl.conf, then `wsl --shutdown`" =>
        "系统无法执行中继程序 {1}（`exec format error`）：如果是 Windows 程序，说明 WSL 互操作已关\
         闭，或缺少 binfmt_misc 项；请检查 /etc/wsl.conf 的 [interop]，再执行 `wsl --shutdown`";
    "the relay program {1} cannot be started: {2}" => "无法启动中继程序 {1}：{2}";
    "the relay cannot be started: {1}" => "无法启动中继程序：{1}";
    "the relay program {1} could not be started: {2}" => "无法启动中继程序 {1}：{2}";
    "a VM's id is a GUID, such as 12345678-90ab-cdef-1234-567890abcdef" =>
        "虚拟机 ID 应为 GUID，例如 12345678-90ab-cdef-1234-567890abcdef";
    "Windows' folder for it is not known: {1}" => "无法得知它在 Windows 上的文件夹：{1}";
    "{1} cannot be copied to {2}: {3}" => "无法把 {1} 复制到 {2}：{3}";
    "what is read there is not what was written" => "读到的内容与写入的不同";
    "the relay {1} did not answer within {2} s: Windows, or an antivirus program, holds up its \
     start; try again" =>
        "中继程序 {1} 在 {2} 秒内没有应答：Windows 或杀毒软件拖慢了它的启动；请重试";
    "the relay {1} ended without an answer ({2}): {3}" =>
        "中继程序 {1} 没有应答就退出了（{2}）：{3}";
    "the relay {1} answered something else than JSON ({2}): is it the relay of this version? Give \
     another with --relay" =>
        "中继程序 {1} 的应答不是 JSON（{2}）：它是同一版本的中继程序吗？请用 --relay 另行指定";
    "underpass is not running: start it with `underpass up`" =>
        "underpass 没有运行：请用 `underpass up` 启动";
    "{1} may not be opened: run this as the user that started `underpass up` (usually root)" =>
        "无权打开 {1}：请以启动 `underpass up` 的用户（通常是 root）身份运行";
    "underpass does not answer on {1}: {2}" => "underpass 在 {1} 上没有应答：{2}";
    "nothing can be published in {1}, so other distros see neither status nor command; their \
     traffic does not need it: {2}; choose another folder with --publish, or --no-publish" =>
        "无法在 {1} 中发布，其他发行版看不到状态和命令（它们的流量不受影响）：{2}；请用 --publish \
         另选文件夹，或使用 --no-publish";
    "--via: this relay cannot go through a proxy; use the relay of this release" =>
        "--via：这个中继程序不支持代理；请使用同一版本的中继程序";
    "--via windows: only the relay for Windows (underpass-relay.exe) can follow Windows' proxy \
     settings; give the proxy itself, as http://HOST:PORT or socks5://HOST:PORT" =>
        "--via windows：只有 Windows 版的中继程序（underpass-relay.exe）能使用 Windows 的代理设\
         置；请直接指定代理，形式为 http://主机:端口 或 socks5://主机:端口";
    "the settings of --via cannot be read" => "无法读取 --via 的设置";
    "WSL's interop is switched off by 'enabled' of [interop] in /etc/wsl.conf: take that line \
     out, then run `wsl --shutdown`" =>
        "/etc/wsl.conf 的 [interop] 中 enabled 关闭了 WSL 互操作：请删除这一行，再执行 `wsl \
         --shutdown`";
    "the kernel's entry for Windows programs (WSLInterop in {1}) is gone, as systemd-binfmt \
     leaves it in some distros, and cannot be written again ({2}): run underpass as root, or `wsl \
     --shutdown`" =>
        "内核中用来启动 Windows 程序的注册项（{1} 中的 WSLInterop）已丢失（某些发行版的 \
         systemd-binfmt 会清除它），且无法重新写入（{2}）：请以 root 身份运行 underpass，或执行 \
         `wsl --shutdown`";
    "the kernel's entry for Windows programs (in {1}) is switched off and cannot be switched on \
     ({2}): run underpass as root, or as root write 1 to {3}/status and to {4}/WSLInterop" =>
        "内核中用来启动 Windows 程序的注册项（在 {1} 中）已被禁用，且无法启用（{2}）：请以 root 身\
         份运行 underpass，或以 root 身份把 1 写入 {3}/status 和 {4}/WSLInterop";
    "{1} is not a Windows program, so it is not started: another user may have put it there; look \
     at it, and remove it" =>
        "{1} 不是 Windows 程序，没有启动：可能是其他用户放在那里的；请查看并删除";
    "nothing starts Windows programs here: {1} of WSL is not there, nor an entry for them in {2}; \
     is this WSL, with interop (see [interop] in /etc/wsl.conf)?" =>
        "这里无法启动 Windows 程序：没有 WSL 的 {1}，{2} 中也没有相应的项；当前系统是开启了互操作\
         的 WSL 吗（见 /etc/wsl.conf 的 [interop]）？";
    "the gateway's processes cannot talk to each other: {1}" => "隧道的各进程之间无法通信：{1}";
    "{1} cannot be started: {2}" => "无法启动 {1}：{2}";
    "{1} does not answer: Windows, or an antivirus program, holds it up" =>
        "{1} 没有应答：Windows 或杀毒软件拖慢了它";
    "{1} ended ({2}): {3}" => "{1} 已退出（{2}）：{3}";
    "the configuration file {1} cannot be read: {2}; check --config" =>
        "无法读取配置文件 {1}：{2}；请检查 --config";
    "the configuration file {1} is wrong: {2}" => "配置文件 {1} 有误：{2}";
    "{1} is {2}: it must be {3} to {4}" => "{1} 的值为 {2}，应在 {3} 到 {4} 之间";
    "--via-except names what bypasses a proxy, and no proxy is set: give one with --via" =>
        "--via-except 指定不经过代理的目标，但没有设置代理：请用 --via 指定代理";
    "--subnet {1}: it must be a network of prefix length 28, such as {2}/28" =>
        "--subnet {1}：必须是前缀长度为 28 的网段，例如 {2}/28";
    "underpass runs already, as process {1}: see `underpass status`; stop that one first (kill \
     {2})" =>
        "underpass 已在运行（进程 {1}）：请查看 `underpass status`，先结束它（kill {2}）";
    "{1} cannot be used: {2}; run as root, or set UNDERPASS_RUNTIME_DIR to another directory" =>
        "无法使用 {1}：{2}；请以 root 身份运行，或把 UNDERPASS_RUNTIME_DIR 设为其他目录";
    "what the relay sends cannot be understood: {1}; is --relay an underpass-relay?" =>
        "无法理解中继程序发来的内容：{1}；--relay 指定的是 underpass-relay 吗？";
    "the stream from the relay is damaged: {1}. The relay is started again, so that no app gets \
     wrong data; some versions of WSL lose bytes so (microsoft/WSL issue 41063): update it with \
     `wsl --update`" =>
        "来自中继程序的数据流已损坏：{1}。为避免应用收到错误数据，中继程序会重新启动；某些版本的 \
         WSL 会丢失字节（microsoft/WSL 的 issue 41063）：请用 `wsl --update` 更新";
    "the relay hangs: {1}" => "中继程序没有响应：{1}";
    "the link to the relay ({1}) broke: {2}" => "与中继程序的链路（{1}）已断开：{2}";
    "TCP needs WSL's networking mode nat" => "TCP 需要 WSL 的 nat 网络模式";
    "eth0 has no IPv4 address, or there is no way to the host" =>
        "eth0 没有 IPv4 地址，或没有通往主机的路由";
    "it ended while the relay ran" => "它断开时中继程序仍在运行";
    "the pipe to the relay broke: {1}" => "与中继程序的管道已断开：{1}";
    "Windows does not report where %{1}% is; tried: {2}: a policy forbids these programs, most \
     likely (\"Prevent access to the command prompt\", AppLocker); have one of them allowed" =>
        "无法从 Windows 获取 %{1}% 的位置；已尝试 {2}，这些程序很可能被策略禁止（“阻止访问命令提示\
         符”、AppLocker）；请放行其中之一";
    "no netlink socket, so the kernel's routes can be neither read nor set: {1}" =>
        "无法打开 netlink 套接字，不能读取或设置内核的路由：{1}";
    "no permission for {1}: run as root (it takes CAP_NET_ADMIN)" =>
        "没有执行 {1} 的权限：请以 root 身份运行（需要 CAP_NET_ADMIN）";
    "there is no interface {1}: another program has removed it; start the gateway again" =>
        "网卡 {1} 不存在：它已被其他程序删除；请重新启动隧道";
    "{1} failed: {2}" => "{1} 失败：{2}";
    "IPv6 is off in this VM (sysctl net.ipv6.conf.all.disable_ipv6, or ipv6.disable=1 on the \
     kernel's command line)" =>
        "此虚拟机关闭了 IPv6（sysctl `net.ipv6.conf.all.disable_ipv6`，或内核命令行中的 \
         ipv6.disable=1）";
    "this kernel has no routing rules for IPv6 (it is built without CONFIG_IPV6_MULTIPLE_TABLES, \
     like WSL's kernels up to 5.15.90.1). The tunnel carries only IPv4 and leaves IPv6 unchanged: \
     run `wsl --update` and then `wsl --shutdown` in Windows, or build your own kernel with that \
     option" =>
        "内核不支持 IPv6 策略路由（编译时未启用 CONFIG_IPV6_MULTIPLE_TABLES，WSL 5.15.90.1 及更早的\
         内核都是如此），隧道只承载 IPv4，IPv6 保持原样：请在 Windows 中依次执行 `wsl --update` 和 \
         `wsl --shutdown`，或在编译自定义内核时启用该选项";
    "this VM refuses what IPv6 in the tunnel needs, so the tunnel carries IPv4 alone: {1}" =>
        "此虚拟机不允许隧道所需的 IPv6 设置，隧道只承载 IPv4：{1}";
    "{1} cannot be the TAP's subnet: it must be a /28 of unicast addresses and end on a multiple \
     of 16, like 192.168.214.0/28" =>
        "{1} 不能作为 TAP 的网段：必须是单播地址的 /28，且末位是 16 的倍数，例如 192.168.214.0/28";
    "the subnet {1} overlaps the route to {2}: choose one that no route of Linux or Windows \
     covers" =>
        "网段 {1} 与到 {2} 的路由重叠：请选择一个与 Linux 和 Windows 的路由都不重叠的网段";
    "every subnet that is tried by itself overlaps a route of Linux or Windows: name a free /28 \
     in the settings, the last one tried met the route to {1}" =>
        "自动尝试的网段都与 Linux 或 Windows 的路由重叠：请在设置中指定一个空闲的 /28；最后一个与\
         到 {1} 的路由重叠";
    "the device {1} cannot be read any more ({2}): was it removed? Start underpass again; no \
     other program may manage this device" =>
        "无法再读取设备 {1}（{2}）：它被删除了吗？请重新启动 underpass，并且不要让其他程序管理该设\
         备";
    "the relay ended ({1}){2}{3}" => "中继程序已退出（{1}）{2}{3}";
    "the relay has not said hello within {1} s" => "中继程序在 {1} 秒内没有完成握手";
    "the relay has not said hello within {1} s: {2}" => "中继程序在 {1} 秒内没有完成握手：{2}";
    "the process {1} of the gateway cannot be started: {2}" => "无法启动隧道进程 {1}：{2}";
    "the process {1} of the gateway (pid {2}) ended: {3}" => "隧道进程 {1}（pid {2}）已退出：{3}";
    "'{1}' is not a domain; give one such as corp.example, or . for every name" =>
        "“{1}”不是域；请写 corp.example 这样的域，或用 . 表示所有域名";
    "there is no /dev/net/tun, so no TAP can be made: the kernel's TUN driver is not loaded, and \
     WSL alone can load it, when its VM starts. In %UserProfile%\\.wslconfig, under [wsl2], take \
     out loadDefaultKernelModules=false (the default is true); with a kernel of your own \
     (kernel=) set kernelModules= to the disk with its modules, or build it with CONFIG_TUN=y. \
     Then run `wsl --shutdown` in Windows" =>
        "/dev/net/tun 不存在，无法创建 TAP：内核没有加载 TUN 驱动，而只有 WSL 能在虚拟机启动时加载\
         它。请在 %UserProfile%\\.wslconfig 的 [wsl2] 下删除 loadDefaultKernelModules=false（默认\
         为 true）；如果使用自定义内核（kernel=），请把 kernelModules= 设为其模块磁盘，或在编译时\
         启用 CONFIG_TUN=y。然后在 Windows 中执行 `wsl --shutdown`";
    "no permission to make the TAP {1}: run as root (it takes CAP_NET_ADMIN)" =>
        "没有创建 TAP {1} 的权限：请以 root 身份运行（需要 CAP_NET_ADMIN）";
    "the interface {1} belongs to another program or is not a TAP: end that program (an underpass \
     of another distro?) or choose another name with --tap" =>
        "网卡 {1} 属于其他程序，或者不是 TAP：请结束该程序（可能是另一个发行版中的 underpass），或\
         用 --tap 换一个名称";
    "{1} cannot be an interface's name: choose one of 1 to 15 letters, digits, '-', '_' or '.' \
     with --tap (one %d stands for a free number)" =>
        "{1} 不能作为网卡名：请用 --tap 指定 1 到 15 个字母、数字、“-”、“_”或“.”（%d 表示空闲的编\
         号）";
    "the TAP {1} could not be made, {2} failed: {3}" => "无法创建 TAP {1}，{2} 失败：{3}";
    "{1} is gone: an antivirus program took it, most likely; {2}" =>
        "{1} 已不存在：很可能被杀毒软件删除；{2}";
    "look at the antivirus program's history (Windows Security: Protection history) and have the \
     file or its folder allowed" =>
        "请查看杀毒软件的记录（Windows 安全中心：保护历史记录），并放行该文件或所在文件夹";
    "Windows runs {1} for administrators only: in the file's properties, under Compatibility, \
     'Run this program as an administrator' must be off" =>
        "Windows 只允许管理员运行 {1}：请在文件属性的“兼容性”中取消“以管理员身份运行此程序”";
    "{1} is built for {2}, and this machine is {3}: Windows on Arm runs x86_64 programs from \
     Windows 11 on, and no Windows runs aarch64 programs elsewhere" =>
        "{1} 是为 {2} 构建的，而本机是 {3}：Arm 版 Windows 从 Windows 11 起才能运行 x86_64 程序，\
         其他 Windows 都不能运行 aarch64 程序";
    "Windows refuses to start {1}: a policy that allows programs in certain folders only \
     (AppLocker, App Control) does that, and so do antivirus programs; have it allowed, or copy \
     it to a folder that is, and give that with --relay. On Windows 11 Smart App Control blocks \
     programs without a signature, wherever they are, and makes no exception for one: see \
     Settings > Privacy & security > Windows Security > App & browser control > Smart App \
     Control" =>
        "Windows 拒绝启动 {1}：只允许特定文件夹中的程序的策略（AppLocker、应用控制）或杀毒软件会这\
         样做；请放行它，或把它复制到允许的文件夹，再用 --relay 指定。Windows 11 的智能应用控制会\
         阻止所有没有签名的程序，且不能为单个程序例外：见“设置 → 隐私和安全性 → Windows 安全中心 \
         → 应用和浏览器控制 → 智能应用控制”";
    "it was ended from outside, and said nothing; if that happens again it is an antivirus \
     program, most likely: {1} ({2})" =>
        "它被其他程序结束，没有留下任何信息；如果再次发生，很可能是杀毒软件所为：{1}（{2}）";
    "WSL's interop starts no Windows program by {1}: its side on Windows is gone (microsoft/WSL \
     issue 41283); {2}; to renew it {3}" =>
        "WSL 互操作无法通过 {1} 启动 Windows 程序：它在 Windows 一侧已失效（microsoft/WSL 的 \
         issue 41283）；{2}；恢复办法：{3}";
    "either the other side of {1} is gone (microsoft/WSL issue 41283), or Windows is slow to \
     start the program; {2}; if that one answers at once, renew the first: {3}" =>
        "{1} 的另一端已失效（microsoft/WSL 的 issue 41283），或者 Windows 启动程序太慢；{2}；如果\
         换用后立即有应答，请恢复前一个：{3}";
    "another session's socket is tried" => "改用其他会话的套接字";
    "there is no other socket to try" => "没有其他套接字可用";
    "run `wsl --terminate {1}` on Windows and start the distro again" =>
        "在 Windows 上执行 `wsl --terminate {1}`，再重新启动该发行版";
}

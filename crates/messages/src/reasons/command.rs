//! Reasons that the command itself reports.

super::reasons! {
    "the log file {1} cannot be written: check --log-file" =>
        "无法写入日志文件 {1}：请检查 --log-file";
    "only `underpass up` starts this process" => "此进程只能由 `underpass up` 启动";
    "the event loop cannot be started" => "无法启动事件循环";
    "SIGTERM cannot be waited for" => "无法等待 SIGTERM 信号";
    "SIGINT cannot be waited for" => "无法等待 SIGINT 信号";
    "SIGHUP cannot be waited for" => "无法等待 SIGHUP 信号";
    "{1} cannot be written: run this as root" => "无法写入 {1}：请以 root 身份运行";
    "the output could not be written" => "无法写入输出";
    "the manual pages cannot be written to {1}" => "无法把手册页写入 {1}";
    "no tunnel has run for {1} s: /var/log/underpass.log of the helper distro shows why none \
     starts; elsewhere start one with `underpass up`" =>
        "已有 {1} 秒没有隧道在运行：启动失败的原因见辅助发行版的 /var/log/underpass.log；在其他发\
         行版中请用 `underpass up` 启动";
    "systemd is not running in this distro: write `systemd=true` under `[boot]` in /etc/wsl.conf, \
     then run `wsl --shutdown`; or let Windows start the tunnel at logon (install.ps1)" =>
        "此发行版没有运行 systemd：请在 /etc/wsl.conf 的 `[boot]` 下写 `systemd=true`，再执行 \
         `wsl --shutdown`；或者让 Windows 在登录时启动隧道（install.ps1）";
    "--distro '{1}' is not the name of a distro: see `wsl --list`" =>
        "--distro “{1}”不是发行版的名称：请查看 `wsl --list`";
    "{1} exists and was not written by this command: look at it, and remove it if it is not \
     needed" =>
        "{1} 已经存在，且不是由本命令写入的：请先查看，不需要时再删除";
    "the service is not installed: {1} does not exist" => "服务没有安装：{1} 不存在";
    "the service is not installed: `underpass service install` installs it" =>
        "服务没有安装：可用 `underpass service install` 安装";
    "{1} was not written by this command and is left unchanged" =>
        "{1} 不是由本命令写入的，保持不变";
    "{1} cannot be removed: run this as root" => "无法删除 {1}：请以 root 身份运行";
    "{1} cannot be removed" => "无法删除 {1}";
    "systemctl cannot be run" => "无法运行 systemctl";
    "{1} cannot be read" => "无法读取 {1}";
    "the service is {1}: see `journalctl -u underpass`" =>
        "服务的状态是 {1}：请查看 `journalctl -u underpass`";
    "wsl.exe {1} ended ({2})" => "wsl.exe {1} 已退出（{2}）";
    "`systemctl {1}` failed: {2}" => "`systemctl {1}` 执行失败：{2}";
    "the kernel's version cannot be read" => "无法读取内核版本";
    "the measurement does not finish within {1} s: it is stuck, or slower than {2} MiB/s; try a \
     smaller --mebibytes" =>
        "测量没有在 {1} 秒内完成：可能卡住了，或者低于 {2} MiB/s；请减小 --mebibytes";
    "the tunnel has no device yet" => "隧道还没有网络设备";
    "nothing can be sent" => "无法发送数据";
    "the relay's output cannot be read" => "无法读取中继程序的输出";
    "the relay answered '{1}' instead of a port" => "中继程序应返回端口，却返回了“{1}”";
    "the relay has no standard input" => "中继程序没有标准输入";
    "the relay has no standard output" => "中继程序没有标准输出";
    "the relay did not answer within 20 s" => "中继程序在 20 秒内没有应答";
    "the relay does not exit when its input ends" => "输入结束后中继程序没有退出";
    "the relay ended with an error" => "中继程序退出并报告错误";
    "no connection to {1} within 5 s" => "5 秒内没有连接到 {1}";
    "no connection to {1}" => "无法连接到 {1}";
    "the measuring service did not confirm what it received" => "测量服务没有确认收到的数据";
    "the measuring service answered {1}" => "测量服务返回了 {1}";
    "the measuring service stopped {1} bytes early" => "测量服务少发送了 {1} 字节";
    "bytes were damaged on the way" => "数据在传输中损坏";
    "a byte did not come back within 5 s" => "5 秒内没有收到返回的字节";
    "byte {1} came back as {2}" => "字节 {1} 返回时变成了 {2}";
    "nothing was measured" => "没有测量结果";
    "no datagram can be sent" => "无法发送数据报";
    "the report cannot be written to {1}" => "无法把报告写入 {1}";
    "the findings cannot be written as JSON" => "无法把诊断结果写成 JSON";
    "the former wsl.conf" => "原来的 wsl.conf";
    "the schema lacks generateResolvConf" => "设置表中缺少 generateResolvConf";
    "HOME is not set: choose with --state where to keep the former files" =>
        "没有设置 HOME：请用 --state 指定保存原文件的位置";
    "{1} cannot be read: see --state" => "无法读取 {1}：见 --state";
    "other users can write there" => "其他用户可以写入该处";
    "{1} cannot be removed and would be undone again" =>
        "无法删除 {1}，下次撤销时会重复撤销这次更改";
    "{1} is neither a file nor a link" => "{1} 既不是文件也不是符号链接";
    "{1} is larger than {2} bytes: it is not a settings file" => "{1} 大于 {2} 字节，不是设置文件";
    "{1} is immutable, and this cannot be changed: run this as root" =>
        "{1} 不可修改，且无法解除：请以 root 身份运行";
    "{1} is written, but cannot be made immutable: its file system may not support that, or root \
     is needed; leave --immutable out" =>
        "已写入 {1}，但无法设为不可修改：文件系统可能不支持，或者需要 root 权限；请去掉 \
         --immutable";
    "it is not valid UTF-16: save it as UTF-8" => "不是有效的 UTF-16：请另存为 UTF-8";
    "it is not UTF-8, which WSL expects: save it as UTF-8" =>
        "不是 WSL 所要求的 UTF-8：请另存为 UTF-8";
    "--host-facts {1} cannot be read" => "无法读取 --host-facts 指定的 {1}";
    "--host-facts {1} is not the output of `underpass-relay.exe facts`" =>
        "--host-facts 指定的 {1} 不是 `underpass-relay.exe facts` 的输出";
    "{1} cannot be used" => "无法使用 {1}";
    "{1} could not be restored either: {2}" => "也无法恢复 {1}：{2}";
    "this command asks before it writes, but standard input is not a terminal: use --yes to write \
     without asking, or --dry-run to write nothing" =>
        "写入前需要询问，但标准输入不是终端：用 --yes 直接写入，或用 --dry-run 只查看更改";
    "the answer cannot be read" => "无法读取回答";
    "there is no change to undo: `underpass settings` made none, or another user made it (see \
     --state)" =>
        "没有可撤销的更改：`underpass settings` 没有做过更改，或者是其他用户做的（见 --state）";
    "{1} was changed later, and undoing would lose that change: use --force to undo it anyway" =>
        "{1} 之后又被修改过，撤销会丢失这些修改：如仍要撤销，请加 --force";
    "--echo '{1}' cannot be used: {2}" => "无法使用 --echo “{1}”：{2}";
    "the Windows host cannot be found: {1}; give its address with --host" =>
        "找不到 Windows 主机：{1}；请用 --host 指定地址";
    "the Windows host cannot be found because there is no default route; give its address with \
     --host, or start the tunnel (`underpass up`)" =>
        "没有默认路由，找不到 Windows 主机；请用 --host 指定地址，或启动隧道（`underpass up`）";
    "WSL's mode is bridged, so its gateway is the network's router and not the Windows host; give \
     the host's address with --host" =>
        "WSL 处于桥接模式（bridged），网关是所在网络的路由器而不是 Windows 主机；请用 --host 指定\
         主机地址";
    "there is no home folder: set HOME" => "没有主目录：请设置 HOME";
    "{1} cannot be the path of a file" => "{1} 不能作为文件路径";
    "{1} cannot be created" => "无法创建 {1}";
    "{1} cannot be written and is unchanged" => "无法写入 {1}，文件保持不变";
    "{1} is damaged; it records what was there before `apply`. Move it away to continue" =>
        "{1} 已损坏；它记录着执行 `apply` 之前的设置。请移走该文件后再继续";
    "the path of this program is not known" => "无法得知本程序的路径";
    "standard output cannot be written" => "无法写入标准输出";
    "Windows' proxy setting cannot be read; give the proxy with --proxy or --host and --port" =>
        "无法读取 Windows 的代理设置；请用 --proxy 或 --host 和 --port 指定代理";
    "Windows' proxy script cannot be evaluated: {1}; give the proxy with --proxy" =>
        "无法执行 Windows 的代理脚本：{1}；请用 --proxy 指定代理";
    "Windows' proxy cannot be used" => "无法使用 Windows 的代理";
    "{1}: {2} is left unchanged: with root's HOME and variables it is not a file of {3}'s \
     settings; run this with the HOME and variables that `apply` had" =>
        "{1}：{2} 保持不变：在 root 的 HOME 和环境变量下，它不是 {3} 的设置文件；请使用执行 \
         `apply` 时的 HOME 和环境变量";
    "'{1}' is not a web address: --url takes http://HOST[:PORT]/… or https://HOST[:PORT]/…; {2}" =>
        "“{1}”不是网址：--url 的形式是 http://主机[:端口]/… 或 https://主机[:端口]/…；{2}";
}

//! The sentences of `up`, `service`, `doctor --report` and `proxy status`.

sentences! {
    // ---- up
    /// Traffic flows. The beginning is the same in every language: `underpass service` waits for
    /// it.
    UP: "underpass: up", "underpass: up，隧道已建立";
    /// As `UP`. `addresses`: of the device.
    UP_ON: "underpass: up on {name} ({place})", "underpass: up，隧道已建立：{name}（{place}）";
    /// The mode is not the default.
    MIRRORED:
        "underpass: WSL is in mirrored mode: its own rules stay in front; default routes and \
         mirrored routes of Windows go through the tunnel",
        "underpass：WSL 处于镜像模式：WSL 自己的规则优先；默认路由和镜像自 Windows 的其他路由经过\
         隧道";
    /// The mode is not the default.
    VIRTIOPROXY:
        "underpass: WSL is in virtioproxy mode (consomme): the tunnel takes precedence over \
         Microsoft's user-mode network",
        "underpass：WSL 处于 virtioproxy 模式（consomme）：隧道优先于微软的用户态网络";
    /// The mode is not the default.
    BRIDGED:
        "underpass: WSL is in bridged mode: the VM's router is a real one, and is reached as \
         before",
        "underpass：WSL 处于桥接模式：虚拟机的路由器是真实的路由器，访问方式不变";
    /// The mode is not the default.
    MODE_NONE:
        "underpass: WSL has no network of its own (mode none): the tunnel is the only one",
        "underpass：WSL 没有启用网络（模式为 none）：隧道是唯一的网络";
    /// With `--via`. `proxy`: which one.
    VIA: "underpass: connections go through {proxy}", "underpass：连接经由 {proxy}";
    /// The tunnel is not started.
    NOT_NEEDED:
        "underpass: WSL's own network reaches {outside}: the tunnel is not needed",
        "underpass：WSL 自己的网络可以访问 {outside}，不需要隧道";
    /// The tunnel is up all the same.
    NOT_NEEDED_NOW:
        "underpass: WSL's own network reaches {outside} too: the tunnel is not needed now",
        "underpass：WSL 自己的网络也可以访问 {outside}，目前不需要隧道";
    /// `up --attach` found a gateway.
    ATTACHED:
        "underpass: already running as process {pid}; this command follows it (Ctrl-C leaves it \
         running)",
        "underpass：已在运行（进程 {pid}），本命令会跟随它（按 Ctrl-C 退出不影响它运行）";
    /// `up --attach` found none.
    WAITING: "underpass: waiting for the next gateway", "underpass：正在等待下一个隧道进程";
    /// `up --attach`: the gateway is gone.
    ENDED: "underpass: process {pid} has ended", "underpass：进程 {pid} 已退出";
    /// While the relay starts.
    STARTING: "starting the relay on Windows", "正在启动 Windows 上的中继程序";
    /// `up --via` with a password.
    PASSWORD_SEEN:
        "every user of this VM can read the password in --via, for example with `ps`; put it into \
         the variable {variable}, or into `via` in a configuration file (--config) that only root \
         can read",
        "此虚拟机的所有用户都能看到 --via 中的密码（例如用 `ps`）；请改用环境变量 {variable}，或写\
         入只有 root 可读的配置文件（--config）中的 `via`";

    // ---- while something takes its time
    /// `settings` and `proxy status`.
    ASKING_WINDOWS: "querying Windows", "正在查询 Windows";

    // ---- service
    /// Done.
    SERVICE_INSTALLED:
        "underpass: the service is installed and starting; check it with `underpass service \
         status`",
        "underpass：服务已安装，正在启动；可用 `underpass service status` 查看";
    /// Done.
    SERVICE_REMOVED:
        "underpass: the service is removed; the helper distro runs until `wsl.exe --terminate \
         NAME` (see `wsl.exe --list --running`)",
        "underpass：服务已删除；辅助发行版会继续运行，直到执行 `wsl.exe --terminate 名称`（可用 \
         `wsl.exe --list --running` 查看）";
    /// It runs.
    SERVICE_ACTIVE: "underpass: the service is active", "underpass：服务正在运行";

    // ---- doctor
    /// The report is written.
    REPORT_WRITTEN: "the report is in {file}", "报告已写入 {file}";

    // ---- proxy status
    ENVIRONMENT: "environment", "环境变量";
    /// Heading, where `proxy on` set the variables.
    ENVIRONMENT_ON:
        "environment (by `underpass proxy on`)",
        "环境变量（由 `underpass proxy on` 设置）";
    /// No variable.
    NO_VARIABLE: "no proxy variable is set", "没有设置代理变量";
    TOOLS:
        "tools: what each uses, and what it ignores in favor of that",
        "各工具使用的设置，以及因此被忽略的设置";
    /// A tool's setting.
    USED: "{proxy} from {place}", "{proxy}（来自 {place}）";
    /// A setting that another one outranks.
    NOT_USED: "not {proxy} from {place}", "忽略 {proxy}（来自 {place}）";
    /// After a tool that is not there.
    NOT_INSTALLED: " (not installed)", "（未安装）";
    /// A tool or Windows without a proxy.
    NO_PROXY: "no proxy", "未设置代理";
    /// Windows was not queried.
    NO_RELAY:
        "not queried: there is no relay beside this command",
        "未查询：本命令所在目录中没有中继程序";
    /// Windows could not be queried.
    WINDOWS_UNKNOWN: "unknown: {why}", "未知：{why}";
    /// Whose setting: the user's.
    OF_USER: "user", "用户";
    /// Whose setting: that of services.
    OF_SERVICES: "services", "系统服务";
    /// Windows did not report it.
    NOT_REPORTED: "not reported", "未获取到";
    /// A setting of Windows'.
    DETECTS: "automatic detection", "自动检测";
    /// A setting of Windows'.
    SCRIPT: "script {url}", "脚本 {url}";
    /// A setting of Windows'.
    BYPASS: "not for {list}", "以下目标不使用代理：{list}";
}

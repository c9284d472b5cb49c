//! What the command line says of its usage and of mistakes in it.

sentences! {
    USAGE: "Usage", "用法";
    EXAMPLES: "Examples", "示例";
    ARGUMENTS: "Arguments", "参数";
    COMMANDS: "Commands", "命令";
    OPTIONS: "Options", "选项";
    FIND_OUT: "Find out what is wrong", "排查故障";
    TUNNEL: "Carry WSL's traffic when a VPN blocks it", "WSL 被 VPN 断网时承载其流量";
    CONFIGURE: "Configure WSL and its tools", "配置 WSL 和各种工具";
    MORE: "More", "其他";
    RELAY: "Relay", "中继程序";
    DEVICE: "Network device", "网络设备";
    REACH: "Access to the Windows host and from outside", "对 Windows 主机的访问与来自外部的访问";
    PROXY: "Proxy", "代理";
    PUBLISH: "Other distros", "其他发行版";
    RUNNING: "When and how to run", "运行方式";
    OUTPUT: "Output", "输出";
    TARGETS: "What to test", "测试目标";
    MACHINE: "Files and versions", "文件与版本";
    CHANGE: "Making the change", "执行更改";
    /// After an option's text.
    DEFAULT: "[default: {value}]", "[默认值：{value}]";
    /// After an option's text.
    VALUES: "[possible values: {value}]", "[可选值：{value}]";
    /// After an option's text.
    VARIABLE: "[env: {value}]", "[环境变量：{value}]";
    /// Of the root command's help.
    TRY:
        "`underpass COMMAND --help` shows the options of a command.",
        "用 `underpass 命令 --help` 查看各命令的选项。";

    // ---- mistakes
    /// Before a mistake.
    ERROR: "error", "错误";
    /// Before what may be meant.
    TIP: "tip", "提示";
    /// Below a mistake. `call`: the command with --help.
    SEE_HELP: "For more information, try '{call}'.", "详细信息请运行 `{call}`。";
    UNKNOWN_OPTION: "unexpected argument '{word}' found", "未知的选项或参数“{word}”";
    UNKNOWN_COMMAND: "unrecognized subcommand '{word}'", "未知的子命令“{word}”";
    NO_COMMAND: "a subcommand is required", "缺少子命令";
    BAD_VALUE: "invalid value '{value}' for '{option}'", "“{option}”的值“{value}”无效";
    /// Mistake, with its reason.
    BAD_VALUE_BECAUSE:
        "invalid value '{value}' for '{option}': {why}",
        "“{option}”的值“{value}”无效：{why}";
    NO_VALUE: "a value is required for '{option}' but none was supplied", "“{option}”需要一个值";
    CONFLICT:
        "the argument '{option}' cannot be used with '{other}'",
        "“{option}”不能与“{other}”同时使用";
    TWICE: "the argument '{option}' cannot be used multiple times", "“{option}”只能使用一次";
    MISSING:
        "the following required arguments were not provided: {options}",
        "缺少必需的参数：{options}";
    WRONG: "the command line is wrong", "命令行有误";
    /// What may be meant.
    SIMILAR: "did you mean '{word}'?", "是否想写“{word}”？";
    /// What is allowed.
    POSSIBLE: "possible values: {values}", "可选值：{values}";
}

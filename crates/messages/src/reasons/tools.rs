//! Reasons about settings, proxies, DNS and files.

super::reasons! {
    "'{1}' is not {2}; for example: {3}" => "“{1}”不符合 {2} 的形式；例如：{3}";
    "'{1}' is not a value that WSL accepts for {2}: it accepts {3}" =>
        "“{1}”不是 {2} 的有效值：WSL 接受 {3}";
    "'{1}' is not a version of {2}: a version looks like {3}" =>
        "“{1}”不是 {2} 的版本号：版本号的形式如 {3}";
    "a goal is one of vpn, proxy, lan or default" => "用途只能是 vpn、proxy、lan 或 default";
    "WSL stops reading at line {1} ('{2}') and would ignore what is written below it: fix or \
     remove that line first (`underpass settings check` shows what is wrong with it)" =>
        "WSL 读到第 {1} 行（“{2}”）即停止，写在其下的内容不会生效：请先修正或删除这一行\
         （`underpass settings check` 会说明问题）";
    "line {1}, the last one of the file, ends with '\\', which joins the next line to its value: \
     remove the '\\' first" =>
        "文件的最后一行（第 {1} 行）以“\\”结尾，会把下一行并入它的值：请先去掉“\\”";
    "the file is UTF-16, which WSL cannot read in a distro: save it as UTF-8 first (`underpass \
     settings check` says how)" =>
        "文件采用 UTF-16 编码，WSL 在发行版中无法读取：请先另存为 UTF-8（`underpass settings \
         check` 会说明做法）";
    "'{1}' is not a name that WSL can read: names have only letters and digits and begin with a \
     letter" =>
        "WSL 无法读取名称“{1}”：名称只能由字母和数字组成，且以字母开头";
    "'{1}' cannot be written: a value is one line without control characters" =>
        "无法写入“{1}”：值只能是一行，且不能有控制字符";
    "unknown shell '{1}': --shell takes bash, zsh, sh or fish" =>
        "未知的 shell “{1}”：--shell 可以是 bash、zsh、sh 或 fish";
    "it is not valid TOML and is left unchanged: {1}" => "不是有效的 TOML，保持不变：{1}";
    "it is not a JSON object and is left unchanged: {1}" => "不是 JSON 对象，保持不变：{1}";
    "unknown scheme '{1}': --scheme takes http, socks5 or socks5h" =>
        "未知的协议“{1}”：--scheme 可以是 http、socks5 或 socks5h";
    "'{1}' is not a proxy: {2}" => "“{1}”不是代理：{2}";
    "unknown tool '{1}': --tools takes git, apt, npm, yarn, pip, docker, curl, wget and cargo" =>
        "未知的工具“{1}”：--tools 可以是 git、apt、npm、yarn、pip、docker、curl、wget 和 cargo";
    "'{1}' cannot be set here: --tools takes the names of other tools" =>
        "“{1}”不能在这里设置：--tools 只接受其他工具的名称";
    "{1} cannot use a {2} proxy: give an http one (--scheme http), if the proxy program has such \
     a port" =>
        "{1} 不能使用 {2} 代理：如果代理软件有 HTTP 端口，请使用它（--scheme http）";
    "{1}'s setting is for the whole machine: run this as root, with sudo" =>
        "{1} 的设置对整个系统有效：请用 sudo 以 root 身份运行";
    "it is empty: write http://HOST:PORT or socks5://HOST:PORT" =>
        "内容为空：请写成 http://主机:端口 或 socks5://主机:端口";
    "'{1}' is not supported for proxies: write http://HOST:PORT or socks5://HOST:PORT" =>
        "不支持协议“{1}”：请写成 http://主机:端口 或 socks5://主机:端口";
    "TLS to the proxy itself is not supported: write http://HOST:PORT, which carries https as \
     well" =>
        "不支持与代理本身建立 TLS 连接：请写成 http://主机:端口，它同样可以代理 https";
    "it has no port, and tools assume different ones: write HOST:PORT" =>
        "没有写端口，而各工具的默认端口不同：请写成 主机:端口";
    "its port '{1}' is not a number from 1 to 65535: write HOST:PORT" =>
        "端口“{1}”不是 1 到 65535 的数字：请写成 主机:端口";
    "its host is missing or has an invalid character (an IPv6 address stands in brackets)" =>
        "缺少主机，或主机中有无效字符（IPv6 地址要写在方括号中）";
    "there is text after the port: a proxy has no path" => "端口后面还有内容：代理地址没有路径";
    "its user or password has a '%' that is not followed by two hexadecimal digits, or is not \
     UTF-8: write '%25' for '%'" =>
        "用户名或密码中的“%”后面不是两位十六进制数，或者不是 UTF-8：请把“%”写成“%25”";
    "its user or password cannot be sent by this protocol: it is empty, too long (255 bytes), or \
     has a control character" =>
        "该协议无法发送这样的用户名或密码：为空、过长（超过 255 字节）或含有控制字符";
    "'{1}' is neither a network (10.0.0.0/8), nor an address, nor a domain (.corp.example), nor a \
     name (host.corp.example)" =>
        "“{1}”既不是网段（10.0.0.0/8）、地址，也不是域（.corp.example）或主机名\
         （host.corp.example）";
    "the proxy's answer is longer than {1} bytes" => "代理的应答超过 {1} 字节";
    "the proxy's answer cannot be understood: {1}" => "无法理解代理的应答：{1}";
    "the proxy requires a user and password{1}: give them in its URL, as USER:PASSWORD@HOST" =>
        "代理要求用户名和密码{1}：请写进代理地址，形式为 用户名:密码@主机";
    "the proxy rejects this user and password{1}" => "代理不接受该用户名和密码{1}";
    "the proxy answers: {1}" => "代理返回：{1}";
    "a name of {1} bytes cannot be sent to a SOCKS5 proxy, which takes 1 to 255" =>
        "无法向 SOCKS5 代理发送 {1} 字节的名称，长度应为 1 到 255";
    "it must be HOST:PORT, such as 192.0.2.1:443, www.example.com:443 or [2001:db8::1]:443" =>
        "应写成 主机:端口，例如 192.0.2.1:443、www.example.com:443 或 [2001:db8::1]:443";
    "'{1}' is not an IP address" => "“{1}”不是 IP 地址";
    "there is no interface {1}" => "没有网卡 {1}";
    "the answer is to another question" => "应答与查询不符";
    "it must begin with http:// or https://" => "必须以 http:// 或 https:// 开头";
    "a user or password in it would be shown: leave it out" =>
        "其中的用户名或密码会显示出来：请去掉";
    "its host or port is not valid" => "主机或端口无效";
    "it has a character that is not allowed in a URL: write it as %XX" =>
        "含有网址中不允许的字符：请写成 %XX";
    "unknown area {1}: it is one of network, dns, proxy, windows, wsl, tools" =>
        "未知的类别 {1}：可选 network、dns、proxy、windows、wsl、tools";
    "it is not a regular file" => "它不是普通文件";
    "the file has another name (a hard link)" => "该文件还有其他名称（硬链接）";
    "unknown language {1}: --lang takes en or zh" => "未知的语言 {1}：--lang 可以是 en 或 zh";
    "the other side does not speak HTTP{1}" => "对方使用的不是 HTTP{1}";
    "the other side does not speak SOCKS5{1}" => "对方使用的不是 SOCKS5{1}";
    " but probably HTTP: write http:// instead of socks5://" =>
        "，可能是 HTTP：请把 socks5:// 改为 http://";
    " but probably SOCKS5: write socks5:// instead of http://" =>
        "，可能是 SOCKS5：请把 http:// 改为 socks5://";
    " but probably TLS: is there a port without TLS?" => "，可能是 TLS：有不使用 TLS 的端口吗？";
    ": is it a proxy, and is the port right?" => "：它是代理吗，端口正确吗？";
    " (it offers {1})" => "（它支持 {1}）";
    "the proxy answers {1}" => "代理返回 {1}";
    "{1}: web servers that are not proxies answer so; is the port right?" =>
        "{1}：不是代理的 Web 服务器会这样应答，端口正确吗？";
    "{1}: it does not allow this destination or port" => "{1}：它不允许访问该目标或端口";
    "the proxy closed the connection {1}" => "代理关闭了连接，{1}";
    "in the middle of its answer" => "应答没有发完";
    "without an answer" => "没有任何应答";
    "general failure (code {1})" => "一般性失败（代码 {1}）";
    "its rules do not allow this connection (code {1})" => "规则不允许此连接（代码 {1}）";
    "network unreachable (code {1})" => "网络不可达（代码 {1}）";
    "host unreachable (code {1})" => "主机不可达（代码 {1}）";
    "connection refused (code {1})" => "连接被拒绝（代码 {1}）";
    "the time to live ran out (code {1})" => "TTL 耗尽（代码 {1}）";
    "it does not support this command (code {1})" => "不支持该命令（代码 {1}）";
    "it does not support this kind of address (code {1})" => "不支持该地址类型（代码 {1}）";
    "it must be a plain name, such as git.corp.example" => "只能是域名，例如 git.corp.example";
    "it is not a domain name" => "不是域名";
    "it must be HOST or HOST:PORT, such as git.corp.example:22 or 10.20.0.5" =>
        "应写成 主机 或 主机:端口，例如 git.corp.example:22 或 10.20.0.5";
    "WSL has no key '{1}' in .wslconfig or wsl.conf{2}" =>
        ".wslconfig 和 wsl.conf 都没有“{1}”这个设置项{2}";
    ": did you mean {1}?" => "：是否想写 {1}？";
    "both files have a key '{1}': write '{2}:{3}' or '{4}:{5}'" =>
        "两个文件都有设置项“{1}”：请写成“{2}:{3}”或“{4}:{5}”";
}

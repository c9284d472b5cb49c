#![expect(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]
//! `underpass up --via`: all traffic through a proxy, with real ones (tinyproxy, microsocks, dante)
//! on the host, in the place of a local proxy program or a company's.

use lab::addresses::{HOST, SERVER, SERVER_NAME};
use lab::built;
use lab::scene::{
    OTHER_SERVER, PATIENCE, Scratch, UDP_ECHO, UDP_WHO, cut_off_lab, etc, host_nameserver,
    http_status, must, python, python_server, udp_client, udp_server, web_server, windows_lab,
};
use lab::{Finished, Lab, Place, Process, Tunnel, until};
use std::fs;
use std::time::{Duration, Instant};

/// The proxies' ports on the host.
const HTTP: u16 = 8888;
const SOCKS: u16 = 1080;

/// An immediate answer comes long before this; a silently dropped connect takes longer.
const AT_ONCE: Duration = Duration::from_secs(8);

fn listens(lab: &Lab, port: u16) {
    let filter = format!("sport = :{port}");
    let up = || !must(lab, Place::Windows, &format!("ss -Htln {filter}")).trim().is_empty();
    assert!(until(PATIENCE, up), "no proxy listens on port {port}");
}

/// tinyproxy on the host's loopback, with these lines in its configuration. Its log is the file
/// `log`.
fn tinyproxy(lab: &Lab, scratch: &Scratch, lines: &str) -> Process {
    let log = scratch.path("log");
    let text = format!(
        "Port {HTTP}\nListen 127.0.0.1\nTimeout 60\nLogLevel Connect\nLogFile \"{log}\"\n{lines}\n"
    );
    let config = scratch.file("tinyproxy.conf", &text);
    let proxy = lab.start(Place::Windows, &["tinyproxy", "-d", "-c", &config]).unwrap();
    listens(lab, HTTP);
    proxy
}

fn fetch(lab: &Lab, url: &str) -> (Finished, Duration) {
    #[expect(clippy::disallowed_methods, reason = "the test measures the time of a refusal")]
    let start = Instant::now();
    let words =
        ["curl", "--silent", "--show-error", "--max-time", "20", "--output", "/dev/null", url];
    let finished = lab.run(Place::Wsl, &words).unwrap();
    (finished, start.elapsed())
}

/// Whether a connection is refused or unreachable at once (curl's code for both).
fn fails_at_once(lab: &Lab, url: &str) {
    let (finished, took) = fetch(lab, url);
    assert_eq!(finished.code, Some(7), "{url}: {finished:?}");
    assert!(took < AT_ONCE, "{url}: {took:?}");
}

/// Sends a datagram by a connected socket, which receives refusals: `refused`, `silent` or the
/// answer.
fn datagram(lab: &Lab, to: (&str, u16), bytes: &str) -> String {
    let program = "
s = udp()
s.connect((sys.argv[1], int(sys.argv[2])))
s.settimeout(3)
for attempt in range(3):
    try:
        s.send(sys.argv[3].encode())
        print(s.recv(65536).decode())
        break
    except ConnectionRefusedError:
        print('refused')
        break
    except TimeoutError:
        pass
else:
    print('silent')
";
    udp_client(lab, program, &[to.0, &to.1.to_string(), bytes])
}

#[test]
fn an_http_proxy_hears_names_and_what_it_refuses_or_cannot_carry_fails_at_once() {
    let Some(lab) = cut_off_lab() else { return };
    let scratch = Scratch::new();
    let (_dns, _web, _udp) = (host_nameserver(&lab), web_server(&lab), udp_server(&lab));
    let proxy = tinyproxy(&lab, &scratch, "BasicAuth me s3cret");
    // Like users who protect their passwords: by a file, not on the command line.
    let config = scratch.file(
        "config.toml",
        &format!("via = 'http://me:s3cret@127.0.0.1:{HTTP}'\nvia-except = ['{OTHER_SERVER}', '.near.test']\n"),
    );
    let tunnel = Tunnel::up(&lab, &["--config", &config]);
    assert!(
        tunnel.said().contains("go through http://***@127.0.0.1:8888, except for 198.51.100.2/32"),
        "{}",
        tunnel.said()
    );
    assert_eq!(http_status(&lab, Place::Wsl, SERVER_NAME), "200");
    assert!(
        scratch.read("log").contains("CONNECT www.lab.test:80"),
        "it uses the name: {}",
        scratch.read("log")
    );
    assert_eq!(http_status(&lab, Place::Wsl, OTHER_SERVER), "200");
    assert!(!scratch.read("log").contains(OTHER_SERVER), "an exception went through the proxy");
    // Nothing listens there; the proxy reports it in its way.
    fails_at_once(&lab, &format!("http://{SERVER_NAME}:81/"));
    assert!(scratch.read("log").contains("CONNECT www.lab.test:81"), "{}", scratch.read("log"));
    fails_at_once(&lab, &format!("http://{SERVER}:81/"));
    assert!(
        scratch.read("log").contains("CONNECT 203.0.113.10:81"),
        "an address has no name of its own"
    );
    assert_eq!(
        datagram(&lab, (SERVER, UDP_ECHO), "QUIC"),
        "refused",
        "so that QUIC falls back to TCP"
    );
    assert_eq!(datagram(&lab, (OTHER_SERVER, UDP_ECHO), "near"), "near");
    // A proxy carries no pings, which show the path as it is.
    assert!(
        must(&lab, Place::Wsl, &format!("ping -n -c 1 -W 10 {SERVER}")).contains(" 1 received")
    );
    assert_eq!(tunnel.status()["via"]["last_error"], serde_json::Value::Null);

    drop(proxy);
    fails_at_once(&lab, &format!("http://{SERVER_NAME}/"));
    let said = tunnel.status()["via"]["last_error"].to_string();
    assert!(said.contains("http://***@127.0.0.1:8888") && said.contains("refused"), "{said}");
    let text = tunnel.command(&["status"]).unwrap().stdout;
    assert!(text.contains("nothing goes through it: http://***@"), "{text}");
    assert!(
        tunnel.complained().contains("nothing goes through the proxy"),
        "{}",
        tunnel.complained()
    );
    let proxy = tinyproxy(&lab, &scratch, "BasicAuth me another");
    fails_at_once(&lab, &format!("http://{SERVER_NAME}/"));
    let said = tunnel.status()["via"]["last_error"].to_string();
    assert!(said.contains("rejects this user and password"), "{said}");
    drop(proxy);
    let _proxy = tinyproxy(&lab, &scratch, "BasicAuth me s3cret");
    assert_eq!(http_status(&lab, Place::Wsl, SERVER_NAME), "200");
    assert_eq!(tunnel.status()["via"]["last_error"], serde_json::Value::Null);

    let relay = tunnel.relays()[0];
    let shown = [
        fs::read_to_string(format!("/proc/{relay}/cmdline")).unwrap(),
        fs::read_to_string(format!("/proc/{relay}/environ")).unwrap(),
        tunnel.command(&["-vv", "status", "--json"]).unwrap().stdout,
        tunnel.said(),
        tunnel.complained(),
    ];
    assert!(!shown.concat().contains("s3cret"), "{shown:?}");
}

#[test]
fn a_socks_proxy_with_a_password_hears_names_and_refuses_datagrams_that_it_does_not_know() {
    let Some(lab) = cut_off_lab() else { return };
    let scratch = Scratch::new();
    let (_dns, _web, _udp) = (host_nameserver(&lab), web_server(&lab), udp_server(&lab));
    let folder = scratch.path("proxy");
    let port = SOCKS.to_string();
    let words = ["microsocks", "-i", "127.0.0.1", "-p", &port, "-u", "me", "-P", "s3cret"];
    let proxy = lab.start_logged(Place::Windows, folder.as_ref(), &words).unwrap();
    listens(&lab, SOCKS);
    let url = format!("socks5://me:s3cret@127.0.0.1:{SOCKS}");
    let mut tunnel = Tunnel::launch_linux(&lab, &[("UNDERPASS_VIA", &url)], &[]);
    tunnel.wait_up();
    assert_eq!(http_status(&lab, Place::Wsl, SERVER_NAME), "200");
    let heard = || [proxy.stdout(), proxy.stderr()].concat();
    assert!(until(PATIENCE, || heard().contains("connected to www.lab.test:80")), "{}", heard());
    assert_eq!(http_status(&lab, Place::Wsl, SERVER), "200");
    assert!(until(PATIENCE, || heard().matches("connected to ").count() == 2), "{}", heard());
    fails_at_once(&lab, &format!("http://{SERVER}:81/"));
    assert_eq!(datagram(&lab, (SERVER, UDP_ECHO), "QUIC"), "refused");
    let inherited = fs::read_to_string(format!("/proc/{}/environ", tunnel.relays()[0])).unwrap();
    assert!(inherited.contains("PATH=") && !inherited.contains("s3cret"), "{inherited}");
    assert_eq!(tunnel.status()["via"]["proxy"], "socks5://***@127.0.0.1:1080");
}

#[test]
fn a_name_means_what_the_proxy_says_and_datagrams_go_by_socks() {
    let Some(lab) = cut_off_lab() else { return };
    let scratch = Scratch::new();
    let (_dns, _udp) = (host_nameserver(&lab), udp_server(&lab));
    // The proxy is on another machine, and finds another server by the same name.
    etc(&lab, Place::Router, "hosts", &format!("{OTHER_SERVER} {SERVER_NAME}\n"));
    let who = "
import socket, sys
s = socket.create_server((sys.argv[1], 80), family=socket.AF_INET)
while True:
    c, peer = s.accept()
    c.recv(1)
    c.sendall(('%s %s' % (sys.argv[1], peer[0])).encode())
    c.close()
";
    let _here = python_server(&lab, Place::Internet, who, &[SERVER], 80);
    let _there = python_server(&lab, Place::Internet, who, &[OTHER_SERVER], 80);
    let config = scratch.file(
        "danted.conf",
        &format!(
            "logoutput: {}\ninternal: inner port = {SOCKS}\nexternal: outer\nclientmethod: none\nsocksmethod: none\nuser.privileged: root\n\
             user.unprivileged: nobody\nclient pass {{ from: 0.0.0.0/0 to: 0.0.0.0/0 }}\nsocks pass {{ from: 0.0.0.0/0 to: 0.0.0.0/0 }}\n",
            scratch.path("log")
        ),
    );
    let _proxy = lab
        .start_logged(Place::Router, scratch.path("proxy").as_ref(), &["danted", "-f", &config])
        .unwrap();
    let up = || !must(&lab, Place::Router, &format!("ss -Htln sport = :{SOCKS}")).trim().is_empty();
    assert!(until(PATIENCE, up), "no proxy: {}", scratch.read("log"));
    let tunnel = Tunnel::up(&lab, &["--via", &format!("socks5://192.0.2.1:{SOCKS}")]);
    let ask = "
import socket, sys
s = socket.create_connection((sys.argv[1], 80), 20)
s.sendall(b'?')
print(s.recv(100).decode())
";
    let asked = |host: &str| python(&lab, Place::Wsl, ask, &[host]).stdout.trim().to_owned();
    assert_eq!(
        asked(SERVER_NAME),
        format!("{OTHER_SERVER} 198.51.100.1"),
        "the proxy resolves the name, and connects"
    );
    let seen = datagram(&lab, (SERVER, UDP_WHO), "who");
    assert!(seen.starts_with("198.51.100.1 "), "the proxy's address speaks for the VM: {seen}");
    let several = "
a, b = udp(), udp()
places = [(host, int(sys.argv[3])) for host in sys.argv[1:3]]
for size in [1, 1200, 8000]:
    for s in (a, b):
        for place in places:
            data = os.urandom(size)
            got = ask(s, place, data)
            assert got == (data, place), (size, place, len(got[0]), got[1])
";
    udp_client(&lab, several, &[SERVER, OTHER_SERVER, &UDP_ECHO.to_string()]);
    assert_eq!(
        tunnel.status()["via"]["last_error"],
        serde_json::Value::Null,
        "{}",
        scratch.read("log")
    );
}

/// Another user resolves a name whose owner answers with the address of another server.
#[test]
fn no_dns_answer_redirects_another_users_connection() {
    let Some(lab) = cut_off_lab() else { return };
    let scratch = Scratch::new();
    let (_dns, _web, _udp) = (host_nameserver(&lab), web_server(&lab), udp_server(&lab));
    let _proxy = tinyproxy(&lab, &scratch, "");
    let tunnel = Tunnel::up(
        &lab,
        &[
            "--via",
            &format!("http://127.0.0.1:{HTTP}"),
            "--via-except",
            ".lab.test",
            "--via-except",
            OTHER_SERVER,
        ],
    );
    let resolved = |name: &str, user: &str| {
        let words = ["setpriv", "--reuid", user, "--clear-groups", "getent", "ahostsv4", name];
        let said = lab.run(Place::Wsl, &words).unwrap();
        said.stdout.split(' ').next().unwrap_or_default().to_owned()
    };
    // 203.0.113.10, as the lab's nameserver derives an address from a name.
    let hostile = "number3405803786.evil.test";
    let held = resolved(SERVER_NAME, "0");
    assert_eq!(http_status(&lab, Place::Wsl, SERVER_NAME), "200");
    let lured = resolved(hostile, "65534");
    assert_ne!(lured, held, "each name has its own address");
    assert_eq!(http_status(&lab, Place::Wsl, SERVER_NAME), "200");
    assert_eq!(http_status(&lab, Place::Wsl, &held), "200");
    assert_eq!(
        scratch.read("log").matches("CONNECT ").count(),
        0,
        "exceptions: {}",
        scratch.read("log")
    );
    assert_eq!(http_status(&lab, Place::Wsl, SERVER), "200");
    assert!(scratch.read("log").contains("CONNECT 203.0.113.10:80"), "{}", scratch.read("log"));
    assert!(!scratch.read("log").contains("evil"), "{}", scratch.read("log"));
    // Its own connections use its name.
    http_status(&lab, Place::Wsl, &lured);
    assert!(
        scratch.read("log").contains(&format!("CONNECT {hostile}:80")),
        "{}",
        scratch.read("log")
    );
    // Datagrams and pings to names: answers come from the address that they were sent to.
    assert_eq!(datagram(&lab, ("number3325256706.lab.test", UDP_ECHO), "near"), "near");
    assert!(
        must(&lab, Place::Wsl, &format!("ping -n -c 1 -W 10 {SERVER_NAME}"))
            .contains(" 1 received")
    );
    // An address without a name leads nowhere.
    for refused in ["198.18.200.1", "198.19.255.255"] {
        fails_at_once(&lab, &format!("http://{refused}/"));
    }
    assert_eq!(tunnel.status()["drops"]["stand-ins"], 2);
    assert_eq!(tunnel.status()["via"]["names"], 3);
}

#[test]
fn windows_settings_are_refused_where_there_is_no_windows() {
    let Some(lab) = cut_off_lab() else { return };
    let mut tunnel = Tunnel::launch_linux(&lab, &[], &["--via", "windows"]);
    assert_eq!(tunnel.process().exit_code(PATIENCE), Some(1));
    assert!(tunnel.complained().contains("only the relay for Windows"), "{}", tunnel.complained());
    let mut tunnel = Tunnel::launch_linux(&lab, &[], &["--via", "https://me:s3cret@proxy:443"]);
    assert_eq!(tunnel.process().exit_code(PATIENCE), Some(2));
    let said = tunnel.complained();
    assert!(said.contains("https://***@proxy:443") && !said.contains("s3cret"), "{said}");
}

/// A user's proxy settings as Windows stores them, in hexadecimal: a header, whose last number says
/// which of the three are in use, then proxy, bypass list and the script's URL, each after its
/// length.
fn settings(proxy: &str, bypass: &str, script: &str) -> String {
    let used = 1 | if proxy.is_empty() { 0 } else { 2 } | if script.is_empty() { 0 } else { 4 };
    let mut bytes: Vec<u8> = [0x46_u32, 1, used].into_iter().flat_map(u32::to_le_bytes).collect();
    for text in [proxy, bypass, script] {
        bytes.extend(u32::try_from(text.len()).unwrap_or_default().to_le_bytes());
        bytes.extend(text.bytes());
    }
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn windows_script_setting_and_bypass_list_are_followed_as_they_change() {
    let Some((lab, interop)) = windows_lab() else { return };
    let scratch = Scratch::new();
    let (_dns, _web, _udp) = (host_nameserver(&lab), web_server(&lab), udp_server(&lab));
    let _proxy = tinyproxy(&lab, &scratch, "");
    let reg = interop.drive_c().join("windows/system32/reg.exe").display().to_string();
    let set = |value: &str| {
        let key = r"HKCU\Software\Microsoft\Windows\CurrentVersion\Internet Settings\Connections";
        let words = [
            &*reg,
            "add",
            key,
            "/v",
            "DefaultConnectionSettings",
            "/t",
            "REG_BINARY",
            "/d",
            value,
            "/f",
        ];
        assert!(interop.run(&lab, &words).unwrap().succeeded());
    };
    let script = format!(
        "function FindProxyForURL(url, host) {{
             if (host == '{OTHER_SERVER}') return 'DIRECT';
             if (url == 'http://{SERVER_NAME}/') return 'PROXY 127.0.0.1:{HTTP}';
             return 'PROXY 127.0.0.1:9';
         }}"
    );
    let folder = scratch.path("web");
    fs::create_dir_all(&folder).unwrap();
    fs::write(format!("{folder}/proxy.pac"), script).unwrap();
    let words =
        ["python3", "-m", "http.server", "8000", "--bind", "127.0.0.1", "--directory", &folder];
    let _pac = lab.start(Place::Windows, &words).unwrap();
    listens(&lab, 8000);
    set(&settings("", "", "http://127.0.0.1:8000/proxy.pac"));

    let exe = built::windows_relay().display().to_string();
    let proxies_for = |url: &str| {
        let printed = interop.run(&lab, &[&exe, "proxy", url]).unwrap();
        serde_json::from_str::<serde_json::Value>(&printed.stdout)
            .unwrap_or_else(|error| panic!("{error}: {printed:?}"))
    };
    let answer = proxies_for(&format!("http://{SERVER_NAME}/"));
    assert_eq!(
        (&answer["proxies"][0], &answer["by"]),
        (&format!("http://127.0.0.1:{HTTP}").into(), &"script".into())
    );
    assert_eq!(proxies_for(&format!("https://{OTHER_SERVER}/"))["proxies"], serde_json::json!([]));

    let mut tunnel = interop.launch(&lab, &["--via", "windows"]);
    tunnel.wait_up();
    assert_eq!(tunnel.status()["via"]["proxy"], "windows");
    assert_eq!(http_status(&lab, Place::Wsl, SERVER_NAME), "200");
    assert!(scratch.read("log").contains("CONNECT www.lab.test:80"), "{}", scratch.read("log"));
    assert_eq!(http_status(&lab, Place::Wsl, OTHER_SERVER), "200", "directly");
    fails_at_once(&lab, &format!("http://{OTHER_SERVER}:81/"));
    assert!(!scratch.read("log").contains(OTHER_SERVER), "{}", scratch.read("log"));
    assert_eq!(datagram(&lab, (SERVER, UDP_ECHO), "QUIC"), "refused");
    assert_eq!(datagram(&lab, (OTHER_SERVER, UDP_ECHO), "near"), "near", "as the script says");

    // Now a setting with a bypass list.
    set(&settings(&format!("127.0.0.1:{HTTP}"), &format!("*.lab.test;{HOST}"), ""));
    let by_proxy = || {
        let before = scratch.read("log").matches(OTHER_SERVER).count();
        http_status(&lab, Place::Wsl, OTHER_SERVER) == "200"
            && scratch.read("log").matches(OTHER_SERVER).count() > before
    };
    assert!(until(PATIENCE, by_proxy), "the change is not noticed: {}", scratch.read("log"));
    let before = scratch.read("log").matches("CONNECT www.lab.test").count();
    assert_eq!(http_status(&lab, Place::Wsl, SERVER_NAME), "200");
    assert_eq!(
        scratch.read("log").matches("CONNECT www.lab.test").count(),
        before,
        "the bypass list excepts it"
    );
}

//! The relay for Windows, run by Wine through the model of WSL's interop: the gateway executes the
//! `.exe` itself. `UNDERPASS_LAB_RELAY=windows` runs the other tests with this relay (see
//! `scripts/test`); this file covers behaviour that only Windows has.

use lab::addresses::{ROUTER, SERVER, SERVER_NAME, SERVER_V6};
use lab::built;
use lab::interop::{Interop, host_relays};
use lab::scene::{
    PATIENCE, RECORDS, Script, hops, host_nameserver, http_status, must, python_server, transfer,
    web_server, windows_lab,
};
use lab::tunnel::send_signal;
use lab::wine::wine_has;
use lab::{Lab, Place, Tunnel, until};
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

fn up(mut tunnel: Tunnel) -> Tunnel {
    tunnel.wait_up();
    tunnel
}

#[test]
fn web_pages_pings_and_traceroutes_go_through_the_exe() {
    let Some((lab, interop)) = windows_lab() else { return };
    let tunnel = up(interop.launch(&lab, &[]));
    let _web = web_server(&lab);
    assert_eq!(http_status(&lab, Place::Wsl, SERVER), "200");
    let ipv6 = || http_status(&lab, Place::Wsl, &format!("[{SERVER_V6}]"));
    assert!(until(PATIENCE, || ipv6() == "200"), "{}", tunnel.status());
    let large = must(&lab, Place::Wsl, &format!("ping -n -q -c 3 -i 0.2 -s 30000 -W 10 {SERVER}"));
    assert!(large.contains(" 3 received"), "{large}");
    let many = must(&lab, Place::Wsl, &format!("ping -n -q -c 100 -i 0.005 -W 10 {SERVER}"));
    assert!(many.contains(" 100 received"), "{many}");
    let nobody =
        lab.run(Place::Wsl, &["ping", "-n", "-c", "2", "-i", "0.2", "-W", "1", "203.0.113.99"]);
    assert!(
        nobody.is_ok_and(|nobody| nobody.stdout.contains(" 0 received")),
        "an unused address does not answer"
    );
    let gateway = tunnel.status()["tap"]["ipv4"]["gateway"].as_str().map(str::to_owned);
    assert_eq!(
        hops(&lab, &["-I"], SERVER),
        [gateway.as_deref().unwrap_or_default(), ROUTER, SERVER]
    );
    let can = tunnel.status()["relays"][0]["can"].clone();
    assert_eq!(
        can,
        serde_json::json!(["udp", "dns", "ping", "changes"]),
        "Wine has no ping over IPv6"
    );
}

#[test]
fn windows_own_resolver_answers_and_what_it_does_not_know_its_servers_do() {
    let Some((lab, interop)) = windows_lab() else { return };
    // Wine reads the servers' addresses once.
    let _server = host_nameserver(&lab);
    let tunnel = up(interop.launch(&lab, &[]));
    let dig = |words: &[&str]| {
        let base = ["dig", "@172.28.48.1", "+tries=1", "+timeout=8"];
        lab.run(Place::Wsl, &[&base[..], words].concat())
            .map_or_else(|error| error.to_string(), |f| f.stdout)
    };
    for (name, kind, answer) in RECORDS {
        for transport in ["+notcp", "+tcp"] {
            assert_eq!(
                dig(&["+short", transport, name, kind]).trim(),
                answer,
                "{transport} {name} {kind}"
            );
        }
    }
    // Wine reports REFUSED as SERVFAIL; a test of the relay covers Windows' own codes.
    for (name, code) in [
        ("nobody.lab.test", "NXDOMAIN"),
        ("servfail.lab.test", "SERVFAIL"),
        ("lab.test", "NOERROR, id"),
    ] {
        let said = dig(&[name, "A"]);
        assert!(
            said.contains(&format!("status: {code}")) && said.contains("ANSWER: 0"),
            "{name}: {said}"
        );
    }
    // By either path: Wine's resolver knows A, AAAA, TXT and SOA, its NXDOMAIN and SERVFAIL, and
    // the servers the rest. If it returns no record (Wine 10: `ERROR_NOT_ENOUGH_MEMORY`), it knows
    // only the codes.
    let answers = tunnel.status()["dns_answers"].clone();
    let by_records = if wine_has("record-copies") { 12 } else { 2 };
    let expected = serde_json::json!({ "record-query": by_records, "servers": 31 - by_records });
    assert_eq!(answers, expected, "{answers}");
    assert!(dig(&["big.lab.test", "TXT"]).contains("ANSWER: 1"), "more than UDP carries");
    assert_eq!(tunnel.status()["relays"][0]["restarts"], 0);
}

#[test]
fn the_exe_needs_only_what_every_windows_10_has_and_says_what_it_is() {
    if lab::wine::missing().is_some() {
        // The others say so.
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"));
        return;
    }
    let exe = built::windows_relay();
    let size = fs::metadata(&exe).map_or(u64::MAX, |file| file.len());
    assert!(size < 4 * 1024 * 1024, "{size} bytes");
    let dump =
        std::process::Command::new("x86_64-w64-mingw32-objdump").arg("-p").arg(&exe).output();
    let dump = dump.map_or_else(
        |error| error.to_string(),
        |output| String::from_utf8_lossy(&output.stdout).into_owned(),
    );
    let imports: Vec<String> = dump
        .lines()
        .filter_map(|line| Some(line.split_once("DLL Name: ")?.1.trim().to_lowercase()))
        .collect();
    // Libraries that Windows takes from its own folder, whatever lies beside the exe: API sets,
    // which are not files, and known DLLs with their dependencies (Microsoft, "Dynamic-link library
    // search order"). They need `bcryptprimitives.dll`, which Rust's standard library imports.
    let known = [
        "advapi32.dll",
        "api-ms-win-core-synch-l1-2-0.dll",
        "bcryptprimitives.dll",
        "kernel32.dll",
        "msvcrt.dll",
        "ntdll.dll",
        "ws2_32.dll",
    ];
    assert!(imports.len() > 3, "{dump}");
    let foreign: Vec<_> = imports.iter().filter(|name| !known.contains(&name.as_str())).collect();
    assert!(foreign.is_empty(), "{foreign:?}");
    // Functions that a Windows older than 11 lacks, or only by that name, must not be imported: the
    // relay would not start there.
    for absent in ["DnsQueryRaw", "WinHttpGetProxySettingsEx"] {
        assert!(!dump.contains(absent), "{absent} is imported");
    }
    // Protections against exploits: its place in memory is random, also beyond 4 GB, and data is
    // not executable (Microsoft, "PE Format", DLL characteristics). The GNU toolchain has no
    // control flow guard (GUARD_CF).
    for guard in ["DYNAMIC_BASE", "HIGH_ENTROPY_VA", "NX_COMPAT"] {
        assert!(dump.contains(guard), "{guard} is not set");
    }
    let relocations = dump.lines().find(|line| line.contains("Base Relocation Directory"));
    let size =
        relocations.and_then(|line| u64::from_str_radix(line.split_whitespace().nth(3)?, 16).ok());
    assert!(
        size.is_some_and(|size| size > 0),
        "without them it has a fixed place: {relocations:?}"
    );
    let bytes = fs::read(&exe).unwrap_or_default();
    for text in [
        "Underpass relay: opens network connections for WSL",
        env!("CARGO_PKG_VERSION"),
        "ProductName",
    ] {
        let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(
            bytes.windows(wide.len()).any(|part| part == wide),
            "the version information lacks '{text}'"
        );
    }
}

#[test]
fn a_library_that_lies_beside_the_exe_is_not_loaded() {
    let Some((lab, interop)) = windows_lab() else { return };
    let folder = interop.drive_c().join("planted");
    fs::create_dir(&folder).unwrap();
    let exe = folder.join("underpass-relay.exe");
    fs::copy(built::windows_relay(), &exe).unwrap();
    let exe = exe.display().to_string();
    let reg = interop.drive_c().join("windows/system32/reg.exe").display().to_string();
    let facts = || interop.run(&lab, &[&exe, "facts"]).unwrap();
    let alone = facts();
    assert!(alone.succeeded() && alone.stdout.contains("\"adapters\""), "{alone:?}");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../interop/planted.c");
    for name in ["dnsapi", "iphlpapi", "winhttp"] {
        let library = folder.join(format!("{name}.dll"));
        let built = std::process::Command::new("x86_64-w64-mingw32-gcc")
            .args(["-shared", "-s", "-o"])
            .arg(&library)
            .arg(source)
            .status();
        assert!(built.is_ok_and(|status| status.success()), "{name}");
        // Like Windows. Otherwise Wine finds the file, but takes its own library anyway.
        let overrides = r"HKCU\Software\Wine\DllOverrides";
        let order = [&reg, "add", overrides, "/v", name, "/d", "native,builtin", "/f"];
        assert!(interop.run(&lab, &order).is_ok_and(|run| run.succeeded()));
        let beside = facts();
        assert_eq!(beside.stdout, alone.stdout, "{name}: {beside:?}");
        // The resolver's library is loaded at the first query.
        let asked = interop.run(&lab, &[&exe, "probe", "--resolve", "localhost"]).unwrap();
        assert!(asked.succeeded() && asked.stdout.contains("127.0.0.1"), "{name}: {asked:?}");
        fs::remove_file(library).unwrap();
    }
}

#[test]
fn the_exe_runs_the_script_that_installs_where_it_lies_beside_it() {
    let Some((lab, interop)) = windows_lab() else { return };
    let folder = interop.drive_c().join("a release");
    fs::create_dir(&folder).unwrap();
    let exe = folder.join("underpass-relay.exe");
    fs::copy(built::windows_relay(), &exe).unwrap();
    let exe = exe.display().to_string();
    let alone = interop.run(&lab, &[&exe, "install"]).unwrap();
    assert_eq!(alone.code, Some(1), "{alone:?}");
    for words in [r"a release\install.ps1 is not there", "unpacked archive of a release"] {
        assert!(alone.stderr.contains(words), "{alone:?}");
    }
    // Wine's own powershell.exe runs nothing, and ends with 0.
    fs::write(folder.join("install.ps1"), "exit 0\r\n").unwrap();
    let beside = interop.run(&lab, &[&exe, "install"]).unwrap();
    assert_eq!(beside.code, Some(0), "{beside:?}");
}

/// The form in which Windows stores a user's proxy, bypass list and PAC URL, in hexadecimal: a
/// header (its last number says that all three are in use), then each text after its length.
fn connection_settings(texts: [&str; 3]) -> String {
    let mut bytes: Vec<u8> =
        [0x46_u32, 1, 1 | 2 | 4].into_iter().flat_map(u32::to_le_bytes).collect();
    for text in texts {
        bytes.extend(u32::try_from(text.len()).unwrap_or_default().to_le_bytes());
        bytes.extend(text.bytes());
    }
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn facts_are_printed_as_json_and_changes_reach_the_gateway() {
    let Some((lab, interop)) = windows_lab() else { return };
    let exe = built::windows_relay().display().to_string();
    let wslconfig = "[wsl2]\nnetworkingMode=mirrored\n";
    let written = fs::write(interop.local_app_data().join("../../.wslconfig"), wslconfig);
    assert!(written.is_ok(), "{written:?}");
    let proxies = ["192.0.2.9:3128", "<local>;*.corp", "http://192.0.2.9/proxy.pac"];
    let reg = interop.drive_c().join("windows/system32/reg.exe").display().to_string();
    let key = r"HKCU\Software\Microsoft\Windows\CurrentVersion\Internet Settings\Connections";
    let settings = connection_settings(proxies);
    let words = [
        &*reg,
        "add",
        key,
        "/v",
        "DefaultConnectionSettings",
        "/t",
        "REG_BINARY",
        "/d",
        &settings,
        "/f",
    ];
    let set = interop.run(&lab, &words);
    assert!(set.as_ref().is_ok_and(lab::Finished::succeeded), "{set:?}");
    let printed =
        interop.run(&lab, &[&exe, "facts"]).map_or_else(|error| error.to_string(), |f| f.stdout);
    let facts: serde_json::Value = serde_json::from_str(&printed).unwrap_or_default();
    let uplink = facts["adapters"]
        .as_array()
        .and_then(|all| all.iter().find(|adapter| adapter["name"] == "uplink"));
    let Some(uplink) = uplink else { panic!("no adapter 'uplink': {printed}") };
    assert_eq!(
        (&uplink["up"], &uplink["mtu"], &uplink["vpn"]),
        (&true.into(), &1500.into(), &serde_json::Value::Null)
    );
    let gateways = uplink["gateways"].as_array().map(Vec::as_slice).unwrap_or_default();
    assert!(gateways.contains(&"192.0.2.1".into()), "{uplink}");
    assert!(gateways.contains(&"2001:db8:1::1".into()) || !wine_has("routes6"), "{uplink}");
    assert!(gateways.len() <= 2, "{uplink}");
    assert!(
        uplink["addresses"].as_array().is_some_and(|all| all.contains(&"192.0.2.2/24".into())),
        "{uplink}"
    );
    assert_eq!(facts["internet_adapter"], uplink["index"], "the adapter to the outside");
    let mut routes = vec!["172.28.48.0/20", "192.0.2.0/24"];
    if wine_has("routes6") {
        routes.push("2001:db8:1::/64");
    }
    assert_eq!(facts["routes"], serde_json::json!(routes));
    assert!(
        facts["wslconfig"]["path"].as_str().is_some_and(|path| path.ends_with(".wslconfig")),
        "{printed}"
    );
    assert_eq!(facts["wslconfig"]["text"], wslconfig, "{}", facts["wslconfig"]);
    let reported = ["proxy", "bypass", "pac_url"]
        .map(|field| facts["user_proxy"][field].as_str().unwrap_or_default());
    assert_eq!(reported, proxies, "{printed}");
    assert!(facts["machine_proxy"].is_object(), "{printed}");
    let tunnel = up(interop.launch(&lab, &[]));
    let v6 =
        || !must(&lab, Place::Wsl, "ip -6 addr show dev underpass0 scope global").trim().is_empty();
    assert!(until(PATIENCE, v6), "{}", tunnel.status());
    // Wine 8 shows only IPv6 addresses, and Wine 10 its routes too.
    must(&lab, Place::Windows, "ip -6 route del default");
    must(&lab, Place::Windows, "ip -6 addr del 2001:db8:1::2/64 dev uplink");
    assert!(until(PATIENCE, || !v6()), "the host has no IPv6 any more: {}", tunnel.status());
    must(&lab, Place::Windows, "ip -6 addr add 2001:db8:1::2/64 dev uplink nodad");
    must(&lab, Place::Windows, "ip -6 route add default via 2001:db8:1::1");
    assert!(until(PATIENCE, v6), "the host has IPv6 again: {}", tunnel.status());
}

#[test]
fn no_relay_is_orphaned_by_any_kill() {
    let Some((lab, mut interop)) = windows_lab() else { return };
    let _web = web_server(&lab);
    let mut tunnel = up(interop.launch(&lab, &["--lanes", "2"]));
    let ready = |tunnel: &Tunnel| {
        let relays = tunnel.status()["relays"].clone();
        relays
            .as_array()
            .is_some_and(|all| all.len() == 2 && all.iter().all(|relay| relay["state"] == "ready"))
    };
    let as_many = |tunnel: &Tunnel, why: &str| {
        assert!(
            until(PATIENCE, || ready(tunnel) && host_relays(&lab).len() == 2),
            "{why}: {:?} {}",
            host_relays(&lab),
            tunnel.status()
        );
        assert!(
            until(PATIENCE, || http_status(&lab, Place::Wsl, SERVER) == "200"),
            "{why}: {}",
            tunnel.status()
        );
    };
    as_many(&tunnel, "at the start");
    let before = host_relays(&lab);
    send_signal(before[0], "KILL");
    as_many(&tunnel, "a relay was killed");
    assert!(!host_relays(&lab).contains(&before[0]));
    // The process that the gateway knows as its relay is interop's Linux half.
    let halves = tunnel.relays();
    send_signal(halves[0], "KILL");
    assert!(
        until(PATIENCE, || ready(&tunnel) && tunnel.relays()[0] != halves[0]),
        "{}",
        tunnel.status()
    );
    as_many(&tunnel, "interop's Linux half was killed");
    send_signal(tunnel.process().pid(), "KILL");
    assert!(
        until(PATIENCE, || host_relays(&lab).is_empty()),
        "the gateway was killed: {:?} are left",
        host_relays(&lab)
    );
    let mut tunnel = up(interop.launch(&lab, &["--lanes", "2"]));
    as_many(&tunnel, "the next gateway");
    send_signal(interop.host().pid(), "KILL");
    assert!(
        until(PATIENCE, || host_relays(&lab).is_empty()),
        "Windows' half was killed: {:?} are left",
        host_relays(&lab)
    );
    assert!(
        until(PATIENCE, || tunnel.complained().contains(") ERROR: ")),
        "{}",
        tunnel.complained()
    );
    assert!(tunnel.process().is_running());
}

/// The time of a ping and of a DNS query through the tunnel, in milliseconds: the median of that
/// many each.
fn round_trips(lab: &Lab, count: u32) -> (f64, f64) {
    let ping = must(lab, Place::Wsl, &format!("ping -n -c {count} -i 0.05 -W 10 {SERVER}"));
    let times =
        ping.lines().filter_map(|line| line.split_once("time=")?.1.split(' ').next()?.parse().ok());
    let dig = |_| {
        let said =
            must(lab, Place::Wsl, &format!("dig @172.28.48.1 +tries=1 +timeout=8 {SERVER_NAME} A"));
        let time = said
            .lines()
            .find_map(|line| line.strip_prefix(";; Query time: ")?.split(' ').next()?.parse().ok());
        time.unwrap_or(f64::INFINITY)
    };
    (median(times.collect()), median((0..count).map(dig).collect()))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::INFINITY)
}

/// The data of a flood that starts again, in MiB per stream.
const AGAIN: u64 = 8;

/// Sets a flag on drop, also by a panic.
struct SetAtEnd<'a>(&'a AtomicBool);

impl Drop for SetAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Eight uploads, eight downloads and eight echoes of that many MiB each, at once and at full
/// speed, with pings and DNS queries meanwhile. Floods that end before those start again.
fn floods_starve_no_other_traffic(lab: &Lab, tunnel: &Tunnel, mebibytes: u64) {
    let _transfers =
        python_server(lab, Place::Internet, Script::Transfer.text(), &["serve", "5001"], 5001);
    let idle = round_trips(lab, 20);
    let mut rounds = Vec::new();
    let (ended, enough) = (AtomicUsize::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let stop = SetAtEnd(&enough);
        let (ended, enough) = (&ended, &enough);
        let flood = |how: &'static str| {
            move || {
                let mut amount = mebibytes;
                while amount == mebibytes || !enough.load(Ordering::Relaxed) {
                    let done = transfer(lab, 5001, how, (amount << 20, 8), 0);
                    assert_eq!(done["exact"], true, "{done}");
                    ended.fetch_add(1, Ordering::Relaxed);
                    amount = AGAIN;
                }
            }
        };
        let floods = ["upload", "download", "echo"].map(|how| scope.spawn(flood(how)));
        let moved = || tunnel.status()["bytes"]["up"].as_u64().unwrap_or(0);
        assert!(
            until(PATIENCE, || moved() > 32 << 20),
            "the floods have not begun: {}",
            tunnel.status()
        );
        // One ends early if it has failed.
        let is_on = || floods.iter().all(|flood| !flood.is_finished());
        while is_on() && (rounds.len() < 3 || ended.load(Ordering::Relaxed) == 0) {
            rounds.push(round_trips(lab, 20));
        }
        drop(stop);
    });
    let (pings, queries) = rounds.iter().copied().unzip();
    // A resolver that returns no record makes the relay ask each question twice.
    let questions = if wine_has("record-copies") { 1.0 } else { 2.0 };
    for (busy, idle, more) in
        [(median(pings), idle.0, 50.0), (median(queries), idle.1, 50.0 * questions)]
    {
        assert!(busy < idle + more, "{idle} ms idle, {busy} ms busy: {rounds:?}");
    }
    assert_eq!(tunnel.status()["relays"][0]["restarts"], 0);
}

#[test]
fn floods_both_ways_for_a_minute_starve_no_other_traffic_and_never_deadlock() {
    let Some((lab, interop)) = windows_lab() else { return };
    let _server = host_nameserver(&lab);
    let tunnel = up(interop.launch(&lab, &["--link", "stdio"]));
    floods_starve_no_other_traffic(&lab, &tunnel, 400);
}

#[test]
fn floods_starve_no_other_traffic_with_larger_pipes_and_another_relay_either() {
    let Some((lab, small)) = windows_lab() else { return };
    let _server = host_nameserver(&lab);
    floods_starve_no_other_traffic(&lab, &up(small.launch_linux(&lab, &[])), 60);
    drop(small);
    let large = Interop::start_with(&lab, 64 * 1024);
    floods_starve_no_other_traffic(&lab, &up(large.launch_linux(&lab, &[])), 150);
    floods_starve_no_other_traffic(&lab, &up(large.launch(&lab, &["--link", "stdio"])), 150);
}

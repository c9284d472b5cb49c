//! The fixes that the doctor prints work when they are pasted: the test makes each fault in the lab
//! and runs each alternative of its fix as printed. The doctor, run again, no longer finds the
//! fault.

use lab::addresses::{NAT_GATEWAY, SERVER_V6};
use lab::doctor::{DoctorRun, Ward};
use lab::modes::ip;
use lab::scene::{etc, must, python_server};
use lab::{Lab, Place, Process, Vpn, lab_or_skip, programs};
use serde_json::Value;

/// The lab's user is root. `sudo` finds programs by its own path (`secure_path`), and keeps only
/// the variables that it must keep. Files of `/etc` are mounted over the machine's, so that no
/// other file can take their place.
const STAND_INS: &str = r#"
sudo() (
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    case $1 in --preserve-env=*) shift ;; *) unset UNDERPASS_PROXY ;; esac
    "$@"
)
sed() {
    for file; do :; done
    case $file in /etc/*) shift ;; *) command sed "$@"; return ;; esac
    text=$(command sed "$@") && printf '%s\n' "$text" >"$file"
}
"#;

/// A VM behind NAT without a fault.
fn nat(lab: &Lab) -> (Ward<'_>, Process) {
    let dns = lab.start_nat_dns().expect("dnsmasq");
    let ward = Ward::new(lab);
    ward.wait_for_names();
    (ward, dns)
}

/// All variables of a proxy, in both spellings.
fn by_proxy(url: &str) -> Vec<(&'static str, &str)> {
    ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]
        .map(|name| (name, url))
        .into()
}

fn finding<'a>(verdict: &'a DoctorRun, id: &str) -> &'a Value {
    let findings = verdict.json["findings"].as_array().expect("a list");
    let found = findings.iter().find(|finding| finding["id"] == id);
    found.unwrap_or_else(|| panic!("{id} is not found: {:#}", verdict.json))
}

fn lines(step: &Value) -> Vec<&str> {
    step["lines"].as_array().expect("a list").iter().filter_map(Value::as_str).collect()
}

/// The alternatives of a fix for the VM, each as a script. A sentence begins each one.
fn alternatives(finding: &Value) -> Vec<String> {
    let mut scripts = vec![Some(String::new())];
    for step in finding["fix"].as_array().expect("a list") {
        if step.get("say").is_some() {
            scripts.push(Some(String::new()));
        } else if step["run"]["shell"] == "linux" {
            let script = scripts.last_mut().expect("one is there");
            script
                .iter_mut()
                .for_each(|script| *script += &(lines(&step["run"]).join("\n") + "\n"));
        } else if let Some(file) =
            step["file"]["path"].as_str().and_then(|path| path.strip_prefix("~/"))
        {
            let script = scripts.last_mut().expect("one is there");
            let text = lines(&step["file"]).join("\n");
            let put = format!(
                "mkdir -p \"$(dirname ~/{file})\"\n{{ cat <<'END'\n{text}\nEND\ncat ~/{file}; }} >~/.new 2>/dev/null\n\
                 mv ~/.new ~/{file}\n"
            );
            script.iter_mut().for_each(|script| *script += &put);
        } else {
            // It is for Windows, or for an editor.
            scripts.pop();
            scripts.push(None);
        }
    }
    scripts.into_iter().flatten().filter(|script| !script.is_empty()).collect()
}

/// Runs the doctor after a script, in the same shell.
fn after(ward: &Ward<'_>, script: &str, variables: &[(&str, &str)], options: &[&str]) -> DoctorRun {
    // Root's commands store records in a folder of the machine's; each run has its own.
    let state = ward.path("state");
    let _is_new = std::fs::remove_dir_all(&state);
    std::fs::create_dir(&state).expect("a folder");
    let mount = format!("mkdir -p /var/lib/underpass\nmount --bind {state} /var/lib/underpass\n");
    let script = format!("{STAND_INS}set -e\n{{\n{mount}{script}\n}} >&2\nexec \"$@\"");
    ward.verdict_by(&["sh", "-c", &script, "sh"], variables, options)
}

/// For each alternative of a fix: makes the fault, runs the alternative, and finds no fault. Checks
/// the number of alternatives.
#[track_caller]
fn each_fixes(
    ward: &Ward<'_>,
    id: &str,
    many: usize,
    variables: &[(&str, &str)],
    options: &[&str],
    make: impl Fn(),
) -> Vec<String> {
    make();
    let scripts = alternatives(finding(&ward.verdict(variables, options), id));
    assert_eq!(scripts.len(), many, "{id}: {scripts:#?}");
    for script in &scripts {
        make();
        let verdict = after(ward, script, variables, options);
        let left = (
            verdict.problems().is_empty(),
            verdict.ids.iter().any(|found| found == id),
            verdict.code,
        );
        assert_eq!(
            left,
            (true, false, Some(0)),
            "{id} after {script}{}\n{:#}",
            verdict.complaints,
            verdict.json
        );
    }
    scripts
}

#[test]
fn proxies_of_the_environment() {
    let Some(lab) = lab_or_skip() else { return };
    let (ward, _dns) = nat(&lab);
    let _proxy =
        python_server(&lab, Place::Windows, programs::HTTP_PROXY, &[NAT_GATEWAY, "10809"], 10809);
    let nothing = || ();
    let dead = format!("http://{NAT_GATEWAY}:7890");
    let scripts = each_fixes(&ward, "proxy-closed", 2, &by_proxy(&dead), &[], nothing);
    assert_eq!(scripts[0], "eval \"$(underpass proxy on --port 10809)\"\n");
    assert!(scripts[1].starts_with("unset "), "they were not set by `proxy on`: {scripts:?}");
    // `proxy off` restores the variables that `proxy on` has set.
    let on = "eval \"$(underpass proxy on --port 7890)\"";
    let verdict = after(&ward, on, &[], &[]);
    let scripts = alternatives(finding(&verdict, "proxy-closed"));
    assert_eq!(scripts[1], "eval \"$(underpass proxy off)\"\n");
    assert_eq!(after(&ward, &format!("{on}\n{}", scripts[1]), &[], &[]).code, Some(0));

    let local = by_proxy("http://127.0.0.1:10809");
    let scripts = each_fixes(&ward, "proxy-loopback", 1, &local, &[], nothing);
    assert_eq!(scripts[0], "eval \"$(underpass proxy on --port 10809)\"\n");
    each_fixes(&ward, "proxy-setting", 2, &by_proxy("http://a b"), &[], nothing);
    let other = format!("socks5://{NAT_GATEWAY}:10809");
    each_fixes(&ward, "proxy-protocol", 1, &by_proxy(&other), &[], nothing);
    for (value, id) in [
        (format!("https://{NAT_GATEWAY}:10809"), "proxy-tls"),
        (format!("{NAT_GATEWAY}:10809"), "proxy-scheme"),
        (format!(" http://{NAT_GATEWAY}:10809"), "proxy-blank"),
    ] {
        each_fixes(&ward, id, 1, &by_proxy(&value), &[], nothing);
    }
    // Without a port curl uses 1080, and others 80.
    let without =
        python_server(&lab, Place::Windows, programs::HTTP_PROXY, &[NAT_GATEWAY, "1080"], 1080);
    let bare = format!("http://{NAT_GATEWAY}");
    let scripts = each_fixes(&ward, "proxy-port", 1, &by_proxy(&bare), &[], nothing);
    assert!(scripts[0].contains(&format!("export https_proxy='{bare}:1080'\n")), "{scripts:?}");
    drop(without);
    let good = format!("http://{NAT_GATEWAY}:10809");
    let excluded = [by_proxy(&good), vec![("no_proxy", "*")]].concat();
    each_fixes(&ward, "proxy-excluded", 1, &excluded, &[], nothing);
    each_fixes(&ward, "proxy-spelling", 2, &[("HTTPS_PROXY", &good)], &[], nothing);
}

/// A start file as many guides on the web show it, with the proxy's usual port.
const GUIDE: &str = "# WSL
export WINDOWS_HOST=$(cat /etc/resolv.conf | grep nameserver | awk '{print $2}')
export HTTP_PROXY=\"http://${WINDOWS_HOST}:7890\"
export HTTPS_PROXY=\"http://${WINDOWS_HOST}:7890\"
export http_proxy=\"$HTTP_PROXY\"
export https_proxy=\"$HTTPS_PROXY\"
";

#[test]
fn the_windows_host_taken_from_resolv_conf() {
    const DNS_TUNNEL: &str = "10.255.255.254";
    let Some(lab) = lab_or_skip() else { return };
    let (ward, _dns) = nat(&lab);
    ip(&lab, &format!("addr add {DNS_TUNNEL}/32 dev lo"));
    let _tunnelled = python_server(&lab, Place::Wsl, programs::DNS_SERVER, &[DNS_TUNNEL], 53);
    ward.wslinfo("nat");
    let start = ["bash", "-c", ". ~/.bashrc; exec \"$@\"", "bash"];
    let one = format!("nameserver {DNS_TUNNEL}\n");
    let two = format!("nameserver {DNS_TUNNEL}\nnameserver {NAT_GATEWAY}\n");
    for (servers, port) in [(one, 7890), (two, 7897)] {
        let number = port.to_string();
        let _proxy = python_server(
            &lab,
            Place::Windows,
            programs::HTTP_PROXY,
            &[NAT_GATEWAY, &number],
            port,
        );
        etc(&lab, Place::Wsl, "resolv.conf", &servers);
        ward.home(".bashrc", GUIDE);
        let verdict = ward.verdict_by(&start, &[], &[]);
        assert_eq!(verdict.problems(), ["proxy-nameserver"], "{:#}", verdict.json);
        let found = finding(&verdict, "proxy-nameserver");
        let evidence = found["evidence"].to_string();
        for part in
            ["Line 2 of", "/.bashrc reads WINDOWS_HOST from resolv.conf", "Line 3 of", DNS_TUNNEL]
        {
            assert!(evidence.contains(part), "{part}: {evidence}");
        }
        let [on, file, unset] = &alternatives(found)[..] else { panic!("{found:#}") };
        assert_eq!(*on, format!("eval \"$(underpass proxy on --port {port})\"\n"));
        assert!(unset.starts_with("unset ") && file.contains("underpass host"), "{file}{unset}");
        for script in [on, unset] {
            let shell = format!("{STAND_INS}. ~/.bashrc; {script}exec \"$@\"");
            let after = ward.verdict_by(&["bash", "-c", &shell, "bash"], &[], &[]);
            assert_eq!(
                (after.code, after.problems().len()),
                (Some(0), 0),
                "{script}: {:#}",
                after.json
            );
        }
        // The changed start file finds the host; its port is right only if the proxy uses it.
        let change = ward.verdict_by(&["sh", "-c", &format!("{file}exec \"$@\""), "sh"], &[], &[]);
        assert_eq!(change.code, Some(0), "{:#}", change.json);
        let after = ward.verdict_by(&start, &[], &[]);
        let expected: &[&str] = if port == 7890 { &[] } else { &["proxy-closed"] };
        assert_eq!(after.problems(), expected, "{:#}", after.json);
        let written = std::fs::read_to_string(ward.path("home/.bashrc")).expect("a start file");
        assert_eq!(
            written.lines().nth(1),
            Some("export WINDOWS_HOST=\"$(underpass host)\""),
            "{written}"
        );
        assert_eq!(
            written.lines().skip(2).collect::<Vec<_>>(),
            GUIDE.lines().skip(2).collect::<Vec<_>>()
        );
    }
}

#[test]
fn settings_of_tools() {
    let Some(lab) = lab_or_skip() else { return };
    let (ward, _dns) = nat(&lab);
    let _proxy =
        python_server(&lab, Place::Windows, programs::HTTP_PROXY, &[NAT_GATEWAY, "7897"], 7897);
    let (dead, good) = (format!("http://{NAT_GATEWAY}:9"), format!("http://{NAT_GATEWAY}:7897"));
    let git = format!("[user]\n\tname = proxy\n[http]\n\tproxy = {dead}\n");
    let ssh =
        format!("Host *\n  ProxyCommand nc -X connect -x {NAT_GATEWAY}:9 %h %p\n  User git\n");
    let npm = format!("noproxy=localhost\nproxy={dead}\nhttps-proxy = {dead}\n");
    let home = |name: &str| {
        std::fs::read_to_string(ward.path(&format!("home/{name}"))).unwrap_or_default()
    };
    for variables in [vec![], by_proxy(&good)] {
        each_fixes(&ward, "tools-git", 2, &variables, &[], || ward.home(".gitconfig", &git));
        assert_eq!(home(".gitconfig"), "[user]\n\tname = proxy\n");
        each_fixes(&ward, "tools-ssh", 2, &variables, &[], || ward.home(".ssh/config", &ssh));
        assert_eq!(home(".ssh/config"), "Host *\n  User git\n");
        each_fixes(&ward, "tools-others", 2, &variables, &[], || ward.home(".npmrc", &npm));
        assert_eq!(home(".npmrc"), "noproxy=localhost\n");
        let pip = format!("[install]\nproxy = {dead}\n[global]\ntimeout = 9\n");
        each_fixes(&ward, "tools-others", 2, &variables, &[], || {
            ward.home(".config/pip/pip.conf", &pip)
        });
        assert_eq!(home(".config/pip/pip.conf"), "[install]\n[global]\ntimeout = 9\n");
        each_fixes(
            &ward,
            "tools-others",
            2,
            &[&variables[..], &[("npm_config_proxy", &dead)]].concat(),
            &[],
            || (),
        );
    }
    // A mirror that git queries in place of the host.
    let mirror = format!(
        "[url \"http://{NAT_GATEWAY}:9/\"]\n\tinsteadOf = https://github.com/\n[user]\n\tname = me\n"
    );
    let scripts =
        each_fixes(&ward, "tools-git-rewrite", 1, &[], &[], || ward.home(".gitconfig", &mirror));
    assert_eq!(home(".gitconfig"), "[user]\n\tname = me\n", "{scripts:?}");
    // `proxy remove` restores the settings that `proxy apply` has changed.
    ward.home(".npmrc", "proxy=http://127.0.0.1:1\n");
    let apply = format!("underpass proxy apply --tools npm --proxy {dead}");
    let verdict = after(&ward, &apply, &[], &["--only", "tools"]);
    let scripts = alternatives(finding(&verdict, "tools-others"));
    assert!(
        scripts.iter().any(|script| script == "underpass proxy remove --tools npm\n"),
        "{scripts:?}"
    );
    // A later entry of the user's is removed from its line.
    let changed = format!("{apply}\necho 'https-proxy=http://{NAT_GATEWAY}:8' >~/.npmrc");
    let verdict = after(&ward, &changed, &[], &["--only", "tools"]);
    let scripts = alternatives(finding(&verdict, "tools-others"));
    assert!(scripts.iter().all(|script| !script.contains("proxy remove")), "{scripts:?}");
}

#[test]
fn an_empty_proxy_of_gits() {
    let Some(mut lab) = lab_or_skip() else { return };
    lab.set_vpn(Vpn::On).expect("nft");
    let _proxy =
        python_server(&lab, Place::Windows, programs::HTTP_PROXY, &["0.0.0.0", "7890"], 7890);
    let ward = Ward::new(&lab);
    let proxy = format!("http://{NAT_GATEWAY}:7890");
    let has = |verdict: &DoctorRun| verdict.ids.iter().any(|id| id == "tools-git-direct");
    let look = |script: &str| after(&ward, script, &by_proxy(&proxy), &["--only", "tools"]);
    ward.home(".gitconfig", "[user]\n\tname = me\n[http]\n\tproxy =\n");
    let verdict = look("");
    assert!(has(&verdict), "{:#}", verdict.json);
    let scripts = alternatives(finding(&verdict, "tools-git-direct"));
    let [script] = &scripts[..] else { panic!("{scripts:?}") };
    assert!(!has(&look(script)), "{script}");
    let left = std::fs::read_to_string(ward.path("home/.gitconfig")).expect("it is there");
    assert_eq!(left, "[user]\n\tname = me\n");
}

#[test]
fn settings_of_apt() {
    let Some(lab) = lab_or_skip() else { return };
    let (ward, _dns) = nat(&lab);
    let _proxy =
        python_server(&lab, Place::Windows, programs::HTTP_PROXY, &[NAT_GATEWAY, "7890"], 7890);
    // The command mounts its own folder over the machine's, and makes the fault there; each run has
    // its own mounts.
    let folder = ward.path("apt.d");
    let dead = format!("http://{NAT_GATEWAY}:9");
    let mount = format!("mount --bind {folder} /etc/apt/apt.conf.d\nunset APT_CONFIG\n");
    let clean = || {
        for file in std::fs::read_dir(&folder).expect("a folder").flatten() {
            std::fs::remove_file(file.path()).expect("it goes");
        }
    };
    for text in [
        format!("Acquire::http::Proxy \"{dead}\";\nAcquire::Retries \"3\";\n"),
        format!("Acquire {{\n  https {{\n    Proxy \"{dead}\";\n  }};\n  Retries \"3\";\n}};\n"),
    ] {
        let make = || {
            clean();
            ward.apt(&text);
        };
        make();
        let verdict = after(&ward, &mount, &[], &["--only", "tools"]);
        let scripts = alternatives(finding(&verdict, "tools-apt"));
        assert_eq!(scripts.len(), 2, "{:#}", verdict.json);
        assert!(
            scripts[0].contains("/bin/underpass proxy apply --tools apt --proxy http://"),
            "{scripts:?}"
        );
        for script in scripts {
            make();
            let verdict = after(&ward, &format!("{mount}{script}"), &[], &["--only", "tools"]);
            assert!(verdict.ids.is_empty(), "{script}: {:#}", verdict.json);
            let left = std::fs::read_to_string(format!("{folder}/95proxy")).expect("it is there");
            assert!(left.contains("Retries \"3\"") && !left.contains(":9\""), "{script}: {left}");
        }
    }
    // No command may remove a line with other content; the fix names the line.
    clean();
    ward.apt(&format!("Acquire {{ http {{ Proxy \"{dead}\"; Timeout \"9\"; }}; }};\n"));
    let verdict = after(&ward, &mount, &[], &["--only", "tools"]);
    let found = finding(&verdict, "tools-apt");
    assert_eq!(alternatives(found), [""; 0], "{found:#}");
    assert!(found["fix"].to_string().contains("95proxy with an editor"), "{found:#}");
}

#[test]
fn faults_in_the_vm() {
    let Some(lab) = lab_or_skip() else { return };
    let (ward, _dns) = nat(&lab);
    ward.wslinfo("nat");
    let host = |words: &str| must(&lab, Place::Windows, words);
    each_fixes(&ward, "network-default-route", 1, &[], &[], || ip(&lab, "route flush default"));
    // Half-configured IPv6.
    let half = || {
        etc(&lab, Place::Wsl, "gai.conf", "# nothing\n");
        ip(&lab, "-6 route flush default");
        let _said = must(&lab, Place::Wsl, "sysctl -qw net.ipv6.conf.all.disable_ipv6=0");
        ip(&lab, "addr replace 2001:db8:5::2/64 dev eth0 nodad");
        ip(&lab, "-6 route add default via 2001:db8:5::1 dev eth0");
    };
    each_fixes(&ward, "network-ipv6", 2, &[], &["--outside", &format!("[{SERVER_V6}]:80")], half);
    let _said = must(&lab, Place::Wsl, "sysctl -qw net.ipv6.conf.all.disable_ipv6=0");
    ip(&lab, "-6 route flush default");
    // Large packets are lost.
    let _said = host("nft add table inet fault");
    let _said =
        host("nft add chain inet fault forward { type filter hook forward priority filter ; }");
    let _said = host("nft add rule inet fault forward iifname vm meta length > 1400 drop");
    let lossy = || ip(&lab, "link set dev eth0 mtu 1500");
    each_fixes(&ward, "network-mtu", 1, &[], &[], lossy);
    let _said = host("nft delete table inet fault");
    lossy();
    // Programs do not use DNS.
    let make =
        || etc(&lab, Place::Wsl, "nsswitch.conf", "passwd: files\nhosts: files\nservices: files\n");
    each_fixes(&ward, "dns-nsswitch", 1, &[], &[], make);
    let left = must(&lab, Place::Wsl, "cat /etc/nsswitch.conf");
    assert_eq!(left, "passwd: files\nhosts: files dns\nservices: files\n");
}

#[test]
fn resolv_conf_that_is_wsls_already_is_not_given_back() {
    let Some(lab) = lab_or_skip() else { return };
    let (ward, _dns) = nat(&lab);
    let dead = "nameserver 192.0.2.99\noptions timeout:1 attempts:1\n";
    for (text, given_back) in
        [(dead.to_owned(), true), (format!("# automatically generated by WSL\n{dead}"), false)]
    {
        etc(&lab, Place::Wsl, "resolv.conf", &text);
        let verdict = ward.verdict(&[], &[]);
        let fix = finding(&verdict, "dns-servers")["fix"].to_string();
        let command = format!("sudo {} settings dns auto", ward.path("bin/underpass"));
        assert_eq!(fix.contains(&command), given_back, "{fix}");
        assert!(fix.contains("wsl --shutdown"), "{fix}");
    }
}

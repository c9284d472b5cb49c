//! Writes what `underpass doctor` and `underpass status` print for live faults in a lab, with
//! colours, into a folder: NAME.ansi in English and NAME.zh.ansi in Chinese, and the doctor's page.
//! `scripts/screenshots` makes the pictures and the examples of the documentation from these.

use lab::addresses::{NAT_GATEWAY, ROUTER, SERVER, SERVER_NAME};
use lab::built::programs as programs_folder;
use lab::doctor::{Ward, add_vpn, remove_vpn};
use lab::scene::{PATIENCE, etc, http_server, must, python_server, web_server};
use lab::{Lab, Place, Tunnel, Vpn, programs, until};
use std::error::Error;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        // If standard error is closed, the exit code tells.
        let _ = writeln!(io::stderr(), "usage: underpass-screens FOLDER");
        return ExitCode::from(2);
    };
    match screens(&folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "underpass-screens: {error}");
            ExitCode::FAILURE
        }
    }
}

fn screens(folder: &Path) -> Outcome<()> {
    if let Some(why) = lab::missing() {
        return Err(why.into());
    }
    fs::create_dir_all(folder)?;
    // The doctor runs in a folder of its own.
    let folder = &folder.canonicalize()?;
    let mut lab = Lab::new()?;
    let _dns = lab.start_nat_dns()?;
    network(&lab, folder)?;
    names(&lab, folder)?;
    tools(&lab, folder)?;
    tunnel(&mut lab, folder)
}

/// A machine in which all is well, and networks that do not work.
fn network(lab: &Lab, folder: &Path) -> Outcome<()> {
    let ward = Ward::new(lab);
    ward.wait_for_names();
    let shots = Shots { ward: &ward, folder };
    shots.take("well", None, &[], &[])?;

    add_vpn(lab);
    for half in ["0.0.0.0/1", "128.0.0.0/1"] {
        let _said =
            must(lab, Place::Windows, &format!("ip route add {half} via 10.8.0.1 dev cscotun0"));
    }
    shots.take("vpn", Some("network-vpn-routes"), &[], &[])?;
    let page = folder.join("report.html").display().to_string();
    let shown = ward.run(10, &[], &["--report", &page]);
    if !folder.join("report.html").exists() {
        return Err(format!("no report was written: {}", shown.stderr).into());
    }
    remove_vpn(lab);

    add_vpn(lab);
    let _said = must(lab, Place::Windows, "ip route add 172.28.48.0/24 via 10.8.0.1 dev cscotun0");
    shots.take("overlap", Some("network-overlap"), &[], &[])?;
    remove_vpn(lab);

    let _fault = Fault::new(lab, "forward", "meta length > 1400 drop");
    shots.take("mtu", Some("network-mtu"), &[], &[])
}

/// Names that do not resolve.
fn names(lab: &Lab, folder: &Path) -> Outcome<()> {
    let ward = Ward::new(lab);
    ward.wait_for_names();
    let shots = Shots { ward: &ward, folder };
    let nameserver = |place, server: &str| {
        let text = format!("nameserver {server}\noptions timeout:1 attempts:1\n");
        etc(lab, place, "resolv.conf", &text);
    };
    nameserver(Place::Wsl, "192.0.2.99");
    shots.take("dns", Some("dns-servers"), &[], &[])?;
    nameserver(Place::Wsl, NAT_GATEWAY);

    let listen = format!("--listen-address={ROUTER}");
    let records = [
        format!("--host-record=git.corp.test,{ROUTER}"),
        format!("--host-record={SERVER_NAME},{SERVER}"),
    ];
    let words = [
        "dnsmasq --keep-in-foreground --conf-file=/dev/null --pid-file= --user=root --no-resolv",
        "--no-hosts --bind-interfaces --except-interface=lo",
        &listen,
        &records[0],
        &records[1],
    ]
    .join(" ");
    let words: Vec<&str> = words.split(' ').collect();
    let _company = lab.start(Place::Router, &words)?;
    let _git = http_server(lab, Place::Router, ROUTER, 443, "git");
    nameserver(Place::Windows, ROUTER);
    let known = || {
        lab.run(Place::Windows, &["getent", "hosts", "git.corp.test"])
            .is_ok_and(|answer| answer.succeeded())
    };
    if !until(PATIENCE, known) {
        return Err("the company's nameserver does not answer".into());
    }
    let rule = format!("ip daddr {ROUTER} meta l4proto {{ tcp, udp }} th dport 53 drop");
    let fault = Fault::new(lab, "forward", &rule);
    shots.take("company", Some("dns-split"), &[], &["--company", "git.corp.test"])?;
    drop(fault);
    nameserver(Place::Windows, SERVER);
    Ok(())
}

/// Proxies and tools.
fn tools(lab: &Lab, folder: &Path) -> Outcome<()> {
    let ward = Ward::new(lab);
    ward.wait_for_names();
    let shots = Shots { ward: &ward, folder };
    let proxy =
        python_server(lab, Place::Windows, programs::HTTP_PROXY, &["127.0.0.1", "7890"], 7890);
    let url = format!("http://{NAT_GATEWAY}:7890");
    let set = ["http_proxy", "https_proxy"].map(|name| (name, url.as_str()));
    shots.take("proxy", Some("proxy-allow-lan"), &set, &[])?;
    drop(proxy);

    ward.home(".gitconfig", &format!("[http]\n\tproxy = http://{NAT_GATEWAY}:9\n"));
    shots.take("git", Some("tools-git"), &[], &[])?;
    ward.home(".gitconfig", "");
    Ok(())
}

/// A VPN that cuts the VM off: apt without the proxy, and then a tunnel that is up.
fn tunnel(lab: &mut Lab, folder: &Path) -> Outcome<()> {
    lab.set_vpn(Vpn::On)?;
    {
        let ward = Ward::new(lab);
        let _proxy =
            python_server(lab, Place::Windows, programs::HTTP_PROXY, &["0.0.0.0", "7890"], 7890);
        let url = format!("http://{NAT_GATEWAY}:7890");
        let set = ["http_proxy", "https_proxy"].map(|name| (name, url.as_str()));
        let shots = Shots { ward: &ward, folder };
        shots.take("apt", Some("tools-apt"), &set, &["--only", "tools"])?;
    }
    let tunnel = Tunnel::up(lab, &[]);
    let _web = web_server(lab);
    let page = format!("http://{SERVER_NAME}/");
    let _server = python_server(lab, Place::Internet, programs::DNS_SERVER, &[SERVER], 53);
    for words in [
        &["curl", "--silent", "--output", "/dev/null", &page][..],
        &["ping", "-c", "3", "-i", "0.2", SERVER],
    ] {
        let _done = lab.run(Place::Wsl, words)?;
    }
    // On a terminal, as people see it.
    let runtime_dir = format!("UNDERPASS_RUNTIME_DIR={}", tunnel.runtime_dir().display());
    let command = format!("{} status", programs_folder().join("underpass").display());
    let on_terminal = ["env", &runtime_dir, "script", "-qec", &command, "/dev/null"];
    let status = lab.run(Place::Wsl, &on_terminal)?;
    if !status.succeeded() {
        return Err(format!("underpass status: {status:?}").into());
    }
    fs::write(folder.join("status.ansi"), status.stdout.replace('\r', ""))?;
    Ok(())
}

/// A rule of the host that drops packets from the VM. It goes when this is dropped.
struct Fault<'a>(&'a Lab);

impl<'a> Fault<'a> {
    fn new(lab: &'a Lab, chain: &str, rule: &str) -> Self {
        for words in [
            "nft add table inet fault".to_owned(),
            format!(
                "nft add chain inet fault {chain} {{ type filter hook {chain} priority filter ; }}"
            ),
            format!("nft add rule inet fault {chain} iifname vm {rule}"),
        ] {
            let _said = must(lab, Place::Windows, &words);
        }
        Self(lab)
    }
}

impl Drop for Fault<'_> {
    fn drop(&mut self) {
        let _said = must(self.0, Place::Windows, "nft delete table inet fault");
    }
}

/// Runs the doctor, and keeps what it prints.
struct Shots<'a> {
    ward: &'a Ward<'a>,
    folder: &'a Path,
}

impl Shots<'_> {
    /// Fails unless the doctor finds this problem, or no problem.
    fn take(
        &self,
        name: &str,
        finding: Option<&str>,
        variables: &[(&str, &str)],
        options: &[&str],
    ) -> Outcome<()> {
        let verdict = self.ward.verdict(variables, options);
        let is_as_meant = match finding {
            Some(finding) => verdict.problems().contains(&finding),
            None => verdict.problems().is_empty(),
        };
        if !is_as_meant {
            return Err(format!("{name}: the doctor finds {:?}", verdict.ids).into());
        }
        for (language, end) in [("en", "ansi"), ("zh", "zh.ansi")] {
            let more = ["--color", "always", "--lang", language];
            let shown = self.ward.run(10, variables, &[options, &more].concat());
            let home = self.ward.path("home");
            let bin = self.ward.path("bin");
            let text = plain_paths(&shown.stdout, &[(&home, "/home/me"), (&bin, "/usr/local/bin")]);
            fs::write(self.folder.join(format!("{name}.{end}")), text)?;
        }
        Ok(())
    }
}

/// A text with places of this run replaced by those of a usual machine.
fn plain_paths(text: &str, places: &[(&str, &str)]) -> String {
    let built = programs_folder().display().to_string();
    let places = places.iter().copied().chain([(built.as_str(), "/usr/local/bin")]);
    places.fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

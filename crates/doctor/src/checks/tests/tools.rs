//! apt, git, ssh, Docker and other tools.

use crate::FixStep;
use crate::checks::{fixes, judge};
use crate::facts::*;
use crate::sample::*;

const OLD: &str = "http://192.0.2.99:3128";
const GOOD: &str = "http://192.0.2.80:7890";

fn with_variables(mut facts: Facts) -> Facts {
    for key in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"] {
        proxy(&mut facts, key, GOOD);
    }
    facts
}

/// A tool whose own proxy is dead.
fn dead(tool: Tool, file: &str, key: &str) -> Facts {
    let mut facts = nat();
    let probe = setting(&mut facts, tool, Some(file), key, OLD);
    probe.opened = failed(Why::TimedOut);
    [&mut probe.http, &mut probe.request]
        .into_iter()
        .for_each(|outcome| *outcome = Outcome::NotTried);
    facts
}

/// Only the variables' proxy leads out; apt and Docker have none.
fn by_variables_only() -> Facts {
    let mut facts = with_variables(nat());
    tried(&mut facts, Subject::Outside, Method::Tcp, Whence::Vm, failed(Why::TimedOut));
    facts
}

fn dead_apt() -> Facts {
    dead(Tool::Apt, "/etc/apt/apt.conf.d/95proxy", "Acquire::http::Proxy")
}

fn dead_git() -> Facts {
    dead(Tool::Git, "/home/li/.gitconfig", "http.proxy")
}

fn shut_ssh() -> Facts {
    let mut facts = nat();
    tried(&mut facts, Subject::GitSsh, Method::Tcp, Whence::Vm, failed(Why::TimedOut));
    facts
}

fn dead_ssh() -> Facts {
    let mut facts = nat();
    let probe = setting(&mut facts, Tool::Ssh, Some("/home/li/.ssh/config"), "ProxyCommand", OLD);
    probe.opened = failed(Why::Refused);
    probe.request = Outcome::NotTried;
    let command = "nc -X connect -x 192.0.2.99:3128 %h %p".to_owned();
    probe.value.clone_from(&command);
    facts.proxies.last_mut().unwrap().value = command;
    facts
}

fn dead_npm() -> Facts {
    dead(Tool::Npm, "/home/li/.npmrc", "https-proxy")
}

fn docker(subnet: &str) -> Facts {
    let mut facts = nat();
    let mut bridge = link("docker0", &[subnet]);
    bridge.kind = Some("bridge".to_owned());
    facts.links.push(bridge);
    facts.filter.docker_chains = true;
    facts.filter.forward_drops = true;
    facts
}

fn docker_has_the_companys_addresses() -> Facts {
    let mut facts = docker("10.20.0.1/16");
    facts.links.last_mut().unwrap().name = "br-0123456789ab".to_owned();
    facts
}

fn docker_has_the_outside() -> Facts {
    let mut facts = docker("1.1.0.1/16");
    cut(&mut facts);
    facts
}

fn docker_overlaps() -> Facts {
    let mut facts = docker("172.17.0.1/16");
    windows(&mut facts).host.routes.push("172.16.0.0/13".to_owned());
    facts
}

fn docker_drops_for_others() -> Facts {
    let mut facts = docker("172.17.0.1/16");
    let mut bridge = link("virbr0", &["192.168.122.1/24"]);
    bridge.kind = Some("bridge".to_owned());
    facts.links.push(bridge);
    facts
}

pub(super) fn broken() -> Vec<Facts> {
    vec![
        by_variables_only(),
        dead_apt(),
        dead_git(),
        shut_ssh(),
        dead_ssh(),
        dead_npm(),
        docker_has_the_companys_addresses(),
        docker_has_the_outside(),
        docker_overlaps(),
        docker_drops_for_others(),
        git_without_a_proxy(),
        git_by_a_dead_mirror(),
    ]
}

/// git's own setting is empty, and only the variables' proxy leads out.
fn git_without_a_proxy() -> Facts {
    let mut facts = by_variables_only();
    facts.tools = vec![Tool::Git];
    let file = Some("/home/li/.gitconfig".to_owned());
    facts.proxies.push(ProxySetting::new(Tool::Git, file, "http.proxy", ""));
    facts
}

fn git_by_a_dead_mirror() -> Facts {
    let mut facts = nat();
    facts.git_rewrites = vec![GitRewrite {
        file: Some("/home/li/.gitconfig".to_owned()),
        base: "https://mirror.test/https://github.com/".to_owned(),
        instead_of: "https://github.com/".to_owned(),
    }];
    tried(&mut facts, Subject::GitMirror, Method::Tcp, Whence::Vm, failed(Why::TimedOut));
    facts
}

#[test]
fn an_empty_proxy_of_gits_goes_over_the_variables() {
    let text = said(&only(&git_without_a_proxy(), "tools-git-direct"));
    assert!(
        text.ends_with("git config --file /home/li/.gitconfig --unset-all http.proxy"),
        "{text}"
    );
    // It does no harm if git gets out without a proxy, or if a later file sets one.
    let mut direct = git_without_a_proxy();
    tried(&mut direct, Subject::Outside, Method::Tcp, Whence::Vm, OK);
    assert_eq!(ids(&direct), [""; 0]);
    let mut later = git_without_a_proxy();
    setting(&mut later, Tool::Git, Some("/home/li/repo/.git/config"), "http.proxy", GOOD);
    assert_eq!(ids(&later), [""; 0]);
}

#[test]
fn a_mirror_that_git_asks_has_to_answer() {
    let text = said(&only(&git_by_a_dead_mirror(), "tools-git-rewrite"));
    let key = "'url.https://mirror.test/https://github.com/.insteadOf'";
    let command =
        format!("git config --file /home/li/.gitconfig --unset-all {}", key.trim_matches('\''));
    assert!(
        text.contains("Connecting to mirror.test:443 times out") && text.ends_with(&command),
        "{text}"
    );
    // A key with a secret in it is in no command.
    let mut secret = git_by_a_dead_mirror();
    secret.git_rewrites[0].base = "https://me:s3cret@mirror.test/".to_owned();
    let text = said(&only(&secret, "tools-git-rewrite"));
    assert!(!text.contains("s3cret") && !text.contains("--unset-all"), "{text}");
    assert!(text.ends_with("from /home/li/.gitconfig with an editor."), "{text}");
    let mut well = git_by_a_dead_mirror();
    tried(&mut well, Subject::GitMirror, Method::Tcp, Whence::Vm, OK);
    assert_eq!(ids(&well), [""; 0]);
}

#[test]
fn apt_update_times_out_by_its_own_dead_proxy() {
    let text = said(&only(&dead_apt(), "tools-apt"));
    let command = "sudo sed -i --follow-symlinks '3{/http:\\/\\/192\\.0\\.2\\.99:3128/d}' \
                   /etc/apt/apt.conf.d/95proxy";
    assert!(
        text.contains(command) && text.contains("Connecting to 192.0.2.99:3128 times out"),
        "{text}"
    );
    let text = said(&only(&with_variables(dead_apt()), "tools-apt"));
    assert!(
        text.contains(&format!("sudo underpass proxy apply --tools apt --proxy {GOOD}")),
        "{text}"
    );
    // A line that says more than this has to be changed with an editor.
    let mut scopes = dead_apt();
    scopes.proxies[0].line = None;
    let text = said(&only(&scopes, "tools-apt"));
    assert!(
        text.ends_with(
            "Remove Acquire::http::Proxy from /etc/apt/apt.conf.d/95proxy with an editor."
        ),
        "{text}"
    );
    // What the variables keep secret is in no command.
    let mut secret = dead_apt();
    proxy(&mut secret, "https_proxy", "http://me:s3cret@192.0.2.80:7890");
    proxy(&mut secret, "HTTPS_PROXY", "http://me:s3cret@192.0.2.80:7890");
    let text = said(&only(&secret, "tools-apt"));
    let command = "UNDERPASS_PROXY=\"$https_proxy\" sudo --preserve-env=UNDERPASS_PROXY underpass \
                   proxy apply --tools apt\n";
    assert!(text.contains(command) && !text.contains("s3cret"), "{text}");
    let mut works = nat();
    setting(
        &mut works,
        Tool::Apt,
        Some("/etc/apt/apt.conf.d/95proxy"),
        "Acquire::http::Proxy",
        OLD,
    );
    assert_eq!(ids(&works), [""; 0]);
}

#[test]
fn apt_update_times_out_without_the_proxy_that_the_shell_has() {
    assert_eq!(ids(&by_variables_only()), ["tools-apt", "tools-docker"]);
    let findings = judge(&by_variables_only(), None).findings;
    let text = said(&findings[0]);
    for part in [
        "sudo does not pass them on",
        "sudo underpass proxy apply --tools apt --proxy http://192.0.2.80:7890",
        "Connecting to 1.1.1.1:443 times out",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let docker = "sudo underpass proxy apply --tools docker --proxy http://192.0.2.80:7890\n\
                  sudo systemctl daemon-reload";
    assert!(said(&findings[1]).contains(docker), "{}", said(&findings[1]));
    // Below sudo a command is named by its path.
    let mut elsewhere = by_variables_only();
    elsewhere.program = Program { path: "/mnt/wsl/underpass/underpass".to_owned(), in_path: true };
    let text = said(&judge(&elsewhere, None).findings[0]);
    assert!(!text.contains("sudo /mnt/wsl"), "{text}");
    let copied = "sudo install -m 755 ~/underpass.new /usr/local/bin/underpass\n\
                  sudo /usr/local/bin/underpass proxy apply --tools apt";
    assert!(text.contains(copied), "{text}");
    elsewhere.program.path = "/opt/bin/underpass".to_owned();
    let text = said(&judge(&elsewhere, None).findings[0]);
    assert!(text.contains("sudo /opt/bin/underpass proxy apply"), "{text}");
    // It gets out without.
    assert_eq!(ids(&with_variables(nat())), [""; 0]);
    // It is not installed.
    let mut none = by_variables_only();
    none.tools = vec![Tool::Git];
    assert_eq!(ids(&none), [""; 0]);
}

#[test]
fn git_clone_hangs_by_gits_own_dead_proxy() {
    let text = said(&only(&dead_git(), "tools-git"));
    assert!(
        text.contains("git config --file /home/li/.gitconfig --unset-all http.proxy"),
        "{text}"
    );
    let text = said(&only(&with_variables(dead_git()), "tools-git"));
    assert!(
        text.contains(&format!(
            "git config --file /home/li/.gitconfig --replace-all http.proxy {GOOD}"
        )),
        "{text}"
    );
    let mut works = nat();
    setting(&mut works, Tool::Git, Some("/home/li/.gitconfig"), "http.proxy", OLD);
    assert_eq!(ids(&works), [""; 0]);
}

#[test]
fn git_clone_hangs_by_ssh() {
    let text = said(&only(&shut_ssh(), "tools-ssh"));
    for part in ["Connecting to github.com:22 times out", "HostName ssh.github.com", "TUN mode"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("ProxyCommand"), "there is no proxy to go by: {text}");
    let text = said(&only(&with_variables(shut_ssh()), "tools-ssh"));
    assert!(text.contains("ProxyCommand nc -X connect -x 192.0.2.80:7890 %h %p"), "{text}");
    // ssh has a proxy of its own, and that works.
    let mut own = shut_ssh();
    setting(&mut own, Tool::Ssh, Some("/home/li/.ssh/config"), "ProxyCommand", GOOD);
    assert_eq!(ids(&own), [""; 0]);
    assert!(said(&only(&dead_ssh(), "tools-ssh")).contains("the proxy in its ProxyCommand"));
    // Nothing gets out: that is another matter.
    let mut nothing = shut_ssh();
    cut(&mut nothing);
    assert_eq!(ids(&nothing), ["network-nat"]);
}

#[test]
fn other_tools_with_a_dead_proxy_are_reported_together() {
    let mut facts = with_variables(dead_npm());
    let probe = setting(
        &mut facts,
        Tool::Pip,
        Some("/home/li/.config/pip/pip.conf"),
        "proxy",
        "socks5://192.0.2.98:1080",
    );
    probe.opened = failed(Why::Refused);
    probe.request = Outcome::NotTried;
    let text = said(&only(&facts, "tools-others"));
    for part in [
        "apply --tools npm,pip --proxy http://192.0.2.80:7890",
        r"sed -i --follow-symlinks '3{/http:\/\/192\.0\.2\.99:3128/d}' /home/li/.npmrc",
        "192.0.2.98:1080 refuses",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("proxy remove"), "`proxy apply` has set none of them: {text}");
    facts.proxies.iter_mut().for_each(|setting| setting.is_ours = setting.tool == Tool::Npm);
    let text = said(&only(&facts, "tools-others"));
    assert!(
        text.contains("underpass proxy remove --tools npm\n") && !text.contains(".npmrc\n"),
        "{text}"
    );
    let mut works = nat();
    setting(&mut works, Tool::Npm, Some("/home/li/.npmrc"), "https-proxy", OLD);
    assert_eq!(ids(&works), [""; 0]);
}

#[test]
fn dockers_networks_must_not_have_the_companys_addresses() {
    let text = said(&only(&docker_has_the_companys_addresses(), "tools-docker-subnet"));
    assert!(text.contains("br-0123456789ab uses 10.20.0.0/16, which contains 10.20.0.5"), "{text}");
    assert!(text.contains("default-address-pools"), "{text}");
    let text = said(&only(&docker_has_the_outside(), "network-docker"));
    assert!(text.contains("docker0 uses 1.1.0.0/16, which contains 1.1.1.1"), "{text}");
    only(&docker_overlaps(), "tools-docker-overlap");
    assert!(judge(&docker_overlaps(), None).is_well());
    assert_eq!(ids(&docker("172.17.0.1/16")), [""; 0]);
    // A bridge of another program.
    let mut other = docker_has_the_companys_addresses();
    other.links.last_mut().unwrap().name = "br-lan".to_owned();
    assert!(!ids(&other).contains(&"tools-docker-subnet"));
}

#[test]
fn dockers_rules_drop_for_other_bridges() {
    let text = said(&only(&docker_drops_for_others(), "tools-docker-forward"));
    assert!(text.contains("sudo iptables -I DOCKER-USER -i virbr0 -j ACCEPT"), "{text}");
    let near: [fn(&mut Facts); 3] = [
        |facts| facts.filter.forward_drops = false,
        |facts| facts.filter.docker_chains = false,
        |facts| facts.links.last_mut().unwrap().up = false,
    ];
    for change in near {
        let mut facts = docker_drops_for_others();
        change(&mut facts);
        assert_eq!(ids(&facts), [""; 0]);
    }
}

/// The commands of all findings' fixes.
fn commands(facts: &Facts) -> Vec<String> {
    let steps = judge(facts, None).findings.into_iter().flat_map(|finding| finding.fix);
    let lines = steps.filter_map(|step| match step {
        FixStep::Run { lines, .. } => Some(lines),
        FixStep::Say(_) | FixStep::Lines { .. } => None,
    });
    lines.flatten().collect()
}

#[test]
fn what_a_machine_says_is_one_word_of_a_command() {
    // A repository's own `.git/config` may have any key.
    let key = "http.https://git.test/$(touch it);.proxy";
    let lines = commands(&dead(Tool::Git, "/home/li/it/.git/config", key));
    let unset = format!("git config --file /home/li/it/.git/config --unset-all '{key}'");
    assert!(lines.contains(&unset), "{lines:?}");
    let lines = commands(&dead(Tool::Curl, "/home/li's/.curlrc", "proxy"));
    let file = r" '/home/li'\''s/.curlrc'";
    assert!(lines.iter().any(|line| line.ends_with(file)), "{lines:?}");
    // PowerShell ends a string at a typographic quote, too.
    let mut facts = nat();
    let adapter = vpn(&mut facts, 1);
    adapter.name = "Li\u{2019}s VPN".to_owned();
    let [_, FixStep::Run { lines, .. }, ..] = &fixes::metric(adapter)[..] else {
        panic!("it is a command")
    };
    assert_eq!(
        *lines,
        ["Set-NetIPInterface -InterfaceAlias 'Li\u{2019}\u{2019}s VPN' -InterfaceMetric 6000"]
    );
}

//! The status in words. Knows no socket and no clock.

use gateway::Status;
use gateway::status::{
    GatewayState, KeepAlive, KeepAliveState, ProcessPrivileges, RelayStatus, TapStatus, ViaStatus,
};
use messages::{
    Language, Sentence, Text, columns, command, padded, reasons, status as words, wrapped,
};
use std::fmt::Write as _;
use wire::link::{LinkCause, LinkFailure};

/// All that `underpass up` says when traffic can flow, a line each.
pub(crate) fn announcement(status: &Status, language: Language) -> Vec<String> {
    let say = Words { language };
    let mut lines = vec![say.up_line(status)];
    lines.extend(mode_line(&status.mode).map(|line| line.text().say(language)));
    let via = |via: &ViaStatus| command::VIA.with("proxy", say.via_place(via)).say(language);
    lines.extend(status.via.as_ref().map(via));
    lines
}

/// The sentence of `underpass up` for a networking mode of WSL other than the default.
fn mode_line(mode: &str) -> Option<&'static Sentence> {
    match mode {
        "mirrored" => Some(&command::MIRRORED),
        "virtioproxy" => Some(&command::VIRTIOPROXY),
        "bridged" => Some(&command::BRIDGED),
        "none" => Some(&command::MODE_NONE),
        _ => None,
    }
}

/// The whole status, a line a subject. On a screen of `screen` columns, long lines continue below
/// their beginning.
pub(crate) fn status(status: &Status, language: Language, screen: Option<usize>) -> String {
    let lines = Words { language }.lines(status);
    let labels: Vec<String> = lines.iter().map(|(label, _)| label.text().say(language)).collect();
    let width = labels.iter().map(|label| columns(label)).max().unwrap_or_default().max(9) + 1;
    let margin = format!("\n{}", " ".repeat(width));
    let below = |line: &str| match screen {
        Some(screen) => wrapped(line, screen.saturating_sub(width)).join(&margin),
        None => line.to_owned(),
    };
    labels.iter().zip(&lines).fold(String::new(), |mut text, (label, (_, value))| {
        let value = value.lines().map(below).collect::<Vec<_>>().join(&margin);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}{value}", padded(label, width));
        text
    })
}

/// Entries of a list that a line shows.
const MOST_SHOWN: usize = 20;

/// Says what a status holds.
#[derive(Clone, Copy, Debug)]
struct Words {
    language: Language,
}

impl Words {
    fn say(self, text: &Text) -> String {
        text.say(self.language)
    }

    fn word(self, sentence: &'static Sentence) -> String {
        self.say(&sentence.text())
    }

    fn up_line(self, status: &Status) -> String {
        match &status.tap {
            Some(tap) => {
                let place = self.addresses(tap);
                self.say(&command::UP_ON.with("name", &tap.name).with("place", place))
            }
            None => self.word(&command::UP),
        }
    }

    fn lines(self, status: &Status) -> Vec<(&'static Sentence, String)> {
        let mode = if status.mode.is_empty() {
            self.word(&words::NOT_KNOWN_YET)
        } else {
            self.say(&words::MODE_NAME.with("mode", &status.mode))
        };
        let mut lines = vec![(&words::STATE, self.state(status)), (&words::MODE, mode)];
        if let Some(tap) = &status.tap {
            lines.push((&words::TAP, self.device(tap)));
            lines.push((&words::ADDRESSES, self.addresses(tap)));
        }
        if let Some(reason) = &status.no_ipv6 {
            lines.push((&words::IPV6, self.say(&words::NOT_CARRIED.with("why", reason))));
        }
        if let Some(via) = &status.via {
            lines.push((&words::VIA, self.via(via)));
        }
        lines.push((&words::CAPTURED, self.list(status.captured.iter().map(ToString::to_string))));
        let direct = status.direct.iter().map(|way| format!("{} dev {}", way.prefix, way.device));
        lines.push((&words::DIRECT, self.first(direct)));
        if !status.mirrored.is_empty() {
            let routes = self.first(status.mirrored.iter().cloned());
            let through = words::THROUGH_TUNNEL.with("routes", routes);
            lines.push((&words::MIRRORED, self.say(&through)));
        }
        lines.extend(status.relays.iter().map(|relay| (&words::RELAY, self.relay(relay))));
        self.push_counts(status, &mut lines);
        self.push_troubles(status, &mut lines);
        if let Some(keep_alive) = &status.keep_alive {
            lines.push((&words::KEPT_UP, self.keep_alive(keep_alive)));
        }
        let processes = status.privileges.iter();
        lines.extend(processes.map(|process| (&words::PROCESS, self.privileges(process))));
        if let Some(error) = &status.network_error {
            lines.push((&words::TROUBLE, reasons::in_words(error, self.language).into_owned()));
        }
        lines
    }

    fn push_counts(self, status: &Status, lines: &mut Vec<(&'static Sentence, String)>) {
        let flows = &status.flows;
        let counts = words::FLOW_COUNTS
            .with("tcp", flows.tcp)
            .with("pending", flows.tcp_pending)
            .with("waiting", flows.time_wait)
            .with("udp", flows.udp)
            .with("dns", flows.dns)
            .with("ping", flows.echo);
        lines.push((&words::FLOWS, self.say(&counts)));
        let totals = &status.totals;
        let counts = words::TOTALS
            .with("tcp", totals.tcp)
            .with("udp", totals.udp)
            .with("dns", totals.dns)
            .with("ping", totals.echo);
        lines.push((&words::SO_FAR, self.say(&counts)));
        let answers = status.dns_answers.iter().map(|(by, count)| format!("{by} {count}"));
        lines.push((&words::ANSWERS, self.list(answers)));
        let up_down = |up: String, down: String| words::UP_DOWN.with("up", up).with("down", down);
        let (sent, packets) = (&status.bytes, &status.packets);
        lines.push((&words::BYTES, self.say(&up_down(bytes(sent.up), bytes(sent.down)))));
        let packets = up_down(packets.up.to_string(), packets.down.to_string());
        lines.push((&words::PACKETS, self.say(&packets)));
        let drops = status.drops.iter().map(|(reason, count)| format!("{reason} {count}"));
        lines.push((&words::DROPS, self.list(drops)));
        let limits =
            status.limits.iter().map(|limit| format!("{} {}/{}", limit.name, limit.now, limit.max));
        lines.push((&words::LIMITS, self.list(limits)));
    }

    fn push_troubles(self, status: &Status, lines: &mut Vec<(&'static Sentence, String)>) {
        if let Some(refused) = &status.refused {
            let text = words::REFUSED.with("count", refused.count).with("seconds", refused.last_s);
            lines.push((&words::FULL, self.say(&text)));
        }
        if let Some(displaced) = &status.displaced {
            let text = words::DISPLACED
                .with("count", displaced.count)
                .with("owner", &displaced.last_of)
                .with("seconds", displaced.last_s);
            lines.push((&words::SHARES, self.say(&text)));
        }
        if let Some(rebind) = &status.rebind {
            let names = self.list(rebind.names.iter().rev().take(4).cloned());
            let text = words::REBOUND.with("count", rebind.answers).with("names", names);
            lines.push((&words::REBIND, self.say(&text)));
        }
    }

    fn state(self, status: &Status) -> String {
        let state = match status.state {
            GatewayState::Starting => &words::STARTING,
            GatewayState::Up => &words::UP,
            GatewayState::NoRelay => &words::NO_RELAY,
        };
        let text = words::RUNNING
            .with("state", self.word(state))
            .with("uptime", self.duration(status.uptime_s))
            .with("pid", status.pid)
            .with("version", &status.version);
        self.say(&text)
    }

    fn device(self, tap: &TapStatus) -> String {
        let offload = self.word(if tap.offload { &words::ON } else { &words::OFF });
        let way = tap.way_mtu.map(|mtu| self.say(&words::WAY_MTU.with("mtu", mtu)));
        let text = words::DEVICE
            .with("name", &tap.name)
            .with("mtu", tap.mtu)
            .with("way", way.unwrap_or_default())
            .with("offload", offload);
        self.say(&text)
    }

    fn addresses(self, tap: &TapStatus) -> String {
        let v4 = tap.ipv4;
        let v4 = words::ADDRESS
            .with("vm", v4.vm)
            .with("prefix", v4.prefix)
            .with("gateway", v4.gateway)
            .with("host", v4.host);
        let mut text = self.say(&v4);
        if let Some(v6) = tap.ipv6 {
            let v6 = words::ADDRESS
                .with("vm", v6.vm)
                .with("prefix", v6.prefix)
                .with("gateway", v6.gateway)
                .with("host", v6.host);
            text += match self.language {
                Language::English => "; ",
                Language::Chinese => "；",
            };
            text += &self.say(&v6);
        }
        text
    }

    fn via_place(self, via: &ViaStatus) -> String {
        let proxy = if via.proxy == "windows" {
            self.word(&words::WINDOWS_PROXIES)
        } else {
            via.proxy.clone()
        };
        if via.except.is_empty() {
            return proxy;
        }
        self.say(&words::EXCEPT.with("proxy", proxy).with("names", via.except.join(", ")))
    }

    fn via(self, via: &ViaStatus) -> String {
        let known = words::NAMES_KNOWN.with("proxy", self.via_place(via)).with("count", via.names);
        let mut text = self.say(&known);
        if let Some(error) = &via.last_error {
            text += "\n";
            text += &self.say(&words::NOTHING_THROUGH.with("error", error));
        }
        text
    }

    fn keep_alive(self, keep_alive: &KeepAlive) -> String {
        let state = match keep_alive.state {
            KeepAliveState::Held => return self.word(&words::HELD),
            KeepAliveState::Starting => self.word(&words::HOLD_STARTING),
            KeepAliveState::Waiting => self.word(&words::HOLD_WAITING),
        };
        match &keep_alive.last_error {
            Some(error) => {
                format!("{state}\n{}", self.say(&words::LAST_ENDED.with("error", error)))
            }
            None => state,
        }
    }

    /// The rights of a process of the gateway, and a line for each step that the machine refused.
    fn privileges(self, of: &ProcessPrivileges) -> String {
        let mut may = vec![if of.user == 0 {
            self.word(&words::ROOT)
        } else {
            self.say(&words::USER.with("id", of.user))
        }];
        may.push(match of.capabilities.len() {
            0 => self.word(&words::NO_CAPABILITY),
            // Root's are all that there are.
            count @ 10.. => self.say(&words::CAPABILITIES.with("count", count)),
            1..10 => {
                let names = of.capabilities.iter().map(|name| format!("CAP_{name}"));
                names.collect::<Vec<_>>().join(" ")
            }
        });
        may.extend(of.no_new_privs.then(|| self.word(&words::NO_NEW_PRIVILEGES)));
        may.extend(of.seccomp.then(|| "seccomp".to_owned()));
        may.extend(of.landlock.map(|version| format!("Landlock {version}")));
        let line = words::PROCESS_LINE
            .with("process", &of.process)
            .with("pid", of.pid)
            .with("words", may.join(self.language.comma()));
        let missing = of.missing.iter().map(|missing| words::NOT_IN_FORCE.with("missing", missing));
        missing.fold(self.say(&line), |text, missing| format!("{text}\n{}", self.say(&missing)))
    }

    fn relay(self, relay: &RelayStatus) -> String {
        let state = match relay.state.as_str() {
            "starting" => self.word(&words::STARTING),
            "ready" => self.word(&words::READY),
            "waiting" => self.word(&words::WAITING),
            other => other.to_owned(),
        };
        let mut text = format!("{}{}{state}", relay.lane, self.language.colon());
        if let (Some(pid), Some(age)) = (relay.pid, relay.age_s) {
            let age = self.duration(age);
            text += &self.say(&words::RELAY_AGE.with("pid", pid).with("age", age));
        }
        text += &self.say(&words::RELAY_RESTARTS.with("count", relay.restarts));
        if let Some(version) = &relay.version {
            let can = relay.can.join(" ");
            text += &self.say(&words::RELAY_VERSION.with("version", version).with("can", can));
        }
        if let Some(link) = &relay.link {
            text += &self.say(&words::BY_LINK.with("link", &link.carries));
            for failure in &link.failures {
                text += "\n";
                text += &self.no_link(failure);
            }
            if let Some(wait) = link.next_try_s {
                text += &self.say(&words::NEXT_TRY.with("wait", self.duration(wait)));
            }
        }
        if let Some(error) = &relay.last_error {
            text += "\n";
            text += &self.say(&words::LAST_ENDED.with("error", error));
        }
        text
    }

    fn no_link(self, failure: &LinkFailure) -> String {
        let cause = match failure.cause {
            LinkCause::Refused => &words::LINK_REFUSED,
            LinkCause::TimedOut => &words::LINK_TIMED_OUT,
            LinkCause::Unreachable => &words::LINK_UNREACHABLE,
            LinkCause::Denied => &words::LINK_DENIED,
            LinkCause::Unsupported => &words::LINK_UNSUPPORTED,
            LinkCause::Mode => &words::LINK_MODE,
            LinkCause::Stranger => &words::LINK_STRANGER,
            LinkCause::Broke => &words::LINK_BROKE,
            LinkCause::Other => &words::LINK_OTHER,
        };
        let text = words::NO_LINK
            .with("link", failure.link)
            .with("cause", self.word(cause))
            .with("error", &failure.text);
        self.say(&text)
    }

    /// The first of a list that may be long, and how many more there are.
    fn first(self, items: impl ExactSizeIterator<Item = String>) -> String {
        let more = items.len().saturating_sub(MOST_SHOWN);
        let text = self.list(items.take(MOST_SHOWN));
        if more == 0 { text } else { text + &self.say(&words::MORE.with("more", more)) }
    }

    fn list(self, items: impl Iterator<Item = String>) -> String {
        let text = items.collect::<Vec<_>>().join(self.language.comma());
        if text.is_empty() { self.word(&words::NONE) } else { text }
    }

    fn duration(self, seconds: u64) -> String {
        let text = match (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60) {
            (0, 0, 0, s) => words::SECONDS.with("s", s),
            (0, 0, m, s) => words::MINUTES.with("m", m).with("s", s),
            (0, h, m, _) => words::HOURS.with("h", h).with("m", m),
            (d, h, _, _) => words::DAYS.with("d", d).with("h", h),
        };
        self.say(&text)
    }
}

/// In the largest unit of which there is at least one.
fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let step = (count.ilog2() / 10).min(5);
    // One decimal, rounded down.
    let tenths = (u128::from(count) * 10) >> (10 * step);
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[step as usize - 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    const EN: Words = Words { language: Language::English };

    #[test]
    fn numbers_are_for_people() {
        assert_eq!(
            [bytes(0), bytes(1023), bytes(1536), bytes(5 << 30)],
            ["0 B", "1023 B", "1.5 KiB", "5.0 GiB"]
        );
        assert_eq!(bytes(u64::MAX), "16383.9 PiB");
        assert_eq!(
            [59, 61, 3_660, 90_000].map(|seconds| EN.duration(seconds)),
            ["59 s", "1 min 1 s", "1 h 1 min", "1 d 1 h"]
        );
    }

    #[test]
    fn what_a_process_may_do_is_one_line_and_what_is_missing_another() {
        let engine = ProcessPrivileges {
            process: "underpass-engine".to_owned(),
            pid: 7,
            user: 65_530,
            no_new_privs: true,
            seccomp: true,
            missing: vec!["files: Landlock is switched off".to_owned()],
            ..ProcessPrivileges::default()
        };
        let text = "underpass-engine (7): user 65530, no capability, no new privileges, seccomp\n\
                    not in force: files: Landlock is switched off";
        assert_eq!(EN.privileges(&engine), text);
        let network = ProcessPrivileges {
            capabilities: vec!["NET_ADMIN".to_owned()],
            landlock: Some(7),
            missing: Vec::new(),
            ..engine.clone()
        };
        assert!(
            EN.privileges(&network)
                .ends_with("CAP_NET_ADMIN, no new privileges, seccomp, Landlock 7")
        );
        let root = ProcessPrivileges {
            user: 0,
            capabilities: vec![String::new(); 41],
            ..ProcessPrivileges::default()
        };
        assert!(
            EN.privileges(&root).ends_with(": root, 41 capabilities"),
            "{}",
            EN.privileges(&root)
        );
    }

    #[test]
    fn a_long_list_is_cut() {
        let items = |count: usize| EN.first((0..count).map(|n| n.to_string()));
        assert_eq!((items(0), items(2)), ("none".to_owned(), "0, 1".to_owned()));
        assert!(items(MOST_SHOWN).ends_with(", 19"), "{}", items(MOST_SHOWN));
        assert!(
            items(MOST_SHOWN + 5).ends_with(", 19 and 5 more (see --json)"),
            "{}",
            items(MOST_SHOWN + 5)
        );
    }

    #[test]
    fn the_way_out_is_told_with_what_goes_without_and_what_is_wrong() {
        let via = |proxy: &str, except: &[&str], error: Option<&str>| ViaStatus {
            proxy: proxy.to_owned(),
            except: except.iter().map(|text| (*text).to_owned()).collect(),
            names: 3,
            last_error: error.map(str::to_owned),
        };
        let fixed = via("http://***@h:1", &["10.0.0.0/8", ".a.test"], Some("it is away"));
        assert_eq!(EN.via_place(&fixed), "http://***@h:1, except for 10.0.0.0/8, .a.test");
        assert!(EN.via(&fixed).ends_with("; 3 names known\nnothing goes through it: it is away"));
        assert!(EN.via(&via("windows", &[], None)).contains("Windows' settings"));
    }

    #[test]
    fn a_chinese_status_has_no_english_sentence_and_its_columns_stand_below_each_other() {
        let status: Status = serde_json::from_str(SAMPLE).unwrap();
        let text = super::status(&status, Language::Chinese, None);
        let values: Vec<&str> = text
            .lines()
            .filter(|line| !line.starts_with(' '))
            .map(|line| {
                let labels =
                    line.find("   ").or_else(|| line.find("  ")).or_else(|| line.find(' '));
                line[labels.unwrap()..].trim_start()
            })
            .collect();
        for (line, value) in text.lines().filter(|line| !line.starts_with(' ')).zip(values) {
            assert_eq!(columns(line) - columns(value), 10, "{line}");
        }
        for (english, chinese) in [
            ("for 1 h", "已连通，已运行 1 小时 1 分"),
            ("offload", "分段卸载开启"),
            ("hello", "中继程序在 10 秒内没有完成握手"),
            ("goes through", "代理不可用：代理关闭了连接，没有任何应答"),
            ("ready", "就绪"),
            (" nat", "网络模式  NAT 模式"),
        ] {
            assert!(!text.contains(english) && text.contains(chinese), "{chinese}: {text}");
        }
    }

    #[test]
    fn on_a_screen_long_lines_continue_below_their_beginning() {
        let status: Status = serde_json::from_str(SAMPLE).unwrap();
        for language in [Language::English, Language::Chinese] {
            let whole = super::status(&status, language, None);
            let narrow = super::status(&status, language, Some(60));
            assert!(whole.lines().any(|line| columns(line) > 60), "{whole}");
            assert!(narrow.lines().all(|line| columns(line) <= 60), "{narrow}");
            let text = |shown: &str| shown.replace([' ', '\n'], "");
            assert_eq!(text(&narrow), text(&whole));
            let labels =
                |shown: &str| shown.lines().filter(|line| !line.starts_with("   ")).count();
            assert_eq!(labels(&narrow), labels(&whole), "{narrow}");
        }
    }

    /// A status as `underpass status --json` prints it.
    const SAMPLE: &str = include_str!("show/sample.json");
}

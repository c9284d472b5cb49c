//! The proxy that is known to be good, and the commands that set it: a fix names what was seen to
//! carry a request, or else the port that the setting has.

use super::typed::{as_root_with, own};
use crate::facts::{ProxyProbe, Tool};
use crate::view::{View, is_ok, spelling};
use messages::quote::for_shell;
use probe::proxy::has_port;
use std::net::IpAddr;
use wsl::NetworkingMode;

/// A proxy that carried a request.
#[derive(Clone, Copy)]
pub(super) struct Good<'a> {
    pub(super) probe: &'a ProxyProbe,
    /// The variable that names it, if one does.
    variable: Option<&'a str>,
}

/// A proxy that carries requests: one that the environment names, or else one that was found.
pub(super) fn good<'a>(view: &View<'a>) -> Option<Good<'a>> {
    let named = view.proxies_of(Tool::Environment).filter(|(_, probe)| is_ok(&probe.request));
    let named = named.map(|(setting, probe)| Good { probe, variable: Some(setting.key.as_str()) });
    let found = view.facts.probes.listening.iter().map(|probe| Good { probe, variable: None });
    // A command of ssh's names its proxy in other ways.
    let is_url = |probe: &&ProxyProbe| is_ok(&probe.request) && !probe.value.trim().contains(' ');
    let of_tools =
        view.facts.probes.proxies.iter().filter(is_url).map(|probe| Good { probe, variable: None });
    let of_tools = of_tools.filter(|good| !good.has_secrets());
    // One that is written oddly is taken only where there is no other.
    named.chain(found).chain(of_tools).min_by_key(|good| spelling(good.probe).is_some())
}

/// Where `proxy on` looks for the Windows host, as `underpass host` tells it.
pub(super) fn host(view: &View<'_>) -> Option<IpAddr> {
    if view.mode() == Some(NetworkingMode::Mirrored) {
        return Some(IpAddr::from([127, 0, 0, 1]));
    }
    if view.tunnel_is_up() {
        return view.facts.tunnel.host.map(IpAddr::V4);
    }
    view.gateway().filter(|_| view.mode() != Some(NetworkingMode::Bridged))
}

impl Good<'_> {
    /// Whether a user or password belongs to it, which no command may say.
    pub(super) fn has_secrets(&self) -> bool {
        self.probe.value.contains('@')
    }

    /// Its URL.
    pub(super) fn url(&self) -> String {
        url(self.probe)
    }

    /// The words by which a command of ours takes it, and what stands before the command.
    fn given(&self) -> (String, String) {
        match self.variable.filter(|_| self.has_secrets()) {
            Some(variable) => (format!("UNDERPASS_PROXY=\"${variable}\" "), String::new()),
            None => (String::new(), format!(" --proxy {}", for_shell(&self.url()))),
        }
    }

    /// Sets tools' own settings.
    pub(super) fn apply(&self, view: &View<'_>, tools: &str) -> String {
        let (before, after) = self.given();
        format!("{before}{} proxy apply --tools {tools}{after}", own(view))
    }

    /// The same as root.
    pub(super) fn apply_as_root(&self, view: &View<'_>, tools: &str) -> String {
        let (before, after) = self.given();
        let keep = if before.is_empty() { "" } else { " --preserve-env=UNDERPASS_PROXY" };
        as_root_with(view, &before, keep, &format!("proxy apply --tools {tools}{after}"))
    }

    /// Sets the shell's variables.
    pub(super) fn on(&self, view: &View<'_>) -> String {
        if let Some(variable) = self.variable.filter(|_| self.has_secrets()) {
            return format!("eval \"$(UNDERPASS_PROXY=\"${variable}\" {} proxy on)\"", own(view));
        }
        let scheme = self.probe.value.split_once("://").map_or("http", |(scheme, _)| scheme);
        let scheme = if scheme.to_ascii_lowercase().starts_with("socks") { scheme } else { "http" };
        on_at(view, self.probe.address, &self.probe.host, scheme, self.probe.port)
    }
}

/// `proxy on` for a proxy at a host; `--host` is left out where `proxy on` finds it by itself.
pub(super) fn on_at(
    view: &View<'_>,
    address: Option<IpAddr>,
    name: &str,
    scheme: &str,
    port: u16,
) -> String {
    let mut words = String::new();
    if address.is_none() || address != host(view) {
        words += &format!(" --host {}", for_shell(name.trim_matches(['[', ']'])));
    }
    if scheme != "http" {
        words += &format!(" --scheme {}", scheme.to_ascii_lowercase());
    }
    on_with(view, &format!("{words} --port {port}"))
}

/// `proxy on` with these options.
pub(super) fn on_with(view: &View<'_>, options: &str) -> String {
    format!("eval \"$({} proxy on{options})\"", own(view))
}

pub(super) fn is_socks(value: &str) -> bool {
    value.trim().to_ascii_lowercase().starts_with("socks")
}

/// The URL of a proxy that works, as every program takes it.
pub(super) fn url(probe: &ProxyProbe) -> String {
    let value = probe.value.trim().trim_end_matches('/');
    let value = if has_port(value) {
        value.to_owned()
    } else {
        format!("{}:{}", value.trim_end_matches(':'), probe.port)
    };
    let value = value.as_str();
    let (written, rest) = value.split_once("://").unwrap_or(("http", value));
    let scheme = if written.eq_ignore_ascii_case("https") { "http" } else { written };
    // A name and a password are hidden here; the user knows them.
    format!("{scheme}://{}", rest.replace("***@", "USER:PASSWORD@"))
}

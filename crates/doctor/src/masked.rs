//! Facts without secrets: what is shown, and what findings are made of.

use crate::facts::{Facts, Tool};
use serde_json::Value;

const HIDDEN: &str = "***";

impl Facts {
    /// The same facts with every password hidden, and the user names in URLs: in proxies' settings
    /// of all kinds, and in any other text (files, commands, what programs said).
    #[must_use]
    pub fn masked(&self) -> Self {
        let mut facts = self.clone();
        for setting in &mut facts.proxies {
            let masked = if is_secret_by_name(&setting.key) {
                HIDDEN.to_owned()
            } else {
                proxy(&setting.value)
            };
            let masked = if setting.tool == Tool::Ssh { command(&masked) } else { masked };
            // An attempt is found by the value.
            for probe in
                facts.probes.proxies.iter_mut().filter(|probe| probe.value == setting.value)
            {
                probe.value.clone_from(&masked);
            }
            setting.value = masked;
        }
        for probe in &mut facts.probes.proxies {
            probe.value = proxy(&probe.value);
        }
        let host = facts.windows.as_mut().map(|windows| &mut windows.host);
        if let Some(host) = host {
            for setting in [&mut host.user_proxy, &mut host.machine_proxy].into_iter().flatten() {
                setting.proxy = setting.proxy.as_deref().map(proxy);
            }
        }
        // All other texts. A text becomes a text, so what was read can be read again.
        let masked = serde_json::to_value(&facts).map(strings).and_then(serde_json::from_value);
        masked.expect("a text with something hidden is a text still")
    }
}

/// curl and wget have keys of their own for credentials.
fn is_secret_by_name(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    ["user", "password", "passwd", "auth"].iter().any(|word| key.contains(word))
}

/// Addresses of proxies, separated by semicolons as in Windows. The text before the last `@` of
/// each holds the credentials, also if it is only a name or the scheme is missing.
fn proxy(value: &str) -> String {
    let hide = |item: &str| {
        let item = proxy::mask(item);
        let Some((who, place)) = item.rsplit_once('@').filter(|(who, _)| !who.contains(' ')) else {
            return item;
        };
        let start = who
            .rfind("://")
            .map(|at| at + 3)
            .or_else(|| who.find('=').map(|at| at + 1))
            .unwrap_or(0);
        format!("{}{HIDDEN}@{place}", &who[..start])
    };
    value.split(';').map(hide).collect::<Vec<_>>().join(";")
}

/// A command for ssh: hides the word after an option that takes credentials.
fn command(value: &str) -> String {
    let mut hide = false;
    let words = value.split(' ').map(|word| {
        let hidden = std::mem::replace(&mut hide, matches!(word, "--proxy-auth" | "-P" | "-u"));
        match word.split_once('=') {
            Some((option @ "--proxy-auth", _)) => format!("{option}={HIDDEN}"),
            _ if hidden => HIDDEN.to_owned(),
            _ => word.to_owned(),
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

fn strings(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(proxy::mask(&text)),
        Value::Array(items) => Value::Array(items.into_iter().map(strings).collect()),
        Value::Object(entries) => {
            entries.into_iter().map(|(key, value)| (key, strings(value))).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::*;

    #[test]
    fn no_secret_stays_wherever_it_stands() {
        let mut facts = nat();
        setting(
            &mut facts,
            Tool::Git,
            Some("/home/li/.gitconfig"),
            "http.proxy",
            "http://li:s3cret@192.0.2.1:8080",
        );
        setting(
            &mut facts,
            Tool::Apt,
            None,
            "Acquire::http::Proxy",
            "http://s3cret@192.0.2.2:8080",
        );
        setting(&mut facts, Tool::Environment, None, "https_proxy", "s3cret:s3cret@192.0.2.3:8080");
        for (key, value) in [
            ("proxy-user", "s3cret"),
            ("proxy_password", "s3cret"),
            ("ProxyCommand", "ncat --proxy 192.0.2.4:1 --proxy-auth s3cret:s3cret %h %p"),
            ("ProxyCommand", "ncat --proxy-auth=s3cret %h %p"),
            ("ProxyCommand", "nc -X connect -P s3cret -x 192.0.2.4:1 %h %p"),
        ] {
            facts.proxies.push(crate::facts::ProxySetting::new(Tool::Ssh, None, key, value));
        }
        let text = "command=curl -x http://s3cret:s3cret@192.0.2.5:1 http://x";
        facts.wsl_conf = Some(text.to_owned());
        facts.tunnel.last_error = Some(text.to_owned());
        wslconfig(&mut facts, text);
        let setting_of_windows = "http=s3cret@192.0.2.6:1;https=http://a:s3cret@192.0.2.6:1";
        windows(&mut facts).host.user_proxy = Some(wire::facts::Proxy {
            proxy: Some(setting_of_windows.to_owned()),
            ..wire::facts::Proxy::default()
        });
        let masked = facts.masked();
        let shown = serde_json::to_string(&masked).unwrap();
        assert!(!shown.contains("s3cret"), "{shown}");
        for place in
            ["192.0.2.1:8080", "192.0.2.3:8080", "192.0.2.4:1", "192.0.2.5:1", "192.0.2.6:1"]
        {
            assert!(shown.contains(place), "{place} is not a secret: {shown}");
        }
        // An attempt is still found by its setting.
        for setting in &masked.proxies[..3] {
            assert!(
                masked.probes.proxies.iter().any(|probe| probe.value == setting.value),
                "{}",
                setting.value
            );
        }
    }

    #[test]
    fn facts_without_secrets_stay_as_they_are() {
        for (name, facts) in all_healthy() {
            assert_eq!(facts.masked(), facts, "{name}");
        }
    }
}

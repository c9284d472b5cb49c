//! `proxy test`: what is set, and whether it works, step by step, each with its time.

use super::args::TestOptions;
use super::attempt::{Attempt, Said, by, port, speaks};
use super::status::settings;
use super::{Ending, Usage, Voice, web_address};
use config::tools::{Proxy, ProxyError, ProxySetting, Tool};
use messages::{Text, padded, proxies as words};
use probe::dns::addresses;
use probe::http::Url;
use proxy::{Host, Scheme, mask};
use serde_json::json;
use std::io::{IsTerminal as _, Write as _};
use std::net::IpAddr;
use std::time::Duration;
use tokio::time::Instant;

/// For each step. A proxy on the other side of the world that asks a slow server takes some
/// seconds.
const PATIENCE: Duration = Duration::from_secs(8);

/// For the machine's own resolver, which asks a silent server for 5 s and then another.
const RESOLVER_PATIENCE: Duration = Duration::from_secs(4);

/// For a protocol that the proxy need not speak.
const OTHER_PATIENCE: Duration = Duration::from_secs(2);

/// The variables by which most programs find the proxy for a page.
const MAIN: [&str; 6] =
    ["https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"];

/// A step that was taken.
struct TestStep {
    /// A word for programs.
    id: &'static str,
    what: Text,
    outcome: Attempt,
    took: Duration,
}

/// The steps that were taken; each is shown when it is over.
struct Steps {
    taken: Vec<TestStep>,
    /// The reader; nothing where a document follows.
    reader: Option<Reader>,
}

/// The reader of the steps, and whether a line of a terminal may be overwritten.
#[derive(Clone, Copy)]
struct Reader {
    voice: Voice,
    is_terminal: bool,
}

impl Steps {
    /// Takes a step; whether it went well.
    async fn take(
        &mut self,
        id: &'static str,
        what: Text,
        step: impl Future<Output = Attempt>,
    ) -> bool {
        if let Some(Reader { voice, is_terminal: true }) = self.reader {
            write(&format!("...            {}", voice.say(&what)));
        }
        let began = Instant::now();
        let outcome = match tokio::time::timeout(PATIENCE, step).await {
            Ok(outcome) => outcome,
            Err(_) => {
                Attempt::Failed(Said::Text(words::NO_ANSWER.with("seconds", PATIENCE.as_secs())))
            }
        };
        let is_well = !matches!(outcome, Attempt::Failed(_));
        let step = TestStep { id, what, outcome, took: began.elapsed() };
        if let Some(Reader { voice, is_terminal }) = self.reader {
            if is_terminal {
                // To the line's beginning, and nothing on it (ECMA-48, EL).
                write_exactly("\r\x1b[2K");
            }
            crate::tell(&as_line(&step, voice));
        }
        self.taken.push(step);
        is_well
    }

    fn is_well(&self) -> bool {
        !self.taken.iter().any(|step| matches!(step.outcome, Attempt::Failed(_)))
    }
}

/// A part of a line, at once.
fn write(text: &str) {
    write_exactly(&messages::printable(text));
}

fn write_exactly(text: &str) {
    let mut stdout = std::io::stdout().lock();
    // A closed standard output is not an error.
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

pub(super) async fn test(options: &TestOptions, voice: Voice) -> anyhow::Result<Ending> {
    let urls = options.urls.iter().map(|url| web_address(url)).collect::<Result<Vec<Url>, _>>()?;
    let is_terminal = std::io::stdout().is_terminal();
    let reader = (!options.json).then_some(Reader { voice, is_terminal });
    let mut steps = Steps { taken: Vec::new(), reader };
    if let Some(proxy) = &options.proxy {
        let proxy = proxy.parse::<Proxy>().map_err(|error| Usage(error.into()))?;
        whole(&mut steps, &proxy, &urls).await;
    } else {
        that_are_set(&mut steps, &urls).await?;
    }
    if options.json {
        crate::print_json(&as_json(&steps, voice)?)?;
    }
    Ok(if steps.is_well() { Ending::Well } else { Ending::Problems })
}

/// Tries the environment's proxy, and each tool's own setting.
async fn that_are_set(steps: &mut Steps, urls: &[Url]) -> anyhow::Result<()> {
    let settings = settings().await?;
    let used = settings
        .tools
        .into_iter()
        .filter_map(|(tool, found)| Some((tool, found.into_iter().next()?)));
    // Of tools without a setting of their own the environment's is tried once, not nine times.
    let has_own = |(_, found): &(Tool, ProxySetting)| {
        found.tool != Tool::Environment && !found.value.is_empty()
    };
    let tools: Vec<(Tool, ProxySetting)> = used.filter(has_own).collect();
    let outcome = environment(&settings.variables, !tools.is_empty());
    steps.take("environment", words::TEST_ENVIRONMENT.text(), async { outcome }).await;
    let main =
        MAIN.iter().find_map(|name| settings.variables.iter().find(|(known, _)| known == name));
    if let Some((name, value)) = main {
        match value.parse::<Proxy>() {
            Ok(proxy) => whole(steps, &proxy, urls).await,
            Err(error) => {
                let what = words::TEST_PORT.with("proxy", format!("${name}"));
                steps.take("port", what, async { unusable(&error) }).await;
            }
        }
    }
    let Some(url) = urls.first() else { return Ok(()) };
    for (tool, found) in &tools {
        let what = words::TEST_TOOL
            .with("tool", tool)
            .with("proxy", mask(&found.value))
            .with("place", found.place());
        let step = async {
            match found.value.parse::<Proxy>() {
                Ok(proxy) => by(proxy.url(), url, &url.target.host).await,
                Err(error) => unusable(&error),
            }
        };
        steps.take(tool.name(), what, step).await;
    }
    Ok(())
}

fn unusable(error: &ProxyError) -> Attempt {
    Attempt::Failed(Said::Plain(error.to_string()))
}

/// Judges the variables.
fn environment(variables: &[(&'static str, String)], others_are_set: bool) -> Attempt {
    let value =
        |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value);
    for (upper, lower) in
        [("HTTP_PROXY", "http_proxy"), ("HTTPS_PROXY", "https_proxy"), ("ALL_PROXY", "all_proxy")]
    {
        if let (Some(one), Some(other)) = (value(upper), value(lower))
            && one != other
        {
            return Attempt::Failed(Said::Text(
                words::CASES_DIFFER.with("upper", upper).with("lower", lower),
            ));
        }
    }
    let is_proxy = |name: &&str| !name.eq_ignore_ascii_case("no_proxy");
    let names: Vec<&str> = variables.iter().map(|(name, _)| *name).filter(is_proxy).collect();
    match (names.is_empty(), others_are_set) {
        (false, _) => Attempt::Passed(words::ARE_SET.with("names", names.join(", "))),
        (true, true) => Attempt::Skipped(Said::Text(words::NONE_SET.text())),
        (true, false) => Attempt::Failed(Said::Text(words::NONE_SET.text())),
    }
}

/// Every step of one proxy; the first only, where its port takes no connection.
async fn whole(steps: &mut Steps, proxy: &Proxy, urls: &[Url]) {
    if !steps.take("port", words::TEST_PORT.with("proxy", proxy), port(proxy.url())).await {
        return;
    }
    // Of pages of one host its name is resolved once.
    let mut hosts: Vec<(&Host, Vec<IpAddr>)> = Vec::new();
    let mut any = false;
    for url in urls {
        let host = &url.target.host;
        if matches!(host, Host::Name(_)) && !hosts.iter().any(|(known, _)| *known == host) {
            let found = resolve(steps, host).await;
            hosts.push((host, found));
        }
        let found =
            hosts.iter().find(|(known, _)| *known == host).and_then(|(_, found)| found.first());
        any |= page(steps, proxy, url, found.copied()).await;
    }
    if !any {
        other_protocol(steps, proxy, urls).await;
    }
}

/// What this machine's resolver answers. It need not know the name: the proxy resolves names
/// itself.
async fn resolve(steps: &mut Steps, host: &Host) -> Vec<IpAddr> {
    let mut found = Vec::new();
    let step = async {
        found = tokio::time::timeout(RESOLVER_PATIENCE, addresses(host)).await.unwrap_or_default();
        if found.is_empty() {
            return Attempt::Skipped(Said::Text(words::NOT_RESOLVED.text()));
        }
        let list: Vec<String> = found.iter().map(ToString::to_string).collect();
        Attempt::Passed(words::RESOLVED.with("host", host).with("addresses", list.join(", ")))
    };
    steps.take("dns", words::TEST_DNS.with("host", host), step).await;
    found
}

/// A page, as programs ask for it: by its name. Where that fails it is asked for by its address,
/// which shows whether it is the proxy's resolver that fails.
async fn page(steps: &mut Steps, proxy: &Proxy, url: &Url, address: Option<IpAddr>) -> bool {
    let host = &url.target.host;
    if steps.take("request", words::TEST_REQUEST.with("url", url), by(proxy.url(), url, host)).await
    {
        return true;
    }
    if let Some(address) = address {
        let by_address = url.at(Host::Address(address));
        let step = async {
            match by(proxy.url(), &by_address, host).await {
                Attempt::Passed(_) => {
                    Attempt::Skipped(Said::Text(words::PROXY_RESOLVES_NOT.text()))
                }
                other @ (Attempt::Failed(_) | Attempt::Skipped(_)) => other,
            }
        };
        steps.take("address", words::TEST_ADDRESS.with("url", &by_address), step).await;
    }
    false
}

/// Whether it speaks the protocol that it is not set as. A good proxy may be silent to that.
async fn other_protocol(steps: &mut Steps, proxy: &Proxy, urls: &[Url]) {
    let Some(url) = urls.first() else { return };
    let other = match proxy.url().scheme() {
        Scheme::Http => Scheme::Socks5,
        Scheme::Socks5 => Scheme::Http,
    };
    let step = async {
        let spoken =
            tokio::time::timeout(OTHER_PATIENCE, speaks(proxy.url(), other, &url.target)).await;
        match spoken {
            Ok(Some(set)) => Attempt::Skipped(Said::Text(words::OTHER_SPOKEN.with("proxy", set))),
            Ok(None) | Err(_) => Attempt::Skipped(Said::Text(words::OTHER_NOT_SPOKEN.text())),
        }
    };
    let what =
        if other == Scheme::Http { words::TEST_CONNECT.text() } else { words::TEST_SOCKS.text() };
    steps.take("other-protocol", what.with("proxy", proxy), step).await;
}

fn as_line(step: &TestStep, voice: Voice) -> String {
    let (sign, said) = match &step.outcome {
        Attempt::Passed(said) => (&words::STEP_PASSED, voice.say(said)),
        Attempt::Failed(said) => (&words::STEP_FAILED, said.say(voice)),
        Attempt::Skipped(said) => (&words::STEP_SKIPPED, said.say(voice)),
    };
    let sign = padded(sign.half(voice.language), 4);
    let (what, colon) = (voice.say(&step.what), voice.language.colon());
    format!("{sign} {:>5} ms  {what}{colon}{said}", step.took.as_millis())
}

fn as_json(steps: &Steps, voice: Voice) -> anyhow::Result<String> {
    let step = |step: &TestStep| {
        let (outcome, said) = match &step.outcome {
            Attempt::Passed(said) => ("passed", voice.say(said)),
            Attempt::Failed(said) => ("failed", said.say(voice)),
            Attempt::Skipped(said) => ("skipped", said.say(voice)),
        };
        let ms = u64::try_from(step.took.as_millis()).unwrap_or(u64::MAX);
        let what = voice.say(&step.what);
        json!({"step": step.id, "what": what, "outcome": outcome, "said": said, "ms": ms})
    };
    let all: Vec<_> = steps.taken.iter().map(step).collect();
    Ok(serde_json::to_string_pretty(&json!({"well": steps.is_well(), "steps": all}))? + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_judged() {
        let of = |set: &[(&'static str, &str)], others| {
            let set: Vec<_> =
                set.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
            match environment(&set, others) {
                Attempt::Passed(_) => "passed",
                Attempt::Failed(_) => "failed",
                Attempt::Skipped(_) => "skipped",
            }
        };
        assert_eq!(of(&[("https_proxy", "http://h:1")], false), "passed");
        assert_eq!(
            of(&[("https_proxy", "http://h:1"), ("HTTPS_PROXY", "http://h:2")], false),
            "failed"
        );
        assert_eq!(of(&[("no_proxy", "x")], false), "failed");
        assert_eq!(of(&[], true), "skipped");
    }
}

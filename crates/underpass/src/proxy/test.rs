//! `proxy test`: what is set, and whether it works, step by step, each with its time.

use super::args::TestOptions;
use super::attempt::{Attempt, Said, addresses, by, port, speaks};
use super::status::settings;
use super::target::{UrlError, WebUrl};
use super::{Usage, Verdict, Voice};
use dialog::{Host, Scheme, Target, mask};
use proxies::{Found, Proxy, ProxyError, Tool};
use serde_json::json;
use std::fmt::Write as _;
use std::time::Duration;
use tokio::time::Instant;
use wording::{Text, proxies as words};

/// For each step. A proxy on the other side of the world that asks a slow server takes some seconds.
const PATIENCE: Duration = Duration::from_secs(8);

/// The variables by which most programs find the proxy for a page.
const MAIN: [&str; 6] = ["https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"];

/// A step that was taken.
struct Step {
    /// A word for programs.
    id: &'static str,
    what: Text,
    outcome: Attempt,
    took: Duration,
}

#[derive(Default)]
struct Steps(Vec<Step>);

impl Steps {
    /// Takes a step; whether it went well.
    async fn take(&mut self, id: &'static str, what: Text, step: impl Future<Output = Attempt>) -> bool {
        let began = Instant::now();
        let outcome = match tokio::time::timeout(PATIENCE, step).await {
            Ok(outcome) => outcome,
            Err(_) => Attempt::Failed(Said::Text(words::NO_ANSWER.with("seconds", PATIENCE.as_secs()))),
        };
        let is_well = !matches!(outcome, Attempt::Failed(_));
        self.0.push(Step { id, what, outcome, took: began.elapsed() });
        is_well
    }

    fn is_well(&self) -> bool {
        !self.0.iter().any(|step| matches!(step.outcome, Attempt::Failed(_)))
    }
}

pub(super) async fn test(options: &TestOptions, voice: Voice) -> anyhow::Result<Verdict> {
    let url: WebUrl = options.url.parse().map_err(|error: UrlError| Usage(error.into()))?;
    let mut steps = Steps::default();
    if let Some(proxy) = &options.proxy {
        let proxy = proxy.parse::<Proxy>().map_err(|error| Usage(error.into()))?;
        whole(&mut steps, &proxy, &url).await;
    } else {
        that_are_set(&mut steps, &url).await?;
    }
    if options.json {
        crate::print_json(&as_json(&steps, voice)?)?;
    } else {
        crate::print(&as_text(&steps, voice))?;
    }
    Ok(if steps.is_well() { Verdict::Well } else { Verdict::Problems })
}

/// Tries the environment's proxy, and each tool's own setting.
async fn that_are_set(steps: &mut Steps, url: &WebUrl) -> anyhow::Result<()> {
    let settings = settings()?;
    let used = settings.tools.into_iter().filter_map(|(tool, found)| Some((tool, found.into_iter().next()?)));
    // Of tools without a setting of their own the environment's is tried once, not nine times.
    let tools: Vec<(Tool, Found)> = used.filter(|(_, found)| !found.place.starts_with('$')).collect();
    let outcome = environment(&settings.variables, !tools.is_empty());
    steps.take("environment", words::TEST_ENVIRONMENT.text(), async { outcome }).await;
    let main = MAIN.iter().find_map(|name| settings.variables.iter().find(|(known, _)| known == name));
    if let Some((name, value)) = main {
        match value.parse::<Proxy>() {
            Ok(proxy) => whole(steps, &proxy, url).await,
            Err(error) => {
                let what = words::TEST_PORT.with("proxy", format!("${name}"));
                steps.take("port", what, async { unusable(&error) }).await;
            }
        }
    }
    for (tool, found) in &tools {
        let what = words::TEST_TOOL.with("tool", tool).with("proxy", mask(&found.value)).with("place", &found.place);
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
    let value = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value);
    for (upper, lower) in [("HTTP_PROXY", "http_proxy"), ("HTTPS_PROXY", "https_proxy"), ("ALL_PROXY", "all_proxy")] {
        if let (Some(one), Some(other)) = (value(upper), value(lower))
            && one != other
        {
            return Attempt::Failed(Said::Text(words::CASES_DIFFER.with("upper", upper).with("lower", lower)));
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

/// Every step of one proxy; none more where nobody serves its port.
async fn whole(steps: &mut Steps, proxy: &Proxy, url: &WebUrl) {
    if !steps.take("port", words::TEST_PORT.with("proxy", proxy), port(proxy.url())).await {
        return;
    }
    let target = Target { host: url.target.host.clone(), port: url.connect_port() };
    let connect = words::TEST_CONNECT.with("proxy", proxy);
    steps.take("connect", connect, speaks(proxy.url(), Scheme::Http, &target)).await;
    steps.take("socks5", words::TEST_SOCKS.with("proxy", proxy), speaks(proxy.url(), Scheme::Socks5, &target)).await;
    let found = tokio::time::timeout(PATIENCE, addresses(&url.target.host)).await.unwrap_or_default();
    let address = found.first().copied();
    let by_address = address.map(|address| url.at(Host::Address(address)));
    let what = words::TEST_ADDRESS.with("url", by_address.as_ref().unwrap_or(url));
    let step = async {
        match &by_address {
            Some(by_address) => by(proxy.url(), by_address, &url.target.host).await,
            None => Attempt::Skipped(Said::Text(words::NOT_RESOLVED.text())),
        }
    };
    steps.take("address", what, step).await;
    let step = async {
        match url.target.host {
            Host::Name(_) => by(proxy.url(), url, &url.target.host).await,
            Host::Address(_) => Attempt::Skipped(Said::Text(words::IS_AN_ADDRESS.text())),
        }
    };
    steps.take("name", words::TEST_NAME.with("url", url), step).await;
}

fn as_text(steps: &Steps, voice: Voice) -> String {
    let mut text = String::new();
    for step in &steps.0 {
        let (sign, said) = match &step.outcome {
            Attempt::Passed(said) => ("ok  ", voice.say(said)),
            Attempt::Failed(said) => ("FAIL", said.say(voice)),
            Attempt::Skipped(said) => ("-   ", said.say(voice)),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{sign} {:>5} ms  {}: {said}", step.took.as_millis(), voice.say(&step.what));
    }
    text
}

fn as_json(steps: &Steps, voice: Voice) -> anyhow::Result<String> {
    let step = |step: &Step| {
        let (outcome, said) = match &step.outcome {
            Attempt::Passed(said) => ("passed", voice.say(said)),
            Attempt::Failed(said) => ("failed", said.say(voice)),
            Attempt::Skipped(said) => ("skipped", said.say(voice)),
        };
        let ms = u64::try_from(step.took.as_millis()).unwrap_or(u64::MAX);
        json!({"step": step.id, "what": voice.say(&step.what), "outcome": outcome, "said": said, "ms": ms})
    };
    let all: Vec<_> = steps.0.iter().map(step).collect();
    Ok(serde_json::to_string_pretty(&json!({"well": steps.is_well(), "steps": all}))? + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_judged() {
        let of = |set: &[(&'static str, &str)], others| {
            let set: Vec<_> = set.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
            match environment(&set, others) {
                Attempt::Passed(_) => "passed",
                Attempt::Failed(_) => "failed",
                Attempt::Skipped(_) => "skipped",
            }
        };
        assert_eq!(of(&[("https_proxy", "http://h:1")], false), "passed");
        assert_eq!(of(&[("https_proxy", "http://h:1"), ("HTTPS_PROXY", "http://h:2")], false), "failed");
        assert_eq!(of(&[("no_proxy", "x")], false), "failed");
        assert_eq!(of(&[], true), "skipped");
    }
}

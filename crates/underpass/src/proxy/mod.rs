//! `underpass proxy`: proxy settings of shells and tools. The crate `config` knows what is written
//! where, the crate `proxy` how to talk with a proxy; here are files, processes, sockets and
//! output.

mod apply;
pub(crate) mod args;
mod files;
mod host;
mod on;
mod status;
mod test;
pub(crate) mod tools;
mod windows;

use anyhow::Context as _;
use args::{Choice, ProxyCommand, ProxyOptions};
use config::tools::{Proxy, ProxySetting};
use ipnet::IpNet;
use messages::{Language, Text};
use probe::http::{Url, UrlError};
use proxy::mask;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;
use tools::variable;

/// An argument that cannot be used: the exit code is that of usage errors.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) struct Usage(pub(crate) Box<dyn std::error::Error + Send + Sync>);

/// Runs a command. `complain` gets what goes wrong.
pub(crate) fn run(options: ProxyOptions, complain: impl Fn(&anyhow::Error)) -> ExitCode {
    let voice = Voice { language: crate::voice::language() };
    let runtime = crate::event_loop();
    let outcome = runtime.and_then(|runtime| {
        runtime.block_on(async {
            match options.command {
                ProxyCommand::On(options) => on::on(&options, voice).await,
                ProxyCommand::Off(options) => on::off(&options, voice),
                ProxyCommand::Apply(options) => apply::apply(&options, voice, &complain).await,
                ProxyCommand::Remove(options) => apply::remove(&options, voice, &complain),
                ProxyCommand::Status(options) => status::status(&options, voice).await,
                ProxyCommand::Test(options) => test::test(&options).await,
                ProxyCommand::ShellInit(options) => on::shell_init(&options),
            }
        })
    });
    match outcome {
        Ok(code) => code,
        Err(error) => {
            complain(&error);
            if error.is::<Usage>() { ExitCode::from(crate::USAGE) } else { ExitCode::FAILURE }
        }
    }
}

/// Prints where the Windows host is.
///
/// # Errors
/// It cannot be found.
pub(crate) fn tell_host() -> anyhow::Result<()> {
    let runtime = crate::event_loop()?;
    let (host, _) = host::auto(&runtime.block_on(host::view()))?;
    crate::tell(&host);
    Ok(())
}

/// Whether `proxy on` set this variable in this shell, or `proxy apply` this file.
pub(crate) fn has_set(setting: &ProxySetting, home: &Path) -> bool {
    let ProxySetting { tool, file, key, value, .. } = setting;
    match file {
        None => config::tools::shell::Memory::of(variable)
            .is_some_and(|memory| memory.has_set(key, value)),
        Some(file) => files::Memory::load(home).is_ok_and(|memory| {
            let kept = memory.of(tool.name(), Path::new(file));
            kept.is_some_and(|kept| kept.has_set(key, value))
        }),
    }
}

/// Says sentences in the user's language.
#[derive(Clone, Copy, Debug)]
struct Voice {
    language: Language,
}

impl Voice {
    fn say(self, text: &Text) -> String {
        text.say(self.language)
    }

    /// To the person, also where standard output is a shell's.
    fn aside(self, text: &Text) {
        // A closed standard error is not an error.
        let colon = self.language.colon();
        let _ = writeln!(io::stderr(), "underpass{colon}{}", messages::printable(&self.say(text)));
    }

    fn tell(self, text: &Text) {
        crate::tell(&format!("underpass{}{}", self.language.colon(), self.say(text)));
    }
}

/// Writes to standard output; a closed one is not an error.
fn print(text: &str) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("standard output cannot be written")
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// A web address of the command line.
fn web_address(text: &str) -> Result<Url, Usage> {
    text.parse().map_err(|why: UrlError| {
        let shown = mask(text);
        Usage(
            format!(
                "'{shown}' is not a web address: --url takes http://HOST[:PORT]/… or \
                 https://HOST[:PORT]/…; {why}"
            )
            .into(),
        )
    })
}

/// A proxy that was chosen.
struct Chosen {
    proxy: Proxy,
    /// The subnets of this machine.
    subnets: Vec<IpNet>,
    /// How it was found, where it was looked for.
    how: Option<Text>,
}

/// The proxy that the options mean; nothing where they mean Windows' setting and Windows uses no
/// proxy.
async fn choose(choice: &Choice) -> anyhow::Result<Option<Chosen>> {
    let view = host::view().await;
    let subnets = host::subnets(&view);
    if let Some(url) = &choice.proxy {
        let proxy = url.parse().map_err(|error: config::tools::ProxyError| Usage(error.into()))?;
        return Ok(Some(Chosen { proxy, subnets, how: None }));
    }
    if choice.from.is_some() {
        let found = windows::proxy(&web_address(&choice.url)?, &view).await?;
        return Ok(found.map(|(proxy, how)| Chosen { proxy, subnets, how }));
    }
    let (host, how) = if choice.host == "auto" {
        let (host, how) = host::auto(&view)?;
        (host, Some(how))
    } else {
        (choice.host.clone(), None)
    };
    let proxy =
        Proxy::new(choice.scheme, &host, choice.port).map_err(|error| Usage(error.into()))?;
    Ok(Some(Chosen { proxy, subnets, how }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_in_what_is_no_web_address_is_not_shown() {
        let error = web_address("http://u:s3cret@a.test/").unwrap_err().to_string();
        assert!(error.contains("--url") && !error.contains("s3cret"), "{error}");
    }
}

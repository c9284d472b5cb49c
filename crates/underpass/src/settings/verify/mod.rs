//! `underpass settings verify`: looks at what a change of settings should have brought, item by
//! item. It is a profile of the doctor: `doctor::machine` gathers the facts, `doctor::lists` judges
//! them, and `crate::list` shows the items.

mod look;

use crate::list::Listing;
use clap::Args;
use doctor::lists::verify;
use hickory_proto::rr::Name;
use probe::http::Url;
use proxy::{Target, mask};
use std::path::PathBuf;
use std::process::ExitCode;

/// What stands at the end of `--help`.
const EXAMPLES: &str = "\
Examples:
  underpass settings verify
  underpass settings verify --company-host git.corp.example:443 --company-name wiki.corp.example
  underpass settings verify --echo http://myip.ipip.net --lang zh
  underpass settings verify --no-echo --json";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct VerifyOptions {
    #[arg(long, value_name = "NAME", default_value = "www.microsoft.com", value_parser = name)]
    public_name: Vec<String>,
    #[arg(long, value_name = "HOST:PORT", default_value = "www.microsoft.com:443")]
    outside: Target,
    #[arg(long, value_name = "URL", default_value = "https://api.ipify.org/")]
    echo: String,
    #[arg(long, conflicts_with = "echo")]
    no_echo: bool,
    #[arg(long, value_name = "HOST:PORT")]
    company_host: Vec<Target>,
    #[arg(long, value_name = "NAME", value_parser = name)]
    company_name: Vec<String>,
    #[arg(long, value_name = "FILE", default_value = "/etc/resolv.conf")]
    resolv_conf: PathBuf,
    #[arg(long, value_name = "PROGRAM")]
    relay: Option<PathBuf>,
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=60))]
    timeout: u64,
    #[arg(long)]
    json: bool,
}

fn name(text: &str) -> Result<String, String> {
    let is_name =
        !text.is_empty() && !text.contains(['/', ':', '@']) && Name::from_utf8(text).is_ok();
    if is_name {
        Ok(text.to_owned())
    } else {
        Err("it must be a plain name, such as git.corp.example".to_owned())
    }
}

/// Looks, and tells. The exit code says whether everything works.
///
/// # Errors
/// There is no event loop, or the output cannot be written.
pub(crate) fn run(options: &VerifyOptions) -> anyhow::Result<ExitCode> {
    // Not by clap, which would show a secret in it.
    let echo = match options.echo.parse::<Url>() {
        Ok(echo) => (!options.no_echo).then_some(echo),
        Err(error) => {
            crate::complain(&anyhow::anyhow!(
                "--echo '{}' cannot be used: {error}",
                mask(&options.echo)
            ));
            return Ok(ExitCode::from(crate::USAGE));
        }
    };
    let runtime = crate::event_loop()?;
    let mut list = Listing::new(options.json);
    let seen = runtime.block_on(look::look(options, echo.as_ref(), &list.progress));
    verify::judge(&seen).into_iter().for_each(|item| list.add(item));
    list.end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_alone() {
        assert!(name("wiki").is_ok() && name("wiki.corp.example.").is_ok());
        for wrong in ["", "https://wiki", "wiki:80", "a..b", "me@wiki"] {
            assert!(name(wrong).is_err(), "{wrong}");
        }
    }
}

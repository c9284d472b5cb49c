//! Which proxy Windows itself would use, for commands that set up other programs to use it too.

use crate::config::RelayProgram;
use crate::host::{HostError, ask};
use wire::HostProxy;

/// Which proxies Windows' settings name for a URL, with a script (PAC) evaluated. Only the relay
/// for Windows knows them.
///
/// # Errors
/// See [`HostError`]; the relay for Linux reports that it cannot know.
///
/// # Panics
/// Outside of a tokio runtime with I/O and time.
pub async fn proxy_for(relay: RelayProgram, url: &str) -> Result<HostProxy, HostError> {
    ask(relay, vec!["proxy".into(), url.into()]).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;

    #[tokio::test]
    async fn the_relays_answer_and_its_refusal_are_passed_on() {
        let script = "[ \"$1\" = proxy ] || exit 3\n\
                      case \"$2\" in\n\
                      *direct*) echo 'only Windows knows' >&2; exit 2;;\n\
                      esac\n\
                      echo '{\"url\":\"'$2'\",'\n\
                      echo '\"proxies\":[\"http://proxy:1\"],\"by\":\"script\"}'\n";
        let scratch = Scratch::new("host-proxy");
        let relay = RelayProgram::given(scratch.script("relay", script));
        let found = proxy_for(relay.clone(), "https://a.test/").await;
        let refused = proxy_for(relay, "https://direct.test/").await;
        let found = found.unwrap();
        assert_eq!(
            (found.url.as_str(), &found.proxies[..]),
            ("https://a.test/", &["http://proxy:1".to_owned()][..])
        );
        assert!(refused.unwrap_err().to_string().contains("only Windows knows"));
    }
}

//! Which proxy Windows itself would use, for commands that set up other programs to use it too.

use crate::config::Placement;
use crate::host::{HostError, ask};
use std::path::PathBuf;
use wire::HostProxy;

/// Which proxies Windows' settings name for a URL, with a script (PAC) evaluated. `placement`
/// decides whether the relay's program is copied to Windows' disk first. Only the relay for Windows
/// knows them.
///
/// # Errors
/// See [`HostError`]; the relay for Linux reports that it cannot know.
///
/// # Panics
/// Outside of a tokio runtime with I/O and time.
pub async fn proxy_for(
    relay: PathBuf,
    placement: Placement,
    url: &str,
) -> Result<HostProxy, HostError> {
    ask(relay, placement, vec!["proxy".into(), url.into()]).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[tokio::test]
    async fn the_relays_answer_and_its_refusal_are_passed_on() {
        let script = "#!/bin/sh\n[ \"$1\" = proxy ] || exit 3\n\
                      case \"$2\" in\n\
                      *direct*) echo 'only Windows knows' >&2; exit 2;;\n\
                      esac\n\
                      echo '{\"url\":\"'$2'\",'\n\
                      echo '\"proxies\":[\"http://proxy:1\"],\"by\":\"script\"}'\n";
        let relay =
            std::env::temp_dir().join(format!("underpass-host-proxy-{}", std::process::id()));
        std::fs::write(&relay, script).unwrap();
        std::fs::set_permissions(&relay, std::fs::Permissions::from_mode(0o755)).unwrap();
        let found = proxy_for(relay.clone(), Placement::AsItLies, "https://a.test/").await;
        let refused = proxy_for(relay.clone(), Placement::AsItLies, "https://direct.test/").await;
        std::fs::remove_file(&relay).unwrap();
        let found = found.unwrap();
        assert_eq!(
            (found.url.as_str(), &found.proxies[..]),
            ("https://a.test/", &["http://proxy:1".to_owned()][..])
        );
        assert!(refused.unwrap_err().to_string().contains("only Windows knows"));
    }
}

//! How commands ask Windows about itself: by a relay that answers once and ends. Which relay that
//! is, is decided here alone.

use gateway::{HostError, Placement, RelayProgram, host, host_proxy};
use std::path::PathBuf;
use wire::facts::HostProbe;
use wire::{HostFacts, HostProxy};

/// Where a relay was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The user named it.
    Given,
    /// It lies beside this program.
    Beside,
    /// The gateway of the helper distro has put it on Windows' disk. Other distros have only the
    /// command.
    Deployed,
    /// Its name is looked up in `PATH`.
    Path,
}

/// A relay that can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Relay {
    program: RelayProgram,
    pub(crate) source: Source,
}

/// A relay's answer about Windows, or why there is no answer.
pub(crate) struct Asked<T> {
    pub(crate) relay: Relay,
    pub(crate) outcome: Result<T, HostError>,
}

impl Relay {
    /// The one that the user gives, or that lies beside this program, or that the helper distro
    /// has put on Windows' disk, or that `PATH` has.
    pub(crate) async fn find(given: Option<PathBuf>) -> Self {
        let usual = Self::usual(given, crate::default_relay());
        if usual.source == Source::Path
            && gateway::is_wsl()
            && let Some(path) = host::deployed_relay().await
        {
            let program = RelayProgram { path, placement: Placement::Deployed };
            return Self { program, source: Source::Deployed };
        }
        usual
    }

    fn usual(given: Option<PathBuf>, default: RelayProgram) -> Self {
        if let Some(path) = given {
            return Self { program: RelayProgram::given(path), source: Source::Given };
        }
        // Without one beside this program it is a bare name.
        let source = if default.path.is_absolute() { Source::Beside } else { Source::Path };
        Self { program: default, source }
    }

    /// Whether it is a program of Windows.
    pub(crate) fn is_windows(&self) -> bool {
        self.program.placement == Placement::OnWindowsDisk
            || self.program.path.extension().is_some_and(|end| end == "exe")
    }

    /// What Windows is: its network and its settings.
    pub(crate) async fn facts(self) -> Asked<HostFacts> {
        let outcome = host::facts(self.program.clone()).await;
        Asked { relay: self, outcome }
    }

    /// The same, and whether Windows finds these names and reaches these targets.
    pub(crate) async fn probe(self, names: &[String], targets: &[String]) -> Asked<HostProbe> {
        let outcome = host::probe(self.program.clone(), names, targets).await;
        Asked { relay: self, outcome }
    }

    /// The proxies that Windows uses for a URL.
    pub(crate) async fn proxy_for(self, url: &str) -> Asked<HostProxy> {
        let outcome = host_proxy::proxy_for(self.program.clone(), url).await;
        Asked { relay: self, outcome }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relay_that_the_user_names_goes_over_the_one_beside_and_that_over_a_bare_name() {
        let beside = || RelayProgram {
            path: "/p/underpass-relay.exe".into(),
            placement: Placement::OnWindowsDisk,
        };
        let by_name = || RelayProgram::given("underpass-relay");
        let given = Relay::usual(Some("/g/relay".into()), beside());
        assert_eq!((given.source, given.program.placement), (Source::Given, Placement::AsItLies));
        assert!(!given.is_windows());
        let beside = Relay::usual(None, beside());
        assert_eq!((beside.source, beside.is_windows()), (Source::Beside, true));
        let by_name = Relay::usual(None, by_name());
        assert_eq!((by_name.source, by_name.is_windows()), (Source::Path, false));
        let relative = Relay::usual(Some("relay.exe".into()), by_name.program);
        assert_eq!((relative.source, relative.is_windows()), (Source::Given, true));
    }
}

//! The access of a confined process to files (Landlock, landlock(7)). A kernel that knows only some
//! of the rules enforces those.

use super::Role;
use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, LandlockStatus,
    PathBeneath, PathFd, RestrictionStatus, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _,
    RulesetError, RulesetStatus, Scope,
};

/// The newest version that this module knows.
const VERSION: ABI = ABI::V6;

/// The folder of the kernel's network settings.
const SETTINGS: &str = "/proc/sys/net";

/// Restricts this process to the files of its role, none of them for writing. Returns the kernel's
/// version of Landlock.
///
/// # Errors
/// The kernel has no Landlock, or refuses; then nothing is restricted.
pub(super) fn restrict(role: Role) -> Result<u32, String> {
    let status = restricted(role).map_err(|error| error.to_string())?;
    match (status.ruleset, status.landlock) {
        (RulesetStatus::NotEnforced, LandlockStatus::NotImplemented) => {
            Err("the kernel was built without Landlock (CONFIG_SECURITY_LANDLOCK)".to_owned())
        }
        (RulesetStatus::NotEnforced, _) => {
            Err("Landlock is switched off (the kernel's `lsm=`)".to_owned())
        }
        (_, LandlockStatus::Available { effective_abi, kernel_abi }) => Ok(kernel_abi
            .and_then(|version| version.try_into().ok())
            .unwrap_or(effective_abi as u32)),
        (_, LandlockStatus::NotEnabled | LandlockStatus::NotImplemented) => {
            Err("Landlock is not there".to_owned())
        }
    }
}

fn restricted(role: Role) -> Result<RestrictionStatus, RulesetError> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let places = match role {
        // For the backtrace of a panic: the map of its own memory, and its own program.
        Role::Engine => vec![("/proc/self", read), ("/proc/self/exe", AccessFs::ReadFile.into())],
        // resolv.conf may be a link to any place.
        Role::Network => {
            vec![("/", read), (SETTINGS, read | AccessFs::WriteFile | AccessFs::Truncate)]
        }
    };
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(VERSION))?
        .handle_access(AccessNet::from_all(VERSION))?
        .scope(Scope::from_all(VERSION))?
        .create()?;
    for (place, access) in places {
        // Files that do not exist, or were replaced since this process started, need not be read.
        if let Ok(place) = PathFd::new(place) {
            rules = rules.add_rule(PathBeneath::new(place, access))?;
        }
    }
    rules.restrict_self()
}

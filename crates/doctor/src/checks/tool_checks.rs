//! The checks of tools, in their order.

use super::check::Check;
use super::{git, tools};
use messages::doctor_proxy as say;

pub(super) const CHECKS: &[Check] = &[
    Check::problem("tools-apt", &say::APT, tools::apt),
    Check::problem("tools-git", &say::GIT, git::proxy),
    Check::problem("tools-git-direct", &say::GIT_DIRECT, git::direct),
    Check::problem("tools-git-rewrite", &say::GIT_REWRITE, git::rewrite),
    Check::problem("tools-ssh", &say::SSH, tools::ssh),
    Check::problem("tools-docker", &say::DOCKER, tools::docker),
    Check::problem("tools-others", &say::TOOLS, tools::others),
];

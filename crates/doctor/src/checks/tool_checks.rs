//! The checks of tools, in their order.

use super::check::{Check, Found, Needs};
use super::{git, tools};
use crate::finding::{Area, Severity};
use crate::view::View;
use messages::doctor_proxy as say;

pub(super) const CHECKS: &[Check] = &[
    check("tools-apt", &say::APT, tools::apt),
    check("tools-git", &say::GIT, git::proxy),
    check("tools-git-direct", &say::GIT_DIRECT, git::direct),
    check("tools-git-rewrite", &say::GIT_REWRITE, git::rewrite),
    check("tools-ssh", &say::SSH, tools::ssh),
    check("tools-docker", &say::DOCKER, tools::docker),
    check("tools-others", &say::TOOLS, tools::others),
];

const fn check(
    id: &'static str,
    title: &'static messages::Sentence,
    find: fn(&View<'_>) -> Option<Found>,
) -> Check {
    Check {
        id,
        area: Area::Tools,
        severity: Severity::Problem,
        title,
        needs: Needs::Facts,
        hop: None,
        find,
    }
}

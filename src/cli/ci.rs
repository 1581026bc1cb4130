//! Warnings for CI machines, which forget everything that is not in git.
#![expect(clippy::disallowed_methods, reason = "CI machines say in the environment what they are")]

use crate::engine::report::run_report::{RunReport, Warning};
use crate::engine::workspace::git::ask::{Tracking, tracking};
use crate::engine::workspace::project::Project;

/// Whether this is a CI machine: nearly all of them set `CI`.
pub(super) fn is_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"))
}

/// Warns of a lockfile that git doesn't know after assets were uploaded. Blocks: it asks git.
pub(super) fn lockfile_warning(project: &Project, report: &RunReport) -> Option<Warning> {
    let uploaded = report.lockfile_written || report.steps.iter().any(|step| step.outcome.is_done());
    if !uploaded || !is_ci() {
        return None;
    }
    let name = project.lockfile_name();
    let message = match tracking(&project.lockfile) {
        Ok(Some(Tracking::Tracked) | None) => return None,
        Ok(Some(Tracking::Untracked)) => format!("{name} is not in git, so the next machine uploads everything again"),
        Ok(Some(Tracking::Ignored)) => {
            format!("{name} is ignored by git, so the next machine uploads everything again")
        }
        Err(why) => {
            tracing::debug!("can't tell whether git knows {name}: {why}");
            return None;
        }
    };
    let hint =
        "commit and push it after each sync: `macadam sync --once --on-change macadam-commit-push` does".to_owned();
    Some(Warning { message, hint })
}

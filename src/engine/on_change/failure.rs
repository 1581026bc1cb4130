//! A command that fails: until it succeeds, `status` and `doctor` say so, by what stands beside the
//! state.

use crate::engine::on_change::CommandSettings;
use crate::engine::workspace::project::Project;
use crate::platform::clock;
use crate::state::lock;
use crate::state::stoppage::{self, StoppedWork};

/// Ends that where a run has no command, since a person publishes then, or nothing to publish; not beside
/// a service, which has its own. Blocks.
pub(crate) fn leave_to_a_person(project: &Project) {
    if !lock::holder(&project.state).is_ok_and(|holder| holder.is_service()) {
        stoppage::write(&project.state, StoppedWork::Publishing, None, clock::now());
    }
}

/// Writes down that the command failed, with `why` and the last line that it printed; without a reason,
/// that it succeeded.
pub(super) async fn keep(setting: &CommandSettings, why: Option<&str>, last_line: Option<String>) {
    let (state, lockfile) = (setting.project.state.clone(), setting.project.lockfile_name());
    let stopped = why.map(|why| {
        let said = last_line.map(|line| format!(": {line}")).unwrap_or_default();
        let message = format!("--on-change fails, so nobody else may have {lockfile} as it is here: {why}{said}");
        let hint = format!(
            "the log has all that the command said. It runs again with the service or the next \
             `sync --once --on-change …`; a machine that syncs without this {lockfile} uploads the same files again"
        );
        (message, hint)
    });
    let now = clock::now();
    let written =
        tokio::task::spawn_blocking(move || stoppage::write(&state, StoppedWork::Publishing, stopped, now)).await;
    let _ = written; // it only serves messages
}

//! The command of `--on-change` in the service: what an earlier process left to it, since when it
//! fails, and the uploaded files that nobody committed, which it doesn't publish.

use std::collections::BTreeSet;

use jiff::Timestamp;
use tokio::task::block_in_place;

use super::{Service, ServiceError};
use crate::engine::on_change::OnChange;
use crate::engine::report::run_report::{StepReport, Warning};
use crate::engine::workspace::committed;
use crate::engine::workspace::outputs::ours;
use crate::engine::workspace::session::Session;
use crate::manifest::Manifest;
use crate::model::address::Address;
use crate::platform::clock;
use crate::state::stoppage::{self, StoppedWork};

/// Tells the command what it has to know of an earlier process: changes for which it failed, or was cut
/// off. Blocks: it reads the disk.
pub(super) fn resume(session: &Session, manifest: &Manifest, on_change: Option<&OnChange>) {
    if let Some(on_change) = on_change {
        manifest.webhook_env().into_iter().for_each(|variable| on_change.hide(variable));
    }
    let state = &session.project.state;
    // What a service left that was killed while it waited for its branch.
    stoppage::write(state, StoppedWork::Service, None, clock::now());
    match on_change.filter(|_| session.lockfile.is_unreported()) {
        Some(on_change) => {
            let failed = stoppage::read(state, StoppedWork::Publishing);
            failed.into_iter().for_each(|stoppage| on_change.fails_since(stoppage.since));
            on_change
                .changed(std::iter::once(session.project.lockfile.clone()).chain(ours(&session.project, manifest)));
        }
        None => stoppage::write(state, StoppedWork::Publishing, None, clock::now()),
    }
}

/// The addresses whose files were uploaded since the command last succeeded.
#[derive(Debug, Default)]
pub(super) struct UploadedFiles {
    addresses: BTreeSet<Address>,
}

impl UploadedFiles {
    /// Takes in how steps ended.
    pub(super) fn extend(&mut self, reports: &[StepReport]) {
        let uploads = reports.iter().filter(|report| report.uploaded_a_file());
        self.addresses.extend(uploads.map(|report| report.step.address.clone()));
    }
}

impl Service<'_> {
    /// Since when the command fails; `None` while it doesn't.
    pub(super) fn on_change_fails_since(&self) -> Option<Timestamp> {
        self.on_change.as_ref().and_then(OnChange::failing_since)
    }

    /// Writes down that all changes were published, once they were, and warns of uploaded files that
    /// were not.
    pub(super) async fn note_published(&mut self) -> Result<(), ServiceError> {
        let is_announced =
            self.outputs.changed.is_empty() && self.on_change.as_ref().is_some_and(OnChange::is_up_to_date);
        let session = &mut *self.reconciler.session;
        if !is_announced || !session.lockfile.is_unreported() {
            return Ok(());
        }
        session.lockfile.mark_reported(&session.state_cache).await?;
        let UploadedFiles { addresses } = std::mem::take(&mut self.uploaded);
        let uploaded = committed::uploaded(&session.state_cache, addresses).await;
        if let Some(Warning { message, hint }) = block_in_place(|| committed::edited(&session.project, &uploaded)) {
            tracing::warn!(hint, "{message}");
        }
        Ok(())
    }
}

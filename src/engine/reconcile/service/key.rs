//! The key of the service: its permissions, its refusal, and its replacement.

use std::sync::Arc;

use super::{KeyChange, Service, ServiceError, context};
use crate::engine::report::run_report::Stop;
use crate::platform::clock;
use crate::state::stoppage::{self, StoppedWork};

impl Service<'_> {
    /// Reacts to the reason why work has to stop, wherever it was found.
    pub(super) fn check_shutdown(&mut self) -> Result<(), ServiceError> {
        match self.reconciler.context.stop.why() {
            Some(Stop::Credential { message, hint }) if self.refused.is_none() => {
                let hint = format!("{hint}; to change it, {}", self.setting.key_change.how);
                tracing::error!(hint, "nothing is uploaded until the API key is changed: {message}");
                self.refused = Some(message);
            }
            Some(Stop::State { message } | Stop::Defect { message }) => return Err(ServiceError::Defect { message }),
            Some(Stop::Taken { message, hint }) => return Err(ServiceError::Taken { message, hint }),
            Some(_) | None => {}
        }
        Ok(())
    }

    /// Writes down why nothing is uploaded, for `status`; and that uploads go on, once everything was
    /// tried.
    pub(super) fn keep_uploads_stop(&mut self) {
        let stopped = self.reconciler.context.uploads_stop();
        let is_idle =
            self.reconciler.is_idle() && self.reconciler.scanning.is_none() && !self.reconciler.has_waiting_plan();
        let may_be_over = stopped.is_none() && is_idle && self.needs.is_settled();
        let state = &self.reconciler.session.project.state;
        // What is beside a state leaves with it.
        let is_kept = || tokio::task::block_in_place(|| stoppage::is_written(state, StoppedWork::Uploads));
        let is_news = match stopped.is_some() {
            true => self.uploads_stop != stopped || !is_kept(),
            false => self.uploads_stop.is_some() && may_be_over,
        };
        if is_news {
            let KeyChange { how, needs_restart } = &self.setting.key_change;
            // Of a missing permission, the key that is there may have it by now.
            let is_of_key = matches!(self.reconciler.context.stop.why(), Some(Stop::Credential { .. }));
            let restart = (*needs_restart && is_of_key).then(|| how.clone());
            tokio::task::block_in_place(|| {
                stoppage::write_with_restart(state, StoppedWork::Uploads, stopped.clone(), restart, clock::now());
            });
            self.uploads_stop = stopped;
        }
    }

    /// Reads the key again and scans everything.
    pub(super) async fn reload(&mut self) -> Result<(), ServiceError> {
        tracing::info!("reloading the API key, and checking all files");
        self.observability.reloading();
        self.try_key_again().await?;
        (self.needs.scan, self.needs.all) = (true, true);
        self.observability.reloaded();
        Ok(())
    }

    /// Reads the key again, and starts over with it.
    pub(super) async fn try_key_again(&mut self) -> Result<(), ServiceError> {
        match (self.setting.key)() {
            Ok(credential) => {
                if self.refused.is_some() {
                    tracing::info!("trying the API key that is there now");
                }
                self.reconciler.context.client.renew(credential);
            }
            Err(why) => tracing::error!("can't reload the API key, still using the old one: {why}"),
        }
        self.reconciler.forget_key();
        // What the key was not allowed, another one may be.
        self.reconciler.context.reset_backoff();
        if self.refused.take().is_some() || self.reconciler.context.stop.is_triggered() {
            self.reconciler.context.save_limits().await?;
            let client = Arc::clone(&self.reconciler.context.client);
            self.reconciler.context = context(self.reconciler.session, &client, &self.setting).await?;
        }
        self.reconciler.workers.reset_backoff();
        self.needs.plan = true;
        Ok(())
    }
}

//! The key of the service: its permissions, its refusal, and its replacement.

use std::collections::BTreeSet;

use super::{Interrupts, Service, ServiceError, context};
use crate::engine::report::run_report::Stop;
use crate::model::recorded::Recorded;

impl Service<'_> {
    /// Reacts to the reason why work has to stop, wherever it was found.
    pub(super) fn check_shutdown(&mut self) -> Result<(), ServiceError> {
        match self.context.stop.why() {
            Some(Stop::Credential { message, hint }) if self.refused.is_none() => {
                tracing::error!(
                    "Roblox refused the API key, so nothing is uploaded until you change it: {message} ({hint})"
                );
                self.refused = Some(message);
            }
            Some(Stop::State { message } | Stop::Defect { message }) => return Err(ServiceError::Defect { message }),
            Some(Stop::Taken { message, hint }) => return Err(ServiceError::Taken { message, hint }),
            Some(_) | None => {}
        }
        Ok(())
    }

    /// Checks, once per key, what the key may do.
    pub(super) async fn may_begin(&mut self) -> Result<bool, ServiceError> {
        let known = |recorded: &Recorded| recorded.assets.values().map(|record| record.identity.creator).collect();
        let mut creators: BTreeSet<_> = self.session.state_cache.read(known);
        creators.extend(self.desired.assets.values().map(|want| want.creator));
        let mut done = Vec::new();
        let with = Interrupts { ending: &self.ending, stop: &self.context.stop, pause: self.setting.interval };
        let may = Self::alongside_workers(&mut self.workers, &mut done, with, self.context.may_begin(&creators)).await;
        self.all_ended(done)?;
        Ok(may)
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
            Ok(credential) => self.client.renew(credential),
            Err(why) => tracing::error!("can't reload the API key, still using the old one: {why}"),
        }
        self.checked_key = false;
        if self.refused.take().is_some() || self.context.stop.is_triggered() {
            self.context.save_limits().await?;
            self.context = context(self.session, &self.client, &self.setting).await?;
        }
        self.workers.reset_backoff();
        self.needs.plan = true;
        Ok(())
    }
}

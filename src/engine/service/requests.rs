//! What other commands ask of the service, carried out between two of its rounds.

use super::{Beside, Service, ServiceError};
use crate::cloud::client::Client;
use crate::engine::by_hand::{self, ByHandError, Direction};
use crate::engine::forget::{self, ForgetError};
use crate::engine::hands::Hands;
use crate::engine::import::{self, ImportError};
use crate::engine::progress::Listener;
use crate::engine::report::{Outcome, Stop};
use crate::engine::request::carry_out;
use crate::engine::session::Session;
use crate::engine::steps::chain;
use crate::model::address::Address;
use crate::model::desired::Desired;
use crate::model::request::{Answer, Problem, ProblemKind, Request};
use crate::platform::clock;

impl Service<'_> {
    /// Takes every request that waits.
    pub(super) async fn carry_out_requests(&mut self) -> Result<(), ServiceError> {
        while !self.ending.is_thrown()
            && let Some((id, request)) = self.desk.next().await?
        {
            tracing::info!(command = request.command(), "carrying out a request");
            self.wait_for(&request).await?;
            let mut done = Vec::new();
            let with = Beside { ending: &self.ending, stop: &self.hands.stop, pause: self.setting.interval };
            let office = Office {
                client: &self.client,
                hands: &self.hands,
                listener: &self.setting.listener,
                desired: &self.desired,
            };
            let work = office.carry_out(self.session, &request);
            let result = Self::beside(&mut self.crew, &mut done, with, work).await;
            if let Err(problem) = &result {
                tracing::warn!(command = request.command(), "a request was refused: {}", problem.message);
            }
            let written = result.as_ref().is_ok_and(|answer| answer.lockfile_written);
            self.desk.answer(id, result).await?;
            if written {
                let path = self.session.project.lockfile.clone();
                self.eyes.wrote(&path);
                self.tell_changed(vec![path]);
            }
            self.all_ended(done)?;
            (self.needs.look, self.needs.lockfile) = (true, Some(clock::elapsed()));
        }
        Ok(())
    }

    /// Lets the work on an address end before something else is done to it.
    async fn wait_for(&mut self, request: &Request) -> Result<(), ServiceError> {
        let about: Vec<&Address> = match request {
            Request::Resolve { address, .. }
            | Request::Import { address, .. }
            | Request::Forget { address }
            | Request::Archive { address }
            | Request::Restore { address } => vec![address],
            Request::Retry { addresses } => addresses.iter().collect(),
        };
        // What only rests between two tries is not waited for.
        self.crew.supersede(&about.iter().map(|address| (*address).clone()).collect());
        while about.iter().any(|address| self.crew.in_hand().contains(*address)) {
            tokio::select! {
                () = self.ending.thrown(), if !self.hands.stop.is_thrown() => self.hands.stop.throw(Stop::Signal(0)),
                ended = self.crew.next(clock::elapsed, self.setting.interval) => self.ended(ended)?,
            }
        }
        Ok(())
    }
}

/// What a request is carried out with, beside the crew.
struct Office<'a> {
    client: &'a Client,
    hands: &'a Hands,
    listener: &'a Listener,
    desired: &'a Desired,
}

impl Office<'_> {
    async fn carry_out(&self, session: &mut Session, request: &Request) -> Result<Answer, Problem> {
        match request {
            Request::Resolve { .. } | Request::Retry { .. } => carry_out(session, self.client, request).await,
            Request::Forget { address } => {
                let forgotten = forget::forget(session, address).await?;
                let names: Vec<String> = forgotten.asset_ids.iter().map(ToString::to_string).collect();
                let kept = Some(names).filter(|names| !names.is_empty());
                let notes = kept.map(|names| format!("Roblox keeps {}", names.join(", "))).into_iter().collect();
                Ok(Answer { lockfile_written: forgotten.lockfile_written, notes, ..Answer::default() })
            }
            Request::Import { address, asset_id, content_matches } => {
                let seen = (self.listener.clone(), &self.hands.stop);
                let wish = import::Wish { address, asset_id: *asset_id, content_matches: *content_matches };
                let imported = import::import(session, self.client, seen, wish).await?;
                Ok(Answer {
                    asset_id: Some(imported.key.asset_id),
                    revision: Some(imported.number),
                    lockfile_written: imported.lockfile_written,
                    notes: imported.notes(address),
                })
            }
            Request::Archive { address } => self.by_hand(session, address, Direction::Archive).await,
            Request::Restore { address } => self.by_hand(session, address, Direction::Restore).await,
        }
    }

    async fn by_hand(&self, session: &mut Session, address: &Address, direction: Direction) -> Result<Answer, Problem> {
        let prepared = by_hand::prepare(session, self.hands, self.desired, address, direction).await?;
        let ended = by_hand::carry_out(session, self.hands, self.desired, &prepared).await?;
        match ended.outcome {
            Outcome::Done { asset_id, revision } => Ok(Answer {
                asset_id: Some(asset_id),
                revision,
                lockfile_written: ended.lockfile_written,
                notes: Vec::new(),
            }),
            Outcome::Refused { message, hint } => Err(Problem { kind: ProblemKind::Refused, message, hint }),
            Outcome::NotBegun => Err(refused("the service could not begin with it")),
            Outcome::Running { reason: message }
            | Outcome::TryLater { message }
            | Outcome::InDoubt { message }
            | Outcome::Superseded { reason: message } => Err(refused(&message)),
        }
    }
}

fn refused(message: &str) -> Problem {
    Problem { kind: ProblemKind::Refused, message: message.to_owned(), hint: None }
}

impl From<ForgetError> for Problem {
    fn from(error: ForgetError) -> Self {
        let kind = match &error {
            ForgetError::Book(_) | ForgetError::Lockfile(_) => ProblemKind::Unusable,
            _ => ProblemKind::Refused,
        };
        Self { kind, message: chain(&error), hint: error.hint() }
    }
}

impl From<ImportError> for Problem {
    fn from(error: ImportError) -> Self {
        let kind = match &error {
            ImportError::Book(_) | ImportError::Lockfile(_) => ProblemKind::Unusable,
            ImportError::Look { source, .. } if source.is_credential() => ProblemKind::Credential,
            _ => ProblemKind::Refused,
        };
        Self { kind, message: chain(&error), hint: error.hint() }
    }
}

impl From<ByHandError> for Problem {
    fn from(error: ByHandError) -> Self {
        let kind = match &error {
            ByHandError::Book(_) | ByHandError::Lockfile(_) => ProblemKind::Unusable,
            ByHandError::Look { source, .. } if source.is_credential() => ProblemKind::Credential,
            _ => ProblemKind::Refused,
        };
        Self { kind, message: chain(&error), hint: error.hint() }
    }
}

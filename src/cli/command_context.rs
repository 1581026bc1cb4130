//! Shared parts of the commands that change single addresses: the open session with a client, and
//! the output of the result.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::args::Global;
use super::document;
use super::embedded::Embedded;
use super::exit::{CommandFailure, Exit};
use super::interruption::Interruption;
use super::output::{Printer, TextStyle, listed, paint, plural};
use super::plan_text;
use super::progress::Bars;
use super::sync::{confirm, end_after};
use super::target::{self, ProjectTarget};
use super::warnings;
use crate::cloud::client::Client;
use crate::engine::reconcile::once::{OnceOptions, SyncError, sync_once};
use crate::engine::reconcile::shutdown::Shutdown;
use crate::engine::remote::remote_clock::SET_CLOCK;
use crate::engine::report::progress::silent;
use crate::engine::report::run_report::{Outcome, RunReport, Stop};
use crate::engine::workspace::gather::{Gathered, gather};
use crate::engine::workspace::session::Session;
use crate::engine::workspace::snapshot::StateSnapshot;
use crate::files::FilesInProgress;
use crate::model::address::Address;
use crate::model::ids::AssetId;
use crate::plan::{HoldKind, PlanOptions, Restriction};

/// The default of `sync --timeout`.
const TIMEOUT: Duration = Duration::from_mins(60);

/// The default of `sync --uploads`.
const UPLOADS: usize = 8;

/// The last line of a command that other machines have to know of; it also changed these outputs.
pub(super) fn commit(outputs: impl IntoIterator<Item = String>) -> String {
    let ours = ["the manifest".to_owned(), "the lockfile".to_owned()];
    let all: Vec<String> = ours.into_iter().chain(outputs).collect();
    format!("Commit {}, or the next sync elsewhere undoes this.", listed(&all))
}

/// The last line of a command that only edited the manifest.
pub(super) const COMMIT_MANIFEST: &str = "Commit the manifest: the next sync carries it out.";

/// The state and the remote, open for one command.
pub(super) struct CommandContext {
    /// The state.
    pub session: Session,
    /// The remote.
    pub client: Arc<Client>,
    /// Ends the command early.
    pub stop: Shutdown,
    /// The progress display.
    pub bars: Bars,
    embedded: Option<Embedded>,
    output: Printer,
}

impl CommandContext {
    /// Finds the key, takes the lock in the name of `command` and connects: everything that can be
    /// refused before anything is changed.
    ///
    /// # Errors
    /// Without a key, while another process holds the state, or when state or lockfile can't be
    /// used.
    pub(super) async fn open(
        output: Printer,
        global: &Global,
        target: &ProjectTarget,
        command: &str,
    ) -> Result<Self, CommandFailure> {
        let stop = Shutdown::default();
        let interruption = Interruption::listen(&stop)?;
        end_after(&stop, TIMEOUT);
        let credential = target::credential(global, target)?;
        let session = Session::open(&target.project, &target.remote, command).await?;
        let (client, embedded) = target::connect(global, target, credential).await?;
        let bars = Bars::new(output);
        interruption.tell_through(output, &bars);
        Ok(Self { session, client: Arc::new(client), stop, bars, embedded, output })
    }

    /// Reconciles these addresses, and the icons and previews that show one of them, as `sync
    /// --once` would.
    ///
    /// # Errors
    /// When manifest, lockfile or state can't be used.
    pub(super) async fn reconcile(
        &mut self,
        output: Printer,
        only: BTreeSet<Address>,
        yes: bool,
    ) -> Result<RunReport, SyncError> {
        let uploads = only.len().clamp(1, UPLOADS);
        let part = Restriction { addresses: only, brings_needed: false };
        let options = OnceOptions {
            // One address has one upload at a time.
            uploads,
            confirm: confirm(output, yes || self.embedded.is_some(), self.bars.clone()),
            listener: self.bars.listener(),
            plan_options: PlanOptions { only: Some(part), ..PlanOptions::default() },
            refresh: false,
            wait_moderation: None,
            stop: self.stop.clone(),
        };
        sync_once(&mut self.session, Arc::clone(&self.client), options).await
    }

    /// Warns of what the manifest may mean otherwise than it says, releases the lock, and stops the
    /// emulator.
    pub(super) async fn close(self) {
        self.bars.clear();
        warnings::warn(self.output, &self.session.notes);
        self.session.close().await;
        if let Some(embedded) = self.embedded {
            embedded.stop().await;
        }
    }
}

/// Reads the wanted assets, for a command that holds no lock. Blocks: it reads the disk.
///
/// # Errors
/// When the manifest can't be used.
pub(super) fn wanted(target: &ProjectTarget, view: &StateSnapshot) -> Result<Gathered, CommandFailure> {
    let look =
        || gather(&target.project, &view.cache, &view.recorded.addresses(), &FilesInProgress::default(), &silent());
    Ok(tokio::task::block_in_place(look)?)
}

/// The result of a command for one address.
#[derive(Debug, Default)]
pub(super) struct CommandResult {
    /// The asset, where there is one.
    pub asset_id: Option<AssetId>,
    /// The number of its revision.
    pub revision: Option<u64>,
    /// `done`, or in the words of `sync --json` why not.
    pub outcome: &'static str,
    /// More keys, of this command.
    pub more: Vec<(&'static str, Value)>,
}

impl CommandResult {
    /// The one JSON document of a command.
    pub(super) fn document(&self, address: &Address) -> Value {
        let Self { asset_id, revision, outcome, more } = self;
        let mut document = json!({
            "address": address.as_str(),
            "asset_id": asset_id.map(AssetId::get),
            "revision": revision,
            "outcome": outcome,
        });
        if let Some(fields) = document.as_object_mut() {
            fields.extend(more.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
        }
        document
    }
}

/// The keys that a report of one address adds to the document.
pub(super) fn more(report: &RunReport) -> Vec<(&'static str, Value)> {
    let document = document::report(report);
    let actions = document.get("actions").cloned().unwrap_or_default();
    let notes: Vec<String> = report.notes.iter().map(|note| note.kind.to_string()).collect();
    vec![("actions", actions), ("notes", json!(notes)), ("lockfile_written", json!(report.lockfile_written))]
}

/// Prints the actions of a run, its drifts and its notes.
pub(super) fn show(output: Printer, report: &RunReport) {
    for entry in &report.steps {
        if let Outcome::Done { asset_id, revision } = &entry.outcome {
            let revision = revision.map(|number| format!(", revision {number}")).unwrap_or_default();
            let name = paint(TextStyle::Good, format!("{:<15}", entry.step.action.done_word()));
            let rule = plan_text::rule(&entry.step, output.is_verbose());
            output.line(format!("{name} {} ({}{revision}){rule}", entry.step.address, asset_id.uri()));
        }
    }
    for drift in &report.drifts {
        output.line(format!("{} {}: {}", paint(TextStyle::Warning, "note"), drift.address, drift.kind));
    }
    for note in &report.notes {
        let address = note.address.as_ref().map(|address| format!("{address}: ")).unwrap_or_default();
        output.line(format!("{} {address}{}", paint(TextStyle::Quiet, "note"), note.kind));
    }
}

/// The one JSON document of a command for several addresses: that of each, and what concerns all of
/// them.
pub(super) fn documents(told: &[(Address, CommandResult)], more: Vec<(&'static str, Value)>) -> Value {
    let mut document =
        json!({ "assets": told.iter().map(|(address, told)| told.document(address)).collect::<Vec<_>>() });
    if let Some(fields) = document.as_object_mut() {
        fields.extend(more.into_iter().map(|(key, value)| (key.to_owned(), value)));
    }
    document
}

/// Why a command did not finish for an address.
#[derive(Debug)]
pub(super) struct Shortfall {
    /// In the words of `sync --json`.
    pub outcome: &'static str,
    /// For a person, with the exit code.
    pub failure: CommandFailure,
}

impl Shortfall {
    fn new(outcome: &'static str, exit: Exit, message: &str, hint: Option<&String>) -> Self {
        let failure = CommandFailure::new(exit, message);
        let hint = hint.filter(|hint| !hint.is_empty());
        Self { outcome, failure: hint.map(|hint| CommandFailure::new(exit, message).hint(hint)).unwrap_or(failure) }
    }

    /// The first thing that a run for one address left undone.
    pub(super) fn of(report: &RunReport) -> Option<Self> {
        if let Some(fatal) = Self::of_stop(report.stop.as_ref()) {
            return Some(fatal);
        }
        if report.in_sync() {
            return None;
        }
        if let Some(hold) = report.held.first() {
            let outcome = match hold.kind() {
                HoldKind::Held => "held",
                HoldKind::Waiting => "waiting",
                HoldKind::Rejected | HoldKind::Failed => "failed",
            };
            let others = match report.held.len() - 1 {
                0 => String::new(),
                others => format!("; {} on hold or failed, too", plural(others as u64, "other asset")),
            };
            let message = format!("{}: {}{others}", hold.address, hold.reason);
            return Some(Self::new(outcome, Exit::Unreconciled, &message, hold.hint().as_ref()));
        }
        match report.failures().first() {
            Some(entry) => {
                let shortfall = Self::of_step(&entry.outcome, report.stop.as_ref())?;
                Some(if report.stop.is_none() { shortfall.of_address(&entry.step.address) } else { shortfall })
            }
            None => Self::of_step(&Outcome::NotBegun, report.stop.as_ref()),
        }
    }

    /// The same with the name of the address before it.
    pub(super) fn of_address(mut self, address: &Address) -> Self {
        for problem in &mut self.failure.problems {
            problem.message = format!("{address}: {}", problem.message);
        }
        self
    }

    /// The failure that ends everything, whatever was done before.
    fn of_stop(stop: Option<&Stop>) -> Option<Self> {
        match stop? {
            Stop::Credential { message, hint } => Some(Self::new("failed", Exit::Credential, message, Some(hint))),
            Stop::Clock { message } => {
                Some(Self::new("waiting", Exit::Unreconciled, message, Some(&SET_CLOCK.to_owned())))
            }
            Stop::State { message } => Some(Self::new("failed", Exit::Unusable, message, None)),
            Stop::Taken { message, hint } => Some(Self::new("failed", Exit::Busy, message, Some(hint))),
            Stop::Defect { message } => Some(Self { outcome: "failed", failure: CommandFailure::defect(message) }),
            Stop::Signal(_) | Stop::TimedOut => None,
        }
    }

    /// The failure of one step, or of the run that it was in.
    pub(super) fn of_step(outcome: &Outcome, stop: Option<&Stop>) -> Option<Self> {
        let shortfall = Self::of_outcome(outcome)?;
        match stop {
            Some(Stop::Signal(code)) => Some(Self::new(
                "waiting",
                Exit::Signal(*code),
                "interrupted. Nothing is lost: run the same command again to continue",
                None,
            )),
            stop => Self::of_stop(stop).or(Some(shortfall)),
        }
    }

    /// The failure of one step.
    fn of_outcome(outcome: &Outcome) -> Option<Self> {
        let (outcome, message, hint) = match outcome {
            Outcome::Done { .. } => return None,
            Outcome::NotBegun => ("waiting", "the run ended before its turn", None),
            Outcome::Running { reason } | Outcome::Superseded { reason } => ("waiting", reason.as_str(), None),
            Outcome::TryLater { message } => ("waiting", message.as_str(), None),
            Outcome::InDoubt { message } => ("held", message.as_str(), None),
            Outcome::Refused { message, hint } => ("failed", message.as_str(), hint.as_ref()),
        };
        Some(Self::new(outcome, Exit::Unreconciled, message, hint))
    }
}

/// A failure after a change that stays: names the change, and the next command.
pub(super) fn although(mut failure: CommandFailure, what: &str, then: &str) -> CommandFailure {
    failure.rendered = None;
    if let Some(problem) = failure.problems.first_mut() {
        problem.message = format!("{what}: {}", problem.message);
        let hints = problem.hint.take().into_iter().chain((!then.is_empty()).then(|| then.to_owned()));
        let hints: Vec<String> = hints.collect();
        problem.hint = (!hints.is_empty()).then(|| hints.join("; "));
    }
    failure
}

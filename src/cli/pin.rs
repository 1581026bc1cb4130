//! `macadam pin` and `macadam unpin`: an address held at an earlier revision, and back to its file.
//!
//! All that can refuse comes before the manifest is touched. Once that is written it stays: it is what is wanted, and the next sync goes on from there.

use serde_json::json;

use super::args::{Global, PinArgs, UnpinArgs};
use super::beside::{is_served, until_carried_out};
use super::exit::{Exit, Failure};
use super::hand::{self, COMMIT, Hand, Shortfall, Told};
use super::output::{Output, Tone, paint};
use super::status::unknown_address;
use super::target::{self, Target};
use crate::engine::gather::{Gathered, read_manifest};
use crate::engine::pins::{self, PinError};
use crate::engine::project::EditManifestError;
use crate::engine::report::Report;
use crate::engine::status::status;
use crate::engine::sync::SyncError;
use crate::engine::view::View;
use crate::manifest::EditError;
use crate::model::address::Address;
use crate::model::recorded::Recorded;

impl From<EditManifestError<EditError>> for Failure {
    fn from(error: EditManifestError<EditError>) -> Self {
        let exit = match &error {
            EditManifestError::Busy { .. } => Exit::Unreconciled,
            _ => Exit::Unusable,
        };
        let hint = match &error {
            EditManifestError::Edit { source, .. } => Some(source.hint()),
            other => other.hint(),
        };
        Self::of(exit, &error, hint)
    }
}

/// A refusal, with the nearest address where none was meant.
fn refusal(error: PinError, desired: &Gathered, recorded: &Recorded) -> Failure {
    match error {
        PinError::Unknown { address } => {
            let known = desired.desired.assets.keys().chain(recorded.assets.keys());
            unknown_address(address.as_str(), known.map(Address::as_str))
        }
        error => Failure::of(Exit::Unreconciled, &error, error.hint()),
    }
}

/// What the command did to the manifest, and what for.
struct Edited<'a> {
    address: &'a Address,
    told: Told,
    /// For a person: what is written now.
    what: String,
    /// What takes it back.
    undo: String,
    rehearsal: bool,
}

impl Edited<'_> {
    /// Fills in what the address has now, where the command did not name it.
    fn look_up(&mut self, target: &Target) {
        if self.told.asset_id.is_some() {
            return;
        }
        let rows = tokio::task::block_in_place(|| status(&target.project, &target.remote))
            .map(|status| status.rows)
            .unwrap_or_default();
        let row = rows.into_iter().find(|row| row.address == *self.address);
        (self.told.asset_id, self.told.revision) = row.map_or((None, None), |row| (row.asset_id, row.revision));
    }
}

/// Pins an address.
pub async fn pin(output: Output, global: &Global, args: &PinArgs) -> Result<Exit, Failure> {
    let address = target::address(&args.address)?;
    let target = target::find(global)?;
    let view = View::open(&target.project, &target.remote)?;
    let gathered = hand::wanted(&target, &view)?;
    let choose = |recorded: &Recorded| {
        pins::choose(&gathered.desired, recorded, &address, args.revision)
            .map_err(|error| refusal(error, &gathered, recorded))
    };
    let (mut pin, mut key) = choose(&view.recorded)?;
    let mut hand = None;
    let served = !args.no_sync && is_served(&target)?;
    if !args.no_sync && !served {
        let open = Hand::open(output, global, &target, "macadam pin").await?;
        // Somebody else may have reconciled before the lock was free.
        let again = match pins::remember_where_it_was(&open.session.book, &address).await {
            Ok(()) => open.session.book.read(choose),
            Err(error) => Err(error.into()),
        };
        hand = Some(open);
        match again {
            Ok(again) => (pin, key) = again,
            Err(failure) => return close(hand, Err(failure)).await,
        }
    }
    let changed = match tokio::task::block_in_place(|| pins::write(&target.project, &address, pin)) {
        Ok(changed) => changed,
        Err(error) => return close(hand, Err(error.into())).await,
    };
    let edited = Edited {
        address: &address,
        told: Told {
            asset_id: Some(key.asset_id),
            revision: Some(args.revision),
            outcome: "done",
            more: vec![("manifest_written", json!(changed))],
        },
        what: format!("{address} is pinned to revision {} (asset {})", args.revision, key.asset_id),
        undo: format!("`macadam unpin {address}` takes the pin back"),
        rehearsal: global.emulator,
    };
    if served {
        return finish_beside(output, global, &target, edited).await;
    }
    finish(output, &target, hand, edited, args.yes).await
}

/// Takes a pin back.
pub async fn unpin(output: Output, global: &Global, args: &UnpinArgs) -> Result<Exit, Failure> {
    let address = target::address(&args.address)?;
    let target = target::find(global)?;
    refuse_unpinned(&target, &address)?;
    let mut hand = None;
    let mut told = Told { outcome: "done", ..Told::default() };
    let served = !args.no_sync && is_served(&target)?;
    if !args.no_sync {
        // Nothing can be carried out by a manifest that is wrong elsewhere.
        read_manifest(&target.project)?;
    }
    if !args.no_sync && !served {
        hand = Some(Hand::open(output, global, &target, "macadam unpin").await?);
    }
    match tokio::task::block_in_place(|| pins::remove(&target.project, &address)) {
        Ok(changed) => told.more.push(("manifest_written", json!(changed))),
        Err(error) => return close(hand, Err(error.into())).await,
    }
    let edited = Edited {
        address: &address,
        told,
        what: format!("{address} is no longer pinned"),
        undo: "the file counts again".to_owned(),
        rehearsal: global.emulator,
    };
    if served {
        return finish_beside(output, global, &target, edited).await;
    }
    finish(output, &target, hand, edited, args.yes).await
}

/// Refuses to take back a pin that isn't there.
fn refuse_unpinned(target: &Target, address: &Address) -> Result<(), Failure> {
    let bytes = target.project.read_manifest();
    let bytes = bytes.map_err(|error| Failure::of(Exit::Unusable, &error, error.hint()))?;
    // What is no text is refused by the edit, with its name.
    let text = String::from_utf8_lossy(&bytes);
    match pins::is_pinned(&text, address) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failure::new(Exit::Unreconciled, format!("`{address}` is not pinned"))
            .hint("`macadam status` shows what is pinned; [pins] in the manifest lists them")),
        Err(error) => Err(Failure::of(Exit::Unusable, &error, Some(error.hint()))),
    }
}

async fn close<T>(hand: Option<Hand>, ended: T) -> T {
    if let Some(hand) = hand {
        hand.close().await;
    }
    ended
}

/// Carries out what the manifest says now, where that is asked for, and tells.
async fn finish(
    output: Output,
    target: &Target,
    hand: Option<Hand>,
    mut edited: Edited<'_>,
    yes: bool,
) -> Result<Exit, Failure> {
    let Some(mut hand) = hand else {
        edited.told.outcome = "written";
        if output.is_json() {
            output.document(&edited.told.document(edited.address));
        } else {
            let manifest = target.project.manifest_name();
            output.line(format!("{} {} in {manifest}", paint(Tone::Good, "written:"), edited.what));
            output.line("`macadam sync --once` carries it out");
            last_line(output, &edited);
        }
        return Ok(Exit::Success);
    };
    let ended = hand.reconcile(output, edited.address, yes).await;
    hand.close().await;
    let (report, shortfall) = match ended {
        Ok(report) => {
            let shortfall = Shortfall::of(&report);
            (report, shortfall)
        }
        Err(SyncError::Midway { source, report }) => {
            (*report, Some(Shortfall { outcome: "failed", failure: (*source).into() }))
        }
        Err(error) => (Report::default(), Some(Shortfall { outcome: "failed", failure: error.into() })),
    };
    edited.look_up(target);
    edited.told.more.extend(hand::more(&report));
    if !output.is_json() {
        hand::show(output, &report);
    }
    let Some(Shortfall { outcome, failure }) = shortfall else {
        if output.is_json() {
            output.document(&edited.told.document(edited.address));
        } else {
            let nothing = if report.steps.is_empty() { "; nothing had to be done at Roblox" } else { "" };
            output.line(format!("{} {}{nothing}", paint(Tone::Good, "done:"), edited.what));
            last_line(output, &edited);
        }
        return Ok(Exit::Success);
    };
    edited.told.outcome = outcome;
    Ok(tell_shortfall(output, target, &edited, failure))
}

/// Lets the service that holds the state carry out what the manifest says now, and tells.
async fn finish_beside(
    output: Output,
    global: &Global,
    target: &Target,
    mut edited: Edited<'_>,
) -> Result<Exit, Failure> {
    let ended = until_carried_out(output, global, target, edited.address).await;
    edited.look_up(target);
    edited.told.more.push(("by_service", json!(true)));
    if let Err(failure) = ended {
        edited.told.outcome = "waiting";
        return Ok(tell_shortfall(output, target, &edited, failure));
    }
    if output.is_json() {
        output.document(&edited.told.document(edited.address));
    } else {
        output.line(format!("{} {}; the service saw to it", paint(Tone::Good, "done:"), edited.what));
        last_line(output, &edited);
    }
    Ok(Exit::Success)
}

fn tell_shortfall(output: Output, target: &Target, edited: &Edited<'_>, failure: Failure) -> Exit {
    let failure = not_carried_out(target, edited, failure);
    if output.is_json() {
        output.stopped(edited.told.document(edited.address), &failure);
    } else {
        output.failure(&failure);
    }
    failure.exit
}

/// The manifest says it, and Roblox doesn't yet.
fn not_carried_out(target: &Target, edited: &Edited<'_>, failure: Failure) -> Failure {
    let what = format!("{} in {}, but that could not be carried out", edited.what, target.project.manifest_name());
    let then = format!("`macadam sync --once` tries it again; {}", edited.undo);
    hand::although(failure, &what, &then)
}

fn last_line(output: Output, edited: &Edited<'_>) {
    if !edited.rehearsal {
        output.line(COMMIT);
        return;
    }
    // The emulator's state and lockfile are its own, and the manifest is the real one.
    output.warning("the rehearsal changed [pins] in the real manifest: put it back before the next real sync");
}

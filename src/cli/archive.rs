//! `macadam archive` and `macadam restore`: an asset out of use by hand, and back.

use std::sync::Arc;

use serde_json::json;

use super::args::{ArchiveArgs, Global, RestoreArgs};
use super::beside::{self, beside_service, is_served};
use super::exit::{Exit, Failure};
use super::hand::{Hand, Shortfall, Told};
use super::output::{Output, Tone, paint};
use super::status::unknown_address;
use super::sync::{ask, asks};
use super::target;
use crate::engine::by_hand::{self, ByHandError, Direction, Ended, Prepared};
use crate::engine::gather::read_manifest;
use crate::engine::hands::Hands;
use crate::model::address::Address;
use crate::model::request::Request;

impl From<ByHandError> for Failure {
    fn from(error: ByHandError) -> Self {
        match error {
            ByHandError::Book(error) => error.into(),
            ByHandError::Unknown { address, known } => {
                unknown_address(address.as_str(), known.iter().map(Address::as_str))
            }
            ByHandError::Look { ref source, .. } if source.is_credential() => {
                Self::of(Exit::Credential, &error, error.hint())
            }
            error => Self::of(Exit::Unreconciled, &error, error.hint()),
        }
    }
}

/// Archives the asset of an address.
pub async fn archive(output: Output, global: &Global, args: &ArchiveArgs) -> Result<Exit, Failure> {
    let address = target::address(&args.address)?;
    run(output, global, &address, Direction::Archive, args.yes).await
}

/// Restores the asset of an address.
pub async fn restore(output: Output, global: &Global, args: &RestoreArgs) -> Result<Exit, Failure> {
    let address = target::address(&args.address)?;
    run(output, global, &address, Direction::Restore, true).await
}

async fn run(
    output: Output,
    global: &Global,
    address: &Address,
    direction: Direction,
    yes: bool,
) -> Result<Exit, Failure> {
    let target = target::find(global)?;
    // Without a usable manifest nothing is attempted, and no state is made.
    read_manifest(&target.project)?;
    let command = match direction {
        Direction::Archive => "macadam archive",
        Direction::Restore => "macadam restore",
    };
    let (request, word) = match direction {
        Direction::Archive => (Request::Archive { address: address.clone() }, "archived:"),
        Direction::Restore => (Request::Restore { address: address.clone() }, "restored:"),
    };
    if direction == Direction::Archive && asks(output, yes) && is_served(&target)? {
        let question = format!("the asset of {address} is archived: games that use it lose it");
        // Nothing is held or begun: a signal ends the process.
        if !tokio::task::block_in_place(|| ask(output, &[question])) {
            return Ok(Exit::Unreconciled);
        }
    }
    if let Some(answer) = beside_service(output, global, &target, &request).await? {
        beside::tell(output, address, answer, word, global.emulator);
        return Ok(Exit::Success);
    }
    let mut hand = Hand::open(output, global, &target, command).await?;
    let ended = carry_out(output, &mut hand, address, direction, yes).await;
    hand.close().await;
    match ended? {
        Some(done) => Ok(tell(output, address, direction, &done, global.emulator)),
        None => Ok(Exit::Unreconciled),
    }
}

/// What was done.
struct Done {
    prepared: Prepared,
    ended: Ended,
    lockfile_written: bool,
}

/// Checks, asks, and does it; `None` when a person says no.
async fn carry_out(
    output: Output,
    hand: &mut Hand,
    address: &Address,
    direction: Direction,
    yes: bool,
) -> Result<Option<Done>, Failure> {
    let (listener, stop) = (hand.bars.listener(), hand.stop.clone());
    let desired = hand.session.wanted(listener.clone()).await?;
    let hands = Hands::new(&hand.session, Arc::clone(&hand.client), listener, stop.clone(), 1).await?;
    let prepared = by_hand::prepare(&hands, &desired, address, direction).await?;
    if direction == Direction::Archive && !prepared.at_roblox && asks(output, yes) {
        let question = format!("asset {} of {address} is archived: games that use it lose it", prepared.key.asset_id);
        let bars = hand.bars.clone();
        let answer = tokio::task::spawn_blocking(move || bars.pause(|| ask(output, &[question])));
        // Asked aside, so that a signal ends it though nobody answers.
        if !stop.or(answer).await.is_some_and(|answer| answer.unwrap_or(false)) {
            return Ok(None);
        }
    }
    let ended = by_hand::carry_out(&hands, &desired, &prepared).await?;
    let wanted = desired.assets.contains_key(address);
    let lockfile_written = hand.session.keep(wanted.then_some(address)).await?;
    Ok(Some(Done { prepared, ended, lockfile_written }))
}

fn tell(output: Output, address: &Address, direction: Direction, done: &Done, rehearsal: bool) -> Exit {
    let Done { prepared, ended: Ended { outcome, stop }, lockfile_written } = done;
    let asset_id = prepared.key.asset_id;
    let mut told = Told {
        asset_id: Some(asset_id),
        revision: Some(prepared.number),
        outcome: "done",
        more: vec![("lockfile_written", json!(lockfile_written))],
    };
    let Some(Shortfall { outcome, failure }) = Shortfall::of_step(outcome, stop.as_ref()) else {
        if output.is_json() {
            output.document(&told.document(address));
            return Exit::Success;
        }
        let (word, then) = match direction {
            Direction::Archive => ("archived:", format!("; `macadam restore {address}` brings it back")),
            Direction::Restore => ("restored:", String::new()),
        };
        output.line(format!("{} {address} (asset {asset_id}){then}", paint(Tone::Good, word)));
        if *lockfile_written && !rehearsal {
            output.line("commit the lockfile");
        }
        return Exit::Success;
    };
    told.outcome = outcome;
    if output.is_json() {
        output.stopped(told.document(address), &failure);
    } else {
        output.failure(&failure);
    }
    failure.exit
}

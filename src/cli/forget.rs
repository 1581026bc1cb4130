//! `macadam forget`: addresses leave state and lockfile, all of them or none; the remote is left
//! alone.

use std::collections::BTreeMap;

use serde_json::json;

use super::args::{ForgetArgs, Global};
use super::command_context::{self, CommandResult};
use super::exit::{CommandFailure, Exit};
use super::output::{Printer, TextStyle, paint};
use super::selection::AddressSelection;
use super::service_client::{self, through_service};
use super::status::unknown_address;
use super::target;
use crate::engine::commands::forget::{self, ForgetError, ForgetReport, ForgottenAddress};
use crate::engine::report::progress::silent;
use crate::engine::workspace::gather::read_manifest;
use crate::engine::workspace::session::Session;
use crate::engine::workspace::snapshot::StateSnapshot;
use crate::model::address::Address;
use crate::model::desired::DesiredAsset;
use crate::model::ids::AssetId;
use crate::model::request::Request;

impl From<ForgetError> for CommandFailure {
    fn from(error: ForgetError) -> Self {
        match error {
            ForgetError::Command(error) => error.into(),
            ForgetError::Unknown { address, known } => {
                unknown_address(address.as_str(), known.iter().map(Address::as_str))
            }
            error => Self::of(Exit::Unreconciled, &error, error.hint()),
        }
    }
}

/// Forgets addresses. Needs no key.
pub(super) async fn run(output: Printer, global: &Global, args: &ForgetArgs) -> Result<Exit, CommandFailure> {
    let target = target::find(global)?;
    let selection =
        AddressSelection::read(&args.addresses, || Ok(StateSnapshot::open(&target.project, &target.remote)?.known()))?;
    let AddressSelection { addresses, is_single, .. } = selection;
    let request = Request::Forget { addresses: addresses.clone() };
    if let Some(answer) = through_service(output, global, &target, &request).await? {
        match addresses.as_slice() {
            [address] if is_single => {
                service_client::tell(output, address, answer, "forgotten:", target::is_local(global))
            }
            several => service_client::tell_all(output, several, &answer, "forgotten:", target::is_local(global)),
        }
        return Ok(Exit::Success);
    }
    let mut session = Session::open(&target.project, &target.remote, "macadam forget").await?;
    let forgotten = forget::forget(&mut session, &addresses).await;
    // A manifest that can't be used says nothing of what the next sync does, and keeps nobody from
    // forgetting.
    let wanted = match (&forgotten, read_manifest(&target.project)) {
        (Ok(_), Ok(_)) => {
            let wanted = session.wanted(silent()).await.ok();
            let pinned = |(address, want): (Address, DesiredAsset)| (address, want.pin.is_some());
            wanted.map(|desired| desired.assets.into_iter().map(pinned).collect::<BTreeMap<Address, bool>>())
        }
        _ => None,
    };
    session.close().await;
    tell(output, &forgotten?, is_single, wanted.as_ref(), target::is_local(global));
    Ok(Exit::Success)
}

fn tell(
    output: Printer,
    forgotten: &ForgetReport,
    is_single: bool,
    wanted: Option<&BTreeMap<Address, bool>>,
    is_local: bool,
) {
    let ForgetReport { each, lockfile_written } = forgotten;
    if output.is_json() {
        let told = each.iter().map(|one| (one.address.clone(), told(one, wanted)));
        let mut told: Vec<(Address, CommandResult)> = told.collect();
        let written = ("lockfile_written", json!(lockfile_written));
        match told.as_mut_slice() {
            [(address, told)] if is_single => {
                told.more.push(written);
                output.document(&told.document(address));
            }
            several => output.document(&command_context::documents(several, vec![written])),
        }
        return;
    }
    let names = |ids: &[AssetId]| ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    for one in each {
        let ForgottenAddress { address, asset_ids, shared, suspected: _ } = one;
        let what = match asset_ids.as_slice() {
            [] => "It had no asset.".to_owned(),
            [_] => format!("Its asset {} stays on Roblox.", names(asset_ids)),
            _ => format!("Its assets {} stay on Roblox.", names(asset_ids)),
        };
        output.line(format!("{} {address}. {what}", paint(TextStyle::Good, "Forgot")));
        if !shared.is_empty() {
            output.line(format!(
                "{} other assets in the manifest still use {}",
                paint(TextStyle::Quiet, "note"),
                names(shared)
            ));
        }
        if let Some(advice) = one.advice() {
            output.line(format!("{} {advice}", paint(TextStyle::Warning, "note")));
        }
        if let Some(is_pinned) = wanted.and_then(|wanted| wanted.get(address)) {
            let text = match is_pinned {
                true => format!(
                    "{address} is still pinned in the manifest, so it is on hold. `macadam unpin {address}` uploads it as a new asset"
                ),
                false => format!(
                    "{address} is still in the manifest, so the next sync uploads it as a new asset. Remove the entry if you don't want that"
                ),
            };
            output.line(format!("{} {text}", paint(TextStyle::Warning, "note")));
        }
    }
    if *lockfile_written && !is_local {
        output.line("Commit the lockfile, or other machines still remember it.");
    }
}

fn told(forgotten: &ForgottenAddress, wanted: Option<&BTreeMap<Address, bool>>) -> CommandResult {
    let ForgottenAddress { address, asset_ids, shared, suspected } = forgotten;
    let numbers = |ids: &[AssetId]| ids.iter().map(|id| id.get()).collect::<Vec<_>>();
    let more = vec![
        ("asset_ids", json!(numbers(asset_ids))),
        ("shared_asset_ids", json!(numbers(shared))),
        ("possible_duplicates", json!(suspected)),
        ("in_manifest", json!(wanted.map(|wanted| wanted.contains_key(address)))),
    ];
    CommandResult { asset_id: asset_ids.last().copied(), revision: None, outcome: "done", more }
}

//! `macadam forget`: addresses leave state and lockfile, all of them or none; the remote is left
//! alone.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::args::{ForgetArgs, Global};
use super::command_context::{self, CommandResult};
use super::exit::{CommandFailure, Exit};
use super::output::{Printer, TextStyle, paint, plural};
use super::question::{ask_or, asks};
use super::selection::AddressSelection;
use super::service_client::{self, through_service};
use super::target::{self, ProjectTarget};
use super::unknown::unknown_address;
use super::warnings;
use crate::engine::commands::forget::{self, ForgetError, ForgetReport, ForgottenAddress};
use crate::engine::workspace::session::Session;
use crate::engine::workspace::snapshot::StateSnapshot;
use crate::model::address::Address;
use crate::model::ids::AssetId;
use crate::model::request::{Request, RequestDone};
use crate::plan::moves::Moves;

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
    let view = StateSnapshot::open(&target.project, &target.remote)?;
    let selection = AddressSelection::read(&args.addresses, || Ok(view.known()))?;
    let AddressSelection { addresses, is_single, .. } = selection;
    let wanted = ManifestEntries::read(output, &target, &view);
    let doubled = |address: &&Address| {
        let is_known = view.recorded.assets.contains_key(*address);
        is_known && matches!(wanted.get(address), Some(ManifestEntry::Unpinned | ManifestEntry::Renamed(_)))
    };
    let doubled: Vec<&Address> = addresses.iter().filter(doubled).collect();
    if let [first, rest @ ..] = doubled.as_slice()
        && !args.yes
    {
        let what = match rest {
            [] => wanted.would_upload(first),
            _ => format!(
                "{} are still in the manifest, so the next sync uploads them as new assets",
                plural(doubled.len() as u64, "asset")
            ),
        };
        if !asks(output, args.yes) {
            let hint = format!(
                "to prevent that, first {}; or add `--yes` to have {} uploaded again",
                wanted.way_out(&doubled),
                if rest.is_empty() { "it" } else { "them" }
            );
            return Err(CommandFailure::new(Exit::Unreconciled, what).hint(hint));
        }
        // No lock is taken and nothing has started: a signal just ends the process.
        if !tokio::task::block_in_place(|| ask_or(output, &[format!("{what}.")], "Nothing was forgotten.")) {
            return Ok(Exit::Unreconciled);
        }
    }
    let is_local = target::is_local(global);
    let request = Request::Forget { addresses: addresses.clone() };
    if let Some(answer) = through_service(output, global, &target, &request).await? {
        tell_of_service(output, &addresses, is_single, answer, &wanted, is_local);
        return Ok(Exit::Success);
    }
    let mut session = Session::open(&target.project, &target.remote, "macadam forget").await?;
    let forgotten = forget::forget(&mut session, &addresses).await;
    session.close().await;
    tell(output, &forgotten?, is_single, &wanted, is_local);
    Ok(Exit::Success)
}

/// What the manifest has of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
enum ManifestEntry {
    Pinned,
    Unpinned,
    /// Under this new name, which no sync has taken over yet.
    Renamed(Address),
}

/// The addresses that the manifest wants. `None`: a manifest that can't be used says nothing of what
/// the next sync does, and keeps nobody from forgetting.
struct ManifestEntries(Option<WantedAddresses>);

/// What the manifest wants.
struct WantedAddresses {
    entries: BTreeMap<Address, ManifestEntry>,
    /// Those with an entry of their own. A glob finds the others.
    named: BTreeSet<Address>,
}

impl ManifestEntries {
    fn read(output: Printer, target: &ProjectTarget, view: &StateSnapshot) -> Self {
        let Ok(gathered) = command_context::wanted(target, view) else { return Self(None) };
        warnings::warn(output, &gathered.notes);
        let moves = Moves::of(&gathered.desired, &view.recorded, &BTreeSet::new());
        let by_key = gathered.manifest.named().cloned().collect();
        let renamed = moves.taken.into_iter().map(|(to, moved)| (moved.from, ManifestEntry::Renamed(to)));
        let named = gathered.desired.assets.into_iter().map(|(address, want)| {
            (address, if want.pin.is_some() { ManifestEntry::Pinned } else { ManifestEntry::Unpinned })
        });
        Self(Some(WantedAddresses { entries: renamed.chain(named).collect(), named: by_key }))
    }

    fn get(&self, address: &Address) -> Option<&ManifestEntry> {
        self.0.as_ref()?.entries.get(address)
    }

    /// Whether the manifest still has it; `None`: it can't be read.
    fn contains(&self, address: &Address) -> Option<bool> {
        Some(self.0.as_ref()?.entries.contains_key(address))
    }

    /// How a person keeps the next sync from uploading these addresses.
    fn way_out(&self, addresses: &[&Address]) -> &'static str {
        let now = |address: &&Address| match self.get(address) {
            Some(ManifestEntry::Renamed(now)) => now.clone(),
            Some(ManifestEntry::Pinned | ManifestEntry::Unpinned) | None => (*address).clone(),
        };
        let is_named = |address: Address| self.0.as_ref().is_some_and(|wanted| wanted.named.contains(&address));
        let by_key = addresses.iter().filter(|address| is_named(now(address))).count();
        match (by_key, addresses.len()) {
            (1, 1) => "remove its entry from the manifest",
            (0, 1) => "move the file away, or `exclude` it in its glob",
            (0, _) => "move the files away, or `exclude` them in their globs",
            (all, of) if all == of => "remove their entries from the manifest",
            _ => "remove their entries from the manifest, and move the files that a glob finds away or `exclude` them",
        }
    }

    /// What the next sync does with an address that is forgotten and not pinned.
    fn would_upload(&self, address: &Address) -> String {
        match self.get(address) {
            Some(ManifestEntry::Renamed(now)) => {
                format!("the manifest calls {address} `{now}` now, so the next sync uploads it as a new asset")
            }
            _ => format!("{address} is still in the manifest, so the next sync uploads it as a new asset"),
        }
    }
}

/// Prints the service's answer, with what the manifest makes of it.
fn tell_of_service(
    output: Printer,
    addresses: &[Address],
    is_single: bool,
    mut answer: RequestDone,
    wanted: &ManifestEntries,
    is_local: bool,
) {
    if !output.is_json() {
        answer.notes.extend(addresses.iter().filter_map(|address| in_manifest(address, wanted)));
        match addresses {
            [address] if is_single => service_client::tell(output, address, answer, "forgotten:", is_local),
            several => service_client::tell_all(output, several, &answer, "forgotten:", is_local),
        }
        return;
    }
    let RequestDone { asset_id, revision, lockfile_written, has_command: _, notes } = answer;
    let end = vec![("notes", json!(notes)), ("lockfile_written", json!(lockfile_written)), ("by_service", json!(true))];
    let each = |address: &Address| {
        let more = vec![("in_manifest", json!(wanted.contains(address)))];
        (address.clone(), CommandResult { asset_id, revision, outcome: "done", more })
    };
    let mut told: Vec<(Address, CommandResult)> = addresses.iter().map(each).collect();
    match told.as_mut_slice() {
        [(address, told)] if is_single => {
            told.more.extend(end);
            output.document(&told.document(address));
        }
        several => output.document(&command_context::documents(several, end)),
    }
}

/// What the manifest makes of a forgotten address that it still has.
fn in_manifest(address: &Address, wanted: &ManifestEntries) -> Option<String> {
    Some(match wanted.get(address)? {
        ManifestEntry::Pinned => format!(
            "{address} is still pinned in the manifest, so it is on hold. `macadam unpin {address:#}` uploads it as a new asset"
        ),
        ManifestEntry::Unpinned | ManifestEntry::Renamed(_) => {
            format!("{}. To prevent that, {}", wanted.would_upload(address), wanted.way_out(&[address]))
        }
    })
}

fn tell(output: Printer, forgotten: &ForgetReport, is_single: bool, wanted: &ManifestEntries, is_local: bool) {
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
        if let Some(text) = in_manifest(address, wanted) {
            output.line(format!("{} {text}", paint(TextStyle::Warning, "note")));
        }
    }
    if *lockfile_written && !is_local {
        output.line("Commit the lockfile, or other machines still remember it.");
    }
}

fn told(forgotten: &ForgottenAddress, wanted: &ManifestEntries) -> CommandResult {
    let ForgottenAddress { address, asset_ids, shared, suspected } = forgotten;
    let numbers = |ids: &[AssetId]| ids.iter().map(|id| id.get()).collect::<Vec<_>>();
    let more = vec![
        ("asset_ids", json!(numbers(asset_ids))),
        ("shared_asset_ids", json!(numbers(shared))),
        ("possible_duplicates", json!(suspected)),
        ("in_manifest", json!(wanted.contains(address))),
    ];
    CommandResult { asset_id: asset_ids.last().copied(), revision: None, outcome: "done", more }
}

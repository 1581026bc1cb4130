//! `macadam forget`: an address leaves state and lockfile; the remote is left alone.

use serde_json::json;

use super::args::{ForgetArgs, Global};
use super::beside::{self, beside_service};
use super::exit::{Exit, Failure};
use super::hand::Told;
use super::output::{Output, Tone, paint};
use super::status::unknown_address;
use super::target;
use crate::engine::forget::{self, ForgetError, Forgotten};
use crate::engine::gather::read_manifest;
use crate::engine::progress::silent;
use crate::engine::session::Session;
use crate::model::address::Address;
use crate::model::ids::AssetId;
use crate::model::request::Request;

impl From<ForgetError> for Failure {
    fn from(error: ForgetError) -> Self {
        match error {
            ForgetError::Book(error) => error.into(),
            ForgetError::Lockfile(error) => error.into(),
            ForgetError::Unknown { address, known } => {
                unknown_address(address.as_str(), known.iter().map(Address::as_str))
            }
            error => Self::of(Exit::Unreconciled, &error, error.hint()),
        }
    }
}

/// Forgets one address. Needs no key.
pub async fn run(output: Output, global: &Global, args: &ForgetArgs) -> Result<Exit, Failure> {
    let address = target::address(&args.address)?;
    let target = target::find(global)?;
    let request = Request::Forget { address: address.clone() };
    if let Some(answer) = beside_service(output, global, &target, &request).await? {
        beside::tell(output, &address, answer, "forgotten:", global.emulator);
        return Ok(Exit::Success);
    }
    let mut session = Session::open(&target.project, &target.remote, "macadam forget").await?;
    let forgotten = forget::forget(&mut session, &address).await;
    // A manifest that can't be used says nothing of what the next sync does, and keeps nobody from forgetting.
    let wanted = match (&forgotten, read_manifest(&target.project)) {
        (Ok(_), Ok(_)) => session.wanted(silent()).await.ok().map(|desired| desired.assets.contains_key(&address)),
        _ => None,
    };
    session.close().await;
    tell(output, &address, &forgotten?, wanted, global.emulator);
    Ok(Exit::Success)
}

fn tell(output: Output, address: &Address, forgotten: &Forgotten, wanted: Option<bool>, rehearsal: bool) {
    let Forgotten { asset_ids, shared, lockfile_written } = forgotten;
    let numbers = |ids: &[AssetId]| ids.iter().map(|id| id.get()).collect::<Vec<_>>();
    if output.is_json() {
        let more = vec![
            ("asset_ids", json!(numbers(asset_ids))),
            ("shared_asset_ids", json!(numbers(shared))),
            ("in_manifest", json!(wanted)),
            ("lockfile_written", json!(lockfile_written)),
        ];
        let told = Told { asset_id: asset_ids.last().copied(), revision: None, outcome: "done", more };
        output.document(&told.document(address));
        return;
    }
    let names = |ids: &[AssetId]| ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let what = if asset_ids.is_empty() { "it had no asset".to_owned() } else { format!("it had {}", names(asset_ids)) };
    output.line(format!("{} {address}; {what}, which Roblox keeps", paint(Tone::Good, "forgotten:")));
    if !shared.is_empty() {
        output.line(format!("{} other addresses still have {}", paint(Tone::Quiet, "note"), names(shared)));
    }
    if wanted == Some(true) {
        let text = "it is in the manifest: the next `macadam sync --once` creates it anew";
        output.line(format!("{} {text}", paint(Tone::Warning, "note")));
    }
    if *lockfile_written && !rehearsal {
        output.line("commit the lockfile, or the next machine remembers it");
    }
}

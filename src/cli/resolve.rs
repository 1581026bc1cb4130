//! `macadam resolve` and `macadam retry`: what a person decides about a create in doubt, or about a
//! refusal.

use std::sync::Arc;

use serde_json::json;

use super::args::{Global, ResolveArgs, RetryArgs};
use super::exit::{CommandFailure, Exit};
use super::output::{Printer, TextStyle, paint};
use super::selection::{AddressSelection, Candidates};
use super::service_client::through_service;
use super::target::{self, ProjectTarget, address};
use crate::engine::commands::resolve::{self, RepairError};
use crate::engine::execute::context::ExecutionContext;
use crate::engine::reconcile::shutdown::Shutdown;
use crate::engine::report::progress::silent;
use crate::engine::workspace::session::Session;
use crate::engine::workspace::snapshot::StateSnapshot;
use crate::model::address::Address;
use crate::model::ids::AssetId;
use crate::model::request::{Request, Resolution};

impl From<RepairError> for CommandFailure {
    fn from(error: RepairError) -> Self {
        match error {
            RepairError::Command(error) => error.into(),
            error => Self::of(Exit::Unreconciled, &error, error.hint()),
        }
    }
}

/// Records the outcome of an upload that was unknown.
pub(super) async fn resolve(output: Printer, global: &Global, args: &ResolveArgs) -> Result<Exit, CommandFailure> {
    let address = address(&args.address)?;
    let asset_id = args.asset_id;
    let target = target::find(global)?;
    let found = match asset_id {
        Some(asset_id) => Resolution::Asset(asset_id),
        None if args.no_duplicate => Resolution::NoDuplicate,
        None => Resolution::Nothing,
    };
    let request = Request::Resolve { address: address.clone(), found };
    let by_service = through_service(output, global, &target, &request).await?.is_some();
    if !by_service {
        resolve_alone(global, &target, &address, found).await?;
    }
    if output.is_json() {
        output.document(&json!({
            "address": address.as_str(), "asset_id": asset_id.map(AssetId::get), "recreate": args.recreate,
            "no_duplicate": args.no_duplicate, "by_service": by_service,
        }));
    } else {
        let commit = if target::is_local(global) { "" } else { ". Commit the lockfile" };
        let done = match found {
            Resolution::Asset(asset_id) => format!("{address} is asset {asset_id}{commit}"),
            Resolution::NoDuplicate => format!("{address} has no duplicate{commit}"),
            Resolution::Nothing => format!("{} uploads {address} again", next(by_service)),
        };
        output.line(format!("{} {done}", paint(TextStyle::Good, "resolved:")));
    }
    Ok(Exit::Success)
}

/// The process that does the rest.
const fn next(by_service: bool) -> &'static str {
    if by_service { "the running `macadam sync`" } else { "the next `macadam sync --once`" }
}

async fn resolve_alone(
    global: &Global,
    target: &ProjectTarget,
    address: &Address,
    found: Resolution,
) -> Result<(), CommandFailure> {
    let mut session = Session::open(&target.project, &target.remote, "macadam resolve").await?;
    let settled = settle(global, target, &mut session, address, found).await;
    session.close().await;
    settled
}

async fn settle(
    global: &Global,
    target: &ProjectTarget,
    session: &mut Session,
    address: &Address,
    found: Resolution,
) -> Result<(), CommandFailure> {
    match found {
        Resolution::Asset(asset_id) => {
            let (client, embedded) = target::connect(global, target, target::credential(global, target)?).await?;
            let context = ExecutionContext::new(session, Arc::new(client), silent(), Shutdown::default(), 1).await?;
            let settled = resolve::resolve_with(&context, address, asset_id).await;
            if let Some(embedded) = embedded {
                embedded.stop().await;
            }
            settled?;
        }
        Resolution::Nothing => resolve::recreate(&session.state_cache, address).await?,
        Resolution::NoDuplicate => resolve::no_duplicate(&session.state_cache, address).await?,
    }
    session.keep(Some(address)).await?;
    Ok(())
}

/// Lets the next sync try refused assets again.
pub(super) async fn retry(output: Printer, global: &Global, args: &RetryArgs) -> Result<Exit, CommandFailure> {
    let target = target::find(global)?;
    let resting = || -> Result<Candidates, CommandFailure> {
        let view = StateSnapshot::open(&target.project, &target.remote)?;
        let resting = view.recorded.assets.iter().filter(|(_, record)| record.blocked.is_some());
        let eligible = resting.map(|(address, _)| address.clone()).collect();
        Ok(Candidates { eligible, known: view.known(), what: "needs `macadam retry`: Roblox refused none of them" })
    };
    let addresses: Vec<Address> = if args.all {
        resting()?.eligible.into_iter().collect()
    } else {
        AddressSelection::read(&args.addresses, resting)?.addresses
    };
    if addresses.is_empty() {
        let nothing = "there is nothing to retry: Roblox refused no asset, and none waits for another try";
        return Err(CommandFailure::new(Exit::Unreconciled, nothing)
            .hint("`macadam status` shows what is on hold or failed, and why"));
    }
    let request = Request::Retry { addresses: addresses.clone() };
    let by_service = through_service(output, global, &target, &request).await?.is_some();
    if !by_service {
        let session = Session::open(&target.project, &target.remote, "macadam retry").await?;
        let done = resolve::retry(&session.state_cache, &addresses).await;
        session.close().await;
        done?;
    }
    if output.is_json() {
        let names: Vec<&str> = addresses.iter().map(Address::as_str).collect();
        output.document(&json!({ "addresses": names, "by_service": by_service }));
    } else {
        output.line(format!("{} {} tries again", paint(TextStyle::Good, "OK:"), next(by_service)));
    }
    Ok(Exit::Success)
}

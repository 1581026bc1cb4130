//! `macadam resolve` and `macadam retry`: what a person decides about a create in doubt, or about a refusal.

use std::sync::Arc;

use serde_json::json;

use super::args::{Global, ResolveArgs, RetryArgs};
use super::beside::beside_service;
use super::exit::{Exit, Failure};
use super::output::{Output, Tone, paint};
use super::selection::{Candidates, Selection};
use super::target::{self, Target, address};
use crate::engine::hands::Hands;
use crate::engine::progress::silent;
use crate::engine::repair::{self, RepairError};
use crate::engine::session::Session;
use crate::engine::stop::StopSwitch;
use crate::engine::view::View;
use crate::model::address::Address;
use crate::model::ids::AssetId;
use crate::model::request::{Found, Request};

impl From<RepairError> for Failure {
    fn from(error: RepairError) -> Self {
        match error {
            RepairError::Book(error) => error.into(),
            error if error.is_credential() => Self::of(Exit::Credential, &error, error.hint()),
            error => Self::of(Exit::Unreconciled, &error, error.hint()),
        }
    }
}

/// Settles a create in doubt.
pub async fn resolve(output: Output, global: &Global, args: &ResolveArgs) -> Result<Exit, Failure> {
    let address = address(&args.address)?;
    let asset_id =
        args.asset_id.map(AssetId::new).transpose().map_err(|error| Failure::of(Exit::Usage, &error, None))?;
    let target = target::find(global)?;
    let found = match asset_id {
        Some(asset_id) => Found::Asset(asset_id),
        None if args.no_duplicate => Found::NoDuplicate,
        None => Found::Nothing,
    };
    let request = Request::Resolve { address: address.clone(), found };
    let by_service = beside_service(output, global, &target, &request).await?.is_some();
    if !by_service {
        resolve_alone(global, &target, &address, found).await?;
    }
    if output.is_json() {
        output.document(&json!({
            "address": address.as_str(), "asset_id": args.asset_id, "recreate": args.recreate,
            "no_duplicate": args.no_duplicate, "by_service": by_service,
        }));
    } else {
        let done = match found {
            Found::Asset(asset_id) => format!("asset {asset_id} is recorded for {address}; commit the lockfile"),
            Found::NoDuplicate => format!("there is no duplicate of {address}; commit the lockfile"),
            Found::Nothing => format!("{} uploads {address} again", next(by_service)),
        };
        output.line(format!("{} {done}", paint(Tone::Good, "resolved:")));
    }
    Ok(Exit::Success)
}

/// Who does the rest.
const fn next(by_service: bool) -> &'static str {
    if by_service { "the service" } else { "the next `macadam sync --once`" }
}

async fn resolve_alone(global: &Global, target: &Target, address: &Address, found: Found) -> Result<(), Failure> {
    let mut session = Session::open(&target.project, &target.remote, "macadam resolve").await?;
    let settled = settle(global, target, &mut session, address, found).await;
    session.close().await;
    settled
}

async fn settle(
    global: &Global,
    target: &Target,
    session: &mut Session,
    address: &Address,
    found: Found,
) -> Result<(), Failure> {
    match found {
        Found::Asset(asset_id) => {
            let (client, embedded) = target::connect(global, target, target::credential(global)?).await?;
            let hands = Hands::new(session, Arc::new(client), silent(), StopSwitch::default(), 1).await?;
            let settled = repair::resolve_with(&hands, address, asset_id).await;
            if let Some(embedded) = embedded {
                embedded.stop().await;
            }
            settled?;
        }
        Found::Nothing => repair::recreate(&session.book, address).await?,
        Found::NoDuplicate => repair::no_duplicate(&session.book, address).await?,
    }
    session.keep(Some(address)).await?;
    Ok(())
}

/// Makes refused assets due again.
pub async fn retry(output: Output, global: &Global, args: &RetryArgs) -> Result<Exit, Failure> {
    let target = target::find(global)?;
    let resting = || {
        let view = View::open(&target.project, &target.remote)?;
        let resting = view.recorded.assets.iter().filter(|(_, record)| record.trouble.is_some());
        let eligible = resting.map(|(address, _)| address.clone()).collect();
        Ok(Candidates { eligible, known: view.known(), what: "waits for `macadam retry`: nothing of them was refused" })
    };
    let addresses = Selection::read(&args.addresses, resting)?.addresses;
    let request = Request::Retry { addresses: addresses.clone() };
    let by_service = beside_service(output, global, &target, &request).await?.is_some();
    if !by_service {
        let session = Session::open(&target.project, &target.remote, "macadam retry").await?;
        let done = repair::retry(&session.book, &addresses).await;
        session.close().await;
        done?;
    }
    if output.is_json() {
        let names: Vec<&str> = addresses.iter().map(Address::as_str).collect();
        output.document(&json!({ "addresses": names, "by_service": by_service }));
    } else {
        output.line(format!("{} {} tries again", paint(Tone::Good, "due:"), next(by_service)));
    }
    Ok(Exit::Success)
}

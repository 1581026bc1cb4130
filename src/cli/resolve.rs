//! `macadam resolve` and `macadam retry`: what a person decides about an upload in doubt, or about a
//! refusal.

use std::sync::Arc;

use serde_json::json;

use super::args::{Global, ResolveArgs, RetryArgs};
use super::exit::{CommandFailure, Exit};
use super::output::{Printer, TextStyle, paint, plural};
use super::renamed;
use super::selection::{AddressSelection, Candidates};
use super::service_client::{is_served, through_service};
use super::target::{self, ProjectTarget, address};
use super::unknown::unknown_address;
use super::warnings;
use crate::engine::commands::resolve::{self, RepairError};
use crate::engine::commands::retry::{self, RetryError};
use crate::engine::execute::context::ExecutionContext;
use crate::engine::reconcile::shutdown::Shutdown;
use crate::engine::report::progress::silent;
use crate::engine::workspace::session::Session;
use crate::engine::workspace::snapshot::{self, PlanPreview, StateSnapshot};
use crate::model::address::Address;
use crate::model::ids::AssetId;
use crate::model::minute::Minute;
use crate::model::request::{Request, Resolution};
use crate::plan::{PlanOptions, current};
use crate::platform::clock;
use crate::state::stoppage::{self, Stoppage, StoppedWork};

impl From<RepairError> for CommandFailure {
    fn from(error: RepairError) -> Self {
        match error {
            RepairError::Command(error) => error.into(),
            error => {
                let unknown = error.unknown().map(ToString::to_string);
                Self { unknown, ..Self::of(Exit::Unreconciled, &error, error.hint()) }
            }
        }
    }
}

impl From<RetryError> for CommandFailure {
    fn from(error: RetryError) -> Self {
        match error {
            RetryError::Command(error) => error.into(),
            error @ RetryError::Partly { .. } => {
                let failure = Self::of(Exit::Unreconciled, &error, error.hint());
                match error.only() {
                    Some(address) => failure.unknown(address.as_str()),
                    None => failure,
                }
            }
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
    let answer = through_service(output, global, &target, &request).await?;
    let by_service = answer.is_some();
    if !by_service {
        resolve_alone(global, &target, &address, found).await?;
    }
    if output.is_json() {
        output.document(&json!({
            "address": address.as_str(), "asset_id": asset_id.map(AssetId::get), "recreate": args.recreate,
            "no_duplicate": args.no_duplicate, "by_service": by_service,
        }));
    } else {
        let is_left = answer.is_none_or(|answer| !answer.has_command);
        let commit = if is_left && !target::is_local(global) { ". Commit the lockfile" } else { "" };
        let done = match found {
            Resolution::Asset(asset_id) => match used_beside(&target, &address, asset_id) {
                Some(used) => {
                    format!("asset {asset_id} is the second copy of {address}, which keeps using asset {used}{commit}")
                }
                None => format!("asset {asset_id} is the upload of {address}{commit}"),
            },
            Resolution::NoDuplicate => format!("there is no second copy of {address} on Roblox{commit}"),
            Resolution::Nothing => match used_instead(&target, &address).filter(|_| !by_service) {
                Some(used) => format!("nothing is uploaded again: {address} has asset {used} already{commit}"),
                None => format!("{} uploads {address} again", next(by_service)),
            },
        };
        output.line(format!("{} {done}", paint(TextStyle::Good, "resolved:")));
        renamed::tell(output, &target, &[address]);
    }
    Ok(Exit::Success)
}

/// Returns the asset that an address uses, if it is another one than `asset_id`.
fn used_beside(target: &ProjectTarget, address: &Address, asset_id: AssetId) -> Option<AssetId> {
    let view = StateSnapshot::open(&target.project, &target.remote).ok()?;
    let (key, _) = current::last(view.recorded.assets.get(address)?)?;
    (key.asset_id != asset_id).then_some(key.asset_id)
}

/// Returns the asset that an address uses, if the next sync uploads nothing for it.
fn used_instead(target: &ProjectTarget, address: &Address) -> Option<AssetId> {
    let look = || snapshot::preview(&target.project, &target.remote, &silent(), &PlanOptions::default());
    let PlanPreview { recorded, plan, .. } = tokio::task::block_in_place(look).ok()?;
    let (key, _) = current::last(recorded.assets.get(address)?)?;
    let is_open = plan.steps.iter().map(|step| &step.address).chain(plan.held.iter().map(|hold| &hold.address));
    (!is_open.into_iter().any(|open| open == address)).then_some(key.asset_id)
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
    let settled = match settled {
        Err(SettleError::Repair(error @ RepairError::Unknown { .. })) => {
            let wanted = session.wanted(silent()).await;
            Err(wanted.map_or_else(CommandFailure::from, |desired| match error.for_wanted(&desired) {
                RepairError::Unknown { address } => session.state_cache.read(|recorded| {
                    let known = recorded.assets.keys().chain(desired.assets.keys());
                    unknown_address(address.as_str(), known.map(Address::as_str))
                }),
                error => error.into(),
            }))
        }
        settled => settled.map_err(CommandFailure::from),
    };
    session.close().await;
    settled
}

/// Why an upload was not settled.
enum SettleError {
    Repair(RepairError),
    Failure(CommandFailure),
}

impl From<RepairError> for SettleError {
    fn from(error: RepairError) -> Self {
        Self::Repair(error)
    }
}

impl From<SettleError> for CommandFailure {
    fn from(error: SettleError) -> Self {
        match error {
            SettleError::Repair(error) => error.into(),
            SettleError::Failure(failure) => failure,
        }
    }
}

async fn settle(
    global: &Global,
    target: &ProjectTarget,
    session: &mut Session,
    address: &Address,
    found: Resolution,
) -> Result<(), SettleError> {
    let failed = SettleError::Failure;
    match found {
        Resolution::Asset(asset_id) => {
            let credential = target::credential(global, target).map_err(failed)?;
            let (client, embedded) = target::connect(global, target, credential).await.map_err(failed)?;
            let context = ExecutionContext::new(session, Arc::new(client), silent(), Shutdown::default(), 1).await;
            let context = context.map_err(|error| failed(error.into()))?;
            let settled = resolve::resolve_with(&context, address, asset_id).await;
            if let Some(embedded) = embedded {
                embedded.stop().await;
            }
            settled?;
        }
        Resolution::Nothing => resolve::recreate(&session.state_cache, address).await?,
        Resolution::NoDuplicate => resolve::no_duplicate(&session.state_cache, address).await?,
    }
    session.keep(Some(address)).await.map_err(|error| failed(error.into()))?;
    Ok(())
}

/// Lets the next sync try refused assets again.
pub(super) async fn retry(output: Printer, global: &Global, args: &RetryArgs) -> Result<Exit, CommandFailure> {
    let target = target::find(global)?;
    let candidates = || {
        let look = || snapshot::preview(&target.project, &target.remote, &silent(), &PlanOptions::default());
        let PlanPreview { gathered, recorded, .. } = tokio::task::block_in_place(look)?;
        let eligible = retry::eligible(&gathered.desired, &recorded, clock::now()).into_iter().cloned().collect();
        let known = recorded.assets.keys().chain(gathered.desired.assets.keys()).cloned().collect();
        Ok(Candidates { eligible, known, what: "can be helped by `macadam retry`" })
    };
    let stopped = tokio::task::block_in_place(|| stoppage::read(&target.project.state, StoppedWork::Uploads));
    // A service tries the key that is there now, too.
    let tries_key = stopped.is_some() && is_served(&target)?;
    let addresses = if args.all {
        let Candidates { eligible, .. } = candidates()?;
        let look = || snapshot::preview(&target.project, &target.remote, &silent(), &PlanOptions::default());
        if eligible.is_empty()
            && !tries_key
            && let PlanPreview { gathered, recorded, .. } = tokio::task::block_in_place(look)?
            && let not @ [_, ..] = retry::helpless(&gathered.desired, &recorded, clock::now()).as_slice()
        {
            return Err(RetryError::Partly { done: 0, not: not.to_vec() }.into());
        }
        if eligible.is_empty() && !tries_key {
            if let Some(stoppage) = &stopped {
                return Err(retry_after(stoppage));
            }
            let message = "there is nothing to retry: Roblox refused no asset, and none waits for another try";
            return Err(CommandFailure::new(Exit::Unreconciled, message)
                .hint("`macadam status` shows what is on hold, and what helps"));
        }
        eligible.into_iter().collect()
    } else {
        AddressSelection::read(&args.addresses, candidates)?.addresses
    };
    let request = Request::Retry { addresses: addresses.clone() };
    let by_service = through_service(output, global, &target, &request).await?.is_some();
    if !by_service {
        // The service ended meanwhile.
        if let Some(stoppage) = stopped.as_ref().filter(|_| addresses.is_empty()) {
            return Err(retry_after(stoppage));
        }
        let mut session = Session::open(&target.project, &target.remote, "macadam retry").await?;
        let wanted = session.wanted(silent()).await;
        let done = match wanted {
            Ok(desired) => retry::retry(&session.state_cache, &desired, &addresses).await.map_err(|error| {
                let known = || desired.assets.keys().map(Address::as_str);
                let unknown = error.unknown().map(|address| unknown_address(address.as_str(), known()));
                unknown.unwrap_or_else(|| error.into())
            }),
            Err(error) => Err(error.into()),
        };
        warnings::warn(output, &session.notes);
        session.close().await;
        done?;
    }
    if output.is_json() {
        let names: Vec<&str> = addresses.iter().map(Address::as_str).collect();
        output.document(&json!({ "addresses": names, "by_service": by_service }));
    } else {
        let names = match addresses.as_slice() {
            [] => "the API key".to_owned(),
            [address] => address.to_string(),
            several => plural(several.len() as u64, "asset"),
        };
        output.line(format!("{} {} tries {names} again", paint(TextStyle::Good, "OK:"), next(by_service)));
        if let Some(restart) = stopped.and_then(|stopped| stopped.restart).filter(|_| by_service) {
            output.warning(retry::keeps_key(&restart));
        }
        renamed::tell(output, &target, &addresses);
    }
    Ok(Exit::Success)
}

/// What to do where Roblox refused no single asset, but the key.
fn retry_after(stoppage: &Stoppage) -> CommandFailure {
    let Stoppage { since, message, .. } = stoppage;
    let message = format!("no single asset was refused: {message} (since {})", Minute(*since));
    CommandFailure::new(Exit::Unreconciled, message).hint(retry::way_on(stoppage, false))
}

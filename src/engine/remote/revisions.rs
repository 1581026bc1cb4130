//! Compares the revisions of one address at Roblox with those in its history.
//!
//! It only asks: it takes no lock, writes nothing, and concludes nothing. Revisions that were made
//! elsewhere are shown, not adopted; adopting them is a sync's business. A revision that Roblox
//! doesn't mention is not a missing one: [`RemoteStatus::Unknown`] and [`RemoteStatus::Missing`]
//! differ.

use std::collections::BTreeMap;

use crate::cloud::backoff::Backoff;
use crate::cloud::class::{Class, Later, Refusal};
use crate::cloud::client::Client;
use crate::cloud::endpoint::Endpoint;
use crate::cloud::failure::{ApiReply, Failure};
use crate::cloud::wire::version::{RemoteVersion, VersionList};
use crate::engine::remote::fetch::{self, AssetQuery};
use crate::engine::remote::throttle::Throttle;
use crate::engine::report::progress::{Listener, ProgressEvent};
use crate::model::asset::{ContentChange, Moderation};
use crate::model::history::{History, RevisionFact, RevisionKey};
use crate::model::ids::{AssetId, Revision};
use crate::model::recorded::Record;
use crate::model::remote::RemoteAsset;
use crate::model::urgency::Urgency;

/// The number of tries before a failure is reported: a person waits for it at a terminal.
const TRIES: u32 = 3;

/// The most pages of one list that are read, of 50 versions each: a page is a request, and a person
/// waits for it at a terminal.
const MAX_PAGES: u32 = 40;

/// Roblox's statement about one revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RemoteStatus {
    /// Roblox was not asked, or didn't say.
    Unknown,
    /// Roblox was asked, and doesn't have it.
    Missing,
    /// Roblox has it.
    Present(RemoteFacts),
}

/// The facts that Roblox sent about a revision that it has; `None` if it left the fact out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct RemoteFacts {
    /// Its moderation state.
    pub moderation: Option<Moderation>,
    /// Whether it is the version in use.
    pub published: Option<bool>,
    /// Whether its asset is archived.
    pub archived: Option<bool>,
}

/// One revision, in the history and at Roblox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RemoteRevision {
    pub key: RevisionKey,
    /// The history's fact; `None` for a revision that was made elsewhere.
    pub fact: Option<RevisionFact>,
    /// Roblox's statement.
    pub remote: RemoteStatus,
}

/// The revisions of one address, in the history and at Roblox.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct RemoteHistory {
    /// Every revision that either side knows, in the order in which people count them.
    pub revisions: Vec<RemoteRevision>,
    /// Gaps in the result, with the reason.
    pub notes: Vec<String>,
}

/// Roblox's response about one asset.
#[derive(Debug)]
enum FetchResult {
    Gone,
    Asset(Box<RemoteAsset>),
    Versions(VersionList),
}

/// Asks Roblox for the revisions of an address. If its type has versions, this lists those of
/// `current`, its asset now; otherwise it fetches each asset that the address ever had.
///
/// # Errors
/// When Roblox could not be reached, or refused the key or the asset. An asset that is gone is not
/// an error.
pub(crate) async fn ask(
    client: &Client,
    throttle: &Throttle,
    record: &Record,
    current: Option<AssetId>,
    listener: &Listener,
) -> Result<RemoteHistory, Failure> {
    let asset_type = record.identity.asset_type;
    let in_place = asset_type.on_content_change() == ContentChange::InPlace;
    let current = current.or_else(|| record.newest().map(|(key, _)| key.asset_id));
    let (mut answers, mut notes) = (Vec::new(), Vec::new());
    for asset_id in assets(&record.history) {
        let answer = if in_place && Some(asset_id) == current {
            versions(client, throttle, asset_id, listener, &mut notes).await?
        } else {
            fetch(client, throttle, asset_id).await?
        };
        answers.push((asset_id, answer));
    }
    if !in_place {
        notes.push(format!("Roblox keeps no versions of the type {asset_type}: each asset was asked for itself"));
    }
    let revisions = merge(&record.history, in_place, &answers, &mut notes);
    Ok(RemoteHistory { revisions, notes })
}

/// Asks Roblox for a single revision. A revision that Roblox doesn't have is not an error.
///
/// # Errors
/// As for [`ask()`].
pub(crate) async fn ask_one(
    client: &Client,
    throttle: &Throttle,
    record: &Record,
    key: RevisionKey,
) -> Result<RemoteStatus, Failure> {
    let asset_id = key.asset_id;
    let Some(revision) = key.version else {
        return Ok(match fetch(client, throttle, asset_id).await? {
            FetchResult::Asset(asset) => of_asset(&asset, key, false),
            FetchResult::Gone | FetchResult::Versions(_) => RemoteStatus::Missing,
        });
    };
    debug_assert_eq!(record.identity.asset_type.on_content_change(), ContentChange::InPlace, "it has versions");
    let get = async || client.get_version(asset_id, revision).await;
    match with_retries(async || in_turn(throttle, Endpoint::GetVersion, get).await).await {
        Ok(RemoteVersion { moderation, published, .. }) => {
            Ok(RemoteStatus::Present(RemoteFacts { moderation, published, archived: None }))
        }
        Err(failure) if failure.is_not_found() => Ok(RemoteStatus::Missing),
        Err(failure) => Err(failure),
    }
}

/// Returns every asset of a history, in the order in which people count them.
fn assets(history: &History) -> Vec<AssetId> {
    let mut assets: Vec<AssetId> = history.in_order().iter().map(|(key, _)| key.asset_id).collect();
    assets.dedup();
    assets
}

async fn fetch(client: &Client, throttle: &Throttle, asset_id: AssetId) -> Result<FetchResult, Failure> {
    match with_retries(async || fetch::fetch(client, throttle, AssetQuery::plain(asset_id)).await).await {
        Ok(asset) => Ok(FetchResult::Asset(Box::new(asset))),
        Err(failure) if failure.is_not_found() => Ok(FetchResult::Gone),
        Err(failure) => Err(failure),
    }
}

/// Lists all versions of an asset. A refused or empty list says nothing about the asset, so the
/// asset itself is fetched then.
async fn versions(
    client: &Client,
    throttle: &Throttle,
    asset_id: AssetId,
    listener: &Listener,
    notes: &mut Vec<String>,
) -> Result<FetchResult, Failure> {
    let mut list = VersionList::new(asset_id);
    let mut refused = None;
    let mut pages = 0;
    while !list.is_complete() && refused.is_none() && pages < MAX_PAGES {
        let mut page = async || client.list_versions(&mut list).await;
        match with_retries(async || in_turn(throttle, Endpoint::ListVersions, &mut page).await).await {
            Ok(()) => {
                pages += 1;
                let versions = list.versions().len() as u64;
                listener(ProgressEvent::Listed { asset_id, versions });
                tracing::info!(asset_id = asset_id.get(), versions, "read a page of Roblox's list of versions");
            }
            Err(failure) if matches!(failure.class, Class::Refused(Refusal::NotFound | Refusal::Invalid)) => {
                refused = Some(failure);
            }
            Err(failure) => return Err(failure),
        }
    }
    if refused.is_none() && !list.versions().is_empty() {
        if !list.is_complete() {
            let shown = list.versions().len();
            notes.push(format!(
                "Roblox lists more versions of asset {asset_id}: only the newest {shown} were read; `macadam history ADDRESS REVISION --remote` asks for an older one"
            ));
        }
        return Ok(FetchResult::Versions(list));
    }
    let answer = fetch(client, throttle, asset_id).await?;
    if !matches!(answer, FetchResult::Gone) {
        let why = refused.map(|failure| format!(": {failure}")).unwrap_or_default();
        notes.push(format!("Roblox lists no versions of asset {asset_id}{why}"));
    }
    Ok(answer)
}

/// Sends a request through the throttle.
async fn in_turn<T>(
    throttle: &Throttle,
    endpoint: Endpoint,
    mut send: impl AsyncFnMut() -> ApiReply<T>,
) -> Result<T, Failure> {
    let permit = throttle.acquire(endpoint, Urgency::Rescue).await;
    let reply = send().await;
    throttle.release(permit, &reply);
    reply.result
}

/// Asks, and again where a retry may help.
async fn with_retries<T>(mut ask: impl AsyncFnMut() -> Result<T, Failure>) -> Result<T, Failure> {
    let mut failures = 0;
    loop {
        let failure = match ask().await {
            Ok(result) => return Ok(result),
            Err(failure) => failure,
        };
        failures += 1;
        if failures == TRIES || !may_pass(&failure) {
            return Err(failure);
        }
        // The throttle itself waits for a refused budget.
        if failure.class != Class::TryLater(Later::RateLimited) {
            tokio::time::sleep(Backoff::BUDGET.delay(failures, fastrand::f64())).await;
        }
    }
}

/// Returns whether the same request may succeed a moment later. A successful response that can't be
/// understood will not change.
fn may_pass(failure: &Failure) -> bool {
    match failure.class {
        Class::TryLater(_) => true,
        Class::NeverSent(_) | Class::InDoubt | Class::CouldNotAsk => !matches!(failure.status, Some(200..=299)),
        Class::Refused(_) => false,
    }
}

/// Merges the history with the responses.
fn merge(
    history: &History,
    in_place: bool,
    answers: &[(AssetId, FetchResult)],
    notes: &mut Vec<String>,
) -> Vec<RemoteRevision> {
    let mut merged = Vec::new();
    for (asset_id, answer) in answers {
        let known = history.of_asset(*asset_id).map(|(key, fact)| (key, *fact));
        match answer {
            FetchResult::Gone => merged.extend(known.map(|(key, fact)| seen(key, fact, RemoteStatus::Missing))),
            FetchResult::Asset(asset) => {
                merged.extend(known.map(|(key, fact)| seen(key, fact, of_asset(asset, key, in_place))));
            }
            FetchResult::Versions(list) => {
                if list.may_be_cut() && oldest(list).is_some_and(|revision| revision.get() > 1) {
                    notes.push(format!("Roblox lists only the newest {} versions", list.versions().len()));
                }
                merged.extend(of_versions(*asset_id, known.collect(), list));
            }
        }
    }
    merged
}

const fn seen(key: RevisionKey, fact: RevisionFact, remote: RemoteStatus) -> RemoteRevision {
    RemoteRevision { key, fact: Some(fact), remote }
}

/// Returns what an asset says about one of its revisions. For a Model, its moderation concerns only
/// the newest version.
fn of_asset(asset: &RemoteAsset, key: RevisionKey, in_place: bool) -> RemoteStatus {
    if in_place && asset.revision.is_none_or(|head| key.version.is_some_and(|version| version > head)) {
        return RemoteStatus::Unknown;
    }
    let moderation = asset.moderation.filter(|_| !in_place || key.version == asset.revision);
    RemoteStatus::Present(RemoteFacts { moderation, published: None, archived: asset.archived })
}

fn oldest(list: &VersionList) -> Option<Revision> {
    list.versions().iter().map(|version| version.revision).min()
}

/// Returns the revisions of an asset that has versions, oldest first.
fn of_versions(asset_id: AssetId, known: Vec<(RevisionKey, RevisionFact)>, list: &VersionList) -> Vec<RemoteRevision> {
    let listed: BTreeMap<Revision, &RemoteVersion> = list.versions().iter().map(|v| (v.revision, v)).collect();
    // Roblox omits the field for an unpublished version, and some responses omit it for all.
    let has_published = listed.values().any(|version| version.published.is_some());
    let facts = |version: &RemoteVersion| {
        let published = has_published.then(|| version.published.unwrap_or(false));
        RemoteStatus::Present(RemoteFacts { moderation: version.moderation, published, archived: None })
    };
    let cut_below = oldest(list).filter(|_| list.may_be_cut() || !list.is_complete());
    let mut all: BTreeMap<Option<Revision>, RemoteRevision> = BTreeMap::new();
    for (key, fact) in known {
        let remote = match (key.version, key.version.and_then(|version| listed.get(&version))) {
            (_, Some(version)) => facts(version),
            (Some(version), None) if cut_below.is_none_or(|oldest| version > oldest) => RemoteStatus::Missing,
            (Some(_) | None, None) => RemoteStatus::Unknown,
        };
        all.insert(key.version, seen(key, fact, remote));
    }
    for (revision, version) in &listed {
        let key = RevisionKey { asset_id, version: Some(*revision) };
        all.entry(key.version).or_insert(RemoteRevision { key, fact: None, remote: facts(version) });
    }
    all.into_values().collect()
}

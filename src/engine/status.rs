//! What is known of each address, in one row. Reads no asset file: a file counts as it was last looked at, as long as its size and times are the same.

use std::collections::{BTreeMap, BTreeSet};

use super::gather::{GatherError, absences, read_manifest};
use super::project::Project;
use super::view::{View, ViewError};
use crate::files;
use crate::model::address::Address;
use crate::model::asset::{AssetType, Moderation};
use crate::model::desired::{Desired, Finding, Findings, Pin};
use crate::model::file::{FileCache, FileProblem};
use crate::model::history::{RevisionFact, RevisionKey, Standing};
use crate::model::ids::{AssetId, ContentHash};
use crate::model::path::ProjectPath;
use crate::model::phase::Phase;
use crate::model::recorded::{Record, Recorded, Trouble};
use crate::plan::current::{current, last};
use crate::plan::{Hold, HoldKind, Wishes, plan};
use crate::platform::clock;
use crate::platform::fingerprint;

/// How an address stands; the first that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AssetState {
    /// A person has to decide.
    Held,
    /// Moderation rejected its content.
    Rejected,
    /// Its file can't be used, or Roblox refused it.
    Failed,
    /// Something of it is under way.
    InProgress,
    /// Its asset is archived.
    Archived,
    /// It left the manifest.
    Removed,
    /// It is held at a revision.
    Pinned,
    /// The next sync has something to do for it.
    Pending,
    /// The remote matches.
    Synced,
}

impl AssetState {
    /// The name in output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
            Self::InProgress => "in_progress",
            Self::Archived => "archived",
            Self::Removed => "removed",
            Self::Pinned => "pinned",
            Self::Pending => "pending",
            Self::Synced => "synced",
        }
    }
}

/// What is known of one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Which.
    pub address: Address,
    /// Its file.
    pub path: ProjectPath,
    /// Its type, where known.
    pub asset_type: Option<AssetType>,
    /// Its asset.
    pub asset_id: Option<AssetId>,
    /// The number that people see for its revision.
    pub revision: Option<u64>,
    /// The bytes that Roblox has.
    pub content_hash: Option<ContentHash>,
    /// How it stands.
    pub state: AssetState,
    /// What moderation last said.
    pub moderation: Option<Moderation>,
    /// The revision, or asset, that it is pinned to.
    pub pinned: Option<Pin>,
    /// Why it is not in sync, where there is a reason.
    pub error: Option<String>,
    /// What would mend it.
    pub hint: Option<String>,
    /// Other assets that were made for it by another branch and are passed over.
    pub duplicates: Vec<AssetId>,
    /// The name that Roblox's text filter put in place of the one asked for.
    pub censored: Option<String>,
}

/// The rows of all addresses of this checkout, by address.
///
/// # Errors
/// When manifest, state or lockfile can't be used.
pub fn status(project: &Project, remote: &str) -> Result<Vec<Row>, ViewError> {
    let view = View::open(project, remote)?;
    let (manifest, text) = read_manifest(project)?;
    let walk = files::walk(&project.root, &manifest.selection());
    let (findings, unknown) = recall(project, &walk, &view.cache);
    let resolved = manifest
        .resolve(&findings, &view.known())
        .map_err(|diagnostics| GatherError::Manifest { diagnostics, text })?;
    let mut desired = resolved.desired;
    desired.absences = absences(project, &walk, &desired);
    Ok(rows(&desired, &unknown, &view.recorded))
}

/// Why the content of a file is not known without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unknown {
    /// Nobody looked at it here.
    NeverLooked,
    /// It changed since.
    Changed,
}

/// What earlier looks tell of the files, and of which files they tell nothing.
fn recall(project: &Project, walk: &files::Walk, cache: &FileCache) -> (Findings, BTreeMap<ProjectPath, Unknown>) {
    let mut findings = Findings::new();
    let mut unknown = BTreeMap::new();
    for (path, globs) in &walk.files {
        let problem = |message: &str| Err(FileProblem { message: message.to_owned(), hint: None });
        let now = std::fs::metadata(project.root.join(path.as_str())).map(|found| fingerprint::of(&found));
        let content = match (cache.get(path), now) {
            (_, Err(error)) => problem(&format!("can't look at it: {error}")),
            (Some(cached), Ok(now)) if cached.fingerprint == now => cached.content.clone(),
            (cached, Ok(_)) => {
                unknown.insert(path.clone(), if cached.is_some() { Unknown::Changed } else { Unknown::NeverLooked });
                problem("not looked at")
            }
        };
        findings.insert(path.clone(), Finding { globs: globs.clone(), content });
    }
    (findings, unknown)
}

fn rows(desired: &Desired, unknown: &BTreeMap<ProjectPath, Unknown>, recorded: &Recorded) -> Vec<Row> {
    let plan = plan(desired, recorded, &Wishes::default(), clock::now());
    let holds: BTreeMap<&Address, &Hold> = plan.held.iter().map(|hold| (&hold.address, hold)).collect();
    let pending: BTreeSet<&Address> = plan.steps.iter().map(|step| &step.address).collect();
    let sent = recorded.attempts.values().filter(|attempt| attempt.phase != Phase::Intended);
    let under_way: BTreeSet<&Address> = sent.map(|attempt| &attempt.address).collect();
    let ours = recorded.assets.iter().filter(|(_, record)| record.in_lockfile).map(|(address, _)| address);
    let addresses: BTreeSet<&Address> = desired.assets.keys().chain(ours).collect();
    addresses
        .into_iter()
        .filter_map(|address| {
            let unknown = desired.assets.get(address).and_then(|want| unknown.get(&want.path)).copied();
            let hold = holds.get(address).copied();
            let (pending, under_way) = (pending.contains(address), under_way.contains(address));
            let case = Case { address, desired, recorded, hold, pending, under_way, unknown };
            case.row()
        })
        .collect()
}

struct Case<'a> {
    address: &'a Address,
    desired: &'a Desired,
    recorded: &'a Recorded,
    hold: Option<&'a Hold>,
    /// The plan has a step for it.
    pending: bool,
    /// A request of it was sent and is not settled.
    under_way: bool,
    unknown: Option<Unknown>,
}

impl Case<'_> {
    fn row(&self) -> Option<Row> {
        let record = self.recorded.assets.get(self.address);
        let want = self.desired.assets.get(self.address);
        let identity = record.map(|record| &record.identity);
        let asset_type = identity.map(|i| i.asset_type).or_else(|| want.and_then(|want| want.asset_type));
        let path = want.map(|want| want.path.clone()).or_else(|| identity.map(|i| i.path.clone()))?;
        let current = record.and_then(|record| self.current(record));
        let seen = current.and_then(|(key, _)| self.recorded.seen.get(&key.asset_id)).map(|seen| &seen.asset);
        let rejected = current.is_some_and(|(_, fact)| fact.standing == Standing::Rejected);
        let moderation = if rejected { Some(Moderation::Rejected) } else { seen.and_then(|seen| seen.moderation) };
        let shelved = current.zip(record).and_then(|((key, _), record)| record.shelved.get(&key.asset_id));
        // A fresh clone has seen nothing, but its lockfile knows what was archived from here.
        let archived = seen.is_some_and(|seen| seen.archived == Some(true))
            || shelved.is_some_and(|shelved| shelved.archived_at.is_some());
        let state = self.state(record, current.is_some(), archived);
        let (error, hint) = self.error(record);
        let wanted_name = want.and_then(|want| want.metadata.display_name.as_ref());
        let stored_name = seen.and_then(|seen| seen.display_name.as_ref());
        Some(Row {
            address: self.address.clone(),
            path,
            asset_type,
            asset_id: current.map(|(key, _)| key.asset_id),
            revision: current.and_then(|(key, _)| record.map(|record| record.history.number(key))),
            content_hash: current.and_then(|(_, fact)| fact.content),
            state,
            moderation,
            pinned: want.and_then(|want| want.pin),
            error,
            hint,
            duplicates: record.map(duplicates).unwrap_or_default(),
            censored: stored_name
                .filter(|name| name.contains("##") && wanted_name.is_some_and(|w| w.as_str() != *name))
                .cloned(),
        })
    }

    /// The revision that the address is, or was when it left the manifest.
    fn current(&self, record: &Record) -> Option<(RevisionKey, RevisionFact)> {
        match self.desired.assets.get(self.address) {
            Some(want) => current(want, record),
            None => last(record),
        }
    }

    fn state(&self, record: Option<&Record>, has_asset: bool, archived: bool) -> AssetState {
        if let Some(hold) = self.hold.filter(|_| self.unknown.is_none()) {
            return match hold.kind {
                HoldKind::Held => AssetState::Held,
                HoldKind::Rejected => AssetState::Rejected,
                HoldKind::Failed => AssetState::Failed,
            };
        }
        if self.unknown.is_some() && matches!(record.and_then(|r| r.trouble.as_ref()), Some(Trouble::Refused { .. })) {
            return AssetState::Failed;
        }
        if self.under_way {
            return AssetState::InProgress;
        }
        let Some(want) = self.desired.assets.get(self.address) else {
            return if archived { AssetState::Archived } else { AssetState::Removed };
        };
        if archived {
            AssetState::Archived
        } else if want.pin.is_some() {
            AssetState::Pinned
        } else if !has_asset || self.unknown == Some(Unknown::Changed) || self.pending {
            AssetState::Pending
        } else {
            AssetState::Synced
        }
    }

    fn error(&self, record: Option<&Record>) -> (Option<String>, Option<String>) {
        if let Some(hold) = self.hold.filter(|_| self.unknown.is_none()) {
            return (Some(hold.reason.clone()), hold.hint.clone());
        }
        match record.and_then(|record| record.trouble.as_ref()) {
            Some(Trouble::Refused { message, .. }) => {
                let hint = format!("change the file or its metadata, or `macadam retry {}`", self.address);
                (Some(message.clone()), Some(hint))
            }
            Some(Trouble::Retrying { message, next_at, failures, .. }) => {
                let text = format!("failed {failures} times, next try not before {next_at}: {message}");
                (Some(text), None)
            }
            None => (None, None),
        }
    }
}

fn duplicates(record: &Record) -> Vec<AssetId> {
    let all: BTreeSet<AssetId> =
        record.history.iter().filter(|(_, fact)| fact.duplicate).map(|(key, _)| key.asset_id).collect();
    all.into_iter().collect()
}

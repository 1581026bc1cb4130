//! The recorded history of an address, as far as state, lockfile and git know it.

use std::collections::{BTreeMap, BTreeSet};

use super::UNKNOWN;
use crate::cli::exit::CommandFailure;
use crate::cli::status::not_uploaded;
use crate::cli::target::ProjectTarget;
use crate::cli::unknown::unknown_address;
use crate::engine::commands::forget::{self, ForgetError};
use crate::engine::remote::revisions::RemoteRevision;
use crate::engine::report::asset_state::AssetState;
use crate::engine::report::status::status;
use crate::engine::workspace::lockfile_commits::{LockfileCommit, LockfileCommits};
use crate::engine::workspace::renamed::{self, Renamed};
use crate::engine::workspace::settled::{self, SettledHistory};
use crate::engine::workspace::snapshot::StateSnapshot;
use crate::model::address::Address;
use crate::model::desired::Pin;
use crate::model::history::{Numbers, Origin, RevisionFact, RevisionKey};
use crate::model::ids::{AssetId, ContentHash};
use crate::model::recorded::{PinnedAt, Record};
use crate::plan::current::last;
use crate::plan::pinnable::find;
use crate::state::store::EventRow;

/// The recorded history of an address.
pub(super) struct KnownHistory {
    pub(super) view: StateSnapshot,
    /// Its events.
    pub(super) events: Vec<EventRow>,
    pub(super) address: Address,
    pub(super) record: Record,
    /// The asset and the number of the revision that is current.
    pub(super) current: Option<(AssetId, u64)>,
    /// The revision that the manifest pins it to.
    pub(super) pinned: Option<RevisionKey>,
    /// The bytes of its file, where an earlier look tells.
    pub(super) file: Option<ContentHash>,
    pub(super) numbers: Numbers,
    /// The asset whose revisions have numbers; `None`: all of them.
    pub(super) numbered: Option<AssetId>,
    /// Its assets that are passed over for others that this checkout's lockfile has.
    pub(super) duplicates: BTreeSet<AssetId>,
    /// What the manifest calls it now, if that is another name.
    pub(super) renamed: Option<Renamed>,
    /// The commits that brought revisions of other machines into the lockfile.
    pub(super) commits: BTreeMap<RevisionKey, LockfileCommit>,
    /// The name of the lockfile, if that is too large to look for them.
    pub(super) too_large: Option<String>,
}

/// The commits of the lockfile, once they are needed.
pub(super) struct CommitLookup<'a>(&'a ProjectTarget, Option<LockfileCommits>);

impl<'a> CommitLookup<'a> {
    pub(super) const fn of(target: &'a ProjectTarget) -> Self {
        Self(target, None)
    }

    /// Adds the commits of the revisions whose times only git knows.
    pub(super) fn add_to(&mut self, known: &mut KnownHistory) {
        let undated = known.record.history.iter().filter(|(_, fact)| fact.made.is_none()).map(|(key, _)| key);
        let undated: Vec<RevisionKey> = undated.collect();
        if !undated.is_empty() {
            let commits = self.1.get_or_insert_with(|| LockfileCommits::read(&self.0.project));
            known.commits = undated.into_iter().filter_map(|key| Some((key, commits.of(key)?.clone()))).collect();
            known.too_large = commits.is_too_large.then(|| self.0.project.lockfile_name());
        }
    }
}

impl KnownHistory {
    /// Loads one address alone, if that is enough to know which revision is current.
    pub(super) fn load_alone(target: &ProjectTarget, wanted: &Address) -> Option<Self> {
        let SettledHistory { status, record, events } = settled::history(&target.project, &target.remote, wanted)?;
        // Another address is named then.
        if record.history.iter().any(|(_, fact)| fact.shared) {
            return None;
        }
        let current = status.asset_id.zip(status.revision);
        let pinned = status.pin.and_then(|pin| Some(find(&record, pin).ok()?.0));
        let view = StateSnapshot::default();
        Some(Self::of(view, events, wanted.clone(), record, current, pinned, status.file_hash))
    }

    pub(super) fn load(target: &ProjectTarget, wanted: &Address) -> Result<Self, CommandFailure> {
        let view = StateSnapshot::open(&target.project, &target.remote)?;
        let found = view.recorded.assets.iter().find(|(address, _)| *address == wanted);
        let Some((address, record)) = found.map(|(address, record)| (address.clone(), record.clone())) else {
            let forgotten = forget::forgotten_assets(&view.recorded, wanted);
            if !forgotten.is_empty() {
                let why = ForgetError::Already { address: wanted.clone(), asset_ids: forgotten };
                return Err(why.into());
            }
            let named = status(&target.project, &target.remote).map(|status| status.rows).unwrap_or_default();
            if let Some(row) = named.iter().find(|row| row.address == *wanted) {
                return Err(not_uploaded(row, format!("`{wanted}` has no history: it isn't uploaded yet")));
            }
            let known = view.recorded.assets.keys().chain(named.iter().map(|row| &row.address));
            return Err(unknown_address(wanted.as_str(), known.map(Address::as_str)));
        };
        // The manifest decides which asset is current; without a usable manifest it is the last
        // one.
        let rows = status(&target.project, &target.remote).map(|status| status.rows).unwrap_or_default();
        let row = rows.iter().find(|row| row.address == address);
        let known = || last(&record).map(|(key, _)| (key.asset_id, record.history.number(key)));
        let current = row.map_or_else(known, |row| row.asset_id.zip(row.revision));
        let pinned = row.and_then(|row| row.pin).and_then(|pin| Some(find(&record, pin).ok()?.0));
        let file = row.and_then(|row| row.file_hash);
        let events = StateSnapshot::events(&target.project, &target.remote, &address)?;
        let has_left = row.is_none_or(|row| row.state == AssetState::Removed);
        let look = || renamed::find(&target.project, &target.remote, &address).ok().flatten();
        let renamed = if has_left { look() } else { None };
        Ok(Self { renamed, ..Self::of(view, events, address, record, current, pinned, file) })
    }

    pub(super) fn of(
        view: StateSnapshot,
        events: Vec<EventRow>,
        address: Address,
        record: Record,
        current: Option<(AssetId, u64)>,
        pinned: Option<RevisionKey>,
        file: Option<ContentHash>,
    ) -> Self {
        let (numbers, numbered) = (record.history.numbers(), record.numbered());
        let duplicates = record.history.duplicates(record.identity.kind());
        Self {
            view,
            events,
            address,
            record,
            current,
            pinned,
            file,
            numbers,
            numbered,
            duplicates,
            renamed: None,
            commits: BTreeMap::new(),
            too_large: None,
        }
    }

    /// `None`: a revision of an asset that is not the one that counts, whose numbers it would
    /// share.
    pub(super) fn number(&self, key: RevisionKey) -> Option<u64> {
        self.numbered.is_none_or(|asset_id| asset_id == key.asset_id).then(|| self.numbers.of(key))
    }

    pub(super) fn is_current(&self, seen: &RemoteRevision) -> bool {
        seen.fact.is_some() && self.current == Some((seen.key.asset_id, self.numbers.of(seen.key)))
    }

    /// Whether it is passed over for the asset that this checkout's lockfile has.
    pub(super) fn is_duplicate(&self, seen: &RemoteRevision) -> bool {
        seen.fact.is_some() && self.duplicates.contains(&seen.key.asset_id)
    }

    /// Whether it has the bytes that the file has now; `None` if those of one of them aren't known.
    pub(super) fn is_file(&self, seen: &RemoteRevision) -> Option<bool> {
        let content = seen.fact.and_then(|fact| fact.content);
        Some(content? == self.file?)
    }

    /// The revision whose bytes a rollback made current again, as another revision.
    pub(super) fn rollback_of(&self, seen: &RemoteRevision) -> Option<u64> {
        let PinnedAt { pin, at, .. } = self.record.pinned.filter(|pinned| pinned.at == seen.key)?;
        match pin {
            Pin::Revision(revision) if at.version != Some(revision) => Some(revision.get()),
            Pin::Revision(_) | Pin::Asset(_) => None,
        }
    }

    /// Whether it is another address's upload, which this one shares.
    pub(super) fn is_shared(seen: &RemoteRevision) -> bool {
        seen.fact.is_some_and(|fact| fact.shared)
    }

    /// The address that uploaded what this one shares, where it is known.
    pub(super) fn shared_with(&self, seen: &RemoteRevision) -> Option<&Address> {
        let uploaded = |record: &Record| record.history.get(seen.key).is_some_and(|fact| !fact.shared);
        let found = self.view.recorded.assets.iter().find(|(_, record)| uploaded(record));
        found.map(|(address, _)| address).filter(|address| **address != self.address)
    }

    /// How it came to be, for a person.
    pub(super) fn how(&self, seen: &RemoteRevision) -> String {
        match self.origin(seen).map_or(UNKNOWN, Origin::in_words) {
            word if !Self::is_shared(seen) => word.to_owned(),
            _ => self.shared_with(seen).map_or_else(|| "shared".to_owned(), |other| format!("shared with {other}")),
        }
    }

    /// How it came to be; what only Roblox knows was made elsewhere.
    pub(super) fn origin(&self, seen: &RemoteRevision) -> Option<Origin> {
        match seen.fact {
            None => Some(Origin::Elsewhere),
            // A lockfile doesn't tell how a revision was made, but where the last rollback led.
            Some(RevisionFact { made: None, .. }) => self.rollback_of(seen).map(|_| Origin::Rollback),
            Some(RevisionFact { made: Some((_, origin)), .. }) => Some(origin),
        }
    }
}

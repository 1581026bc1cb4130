//! The lockfile: the facts that another machine needs, as text that git merges well.
//!
//! It has facts and no goals, and no times but those of archiving. Reading one adds facts and never
//! removes any. An unreadable lockfile is an error, never an empty one.
//!
//! Read next: `write` for the format, `next` for one that follows on another, `parse` for what is refused, `as_written` for
//! the usual entry, `export` and `import` for the
//! exchange with the state, `merge` for two branches and `driver` for what git has to be told.

mod archivings;
mod as_written;
pub(crate) mod driver;
mod error;
mod export;
mod file;
pub(crate) mod finished;
mod forms;
mod import;
mod known;
mod loss;
mod merge;
mod next;
mod parse;
mod union;
mod write;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::model::address::Address;
use crate::model::asset::ContentChange;
use crate::model::forgotten::Forgotten;
use crate::model::history::{History, RevisionFact};
use crate::model::ids::{AssetId, OperationId, UploadId};
use crate::model::metadata::FieldDigests;
use crate::model::phase::Intent;
use crate::model::recorded::{Identity, PinnedAt, PossibleDuplicate, Retirement};

pub(crate) use archivings::{EarlierArchiving, ask_about, earlier_archivings};
pub(crate) use error::{GitCopy, LockfileError};
pub(crate) use export::{entries_of, export, exported, locked, locked_of};
pub(crate) use file::{fingerprint, fingerprint_at, fingerprint_of, has_text, read, replace_if, room, save};
pub use import::import;
pub(crate) use known::known_addresses;
pub(crate) use loss::{Digests, EntryChange, first_lost, unlisted};
pub use merge::merge;
pub(crate) use next::{LockfileText, NextText};
pub use parse::parse;
pub(crate) use union::{forgotten_too, moved_and_forgotten, remembered};
pub use write::write;

/// The content of a lockfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ledger {
    /// The remote that its IDs belong to.
    pub remote: String,
    /// The entry of each address.
    pub entries: BTreeMap<Address, LockfileEntry>,
    /// The assets that each address forgot: no union brings them back.
    pub forgotten: BTreeMap<Address, Forgotten>,
}

/// The lockfile's entry of one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockfileEntry {
    /// Its type, creator, privacy and path.
    pub identity: Identity,
    /// Every revision, without its time and origin.
    pub history: History,
    /// The metadata that Roblox last accepted, a digest for each field.
    pub asked: FieldDigests,
    /// The fields for which Roblox stored another value than Macadam sent.
    pub stored: FieldDigests,
    /// Of a type with one content an asset the asset that the address uses, where it isn't the one that
    /// a reader takes without this line.
    pub current: Option<AssetId>,
    /// The target of the last rollback.
    pub pinned: Option<PinnedAt>,
    /// Its assets that are to be archived, or were: why, and when, to the second.
    pub retirements: BTreeMap<AssetId, Retirement>,
    /// Whether it left the manifest.
    pub removed: bool,
    /// Uploads that may have made an unknown asset, and those for which a person settled that.
    pub possible_duplicates: BTreeMap<UploadId, PossibleDuplicate>,
    /// The unfinished work, in the order of the text, without repetitions.
    pub open: Vec<OpenWork>,
}

/// A change of the remote whose outcome another machine may have to find out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenWork {
    /// The goal of the change.
    pub intent: Intent,
    /// The operation to poll; `None` if it is unknown whether Roblox carried the change out.
    pub operation: Option<OperationId>,
    /// The polling of the operation has ended. Without an operation: the work waits for a person,
    /// and is not sent again before that.
    pub set_aside: bool,
    /// For a create: how many creates of the same input were abandoned in doubt in a row before it.
    /// Another machine continues this count. Otherwise a remote that creates assets and never
    /// answers would get copies from every machine.
    pub doubts: u32,
}

impl OpenWork {
    /// Returns whether it is the same work, however often it was tried before.
    fn is_same(&self, other: &Self) -> bool {
        let Self { intent, operation, set_aside: _, doubts: _ } = self;
        *intent == other.intent && *operation == other.operation
    }
}

impl Ledger {
    /// Creates a lockfile without assets.
    pub const fn new(remote: String) -> Self {
        Self { remote, entries: BTreeMap::new(), forgotten: BTreeMap::new() }
    }
}

impl LockfileEntry {
    /// Creates an entry with nothing but an identity.
    pub const fn new(identity: Identity) -> Self {
        Self {
            identity,
            history: History::new(),
            asked: FieldDigests::new(),
            stored: FieldDigests::new(),
            current: None,
            pinned: None,
            retirements: BTreeMap::new(),
            removed: false,
            possible_duplicates: BTreeMap::new(),
            open: Vec::new(),
        }
    }

    /// Returns the asset that the address uses as long as neither its file nor a pin says otherwise, by
    /// this entry alone; `None` for a type that is updated in place.
    pub(crate) fn in_use(&self) -> Option<AssetId> {
        self.in_use_if(self.current)
    }

    /// Makes `asset_id` the asset that the address uses, if it can; `None`: the one that a reader
    /// takes.
    pub(crate) fn set_in_use(&mut self, asset_id: Option<AssetId>) {
        self.current = None;
        let unsaid = self.in_use();
        self.current = asset_id.filter(|_| self.in_use_if(asset_id) == asset_id && unsaid != asset_id);
    }

    fn in_use_if(&self, said: Option<AssetId>) -> Option<AssetId> {
        let kind = self.identity.kind();
        match kind.asset_type.on_content_change() {
            ContentChange::InPlace => None,
            ContentChange::NewAsset => self.history.in_use(said, kind).map(|(key, _)| key.asset_id),
        }
    }

    /// Sorts the open work. Of the same work the higher count is the later one.
    fn normalize(&mut self) {
        self.open
            .sort_by_cached_key(|work| write::open_line(&OpenWork { doubts: 0, set_aside: false, ..work.clone() }));
        self.open.dedup_by(|again, first| {
            let same = again.is_same(first);
            if same {
                first.doubts = first.doubts.max(again.doubts);
                first.set_aside |= again.set_aside;
            }
            same
        });
    }
}

/// Returns a fact as a lockfile has it: the time and origin belong to this checkout alone.
const fn without_made(fact: RevisionFact) -> RevisionFact {
    RevisionFact { made: None, ..fact }
}

//! The lockfile: the facts that another machine needs, in a text that git merges well.
//!
//! Facts, not wishes, and no times. Reading one adds to what is known and never takes away; an
//! unreadable one is an error, never an empty one.
//!
//! Read next: `write` for the form, `parse` for what is refused, `export` and `import` for how it
//! meets the state, `merge` for two branches.

mod error;
mod export;
mod file;
mod forms;
mod import;
mod loss;
mod merge;
mod parse;
mod write;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::model::address::Address;
use crate::model::forgotten::Forgotten;
use crate::model::history::{History, RevisionFact};
use crate::model::ids::{AssetId, OperationId, UploadId};
use crate::model::metadata::FieldDigests;
use crate::model::phase::Intent;
use crate::model::recorded::{Identity, PinnedAt, PossibleDuplicate, RetireReason};

pub(crate) use error::LockfileError;
pub(crate) use export::{export, locked};
pub(crate) use file::{fingerprint, read, room, save};
pub use import::import;
pub(crate) use loss::{Digests, first_lost};
pub use merge::merge;
pub use parse::parse;
pub use write::write;

/// What a lockfile says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ledger {
    /// The remote that its IDs belong to.
    pub remote: String,
    /// What is known of each address.
    pub entries: BTreeMap<Address, LockfileEntry>,
    /// The assets that addresses were told to forget: no union brings them back.
    pub forgotten: BTreeMap<Address, Forgotten>,
}

/// What a lockfile says of one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockfileEntry {
    /// What it is.
    pub identity: Identity,
    /// Every revision, without when and how it was made.
    pub history: History,
    /// The metadata that was last asked for and taken, a digest a field.
    pub asked: FieldDigests,
    /// Where Roblox stored something else than was asked.
    pub stored: FieldDigests,
    /// Where the last rollback led.
    pub pinned: Option<PinnedAt>,
    /// The assets that Macadam archived, and why.
    pub archived: BTreeMap<AssetId, RetireReason>,
    /// It left the manifest.
    pub removed: bool,
    /// Uploads that may have made an asset which nobody knows, and those of which that is settled.
    pub possible_duplicates: BTreeMap<UploadId, PossibleDuplicate>,
    /// What is not settled, in the order in which it is written, each once.
    pub open: Vec<OpenWork>,
}

/// A change of the remote whose outcome another machine may have to find out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenWork {
    /// What it set out to do.
    pub intent: Intent,
    /// The operation to poll; `None`: nobody knows whether Roblox carried it out.
    pub operation: Option<OperationId>,
    /// Nobody waits for the operation any more; or, without one, nobody sends it again before a
    /// person has settled it.
    pub set_aside: bool,
    /// Of a create: how many of the same were given up in a row before it without knowing whether
    /// they happened. Another machine goes on counting from there, or a remote that makes and
    /// never answers would be fed copies by each.
    pub doubts: u32,
}

impl OpenWork {
    /// Whether it is the same work, however often it was tried before.
    fn is_same(&self, other: &Self) -> bool {
        let Self { intent, operation, set_aside: _, doubts: _ } = self;
        *intent == other.intent && *operation == other.operation
    }
}

impl Ledger {
    /// A lockfile without assets.
    pub const fn new(remote: String) -> Self {
        Self { remote, entries: BTreeMap::new(), forgotten: BTreeMap::new() }
    }
}

impl LockfileEntry {
    /// An entry of which nothing else is known.
    pub const fn new(identity: Identity) -> Self {
        Self {
            identity,
            history: History::new(),
            asked: FieldDigests::new(),
            stored: FieldDigests::new(),
            pinned: None,
            archived: BTreeMap::new(),
            removed: false,
            possible_duplicates: BTreeMap::new(),
            open: Vec::new(),
        }
    }

    /// Puts the open work into its order. Of the same work the higher count is the later one.
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

/// A fact as a lockfile holds it: when and how it was made is this checkout's own.
const fn without_made(fact: RevisionFact) -> RevisionFact {
    RevisionFact { made: None, ..fact }
}

//! One write of the lockfile, which needs no loop: its text is made and hashed once, on a thread of
//! its own, from the state as it is then. While it is in progress nothing else may read or write
//! the file.
//!
//! Read next: [`super::Lockfile::wrote`], which takes in its end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::KeepError;
use super::content::{LockfileChanges, begun_in, forbids, has_begun_in, parse, removed_of, text, with_absent};
use super::read::Stamp;
use crate::engine::workspace::git;
use crate::engine::workspace::project::Project;
use crate::engine::workspace::state_cache::{StateCache, StateCacheError};
use crate::model::address::Address;
use crate::model::checkout::Checkout;
use crate::model::desired::Desired;
use crate::model::missing_lockfile::MissingLockfile;
use crate::model::recorded::{Record, Recorded};
use crate::platform::atomic_file::Room;
use crate::platform::failpoint;
use crate::state::lockfile::{
    self, Digests, EntryChange, Ledger, LockfileEntry, LockfileError, LockfileText, NextText,
};

/// A write that was prepared.
#[derive(Debug)]
pub(crate) struct LockfileWrite {
    pub(super) inputs: Arc<WriteInputs>,
    /// The room kept for it.
    pub(super) room: Option<Room>,
}

/// What the text is made from, beside the state.
#[derive(Debug)]
pub(super) struct WriteInputs {
    pub(super) project: Project,
    pub(super) remote: String,
    pub(super) state_cache: Arc<StateCache>,
    pub(super) in_manifest: Arc<BTreeSet<Address>>,
    /// The addresses that the file had when it was found missing.
    pub(super) had: BTreeSet<Address>,
    /// The checkout of the last scan.
    pub(super) checkout: Checkout,
    /// The fingerprint of the file as last read or written, and its revisions.
    pub(super) known: Option<String>,
    pub(super) digests: Option<Arc<Digests>>,
    /// What the file system said of that file before it was read.
    pub(super) stamp: Option<Stamp>,
    /// What that file was made from, if by this process: then only entries that changed since are
    /// made anew.
    pub(super) made_from: Option<MadeFrom>,
    /// The evidence that forbids a new file.
    pub(super) missing: Option<MissingLockfile>,
    /// What the manifest wanted at the last scan without a file.
    pub(super) wanted: Option<Arc<Desired>>,
    /// The lockfile was lost, and nobody agreed to a new one.
    pub(super) is_lost: bool,
    pub(super) is_unreported: bool,
    /// Leave the file alone if another program wrote it or git is at work. Otherwise the caller has
    /// just read it.
    pub(super) is_cautious: bool,
    /// Leave the file alone, too, if more than entries has to be made anew.
    pub(super) only_changes: bool,
    /// Nobody asks which entries change.
    pub(super) is_explained: bool,
}

/// What a lockfile was made from beside the state. While that is the same, its entries differ only
/// where the state changed.
#[derive(Debug, Clone)]
pub(super) struct MadeFrom {
    pub(super) in_manifest: Arc<BTreeSet<Address>>,
    pub(super) checkout: Checkout,
    pub(super) generation: u64,
}

/// The end of a write.
#[derive(Debug)]
pub(crate) struct WriteDone {
    pub(super) end: Result<WriteEnd, KeepError>,
    pub(super) room: RoomLeft,
}

/// What is left of the room.
#[derive(Debug)]
pub(super) enum RoomLeft {
    Kept(Option<Room>),
    /// This many bytes were released for the file.
    Released(u64),
}

#[derive(Debug)]
pub(super) enum WriteEnd {
    /// The file says all of it, and is what is made from this; or it may not be written while it is
    /// missing.
    Same(Option<MadeFrom>),
    /// Another branch is checked out than at the last scan.
    Elsewhere,
    /// Another program changed the file or the branch meanwhile, or git began to work: the text may
    /// belong to another branch, and nothing is written.
    Changed,
    Written(WrittenFile),
}

/// The file that was written.
#[derive(Debug)]
pub(super) struct WrittenFile {
    pub(super) fingerprint: String,
    /// `None` if those of the file before aren't known either.
    pub(super) digests: Option<Digests>,
    pub(super) length: u64,
    pub(super) made_from: MadeFrom,
    /// What the file system says of it, where that shows every change since.
    pub(super) stamp: Option<Stamp>,
    /// What changed in it, where somebody asks.
    pub(super) changes: LockfileChanges,
}

/// The text for the file.
#[derive(Debug)]
struct NewFile {
    text: NextText,
    entries: NewEntries,
    /// The checkout that it was made for.
    checkout: Checkout,
    /// What the file system said of the old file before it was last found to be as known.
    stamp: Option<Stamp>,
}

/// Which entries of a new file may differ from those of the old one.
#[derive(Debug)]
enum NewEntries {
    /// All that these addresses have.
    All(BTreeSet<Address>),
    /// These.
    Changed(BTreeMap<Address, Option<LockfileEntry>>),
}

/// What is to be written.
#[derive(Debug)]
enum Made {
    Nothing(WriteEnd),
    File(NewFile, WrittenFile),
}

impl LockfileWrite {
    /// Runs it. Cancelling this leaves what a crash would leave.
    pub(crate) async fn run(self) -> WriteDone {
        let Self { inputs, room } = self;
        let mut room = RoomLeft::Kept(room);
        let end = replace(&inputs, &mut room).await;
        WriteDone { end, room }
    }
}

async fn replace(inputs: &Arc<WriteInputs>, room: &mut RoomLeft) -> Result<WriteEnd, KeepError> {
    let (file, mut written) = match on_a_thread(inputs, WriteInputs::make).await? {
        Made::File(file, written) => (Arc::new(file), written),
        Made::Nothing(end) => return Ok(end),
    };
    let store = inputs.state_cache.store();
    if !inputs.is_unreported {
        // Before the file: a change that is announced twice is better than one that never is.
        store.set_lockfile_unreported(true).await.map_err(StateCacheError::from)?;
    }
    if inputs.is_lost {
        // Before the file: after a crash it would seem to be somebody else's, which ends the loss.
        // What was read last stays known, so that the next run takes in what the file says.
        let coming = written.fingerprint.clone();
        store.set_lockfile_coming(coming).await.map_err(StateCacheError::from)?;
    }
    failpoint::hit("lockfile");
    if let RoomLeft::Kept(kept) = room
        && let Some(kept) = kept.take()
    {
        *room = RoomLeft::Released(kept.bytes());
    }
    let replaced = {
        let file = Arc::clone(&file);
        on_a_thread(inputs, move |inputs| inputs.replace(&file)).await?
    };
    if !replaced {
        return Ok(WriteEnd::Changed);
    }
    failpoint::hit("lockfile_written");
    let locked = |recorded: &Recorded| match &file.entries {
        NewEntries::All(addresses) => lockfile::locked(recorded, addresses),
        NewEntries::Changed(entries) => lockfile::locked_of(recorded, entries),
    };
    inputs.state_cache.commit_with(locked).await?;
    let fingerprint = Some(written.fingerprint.clone());
    store.set_lockfile_fingerprint(fingerprint).await.map_err(StateCacheError::from)?;
    // The last write of a run needs none, and waits for no tick.
    if inputs.is_cautious && !inputs.only_changes {
        written.stamp = on_a_thread(inputs, move |inputs| Stamp::written(&inputs.project.lockfile, &file.text)).await;
    }
    Ok(WriteEnd::Written(written))
}

async fn on_a_thread<T: Send + 'static>(
    inputs: &Arc<WriteInputs>,
    work: impl FnOnce(&WriteInputs) -> T + Send + 'static,
) -> T {
    let inputs = Arc::clone(inputs);
    let worked = tokio::task::spawn_blocking(move || work(&inputs)).await;
    worked.unwrap_or_else(|ended| std::panic::resume_unwind(ended.into_panic()))
}

impl WriteInputs {
    /// Makes the text, unless nothing is to be written.
    fn make(&self) -> Result<Made, LockfileError> {
        let checkout = git::checkout(&self.project.root);
        if self.checkout.is_another_branch(&checkout) {
            let end = if self.is_cautious { WriteEnd::Changed } else { WriteEnd::Elsewhere };
            return Ok(Made::Nothing(end));
        }
        let made_from = MadeFrom {
            in_manifest: Arc::clone(&self.in_manifest),
            checkout: checkout.clone(),
            generation: self.state_cache.generation(),
        };
        if self.is_made_from(&made_from)
            && let Some(made) = self.make_changed(&made_from)?
        {
            return Ok(made);
        }
        if self.only_changes {
            return Ok(Made::Nothing(WriteEnd::Changed));
        }
        let mut stamp = self.stamp;
        if self.is_cautious {
            let now = Stamp::now(&self.project.lockfile);
            if !self.is_as_known(stamp)? {
                return Ok(Made::Nothing(WriteEnd::Changed));
            }
            stamp = now;
        }
        let addresses = self.addresses(&checkout);
        if self.is_all_in_the_file(&addresses) {
            return Ok(Made::Nothing(WriteEnd::Same(Some(made_from))));
        }
        let ledger =
            self.state_cache.read_for_lockfile(|recorded, _| lockfile::export(&self.remote, recorded, &addresses));
        let is_forbidden = |missing: &MissingLockfile| {
            self.state_cache.read(|recorded| forbids(missing, self.wanted.as_deref(), &ledger, recorded))
        };
        if self.missing.as_ref().is_some_and(is_forbidden) {
            return Ok(Made::Nothing(WriteEnd::Same(None)));
        }
        let text = text(&ledger);
        let fingerprint = lockfile::fingerprint(&text);
        if self.known.as_ref() == Some(&fingerprint) {
            return Ok(Made::Nothing(WriteEnd::Same(Some(made_from))));
        }
        if ledger.entries.is_empty() && self.known.is_none() {
            return Ok(Made::Nothing(WriteEnd::Same(None)));
        }
        let digests = Digests::of(&ledger);
        self.refuse_loss(&digests, &ledger)?;
        let (digests, length) = (Some(digests), text.len() as u64);
        let changes = match self.is_explained {
            false => LockfileChanges::to(&self.project, &self.remote, &ledger),
            true => LockfileChanges::default(),
        };
        let written = WrittenFile { fingerprint, digests, length, made_from, stamp: None, changes };
        let (text, entries) = (NextText::whole(text), NewEntries::All(addresses));
        Ok(Made::File(NewFile { text, entries, checkout, stamp }, written))
    }

    /// Returns whether nothing changed since the file was read, and it says all of it. Takes no room
    /// for a text.
    fn is_all_in_the_file(&self, addresses: &BTreeSet<Address>) -> bool {
        let made = self.state_cache.read_for_lockfile(|recorded, changed| {
            let entries = lockfile::exported(recorded, addresses);
            changed.is_empty().then(|| lockfile::fingerprint_of(&self.remote, entries, &recorded.forgotten))
        });
        self.missing.is_none() && made.is_some() && made == self.known
    }

    /// Returns whether the file differs from what is made from `now` only where the state changed.
    fn is_made_from(&self, now: &MadeFrom) -> bool {
        let MadeFrom { in_manifest, checkout, generation } = now;
        let is_same = |before: &MadeFrom| {
            (Arc::ptr_eq(&before.in_manifest, in_manifest) || before.in_manifest == *in_manifest)
                && before.checkout == *checkout
                && before.generation == *generation
        };
        self.made_from.as_ref().is_some_and(is_same) && self.had.is_empty() && self.missing.is_none()
    }

    /// Makes the text from that of the file, with the entries that changed; `None` if everything has
    /// to be made, since more than entries changed or the file would lack an asset.
    fn make_changed(&self, made_from: &MadeFrom) -> Result<Option<Made>, LockfileError> {
        let path = &self.project.lockfile;
        let stamp = Stamp::now(path);
        let Some(previous) = lockfile::read(path)? else { return Ok(None) };
        let is_known = self.stamp.is_some_and(|stamp| stamp.holds(path))
            || self.known.as_ref() == Some(&lockfile::fingerprint(&previous));
        if !is_known {
            return Ok(self.is_cautious.then_some(Made::Nothing(WriteEnd::Changed)));
        }
        let checkout = &made_from.checkout;
        let (entries, forgotten) = self.state_cache.read_for_lockfile(|recorded, changed| {
            let is_ours = |address: &Address, record: &Record| {
                self.in_manifest.contains(address) || has_begun_in(record, checkout)
            };
            (lockfile::entries_of(recorded, &changed, is_ours), recorded.forgotten.clone())
        });
        let made = || {
            let text = LockfileText::of(&previous, &self.remote, &forgotten)?;
            let before = entries.keys().map(|address| text.entry(address)).collect::<Option<Vec<_>>>()?;
            let both = entries.iter().zip(&before).map(|((address, after), before)| (address, before, after));
            let change = both.map(|(address, before, after)| EntryChange {
                address,
                before: before.as_ref(),
                after: after.as_ref(),
            });
            let changes: Vec<EntryChange<'_>> = change.collect();
            if changes.iter().any(EntryChange::loses_a_revision) {
                return None;
            }
            let told = LockfileChanges::of(changes.iter().map(|change| (change.address, change.before, change.after)));
            Some((self.digests.as_ref().and_then(|digests| digests.with(&changes)), text.with(&entries)?, told))
        };
        let Some((digests, pieces, changes)) = made() else { return Ok(None) };
        let text = NextText::of(previous, pieces);
        if text.is_unchanged() {
            return Ok(Some(Made::Nothing(WriteEnd::Same(Some(made_from.clone())))));
        }
        let (fingerprint, length) = (text.fingerprint(), text.length());
        let made_from = made_from.clone();
        let written = WrittenFile { fingerprint, digests, length, made_from, stamp: None, changes };
        let (entries, checkout) = (NewEntries::Changed(entries), checkout.clone());
        Ok(Some(Made::File(NewFile { text, entries, checkout, stamp }, written)))
    }

    /// Returns whether the file is as it was last read or written, as `stamp` shows; reads it if that
    /// can't show it.
    fn is_as_known(&self, stamp: Option<Stamp>) -> Result<bool, LockfileError> {
        let path = &self.project.lockfile;
        Ok(stamp.is_some_and(|stamp| stamp.holds(path)) || self.known == lockfile::fingerprint_at(path)?)
    }

    /// Returns the addresses of the lockfile for the checkout `now`. Includes those whose upload
    /// began there and whose file is gone since.
    pub(super) fn addresses(&self, now: &Checkout) -> BTreeSet<Address> {
        let mut all = with_absent(&self.project, &self.in_manifest, &self.had);
        all.extend(self.state_cache.read(|recorded| removed_of(recorded, &self.had)));
        all.extend(self.state_cache.read(|recorded| begun_in(recorded, now)));
        all
    }

    /// Replaces the file, unless a last look finds that it may not; then this returns `false`.
    fn replace(&self, file: &NewFile) -> Result<bool, LockfileError> {
        let (path, access) = (&self.project.lockfile, self.project.lockfile_access);
        let still = || {
            let is_same = self.is_as_known(file.stamp).unwrap_or(false);
            let is_free = !self.is_cautious || git::busy(&self.project.root).is_none();
            Ok(is_same && is_free && git::checkout(&self.project.root) == file.checkout)
        };
        lockfile::replace_if(path, access, &file.text, still)
    }

    /// Refuses to write a file without an asset that the current one has, unless it was forgotten.
    fn refuse_loss(&self, digests: &Digests, ledger: &Ledger) -> Result<(), LockfileError> {
        if self.digests.as_ref().is_some_and(|old| old.are_in(digests)) {
            return Ok(());
        }
        let path = &self.project.lockfile;
        let old = parse(&self.project, &self.remote, lockfile::read(path)?.as_deref())?;
        match lockfile::first_lost(&old, ledger) {
            None => Ok(()),
            Some((address, asset_id)) => Err(LockfileError::WouldLose { path: path.clone(), address, asset_id }),
        }
    }
}

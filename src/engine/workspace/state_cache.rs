//! The state cache: the recorded state in memory and on disk, changed only together.
//!
//! One lock protects the memory and is never held across an await; the state's queue keeps the
//! order of changes. A commit returns when it is durable, and continues if its caller is dropped.
//! After a failed write the cache is closed, because the disk no longer matches it.
//!
//! It also holds the right to write the state. No request begins, and none is handed over, unless
//! lock and database are still the files at their paths ([`StateCache::secure`]).

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Mutex as Turn;

use crate::model::address::Address;
use crate::model::change::Change;
use crate::model::checkout::{Checkout, InLockfile};
use crate::model::ids::AssetId;
use crate::model::phase::{Intent, PhaseEvent};
use crate::model::recorded::{ApplyError, Attempt, AttemptId, Identity, Recorded};
use crate::platform::clock;
use crate::state::StateError;
use crate::state::handle::StoreHandle;
use crate::state::lockfile::{self, Ledger};
use crate::state::write_lock::{Displaced, RegainError, Regained, WriteLock};

/// The recorded state, and the store behind it.
#[derive(Debug)]
pub struct StateCache {
    known: Mutex<CachedState>,
    store: StoreHandle,
    hold: WriteLock,
    remote: String,
    /// One task at a time regains a lost state; the others wait for it.
    regaining: Turn<()>,
}

#[derive(Debug)]
struct CachedState {
    recorded: Recorded,
    /// The addresses of which something changed since the lockfile was last made.
    unwritten: BTreeSet<Address>,
    /// How often something was recorded that was not known before.
    news: u64,
    /// Only a part of the state is in memory.
    is_part: bool,
    /// Facts of a file that was in the state's place, for when all of the state is in memory.
    found: Vec<Ledger>,
    closed: bool,
}

/// Why a change could not be recorded. Nothing more may be done.
#[derive(Debug, thiserror::Error)]
pub enum StateCacheError {
    /// The change contradicts the recorded state: a defect of Macadam.
    #[error("a change doesn't fit the state")]
    Apply(#[from] ApplyError),
    /// The state could not be written.
    #[error("can't write the state")]
    State(#[from] StateError),
    /// An earlier write failed.
    #[error("the state could not be written earlier")]
    Closed,
    /// The state's files are no longer those at their paths, and it could not be written anew.
    #[error(transparent)]
    Lost(#[from] RegainError),
}

/// Why the last byte of a request may not be sent.
#[derive(Debug, thiserror::Error)]
pub enum HandOverError {
    /// The hand-over could not be recorded.
    #[error(transparent)]
    StateCache(#[from] StateCacheError),
    /// It was recorded in a file that is no longer at its path.
    #[error(transparent)]
    Displaced(#[from] Displaced),
    /// The attempt went on during the wait, as by a lockfile that was pulled: it is closed, or has an
    /// operation.
    #[error("more is known of it by now")]
    WentOn,
    /// Another process may have done the same since the attempt began.
    #[error("the state was rewritten meanwhile: Macadam plans again")]
    WrittenAnew,
}

impl StateCache {
    /// Creates the cache with the recorded state of `remote`, for the holder of the lock. If it
    /// `is_part`, more has to be loaded before anything is done about other addresses.
    pub fn new(recorded: Recorded, is_part: bool, store: StoreHandle, hold: WriteLock, remote: String) -> Self {
        let (unwritten, found) = (BTreeSet::new(), Vec::new());
        Self {
            known: Mutex::new(CachedState { recorded, unwritten, news: 0, is_part, found, closed: false }),
            store,
            hold,
            remote,
            regaining: Turn::new(()),
        }
    }

    /// Checks that the state is the one at its path and that no other process holds it. Call this
    /// before each request begins, and at every pass. A state that was deleted or replaced is
    /// written anew under a new lock, with everything recorded; facts of the file in its place are
    /// added.
    ///
    /// # Errors
    /// When that fails. Nothing more may begin, and only the lockfile can record the results of
    /// requests in flight.
    pub async fn secure(self: &Arc<Self>) -> Result<(), StateCacheError> {
        if self.hold.check().is_ok() {
            return Ok(());
        }
        // In a task of its own: a caller that is not polled (another branch of its `select!` waits)
        // would keep the lock from all others.
        let state_cache = Arc::clone(self);
        match tokio::spawn(async move { state_cache.regain().await }).await {
            Ok(regained) => regained,
            Err(ended) if ended.is_panic() => std::panic::resume_unwind(ended.into_panic()),
            Err(_) => Err(StateCacheError::Closed),
        }
    }

    async fn regain(&self) -> Result<(), StateCacheError> {
        let _turn = self.regaining.lock().await;
        let Some(Regained { displaced, found, aside }) = self.hold.regain(&self.store, clock::now()).await? else {
            return Ok(());
        };
        let kept =
            aside.map(|path| format!("; what was in its place is kept as {}", path.display())).unwrap_or_default();
        tracing::error!("{displaced}: the state was written anew and nothing is lost{kept}");
        if let Some(found) = found {
            let all = found.assets.keys().cloned().collect();
            let ledger = lockfile::export(&self.remote, &found, &all);
            if self.is_part() {
                self.known().found.push(ledger);
                return Ok(());
            }
            self.commit_with(|recorded| lockfile::import(recorded, &ledger, clock::now())).await?;
        }
        Ok(())
    }

    /// Returns whether only a part of the state is in memory.
    pub(in crate::engine) fn is_part(&self) -> bool {
        self.known().is_part
    }

    /// Loads all of the state, if only a part is in memory. Call it while nothing changes the state.
    ///
    /// # Errors
    /// When it can't be read, or what was found in its place can't be recorded.
    pub(super) async fn load_everything(&self) -> Result<(), StateCacheError> {
        if !self.is_part() {
            return Ok(());
        }
        let all = self.store.load().await?;
        let found = {
            let mut known = self.known();
            known.recorded = all;
            known.recorded.index_ties();
            known.news += 1;
            known.is_part = false;
            std::mem::take(&mut known.found)
        };
        for ledger in found {
            self.commit_with(|recorded| lockfile::import(recorded, &ledger, clock::now())).await?;
        }
        Ok(())
    }

    /// Returns how often the state was written anew. Earlier plans must be made again, since
    /// another process may have worked in between.
    pub fn generation(&self) -> u64 {
        self.hold.generation()
    }

    /// Closes the state and releases it.
    pub async fn close(&self) {
        self.store.clone().close().await;
        self.hold.release();
    }

    fn known(&self) -> MutexGuard<'_, CachedState> {
        // A panic while the lock was held closes the cache below, so its content is never trusted
        // again.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the recorded state.
    pub fn read<T>(&self, look: impl FnOnce(&Recorded) -> T) -> T {
        look(&self.known().recorded)
    }

    /// Returns how often something was recorded that was not known before. While it is the same, so
    /// are all plans for the same files and time.
    pub(in crate::engine) fn news(&self) -> u64 {
        self.known().news
    }

    /// Keeps an index of what ties the records to one another from now on.
    pub(in crate::engine) fn index_ties(&self) {
        self.known().recorded.index_ties();
    }

    /// Reads the recorded state to make the lockfile, with the addresses of which something changed
    /// since this was last called.
    pub(super) fn read_for_lockfile<T>(&self, look: impl FnOnce(&Recorded, BTreeSet<Address>) -> T) -> T {
        let mut known = self.known();
        let unwritten = std::mem::take(&mut known.unwritten);
        look(&known.recorded, unwritten)
    }

    /// Records changes, all or none. They are durable on return.
    ///
    /// # Errors
    /// When they don't fit the recorded state, or the state can't be written.
    pub async fn commit(&self, changes: Vec<Change>) -> Result<(), StateCacheError> {
        if changes.is_empty() {
            return Ok(());
        }
        self.commit_with(|_| changes).await.map(|_| ())
    }

    /// Records the changes that `decide` derives from the recorded state, atomically.
    ///
    /// # Errors
    /// As for [`StateCache::commit`].
    pub async fn commit_with(
        &self,
        decide: impl FnOnce(&Recorded) -> Vec<Change>,
    ) -> Result<Vec<Change>, StateCacheError> {
        let (changes, written) = {
            let mut known = self.known();
            let CachedState { recorded, unwritten, news, closed, .. } = &mut *known;
            if *closed || self.known.is_poisoned() {
                return Err(StateCacheError::Closed);
            }
            let now = clock::now();
            let changes = decide(recorded);
            if !changes.iter().all(|change| change.is_known(recorded)) {
                *news += 1;
            }
            for change in &changes {
                unwritten.extend(change.addresses(recorded).cloned());
                unwritten.extend(contradicted_retirements(recorded, change).cloned());
                if let Err(error) = recorded.apply(change, now) {
                    *closed = true;
                    return Err(error.into());
                }
            }
            let written = self.store.commit(changes.clone(), now);
            (changes, written)
        };
        let written = written.await;
        if let Err(error) = written {
            self.known().closed = true;
            return Err(error.into());
        }
        Ok(changes)
    }

    /// Checks that a request planned for the state of `generation` may begin, and reserves room for
    /// its outcome. Returns `false` if the state was written anew since.
    ///
    /// # Errors
    /// As for [`StateCache::secure`], and when the disk has no room for the outcome.
    pub async fn may_begin(self: &Arc<Self>, generation: u64) -> Result<bool, StateCacheError> {
        self.secure().await?;
        // Without room the cache stays open: results of requests in flight can still be recorded.
        if let Err(error) = self.store.make_room().await {
            // The state may have been removed just before.
            if self.hold.check().is_ok() {
                return Err(error.into());
            }
            self.secure().await?;
            self.store.make_room().await?;
        }
        Ok(self.generation() == generation)
    }

    /// Records that a request is about to be sent, with the identity of its address. `replaces` are
    /// the changes that end earlier attempts, unless recorded already. Returns `None`, and begins
    /// nothing, if the state was written anew since `generation`, the time of the plan, or if one of
    /// those attempts went on, as by a lockfile that names its operation. `checkout` is the one of the
    /// plan.
    ///
    /// # Errors
    /// As for [`StateCache::may_begin`] and [`StateCache::commit`].
    pub async fn begin(
        self: &Arc<Self>,
        address: &Address,
        identity: Identity,
        intent: Intent,
        replaces: &[Change],
        generation: u64,
        checkout: &Checkout,
    ) -> Result<Option<AttemptId>, StateCacheError> {
        if !self.may_begin(generation).await? {
            return Ok(None);
        }
        let mut begun = None;
        self.commit_with(|recorded| {
            let open = |change: &Change| match change {
                Change::Advance { attempt, event } => {
                    recorded.attempts.get(attempt).map(|open| open.phase.next(event).is_ok())
                }
                _ => Some(true),
            };
            let open: Vec<Option<bool>> = replaces.iter().map(open).collect();
            if open.contains(&Some(false)) {
                return Vec::new();
            }
            let attempt = AttemptId(recorded.next_attempt);
            begun = Some(attempt);
            let mut changes = if open.contains(&None) { Vec::new() } else { replaces.to_vec() };
            changes.push(Change::SetIdentity { address: address.clone(), identity });
            // The result belongs to this checkout, even if its address leaves before the lockfile
            // is written. Assets of another branch can be archived by hand.
            if !matches!(intent, Intent::Archive { .. } | Intent::Restore { .. }) {
                let known = recorded.assets.get(address).map_or(InLockfile::No, |record| record.in_lockfile.clone());
                let in_lockfile = known.begun(checkout);
                changes.push(Change::SetInLockfile { address: address.clone(), in_lockfile });
            }
            changes.push(Change::Begin { attempt, address: address.clone(), intent });
            changes
        })
        .await?;
        Ok(begun)
    }

    /// Records that an attempt advanced. One that was closed meanwhile stays closed: a lockfile that
    /// was pulled may tell the end of an upload whose answer is still awaited here.
    ///
    /// # Errors
    /// As for [`StateCache::commit`].
    pub async fn advance(&self, attempt: AttemptId, event: PhaseEvent) -> Result<(), StateCacheError> {
        let decide = |recorded: &Recorded| match recorded.attempts.contains_key(&attempt) {
            true => vec![Change::Advance { attempt, event }],
            false => Vec::new(),
        };
        self.commit_with(decide).await.map(|_| ())
    }

    /// Records that the last byte of a request, planned for the state of `generation`, is about to
    /// be sent. It may be sent only when this returns.
    ///
    /// # Errors
    /// As for [`StateCache::commit`] and [`StateCache::may_send`], and when the attempt went on.
    pub async fn hand_over(&self, attempt: AttemptId, generation: u64) -> Result<(), HandOverError> {
        let event = PhaseEvent::HandOver;
        let may_be_sent = |open: &Attempt| open.phase.next(&event).is_ok();
        let decide = |recorded: &Recorded| match recorded.attempts.get(&attempt).is_some_and(may_be_sent) {
            true => vec![Change::Advance { attempt, event: event.clone() }],
            false => Vec::new(),
        };
        if self.commit_with(decide).await?.is_empty() {
            return Err(HandOverError::WentOn);
        }
        // After the write, which takes time.
        self.may_send(generation)
    }

    /// Checks that the last byte of a request, handed over and planned for the state of `generation`,
    /// may be sent. Nothing comes between this check and the byte.
    ///
    /// # Errors
    /// When the state is no longer the one at its path or was written anew since. A process that was
    /// stopped for a while may continue only here.
    pub fn may_send(&self, generation: u64) -> Result<(), HandOverError> {
        self.hold.check()?;
        if self.generation() == generation { Ok(()) } else { Err(HandOverError::WrittenAnew) }
    }

    /// Returns the store, for data that is not about assets.
    pub const fn store(&self) -> &StoreHandle {
        &self.store
    }
}

/// The addresses whose entry in the lockfile changes as `change` begins or ends a contradiction about
/// an archiving.
fn contradicted_retirements<'a>(recorded: &'a Recorded, change: &Change) -> impl Iterator<Item = &'a Address> {
    let asset_id: Option<AssetId> = match change {
        Change::SetContradicted { asset_id, .. } => Some(*asset_id),
        Change::RecordObservation { asset } => Some(asset.asset_id).filter(|id| recorded.contradicted.contains(id)),
        _ => None,
    };
    let retired = asset_id.into_iter().flat_map(|asset_id| {
        recorded.owners(asset_id).filter(move |(_, record)| record.retirements.contains_key(&asset_id))
    });
    retired.map(|(address, _)| address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::asset::{AssetType, Privacy};
    use crate::model::ids::{ContentHash, Creator, OperationId, Revision, UserId};
    use crate::model::path::ProjectPath;
    use crate::state::lock::StateLock;
    use crate::state::store::Store;

    const REMOTE: &str = "https://apis.roblox.com";

    /// A new state with an update in doubt, which a pulled lockfile may advance at any time.
    async fn with_update_in_doubt(folder: &std::path::Path) -> (Arc<StateCache>, Address, Identity, AttemptId) {
        let path = folder.join("assets.db");
        let lock = StateLock::acquire(&path, "macadam sync", clock::now()).unwrap();
        let store = Store::open(&path, REMOTE, clock::now()).unwrap();
        let place = path.clone();
        let hold = WriteLock::new(lock, &store, "macadam sync", Box::new(move || Ok(place.clone()))).unwrap();
        let store = StoreHandle::spawn(store).unwrap();
        let cache = Arc::new(StateCache::new(Recorded::default(), false, store, hold, REMOTE.to_owned()));
        let address = Address::new("a").unwrap();
        let identity = Identity {
            asset_type: AssetType::Model,
            creator: Creator::User(UserId::new(1).unwrap()),
            privacy: Privacy::Default,
            path: ProjectPath::new("a.fbx").unwrap(),
        };
        let begun = cache.begin(&address, identity.clone(), intent(), &[], 0, &Checkout::Unknown).await.unwrap();
        let id = begun.unwrap();
        cache.hand_over(id, 0).await.unwrap();
        cache.advance(id, PhaseEvent::Doubt).await.unwrap();
        (cache, address, identity, id)
    }

    fn intent() -> Intent {
        let (asset_id, content) = (AssetId::new(5).unwrap(), ContentHash::from_bytes([1; 32]));
        Intent::UpdateContent { asset_id, content, head: Revision::new(1).ok() }
    }

    /// Another machine sent it again, and its lockfile names the operation.
    async fn is_accepted_elsewhere(cache: &StateCache, id: AttemptId) {
        let operation = OperationId::new("op-1").unwrap();
        cache.commit(vec![Change::Advance { attempt: id, event: PhaseEvent::Accept(operation) }]).await.unwrap();
    }

    /// The journal refused that step, which closed the state and ended the run.
    #[tokio::test]
    async fn an_attempt_that_went_on_is_not_handed_over_and_the_state_stays_open() {
        let folder = tempfile::tempdir().unwrap();
        let (cache, _, _, id) = with_update_in_doubt(folder.path()).await;
        cache.hand_over(id, 0).await.unwrap();
        cache.advance(id, PhaseEvent::Doubt).await.unwrap();
        is_accepted_elsewhere(&cache, id).await;
        assert!(matches!(cache.hand_over(id, 0).await, Err(HandOverError::WentOn)));
        cache.advance(id, PhaseEvent::Complete).await.unwrap();
        assert!(matches!(cache.hand_over(id, 0).await, Err(HandOverError::WentOn)));
        cache.close().await;
    }

    #[tokio::test]
    async fn nothing_takes_the_place_of_an_attempt_that_went_on() {
        let folder = tempfile::tempdir().unwrap();
        let (cache, address, identity, id) = with_update_in_doubt(folder.path()).await;
        let given_up = [Change::Advance { attempt: id, event: PhaseEvent::Abandon }];
        let begin = async || {
            let (identity, checkout) = (identity.clone(), Checkout::Unknown);
            cache.begin(&address, identity, intent(), &given_up, 0, &checkout).await.unwrap()
        };
        is_accepted_elsewhere(&cache, id).await;
        assert_eq!(begin().await, None);
        assert_eq!(cache.read(|recorded| recorded.attempts.len()), 1);
        cache.advance(id, PhaseEvent::Doubt).await.unwrap();
        assert!(begin().await.is_some());
        assert!(begin().await.is_some(), "it was given up before");
        assert!(!cache.read(|recorded| recorded.attempts.contains_key(&id)));
        cache.close().await;
    }
}

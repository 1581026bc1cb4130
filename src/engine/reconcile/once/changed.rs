//! A run that begins with what changed since there was nothing to do: it loads and plans only what
//! that can touch. It is a whole run from the first moment at which that isn't enough.
//!
//! Read next: [`crate::engine::workspace::changed_part`].

use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread::JoinHandle;

use super::report::note;
use super::{Stage, SyncRun};
use crate::engine::reconcile::reconciler::Reconciler;
use crate::engine::reconcile::wanted::WantedAssets;
use crate::engine::report::settled_rows;
use crate::engine::workspace::changed_part::WantedPart;
use crate::engine::workspace::outputs::{self, OutputFile, OutputState};
use crate::engine::workspace::session::Session;
use crate::engine::workspace::settled::{self, ChangedRun};
use crate::engine::workspace::state_cache::{StateCache, StateCacheError};
use crate::model::address::Address;
use crate::model::desired::Desired;
use crate::model::neighbours::Neighbours;
use crate::model::output::Output;
use crate::model::policy::LeavePolicy;
use crate::model::recorded::Recorded;
use crate::outputs::AssetIds;
use crate::plan::Plan;
use crate::plan::neighbours::changes_elsewhere;
use crate::plan::part::{Touched, plan_part, ties_of};
use crate::platform::clock;
use crate::state::store::SettledRows;

impl SyncRun<'_> {
    /// Begins with a part, of which everything is known.
    pub(super) fn begin_with(&mut self, part: WantedPart) {
        self.report.assets = part.assets();
        let manifest = Some((part.manifest().clone(), part.text().to_owned()));
        let WantedPart { change, mut desired, neighbours, inputs, touched, earlier, delta } = part;
        // No request waits for it where only a note depends on it.
        let knows_neighbours = neighbours.is_some() && desired.policy.replaced == LeavePolicy::Archive;
        match neighbours {
            Some(looking) if knows_neighbours => desired.neighbours = Arc::new(end_of(looking)),
            looking => self.looking = looking,
        }
        let desired = Arc::new(desired);
        let reconciler = &mut self.reconciler;
        reconciler.find_parts();
        let Session { state_cache, lockfile, .. } = &mut *reconciler.session;
        let in_manifest: Arc<BTreeSet<Address>> = Arc::new(desired.assets.keys().cloned().collect());
        lockfile.wanted_by(&desired);
        lockfile.says_all(&in_manifest, &desired.checkout);
        self.ids_before = earlier.map(|earlier| {
            let mut before = Desired::clone(&desired);
            for (address, content) in earlier {
                before.assets.entry(address).and_modify(|want| want.content = content);
            }
            state_cache.read(|recorded| outputs::asset_ids(&before, recorded))
        });
        let (ties, inputs, change) = (ties_of(&desired), Some(inputs), Some(change));
        reconciler.wanted = WantedAssets { manifest, desired, ties, in_manifest, inputs, change, knows_neighbours };
        self.touched = Some(Touched { addresses: touched, earlier: BTreeSet::new() });
        self.learned = delta;
        self.stage = Stage::Planning;
    }

    /// Notes which of the assets that changed in place other manifests use too.
    pub(super) fn note_changes_elsewhere(&mut self) {
        let Some(looking) = self.looking.take() else { return };
        let steps = self.report.steps.iter().map(|report| &report.step);
        let notes = changes_elsewhere(steps, &end_of(looking));
        note(&mut self.report, notes);
    }

    /// Saves what was learned of the files with which the run began. That waits for the disk, so no
    /// request waits for it: a run that ends before reads these files once more.
    pub(super) async fn save_learned(&mut self) -> Result<(), StateCacheError> {
        let learned = std::mem::take(&mut self.learned);
        if learned.is_empty() {
            return Ok(());
        }
        Ok(self.reconciler.session.state_cache.store().save_files(learned).await?)
    }

    /// Returns whether only a part is known.
    pub(super) fn is_part(&self) -> bool {
        self.reconciler.wanted.change.is_some()
    }

    /// Returns whether a run that knows only a part can't end yet: the game's files are to be written,
    /// which takes all assets.
    pub(super) fn needs_everything_at_the_end(&self) -> bool {
        self.is_part() && !self.options.stop.is_triggered() && self.outputs_of_part().is_none()
    }

    /// Returns the outputs of a run that knows only a part, if no asset ID of it changed: then they are
    /// what they were.
    pub(super) fn outputs_of_part(&self) -> Option<Vec<OutputFile>> {
        let Reconciler { session, wanted, .. } = &self.reconciler;
        let (manifest, _) = wanted.manifest.as_ref()?;
        let ids: AssetIds = session.state_cache.read(|recorded| outputs::asset_ids(&wanted.desired, recorded));
        let all = manifest.outputs().iter();
        let is_same = manifest.outputs().is_empty() || self.ids_before.as_ref() == Some(&ids);
        let up_to_date = |output: &Output| OutputFile {
            path: output.path.clone(),
            state: OutputState::UpToDate,
            keys_gone: Vec::new(),
        };
        is_same.then(|| all.map(up_to_date).collect())
    }

    /// Stores the proof that there is nothing to do any more, if that is so.
    pub(super) async fn settle_part(&mut self) -> Result<(), StateCacheError> {
        self.save_learned().await?;
        let Reconciler { session, wanted, .. } = &mut self.reconciler;
        let Session { project, state_cache, .. } = &mut **session;
        let (Some(change), Some(inputs)) = (wanted.change.take(), wanted.inputs.take()) else { return Ok(()) };
        // All of it was loaded at the end, and more may be known.
        if !state_cache.is_part() {
            return Ok(());
        }
        let (desired, options, report) = (&wanted.desired, &self.options.plan_options, &self.report);
        let all = Touched { addresses: desired.assets.keys().cloned().collect(), earlier: BTreeSet::new() };
        let cache = state_cache.store().load_files_at(change.files.clone()).await?;
        let prove = |recorded: &Recorded| {
            let run = ChangedRun { project, change: &change, inputs: &inputs, cache: &cache, recorded, report };
            settled::prove_again(&run, clock::now(), |at| {
                let part = plan_part(desired, &wanted.ties, recorded, &all, options, at);
                part.is_some_and(|part| part.plan == Plan::default())
            })
        };
        let Some(proof) = tokio::task::block_in_place(|| state_cache.read(prove)) else { return Ok(()) };
        let store = state_cache.store();
        match statuses(state_cache, desired).await? {
            Some(rows) => store.set_settled_again(proof, rows).await?,
            // Without statuses `status` plans.
            None => store.set_settled(proof, Vec::new()).await?,
        }
        Ok(())
    }
}

/// Returns those statuses among which those of a part are, as they are now; `None` if they can't be
/// kept.
async fn statuses(state_cache: &StateCache, desired: &Desired) -> Result<Option<Vec<SettledRows>>, StateCacheError> {
    let now = clock::now();
    let Some(encoded) = state_cache.read(|recorded| settled_rows::encode(desired, recorded, now)) else {
        return Ok(None);
    };
    let mut all: Vec<SettledRows> = Vec::new();
    for row in encoded.iter().filter_map(|some| settled_rows::decode(&some.rows)).flatten() {
        let address = row.status.address.clone();
        let Some(stored) = state_cache.store().settled_rows_with(address).await? else { return Ok(None) };
        let known = all.iter_mut().find(|rows| rows.first == stored.first);
        let rows = known.as_ref().map_or(&stored.rows, |known| &known.rows);
        let Some(rows) = settled_rows::replace(rows, vec![row]) else { return Ok(None) };
        match known {
            Some(known) => known.rows = rows,
            None => all.push(SettledRows { first: stored.first, rows }),
        }
    }
    Ok(Some(all))
}

/// Waits for a look at other manifests.
fn end_of(looking: JoinHandle<Neighbours>) -> Neighbours {
    let found = tokio::task::block_in_place(|| looking.join());
    found.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

//! Planning a part: what a change of some addresses can touch, and for these exactly what a plan of
//! everything would say.
//!
//! Two addresses depend on one another if they know or want the same bytes, know the same asset, or
//! one shows the other as its icon or a preview. Whatever is tied to the changed addresses in this
//! way, however often around the corner, is planned together, as if nothing else existed. Where more
//! than such ties decide (moves, removals, many archivings, a lost lockfile), there is no part. A
//! property compares every part with the plan of everything (`tests/part.rs`).

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::neighbours;
use super::renamed;
use super::step::{Action, HeldPart, Plan, PlanOptions};
use crate::model::address::Address;
use crate::model::desired::{Desired, DesiredAsset, Pin};
use crate::model::ids::{AssetId, ContentHash};
use crate::model::recorded::{Attempt, Identity, Record, Recorded, RecordedTies};
use crate::model::steps::step;
use crate::model::ties::{TieIndex, TieKey};

/// The most addresses of a part: with more, a plan of everything costs hardly more.
const MOST: usize = 256;

/// What changed since everything was planned.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Touched {
    /// The addresses that are wanted otherwise, or of which something else became known.
    pub addresses: BTreeSet<Address>,
    /// The bytes that they wanted before.
    pub earlier: BTreeSet<ContentHash>,
}

impl Touched {
    /// Returns whether nothing changed.
    pub(crate) fn is_empty(&self) -> bool {
        self.addresses.is_empty()
    }
}

/// The plan of some addresses, and what it was made from.
#[derive(Debug)]
pub(crate) struct PartialPlan {
    /// What is wanted of these addresses alone.
    pub desired: Desired,
    /// What is known of them.
    pub recorded: Recorded,
    /// What a plan of everything would have for them.
    pub plan: Plan,
}

/// Plans what a change of `touched` can touch; `None` where only a plan of everything tells. `index`
/// has the ties of what is wanted, or more.
pub(crate) fn plan_part(
    desired: &Desired,
    index: &TieIndex,
    recorded: &Recorded,
    touched: &Touched,
    options: &PlanOptions,
    now: Timestamp,
) -> Option<PartialPlan> {
    let is_whole = desired.unseen.is_empty() && desired.stray.is_empty() && options.missing_lockfile.is_none();
    if !is_whole || !options.overwrite.is_empty() {
        return None;
    }
    let ties = Ties::of(desired, index, recorded, touched)?;
    if !ties.addresses.iter().all(|address| stays(address, desired, recorded)) {
        return None;
    }
    let (desired, recorded) = ties.cut(desired, recorded);
    // What an old name gives up makes it new, and one that left may have moved there.
    if !renamed::given_up(&desired, &recorded, options).is_empty() {
        return None;
    }
    let plan = super::plan(&desired, &recorded, options, now);
    // How many archivings are too many depends on all assets, and hides why else one is held.
    let archives = plan.steps.iter().any(|step| matches!(step.action, Action::Archive { .. }))
        || plan.held.iter().any(|hold| hold.part == HeldPart::Archiving);
    (!archives).then_some(PartialPlan { desired, recorded, plan })
}

/// Whether an address is wanted and known, and has the owner and the path that it had: only others
/// can have moved, or have the file of another.
fn stays(address: &Address, desired: &Desired, recorded: &Recorded) -> bool {
    let (Some(want), Some(record)) = (desired.assets.get(address), recorded.assets.get(address)) else { return false };
    let Identity { creator, path, .. } = &record.identity;
    !record.history.is_empty() && *creator == want.creator && *path == want.path
}

/// Returns the ties of everything that is wanted.
pub(crate) fn ties_of(desired: &Desired) -> TieIndex {
    desired.assets.iter().flat_map(|(address, want)| keys(want).map(|key| (key, address.clone()))).collect()
}

/// Adds what ties an address that is wanted like this to others.
pub(crate) fn tie(index: &mut TieIndex, address: &Address, want: &DesiredAsset) {
    keys(want).for_each(|key| index.add(key, address));
}

fn keys(want: &DesiredAsset) -> impl Iterator<Item = TieKey> {
    let contents = want.content.as_ref().ok().map(|facts| TieKey::content(facts.hash));
    let shown = want.metadata.references().map(TieKey::shown);
    let assets = want.metadata.asset_ids().chain(pinned(want)).map(TieKey::asset);
    contents.into_iter().chain(shown).chain(assets)
}

/// The addresses that depend on one another, and what ties them.
#[derive(Debug, Default)]
struct Ties {
    addresses: BTreeSet<Address>,
    /// Addresses that one of them shows.
    shown: BTreeSet<Address>,
    contents: BTreeSet<ContentHash>,
    assets: BTreeSet<AssetId>,
    /// The ties that were not followed yet.
    open: Vec<TieKey>,
}

impl Ties {
    /// Follows all ties; `None` if they lead to too many addresses.
    fn of(desired: &Desired, index: &TieIndex, recorded: &Recorded, touched: &Touched) -> Option<Self> {
        let mut ties = Self::default();
        touched.earlier.iter().for_each(|content| ties.content(*content));
        let mut found: BTreeSet<Address> = touched.addresses.clone();
        while !found.is_empty() {
            for address in std::mem::take(&mut found) {
                ties.add(&address, desired, recorded);
            }
            if ties.addresses.len() > MOST {
                return None;
            }
            for key in std::mem::take(&mut ties.open) {
                let wants = index.of(key).filter_map(|address| desired.assets.get_key_value(address));
                let wants = wants.filter(|(_, want)| ties.lead_to_wanted(want)).map(|(address, _)| address);
                let records = recorded.tied(key).filter(|(_, record)| ties.lead_to(record));
                found.extend(wants.chain(records.map(|(address, _)| address)).cloned());
            }
            let attempts = recorded.attempts.values().filter(|attempt| ties.lead_to_attempt(attempt));
            found.extend(attempts.map(|attempt| attempt.address.clone()));
            found.extend(ties.shown.iter().filter(|shown| desired.assets.contains_key(*shown)).cloned());
            found.retain(|address| !ties.addresses.contains(address));
        }
        Some(ties)
    }

    fn content(&mut self, content: ContentHash) {
        if self.contents.insert(content) {
            self.open.push(TieKey::content(content));
        }
    }

    fn asset(&mut self, asset_id: AssetId) {
        if self.assets.insert(asset_id) {
            self.open.push(TieKey::asset(asset_id));
        }
    }

    fn add(&mut self, address: &Address, desired: &Desired, recorded: &Recorded) {
        if !self.addresses.insert(address.clone()) {
            return;
        }
        self.open.push(TieKey::shown(address));
        if let Some(want) = desired.assets.get(address) {
            want.content.iter().for_each(|facts| self.content(facts.hash));
            self.shown.extend(want.metadata.references().cloned());
            want.metadata.asset_ids().chain(pinned(want)).for_each(|asset_id| self.asset(asset_id));
        }
        if let Some(record) = recorded.assets.get(address) {
            for (key, fact) in record.history.iter() {
                self.asset(key.asset_id);
                fact.content.iter().for_each(|content| self.content(*content));
            }
            record.points_to.iter().for_each(|asset_id| self.asset(*asset_id));
            record.retirements.keys().for_each(|asset_id| self.asset(*asset_id));
        }
        for attempt in recorded.attempts.values().filter(|attempt| attempt.address == *address) {
            attempt.intent.content().iter().for_each(|content| self.content(*content));
            attempt.intent.asset_id().iter().for_each(|asset_id| self.asset(*asset_id));
        }
    }

    fn lead_to_wanted(&self, want: &DesiredAsset) -> bool {
        step();
        want.content.as_ref().is_ok_and(|facts| self.contents.contains(&facts.hash))
            || want.metadata.references().any(|shown| self.addresses.contains(shown))
            || want.metadata.asset_ids().chain(pinned(want)).any(|asset_id| self.assets.contains(&asset_id))
    }

    fn lead_to(&self, record: &Record) -> bool {
        step();
        let mut facts = record.history.iter();
        facts.any(|(key, fact)| {
            self.assets.contains(&key.asset_id) || fact.content.is_some_and(|content| self.contents.contains(&content))
        }) || record.points_to.is_some_and(|asset_id| self.assets.contains(&asset_id))
            || record.retirements.keys().any(|asset_id| self.assets.contains(asset_id))
    }

    fn lead_to_attempt(&self, attempt: &Attempt) -> bool {
        attempt.intent.content().is_some_and(|content| self.contents.contains(&content))
            || attempt.intent.asset_id().is_some_and(|asset_id| self.assets.contains(&asset_id))
    }

    /// Returns what is wanted and known of these addresses.
    fn cut(&self, desired: &Desired, recorded: &Recorded) -> (Desired, Recorded) {
        let Desired {
            assets,
            existing,
            policy,
            unseen,
            stray,
            fileless,
            absences,
            never_committed,
            unseen_history,
            checkout,
            neighbours,
        } = desired;
        let wanted = self.addresses.iter().filter_map(|address| assets.get_key_value(address));
        let desired = Desired {
            assets: wanted.map(|(address, want)| (address.clone(), want.clone())).collect(),
            existing: existing.clone(),
            policy: *policy,
            unseen: unseen.clone(),
            stray: stray.clone(),
            fileless: fileless.clone(),
            absences: absences.clone(),
            never_committed: never_committed.clone(),
            unseen_history: unseen_history.clone(),
            neighbours: neighbours::of_part(neighbours, recorded),
            checkout: checkout.clone(),
        };
        let Recorded {
            assets,
            attempts,
            forgotten,
            seen,
            not_found,
            written,
            restored,
            outdated,
            contradicted,
            quotas,
            next_attempt,
            ties: _,
        } = recorded;
        let known = self.addresses.iter().filter_map(|address| assets.get_key_value(address));
        let ours = attempts.iter().filter(|(_, attempt)| self.addresses.contains(&attempt.address));
        let forgot = self.addresses.iter().filter_map(|address| forgotten.get_key_value(address));
        let recorded = Recorded {
            assets: known.map(|(address, record)| (address.clone(), record.clone())).collect(),
            attempts: ours.map(|(id, attempt)| (*id, attempt.clone())).collect(),
            forgotten: forgot.map(|(address, forgotten)| (address.clone(), forgotten.clone())).collect(),
            seen: self.assets.iter().filter_map(|id| Some((*id, seen.get(id)?.clone()))).collect(),
            not_found: self.assets.iter().filter_map(|id| Some((*id, *not_found.get(id)?))).collect(),
            written: self.assets.iter().filter_map(|id| Some((*id, *written.get(id)?))).collect(),
            restored: self.assets.iter().filter_map(|id| Some((*id, *restored.get(id)?))).collect(),
            outdated: self.assets.intersection(outdated).copied().collect(),
            contradicted: self.assets.intersection(contradicted).copied().collect(),
            quotas: quotas.clone(),
            next_attempt: *next_attempt,
            ties: RecordedTies::default(),
        };
        (desired, recorded)
    }
}

fn pinned(want: &DesiredAsset) -> Option<AssetId> {
    match (*want.pin)? {
        Pin::Asset(asset_id) => Some(asset_id),
        Pin::Revision(_) => None,
    }
}

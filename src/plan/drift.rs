//! Drift: changes made at Roblox outside of Macadam. A plan always reports them. It never
//! overwrites content by itself, since that may be a deploy which this checkout has not pulled. It
//! puts metadata and archived assets back where the policy says so.

use jiff::Timestamp;

use super::current;
use super::inputs::{AddressInputs, ReadyAddress, hold, note, point, push};
use super::metadata::MetadataSubject;
use super::reason::drift::DriftKind;
use super::reason::hold::{BlockedChange, HoldReason};
use super::reason::note::NoteKind;
use super::reason::step::StepReason;
use super::sharing::AssetSource;
use super::step::{Action, Drift, HEALINGS_A_DAY, Plan};
use crate::model::address::Address;
use crate::model::change::Change;
use crate::model::history::{Origin, RevisionFact, RevisionKey};
use crate::model::ids::{AssetId, Revision};
use crate::model::observation::{self, READ_LAG};
use crate::model::policy::DriftPolicy;
use crate::model::recorded::{DriftRepair, Observation, Record, Recorded, RetireReason, Retirement};

/// Whether a revision was made outside of Macadam: its bytes are unknown, and no import brought it.
pub(super) fn is_elsewhere(record: &Record, key: RevisionKey, fact: RevisionFact) -> bool {
    if fact.content.is_some() {
        return false;
    }
    match fact.made {
        Some((_, Origin::Elsewhere)) => true,
        Some(_) => false,
        // From a lockfile, which doesn't say how it was made: an import is the first that is known
        // of its asset.
        None => record.history.of_asset(key.asset_id).next().is_some_and(|(first, _)| first != key),
    }
}

/// Reports content that was made over Macadam's own while the file stayed the same.
pub(super) fn content_elsewhere<'a>(
    plan: &mut Plan,
    ready: &ReadyAddress<'a>,
    record: &'a Record,
) -> Option<MetadataSubject<'a>> {
    let inputs = &ready.inputs;
    let (head, fact) = record.head()?;
    if inputs.options.overwrite.contains(inputs.address) || !is_elsewhere(record, head, fact) {
        return None;
    }
    let ours = record.history.of_asset(head.asset_id).rev().find_map(|(_, fact)| fact.content)?;
    if ours != ready.facts.hash {
        return None;
    }
    tell_made_elsewhere(plan, inputs, head);
    point(plan, inputs, record, head.asset_id);
    Some(MetadataSubject::Known {
        asset_id: head.asset_id,
        asked: Some(&record.asked),
        stored: Some(&record.stored),
        not_before: ready.not_before,
    })
}

/// Reports that the head was made outside of Macadam.
pub(super) fn tell_made_elsewhere(plan: &mut Plan, inputs: &AddressInputs<'_>, head: RevisionKey) {
    drifted(plan, inputs, head.asset_id, DriftKind::MadeElsewhere { version: head.version });
}

fn drifted(plan: &mut Plan, inputs: &AddressInputs<'_>, asset_id: AssetId, kind: DriftKind) {
    plan.drifts.push(Drift { address: inputs.address.clone(), asset_id, kind });
}

/// Whether a changed file has to wait, because its asset is not as Macadam left it.
pub(super) fn holds_update(
    plan: &mut Plan,
    inputs: &AddressInputs<'_>,
    record: &Record,
    head: RevisionKey,
    fact: RevisionFact,
) -> bool {
    if is_elsewhere(record, head, fact) {
        hold(plan, inputs, HoldReason::MadeElsewhere { asset_id: head.asset_id, version: head.version });
        return true;
    }
    if let Some((current, known)) = lower_than_known(inputs, head, fact) {
        hold(plan, inputs, HoldReason::RolledBackElsewhere { asset_id: head.asset_id, current, known });
        return true;
    }
    if holds_archived(plan, inputs, record, head.asset_id, BlockedChange::Content) {
        return true;
    }
    archived(plan, inputs, record, head.asset_id);
    false
}

/// How Macadam archived an asset, for this address or another one, if it is archived still.
fn archiving(inputs: &AddressInputs<'_>, record: &Record, asset_id: AssetId) -> Option<Retirement> {
    let own = record.retirements.get(&asset_id).copied().filter(|retirement| {
        retirement.archived_at.is_some() && !is_back(inputs.recorded, asset_id, *retirement, inputs.now)
    });
    own.or_else(|| for_another(inputs, asset_id))
}

/// Holds a change of an asset that is archived and not restored by the plan itself: Roblox would
/// refuse it.
pub(super) fn holds_archived(
    plan: &mut Plan,
    inputs: &AddressInputs<'_>,
    record: &Record,
    asset_id: AssetId,
    change: BlockedChange,
) -> bool {
    let archived = match archiving(inputs, record, asset_id) {
        // It is restored by the step before.
        Some(retirement) => retirement.why == RetireReason::ByHand,
        None => is_archived(inputs, asset_id),
    };
    let holds = archived && !repairs(inputs, record, DriftRepair::Archived);
    if holds {
        hold(plan, inputs, HoldReason::Archived { asset_id, change });
    }
    holds
}

/// Holds the use of another address's asset that a person archived, or somebody outside of Macadam
/// under a policy that only reports that: using it would restore it. What Macadam archived since
/// nothing used it comes back.
pub(super) fn holds_sharing(plan: &mut Plan, inputs: &AddressInputs<'_>, owner: &Address, asset_id: AssetId) -> bool {
    let holds = match for_another(inputs, asset_id) {
        Some(retirement) => retirement.why == RetireReason::ByHand && retirement.archived_at.is_some(),
        None => {
            let heals = |record| repairs(inputs, record, DriftRepair::Archived);
            is_archived(inputs, asset_id) && !inputs.recorded.assets.get(owner).is_some_and(heals)
        }
    };
    if holds {
        hold(plan, inputs, HoldReason::Archived { asset_id, change: BlockedChange::Sharing { owner: owner.clone() } });
    }
    holds
}

/// Holds a changed file that would get another asset, new or earlier, in place of one that a person
/// archived: that one is out of use until the person restores it. An archiving outside of Macadam is drift and holds
/// nothing here: the new asset leaves the archived one as it is, and keeps its ID in the history.
pub(super) fn holds_archived_by_hand(
    plan: &mut Plan,
    inputs: &AddressInputs<'_>,
    record: &Record,
    asset_id: AssetId,
) -> bool {
    let holds = archiving(inputs, record, asset_id).is_some_and(|retirement| retirement.why == RetireReason::ByHand);
    if holds {
        hold(plan, inputs, HoldReason::Archived { asset_id, change: BlockedChange::Content });
    }
    holds
}

/// Reports an asset that Roblox no longer has while its file stayed the same. Moderation may have
/// taken it, so Macadam doesn't upload the same bytes by itself. It uses another address's asset
/// with these bytes where there is one.
pub(super) fn vanished(plan: &mut Plan, ready: &ReadyAddress<'_>, record: &Record) -> bool {
    let inputs = &ready.inputs;
    let Some(asset_id) = current::vanished(ready.asset_type, ready.facts.hash, record) else { return false };
    if inputs.sharing.source(inputs.address) != AssetSource::Own {
        return false;
    }
    if record.points_to.is_none_or(|points_to| points_to == asset_id) {
        drifted(plan, inputs, asset_id, DriftKind::Gone);
    } else {
        hold(plan, inputs, HoldReason::ContentGone { asset_id });
    }
    true
}

/// Plans an asset that is wanted and archived: by Macadam while it was not wanted, by a person, or
/// outside of Macadam.
pub(super) fn archived(plan: &mut Plan, inputs: &AddressInputs<'_>, record: &Record, asset_id: AssetId) {
    match record.retirements.get(&asset_id) {
        Some(retirement)
            if retirement.archived_at.is_none() || is_back(inputs.recorded, asset_id, *retirement, inputs.now) =>
        {
            let address = inputs.address.clone();
            plan.marks.push(Change::SetRetirement { address, asset_id, retirement: None });
            // Somebody else may have archived it before Macadam did.
            by_whom(plan, inputs, record, asset_id, for_another(inputs, asset_id));
        }
        own => by_whom(plan, inputs, record, asset_id, own.copied().or_else(|| for_another(inputs, asset_id))),
    }
}

/// Plans an asset that is wanted and archived, if it is, by how Macadam archived it.
fn by_whom(
    plan: &mut Plan,
    inputs: &AddressInputs<'_>,
    record: &Record,
    asset_id: AssetId,
    retirement: Option<Retirement>,
) {
    // Of those who share it one puts it back; all of them lack it.
    let owns = record.retirements.contains_key(&asset_id) || inputs.sharing.owns_metadata(inputs.address, asset_id);
    match retirement {
        Some(Retirement { why: RetireReason::ByHand, .. }) => {
            note(plan, inputs, NoteKind::ArchivedByHand { address: inputs.address.clone() });
        }
        Some(_) if owns => {
            push(plan, inputs, Action::Restore { asset_id, repairs: false }, StepReason::ComesBack, None);
        }
        Some(_) => {}
        None if !is_archived(inputs, asset_id) => {}
        None if !repairs(inputs, record, DriftRepair::Archived) => {
            let repaired = repaired_enough(inputs, record, DriftRepair::Archived);
            drifted(plan, inputs, asset_id, DriftKind::Archived { repaired });
        }
        None if owns => {
            push(plan, inputs, Action::Restore { asset_id, repairs: true }, StepReason::ArchivedElsewhere, None);
        }
        None => {}
    }
}

/// What Macadam archived was restored since: by somebody else, for another address, or on another
/// branch.
///
/// A look shortly after the archiving may lag, whoever archived it. If it was archived in the future,
/// some clock was wrong: then any look since the lockfile was read counts. If this state restored it
/// itself, what Roblox answered counts until a look can tell: the lockfile may be an older one.
pub(super) fn is_back(recorded: &Recorded, asset_id: AssetId, retirement: Retirement, now: Timestamp) -> bool {
    let Some(archived_at) = retirement.archived_at else { return false };
    let Some(Observation { asset, at }) = recorded.seen.get(&asset_id) else { return false };
    let is_outdated = recorded.outdated.contains(&asset_id);
    let is_later = *at >= archived_at || archived_at > now;
    let may_lag = observation::may_lag(archived_at, *at) || recorded.may_lag(asset_id, *at);
    let was_looked_at = !is_outdated && is_later && !may_lag;
    asset.archived == Some(false) && (was_looked_at || recorded.was_just_restored(asset_id, now))
}

/// Whether the asset that Roblox refused to restore here is not archived any more: another machine or
/// a person restored it.
pub(super) fn is_restored(inputs: &AddressInputs<'_>, record: &Record) -> bool {
    let Some((key, _)) = current::current(inputs.want, record) else { return false };
    let archived = record.retirements.get(&key.asset_id).filter(|retirement| retirement.archived_at.is_some());
    match archived {
        Some(retirement) => is_back(inputs.recorded, key.asset_id, *retirement, inputs.now),
        None => inputs.recorded.observed(key.asset_id).is_some_and(|seen| seen.asset.archived == Some(false)),
    }
}

/// Whether an asset of an address is archived, as far as is known.
pub(super) fn is_known_archived(inputs: &AddressInputs<'_>, record: &Record, asset_id: AssetId) -> bool {
    let own = record.retirements.get(&asset_id).is_some_and(|retirement| {
        retirement.archived_at.is_some() && !is_back(inputs.recorded, asset_id, *retirement, inputs.now)
    });
    own || is_archived_for(inputs, asset_id)
}

/// The same of an asset that another address has.
pub(super) fn is_archived_for(inputs: &AddressInputs<'_>, asset_id: AssetId) -> bool {
    for_another(inputs, asset_id).is_some_and(|retirement| retirement.archived_at.is_some())
        || is_archived(inputs, asset_id)
}

/// How Macadam archived an asset for another address that has or had it.
fn for_another(inputs: &AddressInputs<'_>, asset_id: AssetId) -> Option<Retirement> {
    let archived = inputs.archivings.get(&asset_id).copied();
    archived.filter(|retirement| !is_back(inputs.recorded, asset_id, *retirement, inputs.now))
}

fn is_archived(inputs: &AddressInputs<'_>, asset_id: AssetId) -> bool {
    inputs.recorded.observed(asset_id).is_some_and(|seen| seen.asset.archived == Some(true))
}

/// Whether the policy repairs something, and Macadam didn't do so too often today.
fn repairs(inputs: &AddressInputs<'_>, record: &Record, repair: DriftRepair) -> bool {
    inputs.desired.policy.drift == DriftPolicy::Heal && record.recent_repairs(repair, inputs.now) < HEALINGS_A_DAY
}

/// How often it was put back today, where the policy would do it again but for that.
fn repaired_enough(inputs: &AddressInputs<'_>, record: &Record, repair: DriftRepair) -> Option<usize> {
    let times = record.recent_repairs(repair, inputs.now);
    (times >= HEALINGS_A_DAY && inputs.desired.policy.drift == DriftPolicy::Heal).then_some(times)
}

/// Reports an older version of a Model that was made current outside of Macadam.
pub(super) fn rolled_back_elsewhere(
    plan: &mut Plan,
    inputs: &AddressInputs<'_>,
    head: RevisionKey,
    fact: RevisionFact,
) {
    if let Some((current, known)) = lower_than_known(inputs, head, fact) {
        drifted(plan, inputs, head.asset_id, DriftKind::RolledBackElsewhere { current, known });
    }
}

/// The revision that Roblox has current and the newer one that should be.
fn lower_than_known(inputs: &AddressInputs<'_>, head: RevisionKey, fact: RevisionFact) -> Option<(Revision, Revision)> {
    let Observation { asset, at } = inputs.recorded.observed(head.asset_id)?;
    let (seen, known) = (asset.revision?, head.version?);
    // When the lockfile's revisions were made is not known: before the lockfile was read, and what
    // was seen before that is out of date.
    let lags = fact.made.is_some_and(|(made, _)| at.duration_since(made) < READ_LAG);
    (seen < known && !lags).then_some((seen, known))
}

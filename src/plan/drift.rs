//! Drift: what somebody else changed at Roblox. Always told; content made elsewhere is never
//! overwritten by itself, since it may be a deploy that this checkout has not pulled; metadata and
//! archived assets are put back where the policy says so.

use jiff::Timestamp;

use super::asset::{AddressInputs, ReadyAddress, hold, note, point, push};
use super::current;
use super::metadata::MetadataSubject;
use super::rule::Rule;
use super::sharing::AssetSource;
use super::step::{Action, Drift, HoldKind, Plan};
use crate::model::address::Address;
use crate::model::change::Change;
use crate::model::history::{Origin, RevisionFact, RevisionKey};
use crate::model::ids::AssetId;
use crate::model::observation::READ_LAG;
use crate::model::policy::DriftPolicy;
use crate::model::recorded::{DriftRepair, Observation, Record, Recorded, RetireReason, Retirement};

/// So often a day one thing of one address is put back; who changes it more often than that means
/// it.
pub(crate) const HEALINGS_A_DAY: usize = 3;

/// Whether nobody here made a revision: its bytes are unknown, and it is not what the address was
/// imported with.
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

/// The file is what Macadam last made of it, and somebody else has put something over it.
pub(super) fn content_elsewhere<'a>(
    plan: &mut Plan,
    ready: &ReadyAddress<'a>,
    record: &'a Record,
) -> Option<MetadataSubject<'a>> {
    let case = &ready.case;
    let (head, fact) = record.head()?;
    if case.options.overwrite.contains(case.address) || !is_elsewhere(record, head, fact) {
        return None;
    }
    let ours = record.history.of_asset(head.asset_id).rev().find_map(|(_, fact)| fact.content)?;
    if ours != ready.facts.hash {
        return None;
    }
    tell_made_elsewhere(plan, case, head);
    point(plan, case, record, head.asset_id);
    Some(MetadataSubject::Known {
        asset_id: head.asset_id,
        asked: Some(&record.asked),
        stored: Some(&record.stored),
        not_before: ready.not_before,
    })
}

/// Tells that somebody else made the head.
pub(super) fn tell_made_elsewhere(plan: &mut Plan, case: &AddressInputs<'_>, head: RevisionKey) {
    let (what, hint) = (made_elsewhere(head), Some(overwrite_hint(case)));
    plan.drifts.push(Drift { address: case.address.clone(), asset_id: head.asset_id, what, hint });
}

fn made_elsewhere(head: RevisionKey) -> String {
    let number = head.version.map_or_else(|| "a newer revision".to_owned(), |version| format!("revision {version}"));
    format!("somebody else made {number} of asset {}", head.asset_id)
}

fn overwrite_hint(case: &AddressInputs<'_>) -> String {
    format!(
        "if it is a deploy that this checkout hasn't pulled, pull it; `macadam sync --once --overwrite {}` puts the file over it",
        case.address
    )
}

/// Whether a changed file has to wait, because its asset is not as Macadam left it.
pub(super) fn holds_update(
    plan: &mut Plan,
    case: &AddressInputs<'_>,
    record: &Record,
    head: RevisionKey,
    fact: RevisionFact,
) -> bool {
    if is_elsewhere(record, head, fact) {
        hold(plan, case, HoldKind::Held, &made_elsewhere(head), Some(overwrite_hint(case)));
        return true;
    }
    if let Some(what) = lower_than_known(case, head, fact) {
        hold(plan, case, HoldKind::Held, &what, Some(overwrite_hint(case)));
        return true;
    }
    if holds_archived(plan, case, record, head.asset_id, "its file changed") {
        return true;
    }
    archived(plan, case, record, head.asset_id);
    false
}

/// Holds a change of an asset that is archived and not restored by the plan itself: Roblox would
/// refuse it. `why` it would be changed.
pub(super) fn holds_archived(
    plan: &mut Plan,
    case: &AddressInputs<'_>,
    record: &Record,
    asset_id: AssetId,
    why: &str,
) -> bool {
    let ours = record.retirements.get(&asset_id).filter(|retirements| {
        retirements.archived_at.is_some() && !is_back(case.recorded, asset_id, **retirements, case.now)
    });
    let archived = match ours {
        // It is restored by the step before.
        Some(retirements) => retirements.why == RetireReason::ByHand,
        None => is_archived(case, asset_id),
    };
    let holds = archived && !repairs(case, record, DriftRepair::Archived);
    if holds {
        let reason = format!("{why}, and asset {asset_id} is archived");
        hold(plan, case, HoldKind::Held, &reason, Some(format!("`macadam restore {}`", case.address)));
    }
    holds
}

/// The asset that the address is has vanished, and its file is as it was. Moderation may have taken
/// it, so the same bytes are not sent again by themselves; another address's asset with these bytes
/// is taken where there is one.
pub(super) fn vanished(plan: &mut Plan, ready: &ReadyAddress<'_>, record: &Record) -> bool {
    let case = &ready.case;
    let Some(asset_id) = current::vanished(ready.asset_type, ready.facts.hash, record) else { return false };
    if case.sharing.source(case.address) != AssetSource::Own {
        return false;
    }
    let hint = Some(gone_hint(case.address));
    if record.points_to.is_none_or(|points_to| points_to == asset_id) {
        let what = format!("Roblox no longer has asset {asset_id}");
        plan.drifts.push(Drift { address: case.address.clone(), asset_id, what, hint });
    } else {
        let reason = format!("its file is again the one of asset {asset_id}, which Roblox no longer has");
        hold(plan, case, HoldKind::Held, &reason, hint);
    }
    true
}

/// What a person can do about an asset that Roblox no longer has.
pub(super) fn gone_hint(address: &Address) -> String {
    format!(
        "`macadam retry {address}` has the next sync ask Roblox again; after `macadam forget {address}` the next sync uploads the file as a new asset, \
         with a new ID"
    )
}

/// An asset that is wanted and archived: by Macadam when it was not wanted, by a person, or by
/// somebody else.
pub(super) fn archived(plan: &mut Plan, case: &AddressInputs<'_>, record: &Record, asset_id: AssetId) {
    let address = || case.address.clone();
    match record.retirements.get(&asset_id) {
        Some(retirements)
            if retirements.archived_at.is_none() || is_back(case.recorded, asset_id, *retirements, case.now) =>
        {
            plan.marks.push(Change::SetRetirement { address: address(), asset_id, retirements: None });
        }
        Some(retirements) if retirements.why == RetireReason::ByHand => {
            note(plan, case, &format!("was archived by hand; `macadam restore {}` brings it back", case.address));
        }
        Some(_) => {
            let reason = "it was archived while it was not wanted, and is wanted again".to_owned();
            push(plan, case, Action::Restore { asset_id, repairs: false }, Rule::ComesBack, reason, None);
        }
        None if is_archived(case, asset_id) => {
            // Of those who share it one puts it back; all of them lack it.
            let owns = case.sharing.owns_metadata(case.address, asset_id);
            if repairs(case, record, DriftRepair::Archived) {
                let reason = "somebody else archived it".to_owned();
                let action = Action::Restore { asset_id, repairs: true };
                if owns {
                    push(plan, case, action, Rule::Heals, reason, None);
                }
            } else {
                let what = format!("somebody archived asset {asset_id}{}", enough(case, record, DriftRepair::Archived));
                let hint = Some(format!("`macadam restore {}`", case.address));
                plan.drifts.push(Drift { address: address(), asset_id, what, hint });
            }
        }
        None => {}
    }
}

/// What Macadam archived was restored since: by somebody else, for another address, or on another
/// branch.
///
/// A lockfile doesn't say when an asset was archived, but it was before the lockfile was read, so that
/// a look since then counts; only after a write of this state's own a look may lag. If that write was
/// the restore itself, what it answered counts until a look can tell: the lockfile may be an older one.
pub(super) fn is_back(recorded: &Recorded, asset_id: AssetId, retirement: Retirement, now: Timestamp) -> bool {
    let Some(archived_at) = retirement.archived_at else { return false };
    let Some(Observation { asset, at }) = recorded.seen.get(&asset_id) else { return false };
    let is_outdated = recorded.outdated.contains(&asset_id);
    let was_looked_at = !is_outdated && *at >= archived_at && !recorded.may_lag(asset_id, *at);
    asset.archived == Some(false) && (was_looked_at || recorded.was_just_restored(asset_id, now))
}

fn is_archived(case: &AddressInputs<'_>, asset_id: AssetId) -> bool {
    case.recorded.observed(asset_id).is_some_and(|seen| seen.asset.archived == Some(true))
}

/// Whether the policy is to put something back, and it was not done too often today.
fn repairs(case: &AddressInputs<'_>, record: &Record, repair: DriftRepair) -> bool {
    case.desired.policy.drift == DriftPolicy::Heal && record.recent_repairs(repair, case.now) < HEALINGS_A_DAY
}

fn enough(case: &AddressInputs<'_>, record: &Record, repair: DriftRepair) -> String {
    match record.recent_repairs(repair, case.now) {
        times if times >= HEALINGS_A_DAY && case.desired.policy.drift == DriftPolicy::Heal => {
            format!("; it was put back {times} times today")
        }
        _ => String::new(),
    }
}

/// Somebody made an older version of a Model current again.
pub(super) fn rolled_back_elsewhere(plan: &mut Plan, case: &AddressInputs<'_>, head: RevisionKey, fact: RevisionFact) {
    if let Some(what) = lower_than_known(case, head, fact) {
        let hint = Some(overwrite_hint(case));
        plan.drifts.push(Drift { address: case.address.clone(), asset_id: head.asset_id, what, hint });
    }
}

fn lower_than_known(case: &AddressInputs<'_>, head: RevisionKey, fact: RevisionFact) -> Option<String> {
    let Observation { asset, at } = case.recorded.observed(head.asset_id)?;
    let (seen, known) = (asset.revision?, head.version?);
    // When the lockfile's revisions were made is not known: before the lockfile was read, and what
    // was seen before that is out of date.
    let lags = fact.made.is_some_and(|(made, _)| at.duration_since(made) < READ_LAG);
    let what = || format!("somebody made revision {seen} of asset {} current in place of {known}", head.asset_id);
    (seen < known && !lags).then(what)
}

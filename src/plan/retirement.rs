//! Assets on their way out: replaced, or of addresses that left. Where the policy says so, Macadam
//! archives them after a while, once no address needs them, and never many at once without a
//! person.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::current::{current, for_game, last};
use super::drift;
use super::neighbours;
use super::reason::hold::HoldReason;
use super::reason::note::NoteKind;
use super::reason::step::StepReason;
use super::side_by_side;
use super::step::{Action, HeldPart, Hold, Note, Plan, PlanOptions, Step};
use crate::model::address::Address;
use crate::model::change::Change;
use crate::model::desired::{Desired, DesiredAsset, Pin, StrayPlace};
use crate::model::digest::FieldDigest;
use crate::model::former;
use crate::model::history::RevisionFact;
use crate::model::ids::AssetId;
use crate::model::metadata::AssetRef;
use crate::model::phase::IntentKind;
use crate::model::policy::LeavePolicy;
use crate::model::recorded::{Blocked, Record, Recorded, RetireReason, Retirement};

/// Within this time archivings count together.
const GUARD_SPAN: SignedDuration = SignedDuration::from_hours(24);

/// Fewer archivings than this are never held.
const GUARD_LEAST: usize = 3;

/// More than one asset in so many is held.
const GUARD_FRACTION: usize = 3;

/// One asset that is due to be archived.
struct DueArchiving<'a> {
    address: &'a Address,
    asset_id: AssetId,
    why: RetireReason,
}

/// An asset that will be archived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ScheduledArchiving {
    /// Which.
    pub asset_id: AssetId,
    /// Why.
    pub why: RetireReason,
    /// Not before this time.
    pub at: Timestamp,
}

/// The assets of one address that are on their way out, with the dates that `policy` gives them.
pub(crate) fn coming(address: &Address, record: &Record, desired: &Desired) -> Vec<ScheduledArchiving> {
    let leaving = leaving(record, desired.assets.contains_key(address), desired).into_iter();
    let dated = leaving.filter_map(|(asset_id, why)| {
        let retirement = record.retirements.get(&asset_id).filter(|retirement| retirement.archived_at.is_none())?;
        Some(ScheduledArchiving { asset_id, why, at: archive_at(retirement.since, desired)? })
    });
    dated.collect()
}

/// Whether a sync archives an asset of an address that left the manifest, once its time has come.
pub(crate) fn is_removed(address: &Address, asset_id: AssetId, desired: &Desired, recorded: &Recorded) -> bool {
    let Some(record) = recorded.assets.get(address) else { return false };
    let leaving = leaving(record, desired.assets.contains_key(address), desired);
    leaving.contains(&(asset_id, RetireReason::Removed))
        && !needed(&Plan::default(), desired, recorded).contains(&asset_id)
        && !kept(desired, recorded).contains(&asset_id)
        && desired.neighbours.keeper(asset_id).is_none()
}

/// The inputs that archiving depends on.
#[derive(Debug, Clone, Copy)]
pub(super) struct RetireInputs<'a> {
    /// The desired state.
    pub(super) desired: &'a Desired,
    /// The record of everything.
    pub(super) recorded: &'a Recorded,
    /// Addresses that workers are busy with; their assets are planned after that.
    pub(super) in_progress: &'a BTreeSet<Address>,
    /// Addresses that left, and may have moved.
    pub(super) undecided: &'a BTreeSet<Address>,
    /// The options of this run.
    pub(super) options: &'a PlanOptions,
    /// The time.
    pub(super) now: Timestamp,
}

/// Plans the retirement of assets that no address needs any more.
pub(super) fn plan_retirement(plan: &mut Plan, scene: &RetireInputs<'_>) {
    let RetireInputs { desired, recorded, in_progress, undecided, options, now } = *scene;
    let mut needed = needed(plan, desired, recorded);
    let may_have_moved = undecided.iter().filter_map(|address| recorded.assets.get(address));
    needed.extend(may_have_moved.flat_map(|record| record.history.assets()));
    needed.extend(kept(desired, recorded));
    let archived: BTreeMap<AssetId, Timestamp> = archived(recorded, now).collect();
    let is_back = |asset_id: AssetId, retirement: &Retirement| drift::is_back(recorded, asset_id, *retirement, now);
    let mut due: BTreeMap<AssetId, DueArchiving<'_>> = BTreeMap::new();
    let mut waiting: BTreeSet<AssetId> = BTreeSet::new();
    // The outcome is not known yet; the reason of a retirement and its date stay until then.
    let under_way: BTreeSet<AssetId> =
        recorded.attempts.values().filter_map(|attempt| attempt.intent.asset_id()).collect();
    let taken_off: BTreeSet<(Address, AssetId)> = plan.marks.iter().filter_map(cleared_retirement).collect();
    let idle = side_by_side::known(desired, recorded).filter(|(address, ..)| !in_progress.contains(*address));
    for (address, record, want) in idle {
        for (asset_id, why) in leaving(record, want.is_some(), desired) {
            // Without its own lockfile Macadam can't tell this checkout's assets from another
            // branch's.
            if options.missing_lockfile.is_some() && !options.accept_new_lockfile {
                continue;
            }
            if under_way.contains(&asset_id) {
                continue;
            }
            if needed.contains(&asset_id) {
                // The rules of the address itself may have said so already.
                if !taken_off.contains(&(address.clone(), asset_id)) {
                    take_off(plan, address, record, asset_id, is_back);
                }
                continue;
            }
            let retirement = record.retirements.get(&asset_id).copied();
            if retirement.is_some_and(|retirement| retirement.archived_at.is_some()) {
                continue;
            }
            if let Some(at) = archived.get(&asset_id) {
                // Another address that had the same asset.
                let since = retirement.map_or(*at, |retirement| retirement.since);
                retire(plan, address, asset_id, Retirement { why, since, archived_at: Some(*at) });
                continue;
            }
            // What the lockfile says is in use may be older than the file.
            if why == RetireReason::Replaced && retirement.is_none() && !is_decided(record, want, desired) {
                continue;
            }
            let since = retirement.map_or(now, |retirement| retirement.since);
            if retirement.is_none_or(|retirement| retirement.why != why) {
                retire(plan, address, asset_id, Retirement { why, since, archived_at: None });
            }
            match archive_at(since, desired) {
                Some(at) if at > now => {
                    // Also where another address that had it left long ago.
                    waiting.insert(asset_id);
                    note_date(plan, address, asset_id, why, at);
                }
                // Another address that had the same asset hears of it once it is done.
                Some(_) => {
                    due.entry(asset_id).or_insert(DueArchiving { address, asset_id, why });
                }
                None => {}
            }
        }
    }
    let due = due.into_values().filter(|due| !waiting.contains(&due.asset_id));
    let due = due.filter(|due| !neighbours::stays(plan, desired, due.address, due.asset_id, due.why));
    let mut due: Vec<DueArchiving<'_>> = due.collect();
    due.sort_by_key(|due| (due.address, due.asset_id));
    carry_out(plan, desired, recorded, due, options, now);
    restore_what_is_given(plan, scene, &under_way);
    take_off_restored(plan, scene, &under_way);
}

/// Takes note that an asset of this checkout was restored elsewhere, unless the policy lets it go: that
/// doesn't archive it twice. One that the game is given, or that a person had archived under an address
/// that is here, counts whatever the policy says. The rules of the address do the same where its file
/// is here and can be used.
fn take_off_restored(plan: &mut Plan, scene: &RetireInputs<'_>, under_way: &BTreeSet<AssetId>) {
    let RetireInputs { desired, recorded, in_progress, undecided, options: _, now } = *scene;
    for (address, record, want) in side_by_side::known(desired, recorded) {
        // Nearly no address has any.
        let is_ours = want.is_some() || record.in_lockfile.is_of(&desired.checkout);
        if record.retirements.is_empty() || in_progress.contains(address) || undecided.contains(address) || !is_ours {
            continue;
        }
        let is_here = is_here(desired, record, want);
        let given = for_game(desired, address, record).filter(|_| is_here).map(|(key, _)| key.asset_id);
        let leaving: BTreeSet<AssetId> =
            leaving(record, want.is_some(), desired).into_iter().map(|(asset_id, _)| asset_id).collect();
        for (asset_id, retirement) in record.retirements.iter() {
            let counts = is_here && retirement.is_by_hand() || given == Some(*asset_id) || !leaving.contains(asset_id);
            if counts && !under_way.contains(asset_id) && drift::is_back(recorded, *asset_id, *retirement, now) {
                let change = Change::SetRetirement { address: address.clone(), asset_id: *asset_id, retirement: None };
                if !plan.marks.contains(&change) {
                    plan.marks.push(change);
                }
            }
        }
    }
}

/// Whether the game is given an asset of this address here: its file is wanted, or is only not checked
/// out.
fn is_here(desired: &Desired, record: &Record, want: Option<&DesiredAsset>) -> bool {
    want.is_some()
        || !record.removed
            && record.in_lockfile.is_of(&desired.checkout)
            && desired.is_absence_in_doubt(&record.identity.path).is_some()
}

/// Restores what Macadam archived and the game is given again for another reason than the bytes of its
/// file: the newer picture was rejected, or the file is absent or unusable here and the lockfile says
/// that this asset is in use.
fn restore_what_is_given(plan: &mut Plan, scene: &RetireInputs<'_>, under_way: &BTreeSet<AssetId>) {
    let RetireInputs { desired, recorded, in_progress, undecided, options: _, now } = *scene;
    let mut restored: BTreeSet<AssetId> = plan
        .steps
        .iter()
        .filter_map(|step| match step.action {
            Action::Restore { asset_id, .. } => Some(asset_id),
            _ => None,
        })
        .collect();
    let steps = plan.steps.iter().filter(|step| !step.action.is_metadata());
    let acting: BTreeSet<Address> = steps.map(|step| step.address.clone()).collect();
    let is_idle = |address: &Address| ![in_progress, undecided, &acting].iter().any(|busy| busy.contains(address));
    for (address, record, want) in side_by_side::known(desired, recorded).filter(|(address, ..)| is_idle(address)) {
        if record.retirements.is_empty() || !is_here(desired, record, want) {
            continue;
        }
        let Some((key, fact)) = for_game(desired, address, record) else { continue };
        let is_archived = record.retirements.get(&key.asset_id).is_some_and(|retirement| {
            let by_policy = matches!(retirement.why, RetireReason::Replaced | RetireReason::Removed);
            let is_back = drift::is_back(recorded, key.asset_id, *retirement, now);
            by_policy && retirement.archived_at.is_some() && !is_back
        });
        let can = fact.state.is_usable() && !under_way.contains(&key.asset_id);
        if is_archived && can && restored.insert(key.asset_id) {
            if let Some(reason) = refused_restore(record) {
                let hold = Hold { address: address.clone(), part: HeldPart::Asset, reason };
                if !plan.held.contains(&hold) {
                    plan.held.push(hold);
                }
                continue;
            }
            let action = Action::Restore { asset_id: key.asset_id, repairs: false };
            let (address, reason, after) = (address.clone(), StepReason::GivenAgain, Vec::new());
            plan.steps.push(Step { address, action, reason, after, not_before: None });
        }
    }
}

/// Why an asset isn't restored, where Roblox refused that.
fn refused_restore(record: &Record) -> Option<HoldReason> {
    match record.blocked.as_deref()? {
        Blocked::Refused { action: action @ IntentKind::Restore, refusal_kind, message, .. } => {
            let (action, refusal_kind, message) = (*action, *refusal_kind, message.clone());
            Some(HoldReason::Refused { action, refusal_kind, message })
        }
        Blocked::Refused { .. } | Blocked::Retrying { .. } => None,
    }
}

/// Assets that something in the manifest still uses.
fn needed(plan: &Plan, desired: &Desired, recorded: &Recorded) -> BTreeSet<AssetId> {
    let mut needed: BTreeSet<AssetId> = desired.existing.values().copied().collect();
    for (_, want, record) in side_by_side::wanted(desired, recorded) {
        let meta = &want.metadata;
        let shown = meta.icon.iter().flatten().chain(meta.previews.iter().flatten().map(|preview| &preview.asset));
        needed.extend(shown.filter_map(|reference| match reference {
            AssetRef::Id(id) => Some(*id),
            AssetRef::Address(_) => None,
        }));
        if let Some(record) = record {
            needed.extend(current(want, record).map(|(key, _)| key.asset_id));
            // As long as its steps are not done, the address is still what it was.
            needed.extend(record.points_to);
        }
    }
    needed.extend(without_successor(desired, recorded));
    needed.extend(desired.stray.iter().filter_map(|stray| match stray.place {
        StrayPlace::Pin(Pin::Asset(asset_id)) => Some(asset_id),
        StrayPlace::Pin(Pin::Revision(_)) | StrayPlace::Icon { .. } | StrayPlace::Preview { .. } => None,
    }));
    needed.extend(plan.steps.iter().filter_map(|step| match &step.action {
        Action::Share { key, .. } => key.map(|key| key.asset_id),
        Action::PointBack { to, .. } => Some(to.asset_id),
        _ => None,
    }));
    needed
}

/// Assets of an earlier owner whose address has no usable one of the new owner yet: the game still
/// uses them.
fn without_successor<'a>(desired: &'a Desired, recorded: &'a Recorded) -> impl Iterator<Item = AssetId> {
    let has_own = |address: &Address| {
        let record = recorded.assets.get(address);
        record.is_some_and(|record| record.history.iter().any(|(_, fact)| fact.state.is_usable()))
    };
    let kept = recorded.assets.iter().filter(move |(former, record)| {
        let address = former::address_of(former, record.identity.creator);
        address.is_some_and(|address| desired.assets.contains_key(&address) && !has_own(&address))
    });
    kept.flat_map(|(_, record)| record.history.assets())
}

/// Whether file, pin or manifest say here which asset an address needs. Otherwise none of its assets
/// begins to count as replaced.
fn is_decided(record: &Record, want: Option<&DesiredAsset>, desired: &Desired) -> bool {
    match want {
        Some(want) => want.pin.is_some() || want.content.is_ok(),
        None => desired.is_absence_in_doubt(&record.identity.path).is_none(),
    }
}

/// Assets that some address had and doesn't let go: the policy keeps them there, or the address is
/// another branch's. An address that this checkout doesn't have is an old name of what another one
/// here has, and has no say in that, unless it only shared it.
fn kept(desired: &Desired, recorded: &Recorded) -> BTreeSet<AssetId> {
    let (here, elsewhere): (Vec<_>, Vec<_>) = side_by_side::known(desired, recorded)
        .partition(|(_, record, want)| want.is_some() || record.in_lockfile.is_of(&desired.checkout));
    let all: BTreeSet<AssetId> = here.iter().flat_map(|(_, record, _)| record.history.assets()).collect();
    let kept = here.into_iter().flat_map(|(_, record, want)| {
        let leaving: BTreeSet<AssetId> =
            leaving(record, want.is_some(), desired).into_iter().map(|(id, _)| id).collect();
        record.history.assets().into_iter().filter(move |asset_id| !leaving.contains(asset_id))
    });
    let is_shared = |record: &Record, asset_id| record.history.of_asset(asset_id).any(|(_, fact)| fact.shared);
    let of_others = elsewhere.iter().flat_map(|(_, record, _)| {
        record.history.assets().into_iter().filter(|id| !all.contains(id) || is_shared(record, *id))
    });
    kept.chain(of_others).collect()
}

/// The assets of one address that the policy lets go.
fn leaving(record: &Record, is_wanted: bool, desired: &Desired) -> Vec<(AssetId, RetireReason)> {
    let passed_over = record.passed_over();
    let usable = |key, fact: &RevisionFact| fact.state.is_usable() && !fact.disputed && !passed_over(key, fact);
    let usable_asset = |asset_id: &AssetId| record.history.of_asset(*asset_id).any(|(key, fact)| usable(key, fact));
    let is_here = record.in_lockfile.is_of(&desired.checkout);
    let replaced = desired.policy.replaced == LeavePolicy::Archive && (is_wanted || is_here);
    let removed = desired.policy.removed == LeavePolicy::Archive
        && !is_wanted
        && is_here
        && desired.is_absence_in_doubt(&record.identity.path).is_none();
    let last = last(record).map(|(key, _)| key.asset_id);
    let assets = record.history.assets().into_iter().filter(usable_asset);
    assets
        .filter_map(|asset_id| {
            // The last asset left with its address; the earlier ones had been replaced.
            let is_last = !is_wanted && last == Some(asset_id);
            match (is_last, removed, replaced) {
                (true, true, _) => Some((asset_id, RetireReason::Removed)),
                (false, _, true) => Some((asset_id, RetireReason::Replaced)),
                (true, false, _) | (false, _, false) => None,
            }
        })
        .collect()
}

/// The asset that a mark says is no longer to be archived.
fn cleared_retirement(mark: &Change) -> Option<(Address, AssetId)> {
    match mark {
        Change::SetRetirement { address, asset_id, retirement: None } => Some((address.clone(), *asset_id)),
        _ => None,
    }
}

fn take_off(
    plan: &mut Plan,
    address: &Address,
    record: &Record,
    asset_id: AssetId,
    is_back: impl Fn(AssetId, &Retirement) -> bool,
) {
    let stays = |retirement: &Retirement| retirement.archived_at.is_none() || is_back(asset_id, retirement);
    if record.retirements.get(&asset_id).is_some_and(stays) {
        let change = Change::SetRetirement { address: address.clone(), asset_id, retirement: None };
        plan.marks.push(change);
    }
}

fn retire(plan: &mut Plan, address: &Address, asset_id: AssetId, retirement: Retirement) {
    plan.marks.push(Change::SetRetirement { address: address.clone(), asset_id, retirement: Some(retirement) });
}

fn archive_at(since: Timestamp, desired: &Desired) -> Option<Timestamp> {
    let wait = SignedDuration::try_from(desired.policy.archive_after).ok()?;
    since.checked_add(wait).ok()
}

fn note_date(plan: &mut Plan, address: &Address, asset_id: AssetId, why: RetireReason, at: Timestamp) {
    plan.notes.push(Note { address: Some(address.clone()), kind: NoteKind::ArchivedLater { asset_id, why, at } });
}

/// Every asset that Macadam archived by itself, and when.
fn archived(recorded: &Recorded, now: Timestamp) -> impl Iterator<Item = (AssetId, Timestamp)> {
    recorded.assets.values().flat_map(|record| record.retirements.iter()).filter_map(move |(asset_id, retirement)| {
        match retirement.why {
            _ if drift::is_back(recorded, *asset_id, *retirement, now) => None,
            RetireReason::Replaced | RetireReason::Removed => Some((*asset_id, retirement.archived_at?)),
            RetireReason::ByHand => None,
        }
    })
}

/// Archives assets whose date has come, unless they are suspiciously many.
fn carry_out(
    plan: &mut Plan,
    desired: &Desired,
    recorded: &Recorded,
    due: Vec<DueArchiving<'_>>,
    options: &PlanOptions,
    now: Timestamp,
) {
    let due = hold_refused_archivings(plan, recorded, due);
    let lately = archived(recorded, now).filter(|(_, at)| now.duration_since(*at) < GUARD_SPAN);
    let mut together: BTreeSet<AssetId> = lately.map(|(asset_id, _)| asset_id).collect();
    together.extend(due.iter().map(|due| due.asset_id));
    let all = ours(desired, recorded, &together);
    let code = code(&together);
    let held = together.len() >= GUARD_LEAST
        && together.len() * GUARD_FRACTION > all
        && options.confirmed.as_deref() != Some(code.as_str());
    for DueArchiving { address, asset_id, why } in due {
        if held {
            let (count, code) = (together.len(), code.clone());
            let reason = HoldReason::ManyArchivings { asset_id, why, count, all, code };
            plan.held.push(Hold { address: address.clone(), part: HeldPart::Archiving, reason });
            continue;
        }
        let reason = match why {
            RetireReason::Replaced => StepReason::Replaced,
            RetireReason::Removed | RetireReason::ByHand => {
                StepReason::Removed { glob: desired.fileless.get(address).cloned() }
            }
        };
        let action = Action::Archive { asset_id, why };
        let (address, after) = (address.clone(), Vec::new());
        plan.steps.push(Step { address, action, reason, after, not_before: None });
    }
}

/// Holds what Roblox refused to archive, for whichever address, and returns the others.
fn hold_refused_archivings<'a>(
    plan: &mut Plan,
    recorded: &Recorded,
    due: Vec<DueArchiving<'a>>,
) -> Vec<DueArchiving<'a>> {
    if due.is_empty() {
        return due;
    }
    let refused: BTreeMap<&AssetId, &String> =
        recorded.assets.values().flat_map(|record| record.refused_archivings.iter()).collect();
    let mut others = Vec::new();
    for due in due {
        let DueArchiving { address, asset_id, why } = due;
        let Some(message) = refused.get(&asset_id) else {
            others.push(due);
            continue;
        };
        let reason = HoldReason::ArchivingRefused { asset_id, why, message: (*message).clone() };
        plan.held.push(Hold { address: address.clone(), part: HeldPart::Archiving, reason });
    }
    others
}

/// How many assets this checkout has: those that the game is given, and those that are archived
/// `together`. One that was archived long ago, or was replaced and stays on Roblox, says nothing of
/// how much the game loses.
fn ours(desired: &Desired, recorded: &Recorded, together: &BTreeSet<AssetId>) -> usize {
    let ours = side_by_side::known(desired, recorded)
        .filter(|(_, record, want)| record.in_lockfile.is_of(&desired.checkout) || want.is_some());
    let is_used =
        |record: &Record, is_wanted: bool| is_wanted || desired.is_absence_in_doubt(&record.identity.path).is_some();
    let used = ours.filter(|(_, record, want)| is_used(record, want.is_some()));
    let used = used.filter_map(|(address, record, _)| Some(for_game(desired, address, record)?.0.asset_id));
    used.chain(together.iter().copied()).collect::<BTreeSet<AssetId>>().len()
}

/// A name for exactly this set of assets: agreeing to one archiving agrees to no other.
fn code(assets: &BTreeSet<AssetId>) -> String {
    let names: Vec<String> = assets.iter().map(ToString::to_string).collect();
    FieldDigest::of_parts(names.iter().map(String::as_str)).to_string().chars().take(8).collect()
}

//! The status of one address: its state, pending steps, and the reasons.
//!
//! Pure: it reads the plan and the recorded state. Read next: [`crate::engine::report::status`] for
//! where both come from.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::engine::report::asset_state::{AssetState, Unknown};
use crate::model::address::Address;
use crate::model::asset::{AssetType, ContentChange, Moderation};
use crate::model::desired::{AbsenceReason, Desired, DesiredAsset, Pin};
use crate::model::file::FileProblemKind;
use crate::model::history::RevisionState;
use crate::model::ids::{AssetId, ContentHash};
use crate::model::metadata::Field;
use crate::model::minute::Minute;
use crate::model::path::ProjectPath;
use crate::model::phase::Phase;
use crate::model::recorded::{Attempt, Blocked, Record, Recorded, RetireReason, Retirement};
use crate::model::remote::RemoteAsset;
use crate::plan::asset::way_out;
use crate::plan::current::{current, for_game};
use crate::plan::in_doubt;
use crate::plan::pinnable::find;
use crate::plan::reason::hold::{HoldFacts, HoldReason};
use crate::plan::reason::note::NoteKind;
use crate::plan::retirement::{self, ScheduledArchiving};
use crate::plan::{Drift, HeldPart, Hold, HoldKind, Plan, Step};

/// Roblox answers sooner, whatever it is asked: an upload once its last byte was sent.
const USUAL_ANSWER: SignedDuration = SignedDuration::from_secs(20);

/// The origin of an archiving.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ArchivedBy {
    /// Macadam, because no address uses it any more.
    Policy,
    /// A person, through Macadam.
    Hand,
    /// Someone else.
    Elsewhere,
}

impl ArchivedBy {
    /// Reads the name that [`ArchivedBy::name`] gives.
    pub(in crate::engine) fn from_name(name: &str) -> Option<Self> {
        [Self::Policy, Self::Hand, Self::Elsewhere].into_iter().find(|by| by.name() == name)
    }

    /// Returns the name in output.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::Hand => "hand",
            Self::Elsewhere => "elsewhere",
        }
    }
}

/// The status of one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AssetStatus {
    pub address: Address,
    /// Its file.
    pub path: ProjectPath,
    /// Its type, if known.
    pub asset_type: Option<AssetType>,
    /// Its asset ID.
    pub asset_id: Option<AssetId>,
    /// The revision number that people see.
    pub revision: Option<u64>,
    /// The hash of the content at Roblox.
    pub content_hash: Option<ContentHash>,
    /// The hash of the file, if it is cached and the file is unchanged.
    pub file_hash: Option<ContentHash>,
    pub state: AssetState,
    /// The last known moderation state.
    pub moderation: Option<Moderation>,
    /// The start of the moderation review, as far as this machine knows.
    pub under_review_since: Option<Timestamp>,
    /// Its entry in `[pins]`.
    pub pin: Option<Pin>,
    /// The number that people see for the pinned revision; `None` also if the address never had it.
    pub pinned_revision: Option<u64>,
    /// The origin of its archiving, if it is archived.
    pub archived_by: Option<ArchivedBy>,
    /// Its assets that will be archived, and when.
    pub coming: Vec<ScheduledArchiving>,
    /// Changes made by others.
    pub drifts: Vec<Drift>,
    /// The next sync's steps, or the decision that waits for a person.
    pub waits: Option<String>,
    /// Why it is not in sync, if there is a reason.
    pub error: Option<String>,
    /// The stable name of the reason for which it is held.
    pub code: Option<&'static str>,
    /// What that reason names.
    pub facts: Option<HoldFacts>,
    /// The remedy.
    pub hint: Option<String>,
    /// Other assets that another branch made for it; they are not used.
    pub duplicates: Vec<AssetId>,
    /// The number of unknown assets that Roblox may have for it, from uploads that were repeated or
    /// set aside while their outcome was unknown.
    pub possible_duplicates: u64,
    /// The name that Roblox stored in place of the wanted one: its text filter changed it, or
    /// Macadam sent a neutral one.
    pub stored_display_name: Option<String>,
    /// The description that Roblox's text filter stored in place of the wanted one.
    pub stored_description: Option<String>,
}

/// One address, with everything that its status depends on.
pub(in crate::engine) struct StatusInputs<'a> {
    pub(in crate::engine) address: &'a Address,
    pub(in crate::engine) desired: &'a Desired,
    /// With the plan's marks applied.
    pub(in crate::engine) recorded: &'a Recorded,
    pub(in crate::engine) parts: &'a Parts<'a>,
    /// A request for the address was sent, and its outcome is not recorded yet.
    pub(in crate::engine) under_way: bool,
    pub(in crate::engine) unknown: Option<Unknown>,
    pub(in crate::engine) now: Timestamp,
}

/// The plan and the open attempts, by address, so that a status doesn't search all of them.
#[derive(Debug, Default)]
pub(in crate::engine) struct Parts<'a> {
    drifts: BTreeMap<&'a Address, Vec<&'a Drift>>,
    steps: BTreeMap<&'a Address, Vec<&'a Step>>,
    held: BTreeMap<&'a Address, Vec<&'a Hold>>,
    attempts: BTreeMap<&'a Address, Vec<&'a Attempt>>,
    /// What Macadam archived, for whichever address.
    archivings: BTreeMap<AssetId, Retirement>,
}

impl<'a> Parts<'a> {
    pub(in crate::engine) fn of(plan: &'a Plan, recorded: &'a Recorded) -> Self {
        Self {
            drifts: by_address(&plan.drifts, |drift| &drift.address),
            steps: by_address(&plan.steps, |step| &step.address),
            held: by_address(&plan.held, |hold| &hold.address),
            attempts: by_address(recorded.attempts.values(), |attempt| &attempt.address),
            archivings: recorded.archivings(),
        }
    }
}

fn by_address<'a, T>(
    all: impl IntoIterator<Item = &'a T>,
    address: impl Fn(&'a T) -> &'a Address,
) -> BTreeMap<&'a Address, Vec<&'a T>> {
    let mut found: BTreeMap<&Address, Vec<&T>> = BTreeMap::new();
    all.into_iter().for_each(|one| found.entry(address(one)).or_default().push(one));
    found
}

/// The addresses of this checkout, in their order.
pub(in crate::engine) fn addresses<'a>(desired: &'a Desired, recorded: &'a Recorded) -> BTreeSet<&'a Address> {
    let ours = recorded.assets.iter().filter(|(address, record)| {
        record.in_lockfile.is_of(&desired.checkout) && !recorded.has_nothing(address, record)
    });
    desired.assets.keys().chain(ours.map(|(address, _)| address)).collect()
}

impl StatusInputs<'_> {
    /// Returns the status, or `None` for an address whose file is not known.
    pub(in crate::engine) fn row(&self) -> Option<AssetStatus> {
        let record = self.recorded.assets.get(self.address);
        let want = self.want();
        let identity = record.map(|record| &record.identity);
        let asset_type = identity.map(|i| i.asset_type).or_else(|| want.and_then(|want| want.asset_type));
        let path = want.map(|want| want.path.clone()).or_else(|| identity.map(|i| i.path.clone()))?;
        let current = record.and_then(|record| for_game(self.desired, self.address, record));
        let seen = current.and_then(|(key, _)| self.recorded.observed(key.asset_id)).map(|seen| &seen.asset);
        let archived_by = record
            .zip(current)
            .and_then(|(record, (key, _))| archived_by(&self.parts.archivings, record, key.asset_id, seen));
        let state = current.map(|(_, fact)| fact.state);
        let moderation = match state {
            // The game keeps the asset of before.
            _ if self.is_rejected() => Some(Moderation::Rejected),
            Some(RevisionState::Rejected) => Some(Moderation::Rejected),
            Some(RevisionState::Reviewing) => Some(Moderation::Reviewing),
            Some(RevisionState::Unverified | RevisionState::Live | RevisionState::Gone) | None => {
                seen.and_then(|seen| seen.moderation)
            }
        };
        let reviewed = current.filter(|(_, fact)| fact.state == RevisionState::Reviewing);
        let pin = want.and_then(|want| *want.pin);
        let (error, hint) = self.error(record);
        let holds = self.holds();
        let hold = holds.first().map(|hold| &hold.reason);
        let stored = |field: Field| stored_otherwise(want?, record?, seen?, field);
        Some(AssetStatus {
            address: self.address.clone(),
            path,
            asset_type,
            asset_id: current.map(|(key, _)| key.asset_id),
            revision: current.and_then(|(key, _)| record.map(|record| record.history.number(key))),
            content_hash: current.and_then(|(_, fact)| fact.content),
            file_hash: self.file_hash(),
            state: self.state(record, current.is_some(), archived_by.is_some()),
            moderation,
            under_review_since: reviewed.and_then(|(_, fact)| fact.made).map(|(at, _)| at),
            pin,
            pinned_revision: pin.zip(record).and_then(|(pin, record)| number_of(pin, record)),
            archived_by,
            coming: record.map(|record| self.coming(record)).unwrap_or_default(),
            drifts: self.drifts().cloned().collect(),
            waits: self.waits(record),
            error,
            code: hold.map(HoldReason::code),
            facts: hold.map(HoldReason::facts),
            hint,
            duplicates: record.map(duplicates).unwrap_or_default(),
            possible_duplicates: record.map(Record::suspected).unwrap_or_default(),
            stored_display_name: stored(Field::DisplayName),
            stored_description: stored(Field::Description),
        })
    }

    fn want(&self) -> Option<&DesiredAsset> {
        self.desired.assets.get(self.address)
    }

    fn file_hash(&self) -> Option<ContentHash> {
        self.want().and_then(|want| want.content.as_ref().ok()).map(|facts| facts.hash)
    }

    fn drifts(&self) -> impl Iterator<Item = &Drift> {
        self.parts.drifts.get(self.address).into_iter().flatten().copied()
    }

    fn steps(&self) -> impl Iterator<Item = &Step> {
        self.parts.steps.get(self.address).into_iter().flatten().copied()
    }

    /// Returns the plan's holds, without those that exist only because the file was not read. A
    /// hold of the whole address comes first.
    fn holds(&self) -> Vec<&Hold> {
        let is_real = |hold: &&Hold| {
            self.unknown.is_none()
                || !matches!(&hold.reason, HoldReason::File(problem) if problem.kind == FileProblemKind::NotLookedAt)
        };
        let mut holds: Vec<&Hold> =
            self.parts.held.get(self.address).into_iter().flatten().copied().filter(is_real).collect();
        holds.sort_by_key(|hold| (hold.part, hold.kind()));
        holds
    }

    /// Returns the dates of what is to be archived. A date that a hold let pass tells nothing.
    fn coming(&self, record: &Record) -> Vec<ScheduledArchiving> {
        let is_held = self.held_archiving().is_some();
        let mut coming = retirement::coming(self.address, record, self.desired);
        coming.retain(|archiving| !is_held || archiving.at > self.now);
        coming
    }

    /// Returns whether moderation rejected the content that is wanted.
    fn is_rejected(&self) -> bool {
        self.holds().iter().any(|hold| hold.kind() == HoldKind::Rejected)
    }

    /// Returns what the game has instead of the content that moderation rejected.
    fn kept(&self, record: &Record) -> Option<String> {
        let (key, fact) = for_game(self.desired, self.address, record).filter(|(_, fact)| fact.state.is_usable())?;
        let is_other = fact.content.is_some() && fact.content != self.file_hash();
        let is_replaced = record.identity.asset_type.on_content_change() == ContentChange::NewAsset;
        let is_kept = self.is_rejected() && is_other && is_replaced;
        is_kept.then(|| format!("the game keeps asset {} (revision {})", key.asset_id, record.history.number(key)))
    }

    /// Returns what keeps an asset from being archived.
    fn held_archiving(&self) -> Option<HoldKind> {
        self.holds().iter().filter(|hold| hold.part == HeldPart::Archiving).map(|hold| hold.kind()).min()
    }

    /// Returns why the address is absent without counting as removed; `None` if it is present or
    /// was removed.
    fn uncounted(&self, record: Option<&Record>) -> Option<AbsenceReason> {
        let absent = record.filter(|record| self.want().is_none() && !record.removed)?;
        self.desired.is_absence_in_doubt(&absent.identity.path)
    }

    fn state(&self, record: Option<&Record>, has_asset: bool, archived: bool) -> AssetState {
        // A held archiving concerns an asset that no address uses any more. Its reason is shown,
        // but changes only the state of an address that left the manifest.
        let kind =
            self.holds().into_iter().filter(|hold| hold.part != HeldPart::Archiving).map(|hold| hold.kind()).min();
        let is_refused = matches!(record.and_then(|record| record.blocked.as_deref()), Some(Blocked::Refused { .. }));
        match kind {
            Some(HoldKind::Held) => return AssetState::Held,
            Some(HoldKind::Rejected) => return AssetState::Rejected,
            Some(HoldKind::Failed) => return AssetState::Failed,
            Some(HoldKind::Waiting) => return AssetState::Pending,
            // A refusal can't be compared with a file that was not read.
            None if self.unknown.is_some() && is_refused => return AssetState::Failed,
            None if self.under_way => return AssetState::InProgress,
            None if archived => return AssetState::Archived,
            None => {}
        }
        let Some(want) = self.want() else {
            return match self.uncounted(record) {
                Some(_) => AssetState::Synced,
                None => match self.held_archiving() {
                    Some(HoldKind::Failed) => AssetState::Failed,
                    Some(_) => AssetState::Held,
                    None => AssetState::Removed,
                },
            };
        };
        if self.drifts().next().is_some() {
            AssetState::Drifted
        } else if want.pin.is_some() {
            AssetState::Pinned
        } else if !has_asset || self.unknown == Some(Unknown::Changed) || self.steps().next().is_some() {
            AssetState::Pending
        } else if self.is_unverified(record) {
            AssetState::Unverified
        } else if self.is_unknown(record) {
            AssetState::Pending
        } else {
            AssetState::Synced
        }
    }

    fn waits(&self, record: Option<&Record>) -> Option<String> {
        // The hold says the rest.
        let is_held = |why: &AbsenceReason| matches!(why, AbsenceReason::NeverCommitted { .. });
        if let Some(why) = self.uncounted(record).filter(|why| !is_held(why)) {
            return Some(format!("it is missing here, but Macadam doesn't treat it as removed: {why}"));
        }
        let mut parts: Vec<String> =
            self.steps().map(|step| format!("{}: {}", step.action.planned(), step.reason)).collect();
        parts.extend(
            self.unanswered().map(|since| format!("sent at {}, and Roblox hasn't answered yet", Minute(since))),
        );
        let pin = self.want().and_then(|want| *want.pin).zip(record);
        let pinned = pin.and_then(|(pin, record)| find(record, pin).ok());
        let differs = pinned.zip(self.file_hash()).is_some_and(|((_, fact), hash)| fact.content != Some(hash));
        let (number, address) = (pin.and_then(|(pin, record)| number_of(pin, record)), self.address);
        parts.extend(match (number, self.unknown) {
            (Some(number), Some(Unknown::Changed)) => Some(format!(
                "it is pinned to revision {number}, and its file was written since the last sync; `macadam unpin {address:#}` \
                 uploads what changed"
            )),
            (None, Some(Unknown::Changed)) => Some("its file was written since the last sync; `macadam plan` says whether it changed".to_owned()),
            (Some(number), None) if differs => {
                Some(NoteKind::PinHoldsFile { address: address.clone(), number }.to_string())
            }
            (_, None | Some(Unknown::NeverLooked)) => None,
        });
        parts.extend(self.is_unverified(record).then(|| {
            "it is known only from another tool's files; the next `macadam sync --once` checks it on Roblox".to_owned()
        }));
        let is_unknown = self.is_unknown(record) && !self.is_unverified(record) && pin.is_none();
        parts.extend(is_unknown.then(|| {
            "Macadam can't compare its asset with its file, so the next `macadam sync --once` uploads the file"
                .to_owned()
        }));
        parts.extend(record.and_then(|record| self.kept(record)));
        (!parts.is_empty()).then(|| parts.join("; "))
    }

    /// Returns when a request was sent that Roblox should have answered by now.
    fn unanswered(&self) -> Option<Timestamp> {
        let attempts = self.parts.attempts.get(self.address).into_iter().flatten();
        let sent = attempts.filter(|attempt| self.under_way && attempt.phase == Phase::HandedOver);
        sent.map(|attempt| attempt.since).min().filter(|since| self.now.duration_since(*since) >= USUAL_ANSWER)
    }

    /// Returns whether the current asset is known only from another tool's files.
    fn is_unverified(&self, record: Option<&Record>) -> bool {
        let current = self.want().zip(record).and_then(|(want, record)| current(want, record));
        current.is_some_and(|(_, fact)| fact.state == RevisionState::Unverified)
    }

    /// Returns whether nothing tells what its asset holds, as after an import: its file will be
    /// uploaded, though it was not read here.
    fn is_unknown(&self, record: Option<&Record>) -> bool {
        let current = self.want().zip(record).and_then(|(want, record)| current(want, record));
        self.unknown.is_some() && current.is_some_and(|(_, fact)| fact.content.is_none())
    }

    /// Returns where a person finds the new name of an asset that the manifest still calls by its
    /// old one, where only files that were not read tell it.
    fn new_name_hint(&self, reason: &HoldReason) -> Option<String> {
        let HoldReason::StillNamed { old, new: None, .. } = reason else { return None };
        let is_unread =
            |want: &DesiredAsset| matches!(&want.content, Err(problem) if problem.kind == FileProblemKind::NotLookedAt);
        self.desired.assets.values().any(is_unread).then(|| {
            format!(
                "`macadam plan` finds the new name, if `{old}` was renamed: write that there; otherwise remove the reference"
            )
        })
    }

    fn error(&self, record: Option<&Record>) -> (Option<String>, Option<String>) {
        if let Some(hold) = self.holds().first() {
            return (Some(hold.reason.to_string()), self.new_name_hint(&hold.reason).or_else(|| hold.hint()));
        }
        match record.and_then(|record| record.blocked.as_deref()) {
            Some(Blocked::Refused { message, .. }) => {
                let hint = format!("change the file or its settings, or run `macadam retry {:#}`", self.address);
                (Some(message.clone()), Some(hint))
            }
            Some(Blocked::Retrying { message, next_at, failures, .. }) => {
                let times = if *failures == 1 { "once".to_owned() } else { format!("{failures} times") };
                let next =
                    if *next_at > self.now { format!(", next try at {}", Minute(*next_at)) } else { String::new() };
                (Some(format!("failed {times}{next}: {message}")), None)
            }
            None => (None, self.overdue()),
        }
    }

    /// Returns what to do about an upload that takes longer at Roblox than any that succeeds.
    fn overdue(&self) -> Option<String> {
        let attempts = self.parts.attempts.get(self.address).into_iter().flatten().copied();
        let mut overdue = attempts.filter(|attempt| in_doubt::is_overdue(attempt, self.now));
        overdue.next().map(|attempt| way_out(self.address, attempt, self.want()).to_string())
    }
}

/// Returns who archived an asset, or `None` if it isn't archived. Roblox's last statement counts
/// for more than Macadam's own record.
fn archived_by(
    archivings: &BTreeMap<AssetId, Retirement>,
    record: &Record,
    asset_id: AssetId,
    seen: Option<&RemoteAsset>,
) -> Option<ArchivedBy> {
    let own = record.retirements.get(&asset_id).copied().filter(|retirement| retirement.archived_at.is_some());
    // What shares the asset is archived with it.
    let known = own.or_else(|| archivings.get(&asset_id).copied());
    let is_archived = seen.and_then(|seen| seen.archived).unwrap_or(known.is_some());
    is_archived.then(|| match known.map(|retirement| retirement.why) {
        Some(RetireReason::Replaced | RetireReason::Removed) => ArchivedBy::Policy,
        Some(RetireReason::ByHand) => ArchivedBy::Hand,
        None => ArchivedBy::Elsewhere,
    })
}

/// Returns the number that people see for the pinned revision.
fn number_of(pin: Pin, record: &Record) -> Option<u64> {
    match pin {
        Pin::Revision(revision) => Some(revision.get()),
        Pin::Asset(asset_id) => {
            record.history.of_asset(asset_id).next_back().map(|(key, _)| record.history.number(key))
        }
    }
}

/// Returns Roblox's version of a managed text, if the text filter stored it in place of the wanted
/// one.
pub(in crate::engine) fn stored_otherwise(
    want: &DesiredAsset,
    record: &Record,
    seen: &RemoteAsset,
    field: Field,
) -> Option<String> {
    let wanted = *want.metadata.digests().get(&field)?;
    let (asked, stored) = (*record.asked.get(&field)?, *record.stored.get(&field)?);
    let is_it = asked == wanted && seen.stored(field) == Some(stored) && stored != wanted;
    is_it.then(|| crate::plan::diff::at_roblox(seen, field)).flatten()
}

fn duplicates(record: &Record) -> Vec<AssetId> {
    record.history.duplicates(record.identity.kind()).into_iter().collect()
}

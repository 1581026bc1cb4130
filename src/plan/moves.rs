//! Addresses that moved: one that is new takes over the assets of one that left, without an upload.
//!
//! By path first, since one path has one address; then by a pin that went along; then by type,
//! creator and bytes, also bytes that the old address had before. Where that leaves a choice, a
//! person makes it. A create under way goes with its address. While a worker is busy with the old
//! address, the new one waits. Read next:
//! [`super::lookalikes`], for what might be a move and nothing tells; [`super::missing_files`], for
//! the file of an address that did not leave.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::current;
use super::pinnable::{self, Unusable};
use super::reason::MoveEvidence;
use super::reason::hold::HoldReason;
use super::side_by_side;
use super::step::{HeldPart, Hold};
use crate::model::address::Address;
use crate::model::asset::{AssetType, ContentChange};
use crate::model::change::Change;
use crate::model::desired::{AbsenceReason, Desired, DesiredAsset, Pin, Stray, StrayPlace};
use crate::model::history::RevisionKey;
use crate::model::ids::{AssetId, ContentHash, Creator};
use crate::model::path::ProjectPath;
use crate::model::phase::Phase;
use crate::model::recorded::{Record, Recorded};
use crate::model::steps::step;

/// An address that left in the same change as a new one came, and is of its type and creator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lookalike {
    /// Its name.
    pub from: Address,
    /// Its asset.
    pub asset_id: AssetId,
    /// Its type.
    pub asset_type: AssetType,
}

/// One address that takes over the assets of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Move {
    /// The name that they had.
    pub from: Address,
    /// The evidence that they are one.
    pub evidence: MoveEvidence,
}

/// The moves between addresses.
#[derive(Debug, Default)]
pub(crate) struct Moves {
    /// By the new address.
    pub taken: BTreeMap<Address, Move>,
    /// Addresses that are not planned any further.
    pub held: BTreeMap<Address, Hold>,
    /// Addresses that left, and of which a person has to say what became of them: until then they
    /// were not removed.
    pub undecided: BTreeSet<Address>,
    /// New addresses that may take over from one that left and is in hand: nothing is planned for
    /// them until that is over.
    pub waiting: BTreeSet<Address>,
    /// New addresses that nothing matches, with those of their type and creator that left in the
    /// same change and nobody took over.
    pub lookalikes: BTreeMap<Address, Arc<[Lookalike]>>,
    /// The addresses that are taken over from.
    givers: BTreeSet<Address>,
}

/// The facts that two addresses have in common when their bytes tell that they are one.
pub(super) type Likeness = (AssetType, Creator, ContentHash);

/// An address that left, with its record.
pub(super) type Left<'a> = (&'a Address, &'a Record);

/// Which of its contents tell an address that left.
#[derive(Clone, Copy)]
enum Contents {
    /// Those that it last was, and those on their way.
    Current,
    /// Any that it ever had.
    Ever,
}

/// The contents that are on their way to Roblox, by address.
pub(super) type OnTheWay<'a> = BTreeMap<&'a Address, ContentHash>;

impl Moves {
    /// Decides the moves.
    pub(crate) fn of(desired: &Desired, recorded: &Recorded, in_progress: &BTreeSet<Address>) -> Self {
        let mut moves = Self::default();
        let on_the_way = on_the_way(recorded);
        let left = left(desired, recorded, &on_the_way);
        let mut new = if left.is_empty() && !desired.assets.values().any(DesiredAsset::is_missing) {
            BTreeMap::new()
        } else {
            new(desired, recorded)
        };
        new.retain(|address, _| !in_progress.contains(*address));
        if !left.is_empty() {
            let (busy, left): (Vec<_>, Vec<_>) =
                left.into_iter().partition(|(address, _)| in_progress.contains(*address));
            moves.wait_for(&mut new, &busy, &on_the_way);
            moves.by_path(&mut new, &left, &on_the_way);
            moves.by_pin(&mut new, &left, &on_the_way, desired);
            moves.by_content(&mut new, &left, &on_the_way, desired);
            moves.find_lookalikes(&new, &left, desired);
        }
        moves.hold_files_of_others(&new, desired, recorded, &on_the_way);
        moves.hold_in_place_of_the_named(desired, recorded);
        moves.hold_what_names_the_old(desired, recorded);
        moves
    }

    fn wait_for(&mut self, new: &mut BTreeMap<&Address, &DesiredAsset>, busy: &[Left<'_>], on_the_way: &OnTheWay<'_>) {
        let files = by_file(busy);
        let of_one = |(from, record): &Left<'_>| likenesses(from, record, on_the_way, Contents::Ever);
        let had: BTreeSet<Likeness> = busy.iter().flat_map(of_one).collect();
        new.retain(|address, want| {
            let waits =
                files.get(&want.path.composed()).into_iter().flatten().any(|(_, record)| has_its_file(record, want))
                    || wanted_likeness(want).is_some_and(|like| had.contains(&like))
                    || want.pin.is_some_and(|pin| busy.iter().any(|(_, record)| fits_pin(record, want, pin)));
            if waits {
                self.waiting.insert((*address).clone());
            }
            !waits
        });
    }

    fn by_path(&mut self, new: &mut BTreeMap<&Address, &DesiredAsset>, left: &[Left<'_>], on_the_way: &OnTheWay<'_>) {
        let files = by_file(left);
        new.retain(|address, want| {
            let same = files.get(&want.path.composed()).into_iter().flatten();
            let same: Vec<Left<'_>> = same.filter(|(_, record)| has_its_file(record, want)).copied().collect();
            match of_one_asset(&fresh(&same), on_the_way).as_slice() {
                [] => true,
                [(from, _)] => {
                    self.take(address, from, MoveEvidence::File);
                    false
                }
                several => {
                    self.hold_choice(address, several, MoveEvidence::File);
                    false
                }
            }
        });
    }

    /// A pin that went along tells what the address was: the asset that it names, or, of a Model,
    /// the only one that left just now and has that revision.
    fn by_pin(
        &mut self,
        new: &mut BTreeMap<&Address, &DesiredAsset>,
        left: &[Left<'_>],
        on_the_way: &OnTheWay<'_>,
        desired: &Desired,
    ) {
        let mut found: BTreeMap<&Address, Vec<Left<'_>>> = BTreeMap::new();
        for (address, want) in new.iter() {
            let Some(pin) = *want.pin else { continue };
            let fits = left.iter().filter(|(from, record)| !self.is_taken(from) && fits_pin(record, want, pin));
            let fits: Vec<Left<'_>> = fits.copied().collect();
            // An address that was rolled back to that very revision comes before one that merely
            // has it.
            let led_there = |(_, record): &&Left<'_>| record.pinned.is_some_and(|pinned| pinned.pin == pin);
            let exact: Vec<Left<'_>> = fits.iter().filter(led_there).copied().collect();
            let fits = of_one_asset(&fresh(if exact.is_empty() { &fits } else { &exact }), on_the_way);
            if !fits.is_empty() {
                found.insert(address, fits);
            }
        }
        let mut claims: BTreeMap<&Address, usize> = BTreeMap::new();
        found.values().flatten().for_each(|(from, _)| *claims.entry(from).or_default() += 1);
        for (address, fits) in &found {
            let doubt = fits.iter().find_map(|(_, record)| desired.is_absence_in_doubt(&record.identity.path));
            match (doubt, fits.as_slice()) {
                (Some(why), _) => self.hold_in_doubt(address, MoveEvidence::PinnedRevision, fits, why),
                (None, [(from, record)]) => {
                    match record.identity.asset_type.on_content_change() {
                        ContentChange::InPlace if claims.get(from).is_some_and(|claims| *claims > 1) => {
                            self.hold_one_of_several(address, from, record, MoveEvidence::PinnedRevision);
                            self.undecided.insert((*from).clone());
                        }
                        // Of several with one pinned asset the first takes it over; the pins of the
                        // others name what they never had.
                        _ if self.is_taken(from) => {}
                        _ => self.take(address, from, MoveEvidence::PinnedRevision),
                    }
                }
                (None, several) => self.hold_choice(address, several, MoveEvidence::PinnedRevision),
            }
        }
        new.retain(|address, _| !self.taken.contains_key(*address) && !self.held.contains_key(*address));
    }

    /// Prefers addresses that left just now over earlier ones, and the last content of an address
    /// over its older ones.
    fn by_content(
        &mut self,
        new: &mut BTreeMap<&Address, &DesiredAsset>,
        left: &[Left<'_>],
        on_the_way: &OnTheWay<'_>,
        desired: &Desired,
    ) {
        for long_ago in [false, true] {
            for contents in [Contents::Current, Contents::Ever] {
                let among: Vec<Left<'_>> =
                    left.iter().filter(|(_, record)| record.removed == long_ago).copied().collect();
                self.by_contents(new, &among, on_the_way, contents, desired);
                new.retain(|address, _| !self.taken.contains_key(*address) && !self.held.contains_key(*address));
            }
        }
    }

    fn by_contents(
        &mut self,
        new: &BTreeMap<&Address, &DesiredAsset>,
        left: &[Left<'_>],
        on_the_way: &OnTheWay<'_>,
        contents: Contents,
        desired: &Desired,
    ) {
        let mut likes: BTreeMap<Likeness, Vec<Left<'_>>> = BTreeMap::new();
        for (address, record) in left.iter().filter(|(address, _)| !self.undecided.contains(*address)) {
            for likeness in likenesses(address, record, on_the_way, contents) {
                likes.entry(likeness).or_default().push((address, record));
            }
        }
        let mut groups: BTreeMap<Likeness, Vec<&Address>> = BTreeMap::new();
        for (address, want) in new {
            if let Some(likeness) = wanted_likeness(want) {
                groups.entry(likeness).or_default().push(address);
            }
        }
        for (likeness, new) in groups {
            let Some(candidates) = likes.get(&likeness) else { continue };
            // Each of its contents may be looked for, and it can be taken over once.
            let candidates: Vec<Left<'_>> =
                candidates.iter().filter(|(from, _)| !self.is_taken(from)).copied().collect();
            if !candidates.is_empty() {
                self.match_group(likeness.0, &new, &of_one_asset(&candidates, on_the_way), desired);
            }
        }
    }

    /// Whether another address takes over the assets of this one.
    pub(super) fn is_taken(&self, from: &Address) -> bool {
        self.givers.contains(from)
    }

    /// `new` addresses have the bytes of the `candidates`, each of which is another asset.
    fn match_group(&mut self, asset_type: AssetType, new: &[&Address], candidates: &[Left<'_>], desired: &Desired) {
        let doubt = candidates.iter().find_map(|(_, record)| desired.is_absence_in_doubt(&record.identity.path));
        if let Some(why) = doubt {
            for address in new {
                self.hold_in_doubt(address, MoveEvidence::Content, candidates, why.clone());
            }
            return;
        }
        match (candidates, new, asset_type.on_content_change()) {
            ([(from, _)], [address], _) => self.take(address, from, MoveEvidence::Content),
            // The others share the asset, so it doesn't matter who of them it is called after.
            ([(from, _)], [address, ..], ContentChange::NewAsset) => self.take(address, from, MoveEvidence::Content),
            ([(from, record)], several, ContentChange::InPlace) => {
                for address in several {
                    self.hold_one_of_several(address, from, record, MoveEvidence::Content);
                }
                self.undecided.insert((*from).clone());
            }
            (candidates, new, _) => {
                new.iter().for_each(|address| self.hold_choice(address, candidates, MoveEvidence::Content))
            }
        }
    }

    fn take(&mut self, to: &Address, from: &Address, evidence: MoveEvidence) {
        self.givers.insert(from.clone());
        self.taken.insert(to.clone(), Move { from: from.clone(), evidence });
    }

    fn hold_in_doubt(
        &mut self,
        address: &Address,
        evidence: MoveEvidence,
        candidates: &[Left<'_>],
        why: AbsenceReason,
    ) {
        self.hold(address, HoldReason::MayHaveMoved { from: addresses(candidates), evidence, why });
    }

    pub(super) fn hold(&mut self, address: &Address, reason: HoldReason) {
        let hold = Hold { address: address.clone(), part: HeldPart::Asset, reason };
        self.held.entry(address.clone()).or_insert(hold);
    }

    fn hold_one_of_several(&mut self, address: &Address, from: &Address, record: &Record, evidence: MoveEvidence) {
        let asset_id = last_asset(record);
        self.hold(address, HoldReason::OneOfSeveralNew { from: from.clone(), evidence, asset_id });
    }

    fn hold_choice(&mut self, address: &Address, candidates: &[Left<'_>], evidence: MoveEvidence) {
        let asset_ids = candidates.iter().map(|(_, record)| last_asset(record)).collect();
        let from = addresses(candidates);
        self.hold(address, HoldReason::OneOfSeveralLeft { from, evidence, asset_ids });
        self.undecided.extend(candidates.iter().map(|(from, _)| (*from).clone()));
    }

    /// A pin, icon or preview that still names the old address: nothing moves until the manifest
    /// says what it means.
    fn hold_what_names_the_old(&mut self, desired: &Desired, recorded: &Recorded) {
        let new_names: BTreeMap<Address, Address> =
            self.taken.iter().map(|(to, taken)| (taken.from.clone(), to.clone())).collect();
        for stray in &desired.stray {
            let old = &stray.to;
            let new = new_names.get(old);
            // It stays what the pin says where only its file is absent.
            if new.is_none() && is_pin_of_absent_file(stray, desired, recorded) {
                continue;
            }
            self.undecided.insert(old.clone());
            let place = stray.place.clone();
            let reason = HoldReason::StillNamed { place, old: old.clone(), new: new.cloned() };
            if let Some(new) = new {
                if let Some(given_back) = self.taken.remove(new) {
                    self.givers.remove(&given_back.from);
                }
                self.hold(new, reason.clone());
            }
            match &stray.place {
                StrayPlace::Icon { of } | StrayPlace::Preview { of } => self.hold(of, reason),
                StrayPlace::Pin(_) if new.is_none() => self.hold(old, reason),
                StrayPlace::Pin(_) => {}
            }
        }
    }

    /// Returns the record with every move carried out.
    pub(crate) fn apply<'a>(&self, recorded: &'a Recorded, now: Timestamp) -> (Cow<'a, Recorded>, Vec<Change>) {
        let mut known = Cow::Borrowed(recorded);
        let mut changes = Vec::new();
        for (to, taken) in &self.taken {
            let change = Change::Move { from: taken.from.clone(), to: to.clone() };
            // It fits: `from` has a record and `to` has nothing.
            if known.to_mut().apply(&change, now).is_ok() {
                changes.push(change);
            }
        }
        (known, changes)
    }
}

/// Whether a stray pin names an address that didn't leave: only its file is absent here. It may be new.
pub(super) fn is_pin_of_absent_file(stray: &Stray, desired: &Desired, recorded: &Recorded) -> bool {
    let is_in_doubt = |path: &ProjectPath| desired.is_absence_in_doubt(path).is_some();
    let is_absent = || match recorded.assets.get(&stray.to) {
        Some(record) => !record.removed && is_in_doubt(&record.identity.path),
        None => ProjectPath::new(stray.to.as_str()).is_ok_and(|path| is_in_doubt(&path)),
    };
    matches!(stray.place, StrayPlace::Pin(_)) && is_absent()
}

/// Addresses that the manifest wants and of which nothing is known.
fn new<'a>(desired: &'a Desired, recorded: &Recorded) -> BTreeMap<&'a Address, &'a DesiredAsset> {
    let under_way: BTreeSet<&Address> = recorded.attempts.values().map(|attempt| &attempt.address).collect();
    let unknown = |address: &Address, record: Option<&Record>| {
        record.is_none_or(|record| record.history.is_empty()) && !under_way.contains(address)
    };
    let all = side_by_side::wanted(desired, recorded);
    all.filter(|(address, _, record)| unknown(address, *record)).map(|(address, want, _)| (address, want)).collect()
}

/// Addresses that this checkout's lockfile has, or will have, and its manifest doesn't, with assets
/// of their own or one that is on its way.
fn left<'a>(desired: &Desired, recorded: &'a Recorded, on_the_way: &OnTheWay<'_>) -> Vec<Left<'a>> {
    let gone = |address: &Address, record: &Record| {
        record.in_lockfile.is_any() && (!record.history.is_empty() || on_the_way.contains_key(address))
    };
    let unwanted = side_by_side::known(desired, recorded).filter(|(_, _, want)| want.is_none());
    unwanted
        .filter(|(address, record, _)| gone(address, record))
        .map(|(address, record, _)| (address, record))
        .collect()
}

/// The contents of creates and updates that may have been carried out.
fn on_the_way(recorded: &Recorded) -> OnTheWay<'_> {
    let sent = recorded.attempts.values().filter(|attempt| attempt.phase != Phase::Intended);
    sent.filter_map(|attempt| Some((&attempt.address, attempt.intent.content()?))).collect()
}

/// The likenesses by which an address that left is recognized.
fn likenesses(address: &Address, record: &Record, on_the_way: &OnTheWay<'_>, contents: Contents) -> BTreeSet<Likeness> {
    let last = current::last(record).and_then(|(_, fact)| fact.content);
    let had = record.history.iter().filter_map(|(_, fact)| fact.content);
    let had = had.filter(|_| matches!(contents, Contents::Ever));
    let contents = last.into_iter().chain(on_the_way.get(address).copied()).chain(had);
    contents.map(|content| (record.identity.asset_type, record.identity.creator, content)).collect()
}

/// Those that left by the file that they had.
fn by_file<'a>(left: &[Left<'a>]) -> BTreeMap<Cow<'a, str>, Vec<Left<'a>>> {
    let mut files: BTreeMap<Cow<'a, str>, Vec<Left<'a>>> = BTreeMap::new();
    for (address, record) in left {
        step();
        files.entry(record.identity.path.composed()).or_default().push((address, record));
    }
    files
}

/// Whether an address that left had the file of `want`. What left for another owner's asset is not
/// taken over by that one.
fn has_its_file(record: &Record, want: &DesiredAsset) -> bool {
    record.identity.path.composed() == want.path.composed()
        && (!record.removed || record.identity.creator == want.creator)
}

/// Whether a pin of `want` can mean a revision of an address that left: the very asset, or, of a
/// Model, a revision of one that left just now.
fn fits_pin(record: &Record, want: &DesiredAsset, pin: Pin) -> bool {
    let is_it = record.identity.creator == want.creator
        && want.asset_type.is_none_or(|asset_type| asset_type == record.identity.asset_type);
    let has = |pin| !matches!(pinnable::find(record, pin), Err(Unusable::NeverHad));
    is_it
        && match pin {
            Pin::Asset(_) => has(pin),
            Pin::Revision(_) => !record.removed && has(pin),
        }
}

/// All likenesses by which an address is recognized, those of its older contents too.
pub(super) fn every_likeness((address, record): Left<'_>, on_the_way: &OnTheWay<'_>) -> BTreeSet<Likeness> {
    likenesses(address, record, on_the_way, Contents::Ever)
}

pub(super) fn wanted_likeness(want: &DesiredAsset) -> Option<Likeness> {
    let facts = want.content.as_ref().ok()?;
    Some((want.asset_type?, want.creator, facts.hash))
}

/// Prefers candidates removed by this plan; otherwise returns earlier removals.
fn fresh<'a>(candidates: &[Left<'a>]) -> Vec<Left<'a>> {
    let now: Vec<Left<'a>> = candidates.iter().filter(|(_, record)| !record.removed).copied().collect();
    if now.is_empty() { candidates.to_vec() } else { now }
}

/// One candidate for each asset: of addresses that have one and the same, the one that made it, and
/// then the one that knows its newest revision. An address with something on its way stands for its
/// asset, so that this goes along; what is the first of its address is an asset of its own.
fn of_one_asset<'a>(candidates: &[Left<'a>], on_the_way: &OnTheWay<'_>) -> Vec<Left<'a>> {
    let (mut distinct, idle): (Vec<Left<'a>>, Vec<Left<'a>>) =
        candidates.iter().copied().partition(|(address, _)| on_the_way.contains_key(*address));
    let busy: BTreeSet<AssetId> = distinct.iter().filter_map(|(_, record)| last_asset(record)).collect();
    let mut by_asset: BTreeMap<AssetId, ((bool, RevisionKey), Left<'a>)> = BTreeMap::new();
    for candidate in idle {
        let Some((key, fact)) = current::last(candidate.1) else {
            distinct.push(candidate);
            continue;
        };
        if busy.contains(&key.asset_id) {
            continue;
        }
        let (rank, known) = ((!fact.shared, key), by_asset.get(&key.asset_id));
        if known.is_none_or(|(best, _)| rank > *best) {
            by_asset.insert(key.asset_id, (rank, candidate));
        }
    }
    distinct.extend(by_asset.into_values().map(|(_, candidate)| candidate));
    distinct
}

fn addresses(candidates: &[Left<'_>]) -> Vec<Address> {
    candidates.iter().map(|(address, _)| (*address).clone()).collect()
}

fn last_asset(record: &Record) -> Option<AssetId> {
    current::last(record).map(|(key, _)| key.asset_id)
}

//! The grow-only facts about an address: every revision that is known of it.
//!
//! State, lockfile and the merge of two branches' lockfiles are the same union: commutative,
//! associative, idempotent. The current asset is never stored here; it is derived from the desired
//! content, or the pin, and these facts. Read next: `history/revision`.

mod facts;
mod revision;

use std::collections::{BTreeMap, BTreeSet};

use facts::RevisionFacts;

use super::asset::ContentChange;
use super::forgotten::Forgotten;
use super::ids::{AssetId, ContentHash, Creator, Revision};

pub(crate) use revision::{Kind, Listing, Origin, RevisionFact, RevisionKey, RevisionState};

/// Every revision that is known of one address.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct History {
    facts: RevisionFacts,
    /// By asset; most addresses have one, for which a map would keep room for eleven.
    listing: Vec<(AssetId, Listing)>,
}

impl History {
    /// A history of nothing.
    pub const fn new() -> Self {
        Self { facts: RevisionFacts::new(), listing: Vec::new() }
    }

    /// Adds what is known of a revision to what was known of it.
    pub fn add(&mut self, key: RevisionKey, fact: RevisionFact) {
        self.facts.put(key, |known| known.map_or(fact, |known| known.union(fact)));
    }

    /// Adds all that another history knows.
    pub fn union(&mut self, other: &Self) {
        other.facts.iter().for_each(|(key, fact)| self.add(key, *fact));
        for (asset_id, listing) in other.listings() {
            self.list(asset_id, self.listing(asset_id).max(Some(listing)));
        }
    }

    /// Notes how the checked-out lockfile has an asset; `None`: it doesn't.
    pub fn list(&mut self, asset_id: AssetId, listing: Option<Listing>) {
        match (self.place(asset_id), listing) {
            (Ok(at), Some(listing)) => {
                if let Some((_, known)) = self.listing.get_mut(at) {
                    *known = listing;
                }
            }
            (Ok(at), None) => drop(self.listing.remove(at)),
            (Err(at), Some(listing)) => {
                if self.listing.is_empty() {
                    self.listing.reserve_exact(1);
                }
                self.listing.insert(at, (asset_id, listing));
            }
            (Err(_), None) => {}
        }
    }

    /// How the checked-out lockfile has an asset.
    pub fn listing(&self, asset_id: AssetId) -> Option<Listing> {
        self.place(asset_id).ok().and_then(|at| self.listing.get(at)).map(|(_, listing)| *listing)
    }

    /// Where an asset is in the listing, or would be.
    fn place(&self, asset_id: AssetId) -> Result<usize, usize> {
        self.listing.binary_search_by_key(&asset_id, |(asset_id, _)| *asset_id)
    }

    /// Every asset that the checked-out lockfile has, and how.
    pub fn listings(&self) -> impl Iterator<Item = (AssetId, Listing)> {
        self.listing.iter().copied()
    }

    /// Drops every revision that is forgotten. Returns whether there was one.
    pub fn forget(&mut self, forgotten: &Forgotten) -> bool {
        let before = self.facts.len();
        self.facts.retain(|key, fact| !forgotten.covers(key.asset_id, fact.era));
        self.facts.len() != before
    }

    /// Drops every revision of one asset, which another address has from now on.
    pub(crate) fn remove_asset(&mut self, asset_id: AssetId) {
        self.facts.retain(|key, _| key.asset_id != asset_id);
    }

    /// Returns the part of this history that is about assets of `owner`.
    pub(crate) fn of_owner(&self, owner: Creator) -> Self {
        let mut part = Self::new();
        for (key, fact) in self.iter().filter(|(_, fact)| fact.kind.is_some_and(|kind| kind.creator == owner)) {
            part.add(key, *fact);
            part.list(key.asset_id, self.listing(key.asset_id));
        }
        part
    }

    /// The owners of the assets, each once.
    pub(crate) fn owners(&self) -> BTreeSet<Creator> {
        self.facts.iter().filter_map(|(_, fact)| fact.kind).map(|kind| kind.creator).collect()
    }

    /// Returns the facts that forget every asset of this history.
    pub fn to_forget(&self) -> Forgotten {
        let mut forgotten = Forgotten::new();
        self.facts.iter().for_each(|(key, fact)| forgotten.raise(key.asset_id, fact.era.saturating_add(1)));
        forgotten
    }

    /// Every revision as known at an address that forgot these, since the last time that it did.
    pub fn renew(&mut self, forgotten: &Forgotten) {
        for (key, fact) in self.facts.iter_mut() {
            fact.era = forgotten.times(key.asset_id);
        }
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.facts.len() == 0
    }

    /// How many revisions there are.
    pub fn count(&self) -> usize {
        self.facts.len()
    }

    /// The facts about one revision.
    pub fn get(&self, key: RevisionKey) -> Option<&RevisionFact> {
        self.facts.get(key)
    }

    /// Every revision, in the order of its asset and version.
    pub fn iter(&self) -> impl Iterator<Item = (RevisionKey, &RevisionFact)> {
        self.facts.iter()
    }

    /// The bytes of every revision, as far as they are known.
    pub fn contents(&self) -> impl Iterator<Item = ContentHash> {
        self.iter().filter_map(|(_, fact)| fact.content)
    }

    /// Every revision in the order in which people count them: by the asset's ordinal, then its ID,
    /// then the version.
    pub fn in_order(&self) -> Vec<(RevisionKey, RevisionFact)> {
        let ordinals: BTreeMap<AssetId, u32> = self.ordinals().collect();
        let mut all: Vec<_> = self.facts.iter().map(|(key, fact)| (key, *fact)).collect();
        all.sort_by_cached_key(|(key, _)| (ordinals.get(&key.asset_id).copied(), *key));
        all
    }

    /// The ordinal of an asset: the least that any of its revisions has.
    fn ordinal_of(&self, asset_id: AssetId) -> u32 {
        self.of_asset(asset_id).map(|(_, fact)| fact.ordinal).min().unwrap_or(u32::MAX)
    }

    /// The ordinal of each asset, in the order of their IDs.
    fn ordinals(&self) -> impl Iterator<Item = (AssetId, u32)> {
        let mut facts = self.facts.iter().peekable();
        std::iter::from_fn(move || {
            let (RevisionKey { asset_id, .. }, fact) = facts.next()?;
            let mut ordinal = fact.ordinal;
            while let Some((_, fact)) = facts.next_if(|(key, _)| key.asset_id == asset_id) {
                ordinal = ordinal.min(fact.ordinal);
            }
            Some((asset_id, ordinal))
        })
    }

    /// The ordinal that the next new asset gets.
    pub fn next_ordinal(&self) -> u32 {
        self.facts.iter().map(|(_, fact)| fact.ordinal).max().unwrap_or(0).saturating_add(1)
    }

    /// The number that people see for a revision: Roblox's version, or the position of the asset
    /// among the address's assets. For many of them there is [`History::numbers`].
    pub fn number(&self, key: RevisionKey) -> u64 {
        key.version.map_or_else(|| self.numbers().of(key), Revision::get)
    }

    /// The numbers that people see for all revisions.
    pub fn numbers(&self) -> Numbers {
        let mut assets: Vec<(u32, AssetId)> = self.ordinals().map(|(asset_id, ordinal)| (ordinal, asset_id)).collect();
        assets.sort_unstable();
        Numbers(assets.into_iter().zip(1..).map(|((_, asset_id), number)| (asset_id, number)).collect())
    }

    /// Among several assets the one that counts: what the checked-out lockfile has, then the newest
    /// ordinal, then the smallest ID. The same on every machine that has the same facts and the
    /// same lockfile.
    fn preferred<'a>(
        &self,
        candidates: impl Iterator<Item = (RevisionKey, &'a RevisionFact)>,
    ) -> Option<(RevisionKey, RevisionFact)> {
        candidates.min_by_key(|(key, fact)| self.preference(*key, fact)).map(|(key, fact)| (key, *fact))
    }

    /// The least of several is the one that counts.
    fn preference(&self, key: RevisionKey, fact: &RevisionFact) -> impl Ord + use<> {
        let rank = match self.listing(key.asset_id) {
            Some(Listing::Listed) => 0,
            None => 1,
            Some(Listing::Duplicate) => 2,
        };
        (rank, std::cmp::Reverse(fact.ordinal), key)
    }

    /// For every content the usable revision of this kind that [`History::find_content`] finds.
    pub fn by_content(&self, kind: Kind) -> BTreeMap<ContentHash, RevisionKey> {
        let mut best: BTreeMap<ContentHash, (RevisionKey, &RevisionFact)> = BTreeMap::new();
        for (key, fact) in self.facts.iter() {
            let Some(content) = fact.content.filter(|content| fact.is_usable_as(*content, kind)) else { continue };
            best.entry(content)
                .and_modify(|known| {
                    if self.preference(key, fact) < self.preference(known.0, known.1) {
                        *known = (key, fact);
                    }
                })
                .or_insert((key, fact));
        }
        best.into_iter().map(|(content, (key, _))| (content, key)).collect()
    }

    /// The usable revision of this kind whose bytes are `content`, for a type whose content can't
    /// be updated.
    pub fn find_content(&self, content: ContentHash, kind: Kind) -> Option<(RevisionKey, RevisionFact)> {
        self.preferred(self.facts.iter().filter(|(_, fact)| fact.is_usable_as(content, kind)))
    }

    /// The newest version known of the asset of this kind that counts, for a type that is updated
    /// in place. A rejected version is still the head of a live asset; an asset that is gone is
    /// passed over.
    pub fn head(&self, kind: Kind) -> Option<(RevisionKey, RevisionFact)> {
        let of_kind = |fact: &RevisionFact| fact.kind == Some(kind);
        let there = self.facts.iter().filter(|(key, fact)| of_kind(fact) && !self.is_gone(key.asset_id));
        let (asset, _) = self.preferred(there)?;
        self.of_asset(asset.asset_id).next_back().map(|(key, fact)| (key, *fact))
    }

    /// Whether Roblox said last that it doesn't have an asset: what it says of the newest revision
    /// is what it says of the asset.
    pub fn is_gone(&self, asset_id: AssetId) -> bool {
        self.of_asset(asset_id).next_back().is_some_and(|(_, fact)| fact.state == RevisionState::Gone)
    }

    /// An asset with exactly these bytes that Roblox no longer has, where no usable one has them.
    pub fn gone(&self, content: ContentHash, kind: Kind) -> Option<AssetId> {
        let gone = |fact: &RevisionFact| {
            fact.state == RevisionState::Gone && fact.content == Some(content) && fact.kind == Some(kind)
        };
        let found = self.preferred(self.facts.iter().filter(|(_, fact)| gone(fact)));
        found.filter(|_| self.find_content(content, kind).is_none()).map(|(key, _)| key.asset_id)
    }

    /// Whether moderation rejected exactly these bytes at this address, and no live revision has
    /// them.
    pub fn rejected(&self, content: ContentHash, kind: Kind) -> Option<RevisionKey> {
        let rejected = |f: &RevisionFact| f.state == RevisionState::Rejected && f.content == Some(content);
        let found = self.facts.iter().find(|(_, fact)| rejected(fact)).map(|(key, _)| key);
        if self.find_content(content, kind).is_some() { None } else { found }
    }

    /// The newest revision of an asset that the game can be given at an address of this kind, unless the
    /// asset is passed over.
    pub fn usable(&self, asset_id: AssetId, kind: Kind) -> Option<(RevisionKey, RevisionFact)> {
        let found = self.of_asset(asset_id).rev().find(|(_, fact)| fact.is_for_use(kind))?;
        (!self.is_duplicate(asset_id, kind)).then_some((found.0, *found.1))
    }

    /// Of a type with one content an asset the revision that the game is given where `said` is the
    /// asset that it is said to use: that one, or the newest. One that moderation rejected or Roblox
    /// lost, or another owner's, counts only where there is no other: an ID is shown as long as it is
    /// known.
    pub fn in_use(&self, said: Option<AssetId>, kind: Kind) -> Option<(RevisionKey, RevisionFact)> {
        if let Some(found) = said.and_then(|asset_id| self.usable(asset_id, kind)) {
            return Some(found);
        }
        let said = said.and_then(|asset_id| self.of_asset(asset_id).next_back()).map(|(key, fact)| (key, *fact));
        if self.facts.len() == 1 && said.is_some() {
            return said;
        }
        let (all, duplicates) = (self.in_order(), self.duplicates(kind));
        let is_usable =
            |(key, fact): &&(RevisionKey, RevisionFact)| fact.is_for_use(kind) && !duplicates.contains(&key.asset_id);
        let is_there = |(_, fact): &&(RevisionKey, RevisionFact)| fact.state != RevisionState::Gone;
        let usable = all.iter().rev().find(is_usable).copied();
        let there = || said.filter(|said| is_there(&said)).or_else(|| all.iter().rev().find(is_there).copied());
        usable.or_else(there).or(said).or(all.last().copied())
    }

    /// Whether there is an asset of this kind.
    pub fn has_kind(&self, kind: Kind) -> bool {
        self.facts.iter().any(|(_, fact)| fact.kind == Some(kind))
    }

    /// The revisions of this kind that stand for the same as an asset: of a Model every asset, of
    /// another type those with its bytes.
    fn equals(&self, asset_id: AssetId, kind: Kind) -> impl Iterator<Item = RevisionKey> {
        let of_kind = self.of_asset(asset_id).filter(move |(_, fact)| fact.kind == Some(kind));
        let contents: BTreeSet<ContentHash> = of_kind.filter_map(|(_, fact)| fact.content).collect();
        let in_place = kind.asset_type.on_content_change() == ContentChange::InPlace;
        let is_equal = move |fact: &RevisionFact| {
            if in_place {
                fact.is_there_as(kind)
            } else {
                fact.content.is_some_and(|content| contents.contains(&content) && fact.is_usable_as(content, kind))
            }
        };
        let others = self.facts.iter().filter(move |(key, fact)| key.asset_id != asset_id && is_equal(fact));
        others.map(|(key, _)| key)
    }

    /// Whether an asset is passed over for another one of its kind that stands for the same, by the
    /// choice of the checked-out lockfile. For many of them there is [`History::duplicates`].
    pub fn is_duplicate(&self, asset_id: AssetId, kind: Kind) -> bool {
        let own = self.listing(asset_id);
        self.equals(asset_id, kind).any(|other| yields(own, self.listing(other.asset_id)))
    }

    /// The assets of this kind that are passed over.
    pub fn duplicates(&self, kind: Kind) -> BTreeSet<AssetId> {
        type Class = (Option<ContentHash>, Option<Listing>);
        let in_place = kind.asset_type.on_content_change() == ContentChange::InPlace;
        // All that stand for the same have one class: those of a Model, or those with the same
        // bytes.
        let class = |fact: &RevisionFact| if in_place { Some(None) } else { fact.content.map(Some) };
        let counts = |fact: &RevisionFact| {
            if in_place { fact.is_there_as(kind) } else { fact.content.is_some_and(|c| fact.is_usable_as(c, kind)) }
        };
        // Of each class and each listing the first two assets: one of them is another than the
        // asset that is asked about.
        let mut rivals: BTreeMap<Class, (AssetId, Option<AssetId>)> = BTreeMap::new();
        for (key, fact) in self.facts.iter().filter(|(_, fact)| counts(fact)) {
            let Some(class) = class(fact) else { continue };
            let (first, second) = rivals.entry((class, self.listing(key.asset_id))).or_insert((key.asset_id, None));
            if *first != key.asset_id && second.is_none() {
                *second = Some(key.asset_id);
            }
        }
        let is_passed_over = |asset_id: AssetId, fact: &RevisionFact| {
            let own = self.listing(asset_id);
            let other_with = |class, listing| {
                rivals.get(&(class, listing)).is_some_and(|(first, second)| *first != asset_id || second.is_some())
            };
            let all = [None, Some(Listing::Listed), Some(Listing::Duplicate)];
            class(fact).is_some_and(|class| all.into_iter().any(|other| yields(own, other) && other_with(class, other)))
        };
        let of_kind = self.facts.iter().filter(|(_, fact)| fact.kind == Some(kind));
        of_kind.filter(|(key, fact)| is_passed_over(key.asset_id, fact)).map(|(key, _)| key.asset_id).collect()
    }

    /// The rank of an asset among those for the same content; the first one counts.
    pub fn prefer(&self, asset_id: AssetId, kind: Kind) -> BTreeMap<AssetId, Listing> {
        let ordinal = self.ordinal_of(asset_id);
        let listed = self.equals(asset_id, kind).map(|key| key.asset_id);
        let newer = listed.filter(|other| self.ordinal_of(*other) >= ordinal);
        let passed_over = newer.filter(|other| self.listing(*other) == Some(Listing::Listed));
        passed_over.map(|other| (other, Listing::Duplicate)).chain([(asset_id, Listing::Listed)]).collect()
    }

    /// The assets that the address ever had, each once, in the order of their IDs.
    pub fn assets(&self) -> BTreeSet<AssetId> {
        self.facts.iter().map(|(key, _)| key.asset_id).collect()
    }

    /// The revisions of one asset, the oldest first.
    pub fn of_asset(&self, asset_id: AssetId) -> impl DoubleEndedIterator<Item = (RevisionKey, &RevisionFact)> {
        self.facts.of_asset(asset_id)
    }
}

/// Whether an asset that the checked-out lockfile has as `own` is passed over for one for the same
/// that it has as `other`.
fn yields(own: Option<Listing>, other: Option<Listing>) -> bool {
    match (own, other) {
        (Some(Listing::Listed), _) | (_, Some(Listing::Duplicate)) => false,
        (Some(Listing::Duplicate), _) => true,
        (None, other) => other.is_some(),
    }
}

/// The numbers that people see for the revisions of one address.
#[derive(Debug, Clone)]
pub struct Numbers(BTreeMap<AssetId, u64>);

impl Numbers {
    /// The number of a revision, see [`History::number`]; 0 for an asset that the address never
    /// had.
    pub fn of(&self, key: RevisionKey) -> u64 {
        key.version.map_or_else(|| self.0.get(&key.asset_id).copied().unwrap_or(0), Revision::get)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::asset::AssetType;
    use proptest::prelude::*;

    fn id(number: u64) -> AssetId {
        AssetId::new(number).unwrap()
    }

    fn hash(byte: u8) -> ContentHash {
        ContentHash::from_bytes([byte; 32])
    }

    fn fact(ordinal: u32, content: u8) -> RevisionFact {
        RevisionFact {
            kind: Some(kind(AssetType::Image)),
            ..RevisionFact::new(ordinal, Some(hash(content)), RevisionState::Live)
        }
    }

    fn kind(asset_type: AssetType) -> Kind {
        Kind { asset_type, creator: Creator::User(crate::model::ids::UserId::new(1).unwrap()) }
    }

    fn key(asset: u64, version: Option<u64>) -> RevisionKey {
        RevisionKey { asset_id: id(asset), version: version.map(|v| Revision::new(v).unwrap()) }
    }

    prop_compose! {
        fn any_history()(entries in prop::collection::vec((1u64..4, prop::option::of(1u64..4), 1u32..4, prop::option::of(0u8..3), (0u8..5, 0u32..3), any::<bool>(), (0usize..3, 0u32..3), 0usize..3), 0..6)) -> History {
            let kinds = [None, Some(kind(AssetType::Image)), Some(kind(AssetType::Model))];
            let mut history = History::new();
            for (asset, version, ordinal, content, (state, round), shared, (kind_at, era), listed) in entries {
                let state = RevisionState::ALL[usize::from(state)];
                history.add(key(asset, version), RevisionFact { ordinal, content: content.map(hash), state, round, shared, kind: kinds[kind_at], disputed: false, era, made: None });
                history.list(id(asset), [None, Some(Listing::Duplicate), Some(Listing::Listed)][listed]);
            }
            history
        }
    }

    proptest! {
        #[test]
        fn union_is_commutative_associative_idempotent(a in any_history(), b in any_history(), c in any_history()) {
            let union = |a: &History, b: &History| { let mut u = a.clone(); u.union(b); u };
            prop_assert_eq!(union(&a, &b), union(&b, &a));
            prop_assert_eq!(union(&union(&a, &b), &c), union(&a, &union(&b, &c)));
            prop_assert_eq!(union(&a, &a), a);
        }
    }

    proptest! {
        /// Whoever hears of the forgetting first, last or twice.
        #[test]
        fn forgetting_is_a_fact_of_the_union(a in any_history(), b in any_history(), forgets in prop::collection::vec((1u64..4, 0u32..4), 0..3), more in prop::collection::vec((1u64..4, 0u32..4), 0..3)) {
            let of = |pairs: &[(u64, u32)]| { let mut all = Forgotten::new(); pairs.iter().for_each(|(asset, times)| all.raise(id(*asset), *times)); all };
            let (one, other) = (of(&forgets), of(&more));
            let mut both = one.clone();
            both.union(&other);
            let mut reversed = other.clone();
            reversed.union(&one);
            prop_assert_eq!(&both, &reversed);
            let union = |a: &History, b: &History, forgotten: &Forgotten| { let mut u = a.clone(); u.union(b); u.forget(forgotten); u };
            let at_once = union(&a, &b, &both);
            let (mut early, mut late) = (a.clone(), b.clone());
            early.forget(&one);
            late.forget(&other);
            prop_assert_eq!(&union(&early, &late, &both), &at_once);
            prop_assert_eq!(&union(&late, &early, &both), &at_once);
            prop_assert_eq!(union(&at_once, &at_once, &both), at_once.clone());
            prop_assert!(at_once.iter().all(|(key, fact)| !both.covers(key.asset_id, fact.era)));
        }
    }

    #[test]
    fn a_forgotten_asset_that_is_imported_again_is_known() {
        let mut history = History::new();
        history.add(key(10, None), fact(1, b'a'));
        let forgotten = history.to_forget();
        let old = history.clone();
        assert!(history.forget(&forgotten) && history.is_empty());
        history.add(key(10, None), RevisionFact { era: forgotten.times(id(10)), ..fact(1, b'a') });
        history.union(&old);
        assert!(!history.forget(&forgotten));
        assert_eq!(history.to_forget().times(id(10)), 2);
    }

    #[test]
    fn the_state_is_what_roblox_said_last() {
        let first = fact(1, b'a');
        let rejected = first.now(RevisionState::Rejected);
        let appealed = rejected.now(RevisionState::Live);
        let gone = appealed.now(RevisionState::Gone);
        let found = gone.now(RevisionState::Live);
        let said = [first, rejected, appealed, gone, found];
        assert_eq!(said.map(|fact| fact.round), [0, 0, 1, 1, 2]);
        for (earlier, earlier_fact) in said.iter().enumerate() {
            for later_fact in &said[earlier..] {
                assert_eq!(earlier_fact.union(*later_fact), *later_fact);
                assert_eq!(later_fact.union(*earlier_fact), *later_fact);
            }
        }
        assert_eq!(first.now(RevisionState::Reviewing).now(RevisionState::Live).round, 1, "reviewed once more");
        assert_eq!(found.now(RevisionState::Live), found, "nothing new is no new round");
        // Two machines, one round: the more careful one.
        assert_eq!(
            appealed.union(rejected.now(RevisionState::Reviewing).now(RevisionState::Gone)).state,
            RevisionState::Gone
        );
    }

    #[test]
    fn the_head_of_a_model_is_its_newest_version() {
        let model = kind(AssetType::Model);
        let of_model = |content| RevisionFact { kind: Some(model), ..fact(1, content) };
        let mut history = History::new();
        history.add(key(10, Some(1)), of_model(b'a'));
        history.add(key(10, Some(2)), of_model(b'b'));
        assert_eq!(history.head(model).unwrap().0, key(10, Some(2)));
        assert_eq!(history.number(key(10, Some(2))), 2);
    }

    #[test]
    fn an_immutable_type_finds_any_content_it_had() {
        let image = kind(AssetType::Image);
        let mut history = History::new();
        history.add(key(10, None), fact(1, b'a'));
        history.add(key(11, None), fact(2, b'b'));
        assert_eq!(history.find_content(hash(b'a'), image).unwrap().0, key(10, None));
        assert_eq!(history.number(key(11, None)), 2);
        history.add(key(10, None), RevisionFact { state: RevisionState::Rejected, ..fact(1, b'a') });
        assert_eq!(history.find_content(hash(b'a'), image), None);
        assert_eq!(history.rejected(hash(b'a'), image), Some(key(10, None)));
    }

    #[test]
    fn among_equals_the_checked_out_lockfile_decides_each_time() {
        let image = kind(AssetType::Image);
        let mut history = History::new();
        for asset in [10, 20] {
            history.add(key(asset, None), fact(1, b'a'));
        }
        for (listed, other) in [(10, 20), (20, 10), (10, 20), (20, 10)] {
            history.list(id(listed), Some(Listing::Listed));
            history.list(id(other), None);
            assert_eq!(history.find_content(hash(b'a'), image).unwrap().0, key(listed, None));
            assert_eq!(history.duplicates(image), BTreeSet::from([id(other)]));
        }
        // What the lockfile has and Roblox hasn't makes no duplicate of the other.
        history.add(key(20, None), RevisionFact { state: RevisionState::Gone, ..fact(1, b'a') });
        assert_eq!(history.find_content(hash(b'a'), image).unwrap().0, key(10, None));
        assert_eq!(history.duplicates(image), BTreeSet::new());
    }

    #[test]
    fn another_owners_asset_is_never_current() {
        let image = kind(AssetType::Image);
        let group = Kind { creator: Creator::Group(crate::model::ids::GroupId::new(2).unwrap()), ..image };
        let mut history = History::new();
        history.add(key(10, None), fact(1, b'a'));
        history.add(key(20, None), RevisionFact { kind: Some(group), ..fact(2, b'a') });
        history.list(id(10), Some(Listing::Listed));
        assert_eq!(history.find_content(hash(b'a'), group).unwrap().0, key(20, None));
        assert_eq!(history.find_content(hash(b'a'), image).unwrap().0, key(10, None));
        assert_eq!(history.duplicates(group), BTreeSet::new());
    }

    #[test]
    fn two_contents_of_one_asset_are_a_dispute_for_ever() {
        let mut history = History::new();
        history.add(key(10, None), fact(1, b'a'));
        history.add(key(10, None), fact(1, b'b'));
        assert!(history.get(key(10, None)).unwrap().disputed);
        history.add(key(10, None), fact(1, b'a'));
        assert!(history.get(key(10, None)).unwrap().disputed);
    }
}

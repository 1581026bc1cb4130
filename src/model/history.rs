//! The grow-only facts about an address: every revision that is known of it.
//!
//! State, lockfile and the merge of two branches' lockfiles are the same union: commutative, associative, idempotent. What is current is never
//! stored here; it is derived from the desired content, or the pin, and these facts.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::asset::{AssetType, ContentChange, Moderation};
use super::ids::{AssetId, ContentHash, Revision};

/// By which action a revision came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// A new asset.
    Create,
    /// New content of the same asset.
    UpdateContent,
    /// A new asset in place of an older one.
    Replace,
    /// An earlier content made current again by Roblox.
    Rollback,
    /// Taken under management.
    Import,
    /// Made by somebody else and seen at the remote.
    Elsewhere,
}

impl Origin {
    const ALL: [Self; 6] =
        [Self::Create, Self::UpdateContent, Self::Replace, Self::Rollback, Self::Import, Self::Elsewhere];

    /// The name in the state and in output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::UpdateContent => "update_content",
            Self::Replace => "replace",
            Self::Rollback => "rollback",
            Self::Import => "import",
            Self::Elsewhere => "elsewhere",
        }
    }

    /// Reads the name that [`Origin::name`] gives.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|origin| origin.name() == name)
    }
}

/// What tells two revisions apart: the asset, and the version of its content where Roblox counts versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RevisionKey {
    /// The asset.
    pub asset_id: AssetId,
    /// Roblox's `revisionId`, for a type that is updated in place.
    pub version: Option<Revision>,
}

/// Whether a revision can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Standing {
    /// Moderation has not decided yet: it is used as if nothing spoke against it, and looked after until it is decided.
    Reviewing,
    /// Nothing speaks against it.
    #[default]
    Live,
    /// Roblox's moderation rejected it: it is not uploaded again.
    Rejected,
    /// Roblox doesn't have the asset any more.
    Gone,
}

impl Standing {
    /// Every standing, in the order in which a later one overrides an earlier one within a round. Of two machines that learned different things in
    /// one round, the more careful one is believed: nothing is uploaded, archived or updated because of it, and the next refresh asks again.
    pub const ALL: [Self; 4] = [Self::Reviewing, Self::Live, Self::Rejected, Self::Gone];

    /// What moderation's word means for a revision; silence means that nothing speaks against it.
    pub const fn of_moderation(moderation: Option<Moderation>) -> Self {
        match moderation {
            Some(Moderation::Reviewing) => Self::Reviewing,
            Some(Moderation::Approved) | None => Self::Live,
            Some(Moderation::Rejected) => Self::Rejected,
        }
    }

    /// Whether the game can be given it.
    pub const fn is_usable(self) -> bool {
        match self {
            Self::Reviewing | Self::Live => true,
            Self::Rejected | Self::Gone => false,
        }
    }

    /// The name in lockfile and state.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reviewing => "reviewing",
            Self::Live => "live",
            Self::Rejected => "rejected",
            Self::Gone => "gone",
        }
    }

    /// Reads the name that [`Standing::name`] gives.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|standing| standing.name() == name)
    }
}

/// What is known of one revision beside its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RevisionFact {
    /// The position of the asset in the address's history, from 1: the first asset that the address had, the second, …
    pub ordinal: u32,
    /// The bytes; `None` for a content made elsewhere.
    pub content: Option<ContentHash>,
    /// What Roblox last said of it. Change it with [`RevisionFact::now`], which counts rounds.
    pub standing: Standing,
    /// How often Roblox took back what it had said before: of two reports the one of the later round counts.
    pub round: u32,
    /// The asset was created by another address with the same bytes, which owns its metadata.
    pub shared: bool,
    /// Another branch's asset for a content or address that the lockfile already had one for: passed over.
    pub duplicate: bool,
    /// When this checkout learned of it and how; not in the lockfile.
    pub made: Option<(Timestamp, Origin)>,
}

impl RevisionFact {
    /// The same revision, of which Roblox now says `standing`.
    ///
    /// What Roblox says is no fact that only grows: an appeal ends a rejection, and an asset that was gone is found again. So the standing is a register
    /// that the last writer wins. Lockfiles have no times, so "last" is counted: a standing that takes an earlier one back begins a new round, on every
    /// machine that reads of it.
    #[must_use]
    pub fn now(self, standing: Standing) -> Self {
        let takes_back = standing < self.standing;
        Self { standing, round: self.round.saturating_add(u32::from(takes_back)), ..self }
    }

    /// The union of two reports of one revision.
    fn union(self, other: Self) -> Self {
        // Facts grow: what one side knows wins over what the other doesn't; where both know, an order that doesn't depend on who comes first.
        let Self { ordinal, content, standing, round, shared, duplicate, made } = other;
        let (round, standing) = (self.round, self.standing).max((round, standing));
        Self {
            ordinal: self.ordinal.min(ordinal),
            content: least(self.content, content),
            standing,
            round,
            shared: self.shared && shared,
            duplicate: self.duplicate || duplicate,
            made: least(self.made, made),
        }
    }
}

/// The smaller of two known values, or the known one.
fn least<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// Every revision that is known of one address.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct History {
    facts: Vec<(RevisionKey, RevisionFact)>,
}

impl History {
    /// A history of nothing.
    pub const fn new() -> Self {
        Self { facts: Vec::new() }
    }

    /// Adds what is known of a revision to what was known of it.
    pub fn add(&mut self, key: RevisionKey, fact: RevisionFact) {
        match self.facts.binary_search_by_key(&key, |(key, _)| *key) {
            Ok(at) => {
                if let Some((_, known)) = self.facts.get_mut(at) {
                    *known = known.union(fact);
                }
            }
            Err(at) => {
                self.facts.reserve_exact(1);
                self.facts.insert(at, (key, fact));
            }
        }
    }

    /// Adds all that another history knows.
    pub fn union(&mut self, other: &Self) {
        other.facts.iter().for_each(|(key, fact)| self.add(*key, *fact));
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.facts.is_empty()
    }

    /// What is known of one revision.
    pub fn get(&self, key: RevisionKey) -> Option<&RevisionFact> {
        let at = self.facts.binary_search_by_key(&key, |(key, _)| *key).ok()?;
        self.facts.get(at).map(|(_, fact)| fact)
    }

    /// Every revision, in the order of its asset and version.
    pub fn iter(&self) -> impl Iterator<Item = (RevisionKey, &RevisionFact)> {
        self.facts.iter().map(|(key, fact)| (*key, fact))
    }

    /// Every revision in the order in which people count them: by the asset's ordinal, then its ID, then the version.
    pub fn in_order(&self) -> Vec<(RevisionKey, RevisionFact)> {
        let mut all: Vec<_> = self.facts.iter().map(|(key, fact)| (*key, *fact)).collect();
        all.sort_by_key(|(key, _)| (self.ordinal_of(key.asset_id), *key));
        all
    }

    /// The ordinal of an asset: the least that any of its revisions has.
    fn ordinal_of(&self, asset_id: AssetId) -> u32 {
        self.facts
            .iter()
            .filter(|(key, _)| key.asset_id == asset_id)
            .map(|(_, fact)| fact.ordinal)
            .min()
            .unwrap_or(u32::MAX)
    }

    /// The ordinal that the next new asset gets.
    pub fn next_ordinal(&self) -> u32 {
        self.facts.iter().map(|(_, fact)| fact.ordinal).max().unwrap_or(0).saturating_add(1)
    }

    /// The number that people see for a revision: Roblox's version, or the position of the asset among the address's assets.
    pub fn number(&self, key: RevisionKey) -> u64 {
        match key.version {
            Some(version) => version.get(),
            None => {
                let mut assets: Vec<AssetId> = Vec::new();
                for (other, _) in self.in_order() {
                    if assets.last() != Some(&other.asset_id) {
                        assets.push(other.asset_id);
                    }
                }
                assets.iter().position(|asset| *asset == key.asset_id).map_or(0, |at| at as u64 + 1)
            }
        }
    }

    /// Among several assets the one that counts: not a duplicate, then the newest ordinal, then the smallest ID. The same on every machine
    /// that has the same facts.
    fn preferred<'a>(
        candidates: impl Iterator<Item = &'a (RevisionKey, RevisionFact)>,
    ) -> Option<(RevisionKey, RevisionFact)> {
        candidates
            .min_by_key(|(key, fact)| (fact.duplicate, std::cmp::Reverse(fact.ordinal), *key))
            .map(|(key, fact)| (*key, *fact))
    }

    /// The usable revision whose bytes are `content`, for a type whose content can't be updated.
    pub fn find_content(&self, content: ContentHash) -> Option<(RevisionKey, RevisionFact)> {
        Self::preferred(self.facts.iter().filter(|(_, f)| f.standing.is_usable() && f.content == Some(content)))
    }

    /// The newest version known of the asset that counts, for a type that is updated in place. A rejected version is still the head of a
    /// live asset; an asset that is gone is passed over.
    pub fn head(&self) -> Option<(RevisionKey, RevisionFact)> {
        let live = self.facts.iter().filter(|(_, fact)| fact.standing != Standing::Gone);
        let (asset, _) = Self::preferred(live)?;
        let versions = self.facts.iter().filter(|(key, _)| key.asset_id == asset.asset_id);
        versions.max_by_key(|(key, _)| key.version).map(|(key, fact)| (*key, *fact))
    }

    /// Whether moderation rejected exactly these bytes at this address, and no live revision has them.
    pub fn rejected(&self, content: ContentHash) -> Option<RevisionKey> {
        let rejected = |f: &RevisionFact| f.standing == Standing::Rejected && f.content == Some(content);
        let found = self.facts.iter().find(|(_, fact)| rejected(fact)).map(|(key, _)| *key);
        if self.find_content(content).is_some() { None } else { found }
    }

    /// The assets that the address ever had, each once, in the order of their IDs.
    pub fn assets(&self) -> BTreeSet<AssetId> {
        self.facts.iter().map(|(key, _)| key.asset_id).collect()
    }

    /// The revisions of one asset, the oldest first.
    pub fn of_asset(&self, asset_id: AssetId) -> impl DoubleEndedIterator<Item = (RevisionKey, &RevisionFact)> {
        let first = RevisionKey { asset_id, version: None };
        let last = RevisionKey { asset_id, version: Some(Revision::MAX) };
        let from = self.facts.partition_point(|(key, _)| *key < first);
        let to = self.facts.partition_point(|(key, _)| *key <= last);
        self.facts.get(from..to).unwrap_or_default().iter().map(|(key, fact)| (*key, fact))
    }

    /// Marks what only `self` knows as a duplicate of what `lockfile` knows: two branches created assets for one content (or for one Model),
    /// and the lockfile's is used. Returns the assets that were marked now.
    pub fn yield_to(&mut self, lockfile: &Self, asset_type: AssetType) -> Vec<AssetId> {
        let mut theirs = lockfile.clone();
        // Their assets as we know them: one that is gone or rejected by now doesn't count.
        for (key, fact) in &mut theirs.facts {
            if let Some(known) = self.get(*key) {
                *fact = fact.union(*known);
            }
        }
        let mut marked = Vec::new();
        for (key, fact) in &mut self.facts {
            let in_lockfile = lockfile.facts.iter().any(|(theirs, _)| theirs.asset_id == key.asset_id);
            if in_lockfile || fact.duplicate {
                continue;
            }
            let rival = match asset_type.on_content_change() {
                ContentChange::InPlace => theirs.head().is_some(),
                ContentChange::NewAsset => fact.content.is_some_and(|content| theirs.find_content(content).is_some()),
            };
            if rival {
                fact.duplicate = true;
                marked.push(key.asset_id);
            }
        }
        marked.dedup();
        marked
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(number: u64) -> AssetId {
        AssetId::new(number).unwrap()
    }

    fn hash(byte: u8) -> ContentHash {
        ContentHash::from_bytes([byte; 32])
    }

    fn fact(ordinal: u32, content: u8) -> RevisionFact {
        RevisionFact {
            ordinal,
            content: Some(hash(content)),
            standing: Standing::Live,
            round: 0,
            shared: false,
            duplicate: false,
            made: None,
        }
    }

    fn key(asset: u64, version: Option<u64>) -> RevisionKey {
        RevisionKey { asset_id: id(asset), version: version.map(|v| Revision::new(v).unwrap()) }
    }

    prop_compose! {
        fn any_history()(entries in prop::collection::vec((1u64..4, prop::option::of(1u64..4), 1u32..4, prop::option::of(0u8..3), (0u8..4, 0u32..3), any::<bool>(), any::<bool>()), 0..6)) -> History {
            let mut history = History::new();
            for (asset, version, ordinal, content, (standing, round), shared, duplicate) in entries {
                let standing = Standing::ALL[usize::from(standing)];
                history.add(key(asset, version), RevisionFact { ordinal, content: content.map(hash), standing, round, shared, duplicate, made: None });
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

    #[test]
    fn the_standing_is_what_roblox_said_last() {
        let first = fact(1, b'a');
        let rejected = first.now(Standing::Rejected);
        let appealed = rejected.now(Standing::Live);
        let gone = appealed.now(Standing::Gone);
        let found = gone.now(Standing::Live);
        let said = [first, rejected, appealed, gone, found];
        assert_eq!(said.map(|fact| fact.round), [0, 0, 1, 1, 2]);
        for (earlier, earlier_fact) in said.iter().enumerate() {
            for later_fact in &said[earlier..] {
                assert_eq!(earlier_fact.union(*later_fact), *later_fact);
                assert_eq!(later_fact.union(*earlier_fact), *later_fact);
            }
        }
        assert_eq!(first.now(Standing::Reviewing).now(Standing::Live).round, 1, "reviewed once more");
        assert_eq!(found.now(Standing::Live), found, "nothing new is no new round");
        // Two machines, one round: the more careful one.
        assert_eq!(appealed.union(rejected.now(Standing::Reviewing).now(Standing::Gone)).standing, Standing::Gone);
    }

    #[test]
    fn the_head_of_a_model_is_its_newest_version() {
        let mut history = History::new();
        history.add(key(10, Some(1)), fact(1, b'a'));
        history.add(key(10, Some(2)), fact(1, b'b'));
        assert_eq!(history.head().unwrap().0, key(10, Some(2)));
        assert_eq!(history.number(key(10, Some(2))), 2);
    }

    #[test]
    fn an_immutable_type_finds_any_content_it_had() {
        let mut history = History::new();
        history.add(key(10, None), fact(1, b'a'));
        history.add(key(11, None), fact(2, b'b'));
        assert_eq!(history.find_content(hash(b'a')).unwrap().0, key(10, None));
        assert_eq!(history.number(key(11, None)), 2);
        history.add(key(10, None), RevisionFact { standing: Standing::Rejected, ..fact(1, b'a') });
        assert_eq!(history.find_content(hash(b'a')), None);
        assert_eq!(history.rejected(hash(b'a')), Some(key(10, None)));
    }

    #[test]
    fn two_branches_with_one_content_use_the_lockfiles_asset() {
        let (mut ours, mut lockfile) = (History::new(), History::new());
        ours.add(key(10, None), fact(1, b'a'));
        lockfile.add(key(20, None), fact(1, b'a'));
        assert_eq!(ours.yield_to(&lockfile, AssetType::Image), [id(10)]);
        ours.union(&lockfile);
        assert_eq!(ours.find_content(hash(b'a')).unwrap().0, key(20, None));
    }

    #[test]
    fn an_asset_known_to_be_gone_is_no_rival() {
        let (mut ours, mut lockfile) = (History::new(), History::new());
        lockfile.add(key(20, None), fact(1, b'a'));
        ours.add(key(20, None), RevisionFact { standing: Standing::Gone, ..fact(1, b'a') });
        ours.add(key(21, None), fact(2, b'a'));
        assert_eq!(ours.yield_to(&lockfile, AssetType::Image), []);
    }
}

//! One revision of an address, and its facts.

use jiff::Timestamp;

use crate::model::asset::{AssetType, Moderation};
use crate::model::ids::{AssetId, ContentHash, Creator, Revision};

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
    /// Made outside of Macadam and seen at Roblox.
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

    /// Returns how a revision came to be, in a word for a person.
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Create => "uploaded",
            Self::UpdateContent => "updated",
            Self::Replace => "replaced",
            Self::Rollback => "rolled back",
            Self::Import => "imported",
            Self::Elsewhere => "elsewhere",
        }
    }

    /// Reads the name that [`Origin::name`] gives.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|origin| origin.name() == name)
    }
}

/// The name of a revision: its asset, and the version of its content where Roblox counts versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RevisionKey {
    /// The asset.
    pub asset_id: AssetId,
    /// Roblox's `revisionId`, for a type that is updated in place.
    pub version: Option<Revision>,
}

/// Whether a revision can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum RevisionState {
    /// Another tool's records name it, and Macadam has not read it at Roblox yet. It counts as the
    /// content, but nothing is written to it before its owner and type are checked.
    Unverified,
    /// Moderation has not decided yet: it is used like a live one, and read again until it is
    /// decided.
    Reviewing,
    /// Nothing speaks against it.
    #[default]
    Live,
    /// Roblox's moderation rejected it: it is not uploaded again.
    Rejected,
    /// Roblox doesn't have the asset any more.
    Gone,
}

impl RevisionState {
    /// Every state, in the order in which a later one overrides an earlier one within a round.
    /// Of two machines that learned different things in one round, the more careful one is
    /// believed: nothing is uploaded, archived or updated because of it, and the next observation
    /// decides.
    pub const ALL: [Self; 5] = [Self::Unverified, Self::Reviewing, Self::Live, Self::Rejected, Self::Gone];

    /// The state of a revision by moderation's verdict; without one nothing speaks against it.
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
            Self::Unverified | Self::Reviewing | Self::Live => true,
            Self::Rejected | Self::Gone => false,
        }
    }

    /// The name in lockfile and state.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unverified => "unverified",
            Self::Reviewing => "reviewing",
            Self::Live => "live",
            Self::Rejected => "rejected",
            Self::Gone => "gone",
        }
    }

    /// Reads the name that [`RevisionState::name`] gives.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// The unchangeable kind of an asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind {
    /// Its type.
    pub asset_type: AssetType,
    /// Its owner.
    pub creator: Creator,
}

/// How the checked-out lockfile has an asset. Replaced as a whole whenever a lockfile is read or
/// written, so that each branch keeps its own choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Listing {
    /// As one that another asset for the same content, or of the same Model, is preferred to.
    Duplicate,
    /// As one of its own.
    Listed,
}

/// The facts about one revision beside its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RevisionFact {
    /// The position of the asset in the address's history, from 1: the first asset that the address
    /// had, the second, …
    pub ordinal: u32,
    /// The bytes; `None` for a content made elsewhere.
    pub content: Option<ContentHash>,
    /// Its state by Roblox. Change it with [`RevisionFact::now`], which counts rounds.
    pub state: RevisionState,
    /// How often Roblox took back what it had said before: of two reports the one of the later
    /// round counts.
    pub round: u32,
    /// The asset was created by another address with the same bytes, which owns its metadata.
    pub shared: bool,
    /// The kind of its asset; `None` only on its way here: the kind of the address.
    pub kind: Option<Kind>,
    /// Two sources say that its asset has other bytes, or is of another kind: one of them is wrong,
    /// and it is unknown which.
    pub disputed: bool,
    /// How often its asset had been forgotten at this address when it became known, see
    /// [`Forgotten`](crate::model::forgotten::Forgotten).
    pub era: u32,
    /// When this checkout learned of it and how; not in the lockfile.
    pub made: Option<(Timestamp, Origin)>,
}

impl RevisionFact {
    /// The facts of a revision that nothing else is known of.
    pub const fn new(ordinal: u32, content: Option<ContentHash>, state: RevisionState) -> Self {
        Self { ordinal, content, state, round: 0, shared: false, kind: None, disputed: false, era: 0, made: None }
    }

    /// The same revision, of which Roblox now says `state`.
    ///
    /// A state is no fact that only grows: an appeal ends a rejection, and an asset that
    /// was gone is found again. So the state is a register that the last writer wins.
    /// Lockfiles have no times, so "last" is counted: a state that takes an earlier one back begins
    /// a new round, on every machine that reads of it.
    #[must_use]
    pub fn now(self, state: RevisionState) -> Self {
        let takes_back = state < self.state;
        Self { state, round: self.round.saturating_add(u32::from(takes_back)), ..self }
    }

    /// Whether the game can be given it at an address of this kind.
    pub(super) fn is_for_use(&self, kind: Kind) -> bool {
        self.state.is_usable() && self.kind == Some(kind)
    }

    /// The union of two reports of one revision.
    pub(super) fn union(self, other: Self) -> Self {
        // Facts from before the asset was forgotten say nothing about later ones.
        if self.era != other.era {
            return if self.era > other.era { self } else { other };
        }
        // Facts grow: what one side knows wins over what the other doesn't; where both know, an
        // order that doesn't depend on who comes first.
        let Self { ordinal, content, state, round, shared, kind, disputed, era, made } = other;
        let (round, state) = (self.round, self.state).max((round, state));
        let kinds = match (self.is_claim(), other.is_claim()) {
            // Roblox said what it is; another tool's record only claimed it.
            (true, false) => Kinds { kind, differ: false },
            (false, true) => Kinds { kind: self.kind, differ: false },
            (true, true) => Kinds { kind: least(self.kind, kind), differ: false },
            (false, false) => Kinds { kind: least(self.kind, kind), differ: differ(self.kind, kind) },
        };
        let differ = differ(self.content, content) || kinds.differ;
        Self {
            ordinal: self.ordinal.min(ordinal),
            content: least(self.content, content),
            state,
            round,
            shared: self.shared && shared,
            kind: kinds.kind,
            disputed: self.disputed || disputed || differ,
            era,
            made: least(self.made, made),
        }
    }
}

/// What two facts say of the kind of one asset.
struct Kinds {
    kind: Option<Kind>,
    /// Whether both were read at Roblox, and aren't the same.
    differ: bool,
}

impl RevisionFact {
    /// Whether another tool's records alone say what it is: Macadam never read it at Roblox.
    pub fn is_claim(&self) -> bool {
        self.round == 0 && self.state == RevisionState::Unverified
    }

    /// Whether it holds `content` in an asset of this kind, and can be used.
    pub(super) fn is_usable_as(&self, content: ContentHash, kind: Kind) -> bool {
        self.state.is_usable() && self.content == Some(content) && self.kind == Some(kind)
    }

    /// Whether its asset is of this kind and not gone.
    pub(super) fn is_there_as(&self, kind: Kind) -> bool {
        self.state != RevisionState::Gone && self.kind == Some(kind)
    }
}

/// Whether both are known, and aren't the same.
fn differ<T: PartialEq>(a: Option<T>, b: Option<T>) -> bool {
    a.zip(b).is_some_and(|(a, b)| a != b)
}

/// The smaller of two known values, or the known one.
fn least<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

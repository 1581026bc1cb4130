//! Which action comes next: a deck of cards that is shuffled and dealt to the end, so that each
//! kind comes up in every story.

/// What can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Card {
    EditPicture,
    EditModel,
    AtomicSave,
    TruncateAndWrite,
    SlowWrite,
    Burst,
    Add,
    Copy,
    Rename,
    RenameFolder,
    Delete,
    AddEntry,
    Promote,
    RemoveEntry,
    Describe,
    BreakManifest,
    SwitchBranch,
    HoldIndexLock,
    Pin,
    Unpin,
    Archive,
    Restore,
    Reload,
    FreezeEmulator,
    KillEmulator,
    EndEmulator,
    KillService,
    EndService,
    ServerErrors,
    CommittedErrors,
    TooMany,
    Reset,
    ResetAfterCommit,
    Hang,
    Truncate,
    StuckOperation,
    EndlessOperation,
    NotFound,
    ForeignTooMany,
    LaggingReads,
    GitClean,
    DeleteState,
    CopyState,
    StaleState,
    OldLockfile,
    VisitBranches,
    RenamePinned,
    PushEdits,
    PushOldLockfile,
    RunOne,
    RunBoth,
}

/// Every card with how many of it a deck has: what people do often, often.
const DECK: [(Card, usize); 51] = [
    (Card::EditPicture, 5),
    (Card::EditModel, 8),
    (Card::AtomicSave, 6),
    (Card::TruncateAndWrite, 3),
    (Card::SlowWrite, 3),
    (Card::Burst, 2),
    (Card::Add, 4),
    (Card::Copy, 1),
    (Card::Rename, 3),
    (Card::RenameFolder, 1),
    (Card::Delete, 3),
    (Card::AddEntry, 1),
    (Card::Promote, 1),
    (Card::RemoveEntry, 1),
    (Card::Describe, 2),
    (Card::BreakManifest, 1),
    (Card::SwitchBranch, 3),
    (Card::HoldIndexLock, 1),
    (Card::Pin, 2),
    (Card::Unpin, 2),
    (Card::Archive, 1),
    (Card::Restore, 1),
    (Card::Reload, 2),
    (Card::FreezeEmulator, 1),
    (Card::KillEmulator, 1),
    (Card::EndEmulator, 1),
    (Card::KillService, 2),
    (Card::EndService, 1),
    (Card::ServerErrors, 1),
    (Card::CommittedErrors, 1),
    (Card::TooMany, 1),
    (Card::Reset, 1),
    (Card::ResetAfterCommit, 1),
    (Card::Hang, 1),
    (Card::Truncate, 1),
    (Card::StuckOperation, 1),
    (Card::EndlessOperation, 2),
    (Card::NotFound, 2),
    (Card::ForeignTooMany, 2),
    (Card::LaggingReads, 2),
    (Card::GitClean, 2),
    (Card::DeleteState, 1),
    (Card::CopyState, 1),
    (Card::StaleState, 1),
    (Card::OldLockfile, 2),
    (Card::VisitBranches, 2),
    (Card::RenamePinned, 2),
    (Card::PushEdits, 4),
    (Card::PushOldLockfile, 1),
    (Card::RunOne, 2),
    (Card::RunBoth, 2),
];

impl Card {
    /// The name in figures.
    pub fn name(self) -> String {
        format!("{self:?}")
    }

    /// Whether it ends the service.
    pub const fn ends_service(self) -> bool {
        matches!(self, Self::KillService | Self::EndService | Self::StaleState | Self::EndlessOperation)
    }
}

/// The cards that are still to come.
#[derive(Debug)]
pub struct Deck {
    whole: Vec<Card>,
    cards: Vec<Card>,
}

impl Deck {
    /// With so many cards of each kind at most, and none of those that are named.
    pub fn new(most: usize, without: &[String]) -> Self {
        let unknown = without.iter().find(|name| DECK.iter().all(|(card, _)| card.name() != **name));
        assert!(unknown.is_none(), "there is no card {unknown:?}");
        let kinds = DECK.iter().filter(|(card, _)| !without.contains(&card.name()));
        let whole = kinds.flat_map(|(card, count)| vec![*card; (*count).min(most)]).collect();
        Self { whole, cards: Vec::new() }
    }

    /// The next card; a new deck is shuffled when one is used up.
    pub fn deal(&mut self, rng: &mut fastrand::Rng) -> Card {
        if self.cards.is_empty() {
            self.cards.clone_from(&self.whole);
            rng.shuffle(&mut self.cards);
        }
        self.cards.pop().unwrap()
    }

    /// Takes back a card that could not be played yet: it comes last.
    pub fn take_back(&mut self, card: Card) {
        self.cards.insert(0, card);
    }

    /// How many cards are still to come.
    pub const fn left(&self) -> usize {
        self.cards.len()
    }
}

//! Chooses the next action from a shuffled list that is used to its end, so that each kind occurs
//! in every scenario.

/// An action of the scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
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

/// Every action with its count in the list. Frequent actions of people are frequent here.
const ACTIONS: [(Action, usize); 51] = [
    (Action::EditPicture, 5),
    (Action::EditModel, 8),
    (Action::AtomicSave, 6),
    (Action::TruncateAndWrite, 3),
    (Action::SlowWrite, 3),
    (Action::Burst, 2),
    (Action::Add, 4),
    (Action::Copy, 1),
    (Action::Rename, 3),
    (Action::RenameFolder, 1),
    (Action::Delete, 3),
    (Action::AddEntry, 1),
    (Action::Promote, 1),
    (Action::RemoveEntry, 1),
    (Action::Describe, 2),
    (Action::BreakManifest, 1),
    (Action::SwitchBranch, 3),
    (Action::HoldIndexLock, 1),
    (Action::Pin, 2),
    (Action::Unpin, 2),
    (Action::Archive, 1),
    (Action::Restore, 1),
    (Action::Reload, 2),
    (Action::FreezeEmulator, 1),
    (Action::KillEmulator, 1),
    (Action::EndEmulator, 1),
    (Action::KillService, 2),
    (Action::EndService, 1),
    (Action::ServerErrors, 1),
    (Action::CommittedErrors, 1),
    (Action::TooMany, 1),
    (Action::Reset, 1),
    (Action::ResetAfterCommit, 1),
    (Action::Hang, 1),
    (Action::Truncate, 1),
    (Action::StuckOperation, 1),
    (Action::EndlessOperation, 2),
    (Action::NotFound, 2),
    (Action::ForeignTooMany, 2),
    (Action::LaggingReads, 2),
    (Action::GitClean, 2),
    (Action::DeleteState, 1),
    (Action::CopyState, 1),
    (Action::StaleState, 1),
    (Action::OldLockfile, 2),
    (Action::VisitBranches, 2),
    (Action::RenamePinned, 2),
    (Action::PushEdits, 4),
    (Action::PushOldLockfile, 1),
    (Action::RunOne, 2),
    (Action::RunBoth, 2),
];

impl Action {
    /// Returns the name in figures.
    pub fn name(self) -> String {
        format!("{self:?}")
    }

    /// Whether it ends the service.
    pub const fn ends_service(self) -> bool {
        matches!(self, Self::KillService | Self::EndService | Self::StaleState | Self::EndlessOperation)
    }
}

/// The actions that are still to come.
#[derive(Debug)]
pub struct ActionGenerator {
    whole: Vec<Action>,
    upcoming: Vec<Action>,
}

impl ActionGenerator {
    /// Makes a generator with at most this many actions of each kind, and none of those in
    /// `without`.
    pub fn new(most: usize, without: &[String]) -> Self {
        let unknown = without.iter().find(|name| ACTIONS.iter().all(|(action, _)| action.name() != **name));
        assert!(unknown.is_none(), "there is no action {unknown:?}");
        let kinds = ACTIONS.iter().filter(|(action, _)| !without.contains(&action.name()));
        let whole = kinds.flat_map(|(action, count)| vec![*action; (*count).min(most)]).collect();
        Self { whole, upcoming: Vec::new() }
    }

    /// Returns the next action. A used-up list is shuffled anew.
    pub fn draw(&mut self, rng: &mut fastrand::Rng) -> Action {
        if self.upcoming.is_empty() {
            self.upcoming.clone_from(&self.whole);
            rng.shuffle(&mut self.upcoming);
        }
        self.upcoming.pop().unwrap()
    }

    /// Takes back an action that was impossible for now. It comes last.
    pub fn take_back(&mut self, action: Action) {
        self.upcoming.insert(0, action);
    }

    /// Returns how many actions are still to come.
    pub const fn left(&self) -> usize {
        self.upcoming.len()
    }
}

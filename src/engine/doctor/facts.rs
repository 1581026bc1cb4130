//! What is known of a project, its machine and its key, before anybody judges it.
//!
//! Gathering writes nothing, takes no lock and changes nothing at Roblox. A fact that can't be had
//! is kept as such, with the reason. Read next: [`super::checks`].

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cloud::wire::key::KeyFacts;
use crate::engine::workspace::gather::Gathered;
use crate::engine::workspace::git::ask::{self, Tracking};
use crate::engine::workspace::git::tracked;
use crate::engine::workspace::git::unpushed::{UnpushedCommit, unpushed};
use crate::engine::workspace::git::work_tree;
use crate::engine::workspace::lockfile::hint as lockfile_hint;
use crate::engine::workspace::outputs::OutputState;
use crate::engine::workspace::project::Project;
use crate::engine::workspace::snapshot::PlanPreview;
use crate::engine::workspace::unfinished_merge::{self, UnfinishedMerge};
use crate::files;
use crate::model::address::Address;
use crate::model::missing_lockfile::{Lost, WayBack};
use crate::model::path::ProjectPath;
use crate::model::shown::with_causes;
use crate::plan::reason::hold::HoldReason;
use crate::plan::reason::note::NoteKind;
use crate::platform::own_file::Access;
use crate::platform::{creatable, plain_file, space};
use crate::state::StateError;
use crate::state::lock::{self, Occupancy};
use crate::state::lockfile::{self, driver};
use crate::state::store::Store;

/// A message and what to do.
type MessageAndHint = (String, Option<String>);

/// What is known of the API key.
#[derive(Debug)]
pub(crate) enum KeyLookup {
    /// There is none.
    Missing {
        /// The mistake that kept one from being found, and what to do.
        near: Option<(String, String)>,
    },
    /// There is one, but its form is wrong, or its file can't be read.
    Unusable {
        /// Why.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// An OAuth token, of which Roblox tells nothing.
    Token,
    /// Roblox was not asked, or could not say.
    Unasked {
        /// Why.
        why: String,
    },
    /// Roblox doesn't accept it.
    Refused {
        /// What Roblox said.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// Roblox said what it may do.
    Known(KeyFacts),
}

/// What is known of the state.
#[derive(Debug)]
pub(super) struct StateFacts {
    /// Whether there is one; or why it can't be used.
    pub opened: Result<bool, MessageAndHint>,
    /// The process that uses it now.
    pub holder: Option<String>,
    /// A full disk kept outcomes of uploads from it.
    pub has_lost_outcomes: bool,
}

/// What is known of the lockfile.
#[derive(Debug)]
pub(super) struct LockfileFacts {
    /// Its name.
    pub name: String,
    /// Whether there is one; or why it can't be used.
    pub read: Result<bool, MessageAndHint>,
    /// Why it counts as lost.
    pub lost: Option<MessageAndHint>,
    /// The assets that it had lost, and git's history has.
    pub taken_back: Vec<String>,
    /// Whether a sync would change it even without any upload, where that is known.
    pub would_change: Option<bool>,
    /// Whether this machine has a state of the project.
    pub has_state: bool,
    /// It has Windows line endings.
    pub has_crlf: bool,
}

/// Whether the lockfile is one for other machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Publishing {
    /// It is.
    Usual,
    /// It lacks what an earlier one had, so publishing it would lose that for everybody.
    Lost,
    /// It belongs to a server on this machine.
    OfThisMachine,
    /// It can't be used with the server on this machine, so it may be another's.
    Unknown,
    /// It can't be used.
    Broken,
}

impl Publishing {
    /// What becomes of this lockfile, if its server is on this machine, and if not.
    pub(super) const fn of(lockfile: &LockfileFacts, is_local: bool) -> Self {
        match (is_local, &lockfile.read, &lockfile.lost) {
            (true, Ok(_), _) => Self::OfThisMachine,
            (true, Err(_), _) => Self::Unknown,
            (false, _, Some(_)) => Self::Lost,
            (false, Err(_), None) => Self::Broken,
            (false, Ok(_), None) => Self::Usual,
        }
    }
}

/// What git knows of the lockfile.
#[derive(Debug)]
pub(super) enum GitFacts {
    /// There is no checkout around it.
    NoCheckout,
    /// Git can't be asked.
    Unknown {
        /// Why.
        why: String,
    },
    /// Git says so.
    Known(KnownToGit),
}

/// Git's answers.
#[derive(Debug)]
pub(super) struct KnownToGit {
    /// Whether git tracks or ignores it.
    pub tracking: Tracking,
    /// Whether it is there.
    pub exists: bool,
    /// Whether it differs from the checked-out commit.
    pub is_modified: bool,
    /// The commit of it that the branch's upstream lacks.
    pub unpushed: Option<UnpushedCommit>,
    /// The merge of it that isn't finished.
    pub unfinished_merge: Option<UnfinishedMerge>,
    /// The clone has only the newest commits.
    pub is_shallow: bool,
    /// Its attribute `merge`.
    pub merge: Option<String>,
    /// The command of Macadam's merge driver in this clone.
    pub driver: Option<String>,
}

/// The asset files that git converted.
#[derive(Debug)]
pub(super) enum ConvertedFiles {
    /// There is no checkout.
    NoCheckout,
    /// Git can't be asked.
    Unknown {
        /// Why.
        why: String,
    },
    /// Their paths.
    Known(Vec<String>),
}

/// What is known of the outputs.
#[derive(Debug, Default)]
pub(super) struct OutputFacts {
    /// How many there are.
    pub all: usize,
    /// The paths of those that are out of date.
    pub due: Vec<String>,
    /// The others that can't be written: path, why, and what to do.
    pub broken: Vec<(String, String, Option<String>)>,
}

/// What is free on the disk of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FreeSpace {
    /// The folder.
    pub folder: PathBuf,
    /// The number of bytes.
    pub bytes: u64,
}

/// The most that is read of a number in /proc, in bytes.
const PROC_BYTES: u64 = 64;

/// Looks at the state. Blocks: it reads all of it.
pub(super) fn state(project: &Project, remote: &str) -> StateFacts {
    let told = |error: StateError| (with_causes(&error), error.hint());
    let mut has_lost_outcomes = false;
    let opened = Store::open_read_only(&project.state, remote).and_then(|store| {
        let Some(store) = store else {
            let (path, making) = (project.state.clone(), creatable::check(&project.state));
            return making.map(|()| false).map_err(|error| StateError::CreateFolder {
                path: path.parent().map(Path::to_path_buf).unwrap_or(path),
                source: Arc::new(error),
            });
        };
        has_lost_outcomes = store.has_lost_outcomes()?;
        store.integrity_check().map(|()| true)
    });
    let holder = match lock::holder(&project.state) {
        Ok(Occupancy::Held { by: Some(by) }) => Some(format!("`{}` (process {})", by.command, by.pid)),
        Ok(Occupancy::Held { by: None }) => Some("another Macadam".to_owned()),
        Ok(Occupancy::Free) | Err(_) => None,
    };
    StateFacts { opened: opened.map_err(told), holder, has_lost_outcomes }
}

/// Looks at the lockfile, and with a preview of the next sync at what state and git's history know
/// more. Blocks.
pub(super) fn lockfile(project: &Project, remote: &str, preview: Option<&PlanPreview>) -> LockfileFacts {
    let told = |error: lockfile::LockfileError| (with_causes(&error), lockfile_hint(&error));
    let bytes = lockfile::read(&project.lockfile);
    let has_crlf = matches!(&bytes, Ok(Some(bytes)) if bytes.windows(2).any(|pair| pair == b"\r\n"));
    let read = bytes.and_then(|bytes| {
        let ledger = bytes.map(|bytes| lockfile::parse(&bytes, &project.lockfile)).transpose()?;
        ledger.map_or(Ok(false), |ledger| ledger.require_remote(remote, &project.lockfile).map(|()| true))
    });
    let lost = preview.and_then(|preview| {
        let holds = preview.plan.held.iter().filter_map(|hold| match &hold.reason {
            HoldReason::LockfileLost(lost) => Some(lost),
            _ => None,
        });
        // Where the state knows everything, nothing is on hold. Git's part of one that it has is told below.
        let notes = preview.plan.notes.iter().filter_map(|note| match &note.kind {
            NoteKind::LockfileLost(Lost::InHead { way_back: WayBack::Index, .. }) => None,
            NoteKind::LockfileLost(lost) => Some(lost),
            _ => None,
        });
        holds.chain(notes).next().map(|lost| (lost.to_string(), Some(lost.hint())))
    });
    let would_change = preview.map(|preview| preview.lockfile_changes.any);
    let taken_back = preview.map(|preview| preview.taken_back.iter().map(Address::to_string).collect());
    LockfileFacts {
        name: project.lockfile_name(),
        read: read.map_err(told),
        lost,
        taken_back: taken_back.unwrap_or_default(),
        would_change,
        has_state: project.state.exists(),
        has_crlf,
    }
}

/// Asks git about the lockfile. Blocks.
pub(super) fn git(project: &Project) -> GitFacts {
    if project.lockfile_access == Access::Private {
        return GitFacts::Unknown { why: "the lockfile of a rehearsal stays out of git".to_owned() };
    }
    let look = || -> Result<GitFacts, String> {
        let Some(tracking) = ask::tracking(&project.lockfile)? else { return Ok(GitFacts::NoCheckout) };
        let attributes = ask::attributes(&project.lockfile, &["merge"])?.unwrap_or_default();
        let now = lockfile::read(&project.lockfile).ok().flatten();
        let head = ask::versions(&project.lockfile)?.head;
        // Git may convert line endings, which is no change.
        let plain = |bytes: &[u8]| bytes.iter().copied().filter(|byte| *byte != b'\r').collect::<Vec<u8>>();
        let is_modified = now.as_deref().map(plain) != head.as_deref().map(plain);
        Ok(GitFacts::Known(KnownToGit {
            tracking,
            exists: now.is_some(),
            is_modified,
            unpushed: unpushed(&project.lockfile)?,
            unfinished_merge: unfinished_merge::look(project)?,
            is_shallow: tracked::is_in_shallow_clone(&project.lockfile)?,
            merge: attributes.into_iter().next().flatten(),
            driver: ask::setting(&project.lockfile, driver::SETTING)?,
        }))
    };
    look().unwrap_or_else(|why| GitFacts::Unknown { why })
}

/// Asks git which of the wanted files it converted. Blocks.
pub(super) fn converted(project: &Project, gathered: &Gathered) -> ConvertedFiles {
    match work_tree(&project.root) {
        Ok(Some(_)) => {}
        Ok(None) => return ConvertedFiles::NoCheckout,
        Err(error) => return ConvertedFiles::Unknown { why: with_causes(&error) },
    }
    let wanted: BTreeSet<&str> = gathered.desired.assets.values().map(|want| want.path.as_str()).collect();
    match ask::converted(&project.manifest) {
        Ok(files) => ConvertedFiles::Known(files.into_iter().filter(|file| wanted.contains(file.as_str())).collect()),
        Err(why) => ConvertedFiles::Unknown { why },
    }
}

/// The asset files that can't be used, and those of them that are Git LFS pointers. Blocks.
pub(super) fn unusable(project: &Project, gathered: &Gathered) -> (Vec<String>, Vec<String>) {
    let desired = &gathered.desired;
    let wanted = desired.assets.values().filter(|want| want.content.is_err());
    let paths: Vec<&ProjectPath> = wanted.map(|want| &want.path).collect();
    let pointers = paths.iter().filter(|path| files::is_lfs_pointer(&project.root, path));
    let pointers = pointers.map(ToString::to_string).collect();
    let unseen = desired.unseen.iter().map(|unseen| unseen.place.to_string());
    (paths.iter().map(ToString::to_string).chain(unseen).collect(), pointers)
}

/// Compares the outputs with their files. Blocks.
pub(super) fn outputs(preview: &PlanPreview) -> OutputFacts {
    let mut found = OutputFacts { all: preview.outputs.len(), ..OutputFacts::default() };
    for draft in &preview.outputs {
        let (path, state) = (draft.path.to_string(), draft.state());
        if state == OutputState::OutOfDate {
            found.due.push(path);
        } else if let Some(problem) = state.problem() {
            found.broken.push((path, problem.message.clone(), problem.hint.clone()));
        }
    }
    found
}

/// The free space of the disks of project and state; one disk once.
pub(super) fn free_space(project: &Path, state: Option<&Path>) -> Vec<FreeSpace> {
    let found = |folder: &Path| Some(FreeSpace { folder: folder.to_owned(), bytes: space::free(folder)? });
    let mut free: Vec<FreeSpace> = [Some(project), state].into_iter().flatten().filter_map(found).collect();
    free.dedup_by_key(|space| space.bytes);
    free
}

/// The folders that the service watches for these files, as far as they are known.
pub(super) fn folders(gathered: &Gathered) -> usize {
    let paths = gathered.desired.assets.values().map(|want| Path::new(want.path.as_str()));
    let folders: BTreeSet<&Path> = paths.flat_map(|path| path.ancestors().skip(1)).collect();
    folders.len().max(1)
}

/// The most folders that the system lets a user watch; `None` where there is no such limit.
pub(super) fn watch_limit() -> Option<usize> {
    let text = plain_file::read(Path::new("/proc/sys/fs/inotify/max_user_watches"), PROC_BYTES).ok()?;
    String::from_utf8(text).ok()?.trim().parse().ok()
}

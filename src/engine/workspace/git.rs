//! The state of this checkout, from git's own files: whether files of the branch may be missing,
//! whether git is busy, and the checked-out branch.
//!
//! It runs no program and never writes: it runs before every plan, and git itself would take locks.
//! An unreadable file is reported, never guessed at. [`ask`] answers questions that git's files
//! can't. Read next: `gather`, a caller.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;

use crate::model::checkout::Checkout;
use crate::model::desired::AbsenceReason;
use crate::model::digest::Checksum;
use crate::platform::clock;
use crate::platform::{own_file, plain_file};

/// The limit for a file of git's, in bytes: git itself accepts no longer pointer file, and no
/// configuration comes near it.
const MAX_BYTES: u64 = 1 << 20;

/// The limit for git's list of packed branches and tags, in bytes: some hundred thousand of them.
const MAX_REFS: u64 = 1 << 26;

pub(crate) mod ask;
pub(crate) mod at_commit;
pub(crate) mod commit_times;
mod filters;
mod incomplete;
mod lfs_pointers;
pub(crate) mod since;
pub(crate) mod tracked;
pub(crate) mod unpushed;
pub(crate) mod way_back;
mod work;

pub(super) use incomplete::may_lack_history;
pub(crate) use incomplete::{is_partial_clone, last_commits};
pub(crate) use work::GitWork;

/// The longest time between git's new index and its new `HEAD` in a switch of branches: one rename
/// of a file.
pub(super) const HEAD_FOLLOWS: Duration = Duration::from_millis(200);

/// Files and folders in git's folder that mark an operation in progress: the name, the operation,
/// and how to end it.
///
/// A bisection counts too: it checks out old commits, which must not be uploaded.
const UNDER_WAY: &[(&str, &str, &str)] = &[
    ("rebase-merge", "a rebase", "`git rebase --continue` or `--abort`"),
    ("rebase-apply", "a rebase or an `am`", "`git rebase --abort` or `git am --abort`"),
    ("MERGE_HEAD", "a merge", "`git commit` or `git merge --abort`"),
    ("CHERRY_PICK_HEAD", "a cherry-pick", "`git cherry-pick --continue` or `--abort`"),
    ("REVERT_HEAD", "a revert", "`git revert --continue` or `--abort`"),
    // Left between two picks of a series.
    ("sequencer", "a cherry-pick or a revert", "`git cherry-pick --abort` or `git revert --abort`"),
    ("BISECT_LOG", "a bisection", "`git bisect reset`"),
];

/// The checked-out branch or commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Branch {
    /// This branch, with or without a commit.
    Named(String),
    /// A commit without a branch.
    Detached {
        /// The commit.
        at: String,
    },
    /// Unknown.
    Unknown {
        /// The reason: lower case, no full stop.
        why: String,
    },
}

impl Branch {
    /// Returns whether it is the branch `name`.
    pub(crate) fn is(&self, name: &str) -> bool {
        matches!(self, Self::Named(found) if found == name)
    }
}

impl fmt::Display for Branch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => write!(f, "the branch `{name}`"),
            Self::Detached { at } => write!(f, "no branch, at {}", at.get(..10).unwrap_or(at)),
            Self::Unknown { why } => write!(f, "an unknown branch: {why}"),
        }
    }
}

/// Returns git's own folder of the checkout that contains `folder`; `None` if there is none or it
/// is unknown.
pub(crate) fn own_folder(folder: &Path) -> Option<PathBuf> {
    private_folder(folder).ok().flatten()
}

/// Returns the place of git's index of the checkout that contains `folder`; `None` if there is no
/// checkout or it is unknown.
pub(crate) fn index(folder: &Path) -> Option<PathBuf> {
    own_folder(folder).map(|private| private.join("index"))
}

/// A git work tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WorkTree {
    /// Its top folder, without links in the path.
    pub top: PathBuf,
    /// The folder with git's data of this work tree alone: `.git`, or the folder that it names in a
    /// linked work tree or a submodule.
    pub git_folder: PathBuf,
}

/// Why the work tree of a folder, or its git folder, is unknown.
#[derive(Debug, thiserror::Error)]
pub enum WorkTreeError {
    /// A file of git's can't be read.
    #[error("look for the git checkout of this project: can't read {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// `.git` is a file, but not one of git's.
    #[error("{} doesn't say where this checkout's git folder is", .path.display())]
    NoPointer {
        /// The file.
        path: PathBuf,
    },
    /// `.git` names a folder that doesn't exist or is not a git folder.
    #[error("{} says that this checkout's git folder is {}, and there is none", .path.display(), .git_folder.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// The folder that it names.
        git_folder: PathBuf,
    },
}

/// Returns the work tree that contains `folder`; `None` if there is none. It searches as git does,
/// but ignores git's environment: `GIT_DIR` differs between a hook and a shell, and every process
/// has to find the same state.
///
/// Like git, it ignores a folder `.git` that is not a git folder.
///
/// # Errors
/// When a `.git` can't be understood: a guess could give one project two states.
pub(crate) fn work_tree(folder: &Path) -> Result<Option<WorkTree>, WorkTreeError> {
    let unread = |path: &Path| {
        let path = path.to_owned();
        move |source| WorkTreeError::Read { path, source }
    };
    let folder = own_file::resolved(folder).map_err(unread(folder))?;
    for top in folder.ancestors() {
        let path = top.join(".git");
        let found = match fs::metadata(&path) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(source) => return Err(WorkTreeError::Read { path, source }),
        };
        let named = if found.is_dir() {
            path.clone()
        } else {
            let text = plain_file::read(&path, MAX_BYTES).map_err(unread(&path))?;
            match text.strip_prefix(b"gitdir:").map(<[u8]>::trim_ascii) {
                Some(named) if !named.is_empty() => top.join(plain_file::path_of(named)),
                _ => return Err(WorkTreeError::NoPointer { path }),
            }
        };
        if is_git_folder(&named).map_err(unread(&named))? {
            let git_folder = own_file::resolved(&named).map_err(unread(&named))?;
            return Ok(Some(WorkTree { top: top.to_owned(), git_folder }));
        }
        if !found.is_dir() {
            return Err(WorkTreeError::Broken { path, git_folder: named });
        }
    }
    Ok(None)
}

/// Returns whether this folder is a git folder, by git's own criteria except for the form of
/// `HEAD`.
fn is_git_folder(folder: &Path) -> io::Result<bool> {
    let is_there = |name: &str| match fs::symlink_metadata(folder.join(name)) {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(false),
        Err(error) => Err(error),
    };
    Ok(is_there("HEAD")? && (is_there("objects")? || is_there("commondir")?))
}

/// Returns the operation that git has in progress in the checkout around `folder`; `None` if there
/// is none, or no repository. Its files must not be used meanwhile.
///
/// An index lock counts however old it is. Git too refuses to continue until a person has removed a
/// stale one, so there is nothing to gain by ignoring it. And a checkout that takes hours (large
/// files) mixes two branches. The message about an old lock says so, with the remedy.
pub(crate) fn busy(folder: &Path) -> Option<GitWork> {
    busy_at(folder, clock::now())
}

/// Returns the same, and also what git may still be about to do: it writes the files and the index
/// first, and `HEAD` a moment later. In between a checkout has the files of one branch and the name
/// of another.
pub(crate) fn busy_or_just_was(folder: &Path) -> Option<GitWork> {
    busy(folder).or_else(|| just_was(folder, clock::now()))
}

fn just_was(folder: &Path, now: Timestamp) -> Option<GitWork> {
    let index = found(&private_folder(folder).ok()??.join("index")).ok()??;
    let written = Timestamp::try_from(index.modified().ok()?).ok()?;
    let is_fresh = now.duration_since(written).unsigned_abs() < HEAD_FOLLOWS;
    is_fresh.then(|| GitWork::just_now("git has just written the checkout"))
}

fn busy_at(folder: &Path, now: Timestamp) -> Option<GitWork> {
    under_way(folder, now)
        .unwrap_or_else(|unread| Some(GitWork::just_now(&format!("whether git is busy is unknown: {unread}"))))
}

fn under_way(folder: &Path, now: Timestamp) -> Result<Option<GitWork>, Unread> {
    let Some(private) = private_folder(folder)? else { return Ok(None) };
    // The lock comes last: each step of the other operations also holds it, and they say more.
    for (name, what, end) in UNDER_WAY {
        if let Some(metadata) = found(&private.join(name))? {
            let what = format!("git is in the middle of {what}; finish it with {end}");
            return Ok(Some(GitWork::since(what, &metadata, now)));
        }
    }
    let lock = private.join("index.lock");
    let Some(metadata) = found(&lock)? else { return Ok(None) };
    Ok(Some(GitWork::index_lock(&lock, &metadata, now)))
}

/// Returns the branch or commit checked out around `folder`; `None` if there is no repository.
pub(crate) fn branch(folder: &Path) -> Option<Branch> {
    checked_out(folder).unwrap_or_else(|unread| Some(Branch::Unknown { why: unread.to_string() }))
}

/// Returns a text that changes whenever another commit is checked out around `folder`, or more of
/// its history is there: the commit, or what names it, and of a shallow clone where its history
/// ends. Without a repository, and before the first commit, it is empty.
pub(crate) fn head(folder: &Path) -> String {
    // Unreadable files: the text of the error. A comparison made then is made again later.
    read_head(folder).unwrap_or_else(|unread| unread.to_string())
}

/// Returns the same text; `None` where it is empty, or git's files can't be read.
pub(crate) fn known_head(folder: &Path) -> Option<String> {
    read_head(folder).ok().filter(|head| !head.is_empty())
}

fn read_head(folder: &Path) -> Result<String, Unread> {
    let commit = checked_out_commit(folder)?;
    Ok(match history_ends(folder)? {
        Some(ends) => format!("{commit} {ends}"),
        None => commit,
    })
}

/// Returns a digest of the commits at which the history of a shallow clone ends; `None` if all of it
/// is there.
fn history_ends(folder: &Path) -> Result<Option<String>, Unread> {
    let Some(private) = private_folder(folder)? else { return Ok(None) };
    let ends = read_at_most(&shared_folder(&private)?.join("shallow"), MAX_REFS)?;
    Ok(ends.map(|ends| {
        let mut digest = Checksum::default();
        digest.update(ends.as_bytes());
        digest.finish()
    }))
}

fn checked_out_commit(folder: &Path) -> Result<String, Unread> {
    let Some(private) = private_folder(folder)? else { return Ok(String::new()) };
    let Some(head) = read_bytes(&private.join("HEAD"), MAX_BYTES)? else { return Ok(String::new()) };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes.trim_ascii()).into_owned();
    let Some(name) = head.trim_ascii().strip_prefix(b"ref:").map(<[u8]>::trim_ascii) else { return Ok(text(&head)) };
    // Branches are common to all work trees.
    let shared = shared_folder(&private)?;
    if let Some(commit) = read(&shared.join(plain_file::path_of(name)))? {
        return Ok(commit.trim().to_owned());
    }
    let packed = read_bytes(&shared.join("packed-refs"), MAX_REFS)?.unwrap_or_default();
    let of_branch = |line: &[u8]| line.trim_ascii_end().strip_suffix(name)?.strip_suffix(b" ").map(text);
    if let Some(commit) = packed.split(|byte| *byte == b'\n').find_map(of_branch) {
        return Ok(commit);
    }
    // A list of tables that is written anew with every change of a branch.
    let tables = |folder: &Path| read(&folder.join("reftable").join("tables.list"));
    Ok(format!("{}{}", tables(&shared)?.unwrap_or_default(), tables(&private)?.unwrap_or_default()))
}

/// Returns the checkout around `folder`, by which checkouts are distinguished.
pub(crate) fn checkout(folder: &Path) -> Checkout {
    match branch(folder) {
        Some(Branch::Named(name)) => Checkout::Branch(name),
        Some(Branch::Detached { at }) => Checkout::Commit(at),
        Some(Branch::Unknown { .. }) | None => Checkout::Unknown,
    }
}

fn checked_out(folder: &Path) -> Result<Option<Branch>, Unread> {
    let Some(private) = private_folder(folder)? else { return Ok(None) };
    let Some(head) = read_bytes(&private.join("HEAD"), MAX_BYTES)? else { return Ok(None) };
    // Two names with replacements would be one branch.
    let Ok(head) = std::str::from_utf8(&head).map(str::trim) else {
        return Ok(Some(Branch::Unknown { why: "HEAD is not UTF-8".to_owned() }));
    };
    Ok(Some(match head.strip_prefix("ref:").map(str::trim) {
        // The reftable format writes this placeholder so that older gits refuse the repository.
        Some("refs/heads/.invalid") => Branch::Unknown {
            why: "this repository keeps its branches as a reftable, which macadam can't read".to_owned(),
        },
        Some(name) => Branch::Named(name.strip_prefix("refs/heads/").unwrap_or(name).to_owned()),
        // It appears in messages, so text that is not git's is never repeated.
        None if is_object_name(head) => Branch::Detached { at: head.to_owned() },
        None => Branch::Unknown { why: "HEAD names neither a branch nor a commit".to_owned() },
    }))
}

/// Returns whether the text is the name of a commit, in SHA-1 or SHA-256.
fn is_object_name(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Returns why files of the branch may be missing in the checkout around `folder`; `None` if it is
/// complete, or there is no repository.
pub(crate) fn partial(folder: &Path) -> Option<AbsenceReason> {
    match is_sparse(folder) {
        Ok(false) => None,
        Ok(true) => Some(AbsenceReason::SparseCheckout),
        Err(unread) => Some(AbsenceReason::CheckoutUnread { error: unread.to_string() }),
    }
}

/// A file of git's that could not be read.
struct Unread {
    path: PathBuf,
    source: io::Error,
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "can't read {}: {}", self.path.display(), self.source)
    }
}

fn is_sparse(folder: &Path) -> Result<bool, Unread> {
    let Some(private) = private_folder(folder)? else { return Ok(false) };
    // A worktree has its own state but shares the configuration.
    let config = read(&shared_folder(&private)?.join("config"))?.unwrap_or_default();
    let mut sparse = flag(&config, "core", "sparsecheckout");
    if flag(&config, "extensions", "worktreeconfig") == Some(true) {
        let own = read(&private.join("config.worktree"))?.unwrap_or_default();
        sparse = flag(&own, "core", "sparsecheckout").or(sparse);
    }
    // Without the list, git checks out everything.
    let list = private.join("info").join("sparse-checkout");
    let listed = list.try_exists().map_err(|source| Unread { path: list, source })?;
    Ok(sparse == Some(true) && listed)
}

/// Returns the git folder that a work tree shares with others: its own, unless it is a linked one.
fn shared_folder(private: &Path) -> Result<PathBuf, Unread> {
    Ok(match read_bytes(&private.join("commondir"), MAX_BYTES)? {
        Some(path) => private.join(plain_file::path_of(path.trim_ascii())),
        None => private.to_owned(),
    })
}

/// Returns the git folder of the checkout that contains `folder`. In a worktree or a submodule,
/// `.git` is a file that names it.
fn private_folder(folder: &Path) -> Result<Option<PathBuf>, Unread> {
    let folder = own_file::resolved(folder).map_err(|source| Unread { path: folder.to_owned(), source })?;
    for above in folder.ancestors() {
        let path = above.join(".git");
        match fs::metadata(&path) {
            Ok(found) if found.is_dir() => return Ok(Some(path)),
            Ok(_) => {
                let text = read_bytes(&path, MAX_BYTES)?.unwrap_or_default();
                let named = text.strip_prefix(b"gitdir:").map(<[u8]>::trim_ascii);
                return Ok(named.map(|named| above.join(plain_file::path_of(named))));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(Unread { path, source }),
        }
    }
    Ok(None)
}

/// Returns the metadata of a path, or `None` if it doesn't exist.
fn found(path: &Path) -> Result<Option<fs::Metadata>, Unread> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Unread { path: path.to_owned(), source }),
    }
}

/// Returns the text of a file, or `None` if it doesn't exist. Bytes that are not UTF-8 are replaced,
/// so it is for known words and names of commits.
fn read(path: &Path) -> Result<Option<String>, Unread> {
    read_at_most(path, MAX_BYTES)
}

fn read_at_most(path: &Path, limit: u64) -> Result<Option<String>, Unread> {
    Ok(read_bytes(path, limit)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

fn read_bytes(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, Unread> {
    match plain_file::read(path, limit) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Unread { path: path.to_owned(), source }),
    }
}

/// Returns a flag of a configuration; the last one counts (`git-config(1)`). `section` and `key`
/// are in lower case.
fn flag(config: &str, section: &str, key: &str) -> Option<bool> {
    let mut inside = false;
    let mut found = None;
    for line in config.lines() {
        let mut line = line.trim_start();
        while let Some((header, rest)) = line.strip_prefix('[').and_then(|line| line.split_once(']')) {
            inside = header.trim().eq_ignore_ascii_case(section);
            line = rest.trim_start();
        }
        let line = line.split(['#', ';']).next().unwrap_or("");
        let (name, value) = line.split_once('=').map_or((line, None), |(name, value)| (name, Some(value)));
        if inside && name.trim().eq_ignore_ascii_case(key) {
            // A key without a value is true.
            found = Some(value.is_none_or(is_true));
        }
    }
    found
}

fn is_true(value: &str) -> bool {
    let value = value.replace('"', "").trim().to_ascii_lowercase();
    matches!(value.as_str(), "true" | "yes" | "on") || value.parse::<i64>().is_ok_and(|number| number != 0)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests write files by hand")]
mod tests;

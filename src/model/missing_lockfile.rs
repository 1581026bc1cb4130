//! A lockfile that is missing, and what there is to show that it was lost and not that it never
//! was.
//!
//! Without its lockfile a checkout doesn't know what other machines uploaded, and would upload all
//! of it again. So [`MissingLockfile::lost`] says when nothing new may be created. It knows no file
//! and no git: `engine` looks, and `plan` asks.

use std::collections::BTreeSet;
use std::fmt;

use super::address::Address;
use super::checkout::InLockfile;
use super::desired::{Desired, DesiredAsset};
use super::ids::Creator;
use super::neighbours::{Neighbour, WantedFile};
use super::proposed::quoted;
use super::recorded::{Record, Recorded};
use super::unseen_history::{FETCH_ALL, fetch_versions};

/// The findings in place of a missing lockfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingLockfile {
    /// Its file name.
    pub name: String,
    /// Whether git has it.
    pub in_git: InGit,
    /// The other manifests in its folder, above it and below it.
    pub others: Vec<Neighbour>,
    /// This machine's state had read or written it.
    pub was_known: bool,
    /// This machine has written a new one in its place, and no person has agreed to that.
    pub is_written_anew: bool,
}

/// Whether git has the lockfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InGit {
    /// No commit that led to the one that is checked out had it, or there is no git here.
    No,
    /// The commit that is checked out has it.
    Head(WayBack),
    /// Earlier commits had it: those that were removed, of each set of owners the one that is to be
    /// brought back.
    Removed(Vec<RemovedLockfile>),
    /// No commit of this shallow clone has it, and earlier ones are not here.
    Shallow,
    /// Nobody could tell.
    Unknown {
        /// Why: lower case, no full stop.
        why: String,
        /// This is a partial clone, which may lack what git needs for that.
        is_partial: bool,
    },
}

/// How a person gets back a file that the commit that is checked out has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum WayBack {
    /// From git's index, which may have a newer one.
    Index,
    /// From the commit: the index has none.
    Commit,
    /// Git was told to leave it out, and a plain checkout does so.
    Skipped,
    /// The patterns of a sparse checkout leave it out.
    Pattern {
        /// Its path in the repository, with `/`.
        inside: String,
    },
}

impl WayBack {
    /// The command, which begins with `git` and is for the file's folder.
    fn command(&self, name: &str) -> String {
        let file = quoted(name);
        match self {
            Self::Index => format!("git checkout -- {file}"),
            Self::Commit => format!("git checkout HEAD -- {file}"),
            Self::Skipped => format!("git checkout --ignore-skip-worktree-bits -- {file}"),
            Self::Pattern { inside } => {
                // Git takes patterns only in the top folder.
                let up = vec![".."; inside.matches('/').count()].join("/");
                let up = if up.is_empty() { up } else { format!("-C {up} ") };
                format!("git {up}sparse-checkout add {}", quoted(&format!("/{inside}")))
            }
        }
    }
}

/// A lockfile with assets that a commit removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemovedLockfile {
    /// That commit: the beginning of its name.
    pub commit: String,
    /// A commit before it that has the lockfile: the beginning of its name.
    pub before: String,
    /// It is inside a branch that was merged: the lockfile was never in this one.
    pub is_merged: bool,
    /// The owners of its assets, without those of a lockfile beside it; `None` if its content is
    /// unknown.
    pub creators: Option<BTreeSet<Creator>>,
}

/// Evidence that the lockfile was lost, so that nothing new is uploaded.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lost {
    /// Git's HEAD has it.
    InHead {
        /// Its name.
        name: String,
        /// How to get it back.
        way_back: WayBack,
    },
    /// A commit removed it.
    Removed {
        /// Its name.
        name: String,
        /// That commit.
        commit: String,
        /// A commit before it that has the lockfile.
        before: String,
        /// It is inside a branch that was merged.
        is_merged: bool,
    },
    /// An earlier commit may have it, which this shallow clone lacks.
    Shallow {
        /// Its name.
        name: String,
    },
    /// Nobody could tell whether git has it.
    GitUnread {
        /// Its name.
        name: String,
        /// Why.
        why: String,
        /// This is a partial clone.
        is_partial: bool,
    },
    /// The lockfile of another manifest has most of the files.
    OfAnotherManifest {
        /// The name that it should have.
        name: String,
        /// The name of the other lockfile.
        other: String,
        /// The name of its manifest.
        manifest: String,
        /// Its manifest is there.
        has_manifest: bool,
        /// How many of the files it has.
        shared: usize,
        /// How many files there are.
        all: usize,
    },
    /// The state knows assets that it had.
    KnownToState {
        /// Its name.
        name: String,
        /// How many.
        assets: usize,
        /// They are in a new one in its place.
        is_written_anew: bool,
    },
}

impl MissingLockfile {
    /// Why nothing new may be created; `None` where nothing shows that there ever was a lockfile.
    pub fn lost(&self, desired: &Desired, recorded: &Recorded) -> Option<Lost> {
        let wanted = || desired.assets.values().map(DesiredAsset::wanted_file);
        self.proven(wanted, recorded).or_else(|| {
            // Also what stands in a new one under a name that the manifest doesn't have.
            let counts = |(address, record): &(&Address, &Record)| {
                !record.history.is_empty()
                    && (record.in_lockfile == InLockfile::Yes || desired.assets.contains_key(*address))
            };
            let assets = recorded.assets.iter().filter(counts).count();
            let is_written_anew = self.is_written_anew;
            (self.was_known && assets > 0).then_some(Lost::KnownToState {
                name: self.name.clone(),
                assets,
                is_written_anew,
            })
        })
    }

    /// Whether no lockfile may be written in its place by a manifest that wants these files: the next
    /// run would take it for the one that was lost. It is what [`MissingLockfile::lost`] says of the
    /// same files, so that whatever may be uploaded is also written down.
    pub fn forbids<'a>(&self, files: impl Iterator<Item = WantedFile<'a>> + Clone, recorded: &Recorded) -> bool {
        self.proven(|| files.clone(), recorded).is_some()
    }

    /// The evidence apart from the state's, or why it is unknown whether there is any.
    fn proven<'b, I: Iterator<Item = WantedFile<'b>>>(
        &self,
        files: impl Fn() -> I,
        recorded: &Recorded,
    ) -> Option<Lost> {
        self.in_git(&files).or_else(|| self.of_another(&files, recorded)).or_else(|| self.unseen())
    }

    /// Of an owner whose assets it didn't have it says nothing: a copy of the project for another one
    /// begins anew.
    fn in_git<'b, I: Iterator<Item = WantedFile<'b>>>(&self, files: impl Fn() -> I) -> Option<Lost> {
        let name = self.name.clone();
        match &self.in_git {
            InGit::Head(way_back) => Some(Lost::InHead { name, way_back: way_back.clone() }),
            InGit::Removed(removed) => {
                let has =
                    |one: &RemovedLockfile, creator| one.creators.as_ref().is_none_or(|all| all.contains(&creator));
                let is_of = |one: &&RemovedLockfile| files().any(|file| has(one, file.creator));
                let RemovedLockfile { commit, before, is_merged, creators: _ } = removed.iter().find(is_of)?.clone();
                Some(Lost::Removed { name, commit, before, is_merged })
            }
            InGit::No | InGit::Shallow | InGit::Unknown { .. } => None,
        }
    }

    fn unseen(&self) -> Option<Lost> {
        let name = self.name.clone();
        match &self.in_git {
            InGit::Shallow => Some(Lost::Shallow { name }),
            InGit::Unknown { why, is_partial } => {
                Some(Lost::GitUnread { name, why: why.clone(), is_partial: *is_partial })
            }
            InGit::No | InGit::Head(_) | InGit::Removed(_) => None,
        }
    }

    /// One that has only a few of them is another environment that shares these; a plan holds them alone.
    /// So is one for which somebody agreed to that before.
    fn of_another<'b, I: Iterator<Item = WantedFile<'b>>>(
        &self,
        files: impl Fn() -> I,
        recorded: &Recorded,
    ) -> Option<Lost> {
        let all = files().count();
        self.others.iter().filter(|other| !other.is_apart(recorded)).find_map(|other| {
            let shared = files().filter(|file| other.asset_of(*file).is_some()).count();
            let Neighbour { lockfile, manifest, has_manifest, .. } = other;
            (shared * 2 > all).then(|| Lost::OfAnotherManifest {
                name: self.name.clone(),
                other: lockfile.clone(),
                manifest: manifest.clone(),
                has_manifest: *has_manifest,
                shared,
                all,
            })
        })
    }
}

/// Why: lower case, no full stop.
impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InHead { name, .. } => write!(
                f,
                "{name} is missing here, but the commit that is checked out has it; without it Macadam can't know which assets were uploaded already"
            ),
            Self::Removed { name, commit, is_merged, .. } => {
                let place = if *is_merged { ", inside a merged branch," } else { "" };
                write!(
                    f,
                    "commit {commit}{place} removed {name}; without it Macadam can't know which assets were uploaded already"
                )
            }
            Self::Shallow { name } => {
                write!(
                    f,
                    "{name} is missing, and this is a shallow clone: an earlier commit, which it lacks, may have it"
                )
            }
            Self::GitUnread { name, why, .. } => {
                write!(f, "{name} is missing here, and whether git has it is unknown: {why}")
            }
            Self::OfAnotherManifest { name, other, manifest, has_manifest, shared, all } => {
                let gone = if *has_manifest { "" } else { ", which is gone" };
                let files =
                    if shared == all { "the same files".to_owned() } else { format!("{shared} of the {all} files") };
                write!(f, "there is no {name}, but {other} (of {manifest}{gone}) has {files}")
            }
            Self::KnownToState { name, assets, is_written_anew } => {
                let assets = if *assets == 1 { "1 asset".to_owned() } else { format!("{assets} assets") };
                if *is_written_anew {
                    return write!(
                        f,
                        "{name} was lost, and written anew with the {assets} that this machine knows; another machine may have uploaded more"
                    );
                }
                write!(
                    f,
                    "{name} is missing, though this machine had it and knows {assets} of it; another machine may have uploaded more"
                )
            }
        }
    }
}

impl Lost {
    /// The ways to go on.
    pub fn hint(&self) -> String {
        const ACCEPT: &str = "`macadam sync --once --accept-new-lockfile` starts a new one";
        match self {
            Self::InHead { name, way_back } => {
                let command = way_back.command(name);
                format!("`{command}` brings it back; if you removed it on purpose, {ACCEPT}")
            }
            Self::Removed { name, before, .. } => {
                let file = quoted(name);
                format!("`git checkout {before} -- {file}` brings it back; if it is gone on purpose, {ACCEPT}")
            }
            Self::Shallow { .. } => format!("{FETCH_ALL}; if there never was one, {ACCEPT}"),
            Self::GitUnread { name, is_partial: true, .. } => {
                let fetch = fetch_versions(name);
                format!("fetch what this partial clone lacks: {fetch}; if there never was a lockfile, {ACCEPT}")
            }
            Self::GitUnread { name, .. } => {
                format!("fix that, or put {name} back; if there never was one, {ACCEPT}")
            }
            Self::OfAnotherManifest { name, other, has_manifest: false, .. } => {
                let (from, to) = (quoted(other), quoted(name));
                format!(
                    "if the manifest was renamed, rename the lockfile too: `git mv {from} {to}`; if these should be assets of their own, {ACCEPT}"
                )
            }
            Self::OfAnotherManifest { other, manifest, has_manifest: true, .. } if other.contains('/') => {
                format!(
                    "if {manifest} should have them, leave them out here (`exclude`), or remove this manifest; if this environment should have assets of its own, {ACCEPT}"
                )
            }
            Self::OfAnotherManifest { name, other, has_manifest: true, .. } => {
                format!(
                    "if this environment should have assets of its own, {ACCEPT}; if it should have the same ones, copy {other} to {name}"
                )
            }
            Self::KnownToState { name, .. } => {
                format!(
                    "put {name} back, from a commit or another machine; if nothing else was uploaded, {ACCEPT} with what this machine knows"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_added_in_the_top_folder() {
        let check = |inside: &str, wanted: &str| {
            assert_eq!(WayBack::Pattern { inside: inside.to_owned() }.command("a.lock.toml"), wanted);
        };
        check("a.lock.toml", "git sparse-checkout add /a.lock.toml");
        check("game/one/a.lock.toml", "git -C ../.. sparse-checkout add /game/one/a.lock.toml");
    }
}

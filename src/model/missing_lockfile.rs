//! A lockfile that is missing, and what there is to show that it was lost and not that it never
//! was.
//!
//! Without its lockfile a checkout doesn't know what other machines uploaded, and would upload all
//! of it again. So [`MissingLockfile::lost`] says when nothing new may be created. It knows no file
//! and no git: `engine` looks, and `plan` asks.

use std::collections::BTreeMap;
use std::fmt;

use super::address::Address;
use super::checkout::InLockfile;
use super::desired::Desired;
use super::ids::Creator;
use super::path::ProjectPath;
use super::recorded::{Record, Recorded};

/// What was found in place of a lockfile that is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingLockfile {
    /// Its file name.
    pub name: String,
    /// Whether git's HEAD has it.
    pub in_head: InHead,
    /// The lockfiles of other manifests beside it.
    pub others: Vec<OtherLockfile>,
    /// This machine's state had read or written it.
    pub was_known: bool,
    /// This machine has written a new one in its place, and nobody has agreed to that.
    pub is_written_anew: bool,
}

/// Whether the commit that is checked out has the lockfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InHead {
    /// It doesn't, or there is no git here.
    No,
    /// It does.
    Yes {
        /// Git checks out only a part of the branch's files.
        sparse: bool,
    },
    /// Nobody could tell.
    Unknown {
        /// Why: lower case, no full stop.
        why: String,
    },
}

/// The lockfile of another manifest in the same folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherLockfile {
    /// Its file name.
    pub name: String,
    /// The file name of its manifest.
    pub manifest: String,
    /// Its manifest is there: it is another environment, unless the owners are the same.
    pub has_manifest: bool,
    /// The files of its entries, with their owners.
    pub files: BTreeMap<ProjectPath, Creator>,
}

impl OtherLockfile {
    /// Whether it speaks of the same asset.
    fn has(&self, path: &ProjectPath, creator: Creator) -> bool {
        self.files.get(path).is_some_and(|owner| !self.has_manifest || *owner == creator)
    }
}

/// Why the lockfile was lost, so that nothing new is created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost<'a> {
    /// Git's HEAD has it.
    InHead {
        /// Its name.
        name: &'a str,
        /// Git checks out only a part of the branch's files.
        sparse: bool,
    },
    /// Nobody could tell whether git's HEAD has it.
    HeadUnread {
        /// Its name.
        name: &'a str,
        /// Why.
        why: &'a str,
    },
    /// The lockfile of another manifest has the same files.
    OfAnotherManifest {
        /// The name that it should have.
        name: &'a str,
        /// The other lockfile.
        other: &'a OtherLockfile,
    },
    /// The state knows assets that it had.
    KnownToState {
        /// Its name.
        name: &'a str,
        /// How many.
        assets: usize,
        /// They are in a new one in its place.
        is_written_anew: bool,
    },
}

impl MissingLockfile {
    /// Why nothing new may be created; `None` where nothing shows that there ever was a lockfile.
    pub fn lost<'a>(&'a self, desired: &Desired, recorded: &Recorded) -> Option<Lost<'a>> {
        let wanted = || desired.assets.values().map(|want| (&want.path, want.creator));
        self.in_git().or_else(|| self.of_another(wanted)).or_else(|| {
            // Also what stands in a new one under a name that the manifest doesn't have.
            let counts = |(address, record): &(&Address, &Record)| {
                !record.history.is_empty()
                    && (record.in_lockfile == InLockfile::Yes || desired.assets.contains_key(*address))
            };
            let assets = recorded.assets.iter().filter(counts).count();
            let is_written_anew = self.is_written_anew;
            (self.was_known && assets > 0).then_some(Lost::KnownToState { name: &self.name, assets, is_written_anew })
        })
    }

    /// Whether a lockfile with these files may not be written in its place: the next run would take
    /// it for the one that was lost.
    pub fn forbids<'a>(&self, files: impl Iterator<Item = (&'a ProjectPath, Creator)> + Clone) -> bool {
        self.in_git().or_else(|| self.of_another(|| files.clone())).is_some()
    }

    fn in_git(&self) -> Option<Lost<'_>> {
        let name = &self.name;
        match &self.in_head {
            InHead::Yes { sparse } => Some(Lost::InHead { name, sparse: *sparse }),
            InHead::Unknown { why } => Some(Lost::HeadUnread { name, why }),
            InHead::No => None,
        }
    }

    fn of_another<'b, I: Iterator<Item = (&'b ProjectPath, Creator)>>(
        &self,
        files: impl Fn() -> I,
    ) -> Option<Lost<'_>> {
        let shares = |other: &&OtherLockfile| files().any(|(path, creator)| other.has(path, creator));
        self.others.iter().find(shares).map(|other| Lost::OfAnotherManifest { name: &self.name, other })
    }
}

/// Why: lower case, no full stop.
impl fmt::Display for Lost<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InHead { name, .. } => write!(
                f,
                "{name} is missing here, but the commit that is checked out has it; without it Macadam can't know what was uploaded already"
            ),
            Self::HeadUnread { name, why } => {
                write!(f, "{name} is missing here, and whether the commit that is checked out has it is unknown: {why}")
            }
            Self::OfAnotherManifest { name, other: OtherLockfile { name: other, manifest, has_manifest, .. } } => {
                let gone = if *has_manifest { "" } else { ", which is gone" };
                write!(f, "there is no {name}, but {other} (of {manifest}{gone}) has the same files")
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

impl Lost<'_> {
    /// What would free what is held.
    pub fn hint(&self) -> String {
        const ACCEPT: &str = "`macadam sync --once --accept-new-lockfile` starts a new one";
        match self {
            Self::InHead { name, sparse: false } => {
                format!("`git checkout -- {name}` brings it back; if it is gone on purpose, {ACCEPT}")
            }
            Self::InHead { name, sparse: true } => {
                format!(
                    "add {name} to the sparse checkout (`git sparse-checkout add`); if it is gone on purpose, {ACCEPT}"
                )
            }
            Self::HeadUnread { name, .. } => {
                format!("mend that, or put {name} back; if there never was one, {ACCEPT}")
            }
            Self::OfAnotherManifest { name, other: OtherLockfile { name: other, has_manifest: false, .. } } => {
                format!(
                    "if the manifest was renamed, rename the lockfile too: `git mv {other} {name}`; if these shall be assets of their own, {ACCEPT}"
                )
            }
            Self::OfAnotherManifest { name, other: OtherLockfile { name: other, has_manifest: true, .. } } => {
                format!(
                    "if this environment shall have assets of its own, {ACCEPT}; if it shall have the same ones, copy {other} to {name}"
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

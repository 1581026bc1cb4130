//! The desired state: all that the manifest and the files ask for.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::address::Address;
use super::asset::{AssetType, Privacy};
use super::checkout::Checkout;
use super::file::{FileFacts, FileProblem, FileProblemKind};
use super::ids::{AssetId, Creator, GroupId, Revision, UserId};
use super::metadata::Metadata;
use super::neighbours::{Neighbours, WantedFile};
use super::path::{ProjectPath, composed};
use super::policy::Policy;
use super::rare::Rare;
use super::shown::foreign;
use super::unseen_history::UnseenHistory;

/// A glob of the manifest, as the walk needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GlobPattern {
    /// The key under `[globs]`.
    pub name: String,
    /// The pattern; `*` doesn't cross `/`, case counts.
    pub path: String,
    /// Patterns of files to leave out.
    pub exclude: Vec<String>,
}

/// Which files the manifest speaks of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FileSelection {
    /// Paths of explicit entries.
    pub explicit: Vec<ProjectPath>,
    /// Patterns, in the manifest's order.
    pub globs: Vec<GlobPattern>,
}

/// A file that the walk found or an explicit entry names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundFile {
    /// Indexes into [`FileSelection::globs`] of all patterns that match it.
    pub globs: Vec<usize>,
    /// Its content, or the reason why it can't be used.
    pub content: Result<FileFacts, FileProblem>,
}

/// Every file that the manifest speaks of, as found on disk.
pub(crate) type FoundFiles = BTreeMap<ProjectPath, FoundFile>;

/// To whom an asset may be granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grantee {
    /// An experience, by its universe ID.
    Universe(u64),
    /// A user.
    User(UserId),
    /// A group.
    Group(GroupId),
}

/// The revision at which `[pins]` holds an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pin {
    /// A Model: Roblox's revision number.
    Revision(Revision),
    /// A type whose content can't be updated: the asset ID.
    Asset(AssetId),
}

/// One asset that the manifest wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredAsset {
    /// Its file.
    pub path: ProjectPath,
    /// Its type, as written or inferred; `None` while nothing tells (the file can't be used).
    pub asset_type: Option<AssetType>,
    /// Its owner.
    pub creator: Creator,
    /// Its content, or why the file can't be used.
    pub content: Result<FileFacts, FileProblem>,
    /// Its managed metadata; assets of one glob share it.
    pub metadata: Arc<Metadata>,
    /// Its privacy, chosen with the first upload.
    pub privacy: Privacy,
    /// The most Robux the upload may cost, at creation.
    pub expected_price: Rare<Option<u64>>,
    /// Hold a change that would need a new asset ID.
    pub prevent_replace: bool,
    /// The revision that it is held at.
    pub pin: Rare<Option<Pin>>,
    /// The grantees of its use.
    pub grants: Rare<Vec<Grantee>>,
}

impl DesiredAsset {
    /// Returns whether there is no file where the manifest says that there is one.
    pub(crate) fn is_missing(&self) -> bool {
        self.content.as_ref().is_err_and(|problem| problem.kind == FileProblemKind::Missing)
    }

    /// Returns its file, as other manifests are asked for it.
    pub fn wanted_file(&self) -> WantedFile<'_> {
        let content = self.content.as_ref().ok().map(|facts| facts.hash);
        WantedFile { path: &self.path, creator: self.creator, asset_type: self.asset_type, content }
    }
}

/// A place that the manifest speaks of and that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unseen {
    /// Where.
    pub place: Address,
    /// More files may be there than are known: nothing may be concluded from the absence of an
    /// asset.
    pub incomplete: bool,
    /// The problem.
    pub problem: FileProblem,
}

/// Where the manifest names an address that is not in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StrayPlace {
    /// Under `[pins]`, with what it says there.
    Pin(Pin),
    /// As the icon of an asset.
    Icon {
        /// Of which.
        of: Address,
    },
    /// As a preview of an asset.
    Preview {
        /// Of which.
        of: Address,
    },
}

/// A reference to an address that left the manifest, but is known: it may have moved.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stray {
    /// The address that it names.
    pub to: Address,
    /// Its place in the manifest.
    pub place: StrayPlace,
}

/// Why a glob no longer finds an address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unfound {
    /// The glob's key.
    pub glob: String,
    /// The entry that has its file now; `None`: the file is gone.
    pub taken_by: Option<Address>,
}

/// Whether the absence of an asset means that it was removed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Absences {
    /// An absent asset was removed.
    #[default]
    Count,
    /// The manifest wants no asset at all: as a rule a mistake, so nothing is concluded from it.
    NothingWanted,
    /// An absence proves nothing.
    DontCount {
        /// Why.
        why: AbsenceReason,
    },
    /// Folders are missing: the absence of their files proves nothing.
    Missing {
        /// Each folder, relative to the manifest's, with the glob that looks for files there.
        folders: Vec<(String, String)>,
    },
}

/// What git never had of an asset that is absent here, as far as is known: another machine uploaded
/// it, and its lockfile came here without that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NeverCommitted {
    /// The file.
    File,
    /// What names it in the manifest.
    Entry,
    /// Git didn't say: its history can't be read.
    Unknown,
    /// Git didn't say: a shallow clone has only the newest commits.
    Shallow,
}

/// Why the absence of an asset doesn't mean that it was removed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum AbsenceReason {
    /// Git checks out only a part of the branch's files.
    SparseCheckout,
    /// Git's settings could not be read.
    CheckoutUnread {
        /// The error.
        error: String,
    },
    /// The manifest wants no asset at all.
    NothingWanted,
    /// A folder could not be read.
    Unreadable,
    /// A folder is missing.
    FolderMissing {
        /// The folder, relative to the manifest's.
        folder: String,
        /// The glob that looks for files there.
        glob: String,
    },
    /// What is absent was never in git.
    NeverCommitted {
        /// The asset's file.
        path: ProjectPath,
        /// What is absent.
        part: NeverCommitted,
    },
}

impl fmt::Display for AbsenceReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SparseCheckout => f.write_str(
                "git checks out only a part of this branch's files (`git sparse-checkout list` shows which)",
            ),
            Self::CheckoutUnread { error } => write!(f, "whether git checks out all files is unknown: {error}"),
            Self::NothingWanted => f.write_str("the manifest has no assets at all"),
            Self::Unreadable => f.write_str("some folders could not be read"),
            Self::FolderMissing { folder, glob } => {
                write!(f, "the folder `{folder}` of [globs.{glob}] doesn't exist")
            }
            Self::NeverCommitted { path, part: NeverCommitted::File } => {
                write!(f, "its file {} was never committed to git", foreign(path.as_str()))
            }
            Self::NeverCommitted { part: NeverCommitted::Entry, .. } => {
                f.write_str("the manifest was never committed to git with it")
            }
            Self::NeverCommitted { path, part: NeverCommitted::Unknown } => {
                write!(f, "git can't tell whether its file {} was ever committed", foreign(path.as_str()))
            }
            Self::NeverCommitted { path, part: NeverCommitted::Shallow } => write!(
                f,
                "this is a shallow clone, and its few commits don't say whether its file {} was removed or was never committed",
                foreign(path.as_str())
            ),
        }
    }
}

/// Everything that the manifest and the files want.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Desired {
    /// The assets by address.
    pub assets: BTreeMap<Address, DesiredAsset>,
    /// Used by the game, not managed.
    pub existing: BTreeMap<Address, AssetId>,
    /// The decisions of `[policy]`.
    pub policy: Policy,
    /// Places that could not be read.
    pub unseen: Vec<Unseen>,
    /// References to addresses that left, sorted.
    pub stray: Vec<Stray>,
    /// Known addresses that a glob would find if their file was there, or was nobody else's.
    pub fileless: BTreeMap<Address, Unfound>,
    /// Whether an absence means a removal.
    pub absences: Absences,
    /// The files of absent assets that git never had.
    pub never_committed: BTreeMap<ProjectPath, NeverCommitted>,
    /// The part of the lockfile's history that this clone lacks.
    pub unseen_history: Option<UnseenHistory>,
    /// The other manifests of the repository, which may use the same assets.
    pub neighbours: Arc<Neighbours>,
    /// The checkout that wants all this.
    pub checkout: Checkout,
}

fn in_lower_case(text: &str) -> Cow<'_, str> {
    // Most addresses are.
    let is_lower = text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase());
    if is_lower { Cow::Borrowed(text) } else { Cow::Owned(text.to_lowercase()) }
}

/// Two addresses that differ only by case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Twins<'d> {
    /// The first in order.
    pub first: &'d Address,
    /// The other one.
    pub second: &'d Address,
}

impl fmt::Display for Twins<'_> {
    /// Says so: lower case, no full stop.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, second } = self;
        write!(f, "the addresses `{first}` and `{second}` differ only by case; on some systems their files are one")
    }
}

/// Assets in use that the manifest doesn't have.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Unlisted {
    /// Those that a glob would find if their files were here.
    pub fileless: Vec<Address>,
    /// The other ones.
    pub others: Vec<Address>,
}

impl Desired {
    /// Returns which of the assets in use the manifest doesn't have.
    pub(crate) fn unlisted<'a>(&self, used: impl Iterator<Item = &'a Address>) -> Unlisted {
        let unlisted = used.filter(|address| !self.assets.contains_key(*address)).cloned();
        let (fileless, others) = unlisted.partition(|address| self.fileless.contains_key(address));
        Unlisted { fileless, others }
    }

    /// The addresses that differ only by case from another one.
    pub fn twins(&self) -> Vec<Twins<'_>> {
        let all = self.assets.keys().chain(self.existing.keys()).enumerate();
        let mut spellings: Vec<(Cow<'_, str>, usize, &Address)> =
            all.map(|(at, address)| (in_lower_case(address.as_str()), at, address)).collect();
        spellings.sort();
        let pairs = spellings.iter().zip(spellings.iter().skip(1));
        let mut twins: Vec<(usize, Twins<'_>)> = pairs
            .filter(|((first, ..), (second, ..))| first == second)
            .map(|((_, _, first), (_, at, second))| (*at, Twins { first, second }))
            .collect();
        twins.sort_by_key(|(at, _)| *at);
        twins.into_iter().map(|(_, twins)| twins).collect()
    }

    /// Why an absence proves nothing; `None` where it means a removal.
    pub fn absences_dont_count(&self) -> Option<AbsenceReason> {
        match &self.absences {
            Absences::DontCount { why } => return Some(why.clone()),
            Absences::NothingWanted => return Some(AbsenceReason::NothingWanted),
            Absences::Count | Absences::Missing { .. } => {}
        }
        let incomplete = self.unseen.iter().any(|unseen| unseen.incomplete);
        incomplete.then_some(AbsenceReason::Unreadable)
    }

    /// The pin of a known address that has no file here.
    pub(crate) fn stray_pin(&self, address: &Address) -> Option<Pin> {
        self.stray.iter().find_map(|stray| match stray.place {
            StrayPlace::Pin(pin) if stray.to == *address => Some(pin),
            StrayPlace::Pin(_) | StrayPlace::Icon { .. } | StrayPlace::Preview { .. } => None,
        })
    }

    /// Why the absence of an asset with the file `path` proves nothing; `None` where it means a
    /// removal.
    pub fn is_absence_in_doubt(&self, path: &ProjectPath) -> Option<AbsenceReason> {
        let file = path.composed();
        let within = |folder: &str| file.strip_prefix(&*composed(folder)).is_some_and(|rest| rest.starts_with('/'));
        let missing = || match &self.absences {
            Absences::Missing { folders } => {
                let found = folders.iter().find(|(folder, _)| within(folder));
                found.map(|(folder, glob)| AbsenceReason::FolderMissing { folder: folder.clone(), glob: glob.clone() })
            }
            Absences::Count | Absences::NothingWanted | Absences::DontCount { .. } => None,
        };
        let never_committed = || {
            let part = *self.never_committed.get(path)?;
            Some(AbsenceReason::NeverCommitted { path: path.clone(), part })
        };
        self.absences_dont_count().or_else(missing).or_else(never_committed)
    }
}

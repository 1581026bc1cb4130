//! The other manifests of a repository, as their lockfiles tell of them.
//!
//! Each manifest has a state and a lockfile of its own, and an asset may be in use by several of
//! them. [`Neighbours::user`] says so, and no asset is archived for one manifest that another one
//! uses. [`Neighbour::asset_of`] finds the asset that one has for a file that another one is about to
//! upload. It knows no file and no git: `engine` looks, and `plan` asks.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::asset::AssetType;
use super::history::Kind;
use super::ids::{AssetId, ContentHash, Creator};
use super::path::ProjectPath;
use super::recorded::{Identity, Recorded};

/// What the other manifests of the repository have.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Neighbours {
    /// Those with a lockfile of the same server, by their lockfiles' paths.
    pub manifests: Vec<Neighbour>,
    /// The lockfiles and manifests that can't be read, and may have any asset.
    pub unread: Vec<String>,
    /// Why git can't tell which ones there are, if it can't: lower case, no full stop.
    pub unasked: Option<String>,
}

/// Another manifest of the repository.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Neighbour {
    /// The path of its lockfile from this project's folder.
    pub lockfile: String,
    /// The path of the manifest from this project's folder.
    pub manifest: String,
    /// The manifest is there: it is another environment, unless the owners are the same.
    pub has_manifest: bool,
    /// It is in the same folder, in one above or in one below, so that both may mean the same files.
    pub is_near: bool,
    /// The files of its entries that are in this project's folder, as this project names them.
    pub files: BTreeMap<ProjectPath, NeighbourFile>,
    /// Its assets by what was uploaded, and as what.
    pub contents: BTreeMap<(ContentHash, Kind), AssetId>,
    /// All its assets.
    pub assets: BTreeSet<AssetId>,
    /// Those of them that are not on their way out.
    pub kept: BTreeSet<AssetId>,
    /// Those of them that its game is given.
    pub in_use: BTreeSet<AssetId>,
}

/// A file of another manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeighbourFile {
    /// The type and the owner of its assets.
    pub kind: Kind,
    /// Its assets.
    pub assets: BTreeSet<AssetId>,
}

/// A file that this manifest wants to have as an asset.
#[derive(Debug, Clone, Copy)]
pub struct WantedFile<'a> {
    /// Where it is.
    pub path: &'a ProjectPath,
    /// The owner of the asset.
    pub creator: Creator,
    /// Its type, if that is known.
    pub asset_type: Option<AssetType>,
    /// What it holds, if that is known.
    pub content: Option<ContentHash>,
}

impl<'a> WantedFile<'a> {
    /// Returns the file of an asset that is known.
    pub fn known(identity: &'a Identity, content: Option<ContentHash>) -> Self {
        let Kind { asset_type, creator } = identity.kind();
        Self { path: &identity.path, creator, asset_type: Some(asset_type), content }
    }

    fn is_of_type(&self, other: AssetType) -> bool {
        self.asset_type.is_none_or(|asset_type| asset_type == other)
    }
}

/// An asset that another manifest has for a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KnownAsset {
    /// The asset.
    pub asset_id: AssetId,
    /// It was made from these very bytes.
    pub is_same_content: bool,
}

/// Why an asset stays that this manifest would archive.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum OtherUse {
    /// Another manifest has it too.
    Manifest {
        /// Its path.
        manifest: String,
        /// The path of its lockfile.
        lockfile: String,
    },
    /// The lockfile of a manifest that isn't here has it.
    Lockfile {
        /// Its path.
        lockfile: String,
    },
    /// This file can't be read, so another manifest may have it.
    Unread {
        /// Its path.
        file: String,
    },
    /// Git can't tell which other manifests there are.
    Unasked {
        /// Why.
        why: String,
    },
}

/// Names it, as the subject of a sentence about an asset.
impl fmt::Display for OtherUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Manifest { manifest, lockfile } => write!(f, "{manifest} uses it too ({lockfile})"),
            Self::Lockfile { lockfile } => write!(f, "{lockfile} has it too, and its manifest isn't here"),
            Self::Unread { file } => write!(f, "another manifest may use it: {file} can't be read"),
            Self::Unasked { why } => write!(f, "another manifest may use it: {why}"),
        }
    }
}

impl Neighbours {
    /// Who else keeps an asset, or may do so.
    pub fn keeper(&self, asset_id: AssetId) -> Option<OtherUse> {
        self.first(|one| one.kept.contains(&asset_id))
    }

    /// Whose game is given an asset, or may be.
    pub fn user(&self, asset_id: AssetId) -> Option<OtherUse> {
        self.first(|one| one.in_use.contains(&asset_id))
    }

    fn first(&self, has: impl Fn(&Neighbour) -> bool) -> Option<OtherUse> {
        let found = self.manifests.iter().find(|one| has(one)).map(|one| {
            let (manifest, lockfile) = (one.manifest.clone(), one.lockfile.clone());
            if one.has_manifest { OtherUse::Manifest { manifest, lockfile } } else { OtherUse::Lockfile { lockfile } }
        });
        let unread = || self.unread.first().map(|file| OtherUse::Unread { file: file.clone() });
        let unasked = || self.unasked.as_ref().map(|why| OtherUse::Unasked { why: why.clone() });
        found.or_else(unread).or_else(unasked)
    }
}

impl Neighbour {
    /// Returns the asset of the same type that it has for a file.
    pub fn asset_of(&self, file: WantedFile<'_>) -> Option<KnownAsset> {
        if !self.is_near {
            return None;
        }
        let found = self.of_content(file).map(|asset_id| KnownAsset { asset_id, is_same_content: true });
        found.or_else(|| {
            let known = self.files.get(file.path).filter(|known| file.is_of_type(known.kind.asset_type))?;
            let is_owner = !self.has_manifest || known.kind.creator == file.creator;
            let asset_id = *known.assets.last().filter(|_| is_owner)?;
            Some(KnownAsset { asset_id, is_same_content: false })
        })
    }

    fn of_content(&self, file: WantedFile<'_>) -> Option<AssetId> {
        let kind = Kind { asset_type: file.asset_type?, creator: file.creator };
        self.contents.get(&(file.content?, kind)).copied()
    }

    /// Whether both have an asset of their own for one file: somebody agreed to that, and they are two
    /// environments.
    pub fn is_apart(&self, recorded: &Recorded) -> bool {
        let mut records = recorded.assets.values().filter(|record| record.in_lockfile.is_any());
        self.is_near
            && records.any(|record| {
                let assets = record.history.assets();
                let file = |content| WantedFile::known(&record.identity, content);
                let mut contents = record.history.contents();
                !assets.is_empty()
                    && (self.has_another_for(file(None), &assets)
                        || contents.any(|content| self.has_another_for(file(Some(content)), &assets)))
            })
    }

    /// Whether it has an asset for a file that is none of these.
    fn has_another_for(&self, file: WantedFile<'_>, assets: &BTreeSet<AssetId>) -> bool {
        let is_other = |other: &AssetId| !assets.contains(other);
        let of_path = self.files.get(file.path).filter(|known| {
            known.kind.creator == file.creator && file.is_of_type(known.kind.asset_type) && !known.assets.is_empty()
        });
        self.of_content(file).as_ref().is_some_and(is_other)
            || of_path.is_some_and(|known| known.assets.iter().all(is_other))
    }
}

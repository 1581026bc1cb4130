//! The other manifests of a repository, as their lockfiles tell of them.
//!
//! Each manifest has a state and a lockfile of its own, and an asset may be in use by several of
//! them. [`Neighbours::user`] says so, and no asset is archived for one manifest that another one
//! uses. [`Neighbour::asset_of`] finds the asset that one has for a file that another one is about to
//! upload. It knows no file and no git: `engine` looks, and `plan` asks.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::ids::{AssetId, ContentHash, Creator};
use super::path::ProjectPath;

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
    /// Its assets by what was uploaded, and by their owners.
    pub contents: BTreeMap<(ContentHash, Creator), AssetId>,
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
    /// The owner of its assets.
    pub creator: Creator,
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
    /// What it holds, if that is known.
    pub content: Option<ContentHash>,
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
    /// Returns the asset that it has for a file.
    pub fn asset_of(&self, file: WantedFile<'_>) -> Option<KnownAsset> {
        let WantedFile { path, creator, content } = file;
        if !self.is_near {
            return None;
        }
        let of_content = content.and_then(|content| self.contents.get(&(content, creator)));
        let found = of_content.map(|asset_id| KnownAsset { asset_id: *asset_id, is_same_content: true });
        found.or_else(|| {
            let known = self.files.get(path)?;
            let is_owner = !self.has_manifest || known.creator == creator;
            let asset_id = *known.assets.last().filter(|_| is_owner)?;
            Some(KnownAsset { asset_id, is_same_content: false })
        })
    }

    /// Whether both have an asset of their own for a file with these assets: somebody agreed to that.
    pub fn is_apart(&self, file: WantedFile<'_>, assets: &BTreeSet<AssetId>) -> bool {
        let WantedFile { path, creator, content } = file;
        let of_content = content.and_then(|content| self.contents.get(&(content, creator)));
        let is_other = |other: &AssetId| !assets.contains(other);
        let of_path = self.files.get(path).filter(|known| known.creator == creator && !known.assets.is_empty());
        of_content.is_some_and(is_other) || of_path.is_some_and(|known| known.assets.iter().all(is_other))
    }
}

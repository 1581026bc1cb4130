//! What every tool's files come to: which files it looks at, which asset IDs it knows, which code
//! it writes.

use super::finding::Finding;
use super::glob::TheirGlob;
use crate::model::asset::AssetType;
use crate::model::foreign_hash::HashKind;
use crate::model::ids::{AssetId, Creator};

/// A tool from which one can move in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Tool {
    /// jackTabsCode's Asphalt.
    Asphalt,
    /// Roblox's Tarmac.
    Tarmac,
    /// blake-mealey's Mantle.
    Mantle,
    /// evilbocchi's rbxts-asset-sync.
    AssetSync,
    /// Tungsten.
    Tungsten,
}

impl Tool {
    /// Every tool.
    pub(crate) const ALL: [Self; 5] = [Self::Asphalt, Self::Tarmac, Self::Mantle, Self::AssetSync, Self::Tungsten];

    /// The tool whose file has this name.
    pub(crate) fn of_file_name(name: &str) -> Option<Self> {
        if name.ends_with(".mantle-state.yml") {
            return Some(Self::Mantle);
        }
        Self::ALL.into_iter().find(|tool| tool.file_name() == name)
    }

    /// The name of the file from which one moves in.
    pub(crate) const fn file_name(self) -> &'static str {
        match self {
            Self::Asphalt => "asphalt.toml",
            Self::Tarmac => "tarmac.toml",
            Self::Mantle => ".mantle-state.yml",
            Self::AssetSync => ".rbx-sync-cache.json",
            Self::Tungsten => "tungsten.toml",
        }
    }

    /// The tool's own name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Asphalt => "Asphalt",
            Self::Tarmac => "Tarmac",
            Self::Mantle => "Mantle",
            Self::AssetSync => "asset-sync",
            Self::Tungsten => "Tungsten",
        }
    }

    /// The hash by which it knows a file.
    pub(crate) const fn hash(self) -> HashKind {
        match self {
            Self::Asphalt | Self::Tarmac => HashKind::Blake3,
            Self::AssetSync => HashKind::Sha1,
            Self::Mantle | Self::Tungsten => HashKind::Sha256,
        }
    }
}

/// A project of another tool.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// Which tool's.
    pub tool: Tool,
    /// Who owns its assets, where its files say so.
    pub creator: Option<Creator>,
    /// Its groups of files, in the order in which they are written.
    pub inputs: Vec<Input>,
    /// What was found on the way that can't come along.
    pub findings: Vec<Finding>,
}

/// A group of files with its asset IDs and its code.
#[derive(Debug, Clone)]
pub(crate) struct Input {
    /// Its name: the key of its glob.
    pub name: String,
    /// Which files it has.
    pub files: FileSet,
    /// The asset IDs that the tool knows.
    pub rows: Vec<Row>,
    /// Addresses whose asset is used and not managed.
    pub existing: Vec<(String, AssetId)>,
    /// The code that it writes.
    pub outputs: Vec<OutputDraft>,
    /// What is done to a picture before it is uploaded.
    pub images: Treatment,
    /// The files are packed into sheets: none of them is an asset of its own.
    pub is_packed: bool,
}

/// Which files an input has.
#[derive(Debug, Clone)]
pub(crate) enum FileSet {
    /// Those that a pattern finds, as far as the tool knows their extension.
    Glob {
        /// The pattern, relative to the project's folder.
        glob: TheirGlob,
        /// The extensions that the tool takes; the first of equal ones that fit decides.
        groups: &'static [ExtensionGroup],
        /// An extension's case counts.
        exact_case: bool,
        /// Patterns of files that it leaves out.
        exclude: Vec<TheirGlob>,
    },
    /// These alone.
    Paths,
}

/// Extensions of files that become assets of one type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ExtensionGroup {
    /// In lower case, without the dot.
    pub extensions: &'static [&'static str],
    /// The type that the tool asks for, where Macadam would not infer the same.
    pub asset_type: Option<AssetType>,
    /// Added to the input's name, where an input becomes several globs.
    pub suffix: &'static str,
}

impl ExtensionGroup {
    /// Whether a file belongs to it.
    pub(super) fn fits(&self, path: &str) -> bool {
        let extension = super::extension::of(path).unwrap_or_default();
        self.extensions.iter().any(|known| known.eq_ignore_ascii_case(extension))
    }
}

/// An asset that the tool knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    /// The file, where the tool says.
    pub path: Option<String>,
    /// The tool's hash of the file, where it says; in lower-case hex.
    pub hash: Option<String>,
    /// The asset.
    pub asset_id: AssetId,
    /// Its owner, where the tool says so for each asset.
    pub creator: Option<Creator>,
    /// It is part of a packed sheet.
    pub is_slice: bool,
    /// The asset holds other bytes than the file.
    pub treated: bool,
}

impl Row {
    /// An asset with a hash and no path.
    pub(super) fn of_hash(hash: &str, asset_id: AssetId) -> Self {
        let hash = Some(hash.to_ascii_lowercase());
        Self { path: None, hash, asset_id, creator: None, is_slice: false, treated: false }
    }

    /// An asset with a path and maybe a hash.
    pub(super) fn of_path(path: &str, hash: Option<&str>, asset_id: AssetId) -> Self {
        let hash = hash.filter(|hash| !hash.is_empty()).map(str::to_ascii_lowercase);
        Self { path: Some(path.to_owned()), hash, asset_id, creator: None, is_slice: false, treated: false }
    }
}

/// What a tool does to a picture before it uploads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Treatment {
    /// Nothing: the asset holds the file.
    #[default]
    AsItIs,
    /// It bleeds the colours of transparent pixels, and writes the picture anew.
    Bleeds,
    /// It writes the picture anew.
    Reencodes,
}

/// A code file that the tool writes, as an entry of `[[outputs]]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct OutputDraft {
    /// Where.
    pub path: String,
    /// A table in a table for each folder.
    pub nested: bool,
    /// What is cut off the front of each address.
    pub base: Option<String>,
    /// The name of the table, where it is an identifier.
    pub name: Option<String>,
    /// Keys have no extension.
    pub strip_extensions: bool,
    /// `Content` in place of text.
    pub content: bool,
    /// TypeScript types of the values themselves.
    pub literal: bool,
}

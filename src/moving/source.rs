//! The neutral form of a tool's project: its files, the asset IDs that it knows, and the code that
//! it writes.

use super::extension::ExtensionGroup;
use super::finding::Finding;
use super::glob::TheirGlob;
use crate::model::foreign_hash::HashKind;
use crate::model::ids::{AssetId, Creator};

/// A tool to move in from.
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
    /// No tool: a list that somebody kept by hand.
    List,
}

impl Tool {
    /// Every tool, and so not the list.
    pub(crate) const ALL: [Self; 5] = [Self::Asphalt, Self::Tarmac, Self::Mantle, Self::AssetSync, Self::Tungsten];

    /// Returns the tool whose main file has this name.
    pub(crate) fn of_file_name(name: &str) -> Option<Self> {
        if name.ends_with(".mantle-state.yml") {
            return Some(Self::Mantle);
        }
        Self::ALL.into_iter().find(|tool| tool.file_name() == name)
    }

    /// Returns the tool of the file that a person named: any CSV file is a list.
    pub(crate) fn of_named_file(name: &str) -> Option<Self> {
        let is_list = name.rsplit_once('.').is_some_and(|(_, extension)| extension.eq_ignore_ascii_case("csv"));
        Self::of_file_name(name).or(is_list.then_some(Self::List))
    }

    /// Returns the name of its main file, or an example of one.
    pub(crate) const fn file_name(self) -> &'static str {
        match self {
            Self::Asphalt => "asphalt.toml",
            Self::Tarmac => "tarmac.toml",
            Self::Mantle => ".mantle-state.yml",
            Self::AssetSync => ".rbx-sync-cache.json",
            Self::Tungsten => "tungsten.toml",
            Self::List => "list.csv",
        }
    }

    /// Returns the tool's own name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Asphalt => "Asphalt",
            Self::Tarmac => "Tarmac",
            Self::Mantle => "Mantle",
            Self::AssetSync => "asset-sync",
            Self::Tungsten => "Tungsten",
            Self::List => "your list",
        }
    }

    /// Returns the hash by which it knows a file.
    pub(crate) const fn hash(self) -> HashKind {
        match self {
            Self::Asphalt | Self::Tarmac => HashKind::Blake3,
            Self::AssetSync => HashKind::Sha1,
            // A list has no hashes.
            Self::Mantle | Self::Tungsten | Self::List => HashKind::Sha256,
        }
    }
}

/// A project of another tool.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub tool: Tool,
    /// The owner of its assets, if its files state one.
    pub creator: Option<Creator>,
    /// Its groups of files, in their order.
    pub inputs: Vec<Input>,
    /// Findings of the reader.
    pub findings: Vec<Finding>,
    /// The name of the file that tells what the tool uploaded, if that file isn't there.
    pub missing_record: Option<&'static str>,
}

/// A group of files with its asset IDs and its code.
#[derive(Debug, Clone)]
pub(crate) struct Input {
    /// Its name: the key of its glob.
    pub name: String,
    /// Its files.
    pub files: FileSet,
    /// The asset IDs that the tool knows.
    pub rows: Vec<Row>,
    /// Addresses whose asset is used but not managed.
    pub existing: Vec<(String, AssetId)>,
    /// The code that it writes.
    pub outputs: Vec<OutputDraft>,
    /// How an image is processed before its upload.
    pub images: Treatment,
    /// Whether the files are packed into sheets, so that none of them is an asset of its own.
    pub is_packed: bool,
}

/// The files of an input.
#[derive(Debug, Clone)]
pub(crate) enum FileSet {
    /// Those that a pattern matches, if the tool takes their extension.
    Glob {
        /// The pattern, relative to the project's folder.
        glob: TheirGlob,
        /// The extensions that the tool takes; the first group that fits decides.
        groups: &'static [ExtensionGroup],
        /// Whether an extension's case counts.
        exact_case: bool,
        /// Patterns of files that it excludes.
        exclude: Vec<TheirGlob>,
    },
    /// The files that the rows name.
    Paths,
}

/// An asset that the tool knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    /// Its file, if the tool states it.
    pub path: Option<String>,
    /// The tool's hash of the file, if it states one, in lower-case hex.
    pub hash: Option<String>,
    pub asset_id: AssetId,
    /// Its owner, if the tool states one for each asset.
    pub creator: Option<Creator>,
    /// Whether it is part of a packed sheet.
    pub is_slice: bool,
    /// Whether the asset holds other bytes than the file.
    pub treated: bool,
}

impl Row {
    /// Creates an asset with a hash and no path.
    pub(super) fn of_hash(hash: &str, asset_id: AssetId) -> Self {
        let hash = Some(hash.to_ascii_lowercase());
        Self { path: None, hash, asset_id, creator: None, is_slice: false, treated: false }
    }

    /// Creates an asset with a path and perhaps a hash.
    pub(super) fn of_path(path: &str, hash: Option<&str>, asset_id: AssetId) -> Self {
        let hash = hash.filter(|hash| !hash.is_empty()).map(str::to_ascii_lowercase);
        Self { path: Some(path.to_owned()), hash, asset_id, creator: None, is_slice: false, treated: false }
    }
}

/// How a tool processes an image before its upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Treatment {
    /// Not at all: the asset holds the file.
    #[default]
    AsItIs,
    /// It bleeds the colours of transparent pixels, and encodes the image again.
    Bleeds,
    /// It encodes the image again.
    Reencodes,
}

/// A code file that the tool writes, as an entry of `[[outputs]]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct OutputDraft {
    pub path: String,
    /// Whether folders become nested tables.
    pub nested: bool,
    /// The prefix that is removed from each address.
    pub base: Option<String>,
    /// The name of the table, if it is an identifier.
    pub name: Option<String>,
    /// Whether keys have no extension.
    pub strip_extensions: bool,
    /// Whether values are `Content` instead of strings.
    pub content: bool,
    /// Whether the TypeScript types are literal.
    pub literal: bool,
}

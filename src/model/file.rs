//! What is known of a local file after it was looked at: facts, or the reason why it can't be used.

use std::collections::BTreeMap;
use std::time::Duration;

use super::asset::{AssetType, FileFormat};
use super::ids::ContentHash;
use super::path::ProjectPath;

/// A file that is whole and that Roblox can be expected to accept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileFacts {
    /// Its length in bytes.
    pub size: u64,
    /// SHA-256 of its bytes.
    pub hash: ContentHash,
    /// Its format: extension and content agree on it.
    pub format: FileFormat,
    /// What was found inside.
    pub content: ContentFacts,
}

impl FileFacts {
    /// The type that the content suggests where the manifest names none; `None` where it doesn't
    /// tell.
    pub fn inferred_type(&self) -> Option<AssetType> {
        match self.content {
            ContentFacts::Instances { root: ModelRoot::Animation } => Some(AssetType::Animation),
            ContentFacts::Instances { root: ModelRoot::Unknown } => None,
            ContentFacts::Instances { root: ModelRoot::Other }
            | ContentFacts::Image { .. }
            | ContentFacts::Audio { .. }
            | ContentFacts::Video { .. }
            | ContentFacts::Opaque => self.format.types().first().copied(),
        }
    }
}

/// What the instances of a Roblox model hang from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelRoot {
    /// The single root is a KeyframeSequence or a CurveAnimation.
    Animation,
    /// Another root, several, or none.
    Other,
    /// The model is too large to tell.
    Unknown,
}

/// What a look into a file found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentFacts {
    /// Roblox instances.
    Instances {
        /// What they hang from, which tells an Animation from a Model.
        root: ModelRoot,
    },
    /// A picture, in pixels.
    Image {
        /// Its width.
        width: u32,
        /// Its height.
        height: u32,
    },
    /// A sound.
    Audio {
        /// How long it plays, where its header tells.
        duration: Option<Duration>,
        /// Samples a second.
        sample_rate: Option<u32>,
    },
    /// A moving picture.
    Video {
        /// How long it plays, where its header tells.
        duration: Option<Duration>,
        /// Pixels across.
        width: u32,
        /// Pixels down.
        height: u32,
    },
    /// Nothing that Macadam looks into.
    Opaque,
}

/// Why a file can't be used. An error of that asset alone, never a removal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileProblem {
    /// What is wrong, for a person: lower case, no full stop.
    pub message: String,
    /// What would mend it.
    pub hint: Option<String>,
}

/// What is said of a file that is not settled yet.
const BEING_WRITTEN: &str = "it is still being written";

impl FileProblem {
    /// Somebody is still writing the file, and no earlier content of it is known: no mistake, only
    /// too early.
    pub fn being_written() -> Self {
        let hint = "nothing has to be done: it is taken when it holds still";
        Self { message: BEING_WRITTEN.to_owned(), hint: Some(hint.to_owned()) }
    }

    /// The file changed just now and isn't complete by its own format, and nobody waits for it.
    pub fn unfinished() -> Self {
        let hint = "if nothing writes it any more, run the same command again in 2 minutes; each upload of a sound or video uses up a quota";
        Self {
            message: "it has just changed and isn't complete by its own format".to_owned(),
            hint: Some(hint.to_owned()),
        }
    }

    /// Whether this is [`FileProblem::being_written`].
    pub fn is_being_written(&self) -> bool {
        self.message == BEING_WRITTEN
    }
}

/// What the file system says of a file: as long as it stays the same, so do the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint {
    /// Length in bytes.
    pub size: u64,
    /// Last change of the content, in nanoseconds since 1970.
    pub modified_ns: i64,
    /// Last change of the content or the inode, in nanoseconds since 1970; 0 where the system has
    /// no such time.
    pub changed_ns: i64,
    /// The file's number on its device; 0 where the system has none.
    pub inode: u64,
    /// The device; 0 where the system has none.
    pub device: u64,
}

/// The result of an earlier look at a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedFile {
    /// The file as it was then.
    pub fingerprint: Fingerprint,
    /// When the look began, in nanoseconds since 1970: a file changed within the clock's
    /// granularity of it is looked at again.
    pub looked_at_ns: i64,
    /// What the look found.
    pub content: Result<FileFacts, FileProblem>,
}

/// Earlier looks by path. Only a speed-up: an empty one is always right.
pub type FileCache = BTreeMap<ProjectPath, CachedFile>;

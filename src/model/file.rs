//! The facts about a local file that was read, or the reason why it can't be used.

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
    /// The facts about its content.
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

/// The root of the instances of a Roblox model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelRoot {
    /// The single root is a KeyframeSequence or a CurveAnimation.
    Animation,
    /// Another root, several, or none.
    Other,
    /// The model is too large to tell.
    Unknown,
}

/// The facts that a look into a file found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentFacts {
    /// Roblox instances.
    Instances {
        /// Their root, which tells an Animation from a Model.
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
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileProblem {
    /// The kind of problem.
    pub kind: FileProblemKind,
    /// The finding, for a person: lower case, no full stop.
    pub message: String,
    /// The next thing to do, where there is one.
    pub hint: Option<String>,
}

/// The kind of a file's problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileProblemKind {
    /// A program is still writing it, and no earlier content of it is known.
    BeingWritten,
    /// It changed just now, and isn't complete by its own format.
    Unfinished,
    /// It keeps changing while it is read.
    Changing,
    /// This command doesn't read files, and no earlier reading of it counts.
    NotLookedAt,
    /// There is no such file.
    Missing,
    /// It is a folder, or another thing than a file.
    NotAFile,
    /// A link leads nowhere, or out of the project.
    BadLink,
    /// The system refused to read it.
    Unreadable,
    /// Its name can't be used.
    BadName,
    /// Roblox takes no file with its extension.
    Extension,
    /// It has more bytes than Roblox takes.
    TooLarge,
    /// Its content is damaged, or not one that Roblox takes.
    Content,
    /// It doesn't suit the entry of the manifest.
    Unsuitable,
    /// A glob isn't a pattern.
    BadGlob,
}

impl FileProblemKind {
    const ALL: [Self; 14] = [
        Self::BeingWritten,
        Self::Unfinished,
        Self::Changing,
        Self::NotLookedAt,
        Self::Missing,
        Self::NotAFile,
        Self::BadLink,
        Self::Unreadable,
        Self::BadName,
        Self::Extension,
        Self::TooLarge,
        Self::Content,
        Self::Unsuitable,
        Self::BadGlob,
    ];

    /// The stable name in the state and in `--json`.
    pub const fn code(self) -> &'static str {
        match self {
            Self::BeingWritten => "file_being_written",
            Self::Unfinished => "file_unfinished",
            Self::Changing => "file_changing",
            Self::NotLookedAt => "file_not_looked_at",
            Self::Missing => "file_missing",
            Self::NotAFile => "not_a_file",
            Self::BadLink => "bad_link",
            Self::Unreadable => "file_unreadable",
            Self::BadName => "bad_name",
            Self::Extension => "file_extension",
            Self::TooLarge => "file_too_large",
            Self::Content => "file_content",
            Self::Unsuitable => "file_unsuitable",
            Self::BadGlob => "bad_glob",
        }
    }

    /// Reads the name that [`FileProblemKind::code`] gives.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

impl FileProblem {
    /// A problem with a message and a hint.
    pub fn new(kind: FileProblemKind, message: impl Into<String>, hint: Option<&str>) -> Self {
        Self { kind, message: message.into(), hint: hint.map(str::to_owned) }
    }

    /// Somebody is still writing the file, and no earlier content of it is known: no mistake, only
    /// too early.
    pub fn being_written() -> Self {
        let hint = "nothing to do: Macadam uploads it once it stops changing";
        Self::new(FileProblemKind::BeingWritten, "it is still being written", Some(hint))
    }

    /// The file changed just now and isn't complete by its own format, and this command doesn't
    /// wait.
    pub fn unfinished() -> Self {
        let hint = "if nothing writes it any more, run the same command again in 2 minutes; each upload of a sound or video uses up a quota";
        Self::new(FileProblemKind::Unfinished, "it has just changed and isn't complete by its own format", Some(hint))
    }

    /// The same problem of a file that changed just now: a program may not be done with it.
    #[must_use]
    pub fn of_unfinished(self) -> Self {
        let wait = "if a program is still writing it, run the same command again when that is done";
        let hint = self.hint.map_or_else(|| wait.to_owned(), |hint| format!("{hint}; {wait}"));
        Self { hint: Some(hint), ..self }
    }

    /// Whether this is [`FileProblem::being_written`].
    pub fn is_being_written(&self) -> bool {
        self.kind == FileProblemKind::BeingWritten
    }
}

/// The file system's description of a file: as long as it stays the same, so do the bytes.
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

impl Fingerprint {
    /// When the file changed last, in nanoseconds since 1970. A program can set the modification
    /// time, but not the inode's change time.
    pub const fn last_change_ns(&self) -> i64 {
        if self.changed_ns == 0 { self.modified_ns } else { self.changed_ns }
    }
}

/// The result of an earlier look at a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedFile {
    /// The file as it was then.
    pub fingerprint: Fingerprint,
    /// When the reading began, in nanoseconds since 1970: a file changed within the clock's
    /// granularity of it is read again.
    pub looked_at_ns: i64,
    /// The findings.
    pub content: Result<FileFacts, FileProblem>,
}

/// Earlier looks by path. Only a speed-up: an empty one is always right.
pub type FileCache = BTreeMap<ProjectPath, CachedFile>;

//! Long-running operations. Pure.
//!
//! An operation that will fail is known to fail when it is accepted, and makes nothing. A create's
//! asset exists from the moment the create was accepted, though no client can know its ID yet. An
//! update's version appears when its operation ends.

use serde::{Deserialize, Serialize};

use super::account::Principal;
use super::asset::{AssetLink, AssetView, PreviewImage};
use super::content::Content;

/// A change of one metadata field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::emulator) enum MetadataEdit {
    DisplayName(String),
    Description(Option<String>),
    Icon(Option<u64>),
    Previews(Vec<PreviewImage>),
    SocialLink(String, Option<AssetLink>),
}

/// A field that could not be changed: an item of `metadata.errors`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::emulator) struct FieldError {
    pub(in crate::emulator) code: String,
    pub(in crate::emulator) message: String,
    pub(in crate::emulator) field: String,
}

/// The effect of an operation at its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::emulator) enum OperationWork {
    /// Nothing more: the asset was made with the request.
    Create,
    Change {
        content: Option<Content>,
        fields: Vec<MetadataEdit>,
        errors: Vec<FieldError>,
    },
    Fail(FailedOperation),
}

/// The ways in which an operation can fail. All come as HTTP 200.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::emulator) enum FailedOperation {
    /// `"error": {code, message}`
    Error { code: String, message: String },
    /// `"done": true` and nothing else.
    Nothing,
    /// `"metadata": {"errors": […]}` without `error` or `response`.
    MetadataErrors(Vec<FieldError>),
    /// `"response": {code, message}` (in TARMAC's model).
    InResponse { code: String, message: String },
}

/// A fault of one operation, chosen by a fault script.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case", deny_unknown_fields)]
pub enum OperationFault {
    /// It takes longer, or ends only when the faults are cleared.
    Stuck {
        /// Milliseconds; absent means until the faults are cleared.
        #[serde(default)]
        for_ms: Option<u64>,
    },
    /// It never ends, even when the faults are cleared.
    Endless,
    /// Polls get an error envelope with an empty message at first.
    Invisible {
        /// Milliseconds.
        for_ms: u64,
    },
    /// It can never be read, though its effects happen.
    Gone,
    /// It ends with an error, without making anything.
    Error {
        /// `CorruptedData`, `ContentModerated`, `Internal`, `InvalidArgument`, `ResourceExhausted`
        /// were seen (BLENDER).
        code: String,
        /// Free text.
        message: String,
    },
    /// It ends without error and response, and without making anything.
    Nothing,
    /// It ends with an error inside `metadata`, without making anything.
    MetadataError {
        /// As above.
        code: String,
        /// Free text.
        message: String,
    },
    /// It ends with a code and message inside `response`, without making anything.
    FailureInResponse {
        /// As above.
        code: String,
        /// Free text.
        message: String,
    },
}

impl OperationFault {
    pub(in crate::emulator) fn failure(&self) -> Option<FailedOperation> {
        Some(match self.clone() {
            OperationFault::Stuck { .. }
            | OperationFault::Endless
            | OperationFault::Invisible { .. }
            | OperationFault::Gone => return None,
            OperationFault::Error { code, message } => FailedOperation::Error { code, message },
            OperationFault::Nothing => FailedOperation::Nothing,
            OperationFault::MetadataError { code, message } => {
                FailedOperation::MetadataErrors(vec![FieldError { code, message, field: "displayName".to_owned() }])
            }
            OperationFault::FailureInResponse { code, message } => FailedOperation::InResponse { code, message },
        })
    }
}

/// The end of an operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::emulator) enum OperationEnding {
    /// With the asset as it was then; some fields may have failed.
    Asset {
        view: Box<AssetView>,
        errors: Vec<FieldError>,
    },
    Failed(FailedOperation),
}

/// A long-running operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::emulator) struct Operation {
    pub(in crate::emulator) id: String,
    pub(in crate::emulator) owner: Principal,
    pub(in crate::emulator) key_name: String,
    /// `None` if the create failed.
    pub(in crate::emulator) asset_id: Option<u64>,
    pub(in crate::emulator) work: OperationWork,
    pub(in crate::emulator) created_at: u64,
    pub(in crate::emulator) visible_at: u64,
    /// `None` while only polls, or clearing the faults, can end it.
    pub(in crate::emulator) finish_at: Option<u64>,
    /// The number of further polls that find it running.
    pub(in crate::emulator) polls_left: Option<u32>,
    pub(in crate::emulator) gone: bool,
    #[serde(default)]
    pub(in crate::emulator) endless: bool,
    /// Milliseconds for which reads of the asset stay stale after the change.
    pub(in crate::emulator) stale_for: Option<u64>,
    /// When and how it ended.
    pub(in crate::emulator) ending: Option<(u64, OperationEnding)>,
}

//! Shared by the readers: access to the project's other files, and errors.

use serde::de::DeserializeOwned;

use crate::model::ids::{AssetId, Creator, GroupId, UserId};

/// Returns the text of a file in the tool's folder, by its path there; `None` if there is no such
/// file.
pub(crate) type Fetch<'a> = dyn Fn(&str) -> Result<Option<String>, ReadError> + 'a;

/// The options of the command line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct SourceOptions {
    /// The environment to read, for a tool with several.
    pub environment: Option<String>,
}

/// Why a tool's project can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ReadError {
    /// A file doesn't have the tool's format.
    #[error("{file} can't be read: {why}")]
    Malformed { file: String, why: String },
    /// A file has an unknown version.
    #[error("{file} has version {version}, which Macadam can't read")]
    Version {
        file: String,
        version: String,
        /// The remedy.
        hint: String,
    },
    /// The project has several environments.
    #[error("{}", .wanted.as_ref().map_or_else(
        || "this state has several environments".to_owned(),
        |wanted| format!("this state has no environment `{wanted}`"),
    ))]
    Environment {
        /// The requested environment.
        wanted: Option<String>,
        /// The existing environments.
        known: Vec<String>,
    },
}

impl ReadError {
    /// Creates the error for a file that doesn't have the tool's format.
    pub(crate) fn malformed(file: impl Into<String>, why: impl std::fmt::Display) -> Self {
        Self::Malformed { file: file.into(), why: why.to_string().trim_end().to_owned() }
    }

    /// Returns how to fix it.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Malformed { .. } => None,
            Self::Version { hint, .. } => Some(hint.clone()),
            Self::Environment { known, .. } if known.is_empty() => {
                Some("the state has no environment at all".to_owned())
            }
            Self::Environment { known, .. } => {
                let names: Vec<String> = known.iter().map(|name| format!("`--environment {name}`")).collect();
                Some(format!("choose one with {}", names.join(" or ")))
            }
        }
    }
}

/// Reads TOML. An error says where it is and quotes no line: a file that isn't the tool's may have a
/// secret.
pub(super) fn toml<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, ReadError> {
    let text = text.trim_start_matches('\u{feff}');
    toml::from_str(text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start));
        let line = before.map(|before| format!(" (line {})", before.matches('\n').count() + 1));
        ReadError::malformed(file, format!("{}{}", error.message().replace('\n', ", "), line.unwrap_or_default()))
    })
}

/// Reads YAML, with the same errors.
pub(super) fn yaml<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, ReadError> {
    serde_saphyr::from_str(text).map_err(|error| ReadError::malformed(file, error.without_snippet()))
}

/// Checks an asset ID that a tool wrote.
pub(super) fn asset_id(file: &str, number: u64) -> Result<AssetId, ReadError> {
    AssetId::new(number).map_err(|error| ReadError::malformed(file, error))
}

/// `[creator]` of Asphalt and Tungsten.
#[derive(Debug, serde::Deserialize)]
pub(super) struct CreatorText {
    #[serde(rename = "type")]
    kind: String,
    id: u64,
}

impl CreatorText {
    /// Returns the creator; `None` for the ID 0 of a config that was never filled in.
    pub(super) fn creator(&self, file: &str) -> Result<Option<Creator>, ReadError> {
        if self.id == 0 {
            return Ok(None);
        }
        let wrong = |error: crate::model::ids::IdError| ReadError::malformed(file, error);
        match self.kind.as_str() {
            "user" => UserId::new(self.id).map(|id| Some(Creator::User(id))).map_err(wrong),
            "group" => GroupId::new(self.id).map(|id| Some(Creator::Group(id))).map_err(wrong),
            other => Err(ReadError::malformed(file, format!("`{other}` isn't a type of creator"))),
        }
    }
}

/// Returns a path of a tool with `/` on every system and without a leading `./`.
pub(super) fn slashed(path: &str) -> String {
    let path = path.replace('\\', "/");
    path.strip_prefix("./").unwrap_or(&path).trim_end_matches('/').to_owned()
}

/// Joins two paths.
pub(super) fn joined(folder: &str, path: &str) -> String {
    let (folder, path) = (slashed(folder), slashed(path));
    match (folder.as_str(), path.as_str()) {
        ("" | ".", path) => path.to_owned(),
        (folder, "" | ".") => folder.to_owned(),
        (folder, path) => format!("{folder}/{path}"),
    }
}

//! The scalar values that every body is made of.

use std::str::FromStr;

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, IgnoredAny};

/// A field that may be absent, null, or of an unexpected type. All three count as absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lenient<T>(pub(super) Option<T>);

impl<T> Default for Lenient<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either<T> {
            Fits(T),
            Other(IgnoredAny),
        }
        Ok(Self(match Either::deserialize(deserializer)? {
            Either::Fits(value) => Some(value),
            Either::Other(_) => None,
        }))
    }
}

/// A 64-bit number: a string in Roblox's responses, a number in V1.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(super) enum WireNumber {
    Plain(u64),
    Quoted(String),
}

impl WireNumber {
    /// Returns the ID, if it is one.
    pub(super) fn id<T: FromStr>(&self) -> Option<T> {
        match self {
            Self::Plain(number) => number.to_string().parse().ok(),
            Self::Quoted(text) => text.parse().ok(),
        }
    }

    /// Returns the text as written, for a field that holds `*` or an ID.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Plain(number) => number.to_string(),
            Self::Quoted(text) => text.clone(),
        }
    }
}

/// A word or a number: `code` is a string on the wire and a number in V1.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(super) enum CodeForm {
    Number(i64),
    Word(String),
}

impl CodeForm {
    /// Returns its text, or `None` for 0 and the empty string, which carry no information.
    pub(super) fn text(&self) -> Option<String> {
        match self {
            Self::Number(0) => None,
            Self::Number(number) => Some(number.to_string()),
            Self::Word(word) if word.is_empty() => None,
            Self::Word(word) => Some(word.clone()),
        }
    }
}

/// `true` or `"true"`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(super) enum Flag {
    Plain(bool),
    Quoted(String),
}

impl Flag {
    pub(super) fn is_set(&self) -> bool {
        match self {
            Self::Plain(flag) => *flag,
            Self::Quoted(text) => text.eq_ignore_ascii_case("true"),
        }
    }
}

/// Reads a body that must be a JSON object. A derived struct alone would accept an array, by
/// position.
pub(super) fn object<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    if first != Some(&b'{') {
        return None;
    }
    serde_json::from_slice(body).ok()
}

/// Whether an enum's value means `name`. `Decal`, `DECAL` and `ASSET_TYPE_DECAL` are the same:
/// values are plain since 2025-04, were prefixed before, and still are in GUIDE's example.
pub(super) fn means(value: &str, prefix: &str, name: &str) -> bool {
    value.strip_prefix(prefix).unwrap_or(value).eq_ignore_ascii_case(name)
}

/// Returns the ID after the last `collection/` of a path such as `assets/123/versions/4`, up to the
/// next slash.
pub(super) fn path_id<T: FromStr>(path: &str, collection: &str) -> Option<T> {
    let mut parts = path.rsplit('/').peekable();
    while let Some(part) = parts.next() {
        if parts.peek() == Some(&collection) {
            return part.parse().ok();
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ids::AssetId;

    #[test]
    fn ids_are_read_from_paths() {
        let check = |path: &str, collection: &str, wanted: Option<u64>| {
            assert_eq!(path_id::<AssetId>(path, collection).map(AssetId::get), wanted, "{path}");
        };
        check("assets/123", "assets", Some(123));
        check("assets/v1/assets/123", "assets", Some(123));
        check("/assets/v1/assets/123/versions/4", "assets", Some(123));
        check("assets/123/versions/4", "versions", Some(4));
        check("operations/x", "assets", None);
        check("assets/", "assets", None);
        check("assets", "assets", None);
        check("", "assets", None);
    }

    #[test]
    fn enums_are_read_in_both_spellings() {
        for value in ["Decal", "DECAL", "ASSET_TYPE_DECAL", "decal"] {
            assert!(means(value, "ASSET_TYPE_", "Decal"), "{value}");
        }
        for value in ["", "ASSET_TYPE_", "ASSET_TYPE_IMAGE", "STATE_DECAL"] {
            assert!(!means(value, "ASSET_TYPE_", "Decal"), "{value}");
        }
    }
}

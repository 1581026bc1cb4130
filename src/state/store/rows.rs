//! Converts columns to values and back. A value that Macadam never writes is damage, never skipped.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use rusqlite::types::{Type, ValueRef};
use rusqlite::{Result, Row};

use crate::model::checkout::InLockfile;
use crate::model::ids::{AssetId, ContentHash, Revision};
use crate::model::metadata::FieldDigests;

/// Returns the error for a column with an invalid value.
pub(super) fn wrong(column: usize, message: impl fmt::Display) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Null, message.to_string().into())
}

/// Returns a text column, borrowed from SQLite's memory.
pub(super) fn text<'r>(row: &'r Row<'_>, column: usize) -> Result<&'r str> {
    row.get_ref(column)?.as_str().map_err(|error| wrong(column, error))
}

/// The same for a column that may be NULL.
pub(super) fn text_or_null<'r>(row: &'r Row<'_>, column: usize) -> Result<Option<&'r str>> {
    match row.get_ref(column)? {
        ValueRef::Null => Ok(None),
        value => value.as_str().map(Some).map_err(|error| wrong(column, error)),
    }
}

/// Parses a text column with its type's own parser.
pub(super) fn parsed<T>(row: &Row<'_>, column: usize) -> Result<T>
where
    T: FromStr,
    T::Err: fmt::Display,
{
    text(row, column)?.parse().map_err(|error| wrong(column, error))
}

/// The same for a column that may be NULL.
pub(super) fn parsed_or_null<T>(row: &Row<'_>, column: usize) -> Result<Option<T>>
where
    T: FromStr,
    T::Err: fmt::Display,
{
    text_or_null(row, column)?.map(str::parse).transpose().map_err(|error| wrong(column, error))
}

/// Parses a text column with `read`; `what` names the kind of value.
pub(super) fn named<T>(row: &Row<'_>, column: usize, what: &str, read: impl FnOnce(&str) -> Option<T>) -> Result<T> {
    let text = text(row, column)?;
    read(text).ok_or_else(|| wrong(column, format_args!("`{text}` isn't a {what}")))
}

/// Reads a number column; NULL and 0 are `None`.
fn positive<T, E: fmt::Display>(
    row: &Row<'_>,
    column: usize,
    make: impl FnOnce(u64) -> Result<T, E>,
) -> Result<Option<T>> {
    match row.get::<_, Option<i64>>(column)? {
        None | Some(0) => Ok(None),
        Some(number) => {
            let number = u64::try_from(number).map_err(|error| wrong(column, error))?;
            make(number).map(Some).map_err(|error| wrong(column, error))
        }
    }
}

pub(super) fn asset_id_or_null(row: &Row<'_>, column: usize) -> Result<Option<AssetId>> {
    positive(row, column, AssetId::new)
}

pub(super) fn asset_id(row: &Row<'_>, column: usize) -> Result<AssetId> {
    asset_id_or_null(row, column)?.ok_or_else(|| wrong(column, "an asset ID is missing"))
}

/// Reads from two columns whether the lockfile has an address.
pub(super) fn in_lockfile(row: &Row<'_>, column: usize, begun_in: usize) -> Result<InLockfile> {
    match row.get(column)? {
        0 => Ok(InLockfile::No),
        1 => Ok(InLockfile::NotYet { begun_in: parsed_or_null(row, begun_in)?.unwrap_or_default() }),
        2 => Ok(InLockfile::Yes),
        number => Err(wrong(column, format_args!("{number} doesn't tell whether the lockfile has it"))),
    }
}

/// Returns the two columns of whether the lockfile has an address.
pub(super) fn in_lockfile_columns(in_lockfile: &InLockfile) -> (i64, Option<String>) {
    match in_lockfile {
        InLockfile::No => (0, None),
        InLockfile::NotYet { begun_in } => (1, begun_in.spelled()),
        InLockfile::Yes => (2, None),
    }
}

/// Reads a revision; NULL and 0 are `None`.
pub(super) fn revision(row: &Row<'_>, column: usize) -> Result<Option<Revision>> {
    positive(row, column, Revision::new)
}

pub(super) fn content_or_null(row: &Row<'_>, column: usize) -> Result<Option<ContentHash>> {
    Ok(row.get::<_, Option<[u8; 32]>>(column)?.map(ContentHash::from_bytes))
}

pub(super) fn content(row: &Row<'_>, column: usize) -> Result<ContentHash> {
    content_or_null(row, column)?.ok_or_else(|| wrong(column, "a content is missing"))
}

pub(super) fn time(row: &Row<'_>, column: usize) -> Result<Timestamp> {
    parsed(row, column)
}

/// Formats field digests as JSON, see `assets.asked`.
pub(super) fn fields_text(fields: &FieldDigests) -> String {
    let object = fields.iter().map(|(field, digest)| (field.name(), digest.to_string().into()));
    serde_json::Value::Object(object.collect()).to_string()
}

/// Parses the result of [`fields_text`].
pub(super) fn fields(row: &Row<'_>, column: usize) -> Result<FieldDigests> {
    let text = text(row, column)?;
    if text == "{}" {
        return Ok(FieldDigests::new());
    }
    let object: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(text).map_err(|error| wrong(column, error))?;
    let read = |(name, value): (&String, &serde_json::Value)| {
        let field = name.parse().map_err(|error| wrong(column, error))?;
        let digest = value.as_str().ok_or_else(|| wrong(column, "a digest isn't a text"))?;
        Ok((field, digest.parse().map_err(|error| wrong(column, error))?))
    };
    object.iter().map(read).collect()
}

/// Converts a number for SQLite: ids fit by their types, other unsigned numbers keep their bits.
pub(super) const fn number(number: u64) -> i64 {
    number.cast_signed()
}

/// Returns 0 for no revision, see `revisions.version`.
pub(super) fn version_or_zero(version: Option<Revision>) -> i64 {
    version.map_or(0, |version| number(version.get()))
}

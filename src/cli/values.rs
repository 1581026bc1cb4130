//! The values of arguments: how each is read, and what a wrong one is told.

use std::time::Duration;

use super::owner::OwnerText;
use crate::model::ids::{AssetId, Creator};

/// Reads `user:ID`, `group:ID` or the address of an owner's page.
pub(super) fn creator(text: &str) -> Result<Creator, String> {
    match OwnerText::read(text) {
        OwnerText::Is(creator) => Ok(creator),
        other => Err(other.advice()),
    }
}

/// Reads the number of a revision.
pub(super) fn revision(text: &str) -> Result<u64, String> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| "a revision is a number such as 1; `macadam history` lists them".to_owned())
}

/// Reads an asset ID, with or without `rbxassetid://`.
pub(super) fn asset_id(text: &str) -> Result<AssetId, String> {
    let digits = text.strip_prefix("rbxassetid://").unwrap_or(text);
    digits.parse().map_err(|_| "an asset ID is a number, such as 1234567890".to_owned())
}

/// Reads how many uploads may go at once.
pub(super) fn uploads(text: &str) -> Result<u32, String> {
    let number = text.parse().ok().filter(|number| (1..=64).contains(number));
    number.ok_or_else(|| "expected a number from 1 to 64".to_owned())
}

/// Reads `NAME=VALUE`.
pub(super) fn name_and_value(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected a name and a value, such as rollback=repoint")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Reads `90s`, `30m`, `2h` or `1d`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "expected a whole number and a unit (s, m, h or d), such as 30m".to_owned();
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let number: u64 = text.strip_suffix(unit).and_then(|n| n.parse().ok()).ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        _ => return Err(wrong()),
    };
    number
        .checked_mul(seconds)
        .filter(|s| (1..=366 * 24 * 60 * 60).contains(s))
        .map(Duration::from_secs)
        .ok_or_else(wrong)
}

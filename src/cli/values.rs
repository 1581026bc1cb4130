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

/// Reads an asset ID, with or without `rbxassetid://`, or the link of its page.
pub(super) fn asset_id(text: &str) -> Result<AssetId, String> {
    AssetId::of_text(text).ok_or_else(|| {
        "an asset ID is a number, such as 1234567890; the link of the asset's page at create.roblox.com will do too"
            .to_owned()
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_asset_id_may_come_with_its_scheme_or_as_the_link_of_its_page() {
        for text in [
            "106216587199",
            "rbxassetid://106216587199",
            "https://create.roblox.com/store/asset/106216587199/House-2",
            "https://create.roblox.com/dashboard/creations/store/106216587199/configure",
            "https://www.roblox.com/library/106216587199?tab=1",
        ] {
            assert_eq!(asset_id(text).map(|id| id.get()), Ok(106_216_587_199), "{text}");
        }
        for text in [
            "sword",
            "https://example.com/store/asset/1",
            "https://evilroblox.com/1",
            "https://create.roblox.com/",
            "-1",
        ] {
            assert!(asset_id(text).is_err(), "{text}");
        }
    }
}

//! The statuses of a project in which there is nothing to do, as bytes: `status` reads them instead
//! of planning what a proof says is nothing.
//!
//! Whoever proves that there is nothing to do writes them, and they count as long as the proof.
//! Read next: [`crate::engine::workspace::settled`].

use crate::engine::report::asset_state::AssetState;
use crate::engine::report::asset_status::{self, ArchivedBy, AssetStatus, Parts, StatusInputs};
use crate::model::address::Address;
use crate::model::asset::{AssetType, Moderation};
use crate::model::desired::{Desired, Pin};
use crate::model::ids::{AssetId, ContentHash, Revision};
use crate::model::path::ProjectPath;
use crate::model::recorded::Recorded;
use crate::plan::Plan;
use crate::state::store::SettledRows;

use jiff::Timestamp;

/// How many statuses are read at once.
const TOGETHER: usize = 512;

/// The status of an address in a project in which there is nothing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::engine) struct SettledRow {
    /// Its status.
    pub status: AssetStatus,
    /// Its icon or previews are other addresses, so its status depends on their files too.
    pub shows_others: bool,
}

/// Returns the statuses of all addresses in their order, as bytes; `None` if one of them has
/// something to say that is not kept.
pub(in crate::engine) fn encode(desired: &Desired, recorded: &Recorded, now: Timestamp) -> Option<Vec<SettledRows>> {
    let plan = Plan::default();
    let parts = &Parts::of(&plan, recorded);
    let row = |address: &Address| {
        let status = StatusInputs { address, desired, recorded, parts, under_way: false, unknown: None, now }.row()?;
        let want = desired.assets.get(address);
        let shows_others = want.is_some_and(|want| want.metadata.references().next().is_some());
        Some(SettledRow { status, shows_others })
    };
    let addresses = asset_status::addresses(desired, recorded);
    let mut all = Vec::new();
    let mut bytes = Vec::new();
    let mut first: Option<&Address> = None;
    for (index, address) in addresses.into_iter().enumerate() {
        if index % TOGETHER == 0
            && let Some(first) = first.replace(address)
        {
            all.push(SettledRows { first: first.clone(), rows: std::mem::take(&mut bytes) });
        }
        if let Some(row) = row(address) {
            write(&row, &mut bytes)?;
        }
    }
    all.extend(first.map(|first| SettledRows { first: first.clone(), rows: bytes }));
    Some(all)
}

/// Reads statuses; `None` if they are not what [`encode`] writes.
pub(in crate::engine) fn decode(bytes: &[u8]) -> Option<Vec<SettledRow>> {
    let mut rows = Vec::new();
    each(bytes, |row| rows.push(row))?;
    Some(rows)
}

/// Reads statuses one after the other; `None` if they are not what [`encode`] writes.
pub(in crate::engine) fn each(mut bytes: &[u8], mut take: impl FnMut(SettledRow)) -> Option<()> {
    while !bytes.is_empty() {
        take(read(&mut bytes)?);
    }
    Some(())
}

/// Returns `rows` with these `others` in place of those of their addresses; `None` if it lacks one of
/// them.
pub(in crate::engine) fn replace(rows: &[u8], others: Vec<SettledRow>) -> Option<Vec<u8>> {
    let mut rows = decode(rows)?;
    for other in others {
        let place = rows.iter_mut().find(|row| row.status.address == other.status.address)?;
        *place = other;
    }
    let mut bytes = Vec::new();
    rows.iter().try_for_each(|row| write(row, &mut bytes))?;
    Some(bytes)
}

/// The values that a row has, in the order in which they follow.
mod has {
    pub(super) const OTHER_PATH: u64 = 1;
    pub(super) const ASSET_TYPE: u64 = 1 << 1;
    pub(super) const ASSET_ID: u64 = 1 << 2;
    pub(super) const REVISION: u64 = 1 << 3;
    pub(super) const CONTENT: u64 = 1 << 4;
    pub(super) const FILE: u64 = 1 << 5;
    pub(super) const OTHER_FILE: u64 = 1 << 6;
    pub(super) const MODERATION: u64 = 1 << 7;
    pub(super) const PINNED_REVISION: u64 = 1 << 8;
    pub(super) const PINNED_ASSET: u64 = 1 << 9;
    pub(super) const PIN_NUMBER: u64 = 1 << 10;
    pub(super) const ARCHIVED_BY: u64 = 1 << 11;
    pub(super) const WAITS: u64 = 1 << 12;
    pub(super) const STORED_NAME: u64 = 1 << 13;
    pub(super) const STORED_DESCRIPTION: u64 = 1 << 14;
    pub(super) const SHOWS_OTHERS: u64 = 1 << 15;
}

/// `None` for a row that says what a project with nothing to do has no words for.
fn write(row: &SettledRow, to: &mut Vec<u8>) -> Option<()> {
    let SettledRow { status, shows_others } = row;
    let AssetStatus {
        address,
        path,
        asset_type,
        asset_id,
        revision,
        content_hash,
        file_hash,
        state,
        moderation,
        under_review_since,
        pin,
        pinned_revision,
        archived_by,
        coming,
        drifts,
        waits,
        error,
        code,
        facts,
        hint,
        duplicates,
        possible_duplicates,
        stored_display_name,
        stored_description,
    } = status;
    let is_kept = under_review_since.is_none()
        && coming.is_empty()
        && drifts.is_empty()
        && error.is_none()
        && code.is_none()
        && facts.is_none()
        && hint.is_none();
    if !is_kept {
        return None;
    }
    let flags = [
        (has::OTHER_PATH, path.as_str() != address.as_str()),
        (has::ASSET_TYPE, asset_type.is_some()),
        (has::ASSET_ID, asset_id.is_some()),
        (has::REVISION, revision.is_some()),
        (has::CONTENT, content_hash.is_some()),
        (has::FILE, file_hash.is_some()),
        (has::OTHER_FILE, file_hash.is_some() && file_hash != content_hash),
        (has::MODERATION, moderation.is_some()),
        (has::PINNED_REVISION, matches!(pin, Some(Pin::Revision(_)))),
        (has::PINNED_ASSET, matches!(pin, Some(Pin::Asset(_)))),
        (has::PIN_NUMBER, pinned_revision.is_some()),
        (has::ARCHIVED_BY, archived_by.is_some()),
        (has::WAITS, waits.is_some()),
        (has::STORED_NAME, stored_display_name.is_some()),
        (has::STORED_DESCRIPTION, stored_description.is_some()),
        (has::SHOWS_OTHERS, *shows_others),
    ];
    let flags = flags.into_iter().filter(|(_, is_set)| *is_set).fold(0, |sum, (flag, _)| sum | flag);
    number(flags, to);
    text(address.as_str(), to);
    if flags & has::OTHER_PATH != 0 {
        text(path.as_str(), to);
    }
    text(state.name(), to);
    asset_type.iter().for_each(|asset_type| text(asset_type.name(), to));
    asset_id.iter().for_each(|asset_id| number(asset_id.get(), to));
    revision.iter().for_each(|revision| number(*revision, to));
    content_hash.iter().for_each(|hash| to.extend(hash.as_bytes()));
    file_hash.iter().filter(|_| flags & has::OTHER_FILE != 0).for_each(|hash| to.extend(hash.as_bytes()));
    moderation.iter().for_each(|moderation| text(moderation.name(), to));
    match pin {
        Some(Pin::Revision(revision)) => number(revision.get(), to),
        Some(Pin::Asset(asset_id)) => number(asset_id.get(), to),
        None => {}
    }
    pinned_revision.iter().for_each(|revision| number(*revision, to));
    archived_by.iter().for_each(|by| text(by.name(), to));
    [waits, stored_display_name, stored_description].into_iter().flatten().for_each(|said| text(said, to));
    number(duplicates.len() as u64, to);
    duplicates.iter().for_each(|asset_id| number(asset_id.get(), to));
    number(*possible_duplicates, to);
    Some(())
}

fn read(bytes: &mut &[u8]) -> Option<SettledRow> {
    let flags = read_number(bytes)?;
    let is_set = |flag: u64| flags & flag != 0;
    let address = Address::new(read_text(bytes)?).ok()?;
    let path = if is_set(has::OTHER_PATH) { read_text(bytes)? } else { address.as_str() };
    let path = ProjectPath::new(path).ok()?;
    let state = AssetState::from_name(read_text(bytes)?)?;
    let asset_type = match is_set(has::ASSET_TYPE) {
        true => Some(read_text(bytes)?.parse::<AssetType>().ok()?),
        false => None,
    };
    let asset_id = read_if(is_set(has::ASSET_ID), bytes, read_asset_id)?;
    let revision = read_if(is_set(has::REVISION), bytes, read_number)?;
    let content_hash = read_if(is_set(has::CONTENT), bytes, read_hash)?;
    let other_file = read_if(is_set(has::OTHER_FILE), bytes, read_hash)?;
    let file_hash = other_file.or(content_hash).filter(|_| is_set(has::FILE));
    let moderation = read_if(is_set(has::MODERATION), bytes, |bytes| Moderation::from_name(read_text(bytes)?))?;
    let read_version = |bytes: &mut &[u8]| Some(Pin::Revision(Revision::new(read_number(bytes)?).ok()?));
    let pinned_version = read_if(is_set(has::PINNED_REVISION), bytes, read_version)?;
    let pinned_asset = read_if(is_set(has::PINNED_ASSET), bytes, |bytes| Some(Pin::Asset(read_asset_id(bytes)?)))?;
    let pinned_revision = read_if(is_set(has::PIN_NUMBER), bytes, read_number)?;
    let archived_by = read_if(is_set(has::ARCHIVED_BY), bytes, |bytes| ArchivedBy::from_name(read_text(bytes)?))?;
    let mut said = |flag| read_if(is_set(flag), bytes, |bytes| Some(read_text(bytes)?.to_owned()));
    let (waits, stored_display_name) = (said(has::WAITS)?, said(has::STORED_NAME)?);
    let stored_description = said(has::STORED_DESCRIPTION)?;
    let duplicates = (0..read_number(bytes)?).map(|_| read_asset_id(bytes)).collect::<Option<_>>()?;
    let possible_duplicates = read_number(bytes)?;
    let status = AssetStatus {
        address,
        path,
        asset_type,
        asset_id,
        revision,
        content_hash,
        file_hash,
        state,
        moderation,
        under_review_since: None,
        pin: pinned_version.or(pinned_asset),
        pinned_revision,
        archived_by,
        coming: Vec::new(),
        drifts: Vec::new(),
        waits,
        error: None,
        code: None,
        facts: None,
        hint: None,
        duplicates,
        possible_duplicates,
        stored_display_name,
        stored_description,
    };
    Some(SettledRow { status, shows_others: is_set(has::SHOWS_OTHERS) })
}

/// Seven bits a byte, the lowest first; the highest bit says that more follow.
fn number(mut number: u64, to: &mut Vec<u8>) {
    while number >= 0x80 {
        to.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

fn text(text: &str, to: &mut Vec<u8>) {
    number(text.len() as u64, to);
    to.extend(text.as_bytes());
}

fn read_if<'b, T>(
    is_there: bool,
    bytes: &mut &'b [u8],
    read: impl FnOnce(&mut &'b [u8]) -> Option<T>,
) -> Option<Option<T>> {
    if is_there { read(bytes).map(Some) } else { Some(None) }
}

fn read_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..u64::BITS).step_by(7) {
        let byte = *take(bytes, 1)?.first()?;
        number |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn read_text<'b>(bytes: &mut &'b [u8]) -> Option<&'b str> {
    let length = usize::try_from(read_number(bytes)?).ok()?;
    std::str::from_utf8(take(bytes, length)?).ok()
}

fn read_hash(bytes: &mut &[u8]) -> Option<ContentHash> {
    Some(ContentHash::from_bytes(take(bytes, 32)?.try_into().ok()?))
}

fn read_asset_id(bytes: &mut &[u8]) -> Option<AssetId> {
    AssetId::new(read_number(bytes)?).ok()
}

fn take<'b>(bytes: &mut &'b [u8], length: usize) -> Option<&'b [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(address: &str) -> AssetStatus {
        let hash = Some(ContentHash::from_bytes([7; 32]));
        AssetStatus {
            address: Address::new(address).unwrap(),
            path: ProjectPath::new(address).unwrap(),
            asset_type: Some(AssetType::Image),
            asset_id: AssetId::new(u64::from(u32::MAX) * 99).ok(),
            revision: Some(3),
            content_hash: hash,
            file_hash: hash,
            state: AssetState::Synced,
            moderation: Some(Moderation::Approved),
            under_review_since: None,
            pin: None,
            pinned_revision: None,
            archived_by: None,
            coming: Vec::new(),
            drifts: Vec::new(),
            waits: None,
            error: None,
            code: None,
            facts: None,
            hint: None,
            duplicates: Vec::new(),
            possible_duplicates: 0,
            stored_display_name: None,
            stored_description: None,
        }
    }

    #[test]
    fn a_status_reads_back() {
        let one = AssetId::new(1).unwrap();
        let all = [
            plain("ui/a.png"),
            AssetStatus {
                path: ProjectPath::new("other.png").unwrap(),
                file_hash: Some(ContentHash::from_bytes([8; 32])),
                state: AssetState::Pinned,
                pin: Some(Pin::Revision(Revision::new(300).unwrap())),
                pinned_revision: Some(300),
                waits: Some("its file has other content".to_owned()),
                duplicates: vec![one, AssetId::new(u64::MAX >> 1).unwrap()],
                possible_duplicates: 128,
                ..plain("b")
            },
            AssetStatus {
                asset_type: None,
                asset_id: None,
                revision: None,
                content_hash: None,
                moderation: None,
                pin: Some(Pin::Asset(one)),
                archived_by: Some(ArchivedBy::Hand),
                stored_display_name: Some("####".to_owned()),
                stored_description: Some(String::new()),
                ..plain("c")
            },
            AssetStatus { file_hash: None, state: AssetState::Removed, ..plain("d") },
        ];
        let rows = all.map(|status| SettledRow { shows_others: status.address.as_str() == "b", status });
        let mut bytes = Vec::new();
        rows.iter().for_each(|row| write(row, &mut bytes).unwrap());
        assert_eq!(decode(&bytes).unwrap(), rows);
        // No bytes make it panic.
        for cut in 1..bytes.len() {
            assert!(decode(&bytes[cut..]).is_none_or(|read| read != rows));
            let _ = decode(&bytes[..cut]);
        }
    }

    #[test]
    fn what_asks_for_attention_is_not_kept() {
        let status = AssetStatus { error: Some("refused".to_owned()), ..plain("a") };
        assert_eq!(write(&SettledRow { status, shows_others: false }, &mut Vec::new()), None);
    }
}

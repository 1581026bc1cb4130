//! `[existing]` and `[pins]`, tables whose keys are addresses, and the book of all addresses in
//! which they and icons are looked up.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use globset::GlobSet;
use toml::de::DeValue;

use super::diagnostic::{ErrorSink, ManifestError, shown};
use super::entry::{DraftEntry, article, read_address};
use super::read::{KeyValue, TableReader};
use super::suggest::{Patience, nearest_within};
use crate::model::address::Address;
use crate::model::asset::{AssetType, ContentChange};
use crate::model::desired::{Pin, Stray, StrayPlace};
use crate::model::ids::{AssetId, Revision};

/// An entry of `[existing]`.
#[derive(Debug, Clone)]
pub(super) struct Existing {
    pub(super) key: Range<usize>,
    pub(super) id: AssetId,
}

/// An entry of `[pins]`.
#[derive(Debug, Clone)]
pub(super) struct PinEntry {
    pub(super) key: Range<usize>,
    place: Range<usize>,
    pub(super) pin: Pin,
}

/// Reads `[existing]`; an address that an asset has is refused.
pub(super) fn read_existing(
    fields: TableReader<'_>,
    assets: &[DraftEntry],
    report: &mut ErrorSink,
) -> BTreeMap<Address, Existing> {
    let taken: BTreeMap<&Address, &Range<usize>> = assets.iter().map(|draft| (&draft.address, &draft.key)).collect();
    read_by_address(fields, report, |field, address, report| {
        if let Some(place) = taken.get(address) {
            let fault = ManifestError::new(
                field.key.clone(),
                format!("{} is an asset of this manifest", shown(address.as_str())),
            );
            report.add(fault.also((*place).clone(), "declared here").hint("remove one of the two"));
        }
        let id = read_asset_id(field, report)?;
        Some(Existing { key: field.key.clone(), id })
    })
}

/// Reads `[pins]`.
pub(super) fn read_pins(fields: TableReader<'_>, report: &mut ErrorSink) -> BTreeMap<Address, PinEntry> {
    read_by_address(fields, report, |field, address, report| {
        let pin = if let DeValue::Table(_) = field.value.get_ref() {
            let mut table = field.table("a pin", report)?;
            let id = table.take("asset_id");
            table.finish(report);
            let Some(id) = id else {
                let fault = field.fault(format!("the pin of {} has no `asset_id`", shown(field.name)));
                report.add(fault.hint("write { asset_id = 123 }; a name with a dot must be in quotes"));
                return None;
            };
            Pin::Asset(id.id(AssetId::new, report)?)
        } else {
            if let DeValue::String(text) = field.value.get_ref() {
                let hint = match text.parse::<u64>() {
                    Ok(number) => format!("write it without quotes: {number}"),
                    Err(_) => format!(
                        "write the number of a revision, without quotes; without this line `macadam history {address:#}` shows them"
                    ),
                };
                report.add(field.wrong_kind("a number").hint(hint));
                return None;
            }
            Pin::Revision(field.id(Revision::new, report)?)
        };
        Some(PinEntry { key: field.key.clone(), place: field.place(), pin })
    })
}

/// Reads a table whose keys are addresses; two spellings of one address are refused.
fn read_by_address<T>(
    fields: TableReader<'_>,
    report: &mut ErrorSink,
    read: impl Fn(&KeyValue<'_>, &Address, &mut ErrorSink) -> Option<T>,
) -> BTreeMap<Address, T> {
    let mut places: BTreeMap<Address, Range<usize>> = BTreeMap::new();
    let mut entries = BTreeMap::new();
    for field in fields.rest() {
        let Some(address) = read_address(&field, report) else { continue };
        let entry = read(&field, &address, report);
        if let Some(first) = places.get(&address) {
            let fault = ManifestError::new(field.key.clone(), format!("{} is set twice", shown(address.as_str())));
            let hint = "they look different but are the same name in Unicode; remove one";
            report.add(fault.also(first.clone(), "it is set here first").hint(hint));
            continue;
        }
        places.insert(address.clone(), field.key.clone());
        if let Some(entry) = entry {
            entries.insert(address, entry);
        }
    }
    entries
}

fn read_asset_id(field: &KeyValue<'_>, report: &mut ErrorSink) -> Option<AssetId> {
    match field.value.get_ref() {
        DeValue::Table(_) => {
            report
                .add(field.wrong_kind("an asset ID").hint("a name with a dot must be in quotes: \"close.png\" = 123"));
            None
        }
        DeValue::String(text) if text.starts_with("rbxassetid://") => {
            report.add(field.wrong_kind("an asset ID").hint("write the number alone, without quotes"));
            None
        }
        _ => field.id(AssetId::new, report),
    }
}

/// The meaning of an address.
pub(super) enum AddressUse<'b> {
    /// An asset of the manifest, of this type where that is known.
    Asset(Option<AssetType>),
    /// An entry of `[existing]`.
    Existing(AssetId),
    /// No address, but the path of the asset with this one.
    PathOf(&'b Address),
    /// An asset that was in the manifest before.
    Left,
    /// Unknown.
    Missing,
    /// A glob may find it.
    Undecided,
}

/// All addresses of a manifest.
pub(super) struct AddressBook<'b> {
    pub(super) assets: BTreeMap<&'b Address, Option<AssetType>>,
    pub(super) existing: &'b BTreeMap<Address, Existing>,
    /// Addresses of explicit entries by their normalized path.
    pub(super) paths: BTreeMap<String, &'b Address>,
    /// Addresses that are known from before, in the manifest or not.
    pub(super) known: &'b BTreeSet<Address>,
    /// Before the files are known: the patterns that may still find an address. `None` afterwards.
    pub(super) open: Option<GlobSet>,
}

impl<'b> AddressBook<'b> {
    pub(super) fn usage(&self, address: &Address) -> AddressUse<'b> {
        if let Some(asset_type) = self.assets.get(address) {
            return AddressUse::Asset(*asset_type);
        }
        if let Some(existing) = self.existing.get(address) {
            return AddressUse::Existing(existing.id);
        }
        if self.known.contains(address) {
            return AddressUse::Left;
        }
        // A pattern sees the file system's spelling, of which a text beyond ASCII may have several.
        let undecided =
            |set: &GlobSet| !set.is_empty() && (!address.as_str().is_ascii() || set.is_match(address.as_str()));
        if let Some(explicit) = self.paths.get(address.as_str()) {
            return AddressUse::PathOf(explicit);
        }
        if self.open.as_ref().is_some_and(undecided) { AddressUse::Undecided } else { AddressUse::Missing }
    }

    /// Whether the files are known, so that a type that is unknown now stays so.
    pub(super) fn is_complete(&self) -> bool {
        self.open.is_none()
    }

    /// A fault about an address that is none, with the one that was meant.
    pub(super) fn missing(
        &self,
        address: &Address,
        place: Range<usize>,
        absent: &mut Absent,
        otherwise: &str,
    ) -> ManifestError {
        let fault = ManifestError::new(place, format!("there is no asset named {}", shown(address.as_str())));
        let addresses = self.assets.keys().map(|address| address.as_str());
        match nearest_within(&mut absent.patience, address.as_str(), addresses) {
            Some(near) => fault.hint(format!("did you mean {}?", shown(near))),
            None => fault.hint(otherwise),
        }
    }
}

/// Addresses of pins, icons and previews that are not in the manifest.
#[derive(Debug, Default)]
pub(super) struct Absent {
    /// Faults about unknown addresses. Kept apart from all others: before state and lockfile are
    /// asked, such an address may be a known one.
    pub(super) faults: ErrorSink,
    /// References to known ones.
    pub(super) strays: BTreeSet<Stray>,
    /// The time that is left for suggestions.
    patience: Patience,
}

/// Each pin names an asset of the manifest, in the form of its type.
pub(super) fn check_pins(
    pins: &BTreeMap<Address, PinEntry>,
    address_index: &AddressBook<'_>,
    report: &mut ErrorSink,
    absent: &mut Absent,
) {
    for (address, entry) in pins {
        match address_index.usage(address) {
            AddressUse::Undecided | AddressUse::Asset(None) => {}
            AddressUse::Asset(Some(asset_type)) => {
                pin_fault(address, entry, asset_type).into_iter().for_each(|fault| report.add(fault))
            }
            AddressUse::Existing(_) => {
                let fault =
                    ManifestError::new(entry.key.clone(), format!("{} is under [existing]", shown(address.as_str())));
                report.add(fault.hint("only assets that Macadam manages can be pinned"));
            }
            AddressUse::Left => {
                absent.strays.insert(Stray { to: address.clone(), place: StrayPlace::Pin(entry.pin) });
            }
            AddressUse::PathOf(other) => {
                let fault = address_index.missing(address, entry.key.clone(), absent, "");
                let hint = format!("that is the path of {}: pin that address", shown(other.as_str()));
                absent.faults.add(fault.hint(hint));
            }
            AddressUse::Missing => {
                let fault = address_index.missing(address, entry.key.clone(), absent, "remove the pin");
                absent.faults.add(fault);
            }
        }
    }
}

fn pin_fault(address: &Address, entry: &PinEntry, asset_type: AssetType) -> Option<ManifestError> {
    let fault = |message: String| ManifestError::new(entry.place.clone(), message);
    let (article, name) = (article(asset_type), asset_type.name());
    match (asset_type.on_content_change(), entry.pin) {
        (ContentChange::InPlace, Pin::Revision(_)) | (ContentChange::NewAsset, Pin::Asset(_)) => None,
        (ContentChange::InPlace, Pin::Asset(_)) => Some(
            fault(format!("{article} {name} is pinned at a revision, not at an asset ID"))
                .hint("write the revision's number alone; `macadam history` lists them"),
        ),
        (ContentChange::NewAsset, Pin::Revision(_)) => {
            Some(fault(format!("{article} {name} is pinned to an asset ID, not to a revision")).hint(format!(
                "`macadam pin {address:#} REVISION` writes it for you; by hand write {{ asset_id = 123 }}, with an ID that \
                 `macadam history {address:#}` lists"
            )))
        }
    }
}

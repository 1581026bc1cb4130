//! The digests that failures are remembered against. As long as a digest stays the same, Macadam
//! doesn't send a refused change again.

use std::collections::BTreeMap;

use super::current::current;
use crate::model::address::Address;
use crate::model::desired::{Desired, DesiredAsset, Pin};
use crate::model::digest::FieldDigest;
use crate::model::ids::AssetId;
use crate::model::metadata::{Field, FieldDigests};
use crate::model::metadata_digest;
use crate::model::recorded::Recorded;

/// The wanted state of one address as digests, in two parts that fail apart from one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Subjects {
    /// The content, with what a create sends along, or the pin.
    pub asset: FieldDigest,
    /// The metadata.
    pub metadata: FieldDigest,
}

/// The fields that a create sends along; social links are refused there (V1), and icon and previews
/// are not confirmed.
pub(crate) fn sent_at_creation(fields: &FieldDigests) -> FieldDigests {
    let sent = |field: &Field| matches!(field, Field::DisplayName | Field::Description);
    fields.iter().filter(|(field, _)| sent(field)).map(|(field, digest)| (*field, *digest)).collect()
}

/// The subjects of one address, whose metadata is `fields`.
pub(crate) fn of(want: &DesiredAsset, fields: &FieldDigests) -> Subjects {
    let content = want.content.as_ref().ok().map(|facts| facts.hash);
    let asset = match *want.pin {
        None => metadata_digest::input_digest(content, &sent_at_creation(fields)),
        Some(Pin::Revision(revision)) => FieldDigest::of_parts(["pin", &revision.to_string()]),
        Some(Pin::Asset(asset_id)) => FieldDigest::of_parts(["pin", "asset", &asset_id.to_string()]),
    };
    Subjects { asset, metadata: metadata_digest::input_digest(None, fields) }
}

/// The subjects of these addresses, as far as they are wanted.
pub(crate) fn of_each<'a>(
    addresses: impl Iterator<Item = &'a Address>,
    desired: &Desired,
    recorded: &Recorded,
) -> BTreeMap<Address, Subjects> {
    let wanted = addresses.filter_map(|address| desired.assets.get_key_value(address));
    wanted.map(|(address, want)| (address.clone(), of(want, &fields(want, desired, recorded)))).collect()
}

/// The digests of what is wanted of an address's metadata, icons and previews by the assets that
/// they are now.
pub(crate) fn fields(want: &DesiredAsset, desired: &Desired, recorded: &Recorded) -> FieldDigests {
    want.metadata.digests_with(|address| asset_of(address, desired, recorded))
}

/// The asset that an address is now.
pub(crate) fn asset_of(address: &Address, desired: &Desired, recorded: &Recorded) -> Option<AssetId> {
    let (want, record) = (desired.assets.get(address)?, recorded.assets.get(address)?);
    current(want, record).map(|(key, _)| key.asset_id)
}

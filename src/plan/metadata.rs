//! Which metadata fields changed since they were last asked for.

use crate::model::desired::DesiredAsset;
use crate::model::digest::FieldDigest;
use crate::model::metadata::{Field, FieldDigests};
use crate::model::remote::RemoteAsset;

use super::step::FieldChange;

/// The fields that this version of Macadam can send.
pub const SENDABLE: [Field; 2] = [Field::DisplayName, Field::Description];

/// What is to be sent, and what is managed once it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MetadataChange {
    /// Exactly the fields that changed.
    pub changes: Vec<FieldChange>,
    /// What is stored for each field that was ever asked for, afterwards. A field that is no longer managed stays: another branch's lockfile may
    /// tell otherwise of it, and only who remembers notices.
    pub fields: FieldDigests,
}

/// The managed fields of `want` that can be sent, as digests.
pub fn sendable(want: &DesiredAsset) -> FieldDigests {
    let mut fields = want.metadata.digests();
    fields.retain(|field, _| SENDABLE.contains(field));
    fields
}

/// Compares what is wanted with what was last asked for, and where that is unknown with what the remote last said.
///
/// What Roblox's text filter made of a text plays no part once it was asked for: there is no endless correction.
pub fn compare(want: &DesiredAsset, asked: &FieldDigests, seen: Option<&RemoteAsset>) -> MetadataChange {
    let wanted = sendable(want);
    let mut changes = Vec::new();
    let settled = |field: Field, remote: Option<&str>| match (wanted.get(&field), asked.get(&field)) {
        (Some(wanted), Some(asked)) => wanted == asked,
        (Some(wanted), None) => remote.is_some_and(|text| FieldDigest::of_text(text) == *wanted),
        // A key that was set and is gone clears the field; a cleared one is as it should be.
        (None, Some(asked)) => *asked == FieldDigest::of_cleared(),
        (None, None) => true,
    };
    // A display name can't be cleared: without its key it is no longer managed.
    if let Some(name) = &want.metadata.display_name
        && !settled(Field::DisplayName, seen.and_then(|s| s.display_name.as_deref()))
    {
        changes.push(FieldChange::DisplayName(name.clone()));
    }
    let described = seen.map(|s| s.description.as_deref().unwrap_or_default());
    if !settled(Field::Description, described) {
        changes.push(FieldChange::Description(want.metadata.description.clone().unwrap_or_default()));
    }
    let mut fields = asked.clone();
    if let Some(description) = fields.get_mut(&Field::Description) {
        *description = FieldDigest::of_cleared();
    }
    fields.extend(wanted);
    MetadataChange { changes, fields }
}

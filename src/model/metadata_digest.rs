//! Digests of an asset's metadata, as it is wanted, sent or stored: what tells whether a field has
//! to be sent again.

use super::address::Address;
use super::digest::FieldDigest;
use super::ids::{AssetId, ContentHash};
use super::metadata::{AssetRef, Field, FieldDigests, Metadata, SocialLink};

impl Metadata {
    /// The digest of every managed field, of an icon or preview by its address's name.
    pub fn digests(&self) -> FieldDigests {
        digest_fields(self, |_| None)
    }

    /// The digest of every managed field as Roblox would store it, where `asset_of` tells which
    /// asset an address is.
    pub fn digests_with(&self, asset_of: impl Fn(&Address) -> Option<AssetId>) -> FieldDigests {
        digest_fields(self, asset_of)
    }
}

/// The digest of an icon as stored; `None`: there is none.
pub(crate) fn of_icon(icon: Option<AssetId>) -> FieldDigest {
    icon.map_or_else(FieldDigest::of_cleared, |id| FieldDigest::of_text(&format!("assets/{id}")))
}

/// The digest of a list of previews as stored.
pub(crate) fn of_previews(previews: &[(AssetId, Option<String>)]) -> FieldDigest {
    let texts = previews.iter().flat_map(|(id, alt)| [format!("assets/{id}"), alt.clone().unwrap_or_default()]);
    let parts: Vec<String> = texts.collect();
    FieldDigest::of_parts(parts.iter().map(String::as_str))
}

/// The digest of a social link as stored; `None`: there is none.
pub(crate) fn of_link(link: Option<&SocialLink>) -> FieldDigest {
    match link {
        Some(link) => FieldDigest::of_parts([link.title.as_deref().unwrap_or_default(), &link.uri]),
        None => FieldDigest::of_cleared(),
    }
}

/// The digest of every managed field of `metadata`. An icon or preview that is an address counts as
/// the asset that `asset_of` says it is, and by its name while it is none.
fn digest_fields(metadata: &Metadata, asset_of: impl Fn(&Address) -> Option<AssetId>) -> FieldDigests {
    let Metadata { display_name, description, icon, previews, social_links } = metadata;
    let shown = |reference: &AssetRef| match reference {
        AssetRef::Address(address) => {
            asset_of(address).map_or_else(|| address.to_string(), |id| AssetRef::Id(id).to_string())
        }
        AssetRef::Id(_) => reference.to_string(),
    };
    let mut digests = FieldDigests::new();
    if let Some(name) = display_name {
        digests.insert(Field::DisplayName, FieldDigest::of_text(name.as_str()));
    }
    if let Some(description) = description {
        digests.insert(Field::Description, FieldDigest::of_text(description.as_str()));
    }
    if let Some(icon) = icon {
        let text = icon.as_ref().map(shown).unwrap_or_default();
        digests.insert(Field::Icon, FieldDigest::of_text(&text));
    }
    if let Some(previews) = previews {
        let texts = previews.iter().flat_map(|p| [shown(&p.asset), p.alt_text.clone().unwrap_or_default()]);
        let parts: Vec<String> = texts.collect();
        digests.insert(Field::Previews, FieldDigest::of_parts(parts.iter().map(String::as_str)));
    }
    for (network, link) in social_links {
        digests.insert(Field::SocialLink(*network), of_link(link.as_ref()));
    }
    digests
}

/// A bounded name for a content with metadata, as it is wanted or sent: what a refusal is
/// remembered against.
pub(crate) fn input_digest(content: Option<ContentHash>, fields: &FieldDigests) -> FieldDigest {
    let mut parts = vec![content.map(|hash| hash.to_string()).unwrap_or_default()];
    for (field, digest) in fields {
        parts.push(field.name());
        parts.push(digest.to_string());
    }
    FieldDigest::of_parts(parts.iter().map(String::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::metadata::{Description, DisplayName};

    #[test]
    fn only_managed_fields_have_a_digest() {
        let mut metadata = Metadata { description: Some(Description::default()), ..Metadata::default() };
        assert_eq!(
            metadata.digests().into_iter().collect::<Vec<_>>(),
            [(Field::Description, FieldDigest::of_cleared())]
        );
        metadata.display_name = Some(DisplayName::new("Sword").unwrap());
        assert_eq!(metadata.digests().len(), 2);
    }
}

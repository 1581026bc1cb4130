//! The keys that describe an asset, under `[assets.*]`, `[globs.*]` and `[defaults]`.
//!
//! Unset is unmanaged, an empty text clears. Read next: `links`, `entry`.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use toml::Spanned;

use super::diagnostic::{ErrorSink, ManifestError, shown};
use super::links::{read_icon, read_previews, read_social_links};
use super::owner::{read_creator, read_grants};
use super::read::{KeyValue, TableReader};
use crate::model::asset::{AssetType, Privacy};
use crate::model::desired::Grantee;
use crate::model::ids::Creator;
use crate::model::metadata::{
    AssetRef, Description, DisplayName, MAX_DESCRIPTION, MAX_DISPLAY_NAME, Metadata, Preview, SocialLink, SocialNetwork,
};

pub(super) const PRIVACY: [(&str, Privacy); 3] = [
    (Privacy::Default.name(), Privacy::Default),
    (Privacy::Restricted.name(), Privacy::Restricted),
    (Privacy::OpenUse.name(), Privacy::OpenUse),
];

/// The table of asset keys, which decides which of them are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyPlace {
    Asset,
    Glob,
    Defaults,
}

impl KeyPlace {
    /// Keys that an asset may have and this table may not, each with the reason.
    const fn refused(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Asset => &[],
            Self::Glob => &[
                ("icon", "set it for single assets, under [assets.NAME]"),
                ("previews", "set them for single assets, under [assets.NAME]"),
            ],
            Self::Defaults => &[
                ("path", "set it under [assets.NAME] or [globs.NAME]"),
                (
                    "type",
                    "Macadam takes the type from each file; to choose another, set it under [assets.NAME] or [globs.NAME]",
                ),
                ("display_name", "set it under [assets.NAME] or [globs.NAME]"),
                ("privacy", "it can't be undone, so set it under [assets.NAME] or [globs.NAME]"),
                ("icon", "set it for single assets, under [assets.NAME]"),
                ("previews", "set them for single assets, under [assets.NAME]"),
            ],
        }
    }
}

/// A type as the manifest gives it.
#[derive(Debug, Clone, Default)]
pub(super) enum NamedType {
    /// Not set: inferred from the file.
    #[default]
    Unset,
    /// In a way that was reported: nothing can be said that depends on it.
    Unreadable,
    /// By its name.
    Named(Spanned<AssetType>),
}

impl NamedType {
    pub(super) fn named(&self) -> Option<AssetType> {
        match self {
            Self::Named(asset_type) => Some(*asset_type.get_ref()),
            Self::Unset | Self::Unreadable => None,
        }
    }
}

/// The keys of an asset as written; `None` is unset.
#[derive(Debug, Clone, Default)]
pub(super) struct AssetKeys {
    pub(super) asset_type: NamedType,
    pub(super) display_name: Option<DisplayName>,
    pub(super) description: Option<Description>,
    pub(super) privacy: Option<Spanned<Privacy>>,
    pub(super) expected_price: Option<u64>,
    pub(super) icon: Option<Spanned<Option<AssetRef>>>,
    pub(super) previews: Option<Vec<Spanned<Preview>>>,
    pub(super) prevent_replace: Option<bool>,
    pub(super) creator: Option<Creator>,
    pub(super) grants: Option<Vec<Grantee>>,
    pub(super) social_links: BTreeMap<SocialNetwork, Option<SocialLink>>,
    /// What [`AssetKeys::metadata`] returns, once it was asked for.
    managed: OnceLock<Arc<Metadata>>,
}

impl AssetKeys {
    /// Takes all asset keys but `path` from a table. The table is left for its `finish`.
    pub(super) fn read(fields: &mut TableReader<'_>, role: KeyPlace, report: &mut ErrorSink) -> Self {
        for (name, reason) in role.refused() {
            if let Some(field) = fields.take_unlisted(name) {
                let fault = ManifestError::new(field.key, format!("`{name}` can't be set in {}", fields.what()));
                report.add(fault.hint(*reason));
            }
        }
        let mut keys = Self::default();
        if role != KeyPlace::Defaults {
            keys.asset_type = fields.take("type").map_or(NamedType::Unset, |field| read_type(&field, report));
            keys.display_name = fields.take("display_name").and_then(|field| read_display_name(&field, report));
            keys.privacy = fields
                .take("privacy")
                .and_then(|field| field.choice(&PRIVACY, report).map(|privacy| Spanned::new(field.place(), privacy)));
        }
        if role == KeyPlace::Asset {
            keys.icon = fields.take("icon").and_then(|field| read_icon(&field, report));
            keys.previews = fields.take("previews").and_then(|field| read_previews(&field, report));
        }
        keys.description = fields.take("description").and_then(|field| read_description(&field, report));
        keys.expected_price = fields.take("expected_price").and_then(|field| field.number(report));
        keys.prevent_replace = fields.take("prevent_replace").and_then(|field| field.boolean(report));
        keys.creator = fields.take("creator").and_then(|field| {
            let table = field.table("`creator`", report)?;
            read_creator(table, report)
        });
        keys.grants = fields.take("grants").and_then(|field| read_grants(&field, report));
        keys.social_links =
            fields.take("social_links").map(|field| read_social_links(&field, report)).unwrap_or_default();
        keys
    }

    /// These keys, and the defaults where they are unset. Social links are merged network by
    /// network.
    pub(super) fn over(self, defaults: &Self) -> Self {
        let mut social_links = defaults.social_links.clone();
        social_links.extend(self.social_links);
        Self {
            asset_type: self.asset_type,
            display_name: self.display_name,
            description: self.description.or_else(|| defaults.description.clone()),
            privacy: self.privacy,
            expected_price: self.expected_price.or(defaults.expected_price),
            icon: self.icon,
            previews: self.previews,
            prevent_replace: self.prevent_replace.or(defaults.prevent_replace),
            creator: self.creator.or(defaults.creator),
            grants: self.grants.or_else(|| defaults.grants.clone()),
            social_links,
            managed: OnceLock::new(),
        }
    }

    /// The metadata that these keys manage: one for all files of a glob.
    pub(super) fn metadata(&self) -> &Arc<Metadata> {
        let managed = || Metadata {
            display_name: self.display_name.clone(),
            description: self.description.clone(),
            icon: self.icon.as_ref().map(|icon| icon.get_ref().clone()),
            previews: self.previews.as_ref().map(|all| all.iter().map(|one| one.get_ref().clone()).collect()),
            social_links: self.social_links.clone(),
        };
        self.managed.get_or_init(|| Arc::new(managed()))
    }

    /// Whether the privacy is one that only some types can have.
    pub(super) fn overrides_privacy(&self) -> bool {
        self.privacy.as_ref().is_some_and(|privacy| *privacy.get_ref() != Privacy::Default)
    }
}

/// Other names of types.
const TYPE_WORDS: [(&str, AssetType); 9] = [
    ("Sound", AssetType::Audio),
    ("Music", AssetType::Audio),
    ("Picture", AssetType::Image),
    ("Texture", AssetType::Image),
    ("Sprite", AssetType::Image),
    ("MeshPart", AssetType::Mesh),
    ("Movie", AssetType::Video),
    ("Anim", AssetType::Animation),
    ("Package", AssetType::Model),
];

fn read_type(field: &KeyValue<'_>, report: &mut ErrorSink) -> NamedType {
    if let toml::de::DeValue::String(text) = field.value.get_ref()
        && let Some((_, meant)) = TYPE_WORDS.iter().find(|(word, _)| word.eq_ignore_ascii_case(text))
    {
        let fault = field.fault(format!("`type` can't be {}", shown(text)));
        report.add(fault.hint(format!("Roblox calls it \"{}\"", meant.name())));
        return NamedType::Unreadable;
    }
    match field.choice(&AssetType::ALL.map(|one| (one.name(), one)), report) {
        Some(asset_type) => NamedType::Named(Spanned::new(field.place(), asset_type)),
        None => NamedType::Unreadable,
    }
}

fn read_display_name(field: &KeyValue<'_>, report: &mut ErrorSink) -> Option<DisplayName> {
    let text = field.text(report)?;
    let name = DisplayName::new(text);
    name.map_err(|error| {
        let hint = if text.is_empty() {
            "a name can't be empty; leave the key out and Macadam doesn't touch the name".to_owned()
        } else {
            let cut: String = text.chars().take(MAX_DISPLAY_NAME).collect();
            format!("cut to that it would be {}", shown(&cut))
        };
        report.add(field.fault(error.to_string()).hint(hint));
    })
    .ok()
}

fn read_description(field: &KeyValue<'_>, report: &mut ErrorSink) -> Option<Description> {
    let description = Description::new(field.text(report)?);
    description
        .map_err(|error| {
            report.add(field.fault(error.to_string()).hint(format!("cut it to {MAX_DESCRIPTION} characters")));
        })
        .ok()
}

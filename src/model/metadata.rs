//! Names, descriptions, icons, previews and links: what an asset says of itself, apart from its
//! content.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::address::Address;
use super::digest::FieldDigest;
use super::ids::AssetId;

/// The longest display name in code points (creator-docs: cloud/guides/usage-assets.md; a longer
/// one is refused with "Asset name length is invalid."). Whether Roblox counts code points or
/// UTF-16 units is not documented.
pub(crate) const MAX_DISPLAY_NAME: usize = 50;
/// The longest description in code points (creator-docs: reference/cloud/assets/v1.json).
pub(crate) const MAX_DESCRIPTION: usize = 1000;
/// The most social links an asset can have (creator-docs: reference/cloud/assets/v1.json).
pub(crate) const MAX_SOCIAL_LINKS: usize = 3;

/// A text that can't be sent as a display name or a description.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Roblox takes 1 to 50 characters.
    #[error("a display name has 1 to {MAX_DISPLAY_NAME} characters, this one has {length}")]
    NameLength {
        /// Its length in code points.
        length: usize,
    },
    /// Roblox takes up to 1000 characters.
    #[error("a description has at most {MAX_DESCRIPTION} characters, this one has {length}")]
    DescriptionLength {
        /// Its length in code points.
        length: usize,
    },
}

/// A display name of 1 to 50 code points.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DisplayName(String);

impl DisplayName {
    /// Takes a name as written.
    ///
    /// # Errors
    /// When it has no or more than 50 code points.
    pub fn new(text: &str) -> Result<Self, TextError> {
        match text.chars().count() {
            1..=MAX_DISPLAY_NAME => Ok(Self(text.to_owned())),
            length => Err(TextError::NameLength { length }),
        }
    }

    /// A name made from a file's stem, cut to 50 code points.
    pub fn from_stem(stem: &str) -> Self {
        let cut: String = stem.chars().take(MAX_DISPLAY_NAME).collect();
        Self(if cut.is_empty() { "asset".to_owned() } else { cut })
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DisplayName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A description of up to 1000 code points; an empty one clears the field at Roblox.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Description(String);

impl Description {
    /// Takes a description as written.
    ///
    /// # Errors
    /// When it has more than 1000 code points.
    pub fn new(text: &str) -> Result<Self, TextError> {
        match text.chars().count() {
            0..=MAX_DESCRIPTION => Ok(Self(text.to_owned())),
            length => Err(TextError::DescriptionLength { length }),
        }
    }

    /// The description.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The nine kinds of social links (creator-docs: reference/cloud/assets/v1.json, `SocialLink`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SocialNetwork {
    /// facebook.com
    Facebook,
    /// twitter.com
    Twitter,
    /// youtube.com
    Youtube,
    /// twitch.tv
    Twitch,
    /// discord.gg
    Discord,
    /// github.com
    Github,
    /// roblox.com
    Roblox,
    /// guilded.gg
    Guilded,
    /// devforum.roblox.com
    DevForum,
}

impl SocialNetwork {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::Facebook,
        Self::Twitter,
        Self::Youtube,
        Self::Twitch,
        Self::Discord,
        Self::Github,
        Self::Roblox,
        Self::Guilded,
        Self::DevForum,
    ];

    /// The key in the manifest.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Facebook => "facebook",
            Self::Twitter => "twitter",
            Self::Youtube => "youtube",
            Self::Twitch => "twitch",
            Self::Discord => "discord",
            Self::Github => "github",
            Self::Roblox => "roblox",
            Self::Guilded => "guilded",
            Self::DevForum => "devforum",
        }
    }

    /// The field's name on the wire and in a mask.
    pub const fn wire_name(self) -> &'static str {
        match self {
            Self::Facebook => "facebookSocialLink",
            Self::Twitter => "twitterSocialLink",
            Self::Youtube => "youtubeSocialLink",
            Self::Twitch => "twitchSocialLink",
            Self::Discord => "discordSocialLink",
            Self::Github => "githubSocialLink",
            Self::Roblox => "robloxSocialLink",
            Self::Guilded => "guildedSocialLink",
            Self::DevForum => "devForumSocialLink",
        }
    }
}

/// One social link.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocialLink {
    /// Shown nowhere on the Creator Hub, but kept.
    pub title: Option<String>,
    /// Where it leads.
    pub uri: String,
}

/// Another asset that a field names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AssetRef {
    /// An asset of this manifest, whatever ID it has.
    Address(Address),
    /// `assets/123`: an asset that Macadam doesn't manage.
    Id(AssetId),
}

impl fmt::Display for AssetRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Id(id) => write!(f, "assets/{id}"),
        }
    }
}

/// One preview picture.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Preview {
    /// The Image.
    pub asset: AssetRef,
    /// Its alternative text.
    pub alt_text: Option<String>,
}

/// A metadata field that can be updated, in the order in which updates name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// `displayName`
    DisplayName,
    /// `description`
    Description,
    /// `icon`
    Icon,
    /// `previews`
    Previews,
    /// `<network>SocialLink`
    SocialLink(SocialNetwork),
}

impl Field {
    /// The name in an `updateMask` or `readMask`.
    pub const fn wire_name(self) -> &'static str {
        match self {
            Self::DisplayName => "displayName",
            Self::Description => "description",
            Self::Icon => "icon",
            Self::Previews => "previews",
            Self::SocialLink(network) => network.wire_name(),
        }
    }

    /// The name in manifests, lockfiles, the state and messages.
    pub fn name(self) -> String {
        match self {
            Self::DisplayName => "display_name".to_owned(),
            Self::Description => "description".to_owned(),
            Self::Icon => "icon".to_owned(),
            Self::Previews => "previews".to_owned(),
            Self::SocialLink(network) => format!("social_links.{}", network.key()),
        }
    }
}

/// A name that isn't a metadata field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` isn't a metadata field")]
pub struct UnknownField(pub String);

impl FromStr for Field {
    type Err = UnknownField;

    fn from_str(text: &str) -> Result<Self, UnknownField> {
        // A lockfile has many.
        let known = match text {
            "display_name" => Some(Self::DisplayName),
            "description" => Some(Self::Description),
            "icon" => Some(Self::Icon),
            "previews" => Some(Self::Previews),
            _ => text
                .strip_prefix("social_links.")
                .and_then(|key| SocialNetwork::ALL.into_iter().find(|network| network.key() == key))
                .map(Self::SocialLink),
        };
        known.ok_or_else(|| UnknownField(text.chars().take(40).collect()))
    }
}

/// An asset's metadata by the manifest. `None` is unmanaged; an empty text or list
/// clears.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Metadata {
    /// The display name; unset, the file's stem is used at creation only.
    pub display_name: Option<DisplayName>,
    /// The description.
    pub description: Option<Description>,
    /// The icon, a square Image; `Some(None)` clears it.
    pub icon: Option<Option<AssetRef>>,
    /// All previews; an empty list clears them.
    pub previews: Option<Vec<Preview>>,
    /// Each managed link; `None` clears it.
    pub social_links: BTreeMap<SocialNetwork, Option<SocialLink>>,
}

/// The digest of the requested value of each managed field, in a form that a lockfile can carry.
pub(crate) type FieldDigests = BTreeMap<Field, FieldDigest>;

impl Metadata {
    /// The assets of this manifest that the icon and the previews show.
    pub fn references(&self) -> impl Iterator<Item = &Address> {
        self.shown().filter_map(|reference| match reference {
            AssetRef::Address(address) => Some(address),
            AssetRef::Id(_) => None,
        })
    }

    /// The assets that the icon and the previews show by their IDs.
    pub fn asset_ids(&self) -> impl Iterator<Item = AssetId> {
        self.shown().filter_map(|reference| match reference {
            AssetRef::Id(asset_id) => Some(*asset_id),
            AssetRef::Address(_) => None,
        })
    }

    fn shown(&self) -> impl Iterator<Item = &AssetRef> {
        let icon = self.icon.iter().flatten();
        icon.chain(self.previews.iter().flatten().map(|preview| &preview.asset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_counted_in_code_points() {
        assert!(DisplayName::new(&"é".repeat(50)).is_ok());
        assert_eq!(DisplayName::new(&"x".repeat(51)), Err(TextError::NameLength { length: 51 }));
        assert_eq!(DisplayName::new(""), Err(TextError::NameLength { length: 0 }));
        assert_eq!(DisplayName::from_stem(&"é".repeat(80)).as_str().chars().count(), 50);
        assert!(Description::new("").is_ok());
        assert!(Description::new(&"x".repeat(1001)).is_err());
    }

    #[test]
    fn field_names_read_back() {
        for name in ["display_name", "description", "icon", "previews", "social_links.devforum"] {
            assert_eq!(name.parse::<Field>().unwrap().name(), name);
        }
        assert!("social_links.myspace".parse::<Field>().is_err());
    }
}

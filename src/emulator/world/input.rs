//! A request after parsing and before its checks. `wire/request.rs` fills it.

use std::collections::BTreeMap;

use super::account::Principal;
use super::asset::{AssetLink, PreviewImage};
use super::content::Content;

/// The field names of social links (V1), with the hosts that each may lead to.
pub(in crate::emulator) const SOCIAL_LINKS: [(&str, &[&str]); 9] = [
    ("facebookSocialLink", &["facebook.com"]),
    ("twitterSocialLink", &["twitter.com", "x.com"]),
    ("youtubeSocialLink", &["youtube.com"]),
    ("twitchSocialLink", &["twitch.tv"]),
    ("discordSocialLink", &["discord.gg", "discord.com"]),
    ("githubSocialLink", &["github.com"]),
    ("robloxSocialLink", &["roblox.com"]),
    ("guildedSocialLink", &["guilded.gg"]),
    ("devForumSocialLink", &["devforum.roblox.com"]),
];

/// The JSON of a create or an update. Null counts as absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::emulator) struct AssetInput {
    pub(in crate::emulator) asset_type: Option<String>,
    pub(in crate::emulator) asset_id: Option<u64>,
    pub(in crate::emulator) display_name: Option<String>,
    pub(in crate::emulator) description: Option<String>,
    pub(in crate::emulator) creator: Option<Principal>,
    pub(in crate::emulator) expected_price: Option<i64>,
    pub(in crate::emulator) privacy: Option<String>,
    pub(in crate::emulator) icon: Option<u64>,
    pub(in crate::emulator) previews: Vec<PreviewImage>,
    pub(in crate::emulator) social_links: BTreeMap<String, AssetLink>,
    /// The metadata fields that the JSON names, in order.
    pub(in crate::emulator) named: Vec<String>,
}

/// The `fileContent` part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::emulator) struct FilePart {
    pub(in crate::emulator) name: Option<String>,
    pub(in crate::emulator) mime: Option<String>,
    pub(in crate::emulator) content: Content,
}

//! An asset as Roblox describes it, whole or in masked parts.

use serde::Deserialize;

use super::scalar::{Lenient, WireNumber, means, object, path_id};
use crate::model::asset::{AssetType, Moderation};
use crate::model::ids::{AssetId, Creator};
use crate::model::metadata::{SocialLink, SocialNetwork};
use crate::model::remote::{Extras, RemoteAsset};

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct AssetWire {
    path: Lenient<String>,
    asset_id: Lenient<WireNumber>,
    revision_id: Lenient<WireNumber>,
    revision_create_time: Lenient<String>,
    display_name: Lenient<String>,
    description: Lenient<String>,
    asset_type: Lenient<String>,
    creation_context: Lenient<CreationContextWire>,
    moderation_result: Lenient<ModerationWire>,
    state: Lenient<String>,
    icon: Lenient<String>,
    previews: Option<Lenient<Vec<PreviewWire>>>,
    facebook_social_link: Lenient<SocialLinkWire>,
    twitter_social_link: Lenient<SocialLinkWire>,
    youtube_social_link: Lenient<SocialLinkWire>,
    twitch_social_link: Lenient<SocialLinkWire>,
    discord_social_link: Lenient<SocialLinkWire>,
    github_social_link: Lenient<SocialLinkWire>,
    roblox_social_link: Lenient<SocialLinkWire>,
    guilded_social_link: Lenient<SocialLinkWire>,
    dev_forum_social_link: Lenient<SocialLinkWire>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct CreationContextWire {
    creator: Lenient<CreatorWire>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct CreatorWire {
    user_id: Lenient<WireNumber>,
    group_id: Lenient<WireNumber>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ModerationWire {
    moderation_state: Lenient<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PreviewWire {
    asset: String,
    #[serde(default)]
    alt_text: Lenient<String>,
}

#[derive(Debug, Deserialize)]
struct SocialLinkWire {
    #[serde(default)]
    title: Lenient<String>,
    uri: String,
}

impl CreationContextWire {
    pub(super) fn creator(&self) -> Option<Creator> {
        let creator = self.creator.0.as_ref()?;
        // The other ID is absent or, in clients' recordings of other services, 0, which is no ID.
        let group = creator.group_id.0.as_ref().and_then(WireNumber::id).map(Creator::Group);
        group.or_else(|| creator.user_id.0.as_ref().and_then(WireNumber::id).map(Creator::User))
    }
}

impl ModerationWire {
    pub(super) fn moderation(&self) -> Option<Moderation> {
        let state = self.moderation_state.0.as_deref()?;
        let known = [
            ("Reviewing", Moderation::Reviewing),
            ("Approved", Moderation::Approved),
            ("Rejected", Moderation::Rejected),
        ];
        known.into_iter().find(|(name, _)| means(state, "MODERATION_STATE_", name)).map(|(_, moderation)| moderation)
    }
}

impl AssetWire {
    /// Returns the ID in the body itself.
    pub(super) fn id(&self) -> Option<AssetId> {
        let id = self.asset_id.0.as_ref().and_then(WireNumber::id);
        id.or_else(|| path_id(self.path.0.as_deref()?, "assets"))
    }

    /// Returns the asset. A response `with_extras` answers a query for icon, previews and links, so
    /// what is absent there is unset.
    pub(super) fn into_asset(self, asset_id: AssetId, with_extras: bool) -> RemoteAsset {
        let asset_type = |text: String| AssetType::ALL.into_iter().find(|t| means(&text, "ASSET_TYPE_", t.name()));
        let social_links = [
            (SocialNetwork::Facebook, self.facebook_social_link),
            (SocialNetwork::Twitter, self.twitter_social_link),
            (SocialNetwork::Youtube, self.youtube_social_link),
            (SocialNetwork::Twitch, self.twitch_social_link),
            (SocialNetwork::Discord, self.discord_social_link),
            (SocialNetwork::Github, self.github_social_link),
            (SocialNetwork::Roblox, self.roblox_social_link),
            (SocialNetwork::Guilded, self.guilded_social_link),
            (SocialNetwork::DevForum, self.dev_forum_social_link),
        ];
        RemoteAsset {
            asset_id,
            revision: self.revision_id.0.as_ref().and_then(WireNumber::id),
            revision_created_at: self.revision_create_time.0.and_then(|time| time.parse().ok()),
            asset_type: self.asset_type.0.and_then(asset_type),
            creator: self.creation_context.0.as_ref().and_then(CreationContextWire::creator),
            display_name: self.display_name.0,
            description: self.description.0,
            moderation: self.moderation_result.0.as_ref().and_then(ModerationWire::moderation),
            archived: self.state.0.as_deref().and_then(archived),
            previews: match self.previews {
                // One unreadable preview makes the list unknown: a shortened list would look like
                // drift.
                Some(all) => all.0.and_then(|all| all.into_iter().map(PreviewWire::into_preview).collect()),
                None => with_extras.then(Vec::new),
            },
            extras: with_extras.then(|| {
                Box::new(Extras {
                    icon: self.icon.0.as_deref().and_then(|path| path_id(path, "assets")),
                    social_links: social_links
                        .into_iter()
                        .filter_map(|(network, link)| Some((network, link.0?.into_link())))
                        .collect(),
                })
            }),
        }
    }
}

impl PreviewWire {
    fn into_preview(self) -> Option<(AssetId, Option<String>)> {
        Some((path_id(&self.asset, "assets")?, self.alt_text.0))
    }
}

impl SocialLinkWire {
    fn into_link(self) -> SocialLink {
        SocialLink { title: self.title.0.filter(|title| !title.is_empty()), uri: self.uri }
    }
}

fn archived(state: &str) -> Option<bool> {
    [("Active", false), ("Archived", true)]
        .into_iter()
        .find(|(name, _)| means(state, "STATE_", name))
        .map(|(_, archived)| archived)
}

/// Reads a response about the asset `asked`. `None` if the body is no asset, or another one. Only a
/// `masked` response, which answers a query for icon, previews and links, may leave the ID out.
pub fn read_asset(body: &[u8], asked: AssetId, masked: bool) -> Option<RemoteAsset> {
    if super::error::ErrorBody::read(body, true).shape.is_own() {
        return None;
    }
    let wire: AssetWire = object(body)?;
    match wire.id() {
        Some(id) if id == asked => Some(wire.into_asset(asked, masked)),
        None if masked => Some(wire.into_asset(asked, masked)),
        Some(_) | None => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::ids::{GroupId, Revision, UserId};

    fn id(number: u64) -> AssetId {
        AssetId::new(number).unwrap()
    }

    #[test]
    fn every_dialect_gives_the_same_asset() {
        // The plain dialect as public clients recorded it in 2024 and later, the prefixed one of
        // 2023 and of GUIDE, and that of V1 with numbers.
        let plain = r#"{"path":"assets/16989283104","revisionId":"3","revisionCreateTime":"2024-04-02T22:57:45.953Z",
            "assetId":"16989283104","displayName":"suzanne","description":"a monkey","assetType":"Model",
            "creationContext":{"creator":{"userId":"45348281"}},"moderationResult":{"moderationState":"Approved"},"state":"Active"}"#;
        let prefixed = r#"{"@type":"type.googleapis.com/roblox.open_cloud.assets.v1.Asset","path":"assets/16989283104","revisionId":"3",
            "revisionCreateTime":"2023-03-02T22:27:04.062164400Z","assetId":"16989283104","displayName":"suzanne","description":"a monkey",
            "assetType":"ASSET_TYPE_MODEL","creationContext":{"creator":{"userId":"45348281"}},
            "moderationResult":{"moderationState":"MODERATION_STATE_APPROVED"},"state":"STATE_ACTIVE","future":{"a":[1]}}"#;
        let numbers = r#"{"assetId":16989283104,"revisionId":3,"displayName":"suzanne","description":"a monkey","assetType":"Model",
            "creationContext":{"creator":{"userId":45348281,"groupId":0}},"moderationResult":{"moderationState":"Approved"},"state":"Active"}"#;
        let wanted = RemoteAsset {
            revision: Some(Revision::new(3).unwrap()),
            asset_type: Some(AssetType::Model),
            creator: Some(Creator::User(UserId::new(45_348_281).unwrap())),
            display_name: Some("suzanne".to_owned()),
            description: Some("a monkey".to_owned()),
            moderation: Some(Moderation::Approved),
            archived: Some(false),
            ..RemoteAsset::unknown(id(16_989_283_104))
        };
        for body in [plain, prefixed, numbers] {
            let mut read = read_asset(body.as_bytes(), id(16_989_283_104), false).unwrap();
            let second = read.revision_created_at.take().map(|time| time.as_second());
            assert_eq!(read, wanted, "{body}");
            let spelt = body.contains("revisionCreateTime");
            assert_eq!(second.is_some(), spelt, "{body}");
        }
    }

    #[test]
    fn strange_fields_are_left_out() {
        let strange = r#"{"path":"assets/5","assetId":"5","revisionId":"latest","displayName":7,"description":null,"assetType":"TexturePack",
            "creationContext":[],"moderationResult":"Approved","state":"Unspecified","icon":5,"previews":[{"asset":"x"}],
            "twitterSocialLink":{"title":"no uri"}}"#;
        assert_eq!(read_asset(strange.as_bytes(), id(5), false), Some(RemoteAsset::unknown(id(5))));
        assert_eq!(read_asset(br#"{"path":"assets/5","assetId":""}"#, id(5), false), Some(RemoteAsset::unknown(id(5))));
    }

    #[test]
    fn masked_parts_may_leave_the_id_out() {
        let body = r#"{"icon":"assets/7","previews":[{"asset":"assets/8","altText":"front"},{"asset":"assets/9"}],
            "devForumSocialLink":{"uri":"https://devforum.roblox.com/x","title":""},"creationContext":{"creator":{"groupId":"44"}}}"#;
        let link = SocialLink { title: None, uri: "https://devforum.roblox.com/x".to_owned() };
        let wanted = RemoteAsset {
            extras: Some(Box::new(Extras {
                icon: Some(id(7)),
                social_links: BTreeMap::from([(SocialNetwork::DevForum, link)]),
            })),
            previews: Some(vec![(id(8), Some("front".to_owned())), (id(9), None)]),
            creator: Some(Creator::Group(GroupId::new(44).unwrap())),
            ..RemoteAsset::unknown(id(5))
        };
        assert_eq!(read_asset(body.as_bytes(), id(5), true), Some(wanted));
    }

    #[test]
    fn previews_that_can_not_be_read_are_unknown_and_absent_ones_are_unset() {
        let previews = |body: &str| read_asset(body.as_bytes(), id(5), true).unwrap().previews;
        for unset in ["{}", r#"{"previews":[]}"#, r#"{"previews":null}"#] {
            assert_eq!(previews(unset), Some(Vec::new()), "{unset}");
        }
        for unreadable in [r#"{"previews":[{"asset":"x"}]}"#, r#"{"previews":7}"#] {
            assert_eq!(previews(unreadable), None, "{unreadable}");
        }
        let unasked = read_asset(br#"{"assetId":"5","icon":"assets/7"}"#, id(5), false).unwrap();
        assert_eq!((unasked.previews, unasked.extras), (None, None));
    }

    #[test]
    fn every_social_network_is_read_under_its_wire_name() {
        for network in SocialNetwork::ALL {
            let body = format!(r#"{{"{}":{{"uri":"u","title":"t"}}}}"#, network.wire_name());
            let link = SocialLink { title: Some("t".to_owned()), uri: "u".to_owned() };
            assert_eq!(
                read_asset(body.as_bytes(), id(5), true).unwrap().extras.unwrap().social_links,
                BTreeMap::from([(network, link)]),
                "{body}"
            );
        }
    }

    #[test]
    fn another_asset_or_no_asset_is_none() {
        for body in [
            r#"{"assetId":"6"}"#,
            r#"{"path":"assets/6"}"#,
            r#"{"code":"NOT_FOUND","message":"no"}"#,
            r#"{"errors":[{"code":0,"message":""}]}"#,
            "[]",
            "\"x\"",
            "",
            "<html>",
            r#"{"assetId":"5""#,
        ] {
            assert_eq!(read_asset(body.as_bytes(), id(5), true), None, "{body}");
        }
        assert_eq!(read_asset(b"{}", id(5), false), None);
    }
}

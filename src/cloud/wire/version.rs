//! Versions of an asset, and paged lists of them.

use std::collections::HashSet;

use serde::Deserialize;

use super::asset::{CreationContextWire, ModerationWire};
use super::error::ErrorBody;
use super::scalar::{Flag, Lenient, object, path_id};
use crate::model::asset::Moderation;
use crate::model::ids::{AssetId, Creator, Revision};

/// The page size to ask for: the largest that V1 allows, since fewer pages are fewer requests.
pub(in crate::cloud) const PAGE: usize = 50;

/// The most pages in a list: 10,000 versions at 50 a page. A longer list is a loop, or not made by
/// a person.
const MAX_PAGES: usize = 200;

/// One version of an asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoteVersion {
    /// Its number.
    pub revision: Revision,
    /// Its moderation state.
    pub moderation: Option<Moderation>,
    /// Its owner.
    pub creator: Option<Creator>,
    /// Whether it is the one in use. V1 mentions it for places only, but a public client saw it on
    /// a Model. A false value is left out there too.
    pub published: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct VersionWire {
    path: String,
    #[serde(default)]
    creation_context: Lenient<CreationContextWire>,
    #[serde(default)]
    moderation_result: Lenient<ModerationWire>,
    #[serde(default)]
    published: Lenient<Flag>,
}

impl VersionWire {
    fn into_version(self, asked: AssetId) -> Option<RemoteVersion> {
        (path_id(&self.path, "assets") == Some(asked)).then_some(())?;
        Some(RemoteVersion {
            revision: path_id(&self.path, "versions")?,
            moderation: self.moderation_result.0.as_ref().and_then(ModerationWire::moderation),
            creator: self.creation_context.0.as_ref().and_then(CreationContextWire::creator),
            published: self.published.0.map(|flag| flag.is_set()),
        })
    }
}

/// Reads one version of the asset `asked`. `None` if the body is no version, or another asset's.
pub fn read_version(body: &[u8], asked: AssetId) -> Option<RemoteVersion> {
    object::<VersionWire>(body)?.into_version(asked)
}

/// All versions of an asset, newest first, gathered page by page. Each page is a separate request,
/// for which the caller acquires a permit.
#[derive(Debug)]
pub struct VersionList {
    asset_id: AssetId,
    versions: Vec<RemoteVersion>,
    next: Option<String>,
    asked: HashSet<String>,
    complete: bool,
    bare: bool,
}

/// The reason why a page can't be added to a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cloud) enum PageError {
    /// It holds no versions of this asset.
    Unreadable,
    /// It leads back to a page that was read, or the list never ends.
    Endless,
}

impl VersionList {
    /// Makes an empty list, before its first page.
    pub fn new(asset_id: AssetId) -> Self {
        Self { asset_id, versions: Vec::new(), next: None, asked: HashSet::new(), complete: false, bare: false }
    }

    /// Returns the asset whose versions these are.
    pub const fn asset_id(&self) -> AssetId {
        self.asset_id
    }

    /// Whether the last page was read.
    pub const fn is_complete(&self) -> bool {
        self.complete
    }

    /// Whether a complete list may lack older versions. V1's bare array has no token for a next
    /// page, so it may have been cut.
    pub const fn may_be_cut(&self) -> bool {
        self.bare
    }

    /// Returns the versions read so far, newest first.
    pub fn versions(&self) -> &[RemoteVersion] {
        &self.versions
    }

    /// Returns the token of the next page; the first page has none.
    pub(in crate::cloud) fn page_token(&self) -> Option<&str> {
        self.next.as_deref()
    }

    /// Adds one page: an object with `nextPageToken` as observed, or the bare array of V1.
    pub(in crate::cloud) fn add(&mut self, body: &[u8]) -> Result<(), PageError> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum VersionPageForm {
            Bare(Vec<VersionWire>),
            Object(PageWire),
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct PageWire {
            // Absent when it would be empty. A version that can't be read makes the page
            // unreadable: the missing one may be the head.
            asset_versions: Option<Vec<VersionWire>>,
            #[serde(default)]
            next_page_token: Lenient<String>,
        }
        if ErrorBody::read(body, true).shape.is_own() {
            return Err(PageError::Unreadable);
        }
        let (versions, token, bare) = match serde_json::from_slice(body).map_err(|_| PageError::Unreadable)? {
            VersionPageForm::Bare(versions) => (versions, None, true),
            VersionPageForm::Object(page) => (page.asset_versions.unwrap_or_default(), page.next_page_token.0, false),
        };
        let versions: Option<Vec<_>> = versions.into_iter().map(|wire| wire.into_version(self.asset_id)).collect();
        let versions = versions.ok_or(PageError::Unreadable)?;
        let token = token.filter(|token| !token.is_empty());
        if let Some(token) = &token
            && (self.asked.len() + 1 >= MAX_PAGES || !self.asked.insert(token.clone()))
        {
            return Err(PageError::Endless);
        }
        self.versions.extend(versions);
        self.complete = token.is_none();
        self.bare = bare;
        self.next = token;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn asset() -> AssetId {
        AssetId::new(5).unwrap()
    }

    fn version(number: u64, moderation: Option<Moderation>) -> RemoteVersion {
        RemoteVersion { revision: Revision::new(number).unwrap(), moderation, creator: None, published: None }
    }

    #[test]
    fn pages_are_read_in_both_forms() {
        let check = |bodies: &[&str], wanted: &[u64], complete: bool| {
            let mut list = VersionList::new(asset());
            for body in bodies {
                list.add(body.as_bytes()).unwrap();
            }
            let numbers: Vec<u64> = list.versions().iter().map(|version| version.revision.get()).collect();
            assert_eq!((numbers.as_slice(), list.is_complete()), (wanted, complete), "{bodies:?}");
            assert_eq!(list.may_be_cut(), bodies[0].starts_with('['), "{bodies:?}");
        };
        let first =
            r#"{"assetVersions":[{"path":"assets/5/versions/3"},{"path":"assets/5/versions/2"}],"nextPageToken":"t"}"#;
        let last = r#"{"assetVersions":[{"path":"assets/5/versions/1","published":true}],"nextPageToken":""}"#;
        check(&[first], &[3, 2], false);
        check(&[first, last], &[3, 2, 1], true);
        check(&[r#"[{"path":"assets/5/versions/2"},{"path":"assets/5/versions/1"}]"#], &[2, 1], true);
        check(&["{}"], &[], true);
        check(&["[]"], &[], true);
        check(&[r#"{"assetVersions":null,"nextPageToken":null}"#], &[], true);
    }

    #[test]
    fn unreadable_pages_add_nothing() {
        for body in [
            "",
            "null",
            "\"x\"",
            "<html>",
            r#"{"assetVersions":[{"path":"assets/5"}]}"#,
            r#"{"assetVersions":[{"path":"assets/6/versions/1"}]}"#,
            r#"{"assetVersions":[{}]}"#,
            r#"{"assetVersions":"none"}"#,
            r#"{"errors":[{"code":0,"message":""}]}"#,
            r#"{"code":"INTERNAL","message":"x"}"#,
        ] {
            let mut list = VersionList::new(asset());
            assert_eq!(list.add(body.as_bytes()), Err(PageError::Unreadable), "{body}");
            assert!(!list.is_complete() && list.versions().is_empty());
        }
    }

    #[test]
    fn a_page_that_leads_back_ends_the_list() {
        let page = |number: usize, token: &str| {
            format!(r#"{{"assetVersions":[{{"path":"assets/5/versions/{number}"}}],"nextPageToken":"{token}"}}"#)
        };
        let mut list = VersionList::new(asset());
        list.add(page(3, "a").as_bytes()).unwrap();
        list.add(page(2, "b").as_bytes()).unwrap();
        assert_eq!(list.add(page(1, "a").as_bytes()), Err(PageError::Endless));
        let mut list = VersionList::new(asset());
        let pages = (1..=MAX_PAGES).take_while(|n| list.add(page(*n, &n.to_string()).as_bytes()).is_ok()).count();
        assert_eq!(pages, MAX_PAGES - 1);
    }

    #[test]
    fn one_version_is_read() {
        let body = r#"{"path":"assets/5/versions/4","creationContext":{"creator":{"userId":"1"}},
            "moderationResult":{"moderationState":"MODERATION_STATE_REJECTED"},"published":true}"#;
        let read = read_version(body.as_bytes(), asset()).unwrap();
        assert_eq!(read.published, Some(true));
        assert_eq!(RemoteVersion { creator: None, published: None, ..read }, version(4, Some(Moderation::Rejected)));
        assert_eq!(read.creator.unwrap().to_string(), "user:1");
        let numbered = read_version(br#"{"path":"assets/5/versions/4"}"#, asset());
        assert_eq!(numbered, Some(version(4, None)));
        assert_eq!(read_version(br#"{"path":"assets/6/versions/4"}"#, asset()), None);
        assert_eq!(read_version(br#"{"path":"assets/5/versions/0"}"#, asset()), None);
    }

    proptest! {
        #[test]
        fn no_bytes_panic_the_readers(body in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = VersionList::new(asset()).add(&body);
            let _ = read_version(&body, asset());
        }
    }
}

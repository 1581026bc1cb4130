//! The TOML values of a lockfile, checked by the model's constructors. TOML adds the place to an
//! error.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};
use toml::Spanned;

use super::{LockfileEntry, OpenWork};
use crate::model::asset::{AssetType, Privacy};
use crate::model::desired::Pin;
use crate::model::digest::FieldDigest;
use crate::model::forgotten::Forgotten;
use crate::model::history::{Kind, Listing, RevisionFact, RevisionKey, RevisionState};
use crate::model::ids::{AssetId, ContentHash, Creator, OperationId, Revision, UploadId};
use crate::model::metadata::{Field, FieldDigests};
use crate::model::path::ProjectPath;
use crate::model::phase::Intent;
use crate::model::recorded::{Identity, PinnedAt, PossibleDuplicate, RetireReason, Retirement};
use crate::state::spelling;

/// A value that is written as a string.
pub(super) trait Spelled: Sized {
    fn read(text: &str) -> Result<Self, String>;
}

/// A value that is written as a number.
pub(super) trait Numbered: Sized {
    fn read(number: u64) -> Result<Self, String>;
}

macro_rules! spelled {
    ($($name:ty => $read:expr;)*) => {
        $(impl Spelled for $name {
            fn read(text: &str) -> Result<Self, String> {
                let read = $read;
                read(text)
            }
        })*
    };
}

fn parse<T: std::str::FromStr<Err: fmt::Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

fn word<T>(what: &str, text: &str, read: impl FnOnce(&str) -> Option<T>) -> Result<T, String> {
    read(text).ok_or_else(|| format!("`{}` isn't a {what}", text.chars().take(40).collect::<String>()))
}

spelled! {
    AssetType => parse;
    Creator => parse;
    ContentHash => parse;
    UploadId => parse;
    Field => parse;
    FieldDigest => parse;
    Privacy => |text: &str| word("privacy", text, Self::from_name);
    RetireReason => |text: &str| word("reason to leave", text, Self::from_name);
    RevisionState => |text: &str| word("state", text, Self::from_name);
    Pin => |text: &str| word("pin", text, spelling::parse_pin);
    ProjectPath => |text: &str| Self::new(text).map_err(|error| error.to_string());
    OperationId => |text: &str| Self::new(text).map_err(|error| error.to_string());
    Timestamp => |text: &str| word("time like 2026-11-30T04:05:00Z", text, time);
}

/// Reads a time that is written as Macadam writes it: in UTC, to the second.
fn time(text: &str) -> Option<Timestamp> {
    let at: Timestamp = text.parse().ok()?;
    (at.subsec_nanosecond() == 0 && at.to_string() == text).then_some(at)
}

impl Numbered for AssetId {
    fn read(number: u64) -> Result<Self, String> {
        Self::new(number).map_err(|error| error.to_string())
    }
}

impl Numbered for Revision {
    fn read(number: u64) -> Result<Self, String> {
        Self::new(number).map_err(|error| error.to_string())
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TextForm<T>(pub(super) T);
pub(super) struct NumberForm<T>(pub(super) T);

impl<'de, T: Spelled> Deserialize<'de> for TextForm<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read<T>(PhantomData<T>);
        impl<T: Spelled> Visitor<'_> for Read<T> {
            type Value = TextForm<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<TextForm<T>, E> {
                T::read(text).map(TextForm).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Read(PhantomData))
    }
}

impl<'de, T: Numbered> Deserialize<'de> for NumberForm<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u64::deserialize(deserializer)?;
        T::read(number).map(NumberForm).map_err(D::Error::custom)
    }
}

#[derive(Deserialize, Default)]
#[serde(transparent)]
pub(super) struct FieldsText(pub(super) BTreeMap<TextForm<Field>, TextForm<FieldDigest>>);

impl FieldsText {
    fn read(self) -> FieldDigests {
        self.0.into_iter().map(|(TextForm(field), TextForm(digest))| (field, digest)).collect()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EntryText {
    #[serde(rename = "type")]
    asset_type: TextForm<AssetType>,
    creator: TextForm<Creator>,
    pub(super) privacy: Option<TextForm<Privacy>>,
    pub(super) path: Option<TextForm<ProjectPath>>,
    #[serde(default)]
    pub(super) removed: bool,
    current: Option<NumberForm<AssetId>>,
    pinned: Option<PinnedText>,
    #[serde(default)]
    pub(super) asked: FieldsText,
    #[serde(default)]
    pub(super) stored: FieldsText,
    #[serde(default)]
    pub(super) revisions: Vec<RevisionText>,
    #[serde(default)]
    pub(super) retirements: Vec<RetirementText>,
    #[serde(default)]
    possible_duplicates: Vec<PossibleDuplicateText>,
    #[serde(default)]
    open: Vec<Spanned<OpenKeys>>,
}

impl EntryText {
    /// An entry with nothing but these.
    pub(super) fn new(asset_type: TextForm<AssetType>, creator: TextForm<Creator>) -> Self {
        Self {
            asset_type,
            creator,
            privacy: None,
            path: None,
            removed: false,
            current: None,
            pinned: None,
            asked: FieldsText::default(),
            stored: FieldsText::default(),
            revisions: Vec::new(),
            retirements: Vec::new(),
            possible_duplicates: Vec::new(),
            open: Vec::new(),
        }
    }

    /// Returns the entry of `address`, which is also its path where none is written. The error says
    /// what is wrong, and at which byte if that is known.
    pub(super) fn read(self, address: &str) -> Result<LockfileEntry, (String, Option<usize>)> {
        let Self { asset_type, creator, privacy, path, removed, current, pinned, .. } = self;
        let Self { asked, stored, revisions, retirements, possible_duplicates, open, .. } = self;
        let path = match path {
            Some(TextForm(path)) => path,
            None => ProjectPath::new(address).map_err(|error| {
                let address: String = address.chars().take(80).collect();
                (format!("`{address}` needs a `path`: {error}"), None)
            })?,
        };
        let privacy = privacy.map(|TextForm(privacy)| privacy).unwrap_or_default();
        let mut entry = LockfileEntry::new(Identity { asset_type: asset_type.0, creator: creator.0, privacy, path });
        let kind = entry.identity.kind();
        for text in revisions {
            let (key, fact, listing) = text.read(kind);
            entry.history.add(key, fact);
            let known = entry.history.listing(key.asset_id);
            entry.history.list(key.asset_id, known.max(Some(listing)));
        }
        entry.asked = asked.read();
        entry.stored = stored.read();
        for text in retirements {
            let (asset_id, retirement) = text.read();
            let known = entry.retirements.get(&asset_id).map_or(retirement, |known| known.union(retirement));
            entry.retirements.insert(asset_id, known);
        }
        entry.current = current.map(|NumberForm(asset_id)| asset_id);
        entry.pinned = pinned.map(PinnedText::read);
        entry.removed = removed;
        for PossibleDuplicateText { upload: TextForm(upload), content_hash: TextForm(content), settled } in
            possible_duplicates
        {
            let duplicate = PossibleDuplicate { content, settled };
            let known = entry.possible_duplicates.get(&upload).map_or(duplicate, |known| known.union(duplicate));
            entry.possible_duplicates.insert(upload, known);
        }
        for keys in open {
            let at = keys.span().start;
            entry.open.push(keys.into_inner().read().map_err(|message| (message, Some(at)))?);
        }
        entry.normalize();
        Ok(entry)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PinnedText {
    pin: TextForm<Pin>,
    asset_id: NumberForm<AssetId>,
    revision: Option<NumberForm<Revision>>,
    newest: Option<NumberForm<Revision>>,
}

impl PinnedText {
    fn read(self) -> PinnedAt {
        let Self { pin, asset_id, revision, newest } = self;
        let at = RevisionKey { asset_id: asset_id.0, version: revision.map(|NumberForm(revision)| revision) };
        PinnedAt { pin: pin.0, at, newest: newest.map(|NumberForm(newest)| newest) }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RevisionText {
    pub(super) asset_id: NumberForm<AssetId>,
    pub(super) revision: Option<NumberForm<Revision>>,
    pub(super) ordinal: Option<u32>,
    pub(super) content_hash: Option<TextForm<ContentHash>>,
    pub(super) state: Option<TextForm<RevisionState>>,
    pub(super) round: Option<u32>,
    #[serde(default)]
    pub(super) shared: bool,
    #[serde(default)]
    pub(super) duplicate: bool,
    #[serde(rename = "type")]
    pub(super) asset_type: Option<TextForm<AssetType>>,
    pub(super) creator: Option<TextForm<Creator>>,
    #[serde(default)]
    pub(super) disputed: bool,
    #[serde(default)]
    pub(super) era: u32,
}

impl RevisionText {
    /// Returns the revision of an entry of this kind, and the lockfile's listing of its asset.
    fn read(self, of: Kind) -> (RevisionKey, RevisionFact, Listing) {
        let Self { asset_id, revision, ordinal, content_hash, state, round, shared, duplicate, .. } = self;
        let Self { asset_type, creator, disputed, era, .. } = self;
        let asset_type = asset_type.map_or(of.asset_type, |TextForm(asset_type)| asset_type);
        let creator = creator.map_or(of.creator, |TextForm(creator)| creator);
        let key = RevisionKey { asset_id: asset_id.0, version: revision.map(|NumberForm(revision)| revision) };
        let fact = RevisionFact {
            ordinal: ordinal.unwrap_or(1),
            content: content_hash.map(|TextForm(content)| content),
            state: state.map(|TextForm(state)| state).unwrap_or_default(),
            round: round.unwrap_or_default(),
            shared,
            kind: Some(Kind { asset_type, creator }),
            disputed,
            era,
            made: None,
        };
        (key, fact, if duplicate { Listing::Duplicate } else { Listing::Listed })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RetirementText {
    pub(super) asset_id: NumberForm<AssetId>,
    pub(super) why: TextForm<RetireReason>,
    pub(super) since: TextForm<Timestamp>,
    pub(super) archived_at: Option<TextForm<Timestamp>>,
}

impl RetirementText {
    fn read(self) -> (AssetId, Retirement) {
        let Self { asset_id: NumberForm(asset_id), why: TextForm(why), since: TextForm(since), archived_at } = self;
        (asset_id, Retirement { why, since, archived_at: archived_at.map(|TextForm(at)| at) })
    }
}

/// The assets that one address forgot, and how often.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct ForgottenText(BTreeMap<String, u32>);

impl ForgottenText {
    pub(super) fn read(self) -> Result<Forgotten, String> {
        let mut forgotten = Forgotten::new();
        for (asset_id, times) in self.0 {
            if times == 0 {
                return Err(format!("asset {asset_id} was forgotten 0 times"));
            }
            forgotten.raise(asset_id.parse::<AssetId>().map_err(|error| error.to_string())?, times);
        }
        Ok(forgotten)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PossibleDuplicateText {
    upload: TextForm<UploadId>,
    content_hash: TextForm<ContentHash>,
    #[serde(default)]
    settled: bool,
}

/// All keys that open work can have; its action decides which ones it must have.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OpenKeys {
    action: String,
    asset_id: Option<NumberForm<AssetId>>,
    content_hash: Option<TextForm<ContentHash>>,
    asked: Option<FieldsText>,
    upload: Option<TextForm<UploadId>>,
    costly: Option<bool>,
    head: Option<NumberForm<Revision>>,
    to: Option<NumberForm<Revision>>,
    operation: Option<TextForm<OperationId>>,
    #[serde(default)]
    set_aside: bool,
    doubts: Option<u32>,
}

impl OpenKeys {
    fn read(self) -> Result<OpenWork, String> {
        let OpenKeys { action, mut asset_id, mut content_hash, mut asked, mut costly, .. } = self;
        let OpenKeys { mut upload, mut head, mut to, operation, set_aside, mut doubts, .. } = self;
        let missing = |key: &str| format!("`{action}` needs `{key}`");
        let mut asset = || asset_id.take().map(|NumberForm(id)| id).ok_or_else(|| missing("asset_id"));
        let mut content = || content_hash.take().map(|TextForm(hash)| hash).ok_or_else(|| missing("content_hash"));
        let intent = match action.as_str() {
            "create" | "replace" => Intent::Create {
                content: content()?,
                upload: upload.take().map(|TextForm(upload)| upload).ok_or_else(|| missing("upload"))?,
                fields: asked.take().unwrap_or_default().read(),
                costly: costly.take().unwrap_or(false),
                replaces: if action == "replace" { Some(asset()?) } else { None },
            },
            "update_content" => Intent::UpdateContent {
                asset_id: asset()?,
                content: content()?,
                head: head.take().map(|NumberForm(head)| head),
            },
            "update_metadata" => Intent::UpdateMetadata {
                asset_id: asset()?,
                fields: asked.take().ok_or_else(|| missing("asked"))?.read(),
            },
            "rollback" => Intent::Rollback {
                asset_id: asset()?,
                to: to.take().map(|NumberForm(to)| to).ok_or_else(|| missing("to"))?,
            },
            "archive" => Intent::Archive { asset_id: asset()? },
            "restore" => Intent::Restore { asset_id: asset()? },
            other => return Err(format!("`{}` isn't an action", other.chars().take(40).collect::<String>())),
        };
        let before = if matches!(intent, Intent::Create { .. }) { doubts.take().unwrap_or(0) } else { 0 };
        // Without an operation, only work that may have made a revision is written down: reading
        // the asset shows the result of anything else.
        if operation.is_none() && !intent.may_make_a_revision() {
            return Err(missing("operation"));
        }
        let left = [
            ("asset_id", asset_id.is_some()),
            ("content_hash", content_hash.is_some()),
            ("asked", asked.is_some()),
            ("upload", upload.is_some()),
            ("costly", costly.is_some()),
            ("head", head.is_some()),
            ("to", to.is_some()),
            ("doubts", doubts.is_some()),
        ];
        match left.into_iter().find(|(_, left)| *left) {
            Some((key, _)) => Err(format!("`{action}` has no `{key}`")),
            None => {
                let operation = operation.map(|TextForm(operation)| operation);
                Ok(OpenWork { intent, operation, set_aside, doubts: before })
            }
        }
    }
}

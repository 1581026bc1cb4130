//! The sentences and hints of [`HoldReason`].

use std::fmt;

use super::{BlockedChange, HoldReason};
use crate::model::address::Address;
use crate::model::desired::{AbsenceReason, NeverCommitted, StrayPlace};
use crate::model::ids::{AssetId, Creator};
use crate::model::minute::Minute;
use crate::model::neighbours::KnownAsset;
use crate::model::observation::{ANSWERS_UNTIL_GONE, Mismatch, NotFound};
use crate::model::phase::IntentKind;
use crate::model::proposed::quoted;
use crate::model::recorded::{RefusalKind, RetireReason};
use crate::model::shown::foreign;
use crate::model::unseen_history::FETCH_ALL;
use crate::plan::pinnable::shown;
use crate::plan::reason::MoveEvidence;
use crate::plan::reason::lost_upload::resolve_hint;
use crate::plan::reason::step::ReplaceCause;
use crate::plan::reason::why_text;
use crate::plan::reason::{AddressNames, Place, WithArticle};
use crate::plan::step::HeldPart;

impl HoldReason {
    /// The next thing to do for a person; `None` where nothing has to be done.
    pub(crate) fn hint(&self, address: &Address, part: HeldPart) -> Option<String> {
        Some(match self {
            Self::File(problem) => return problem.hint.clone(),
            Self::QuotaSpent { .. } => return None,
            Self::TypeUnknown => "set `type`".to_owned(),
            Self::NoAnswer { upload, .. } | Self::AnswerLost { upload, .. } => resolve_hint(address, upload),
            Self::CreatorChanged { has_old: true, .. } => {
                "`macadam recreate --creator` goes back to the asset that it had for this owner".to_owned()
            }
            Self::CreatorChanged { has_old: false, .. } => {
                "to keep the asset, change the owner back in the manifest; to upload new assets for the new owner, run `macadam recreate --creator`".to_owned()
            }
            Self::TypeChanged { .. } => format!("to keep the asset, change the type back; to upload a new one, run `macadam forget {address:#}`"),
            Self::SameAsset { .. } => {
                "`macadam forget` the one that it doesn't belong to, or remove that one from the manifest".to_owned()
            }
            Self::FileOfAnother { path, owner, missing, .. } => {
                let (path, missing) = (foreign(path.as_str()), foreign(missing.as_str()));
                format!("if it is `{owner}`, write `path = \"{path}\"` there; if it is another asset, it is uploaded once `{missing}` is there")
            }
            Self::Refused { refusal_kind: RefusalKind::DisplayName, .. } => {
                "give it another `display_name` in its own entry under [assets], or set `policy.moderated_name = \"neutral\"`".to_owned()
            }
            Self::Refused { refusal_kind: RefusalKind::Price { robux }, .. } => price_hint(*robux),
            Self::Refused { refusal_kind: RefusalKind::Other, .. } => match part {
                HeldPart::Metadata => format!("change its settings in the manifest, or run `macadam retry {address:#}`"),
                HeldPart::Asset | HeldPart::Archiving => {
                    format!("change the file or its settings, or run `macadam retry {address:#}`")
                }
            },
            Self::ArchivingRefused { why, .. } => {
                let leave = match why {
                    RetireReason::Replaced => "set `policy.replaced = \"keep\"`".to_owned(),
                    RetireReason::Removed | RetireReason::ByHand => format!("`macadam forget {address:#}`"),
                };
                format!("`macadam retry {address:#}` tries it again; to leave the asset as it is, {leave}")
            }
            Self::Rejected { .. } => "change the file; uploading the same content again puts the account at risk".to_owned(),
            Self::AssetGone | Self::ContentGone { .. } => gone_hint(address),
            Self::ReplaceForbidden(_) => "set `prevent_replace = false`, or undo the change".to_owned(),
            Self::MayBeRenamed { from, asset_id } => {
                let first = from.first().map_or("it", Address::as_str);
                format!(
                    "`macadam import {address:#} {asset_id}` if it is `{first}`; `prevent_replace = false` if it is a new asset"
                )
            }
            Self::MadeElsewhere { .. } | Self::RolledBackElsewhere { .. } => overwrite_hint(address),
            Self::Archived { change: BlockedChange::Sharing { owner }, .. } => format!("`macadam restore {owner:#}`"),
            Self::Archived { .. } => format!("`macadam restore {address:#}`"),
            Self::OneOfSeveralNew { from, asset_id, .. } => choice_hint(address, &[(from, *asset_id)]),
            Self::OneOfSeveralLeft { from, asset_ids, .. } => {
                choice_hint(address, &from.iter().zip(asset_ids.iter().copied()).collect::<Vec<_>>())
            }
            Self::MayHaveMoved { why, .. } => format!("{}, so that nothing is uploaded twice", with_all_files(why)),
            Self::StillNamed { new: Some(new), .. } => format!("write `{new}` there"),
            Self::StillNamed { new: None, .. } => {
                "remove the reference, or put the asset back into the manifest".to_owned()
            }
            Self::MayBeNamed { named, place } => {
                let then = match place {
                    StrayPlace::Pin(_) => "remove that pin",
                    StrayPlace::Icon { .. } => "choose another icon there",
                    StrayPlace::Preview { .. } => "choose another preview there",
                };
                format!("write `{address}` there if it is `{named}`; {then} if it is another asset")
            }
            Self::SharedUpload { owner } => format!("see `macadam status {owner:#}`"),
            Self::NeverCommitted { path, part } => {
                let commit = match part {
                    NeverCommitted::File => {
                        format!("add {} to git and commit it on the machine that has it", quoted(&foreign(path.as_str())))
                    }
                    NeverCommitted::Entry => "commit the manifest on the machine that uploaded it".to_owned(),
                    NeverCommitted::Unknown => "clone the repository anew, with its whole history".to_owned(),
                    NeverCommitted::Shallow => FETCH_ALL.to_owned(),
                };
                format!(
                    "{commit}; if nobody wants it any more, `macadam archive {address:#}` or `macadam forget {address:#}`"
                )
            }
            Self::KnownElsewhere { known, .. } => {
                let KnownAsset { asset_id, is_same_content } = *known;
                let matches = if is_same_content { " --content-matches" } else { "" };
                format!(
                    "`macadam import {address:#} {asset_id}{matches}` shares it; `macadam sync --once --accept-new-lockfile` uploads one of its own"
                )
            }
            Self::LockfileLost(lost) => lost.hint(),
            Self::HistoryUnseen(gap) => gap.hint(),
            Self::NotFound { known, .. } => asked_again(*known),
            Self::AnotherAsset(mismatch) => mismatch.hint().to_owned(),
            Self::NotAsClaimed(mismatch) => claim_hint(*mismatch),
            Self::Unverified { .. } => "`macadam sync` checks that first, and continues by itself".to_owned(),
            Self::Contradiction(contradiction) => {
                let asset_id = contradiction.asset_id();
                format!(
                    "look at https://create.roblox.com/store/asset/{asset_id}, then `macadam forget` the address that is wrong; where that is `{address}` itself, \
                     `macadam import {address:#} ASSET_ID` gives it the right asset"
                )
            }
            Self::PinUnusable { usable, .. } => usable.to_string(),
            Self::PinnedTooEarly { .. } => format!("`macadam unpin {address:#}`"),
            Self::ManyArchivings { code, .. } => format!("if that is right: `macadam sync --once --confirm {code}`"),
        })
    }
}

impl HoldReason {
    /// The same for several addresses that Roblox refused in the same words.
    pub(crate) fn hint_for_several(&self) -> Option<String> {
        match self {
            Self::Refused { refusal_kind: RefusalKind::Other, .. } => {
                Some("change the files or their settings, or run `macadam retry --all`".to_owned())
            }
            _ => None,
        }
    }
}

impl fmt::Display for HoldReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(problem) => f.write_str(&problem.message),
            Self::TypeUnknown => f.write_str("Macadam can't tell its type from the file"),
            Self::NoAnswer { upload, in_a_row } => {
                match (&upload.sent_at, in_a_row) {
                    (Some(at), 0 | 1) => write!(f, "its upload of {} got no clear answer", Minute(*at))?,
                    (Some(at), times) => {
                        write!(f, "its last {times} uploads, the latest of {}, got no clear answer", Minute(*at))?;
                    }
                    (None, 0 | 1) => f.write_str("its upload from another machine got no clear answer")?,
                    (None, times) => {
                        write!(f, "its last {times} uploads, the latest from another machine, got no clear answer")?;
                    }
                }
                f.write_str(", so it is unknown whether Roblox has it")
            }
            Self::AnswerLost { said, upload } => {
                f.write_str("Roblox has probably made its asset, but Macadam didn't learn which")?;
                said.as_ref().map_or(Ok(()), |said| write!(f, " ({said})"))?;
                match &upload.sent_at {
                    Some(at) => write!(f, "; it was uploaded at {}", Minute(*at)),
                    None => f.write_str("; it was uploaded from another machine"),
                }
            }
            Self::CreatorChanged { from, to, .. } => {
                write!(f, "its owner changed from {} to {}", from.in_words(), to.in_words())
            }
            Self::TypeChanged { from, to } => write!(f, "its type changed from {from} to {to}"),
            Self::SameAsset { other } => write!(f, "`{other}` has the same asset"),
            Self::FileOfAnother { owner, missing, evidence, .. } => {
                let (has, whose) = match evidence {
                    MoveEvidence::File => ("this is the file", "path"),
                    MoveEvidence::Content | MoveEvidence::PinnedRevision => ("these are the bytes", "file"),
                };
                write!(f, "{has} of `{owner}`, whose {whose} `{}` doesn't exist", foreign(missing.as_str()))
            }
            Self::Refused { action, message, .. } => write!(f, "Roblox refused {}: {message}", refused(*action)),
            Self::ArchivingRefused { asset_id, why, message } => {
                write!(f, "asset {asset_id} {}, but Roblox refused to archive it: {message}", why_text(*why))
            }
            Self::Rejected { uploaded_as: None } => f.write_str("Roblox's moderation rejected this content"),
            Self::Rejected { uploaded_as: Some(other) } => {
                write!(f, "Roblox's moderation rejected this content, uploaded as `{other}`")
            }
            Self::AssetGone => f.write_str("Roblox no longer has its asset"),
            Self::ContentGone { asset_id } => {
                write!(f, "its file is again the one of asset {asset_id}, which Roblox no longer has")
            }
            Self::ReplaceForbidden(cause) => {
                match cause {
                    ReplaceCause::ContentChanged(asset_type) => {
                        write!(f, "the file changed and Roblox can't update {}", WithArticle(*asset_type))?;
                    }
                    ReplaceCause::ContentUnknown(asset_type, asset_id) => write!(
                        f,
                        "Macadam can't compare asset {asset_id} with the file, Roblox can't update {}",
                        WithArticle(*asset_type)
                    )?,
                    ReplaceCause::AssetGone => f.write_str("Roblox no longer has its asset")?,
                    ReplaceCause::Splits => f.write_str("it shares an asset but has other metadata")?,
                }
                f.write_str(", and `prevent_replace` forbids a new asset ID")
            }
            Self::MayBeRenamed { from, .. } => write!(
                f,
                "it may be {}, which left in the same change, renamed and edited; `prevent_replace` forbids a new asset ID",
                AddressNames(from)
            ),
            Self::QuotaSpent { asset_type, creator, message, until } => write!(
                f,
                "the {asset_type} uploads of {} are used up ({message}); Macadam tries again by itself after {}",
                creator.in_words(),
                Minute(*until)
            ),
            Self::MadeElsewhere { asset_id, version: Some(version) } => {
                write!(f, "revision {version} of asset {asset_id} was made on Roblox, outside of Macadam")
            }
            Self::MadeElsewhere { asset_id, version: None } => {
                write!(f, "a newer revision of asset {asset_id} was made on Roblox, outside of Macadam")
            }
            Self::RolledBackElsewhere { asset_id, current, known } => write!(
                f,
                "revision {current} of asset {asset_id} was made current on Roblox in place of {known}, outside of Macadam"
            ),
            Self::Archived { asset_id, change } => {
                match change {
                    BlockedChange::Content => f.write_str("its file changed")?,
                    BlockedChange::Pin { to } => write!(f, "it is pinned to revision {to}")?,
                    BlockedChange::Sharing { owner } => write!(f, "its file is that of `{owner}`")?,
                }
                write!(f, ", but asset {asset_id} is archived")
            }
            Self::OneOfSeveralNew { from, evidence, .. } => {
                write!(f, "`{from}` moved here or to another new address: each has {evidence}")
            }
            Self::OneOfSeveralLeft { from, evidence, .. } => {
                write!(f, "it may be any of {}, which left and had {evidence}", AddressNames(from))
            }
            Self::MayHaveMoved { from, evidence, why } => {
                write!(f, "it has {evidence} as {}, which may have moved here or not: {why}", AddressNames(from))
            }
            Self::StillNamed { place, old, new } => match new {
                Some(new) => write!(f, "{} still names `{old}`, which is called `{new}` now", Place(place)),
                None => write!(f, "{} still names `{old}`, which is no longer in the manifest", Place(place)),
            },
            Self::MayBeNamed { named, place } => {
                let place = Place(place);
                write!(f, "it may be `{named}` under another name: that left the manifest, but {place} still names it")
            }
            Self::SharedUpload { owner } => write!(f, "it shares the upload of `{owner}`, which is on hold"),
            Self::NeverCommitted { path, part } => {
                let (path, part) = (path.clone(), *part);
                let why = AbsenceReason::NeverCommitted { path, part };
                write!(f, "it is missing here, but Macadam doesn't treat it as removed: {why}")
            }
            Self::KnownElsewhere { known, manifest, lockfile } => {
                let file = if known.is_same_content { "these bytes" } else { "this file" };
                write!(f, "{manifest} has asset {} for {file} already ({lockfile})", known.asset_id)
            }
            Self::LockfileLost(lost) => lost.fmt(f),
            Self::HistoryUnseen(gap) => gap.fmt(f),
            Self::NotFound { asset_id, known } => NotFoundYet(*asset_id, *known).fmt(f),
            Self::AnotherAsset(mismatch) => mismatch.fmt(f),
            Self::NotAsClaimed(mismatch) => NotAsClaimed(*mismatch).fmt(f),
            Self::Unverified { asset_id } => write!(
                f,
                "asset {asset_id} is known only from another tool's files; Macadam hasn't checked its owner and type yet"
            ),
            Self::Contradiction(contradiction) => contradiction.fmt(f),
            Self::PinUnusable { pin, why, .. } => write!(f, "it is pinned to {}, {why}", shown(*pin)),
            Self::PinnedTooEarly { pin } => write!(f, "it is pinned to {}, but has no revisions yet", shown(*pin)),
            Self::ManyArchivings { asset_id, why, count, all, .. } => write!(
                f,
                "asset {asset_id} {} and would be archived now, but {count} of {all} assets in one day is a lot",
                why_text(*why)
            ),
        }
    }
}

/// How to make a checkout show what was removed and what only is absent.
fn with_all_files(why: &AbsenceReason) -> String {
    match why {
        AbsenceReason::SparseCheckout => "check out all files first: `git sparse-checkout disable`".to_owned(),
        AbsenceReason::CheckoutUnread { .. } => "make git work here first; `git status` shows what is wrong".to_owned(),
        AbsenceReason::NothingWanted => "put the assets back into the manifest first".to_owned(),
        AbsenceReason::Unreadable => "give this user the right to read the folders first".to_owned(),
        AbsenceReason::FolderMissing { folder, glob } => {
            format!("put the folder `{folder}` there first, or remove [globs.{glob}]")
        }
        AbsenceReason::NeverCommitted { path, part: NeverCommitted::File } => {
            let path = quoted(&foreign(path.as_str()));
            format!("first commit {path} on the machine that has it, or its removal")
        }
        AbsenceReason::NeverCommitted { part: NeverCommitted::Entry, .. } => {
            "first commit the manifest on the machine that uploaded it".to_owned()
        }
        AbsenceReason::NeverCommitted { part: NeverCommitted::Unknown, .. } => {
            "first clone the repository anew, with its whole history".to_owned()
        }
        AbsenceReason::NeverCommitted { part: NeverCommitted::Shallow, .. } => FETCH_ALL.to_owned(),
    }
}

/// An asset that is something else than the list or the other tool says that it came from.
struct NotAsClaimed(Mismatch);

impl fmt::Display for NotAsClaimed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            mismatch @ Mismatch::Asset { .. } => mismatch.fmt(f),
            Mismatch::Creator { asset_id, meant, found } => {
                write!(f, "asset {asset_id} belongs to {}, not to {}", found.in_words(), meant.in_words())
            }
            Mismatch::Type { asset_id, meant, found } => {
                write!(f, "asset {asset_id} is {}, not {}", WithArticle(found), WithArticle(meant))
            }
        }
    }
}

/// How to keep an asset that is something else than was claimed. Forgetting it would upload it again.
fn claim_hint(mismatch: Mismatch) -> String {
    match mismatch {
        Mismatch::Asset { .. } => mismatch.hint().to_owned(),
        Mismatch::Creator { found, .. } => {
            let owner = match found {
                Creator::User(id) => format!("user_id = {id}"),
                Creator::Group(id) => format!("group_id = {id}"),
            };
            format!(
                "nothing of it was changed. To keep the asset, write `creator = {{ {owner} }}` beside its path, with a key that may \
                 change that owner's assets; to use its ID without managing it, put it under [existing]"
            )
        }
        Mismatch::Type { found, .. } => {
            format!("nothing of it was changed. To keep the asset, write `type = \"{found}\"` beside its path")
        }
    }
}

/// How to agree to the price of an upload.
fn price_hint(robux: Option<u64>) -> String {
    match robux {
        Some(robux) => format!("write `expected_price = {robux}` beside its path to pay that"),
        None => "write `expected_price` with the price in Robux beside its path to pay it".to_owned(),
    }
}

/// The refused change as the object of "Roblox refused".
const fn refused(action: IntentKind) -> &'static str {
    match action {
        IntentKind::Create | IntentKind::Replace => "the upload",
        IntentKind::UpdateContent => "the new revision",
        IntentKind::UpdateMetadata => "the new metadata",
        IntentKind::Rollback => "the rollback",
        IntentKind::Archive => "to archive it",
        IntentKind::Restore => "to restore it",
    }
}

/// Roblox doesn't find an asset, and not for long enough to count.
pub(in crate::plan::reason) struct NotFoundYet(pub AssetId, pub NotFound);

impl fmt::Display for NotFoundYet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(asset_id, NotFound { answers, .. }) = self;
        write!(
            f,
            "Roblox answered that it has no asset {asset_id}; that counts after {ANSWERS_UNTIL_GONE} such answers, so far {answers}"
        )
    }
}

/// When Macadam asks for an asset again that Roblox didn't find.
pub(in crate::plan::reason) fn asked_again(known: NotFound) -> String {
    format!("the first `macadam sync` after {} asks again, and nothing is uploaded until then", Minute(known.next_at()))
}

/// The ways on for an asset that Roblox no longer has.
pub(in crate::plan::reason) fn gone_hint(address: &Address) -> String {
    format!(
        "`macadam retry {address:#}` has the next sync ask Roblox again; after `macadam forget {address:#}` the next sync uploads the file as a new asset, \
         with a new ID"
    )
}

/// The ways on where a revision was made outside of Macadam.
pub(in crate::plan::reason) fn overwrite_hint(address: &Address) -> String {
    format!(
        "if it is a deploy that this checkout hasn't pulled, pull it; `macadam sync --once --overwrite {address:#}` puts the file over it"
    )
}

/// The addresses of which one may be meant, for which a hint names the command.
const MOST_CHOICES: usize = 3;

fn choice_hint(address: &Address, from: &[(&Address, Option<AssetId>)]) -> String {
    let import = |(from, asset_id): &(&Address, Option<AssetId>)| {
        let asset = asset_id.map_or_else(|| "ASSET_ID".to_owned(), |asset_id| asset_id.to_string());
        format!("`macadam import {address:#} {asset}` if it is `{from}`")
    };
    let mut ways: Vec<String> = from.iter().take(MOST_CHOICES).map(import).collect();
    let all: Vec<String> = from.iter().map(|(from, _)| format!("{from:#}")).collect();
    ways.push(format!("`macadam forget {}` if it is none of them", all.join(" ")));
    ways.join("; ")
}

//! `macadam resolve`: a person decides about an upload in doubt. The caller writes the lockfile.
//! Read next: [`super::retry`], for a refusal that may no longer hold.

use jiff::Timestamp;

use crate::engine::commands::error::{self, CommandError};
use crate::engine::execute::context::ExecutionContext;
use crate::engine::execute::effects;
use crate::engine::remote::fetch::AssetQuery;
use crate::engine::workspace::state_cache::{StateCache, StateCacheError};
use crate::model::address::Address;
use crate::model::change::Change;
use crate::model::desired::Desired;
use crate::model::event::EventKind;
use crate::model::ids::{AssetId, UploadId};
use crate::model::observation::Mismatch;
use crate::model::phase::{Intent, Phase, PhaseEvent};
use crate::model::recorded::{Attempt, AttemptId, PossibleDuplicate, Record};
use crate::model::remote::RemoteAsset;
use crate::plan::asset::suspect;
use crate::plan::in_doubt::is_overdue;
use crate::platform::clock;

/// Why a decision could not be carried out. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// The address is unknown.
    #[error("there is no asset named `{address}`")]
    Unknown {
        /// The address as given.
        address: Address,
    },
    /// There is nothing to decide.
    #[error("there is nothing to resolve: the outcome of every upload of `{address}` is known")]
    NotInDoubt {
        /// The address.
        address: Address,
    },
    /// There is no possible duplicate.
    #[error("`{address}` has no possible duplicate")]
    NoDuplicate {
        /// The address.
        address: Address,
    },
    /// It was never uploaded.
    #[error("there is nothing to resolve: no upload of `{address}` was sent yet")]
    NeverSent {
        /// The address.
        address: Address,
    },
    /// Only a possible duplicate is to be decided, and nothing waits for it.
    #[error("`{address}` waits for no upload; only whether a second copy of it is on Roblox is open")]
    OnlyDuplicate {
        /// The address.
        address: Address,
    },
    /// The asset can't be the result of the create.
    #[error("asset {asset_id} can't be the upload of `{address}`: {why}")]
    NotTheSame {
        /// The address.
        address: Address,
        /// The asset as given.
        asset_id: AssetId,
        /// The difference.
        why: String,
        /// The upload that is to be settled made a second copy, or nothing.
        is_duplicate: bool,
    },
    /// The asset belongs to another address.
    #[error("asset {asset_id} already belongs to `{owner}`")]
    Taken {
        /// The asset as given.
        asset_id: AssetId,
        /// Its address.
        owner: Address,
        /// The address that was asked for.
        address: Address,
        /// The upload that is to be settled made a second copy, or nothing.
        is_duplicate: bool,
    },
    /// What any command may fail of.
    #[error(transparent)]
    Command(#[from] CommandError),
}

impl From<StateCacheError> for RepairError {
    fn from(error: StateCacheError) -> Self {
        Self::Command(error.into())
    }
}

impl RepairError {
    /// Returns how to fix it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown { .. } | Self::NotInDoubt { .. } | Self::NoDuplicate { .. } | Self::NeverSent { .. } => {
                Some("`macadam status` shows what is on hold or failed, and why".to_owned())
            }
            Self::OnlyDuplicate { address } => Some(format!(
                "look for it at create.roblox.com: `macadam resolve {address:#} --asset-id N` records the second copy, and \
                 `macadam resolve {address:#} --no-duplicate` that there is none"
            )),
            Self::NotTheSame { address, is_duplicate: true, .. } | Self::Taken { address, is_duplicate: true, .. } => {
                Some(format!(
                    "look for the second copy at create.roblox.com; if there is none, `macadam resolve {address:#} \
                     --no-duplicate`"
                ))
            }
            Self::NotTheSame { .. } | Self::Taken { .. } => {
                Some("look for the right one at create.roblox.com; `--recreate` if it isn't there".to_owned())
            }
            Self::Command(error) => error.hint(),
        }
    }

    /// The same for an address that the manifest wants: it isn't unknown.
    #[must_use]
    pub(crate) fn for_wanted(self, desired: &Desired) -> Self {
        match self {
            Self::Unknown { address } if desired.assets.contains_key(&address) => Self::NeverSent { address },
            error => error,
        }
    }

    /// Returns the part that all commands share.
    pub(crate) const fn shared(&self) -> Option<&CommandError> {
        match self {
            Self::Command(error) => Some(error),
            _ => None,
        }
    }

    /// Returns the address that was asked for and names no asset, or none with anything to resolve.
    pub(crate) const fn unknown(&self) -> Option<&Address> {
        match self {
            Self::Unknown { address } | Self::NotInDoubt { address } | Self::NoDuplicate { address } => Some(address),
            _ => None,
        }
    }
}

/// Records that an upload of `address` made `asset_id`, after checking the asset's creator, type
/// and name.
///
/// The upload that the address waits for comes first. Without one, the asset is a duplicate and is
/// recorded beside the one that is used.
///
/// # Errors
/// When nothing is unsettled, or the asset can't be the result or can't be fetched.
pub(crate) async fn resolve_with(
    context: &ExecutionContext,
    address: &Address,
    asset_id: AssetId,
) -> Result<(), RepairError> {
    let state_cache = &context.state_cache;
    let (in_progress, record) = in_progress(state_cache, address)?;
    let taken = state_cache.read(|recorded| {
        let owns = |record: &Record| record.history.iter().any(|(key, _)| key.asset_id == asset_id);
        // This includes the address itself: the asset that the create was to replace has the same
        // name and type.
        recorded.assets.iter().find(|(_, record)| owns(record)).map(|(other, _)| other.clone())
    });
    if let Some(owner) = taken {
        let (address, is_duplicate) = (address.clone(), in_progress.is_duplicate());
        return Err(RepairError::Taken { asset_id, owner, address, is_duplicate });
    }
    if let OpenUpload::Update(_) = in_progress {
        return Err(RepairError::NotInDoubt { address: address.clone() });
    }
    let query = AssetQuery::plain(asset_id);
    let asset = error::fetch(context, query).await?;
    if let Some(why) = difference(in_progress.attempt(), &record, &asset) {
        let (address, is_duplicate) = (address.clone(), in_progress.is_duplicate());
        return Err(RepairError::NotTheSame { address, asset_id, why, is_duplicate });
    }
    state_cache
        .commit_with(|recorded| {
            let mut changes = match &in_progress {
                OpenUpload::Waiting(id, attempt) | OpenUpload::Overdue(id, attempt) => {
                    let done = effects::completed(*id, attempt, &record, &asset, clock::now());
                    let mut changes = done.changes;
                    changes.extend(effects::answered_late(&attempt.intent, recorded, done.key));
                    changes.extend(effects::accounted(attempt));
                    changes
                }
                OpenUpload::SetAside(id, attempt) => {
                    let content = attempt.intent.content();
                    let mut changes: Vec<Change> = content
                        .into_iter()
                        .flat_map(|content| effects::made_beside(address, &record, content, &asset, clock::now()))
                        .collect();
                    changes.push(Change::Advance { attempt: *id, event: PhaseEvent::Complete });
                    changes.extend(effects::accounted(attempt));
                    changes
                }
                OpenUpload::Suspected(upload, duplicate) => {
                    let mut changes = effects::made_beside(address, &record, duplicate.content, &asset, clock::now());
                    changes.push(settled(address, *upload, *duplicate));
                    changes
                }
                OpenUpload::Update(_) => Vec::new(),
            };
            changes.push(Change::log(address, EventKind::ResolvedAs(asset_id)));
            changes
        })
        .await?;
    Ok(())
}

/// Records that the upload that `address` waits for made nothing, or is no longer waited for: the
/// next sync uploads it again.
///
/// # Errors
/// When the address waits for no upload, or the state can't be written.
pub(crate) async fn recreate(state_cache: &StateCache, address: &Address) -> Result<(), RepairError> {
    let (in_progress, _) = in_progress(state_cache, address)?;
    let mut changes = match &in_progress {
        OpenUpload::Waiting(id, attempt) => {
            let mut changes = vec![Change::Advance { attempt: *id, event: PhaseEvent::Abandon }];
            changes.extend(effects::accounted(attempt));
            changes.push(Change::log(address, EventKind::NotMade));
            changes
        }
        // The operation may still end; its result is recorded then.
        OpenUpload::Overdue(id, attempt) => {
            let mut changes = vec![Change::Advance { attempt: *id, event: PhaseEvent::SetAside }];
            changes.extend(suspect(address, attempt));
            changes.push(Change::log(address, EventKind::GivenUp));
            changes
        }
        OpenUpload::Update(id) => vec![Change::Advance { attempt: *id, event: PhaseEvent::SetAside }],
        OpenUpload::SetAside(..) | OpenUpload::Suspected(..) => {
            return Err(RepairError::OnlyDuplicate { address: address.clone() });
        }
    };
    changes.push(Change::SetBlocked { address: address.clone(), blocked: None });
    state_cache.commit(changes).await?;
    Ok(())
}

/// Records that the uploads of `address` in doubt made no unknown asset, as a person has checked.
///
/// # Errors
/// When there is no possible duplicate, or the state can't be written.
pub(crate) async fn no_duplicate(state_cache: &StateCache, address: &Address) -> Result<(), RepairError> {
    let changes = state_cache.read(|recorded| {
        let record = recorded.assets.get(address).ok_or_else(|| RepairError::Unknown { address: address.clone() })?;
        let open = record.possible_duplicates.iter().filter(|(_, duplicate)| !duplicate.settled);
        Ok::<_, RepairError>(open.map(|(upload, duplicate)| settled(address, *upload, *duplicate)).collect::<Vec<_>>())
    })?;
    if changes.is_empty() {
        return Err(RepairError::NoDuplicate { address: address.clone() });
    }
    let event = Change::log(address, EventKind::NoDuplicate);
    state_cache.commit(changes.into_iter().chain([event]).collect()).await?;
    Ok(())
}

fn settled(address: &Address, upload: UploadId, duplicate: PossibleDuplicate) -> Change {
    let duplicate = PossibleDuplicate { settled: true, ..duplicate };
    Change::AddPossibleDuplicate { address: address.clone(), upload, duplicate }
}

/// An upload that a person can settle.
enum OpenUpload {
    /// A new asset in doubt: the address waits.
    Waiting(AttemptId, Attempt),
    /// A new asset whose operation takes too long: the address waits.
    Overdue(AttemptId, Attempt),
    /// A change of a known asset whose operation takes too long.
    Update(AttemptId),
    /// A new asset whose operation was set aside: nothing waits for it.
    SetAside(AttemptId, Attempt),
    /// An upload that was abandoned: nothing waits for it.
    Suspected(UploadId, PossibleDuplicate),
}

impl OpenUpload {
    /// Whether nothing waits for it, so that its asset would be a second copy.
    const fn is_duplicate(&self) -> bool {
        matches!(self, Self::SetAside(..) | Self::Suspected(..))
    }

    const fn attempt(&self) -> Option<&Attempt> {
        match self {
            Self::Waiting(_, attempt) | Self::Overdue(_, attempt) | Self::SetAside(_, attempt) => Some(attempt),
            Self::Update(_) | Self::Suspected(..) => None,
        }
    }

    /// Returns the attempt as an open upload, if a person can settle it, with its rank: lower ranks
    /// block more.
    fn of(id: AttemptId, attempt: &Attempt, now: Timestamp) -> Option<(u8, Self)> {
        let creates = attempt.intent.upload().is_some();
        match &attempt.phase {
            Phase::InDoubt | Phase::Held if creates => Some((0, Self::Waiting(id, attempt.clone()))),
            Phase::Submitted(_) if is_overdue(attempt, now) && creates => Some((1, Self::Overdue(id, attempt.clone()))),
            Phase::Submitted(_) if is_overdue(attempt, now) => Some((2, Self::Update(id))),
            Phase::SetAside(_) if creates => Some((3, Self::SetAside(id, attempt.clone()))),
            _ => None,
        }
    }
}

fn in_progress(state_cache: &StateCache, address: &Address) -> Result<(OpenUpload, Record), RepairError> {
    let now = clock::now();
    state_cache.read(|recorded| {
        let record = recorded.assets.get(address).ok_or_else(|| RepairError::Unknown { address: address.clone() })?;
        let attempts = recorded.attempts.iter().filter(|(_, attempt)| attempt.address == *address);
        let first =
            attempts.filter_map(|(id, attempt)| OpenUpload::of(*id, attempt, now)).min_by_key(|(rank, _)| *rank);
        let suspected = || {
            let mut open = record.possible_duplicates.iter().filter(|(_, duplicate)| !duplicate.settled);
            open.next().map(|(upload, duplicate)| OpenUpload::Suspected(*upload, *duplicate))
        };
        match first.map(|(_, in_progress)| in_progress).or_else(suspected) {
            Some(in_progress) => Ok((in_progress, record.clone())),
            None => Err(RepairError::NotInDoubt { address: address.clone() }),
        }
    })
}

/// Returns how the asset differs from the result of the attempt. The text filter may have changed
/// its name, so a name of hashes counts as equal.
fn difference(attempt: Option<&Attempt>, record: &Record, asset: &RemoteAsset) -> Option<String> {
    let identity = &record.identity;
    if let Some(difference) = Mismatch::of(identity.kind(), asset).and_then(|mismatch| mismatch.difference()) {
        return Some(difference);
    }
    let asked = match attempt.map(|attempt| &attempt.intent) {
        Some(Intent::Create { fields, .. }) => fields.get(&crate::model::metadata::Field::DisplayName).copied(),
        Some(_) => None,
        // The requested name is unknown then.
        None => return None,
    };
    let stem = crate::model::metadata::DisplayName::from_stem(identity.path.stem());
    let wanted = asked.unwrap_or_else(|| crate::model::digest::FieldDigest::of_text(stem.as_str()));
    let name = asset.display_name.as_deref()?;
    let same = crate::model::digest::FieldDigest::of_text(name) == wanted || name.contains("##");
    (!same).then(|| format!("its name is `{name}`"))
}

//! What a person decides about one address: a create whose outcome nobody knows, and a refusal that may no longer hold. The lockfile is the caller's.

use super::book::{Book, BookError};
use super::hands::Hands;
use super::refresh::{self, Question};
use super::settle;
use crate::cloud::failure::Failure;
use crate::model::address::Address;
use crate::model::change::{Change, Event};
use crate::model::ids::AssetId;
use crate::model::observation::Mismatch;
use crate::model::phase::{Intent, Phase, PhaseEvent};
use crate::model::recorded::{Attempt, AttemptId, Record, Recorded, Trouble};
use crate::model::remote::RemoteAsset;
use crate::platform::clock;

/// Why a decision could not be carried out. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// The address is unknown.
    #[error("no asset has the address `{address}`")]
    Unknown {
        /// As given.
        address: Address,
    },
    /// There is nothing to decide.
    #[error("`{address}` has no create whose outcome is unknown")]
    NotInDoubt {
        /// Whose.
        address: Address,
    },
    /// There is nothing to try again.
    #[error("`{address}` is not refused and does not wait for another try")]
    NotResting {
        /// Which.
        address: Address,
    },
    /// The asset can't be what the create made.
    #[error("asset {asset_id} can't be what the create of `{address}` made: {why}")]
    NotTheSame {
        /// Which address.
        address: Address,
        /// The asset as given.
        asset_id: AssetId,
        /// What differs.
        why: String,
    },
    /// The asset belongs to another address.
    #[error("asset {asset_id} is already known as `{owner}`")]
    Taken {
        /// The asset as given.
        asset_id: AssetId,
        /// Whose it is.
        owner: Address,
    },
    /// Roblox could not be asked.
    #[error("look at asset {asset_id}")]
    Look {
        /// The asset as given.
        asset_id: AssetId,
        /// Why.
        source: Box<Failure>,
    },
    /// A signal came before Roblox's answer.
    #[error("interrupted before anything was changed")]
    Interrupted,
    /// The state could not be written.
    #[error(transparent)]
    Book(#[from] BookError),
}

impl RepairError {
    /// What would mend it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown { .. } | Self::NotInDoubt { .. } | Self::NotResting { .. } => {
                Some("`macadam status` shows what is held or failed, and why".to_owned())
            }
            Self::NotTheSame { .. } | Self::Taken { .. } => {
                Some("look for the right one at create.roblox.com; `--recreate` if it isn't there".to_owned())
            }
            Self::Look { source, .. } => source.hint().map(str::to_owned),
            Self::Interrupted | Self::Book(_) => None,
        }
    }

    /// Whether Roblox refused the key.
    pub fn is_credential(&self) -> bool {
        matches!(self, Self::Look { source, .. } if source.is_credential())
    }
}

/// The create of `address` made `asset_id`: checks creator, type and name at the remote before it believes.
///
/// # Errors
/// When nothing is in doubt, the asset can't be the one, or can't be looked at.
pub async fn resolve_with(hands: &Hands, address: &Address, asset_id: AssetId) -> Result<(), RepairError> {
    let book = &hands.book;
    let (id, attempt, record) = in_doubt(book, address)?;
    let taken = book.read(|recorded| {
        let owns = |record: &Record| record.history.iter().any(|(key, _)| key.asset_id == asset_id);
        // Also this address's own: the asset that the create was to replace has the same name and type.
        recorded.assets.iter().find(|(_, record)| owns(record)).map(|(other, _)| other.clone())
    });
    if let Some(owner) = taken {
        return Err(RepairError::Taken { asset_id, owner });
    }
    let question = Question { asset_id, extras: false };
    let read = hands.stop.or(refresh::read(&hands.client, &hands.gate, question)).await;
    let asset = read
        .ok_or(RepairError::Interrupted)?
        .map_err(|failure| RepairError::Look { asset_id, source: Box::new(failure) })?;
    if let Some(why) = difference(&attempt, &record, &asset) {
        return Err(RepairError::NotTheSame { address: address.clone(), asset_id, why });
    }
    book.commit_with(|_| {
        let mut changes = settle::completed(id, &attempt, &record, &asset, clock::now()).changes;
        changes.push(told(address, "resolved", format!("the create in doubt made asset {asset_id}")));
        changes
    })
    .await?;
    Ok(())
}

/// The create of `address` made nothing: the next sync creates it again.
///
/// # Errors
/// When nothing is in doubt, or the state can't be written.
pub async fn recreate(book: &Book, address: &Address) -> Result<(), RepairError> {
    let (id, ..) = in_doubt(book, address)?;
    book.commit(vec![
        Change::Advance { attempt: id, event: PhaseEvent::Abandon },
        Change::Rest { address: address.clone(), trouble: None },
        told(address, "recreated", "a person said that the create in doubt made nothing".to_owned()),
    ])
    .await?;
    Ok(())
}

/// What was refused, or waits for another try, is due again now; what Roblox didn't find is asked for again.
///
/// # Errors
/// When an address is unknown or does not rest; then none is changed.
pub async fn retry(book: &Book, addresses: &[Address]) -> Result<(), RepairError> {
    let mut changes = Vec::new();
    for address in addresses {
        let known = book.read(|recorded| {
            let record = recorded.assets.get(address)?;
            Some((record.trouble.clone(), lost(recorded, record)))
        });
        let Some((trouble, lost)) = known else { return Err(RepairError::Unknown { address: address.clone() }) };
        if trouble.is_none() && lost.is_empty() {
            return Err(RepairError::NotResting { address: address.clone() });
        }
        if let Some(Trouble::Refused { .. } | Trouble::Retrying { .. }) = trouble {
            changes.push(Change::Rest { address: address.clone(), trouble: None });
        }
        changes.extend(lost.into_iter().map(|asset_id| Change::Outdate { asset_id }));
    }
    Ok(book.commit(changes).await?)
}

/// The assets of an address that Roblox said it doesn't have: the next sync asks again.
fn lost(recorded: &Recorded, record: &Record) -> Vec<AssetId> {
    let lost = |asset_id: &AssetId| record.history.is_gone(*asset_id) || recorded.not_found.contains_key(asset_id);
    record.history.assets().into_iter().filter(lost).collect()
}

fn in_doubt(book: &Book, address: &Address) -> Result<(AttemptId, Attempt, Record), RepairError> {
    book.read(|recorded| {
        let record = recorded.assets.get(address).ok_or_else(|| RepairError::Unknown { address: address.clone() })?;
        let in_doubt = |attempt: &Attempt| {
            attempt.address == *address
                && attempt.phase == Phase::InDoubt
                && matches!(attempt.intent, Intent::Create { .. })
        };
        match recorded.attempts.iter().find(|(_, attempt)| in_doubt(attempt)) {
            Some((id, attempt)) => Ok((*id, attempt.clone(), record.clone())),
            None => Err(RepairError::NotInDoubt { address: address.clone() }),
        }
    })
}

/// What speaks against an asset being what an attempt made. Its name may have been changed by the text filter, so only its absence says nothing.
fn difference(attempt: &Attempt, record: &Record, asset: &RemoteAsset) -> Option<String> {
    let identity = &record.identity;
    match Mismatch::of(identity.kind(), asset) {
        Some(Mismatch::Creator { meant, found, .. }) => return Some(format!("it belongs to {found}, not to {meant}")),
        Some(Mismatch::Type { meant, found, .. }) => return Some(format!("it is of the type {found}, not {meant}")),
        Some(Mismatch::Asset { .. }) | None => {}
    }
    let asked = match &attempt.intent {
        Intent::Create { fields, .. } => fields.get(&crate::model::metadata::Field::DisplayName).copied(),
        _ => None,
    };
    let stem = crate::model::metadata::DisplayName::from_stem(identity.path.stem());
    let wanted = asked.unwrap_or_else(|| crate::model::digest::FieldDigest::of_text(stem.as_str()));
    let name = asset.display_name.as_deref()?;
    let same = crate::model::digest::FieldDigest::of_text(name) == wanted || name.contains("##");
    (!same).then(|| format!("its name is `{name}`"))
}

fn told(address: &Address, kind: &'static str, message: String) -> Change {
    Change::Tell { address: Some(address.clone()), event: Event { kind, message } }
}

//! Assets with two claims that can't both be true: two contents of a type that can't be updated,
//! two owners, two types. Usually somebody merged a lockfile by hand, and Macadam can't tell which
//! claim is wrong. It neither uses such an asset nor silently uploads it again.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::model::address::Address;
use crate::model::asset::{AssetType, ContentChange};
use crate::model::history::Kind;
use crate::model::ids::{AssetId, ContentHash, Creator};
use crate::model::recorded::Recorded;

/// The claim of the first address that has an asset.
struct FirstClaim<'a> {
    address: &'a Address,
    kind: Option<Kind>,
    content: Option<ContentHash>,
}

/// Two claims about one asset that can't both be true.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Contradiction {
    /// State and lockfile disagree.
    Disputed {
        /// The asset.
        asset_id: AssetId,
        /// The address that has it.
        address: Address,
    },
    /// Two addresses know it under two owners.
    Owners {
        /// The asset.
        asset_id: AssetId,
        /// Each address with its owner.
        claims: [(Address, Creator); 2],
    },
    /// Two addresses know it as two types.
    Types {
        /// The asset.
        asset_id: AssetId,
        /// Each address with its type.
        claims: [(Address, AssetType); 2],
    },
    /// Two addresses know it with two contents, and its type can't be updated.
    Contents {
        /// The asset.
        asset_id: AssetId,
        /// The addresses.
        claims: [Address; 2],
    },
}

impl Contradiction {
    /// The asset.
    pub(crate) const fn asset_id(&self) -> AssetId {
        match self {
            Self::Disputed { asset_id, .. }
            | Self::Owners { asset_id, .. }
            | Self::Types { asset_id, .. }
            | Self::Contents { asset_id, .. } => *asset_id,
        }
    }
}

impl fmt::Display for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disputed { asset_id, address } => {
                return write!(
                    f,
                    "state and lockfile disagree about the content or the owner of asset {asset_id} of `{address}`"
                );
            }
            Self::Owners { asset_id, claims: [(one, its), (other, others)] } => {
                let (its, others) = (its.in_words(), others.in_words());
                write!(f, "asset {asset_id} belongs to {its} as `{one}`, and to {others} as `{other}`")?;
            }
            Self::Types { asset_id, claims: [(one, its), (other, others)] } => {
                write!(f, "asset {asset_id} has the type {its} as `{one}`, and {others} as `{other}`")?;
            }
            Self::Contents { asset_id, claims: [one, other] } => {
                write!(f, "asset {asset_id} has one content as `{one}`, and another as `{other}`")?;
            }
        }
        f.write_str("; one of the two is wrong")
    }
}

/// Each contradictory asset, with its contradiction.
pub(super) fn contradictions(recorded: &Recorded) -> BTreeMap<AssetId, Contradiction> {
    let mut said: BTreeMap<AssetId, FirstClaim<'_>> = BTreeMap::new();
    let mut found: BTreeMap<AssetId, Contradiction> = BTreeMap::new();
    for (address, record) in &recorded.assets {
        let mut told: BTreeSet<AssetId> = BTreeSet::new();
        for (key, fact) in record.history.iter() {
            let asset_id = key.asset_id;
            if fact.disputed {
                found.entry(asset_id).or_insert_with(|| Contradiction::Disputed { asset_id, address: address.clone() });
                continue;
            }
            let in_place = fact.kind.is_some_and(|kind| kind.asset_type.on_content_change() == ContentChange::InPlace);
            let content = fact.content.filter(|_| !in_place);
            let first = said.entry(asset_id).or_insert(FirstClaim { address, kind: fact.kind, content });
            let differs = match (first.kind, fact.kind) {
                (Some(one), Some(other)) if one.creator != other.creator => {
                    let claims = [(first.address.clone(), one.creator), (address.clone(), other.creator)];
                    Some(Contradiction::Owners { asset_id, claims })
                }
                (Some(one), Some(other)) if one.asset_type != other.asset_type => {
                    let claims = [(first.address.clone(), one.asset_type), (address.clone(), other.asset_type)];
                    Some(Contradiction::Types { asset_id, claims })
                }
                _ if first.content.zip(content).is_some_and(|(one, other)| one != other) => {
                    Some(Contradiction::Contents { asset_id, claims: [first.address.clone(), address.clone()] })
                }
                _ => None,
            };
            if let Some(differs) = differs.filter(|_| told.insert(asset_id)) {
                found.entry(asset_id).or_insert(differs);
            }
            first.content = first.content.or(content);
        }
    }
    found
}

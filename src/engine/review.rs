//! When an asset under review is looked at again: soon at first, since most are decided in seconds, then ever more rarely, since the rest takes hours
//! (creator-docs: projects/assets/index.md, "generally within a few hours").

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::model::history::Standing;
use crate::model::ids::AssetId;
use crate::model::recorded::Recorded;

/// The first wait.
const SOONEST: SignedDuration = SignedDuration::from_secs(2);

/// The longest wait.
const LATEST: SignedDuration = SignedDuration::from_mins(30);

/// When `asset_id` is to be looked at next: after a quarter of the time that it had been under review at the last look.
pub fn due(recorded: &Recorded, asset_id: AssetId) -> Timestamp {
    let Some(looked) = recorded.seen.get(&asset_id).map(|seen| seen.at) else { return Timestamp::MIN };
    let facts = recorded.assets.values().flat_map(|record| record.history.of_asset(asset_id));
    let begun = facts.filter(|(_, fact)| fact.standing == Standing::Reviewing).filter_map(|(_, fact)| fact.made).min();
    let age = begun.map_or(SignedDuration::ZERO, |(begun, _)| looked.duration_since(begun));
    looked.saturating_add((age / 4).clamp(SOONEST, LATEST)).unwrap_or(Timestamp::MAX)
}

/// How long until the first of `assets` is due; none is zero.
pub fn wait(recorded: &Recorded, assets: impl IntoIterator<Item = AssetId>, now: Timestamp) -> Duration {
    let first = assets.into_iter().map(|asset_id| due(recorded, asset_id)).min().unwrap_or(now);
    Duration::try_from(first.duration_since(now)).unwrap_or(Duration::ZERO).min(LATEST.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::address::Address;
    use crate::model::asset::{AssetType, Privacy};
    use crate::model::change::Change;
    use crate::model::history::{Origin, RevisionFact, RevisionKey};
    use crate::model::ids::{Creator, UserId};
    use crate::model::path::ProjectPath;
    use crate::model::recorded::Identity;
    use crate::model::remote::RemoteAsset;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn looks_come_ever_more_rarely() {
        let (address, asset_id) = (Address::new("a.png").unwrap(), AssetId::new(7).unwrap());
        let identity = Identity {
            asset_type: AssetType::Image,
            creator: Creator::User(UserId::new(1).unwrap()),
            privacy: Privacy::Default,
            path: ProjectPath::new("a.png").unwrap(),
        };
        let fact = RevisionFact {
            ordinal: 1,
            content: None,
            standing: Standing::Reviewing,
            shared: false,
            duplicate: false,
            made: Some((at(0), Origin::Create)),
        };
        let key = RevisionKey { asset_id, version: None };
        let mut recorded = Recorded::default();
        let tell = |recorded: &mut Recorded, change: Change, now: i64| recorded.apply(&change, at(now)).unwrap();
        tell(&mut recorded, Change::Enroll { address: address.clone(), identity }, 0);
        tell(&mut recorded, Change::Learn { address, key, fact }, 0);
        assert_eq!(due(&recorded, asset_id), Timestamp::MIN, "nobody looked yet");
        for (looked, next) in [(0, 2), (8, 10), (100, 125), (7200, 9000), (360_000, 361_800)] {
            tell(&mut recorded, Change::See { asset: RemoteAsset::unknown(asset_id) }, looked);
            assert_eq!(due(&recorded, asset_id), at(next), "looked at {looked}");
        }
        assert_eq!(wait(&recorded, [asset_id], at(361_000)), Duration::from_secs(800));
        assert_eq!(wait(&recorded, [asset_id], at(900_000)), Duration::ZERO);
        assert_eq!(wait(&recorded, [], at(5)), Duration::ZERO);
    }
}

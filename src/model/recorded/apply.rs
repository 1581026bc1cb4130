//! Takes changes over into [`Recorded`], each wholly or not at all.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{Attempt, AttemptId, HEALINGS_COUNT_FOR, Observation, Record, Recorded};
use crate::model::address::Address;
use crate::model::change::Change;
use crate::model::digest::FieldDigest;
use crate::model::forgotten::Forgotten;
use crate::model::history::{RevisionFact, RevisionKey};
use crate::model::ids::{AssetId, UploadId};
use crate::model::observation::NotFound;
use crate::model::phase::{IllegalTransition, Phase, PhaseEvent};

/// A change that does not fit what is known: a defect of Macadam or a damaged state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// The change speaks of an address that has no record.
    #[error("`{address}` has no record")]
    NoRecord {
        /// The address.
        address: Address,
    },
    /// The change speaks of an attempt that is not open.
    #[error("attempt {} is not open", attempt.0)]
    NoAttempt {
        /// The attempt.
        attempt: AttemptId,
    },
    /// An attempt's number was given before.
    #[error("attempt {} was begun before", attempt.0)]
    AttemptReused {
        /// The attempt.
        attempt: AttemptId,
    },
    /// An address can't take over another's record, because it has one of its own.
    #[error("`{address}` has assets of its own and can't take over those of another")]
    Occupied {
        /// The address.
        address: Address,
    },
    /// The journal can't go that way.
    #[error(transparent)]
    Transition(#[from] IllegalTransition),
}

impl Recorded {
    fn record(&mut self, address: &Address) -> Result<&mut Record, ApplyError> {
        self.assets.get_mut(address).ok_or_else(|| ApplyError::NoRecord { address: address.clone() })
    }

    /// Takes over one change at the time `now`.
    ///
    /// # Errors
    /// When the change does not fit what is known; nothing is changed then.
    pub fn apply(&mut self, change: &Change, now: Timestamp) -> Result<(), ApplyError> {
        self.apply_untied(change, now)?;
        self.tie(change);
        Ok(())
    }

    fn apply_untied(&mut self, change: &Change, now: Timestamp) -> Result<(), ApplyError> {
        match change {
            Change::Begin { attempt, address, intent } => {
                if attempt.0 < self.next_attempt {
                    return Err(ApplyError::AttemptReused { attempt: *attempt });
                }
                let kind = self.record(address)?.identity.kind();
                self.next_attempt = attempt.0 + 1;
                let (address, intent) = (address.clone(), intent.clone());
                let (phase, taken_over) = (Phase::Intended, false);
                let (begun_at, handed_over_at, since) = (now, now, now);
                let begun = Attempt { address, intent, kind, phase, begun_at, handed_over_at, taken_over, since };
                self.attempts.insert(*attempt, begun);
            }
            Change::TakeOver { attempt } => {
                let open = self.attempts.get_mut(attempt).ok_or(ApplyError::NoAttempt { attempt: *attempt })?;
                open.taken_over = true;
            }
            Change::Advance { attempt, event } => {
                let open = self.attempts.get_mut(attempt).ok_or(ApplyError::NoAttempt { attempt: *attempt })?;
                (open.phase, open.since) = (open.phase.next(event)?, now);
                if *event == PhaseEvent::HandOver {
                    open.handed_over_at = now;
                }
                if open.phase.is_closed() {
                    self.attempts.remove(attempt);
                }
            }
            Change::SetIdentity { address, identity } => match self.assets.get_mut(address) {
                Some(record) => record.identity = identity.clone(),
                None => {
                    self.assets.insert(address.clone(), Record::new(identity.clone()));
                }
            },
            Change::AddRevision { address, key, fact } => {
                let times = self.forgotten.get(address).map_or(0, |forgotten| forgotten.times(key.asset_id));
                let record = self.record(address)?;
                let kind = fact.kind.or(Some(record.identity.kind()));
                record.history.add(*key, RevisionFact { era: fact.era.max(times), kind, ..*fact });
            }
            Change::SetMetadata { address, fields, stored } => {
                let record = self.record(address)?;
                (record.asked, record.stored) = (fields.clone(), stored.clone().into());
                let known = fields.iter().filter(|(_, digest)| **digest != FieldDigest::UNKNOWN);
                record.asked_before.extend(known.map(|(field, digest)| (*field, *digest)));
                record.overruled.clear();
            }
            Change::Move { from, to } => self.move_record(from, to)?,
            Change::MoveAsset { from, to, asset_id } => self.move_asset(from, to, *asset_id)?,
            Change::SetRetirement { address, asset_id, retirement } => {
                let record = self.record(address)?;
                match retirement {
                    Some(retirement) => record.retirements.insert(*asset_id, *retirement),
                    None => record.retirements.remove(asset_id),
                };
                record.refused_archivings.remove(asset_id);
            }
            Change::SetRefusedArchiving { address, asset_id, said } => {
                let record = self.record(address)?;
                match said {
                    Some(said) if record.retirements.contains_key(asset_id) => {
                        record.refused_archivings.insert(*asset_id, said.clone());
                    }
                    Some(_) | None => {
                        record.refused_archivings.remove(asset_id);
                    }
                }
            }
            Change::RecordRepair { address, repair } => {
                let repairs = &mut self.record(address)?.repairs;
                repairs.retain(|(_, at)| now.duration_since(*at) < HEALINGS_COUNT_FOR);
                repairs.push((*repair, now));
            }
            Change::AddPossibleDuplicate { address, upload, duplicate } => {
                let known = &mut self.record(address)?.possible_duplicates;
                known.entry(*upload).and_modify(|known| *known = known.union(*duplicate)).or_insert(*duplicate);
            }
            Change::Overrule { address, asked } => self.record(address)?.overruled = asked.clone().into(),
            Change::Unpoint { address } => self.record(address)?.points_to = None,
            Change::SetCurrentAsset { address, asset_id } => self.record(address)?.points_to = Some(*asset_id),
            Change::SetPinnedAt { address, pinned } => self.record(address)?.pinned = (*pinned).into(),
            Change::SetRemoved { address, removed } => self.record(address)?.removed = *removed,
            Change::SetInLockfile { address, in_lockfile } => self.record(address)?.in_lockfile = in_lockfile.clone(),
            Change::SetListing { address, asset_id, listing } => {
                self.record(address)?.history.list(*asset_id, *listing)
            }
            Change::SetBlocked { address, blocked } => self.record(address)?.blocked = blocked.clone().map(Box::new),
            Change::Forget { address } => {
                let forgotten = self.record(address)?.history.to_forget();
                self.assets.remove(address);
                self.attempts.retain(|_, attempt| attempt.address != *address);
                if !forgotten.is_empty() {
                    self.forgotten.entry(address.clone()).or_default().union(&forgotten);
                }
            }
            Change::ForgetAsset { address, asset_id, times } => self.forget_asset(address, *asset_id, *times),
            Change::SetSpentQuota { creator, asset_type, spent } => {
                match spent {
                    Some(spent) => self.quotas.insert((*creator, *asset_type), spent.clone()),
                    None => self.quotas.remove(&(*creator, *asset_type)),
                };
            }
            Change::RecordObservation { asset } => {
                self.seen.insert(asset.asset_id, Observation { asset: asset.clone(), at: now });
                self.not_found.remove(&asset.asset_id);
                self.outdated.remove(&asset.asset_id);
                self.contradicted.remove(&asset.asset_id);
            }
            Change::RecordNotFound { asset_id } => {
                let known = self.not_found.get(asset_id).copied();
                self.not_found.insert(*asset_id, NotFound::again(known, now));
                self.outdated.remove(asset_id);
            }
            Change::RecordWrite { asset_id, restores } => {
                self.written.insert(*asset_id, now);
                if *restores {
                    self.restored.insert(*asset_id, now);
                }
            }
            Change::MarkOutdated { asset_id } => {
                self.outdated.insert(*asset_id);
            }
            Change::SetContradicted { asset_id, contradicted } => {
                match contradicted {
                    true => self.contradicted.insert(*asset_id),
                    false => self.contradicted.remove(asset_id),
                };
            }
            Change::LogEvent { .. } => {}
        }
        Ok(())
    }

    /// Another machine forgot an asset of an address: what is known of it from before goes, and the
    /// record with its last asset.
    fn forget_asset(&mut self, address: &Address, asset_id: AssetId, times: u32) {
        let forgotten = self.forgotten.entry(address.clone()).or_default();
        forgotten.raise(asset_id, times);
        let Some(record) = self.assets.get_mut(address) else { return };
        if !record.history.forget(forgotten) {
            return;
        }
        let under_way = self.attempts.values().any(|attempt| attempt.address == *address);
        if record.history.is_empty() && !under_way {
            self.assets.remove(address);
        } else if record.history.of_asset(asset_id).next().is_none() {
            record.leave_asset(asset_id);
        }
    }

    /// `to` takes one asset of `from` over.
    fn move_asset(&mut self, from: &Address, to: &Address, asset_id: AssetId) -> Result<(), ApplyError> {
        if from == to {
            return Err(ApplyError::Occupied { address: to.clone() });
        }
        let era = self.forgotten.get(to).map_or(0, |forgotten| forgotten.times(asset_id));
        if !self.assets.contains_key(to) {
            return Err(ApplyError::NoRecord { address: to.clone() });
        }
        let giver = self.record(from)?;
        let facts: Vec<(RevisionKey, RevisionFact)> =
            giver.history.of_asset(asset_id).map(|(key, fact)| (key, RevisionFact { era, ..*fact })).collect();
        let listing = giver.history.listing(asset_id);
        let retirement = giver.retirements.get(&asset_id).copied();
        let was_current = giver.points_to == Some(asset_id);
        let pinned = giver.pinned.filter(|pinned| pinned.at.asset_id == asset_id);
        giver.history.remove_asset(asset_id);
        giver.leave_asset(asset_id);
        let taker = self.record(to)?;
        facts.into_iter().for_each(|(key, fact)| taker.history.add(key, fact));
        if listing.is_some() {
            taker.history.list(asset_id, listing);
        }
        if let Some(retirement) = retirement {
            let known = taker.retirements.entry(asset_id).or_insert(retirement);
            if known.archived_at.is_none() && retirement.archived_at.is_some() {
                *known = retirement;
                taker.refused_archivings.remove(&asset_id);
            }
        }
        if was_current {
            taker.points_to = Some(asset_id);
        }
        taker.pinned = pinned.or(*taker.pinned).into();
        let suspected: BTreeSet<UploadId> = taker.possible_duplicates.keys().copied().collect();
        let under_way = self.attempts.values().any(|attempt| attempt.address == *from);
        let giver = self.record(from)?;
        giver.possible_duplicates.retain(|upload, _| !suspected.contains(upload));
        if giver.history.is_empty() && !under_way {
            self.assets.remove(from);
        }
        Ok(())
    }

    /// `to` takes over all that is known of `from`, and what is under way for it.
    fn move_record(&mut self, from: &Address, to: &Address) -> Result<(), ApplyError> {
        if !self.assets.contains_key(from) {
            return Err(ApplyError::NoRecord { address: from.clone() });
        }
        let occupied = from == to
            || self.assets.get(to).is_some_and(|record| !record.history.is_empty())
            || self.attempts.values().any(|attempt| attempt.address == *to);
        if occupied {
            return Err(ApplyError::Occupied { address: to.clone() });
        }
        if let Some(mut record) = self.assets.remove(from) {
            record.history.renew(self.forgotten.get(to).unwrap_or(&Forgotten::new()));
            self.assets.insert(to.clone(), Record { removed: false, ..record });
        }
        for attempt in self.attempts.values_mut().filter(|attempt| attempt.address == *from) {
            attempt.address = to.clone();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::asset::{AssetType, Privacy};
    use crate::model::ids::{ContentHash, Creator, UserId};
    use crate::model::metadata::FieldDigests;
    use crate::model::path::ProjectPath;
    use crate::model::phase::Intent;
    use crate::model::recorded::Identity;

    fn begin(attempt: u64) -> Change {
        Change::Begin {
            attempt: AttemptId(attempt),
            address: Address::new("a").unwrap(),
            intent: Intent::Create {
                upload: UploadId::new(attempt),
                content: ContentHash::from_bytes([1; 32]),
                fields: FieldDigests::new(),
                costly: false,
                replaces: None,
            },
        }
    }

    #[test]
    fn attempts_need_a_record_and_leave_when_closed() {
        let now = Timestamp::UNIX_EPOCH;
        let mut recorded = Recorded::default();
        assert!(matches!(recorded.apply(&begin(0), now), Err(ApplyError::NoRecord { .. })));
        let identity = Identity {
            asset_type: AssetType::Image,
            creator: Creator::User(UserId::new(1).unwrap()),
            privacy: Privacy::Default,
            path: ProjectPath::new("a.png").unwrap(),
        };
        recorded.apply(&Change::SetIdentity { address: Address::new("a").unwrap(), identity }, now).unwrap();
        recorded.apply(&begin(0), now).unwrap();
        assert!(matches!(recorded.apply(&begin(0), now), Err(ApplyError::AttemptReused { .. })));
        let end = Change::Advance { attempt: AttemptId(0), event: PhaseEvent::NotCarriedOut };
        recorded.apply(&end, now).unwrap();
        assert!(recorded.attempts.is_empty());
        assert!(matches!(recorded.apply(&end, now), Err(ApplyError::NoAttempt { .. })));
        recorded.apply(&begin(1), now).unwrap();
        assert_eq!(recorded.next_attempt, 2);
    }
}

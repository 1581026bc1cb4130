//! Settles attempts in doubt by fetching the asset: updates, metadata changes, archivings and
//! restorings.
//!
//! Creates can't be looked up, so they follow the policy (`src/plan/in_doubt.rs`). Read next:
//! [`super::response`].

use jiff::{SignedDuration, Timestamp};

use crate::cloud::class::{Class, Refusal};
use crate::cloud::client::UpdateRequest;
use crate::cloud::endpoint::Endpoint;
use crate::cloud::failure::Failure;
use crate::cloud::timeouts::Timeouts;
use crate::engine::execute::effects;
use crate::engine::execute::executor::Executor;
use crate::engine::execute::step_result::{Lookup, StepError, StepResult, WENT_ON, superseded, written_anew};
use crate::engine::execute::upload_slots::UploadSlot;
use crate::engine::report::run_report::Outcome;
use crate::model::asset::ContentChange;
use crate::model::change::Change;
use crate::model::digest::FieldDigest;
use crate::model::history::RevisionKey;
use crate::model::ids::{AssetId, ContentHash, Revision};
use crate::model::observation::READ_LAG;
use crate::model::phase::{Intent, Phase, PhaseEvent};
use crate::model::recorded::{Attempt, AttemptId, Record, Recorded};
use crate::model::remote::RemoteAsset;
use crate::model::shown::with_causes;
use crate::platform::{clock, failpoint};

/// How long an update has to be in doubt before its missing version counts. The version appears when
/// the operation ends, one to ten seconds after the request (observed by public clients).
const UNSEEN_COUNTS_AFTER: SignedDuration = SignedDuration::from_secs(15);

impl Executor {
    /// Fetches the asset to find out whether an attempt in doubt was carried out.
    pub(in crate::engine) async fn settle_in_doubt(&self, id: AttemptId) -> Result<StepResult, StepError> {
        let in_doubt = |attempt: &Attempt| matches!(attempt.phase, Phase::HandedOver | Phase::InDoubt | Phase::Held);
        let Some(attempt) = self.attempt(id).filter(in_doubt) else {
            return Ok(superseded("it is no longer in doubt"));
        };
        let Some(asset_id) = attempt.intent.asset_id() else { return Ok(superseded("only a person can tell")) };
        // Fetched after the wait for the upload slot: an earlier observation could be old by then.
        let slot = if self.has_bytes_of(&attempt) { Some(self.slot().await?) } else { None };
        let asset = match self.fetch_asset(&attempt.address, asset_id).await? {
            Lookup::Present(asset) => *asset,
            Lookup::Gone => {
                // It stays in doubt until Roblox finds the asset, or the asset counts as gone.
                let tried = self.not_found(&attempt.address, asset_id).await?;
                if self
                    .state_cache
                    .read(|recorded| recorded.not_found.get(&asset_id).is_some_and(|known| known.is_gone()))
                {
                    let close = |_: &Recorded| vec![Change::Advance { attempt: id, event: PhaseEvent::NotCarriedOut }];
                    return self.settle(id, &attempt, &format!("Roblox no longer has asset {asset_id}"), close).await;
                }
                return Ok(tried);
            }
        };
        match self.verdict(&attempt, &asset) {
            InDoubtVerdict::Yes => self.finish(id, asset).await,
            InDoubtVerdict::TooEarly if self.may_be_repeated(&attempt) => self.repeat(id, &attempt).await,
            InDoubtVerdict::TooEarly => {
                let message = format!(
                    "whether an earlier request ({}) arrived shows only once Roblox's answers can't be older than it",
                    attempt.intent.name()
                );
                self.back_off(&attempt.address, &message).await?;
                Ok(StepResult::Again { message })
            }
            InDoubtVerdict::No => {
                let decide = |recorded: &Recorded| {
                    let believed = recorded.assets.get(&attempt.address).and_then(|r| believed(&attempt, r, &asset));
                    let mut changes = vec![Change::Advance { attempt: id, event: PhaseEvent::NotCarriedOut }];
                    changes.extend(believed);
                    changes
                };
                self.settle(id, &attempt, "it was not carried out, and is done again", decide).await
            }
            InDoubtVerdict::Known => {
                self.close(id, &attempt, PhaseEvent::Complete, "its revision is known by now").await
            }
            InDoubtVerdict::Overtaken => {
                self.close(id, &attempt, PhaseEvent::NotCarriedOut, "newer revisions of its asset took its place").await
            }
            InDoubtVerdict::NotYet => self.settle_unseen(id, &attempt, slot).await,
            InDoubtVerdict::Newer => self.settle_newer(id, &attempt, asset, slot).await,
        }
    }

    /// Returns whether a request may be sent twice without harm, and will be: by a plan for the
    /// manifest, by a command for a person. A rollback may make a version each time, and so may
    /// metadata of a Model.
    fn may_be_repeated(&self, attempt: &Attempt) -> bool {
        match &attempt.intent {
            Intent::Archive { .. } | Intent::Restore { .. } => self.by_hand,
            Intent::UpdateMetadata { .. } => self
                .record(&attempt.address)
                .is_some_and(|record| record.identity.asset_type.on_content_change() == ContentChange::NewAsset),
            Intent::Create { .. } | Intent::UpdateContent { .. } | Intent::Rollback { .. } => false,
        }
    }

    fn verdict(&self, attempt: &Attempt, asset: &RemoteAsset) -> InDoubtVerdict {
        let now = clock::now();
        self.state_cache.read(|recorded| match recorded.assets.get(&attempt.address) {
            Some(record) => {
                let shown = carried_out(&attempt.intent, record, asset);
                let written = recorded.written.get(&asset.asset_id);
                proven(shown, written.is_some_and(|written| may_lag(*written, now)), may_lag(sent_by(attempt), now))
            }
            None => InDoubtVerdict::No,
        })
    }

    /// Records what became of an attempt that was read as `attempt`, and ends its step with `why`.
    /// Nothing is recorded if it went on since, as by a lockfile that names its operation.
    async fn settle(
        &self,
        id: AttemptId,
        attempt: &Attempt,
        why: &str,
        decide: impl FnOnce(&Recorded) -> Vec<Change>,
    ) -> Result<StepResult, StepError> {
        let mut is_same = false;
        let decide = |recorded: &Recorded| {
            is_same = recorded.attempts.get(&id) == Some(attempt);
            if is_same { decide(recorded) } else { Vec::new() }
        };
        self.state_cache.commit_with(decide).await?;
        Ok(superseded(if is_same { why } else { WENT_ON }))
    }

    /// Closes an attempt that needs no further information.
    async fn close(
        &self,
        id: AttemptId,
        attempt: &Attempt,
        event: PhaseEvent,
        why: &str,
    ) -> Result<StepResult, StepError> {
        let decide = |recorded: &Recorded| {
            let mut changes = vec![Change::Advance { attempt: id, event: event.clone() }];
            if !effects::leaves_a_refusal(&attempt.intent, recorded.assets.get(&attempt.address)) {
                changes.push(Change::SetBlocked { address: attempt.address.clone(), blocked: None });
            }
            changes
        };
        self.settle(id, attempt, why, decide).await
    }

    /// Closes an attempt that is sent again in any case, since no read can show its outcome yet.
    async fn repeat(&self, id: AttemptId, attempt: &Attempt) -> Result<StepResult, StepError> {
        let decide = |recorded: &Recorded| {
            let mut changes = vec![Change::Advance { attempt: id, event: PhaseEvent::NotCarriedOut }];
            changes.extend(recorded.assets.get(&attempt.address).and_then(|record| unknown(attempt, record)));
            changes
        };
        self.settle(id, attempt, "its answer was lost, and it is sent again", decide).await
    }

    /// Handles a missing revision: the update was not carried out, or Roblox still processes it.
    async fn settle_unseen(
        &self,
        id: AttemptId,
        attempt: &Attempt,
        slot: Option<UploadSlot>,
    ) -> Result<StepResult, StepError> {
        if let Some(slot) = slot {
            return self.send_again(id, attempt, slot, None).await;
        }
        // A time in the future is one of a clock that was set back.
        if clock::now().duration_since(attempt.since).abs() < UNSEEN_COUNTS_AFTER {
            let message = "it is not known yet whether the update before arrived".to_owned();
            self.back_off(&attempt.address, &message).await?;
            return Ok(StepResult::Again { message });
        }
        let close = |_: &Recorded| vec![Change::Advance { attempt: id, event: PhaseEvent::NotCarriedOut }];
        self.settle(id, attempt, "it was not carried out", close).await
    }

    /// Returns whether the attempt's file still has the content of the attempt.
    fn has_bytes_of(&self, attempt: &Attempt) -> bool {
        self.files.get(&attempt.address).is_some_and(|(_, facts)| Some(facts.hash) == attempt.intent.content())
    }

    /// Handles a revision newer than the recorded one: this attempt's, or someone else's.
    async fn settle_newer(
        &self,
        id: AttemptId,
        attempt: &Attempt,
        asset: RemoteAsset,
        slot: Option<UploadSlot>,
    ) -> Result<StepResult, StepError> {
        let newest = self.record(&attempt.address).and_then(|record| record.newest()?.0.version);
        if !may_have_made(attempt, newest, &asset, clock::now()) {
            let decide = |recorded: &Recorded| {
                let mut changes = vec![Change::Advance { attempt: id, event: PhaseEvent::NotCarriedOut }];
                let record = recorded.assets.get(&attempt.address);
                changes.extend(
                    record.into_iter().flat_map(|r| effects::made_elsewhere(&attempt.address, r, &asset, clock::now())),
                );
                changes
            };
            return self.settle(id, attempt, "somebody else changed it at Roblox", decide).await;
        }
        match slot {
            // Equal bytes make no second version (observed with public clients), so sending them
            // again shows whose the revision is.
            Some(slot) => self.send_again(id, attempt, slot, Some(asset)).await,
            // The file has changed, and nothing rules the revision out: it is the attempt's.
            None => self.finish(id, asset).await,
        }
    }

    /// Sends the bytes of an update in doubt again; the response settles the same attempt. `newer` is the
    /// asset, if it shows a revision that the attempt may have made.
    async fn send_again(
        &self,
        id: AttemptId,
        attempt: &Attempt,
        slot: UploadSlot,
        newer: Option<RemoteAsset>,
    ) -> Result<StepResult, StepError> {
        let Some(asset_id) = attempt.intent.asset_id() else { return Ok(superseded("only a person can tell")) };
        let upload = self.open(&attempt.address)?;
        let permit = self.permit(Endpoint::UpdateAsset, attempt.kind.creator).await?;
        let may_begin = self.state_cache.may_begin(self.generation).await;
        if !matches!(may_begin, Ok(true)) {
            self.throttle.release_unsent(permit);
            return may_begin.map(|_| written_anew()).map_err(StepError::from);
        }
        tracing::info!(address = %attempt.address, %asset_id, size = upload.length, "sending the same bytes again to settle an update in doubt");
        let request = UpdateRequest { asset_id, fields: Vec::new(), content: Some(upload) };
        let reply = self.send(id, permit, async |hand_over| self.client.update_asset(request, hand_over).await).await;
        drop(slot);
        let is_ours = |open: &Attempt| open.phase == Phase::HandedOver || open == attempt;
        if !self.attempt(id).is_some_and(|open| is_ours(&open)) {
            return Ok(superseded(WENT_ON));
        }
        let Err(failure) = &reply.result else { return self.handle_response(id, reply).await };
        match (failure.class, newer) {
            // These bytes are refused each time, and nothing rules the revision out that is there.
            (Class::Refused(refusal), Some(asset)) if refusal.is_of_content() => self.finish(id, asset).await,
            (Class::Refused(refusal), None) if refusal.is_of_content() => self.handle_response(id, reply).await,
            _ => self.stay_in_doubt(id, attempt, failure).await,
        }
    }

    /// Leaves an attempt in doubt whose second request failed: whatever that says of the second one, it
    /// says nothing of the first.
    async fn stay_in_doubt(
        &self,
        id: AttemptId,
        attempt: &Attempt,
        failure: &Failure,
    ) -> Result<StepResult, StepError> {
        let message = with_causes(failure);
        let ended = match failure.class {
            Class::Refused(Refusal::KeyRefused | Refusal::MissingScope | Refusal::AccountModerated) => {
                self.stop_for_credential(failure);
                None
            }
            Class::Refused(Refusal::PermissionDenied) => Some(self.forbid(attempt.kind.creator, failure)),
            Class::Refused(Refusal::NoRoute | Refusal::Intercepted) => {
                let hint = failure.hint().map(str::to_owned);
                Some(Outcome::Refused { message: message.clone(), hint })
            }
            _ => None,
        };
        let doubt = |recorded: &Recorded| match recorded.attempts.get(&id) {
            Some(Attempt { phase: Phase::HandedOver, .. }) => {
                vec![Change::Advance { attempt: id, event: PhaseEvent::Doubt }]
            }
            Some(_) | None => Vec::new(),
        };
        self.state_cache.commit_with(doubt).await?;
        if let (Class::Refused(Refusal::NotFound), Some(asset_id)) = (failure.class, attempt.intent.asset_id()) {
            return self.not_found(&attempt.address, asset_id).await;
        }
        self.back_off(&attempt.address, &message).await?;
        Ok(ended.map_or(StepResult::Again { message }, StepResult::Ended))
    }
}

/// Returns the stored metadata, if it differs from the recorded request after an attempt in doubt.
/// Roblox's text filter may have changed the value, and the earlier one is not stored either then.
/// A field with neither value has an unknown one, which is sent again in any case.
fn believed(attempt: &Attempt, record: &Record, asset: &RemoteAsset) -> Option<Change> {
    let Intent::UpdateMetadata { fields, .. } = &attempt.intent else { return None };
    let mut asked = record.asked.clone();
    for (field, digest) in asked.iter_mut().filter(|(field, _)| fields.contains_key(field)) {
        if asset.stored(*field) != Some(*digest) {
            *digest = FieldDigest::UNKNOWN;
        }
    }
    (asked != record.asked).then(|| Change::SetMetadata {
        address: attempt.address.clone(),
        fields: asked,
        stored: (*record.stored).clone(),
    })
}

/// Returns that the metadata of an attempt in doubt is unknown: each field is sent again in any
/// case.
fn unknown(attempt: &Attempt, record: &Record) -> Option<Change> {
    let Intent::UpdateMetadata { fields, .. } = &attempt.intent else { return None };
    let mut asked = record.asked.clone();
    asked.extend(fields.keys().map(|field| (*field, FieldDigest::UNKNOWN)));
    Some(Change::SetMetadata { address: attempt.address.clone(), fields: asked, stored: (*record.stored).clone() })
}

/// Returns whether an update or rollback in doubt may have made the revision that `asset` shows.
/// `newest` is the newest known revision.
fn may_have_made(attempt: &Attempt, newest: Option<Revision>, asset: &RemoteAsset, now: Timestamp) -> bool {
    if attempt.taken_over {
        // A lockfile has no times. The revision right after the expected head is the attempt's own;
        // a later one shows that someone else made a revision too.
        let followed = match &attempt.intent {
            Intent::UpdateContent { head, .. } => *head,
            _ => newest,
        };
        return asset.revision.map(Revision::get) == Some(followed.map_or(0, Revision::get) + 1);
    }
    asset.revision_created_at.is_none_or(|made| effects::may_have_made_at(attempt, made, now))
}

/// As [`observation::may_lag`](crate::model::observation::may_lag), with the shorter patience of
/// tests.
fn may_lag(written: Timestamp, now: Timestamp) -> bool {
    now.duration_since(written).abs() < failpoint::rest(READ_LAG)
}

/// Returns when the request of an attempt in doubt was over at the latest. An attempt that a crash
/// interrupted is in doubt only since the next start.
fn sent_by(attempt: &Attempt) -> Timestamp {
    let Timeouts { answer, upload_answer, .. } = Timeouts::default();
    let longest = if attempt.intent.content().is_some() { upload_answer } else { answer };
    attempt.since.min(attempt.handed_over_at.saturating_add(longest).unwrap_or(Timestamp::MAX))
}

/// Returns what a read proves. A read may show the asset before Macadam's own last write (`lags`),
/// or before the request in doubt took effect (`is_early`). Then it decides only what an older one
/// can't show.
const fn proven(shown: InDoubtVerdict, lags: bool, is_early: bool) -> InDoubtVerdict {
    match shown {
        // Versions only grow.
        InDoubtVerdict::Known | InDoubtVerdict::Newer | InDoubtVerdict::NotYet | InDoubtVerdict::TooEarly => shown,
        InDoubtVerdict::Overtaken if is_early => InDoubtVerdict::NotYet,
        InDoubtVerdict::Overtaken => shown,
        // Before the request or after it, the asset is now as requested.
        InDoubtVerdict::Yes if !lags => shown,
        InDoubtVerdict::No if !lags && !is_early => shown,
        InDoubtVerdict::Yes | InDoubtVerdict::No => InDoubtVerdict::TooEarly,
    }
}

/// The evidence about an attempt in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InDoubtVerdict {
    Yes,
    No,
    /// The read may be older than the request.
    TooEarly,
    /// There is no newer revision so far.
    NotYet,
    /// The history has the revision that it made.
    Known,
    /// The history has newer revisions with other content, and the remote has none beyond them.
    Overtaken,
    /// There is a newer revision whose maker is unknown.
    Newer,
}

fn carried_out(intent: &Intent, record: &Record, asset: &RemoteAsset) -> InDoubtVerdict {
    let yes = |yes: bool| if yes { InDoubtVerdict::Yes } else { InDoubtVerdict::No };
    match intent {
        Intent::UpdateContent { asset_id, content, head } => {
            updated(record, (*asset_id, *content), *head, asset.revision)
        }
        Intent::Create { .. } => InDoubtVerdict::No,
        Intent::UpdateMetadata { fields, .. } => {
            yes(fields.iter().all(|(field, digest)| asset.stored(*field) == Some(*digest)))
        }
        Intent::Archive { .. } => yes(asset.archived == Some(true)),
        Intent::Restore { .. } => yes(asset.archived == Some(false)),
        // The head moved back, or a new version has the old bytes.
        Intent::Rollback { to, .. } => {
            let newest = record.newest().and_then(|(newest, _)| newest.version);
            let was = record.head().and_then(|(head, _)| head.version);
            match asset.revision {
                revision if revision > newest => InDoubtVerdict::Newer,
                revision => yes(revision == Some(*to) && was != Some(*to)),
            }
        }
    }
}

/// Returns the evidence about an update that was to follow version `head`, if the remote shows
/// `shown`. If an old state comes back, the lockfile may know more about its updates in doubt: the
/// versions after `head`.
fn updated(
    record: &Record,
    (asset_id, content): (AssetId, ContentHash),
    head: Option<Revision>,
    shown: Option<Revision>,
) -> InDoubtVerdict {
    let of_asset = record.history.of_asset(asset_id);
    // A revision with unknown content may be this one.
    let later = of_asset.filter(|(key, _)| key.version > head).filter_map(|(key, fact)| Some((key, fact.content?)));
    let later: Vec<(RevisionKey, ContentHash)> = later.collect();
    if later.iter().any(|(_, made)| *made == content) {
        return InDoubtVerdict::Known;
    }
    let newest = later.iter().filter_map(|(key, _)| key.version).max();
    match shown > head.max(newest) {
        true => InDoubtVerdict::Newer,
        false if newest.is_some() => InDoubtVerdict::Overtaken,
        false => InDoubtVerdict::NotYet,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::address::Address;
    use crate::model::asset::AssetType;
    use crate::model::history::Kind;
    use crate::model::ids::{Creator, UserId};

    #[test]
    fn only_the_next_revision_may_be_that_of_an_update_from_another_machine() {
        let now = Timestamp::from_second(100_000).unwrap();
        let asset_id = AssetId::new(7).unwrap();
        let (content, head) = (ContentHash::from_bytes([1; 32]), Revision::new(4).ok());
        let update = Intent::UpdateContent { asset_id, content, head };
        let attempt = |taken_over: bool| Attempt {
            address: Address::new("a").unwrap(),
            intent: update.clone(),
            kind: Kind { asset_type: AssetType::Model, creator: Creator::User(UserId::new(1).unwrap()) },
            phase: Phase::InDoubt,
            begun_at: now,
            handed_over_at: now,
            taken_over,
            since: now,
        };
        let shown = |revision: u64, seconds_ago: i64| RemoteAsset {
            revision: Revision::new(revision).ok(),
            revision_created_at: Timestamp::from_second(100_000 - seconds_ago).ok(),
            ..RemoteAsset::unknown(asset_id)
        };
        let newest = Revision::new(4).ok();
        for (taken_over, revision, seconds_ago, expected) in [
            (true, 5, 5000, true),
            (true, 6, 5000, false),
            (true, 6, 0, false),
            // The time of the request is known here.
            (false, 5, 5000, false),
            (false, 6, 0, true),
            (false, 5, -30 * 60, true),
            (false, 5, -3 * 60 * 60, false),
        ] {
            let made = may_have_made(&attempt(taken_over), newest, &shown(revision, seconds_ago), now);
            assert_eq!(made, expected, "{taken_over} {revision} {seconds_ago}");
        }
    }

    #[test]
    fn a_read_that_may_be_older_decides_only_what_an_older_one_can_not_show() {
        use InDoubtVerdict::{Known, Newer, No, NotYet, Overtaken, TooEarly, Yes};
        for (shown, lags, is_early, expected) in [
            (Yes, false, false, Yes),
            (Yes, false, true, Yes),
            (Yes, true, true, TooEarly),
            (Yes, true, false, TooEarly),
            (No, false, false, No),
            (No, false, true, TooEarly),
            (No, true, false, TooEarly),
            (Newer, true, true, Newer),
            (NotYet, true, true, NotYet),
            (Known, true, true, Known),
            (Overtaken, true, true, NotYet),
            (Overtaken, true, false, Overtaken),
        ] {
            assert_eq!(proven(shown, lags, is_early), expected, "{shown:?} {lags} {is_early}");
        }
    }
}

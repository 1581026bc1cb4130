//! Tells which of this machine's uploads another machine finished, by the lockfiles of git's history.
//!
//! A revision doesn't say which upload made it, and two machines that upload the same file make two
//! assets. So a revision with the same content alone proves nothing, and neither does one that comes
//! back: a revert, a squashed merge or a checkout may bring any earlier asset. Only an asset that
//! never came otherwise than in the place of the open upload is its result.

use std::collections::BTreeSet;

use super::{Ledger, LockfileEntry, OpenWork};
use crate::model::address::Address;
use crate::model::change::Change;
use crate::model::history::{Kind, RevisionFact, RevisionState};
use crate::model::ids::{AssetId, ContentHash};
use crate::model::phase::{Intent, Phase, PhaseEvent};
use crate::model::recorded::{Attempt, AttemptId, Blocked, PossibleDuplicate, Recorded};

/// An upload whose end git's history may tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UploadInQuestion {
    /// The upload.
    pub intent: Intent,
    /// The assets that may be its result: they have its content, and this machine learned of them
    /// after the upload began.
    pub results: BTreeSet<AssetId>,
}

/// Returns the uploads in doubt of which the lockfile's history may tell the end: it has no longer, or
/// never had, them open. An upload whose operation is known isn't among them: Roblox tells its end.
pub(crate) fn in_question(recorded: &Recorded, ledger: &Ledger) -> Vec<UploadInQuestion> {
    let in_doubt = recorded.attempts.values().filter(|attempt| is_in_doubt(attempt));
    let closed = in_doubt.filter(|attempt| open_in(ledger, &attempt.intent).is_none());
    closed.filter_map(|attempt| question(recorded, attempt)).collect()
}

/// Returns what is to be found out of an upload; `None` if no asset can be its result.
pub(crate) fn question(recorded: &Recorded, attempt: &Attempt) -> Option<UploadInQuestion> {
    let Intent::Create { content, .. } = &attempt.intent else { return None };
    let revisions = recorded.assets.values().flat_map(|record| record.history.iter());
    let is_result = |asset_id: AssetId, fact: &RevisionFact| {
        made(*content, attempt.kind, fact)
            && fact.made.is_none_or(|(learned_at, _)| learned_at > attempt.begun_at)
            && !is_forgotten(recorded, asset_id)
    };
    let results: BTreeSet<AssetId> =
        revisions.filter(|(key, fact)| is_result(key.asset_id, fact)).map(|(key, _)| key.asset_id).collect();
    (!results.is_empty()).then(|| UploadInQuestion { intent: attempt.intent.clone(), results })
}

fn is_forgotten(recorded: &Recorded, asset_id: AssetId) -> bool {
    recorded.forgotten.values().any(|forgotten| forgotten.times(asset_id) > 0)
}

/// Returns whether the text of a lockfile names an asset: also as one that was forgotten, and also if
/// it can't be parsed.
pub(crate) fn names(text: &[u8], asset_id: AssetId) -> bool {
    let wanted = asset_id.to_string();
    text.split(|byte| !byte.is_ascii_alphanumeric()).any(|word| word == wanted.as_bytes())
}

/// Returns the assets that may be the result of the upload, if it was open in the lockfile `before` a
/// commit, and is over `after` it; none unless there is one new asset for each upload of the same
/// content that ended.
pub(crate) fn results(intent: &Intent, before: &Ledger, after: &Ledger) -> BTreeSet<AssetId> {
    let Some((address, entry)) = open_in(before, intent) else { return BTreeSet::new() };
    let Intent::Create { upload, content, .. } = intent else { return BTreeSet::new() };
    let (content, kind) = (*content, entry.identity.kind());
    let is_alike = |entry: &LockfileEntry, work: &OpenWork| {
        matches!(work.intent, Intent::Create { .. })
            && work.intent.content() == Some(content)
            && entry.identity.kind() == kind
    };
    let open = before.entries.values().flat_map(|entry| entry.open.iter().filter(move |work| is_alike(entry, work)));
    let ended = open.filter(|work| open_in(after, &work.intent).is_none()).count();
    let entries = before.entries.values().flat_map(|entry| entry.history.iter().map(|(key, _)| key.asset_id));
    let forgotten = [before, after].into_iter().flat_map(|ledger| ledger.forgotten.values());
    let forgotten = forgotten.flat_map(|forgotten| forgotten.iter().map(|(asset_id, _)| asset_id));
    let known: BTreeSet<AssetId> = entries.chain(forgotten).collect();
    let new_in = |entry: &LockfileEntry| {
        let kind_of = |fact: &RevisionFact| fact.kind.unwrap_or_else(|| entry.identity.kind());
        let of_kind = |fact: &RevisionFact| made(content, kind, &RevisionFact { kind: Some(kind_of(fact)), ..*fact });
        let new = entry.history.iter().filter(|(key, fact)| !known.contains(&key.asset_id) && of_kind(fact));
        new.map(|(key, _)| key.asset_id).collect::<BTreeSet<_>>()
    };
    let all: BTreeSet<AssetId> = after.entries.values().flat_map(new_in).collect();
    // The machine that finished it gave the upload up, and made the revision by another one.
    let is_suspected =
        |entry: &LockfileEntry| entry.possible_duplicates.get(upload).is_some_and(|duplicate| !duplicate.settled);
    if open_in(after, intent).is_some() || all.len() != ended || after.entries.values().any(is_suspected) {
        return BTreeSet::new();
    }
    match after.entries.get(address) {
        Some(entry) => new_in(entry),
        // The address has another name since.
        None => {
            let renamed = after.entries.iter().filter(|(address, _)| !before.entries.contains_key(*address));
            renamed.flat_map(|(_, entry)| new_in(entry)).collect()
        }
    }
}

/// Returns the changes that close the uploads of this machine that are `finished`. Nothing is asked
/// about them, and they leave no doubt.
pub(crate) fn close(recorded: &Recorded, finished: &[Intent]) -> Vec<Change> {
    let mut changes = Vec::new();
    let is_over = |attempt: &Attempt| finished.iter().any(|intent| is_same(&attempt.intent, intent));
    let over = recorded.attempts.iter().filter(|(_, attempt)| is_over(attempt));
    for (id, attempt) in over {
        close_one(recorded, *id, attempt, &mut changes);
    }
    changes
}

/// Adds the changes that close an upload of which the asset is known.
pub(crate) fn close_one(recorded: &Recorded, id: AttemptId, attempt: &Attempt, changes: &mut Vec<Change>) {
    let address = || attempt.address.clone();
    changes.push(Change::Advance { attempt: id, event: PhaseEvent::Complete });
    let Some(record) = recorded.assets.get(&attempt.address) else { return };
    // What failed was to hear of it.
    if matches!(record.blocked.as_deref(), Some(Blocked::Retrying { .. })) {
        changes.push(Change::SetBlocked { address: address(), blocked: None });
    }
    if let Some(upload) = attempt.intent.upload()
        && let Some(suspected) = record.possible_duplicates.get(&upload)
    {
        let duplicate = PossibleDuplicate { settled: true, ..*suspected };
        changes.push(Change::AddPossibleDuplicate { address: address(), upload, duplicate });
    }
}

/// Whether it is unknown what came of a new asset's upload, and Roblox can't be asked.
const fn is_in_doubt(attempt: &Attempt) -> bool {
    matches!(attempt.intent, Intent::Create { .. }) && matches!(attempt.phase, Phase::InDoubt | Phase::Held)
}

/// Whether both are one upload: a new asset's by its ID, whatever else another machine knows of it.
fn is_same(one: &Intent, other: &Intent) -> bool {
    match (one.upload(), other.upload()) {
        (Some(one), Some(other)) => one == other,
        _ => one == other,
    }
}

/// Returns the entry that has the upload open.
fn open_in<'a>(ledger: &'a Ledger, intent: &Intent) -> Option<(&'a Address, &'a LockfileEntry)> {
    let is_it = |work: &OpenWork| is_same(&work.intent, intent);
    ledger.entries.iter().find(|(_, entry)| entry.open.iter().any(is_it))
}

/// Whether a revision may be what an upload of `content` made.
fn made(content: ContentHash, kind: Kind, fact: &RevisionFact) -> bool {
    fact.content == Some(content) && fact.kind == Some(kind) && fact.state != RevisionState::Gone && !fact.shared
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::state::lockfile::parse;

    const HASH: &str = "d298055ca69c57ae509d11842f320fcd96b04fc0acaf1f93c446fe274c60d69c";

    fn ledger(entries: &str) -> Ledger {
        let text = format!("version = 1\nremote = \"r\"\n{}\n# end of lockfile\n", entries.replace("HASH", HASH));
        parse(text.as_bytes(), Path::new("assets.lock.toml")).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    fn entry(address: &str, asset_type: &str, facts: &str) -> String {
        format!("\n[assets.\"{address}\"]\ntype = \"{asset_type}\"\ncreator = \"user:1\"\n{facts}\n")
    }

    const OPEN: &str =
        "open = [\n  { action = \"create\", content_hash = \"HASH\", upload = \"b323f2ad5e1bb5cb\" },\n]";
    const MADE: &str = "revisions = [\n  { asset_id = 7, content_hash = \"HASH\" },\n]";

    #[track_caller]
    fn check(before: &str, after: &str, expected: bool) {
        let (before, after) = (ledger(before), ledger(after));
        let open = before.entries.values().flat_map(|entry| &entry.open).map(|work| &work.intent);
        let finished = open.into_iter().any(|intent| !results(intent, &before, &after).is_empty());
        assert_eq!(finished, expected);
    }

    #[test]
    fn an_upload_is_finished_by_the_change_that_puts_its_asset_in_its_place() {
        let (open, made) = (entry("a", "Image", OPEN), entry("a", "Image", MADE));
        check(&open, &made, true);
        check(&open, &open, false);
        check(&open, &entry("a", "Image", &format!("{MADE}\n{OPEN}")), false);
        check(&open, &entry("b", "Image", MADE), true);
        check(&open, &entry("b", "Decal", MADE), false);
        check(&entry("a", "Image", &format!("{MADE}\n{OPEN}")), &made, false);
        let other = entry("a", "Image", &MADE.replace("HASH", &HASH.replace('d', "e")));
        check(&open, &format!("{other}{}", entry("b", "Image", MADE)), false);
        // It was given up, and another upload made the revision.
        let suspected = "possible_duplicates = [\n  { content_hash = \"HASH\", upload = \"b323f2ad5e1bb5cb\" },\n]";
        check(&open, &entry("a", "Image", &format!("{MADE}\n{suspected}")), false);
    }

    #[test]
    fn an_asset_that_was_forgotten_is_not_what_a_newer_upload_made() {
        let (open, made) = (entry("a", "Image", OPEN), entry("a", "Image", MADE));
        let forgotten = |address: &str| format!("\n[forgotten.\"{address}\"]\n7 = 1\n");
        check(&format!("{open}{}", forgotten("a")), &made, false);
        check(&format!("{open}{}", forgotten("b")), &made, false);
        check(&open, &format!("{made}{}", forgotten("b")), false);
    }

    #[test]
    fn of_two_new_assets_with_the_same_content_neither_is_told_from_the_other() {
        let two = "revisions = [\n  { asset_id = 7, content_hash = \"HASH\" },\n  { asset_id = 8, content_hash = \"HASH\", duplicate = true },\n]";
        check(&entry("a", "Image", OPEN), &entry("a", "Image", two), false);
        let second = entry("b", "Image", &OPEN.replace("b323", "b324"));
        let both = format!("{}{second}", entry("a", "Image", OPEN));
        let both_made = format!("{}{}", entry("a", "Image", MADE), entry("b", "Image", &MADE.replace('7', "8")));
        check(&both, &both_made, true);
        check(&both, &entry("a", "Image", MADE), false);
    }

    #[test]
    fn a_lockfile_names_an_asset_by_its_whole_id() {
        let asset_id = AssetId::new(106).unwrap();
        assert!(names(b"  { asset_id = 106, content_hash = \"1\" },", asset_id));
        assert!(names(b"[forgotten.\"a\"]\n106 = 1\n", asset_id));
        assert!(names(b"<<<<<<< ours\n{ asset_id = 106 }", asset_id));
        assert!(!names(b"{ asset_id = 1061, content_hash = \"x106\" }", asset_id));
    }
}

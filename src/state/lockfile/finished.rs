//! Tells which of this machine's open uploads another machine finished.
//!
//! A revision doesn't say which upload made it, and two machines that upload the same file make two
//! assets. So a revision with the same content alone proves nothing. A commit does, if it took the
//! upload out of the lockfile and put its revision in.

use std::collections::BTreeSet;

use super::{Ledger, LockfileEntry, OpenWork};
use crate::model::address::Address;
use crate::model::change::Change;
use crate::model::history::{RevisionFact, RevisionKey, RevisionState};
use crate::model::phase::{Intent, Phase, PhaseEvent};
use crate::model::recorded::{Attempt, AttemptId, Blocked, PossibleDuplicate, Recorded};

/// The beginning of each line of open work.
const OPEN: &[u8] = b"{ action = \"";

/// Returns the open uploads of which the lockfile may tell the end: it has no longer, or never had,
/// them open, and it has their content.
pub(crate) fn in_question(recorded: &Recorded, ledger: &Ledger) -> Vec<Intent> {
    let open = recorded.attempts.values().filter(|attempt| is_closable(attempt)).map(|attempt| &attempt.intent);
    let may_be_over = |intent: &&Intent| {
        open_in(ledger, intent).is_none()
            && ledger.entries.values().any(|entry| entry.history.iter().any(|(key, fact)| made(intent, key, fact)))
    };
    open.filter(may_be_over).cloned().collect()
}

/// The lines of open work in the text of a lockfile, without a look at the rest.
pub(crate) fn open_lines(text: &[u8]) -> Vec<&[u8]> {
    let lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    lines.filter(|line| line.starts_with(OPEN)).collect()
}

/// Returns whether one of these lines may be that of the upload.
pub(crate) fn may_have(lines: &[&[u8]], intent: &Intent) -> bool {
    let key = match (intent.upload(), intent.content()) {
        (Some(upload), _) => upload.to_string(),
        (None, Some(content)) => content.to_string(),
        (None, None) => return false,
    };
    lines.iter().any(|line| line.windows(key.len()).any(|part| part == key.as_bytes()))
}

/// Returns whether the upload was open in the lockfile `before` a commit, and `after` it is over and
/// has made a revision.
pub(crate) fn is_finished(intent: &Intent, before: &Ledger, after: &Ledger) -> bool {
    let Some((address, entry)) = open_in(before, intent) else { return false };
    if open_in(after, intent).is_some() {
        return false;
    }
    let kind = entry.identity.kind();
    let known: BTreeSet<RevisionKey> =
        before.entries.values().flat_map(|entry| entry.history.iter().map(|(key, _)| key)).collect();
    let is_result = |entry: &LockfileEntry| {
        let is_of_kind = |fact: &RevisionFact| fact.kind.unwrap_or_else(|| entry.identity.kind()) == kind;
        let is_new = |key: RevisionKey, fact: &RevisionFact| !known.contains(&key) && is_of_kind(fact);
        // The machine that finished it gave the upload up, and made the revision by another one.
        let suspected = |upload| entry.possible_duplicates.get(&upload).is_some_and(|duplicate| !duplicate.settled);
        entry.history.iter().any(|(key, fact)| is_new(key, fact) && made(intent, key, fact))
            && !intent.upload().is_some_and(suspected)
    };
    match after.entries.get(address) {
        Some(entry) => is_result(entry),
        // The address has another name since.
        None => after.entries.values().any(is_result),
    }
}

/// Returns the changes that close the uploads of this machine that are `finished`. Nothing is asked
/// about them, and they leave no doubt.
pub(crate) fn close(recorded: &Recorded, finished: &[Intent]) -> Vec<Change> {
    let mut changes = Vec::new();
    let is_over = |attempt: &Attempt| finished.iter().any(|intent| is_same(&attempt.intent, intent));
    let over = recorded.attempts.iter().filter(|(_, attempt)| is_closable(attempt) && is_over(attempt));
    for (id, attempt) in over {
        close_one(recorded, *id, attempt, &mut changes);
    }
    changes
}

fn close_one(recorded: &Recorded, id: AttemptId, attempt: &Attempt, changes: &mut Vec<Change>) {
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

/// Whether it is an upload whose end another machine can have seen. A request that is on the wire
/// has its own answer.
const fn is_closable(attempt: &Attempt) -> bool {
    let is_upload = matches!(attempt.intent, Intent::Create { .. } | Intent::UpdateContent { .. });
    is_upload && matches!(attempt.phase, Phase::Submitted(_) | Phase::SetAside(_) | Phase::InDoubt | Phase::Held)
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

/// Whether a revision may be the result of the upload.
fn made(intent: &Intent, key: RevisionKey, fact: &RevisionFact) -> bool {
    let is_content = |content| fact.content == Some(content) && fact.state != RevisionState::Gone;
    match intent {
        Intent::Create { content, .. } => is_content(*content) && !fact.shared,
        Intent::UpdateContent { asset_id, content, head } => {
            is_content(*content) && key.asset_id == *asset_id && key.version > *head
        }
        Intent::UpdateMetadata { .. } | Intent::Rollback { .. } | Intent::Archive { .. } | Intent::Restore { .. } => {
            false
        }
    }
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
        let finished = open.into_iter().any(|intent| is_finished(intent, &before, &after));
        assert_eq!(finished, expected);
    }

    #[test]
    fn an_upload_is_finished_by_the_change_that_puts_its_revision_in_its_place() {
        let (open, made) = (entry("a", "Image", OPEN), entry("a", "Image", MADE));
        check(&open, &made, true);
        check(&open, &open, false);
        check(&open, &entry("a", "Image", &format!("{MADE}\n{OPEN}")), false);
        check(&open, &entry("b", "Image", MADE), true);
        check(&open, &entry("b", "Decal", MADE), false);
        check(&entry("a", "Image", &format!("{MADE}\n{OPEN}")), &made, false);
        // The asset of another address of the same bytes.
        check(
            &open,
            &format!(
                "{}{}",
                entry("a", "Image", &MADE.replace("HASH", &HASH.replace('d', "e"))),
                entry("b", "Image", MADE)
            ),
            false,
        );
        // It was given up, and another upload made the revision.
        let suspected = "possible_duplicates = [\n  { content_hash = \"HASH\", upload = \"b323f2ad5e1bb5cb\" },\n]";
        check(&open, &entry("a", "Image", &format!("{MADE}\n{suspected}")), false);
    }
}

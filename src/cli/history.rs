//! `macadam history`: every revision of addresses, or one of them; with `--remote`, also as Roblox
//! lists them.

mod known;

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde_json::{Value, json};

use known::{CommitLookup, KnownHistory};

use super::args::{Global, HistoryArgs};
use super::asset_words::{self, NamedWords};
use super::exit::{CommandFailure, Exit};
use super::output::{Printer, TextStyle, paint, plural, stdout_columns};
use super::progress::Bars;
use super::second_copies;
use super::selection::AddressSelection;
use super::table::{Column, TextTable};
use super::target::{self, ProjectTarget};
use crate::cloud::client::Client;
use crate::engine::remote::revisions::{self, RemoteFacts, RemoteHistory, RemoteRevision, RemoteStatus};
use crate::engine::remote::throttle::{self, Throttle};
use crate::engine::report::progress::Listener;
use crate::engine::workspace::lockfile_commits::LockfileCommit;
use crate::engine::workspace::renamed::{self, Renamed};
use crate::engine::workspace::snapshot::StateSnapshot;
use crate::model::address::Address;
use crate::model::asset::ContentChange;
use crate::model::history::{Origin, RevisionKey, RevisionState};
use crate::model::ids::{AssetId, Revision};
use crate::model::minute::Minute;
use crate::model::proposed::quoted;
use crate::model::shown;
use crate::plan::pinnable::UsableRevisions;
use crate::state::store::EventRow;

/// Stands for what is not known.
const UNKNOWN: &str = "-";

/// How many letters of a commit's name are shown: as many as git shows.
const SHORT: usize = 7;

/// The addresses and the revision that the person asked for.
struct HistoryQuery {
    asked: NamedWords,
    selection: AddressSelection,
    revision: Option<u64>,
}

impl HistoryQuery {
    /// A number last is a revision, unless an asset has that name or that ID.
    fn read(target: &ProjectTarget, words: &[String]) -> Result<Self, CommandFailure> {
        // The names of all assets are needed only where a word may be something else.
        let may_be_number = words.last().is_some_and(|last| last.parse::<u64>().is_ok());
        let known = match may_be_number || AddressSelection::plain(words).is_none() {
            true => StateSnapshot::open(&target.project, &target.remote)?.known(),
            false => BTreeSet::new(),
        };
        let number = |word: &String| {
            let is_name = Address::new(word).is_ok_and(|address| known.contains(&address));
            word.parse::<u64>().ok().filter(|_| !is_name && !asset_words::is_known(target, word))
        };
        let (words, revision) = match words {
            [words @ .., last] if !words.is_empty() && number(last).is_some() => (words, number(last)),
            words => (words, None),
        };
        let asked = NamedWords::read(target, words)?.without_existing()?;
        let selection = AddressSelection::read(&asked.words, || Ok(known.clone()))?;
        Ok(Self { asked, selection, revision })
    }

    /// Prints what was found: the document of one address, or that of each of several.
    fn print(&self, output: Printer, mut documents: Vec<Value>) {
        match documents.pop() {
            Some(document) if self.selection.is_single => output.document(&document),
            last => {
                documents.extend(last);
                output.document(&json!({ "assets": documents }));
            }
        }
    }
}

/// Shows them, oldest first.
pub(super) fn run(output: Printer, global: &Global, args: &HistoryArgs) -> Result<Exit, CommandFailure> {
    let target = target::find(global)?;
    let wish = HistoryQuery::read(&target, &args.words)?;
    wish.asked.tell(output);
    let (mut documents, mut commits) = (Vec::new(), CommitLookup::of(&target));
    for address in &wish.selection.addresses {
        let mut known = match KnownHistory::load_alone(&target, address) {
            Some(known) => known,
            None => KnownHistory::load(&target, address)?,
        };
        commits.add_to(&mut known);
        let unasked = |(key, fact)| RemoteRevision { key, fact: Some(fact), remote: RemoteStatus::Unknown };
        let all = known.record.history.in_order().into_iter().map(unasked);
        let revisions: Vec<RemoteRevision> =
            all.filter(|seen| wish.revision.is_none_or(|number| known.number(seen.key) == Some(number))).collect();
        if let (Some(number), true) = (wish.revision, revisions.is_empty()) {
            return Err(never_had(&known, number));
        }
        if output.is_json() {
            let entries: Vec<Value> = revisions.iter().map(|seen| entry(&known, seen)).collect();
            let address = known.address.as_str();
            documents.push(json!({ "address": address, "revisions": entries, "events": events(&known) }));
        } else {
            heading(output, &wish, &known);
            show(output, &known, &revisions, false);
        }
    }
    if output.is_json() {
        wish.print(output, documents);
    }
    Ok(Exit::Success)
}

fn never_had(known: &KnownHistory, number: u64) -> CommandFailure {
    CommandFailure::new(Exit::Unreconciled, format!("`{}` has no revision {number}", known.address))
        .hint(UsableRevisions::of(&known.record).to_string())
}

fn heading(output: Printer, wish: &HistoryQuery, known: &KnownHistory) {
    if !wish.selection.is_single {
        output.line(format!("\n{}", known.address));
    }
}

/// The same beside what Roblox lists. Takes no lock and writes nothing: it works beside a running
/// process.
pub(super) async fn run_remote(output: Printer, global: &Global, args: &HistoryArgs) -> Result<Exit, CommandFailure> {
    let target = target::find(global)?;
    let wish = HistoryQuery::read(&target, &args.words)?;
    wish.asked.tell(output);
    let all = wish.selection.addresses.iter().map(|address| KnownHistory::load(&target, address));
    let mut all: Vec<KnownHistory> = all.collect::<Result<_, _>>()?;
    let mut commits = CommitLookup::of(&target);
    all.iter_mut().for_each(|known| commits.add_to(known));
    let Some(first) = all.first() else { return Ok(Exit::Success) };
    let credential = target::credential(global, &target)?;
    let (client, embedded) = target::connect(global, &target, credential).await?;
    let bars = Bars::new(output);
    let throttle = Throttle::new(&first.view.limits, throttle::OWNER, bars.listener());
    let mut answers = Vec::new();
    for known in &all {
        answers.push(ask(&client, &throttle, known, wish.revision, &bars.listener()).await);
    }
    bars.clear();
    if let Some(embedded) = embedded {
        embedded.stop().await;
    }
    let mut documents = Vec::new();
    for (known, answer) in all.iter().zip(answers) {
        let RemoteHistory { revisions, mut notes } = answer?;
        if known.view.recorded.attempts.values().any(|attempt| attempt.address == known.address) {
            notes.push(
                "Macadam is changing this asset right now, so a new revision may be listed as made elsewhere"
                    .to_owned(),
            );
        }
        if output.is_json() {
            let entries: Vec<Value> = revisions.iter().map(|seen| remote_entry(known, seen)).collect();
            let (address, events) = (known.address.as_str(), events(known));
            documents.push(json!({ "address": address, "revisions": entries, "events": events, "notes": notes }));
            continue;
        }
        heading(output, &wish, known);
        show(output, known, &revisions, true);
        for note in notes {
            output.line(format!("{} {note}", paint(TextStyle::Quiet, "note")));
        }
        output.line(format!("\n{}", summary(known, &revisions)));
    }
    if output.is_json() {
        wish.print(output, documents);
    }
    Ok(Exit::Success)
}

/// Asks for all revisions of an address, or for that of this number; of a Model also for one that
/// is not known here.
async fn ask(
    client: &Client,
    throttle: &Throttle,
    known: &KnownHistory,
    number: Option<u64>,
    listener: &Listener,
) -> Result<RemoteHistory, CommandFailure> {
    let asset = known.current.map(|(asset_id, _)| asset_id);
    let Some(number) = number else {
        return Ok(revisions::ask(client, throttle, &known.record, asset, listener).await?);
    };
    let found = known.record.history.in_order().into_iter().filter(|(key, _)| known.number(*key) == Some(number));
    // If several assets have a version with that number, take the current one.
    let found = found.max_by_key(|(key, _)| Some(key.asset_id) == asset);
    let key = match (found, known.record.identity.asset_type.on_content_change()) {
        (Some((key, _)), _) => Some(key),
        (None, ContentChange::InPlace) => {
            let version = Revision::new(number).ok();
            asset.zip(version).map(|(asset_id, version)| RevisionKey { asset_id, version: Some(version) })
        }
        (None, ContentChange::NewAsset) => None,
    };
    let Some(key) = key else { return Err(never_had(known, number)) };
    let remote = revisions::ask_one(client, throttle, &known.record, key).await?;
    let seen = RemoteRevision { key, fact: found.map(|(_, fact)| fact), remote };
    Ok(RemoteHistory { revisions: vec![seen], notes: Vec::new() })
}

fn entry(known: &KnownHistory, seen: &RemoteRevision) -> Value {
    let fact = seen.fact;
    json!({
        "revision": known.number(seen.key),
        "asset_id": seen.key.asset_id.get(),
        "content_hash": fact.and_then(|fact| fact.content).map(|hash| hash.to_string()),
        "created_at": fact.and_then(|fact| fact.made).map(|(at, _)| at.to_string()),
        "lockfile_commit": known.commits.get(&seen.key).map(|LockfileCommit { commit, at }| json!({ "commit": commit, "at": at.to_string() })),
        "action": if KnownHistory::is_shared(seen) { Some("share") } else { known.origin(seen).map(Origin::name) },
        "current": known.is_current(seen),
        "pinned": known.pinned == Some(seen.key),
        "rollback_of": known.rollback_of(seen),
        "file": known.is_file(seen),
        "state": fact.map(|fact| fact.state.name()),
        "shared": KnownHistory::is_shared(seen),
        "duplicate": known.is_duplicate(seen),
        "creator": fact.and_then(|fact| fact.kind).map(|kind| kind.creator.to_string()),
        "disputed": fact.is_some_and(|fact| fact.disputed),
    })
}

fn remote_entry(known: &KnownHistory, seen: &RemoteRevision) -> Value {
    let (told, found) = match seen.remote {
        RemoteStatus::Unknown => (Value::Null, None),
        RemoteStatus::Missing => (Value::Null, Some(false)),
        RemoteStatus::Present(RemoteFacts { moderation, published, archived }) => {
            let moderation = moderation.map(|moderation| moderation.name());
            (json!({ "moderation": moderation, "published": published, "archived": archived }), Some(true))
        }
    };
    let mut entry = entry(known, seen);
    if let Some(fields) = entry.as_object_mut() {
        fields.insert("remote".to_owned(), told);
        fields.insert("at_remote".to_owned(), json!(found));
    }
    entry
}

fn events(known: &KnownHistory) -> Vec<Value> {
    let entry = |row: &EventRow| json!({ "at": row.at.to_string(), "kind": row.kind, "message": row.message });
    known.events.iter().map(entry).collect()
}

fn show(output: Printer, known: &KnownHistory, revisions: &[RemoteRevision], asked: bool) {
    let columns = stdout_columns();
    let as_in_code = table(known, revisions, asked, AssetId::uri);
    let table = if as_in_code.fits(columns) {
        as_in_code
    } else {
        table(known, revisions, asked, |asset_id| asset_id.to_string())
    };
    if revisions.is_empty() {
        output.line(format!("{} has no revision: it was never uploaded, as far as Macadam knows.", known.address));
    } else {
        output.line(table.head(columns));
        table.rows(columns).for_each(|row| output.line(row));
    }
    if revisions.iter().any(|seen| known.commits.contains_key(&seen.key)) {
        let note = "another machine uploaded what has a commit: the one that brought it into the lockfile";
        output.line(format!("{} {note}", paint(TextStyle::Quiet, "note")));
    }
    if let Some(explained) = dashes(known, revisions) {
        output.line(format!("{} {explained}", paint(TextStyle::Quiet, "note")));
    }
    if let Some(Renamed::Becoming(now)) = &known.renamed {
        output.line(format!("{} {}", paint(TextStyle::Quiet, "note"), renamed::note(&known.address, now)));
    }
    let copies = second_copies::of_one(&known.address, &known.record, &known.events);
    copies.iter().for_each(|note| output.line(format!("{} {note}", paint(TextStyle::Warning, "note"))));
    for event in &known.events {
        output.line(format!("{} {}", paint(TextStyle::Quiet, Minute(event.at)), shown::foreign(&event.message)));
    }
}

/// What a `-` in the table means; `None` if it has none.
fn dashes(known: &KnownHistory, revisions: &[RemoteRevision]) -> Option<String> {
    let is_undated = |seen: &RemoteRevision| seen.fact.is_some_and(|fact| fact.made.is_none());
    let from_lockfile = |seen: &RemoteRevision| is_undated(seen) && !known.commits.contains_key(&seen.key);
    let meanings = [
        (revisions.iter().any(from_lockfile), "another machine uploaded it, and the lockfile doesn't say when and how"),
        (revisions.iter().any(|seen| seen.fact.is_none()), "Macadam doesn't know when somebody else made it"),
        (revisions.iter().any(|seen| known.number(seen.key).is_none()), "a revision of another asset has no number"),
    ];
    let mut found: Vec<String> =
        meanings.into_iter().filter(|(is_there, _)| *is_there).map(|(_, meaning)| meaning.to_owned()).collect();
    if let Some(file) = known.too_large.as_deref().map(quoted) {
        found.push(format!("`git log -S <ASSET ID> -- {file}` shows the commit that brought it"));
    }
    (!found.is_empty()).then(|| format!("`-`: {}", found.join("; ")))
}

fn table(
    known: &KnownHistory,
    revisions: &[RemoteRevision],
    asked: bool,
    form: fn(AssetId) -> String,
) -> TextTable<'static, 7> {
    let columns = [
        Column::right("REV"),
        Column::left("ASSET ID"),
        Column::left("CONTENT"),
        Column::left("WHEN"),
        Column::left("HOW"),
        Column::left(if asked { "AT ROBLOX" } else { "" }),
        Column::left(""),
    ];
    let cells = revisions.iter().map(|seen| cells(known, seen, asked, form).map(Cow::Owned));
    TextTable::new(columns, cells.collect())
}

fn cells(known: &KnownHistory, seen: &RemoteRevision, asked: bool, form: fn(AssetId) -> String) -> [String; 7] {
    let RemoteRevision { key, fact, .. } = seen;
    let hash = fact.and_then(|fact| fact.content);
    let content: String = hash.map_or_else(|| "unknown".to_owned(), |hash| hash.to_string().chars().take(12).collect());
    let commit = known.commits.get(key);
    let when = fact.and_then(|fact| fact.made).map(|(at, _)| at).or(commit.map(|commit| commit.at));
    let when = when.map(|at| Minute(at).to_string());
    let when = when.unwrap_or_else(|| "-".to_owned());
    let by = match (known.how(seen), commit) {
        (how, Some(LockfileCommit { commit, .. })) if how == UNKNOWN => {
            format!("commit {}", commit.get(..SHORT).unwrap_or(commit))
        }
        (how, _) => how,
    };
    let by = if fact.is_none() { paint(TextStyle::Warning, by) } else { by };
    let remote = if asked { remote_column(seen.remote) } else { String::new() };
    let current = known.is_current(seen);
    let mut marks = Vec::new();
    marks.extend(current.then(|| paint(TextStyle::Good, "current")));
    marks.extend((known.pinned == Some(*key)).then(|| paint(TextStyle::Change, "pinned")));
    marks.extend(known.rollback_of(seen).map(|number| format!("back to {number}")));
    // The current one has the file's bytes, as long as no pin says otherwise.
    marks.extend((!current && known.is_file(seen) == Some(true)).then(|| "the file's bytes".to_owned()));
    let state = fact.map(|fact| fact.state).filter(|state| *state != RevisionState::Live);
    marks.extend(known.number(*key).is_none().then(|| "another asset".to_owned()));
    marks.extend(state.map(|state| paint(TextStyle::Bad, state.name())));
    marks.extend(known.is_duplicate(seen).then(|| paint(TextStyle::Warning, "duplicate, not used")));
    let kind = fact.and_then(|fact| fact.kind).filter(|kind| *kind != known.record.identity.kind());
    marks.extend(kind.map(|kind| format!("of {} as {}", kind.creator, kind.asset_type)));
    marks.extend(fact.is_some_and(|fact| fact.disputed).then(|| paint(TextStyle::Bad, "contradictory, not used")));
    let number = known.number(*key).map_or_else(|| "-".to_owned(), |number| number.to_string());
    let mark = if current { "*" } else { " " };
    [format!("{mark} {number}"), form(key.asset_id), content, when, by, remote, marks.join(", ")]
}

fn remote_column(remote: RemoteStatus) -> String {
    let (tone, text) = match remote {
        RemoteStatus::Unknown => (TextStyle::Quiet, "unknown".to_owned()),
        RemoteStatus::Missing => (TextStyle::Bad, "missing".to_owned()),
        RemoteStatus::Present(RemoteFacts { moderation, published, archived }) => {
            let mut words = vec![moderation.map_or("there", |moderation| moderation.name())];
            words.extend((published == Some(true)).then_some("published"));
            words.extend((archived == Some(true)).then_some("archived"));
            (TextStyle::Good, words.join(", "))
        }
    };
    paint(tone, text)
}

fn summary(known: &KnownHistory, revisions: &[RemoteRevision]) -> String {
    let elsewhere = |seen: &&RemoteRevision| known.origin(seen) == Some(Origin::Elsewhere);
    let elsewhere = revisions.iter().filter(elsewhere).count();
    let missing = revisions.iter().filter(|seen| seen.remote == RemoteStatus::Missing).count();
    let mut parts = vec![plural(revisions.len() as u64, "revision")];
    parts.extend((elsewhere > 0).then(|| paint(TextStyle::Warning, format!("{elsewhere} made elsewhere"))));
    parts.extend((missing > 0).then(|| paint(TextStyle::Bad, format!("{missing} missing at Roblox"))));
    parts.join(", ")
}

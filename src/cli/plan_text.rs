//! A plan as a person reads it: the actions in groups, then the holds with their reasons, changes
//! made on Roblox, and notes.
//!
//! It only makes lines; [`super::plan`] and [`super::sync`] print them. Meant for 80 columns, with
//! and without colours. Read next: `src/plan/diff.rs` for the changes of a step.

use std::collections::{BTreeMap, BTreeSet};

use super::output::{TextStyle, paint, plural, stdout_columns};
use super::tally::{HoldGroup, Tally, Tense, heading, tally};
use crate::model::address::Address;
use crate::model::desired::{Desired, Unlisted};
use crate::model::history::RevisionState;
use crate::model::ids::{AssetId, Creator};
use crate::model::minute::Minute;
use crate::model::recorded::Recorded;
use crate::model::shown::foreign;
use crate::plan::current::current;
use crate::plan::diff::{self, Difference};
use crate::plan::reason::hold::HoldReason;
use crate::plan::reason::note::NoteKind;
use crate::plan::{Action, Drift, HeldPart, Hold, Note, Plan, Step};

/// A group with more entries than this is cut.
const LONG: usize = 20;

/// The number of entries that a cut group shows.
const SHOWN: usize = 10;

/// The names that stand for several assets alike.
const NAMED: usize = 3;

/// Columns of a line with values, without a terminal.
const COLUMNS: usize = 80;

/// The most columns of a line with values: longer ones are hard to compare.
const MOST_COLUMNS: usize = 120;

/// Stands under an address.
const INDENT: &str = "      ";

/// A plan with everything that its text needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outline<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// The assets that the manifest wants.
    pub desired: &'a Desired,
    /// The recorded assets, with the plan's marks applied.
    pub recorded: &'a Recorded,
    /// The addresses of a part of the project; `None` for all of it.
    pub part: Option<&'a BTreeSet<Address>>,
    /// Shows every entry, and the rules (`-v`).
    pub all: bool,
    /// The plan is of a rehearsal with `--emulator`.
    pub rehearsal: bool,
}

impl Outline<'_> {
    /// The whole plan, with its summary as the last line.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (name, steps) in self.groups() {
            let entries: Vec<_> = steps.into_iter().map(|step| self.step(step)).collect();
            section(&mut lines, TextStyle::Change, name, entries, self.all);
        }
        let Plan { steps, held, drifts: drifted, notes: noted, .. } = self.plan;
        let steps = steps.iter().filter(|step| matches!(step.action, Action::Archive { .. }));
        let told: BTreeSet<&Address> = steps.map(|step| &step.address).chain(held_archivings(held)).collect();
        let noted = notes(noted, &told, self.all);
        for rest in [holds(held, self.all), drifts(drifted, self.all), noted, vec![self.summary()]] {
            lines.extend((!lines.is_empty() && !rest.is_empty()).then(String::new));
            lines.extend(rest);
        }
        lines
    }

    /// Groups the steps by their action, in the order in which they are shown.
    fn groups(&self) -> Vec<(&'static str, Vec<&Step>)> {
        let mut groups: BTreeMap<(usize, &'static str), Vec<&Step>> = BTreeMap::new();
        for step in &self.plan.steps {
            groups.entry((place(&step.action), heading(&step.action))).or_default().push(step);
        }
        groups.into_iter().map(|((_, name), steps)| (name, steps)).collect()
    }

    fn step(&self, step: &Step) -> Vec<String> {
        let asset = diff::asset_of(step, self.desired, self.recorded);
        let mut lines = vec![title(&step.address, asset)];
        let mut changes = diff::diff(step, self.recorded);
        let is_new = matches!(&step.action, Action::Create(_) | Action::Share { from: None, .. });
        if matches!(&step.action, Action::Wait { .. } | Action::Settle { .. }) && !self.all {
            // Their reason says what a person wants to know.
            changes.clear();
        }
        if is_new {
            lines.push(format!("{INDENT}{}", introduce(&step.address, &mut changes)));
        }
        lines.extend(table(&changes, is_new));
        lines.push(format!("{INDENT}{}{}", step.reason, rule(step, self.all)));
        if !step.after.is_empty() {
            let names: Vec<&str> = step.after.iter().map(Address::as_str).collect();
            lines.push(format!("{INDENT}{}", paint(TextStyle::Quiet, format!("after {}", names.join(", ")))));
        }
        if let Some(time) = step.not_before {
            let text = format!("an earlier try failed; Macadam tries again at {}", Minute(time));
            lines.push(format!("{INDENT}{}", paint(TextStyle::Quiet, text)));
        }
        lines
    }

    /// `Plan: 180 to upload, 21 waiting for Roblox, 99 unchanged.`
    fn summary(&self) -> String {
        let Plan { steps, held, drifts, .. } = self.plan;
        let touched: BTreeSet<&Address> =
            steps.iter().map(|step| &step.address).chain(held.iter().map(|hold| &hold.address)).collect();
        let touched = &touched | &drifts.iter().map(|drift| &drift.address).collect();
        let concerns = |address: &Address| self.part.is_none_or(|part| part.contains(address));
        let of_part: Vec<&Address> =
            self.desired.assets.keys().filter(|address| touched.contains(address) || concerns(address)).collect();
        let all = of_part.len() as u64;
        let untouched = || of_part.iter().filter(|address| !touched.contains(*address));
        let unverified = untouched().filter(|address| self.is_unverified(address)).count() as u64;
        let unchanged = untouched().count() as u64 - unverified;
        let mut tallies = tally(steps, Tense::ToDo);
        tallies.extend(HoldGroup::ALL.map(|group| group.tally(held)));
        let drifted = match drifts.len() {
            0 => String::new(),
            count => format!(" {count} changed on Roblox."),
        };
        if self.desired.assets.is_empty() && steps.is_empty() && held.is_empty() && drifts.is_empty() {
            return nothing_listed(self.rehearsal, &self.desired.unlisted(self.recorded.used()));
        }
        let counts = Tally::list(&tallies, None);
        let counts = if counts.is_empty() && unverified == 0 {
            idle(all)
        } else {
            tallies.push(Tally::assets(unverified, "unverified"));
            tallies.push(Tally::assets(unchanged, "unchanged"));
            format!("{}.", Tally::list(&tallies, None))
        };
        let (plan, sent) =
            if self.rehearsal { ("Rehearsal plan", " Nothing was sent to Roblox.") } else { ("Plan", "") };
        let unverified = unverified_text(unverified).map(|text| format!("\n{text}")).unwrap_or_default();
        format!("{plan}: {counts}{drifted}{sent}{unverified}")
    }

    /// Whether an asset is known only from another tool's files.
    fn is_unverified(&self, address: &Address) -> bool {
        let known = self.desired.assets.get(address).zip(self.recorded.assets.get(address));
        let current = known.and_then(|(want, record)| current(want, record));
        current.is_some_and(|(_, fact)| fact.state == RevisionState::Unverified)
    }
}

/// The name of the rule that led to a step, for the end of its line, where it is wanted.
pub(super) fn rule(step: &Step, is_wanted: bool) -> String {
    if is_wanted { format!(" {}", paint(TextStyle::Quiet, format!("[{}]", step.reason.rule()))) } else { String::new() }
}

/// One line about an action that was done, with its address and asset.
pub(super) fn done(step: &Step, asset_id: AssetId, revision: Option<u64>, with_rule: bool) -> String {
    let revision = revision.map(|number| format!(", revision {number}")).unwrap_or_default();
    let about = match &step.action {
        Action::UpdateMetadata { changes, .. } => {
            let fields: Vec<String> = changes.iter().map(|change| change.field().name()).collect();
            format!(": {}", fields.join(", "))
        }
        Action::Move { from } => format!(", from {from}"),
        action if action.restores() => ", restored".to_owned(),
        _ => String::new(),
    };
    let name = paint(TextStyle::Good, format!("{:<15}", step.action.done_word()));
    format!("{name} {} ({}{revision}){about}{}", step.address, asset_id.uri(), rule(step, with_rule))
}

/// What is to be known of this number of unverified assets; `None` without any.
pub(super) fn unverified_text(count: u64) -> Option<String> {
    let (it, them) = match count {
        0 => return None,
        1 => ("The unverified asset is".to_owned(), "it"),
        _ => (format!("The {count} unverified assets are"), "them"),
    };
    Some(format!("{it} known only from another tool's files. The next `macadam sync --once` checks {them} on Roblox."))
}

/// The summary where the manifest has no asset. `unlisted` are those that the lockfile has: who
/// uploaded them may not have committed the files.
pub(super) fn nothing_listed(rehearsal: bool, unlisted: &Unlisted) -> String {
    let sent = if rehearsal { " Nothing was sent to Roblox." } else { "" };
    let Unlisted { fileless, others } = unlisted;
    if let Some(first) = fileless.first() {
        let lacks = match fileless.len() {
            1 => format!("the lockfile has an asset whose file isn't here: {first}"),
            count => format!("the lockfile has {count} assets whose files aren't here, such as {first}"),
        };
        return format!(
            "Nothing to do: {lacks}.{sent} If another machine has the files, add them to git there, commit and push."
        );
    }
    if let Some(first) = others.first() {
        let has = match others.len() {
            1 => format!("the lockfile still has one: {first}"),
            count => format!("the lockfile still has {count}, such as {first}"),
        };
        return format!("Nothing to do: the manifest lists no asset, and {has}.{sent}");
    }
    format!(
        "Nothing to do: the manifest has no assets yet.{sent} Add some under [assets.NAME] or [globs.NAME]; \
         check that the paths fit your files."
    )
}

/// The whole plan where there is nothing to do for this number of assets.
pub(super) fn nothing_to_do(assets: u64) -> String {
    format!("Plan: {}", idle(assets))
}

fn idle(assets: u64) -> String {
    format!("{}, {} up to date.", paint(TextStyle::Good, "nothing to do"), are(assets))
}

/// `1 asset is`, `2 assets are`.
pub(super) fn are(count: u64) -> String {
    format!("{} {}", plural(count, "asset"), if count == 1 { "is" } else { "are" })
}

/// The place of an action's group.
const fn place(action: &Action) -> usize {
    match action {
        Action::Create(_) | Action::Share { from: None, .. } => 0,
        Action::Move { .. } => 1,
        Action::UpdateContent { .. } => 2,
        Action::Replace { .. } | Action::Share { from: Some(_), .. } | Action::PointBack { pinned: false, .. } => 3,
        Action::Rollback { .. } | Action::PointBack { pinned: true, .. } => 4,
        Action::UpdateMetadata { .. } => 5,
        Action::Restore { .. } => 6,
        Action::Archive { .. } => 7,
        Action::Settle { .. } | Action::Wait { .. } => 8,
    }
}

/// The actions that are not done, with reasons and hints.
pub(super) fn holds(held: &[Hold], all: bool) -> Vec<String> {
    let mut lines = Vec::new();
    for group in HoldGroup::ALL {
        let of_group: Vec<&Hold> = held.iter().filter(|hold| HoldGroup::of(hold) == group).collect();
        let entries = match group {
            HoldGroup::Waiting => waiting(&of_group),
            _ => {
                let mut entries: Vec<Vec<String>> = Vec::new();
                let mut hint_above = None;
                for alike in alike(&of_group) {
                    let mut lines = entry(&alike, all);
                    let hint =
                        alike.first().filter(|hold| hold.part == HeldPart::Archiving).and_then(|hold| hold.hint());
                    // Archivings are approved together, by one command.
                    if hint.is_some() && hint == hint_above {
                        lines.pop();
                    }
                    hint_above = hint;
                    entries.push(lines);
                }
                entries
            }
        };
        let tone = match group {
            HoldGroup::Held | HoldGroup::Waiting => TextStyle::Warning,
            HoldGroup::Rejected | HoldGroup::Unusable | HoldGroup::Failed => TextStyle::Bad,
        };
        counted_section(&mut lines, tone, (group.heading(), group.count(held)), entries, all);
    }
    lines
}

/// Puts assets that Roblox refused in the same words together, at the place of the first one.
fn alike<'a>(held: &[&'a Hold]) -> Vec<Vec<&'a Hold>> {
    let mut groups: Vec<Vec<&Hold>> = Vec::new();
    let mut refused: BTreeMap<(HeldPart, &HoldReason), usize> = BTreeMap::new();
    for hold in held {
        if !matches!(hold.reason, HoldReason::Refused { .. }) {
            groups.push(vec![hold]);
            continue;
        }
        let at = *refused.entry((hold.part, &hold.reason)).or_insert(groups.len());
        match groups.get_mut(at) {
            Some(group) => group.push(hold),
            None => groups.push(vec![hold]),
        }
    }
    groups
}

/// One asset that is not done, or several alike.
fn entry(alike: &[&Hold], all: bool) -> Vec<String> {
    let Some(first) = alike.first() else { return Vec::new() };
    let part = match (first.part, alike.len()) {
        (HeldPart::Asset, _) => "",
        (HeldPart::Archiving, _) if first.reason.is_refusal() => "",
        (HeldPart::Metadata, 1) => ": its name, description, icon or previews",
        (HeldPart::Metadata, _) => ": their names, descriptions, icons or previews",
        (HeldPart::Archiving, _) => ": archiving is on hold",
    };
    let names: Vec<&Address> = alike.iter().map(|hold| &hold.address).collect();
    let (name, what) = match names.as_slice() {
        [one] => (one.to_string(), first.hint()),
        several => (together(several, all), first.reason.hint_for_several().or_else(|| first.hint())),
    };
    let code =
        if all { format!(" {}", paint(TextStyle::Quiet, format!("[{}]", first.reason.code()))) } else { String::new() };
    let mut lines = vec![format!("  {name}{part}"), format!("{INDENT}{}{code}", first.reason)];
    lines.extend(what.as_deref().map(hint));
    lines
}

/// `4 assets: a, b, c and 1 more`.
pub(super) fn together(addresses: &[&Address], all: bool) -> String {
    let shown = if all { addresses.len() } else { NAMED.min(addresses.len()) };
    let names: Vec<&str> = addresses.iter().take(shown).map(|address| address.as_str()).collect();
    let more = addresses.len() - shown;
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}: {}{more}", plural(addresses.len() as u64, "asset"), names.join(", "))
}

/// One entry for all assets that wait for the same thing.
fn waiting(held: &[&Hold]) -> Vec<Vec<String>> {
    let mut reasons: BTreeMap<&HoldReason, u64> = BTreeMap::new();
    for hold in held {
        *reasons.entry(&hold.reason).or_default() += 1;
    }
    reasons.into_iter().map(|(reason, count)| vec![format!("  {}: {reason}", plural(count, "asset"))]).collect()
}

/// Changes that were made on Roblox, outside of Macadam.
fn drifts(drifts: &[Drift], all: bool) -> Vec<String> {
    let entries = drifts.iter().map(|drift| {
        let Drift { address, asset_id, kind } = drift;
        vec![title(address, Some(*asset_id)), format!("{INDENT}{kind}"), hint(&drift.hint())]
    });
    let mut lines = Vec::new();
    section(&mut lines, TextStyle::Warning, "changed on Roblox", entries.collect(), all);
    lines
}

/// The addresses whose archiving is on hold.
pub(super) fn held_archivings(held: &[Hold]) -> impl Iterator<Item = &Address> {
    held.iter().filter(|hold| hold.part == HeldPart::Archiving).map(|hold| &hold.address)
}

/// Good to know. Of the addresses `told` it is said above that they were removed.
pub(super) fn notes(notes: &[Note], told: &BTreeSet<&Address>, all: bool) -> Vec<String> {
    let is_told = |note: &Note| {
        matches!(note.kind, NoteKind::Removed { .. }) && note.address.as_ref().is_some_and(|of| told.contains(of))
    };
    let entries = notes.iter().filter(|note| !is_told(note)).map(|note| match &note.address {
        Some(address) => vec![format!("  {address}: {}", note.kind)],
        None => vec![format!("  {}", note.kind)],
    });
    let mut lines = Vec::new();
    section(&mut lines, TextStyle::Quiet, "notes", entries.collect(), all);
    lines
}

/// A heading with a count, and the entries below it, cut where they are many.
fn section(lines: &mut Vec<String>, tone: TextStyle, name: &str, entries: Vec<Vec<String>>, all: bool) {
    let count = entries.len() as u64;
    counted_section(lines, tone, (name, count), entries, all);
}

/// The same where an entry may stand for several.
fn counted_section(
    lines: &mut Vec<String>,
    tone: TextStyle,
    (name, total): (&str, u64),
    entries: Vec<Vec<String>>,
    all: bool,
) {
    let count = entries.len();
    if count == 0 {
        return;
    }
    lines.extend((!lines.is_empty()).then(String::new));
    lines.push(format!("{} ({total})", paint(tone, name)));
    let shown = if all || count <= LONG { count } else { SHOWN };
    lines.extend(entries.into_iter().take(shown).flatten());
    if shown < count {
        let text = format!("and {} more; -v shows all", count - shown);
        lines.push(format!("  {}", paint(TextStyle::Quiet, text)));
    }
}

fn title(address: &Address, asset: Option<AssetId>) -> String {
    asset.map_or_else(|| format!("  {address}"), |id| format!("  {address} ({})", id.uri()))
}

fn hint(text: &str) -> String {
    format!("{INDENT}{} {text}", paint(TextStyle::Change, "hint:"))
}

/// One line for what a new asset is; what it tells is taken out of `changes`.
fn introduce(address: &Address, changes: &mut Vec<Difference>) -> String {
    let mut take = |what: &str| {
        let at = changes.iter().position(|change| change.what == what)?;
        changes.remove(at).to
    };
    // A new file's hash tells a person nothing.
    take("content");
    let kind = take("type").unwrap_or_default();
    let name = take("display_name").map(|name| format!(" \"{}\"", foreign(&name))).unwrap_or_default();
    let file = take("file").filter(|file| file != address.as_str()).map(|file| format!(" from {file}"));
    let creator = take("creator").map(|creator| format!(" for {}", owner(&creator))).unwrap_or_default();
    format!("{kind}{name}{}{creator}", file.unwrap_or_default())
}

/// The owner in a person's words, who reads `user 123` in every message.
fn owner(creator: &str) -> String {
    creator.parse::<Creator>().map_or_else(|_| creator.to_owned(), Creator::in_words)
}

fn table(changes: &[Difference], is_new: bool) -> Vec<String> {
    let width = changes.iter().map(|change| change.what.chars().count()).max().unwrap_or(0);
    let columns = stdout_columns().unwrap_or(COLUMNS).min(MOST_COLUMNS);
    let room = columns.saturating_sub(INDENT.len() + width + 2);
    let line = |change: &Difference| {
        let label = paint(TextStyle::Quiet, format!("{:<width$}", change.what));
        format!("{INDENT}{label}  {}", values(change, is_new, room))
    };
    changes.iter().map(line).collect()
}

/// `from -> to`, cut to fit into `room` columns.
fn values(change: &Difference, is_new: bool, room: usize) -> String {
    let shown = |text: &str| match (text, change.what.as_str()) {
        ("", _) => "(none)".to_owned(),
        (text, "creator") => owner(text),
        // The form of the manifest's references, which `--json` has.
        (text, "asset") => foreign(text).replacen("assets/", "rbxassetid://", 1),
        (text, _) => foreign(text).into_owned(),
    };
    let (from, to) = match (&change.from, &change.to) {
        (None, Some(to)) if is_new || matches!(change.what.as_str(), "under_way" | "operation" | "expected_price") => {
            return cut(&shown(to), room);
        }
        (from, to) => (
            from.as_deref().map_or_else(|| "(unknown)".to_owned(), shown),
            to.as_deref().map_or_else(|| "(new)".to_owned(), shown),
        ),
    };
    let room = room.saturating_sub(" -> ".len());
    let (left, right) = (from.chars().count(), to.chars().count());
    if left + right <= room {
        return format!("{from} -> {to}");
    }
    // If both begin alike, the lines show the part that differs.
    let alike = from.chars().zip(to.chars()).take_while(|(a, b)| a == b).count();
    let (from, to) = if alike > 12 { (skip(&from, alike - 8), skip(&to, alike - 8)) } else { (from, to) };
    let (left, right) = (from.chars().count(), to.chars().count());
    let half = room / 2;
    let left = left.min(if right < half { room - right } else { half });
    format!("{} -> {}", cut(&from, left), cut(&to, room - left))
}

fn skip(text: &str, count: usize) -> String {
    std::iter::once('…').chain(text.chars().skip(count)).collect()
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(std::iter::once('…')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::phase::IntentKind;
    use crate::model::recorded::RefusalKind;

    #[track_caller]
    fn check(from: Option<&str>, to: Option<&str>, is_new: bool, expected: &str) {
        let (what, from, to) = ("description".to_owned(), from.map(str::to_owned), to.map(str::to_owned));
        let found = values(&Difference { what, from, to }, is_new, 40);
        assert_eq!(found, expected);
        assert!(found.chars().count() <= 40);
    }

    #[test]
    fn refusals_in_the_same_words_stand_together() {
        let hold = |name: &str, message: &str| Hold {
            address: Address::new(name).unwrap(),
            part: HeldPart::Asset,
            reason: HoldReason::Refused {
                action: IntentKind::Create,
                refusal_kind: RefusalKind::Other,
                message: message.to_owned(),
            },
        };
        let held = [hold("a", "no"), hold("b", "never"), hold("c", "no"), hold("d", "no"), hold("e", "no")];
        let shown = anstream::adapter::strip_str(&holds(&held, false).join("\n")).to_string();
        let wanted = "failed (5)\n  4 assets: a, c, d and 1 more\n      Roblox refused the upload: no\n      \
                      hint: change the files or their settings, or run `macadam retry --all`\n  b\n      \
                      Roblox refused the upload: never\n      \
                      hint: change the file or its settings, or run `macadam retry b`";
        assert_eq!(shown, wanted);
        assert!(holds(&held, true).iter().any(|line| line == "  4 assets: a, c, d, e"));
    }

    #[test]
    fn values_fit_into_a_line_and_show_what_differs() {
        check(Some("a"), Some("b"), false, "a -> b");
        check(None, Some("b"), false, "(unknown) -> b");
        check(None, Some("b"), true, "b");
        check(Some("a"), None, false, "a -> (new)");
        check(Some("a"), Some(""), false, "a -> (none)");
        check(Some("one\ntwo\u{1b}[31m"), Some("b"), false, "one\\ntwo\\u{1b}[31m -> b");
        let long = "0123456789".repeat(6);
        check(Some("a"), Some(&long), false, "a -> 0123456789012345678901234567890123…");
        check(Some(&long), Some("b"), false, "0123456789012345678901234567890123… -> b");
        check(None, Some(&long), true, "012345678901234567890123456789012345678…");
        check(Some(&long), Some(&long.replace('5', "6")), false, "01234567890123456… -> 01234667890123466…");
        let (left, right) = (format!("{long} old"), format!("{long} new"));
        check(Some(&left), Some(&right), false, "…3456789 old -> …3456789 new");
    }
}

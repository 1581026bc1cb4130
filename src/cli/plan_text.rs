//! A plan as a person reads it: grouped by what is done, then what isn't and why, what drifted, and
//! what is good to know.
//!
//! It only makes lines; who prints them is [`super::plan`] and [`super::sync`]. Meant for 80
//! columns, with and without colours. Read next: `src/plan/diff.rs` for what a step changes.

use std::collections::BTreeMap;

use super::output::{TextStyle, paint, plural};
use crate::model::address::Address;
use crate::model::desired::Desired;
use crate::model::ids::AssetId;
use crate::model::recorded::Recorded;
use crate::model::shown::foreign;
use crate::plan::diff::{self, Difference};
use crate::plan::{Action, Drift, HeldPart, Hold, HoldKind, Note, Plan, Step};

/// A group with more entries than this is cut.
const LONG: usize = 20;

/// So many entries of a group that is cut are shown.
const SHOWN: usize = 10;

/// Columns of a line. Longer sentences are left to the terminal, which wraps them without breaking
/// a command that is to be copied.
const COLUMNS: usize = 80;

/// Stands under an address.
const INDENT: &str = "      ";

/// What a plan is shown with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outline<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// What is wanted.
    pub desired: &'a Desired,
    /// What is known, with the plan's marks.
    pub recorded: &'a Recorded,
    /// Every entry, however many there are.
    pub all: bool,
}

impl Outline<'_> {
    /// The whole plan, with its summary as the last line.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (name, steps) in self.groups() {
            let entries: Vec<_> = steps.into_iter().map(|step| self.step(step)).collect();
            section(&mut lines, TextStyle::Change, name, entries, self.all);
        }
        let Plan { held, drifts: drifted, notes: noted, .. } = self.plan;
        for rest in [holds(held, self.all), drifts(drifted, self.all), notes(noted, self.all), vec![self.summary()]] {
            lines.extend((!lines.is_empty() && !rest.is_empty()).then(String::new));
            lines.extend(rest);
        }
        lines
    }

    /// The steps by what they do, in the order in which they are shown.
    fn groups(&self) -> Vec<(&'static str, Vec<&Step>)> {
        let mut groups: BTreeMap<(usize, &'static str), Vec<&Step>> = BTreeMap::new();
        for step in &self.plan.steps {
            groups.entry((place(&step.action), step.action.name())).or_default().push(step);
        }
        groups.into_iter().map(|((_, name), steps)| (name, steps)).collect()
    }

    fn step(&self, step: &Step) -> Vec<String> {
        let asset = diff::asset_of(step, self.desired, self.recorded);
        let mut lines = vec![title(&step.address, asset)];
        let mut changes = diff::diff(step, self.recorded);
        let is_new = matches!(&step.action, Action::Create(_) | Action::Share { from: None, .. });
        if is_new {
            lines.push(format!("{INDENT}{}", introduce(&step.address, &mut changes)));
        }
        let reason = without_values(&step.reason, &changes);
        lines.extend(table(&changes, is_new));
        lines.push(format!("{INDENT}{reason} {}", paint(TextStyle::Quiet, format!("[{}]", step.rule))));
        if !step.after.is_empty() {
            let names: Vec<&str> = step.after.iter().map(Address::as_str).collect();
            lines.push(format!("{INDENT}{}", paint(TextStyle::Quiet, format!("after {}", names.join(", ")))));
        }
        if let Some(time) = step.not_before {
            let text = format!("not before {}: an earlier try failed", time.strftime("%Y-%m-%d %H:%M:%S UTC"));
            lines.push(format!("{INDENT}{}", paint(TextStyle::Quiet, text)));
        }
        lines
    }

    fn summary(&self) -> String {
        let assets = plural(self.desired.assets.len() as u64, "asset");
        let counted = |name: &str, count: usize| (count > 0).then(|| format!("{count} {name}"));
        let mut parts: Vec<String> =
            self.groups().into_iter().filter_map(|(name, steps)| counted(name, steps.len())).collect();
        for kind in KINDS {
            let count = self.plan.held.iter().filter(|hold| hold.kind == kind).count();
            parts.extend(counted(&kind.to_string(), count));
        }
        let quiet = parts.is_empty();
        parts.extend(counted("drifted", self.plan.drifts.len()));
        match (quiet, parts.is_empty()) {
            (true, true) => format!("{} {assets}, nothing to do", paint(TextStyle::Good, "in sync:")),
            (true, false) => {
                format!("{} {assets}, nothing to do, {}", paint(TextStyle::Good, "in sync:"), parts.join(", "))
            }
            (false, _) => format!("{} of {assets}", parts.join(", ")),
        }
    }
}

/// The order in which holds are shown.
const KINDS: [HoldKind; 4] = [HoldKind::Held, HoldKind::Rejected, HoldKind::Failed, HoldKind::Waiting];

/// Where the group of an action stands.
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

/// What is not done, and what would free it.
pub(super) fn holds(held: &[Hold], all: bool) -> Vec<String> {
    let mut lines = Vec::new();
    for kind in KINDS {
        if kind == HoldKind::Waiting {
            section(&mut lines, TextStyle::Warning, &kind.to_string(), waiting(held), all);
            continue;
        }
        let entries = held.iter().filter(|hold| hold.kind == kind).map(|hold| {
            let part = match hold.part {
                HeldPart::Asset => "",
                HeldPart::Metadata => " (its metadata)",
                HeldPart::Archiving => " (the archiving of an asset)",
            };
            let mut lines = vec![format!("  {}{part}", hold.address), format!("{INDENT}{}", hold.reason)];
            lines.extend(hold.hint.as_deref().map(hint));
            lines
        });
        let tone = if kind == HoldKind::Held { TextStyle::Warning } else { TextStyle::Bad };
        section(&mut lines, tone, &kind.to_string(), entries.collect(), all);
    }
    lines
}

/// What waits for the same is one entry, however many wait.
fn waiting(held: &[Hold]) -> Vec<Vec<String>> {
    let mut reasons: BTreeMap<&str, u64> = BTreeMap::new();
    for hold in held.iter().filter(|hold| hold.kind == HoldKind::Waiting) {
        *reasons.entry(&hold.reason).or_default() += 1;
    }
    reasons.into_iter().map(|(reason, count)| vec![format!("  {}: {reason}", plural(count, "asset"))]).collect()
}

/// What somebody else changed.
fn drifts(drifts: &[Drift], all: bool) -> Vec<String> {
    let entries = drifts.iter().map(|drift| {
        let Drift { address, asset_id, what, hint: advice } = drift;
        let mut lines = vec![title(address, Some(*asset_id)), format!("{INDENT}{what}")];
        lines.extend(advice.as_deref().map(hint));
        lines
    });
    let mut lines = Vec::new();
    section(&mut lines, TextStyle::Warning, "drifted", entries.collect(), all);
    lines
}

/// What is good to know.
pub(super) fn notes(notes: &[Note], all: bool) -> Vec<String> {
    let entries = notes.iter().map(|note| match &note.address {
        Some(address) => vec![format!("  {address} {}", note.text)],
        None => vec![format!("  {}", note.text)],
    });
    let mut lines = Vec::new();
    section(&mut lines, TextStyle::Quiet, "notes", entries.collect(), all);
    lines
}

/// A heading with a count, and the entries below it, cut where they are many.
fn section(lines: &mut Vec<String>, tone: TextStyle, name: &str, entries: Vec<Vec<String>>, all: bool) {
    let count = entries.len();
    if count == 0 {
        return;
    }
    lines.extend((!lines.is_empty()).then(String::new));
    lines.push(format!("{} ({count})", paint(tone, name)));
    let shown = if all || count <= LONG { count } else { SHOWN };
    lines.extend(entries.into_iter().take(shown).flatten());
    if shown < count {
        let text = format!("and {} more; -v shows all", count - shown);
        lines.push(format!("  {}", paint(TextStyle::Quiet, text)));
    }
}

fn title(address: &Address, asset: Option<AssetId>) -> String {
    asset.map_or_else(|| format!("  {address}"), |id| format!("  {address} (asset {id})"))
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
    let creator = take("creator").map(|creator| format!(" for {creator}")).unwrap_or_default();
    format!("{kind}{name}{}{creator}", file.unwrap_or_default())
}

/// The reason without the values that the lines above it tell.
fn without_values<'a>(reason: &'a str, changes: &[Difference]) -> &'a str {
    let mut told = changes.iter().filter_map(|change| {
        let (from, to) = (change.from.as_deref().unwrap_or("an unknown content"), change.to.as_deref()?);
        reason.strip_suffix(&format!(" from {from} to {to}"))
    });
    told.next().unwrap_or(reason)
}

fn table(changes: &[Difference], is_new: bool) -> Vec<String> {
    let width = changes.iter().map(|change| change.what.chars().count()).max().unwrap_or(0);
    let room = COLUMNS.saturating_sub(INDENT.len() + width + 2);
    let line = |change: &Difference| {
        let label = paint(TextStyle::Quiet, format!("{:<width$}", change.what));
        format!("{INDENT}{label}  {}", values(change, is_new, room))
    };
    changes.iter().map(line).collect()
}

/// `from -> to`, cut to fit into `room` columns.
fn values(change: &Difference, is_new: bool, room: usize) -> String {
    let shown = |text: &str| if text.is_empty() { "(none)".to_owned() } else { foreign(text).into_owned() };
    let (from, to) = match (&change.from, &change.to) {
        (None, Some(to)) if is_new || matches!(change.what.as_str(), "under_way" | "expected_price") => {
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
    // Where both begin alike, what differs is what is shown.
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

    #[track_caller]
    fn check(from: Option<&str>, to: Option<&str>, is_new: bool, expected: &str) {
        let (what, from, to) = ("description".to_owned(), from.map(str::to_owned), to.map(str::to_owned));
        let found = values(&Difference { what, from, to }, is_new, 40);
        assert_eq!(found, expected);
        assert!(found.chars().count() <= 40);
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

    #[test]
    fn a_reason_does_not_repeat_its_values() {
        let change = |from: Option<&str>| Difference {
            what: "content".to_owned(),
            from: from.map(str::to_owned),
            to: Some("bb".to_owned()),
        };
        let reason = "its content changed from aa to bb";
        assert_eq!(without_values(reason, &[change(Some("aa"))]), "its content changed");
        assert_eq!(without_values(reason, &[change(Some("cc"))]), reason);
        let unknown = "its content changed from an unknown content to bb";
        assert_eq!(without_values(unknown, &[change(None)]), "its content changed");
    }
}

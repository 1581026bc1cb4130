//! Writing one pin into a manifest, or taking it out, as a person would: every other byte of the
//! file stays.
//!
//! The text is cut and spliced at the places that the parser reports; it is never written out anew,
//! which would change line endings and layout. What came of it is parsed again and has to say the
//! same but for that pin. Must never write anything that it didn't verify.
//!
//! Read next: `pins` for where pins are written, `address_index` for how they are read.

use std::collections::BTreeSet;
use std::ops::Range;

use toml_edit::Document;

use super::diagnostic::{BOM, ManifestSource, shown};
use super::pins::{Home, Spelling, Written};
use crate::model::address::Address;
use crate::model::desired::Pin;
use crate::model::toml_text::TomlKey;

/// Why a pin was not written or removed. The text is as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The manifest is no TOML.
    #[error("the manifest has an error in line {line}: {message}")]
    Syntax {
        /// The line, from 1.
        line: usize,
        /// The parser's message.
        message: String,
    },
    /// `pins` is there and no table.
    #[error("`pins` is not a table")]
    NoTable,
    /// The pin is written in a way that no pin is.
    #[error("the pin of {} is written in a way that can't be edited", shown(.address.as_str()))]
    Form {
        /// The pinned address.
        address: Address,
    },
    /// The edited text would say something else, too.
    #[error("editing the pin of {} would change more than that pin", shown(.address.as_str()))]
    Changed {
        /// The pinned address.
        address: Address,
    },
}

impl EditError {
    /// How to correct it.
    pub fn hint(&self) -> String {
        match self {
            Self::Syntax { .. } => "`macadam check` shows the mistake with its line".to_owned(),
            Self::NoTable => "write [pins] as a table, with a line for each pin".to_owned(),
            Self::Form { .. } | Self::Changed { .. } => {
                "edit [pins] by hand: `sword = 3` for a Model, `\"ui/close.png\" = { asset_id = 123 }` for other types"
                    .to_owned()
            }
        }
    }
}

/// The manifest with `address` pinned to `pin`. An earlier pin of it is replaced where it stands,
/// with its comment kept; a new one comes last under `[pins]`, which is put at the end where there
/// is none.
///
/// # Errors
/// When the text is no TOML, or the pin is written in a way that can't be replaced.
pub(crate) fn set_pin(text: &str, address: &Address, pin: Pin) -> Result<String, EditError> {
    let document = parse(text)?;
    let home = Home::of(&document).ok_or(EditError::NoTable)?;
    let br = line_end_of(text);
    let edited = match home.written(address).as_slice() {
        [] => insert(text, &home, address, pin, br),
        [written] => match replacement(text, written, pin) {
            Some(splice) => spliced(text, vec![splice]),
            None => {
                let without = cut_pin(text, &home, written, address)?;
                let document = parse(&without)?;
                insert(&without, &Home::of(&document).ok_or(EditError::NoTable)?, address, pin, br)
            }
        },
        _ => return Err(EditError::Form { address: address.clone() }),
    };
    verify(text, edited, address, Some(pin))
}

/// The manifest without the pin of `address`; `None` when there is none. The line of the pin goes
/// with the comment behind it, and the last one takes an empty `[pins]` along that carries no
/// comment.
///
/// # Errors
/// When the text is no TOML, or the pin is written in a way that can't be cut out.
pub fn remove_pin(text: &str, address: &Address) -> Result<Option<String>, EditError> {
    let document = parse(text)?;
    let home = Home::of(&document).ok_or(EditError::NoTable)?;
    match home.written(address).as_slice() {
        [] => Ok(None),
        [written] => verify(text, cut_pin(text, &home, written, address)?, address, None).map(Some),
        _ => Err(EditError::Form { address: address.clone() }),
    }
}

/// The addresses that `[pins]` names, also those that the manifest has for nothing else.
///
/// # Errors
/// When the text is no TOML, or `pins` is not a table.
pub(crate) fn pinned(text: &str) -> Result<BTreeSet<Address>, EditError> {
    let document = parse(text)?;
    Ok(Home::of(&document).ok_or(EditError::NoTable)?.addresses())
}

fn parse(text: &str) -> Result<Document<&str>, EditError> {
    Document::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        EditError::Syntax {
            line: ManifestSource::new("", text.to_owned()).line_of(at),
            message: error.message().replace('\n', ", "),
        }
    })
}

/// A range of the text and what takes its place.
type Splice = (Range<usize>, String);

fn spliced(text: &str, mut splices: Vec<Splice>) -> String {
    splices.sort_by_key(|(range, _)| range.start);
    let mut edited = String::with_capacity(text.len() + 64);
    let mut at = 0;
    for (range, new) in splices {
        edited.push_str(text.get(at..range.start).unwrap_or(""));
        edited.push_str(&new);
        at = range.end;
    }
    edited.push_str(text.get(at..).unwrap_or(""));
    edited
}

/// A pin's value.
fn value(pin: Pin) -> String {
    match pin {
        Pin::Revision(revision) => revision.to_string(),
        Pin::Asset(id) => format!("{{ asset_id = {id} }}"),
    }
}

/// How the file ends its lines: as most of them do.
fn line_end_of(text: &str) -> &'static str {
    let (all, windows) = (text.matches('\n').count(), text.matches("\r\n").count());
    if windows * 2 > all { "\r\n" } else { "\n" }
}

/// The start of the line of a byte; a byte order mark belongs to no line.
fn start_of_line(text: &str, at: usize) -> usize {
    let first = if text.starts_with(BOM) { BOM.len() } else { 0 };
    text.get(..at).and_then(|before| before.rfind('\n')).map_or(first, |br| br + 1)
}

/// The end of the line of a byte, with its line break.
fn end_of_line(text: &str, at: usize) -> usize {
    text.get(at..).and_then(|after| after.find('\n')).map_or(text.len(), |br| at + br + 1)
}

/// The text in place of an earlier pin, or `None` when that has to be cut out first.
fn replacement(text: &str, written: &Written<'_>, pin: Pin) -> Option<Splice> {
    match (pin, written.only_asset_id()) {
        (Pin::Asset(id), Some(place)) => Some((place, id.to_string())),
        _ => match &written.spelling {
            Spelling::Value(place) => Some((place.clone(), value(pin))),
            Spelling::Dotted(leaves) => {
                let [leaf] = leaves.as_slice() else { return None };
                let name = text.get(written.key.clone())?;
                Some((written.key.start..leaf.value.end, format!("{name} = {}", value(pin))))
            }
            Spelling::Headed(_) | Spelling::Strange => None,
        },
    }
}

/// A new pin: behind the last one of its table, or in a new table. `br` ends a line.
fn insert(text: &str, home: &Home<'_>, address: &Address, pin: Pin, br: &str) -> String {
    let entry = format!("{} = {}", TomlKey(address.as_str()), value(pin));
    let splice = match home {
        Home::Inline { place, last, .. } => match last {
            Some(last) => (last.end..last.end, format!(", {entry}")),
            None => {
                let inside = place.start + 1;
                let padded = text.get(inside..).is_some_and(|rest| rest.starts_with(' '));
                (inside..inside, if padded { format!(" {entry}") } else { format!(" {entry} ") })
            }
        },
        Home::Table { header, last: Some(last), name, .. } => {
            let line = start_of_line(text, last.start);
            let indent: String =
                text.get(line..).unwrap_or("").chars().take_while(|c| matches!(c, ' ' | '\t')).collect();
            let prefix =
                if header.is_some() { String::new() } else { format!("{}.", text.get(name.clone()).unwrap_or("pins")) };
            line_after(text, last.end, &format!("{indent}{prefix}{entry}"), br)
        }
        Home::Table { header: Some(header), last: None, .. } => line_after(text, header.end, &entry, br),
        Home::Nowhere | Home::Table { header: None, last: None, .. } => at_the_end(text, &entry, br),
    };
    spliced(text, vec![splice])
}

/// A new line behind the one of `at`.
fn line_after(text: &str, at: usize, line: &str, br: &str) -> Splice {
    let end = end_of_line(text, at);
    let whole = text.get(..end).is_some_and(|before| before.ends_with('\n'));
    (end..end, if whole { format!("{line}{br}") } else { format!("{br}{line}") })
}

/// A new table behind everything, with a blank line before it. A file without a line break at its
/// end stays one.
fn at_the_end(text: &str, entry: &str, br: &str) -> Splice {
    let end = text.len();
    let table = format!("[pins]{br}{entry}");
    let table = match text.strip_prefix(BOM).unwrap_or(text) {
        "" => format!("{table}{br}"),
        whole if whole.ends_with('\n') => format!("{br}{table}{br}"),
        _ => format!("{br}{br}{table}"),
    };
    (end..end, table)
}

/// The text without one pin.
fn cut_pin(text: &str, home: &Home<'_>, written: &Written<'_>, address: &Address) -> Result<String, EditError> {
    let strange = || EditError::Form { address: address.clone() };
    let lines = |place: &Range<usize>| start_of_line(text, place.start)..end_of_line(text, place.end);
    let (mut cuts, header) = match (home, &written.spelling) {
        (Home::Nowhere, _) | (_, Spelling::Strange) => return Err(strange()),
        (Home::Inline { name, place, count, .. }, _) => {
            let cut = cut_of_list(text, written, place).ok_or_else(strange)?;
            let whole = start_of_line(text, name.start)..end_of_line(text, place.end);
            let rest = [text.get(whole.start..cut.start), text.get(cut.end..whole.end)];
            let bare =
                !rest.into_iter().flatten().any(|part| part.contains('#')) && !follows_comment(text, whole.start);
            (vec![if *count == 1 && bare { whole } else { cut }], None)
        }
        (Home::Table { .. }, Spelling::Value(place)) => (vec![lines(&(written.key.start..place.end))], None),
        (Home::Table { .. }, Spelling::Dotted(leaves)) => {
            (leaves.iter().map(|leaf| lines(&(leaf.key.start..leaf.value.end))).collect(), None)
        }
        (Home::Table { .. }, Spelling::Headed(leaves)) => {
            let header = written.header.as_ref().map(lines).ok_or_else(strange)?;
            let leaves = leaves.iter().map(|leaf| lines(&(leaf.key.start..leaf.value.end)));
            (std::iter::once(header.clone()).chain(leaves).collect(), Some(header))
        }
    };
    let mut headers: Vec<Range<usize>> = header.into_iter().collect();
    if let Home::Table { header: Some(header), direct, count, .. } = home {
        let is_direct = !matches!(written.spelling, Spelling::Headed(_));
        let empty = if is_direct { *direct == 1 } else { *count == 1 };
        let header = lines(header);
        if empty && !carries_comment(text, &header, &cuts) {
            headers.push(header.clone());
            cuts.push(header);
        }
    }
    Ok(spliced(text, tidied(text, cuts, &headers).into_iter().map(|cut| (cut, String::new())).collect()))
}

/// One entry of an inline table with its comma and the blanks that would be doubled. Comments stay.
fn cut_of_list(text: &str, written: &Written<'_>, list: &Range<usize>) -> Option<Range<usize>> {
    let end = match &written.spelling {
        Spelling::Value(place) => place.end,
        Spelling::Dotted(leaves) => match leaves.as_slice() {
            [leaf] => leaf.value.end,
            _ => return None,
        },
        Spelling::Headed(_) | Spelling::Strange => return None,
    };
    let blank = |c: char| matches!(c, ' ' | '\t');
    let after = text.get(end..list.end)?;
    let gap = after.trim_start_matches(blank);
    if let Some(rest) = gap.strip_prefix(',') {
        return Some(written.key.start..list.end - rest.trim_start_matches(blank).len());
    }
    let before = text.get(list.start..written.key.start)?.trim_end();
    if let Some(rest) = before.strip_suffix(',') {
        return Some(list.start + rest.len()..end);
    }
    if before.ends_with('{') {
        return Some(list.start + before.len()..end + (after.len() - gap.len()));
    }
    // Behind a comment: a comma before that may stay, as the last one of a list.
    Some(written.key.start..end)
}

/// Whether the line before the one that starts at `line` is a comment.
fn follows_comment(text: &str, line: usize) -> bool {
    let before = text.get(..line).and_then(|before| before.strip_suffix('\n'));
    before.is_some_and(|before| {
        let start = start_of_line(before, before.len());
        before.get(start..).is_some_and(|line| line.trim_start().starts_with('#'))
    })
}

/// Whether something is written about a table that has nothing left but the lines to be cut: beside
/// or above its header, or below it. A comment that stands right above the next header, with a
/// blank line before it, is about that one.
fn carries_comment(text: &str, header: &Range<usize>, cuts: &[Range<usize>]) -> bool {
    if follows_comment(text, header.start) || text.get(header.clone()).is_some_and(|line| line.contains('#')) {
        return true;
    }
    let (mut at, mut pending, mut after_blank) = (header.end, false, false);
    while at < text.len() {
        let end = end_of_line(text, at);
        let line = text.get(at..end).unwrap_or("").trim();
        let cut = cuts.iter().any(|cut| cut.start <= at && at < cut.end);
        if pending && (cut || line.is_empty()) {
            return true;
        }
        if cut {
            after_blank = false;
        } else if line.is_empty() {
            after_blank = true;
        } else if line.starts_with('#') {
            pending = true;
        } else {
            return pending && !after_blank;
        }
        at = end;
    }
    pending
}

/// Cuts that touch as one, with the blank line that set a header apart, and without leaving a line
/// break at the end of a file that had none.
fn tidied(text: &str, mut cuts: Vec<Range<usize>>, headers: &[Range<usize>]) -> Vec<Range<usize>> {
    cuts.sort_by_key(|cut| cut.start);
    let mut merged: Vec<Range<usize>> = Vec::new();
    for cut in cuts {
        match merged.last_mut() {
            Some(last) if cut.start <= last.end => last.end = last.end.max(cut.end),
            _ => merged.push(cut),
        }
    }
    // Without the line break before a position.
    let back = |at: usize| {
        let before = text.get(..at)?.strip_suffix('\n')?;
        Some(before.strip_suffix('\r').unwrap_or(before).len())
    };
    for cut in &mut merged {
        let heads = headers.iter().any(|header| header.start == cut.start);
        let blank_after = text.get(cut.end..end_of_line(text, cut.end)).is_none_or(|line| line.trim().is_empty());
        if let Some(shorter) = back(cut.start)
            && heads
            && blank_after
            && shorter == start_of_line(text, shorter)
        {
            cut.start = shorter;
        }
        if cut.end == text.len()
            && !text.ends_with('\n')
            && let Some(shorter) = back(cut.start)
        {
            cut.start = shorter;
        }
    }
    merged
}

/// The content of a text without the pin of one address, and that pin.
fn meaning(text: &str, address: &Address) -> Option<(toml::Table, Vec<toml::Value>)> {
    let mut all: toml::Table = text.parse().ok()?;
    let mut found = Vec::new();
    if let Some(toml::Value::Table(pins)) = all.get_mut("pins") {
        let is_meant = |key: &str| Address::new(key).is_ok_and(|key| key == *address);
        let keys: Vec<String> = pins.keys().filter(|key| is_meant(key)).cloned().collect();
        found = keys.iter().filter_map(|key| pins.remove(key)).collect();
        if pins.is_empty() {
            all.remove("pins");
        }
    }
    Some((all, found))
}

/// Gives the edited text back if it says what the old one said, but for that pin.
fn verify(before: &str, after: String, address: &Address, pin: Option<Pin>) -> Result<String, EditError> {
    let wanted: Vec<toml::Value> = pin.into_iter().filter_map(|pin| value(pin).parse().ok()).collect();
    let same = match (meaning(before, address), meaning(&after, address)) {
        (Some((old, _)), Some((new, found))) => {
            old == new && found == wanted && wanted.len() == usize::from(pin.is_some())
        }
        _ => false,
    };
    if same { Ok(after) } else { Err(EditError::Changed { address: address.clone() }) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::ids::{AssetId, Revision};

    fn address(text: &str) -> Address {
        Address::new(text).unwrap()
    }

    fn revision(number: u64) -> Pin {
        Pin::Revision(Revision::new(number).unwrap())
    }

    fn asset(number: u64) -> Pin {
        Pin::Asset(AssetId::new(number).unwrap())
    }

    #[track_caller]
    fn sets(text: &str, name: &str, pin: Pin, expected: &str) {
        assert_eq!(set_pin(text, &address(name), pin).as_deref(), Ok(expected), "{text:?}");
    }

    #[track_caller]
    fn removes(text: &str, name: &str, expected: Option<&str>) {
        assert_eq!(remove_pin(text, &address(name)), Ok(expected.map(str::to_owned)), "{text:?}");
    }

    #[test]
    fn a_first_pin_gets_a_table_at_the_end_and_takes_it_along() {
        let check = |text: &str, expected: &str| {
            sets(text, "sword", revision(3), expected);
            removes(expected, "sword", Some(text));
        };
        check("a = 1\n", "a = 1\n\n[pins]\nsword = 3\n");
        check("a = 1", "a = 1\n\n[pins]\nsword = 3");
        check("a = 1\n\n", "a = 1\n\n\n[pins]\nsword = 3\n");
        check("a = 1\n# end\n", "a = 1\n# end\n\n[pins]\nsword = 3\n");
        check("a = 1 # end", "a = 1 # end\n\n[pins]\nsword = 3");
        check("a = 1\n  ", "a = 1\n  \n\n[pins]\nsword = 3");
        check("\u{feff}a = 1\r\n", "\u{feff}a = 1\r\n\r\n[pins]\r\nsword = 3\r\n");
        check("a = 1\r\nb = 2", "a = 1\r\nb = 2\r\n\r\n[pins]\r\nsword = 3");
        check("", "[pins]\nsword = 3\n");
        check("\u{feff}", "\u{feff}[pins]\nsword = 3\n");
        check("\n", "\n\n[pins]\nsword = 3\n");
        check("[pins.\"x\"]\nasset_id = 1\n", "[pins.\"x\"]\nasset_id = 1\n\n[pins]\nsword = 3\n");
    }

    #[test]
    fn a_new_pin_comes_last_in_its_table() {
        let sword = |text: &str, expected: &str| sets(text, "sword", revision(3), expected);
        sword("[pins]\na = 1 # x\n\n[b]\n", "[pins]\na = 1 # x\nsword = 3\n\n[b]\n");
        sword("[pins]\na = 1", "[pins]\na = 1\nsword = 3");
        sword("[pins] # none", "[pins] # none\nsword = 3");
        sword("[pins]\r\n# none\r\n", "[pins]\r\nsword = 3\r\n# none\r\n");
        sword("[pins]\n\ta = { asset_id = 1 }\n", "[pins]\n\ta = { asset_id = 1 }\n\tsword = 3\n");
        sword(
            "[pins]\na.asset_id = 1\n[pins.b]\nasset_id = 2\n",
            "[pins]\na.asset_id = 1\nsword = 3\n[pins.b]\nasset_id = 2\n",
        );
        sword("'pins'.a = 1\nb = 2\n", "'pins'.a = 1\n'pins'.sword = 3\nb = 2\n");
        sword("pins = { a = 1 } # x\n", "pins = { a = 1, sword = 3 } # x\n");
        sword("pins = {a = 1}\n", "pins = {a = 1, sword = 3}\n");
        sword("pins = {\n  a = 1, # x\n}\n", "pins = {\n  a = 1, sword = 3, # x\n}\n");
        sword("pins = {}\n", "pins = { sword = 3 }\n");
        sword("pins = { }\n", "pins = { sword = 3 }\n");
        sets("[pins]\n", "ui/close.png", asset(123), "[pins]\n\"ui/close.png\" = { asset_id = 123 }\n");
        sets("[pins]\n", "a\"\\\u{e9} -_1", revision(1), "[pins]\n\"a\\\"\\\\\u{e9} -_1\" = 1\n");
        sets("[pins]\n", "A-_1", revision(1), "[pins]\nA-_1 = 1\n");
    }

    #[test]
    fn an_earlier_pin_is_replaced_where_it_stands() {
        let check = |text: &str, pin: Pin, expected: &str| sets(text, "\u{e9}", pin, expected);
        check(
            "[pins]\r\n'\u{e9}'  =  0x2  # x\r\nb = 1\r\n",
            revision(3),
            "[pins]\r\n'\u{e9}'  =  3  # x\r\nb = 1\r\n",
        );
        check("[pins]\n\"e\u{301}\" = {asset_id=1}# x", asset(2), "[pins]\n\"e\u{301}\" = {asset_id=2}# x");
        check("[pins]\n\"\u{e9}\" = 1 # x\n", asset(2), "[pins]\n\"\u{e9}\" = { asset_id = 2 } # x\n");
        check("[pins]\n\"\u{e9}\" = {asset_id=1} # x\n", revision(2), "[pins]\n\"\u{e9}\" = 2 # x\n");
        check("[pins]\n\"\u{e9}\".asset_id = 1 # x\n", asset(2), "[pins]\n\"\u{e9}\".asset_id = 2 # x\n");
        check("[pins]\n\"\u{e9}\".asset_id = 1 # x\n", revision(2), "[pins]\n\"\u{e9}\" = 2 # x\n");
        check("pins.\"\u{e9}\".asset_id = 1 # x\n", revision(2), "pins.\"\u{e9}\" = 2 # x\n");
        check("pins = { a = 1, \"\u{e9}\" = 1 }", revision(2), "pins = { a = 1, \"\u{e9}\" = 2 }");
        check("[pins.\"\u{e9}\"] # x\nasset_id = 1 # y\n", asset(2), "[pins.\"\u{e9}\"] # x\nasset_id = 2 # y\n");
        check("a = 1\n\n[pins.\"\u{e9}\"]\nasset_id = 1\n", revision(2), "a = 1\n\n[pins]\n\"\u{e9}\" = 2\n");
        check("[pins]\n\"\u{e9}\" = 'nonsense'\n", revision(2), "[pins]\n\"\u{e9}\" = 2\n");
    }

    #[test]
    fn a_pin_goes_with_its_line_and_nothing_else() {
        removes("a = 1\n", "sword", None);
        removes("[pins]\nb = 1\n", "sword", None);
        removes("[pins]\nsword = 3 # x\nb = 1\n", "sword", Some("[pins]\nb = 1\n"));
        removes("[pins]\nb = 1\n  sword = 3", "sword", Some("[pins]\nb = 1"));
        removes("[pins]\nb = 1\n# why\nsword = 3\n", "sword", Some("[pins]\nb = 1\n# why\n"));
        removes("[pins]\nb = 1\nsword.asset_id = 3\n", "sword", Some("[pins]\nb = 1\n"));
        removes("pins.sword = 3\r\nb = 1\r\n", "sword", Some("b = 1\r\n"));
        removes("pins.a = 3\npins.sword = 1\n", "sword", Some("pins.a = 3\n"));
        let headed = "b = 1\n\n[pins.sword] # x\n# why\nasset_id = 3\n\n[c]\n";
        removes(headed, "sword", Some("b = 1\n\n# why\n\n[c]\n"));
        removes("b = 1\n\n[pins.sword]\nasset_id = 3\n\n[c]\n", "sword", Some("b = 1\n\n[c]\n"));
        removes("[pins]\n[pins.sword]\nasset_id = 3\n", "sword", Some(""));
        removes("[pins]\nsword = 3\n\n[pins.b]\nasset_id = 3\n", "sword", Some("\n[pins.b]\nasset_id = 3\n"));
    }

    #[test]
    fn a_pin_leaves_a_list() {
        let check = |text: &str, expected: &str| removes(text, "sword", Some(expected));
        check("pins = { sword = 3, b = 1 }", "pins = { b = 1 }");
        check("pins = {b = 1,sword = 3}", "pins = {b = 1}");
        check("pins = { b = 1, sword.asset_id = 3 , }", "pins = { b = 1, }");
        check("pins = { a = 1, sword = { asset_id = 3 }, b = 1 } # x", "pins = { a = 1, b = 1 } # x");
        check("pins = {\n  a = 1, # x\n  sword = 3 # y\n}\n", "pins = {\n  a = 1, # x\n   # y\n}\n");
        check("a = 1\npins = { sword = 3 }\nb = 1\n", "a = 1\nb = 1\n");
        check("a = 1\npins = { sword = 3 }", "a = 1");
        check("pins = { sword = 3 } # x\n", "pins = {} # x\n");
        check("# x\npins = {sword = 3}\n", "# x\npins = {}\n");
        check("pins = {\n  # x\n  sword = 3,\n}\n", "pins = {\n  # x\n  \n}\n");
    }

    #[test]
    fn an_empty_table_stays_for_its_comments() {
        let check = |text: &str, expected: &str| removes(text, "sword", Some(expected));
        check("[pins] # x\nsword = 3\n", "[pins] # x\n");
        check("a = 1\n# x\n[pins]\nsword = 3\n", "a = 1\n# x\n[pins]\n");
        check("[pins]\n# x\nsword = 3\n", "[pins]\n# x\n");
        check("[pins]\n# x\nsword = 3\n[b]\n", "[pins]\n# x\n[b]\n");
        check("[pins]\n\n# x\nsword = 3\n[b]\n", "[pins]\n\n# x\n[b]\n");
        check("[pins]\nsword = 3\n# x\n[b]\n", "[pins]\n# x\n[b]\n");
        check("[pins]\nsword = 3\n\n# x\n\n[b]\n", "[pins]\n\n# x\n\n[b]\n");
        check("[pins]\nsword = 3\n\n# x\n", "[pins]\n\n# x\n");
        check("a = 1\n\n[pins]\nsword = 3\n\n# of b\n[b]\n", "a = 1\n\n# of b\n[b]\n");
        check("a = 1\n\n[pins]\nsword = 3\n[b]\n", "a = 1\n\n[b]\n");
        check("# x\n\n[pins]\n\nsword = 3", "# x\n");
    }

    #[test]
    fn the_example_is_edited_line_by_line() {
        let text = include_str!("../../assets.toml.example");
        let (start, _) = text.split_once("[pins]\n").unwrap();
        let added = set_pin(text, &address("ui/new.png"), asset(5)).unwrap();
        let (before, after) = text.split_at(added.find("\"ui/new.png\"").unwrap());
        assert_eq!(added, format!("{before}\"ui/new.png\" = {{ asset_id = 5 }}\n{after}"));
        assert_eq!(remove_pin(&added, &address("ui/new.png")).unwrap().as_deref(), Some(text));
        let one = remove_pin(text, &address("sword")).unwrap().unwrap();
        assert_eq!((one.lines().count(), one.starts_with(start)), (text.lines().count() - 1, true));
        let none = remove_pin(&one, &address("ui/close.png")).unwrap().unwrap();
        // The comment that stands apart stays, and the next pin comes back below it.
        assert_eq!(format!("{none}\n"), start);
        let again = set_pin(&none, &address("sword"), revision(3)).unwrap();
        assert_eq!(again, format!("{start}[pins]\nsword = 3\n"));
    }

    #[test]
    fn a_manifest_that_cannot_be_edited_is_refused() {
        let sword = address("sword");
        let check = |text: &str, expected: &str| {
            let errors = [set_pin(text, &sword, revision(3)).unwrap_err(), remove_pin(text, &sword).unwrap_err()];
            for error in errors {
                assert_eq!(error.to_string(), expected, "{text}");
                assert!(!error.hint().is_empty());
            }
        };
        check("pins = 5\n", "`pins` is not a table");
        check("[[pins]]\n", "`pins` is not a table");
        check(
            "a = 1\nb = \n",
            "the manifest has an error in line 2: string values must be quoted, expected literal string",
        );
        let form = "the pin of `sword` is written in a way that can't be edited";
        check("[[pins.sword]]\nasset_id = 1\n", form);
        check("[pins.sword.deep]\nasset_id = 1\n", form);
        let twice = "[pins]\n\"e\u{301}\" = 1\n\"\u{e9}\" = 1\n";
        assert!(matches!(remove_pin(twice, &address("\u{e9}")), Err(EditError::Form { .. })));
        // A number that is not equal to itself: nothing can be verified.
        let odd = "a = nan\n";
        assert!(matches!(set_pin(odd, &sword, revision(1)), Err(EditError::Changed { .. })));
    }

    /// How the pins of a generated manifest are written.
    const FORMS: [&str; 9] = [
        "",
        "[pins]\n",
        "[pins]\nsword = 3\n",
        "# pin: why\n[pins] # pin\n# pin\n  sword = 3 # pin\n\n\"ui/close.png\" = { asset_id = 123 } # pin\n",
        "[pins]\nsword.asset_id = 3\n\n[pins.\"ui/close.png\"]\nasset_id = 123\n",
        "[pins.sword] # pin\nasset_id = 3\n",
        "[pins.sword]\nasset_id = 1\n\n[pins]\n'ui/close.png' = { asset_id = 123 }\n",
        "pins = { sword = 3, \"ui/close.png\" = { asset_id = 123 } } # pin\n",
        "pins.sword = 3 # pin\npins.\"ui/close.png\".asset_id = 123\n",
    ];

    /// Text before, the pins, and text after, none of which but the second speaks of pins.
    fn manifests() -> impl Strategy<Value = (String, String, String)> {
        let top = prop::sample::select(vec![
            "",
            "# top\n",
            "title = 'x' # [pons]\n",
            "long = \"\"\"\n[pons]\n# no comment\n\"\"\"\n",
        ]);
        let section = |n: u32| {
            let text = format!("[assets.a{n}] # {n}\n# of a{n}\npath = \"a{n}.png\"\n\n");
            prop::sample::select(vec![
                String::new(),
                text,
                format!("\n\n# about\n[b{n}]\n"),
                format!("[b{n}]\n  c = [\n  1, # x\n]\n"),
            ])
        };
        let parts = (top, section(1), prop::sample::select(FORMS.to_vec()), section(2), section(3));
        (parts, any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
            |((top, one, pins, two, three), crlf, bom, open)| {
                // Keys without a header stand before all headers.
                let rooted = pins.starts_with("pins");
                let before = if rooted { top.to_owned() } else { format!("{top}{one}") };
                let mut parts = [
                    format!("{}{before}", if bom { BOM } else { "" }),
                    pins.to_owned(),
                    format!("{}{two}{three}", if rooted { &one } else { "" }),
                ];
                if open && let Some(last) = parts.iter_mut().rev().find(|part| !part.is_empty()) {
                    *last = last.trim_end_matches('\n').to_owned();
                }
                let [before, pins, after] = parts.map(|part| if crlf { part.replace('\n', "\r\n") } else { part });
                (before, pins, after)
            },
        )
    }

    /// The lines that are not about pins, blank ones left out: a blank line comes and goes with the
    /// table that it sets apart.
    fn others(text: &str) -> Vec<&str> {
        let about = ["pin", "sword", "ui/close.png", "asset_id", "new"];
        let text = text.strip_prefix(BOM).unwrap_or(text);
        text.lines().filter(|line| !line.trim().is_empty() && !about.iter().any(|word| line.contains(word))).collect()
    }

    fn comments(text: &str) -> usize {
        text.matches("# pin").count()
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn nothing_but_lines_of_pins_changes(
            (before, pins, after) in manifests(),
            name in prop::sample::select(vec!["sword", "ui/close.png", "new", "new \"\u{e9}\\"]),
            pin in prop::sample::select(vec![revision(7), asset(7)]),
        ) {
            let (text, address) = (format!("{before}{pins}{after}"), address(name));
            let set = set_pin(&text, &address, pin).unwrap();
            let removed = remove_pin(&text, &address).unwrap();
            let taken_back = remove_pin(&set, &address).unwrap();
            prop_assert_eq!(set_pin(&set, &address, pin), Ok(set.clone()));
            for edited in [Some(&set), removed.as_ref(), taken_back.as_ref()].into_iter().flatten() {
                prop_assert_eq!(others(edited), others(&text));
                prop_assert!(edited.starts_with(before.trim_end()), "{:?}", edited);
                prop_assert!(edited.starts_with(BOM) == text.starts_with(BOM));
                if text.contains('\n') && edited.contains('\n') {
                    prop_assert_eq!(edited.matches('\n').count() == edited.matches("\r\n").count(), text.contains("\r\n"));
                }
            }
            let changes_form = pins.starts_with("[pins.sword]") && name == "sword" && matches!(pin, Pin::Revision(_));
            prop_assert!(changes_form || comments(&set) == comments(&text), "{:?}", set);
            if pins.is_empty() {
                prop_assert!(set.starts_with(&text));
                prop_assert_eq!(taken_back.as_ref(), Some(&text));
            }
        }

        #[test]
        fn any_text_is_edited_or_refused(text in "(pins|sword|\\[|\\]|\\.|=| |\n|\r\n|#|\\{|\\}|,|\"|'|3|asset_id){0,24}") {
            let sword = address("sword");
            if let Ok(set) = set_pin(&text, &sword, revision(3)) {
                prop_assert_eq!(set_pin(&set, &sword, revision(3)), Ok(set.clone()));
                prop_assert!(remove_pin(&set, &sword).is_ok_and(|removed| removed.is_some()));
            }
            let _ = remove_pin(&text, &sword);
        }
    }
}

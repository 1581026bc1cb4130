//! An entry as Macadam writes it is read without TOML, and as TOML would read it.

use super::*;
use crate::state::lockfile::as_written;
use crate::state::lockfile::parse::parse_by;

/// Returns what reading gives, with the errors as text.
fn read(usual: fn(&str) -> Option<(Address, LockfileEntry)>, text: &str) -> Result<Ledger, String> {
    parse_by(usual, text.as_bytes(), Path::new("assets.lock.toml")).map_err(|error| format!("{error:?}"))
}

/// Checks that both ways of reading give the same.
fn check_same(text: &str) {
    assert_eq!(read(as_written::read, text), read(|_| None, text), "{text}");
}

/// The parts of a text that each have one table.
fn tables(text: &str) -> impl Iterator<Item = &str> {
    let starts = text.match_indices("\n[").map(|(at, _)| at + 1);
    let ends = starts.clone().skip(1).chain([text.len()]);
    starts.zip(ends).filter_map(|(start, end)| text.get(start..end))
}

/// Something that a person, a merge or a disk may put into a text.
fn any_bit() -> impl Strategy<Value = String> {
    let bits = [
        " ",
        "\n",
        "\r\n",
        "\t",
        "\"",
        "\\",
        "'",
        "[",
        "]",
        "{",
        "}",
        ",",
        "=",
        "#",
        ".",
        "0",
        "1",
        "_",
        "+",
        "-",
        "\u{7f}",
        "\u{1}",
        "\u{e9}",
        "\u{85}",
        "true",
        "false",
        "removed = true\n",
        "current = 1\n",
        "type = \"Image\"\n",
        ", era = 0",
        ", archived_at = \"2026-11-30T04:05:00Z\"",
        "2026-11-30T04:05:00+00:00",
        "retirements = [\n]\n",
        ", shared = true",
        ", shared = false",
        ", revision = 1",
        "\"description\" = \"00\", ",
        "# end of lockfile\n",
        "[assets.\"a\"]\n",
        "[forgotten.\"a\"]\n1 = 1\n",
        "asked = { }\n",
        "revisions = [\n]\n",
        "99999999999999999999",
    ];
    prop::sample::select(bits.to_vec()).prop_map(str::to_owned)
}

/// Changes of a text: at which place, how much of it goes, what comes, and whether a whole line is
/// repeated there.
fn any_edit() -> impl Strategy<Value = (prop::sample::Index, usize, Option<String>, bool)> {
    (any::<prop::sample::Index>(), 0_usize..12, prop::option::of(any_bit()), prop::bool::weighted(0.2))
}

proptest! {
    #[test]
    fn a_text_as_written_is_read_as_toml_reads_it(ledger in any_ledger()) {
        let text = text_of(&ledger);
        prop_assert_eq!(read(as_written::read, &text), Ok(ledger));
        check_same(&text);
    }

    #[test]
    fn a_text_that_was_changed_is_read_or_refused_as_by_toml(
        ledger in any_ledger(),
        edits in prop::collection::vec(any_edit(), 1..4),
    ) {
        let mut text = text_of(&ledger);
        for (at, gone, comes, repeats) in edits {
            let places: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
            let at = at.index(places.len());
            let (from, to) = (places[at], places[(at + gone).min(places.len() - 1)]);
            if repeats {
                let start = text[..from].rfind('\n').map_or(0, |end| end + 1);
                let end = text[from..].find('\n').map_or(text.len(), |end| from + end + 1);
                let line = text[start..end].to_owned();
                text.insert_str(start, &line);
            } else {
                text.replace_range(from..to, comes.as_deref().unwrap_or_default());
            }
        }
        check_same(&text);
        for table in tables(&text) {
            check_same(&format!("version = 1\nremote = \"{REMOTE}\"\n{table}# end of lockfile\n"));
        }
    }

    /// Only entries with keys that few have take TOML, or with quotes in their names.
    #[test]
    fn an_entry_as_written_is_read_without_toml(ledger in any_ledger()) {
        let text = text_of(&ledger);
        let mut read = 0;
        for table in tables(&text).filter(|table| table.starts_with("[assets.")) {
            let is_rare = ["current = ", "pinned = ", "possible_duplicates = ", "open = "]
                .iter()
                .any(|key| table.lines().any(|line| line.starts_with(key)));
            let has_escape = table.contains('\\');
            let found = as_written::read(table);
            prop_assert_eq!(found.is_some(), !is_rare && !has_escape, "{}", table);
            if let Some((address, entry)) = found {
                prop_assert_eq!(ledger.entries.get(&address), Some(&entry));
            }
            read += 1;
        }
        prop_assert_eq!(read, ledger.entries.len());
    }

    /// Whether or not a lockfile is read into a state.
    #[test]
    fn the_known_addresses_are_those_of_a_state_that_read_it(ledger in any_ledger()) {
        prop_assert_eq!(known_addresses(&ledger), imported(&ledger).addresses());
    }
}

#[test]
fn an_address_twice_is_an_error_at_the_second_one() {
    let one = |name: &str| format!("[assets.\"{name}\"]\ntype = \"Image\"\ncreator = \"user:1\"\n\n");
    for names in [["a", "a"], ["b", "a"], ["b", "b"]] {
        let [first, second] = names.map(one);
        for more in [String::new(), one("a"), one("b")] {
            check_same(&format!("version = 1\nremote = \"{REMOTE}\"\n\n{first}{second}{more}# end of lockfile\n"));
        }
    }
    let text = format!("version = 1\nremote = \"{REMOTE}\"\n\n{0}{0}# end of lockfile\n", one("a"));
    let error = parse_text(&text).unwrap_err();
    assert_eq!(error.place().map(|place| (place.line, place.column)), Some((8, 9)), "{error}");
}

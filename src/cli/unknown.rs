//! A name or a pattern that no asset has: which one was probably meant.
//!
//! Read next: [`super::renamed`], for a name that an asset had before, or a path from here.

use std::path::Path;

use super::exit::{CommandFailure, Exit};
use super::target;
use crate::manifest::AddressPattern;
use crate::model::address::Address;
use crate::model::proposed::quoted;

/// Words for assets of one kind, which somebody may take for a name.
const KINDS: [&str; 14] = [
    "all",
    "asset",
    "assets",
    "image",
    "images",
    "picture",
    "pictures",
    "decals",
    "sounds",
    "audio",
    "models",
    "meshes",
    "animations",
    "videos",
];

/// The least likeness of two names of which one may be meant for the other, from 0 to 1.
const ALIKE: f64 = 0.8;

/// The names that a question lists.
const LISTED: usize = 3;

/// An unknown address, with what was probably meant as hint.
pub(super) fn unknown_address<'a>(wanted: &str, known: impl Iterator<Item = &'a str>) -> CommandFailure {
    let failure =
        CommandFailure::new(Exit::Unreconciled, format!("there is no asset named `{wanted}`")).unknown(wanted);
    let known: Vec<&str> = known.collect();
    failure.hint(match folder(wanted, &known).or_else(|| guess(wanted, &known)) {
        Some(guess) => guess,
        None if KINDS.contains(&wanted.to_lowercase().as_str()) => {
            "write a name, such as `sword`, or a pattern, such as 'ui/**'; `macadam status` lists all, with their types"
                .to_owned()
        }
        None => "`macadam status` lists all names".to_owned(),
    })
}

/// A pattern that no address matches, with what was probably meant as hint.
pub(super) fn unmatched<'a>(pattern: &str, known: impl Iterator<Item = &'a Address>) -> CommandFailure {
    // Brackets alone are rather a part of a file's name.
    if !pattern.contains(['*', '?', '{']) {
        return unknown_address(pattern, known.map(Address::as_str));
    }
    let failure = CommandFailure::new(Exit::Unreconciled, format!("no asset matches the pattern `{pattern}`"));
    failure.hint(match in_other_case(pattern, known) {
        Some(meant) => format!("upper and lower case differ: did you mean {}?", quoted(&meant)),
        None => "`*` doesn't cross `/`, `**` does; `macadam status` lists all names".to_owned(),
    })
}

/// The pattern with the case that the known addresses have in its folders, if some match it then.
fn in_other_case<'a>(pattern: &str, mut known: impl Iterator<Item = &'a Address>) -> Option<String> {
    let literal = pattern.find(['*', '?', '[', '{']).unwrap_or(pattern.len());
    let (folders, rest) = pattern.split_at_checked(pattern.get(..literal)?.rfind('/')? + 1)?;
    known.find_map(|address| {
        let (real, _) = address.as_str().split_at_checked(folders.len())?;
        let meant = format!("{real}{rest}");
        let is_it = real.eq_ignore_ascii_case(folders) && AddressPattern::new(&meant).ok()?.fits(address);
        is_it.then_some(meant)
    })
}

/// The hint for the name of a folder.
fn folder(wanted: &str, known: &[&str]) -> Option<String> {
    let folder = wanted.trim_end_matches('/');
    let real = known.iter().find_map(|name| {
        let (real, rest) = name.split_at_checked(folder.len())?;
        (rest.starts_with('/') && real.eq_ignore_ascii_case(folder)).then_some(real)
    });
    real.filter(|real| !real.is_empty())
        .map(|real| format!("for all assets in the folder write '{real}/**', in quotes"))
}

/// The path that a text names in the folder where the program was started, as an address of the
/// project in the folder `project`.
pub(super) fn from_here(text: &str, project: &Path) -> Option<String> {
    let here = target::here().ok()?;
    let named = Path::new(text);
    if named.is_absolute() {
        let real = || Some(named.canonicalize().ok()?.strip_prefix(project.canonicalize().ok()?).ok()?.to_owned());
        let inside = named.strip_prefix(project).ok().map(Path::to_owned).or_else(real)?;
        let parts: Vec<&str> = inside.iter().map(|part| part.to_str()).collect::<Option<_>>()?;
        return Some(parts.join("/"));
    }
    let inside = here.strip_prefix(project).ok()?;
    let mut parts: Vec<&str> = inside.iter().map(|part| part.to_str()).collect::<Option<_>>()?;
    for part in text.split(['/', '\\']) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The known addresses that somebody may have meant, as a question: the one with another case, those
/// whose file has that name, with or without its extension, or the one that is spelled most alike.
pub(super) fn guess(wanted: &str, known: &[&str]) -> Option<String> {
    let lower = wanted.to_lowercase();
    let file_of = |name: &str| name.rsplit('/').next().unwrap_or(name).to_owned();
    let is_same = |name: &str| name.to_lowercase() == lower;
    let is_of_file = |name: &str| {
        let file = file_of(name);
        is_same(&file) || file.rsplit_once('.').is_some_and(|(stem, _)| is_same(stem))
    };
    let mut found: Vec<&str> = known.iter().copied().filter(|name| is_same(name)).collect();
    if found.is_empty() {
        found.extend(known.iter().copied().filter(|name| is_of_file(name)));
    }
    if found.is_empty() {
        found.extend(nearest(wanted, known, str::to_owned).or_else(|| nearest(wanted, known, file_of)));
    }
    // One that is wanted and known stands among both.
    found.sort_unstable();
    found.dedup();
    let names: Vec<String> = found.iter().take(LISTED).map(|name| format!("`{name}`")).collect();
    let (last, first) = names.split_last()?;
    Some(match first {
        [] => format!("did you mean {last}?"),
        first => format!("did you mean {} or {last}?", first.join(", ")),
    })
}

/// The name whose text is most like `wanted`, if one is alike.
fn nearest<'a>(wanted: &str, known: &[&'a str], text: impl Fn(&str) -> String) -> Option<&'a str> {
    let likeness = known.iter().map(|name| (strsim::jaro_winkler(wanted, &text(name)), *name));
    let (_, name) = likeness.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(likeness, _)| *likeness > ALIKE)?;
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 5] =
        ["ui/close.png", "sounds/effects/coin.ogg", "sounds/effects/coin.wav", "sword", "ui/a/B.png"];

    #[track_caller]
    fn check(wanted: &str, hint: &str) {
        let failure = unknown_address(wanted, KNOWN.into_iter());
        assert_eq!(failure.problems[0].hint.as_deref(), Some(hint), "{wanted}");
    }

    #[test]
    fn the_likeliest_name_is_asked_for() {
        check("coin", "did you mean `sounds/effects/coin.ogg` or `sounds/effects/coin.wav`?");
        check("coin.ogg", "did you mean `sounds/effects/coin.ogg`?");
        check("UI/Close.png", "did you mean `ui/close.png`?");
        check("clsoe.png", "did you mean `ui/close.png`?");
        check("swrod", "did you mean `sword`?");
        check("UI/", "for all assets in the folder write 'ui/**', in quotes");
        check("sounds/effects", "for all assets in the folder write 'sounds/effects/**', in quotes");
        check("zebra", "`macadam status` lists all names");
        check("/", "`macadam status` lists all names");
    }

    #[test]
    fn a_pattern_in_another_case_is_asked_for() {
        let known = KNOWN.map(|name| Address::new(name).unwrap());
        let check = |pattern: &str, meant: Option<&str>| {
            assert_eq!(in_other_case(pattern, known.iter()).as_deref(), meant, "{pattern}");
        };
        check("UI/**", Some("ui/**"));
        check("Sounds/Effects/*.ogg", Some("sounds/effects/*.ogg"));
        check("UI/*.ogg", None);
        check("**", None);
        check("Ü/**", None);
    }
}

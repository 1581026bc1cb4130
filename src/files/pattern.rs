//! Matches a glob of the manifest part by part. Pure: it touches no file system.
//!
//! Three rules need to know which part of a pattern matched which part of a path. Hidden files and
//! folder links are only found where a pattern names them, and a folder is only walked when
//! something below it can match. Braces are expanded first, so `{ui,.icons}/*.png` becomes the two
//! patterns `ui/*.png` and `.icons/*.png`.
//!
//! Read next: `walk`, the caller.

use globset::{GlobBuilder, GlobMatcher};

use crate::model::path::composed;
use crate::model::steps::step;

/// The most alternatives of one pattern. It bounds nested braces, which multiply.
const MAX_ALTERNATIVES: usize = 256;
/// The longest pattern in bytes, which is the longest path on Linux (`PATH_MAX`).
const MAX_BYTES: usize = 4096;

/// What makes a part of a pattern more than a name.
const WILDCARDS: [char; 7] = ['*', '?', '[', ']', '{', '}', '\\'];

/// One part of a path below the project's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PatternPart {
    name: String,
    /// The part is a link to a folder.
    link: bool,
}

impl PatternPart {
    pub(super) fn new(name: &str) -> Self {
        Self { name: composed(name).into_owned(), link: false }
    }

    /// Returns the same name as a link to a folder.
    pub(super) fn into_link(self) -> Self {
        Self { link: true, ..self }
    }
}

#[derive(Debug, Clone)]
enum Component {
    /// `**`: any number of folders that are neither hidden nor links.
    AnyFolders,
    /// A name without wildcards.
    Literal(String),
    /// `*` and the rest of a name without wildcards, such as `*.png`: what most globs end with.
    Suffix(String),
    /// A name with wildcards. It matches hidden names only when it starts with a dot itself.
    Wild { matcher: GlobMatcher, dot: bool },
}

impl Component {
    fn parse(text: &str) -> Result<Self, String> {
        if text == "**" {
            return Ok(Self::AnyFolders);
        }
        if !text.contains(WILDCARDS) {
            return Ok(Self::Literal(text.to_owned()));
        }
        if let Some(rest) = text.strip_prefix('*')
            && !rest.contains(WILDCARDS)
        {
            return Ok(Self::Suffix(rest.to_owned()));
        }
        let glob = GlobBuilder::new(text)
            .literal_separator(true)
            .backslash_escape(true)
            .build()
            .map_err(|error| error.kind().to_string())?;
        Ok(Self::Wild { matcher: glob.compile_matcher(), dot: text.starts_with('.') })
    }

    fn matches(&self, part: &PatternPart, role: PatternRole) -> bool {
        step();
        let (hidden, link) = match role {
            PatternRole::Find => (part.name.starts_with('.'), part.link),
            PatternRole::Exclude => (false, false),
        };
        match self {
            Self::AnyFolders => !hidden && !link,
            Self::Literal(name) => *name == part.name,
            Self::Suffix(rest) => !link && !hidden && part.name.ends_with(rest.as_str()),
            Self::Wild { matcher, dot } => !link && (!hidden || *dot) && matcher.is_match(&part.name),
        }
    }
}

/// The purpose of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PatternRole {
    /// Finds files. Wildcards skip hidden names and folder links.
    Find,
    /// Excludes files, hidden or not.
    Exclude,
}

/// How far the alternatives of a pattern come with the folders on the way to a file.
#[derive(Debug, Clone)]
pub(super) struct PatternStates(Vec<Vec<bool>>);

/// One pattern, its braces expanded.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    role: PatternRole,
    alternatives: Vec<Vec<Component>>,
}

impl Pattern {
    /// Parses a pattern as it is written in the manifest.
    ///
    /// # Errors
    /// When the text is not a valid pattern, or leaves the folder. The error says why, for a
    /// person.
    pub(super) fn parse(text: &str, role: PatternRole) -> Result<Self, String> {
        if text.len() > MAX_BYTES {
            return Err(format!("it is longer than {MAX_BYTES} bytes"));
        }
        let mut alternatives = Vec::new();
        expand_braces(&composed(text), &mut alternatives)?;
        let alternatives = alternatives.iter().map(|text| components(text)).collect::<Result<_, _>>()?;
        Ok(Self { role, alternatives })
    }

    /// Returns whether the pattern matches the file at `parts`.
    pub(super) fn matches(&self, parts: &[PatternPart]) -> bool {
        self.alternatives.iter().any(|components| self.matches_all(components, parts))
    }

    /// Returns how far each alternative comes with the folder at `parts`, for
    /// [`Pattern::matches_in`].
    pub(super) fn within(&self, parts: &[PatternPart]) -> PatternStates {
        PatternStates(self.alternatives.iter().map(|components| self.states(components, parts)).collect())
    }

    /// Returns whether the pattern matches the file `name` in the folder of `states`: the same as
    /// [`Pattern::matches`] of the whole path, for the price of one part.
    pub(super) fn matches_in(&self, states: &PatternStates, name: &PatternPart) -> bool {
        self.alternatives.iter().zip(&states.0).any(|(components, states)| match components.last() {
            Some(last @ Component::AnyFolders) => last.matches(name, self.role) && states.last() == Some(&true),
            Some(last) => states.get(components.len() - 1) == Some(&true) && last.matches(name, self.role),
            None => false,
        })
    }

    /// Returns whether the pattern can match a file below the folder at `parts`.
    pub(super) fn reaches_below(&self, parts: &[PatternPart]) -> bool {
        self.alternatives.iter().any(|components| {
            let states = self.states(components, parts);
            states.iter().take(components.len()).any(|state| *state)
        })
    }

    /// Returns whether the pattern matches every file below the folder at `parts`: it ends with
    /// `/**`, and the parts before that match the folder.
    pub(super) fn covers(&self, parts: &[PatternPart]) -> bool {
        self.alternatives.iter().any(|components| {
            matches!(components.last(), Some(Component::AnyFolders))
                && self.states(components, parts).last() == Some(&true)
        })
    }

    /// Returns whether the components match all the parts. A `**` at the end takes at least one
    /// part: a file, not the folder before it.
    fn matches_all(&self, components: &[Component], parts: &[PatternPart]) -> bool {
        match components.last() {
            Some(last @ Component::AnyFolders) => parts.split_last().is_some_and(|(file, folders)| {
                last.matches(file, self.role) && self.states(components, folders).last() == Some(&true)
            }),
            _ => self.states(components, parts).last() == Some(&true),
        }
    }

    /// Returns the positions that the components can reach after these parts: state `i` is before
    /// component `i`. The work is the product of both lengths, however many `**` there are.
    fn states(&self, components: &[Component], parts: &[PatternPart]) -> Vec<bool> {
        // `**` may match no folder at all.
        let pass_over = |states: &mut Vec<bool>| {
            for (index, component) in components.iter().enumerate() {
                if matches!(component, Component::AnyFolders) && states.get(index) == Some(&true) {
                    states.get_mut(index + 1).into_iter().for_each(|state| *state = true);
                }
            }
        };
        let mut now = vec![false; components.len() + 1];
        now.first_mut().into_iter().for_each(|state| *state = true);
        pass_over(&mut now);
        for part in parts {
            let mut next = vec![false; components.len() + 1];
            for (index, component) in components.iter().enumerate() {
                if now.get(index) == Some(&true) && component.matches(part, self.role) {
                    let to = if matches!(component, Component::AnyFolders) { index } else { index + 1 };
                    next.get_mut(to).into_iter().for_each(|state| *state = true);
                }
            }
            pass_over(&mut next);
            now = next;
        }
        now
    }

    /// Returns the folders that the pattern names before its first wildcard, one for each
    /// alternative. The project's own folder is left out.
    pub(super) fn base_folders(&self) -> impl Iterator<Item = String> {
        self.alternatives.iter().filter_map(|components| {
            let folders = components.split_last().map_or(&[][..], |(_, folders)| folders);
            let names: Vec<&str> = folders
                .iter()
                .map_while(|component| match component {
                    Component::Literal(name) => Some(name.as_str()),
                    Component::AnyFolders | Component::Suffix(_) | Component::Wild { .. } => None,
                })
                .collect();
            (!names.is_empty()).then(|| names.join("/"))
        })
    }
}

/// Splits a pattern without braces into its components.
fn components(text: &str) -> Result<Vec<Component>, String> {
    let text = text.strip_prefix("./").unwrap_or(text);
    if text.starts_with('/') {
        return Err("it is absolute; patterns are relative to the manifest's folder".to_owned());
    }
    let mut components = Vec::new();
    for part in text.split('/') {
        match part {
            "" | "." => return Err("it has an empty part or a `.` part".to_owned()),
            ".." => return Err("it leaves the manifest's folder with `..`".to_owned()),
            // `**/**` means the same as `**`, and each repetition would multiply the ways to match.
            "**" if matches!(components.last(), Some(Component::AnyFolders)) => {}
            part => components.push(Component::parse(part)?),
        }
    }
    Ok(components)
}

/// Expands the first braces of `text`, and those of each result, into `found`.
fn expand_braces(text: &str, found: &mut Vec<String>) -> Result<(), String> {
    let Some(braces) = first_braces(text)? else {
        if found.len() == MAX_ALTERNATIVES {
            return Err(format!("its braces give more than {MAX_ALTERNATIVES} alternatives"));
        }
        found.push(text.to_owned());
        return Ok(());
    };
    for alternative in braces.alternatives {
        expand_braces(&format!("{}{alternative}{}", braces.before, braces.after), found)?;
    }
    Ok(())
}

struct Braces<'a> {
    before: &'a str,
    alternatives: Vec<&'a str>,
    after: &'a str,
}

/// Finds the first outermost braces. Braces behind a backslash or within a class are plain
/// characters.
fn first_braces(text: &str) -> Result<Option<Braces<'_>>, String> {
    let (mut depth, mut start, mut piece) = (0_usize, 0, 0);
    let (mut escaped, mut class_start) = (false, None);
    let mut alternatives = Vec::new();
    let slice = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
    for (index, character) in text.char_indices() {
        if std::mem::take(&mut escaped) {
            continue;
        }
        if let Some(opened) = class_start {
            // The first character of a class, or the one after `!`, never ends it.
            let within = slice(opened + 1, index);
            if character == ']' && !within.is_empty() && within != "!" && within != "^" {
                class_start = None;
            }
            continue;
        }
        match character {
            '\\' => escaped = true,
            '[' => class_start = Some(index),
            '{' => {
                depth += 1;
                if depth == 1 {
                    (start, piece) = (index, index + 1);
                }
            }
            ',' if depth == 1 => {
                alternatives.push(slice(piece, index));
                piece = index + 1;
            }
            '}' if depth == 1 => {
                alternatives.push(slice(piece, index));
                return Ok(Some(Braces { before: slice(0, start), alternatives, after: slice(index + 1, text.len()) }));
            }
            '}' if depth == 0 => return Err("it closes a brace that was not opened".to_owned()),
            '}' => depth -= 1,
            _ => {}
        }
    }
    if depth > 0 { Err("it opens a brace that is not closed".to_owned()) } else { Ok(None) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Splits a path into parts. `@` before a name marks a link to a folder.
    fn parts(path: &str) -> Vec<PatternPart> {
        path.split('/')
            .map(|name| match name.strip_prefix('@') {
                Some(name) => PatternPart::new(name).into_link(),
                None => PatternPart::new(name),
            })
            .collect()
    }

    fn check(pattern: &str, matching: &[&str], other: &[&str]) {
        let parsed = Pattern::parse(pattern, PatternRole::Find).unwrap();
        for path in matching.iter().chain(other) {
            let parts = parts(path);
            let (name, folders) = parts.split_last().unwrap();
            assert_eq!(parsed.matches_in(&parsed.within(folders), name), parsed.matches(&parts), "{pattern}, {path}");
        }
        for path in matching {
            assert!(parsed.matches(&parts(path)), "{pattern} should match {path}");
            let parts = parts(path);
            for length in 0..parts.len() {
                assert!(parsed.reaches_below(&parts[..length]), "{pattern} should reach {path}");
            }
        }
        for path in other {
            assert!(!parsed.matches(&parts(path)), "{pattern} should not match {path}");
        }
    }

    #[test]
    fn patterns_match_as_the_contract_says() {
        check("ui/*.png", &["ui/a.png"], &["ui/b/a.png", "a.png", "ui/a.PNG", "UI/a.png", "x/ui/a.png"]);
        check("ui/**/*.png", &["ui/a.png", "ui/b/c/a.png"], &["ui", "a.png", "b/ui/a.png"]);
        check("**/*.png", &["a.png", "b/c/a.png"], &["a.jpg"]);
        check("ui/**", &["ui/a", "ui/b/c"], &["ui", "uii/a"]);
        check("**", &["a", "a/b"], &[]);
        check("./ui/?.png", &["ui/a.png"], &["ui/ab.png"]);
        check("ui/[a-c].png", &["ui/b.png"], &["ui/d.png"]);
        check("ui/\\[x\\].png", &["ui/[x].png"], &["ui/x.png"]);
        check("**/ui/**/a/*", &["ui/a/f", "x/ui/ui/y/a/a/f"], &["ui/f", "a/ui/f"]);
        check("**/**/**", &["a", "a/b"], &[]);
    }

    #[test]
    fn braces_are_expanded() {
        check("{ui,models/x}/*.{png,jpg}", &["ui/a.png", "models/x/a.jpg"], &["models/a.png", "ui/a.bmp"]);
        check("a{,b}.png", &["a.png", "ab.png"], &["abb.png"]);
        check("{a,{b,c}}/d", &["a/d", "b/d", "c/d"], &["d"]);
        check("[{]x,\\}", &["{x,}"], &["{"]);
    }

    #[test]
    fn hidden_names_and_links_are_found_only_where_named() {
        check("**/*.png", &[], &[".a.png", ".x/a.png", "x/.y/a.png", "@x/a.png", "y/@x/a.png"]);
        check("*/a.png", &[], &["@x/a.png", ".x/a.png"]);
        check("**", &[], &[".a", "a/.b"]);
        check("@x/a.png", &[], &["x/b.png"]);
        check("x/**/a.png", &["@x/a.png", "@x/y/a.png"], &["@x/@y/a.png"]);
        check("**/.x/*.png", &[".x/a.png", "y/.x/a.png"], &[".x/.a.png", ".y/.x/a.png"]);
        check("ui/.*", &["ui/.a"], &["ui/a"]);
        check("{.a,b}/*", &[".a/f", "b/f"], &[".b/f"]);
    }

    #[test]
    fn a_decomposed_name_matches_a_composed_pattern() {
        check("é/*.png", &["e\u{301}/a.png", "é/a.png"], &["e/a.png"]);
    }

    #[test]
    fn only_folders_that_can_hold_a_match_are_walked() {
        let reaches = |pattern: &str, folder: &str| {
            Pattern::parse(pattern, PatternRole::Find).unwrap().reaches_below(&parts(folder))
        };
        assert!(reaches("ui/**/*.png", "ui/a/b"));
        assert!(reaches("*/x/*.png", "ui"));
        assert!(!reaches("ui/**/*.png", "node_modules"));
        assert!(!reaches("*/x/*.png", "ui/y"));
        assert!(!reaches("ui/*.png", "ui/a"));
        assert!(!reaches("*.png", "ui"));
    }

    #[test]
    fn an_exclusion_of_a_whole_folder_covers_it() {
        let covers =
            |pattern: &str, folder: &str| Pattern::parse(pattern, PatternRole::Exclude).unwrap().covers(&parts(folder));
        assert!(covers("ui/wip/**", "ui/wip"));
        assert!(covers("ui/wip/**", "ui/wip/deep"));
        assert!(covers("**/wip/**", "a/wip"));
        assert!(!covers("ui/wip/**", "ui"));
        assert!(!covers("ui/wip/*", "ui/wip"));
    }

    #[test]
    fn an_exclusion_also_matches_hidden_names() {
        let exclusion = Pattern::parse("**/*.png", PatternRole::Exclude).unwrap();
        assert!(exclusion.matches(&parts(".x/.a.png")));
        assert!(exclusion.matches(&parts("@x/a.png")));
    }

    #[test]
    fn base_folders_end_at_the_first_wildcard() {
        let bases = |text: &str| Pattern::parse(text, PatternRole::Find).unwrap().base_folders().collect::<Vec<_>>();
        assert_eq!(bases("ui/icons/**/*.png"), ["ui/icons"]);
        assert_eq!(bases("{ui,models}/*.png"), ["ui", "models"]);
        assert_eq!(bases("*.png"), [""; 0]);
        assert_eq!(bases("ui/a.png"), ["ui"]);
    }

    #[test]
    fn an_invalid_pattern_is_an_error_with_its_reason() {
        for (pattern, wrong) in [
            ("", "empty"),
            ("/ui/*.png", "absolute"),
            ("../*.png", "leaves"),
            ("{..,x}/*.png", "leaves"),
            ("ui//a", "empty"),
            ("ui/", "empty"),
            ("{a", "not closed"),
            ("a}", "not opened"),
            ("[a", "unclosed"),
            ("{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}", "more than 256"),
        ] {
            let error = Pattern::parse(pattern, PatternRole::Find).unwrap_err();
            assert!(error.contains(wrong), "{pattern}: {error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_pattern_or_an_error(text in r"[a-c.*?/\\\[\]{},!]{0,24}", path in "[a-c./]{1,12}") {
            if let Ok(pattern) = Pattern::parse(&text, PatternRole::Find) {
                pattern.matches(&parts(&path));
                pattern.covers(&parts(&path));
                pattern.reaches_below(&parts(&path));
            }
        }
    }
}

//! Patterns of files and addresses: `*` doesn't cross `/`, case counts.

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};

use super::diagnostic::{ErrorSink, ManifestError, shown};
use super::paths::single_slashes;
use crate::model::address::Address;
use crate::model::output::Output;
use crate::model::path::{PathError, ProjectPath};

/// The longest pattern in bytes: beyond it a compiled pattern would take megabytes.
const MAX_PATTERN: usize = 1024;

/// A pattern as globset takes it everywhere in this program.
fn build(pattern: &str) -> Result<Glob, globset::Error> {
    GlobBuilder::new(pattern).literal_separator(true).build()
}

/// Checks one pattern and gives it back without a leading `./`.
pub(super) fn read_pattern(text: toml::Spanned<&str>, report: &mut ErrorSink) -> Option<String> {
    let span = text.span();
    let text = text.into_inner();
    if text.len() > MAX_PATTERN {
        let message = format!("the pattern has {} bytes, at most {MAX_PATTERN} are allowed", text.len());
        report.add(ManifestError::new(span, message));
        return None;
    }
    let path = match ProjectPath::new(text) {
        Ok(path) => path,
        Err(error) => {
            let fault = ManifestError::new(span, error.to_string().replace("the path", "the pattern"));
            report.add(match error {
                PathError::Folder { .. } => fault.hint(format!("for all files in it write \"{text}**\"")),
                PathError::Doubled { .. } => fault.hint(format!("write \"{}\"", single_slashes(text))),
                PathError::Empty
                | PathError::Absolute { .. }
                | PathError::Parent { .. }
                | PathError::Backslash { .. }
                | PathError::BadPart { .. } => fault,
            });
            return None;
        }
    };
    // A set of one: compiling can fail where building did not, for example on too deep nesting.
    let compiled = build(path.as_str()).and_then(|glob| GlobSetBuilder::new().add(glob).build());
    match compiled {
        Ok(_) => Some(path.as_str().to_owned()),
        Err(error) => {
            let message = format!("{} is not a valid pattern: {}", shown(text), error.kind());
            report.add(ManifestError::new(span, message));
            None
        }
    }
}

/// All patterns as one set; an index of the set is an index into `patterns`. Patterns come from
/// [`read_pattern`], but together they may still be more than globset takes.
pub(super) fn set<'p>(patterns: impl IntoIterator<Item = &'p str>) -> Result<GlobSet, globset::Error> {
    let mut builder = GlobSetBuilder::new();
    for pattern in patterns {
        builder.add(build(pattern)?);
    }
    builder.build()
}

/// A glob over addresses, by the rules of the manifest's patterns: `*` doesn't cross `/`, case
/// counts.
#[derive(Debug, Clone)]
pub(crate) struct AddressPattern(GlobSet);

impl AddressPattern {
    /// Whether a text is meant as a glob: it holds one of a glob's characters.
    pub(crate) fn is_meant(text: &str) -> bool {
        text.contains(['*', '?', '[', '{'])
    }

    /// Reads a glob.
    ///
    /// # Errors
    /// The reason in words, when it is not a valid pattern.
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        if text.len() > MAX_PATTERN {
            return Err(format!("the glob has {} bytes, at most {MAX_PATTERN} are allowed", text.len()));
        }
        set([text]).map(Self).map_err(|error| format!("`{text}` is not a valid pattern: {}", error.kind()))
    }

    /// Whether an address fits it.
    pub(crate) fn fits(&self, address: &Address) -> bool {
        self.0.is_match(address.as_str())
    }
}

/// The addresses that an output holds, by its `include` and `exclude`.
#[derive(Debug, Clone)]
pub(crate) struct OutputFilter {
    /// `None`: all.
    include: Option<GlobSet>,
    exclude: GlobSet,
}

impl OutputFilter {
    /// The addresses that `output`, an output of a manifest, asks for.
    pub(crate) fn of(output: &Output) -> Self {
        // The manifest was refused if they can't be compiled.
        let compiled = |patterns: &[String]| set(patterns.iter().map(String::as_str)).unwrap_or_default();
        Self { include: output.include.as_deref().map(compiled), exclude: compiled(&output.exclude) }
    }

    /// Whether an address is one of them.
    pub(crate) fn fits(&self, address: &Address) -> bool {
        let (text, include) = (address.as_str(), self.include.as_ref());
        include.is_none_or(|include| include.is_match(text)) && !self.exclude.is_match(text)
    }
}

/// The pattern that was probably meant by one with a `**` beside other characters, where it means
/// no more than `*`: `ui/**.png` finds files in one folder only. `None` for a pattern without one.
pub(super) fn across_folders(pattern: &str) -> Option<String> {
    let is_glued = |part: &str| part != "**" && part.contains("**");
    if !pattern.split('/').any(is_glued) {
        return None;
    }
    let part = |part: &str| match part.strip_prefix("**") {
        Some(rest) if is_glued(part) => format!("**/*{}", rest.trim_start_matches('*')),
        _ if is_glued(part) => format!("**/{}", part.replace("**", "*")),
        _ => part.to_owned(),
    };
    Some(pattern.split('/').map(part).collect::<Vec<_>>().join("/"))
}

/// The pattern with its folders as names, where brackets or braces are in them: `UI [new]/*.png`
/// finds the folder `UI [new]` as `UI [[]new[]]/*.png`. `None` for a pattern without such a folder.
pub(super) fn with_named_folders(pattern: &str) -> Option<String> {
    let (folders, last) = pattern.rsplit_once('/')?;
    let is_choice = |character: char| matches!(character, '[' | ']' | '{' | '}');
    let is_named = |folder: &str| folder.contains(is_choice) && !folder.contains(['*', '?']);
    let name = |folder: &str| {
        let escape = |character: char| match is_choice(character) && is_named(folder) {
            true => format!("[{character}]"),
            false => character.to_string(),
        };
        folder.chars().map(escape).collect::<String>()
    };
    let is_any = folders.split('/').any(is_named);
    let named: Vec<String> = folders.split('/').map(name).collect();
    is_any.then(|| format!("{}/{last}", named.join("/")))
}

/// The extension that every match of a pattern has, in lower case, where the pattern ends in a
/// plain one.
pub(super) fn extension(pattern: &str) -> Option<String> {
    let (_, extension) = pattern.rsplit('/').next()?.rsplit_once('.')?;
    let plain = !extension.is_empty() && extension.bytes().all(|b| b.is_ascii_alphanumeric());
    plain.then(|| extension.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::diagnostic::ManifestSource;

    #[test]
    fn patterns_stay_inside_the_project() {
        let check = |text: &str, expected: Result<&str, &str>| {
            let mut report = ErrorSink::default();
            let pattern = read_pattern(toml::Spanned::new(0..0, text), &mut report);
            let fault = report.into_diagnostics(&ManifestSource::new("m", String::new())).pop();
            let seen = pattern.as_deref().ok_or(fault.as_ref().map_or("", |d| d.message.as_str()));
            assert_eq!(seen, expected, "{text:?}");
        };
        check("ui/**/*.png", Ok("ui/**/*.png"));
        check("./ui/{a,b}?[0-9].png", Ok("ui/{a,b}?[0-9].png"));
        check("", Err("a pattern can't be empty".replace("a pattern", "a path").as_str()));
        check("/ui/*.png", Err("the pattern `/ui/*.png` is absolute; paths are relative to the manifest's folder"));
        check("../*.png", Err("the pattern `../*.png` leaves the manifest's folder with `..`"));
        check(
            "ui\\*.png",
            Err("the pattern `ui\\*.png` contains a backslash; write `/` between folders on every system"),
        );
        check("ui/", Err("the pattern `ui/` ends with `/`, so it names a folder"));
        check("ui//*.png", Err("the pattern `ui//*.png` has two `/` in a row"));
        check("ui/[a.png", Err("`ui/[a.png` is not a valid pattern: unclosed character class; missing ']'"));
        check(
            "ui/{a.png",
            Err(
                "`ui/{a.png` is not a valid pattern: unclosed alternate group; missing '}' (maybe escape '{' with '[{]'?)",
            ),
        );
        check(&"x".repeat(1025), Err("the pattern has 1025 bytes, at most 1024 are allowed"));
    }

    #[test]
    fn too_deep_a_pattern_is_an_error_not_a_panic() {
        let mut report = ErrorSink::default();
        let deep = format!("{}a{}", "{".repeat(300), "}".repeat(300));
        assert_eq!(read_pattern(toml::Spanned::new(0..0, &deep), &mut report), None);
        assert!(!report.is_empty());
    }

    #[test]
    fn a_star_does_not_cross_a_slash() {
        let set = set(["ui/*.png", "ui/**"]).unwrap();
        assert_eq!(set.matches("ui/a/b.png"), [1]);
        assert_eq!(set.matches("ui/b.png"), [0, 1]);
        assert_eq!(set.matches("ui/b.PNG"), [1]);
    }

    #[test]
    fn two_stars_beside_other_characters_are_no_folders() {
        let check =
            |text: &str, expected: Option<&str>| assert_eq!(across_folders(text).as_deref(), expected, "{text}");
        check("**.png", Some("**/*.png"));
        check("ui/**.png", Some("ui/**/*.png"));
        check("ui/icon**.png", Some("ui/**/icon*.png"));
        check("ui/***", Some("ui/**/*"));
        check("ui/**/*.png", None);
        check("**", None);
        check("ui/*.png", None);
    }

    #[test]
    fn only_plain_extensions_are_known() {
        let check = |text: &str, expected: Option<&str>| assert_eq!(extension(text).as_deref(), expected, "{text}");
        check("ui/**/*.PNG", Some("png"));
        check("ui/*.{png,jpg}", None);
        check("ui/**", None);
        check("a.b/*", None);
    }
}

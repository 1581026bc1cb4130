//! Patterns of other tools. They match hidden files, and in most of them `*` matches `/`; neither
//! holds for Macadam's.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// The most stars in one part of a path that are translated: each of them doubles the pattern.
const MAX_STARS: usize = 3;

/// The longest pattern in bytes, as in a manifest.
const MAX_PATTERN: usize = 1024;

/// A pattern as another tool reads it.
#[derive(Debug, Clone)]
pub(crate) struct TheirGlob {
    text: String,
    matcher: GlobSet,
    /// Whether `*` and `?` match a `/`.
    crosses: bool,
}

impl TheirGlob {
    /// Reads a pattern of the crate `globset` with its defaults, in which `*` matches `/`.
    ///
    /// # Errors
    /// Returns what is wrong with it.
    pub(crate) fn crossing(text: &str) -> Result<Self, String> {
        Self::new(text, text, true)
    }

    /// Reads a pattern of the crate `glob`, in which `*` doesn't match `/` and braces have no
    /// meaning.
    ///
    /// # Errors
    /// Returns what is wrong with it.
    pub(crate) fn plain(text: &str) -> Result<Self, String> {
        let without_braces = text.replace('{', "[{]").replace('}', "[}]");
        Self::new(text, &without_braces, false)
    }

    fn new(text: &str, pattern: &str, crosses: bool) -> Result<Self, String> {
        if text.len() > MAX_PATTERN {
            return Err(format!("the pattern has {} bytes, at most {MAX_PATTERN} are allowed", text.len()));
        }
        // A set of one: compiling one that is nested too deeply fails there, and alone it panics.
        let glob = GlobBuilder::new(pattern).literal_separator(!crosses).build();
        let matcher = glob.and_then(|glob| GlobSetBuilder::new().add(glob).build());
        let matcher = matcher.map_err(|error| error.kind().to_string())?;
        Ok(Self { text: text.to_owned(), matcher, crosses })
    }

    /// Returns whether it matches a path.
    pub(crate) fn is_match(&self, path: &str) -> bool {
        self.matcher.is_match(path)
    }

    /// Returns the leading folders without wildcards.
    pub(crate) fn prefix(&self) -> String {
        let is_fixed = |part: &&str| !part.contains(['*', '?', '{', '}', '[', ']']);
        let parts: Vec<&str> = self.text.split('/').collect();
        let fixed: Vec<&str> = parts.iter().copied().take_while(is_fixed).collect();
        // A pattern without wildcards is one file; the file's name is not part of the prefix.
        let folders = if fixed.len() == parts.len() { fixed.len().saturating_sub(1) } else { fixed.len() };
        fixed.get(..folders).unwrap_or_default().join("/")
    }

    /// Returns whether its last part accepts any extension.
    pub(crate) fn takes_any_extension(&self) -> bool {
        self.text.ends_with('*')
    }

    /// Returns whether it can match a file with this extension.
    pub(crate) fn can_have(&self, extension: &str) -> bool {
        let last = self.text.rsplit('/').next().unwrap_or_default();
        self.takes_any_extension()
            || last.ends_with('}')
            || last.rsplit_once('.').is_none_or(|(_, written)| written.eq_ignore_ascii_case(extension))
    }

    /// Returns the same pattern for Macadam. If the original accepts any extension, the result
    /// matches only these extensions.
    pub(crate) fn translated(&self, extensions: &[&str]) -> String {
        let text = if self.crosses { crossed(&self.text) } else { self.text.replace('{', "[{]").replace('}', "[}]") };
        if !self.takes_any_extension() {
            return text;
        }
        let text = if text.ends_with("**") { format!("{text}/*") } else { text };
        match extensions {
            [] => text,
            [one] => format!("{text}.{one}"),
            several => format!("{text}.{{{}}}", several.join(",")),
        }
    }
}

/// Rewrites a pattern in which each `*` matches `/` to one in which only `**` does.
fn crossed(text: &str) -> String {
    // Braces around a `/` stay: a comparison of the matched files finds the differences.
    if braces_hold_a_slash(text) {
        return text.to_owned();
    }
    let mut parts: Vec<String> = Vec::new();
    for part in text.split('/') {
        if part == "**" {
            if parts.last().is_none_or(|before| before != "**") {
                parts.push(part.to_owned());
            }
            continue;
        }
        let (leads, alternatives) = cross_part(part);
        if leads && parts.last().is_none_or(|before| before != "**") {
            parts.push("**".to_owned());
        }
        parts.push(match alternatives.as_slice() {
            [one] => one.clone(),
            several => format!("{{{}}}", several.join(",")),
        });
    }
    parts.join("/")
}

/// Returns whether folders may precede this part of a crossing pattern, and its alternatives.
fn cross_part(part: &str) -> (bool, Vec<String>) {
    if let Some(inside) = part.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'))
        && inside.split(',').all(|alternative| alternative.starts_with('*'))
    {
        return (true, vec![part.to_owned()]);
    }
    let leads = part.starts_with('*');
    let rest = if leads { part.trim_start_matches('*') } else { part };
    let pieces: Vec<&str> = stars(rest);
    let mut found = vec![if leads { "*".to_owned() } else { String::new() }];
    if pieces.len() > MAX_STARS + 1 {
        return (leads, vec![part.to_owned()]);
    }
    for (at, piece) in pieces.iter().enumerate() {
        let joins: &[&str] = if at == 0 { &[""] } else { &["*", "*/**/*"] };
        found = found.iter().flat_map(|front| joins.iter().map(move |join| format!("{front}{join}{piece}"))).collect();
    }
    (leads, found)
}

/// Splits a part at its stars, except those in a class or in braces.
fn stars(part: &str) -> Vec<&str> {
    let (mut pieces, mut start, mut depth) = (Vec::new(), 0, 0_usize);
    for (at, character) in part.char_indices() {
        match character {
            '[' | '{' => depth += 1,
            ']' | '}' => depth = depth.saturating_sub(1),
            '*' if depth == 0 => {
                if at > start || !part.get(..at).unwrap_or_default().ends_with('*') {
                    pieces.push(part.get(start..at).unwrap_or_default());
                }
                start = at + 1;
            }
            _ => {}
        }
    }
    pieces.push(part.get(start..).unwrap_or_default());
    pieces
}

fn braces_hold_a_slash(text: &str) -> bool {
    let mut depth = 0_usize;
    text.chars().any(|character| {
        match character {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        character == '/' && depth > 0
    })
}

/// Returns a pattern that matches only this path.
pub(crate) fn escaped(path: &str) -> String {
    path.chars().fold(String::with_capacity(path.len()), |mut text, character| {
        if matches!(character, '*' | '?' | '[' | ']' | '{' | '}') {
            text.extend(['[', character, ']']);
        } else {
            text.push(character);
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_that_crosses_folders_is_written_out() {
        let check = |theirs: &str, ours: &str| assert_eq!(TheirGlob::crossing(theirs).unwrap().translated(&[]), ours);
        check("assets/*.png", "assets/**/*.png");
        check("assets/**/*.png", "assets/**/*.png");
        check("assets/**/*.{png,jpg}", "assets/**/*.{png,jpg}");
        check("*.png", "**/*.png");
        check("assets/icon*.png", "assets/{icon*.png,icon*/**/*.png}");
        check("assets/{*.png,*.jpg}", "assets/**/{*.png,*.jpg}");
        check("assets/*_a*.png", "assets/**/{*_a*.png,*_a*/**/*.png}");
        check("assets/*/icons/*.png", "assets/**/*/icons/**/*.png");
        check("assets/[*].png", "assets/[*].png");
        check("assets/a.png", "assets/a.png");
        check("{a,b/c}/*.png", "{a,b/c}/*.png");
    }

    #[test]
    fn a_pattern_that_is_too_long_or_nested_too_deeply_is_refused() {
        let nested = |depth: usize| TheirGlob::crossing(&format!("{}a{}", "{".repeat(depth), "}".repeat(depth)));
        assert!(nested(3).is_ok_and(|glob| glob.is_match("a")));
        assert!(nested(300).is_err() && TheirGlob::plain(&"a".repeat(MAX_PATTERN + 1)).is_err());
    }

    #[test]
    fn a_pattern_for_any_extension_is_limited_to_the_tools_extensions() {
        let check = |theirs: &str, ours: &str| {
            assert_eq!(TheirGlob::crossing(theirs).unwrap().translated(&["png", "ogg"]), ours, "{theirs}");
        };
        check("assets/**/*", "assets/**/*.{png,ogg}");
        check("assets/**", "assets/**/*.{png,ogg}");
        check("assets/*", "assets/**/*.{png,ogg}");
        check("assets/icon*", "assets/{icon*,icon*/**/*}.{png,ogg}");
        check("assets/*.png", "assets/**/*.png");
        let plain = TheirGlob::plain("assets/*").unwrap();
        assert_eq!(plain.translated(&["png"]), "assets/*.png");
        assert_eq!(TheirGlob::plain("a/{b}.png").unwrap().translated(&[]), "a/[{]b[}].png");
    }

    #[test]
    fn the_fixed_folders_are_cut_off() {
        let check = |theirs: &str, prefix: &str| assert_eq!(TheirGlob::crossing(theirs).unwrap().prefix(), prefix);
        check("assets/ui/**/*.png", "assets/ui");
        check("assets/a[b]/c/*.png", "assets");
        check("**/*.png", "");
        check("assets/ui/a.png", "assets/ui");
    }

    #[test]
    fn theirs_cross_folders_and_find_hidden_files() {
        let crossing = TheirGlob::crossing("assets/*.png").unwrap();
        assert!(crossing.is_match("assets/.x/a/b.png") && !crossing.is_match("b.png"));
        let plain = TheirGlob::plain("assets/*.png").unwrap();
        assert!(plain.is_match("assets/.b.png") && !plain.is_match("assets/a/b.png"));
    }

    #[test]
    fn extensions_that_a_pattern_can_have() {
        let can = |theirs: &str, extension: &str| TheirGlob::crossing(theirs).unwrap().can_have(extension);
        assert!(can("a/**/*", "ogg") && can("a/*.png", "png") && can("a/*.{png,ogg}", "ogg"));
        assert!(!can("a/*.png", "ogg"));
    }

    proptest::proptest! {
        /// The translation matches the same ordinary names as the original.
        #[test]
        fn our_globs_find_the_same_files_as_theirs(
            theirs in "a/(\\*\\*/)?[bc]?\\*?[bc]?(/[bc]?\\*[bc]?)?\\.png",
            path in "a(/[bc]{1,3}){1,3}\\.png",
        ) {
            let their = TheirGlob::crossing(&theirs).unwrap();
            let ours = GlobBuilder::new(&their.translated(&[])).literal_separator(true).build().unwrap().compile_matcher();
            proptest::prop_assert_eq!(ours.is_match(&path), their.is_match(&path), "{} as {}", theirs, their.translated(&[]));
        }
    }

    #[test]
    fn an_escaped_path_finds_itself_alone() {
        let path = "a/[x]{y}*?.png";
        let pattern = GlobBuilder::new(&escaped(path)).literal_separator(true).build().unwrap().compile_matcher();
        assert!(pattern.is_match(path) && !pattern.is_match("a/x{y}*?.png"));
    }
}

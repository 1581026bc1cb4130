//! The word that somebody probably meant.

/// Words longer than this are not compared: nobody mistypes them, and the comparison is quadratic.
const MAX_WORD: usize = 200;
/// The most candidates that one suggestion looks at.
const MAX_CANDIDATES: usize = 20_000;

/// The candidate that is nearest to a mistyped word, unless none is near.
pub(super) fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let lower = word.to_lowercase();
    let allowed = (word.chars().count() / 3).max(1);
    if word.len() > MAX_WORD {
        return None;
    }
    candidates
        .into_iter()
        .take(MAX_CANDIDATES)
        .filter(|candidate| candidate.len().abs_diff(word.len()) <= allowed.saturating_mul(4))
        .map(|candidate| (strsim::osa_distance(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `a`, `b` or `c`, each in backquotes.
pub(super) fn either(words: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let words: Vec<String> = words.into_iter().map(|word| format!("`{}`", word.as_ref())).collect();
    match words.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_near_words_are_suggested() {
        let check = |word: &str, expected: Option<&str>| {
            assert_eq!(nearest(word, ["path", "type", "display_name"]), expected, "{word}");
        };
        check("pth", Some("path"));
        check("Path", Some("path"));
        check("displayName", Some("display_name"));
        check("colour", None);
        check("", None);
        check(&"x".repeat(1_000_000), None);
    }

    #[test]
    fn words_are_listed() {
        assert_eq!(either(["a"]), "`a`");
        assert_eq!(either(["a", "b", "c"]), "`a`, `b` or `c`");
    }
}

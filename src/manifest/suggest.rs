//! The word that somebody probably meant.

/// Words longer than this are not compared: nobody mistypes them, and the comparison is quadratic.
const MAX_WORD: usize = 200;
/// The most steps that all suggestions of addresses in one look at a manifest may take; one step
/// compares two characters. Enough for a mistyped name of 30 characters among 20,000 such
/// addresses, a second at the most.
const MAX_STEPS: usize = 20_000_000;

/// How many steps are left for suggestions: without it a manifest of long names that are all wrong
/// would cost the square of its length.
#[derive(Debug)]
pub(super) struct Patience {
    steps: usize,
}

impl Default for Patience {
    fn default() -> Self {
        Self { steps: MAX_STEPS }
    }
}

impl Patience {
    /// Takes the steps of one comparison; whether they were left.
    fn take(&mut self, word: &str, candidate: &str) -> bool {
        let steps = word.len().saturating_add(1).saturating_mul(candidate.len().saturating_add(1));
        let left = self.steps.checked_sub(steps);
        self.steps = left.unwrap_or(0);
        left.is_some()
    }
}

/// The candidate that is nearest to a mistyped word, unless none is near. For a few candidates that
/// the program knows.
pub(super) fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    nearest_within(&mut Patience::default(), word, candidates)
}

/// The candidate that is nearest to a mistyped word, unless none is near, or finding it takes more
/// steps than are left.
pub(super) fn nearest_within<'c>(
    patience: &mut Patience,
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    let lower = word.to_lowercase();
    let allowed = (word.chars().count() / 3).max(1);
    if word.len() > MAX_WORD {
        return None;
    }
    candidates
        .into_iter()
        .filter(|candidate| candidate.len().abs_diff(word.len()) <= allowed.saturating_mul(4))
        .take_while(|candidate| patience.take(word, candidate))
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
    fn suggestions_take_no_more_steps_than_they_may() {
        // Each row: how long the names are, how many there are, and how many wrong ones are looked
        // for.
        for (length, count, wrong) in [(20, 100, 100), (200, 4_000, 4_000), (199, 20_000, 20)] {
            let names: Vec<String> = (0..count).map(|number| format!("{number:0length$}")).collect();
            let mut patience = Patience::default();
            let mut compared = 0_usize;
            for number in 0..wrong {
                let word = format!("{number:x<length$}");
                let candidates = names.iter().map(|name| {
                    compared += 1;
                    name.as_str()
                });
                nearest_within(&mut patience, &word, candidates);
            }
            let steps = compared.saturating_sub(wrong) * length * length;
            assert!(steps <= MAX_STEPS, "{length} {count} {wrong}: {steps}");
        }
    }

    #[test]
    fn a_mistyped_address_is_found_among_many() {
        let names: Vec<String> = (0..10_000).map(|number| format!("ui/buttons/{number:05}.png")).collect();
        let found = nearest_within(&mut Patience::default(), "ui/button/09999.png", names.iter().map(String::as_str));
        assert_eq!(found, Some("ui/buttons/09999.png"));
    }

    #[test]
    fn words_are_listed() {
        assert_eq!(either(["a"]), "`a`");
        assert_eq!(either(["a", "b", "c"]), "`a`, `b` or `c`");
    }
}

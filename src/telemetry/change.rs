//! Short ids that mark the log lines of one change.

use std::fmt;

/// The id of one change, from the event of a file until its asset is in sync.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ChangeId(String);

impl fmt::Display for ChangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl ChangeId {
    /// Returns a span that puts the field `change` on every line inside it. It has the level of
    /// errors, so that it exists whatever level is logged.
    pub(crate) fn span(&self) -> tracing::Span {
        tracing::error_span!("following", change = %self)
    }
}

/// Makes ids: a few letters for this run, then a number. They are unique within a run, and most
/// likely among the runs in one log.
#[derive(Debug, Clone)]
pub(crate) struct ChangeIds {
    run: String,
    last: u64,
}

impl ChangeIds {
    /// Creates the ids of a run. `seed` is random and differs between runs.
    pub(crate) fn new(seed: u64) -> Self {
        // Without vowels, which make words, and without letters that are easily misread.
        const LETTERS: &[u8; 20] = b"bcdfghjkmnpqrstvwxyz";
        let mut rest = seed;
        let run = (0..4)
            .filter_map(|_| {
                let letter = LETTERS.get(usize::try_from(rest % 20).unwrap_or_default());
                rest /= 20;
                letter.map(|letter| char::from(*letter))
            })
            .collect();
        Self { run, last: 0 }
    }

    /// Returns the id of the next change.
    pub(crate) fn next_id(&mut self) -> ChangeId {
        self.last += 1;
        ChangeId(format!("{}-{}", self.run, self.last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_short_and_count_up() {
        let mut ids = ChangeIds::new(0);
        assert_eq!([ids.next_id().to_string(), ids.next_id().to_string()], ["bbbb-1", "bbbb-2"]);
        assert_eq!(ChangeIds::new(1).next_id().to_string(), "cbbb-1");
        assert_eq!(ChangeIds::new(u64::MAX).next_id().to_string().len(), 6);
    }
}

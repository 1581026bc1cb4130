//! What git's history said last about absent assets, so that a service doesn't ask at every scan.
//!
//! Read next: [`super::committed`], which asks.

use std::collections::BTreeMap;

use crate::model::address::Address;
use crate::model::desired::{FileSelection, NeverCommitted};
use crate::model::file::Fingerprint;
use crate::model::path::ProjectPath;

/// What git said last about absent assets. A service asks at every scan, and git's history is the
/// same as long as the checked-out commit is.
#[derive(Debug, Clone, Default)]
pub(crate) struct SavedAnswer(Option<(HistoryQuestion, HistoryAnswer)>);

/// What git was asked, and everything that its answer depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HistoryQuestion {
    /// The checked-out commit, as [`known_head`](super::git::known_head) returns it.
    pub head: String,
    /// Git's index.
    pub index: Fingerprint,
    /// What the manifest asks for.
    pub selection: FileSelection,
    /// The assets, with their files.
    pub absent: BTreeMap<Address, ProjectPath>,
}

/// What git never had of them.
pub(crate) type HistoryAnswer = BTreeMap<ProjectPath, NeverCommitted>;

impl SavedAnswer {
    /// Returns the answer to this question, and asks git if that is another one than the last.
    /// Without a `question` nothing tells when the answer changes, so git is asked.
    ///
    /// # Errors
    /// When git fails to answer.
    pub(crate) fn get_or_ask(
        &mut self,
        question: Option<HistoryQuestion>,
        ask: impl FnOnce() -> Result<HistoryAnswer, String>,
    ) -> Result<HistoryAnswer, String> {
        if let Some((asked, answer)) = &self.0
            && question.as_ref() == Some(asked)
        {
            return Ok(answer.clone());
        }
        let answer = ask()?;
        self.0 = question.map(|question| (question, answer.clone()));
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_is_asked_again_only_about_something_else() {
        let mut saved = SavedAnswer::default();
        let question = |head: &str, file: &str| {
            (!head.is_empty()).then(|| HistoryQuestion {
                head: head.to_owned(),
                index: Fingerprint { size: 1, modified_ns: 1, changed_ns: 1, inode: 1, device: 1 },
                selection: FileSelection::default(),
                absent: [(Address::new("a").unwrap(), ProjectPath::new(file).unwrap())].into(),
            })
        };
        let answer: HistoryAnswer = [(ProjectPath::new("a.png").unwrap(), NeverCommitted::File)].into();
        let mut asked = 0;
        let mut ask = |head: &str, file: &str, said: Result<HistoryAnswer, String>| {
            let before = asked;
            let got = saved.get_or_ask(question(head, file), || {
                asked += 1;
                said
            });
            (got, asked - before)
        };
        let good = || Ok(answer.clone());
        assert_eq!(ask("1", "a.png", Err("no git".to_owned())), (Err("no git".to_owned()), 1));
        assert_eq!(ask("1", "a.png", good()), (good(), 1));
        assert_eq!(ask("1", "a.png", Err("not asked".to_owned())), (good(), 0));
        assert_eq!(ask("2", "a.png", Ok(HistoryAnswer::new())), (Ok(HistoryAnswer::new()), 1));
        assert_eq!(ask("2", "b.png", good()), (good(), 1));
        assert_eq!(ask("", "b.png", good()).1 + ask("", "b.png", good()).1, 2, "an unknown commit");
    }
}

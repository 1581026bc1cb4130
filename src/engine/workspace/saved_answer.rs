//! What git's history said last about absent assets, so that a service doesn't ask at every scan.
//!
//! Read next: [`super::committed`], which asks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::model::address::Address;
use crate::model::desired::{FileSelection, NeverCommitted};
use crate::model::file::Fingerprint;
use crate::model::path::ProjectPath;

/// What git said last about absent assets. A service asks at every scan, and git's history is the
/// same as long as the checked-out commit is. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct SavedAnswer(Arc<Mutex<Option<(HistoryQuestion, HistoryAnswer)>>>);

/// What git was asked, and everything that its answer depends on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct HistoryQuestion {
    /// The checked-out commit; empty if it is unknown.
    pub head: String,
    /// Git's index.
    pub index: Option<Fingerprint>,
    /// What the manifest asks for.
    pub selection: FileSelection,
    /// The assets, with their files.
    pub absent: BTreeMap<Address, ProjectPath>,
}

/// What git never had of them.
pub(crate) type HistoryAnswer = BTreeMap<ProjectPath, NeverCommitted>;

impl PartialEq for SavedAnswer {
    /// It is no part of what a project is.
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for SavedAnswer {}

impl SavedAnswer {
    /// Returns the answer to this question, and asks git if that is another one than the last.
    ///
    /// # Errors
    /// When git fails to answer.
    pub(crate) fn get_or_ask(
        &self,
        question: HistoryQuestion,
        ask: impl FnOnce() -> Result<HistoryAnswer, String>,
    ) -> Result<HistoryAnswer, String> {
        // Nothing panics while it holds the lock.
        let saved = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, answer)) = saved().as_ref().filter(|(asked, _)| *asked == question) {
            return Ok(answer.clone());
        }
        let answer = ask()?;
        // Without a commit nothing tells when it changes.
        if !question.head.is_empty() {
            *saved() = Some((question, answer.clone()));
        }
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_is_asked_again_only_about_something_else() {
        let saved = SavedAnswer::default();
        let question = |head: &str, file: &str| HistoryQuestion {
            head: head.to_owned(),
            index: None,
            selection: FileSelection::default(),
            absent: [(Address::new("a").unwrap(), ProjectPath::new(file).unwrap())].into(),
        };
        let answer: HistoryAnswer = [(ProjectPath::new("a.png").unwrap(), NeverCommitted::File)].into();
        let mut asked = 0;
        let mut ask = |head: &str, file: &str, said: Result<HistoryAnswer, String>| {
            let before = asked;
            let got = saved.clone().get_or_ask(question(head, file), || {
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

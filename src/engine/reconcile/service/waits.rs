//! What the loop waits for before it does anything: git, and the right branch.

use super::Service;
use super::observability::LoopWait;
use crate::engine::workspace::git::{self, GitWork};

impl Service<'_> {
    /// Returns whether git, or the checkout's branch, forbids to act now.
    pub(super) fn must_wait(&mut self) -> bool {
        let root = &self.reconciler.session.project.root;
        let work = git::busy_or_just_was(root);
        let is_long = work.as_ref().is_some_and(GitWork::is_long);
        let why = work.map(|work| work.to_string()).or_else(|| {
            let wanted = self.setting.branch.as_ref()?;
            match git::branch(root) {
                Some(branch) if branch.is(wanted) => None,
                Some(branch) => Some(format!("the checkout is on {branch}, not on {wanted}")),
                None => Some(format!("there is no git checkout, and so no branch {wanted}")),
            }
        });
        let waits = why.is_some();
        self.observability.waits_for(why.map(|why| LoopWait { why, is_long }));
        waits
    }
}

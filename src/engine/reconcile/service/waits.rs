//! What the loop waits for before it does anything: git, and the right branch.

use tokio::task::block_in_place;

use super::Service;
use super::observability::LoopWait;
use crate::engine::workspace::git::{self, GitWork};
use crate::engine::workspace::required_branch::{self, OffBranch};
use crate::platform::clock;
use crate::state::stoppage::{self, StoppedWork};

impl Service<'_> {
    /// Returns whether git, or the checkout's branch, forbids to act now.
    pub(super) fn must_wait(&mut self) -> bool {
        let root = &self.reconciler.session.project.root;
        let work = git::busy_or_just_was(root);
        let is_long = work.as_ref().is_some_and(GitWork::is_long);
        let is_at_work = work.is_some();
        let look = || required_branch::look(root, self.setting.branch.as_ref()?);
        // While git works, it may be switching, and only the required branch is there to stay.
        let off_branch = match is_at_work {
            true => self.off_branch.clone().filter(|_| look().is_some()),
            false => look(),
        };
        let why = work.map(|work| work.to_string()).or_else(|| off_branch.as_ref().map(|off| off.message.clone()));
        let waits = why.is_some();
        self.observability.waits_for(why.map(|why| LoopWait { why, is_long }));
        self.keep_off_branch(off_branch);
        waits
    }

    /// Writes down that the loop waits for its branch, for commands that are asked.
    pub(super) fn keep_off_branch(&mut self, off_branch: Option<OffBranch>) {
        let state = &self.reconciler.session.project.state;
        // What is beside a state leaves with it.
        let is_kept = || off_branch.is_none() || block_in_place(|| stoppage::is_written(state, StoppedWork::Service));
        if self.off_branch != off_branch || !is_kept() {
            let stopped = off_branch.clone().map(|OffBranch { message, hint }| (message, hint));
            block_in_place(|| stoppage::write(state, StoppedWork::Service, stopped, clock::now()));
            self.off_branch = off_branch;
        }
    }
}

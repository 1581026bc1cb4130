//! What the loop waits for before it does anything: git, the right branch, and a way to publish.

use tokio::task::block_in_place;

use super::Service;
use super::observability::LoopWait;
use crate::engine::on_change::{MayPublish, OnChange};
use crate::engine::workspace::git::{self, GitWork};
use crate::engine::workspace::required_branch::{self, OffBranch};
use crate::platform::clock;
use crate::state::stoppage::{self, StoppedWork};

impl Service<'_> {
    /// Returns whether git, the checkout's branch, or the command of `--on-change` forbids to act now.
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
        let may_publish = self.may_publish();
        let unpublishable = match &may_publish {
            MayPublish::No(why) => Some(format!("--on-change can't publish from here: {why}")),
            MayPublish::Asking | MayPublish::Yes => None,
        };
        let branch = || off_branch.as_ref().map(|off| off.message.clone());
        let why = work.map(|work| work.to_string()).or_else(branch).or_else(|| unpublishable.clone());
        let waits = why.is_some() || may_publish == MayPublish::Asking;
        self.observability.waits_for(why.map(|why| LoopWait { why, is_long }));
        self.keep_waits(off_branch, unpublishable);
        waits
    }

    /// Returns whether a change could be published.
    pub(super) fn may_publish(&self) -> MayPublish {
        self.on_change.as_ref().map_or(MayPublish::Yes, OnChange::may_publish)
    }

    /// Writes down that the loop waits for its branch, or for a way to publish, for commands that are
    /// asked.
    pub(super) fn keep_waits(&mut self, off_branch: Option<OffBranch>, unpublishable: Option<String>) {
        let project = &self.reconciler.session.project;
        let (state, waits) = (&project.state, off_branch.is_some() || unpublishable.is_some());
        // What is beside a state leaves with it.
        let is_kept = || !waits || block_in_place(|| stoppage::is_written(state, StoppedWork::Service));
        if (&self.off_branch, &self.unpublishable) != (&off_branch, &unpublishable) || !is_kept() {
            let of_branch = off_branch.clone().map(|OffBranch { message, hint }| (message, hint));
            let stopped = of_branch.or_else(|| {
                let lockfile = project.lockfile_name();
                let hint = format!("until it can, nothing is uploaded, since no other machine would get {lockfile}; the service asks again every minute");
                Some((unpublishable.clone()?, hint))
            });
            block_in_place(|| stoppage::write(state, StoppedWork::Service, stopped, clock::now()));
            (self.off_branch, self.unpublishable) = (off_branch, unpublishable);
        }
    }
}

//! What other manifests of the repository have, once more before something is done about it.
//!
//! Every scan looks. But while nothing happens here, a service plans without one for days, and
//! another manifest may have begun to use an asset since. So a plan that would archive an asset, or
//! upload a file that others may have uploaded by now, is made again with what they have. No other
//! plan waits for that. Read next: [`crate::engine::workspace::neighbours`].

use std::sync::Arc;

use super::reconciler::Reconciler;
use crate::engine::workspace::neighbours;
use crate::plan::Plan;
use crate::plan::neighbours::matter_to;

impl Reconciler<'_> {
    /// Looks again if other manifests matter to a plan, unless that was done for it. Returns whether
    /// they have something else than the plan was made from.
    pub(super) fn learns_of_neighbours(&mut self, plan: &Plan) -> bool {
        let is_known = std::mem::take(&mut self.wanted.knows_neighbours);
        !is_known && matter_to(plan, &self.wanted.desired.neighbours) && self.look_at_neighbours()
    }

    /// Looks what other manifests have now. Returns whether that is something else than before. Blocks:
    /// it reads the disk and runs git.
    pub(super) fn look_at_neighbours(&mut self) -> bool {
        let project = &self.session.project;
        let found = tokio::task::block_in_place(|| neighbours::look(project, project.remote.as_deref()));
        let is_other = *self.wanted.desired.neighbours != found;
        if is_other {
            Arc::make_mut(&mut self.wanted.desired).neighbours = Arc::new(found);
        }
        is_other
    }
}

//! The slots in which files are uploaded: few at once, and the urgent first.
//!
//! First uploads keep their slots while they wait for Roblox's limits, which can take a minute. So
//! urgent uploads have some slots beside those that the others fill. Read next: [`super::executor`],
//! which takes a slot before it opens a file.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::model::urgency::Urgency;

/// The slots for urgent uploads beside those that others fill, but no more than there are slots.
const EXTRA: usize = 2;

/// The slots of a run. Clones share them.
#[derive(Debug, Clone)]
pub(in crate::engine) struct UploadSlots {
    shared: Arc<Mutex<SlotState>>,
}

#[derive(Debug)]
struct SlotState {
    limit: usize,
    /// The slots in use by urgent uploads, and by others.
    urgent: usize,
    others: usize,
    /// Those that wait, in the order in which they get a slot.
    waiting: BTreeMap<(Urgency, u64), oneshot::Sender<UploadSlot>>,
    next: u64,
}

impl SlotState {
    fn has_room(&self, urgency: Urgency) -> bool {
        let extra = urgency.is_urgent() && self.urgent < EXTRA.min(self.limit);
        extra || self.urgent + self.others < self.limit
    }

    const fn in_use(&mut self, urgency: Urgency) -> &mut usize {
        if urgency.is_urgent() { &mut self.urgent } else { &mut self.others }
    }
}

/// A slot, until it is dropped.
#[derive(Debug)]
pub(in crate::engine) struct UploadSlot {
    slots: UploadSlots,
    urgency: Urgency,
}

impl Drop for UploadSlot {
    fn drop(&mut self) {
        {
            let mut state = self.slots.state();
            let in_use = state.in_use(self.urgency);
            *in_use = in_use.saturating_sub(1);
        }
        self.slots.hand_out();
    }
}

impl UploadSlots {
    /// Creates `limit` slots.
    pub(in crate::engine) fn new(limit: usize) -> Self {
        let state = SlotState { limit, urgent: 0, others: 0, waiting: BTreeMap::new(), next: 0 };
        Self { shared: Arc::new(Mutex::new(state)) }
    }

    fn state(&self) -> MutexGuard<'_, SlotState> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a slot. Cancelling is harmless.
    pub(in crate::engine) async fn acquire(&self, urgency: Urgency) -> UploadSlot {
        loop {
            let (sender, slot) = oneshot::channel();
            {
                let mut state = self.state();
                let place = (urgency, state.next);
                state.next += 1;
                state.waiting.insert(place, sender);
            }
            self.hand_out();
            // The sender is kept until it sends.
            if let Ok(slot) = slot.await {
                return slot;
            }
        }
    }

    /// Hands free slots to those that wait.
    fn hand_out(&self) {
        loop {
            let sender = {
                let mut state = self.state();
                let Some(&(urgency, _)) = state.waiting.keys().next() else { return };
                if !state.has_room(urgency) {
                    return;
                }
                let Some((_, sender)) = state.waiting.pop_first() else { return };
                // Nobody waits any more.
                if sender.is_closed() {
                    continue;
                }
                *state.in_use(urgency) += 1;
                (sender, urgency)
            };
            let (sender, urgency) = sender;
            // One that is not taken is dropped, and so handed out again.
            drop(sender.send(UploadSlot { slots: self.clone(), urgency }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    fn take(slots: &UploadSlots, urgency: Urgency) -> Option<UploadSlot> {
        slots.acquire(urgency).now_or_never()
    }

    #[tokio::test]
    async fn urgent_uploads_overtake_those_that_wait() {
        let slots = UploadSlots::new(1);
        let first = take(&slots, Urgency::FirstUpload).unwrap();
        let mut bulk: Vec<_> = (0..100).map(|_| Box::pin(slots.acquire(Urgency::FirstUpload))).collect();
        assert!(bulk.iter_mut().all(|waiting| waiting.now_or_never().is_none()));
        // Beside the one that is in use, and one alone.
        let urgent = take(&slots, Urgency::Live).unwrap();
        assert!(take(&slots, Urgency::Rescue).is_none());
        let mut rescue = Box::pin(slots.acquire(Urgency::Rescue));
        assert!(rescue.as_mut().now_or_never().is_none());
        drop(urgent);
        let rescue = rescue.now_or_never().unwrap();
        // The others go on as before, with one at once.
        drop(first);
        assert!(bulk.iter_mut().all(|waiting| waiting.now_or_never().is_none()));
        drop(rescue);
        assert_eq!(bulk.iter_mut().filter_map(|waiting| waiting.now_or_never()).count(), 100, "each drops its own");
    }

    #[tokio::test]
    async fn urgent_uploads_alone_use_no_more_slots_than_there_are() {
        let slots = UploadSlots::new(8);
        let taken: Vec<_> = (0..20).filter_map(|_| take(&slots, Urgency::Live)).collect();
        assert_eq!(taken.len(), 8);
    }

    #[tokio::test]
    async fn a_wait_that_is_given_up_takes_no_slot() {
        let slots = UploadSlots::new(1);
        let first = take(&slots, Urgency::Metadata).unwrap();
        let mut given_up = Box::pin(slots.acquire(Urgency::Metadata));
        let mut later = Box::pin(slots.acquire(Urgency::FirstUpload));
        assert!(given_up.as_mut().now_or_never().is_none() && later.as_mut().now_or_never().is_none());
        drop(given_up);
        drop(first);
        assert!(later.now_or_never().is_some());
    }
}

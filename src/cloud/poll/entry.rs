//! One operation of the schedule: its age, and where it waits.
//!
//! Pure. Read next: [`super`] for the schedule itself.

use std::time::Duration;

use super::kind::PollRole;
use super::lane::Lane;
use super::latency::OperationKind;
use crate::cloud::moment::Moment;

/// One operation.
#[derive(Debug, Clone)]
pub(super) struct PollEntry {
    pub(super) kind: OperationKind,
    pub(super) lane: Lane,
    pub(super) submitted_at: Moment,
    /// Another machine submitted it: the moment is a guess.
    pub(super) is_guessed: bool,
    pub(super) place: PollPlace,
    /// Its age at the last poll that found it running.
    pub(super) pending: Option<Duration>,
    pub(super) was_polled: bool,
    pub(super) unanswered: u32,
    pub(super) unknown: u32,
}

impl PollEntry {
    /// Whether its age is known. An operation that an earlier run submitted was not measured: its
    /// age by the time of day includes the time when the machine was off, or a change of the clock.
    /// It must not become the expectation for others of its kind.
    pub(super) fn is_measured(&self) -> bool {
        self.submitted_at >= Moment::START && !self.is_guessed
    }
}

/// The place of an operation in the schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PollPlace {
    /// Never polled: in its lane's queue.
    First,
    /// Polled while its kind was scouted, for the time after that: in its lane's set.
    Early,
    /// Leads its lane.
    Leading,
    /// Due at this moment, whatever is known of its kind.
    Again(Moment),
    /// Being polled. An answer that had to wait for the budget is late.
    Out { sent_at: Moment, role: PollRole, is_late: bool },
}

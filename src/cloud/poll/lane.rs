//! The two lanes of operations: urgent ones, and the others.

use crate::model::urgency::Urgency;

/// The lane of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Lane {
    /// Urgent operations, whose polls may use what a budget keeps for them.
    Urgent,
    /// The others.
    Ordinary,
}

impl Lane {
    /// Both lanes.
    pub(crate) const ALL: [Self; 2] = [Self::Urgent, Self::Ordinary];

    /// Returns the lane of operations of this urgency.
    pub(crate) const fn of(urgency: Urgency) -> Self {
        if urgency.is_urgent() { Self::Urgent } else { Self::Ordinary }
    }

    /// Returns the urgency with which the lane's polls are sent.
    pub(crate) const fn urgency(self) -> Urgency {
        match self {
            Self::Urgent => Urgency::Rescue,
            Self::Ordinary => Urgency::FirstUpload,
        }
    }
}

/// A value for each lane.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lanes<T> {
    urgent: T,
    ordinary: T,
}

impl<T> Lanes<T> {
    /// Returns that of a lane.
    pub(crate) const fn get(&self, lane: Lane) -> &T {
        match lane {
            Lane::Urgent => &self.urgent,
            Lane::Ordinary => &self.ordinary,
        }
    }

    /// Returns that of a lane, to change it.
    pub(crate) const fn get_mut(&mut self, lane: Lane) -> &mut T {
        match lane {
            Lane::Urgent => &mut self.urgent,
            Lane::Ordinary => &mut self.ordinary,
        }
    }
}

//! How soon work has to be done: what players see comes before what they don't.
//!
//! One order holds for everything that is scarce: places among the workers, upload slots, requests
//! and polls. Pure.

/// The urgency of a step, most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Urgency {
    /// Takes something bad back: a pin, a rollback, or whatever a person waits for at a prompt.
    Rescue,
    /// Changes an asset that players have.
    Live,
    /// Changes names, descriptions and icons, or archives.
    Metadata,
    /// Uploads an asset for the first time: no game uses it yet.
    FirstUpload,
}

impl Urgency {
    /// Every urgency, most urgent first.
    pub(crate) const ALL: [Self; 4] = [Self::Rescue, Self::Live, Self::Metadata, Self::FirstUpload];

    /// Whether it may use the requests that a budget keeps for it.
    pub(crate) const fn is_urgent(self) -> bool {
        matches!(self, Self::Rescue | Self::Live)
    }
}

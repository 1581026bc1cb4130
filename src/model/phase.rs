//! The durable life of one change of the remote, from intent to ending.
//!
//! [`Phase::next`] is the one total transition function: the engine goes through it, and so does
//! recovery when it replays the journal. No other code decides what a crash left behind.

use super::digest::FieldDigest;
use super::ids::{AssetId, ContentHash, OperationId, Revision, UploadId};
use super::metadata::FieldDigests;
use super::metadata_digest;
use super::urgency::Urgency;

/// The kind of an [`Intent`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IntentKind {
    /// Make the first asset.
    Create,
    /// Make a new asset that takes the place of an older one.
    Replace,
    /// Give an asset new bytes.
    UpdateContent,
    /// Change metadata fields.
    UpdateMetadata,
    /// Make an earlier version current.
    Rollback,
    /// Archive an asset.
    Archive,
    /// Restore an archived asset.
    Restore,
}

impl IntentKind {
    const ALL: [Self; 7] = [
        Self::Create,
        Self::Replace,
        Self::UpdateContent,
        Self::UpdateMetadata,
        Self::Rollback,
        Self::Archive,
        Self::Restore,
    ];

    /// The name in state, lockfile and output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Replace => "replace",
            Self::UpdateContent => "update_content",
            Self::UpdateMetadata => "update_metadata",
            Self::Rollback => "rollback",
            Self::Archive => "archive",
            Self::Restore => "restore",
        }
    }

    /// How soon it has to be done.
    pub(crate) const fn urgency(self) -> Urgency {
        match self {
            Self::Rollback => Urgency::Rescue,
            Self::Replace | Self::UpdateContent | Self::Restore => Urgency::Live,
            Self::UpdateMetadata | Self::Archive => Urgency::Metadata,
            Self::Create => Urgency::FirstUpload,
        }
    }

    /// Reads the name that [`IntentKind::name`] gives.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// The intent of one change of the remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Intent {
    /// Make a new asset.
    Create {
        /// Which upload it is: what may have come of it is known by this.
        upload: UploadId,
        /// The bytes.
        content: ContentHash,
        /// The metadata sent along, recorded as requested when it is done.
        fields: FieldDigests,
        /// The upload has a quota or a fee: `auto` holds it when its outcome is unknown.
        costly: bool,
        /// The older asset of this address whose place it takes.
        replaces: Option<AssetId>,
    },
    /// Give an asset new bytes.
    UpdateContent {
        /// The asset.
        asset_id: AssetId,
        /// The bytes.
        content: ContentHash,
        /// The newest version known before, if any.
        head: Option<Revision>,
    },
    /// Change metadata fields.
    UpdateMetadata {
        /// The asset.
        asset_id: AssetId,
        /// The fields sent, each with the digest of what it shall be.
        fields: FieldDigests,
    },
    /// Make an earlier version current.
    Rollback {
        /// The asset.
        asset_id: AssetId,
        /// The version whose content shall be current.
        to: Revision,
    },
    /// Archive an asset.
    Archive {
        /// The asset.
        asset_id: AssetId,
    },
    /// Restore an archived asset.
    Restore {
        /// The asset.
        asset_id: AssetId,
    },
}

impl Intent {
    /// Its kind.
    pub const fn kind(&self) -> IntentKind {
        match self {
            Self::Create { replaces: None, .. } => IntentKind::Create,
            Self::Create { replaces: Some(_), .. } => IntentKind::Replace,
            Self::UpdateContent { .. } => IntentKind::UpdateContent,
            Self::UpdateMetadata { .. } => IntentKind::UpdateMetadata,
            Self::Rollback { .. } => IntentKind::Rollback,
            Self::Archive { .. } => IntentKind::Archive,
            Self::Restore { .. } => IntentKind::Restore,
        }
    }

    /// The name of its kind.
    pub const fn name(&self) -> &'static str {
        self.kind().name()
    }

    /// How soon it has to be done.
    pub(crate) const fn urgency(&self) -> Urgency {
        self.kind().urgency()
    }

    /// The asset that it changes; a create has none yet.
    pub const fn asset_id(&self) -> Option<AssetId> {
        match self {
            Self::Create { .. } => None,
            Self::UpdateContent { asset_id, .. }
            | Self::UpdateMetadata { asset_id, .. }
            | Self::Rollback { asset_id, .. }
            | Self::Archive { asset_id }
            | Self::Restore { asset_id } => Some(*asset_id),
        }
    }

    /// Which upload of a new asset it is.
    pub const fn upload(&self) -> Option<UploadId> {
        match self {
            Self::Create { upload, .. } => Some(*upload),
            Self::UpdateContent { .. }
            | Self::UpdateMetadata { .. }
            | Self::Rollback { .. }
            | Self::Archive { .. }
            | Self::Restore { .. } => None,
        }
    }

    /// Whether it may make a revision that only its own attempt can tell from somebody else's:
    /// where its outcome is unknown, other machines have to know of it.
    pub const fn may_make_a_revision(&self) -> bool {
        match self {
            Self::Create { .. } | Self::UpdateContent { .. } | Self::Rollback { .. } => true,
            Self::UpdateMetadata { .. } | Self::Archive { .. } | Self::Restore { .. } => false,
        }
    }

    /// The bytes that it uploads.
    pub const fn content(&self) -> Option<ContentHash> {
        match self {
            Self::Create { content, .. } | Self::UpdateContent { content, .. } => Some(*content),
            Self::UpdateMetadata { .. } | Self::Rollback { .. } | Self::Archive { .. } | Self::Restore { .. } => None,
        }
    }

    /// What its failures are counted against: the bytes, and for a create the metadata that goes
    /// with them.
    pub fn input_digest(&self) -> FieldDigest {
        match self {
            Self::Create { content, fields, .. } => metadata_digest::input_digest(Some(*content), fields),
            other => metadata_digest::input_digest(other.content(), &FieldDigests::new()),
        }
    }
}

/// How far a change of the remote has come, as far as is durably known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// Written down; the last byte has not been handed to a connection, so Roblox can't have
    /// carried it out.
    Intended,
    /// The last byte may be on its way.
    HandedOver,
    /// Roblox took it and works on it.
    Submitted(OperationId),
    /// Roblox took it and works on it, longer than anybody waits: something newer took its place.
    /// A late result is still recorded.
    SetAside(OperationId),
    /// Nobody here knows whether Roblox carried it out.
    InDoubt,
    /// Roblox carried it out, as far as can be told, and what came of it could not be read or
    /// written down. Not sent again whatever the policy: only a person can settle it.
    Held,
    /// It is over.
    Closed(Ending),
}

/// How a change of the remote ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ending {
    /// Roblox carried it out.
    Done,
    /// Roblox refused it.
    Refused,
    /// It was not carried out, and may be sent again.
    NotCarriedOut,
    /// Its outcome stays unknown; it was given up, and the record says so.
    Abandoned,
}

/// An event that moves a change from one phase to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PhaseEvent {
    /// The last byte is about to be handed to the connection.
    HandOver,
    /// Roblox answered with an operation.
    Accept(OperationId),
    /// It is known to be carried out.
    Complete,
    /// It is known to be refused.
    Refuse,
    /// It is known not to have been carried out.
    NotCarriedOut,
    /// Nobody waits for its operation any more.
    SetAside,
    /// Its outcome can't be known from the answer, or for want of one.
    Doubt,
    /// Something came of it that could not be read or written down.
    Hold,
    /// Its outcome will never be known; the person or the policy decided to go on.
    Abandon,
    /// The process that worked on it is gone.
    Recover,
}

/// A transition that can't happen: a defect of Macadam or a damaged journal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the journal can't go from {phase:?} by {event:?}")]
pub struct IllegalTransition {
    /// Where it was.
    pub phase: Phase,
    /// The event.
    pub event: PhaseEvent,
}

impl Phase {
    /// The phase after `event`.
    ///
    /// # Errors
    /// When the event can't happen in this phase.
    pub fn next(&self, event: &PhaseEvent) -> Result<Self, IllegalTransition> {
        use PhaseEvent as E;
        let next = match (self, event) {
            // From doubt: the same bytes are sent again, which is harmless for an update.
            (Self::Intended | Self::InDoubt, E::HandOver) => Self::HandedOver,
            // Roblox may refuse before it has read the whole body, but can't accept one without its
            // end.
            (
                Self::Intended | Self::HandedOver | Self::Submitted(_) | Self::SetAside(_) | Self::InDoubt | Self::Held,
                E::Refuse,
            ) => Self::Closed(Ending::Refused),
            (Self::Intended | Self::HandedOver | Self::InDoubt | Self::Held, E::NotCarriedOut) => {
                Self::Closed(Ending::NotCarriedOut)
            }
            (Self::HandedOver | Self::InDoubt | Self::Held, E::Accept(operation)) => Self::Submitted(operation.clone()),
            (Self::HandedOver | Self::Submitted(_) | Self::SetAside(_) | Self::InDoubt | Self::Held, E::Complete) => {
                Self::Closed(Ending::Done)
            }
            (Self::Submitted(operation), E::SetAside) => Self::SetAside(operation.clone()),
            (Self::HandedOver | Self::Submitted(_), E::Doubt) => Self::InDoubt,
            (Self::HandedOver | Self::Submitted(_) | Self::InDoubt, E::Hold) => Self::Held,
            (Self::SetAside(_) | Self::InDoubt | Self::Held, E::Abandon) => Self::Closed(Ending::Abandoned),
            // The meaning of a crash: nothing handed over can't have happened, an operation
            // goes on without us, the rest is unknown.
            (Self::Intended, E::Recover) => Self::Closed(Ending::NotCarriedOut),
            (Self::HandedOver | Self::InDoubt, E::Recover) => Self::InDoubt,
            (Self::Submitted(_) | Self::SetAside(_) | Self::Held, E::Recover) => self.clone(),
            (
                Self::Intended
                | Self::HandedOver
                | Self::Submitted(_)
                | Self::SetAside(_)
                | Self::InDoubt
                | Self::Held
                | Self::Closed(_),
                E::HandOver
                | E::Accept(_)
                | E::Complete
                | E::Refuse
                | E::NotCarriedOut
                | E::SetAside
                | E::Doubt
                | E::Hold
                | E::Abandon
                | E::Recover,
            ) => return Err(IllegalTransition { phase: self.clone(), event: event.clone() }),
        };
        Ok(next)
    }

    /// Whether it is over.
    pub const fn is_closed(&self) -> bool {
        matches!(self, Self::Closed(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation() -> OperationId {
        OperationId::new("op-1").unwrap()
    }

    fn phases() -> Vec<Phase> {
        let endings = [Ending::Done, Ending::Refused, Ending::NotCarriedOut, Ending::Abandoned];
        let mut all = vec![Phase::Intended, Phase::HandedOver, Phase::Submitted(operation()), Phase::InDoubt];
        all.extend([Phase::SetAside(operation()), Phase::Held]);
        all.extend(endings.map(Phase::Closed));
        all
    }

    #[test]
    fn the_whole_table() {
        use PhaseEvent as E;
        let check = |events: &[E], wanted: Option<Phase>| {
            let reached = events.iter().try_fold(Phase::Intended, |phase, event| phase.next(event)).ok();
            assert_eq!(reached, wanted, "{events:?}");
        };
        check(&[E::HandOver, E::Accept(operation()), E::Complete], Some(Phase::Closed(Ending::Done)));
        check(&[E::HandOver, E::Complete], Some(Phase::Closed(Ending::Done)));
        check(&[E::Refuse], Some(Phase::Closed(Ending::Refused)));
        check(&[E::NotCarriedOut], Some(Phase::Closed(Ending::NotCarriedOut)));
        check(&[E::Recover], Some(Phase::Closed(Ending::NotCarriedOut)));
        check(&[E::HandOver, E::Recover], Some(Phase::InDoubt));
        check(&[E::HandOver, E::Accept(operation()), E::Recover], Some(Phase::Submitted(operation())));
        check(&[E::HandOver, E::Doubt, E::Recover, E::Abandon], Some(Phase::Closed(Ending::Abandoned)));
        check(
            &[E::HandOver, E::Accept(operation()), E::Doubt, E::NotCarriedOut],
            Some(Phase::Closed(Ending::NotCarriedOut)),
        );
        check(&[E::Complete], None);
        check(&[E::Accept(operation())], None);
        check(&[E::Doubt], None);
        check(&[E::HandOver, E::HandOver], None);
        check(&[E::HandOver, E::Doubt, E::HandOver], Some(Phase::HandedOver));
        check(&[E::HandOver, E::Doubt, E::HandOver, E::Recover], Some(Phase::InDoubt));
        let set_aside = [E::HandOver, E::Accept(operation()), E::SetAside, E::Recover];
        check(&set_aside, Some(Phase::SetAside(operation())));
        check(&[&set_aside[..], &[E::Complete]].concat(), Some(Phase::Closed(Ending::Done)));
        check(&[&set_aside[..], &[E::Abandon]].concat(), Some(Phase::Closed(Ending::Abandoned)));
        check(&[E::HandOver, E::Hold, E::Recover], Some(Phase::Held));
        check(&[E::HandOver, E::Doubt, E::Hold, E::Complete], Some(Phase::Closed(Ending::Done)));
        check(&[E::HandOver, E::Hold, E::Doubt], None);
        check(&[E::HandOver, E::SetAside], None);
        check(&[E::HandOver, E::Accept(operation()), E::NotCarriedOut], None);
    }

    #[test]
    fn a_closed_phase_stays_closed_and_recovery_is_idempotent() {
        use PhaseEvent as E;
        let events = [
            E::HandOver,
            E::Accept(operation()),
            E::Complete,
            E::Refuse,
            E::NotCarriedOut,
            E::SetAside,
            E::Doubt,
            E::Hold,
            E::Abandon,
            E::Recover,
        ];
        for phase in phases() {
            for event in &events {
                if phase.is_closed() {
                    assert!(phase.next(event).is_err(), "{phase:?} {event:?}");
                }
            }
            if let Ok(recovered) = phase.next(&E::Recover) {
                assert!(recovered.is_closed() || recovered.next(&E::Recover).as_ref() == Ok(&recovered), "{phase:?}");
            }
        }
    }
}

//! The checkout of a work tree, and whether the lockfile of that checkout has an address.
//!
//! Two branches may have the same lockfile, byte for byte, while an upload for a file of one of
//! them is under way. So a new asset belongs to the checkout in which its upload was begun, and to
//! a lockfile only once that lockfile was written with it.

use std::str::FromStr;

/// The checkout of a work tree.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Checkout {
    /// There is no git here, or it doesn't tell. Everything then counts as one checkout.
    #[default]
    Unknown,
    /// A branch.
    Branch(String),
    /// A commit without a branch.
    Commit(String),
}

impl Checkout {
    /// Whether both are branches, and not the same one.
    pub(crate) fn is_another_branch(&self, other: &Self) -> bool {
        matches!((self, other), (Self::Branch(one), Self::Branch(other)) if one != other)
    }

    /// The form in the state; `None`: it isn't known.
    pub(crate) fn spelled(&self) -> Option<String> {
        match self {
            Self::Unknown => None,
            Self::Branch(name) => Some(format!("branch {name}")),
            Self::Commit(id) => Some(format!("commit {id}")),
        }
    }
}

/// A text that [`Checkout::spelled`] doesn't give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("neither a branch nor a commit")]
pub struct NoCheckout;

impl FromStr for Checkout {
    type Err = NoCheckout;

    fn from_str(text: &str) -> Result<Self, NoCheckout> {
        match text.split_once(' ') {
            Some(("branch", name)) => Ok(Self::Branch(name.to_owned())),
            Some(("commit", id)) => Ok(Self::Commit(id.to_owned())),
            Some(_) | None => Err(NoCheckout),
        }
    }
}

/// Whether the lockfile of this checkout has an address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum InLockfile {
    /// It doesn't: what is known of the address is another checkout's.
    #[default]
    No,
    /// Macadam began an upload for the address, and wrote no lockfile with it since.
    NotYet {
        /// The checkout for which the upload was begun: the next lockfile that is written there has
        /// the address, whatever becomes of its file.
        begun_in: Checkout,
    },
    /// The lockfile that was read or written last has it, or is about to be written with it.
    Yes,
}

impl InLockfile {
    /// Whether an address belongs to `checkout`: its lockfile has it, or will have it when it is
    /// written next.
    pub(crate) fn is_of(&self, checkout: &Checkout) -> bool {
        match self {
            Self::No => false,
            Self::NotYet { begun_in } => begun_in == checkout,
            Self::Yes => true,
        }
    }

    /// Whether a lockfile of this work tree has the address, or may be about to have it.
    pub(crate) fn is_any(&self) -> bool {
        !matches!(self, Self::No)
    }

    /// The knowledge once an upload is begun in `checkout`.
    #[must_use]
    pub(crate) fn begun(&self, checkout: &Checkout) -> Self {
        match self {
            Self::Yes => Self::Yes,
            Self::No | Self::NotYet { .. } => Self::NotYet { begun_in: checkout.clone() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn branch(name: &str) -> Checkout {
        Checkout::Branch(name.to_owned())
    }

    #[test]
    fn an_upload_belongs_to_the_checkout_that_began_it_until_a_lockfile_has_it() {
        let begun = InLockfile::No.begun(&branch("x"));
        assert!(begun.is_of(&branch("x")) && !begun.is_of(&branch("y")));
        assert!(!begun.is_of(&Checkout::Commit("x".to_owned())) && !begun.is_of(&Checkout::Unknown));
        assert!(begun.begun(&branch("y")).is_of(&branch("y")), "begun again elsewhere");
        assert_eq!(InLockfile::Yes.begun(&branch("x")), InLockfile::Yes, "the lockfile has it");
        assert!(InLockfile::Yes.is_of(&branch("y")) && !InLockfile::No.is_of(&branch("y")));
        assert!(
            InLockfile::No.begun(&Checkout::Unknown).is_of(&Checkout::Unknown),
            "without git there is one checkout"
        );
    }

    #[test]
    fn a_checkout_is_read_as_it_was_spelled() {
        for checkout in [branch("x"), branch("feature/a b"), Checkout::Commit("0f".to_owned())] {
            assert_eq!(checkout.spelled().unwrap().parse(), Ok(checkout));
        }
        assert_eq!("x".parse::<Checkout>(), Err(NoCheckout));
    }

    #[test]
    fn only_two_branches_count_as_different_for_sure() {
        assert!(branch("x").is_another_branch(&branch("y")));
        let others = [branch("x"), Checkout::Unknown, Checkout::Commit("x".to_owned())];
        assert!(others.iter().all(|other| !branch("x").is_another_branch(other)));
    }
}

//! What was changed at Roblox outside of Macadam.

use std::fmt;

use super::Fields;
use super::hold::{gone_hint, overwrite_hint};
use crate::model::address::Address;
use crate::model::ids::Revision;
use crate::model::metadata::Field;

/// What of an asset was changed at Roblox outside of Macadam.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DriftKind {
    /// It has a newer revision.
    MadeElsewhere {
        /// Its number, where known.
        version: Option<Revision>,
    },
    /// An earlier revision is current.
    RolledBackElsewhere {
        /// The revision that is current.
        current: Revision,
        /// The revision that should be.
        known: Revision,
    },
    /// Roblox no longer has it.
    Gone,
    /// It was archived.
    Archived {
        /// How often Macadam put it back today, where that was too often to do it again.
        repaired: Option<usize>,
    },
    /// Its metadata changed.
    Metadata {
        /// Which fields.
        fields: Vec<Field>,
        /// How often Macadam put it back today, where that was too often to do it again.
        repaired: Option<usize>,
    },
}

impl DriftKind {
    /// The stable name in `--json`.
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::MadeElsewhere { .. } => "made_elsewhere",
            Self::RolledBackElsewhere { .. } => "rolled_back_elsewhere",
            Self::Gone => "gone",
            Self::Archived { .. } => "archived_elsewhere",
            Self::Metadata { .. } => "metadata_changed_elsewhere",
        }
    }

    /// The revision that it is about.
    pub(crate) const fn revision(&self) -> Option<Revision> {
        match self {
            Self::MadeElsewhere { version } => *version,
            Self::RolledBackElsewhere { current, .. } => Some(*current),
            Self::Gone | Self::Archived { .. } | Self::Metadata { .. } => None,
        }
    }

    /// A way to end it, for the asset of `address`.
    pub(crate) fn hint(&self, address: &Address) -> String {
        match self {
            Self::MadeElsewhere { .. } | Self::RolledBackElsewhere { .. } => overwrite_hint(address),
            Self::Gone => gone_hint(address),
            Self::Archived { .. } => format!("`macadam restore {address:#}`"),
            Self::Metadata { .. } => {
                "change it here as well, or set `policy.drift = \"heal\"` to have it put back".to_owned()
            }
        }
    }
}

impl fmt::Display for DriftKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let repaired = match self {
            Self::MadeElsewhere { version: Some(version) } => {
                return write!(f, "revision {version} was made on Roblox, outside of Macadam");
            }
            Self::MadeElsewhere { version: None } => {
                return f.write_str("a newer revision was made on Roblox, outside of Macadam");
            }
            Self::RolledBackElsewhere { current, known } => {
                return write!(
                    f,
                    "revision {current} was made current on Roblox in place of {known}, outside of Macadam"
                );
            }
            Self::Gone => return f.write_str("Roblox no longer has its asset"),
            Self::Archived { repaired } => {
                f.write_str("it was archived on Roblox, outside of Macadam")?;
                repaired
            }
            Self::Metadata { fields, repaired } => {
                write!(f, "{} changed on Roblox, outside of Macadam", Fields(fields))?;
                repaired
            }
        };
        repaired.map_or(Ok(()), |times| write!(f, "; Macadam put it back {times} times today"))
    }
}

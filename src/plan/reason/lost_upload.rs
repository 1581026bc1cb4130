//! An upload of a new asset of which Macadam didn't learn what came: what a person looks for.

use std::fmt;

use jiff::Timestamp;

use super::WithArticle;
use crate::model::address::Address;
use crate::model::desired::DesiredAsset;
use crate::model::digest::FieldDigest;
use crate::model::history::Kind;
use crate::model::ids::Creator;
use crate::model::metadata::{DisplayName, Field};
use crate::model::minute::Minute;
use crate::model::phase::Intent;
use crate::model::recorded::Attempt;
use crate::model::shown::foreign;

/// An upload of a new asset whose outcome is unknown. Its `Display` says where to look, and for
/// what.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LostUpload {
    /// The type and owner of the asset.
    pub kind: Kind,
    /// The name that was sent, as far as the manifest still tells.
    pub name: Option<DisplayName>,
    /// When it was sent; `None`: by another machine.
    pub sent_at: Option<Timestamp>,
}

impl LostUpload {
    /// Describes `attempt`, whose address is wanted like this.
    pub(crate) fn of(attempt: &Attempt, want: Option<&DesiredAsset>) -> Self {
        let named = |want: &DesiredAsset| match &want.metadata.display_name {
            Some(name) => name.clone(),
            None => DisplayName::from_stem(want.path.stem()),
        };
        // The manifest may have another one by now.
        let was_sent = |name: &DisplayName| match &attempt.intent {
            Intent::Create { fields, .. } => {
                fields.get(&Field::DisplayName).is_none_or(|sent| *sent == FieldDigest::of_text(name.as_str()))
            }
            _ => false,
        };
        Self {
            kind: attempt.kind,
            name: want.map(named).filter(was_sent),
            sent_at: (!attempt.taken_over).then_some(attempt.begun_at),
        }
    }
}

impl fmt::Display for LostUpload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind: Kind { asset_type, creator }, name, sent_at } = self;
        f.write_str("look at https://create.roblox.com/dashboard/creations")?;
        if let Creator::Group(group) = creator {
            write!(f, "?groupId={group}")?;
        }
        write!(f, " for {}", WithArticle(*asset_type))?;
        name.as_ref().map_or(Ok(()), |name| write!(f, " named \"{}\"", foreign(name.as_str())))?;
        write!(f, " of {}", creator.in_words())?;
        sent_at.map_or(Ok(()), |at| write!(f, ", uploaded at {}", Minute(at)))
    }
}

/// The two ways on after an upload that got no clear answer.
pub(crate) fn resolve_hint(address: &Address, upload: &LostUpload) -> String {
    format!(
        "{upload}: if it is there, `macadam resolve {address:#} --asset-id N`; if not, `macadam resolve {address:#} --recreate`"
    )
}

//! How a file that the checked-out commit has, and that is missing here, comes back.

use std::path::Path;

use super::ask::{self, CheckoutFile, why};
use crate::model::missing_lockfile::WayBack;

/// Returns how a person gets back `file`, which the checked-out commit has. Blocks: it runs git.
///
/// # Errors
/// Returns why it is unknown: lower case, no full stop.
pub(crate) fn of(file: &Path) -> Result<WayBack, String> {
    let Some(place) = CheckoutFile::of(file)? else { return Ok(WayBack::Commit) };
    let listed = place.ask(&["--literal-pathspecs", "ls-files", "-t", "--cached", "--", &place.inside], b"")?;
    if !listed.status.success() {
        return Err(why(&listed));
    }
    Ok(match listed.raw.first() {
        Some(b'H') => WayBack::Index,
        // It is left out on purpose, by a sparse checkout or by a person. Folders are chosen in cone mode,
        // so a single file that is left out there was so by a person.
        Some(b'S') if is_on(file, "core.sparseCheckout")? && !is_on(file, "core.sparseCheckoutCone")? => {
            WayBack::Pattern { inside: place.inside }
        }
        Some(b'S') => WayBack::Skipped,
        // Deleted from the index, or in the middle of a merge.
        Some(_) | None => WayBack::Commit,
    })
}

fn is_on(file: &Path, setting: &str) -> Result<bool, String> {
    Ok(ask::setting(file, setting)?.is_some_and(|value| value == "true"))
}
